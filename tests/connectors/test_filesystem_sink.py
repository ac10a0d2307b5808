"""Rows become files: all at once, in partitions, replacing, rolling, committed at checkpoints; and never half."""

from __future__ import annotations

import pickle
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from connector_driving import make_table as table
from connector_driving import read_all, sink_of, source_of, write_all

from tableapi.errors import ExecutionError, UnsupportedError
from tableapi.row import RowKind
from tableapi.tablespec import TableSpec
from tableapi.types import DataTypes as D

AB = {"a": D.INT(), "b": D.STRING()}


def frame(*rows: tuple[object, ...], columns: dict[str, object] = AB) -> pl.DataFrame:  # type: ignore[assignment]
    schema = {n: t.to_polars() for n, t in columns.items()}  # type: ignore[attr-defined]
    return pl.DataFrame(rows, schema=schema, orient="row")


def visible(path: Path) -> list[str]:
    """Data files, their random part replaced."""
    found = sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())
    return [f[: f.rindex("part-")] + "part" + f[f.index("-task") :] if "part-" in f else f for f in found]


@pytest.mark.parametrize("name", ["csv", "json", "parquet", "arrow", "orc", "debezium-json"])
def test_what_is_written_is_read_back(name: str, tmp_path: Path) -> None:
    t = table(AB, connector="filesystem", path=str(tmp_path / "out"), format=name)
    rows = frame((1, "x"), (2, "y\n,"), (3, ""))
    write_all(t, rows, rows)
    assert read_all(source_of(t)).equals(pl.concat([rows, rows]))
    write_all(t, rows)
    assert read_all(source_of(t)).height == 9


def test_files_appear_only_when_the_job_is_done(tmp_path: Path) -> None:
    t = table(AB, connector="filesystem", path=str(tmp_path), format="csv")
    write_all(t, frame((1, "x")))
    sink = sink_of(t)
    sink.begin(True, {})
    writer = sink.writer(0, 1)
    writer.write(frame((2, "y")), None)
    assert read_all(source_of(t)).rows() == [(1, "x")]
    writer.close(True)
    assert read_all(source_of(t)).rows() == [(1, "x")]
    sink.end(True)
    assert read_all(source_of(t)).rows() == [(2, "y")]
    assert visible(tmp_path) == ["part-task-0-file-0"]


def test_a_failed_job_leaves_what_was_there(tmp_path: Path) -> None:
    t = table(AB, connector="filesystem", path=str(tmp_path), format="csv")
    write_all(t, frame((1, "x")))
    sink = sink_of(t)
    sink.begin(True, {})
    writer = sink.writer(0, 1)
    writer.write(frame((2, "y")), None)
    writer.close(False)
    sink.end(False)
    assert read_all(source_of(t)).rows() == [(1, "x")]
    assert visible(tmp_path) == ["part-task-0-file-0"]


def test_a_crash_leaves_nothing_that_is_read(tmp_path: Path) -> None:
    t = table(AB, connector="filesystem", path=str(tmp_path), format="csv")
    write_all(t, frame((1, "x")))
    sink = sink_of(t)
    sink.begin(False, {})
    sink.writer(0, 1).write(frame((2, "y")), None)
    assert read_all(source_of(t)).rows() == [(1, "x")]


PARTITIONED = {"a": D.INT(), "k": D.STRING(), "day": D.DATE()}


def partitioned(tmp_path: Path, **options: str) -> TableSpec:
    return table(
        PARTITIONED, partition=("day", "k"), connector="filesystem", path=str(tmp_path / "t"), format="json", **options
    )


def test_partitions_become_directories(tmp_path: Path) -> None:
    t = partitioned(tmp_path)
    rows = [
        (1, "x y/z=%", date(2024, 1, 2)),
        (2, None, date(2024, 1, 2)),
        (3, "", date(2024, 1, 3)),
        (4, "x y/z=%", date(2024, 1, 2)),
    ]
    write_all(t, frame(*rows, columns=PARTITIONED))
    assert visible(tmp_path / "t") == [
        "day=2024-01-02/k=__DEFAULT_PARTITION__/part-task-0-file-1",
        "day=2024-01-02/k=x y%2Fz%3D%25/part-task-0-file-0",
        "day=2024-01-03/k=__DEFAULT_PARTITION__/part-task-0-file-2",
    ]
    expected = sorted((a, k or None, d) for a, k, d in rows)
    assert sorted(read_all(source_of(t)).rows()) == expected


