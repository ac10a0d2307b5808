"""Lookup joins as programs: SQLite tables, Python classes, followed logs, files and frames; batch and stream."""

import sqlite3
from typing import ClassVar

import polars as pl
import pytest

from tableapi import DataTypes
from tableapi.connectors.filelog import EventLog
from tableapi.connectors.python import lookup_option
from tableapi.errors import OptionError, UnsupportedError, ValidationError
from tableapi.plan.nodes import LookupJoin, walk


class Names:
    """Answers with a name for keys up to 2, and remembers what it was asked."""

    asked: ClassVar[list[list[int]]] = []

    def __init__(self, prefix="n"):
        self.prefix = prefix

    def lookup(self, keys):
        Names.asked.append(sorted(keys["id"]))
        return keys.filter(pl.col("id") <= 2).with_columns(name=pl.format("{}{}", pl.lit(self.prefix), "id"))


class SlowNames(Names):
    """The same, asked without waiting."""

    async def lookup(self, keys):
        return Names.lookup(self, keys)


@pytest.fixture
def orders(env):
    Names.asked.clear()
    rows = env.from_elements([(1, "a"), (2, "b"), (1, "c"), (9, "d"), (None, "e")], ["k", "v"])
    env.create_temporary_view("given", rows)
    env.execute_sql("CREATE TEMPORARY VIEW orders AS SELECT *, PROCTIME() AS pt FROM given")
    return env


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE customers (id INTEGER, name TEXT, credit NUMERIC, since TEXT)")
        rows = [(i, f"c{i}", i * 1.5, f"2024-01-{1 + i % 28:02} 10:00:00") for i in range(100)]
        connection.executemany("INSERT INTO customers VALUES (?, ?, ?, ?)", rows)
    return path


JOIN = "SELECT k, v, name FROM orders AS o LEFT JOIN {} FOR SYSTEM_TIME AS OF o.pt AS d ON o.k = d.id"
ALL = [(None, "e", None), (1, "a", "n1"), (1, "c", "n1"), (2, "b", "n2"), (9, "d", None)]


def python_table(env, answerer, **options):
    given = {"lookup.object": lookup_option(answerer), **options}
    with_ = ", ".join(f"'{k}' = '{v}'" for k, v in given.items())
    env.execute_sql(f"CREATE TABLE names (id BIGINT, name STRING) WITH ('connector' = 'python', {with_})")


def test_python_class_answers(orders, rows):
    orders.execute_sql(
        "CREATE TABLE names (id BIGINT, name STRING) WITH ('connector' = 'python', "
        f"'lookup.class' = '{__name__}:Names', 'lookup.args.prefix' = 'x')"
    )
    found = rows(orders.sql_query(JOIN.format("names")))
    assert found == sorted([(k, v, n and n.replace("n", "x")) for k, v, n in ALL], key=repr)
    assert sorted(key for keys in Names.asked for key in keys) == [1, 2, 9]


def test_asynchronous_class_with_hints(orders, rows):
    python_table(orders, SlowNames)
    hint = (
        "SELECT /*+ LOOKUP('table' = 'd', 'async' = 'true', 'output-mode' = 'allow_unordered', 'capacity' = '2', "
        "'timeout' = '1 min', 'retry-predicate' = 'lookup_miss', 'retry-strategy' = 'fixed_delay', 'fixed-delay' = '1 ms', "
        "'max-attempts' = '3') */"
    )
    query = orders.sql_query(JOIN.format("names").replace("SELECT", hint))
    assert rows(query) == sorted(ALL, key=repr)


def test_only_wanted_columns_and_filtered_rows_are_asked_for(orders, rows, database):
    orders.execute_sql(
        "CREATE TABLE customers (id BIGINT, name STRING, credit DECIMAL(10, 2), since TIMESTAMP(3), twice AS credit * 2, "
        "PRIMARY KEY (id) NOT ENFORCED) WITH ('connector' = 'jdbc', "
        f"'url' = 'jdbc:sqlite:{database}', 'table-name' = 'customers', 'lookup.cache' = 'PARTIAL', "
        "'lookup.partial-cache.max-rows' = '100')"
    )
    query = orders.sql_query(
        "SELECT v, CAST(twice AS STRING) FROM orders AS o JOIN customers FOR SYSTEM_TIME AS OF o.pt AS c ON o.k = c.id "
        "WHERE v <> 'a' AND name <> 'c9'"
    )
    assert rows(query) == [("b", "6.00"), ("c", "3.00")]
    text = query.explain()
    assert "Filter((v <> 'a'))" in text.split("LookupJoin(INNER, k = customers.id)")[-1]


