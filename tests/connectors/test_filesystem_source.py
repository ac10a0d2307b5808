"""Files become rows: directories, partitions, pieces of large files, resuming, watching, bad records."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import polars as pl
import pytest
from connector_driving import make_table as table
from connector_driving import read_all, read_split, source_of

from tableapi.connectors import filesystem_files, filesystem_source
from tableapi.connectors.base import Source
from tableapi.errors import OptionError, RecordError, TableApiError, UnknownNameError, UnsupportedError
from tableapi.types import DataTypes as D

AB = {"a": D.INT(), "b": D.STRING()}


def rows_of(source: Source) -> list[tuple[object, ...]]:
    """The rows, read in both ways."""
    frame = read_all(source)
    lazy = source.lazy_frame()
    if lazy is not None and frame.width:
        assert lazy.collect().equals(frame)
    return frame.rows()


def test_a_directory_without_hidden_files(tmp_path: Path) -> None:
    for name, text in {
        "b.json": '{"a":2}\n{"a":3}\n',
        "a.json": '{"a":1}',
        "_hidden": '{"a":9}',
        ".dot": "x",
        "sub/c.json": '{"a":4}',
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    t = table({"a": D.INT()}, connector="filesystem", path=str(tmp_path), format="json")
    assert rows_of(source_of(t)) == [(1,), (2,), (3,), (4,)]
    assert rows_of(source_of(table({"a": D.INT()}, connector="filesystem", path=str(tmp_path / "*.json"), format="json"))) == [
        (1,),
        (2,),
        (3,),
    ]
    assert rows_of(
        source_of(table({"a": D.INT()}, connector="filesystem", path=f"file://{tmp_path}/a.json", format="json"))
    ) == [(1,)]


def test_path_pattern_option(tmp_path: Path) -> None:
    (tmp_path / "x1.csv").write_text("1,a\n")
    (tmp_path / "y1.csv").write_text("2,b\n")
    t = table(AB, connector="filesystem", path=str(tmp_path), format="csv", source__path__regex_pattern=".*/y.*")
    assert rows_of(source_of(t)) == [(2, "b")]


@pytest.mark.parametrize("max_rows", [1, 7, 1000])
def test_reading_can_resume_anywhere(tmp_path: Path, max_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesystem_source, "BLOCK_BYTES", 50)
    (tmp_path / "x.csv").write_text("".join(f'{i},"v\n{i}"\n' for i in range(40)))
    source = source_of(table(AB, connector="filesystem", path=str(tmp_path), format="csv"))
    (split,) = source.splits()
    results = read_split(source, split, max_rows)
    expected = [(i, f"v\n{i}") for i in range(40)]
    assert [row for r in results if r.frame is not None for row in r.frame.rows()] == expected
    seen = 0
    for result in results:
        seen += 0 if result.frame is None else result.frame.height
        rest = read_split(source, split, 11, result.position)
        assert [row for r in rest if r.frame is not None for row in r.frame.rows()] == expected[seen:]


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz", "zst"])
def test_compressed_files(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesystem_source, "BLOCK_BYTES", 100)
    data = "".join(f"{i},x\n" for i in range(100)).encode()
    if suffix == "zst":
        import pyarrow as pa

        with pa.CompressedOutputStream(str(tmp_path / "x.csv.zst"), "zstd") as out:
            out.write(data)
    else:
        module = {"gz": "gzip", "bz2": "bz2", "xz": "lzma"}[suffix]
        (tmp_path / f"x.csv.{suffix}").write_bytes(__import__(module).compress(data))
    source = source_of(table(AB, connector="filesystem", path=str(tmp_path), format="csv"))
    assert rows_of(source) == [(i, "x") for i in range(100)]
    (split,) = source.splits()
    third = read_split(source, split, 10)[3]
    assert read_split(source, split, 1, third.position)[0].frame.rows() == [(third.frame.rows()[-1][0] + 1, "x")]


def test_a_damaged_compressed_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.json.gz").write_bytes(gzip.compress(b'{"a":1}\n' * 1000)[:-20])
    with pytest.raises(TableApiError, match="cannot read"):
        read_all(source_of(table({"a": D.INT()}, connector="filesystem", path=str(tmp_path), format="json")))


@pytest.mark.parametrize("text", ["plain", "quoted\n"])
def test_a_large_file_is_cut_at_record_ends(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesystem_files, "SPLIT_BYTES", 500)
    monkeypatch.setattr(filesystem_files, "_LOOK_BYTES", 16)
    (tmp_path / "x.csv").write_text("".join(f'{i},"{text}{i}"\n' for i in range(300)))
    source = source_of(table(AB, connector="filesystem", path=str(tmp_path), format="csv"))
    splits = source.splits()
    assert len(splits) == 8
    parts = [[row for r in read_split(source, s) if r.frame is not None for row in r.frame.rows()] for s in splits]
    assert all(parts)
    assert [row for part in parts for row in part] == [(i, f"{text}{i}") for i in range(300)]


def test_partitions_are_columns(tmp_path: Path) -> None:
    for folder, line in {"day=2024-01-02/k=a%2Fb": "1", "day=2024-01-02/k=__DEFAULT_PARTITION__": "2"}.items():
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "f").write_text(line + "\n")
    columns = {"k": D.STRING(), "a": D.INT(), "day": D.DATE()}
    t = table(columns, partition=("day", "k"), connector="filesystem", path=str(tmp_path), format="csv")
    found = source_of(t, columns=("k", "day", "a"))
    assert [(k, str(day), a) for k, day, a in rows_of(found)] == [(None, "2024-01-02", 2), ("a/b", "2024-01-02", 1)]
    assert rows_of(source_of(t, columns=("k",))) == [(None,), ("a/b",)]
    wrong = table({"a": D.INT(), "day": D.INT()}, partition=("day",), connector="filesystem", path=str(tmp_path), format="csv")
    with pytest.raises(RecordError, match="does not fit partition column 'day'"):
        read_all(source_of(wrong))
    missing = table({"a": D.INT(), "zz": D.INT()}, partition=("zz",), connector="filesystem", path=str(tmp_path), format="csv")
    with pytest.raises(RecordError, match="no directory of partition column 'zz'"):
        read_all(source_of(missing))


def test_file_metadata(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"a":1}\n')
    columns = {"a": D.INT(), "name": D.STRING(), "size": D.INT(), "at": D.TIMESTAMP_LTZ(3)}
    t = table(
        columns,
        metadata={"name": "file.name", "size": "file.size", "at": "file.modification-time"},
        connector="filesystem",
        path=str(tmp_path),
        format="json",
    )
    (row,) = rows_of(source_of(t))
    assert row[:3] == (1, "x.json", 8)
    with pytest.raises(UnknownNameError, match=r"no metadata 'file\.nam'"):
        source_of(table(columns, metadata={"name": "file.nam"}, connector="filesystem", path=str(tmp_path), format="json"))


@pytest.mark.parametrize("name", ["parquet", "arrow", "orc"])
def test_columnar_files_resume_by_piece(tmp_path: Path, name: str) -> None:
    from tableapi.connectors.registry import find_format

    t = table(AB, connector="filesystem", path=str(tmp_path), format=name)
    form = find_format(name)
    frame = pl.DataFrame({"a": range(10), "b": ["x"] * 10}, schema=t.physical.to_polars())
    with open(tmp_path / "f", "wb") as out:
        writer = form.writer(out, t.physical, form.read_options({}))
        writer.write(frame)
        writer.write(frame)
        writer.close()
    source = source_of(t, columns=("b", "a"))
    assert rows_of(source) == [("x", i) for i in (*range(10), *range(10))]
    (split,) = source.splits()
    results = read_split(source, split, 3)
    rest = read_split(source, split, 100, results[2].position)
    assert sum(r.frame.height for r in rest if r.frame is not None) == 20 - sum(r.frame.height for r in results[:3])
    assert rows_of(source_of(t, limit=4)) == [(i, "x") for i in range(4)]


def test_a_limit_ends_the_reading(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("".join(f"{i},x\n" for i in range(50)))
    t = table(AB, connector="filesystem", path=str(tmp_path), format="csv")
    assert rows_of(source_of(t, limit=3)) == [(0, "x"), (1, "x"), (2, "x")]


def test_lazy_scans_take_only_what_a_query_needs(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("1,x\n2,y\n3,z\n")
    lazy = source_of(table(AB, connector="filesystem", path=str(tmp_path), format="csv"), is_streaming=False).lazy_frame()
    assert lazy is not None
    assert lazy.filter(pl.col("a") > 1).select("b").head(1).collect().rows() == [("y",)]
    assert lazy.select(pl.len()).collect().item() == 3


def test_a_bad_record_stops_the_job_with_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesystem_source, "BLOCK_BYTES", 100)
    (tmp_path / "x.json").write_text('{"a":1}\n' * 100 + '{"a":"x"}\n')
    source = source_of(table({"a": D.INT()}, connector="filesystem", path=str(tmp_path), format="json"))
    for read in (lambda: read_all(source), lambda: source.lazy_frame().collect()):
        with pytest.raises(RecordError) as caught:
            read()
        assert "field 'a': 'x' is not an INT" in str(caught.value)
        assert f"{tmp_path}/x.json:101" in str(caught.value)


def test_bad_records_are_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesystem_source, "BLOCK_BYTES", 100)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.csv").write_text("1,x\n" * 50 + "oops,y\n" + "2,z\n" * 50 + "3\n")
    t = table(
        AB,
        connector="filesystem",
        path=str(tmp_path / "in"),
        format="csv",
        bad_records__mode="quarantine",
        bad_records__path=str(tmp_path / "bad"),
    )
    assert len(rows_of(source_of(t))) == 100
    (file,) = (tmp_path / "bad").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    records = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(r["line"], r["offset"], r["reason"]) for r in records[:2]] == [
        (51, 200, "field 'a': 'oops' is not an INT"),
        (102, 407, "the line has 1 fields, the table has 2"),
    ]
    quarantine = {"file": D.STRING(), "line": D.BIGINT(), "record": D.BYTES()}
    bad = read_all(source_of(table(quarantine, connector="filesystem", path=str(tmp_path / "bad"), format="json")))
    assert bad["record"][:2].to_list() == [b"oops,y", b"3"]


def test_quarantine_needs_a_place() -> None:
    with pytest.raises(OptionError, match=r"needs 'bad-records\.path'"):
        source_of(table(AB, connector="filesystem", path="/x", format="csv", bad_records__mode="quarantine"))


def test_new_files_are_found_and_resumed(tmp_path: Path) -> None:
    t = table({"a": D.INT()}, connector="filesystem", path=str(tmp_path / "in"), format="json", source__monitor_interval="1 ms")
    source = source_of(t)
    assert not source.is_bounded
    (split,) = source.splits()
    reader = source.reader(split)
    assert reader.read(10).frame is None
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_text('{"a":1}\n{"a":2}\n{"a":3}\n')

    def next_rows(reader: object, most: int) -> tuple[list[tuple[object, ...]], object]:
        for _ in range(10_000):
            result = reader.read(most)
            if result.frame is not None:
                return result.frame.rows(), result.position
        raise AssertionError("nothing came")

    rows, position = next_rows(reader, 2)
    assert rows == [(1,), (2,)]
    again = source.reader(split, position)
    os.utime(tmp_path / "in" / "a", (1, 1))
    (tmp_path / "in" / "b").write_text('{"a":4}\n')
    assert next_rows(again, 10)[0] == [(3,)]
    assert next_rows(again, 10)[0] == [(4,)]
    assert again.read(10).frame is None


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"format": "json"}, OptionError, "needs the option 'path'"),
        ({"path": "/x"}, OptionError, "needs the option 'format'"),
        ({"path": "/x", "format": "jsno"}, UnknownNameError, "did you mean 'json'?"),
        ({"path": "/x", "format": "json", "bogus": "1"}, OptionError, "no option 'bogus'"),
        ({"path": "/x", "format": "json", "json__bogus": "1"}, OptionError, "format 'json' has no option 'json.bogus'"),
        (
            {"path": "/x", "format": "csv", "csv__ignore_parse_error": "1"},
            OptionError,
            "did you mean 'csv.ignore-parse-errors'?",
        ),
    ],
)
def test_wrong_options_are_named(options: dict[str, str], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as caught:
        source_of(table(AB, connector="filesystem", **options))
    assert message in str(caught.value)


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="does not exist"):
        source_of(table(AB, connector="filesystem", path=str(tmp_path / "nope"), format="csv")).splits()
    with pytest.raises(UnsupportedError, match="'zz://' cannot be reached"):
        source_of(table(AB, connector="filesystem", path="zz://x/y", format="csv")).splits()
    (tmp_path / "f.parquet").write_text("this is no parquet")
    with pytest.raises(RecordError, match="is not a parquet file"):
        read_all(source_of(table(AB, connector="filesystem", path=str(tmp_path), format="parquet")))
