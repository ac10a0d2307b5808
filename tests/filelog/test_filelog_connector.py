"""Topics as tables: the contract of connectors.base, without a runtime."""

from __future__ import annotations

import datetime as dt
import pickle
import select
import threading

import polars as pl
import pytest

from tableapi.connectors.base import Guarantee, ScanRequest
from tableapi.connectors.filelog import Consumer, EventLog, FencedError
from tableapi.connectors.registry import find_connector
from tableapi.errors import OptionError, RecordError, TypeMismatchError, UnknownNameError, UnsupportedError, ValidationError
from tableapi.row import RowKind
from tableapi.tablespec import ColumnKind, ObjectIdentifier, TableColumn, TableSpec
from tableapi.types import DataTypes as D

COLUMNS = (TableColumn("id", D.BIGINT()), TableColumn("name", D.STRING()))


def table(path, *, columns=COLUMNS, key=(), **options):
    given = {"connector": "filelog", "path": str(path), "topic": "t", **{k.replace("_", "."): v for k, v in options.items()}}
    return TableSpec(ObjectIdentifier("c", "d", "t"), columns, given, key)


def source(spec, columns=None, is_streaming=True):
    return find_connector("filelog").source(spec, ScanRequest(columns), is_streaming)


def drain(found, max_rows=100):
    found = pickle.loads(pickle.dumps(found))
    frames, kinds = [], []
    for split in found.splits():
        reader = found.reader(split)
        while True:
            result = reader.read(max_rows)
            if result.frame is not None:
                frames.append(result.frame)
                kinds.extend([0] * result.frame.height if result.kinds is None else result.kinds)
            if result.finished:
                break
        reader.close()
    return (pl.concat(frames) if frames else None), kinds


def write(spec, frame, kinds=None):
    sink = find_connector("filelog").sink(spec)
    sink.begin(False, {})
    writer = sink.writer(0, 1)
    writer.write(frame, kinds)
    writer.flush()
    writer.close()


def test_written_rows_come_back(tmp_path):
    spec = table(tmp_path, **{"topic.partitions": "3", "key.fields": "id"})
    frame = pl.DataFrame({"id": range(50), "name": [str(i) for i in range(50)]})
    write(spec, frame)
    assert EventLog(tmp_path).describe("t").partitions == 3
    read, _ = drain(source(spec, is_streaming=False), max_rows=7)
    assert read.sort("id").equals(frame)
    only, _ = drain(source(spec, ("name",), is_streaming=False))
    assert only.columns == ["name"]
    none, _ = drain(source(spec, (), is_streaming=False))
    assert none.width == 0


def test_bounds_and_starts(tmp_path):
    log = EventLog(tmp_path)
    log.create("t", {"id": D.BIGINT(), "name": D.STRING()})
    for i in range(10):
        log.append("t", pl.DataFrame({"id": [i]}), timestamps=pl.Series([1000 * i]))

    def ids(**options):
        found, _ = drain(source(table(tmp_path, **{"scan_bounded_mode": "latest-offset", **options})))
        return [] if found is None else found["id"].to_list()

    assert ids() == list(range(10))
    assert ids(scan_startup_mode="latest-offset") == []
    stamp = {"scan.startup.timestamp-millis": "3000", "scan.bounded.timestamp-millis": "5500", "scan_bounded_mode": "timestamp"}
    assert ids(scan_startup_mode="timestamp", **stamp) == [3, 4, 5]
    offsets = {"scan.startup.specific-offsets": "partition:0,offset:4", "scan.bounded.specific-offsets": "partition:0,offset:6"}
    assert ids(scan_startup_mode="specific-offsets", scan_bounded_mode="specific-offsets", **offsets) == [4, 5]


def test_an_unbounded_reader_wakes_up_and_resumes(tmp_path):
    log = EventLog(tmp_path)
    log.create("t", {"id": D.BIGINT(), "name": D.STRING()})
    found = source(table(tmp_path))
    assert not found.is_bounded
    (split,) = found.splits()
    reader = found.reader(split)
    assert reader.read(10).frame is None
    timer = threading.Timer(0.02, lambda: EventLog(tmp_path).append("t", pl.DataFrame({"id": [1, 2, 3]})))
    timer.start()
    assert select.select([reader.fileno()], [], [], 5)[0]
    timer.join()
    result = reader.read(2)
    assert result.frame["id"].to_list() == [1, 2]
    again = found.reader(split, result.position).read(10)
    assert again.frame["id"].to_list() == [3]


