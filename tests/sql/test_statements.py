"""DDL, DML and utility statements: what they mean against a catalog."""

from __future__ import annotations

from typing import Any

import pytest

from tableapi.errors import TableApiError, TypeMismatchError, UnknownNameError, UnsupportedError, ValidationError
from tableapi.plan.explain import plan_text
from tableapi.sql import statements as st
from tableapi.tablespec import ColumnKind, ObjectIdentifier
from tests.sql.helpers import MemoryCatalog, catalog


@pytest.fixture
def made() -> MemoryCatalog:
    return catalog()


def identifier(name: str) -> ObjectIdentifier:
    return ObjectIdentifier("cat", "db", name)


def spec_of(made: MemoryCatalog, text: str) -> Any:
    statement = made.run(text)
    assert isinstance(statement, st.CreateTable | st.AlterTable)
    return statement.spec


def test_create_table(made: MemoryCatalog) -> None:
    spec = spec_of(
        made,
        """CREATE TABLE t (
          id BIGINT COMMENT 'the key', name STRING, total AS id * 2, seen TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
          part INT METADATA, ts TIMESTAMP(3), PRIMARY KEY (id) NOT ENFORCED, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
        ) COMMENT 'c' PARTITIONED BY (name) WITH ('connector' = 'x', 'a.b' = 'c')""",
    )
    assert [(c.name, c.kind, str(c.type)) for c in spec.columns] == [
        ("id", ColumnKind.PHYSICAL, "BIGINT NOT NULL"),
        ("name", ColumnKind.PHYSICAL, "STRING"),
        ("total", ColumnKind.COMPUTED, "None"),
        ("seen", ColumnKind.METADATA, "TIMESTAMP_LTZ(3)"),
        ("part", ColumnKind.METADATA, "INT"),
        ("ts", ColumnKind.PHYSICAL, "TIMESTAMP(3)"),
    ]
    assert spec.columns[0].comment == "the key"
    assert (spec.columns[3].metadata_key, spec.columns[3].is_virtual) == ("timestamp", True)
    assert (spec.primary_key, spec.partition_keys, spec.comment) == (("id",), ("name",), "c")
    assert spec.options == {"connector": "x", "a.b": "c"}
    assert spec.watermark is not None
    assert spec.watermark.column == "ts"


