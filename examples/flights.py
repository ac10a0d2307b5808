"""Every flight that left New York City in 2013, as event streams: publish, run one continuous SQL job, check it against batch.

    pip install 'tableapi[demo]'
    python examples/flights.py

The SQL is in `tableapi/demo/flights.py`; `tableapi demo` runs the same program with a live table in the terminal.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tableapi.connectors.filelog import EventLog
from tableapi.demo import flights


def main() -> None:
    path = Path(tempfile.mkdtemp(prefix="tableapi-flights-")) / "log"

    # Two event streams on files, keyed by origin. Any number of programs may read them, each from where it chooses.
    counts = flights.publish(path)
    print(f"{counts['flights']:,} flights and {counts['weather']:,} weather reports published in {path}")

    # One job over them, in two worker processes, writing three more event streams.
    env = flights.stream_environment(path, parallelism=2)
    result = flights.start(env)
    result.wait()
    counters = result.get_job_client().get_accumulators().result()
    print(f"{counters['rows_in']:,} events in, {counters['rows_out']:,} rows out, {counters['late_rows']} late")

    with EventLog(path) as log:
        print(flights.latest(log, "worst_carriers").sort("origin", "place"))
        print(log.read("hourly_delays").sort("mean_delay", descending=True, nulls_last=True).head(5))

    # The same queries in batch mode give the same rows.
    for check in flights.check(path):
        print(f"{check.stream}: {check.stream_rows:,} rows, batch {check.batch_rows:,}, equal: {check.is_equal}")
        if not check.is_equal:
            raise SystemExit("the stream and batch differ")


if __name__ == "__main__":
    main()
