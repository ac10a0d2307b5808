"""How fast a program starts: the first row of a small SQL query, and importing the library against importing Polars.

    python benchmarks/startup.py [--runs 7]

Each figure is the median over fresh processes, after one that warms the file cache.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

QUERY = """
from tableapi import EnvironmentSettings, TableEnvironment
env = TableEnvironment.create(EnvironmentSettings.in_{mode}_mode())
with env.execute_sql("{sql}").collect() as rows:
    print(next(iter(rows)))
"""

SQL = "SELECT name, COUNT(*), SUM(v) FROM (VALUES ('a', 1), ('b', 2), ('a', 3)) AS t(name, v) GROUP BY name"

PROGRAMS = {
    "python -c pass": "pass",
    "import polars": "import polars",
    "import tableapi": "import tableapi",
    "first row, batch": QUERY.format(mode="batch", sql=SQL),
    "first row, stream": QUERY.format(mode="streaming", sql=SQL),
}


def seconds(code: str) -> float:
    """Wall time of a fresh process that runs `code`."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    medians = {}
    for name, code in PROGRAMS.items():
        seconds(code)
        medians[name] = statistics.median(seconds(code) for _ in range(options.runs))
        print(f"{name:20} {medians[name] * 1000:7.0f} ms", flush=True)
    bare = medians["python -c pass"]
    print(f"import tableapi / import polars, whole process: {medians['import tableapi'] / medians['import polars']:.2f}x")
    ratio = (medians["import tableapi"] - bare) / (medians["import polars"] - bare)
    print(f"import tableapi / import polars, without the interpreter's own start: {ratio:.2f}x")


if __name__ == "__main__":
    main()