@pytest.mark.parametrize(
    ("elements", "kind", "message"),
    [
        ("a INT, a INT", ValidationError, "defined twice"),
        ("a INT, PRIMARY KEY (b) NOT ENFORCED", UnknownNameError, "primary key column 'b'"),
        ("a INT, b AS c + 1", UnknownNameError, "column 'c' does not exist"),
        ("a INT, WATERMARK FOR b AS b", UnknownNameError, "watermark column 'b'"),
        ("a INT, WATERMARK FOR a AS a", TypeMismatchError, "watermark column 'a'"),
        ("a TIMESTAMP(3), WATERMARK FOR a AS a, WATERMARK FOR a AS a", ValidationError, "at most one WATERMARK"),
        ("a INT PRIMARY KEY NOT ENFORCED, PRIMARY KEY (a) NOT ENFORCED", ValidationError, "at most one PRIMARY KEY"),
        ("a INT, b AS (SELECT 1)", ValidationError, "sub-query"),
    ],
)
def test_wrong_tables(made: MemoryCatalog, elements: str, kind: type[TableApiError], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        made.parse(f"CREATE TABLE t ({elements}) WITH ('connector' = 'x')")
    assert caught.value.where is not None


def test_like(made: MemoryCatalog) -> None:
    made.run(
        """CREATE TABLE base (a INT, b AS a + 1, ts TIMESTAMP(3), WATERMARK FOR ts AS ts, PRIMARY KEY (a) NOT ENFORCED)
        WITH ('connector' = 'x', 'path' = '/p')"""
    )
    spec = spec_of(made, "CREATE TABLE t (z INT) WITH ('path' = '/q') LIKE base")
    assert [c.name for c in spec.columns] == ["a", "b", "ts", "z"]
    assert spec.options == {"connector": "x", "path": "/q"}
    assert spec.primary_key == ("a",)
    assert spec.watermark is not None
    bare = spec_of(made, "CREATE TABLE u WITH ('connector' = 'y') LIKE base (EXCLUDING ALL)")
    assert [c.name for c in bare.columns] == ["a", "ts"]
    assert (bare.options, bare.primary_key, bare.watermark) == ({"connector": "y"}, (), None)
    with pytest.raises(ValidationError, match="option 'path'"):
        made.parse("CREATE TABLE v WITH ('path' = '/q') LIKE base (INCLUDING OPTIONS)")
    with pytest.raises(ValidationError, match="column 'a'"):
        made.parse("CREATE TABLE v (a INT) LIKE base")


def test_create_table_as(made: MemoryCatalog) -> None:
    statement = made.run("CREATE TABLE t WITH ('connector' = 'x') AS SELECT oid, qty * 2 AS q FROM orders")
    assert isinstance(statement, st.CreateTable)
    assert statement.insert is not None
    assert statement.insert.table == statement.spec
    assert [(c.name, str(c.type)) for c in statement.spec.columns] == [("oid", "INT"), ("q", "INT")]
    extra = made.run("CREATE TABLE u (x AS oid + 1, qty BIGINT) WITH ('connector' = 'x') AS SELECT oid, qty FROM orders")
    assert isinstance(extra, st.CreateTable)
    assert [(c.name, str(c.type)) for c in extra.spec.columns] == [("x", "None"), ("oid", "INT"), ("qty", "BIGINT")]
    ordered = made.run("CREATE TABLE v (qty, oid) WITH ('connector' = 'x') AS SELECT oid, qty FROM orders")
    assert isinstance(ordered, st.CreateTable)
    assert ordered.insert is not None
    assert [c.name for c in ordered.spec.columns] == ["qty", "oid"]
    assert ordered.insert.input.schema.names == ["qty", "oid"]


def test_alter_table(made: MemoryCatalog) -> None:
    made.run("CREATE TABLE t (a INT, b STRING, c AS a + 1, ts TIMESTAMP(3)) WITH ('connector' = 'x', 'k' = 'v')")
    assert [c.name for c in spec_of(made, "ALTER TABLE t ADD (d INT FIRST, e INT AFTER a)").columns] == [
        *("d", "a", "e", "b", "c", "ts"),
    ]
    assert spec_of(made, "ALTER TABLE t ADD WATERMARK FOR ts AS ts").watermark is not None
    assert spec_of(made, "ALTER TABLE t ADD PRIMARY KEY (e) NOT ENFORCED").primary_key == ("e",)
    assert str(spec_of(made, "ALTER TABLE t MODIFY b BIGINT").columns[3].type) == "BIGINT"
    assert [c.name for c in spec_of(made, "ALTER TABLE t RENAME b TO bb").columns][3] == "bb"
    assert spec_of(made, "ALTER TABLE t SET ('k' = 'w', 'l' = 'm')").options == {"connector": "x", "k": "w", "l": "m"}
    assert spec_of(made, "ALTER TABLE t RESET ('k', 'l')").options == {"connector": "x"}
    assert "d" not in [c.name for c in spec_of(made, "ALTER TABLE t DROP (d, bb)").columns]
    assert spec_of(made, "ALTER TABLE t DROP PRIMARY KEY").primary_key == ()
    assert spec_of(made, "ALTER TABLE t DROP WATERMARK").watermark is None
    for text, message in {
        "ALTER TABLE t DROP a": "computed column 'c' needs it",
        "ALTER TABLE t RENAME a TO z": "computed column 'c' needs it",
        "ALTER TABLE t DROP zz": "does not exist",
        "ALTER TABLE t ADD e INT": "already",
        "ALTER TABLE t MODIFY zz INT": "does not exist",
        "ALTER TABLE t SET ('connector' = 'y')": "cannot be changed",
        "ALTER TABLE nope DROP a": "table 'nope' does not exist",
    }.items():
        with pytest.raises(ValidationError, match=message):
            made.parse(text)
    assert isinstance(made.parse("ALTER TABLE IF EXISTS nope DROP a"), st.Nothing)
    assert made.parse("ALTER TABLE t RENAME TO u") == st.RenameTable(identifier("t"), identifier("u"))


def test_views(made: MemoryCatalog) -> None:
    statement = made.run("CREATE TEMPORARY VIEW v (x, y) AS SELECT oid, cust FROM orders WHERE qty > 1")
    assert isinstance(statement, st.CreateView)
    assert (statement.view.sql, statement.is_temporary) == ("SELECT oid, cust FROM orders WHERE qty > 1", True)
    assert made.plan("SELECT v.x FROM v").splitlines()[0] == "Project(x)"
    with pytest.raises(ValidationError, match="3 column names are given for 2 columns"):
        made.parse("CREATE VIEW w (a, b, c) AS SELECT oid, cust FROM orders")
    replaced = made.parse("ALTER VIEW v AS SELECT 1 AS z")
    assert isinstance(replaced, st.CreateView)
    assert replaced.is_alter
    with pytest.raises(ValidationError, match="'orders' is a table"):
        made.parse("ALTER VIEW orders AS SELECT 1 AS z")
    with pytest.raises(ValidationError, match="is a view"):
        made.parse("INSERT INTO v SELECT 1, 'a'")


def test_insert(made: MemoryCatalog) -> None:
    made.run("CREATE TABLE s (a BIGINT, b STRING, c AS a + 1, p STRING) PARTITIONED BY (p) WITH ('connector' = 'x')")
    statement = made.parse("INSERT INTO s SELECT oid, cust, item FROM orders")
    assert isinstance(statement, st.Insert)
    assert plan_text(statement.sink).splitlines()[0] == "Sink(s)"
    assert statement.sink.input.schema.names == ["a", "b", "p"]
    partial = made.parse("INSERT INTO s PARTITION (p = 'x') (b) VALUES ('1'), ('2')")
    assert isinstance(partial, st.Insert)
    assert [(n, v.value) for n, v in partial.sink.static_partition] == [("p", "x")]
    for text, message in {
        "INSERT INTO s SELECT oid FROM orders": "the query has 1 columns",
        "INSERT INTO s (zz) VALUES (1)": "no column 'zz'",
        "INSERT INTO s (b) VALUES (1)": "column 'b'",
        "INSERT INTO s PARTITION (b = 'x') (a) VALUES (1)": "not a partition column",
        "INSERT INTO s VALUES (1, NULL, 'b')": "NULL has no type",
        "INSERT INTO nope VALUES (1)": "table 'nope' does not exist",
        "INSERT OVERWRITE s SELECT 1, 'a', 'b'": "batch mode",
    }.items():
        with pytest.raises(ValidationError, match=message) as caught:
            made.parse(text)
        assert caught.value.where is not None


def test_conflicts_of_keys(made: MemoryCatalog) -> None:
    """Flink: only a table with a key has conflicts; where the query has the same key, there are none."""
    made.run("CREATE TABLE k (id INT PRIMARY KEY NOT ENFORCED, n BIGINT) WITH ('connector' = 'x')")
    grouped = "INSERT INTO k SELECT qty, COUNT(*) FROM orders WHERE qty IS NOT NULL GROUP BY qty"
    for action in ("NOTHING", "ERROR", "DEDUPLICATE"):
        assert isinstance(made.parse(f"{grouped} ON CONFLICT DO {action}"), st.Insert)
    made.parse("INSERT INTO k SELECT oid, 1 FROM orders ON CONFLICT DO DEDUPLICATE")
    with pytest.raises(UnsupportedError, match="ON CONFLICT DO NOTHING"):
        made.parse("INSERT INTO k SELECT oid, 1 FROM orders ON CONFLICT DO NOTHING")
    with pytest.raises(ValidationError, match="needs a primary key"):
        made.parse("INSERT INTO customers SELECT 'a', 'b' ON CONFLICT DO DEDUPLICATE")


def test_overwrite_in_batch() -> None:
    made = catalog(is_streaming=False)
    statement = made.parse("INSERT OVERWRITE customers VALUES ('a', 'b')")
    assert isinstance(statement, st.Insert)
    assert statement.sink.overwrite


def test_statement_set_and_explain(made: MemoryCatalog) -> None:
    inserts = "BEGIN INSERT INTO customers VALUES ('a', 'b'); INSERT INTO customers SELECT cust, item FROM orders; END"
    statement = made.parse(f"EXECUTE STATEMENT SET {inserts}")
    assert isinstance(statement, st.StatementSet)
    assert len(statement.inserts) == 2
    explained = made.parse(f"EXPLAIN STATEMENT SET {inserts}")
    assert isinstance(explained, st.Explain)
    assert isinstance(explained.inner, st.StatementSet)
    detailed = made.parse("EXPLAIN CHANGELOG_MODE, PLAN_ADVICE SELECT 1")
    assert isinstance(detailed, st.Explain)
    assert detailed.details == ("CHANGELOG_MODE", "PLAN_ADVICE")
    assert isinstance(detailed.inner, st.Query)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DROP TABLE IF EXISTS c.d.t", st.DropTable(ObjectIdentifier("c", "d", "t"), if_exists=True)),
        ("DROP TEMPORARY VIEW v", st.DropView(identifier("v"), is_temporary=True)),
        ("DROP DATABASE IF EXISTS c.d CASCADE", st.DropDatabase("c", "d", True, True)),
        ("DROP CATALOG c", st.DropCatalog("c")),
        ("DROP TEMPORARY SYSTEM FUNCTION f", st.DropFunction("f", None, True, True)),
        ("DROP FUNCTION IF EXISTS f", st.DropFunction("f", identifier("f"), if_exists=True)),
        (
            "CREATE TEMPORARY SYSTEM FUNCTION f AS 'm.f' LANGUAGE PYTHON",
            st.CreateFunction("f", None, "m.f", "PYTHON", True, True),
        ),
        (
            "CREATE FUNCTION IF NOT EXISTS f AS 'a.B' USING JAR 'x.jar'",
            st.CreateFunction("f", identifier("f"), "a.B", if_not_exists=True, resources=(("JAR", "x.jar"),)),
        ),
        ("CREATE CATALOG c WITH ('type' = 'm')", st.CreateCatalog("c", {"type": "m"})),
        ("CREATE DATABASE IF NOT EXISTS c.d COMMENT 'x'", st.CreateDatabase("c", "d", {}, True, "x")),
        ("ALTER DATABASE d SET ('a' = 'b')", st.AlterDatabase(None, "d", {"a": "b"})),
        ("ALTER CATALOG c RESET ('a')", st.AlterCatalog("c", reset_keys=("a",))),
        ("USE CATALOG c", st.UseCatalog("c")),
        ("USE c.d", st.UseDatabase("c", "d")),
        ("USE d", st.UseDatabase(None, "d")),
        ("USE MODULES core, x", st.UseModules(("core", "x"))),
        ("LOAD MODULE m WITH ('a' = 'b')", st.LoadModule("m", {"a": "b"})),
        ("UNLOAD MODULE m", st.UnloadModule("m")),
        ("SET", st.SetOption()),
        ("SET 'a' = 'b'", st.SetOption("a", "b")),
        ("RESET 'a'", st.ResetOption("a")),
        ("DESCRIBE EXTENDED orders", st.Describe(identifier("orders"), True)),
        ("DESC CATALOG c", st.DescribeCatalog("c")),
        ("SHOW TABLES", st.Show("TABLES")),
        ("SHOW TABLES FROM c.d NOT LIKE 'x%'", st.Show("TABLES", None, "c", "d", st.LikePattern("x%", True))),
        ("SHOW DATABASES IN c ILIKE 'X'", st.Show("DATABASES", None, "c", None, st.LikePattern("X", False, True))),
        ("SHOW COLUMNS FROM orders", st.Show("COLUMNS", identifier("orders"))),
        ("SHOW CREATE TABLE orders", st.Show("CREATE TABLE", identifier("orders"))),
        ("SHOW CURRENT DATABASE", st.Show("CURRENT DATABASE")),
        ("STOP JOB 'x' WITH SAVEPOINT", st.StopJob("x", True)),
        ("EXECUTE PLAN '/p'", st.ExecutePlan("/p")),
        ("QUIT", st.ClientCommand("QUIT")),
    ],
)
def test_utility_statements(made: MemoryCatalog, text: str, expected: st.Statement) -> None:
    statement = made.parse(text)
    assert statement == expected
    assert statement.text == text


