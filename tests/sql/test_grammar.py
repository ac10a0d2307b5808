"""Everything in fixtures/ is accepted by Flink's own parser; ours must accept it too. And what Flink rejects, with the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tableapi.errors import SqlParseError, UnsupportedError
from tableapi.sql import split_statements
from tableapi.sql.statement_grammar import StatementGrammar

FIXTURES = sorted((Path(__file__).parent / "fixtures").glob("*.sql"))


@pytest.mark.parametrize("path", FIXTURES, ids=lambda p: p.stem)
def test_fixtures_parse(path: Path) -> None:
    texts = split_statements(path.read_text())
    assert len(texts) > 10
    for text in texts:
        assert StatementGrammar(text).statement() is not None


def error_of(text: str) -> SqlParseError:
    with pytest.raises(SqlParseError) as caught:
        StatementGrammar(text).statement()
    return caught.value


@pytest.mark.parametrize(
    ("text", "line", "column", "length"),
    [
        ("SELECT oid orders WHERE 1 = 1", 1, 19, 5),
        ("SELECT a\nFROM t\nWHER b", 3, 6, 1),
        ("SELECT * FROM t JOIN u", 1, 22, 1),
        ("SELECT (a", 1, 9, 1),
        ("SELECT 'abc", 1, 8, 4),
        ("SELECT `a", 1, 8, 2),
        ("SELECT 1 /* x", 1, 10, 4),
        ('SELECT "a"', 1, 8, 1),
        ("SELECT a != b", 1, 10, 2),
        ("SELECT a FROM t ORDER BY a OFFSET 1 LIMIT 2", 1, 37, 5),
        ("SELECT ARRAY[]", 1, 8, 5),
        ("SELECT CAST(a AS INTT)", 1, 18, 4),
        ("SELECT DATE '2024-02-30'", 1, 8, 4),
        ("SELECT 12345678901234567890", 1, 8, 20),
        ("SELECT INTERVAL '1' FORTNIGHT", 1, 21, 9),
        ("SELECT 12abc", 1, 8, 2),
        ("SELECT a FROM t MINUS SELECT b FROM t", 1, 17, 5),
        ("CREATE TABLE t (a INT, PRIMARY KEY (a))", 1, 39, 1),
        ("CREATE TABLE t (a INT) WITH (a = 'b')", 1, 30, 1),
        ("DROP TABLE a, b", 1, 13, 1),
        ("EXECUTE STATEMENT SET BEGIN END", 1, 29, 3),
        ("SELECT x FROM select", 1, 15, 6),
        ("", 1, 1, 1),
    ],
)
def test_syntax_errors_point_at_the_token(text: str, line: int, column: int, length: int) -> None:
    where = error_of(text).where
    assert where is not None
    assert (where.line, where.column, where.length, where.source) == (line, column, length, text)


def test_error_underlines_the_token() -> None:
    assert str(error_of("SELECT a,\n  FROM t")).splitlines() == [
        "'FROM' is not expected here; an expression is",
        "  at: <sql>:2:3",
        "      FROM t",
        "      ^^^^",
        "  fix: leave the last comma out",
    ]


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("SELCT 1", "did you mean 'SELECT'?"),
        ("CREATE TABEL t (a INT)", "did you mean 'TABLE'?"),
        ("SHOW TABELS", "did you mean 'TABLES'?"),
        ("SELECT CAST(a AS BIGNT)", "did you mean 'BIGINT'?"),
        ("SELECT year FROM t", "YEAR is a reserved word; write it as `year`"),
        ("SELECT a AS value FROM t", "VALUE is a reserved word; write it as `value`"),
        ("SELECT a value FROM t", "VALUE is a reserved word; write it as `value`"),
        ("CREATE TABLE t (order INT)", "ORDER is a reserved word; write it as `order`"),
        ("SELECT * FORM t", "did you mean 'FROM'?"),
        ("SELECT * FROM t WERE a = 1", "did you mean 'WHERE'?"),
        ("SELECT * FROM t WHERE a = 1 ODER BY a", "did you mean 'ORDER BY'?"),
        ("SELECT * FROM t GROUP a", "write GROUP BY; as a name, write it in back-ticks: `GROUP`"),
        ("SELECT a, FROM t", "leave the last comma out"),
        ("SELECT a FROM t LIMIT 1, 2", "write LIMIT rows OFFSET rows"),
        ("SELECT 1 == 1", "write one ="),
        ("SELECT a::STRING FROM t", "write CAST(value AS type)"),
        ("SELECT 5 MOD 3", "write MOD(a, b), or a % b"),
        ("SELECT 1 # c", "a comment begins with --"),
        ("SELECT 1; SELECT 2", "one statement at a time: execute what follows the ; by itself"),
        ("SELECT FROM t", None),
        ("SELECT * FROM user", "USER is a reserved word; write it as `user`"),
        ("SELECT a b c", None),
    ],
)
def test_syntax_errors_suggest(text: str, fix: str | None) -> None:
    assert error_of(text).fix == fix


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("WITH RECURSIVE x AS (SELECT 1) SELECT * FROM x", "WITH RECURSIVE"),
        ("SELECT * FROM t TABLESAMPLE SYSTEM (10)", "TABLESAMPLE"),
        ("MERGE INTO t USING u", "MERGE INTO"),
        ("CREATE MATERIALIZED TABLE t AS SELECT 1", "a MATERIALIZED TABLE"),
        ("ALTER MATERIALIZED TABLE t SUSPEND", "a MATERIALIZED TABLE"),
        ("SELECT LAG(a) IGNORE NULLS OVER (ORDER BY b) FROM t", "LAG with IGNORE NULLS"),
        ("SELECT MULTISET[1]", "the MULTISET constructor"),
        ("SELECT LISTAGG(a) WITHIN GROUP (ORDER BY b) FROM t", "WITHIN GROUP"),
        ("SELECT DISTINCT ON (a) b FROM t", "DISTINCT ON"),
        ("CREATE TABLE t (a RAW('x', 'y'))", "type RAW"),
    ],
)
def test_what_cannot_be_done_yet_is_named(text: str, named: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        StatementGrammar(text).statement()
    assert named in caught.value.what
    assert caught.value.where is not None


def test_deep_nesting_is_an_error_of_the_program() -> None:
    from tableapi.sql import parse_expression

    with pytest.raises(SqlParseError, match="nested too deeply"):
        parse_expression("(" * 3000 + "1" + ")" * 3000)
    chain = parse_expression(" OR ".join(f"a = {i}" for i in range(3000)))
    assert getattr(chain, "function", None) == "OR"
