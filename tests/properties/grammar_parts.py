"""What the grammar of queries is made of: tables, expressions, conditions and aggregates, each with a type (`S` text, `I` whole number, `T` time)."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st


@dataclass(frozen=True)
class Query:
    """A SELECT statement and the names and types of its columns."""

    sql: str
    columns: tuple[tuple[str, str], ...]

    def of(self, kind: str) -> list[str]:
        """Names of the columns of a type."""
        return [name for name, its_kind in self.columns if its_kind == kind]

    def aliased(self, alias: str) -> list[tuple[str, str]]:
        """The columns, qualified."""
        return [(f"{alias}.{name}", kind) for name, kind in self.columns]


FACTS = Query("SELECT k, g, v, ts FROM f", (("k", "S"), ("g", "I"), ("v", "I"), ("ts", "T")))
DIFFERENT = Query("SELECT k, g, v, ts FROM u", FACTS.columns)
VERSIONS = Query("SELECT k, w, `at` FROM p", (("k", "S"), ("w", "I"), ("`at`", "T")))
DELETED = Query("SELECT k, w, x FROM d", (("k", "S"), ("w", "I"), ("x", "S")))
TABLES = (FACTS, DIFFERENT, VERSIONS, DELETED)

Columns = list[tuple[str, str]]


def pick(draw, columns: Columns, kind: str, otherwise: str) -> str:
    names = [name for name, its_kind in columns if its_kind == kind]
    return draw(st.sampled_from(names)) if names else otherwise


def number(draw, columns: Columns, depth: int = 1) -> str:
    """An expression of a whole number."""
    form = draw(st.integers(0, 9 if depth else 2))
    if form <= 1:
        return pick(draw, columns, "I", "1")
    if form == 2:
        return str(draw(st.integers(0, 4)))
    inner = number(draw, columns, depth - 1)
    if form == 3:
        return f"({inner} {draw(st.sampled_from('+-*'))} {number(draw, columns, depth - 1)})"
    if form == 4:
        return f"ABS({inner})"
    if form == 5:
        return f"MOD({inner}, {draw(st.integers(2, 4))})"
    if form == 6:
        return f"COALESCE({inner}, {draw(st.integers(-1, 1))})"
    if form == 7:
        return f"NULLIF({inner}, {draw(st.integers(0, 2))})"
    if form == 8:
        return f"CHAR_LENGTH({text(draw, columns, depth - 1)})"
    return f"CASE WHEN {condition(draw, columns, depth - 1)} THEN {inner} ELSE {number(draw, columns, depth - 1)} END"


def text(draw, columns: Columns, depth: int = 1) -> str:
    """An expression of text."""
    form = draw(st.integers(0, 6 if depth else 2))
    if form <= 1:
        return pick(draw, columns, "S", "'a'")
    if form == 2:
        return draw(st.sampled_from(["'a'", "'b'", "''"]))
    inner = text(draw, columns, depth - 1)
    if form == 3:
        return f"({inner} || {text(draw, columns, depth - 1)})"
    if form == 4:
        return f"UPPER({inner})"
    if form == 5:
        return f"COALESCE({inner}, 'z')"
    return f"CASE WHEN {condition(draw, columns, depth - 1)} THEN {inner} END"


def condition(draw, columns: Columns, depth: int = 1) -> str:
    """A condition, with NULL where there is NULL."""
    form = draw(st.integers(0, 8 if depth else 4))
    if form == 0:
        return f"{number(draw, columns, depth)} {draw(st.sampled_from(['=', '<>', '<', '<=', '>', '>=']))} {number(draw, columns, 0)}"
    if form == 1:
        return f"{text(draw, columns, depth)} {draw(st.sampled_from(['=', '<>', '<', '>=']))} {text(draw, columns, 0)}"
    if form == 2:
        return f"{draw(st.sampled_from(columns))[0]} IS {draw(st.sampled_from(['', 'NOT ']))}NULL"
    if form == 3:
        return f"{number(draw, columns, 0)} {draw(st.sampled_from(['', 'NOT ']))}IN (0, 1, 3)"
    if form == 4:
        return f"{number(draw, columns, 0)} BETWEEN {draw(st.integers(-2, 1))} AND {draw(st.integers(1, 4))}"
    if form == 5:
        pattern = draw(st.sampled_from(["'a%'", "'%b%'", "'_'"]))
        return f"{text(draw, columns, 0)} LIKE {pattern}"
    if form == 6:
        return f"NOT ({condition(draw, columns, depth - 1)})"
    word = "AND" if form == 7 else "OR"
    return f"({condition(draw, columns, depth - 1)} {word} {condition(draw, columns, depth - 1)})"


def expression(draw, columns: Columns) -> tuple[str, str]:
    """An expression and its type."""
    kind = draw(st.sampled_from("SIIT"))
    if kind == "T":
        name = pick(draw, columns, "T", "")
        if name:
            return draw(st.sampled_from([name, f"{name} + INTERVAL '5' SECOND"])), "T"
    return (text(draw, columns), "S") if kind == "S" else (number(draw, columns), "I")


def aggregate(draw, columns: Columns) -> tuple[str, str]:
    """An aggregate call and its type. What depends on the order of rows, or on how fractions add up, is reduced to what does not."""
    where = f" FILTER (WHERE {condition(draw, columns, 0)})" if draw(st.integers(0, 3)) == 0 else ""
    form = draw(st.integers(0, 11))
    if form == 0:
        return f"COUNT(*){where}", "I"
    if form in (1, 2):
        distinct = draw(st.sampled_from(["", "DISTINCT "]))
        return f"{draw(st.sampled_from(['SUM', 'COUNT', 'AVG']))}({distinct}{number(draw, columns)}){where}", "I"
    if form == 3:
        return f"COUNT(DISTINCT {text(draw, columns)}){where}", "I"
    if form == 4:
        distinct = draw(st.sampled_from(["", "DISTINCT "]))
        return f"CHAR_LENGTH(LISTAGG({distinct}{text(draw, columns)}){where})", "I"
    if form == 5:
        collected = (
            f"{draw(st.sampled_from(['COLLECT', 'ARRAY_AGG']))}({draw(st.sampled_from([number, text]))(draw, columns)}){where}"
        )
        return f"CARDINALITY({collected})", "I"
    if form == 6:
        share = draw(st.sampled_from(["0", "0.25", "0.5", "1"]))
        return f"CAST(PERCENTILE({number(draw, columns)}, {share}){where} * 1000 + 0.31 AS BIGINT)", "I"
    if form == 7:
        name = draw(st.sampled_from(["VAR_POP", "VAR_SAMP", "STDDEV_POP", "STDDEV_SAMP"]))
        return f"CAST({name}(CAST({number(draw, columns)} AS DOUBLE)){where} * 1000 + 0.31 AS BIGINT)", "I"
    name = draw(st.sampled_from(["MIN", "MAX"]))
    if form == 8:
        return f"{name}({text(draw, columns)}){where}", "S"
    times = [n for n, kind in columns if kind == "T"]
    if form == 9 and times:
        return f"{name}({draw(st.sampled_from(times))}){where}", "T"
    return f"{name}({number(draw, columns)}){where}", "I"


def named(items: list[tuple[str, str]]) -> tuple[str, tuple[tuple[str, str], ...]]:
    return ", ".join(f"{sql} AS c{i}" for i, (sql, _) in enumerate(items)), tuple(
        (f"c{i}", kind) for i, (_, kind) in enumerate(items)
    )


def residual(draw, mine: Columns, theirs: Columns) -> str:
    return f"{number(draw, mine, 0)} {draw(st.sampled_from(['<', '<=', '<>']))} {number(draw, theirs, 0)}"


def condition_of_both(draw, mine: Columns, theirs: Columns) -> str:
    """A condition over both sides of a join."""
    return condition(draw, mine + theirs)