def test_show_patterns() -> None:
    assert not st.LikePattern("o_e%").matches("orders")
    assert st.LikePattern("o_d%").matches("oxd")
    assert st.LikePattern(r"a\_b").matches("a_b")
    assert not st.LikePattern(r"a\_b").matches("axb")
    assert st.LikePattern("A%", ignores_case=True).matches("abc")
    assert not st.LikePattern("a%", is_negated=True).matches("abc")


@pytest.mark.parametrize(
    ("source", "target", "fits"),
    [
        ("DATE '2024-01-01'", "TIMESTAMP(3)", False),
        ("TIMESTAMP '2024-01-01 00:00:00'", "DATE", True),
        ("TIMESTAMP '2024-01-01 00:00:00'", "TIME", True),
        ("TIMESTAMP '2024-01-01 00:00:00'", "TIMESTAMP_LTZ(3)", True),
        ("TO_TIMESTAMP_LTZ(0, 3)", "DATE", False),
        ("TIME '10:00:00'", "TIMESTAMP(3)", False),
        ("CAST(1 AS DOUBLE)", "DECIMAL(10, 2)", True),
        ("CAST(1 AS DOUBLE)", "FLOAT", False),
        ("1.5", "BIGINT", False),
    ],
)
def test_what_a_sink_casts_by_itself(made: MemoryCatalog, source: str, target: str, fits: bool) -> None:
    made.run(f"CREATE TABLE s (a {target}) WITH ('connector' = 'x')")
    if fits:
        assert isinstance(made.parse(f"INSERT INTO s SELECT {source}"), st.Insert)
        return
    with pytest.raises(TypeMismatchError, match="column 'a'"):
        made.parse(f"INSERT INTO s SELECT {source}")


def test_grouping_by_an_alias_says_what_to_write(made: MemoryCatalog) -> None:
    with pytest.raises(UnknownNameError) as caught:
        made.parse("SELECT oid + 1 AS x, COUNT(*) FROM orders GROUP BY x")
    assert caught.value.fix is not None
    assert caught.value.fix.startswith("'x' is a name of the select list")
