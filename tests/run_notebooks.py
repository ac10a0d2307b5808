"""Executes every notebook in `notebooks/` in a fresh kernel; any error fails. Run by CI: `python tests/run_notebooks.py`."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


def run(path: Path) -> None:
    """Executes one notebook in an empty directory, so that it cannot lean on what lies beside it."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as directory:
        NotebookClient(notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": directory}}).execute()


def main() -> int:
    paths = sorted(NOTEBOOKS.glob("*.ipynb"))
    for path in paths:
        started = time.monotonic()
        run(path)
        print(f"{path.name}: ok, {time.monotonic() - started:.1f} s")
    print(f"{len(paths)} passed, 0 failed")
    return 0 if paths else 1


if __name__ == "__main__":
    sys.exit(main())