def test_computed_columns_are_no_keys(orders, database):
    orders.execute_sql(
        "CREATE TABLE customers (id BIGINT, name STRING, twice AS id * 2) WITH ('connector' = 'jdbc', "
        f"'url' = 'jdbc:sqlite:{database}', 'table-name' = 'customers')"
    )
    join = "SELECT v FROM orders AS o JOIN customers FOR SYSTEM_TIME AS OF o.pt AS c ON o.k = c.twice"
    with pytest.raises(ValidationError, match="an equality with a column of the table"):
        orders.sql_query(join)
    found = orders.sql_query(join + " AND c.id = o.k").to_polars()
    assert found.height == 0


def test_frames_and_values(orders, rows):
    orders.create_temporary_view("names", orders.from_elements([(1, "n1"), (2, "n2")], ["id", "name"]))
    assert rows(orders.sql_query(JOIN.format("names"))) == sorted(ALL, key=repr)
    orders.execute_sql("CREATE TEMPORARY VIEW written AS SELECT id, name FROM (VALUES (1, 'n1'), (2, 'n2')) AS t(id, name)")
    assert rows(orders.sql_query(JOIN.format("written"))) == sorted(ALL, key=repr)


def test_files(orders, rows, tmp_path):
    (tmp_path / "names.csv").write_text("1,n1\n2,n2\n")
    orders.execute_sql(
        "CREATE TABLE names (id BIGINT, name STRING) WITH ('connector' = 'filesystem', "
        f"'path' = '{tmp_path}/names.csv', 'format' = 'csv')"
    )
    assert rows(orders.sql_query(JOIN.format("names"))) == sorted(ALL, key=repr)


def test_an_upsert_log(orders, rows, tmp_path):
    table = (
        "CREATE TABLE names (id BIGINT, name STRING, PRIMARY KEY (id) NOT ENFORCED) WITH ('connector' = 'filelog', "
        f"'path' = '{tmp_path}', 'topic' = 'names')"
    )
    orders.execute_sql(table)
    orders.execute_sql("INSERT INTO names VALUES (1, 'old'), (2, 'n2'), (9, 'gone')").wait()
    with EventLog(tmp_path) as log:
        log.append("names", pl.DataFrame({"id": [1, 9], "name": ["n1", None]}), kinds=pl.Series([2, 3], dtype=pl.Int8))
    assert rows(orders.sql_query(JOIN.format("names"))) == sorted(ALL, key=repr)


@pytest.mark.parametrize("parallelism", [1, 2])
def test_a_running_job_follows_an_upsert_log(stream, tmp_path, parallelism):
    """What was written to the table before a row came is what the row meets: new, changed and deleted rows alike."""
    stream.get_config().set("parallelism.default", str(parallelism))
    options = f"WITH ('connector' = 'filelog', 'path' = '{tmp_path}', 'topic' = '{{}}')"
    stream.execute_sql(f"CREATE TABLE names (id BIGINT, name STRING, PRIMARY KEY (id) NOT ENFORCED) {options.format('names')}")
    stream.execute_sql(f"CREATE TABLE o (k BIGINT, pt AS PROCTIME()) {options.format('o')}")
    names, keys = {"id": pl.Int64(), "name": pl.String()}, {"k": pl.Int64()}
    with EventLog(tmp_path) as log:
        log.create("names", {"id": DataTypes.BIGINT(), "name": DataTypes.STRING()}, key="id", partitions=2)
        log.create("o", {"k": DataTypes.BIGINT()}, partitions=2)
        log.append("names", pl.DataFrame({"id": [1], "name": ["old"]}, schema=names))
        result = stream.sql_query(
            "SELECT o.k, n.name FROM o LEFT JOIN names FOR SYSTEM_TIME AS OF o.pt AS n ON o.k = n.id"
        ).execute()
        found = result.collect()
        for key, change, expected in [
            (1, None, "old"),
            (2, None, None),
            (2, (2, "new", 0), "new"),
            (1, (1, "newer", 2), "newer"),
            (2, (2, None, 3), None),
        ]:
            if change is not None:
                row, kind = pl.DataFrame([change[:2]], schema=names, orient="row"), pl.Series([change[2]], dtype=pl.Int8)
                log.append("names", row, kinds=kind)
            log.append("o", pl.DataFrame({"k": [key]}, schema=keys))
            assert tuple(next(found)) == (key, expected)
        result.get_job_client().cancel()


