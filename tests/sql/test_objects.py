"""Statements about models, modules, partitions, distribution and statistics, carried out by a session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tableapi import EnvironmentSettings, TableEnvironment
from tableapi.catalog_objects import CatalogPartitionSpec
from tableapi.errors import (
    AlreadyExistsError,
    OptionError,
    SqlParseError,
    TableApiError,
    UnknownNameError,
    UnsupportedError,
    ValidationError,
)
from tableapi.tablespec import ObjectPath


@pytest.fixture
def env() -> TableEnvironment:
    return TableEnvironment.create(EnvironmentSettings.in_batch_mode())


def rows(env: TableEnvironment, text: str) -> list[tuple[Any, ...]]:
    with env.execute_sql(text).collect() as found:
        return [tuple(row) for row in found]


def text_of(env: TableEnvironment, statement: str) -> str:
    return str(rows(env, statement)[0][0])


def refused(env: TableEnvironment, statements: dict[str, tuple[type[TableApiError], str]]) -> None:
    for text, (kind, message) in statements.items():
        with pytest.raises(kind, match=message):
            env.execute_sql(text)


def test_models(env: TableEnvironment) -> None:
    env.execute_sql(
        "CREATE MODEL m INPUT (a STRING COMMENT 'c') OUTPUT (b INT NOT NULL) COMMENT 'mc' WITH ('provider' = 'p', 'task' = 'x')"
    )
    env.execute_sql("CREATE MODEL IF NOT EXISTS m WITH ('provider' = 'q')")
    env.execute_sql("CREATE TEMPORARY MODEL t WITH ('provider' = 'q')")
    assert rows(env, "DESCRIBE MODEL m") == [("a", "STRING", True, True, "c"), ("b", "INT", False, False, None)]
    env.execute_sql("ALTER MODEL m SET ('task' = 'y', 'n' = '1')")
    env.execute_sql("ALTER MODEL m RESET ('n')")
    assert text_of(env, "SHOW CREATE MODEL m") == (
        "CREATE MODEL `default_catalog`.`default_database`.`m`\n"
        "INPUT (`a` VARCHAR(2147483647) COMMENT 'c')\nOUTPUT (`b` INT NOT NULL)\nCOMMENT 'mc'\n"
        "WITH (\n  'provider' = 'p',\n  'task' = 'y'\n)\n"
    )
    assert text_of(env, "SHOW CREATE MODEL t").startswith("CREATE TEMPORARY MODEL")
    env.execute_sql("ALTER MODEL m RENAME TO n")
    env.execute_sql("ALTER MODEL IF EXISTS nope RENAME TO x")
    assert rows(env, "SHOW MODELS") == [("n",), ("t",)]
    assert rows(env, "SHOW MODELS FROM default_database NOT LIKE 't%'") == [("n",)]
    refused(
        env,
        {
            "CREATE MODEL n WITH ('provider' = 'p')": (AlreadyExistsError, "exists already"),
            "CREATE MODEL x INPUT (a INT) WITH ('provider' = 'p')": (SqlParseError, "both INPUT and OUTPUT"),
            "CREATE MODEL x INPUT (a AS 1) OUTPUT (b INT) WITH ('provider' = 'p')": (SqlParseError, "plain columns"),
            "CREATE MODEL x": (SqlParseError, "needs options"),
            "ALTER MODEL nope SET ('a' = 'b')": (UnknownNameError, "nope"),
            "ALTER MODEL n SET ()": (SqlParseError, "at least one"),
            "DROP MODEL nope": (UnknownNameError, "nope"),
            "SHOW MODELS FROM nope": (UnknownNameError, "database 'nope'"),
        },
    )
    env.execute_sql("DROP MODEL n")
    env.execute_sql("DROP MODEL IF EXISTS n")
    env.execute_sql("DROP TEMPORARY MODEL t")
    assert rows(env, "SHOW MODELS") == []


def test_modules(env: TableEnvironment) -> None:
    assert ("upper",) in rows(env, "SHOW FUNCTIONS")
    env.execute_sql("UNLOAD MODULE core")
    assert rows(env, "SHOW FULL MODULES") == rows(env, "SHOW FUNCTIONS") == []
    assert rows(env, "SELECT UPPER('a')") == [("A",)]
    env.execute_sql("LOAD MODULE core")
    env.execute_sql("USE MODULES core")
    assert rows(env, "SHOW FULL MODULES") == [("core", True)]
    refused(
        env,
        {
            "LOAD MODULE core": (AlreadyExistsError, "loaded already"),
            "LOAD MODULE hive WITH ('hive-version' = '3')": (UnsupportedError, "hive"),
            "UNLOAD MODULE nope": (UnknownNameError, "nope"),
            "USE MODULES core, core": (ValidationError, "twice"),
        },
    )


PARTED = "CREATE TABLE p (a INT, dt STRING, hr INT) PARTITIONED BY (dt, hr) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv')"


def test_partitions(env: TableEnvironment, tmp_path: Path) -> None:
    env.execute_sql(PARTED.format(tmp_path))
    env.execute_sql("ALTER TABLE p ADD PARTITION (dt = 'x', hr = 1) WITH ('k' = 'v') PARTITION (hr = 2, dt = 'y')")
    env.execute_sql("ALTER TABLE p ADD IF NOT EXISTS PARTITION (dt = 'x', hr = 1)")
    assert rows(env, "SHOW PARTITIONS p") == [("dt=x/hr=1",), ("dt=y/hr=2",)]
    assert rows(env, "SHOW PARTITIONS p PARTITION (dt = 'y')") == [("dt=y/hr=2",)]
    refused(
        env,
        {
            "ALTER TABLE p ADD PARTITION (dt = 'x', hr = 1)": (AlreadyExistsError, "exists already"),
            "ALTER TABLE p ADD PARTITION (dt = 'x')": (ValidationError, "lacks hr"),
            "ALTER TABLE p ADD PARTITION (a = 1)": (UnknownNameError, "not a partition column"),
            "ALTER TABLE p DROP PARTITION (dt = 'z', hr = 1)": (UnknownNameError, "partition"),
            "SHOW PARTITIONS p PARTITION (nope = 1)": (UnknownNameError, "nope"),
        },
    )
    env.execute_sql("ALTER TABLE p DROP PARTITION (dt = 'x', hr = 1), PARTITION (dt = 'y', hr = 2)")
    env.execute_sql("ALTER TABLE p DROP IF EXISTS PARTITION (dt = 'x', hr = 1)")
    assert rows(env, "SHOW PARTITIONS p") == []


def test_analyze_keeps_what_it_counts(env: TableEnvironment, tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("1,ab\n2,abcd\n2,NULL\n")
    env.execute_sql(
        f"CREATE TABLE t (n INT, s STRING, c AS n + 1) WITH ('connector' = 'filesystem', 'path' = '{tmp_path}', 'format' = 'csv', "
        "'csv.null-literal' = 'NULL')"
    )
    catalog, path = env.get_catalog("default_catalog"), ObjectPath("default_database", "t")
    env.execute_sql("ANALYZE TABLE t COMPUTE STATISTICS")
    assert catalog.get_table_statistics(path).get_row_count() == 3
    assert catalog.get_table_column_statistics(path).get_column_statistics_data() == {}
    env.execute_sql("ANALYZE TABLE t COMPUTE STATISTICS FOR ALL COLUMNS")
    assert catalog.get_table_column_statistics(path).get_column_statistics_data() == {
        "n": {"null_count": 0, "distinct": 2, "min": 1, "max": 2},
        "s": {"null_count": 1, "distinct": 2, "min": "ab", "max": "abcd", "average_length": 3.0, "max_length": 4},
    }
    refused(
        env,
        {
            "ANALYZE TABLE t COMPUTE STATISTICS FOR COLUMNS nope": (UnknownNameError, "nope"),
            "ANALYZE TABLE t COMPUTE STATISTICS FOR COLUMNS c": (ValidationError, "not stored"),
            "ANALYZE TABLE t PARTITION (n = 1) COMPUTE STATISTICS": (ValidationError, "not partitioned"),
        },
    )
    stream = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    stream.execute_sql("CREATE TABLE t (n INT) WITH ('connector' = 'blackhole')")
    refused(stream, {"ANALYZE TABLE t COMPUTE STATISTICS": (ValidationError, "batch mode")})


def test_analyze_partitions(env: TableEnvironment, tmp_path: Path) -> None:
    env.execute_sql(PARTED.format(tmp_path))
    env.execute_sql("INSERT INTO p VALUES (1, 'x', 1), (2, 'x', 1), (3, 'y', 2)").wait()
    refused(
        env,
        {
            "ANALYZE TABLE p COMPUTE STATISTICS": (ValidationError, "needs PARTITION"),
            "ANALYZE TABLE p PARTITION (dt) COMPUTE STATISTICS": (ValidationError, "lacks hr"),
        },
    )
    env.execute_sql("ANALYZE TABLE p PARTITION (dt = 'x', hr) COMPUTE STATISTICS FOR COLUMNS a")
    catalog, path = env.get_catalog("default_catalog"), ObjectPath("default_database", "p")
    counts = [
        catalog.get_partition_statistics(path, CatalogPartitionSpec({"dt": dt, "hr": hr})).get_row_count()
        for dt, hr in (("x", "1"), ("y", "2"))
    ]
    assert counts == [2, -1]


def test_distribution(env: TableEnvironment) -> None:
    env.execute_sql("CREATE TABLE d (a INT, b INT) DISTRIBUTED BY HASH(a) INTO 4 BUCKETS WITH ('connector' = 'blackhole')")
    assert ")\nDISTRIBUTED BY HASH(`a`) INTO 4 BUCKETS\nWITH (" in text_of(env, "SHOW CREATE TABLE d")
    refused(
        env,
        {
            "INSERT INTO d VALUES (1, 2)": (UnsupportedError, "has no buckets"),
            "ALTER TABLE d ADD DISTRIBUTION INTO 3 BUCKETS": (ValidationError, "already"),
            "ALTER TABLE d DROP a": (ValidationError, "the distribution needs it"),
            "CREATE TABLE e (a INT) DISTRIBUTED BY (z) WITH ('connector' = 'blackhole')": (
                UnknownNameError,
                "bucket column 'z'",
            ),
            "CREATE TABLE e (a INT) DISTRIBUTED INTO 0 BUCKETS WITH ('connector' = 'blackhole')": (SqlParseError, "bucket"),
        },
    )
    env.execute_sql("CREATE TABLE l LIKE d")
    assert "DISTRIBUTED BY HASH(`a`)" in text_of(env, "SHOW CREATE TABLE l")
    env.execute_sql("CREATE TABLE x LIKE d (EXCLUDING DISTRIBUTION)")
    assert "DISTRIBUTED" not in text_of(env, "SHOW CREATE TABLE x")
    env.execute_sql("ALTER TABLE d MODIFY DISTRIBUTION BY RANGE(b)")
    assert "DISTRIBUTED BY RANGE(`b`)\n" in text_of(env, "SHOW CREATE TABLE d")
    env.execute_sql("ALTER TABLE d DROP DISTRIBUTION")
    refused(env, {"ALTER TABLE d MODIFY DISTRIBUTION INTO 3 BUCKETS": (ValidationError, "has no distribution")})
    env.execute_sql("INSERT INTO d VALUES (1, 2)").wait()


def test_catalogs(env: TableEnvironment) -> None:
    env.execute_sql("CREATE CATALOG c COMMENT 'cc' WITH ('type' = 'generic_in_memory', 'default-database' = 'd1')")
    assert rows(env, "DESCRIBE CATALOG EXTENDED c") == [
        ("name", "c"),
        ("type", "generic_in_memory"),
        ("comment", "cc"),
        ("option:default-database", "d1"),
    ]
    env.execute_sql("ALTER CATALOG c SET ('default-database' = 'd2')")
    env.execute_sql("ALTER CATALOG c COMMENT 'new'")
    assert text_of(env, "SHOW CREATE CATALOG c") == (
        "CREATE CATALOG `c`\nCOMMENT 'new'\nWITH (\n  'default-database' = 'd2',\n  'type' = 'generic_in_memory'\n)\n"
    )
    refused(
        env,
        {
            "ALTER CATALOG c SET ('a' = 'b')": (OptionError, "no option 'a'"),
            "ALTER CATALOG c RESET ('type')": (ValidationError, "cannot be changed"),
            "CREATE CATALOG e WITH ('type' = 'generic_in_memory', 'a' = 'b')": (OptionError, "no option 'a'"),
        },
    )
    env.execute_sql("USE CATALOG c")
    assert rows(env, "SHOW CURRENT DATABASE") == [("d2",)]


def test_update_and_delete_rows_by_key(env: TableEnvironment, tmp_path: Path) -> None:
    """The newest event of a key is its row: UPDATE appends one, DELETE appends a tombstone."""
    env.execute_sql(
        "CREATE TABLE t (id INT, name STRING, n INT, double_n AS n * 2, PRIMARY KEY (id) NOT ENFORCED) WITH ("
        f"'connector' = 'filelog', 'path' = '{tmp_path}', 'topic' = 't', 'scan.bounded.mode' = 'latest-offset')"
    )
    env.execute_sql("INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3)").wait()
    env.execute_sql("UPDATE t SET n = n + 10, name = UPPER(name) WHERE id IN (SELECT MAX(id) FROM t) OR double_n = 2").wait()
    assert sorted(rows(env, "SELECT id, name, n FROM t")) == [(1, "A", 11), (2, "b", 2), (3, "C", 13)]
    env.execute_sql("DELETE FROM t WHERE n > 10 AND id < 3").wait()
    assert sorted(rows(env, "SELECT id, name, n FROM t")) == [(2, "b", 2), (3, "C", 13)]
    env.execute_sql("DELETE FROM t").wait()
    assert rows(env, "SELECT * FROM t") == []
    refused(
        env,
        {
            "UPDATE t SET id = 1": (ValidationError, "primary key"),
            "UPDATE t SET double_n = 1": (ValidationError, "computed"),
            "UPDATE t SET n = 1, n = 2": (ValidationError, "set twice"),
            "UPDATE t SET nope = 1": (UnknownNameError, "nope"),
            "UPDATE t SET n = 'x'": (ValidationError, "INT"),
            "DELETE FROM t WHERE nope = 1": (UnknownNameError, "nope"),
        },
    )


def test_update_and_delete_need_rows_by_key(env: TableEnvironment, tmp_path: Path) -> None:
    files = f"WITH ('connector' = 'filesystem', 'path' = '{tmp_path}', 'format' = 'csv')"
    env.execute_sql(f"CREATE TABLE plain (a INT, b INT) {files}")
    env.execute_sql(f"CREATE TABLE keyed (a INT PRIMARY KEY NOT ENFORCED, b INT) {files}")
    refused(
        env,
        {
            "DELETE FROM plain WHERE a = 1": (UnsupportedError, "without a primary key"),
            "UPDATE keyed SET b = 1": (UnsupportedError, "cannot update or delete rows"),
            "DELETE FROM keyed": (UnsupportedError, "cannot update or delete rows"),
            "TRUNCATE TABLE plain": (UnsupportedError, "TRUNCATE TABLE"),
            "TRUNCATE TABLE nope": (UnknownNameError, "nope"),
            "CALL p(a => 1)": (UnknownNameError, "procedure 'default_catalog.default_database.p'"),
        },
    )
    stream = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    stream.execute_sql(f"CREATE TABLE keyed (a INT PRIMARY KEY NOT ENFORCED, b INT) {files}")
    refused(stream, {"DELETE FROM keyed": (ValidationError, "DELETE needs batch mode")})


def test_replace(env: TableEnvironment) -> None:
    options = "WITH ('connector' = 'blackhole')"
    refused(
        env,
        {
            f"REPLACE TABLE t {options} AS SELECT 1 AS a": (UnknownNameError, "'t' does not exist"),
            f"CREATE OR REPLACE TABLE IF NOT EXISTS t {options} AS SELECT 1 AS a": (SqlParseError, "IF NOT EXISTS"),
        },
    )
    env.execute_sql(f"CREATE OR REPLACE TABLE t {options} AS SELECT 1 AS a").wait()
    env.execute_sql(f"REPLACE TABLE t {options} AS SELECT 'x' AS b").wait()
    assert [r[0] for r in rows(env, "DESCRIBE t")] == ["b"]
    env.execute_sql("CREATE OR REPLACE VIEW v AS SELECT 1 AS a")
    env.execute_sql("CREATE OR REPLACE VIEW v AS SELECT 2 AS z")
    assert rows(env, "SELECT z FROM v") == [(2,)]
    refused(env, {"CREATE OR REPLACE VIEW t AS SELECT 1 AS a": (AlreadyExistsError, "is a table")})
    env.execute_sql("DROP VIEW IF EXISTS t")
    assert rows(env, "SHOW TABLES") == [("t",), ("v",)]


@pytest.mark.parametrize("mode", ["batch", "streaming"])
def test_an_aggregate_of_no_rows_at_all_has_one_row(mode: str) -> None:
    """Flink: a condition that is never true leaves a constant, so a stream gives the row too."""
    is_batch = mode == "batch"
    made = TableEnvironment.create(EnvironmentSettings.in_batch_mode() if is_batch else EnvironmentSettings.in_streaming_mode())
    made.execute_sql("CREATE TABLE t (a INT) WITH ('connector' = 'datagen', 'number-of-rows' = '2')")
    assert rows(made, "SELECT COUNT(*), SUM(a) FROM t WHERE FALSE") == [(0, None)]
    assert rows(made, "SELECT COUNT(a) FROM t WHERE a > 1 AND 1 = 0") == [(0,)]
