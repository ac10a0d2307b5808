"""What happens to texts and binary strings whose type is not the written column's. Recorded from Flink 2.3."""

from __future__ import annotations

from pathlib import Path

import pytest

from tableapi import EnvironmentSettings, TableEnvironment
from tableapi.errors import ExecutionError, TypeMismatchError

STORED = [
    # column of the source, type of the sink's column, with IGNORE, with TRIM_PAD, with ERROR (None: the job fails)
    ("a", "VARCHAR(2)", "abcd", "ab", None),
    ("a", "VARCHAR(1)", "a", "a", "a"),
    ("a", "STRING", "abcd", "abcd", "abcd"),
    ("b", "CHAR(3)", "x", "x  ", None),
    ("b", "CHAR(5)", "x    ", "x    ", "x    "),
    ("b", "CHAR(2)", "x ", "x ", "x "),
    ("b", "VARCHAR(4)", "x", "x", "x"),
    ("c", "VARCHAR(3)", "hel", "hel", "hel"),
    ("d", "VARBINARY(2)", b"he", b"he", b"he"),
    ("e", "VARCHAR(2)", "vw", "vw", "vw"),
]
CASES = [(s[0], s[1], m, s[i]) for s in STORED for i, m in enumerate(("IGNORE", "TRIM_PAD", "ERROR"), 2)]


def environment(tmp_path: Path, is_streaming: bool, enforcer: str) -> TableEnvironment:
    settings = EnvironmentSettings.in_streaming_mode() if is_streaming else EnvironmentSettings.in_batch_mode()
    env = TableEnvironment.create(settings)
    env.get_config().set("parallelism.default", "1")
    env.get_config().set("table.exec.sink.type-length-enforcer", enforcer)
    (tmp_path / "source.json").write_text('{"a": "abcd", "b": "x", "c": "hello", "d": "aGVsbG8=", "e": "vwxyz"}\n')
    env.execute_sql(
        f"CREATE TABLE source (a VARCHAR(2), b CHAR(3), c STRING, d BYTES, e CHAR(5)) "
        f"WITH ('connector' = 'filesystem', 'path' = '{tmp_path}/source.json', 'format' = 'json')"
    )
    return env


@pytest.mark.parametrize(("column", "sink_type", "enforcer", "stored"), CASES, ids=[f"{a}-{b}-{c}" for a, b, c, _ in CASES])
@pytest.mark.parametrize("is_streaming", [False, True], ids=["batch", "stream"])
def test_a_longer_type_is_cut_and_a_longer_value_is_for_the_enforcer(
    tmp_path: Path, is_streaming: bool, column: str, sink_type: str, enforcer: str, stored: str | bytes | None
) -> None:
    env = environment(tmp_path, is_streaming, enforcer)
    env.execute_sql(
        f"CREATE TABLE sink (x {sink_type}) WITH ('connector' = 'filesystem', 'path' = '{tmp_path}/out', 'format' = 'parquet')"
    )
    insert = f"INSERT INTO sink SELECT {column} FROM source"
    if stored is None:
        with pytest.raises(ExecutionError, match="does not fit"):
            env.execute_sql(insert).wait()
        return
    env.execute_sql(insert).wait()
    assert env.from_path("sink").to_polars()["x"].to_list() == [stored]


@pytest.mark.parametrize(("column", "sink_type"), [("a", "CHAR(2)"), ("c", "CHAR(3)"), ("d", "BINARY(8)")])
def test_a_string_of_any_length_is_not_one_of_a_fixed_length(tmp_path: Path, column: str, sink_type: str) -> None:
    env = environment(tmp_path, False, "IGNORE")
    env.execute_sql(f"CREATE TABLE sink (x {sink_type}) WITH ('connector' = 'blackhole')")
    with pytest.raises(TypeMismatchError, match=f"the query gives .* \\('{column}'\\)"):
        env.execute_sql(f"INSERT INTO sink SELECT {column} FROM source")