def test_overwriting_replaces_only_the_partitions_that_are_written(tmp_path: Path) -> None:
    t = partitioned(tmp_path)
    one, two = date(2024, 1, 1), date(2024, 1, 2)
    write_all(t, frame((1, "a", one), (2, "b", one), (3, "a", two), columns=PARTITIONED))
    write_all(t, frame((4, "a", one), columns=PARTITIONED), overwrite=True)
    assert sorted(read_all(source_of(t))["a"]) == [2, 3, 4]
    write_all(t, overwrite=True, static={"day": two, "k": "a"})
    assert sorted(read_all(source_of(t))["a"]) == [2, 4]


def test_overwriting_with_nothing_empties_the_table(tmp_path: Path) -> None:
    t = table(AB, connector="filesystem", path=str(tmp_path), format="csv")
    write_all(t, frame((1, "x")))
    write_all(t, overwrite=True)
    assert read_all(source_of(t)).height == 0


def test_files_roll_by_size(tmp_path: Path) -> None:
    t = table(AB, connector="filesystem", path=str(tmp_path), format="csv", sink__rolling_policy__file_size="10 b")
    write_all(t, frame((1, "xxxxx"), (2, "yyyyy")), frame((3, "z")), frame((4, "zzzzzzzzz")))
    assert visible(tmp_path) == ["part-task-0-file-0", "part-task-0-file-1"]
    assert read_all(source_of(t))["a"].to_list() == [1, 2, 3, 4]


def test_success_files(tmp_path: Path) -> None:
    t = partitioned(
        tmp_path, sink__partition_commit__policy__kind="success-file", sink__partition_commit__success_file__name="_DONE"
    )
    write_all(t, frame((1, "a", date(2024, 1, 1)), columns=PARTITIONED))
    assert visible(tmp_path / "t") == ["day=2024-01-01/k=a/_DONE", "day=2024-01-01/k=a/part-task-0-file-0"]
    assert read_all(source_of(t)).height == 1


def test_commits_at_checkpoints_are_idempotent(tmp_path: Path) -> None:
    t = table(AB, connector="filesystem", path=str(tmp_path), format="csv")
    sink = sink_of(t)
    sink.begin(False, {})
    writer = sink.writer(0, 1)
    assert writer.prepare_commit(1) is None
    writer.write(frame((1, "x")), None)
    first = pickle.loads(pickle.dumps(writer.prepare_commit(2)))
    assert read_all(source_of(t)).height == 0
    writer.write(frame((2, "y")), None)
    second = writer.prepare_commit(3)
    writer.commit(first)
    sink.writer(0, 1).commit(first)
    assert read_all(source_of(t)).rows() == [(1, "x")]
    writer.abort(second)
    writer.close(True)
    sink.end(True)
    assert read_all(source_of(t)).rows() == [(1, "x")]


def test_changes_go_only_to_formats_that_hold_them(tmp_path: Path) -> None:
    assert sink_of(table(AB, connector="filesystem", path=str(tmp_path), format="json")).accepts == {RowKind.INSERT}
    assert sink_of(table(AB, connector="filesystem", path=str(tmp_path), format="ogg-json")).accepts == set(RowKind)


def test_a_directory_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    t = table(AB, connector="filesystem", path=str(tmp_path / "file" / "out"), format="csv")
    with pytest.raises(ExecutionError, match="cannot write to directory") as caught:
        sink_of(t).begin(False, {})
    assert "'path'" in str(caught.value)


@pytest.mark.parametrize(
    "option",
    [
        {"auto_compaction": "true"},
        {"sink__partition_commit__policy__kind": "metastore"},
        {"sink__partition_commit__trigger": "partition-time"},
    ],
)
def test_what_is_not_there_yet_is_refused(option: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError):
        sink_of(table(AB, connector="filesystem", path=str(tmp_path), format="csv", **option))