def test_upserts(tmp_path):
    spec = table(tmp_path, key=("id",))
    frame = pl.DataFrame({"id": [1, 2, 1, 2], "name": ["a", "b", "c", "b"]})
    kinds = pl.Series([RowKind.INSERT, RowKind.INSERT, RowKind.UPDATE_AFTER, RowKind.DELETE], dtype=pl.Int8)
    write(spec, frame, kinds)
    assert EventLog(tmp_path).describe("t").config.cleanup == "compact"
    found = source(spec, is_streaming=False)
    read, read_kinds = drain(found)
    assert read.rows() == [(1, "a"), (2, "b"), (1, "c"), (2, None)]
    assert read_kinds == [RowKind.UPDATE_AFTER] * 3 + [RowKind.DELETE]
    assert RowKind.UPDATE_BEFORE not in found.changelog
    assert find_connector("filelog").sink(spec).key == ("id",)


def test_metadata_columns(tmp_path):
    columns = (
        *COLUMNS,
        TableColumn("off", D.BIGINT(), ColumnKind.METADATA, metadata_key="offset", is_virtual=True),
        TableColumn("timestamp", D.TIMESTAMP_LTZ(6), ColumnKind.METADATA),
        TableColumn("partition", D.INT(), ColumnKind.METADATA, is_virtual=True),
    )
    spec = table(tmp_path, columns=columns)
    at = [dt.datetime(2024, 1, 1, tzinfo=dt.UTC), dt.datetime(2024, 1, 2, tzinfo=dt.UTC)]
    write(spec, pl.DataFrame({"id": [1, 2], "name": ["a", "b"], "timestamp": at}))
    read, _ = drain(source(spec, is_streaming=False))
    assert read.rows() == [(1, "a", 0, at[0], 0), (2, "b", 1, at[1], 0)]
    assert read.schema["timestamp"] == pl.Datetime("us", "UTC")


def test_wider_table_columns_are_read(tmp_path):
    log = EventLog(tmp_path)
    log.create("t", {"id": D.INT(), "name": D.STRING(), "more": D.INT()})
    log.append("t", pl.DataFrame({"id": [1], "name": ["x"], "more": [2]}))
    read, _ = drain(source(table(tmp_path), is_streaming=False))
    assert read.schema == {"id": pl.Int64, "name": pl.String}
    assert read.rows() == [(1, "x")]


def test_mistakes_are_named(tmp_path):
    log = EventLog(tmp_path)
    log.create("t", {"id": D.STRING(), "name": D.STRING()}, key="name")
    with pytest.raises(TypeMismatchError, match="'id' is BIGINT in the table, but STRING"):
        source(table(tmp_path))
    columns = (TableColumn("nam", D.STRING()),)
    with pytest.raises(UnknownNameError, match="did you mean 'name'"):
        source(table(tmp_path, columns=columns))
    columns = (TableColumn("name", D.STRING()),)
    with pytest.raises(OptionError, match=r"no option 'scan.startup.mod'"):
        source(table(tmp_path, columns=columns, scan_startup_mod="x"))
    with pytest.raises(OptionError, match=r"needs the option 'scan.startup.timestamp-millis'"):
        source(table(tmp_path, columns=columns, scan_startup_mode="timestamp"))
    with pytest.raises(UnknownNameError, match="no topic 'u'"):
        source(table(tmp_path, columns=columns, topic="u"))
    with pytest.raises(ValidationError, match="PRIMARY KEY"):
        source(table(tmp_path, columns=(TableColumn("id", D.STRING()),), key=("id",)))
    with pytest.raises(UnsupportedError, match="append-only"):
        find_connector("filelog").sink(table(tmp_path, columns=columns)).begin(True, {})


