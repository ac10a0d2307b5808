"""Files in a remote store (fsspec's memory): the same tables, partitions, patterns and formats as on a disk; compression; damaged files."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from pathlib import Path
from uuid import uuid4

import polars as pl
import pytest

from tableapi import EnvironmentSettings, TableEnvironment
from tableapi.errors import OptionError, RecordError, TableApiError, UnsupportedError

fsspec = pytest.importorskip("fsspec")

FORMATS = ["csv", "json", "parquet", "arrow", "orc", "avro"]


@pytest.fixture
def env():
    env = TableEnvironment.create(EnvironmentSettings.in_batch_mode())
    env.get_config().set("table.dml-sync", "true")
    return env


@pytest.fixture
def stream():
    env = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    env.get_config().set("table.dml-sync", "true").set("parallelism.default", "1")
    return env


@pytest.fixture
def remote():
    root = f"memory://bucket-{uuid4().hex}"
    yield root
    fsspec.filesystem("memory").rm(root, recursive=True)


def create(env, name, path, format_name, extra="", partitioned=False):
    layout = "PARTITIONED BY (k)" if partitioned else ""
    env.execute_sql(
        f"CREATE TABLE {name} (a BIGINT, s STRING, k STRING) {layout} WITH "
        f"('connector'='filesystem', 'path'='{path}', 'format'='{format_name}'{extra})"
    )


def rows(env, query):
    return sorted(env.sql_query(query).execute().to_polars().rows(), key=repr)


ROWS = [(1, "é", "x"), (2, "b,c", "x"), (3, None, "y/z")]
VALUES = "VALUES (CAST(1 AS BIGINT), 'é', 'x'), (2, 'b,c', 'x'), (3, CAST(NULL AS STRING), 'y/z')"


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("mode", ["env", "stream"])
def test_a_remote_table_holds_what_was_written(request, mode, remote, format_name):
    env = request.getfixturevalue(mode)
    if format_name == "avro":
        pytest.importorskip("fastavro")
    extra = ", 'csv.null-literal'='-'" if format_name == "csv" else ""
    create(env, "t", f"{remote}/t", format_name, extra, partitioned=True)
    env.execute_sql(f"INSERT INTO t {VALUES}")
    folders = {p.rsplit("/", 2)[1] for p in fsspec.filesystem("memory").find(f"{remote}/t")}
    assert folders == {"k=x", "k=y%2Fz"}
    assert rows(env, "SELECT * FROM t") == ROWS
    assert rows(env, "SELECT a FROM t WHERE k = 'y/z'") == [(3,)]
    if mode == "env":
        env.execute_sql("INSERT OVERWRITE t PARTITION (k = 'x') SELECT CAST(9 AS BIGINT), 'new'")
        assert rows(env, "SELECT * FROM t") == [(3, None, "y/z"), (9, "new", "x")]
    assert not [p for p in fsspec.filesystem("memory").find(remote, withdirs=True) if "staging" in p]


@pytest.mark.parametrize("place", ["remote", "local"])
def test_patterns_name_files_directories_and_partitions(request, env, place, tmp_path):
    root = request.getfixturevalue("remote") if place == "remote" else str(tmp_path)
    create(env, "t", f"{root}/t", "csv", partitioned=True)
    env.execute_sql("INSERT INTO t VALUES (1, 'p', 'x1'), (2, 'q', 'x2'), (3, 'r', 'y1')")
    create(env, "few", f"{root}/t/k=x*", "csv", partitioned=True)
    assert rows(env, "SELECT a, k FROM few") == [(1, "x1"), (2, "x2")]
    create(env, "files", f"{root}/*/k=?1/part-*", "csv", partitioned=True)
    assert rows(env, "SELECT a, k FROM files") == [(1, "x1"), (3, "y1")]
    create(env, "nothing", f"{root}/t/k=z*", "csv")
    with pytest.raises(OptionError, match="does not exist"):
        rows(env, "SELECT * FROM nothing")


def test_remote_files_say_where_they_are(env, remote):
    with fsspec.open(f"{remote}/d/one.json", "w") as file:
        file.write('{"a": 1}\n')
    env.execute_sql(
        "CREATE TABLE t (a BIGINT, p STRING METADATA FROM 'file.path', n STRING METADATA FROM 'file.name', z BIGINT METADATA "
        f"FROM 'file.size') WITH ('connector'='filesystem', 'path'='{remote}/d', 'format'='json')"
    )
    ((a, path, name, size),) = rows(env, "SELECT a, p, n, z FROM t")
    assert (a, name, size) == (1, "one.json", 9)
    assert path.endswith("/d/one.json")


def test_an_unknown_store_is_named(env):
    create(env, "t", "nowhere://x/t", "csv")
    with pytest.raises(UnsupportedError, match="files at 'nowhere://' cannot be reached"):
        rows(env, "SELECT * FROM t")


COMPRESSED = {".gz": gzip.compress, ".gzip": gzip.compress, ".deflate": zlib.compress}


@pytest.mark.parametrize("suffix", COMPRESSED)
def test_compression_by_suffix(env, tmp_path, suffix):
    lines = "".join(f"{i},{'x' * (i % 50)},k\n" for i in range(200_000))
    (tmp_path / f"a.csv{suffix}").write_bytes(COMPRESSED[suffix](lines.encode()))
    create(env, "t", tmp_path, "csv")
    assert rows(env, "SELECT COUNT(*), SUM(a), SUM(CHAR_LENGTH(s)) FROM t") == [
        (200_000, sum(range(200_000)), sum(i % 50 for i in range(200_000)))
    ]


@pytest.mark.parametrize("data", [zlib.compress(b"1,a,k\n" * 1000)[:-9], b"no zlib at all"], ids=["cut", "other"])
def test_a_damaged_compressed_file_is_named(env, tmp_path, data):
    (tmp_path / "a.csv.deflate").write_bytes(data)
    create(env, "t", tmp_path, "csv")
    with pytest.raises(TableApiError, match=r"cannot read '.*a\.csv\.deflate'"):
        rows(env, "SELECT * FROM t")


def damaged(folder: Path, format_name: str) -> Path:
    """A file of the format whose middle has been overwritten."""
    file = max(folder.rglob("part-*"), key=lambda p: p.stat().st_size)
    data = bytearray(file.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = b"\xff" * 64
    if format_name == "arrow":
        data = data[: len(data) // 2]
    file.write_bytes(bytes(data))
    return file


@pytest.mark.parametrize("format_name", ["parquet", "arrow", "orc", "avro"])
@pytest.mark.parametrize("mode", ["env", "stream"])
def test_a_damaged_columnar_file_fails_or_is_put_aside(request, mode, format_name, tmp_path):
    env = request.getfixturevalue(mode)
    if format_name == "avro":
        pytest.importorskip("fastavro")
    create(env, "t", tmp_path / "t", format_name, ", 'orc.compress'='zlib'" if format_name == "orc" else "")
    source = env.from_arrow(
        pl.DataFrame({"a": range(5000), "s": [str(i * 7919) for i in range(5000)], "k": ["k"] * 5000}).to_arrow()
    )
    source.execute_insert("t").wait()
    file = damaged(tmp_path / "t", format_name)
    with pytest.raises(TableApiError) as caught:
        rows(env, "SELECT * FROM t")
    if (mode, format_name) != ("env", "parquet"):
        # Polars reads Parquet in batch, and does not say which file it could not.
        assert file.name in str(caught.value)
    aside = tmp_path / "aside"
    extra = f", 'bad-records.mode'='quarantine', 'bad-records.path'='{aside}'"
    create(env, "u", tmp_path / "t", format_name, extra)
    assert len(rows(env, "SELECT * FROM u")) < 5000
    entries = [json.loads(line) for p in aside.iterdir() for line in p.read_text().splitlines()]
    assert {e["file"] for e in entries} == {str(file)}
    assert all(e["reason"] for e in entries)


@pytest.mark.parametrize(
    ("format_name", "ddl", "good", "bad"),
    [
        ("csv", "a INT, s STRING", b"1,x\n", b"two,y\n"),
        ("json", "a INT, s STRING", b'{"a": 1, "s": "x"}\n', b'{"a": \n'),
        ("debezium-json", "a INT, s STRING", b'{"op": "c", "after": {"a": 1, "s": "x"}}\n', b'{"op": "?"}\n'),
    ],
)
def test_a_bad_record_fails_or_is_put_aside(env, tmp_path, format_name, ddl, good, bad):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_bytes(good + bad)
    options = f"'connector'='filesystem', 'path'='{tmp_path}/in', 'format'='{format_name}'"
    env.execute_sql(f"CREATE TABLE t ({ddl}) WITH ({options})")
    with pytest.raises(RecordError):
        rows(env, "SELECT * FROM t")
    env.execute_sql(
        f"CREATE TABLE u ({ddl}) WITH ({options}, 'bad-records.mode'='quarantine', 'bad-records.path'='{tmp_path}/aside')"
    )
    assert rows(env, "SELECT * FROM u") == [(1, "x")]
    (entry,) = [json.loads(line) for p in (tmp_path / "aside").iterdir() for line in p.read_text().splitlines()]
    assert base64.b64decode(entry["record"]).strip() == bad.strip()
    assert entry["line"] == 2


REFUSED = {
    "'sink.partition-commit.policy.kind'='metastore'": "metastore.*no Hive metastore",
    "'sink.partition-commit.policy.kind'='success-file,custom'": "custom.*Java",
    "'sink.partition-commit.policy.kind'='succes-file'": "exist: policies: success-file|policies: success-file",
    "'sink.partition-commit.trigger'='partition-time'": "before the job ends",
    "'partition.time-extractor.class'='com.x.Y'": "Java",
    "'auto-compaction'='true'": "auto-compaction",
    "'sink.rolling-policy.file-sise'='1mb'": "sink.rolling-policy.file-size",
}


@pytest.mark.parametrize("option", REFUSED)
def test_sink_options_that_are_not_there_are_refused_by_name(env, tmp_path, option):
    create(env, "t", tmp_path, "csv", ", " + option)
    with pytest.raises(TableApiError, match=REFUSED[option]):
        env.execute_sql("INSERT INTO t VALUES (1, 'a', 'b')")


@pytest.mark.parametrize("format_name", ["avro-confluent", "debezium-avro-confluent", "protobuf"])
def test_formats_of_flink_that_are_not_here_are_refused_by_name(env, tmp_path, format_name):
    create(env, "t", tmp_path, format_name)
    with pytest.raises(UnsupportedError, match=f"format '{format_name}' is not supported"):
        rows(env, "SELECT * FROM t")