def test_the_latest_row_of_a_query(stream, rows):
    """A processing-time join with a query meets the rows that are there when a row comes: none yet, or the aggregate's."""
    stream.create_temporary_view("g", stream.from_elements([(1, 2)], ["k", "n"]))
    stream.execute_sql("CREATE TEMPORARY VIEW totals AS SELECT k AS id, SUM(n) AS total FROM g GROUP BY k")
    stream.execute_sql("CREATE TEMPORARY VIEW o AS SELECT *, PROCTIME() AS pt FROM g")
    query = stream.sql_query("SELECT k, total FROM o LEFT JOIN totals FOR SYSTEM_TIME AS OF o.pt AS t ON o.k = t.id")
    assert rows(query) in ([(1, None)], [(1, 2)])
    with pytest.raises(ValidationError, match="whole key"):
        stream.sql_query("SELECT k, total FROM o JOIN totals FOR SYSTEM_TIME AS OF o.pt AS t ON o.k = t.total")


def test_rows_multiply_so_the_key_is_lost(stream):
    """A lookup by a column that is no key may give several rows for one: the result has no key then."""
    from tableapi.plan.traits import unique_keys

    stream.execute_sql(
        "CREATE TABLE t (k BIGINT, pt AS PROCTIME(), PRIMARY KEY (k) NOT ENFORCED) WITH ('connector' = 'datagen')"
    )
    for key, expected in (("", set()), (", PRIMARY KEY (id) NOT ENFORCED", {frozenset({"k"})})):
        stream.execute_sql(f"CREATE TEMPORARY TABLE d (id BIGINT, n BIGINT{key}) WITH ('connector' = 'datagen')")
        query = stream.sql_query("SELECT k, n FROM t JOIN d FOR SYSTEM_TIME AS OF t.pt AS d ON t.k = d.id")
        node = next(n for n in walk(query._relation.node) if isinstance(n, LookupJoin))
        assert set(unique_keys(node)) == expected
        stream.execute_sql("DROP TEMPORARY TABLE d")


def test_refusals(stream):
    stream.create_temporary_view("given", stream.from_elements([(1, "a")], ["k", "v"]))
    stream.execute_sql("CREATE TEMPORARY VIEW orders AS SELECT *, PROCTIME() AS pt FROM given")
    stream.execute_sql("CREATE TABLE endless (id BIGINT, name STRING) WITH ('connector' = 'datagen')")
    with pytest.raises(UnsupportedError, match="never ends and its rows are only added"):
        stream.sql_query(JOIN.format("endless")).execute()
    python_table(stream, Names, **{"lookup.cache": "PARTIAL"})
    with pytest.raises(OptionError, match="without a limit"):
        stream.sql_query(JOIN.format("names")).execute()
    with pytest.raises(UnsupportedError, match="only answers for keys"):
        stream.sql_query("SELECT * FROM names").execute()
    with pytest.raises(OptionError, match="no method lookup"):
        lookup_option(object())
    stream.execute_sql("CREATE TABLE lost (id BIGINT, name STRING) WITH ('connector' = 'python', 'lookup.class' = 'os:nope')")
    with pytest.raises(OptionError, match="has no 'nope'"):
        stream.sql_query(JOIN.format("lost")).execute()