def test_exactly_once_by_transactions(tmp_path):
    options = {"sink.delivery-guarantee": "exactly-once", "sink.transactional-id-prefix": "job", "topic.partitions": "2"}
    spec = table(tmp_path, **options, **{"key.fields": "id"})
    sink = find_connector("filelog").sink(spec)
    assert sink.guarantee is Guarantee.EXACTLY_ONCE
    sink.begin(False, {})
    writer = sink.writer(0, 1)

    def ids():
        return sorted(EventLog(tmp_path).read("t")["id"])

    assert writer.prepare_commit(0) is None
    writer.write(pl.DataFrame({"id": [1, 2], "name": ["a", "b"]}), None)
    first = pickle.loads(pickle.dumps(writer.prepare_commit(1)))
    writer.write(pl.DataFrame({"id": [3], "name": ["c"]}), None)
    assert ids() == []
    again = sink.writer(0, 1)
    again.commit(first)
    again.commit(first)
    assert ids() == [1, 2]
    with pytest.raises(FencedError):
        writer.prepare_commit(2)
    again.write(pl.DataFrame({"id": [4], "name": ["d"]}), None)
    dropped = again.prepare_commit(2)
    again.abort(dropped)
    again.write(pl.DataFrame({"id": [5], "name": ["e"]}), None)
    again.close()
    assert ids() == [1, 2, 5]


def test_exactly_once_needs_a_name(tmp_path):
    with pytest.raises(OptionError, match=r"sink.transactional-id-prefix"):
        find_connector("filelog").sink(table(tmp_path, **{"sink.delivery-guarantee": "exactly-once"}))


def test_group_offsets(tmp_path):
    log = EventLog(tmp_path)
    log.create("t", {"id": D.BIGINT(), "name": D.STRING()})
    log.append("t", pl.DataFrame({"id": [1, 2, 3]}))
    with Consumer(log, "g", ["t"]) as consumer:
        assert consumer.poll(1, max_rows=2).frame["id"].to_list() == [1, 2]
    options = {"properties.group.id": "g", "scan_startup_mode": "group-offsets"}
    read, _ = drain(source(table(tmp_path, **options), is_streaming=False))
    assert read["id"].to_list() == [3]


def test_schema_on_read(tmp_path):
    log = EventLog(tmp_path)
    log.create("t", {"value": D.BYTES()})
    log.append("t", pl.DataFrame({"value": [b'{"id":1,"name":"a"}', b'{"id":2,\n"name":"b"}']}))
    off = TableColumn("off", D.BIGINT(), ColumnKind.METADATA, metadata_key="offset", is_virtual=True)
    spec = table(tmp_path, columns=(*COLUMNS, off), **{"value.format": "json"})
    assert drain(source(spec, is_streaming=False))[0].rows() == [(1, "a", 0), (2, "b", 1)]
    log.append("t", pl.DataFrame({"value": [b"rubbish", b'{"id":3}']}))
    with pytest.raises(RecordError, match="partition 0, offset:2"):
        drain(source(spec, is_streaming=False))
    spec = table(tmp_path, columns=(*COLUMNS, off), **{"value.format": "json", "bad-records.topic": "bad"})
    assert drain(source(spec, is_streaming=False))[0].rows() == [(1, "a", 0), (2, "b", 1), (3, None, 3)]
    assert log.read("bad").select("raw", "position").rows() == [(b"rubbish", 2)]
    assert drain(source(spec, ("name",), is_streaming=False))[0]["name"].to_list() == ["a", "b", None]


def test_records_are_written_as_values(tmp_path):
    spec = table(tmp_path, **{"value.format": "json", "key.fields": "id"})
    write(spec, pl.DataFrame({"id": [1, 2], "name": ["a", "b\nc"]}))
    assert EventLog(tmp_path).describe("t").schema.columns.names == ["id", "value"]
    assert drain(source(spec, is_streaming=False))[0].rows() == [(1, "a"), (2, "b\nc")]


def test_the_key_as_metadata(tmp_path):
    log = EventLog(tmp_path)
    log.create("t", {"id": D.BIGINT(), "name": D.STRING()}, key=("id", "name"))
    log.append("t", pl.DataFrame({"id": [1], "name": ["a"]}))
    kind = D.ROW([D.FIELD("id", D.BIGINT()), D.FIELD("name", D.STRING())])
    columns = (TableColumn("name", D.STRING()), TableColumn("key", kind, ColumnKind.METADATA, is_virtual=True))
    read, _ = drain(source(table(tmp_path, columns=columns), is_streaming=False))
    assert read.to_dicts() == [{"name": "a", "key": {"id": 1, "name": "a"}}]
