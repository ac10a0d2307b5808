"""Texts that a parser should survive, each made from one seed: random characters, word salads, mutated statements, deep nesting,
huge literals, nonsense types, and calls of every function with arguments of every type."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path

from tableapi.errors import TableApiError
from tableapi.functions.registry import functions
from tableapi.sql import split_statements
from tableapi.sql.dialect import tokenize

TESTS = Path(__file__).parent.parent

VALUES = (
    "1", "0", "-1", "2147483648", "1.5", "-0.5", "2e0", "TRUE", "NULL", "'a'", "''", "'1'", "'2024-02-29'", "X'0aff'", "'é😀'",
    "CAST(1 AS TINYINT)", "CAST(2 AS SMALLINT)", "CAST(3 AS BIGINT)", "CAST(1.5 AS FLOAT)", "CAST(NULL AS INT)",
    "CAST(NULL AS STRING)", "CAST(2.5 AS DECIMAL(38, 18))", "DATE '2024-02-29'", "TIME '10:11:12'",
    "TIMESTAMP '2024-02-29 10:11:12.123'", "CAST('2024-02-29 10:11:12' AS TIMESTAMP_LTZ(3))", "INTERVAL '1' DAY",
    "INTERVAL '2' MONTH", "ARRAY[1, 2]", "ARRAY['a', NULL]", "MAP['a', 1]", "ROW(1, 'x')", "ARRAY[ROW(1, 2)]", "ARRAY[ARRAY[1]]",
    "MULTISET[1, 1]", "PARSE_JSON('{\"a\": [1]}')", "BITMAP_BUILD(ARRAY[1, 2])", "'{\"a\": 1}'", "'$.a'", "'yyyy-MM-dd'",
    "'UTF-8'", "'UTC'", "CAST('NaN' AS DOUBLE)",
)  # fmt: skip
COLUMNS = ("oid", "cust", "item", "qty", "price", "ts", "*", "orders.oid", "nope")
TYPES = (
    "INT", "STRING", "CHAR", "CHAR(0)", "VARCHAR(-1)", "DECIMAL(39, 2)", "DECIMAL(5, 9)", "DECIMAL(10, 2)", "TIME(10)", "BYTES",
    "TIMESTAMP(3) WITH LOCAL TIME ZONE", "TIMESTAMP_LTZ(99999999999999999999)", "ARRAY<INT", "ARRAY<>", "MAP<INT>", "ROW<>",
    "ROW<a INT, a INT>", "ROW<a ROW<b INT NOT NULL>>", "MULTISET<MULTISET<INT>>", "INTERVAL DAY TO MONTH", "INTERVAL YEAR",
    "RAW('x', 'y')", "STRUCTURED<'c', a INT>", "INT NOT", "INT NULL", "DOUBLE PRECISION", "INT ARRAY MULTISET", "nonsense",
    "VARIANT", "BITMAP", "NULL", "MAP<ROW<a INT>, ARRAY<DATE>>", "BOOLEAN", "DATE", "TINYINT", "FLOAT",
)  # fmt: skip
OPERATORS = (
    "+", "-", "*", "/", "%", "||", "=", "<>", "<", ">=", "AND", "OR", "IS DISTINCT FROM", "LIKE", "SIMILAR TO", "IN", "BETWEEN",
    "OVERLAPS", "NOT LIKE", "=>", "::", ".", "IS NULL", "IS NOT TRUE", "IS JSON", "COLLATE",
)  # fmt: skip


@cache
def bank() -> tuple[str, ...]:
    """Real statements of all kinds: those of the tests of SQL, and those recorded from Flink."""
    found = [s for path in sorted((TESTS / "sql/fixtures").glob("*.sql")) for s in split_statements(path.read_text())]
    for path in sorted((TESTS / "corpus/cases").rglob("*.json")):
        case = json.loads(path.read_text())
        found += [*case.get("setup", []), *([case["query"]] if "query" in case else [])]
        found += [f"SELECT {sql}" for _, sql in case.get("exprs", [])]
    return tuple(dict.fromkeys(found))


@cache
def _tokens(statement: str) -> tuple[str, ...]:
    try:
        return tuple(statement[t.start : t.end + 1] for t in tokenize(statement))
    except TableApiError:
        return tuple(statement.split())


@cache
def _words() -> tuple[str, ...]:
    return (
        *sorted({w for s in bank() for w in _tokens(s)}),
        *"'`\"()[]<>,;.*?:",
        "/*",
        "--",
        "/*+",
        "*/",
        "$$",
        "e'\\u",
        "U&'\\",
    )


def _class_of(token: str) -> str:
    first = token[:1]
    if first.isdigit() or first in "'\"":
        return "constant"
    return "word" if first.isalpha() or first in "`_" else token


@cache
def _words_like(token_class: str) -> tuple[str, ...]:
    return tuple(w for w in _words() if _class_of(w) == token_class)


@cache
def _function_names() -> tuple[str, ...]:
    return tuple(sorted(name for f in functions() for name in (f.name, *f.sql_names) if name.isidentifier()))


def expression(r: random.Random, depth: int = 2, leaves: tuple[str, ...] = VALUES) -> str:
    """An expression that parses; its types may fit or not."""
    form = r.random() if depth else 0.0
    if form < 0.25:
        return r.choice(leaves)

    def part() -> str:
        return expression(r, depth - 1, leaves)

    if form < 0.65:
        return f"{r.choice(_function_names())}({', '.join(part() for _ in range(r.choice((0, 1, 1, 1, 2, 2, 2, 3, 3, 4))))})"
    if form < 0.75:
        return f"({part()} {r.choice(OPERATORS[:15])} {part()})"
    if form < 0.85:
        return f"{r.choice(('CAST', 'TRY_CAST'))}({part()} AS {r.choice(TYPES)})"
    return r.choice(
        (
            f"CASE WHEN {part()} THEN {part()} ELSE {part()} END",
            f"({part()} IN ({part()}, {part()}))",
            f"({part()} BETWEEN {part()} AND {part()})",
            f"ARRAY[{part()}, {part()}][{part()}]",
            f"ROW({part()}, {part()})",
            f"EXTRACT({r.choice(('YEAR', 'DOW', 'EPOCH', 'NOPE'))} FROM {part()})",
            f"({part()} IS {r.choice(('NULL', 'TRUE', 'JSON', 'NOT UNKNOWN'))})",
            f"TIMESTAMPADD({r.choice(('DAY', 'MONTH'))}, {part()}, {part()})",
            f"-{part()}",
        )
    )


def _unicode(r: random.Random) -> str:
    alphabets = ("'\"`;()[]<>,.*/-+%$#@!?:\\ \t\n\0", "abcSELECTfrom019_", "éß日本😀\u202e\u0301\ud7ff\U0010ffff")
    return "".join(r.choice(r.choice(alphabets)) for _ in range(r.randrange(80)))


def _salad(r: random.Random) -> str:
    return " ".join(r.choice(_words()) for _ in range(r.randrange(1, 25)))


def _mutated(r: random.Random) -> str:
    tokens = list(_tokens(r.choice(bank())))
    for _ in range(r.choice((1, 1, 1, 2, 3))):
        at = r.randrange(len(tokens) + 1)
        change = r.randrange(12)
        if change == 0 and tokens:
            del tokens[min(at, len(tokens) - 1)]
        elif change == 1:
            tokens.insert(at, r.choice(_words()))
        elif change == 2 and tokens:
            tokens[min(at, len(tokens) - 1)] = r.choice(_words())
        elif change == 3 and len(tokens) > 1:
            i, j = r.randrange(len(tokens)), r.randrange(len(tokens))
            tokens[i], tokens[j] = tokens[j], tokens[i]
        elif change == 4:
            other = _tokens(r.choice(bank()))
            start = r.randrange(len(other) + 1)
            tokens[at:at] = other[start : start + r.randrange(8)]
        elif change <= 7 and tokens:
            places = [i for i, t in enumerate(tokens) if _class_of(t) == "constant"] or [0]
            tokens[r.choice(places)] = expression(r, 1, VALUES + COLUMNS)
        elif tokens:
            at = min(at, len(tokens) - 1)
            own = [t for t in tokens if _class_of(t) == _class_of(tokens[at])]
            tokens[at] = r.choice(own if r.random() < 0.5 else _words_like(_class_of(tokens[at])) or own)
    return " ".join(tokens)


def _truncated(r: random.Random) -> str:
    statement = r.choice(bank())
    start, end = sorted((r.randrange(len(statement) + 1), r.randrange(len(statement) + 1)))
    return r.choice((statement[:end], statement[start:], statement[:start] + statement[end:]))


def _nested(r: random.Random) -> str:
    depth = r.choice((3, 30, 300, 3000))
    opened, inner, closed = r.choice(
        (
            ("(", "1", ")"), ("ABS(", "1", ")"), ("ARRAY[", "1", "]"), ("NOT ", "TRUE", ""), ("- ", "1", ""), ("1 + ", "1", ""),
            ("CASE WHEN TRUE THEN ", "1", " END"), ("(SELECT ", "1", ")"), ("1 IN (", "1", ")"), ("CAST(", "1", " AS INT)"),
            ("", "1", "[1]"), ("", "a", ".b"), ("", "1", " IS NULL"), ("ROW(", "1", ")"), ("1 OR ", "1", ""), ("/*", "", "*/"),
            ("CAST(NULL AS ARRAY<", "INT", ">)"), ("CAST(NULL AS ROW<a ", "INT", ">)"), ("'a' || ", "'b'", ""), ("EXISTS (", "1", ")"),
        )
    )  # fmt: skip
    text = opened * depth + inner + closed * (depth if r.random() < 0.8 else depth // 2)
    shape = r.randrange(4)
    if shape == 0:
        return "SELECT * FROM (" * min(depth, 500) + "SELECT 1 AS x" + ")" * min(depth, 500)
    if shape == 1:
        return " UNION ALL ".join(["SELECT 1"] * min(depth, 1000))
    return f"SELECT {text}"


def _huge(r: random.Random) -> str:
    digits = "9" * r.choice((10, 19, 38, 39, 400, 5000))
    literal = r.choice(
        (
            digits, f"{digits}.{digits}", f"1e{digits}", f"0.{'0' * len(digits)}1", f"'{digits}'", f"X'{digits}'", f"{digits}e-{digits[:3]}",
            f"INTERVAL '{digits}' DAY", f"INTERVAL '{digits}-1' YEAR TO MONTH", f"DATE '{digits[:6]}-01-01'", f"`{digits}`",
            f"TIMESTAMP '2024-01-01 00:00:00.{digits}'", f"CAST('{digits}' AS DECIMAL({digits[:3]}, 2))", f"CHR({digits})",
            f"ARRAY[1][{digits}]", f"U&'\\{digits[:4]}'", f"TIMESTAMPADD(DAY, {digits[:10]}, DATE '2024-01-01')", f"ROUND(1.5, {digits})",
        )
    )  # fmt: skip
    return f"SELECT {literal} {r.choice(('', '+ 1', '|| 1', f'LIMIT {digits}', f'FROM orders LIMIT {digits} OFFSET {digits}'))}"


def _typed(r: random.Random) -> str:
    column = r.choice((*TYPES, expression(r, 1)))
    return r.choice(
        (
            f"CREATE TABLE t (a {column}, b {r.choice(TYPES)} {r.choice(('', 'NOT NULL', 'METADATA', 'PRIMARY KEY', 'COMMENT 1'))}) WITH ('connector' = 'x')",
            f"SELECT CAST({expression(r, 1)} AS {column})",
            f"CREATE TABLE t (a AS {expression(r)}, WATERMARK FOR a AS {expression(r, 1)})",
        )
    )  # fmt: skip


def _query(r: random.Random) -> str:
    leaves = VALUES + COLUMNS * 4
    one, two, three = (expression(r, r.randrange(3), leaves) for _ in range(3))
    return r.choice(
        (
            f"SELECT {one}, {two} FROM orders WHERE {three}",
            f"SELECT {one} FROM orders GROUP BY {two} HAVING {three}",
            f"SELECT {one}, SUM({two}) OVER (PARTITION BY {three} ORDER BY ts) FROM orders",
            f"SELECT * FROM orders JOIN customers ON {one} = {two} ORDER BY {three}",
            f"SELECT * FROM nest CROSS JOIN UNNEST({one}) AS u(x)",
            f"SELECT {one} FROM (VALUES ({two}, {three})) AS v(oid, cust)",
            f"SELECT * FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR({r.choice(COLUMNS)}), {one}))",
            f"INSERT INTO customers SELECT {one}, {two}",
            f"SELECT {one} FROM orders UNION SELECT {two} FROM customers",
            f"SELECT {one} IN (SELECT {two} FROM customers) FROM orders",
        )
    )


KINDS: tuple[tuple[Callable[[random.Random], str], int], ...] = (
    (_unicode, 6),
    (_salad, 7),
    (_mutated, 40),
    (_truncated, 10),
    (_nested, 1),
    (_huge, 3),
    (_typed, 7),
    (_query, 26),
)


def text_of(seed: int) -> str:
    """The text that a seed stands for."""
    r = random.Random(seed)
    kinds, weights = zip(*KINDS, strict=True)
    return str(r.choices(kinds, weights)[0](r))
