"""What the properties share: random event streams, the shapes of queries, and running a query both ways."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
from hypothesis import strategies as st

from tableapi import DataTypes, EnvironmentSettings, TableEnvironment
from tableapi.connectors.filelog import EventLog
from tableapi.row import RowKind
from tableapi.udf import udtf

START = datetime(2024, 1, 1)

letters = udtf(lambda word: list(word or ""), result_types=["STRING"])
"""A table function: a row for each letter."""

FACTS = {"k": DataTypes.STRING(), "g": DataTypes.INT(), "v": DataTypes.INT(), "ts": DataTypes.TIMESTAMP(3)}
CHANGES = {"k": DataTypes.STRING(), "w": DataTypes.INT(), "x": DataTypes.STRING()}
VERSIONS = {"k": DataTypes.STRING(), "w": DataTypes.INT(), "at": DataTypes.TIMESTAMP(3)}

_fact = st.tuples(
    st.sampled_from(["a", "b", "c", "d", None]),
    st.one_of(st.none(), st.integers(0, 3)),
    st.one_of(st.none(), st.integers(-5, 5)),
    st.integers(0, 60),
)
facts = st.one_of(st.lists(_fact, max_size=40), st.lists(_fact, min_size=12, max_size=40))
versions = st.lists(st.tuples(st.sampled_from(["a", "b", "c", "d"]), st.integers(0, 9), st.integers(0, 60)), max_size=15)
changes = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        st.one_of(st.none(), st.integers(0, 4)),
        st.sampled_from(["a", "z", None]),
        st.booleans(),
    ),
    max_size=15,
)
"""Rows with a key, written one after the other; the last value says that the row is deleted."""

SHAPES = {
    "filter and project": "SELECT k, v * 2 AS d FROM f WHERE v > 0 OR g = 1",
    "group": "SELECT k, COUNT(*) AS c, SUM(v) AS s, MIN(v) AS lo, MAX(v) AS hi, AVG(v) AS a FROM f GROUP BY k",
    "group by two keys": "SELECT k, g, COUNT(v) AS c FROM f GROUP BY k, g",
    "global": "SELECT COUNT(*) AS c, SUM(v) AS s, COUNT(DISTINCT k) AS d FROM f HAVING COUNT(*) > 0",
    "filtered aggregates": "SELECT g, COUNT(*) FILTER (WHERE v > 0) AS p, SUM(DISTINCT v) AS s FROM f GROUP BY g",
    "having": "SELECT k, SUM(v) AS s FROM f GROUP BY k HAVING SUM(v) > 1",
    "retracting aggregate": "SELECT s, COUNT(*) AS c, MAX(k) AS m FROM (SELECT k, SUM(v) AS s FROM f GROUP BY k) GROUP BY s",
    "distinct": "SELECT DISTINCT k, g FROM f",
    "grouping sets": "SELECT k, g, COUNT(*) AS c FROM f GROUP BY GROUPING SETS ((k, g), (k), ())",
    "tumble": "SELECT k, window_start, COUNT(*) AS c, SUM(v) AS s FROM TABLE(TUMBLE(TABLE f, DESCRIPTOR(ts), INTERVAL '10' SECOND)) "
    "GROUP BY k, window_start, window_end",
    "hop": "SELECT window_end, MAX(v) AS m FROM TABLE(HOP(TABLE f, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '15' SECOND)) "
    "GROUP BY window_start, window_end",
    "cumulate": "SELECT g, window_end, SUM(v) AS s FROM TABLE(CUMULATE(TABLE f, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '20' SECOND)) "
    "GROUP BY g, window_start, window_end",
    "window of windows": "SELECT window_end, MAX(c) AS m FROM (SELECT k, window_start, window_end, COUNT(*) AS c "
    "FROM TABLE(TUMBLE(TABLE f, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY k, window_start, window_end) "
    "GROUP BY window_start, window_end",
    "top n": "SELECT k, v, g, rn FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v DESC, g, ts) AS rn FROM u) WHERE rn <= 2",
    "top n without number": "SELECT k, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v DESC, g, ts) AS rn FROM u) WHERE rn <= 2",
    "top n of groups": "SELECT k, s FROM (SELECT *, ROW_NUMBER() OVER (ORDER BY s DESC, k) AS rn FROM "
    "(SELECT k, SUM(v) AS s FROM f GROUP BY k)) WHERE rn <= 2",
    "order and limit": "SELECT v, g, k FROM u ORDER BY v DESC, g, k, ts LIMIT 3",
    "inner join": "SELECT f.k, f.v, p.w FROM f JOIN p ON f.k = p.k",
    "left join": "SELECT f.k, f.v, p.w FROM f LEFT JOIN p ON f.k = p.k AND f.v < p.w",
    "right join": "SELECT f.v, p.k, p.w FROM f RIGHT JOIN p ON f.k = p.k",
    "full join": "SELECT a.k AS ak, a.s, b.k AS bk, b.c FROM (SELECT k, SUM(v) AS s FROM f GROUP BY k) AS a "
    "FULL JOIN (SELECT k, COUNT(*) AS c FROM p GROUP BY k) AS b ON a.k = b.k",
    "semi join": "SELECT k, v FROM f WHERE k IN (SELECT k FROM p WHERE w > 3)",
    "anti join": "SELECT k, v FROM f WHERE NOT EXISTS (SELECT 1 FROM p WHERE p.k = f.k)",
    "scalar sub-query": "SELECT k, v FROM f WHERE v > (SELECT AVG(w) FROM p WHERE p.k = f.k)",
    "temporal join": "SELECT f.k, f.v, f.ts, p.w FROM f LEFT JOIN p FOR SYSTEM_TIME AS OF f.ts ON f.k = p.k",
    "interval join": "SELECT a.k, a.v, b.v AS bv FROM f AS a JOIN f AS b ON a.k = b.k AND b.ts BETWEEN a.ts AND a.ts + INTERVAL '5' SECOND",
    "union all": "SELECT k, v FROM f WHERE v > 0 UNION ALL SELECT k, w FROM p",
    "union": "SELECT k FROM f UNION SELECT k FROM p",
    "intersect": "SELECT k FROM f INTERSECT SELECT k FROM p",
    "except": "SELECT k FROM f EXCEPT SELECT k FROM p",
    "intersect all": "SELECT k FROM f INTERSECT ALL SELECT k FROM p",
    "except all": "SELECT k FROM f EXCEPT ALL SELECT k FROM p",
    "upsert table": "SELECT k, w FROM p WHERE w > 2",
    "aggregate of an upsert table": "SELECT COUNT(*) AS c, SUM(w) AS s, MIN(w) AS lo FROM p HAVING COUNT(*) > 0",
}


def write_streams(path: Path, fact_rows: list[tuple], version_rows: list[tuple]) -> None:
    """Facts (with duplicates), and versions of rows with a key, as event streams of two partitions; versions in order of time."""
    times = [START + timedelta(seconds=r[3]) for r in fact_rows]
    frame = pl.DataFrame(
        {"k": [r[0] for r in fact_rows], "g": [r[1] for r in fact_rows], "v": [r[2] for r in fact_rows], "ts": times},
        schema={n: t.to_polars() for n, t in FACTS.items()},
    )
    by_time = sorted({(r[0], r[2]): r for r in version_rows}.values(), key=lambda r: r[2])
    changes = pl.DataFrame(
        {"k": [r[0] for r in by_time], "w": [r[1] for r in by_time], "at": [START + timedelta(seconds=r[2]) for r in by_time]},
        schema={n: t.to_polars() for n, t in VERSIONS.items()},
    )
    with EventLog(path) as log:
        log.create("f", FACTS, key="k", event_time="ts", partitions=2)
        log.create("p", VERSIONS, key="k", event_time="at", partitions=2)
        for topic, rows in (("f", frame), ("p", changes)):
            if rows.height:
                log.append(topic, rows)


def write_in_order(path: Path, fact_rows: list[tuple]) -> None:
    """The facts' values, under fewer keys and at times that no two share, in order, as an event stream `m` of two partitions."""
    rows = sorted(fact_rows, key=lambda r: r[3])
    times = [START + timedelta(seconds=r[3], milliseconds=i) for i, r in enumerate(rows)]
    schema = {n: FACTS[n].to_polars() for n in ("k", "v", "ts")}
    keys = [{"c": "a", "d": "b"}.get(r[0], r[0]) for r in rows]
    frame = pl.DataFrame({"k": keys, "v": [r[2] for r in rows], "ts": times}, schema=schema)
    with EventLog(path) as log:
        log.create("m", {n: FACTS[n] for n in schema}, key="k", event_time="ts", partitions=2)
        if frame.height:
            log.append("m", frame)


