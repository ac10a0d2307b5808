"""What the documents say is true: every Python snippet runs, the README's main job does what it promises."""

from __future__ import annotations

import doctest
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SNIPPET = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
WITH_SNIPPETS = [p for p in PAGES if SNIPPET.search(p.read_text())]


@pytest.mark.parametrize("page", WITH_SNIPPETS, ids=lambda p: p.name)
def test_the_snippets_of_a_page_run_in_order(page: Path, tmp_path: Path) -> None:
    program = "\n".join(SNIPPET.findall(page.read_text()))
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


@pytest.mark.parametrize(
    ("page", "module"),
    [("connectors.md", "tableapi.connectors.docs"), ("configuration.md", "tableapi.config_docs")],
    ids=["connectors", "configuration"],
)
def test_pages_made_from_declarations_are_current(page: str, module: str) -> None:
    made = importlib.import_module(module).render()
    assert (ROOT / "docs" / page).read_text() == made, f"run: python -m {module} > docs/{page}"


KEY = re.compile(r'"((?:table|pipeline|python)\.[a-z][a-z0-9.-]+[a-z])"')


def test_every_key_that_the_runtime_reads_is_declared() -> None:
    from tableapi.config import OPTIONS

    read = {key for path in (ROOT / "runtime").rglob("*.py") for key in KEY.findall(path.read_text())}
    assert len(read) > 10
    assert read <= {option.key for option in OPTIONS}


@pytest.mark.parametrize("page", [*sorted(ROOT.glob("*.md")), *PAGES[1:]], ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def readme_command(name: str) -> str:
    """The command of README.md under the marker `<!-- command: name -->`."""
    found = re.search(rf"<!-- command: {name} -->\n```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert found, f"README.md has no command '{name}'"
    return found.group(1).strip()


def test_the_readme_has_two_commands_of_one_line() -> None:
    for name, ends_with in (("demo", ".venv/bin/tableapi demo"), ("tests", ".venv/bin/python -m pytest -n auto")):
        command = readme_command(name)
        assert "\n" not in command
        assert command.startswith("python3.11 -m venv .venv && .venv/bin/pip install")
        assert command.endswith(ends_with)


def test_the_main_job_of_the_readme(tmp_path: Path) -> None:
    """Goal: the command runs on real data, checks itself, and leaves the output stream where it says."""
    tableapi = Path(sys.executable).parent / readme_command("demo").split("&& .venv/bin/")[-1].split()[0]
    log = tmp_path / "log"
    done = subprocess.run([tableapi, "demo", "--path", log], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "336,776 flights and 26,115 weather reports" in done.stdout
    assert "362,891 events in" in done.stdout
    assert "0 late" in done.stdout
    for stream, rows in (("hourly_delays", "19,486"), ("worst_carriers", "9"), ("flights_in_weather", "336,776")):
        assert re.search(rf"{stream}\s.*{rows}\s.*{rows}\s.*yes", done.stdout), done.stdout
    shown = subprocess.run(
        [tableapi, "log", "--log", log, "read", "hourly_delays", "--limit", "2"], capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count("window_start") == 2


MODULES = [
    "tableapi.types",
    "tableapi.row",
    "tableapi.errors",
    "tableapi.tablespec",
    "tableapi.stable_hash",
    "tableapi.environment",
    "tableapi.table",
    "tableapi.schema",
    "tableapi.config",
    "tableapi.expressions",
    "tableapi.window",
    "tableapi.table_descriptor",
    "tableapi.udf",
    "tableapi.result",
    "tableapi.sql",
    "tableapi.testing",
    "tableapi.functions.registry",
    "tableapi.plan.typing",
    "tableapi.connectors.registry",
    "tableapi.connectors.options",
    "tableapi.connectors.filelog.log",
]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0
