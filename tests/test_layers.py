"""Who may import whom: the contracts of pyproject.toml hold."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_import_contracts_hold() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_importing_the_package_loads_nothing_heavy() -> None:
    """Goal: `import tableapi` costs little more than `import polars`."""
    code = "import sys, tableapi; print([m for m in ('numba', 'pyarrow', 'sqlglot', 'pandas', 'click', 'rich') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("mode", ["batch", "streaming"])
def test_a_small_query_loads_only_what_it_runs(mode: str) -> None:
    """Goal: the first row of a small query within a second of the process' start."""
    code = (
        "import sys\n"
        "from tableapi import EnvironmentSettings, TableEnvironment\n"
        f"env = TableEnvironment.create(EnvironmentSettings.in_{mode}_mode())\n"
        "rows = list(env.execute_sql('SELECT k, COUNT(*) FROM (VALUES (1), (1)) AS t(k) GROUP BY k').collect())\n"
        "heavy = ['numba', 'pyarrow', 'asyncio', 'ssl', 'pandas', 'click', 'rich', 'tableapi.runtime.lookup', 'tableapi.runtime.match']\n"
        "heavy += ['tableapi.sql.query_text', 'tableapi.functions.lenient_dates', 'tableapi.functions.strict_dates']\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