def write_changes(path: Path, change_rows: list[tuple]) -> None:
    """Inserts, updates and deletes of rows with a key, as an event stream of two partitions."""
    columns = list(zip(*change_rows, strict=True)) or [()] * 4
    schema = {n: t.to_polars() for n, t in CHANGES.items()}
    frame = pl.DataFrame({name: list(values) for name, values in zip(schema, columns[:3], strict=True)}, schema=schema)
    kinds = pl.Series([int(RowKind.DELETE if is_deleted else RowKind.UPDATE_AFTER) for is_deleted in columns[3]], dtype=pl.Int8)
    with EventLog(path) as log:
        log.create("d", CHANGES, key="k", partitions=2)
        if frame.height:
            log.append("d", frame, kinds=kinds)


def disorder_s(fact_rows: list[tuple]) -> int:
    """How many seconds a fact lies at most behind one that was written before it."""
    newest = worst = 0
    for row in fact_rows:
        newest = max(newest, row[3])
        worst = max(worst, newest - row[3])
    return worst


def environment(
    path: Path, *, is_streaming: bool, parallelism: int = 1, max_batch_rows: int = 65_536, delay_s: int = 61
) -> TableEnvironment:
    """A session over the streams: `f` facts, `u` different facts, `m` facts in order, `p` the table that the versions describe (`c`: with a
    watermark behind all of them), `d` one with deletes, `s` one that never changes; and the table function `letters`. The watermark of the facts stays `delay_s` behind."""
    settings = EnvironmentSettings.in_streaming_mode() if is_streaming else EnvironmentSettings.in_batch_mode()
    env = TableEnvironment.create(settings)
    env.get_config().set("parallelism.default", str(parallelism))
    env.get_config().set("pipeline.max-batch-rows", str(max_batch_rows))
    common = f"'connector' = 'filelog', 'path' = '{path}', 'scan.bounded.mode' = 'latest-offset'"
    env.execute_sql(
        f"CREATE TABLE f (k STRING, g INT, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '{delay_s + 1}' SECOND) "
        f"WITH ({common}, 'topic' = 'f')"
    )
    env.execute_sql(
        "CREATE TABLE p (k STRING, w INT, `at` TIMESTAMP(3), WATERMARK FOR `at` AS `at`, PRIMARY KEY (k) NOT ENFORCED) "
        f"WITH ({common}, 'topic' = 'p')"
    )
    fixed = path.with_name("s.csv")
    fixed.write_text("a,1\nb,2\nb,4\n")
    env.execute_sql(f"CREATE TABLE s (k STRING, w INT) WITH ('connector' = 'filesystem', 'path' = '{fixed}', 'format' = 'csv')")
    with EventLog(path) as log:
        topics = log.topics()
    if "m" in topics:
        env.execute_sql(
            f"CREATE TABLE m (k STRING, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ({common}, 'topic' = 'm')"
        )
    if "d" in topics:
        env.execute_sql(
            f"CREATE TABLE d (k STRING, w INT, x STRING, PRIMARY KEY (k) NOT ENFORCED) WITH ({common}, 'topic' = 'd')"
        )
    env.execute_sql(
        "CREATE TABLE c (k STRING, w INT, `at` TIMESTAMP(3), WATERMARK FOR `at` AS `at` - INTERVAL '62' SECOND, "
        f"PRIMARY KEY (k) NOT ENFORCED) WITH ({common}, 'topic' = 'p')"
    )
    env.create_temporary_function("letters", letters)
    env.execute_sql("CREATE VIEW u AS SELECT DISTINCT k, g, v, ts FROM f")
    return env


