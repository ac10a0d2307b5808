"""The `tableapi` command from the outside: what it prints, what it says of mistakes, and its exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tableapi.cli import main

ORDERS = """\
CREATE TABLE orders (id INT, item STRING, price DECIMAL(10, 2), ts TIMESTAMP(3))
  WITH ('connector' = 'filesystem', 'path' = '{path}', 'format' = 'json');
"""


def tableapi(*arguments: str | Path, stdin: str | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs the command."""
    command = [sys.executable, "-m", "tableapi.cli", *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": "120"}
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120, cwd=cwd, env=environment)


Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs the command in this process, which costs less."""

    def run(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        if cwd is not None:
            monkeypatch.chdir(cwd)
        given = [str(a) for a in arguments]
        with pytest.raises(SystemExit) as ended:
            main(given)
        out, errors = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return subprocess.CompletedProcess(given, ended.value.code, out, errors)

    return run


@pytest.fixture
def orders(tmp_path: Path) -> str:
    """DDL of a table of three orders."""
    lines = [
        '{"id": 1, "item": "pen", "price": "1.50", "ts": "2024-03-10 10:00:01"}',
        '{"id": 2, "item": "ink", "price": "12.00", "ts": "2024-03-10 10:00:04"}',
        '{"id": 3, "item": "pen", "price": "1.75", "ts": "2024-03-10 10:00:07"}',
    ]
    (tmp_path / "orders.json").write_text("\n".join(lines) + "\n")
    return ORDERS.format(path=tmp_path / "orders.json")


def test_help_lists_the_commands() -> None:
    done = tableapi("--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in ("run", "sql", "log", "demo", "version", "Exit codes"))


def test_help_costs_next_to_nothing() -> None:
    """CPU time, not wall time: other tests run beside this one."""
    before = os.times()
    tableapi("--help")
    after = os.times()
    used_s = after.children_user - before.children_user + after.children_system - before.children_system
    assert used_s < 0.5


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from tableapi.cli import cli; cli.main(['--help'], standalone_mode=False); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    loaded = done.stdout.splitlines()[-1]
    assert not [name for name in ("polars", "pyarrow", "numpy", "numba", "sqlglot", "rich") if f"'{name}'" in loaded]


def test_version() -> None:
    done = tableapi("version")
    assert done.returncode == 0
    assert done.stdout.startswith("tableapi ")
    assert "polars " in done.stdout


def test_a_misspelt_command() -> None:
    done = tableapi("rnu")
    assert done.returncode == 2
    assert "did you mean 'run'?" in done.stderr


def test_sql_prints_results_and_waits_for_writers(orders: str, tmp_path: Path) -> None:
    script = tmp_path / "job.sql"
    script.write_text(
        f"-- a script\n{orders}"
        "SET 'parallelism.default' = '1';\n"
        "SELECT item, SUM(price) AS total FROM orders GROUP BY item;\n"
        f"CREATE TABLE out_t (id INT, item STRING) WITH ('connector' = 'filesystem', 'path' = '{tmp_path}/out', 'format' = 'csv');\n"
        "INSERT INTO out_t SELECT id, item FROM orders WHERE price < 10;\n"
        "SELECT * FROM out_t;\n"
    )
    done = tableapi("sql", "--mode", "batch", "-f", script)
    assert done.returncode == 0, done.stderr
    assert "3.25" in done.stdout
    assert "12.00" in done.stdout
    assert done.stdout.count("2 rows in set") == 2
    assert "2 rows out" in done.stderr
    (part,) = (tmp_path / "out").iterdir()
    assert sorted(part.read_text().splitlines()) == ["1,pen", "3,pen"]


def test_statements_from_the_command_line_and_standard_input(here: Command) -> None:
    assert "42" in here("sql", "--mode", "batch", "-e", "SELECT 6 * 7 AS answer").stdout
    assert "43" in tableapi("sql", "--mode", "batch", "-f", "-", stdin="SELECT 43 AS answer;").stdout
    assert here("sql").returncode == 2


PROGRAM = """\
import sys
from tableapi import EnvironmentSettings, TableEnvironment

env = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
print(sys.argv[1:], env.get_config().get("parallelism.default", None), env.get_config().get("pipeline.name", None))
env.execute_sql("CREATE TABLE numbers (a BIGINT) WITH ('connector'='datagen','number-of-rows'='1000')")
env.execute_sql("CREATE TABLE nowhere (a BIGINT) WITH ('connector'='blackhole')")
env.execute_sql("INSERT INTO nowhere SELECT a FROM numbers")
"""


def test_run_gives_a_program_its_arguments_and_waits_for_its_jobs(tmp_path: Path) -> None:
    program = tmp_path / "job.py"
    program.write_text(PROGRAM)
    done = tableapi("run", "--parallelism", "1", "-D", "pipeline.name=count", program, "one", "--two")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "['one', '--two'] 1 count"
    assert "1,000 rows in, 1,000 rows out" in done.stderr


def test_run_a_sql_script(orders: str, tmp_path: Path, here: Command) -> None:
    (tmp_path / "q.sql").write_text(orders + "SELECT COUNT(*) AS n FROM orders;")
    done = here("run", "--mode", "batch", tmp_path / "q.sql")
    assert done.returncode == 0, done.stderr
    assert "1 row in set" in done.stdout


def test_an_exception_of_the_program_is_shown_without_the_engine(tmp_path: Path) -> None:
    program = tmp_path / "job.py"
    program.write_text("def f():\n    return 1 / 0\n\nf()\n")
    done = tableapi("run", program)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert 'job.py", line 2' in done.stderr
    assert "runpy" not in done.stderr
    assert "click" not in done.stderr


def test_the_exit_code_of_the_program_is_kept(tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text("import sys\nsys.exit(7)\n")
    assert tableapi("run", tmp_path / "job.py").returncode == 7


def test_an_error_of_the_library_names_the_programs_line(tmp_path: Path) -> None:
    program = tmp_path / "job.py"
    program.write_text(PROGRAM + 'env.sql_query("SELECT b FROM numbers")\n')
    done = tableapi("run", "--parallelism", "1", program)
    assert done.returncode == 2
    assert "error: column 'b' does not exist" in done.stderr
    assert "job.py:9" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Traceback" in tableapi("--traceback", "run", "--parallelism", "1", program).stderr


MISTAKES = {
    "unknown column": (
        "{orders}SELECT id, itm FROM orders;",
        2,
        ["error: column 'itm' does not exist", "job.sql:3:12", "SELECT id, itm FROM orders", "^^^", "did you mean 'item'?"],
    ),
    "unknown table": ("{orders}SELECT * FROM ordrs;", 2, ["'ordrs' does not exist", "job.sql:3:15", "did you mean 'orders'?"]),
    "unknown function": ("SELECT UPER('a');", 2, ["UPER", "job.sql:1:8", "did you mean 'UPPER'?"]),
    "not SQL": ("SELECT FROM WHERE;", 2, ["error:", "job.sql:1:"]),
    "wrong type": ("{orders}SELECT id + item FROM orders;", 2, ["error:", "job.sql:3:", "INT", "STRING"]),
    "unknown connector": (
        "CREATE TABLE t (a INT) WITH ('connector' = 'filesytem', 'path' = 'x', 'format' = 'csv');\nSELECT * FROM t;",
        2,
        ["there is no connector 'filesytem'", "did you mean 'filesystem'?", "job.sql:"],
    ),
    "unknown option": (
        "CREATE TABLE t (a INT) WITH ('connector' = 'filesystem', 'pth' = 'x', 'path' = 'x', 'format' = 'csv');\nSELECT * FROM t;",
        2,
        ["connector 'filesystem' has no option 'pth'", "did you mean 'path'?", "job.sql:"],
    ),
    "unknown format": (
        "CREATE TABLE t (a INT) WITH ('connector' = 'filesystem', 'path' = 'x', 'format' = 'cvs');\nSELECT * FROM t;",
        2,
        ["there is no format 'cvs'", "did you mean 'csv'?"],
    ),
    "wrong option value": (
        "CREATE TABLE t (a INT) WITH ('connector' = 'datagen', 'number-of-rows' = 'ten');\nSELECT * FROM t;",
        2,
        ["option 'number-of-rows' has a wrong value", "'ten' is not an integer"],
    ),
    "missing file": (
        "CREATE TABLE t (a INT) WITH ('connector' = 'filesystem', 'path' = '/no/such/file.csv', 'format' = 'csv');\nSELECT * FROM t;",
        2,
        ["path '/no/such/file.csv' does not exist"],
    ),
    "no watermark for a window": (
        "{orders}SELECT window_start, COUNT(*) FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '1' MINUTE))"
        " GROUP BY window_start, window_end;",
        2,
        ["error:", "time attribute", "job.sql:3:", "fix:"],
    ),
    "misspelt configuration": ("SET 'paralelism.default' = '2';\nSET 'table.local-time-zon' = 'UTC';", 2, ["table.local-time-zon", "did you mean"]),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_explained_on_one_screen(name: str, orders: str, tmp_path: Path, here: Command) -> None:
    text, code, needles = MISTAKES[name]
    (tmp_path / "job.sql").write_text(text.replace("{orders}", orders))
    done = here("sql", "-f", "job.sql", "-D", "parallelism.default=1", cwd=tmp_path)
    assert done.returncode == code, done.stderr
    for needle in needles:
        assert needle in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) < 25


@pytest.mark.parametrize("mode", ["batch", "streaming"])
@pytest.mark.parametrize(
    ("form", "data", "line", "reason"),
    [
        ("json", '{"id": 1}\n{"id": "x"}\n', 2, "field 'id': 'x' is not an INT"),
        ("json", '{"id": 1}\n\n{"id": 1\n', 3, "the line is not JSON"),
        ("csv", "1\nx\n", 2, "field 'id': 'x' is not an INT"),
        ("csv", "1\n2,3\n", 2, "the line has 2 fields, the table has 1"),
    ],
)
def test_malformed_records_stop_the_job_and_leave_the_output_alone(
    mode: str, form: str, data: str, line: int, reason: str, tmp_path: Path, here: Command
) -> None:
    (tmp_path / "in").write_text(data)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "earlier.csv").write_text("7\n")
    (tmp_path / "job.sql").write_text(
        f"CREATE TABLE t (id INT) WITH ('connector' = 'filesystem', 'path' = '{tmp_path}/in', 'format' = '{form}');\n"
        f"CREATE TABLE o (id INT) WITH ('connector' = 'filesystem', 'path' = '{tmp_path}/out', 'format' = 'csv');\n"
        "INSERT INTO o SELECT * FROM t;\n"
    )
    done = here("run", "--mode", mode, "--parallelism", "1", tmp_path / "job.sql")
    assert done.returncode == 1, done.stderr
    assert reason in done.stderr
    assert f"{tmp_path}/in:{line}" in done.stderr
    assert "Traceback" not in done.stderr
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["earlier.csv"]
    back = here("sql", "--mode", "batch", "-e", (tmp_path / "job.sql").read_text().splitlines()[1] + "SELECT * FROM o;")
    assert "1 row in set" in back.stdout


def test_a_directory_that_cannot_be_written_to(orders: str, tmp_path: Path, here: Command) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "job.sql").write_text(
        f"{orders}CREATE TABLE o (id INT) WITH ('connector' = 'filesystem', 'path' = '{tmp_path}/file/out', 'format' = 'csv');\n"
        "INSERT INTO o SELECT id FROM orders;\n"
    )
    for mode in ("batch", "streaming"):
        done = here("run", "--mode", mode, "--parallelism", "1", tmp_path / "job.sql")
        assert done.returncode == 1, done.stderr
        assert f"cannot write to directory '{tmp_path}/file/out'" in done.stderr
        assert "Traceback" not in done.stderr


def test_an_interrupt_stops_the_job(tmp_path: Path) -> None:
    """A job without end is stopped by SIGINT, with exit code 130 and without a stack of frames."""
    (tmp_path / "job.sql").write_text(
        "CREATE TABLE t (a INT) WITH ('connector' = 'datagen', 'rows-per-second' = '100');\n"
        f"CREATE TABLE o (a INT) WITH ('connector' = 'filesystem', 'path' = '{tmp_path}/out', 'format' = 'csv');\n"
        "INSERT INTO o SELECT a FROM t;\n"
    )
    command = [sys.executable, "-m", "tableapi.cli", "run", "--parallelism", "1", str(tmp_path / "job.sql")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "out").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(2)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert not list((tmp_path / "out").glob(".staging*"))


def test_one_command_lands_a_socket_in_a_log(tmp_path: Path) -> None:
    """Goal: the command of docs/sockets.md, against a peer that sends a thousand rows and closes."""
    import json
    import socket
    import threading

    from tableapi.connectors.filelog import EventLog

    page = (Path(__file__).parents[2] / "docs" / "sockets.md").read_text()
    script = page.split('tableapi sql -e "')[1].split('"\n')[0]
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            peer, _ = server.accept()
            with peer:
                peer.sendall(b"".join(json.dumps({"name": f"n{i}", "price": i}).encode() + b"\n" for i in range(1000)))

        sender = threading.Thread(target=serve, daemon=True)
        sender.start()
        script = script.replace("9999", str(server.getsockname()[1]))
        command = [sys.executable, "-m", "tableapi.cli", "sql", "-e", script]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
        sender.join(timeout=10)
    assert done.returncode == 0, done.stdout + done.stderr
    with EventLog(tmp_path / "streams") as log:
        rows = log.read("bids")
    assert rows["price"].to_list() == list(range(1000))
