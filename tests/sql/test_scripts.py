"""Cutting scripts into statements, and planning them one by one."""

from __future__ import annotations

import pytest

from tableapi.errors import SqlParseError, UnknownNameError
from tableapi.sql import parse_statements, split_statements
from tableapi.sql import statements as st
from tests.sql.helpers import MemoryCatalog


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("", []),
        (" ;; -- nothing\n", []),
        ("SELECT 1; SELECT 2", ["SELECT 1", "SELECT 2"]),
        ("SELECT ';' AS `a;b` /* ; */; SELECT 2 -- ;\n;", ["SELECT ';' AS `a;b`", "SELECT 2"]),
        (
            "EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT CASE WHEN x THEN 1 END FROM t; INSERT INTO b VALUES (1); END; SELECT 1",
            [
                "EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT CASE WHEN x THEN 1 END FROM t; INSERT INTO b VALUES (1); END",
                "SELECT 1",
            ],
        ),
        (
            "BEGIN STATEMENT SET; INSERT INTO a VALUES (1); END; SET 'a' = 'b'",
            ["BEGIN STATEMENT SET; INSERT INTO a VALUES (1); END", "SET 'a' = 'b'"],
        ),
    ],
)
def test_split(script: str, expected: list[str]) -> None:
    assert split_statements(script) == expected


def test_a_script_may_use_what_it_creates() -> None:
    made = MemoryCatalog()
    kinds = []
    for statement in parse_statements("CREATE TABLE t (a INT) WITH ('connector' = 'x');\nSELECT a FROM t;", made, made.context):
        kinds.append(type(statement))
        if isinstance(statement, st.CreateTable):
            made.tables[statement.spec.identifier] = statement.spec
    assert kinds == [st.CreateTable, st.Query]


def test_places_in_a_script_count_from_its_start() -> None:
    made = MemoryCatalog()
    with pytest.raises(UnknownNameError) as caught:
        list(parse_statements("SELECT 1;\nSELECT 2;\nSELECT a FROM nope", made, made.context))
    assert caught.value.where is not None
    assert (caught.value.where.line, caught.value.where.column) == (3, 15)


def test_statement_keeps_its_text() -> None:
    made = MemoryCatalog()
    texts = [s.text for s in parse_statements("  SELECT 1 ;\n SET 'a' = 'b' ;", made, made.context)]
    assert texts == ["SELECT 1", "SET 'a' = 'b'"]


def test_only_one_statement() -> None:
    made = MemoryCatalog()
    with pytest.raises(SqlParseError):
        made.parse("SELECT 1; SELECT 2")
    assert isinstance(made.parse("SELECT 1;"), st.Query)