def fold(rows) -> Counter:
    """The rows that are there after all changes; none is taken away that was not there."""
    counts: Counter = Counter()
    for row in rows:
        key = tuple(row)
        counts[key] += 1 if row.get_row_kind().adds else -1
    assert all(count >= 0 for count in counts.values()), f"a row was taken away that is not there: {counts}"
    return +counts


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "table.exec.sink.upsert-materialize": st.just("FORCE"),
        "table.optimizer.agg-phase-strategy": st.sampled_from(["ONE_PHASE", "TWO_PHASE"]),
        "table.optimizer.multi-join.enabled": st.sampled_from(["true", "false"]),
    },
)
"""Settings that change how a stream is run, and not what it gives."""


@contextmanager
def both_ways(
    fact_rows: list[tuple] = (),
    version_rows: list[tuple] = (),
    change_rows: list[tuple] = (),
    max_batch_rows: int = 1,
    parallelism: int = 1,
    is_tight: bool = False,
    options: Mapping[str, str] = {},
) -> Iterator[tuple[TableEnvironment, TableEnvironment, Path]]:
    """A batch and a streaming session over the same events, and where these are.

    `is_tight`: the watermark follows as closely as it can without a row being late.
    """
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "log")
        write_streams(path, fact_rows, version_rows)
        write_changes(path, change_rows)
        write_in_order(path, fact_rows)
        batch = environment(path, is_streaming=False)
        delay_s = disorder_s(fact_rows) if is_tight else 61
        stream = environment(path, is_streaming=True, parallelism=parallelism, max_batch_rows=max_batch_rows, delay_s=delay_s)
        for name, value in options.items():
            stream.get_config().set(name, value)
        stream.get_config().set("pipeline.check-edges", "true")
        yield batch, stream, path


def stream_equals_batch(sql: str, *streams, **case) -> None:
    """Runs a query both ways over the same events, and compares what is there in the end."""
    with both_ways(*streams, **case) as (batch, stream, _):
        expected = fold(batch.sql_query(sql).execute().collect())
        assert fold(stream.sql_query(sql).execute().collect()) == expected


def keyed_sink_equals_batch(sql: str, *streams, **case) -> None:
    """Writes a query's changes (`c0 STRING` is its key, `c1` and `c2` numbers) to a table with that key, and compares what the table then holds."""
    with both_ways(*streams, **case) as (batch, stream, path):
        for env in (batch, stream):
            env.execute_sql(
                "CREATE TABLE sink (c0 STRING, c1 BIGINT, c2 BIGINT, PRIMARY KEY (c0) NOT ENFORCED) WITH ('connector' = 'filelog', "
                f"'path' = '{path}', 'topic' = 'sink', 'scan.bounded.mode' = 'latest-offset')"
            )
        stream.execute_sql(f"INSERT INTO sink {sql}").wait()
        expected = fold(batch.sql_query(sql).execute().collect())
        assert fold(batch.sql_query("SELECT * FROM sink").execute().collect()) == expected
