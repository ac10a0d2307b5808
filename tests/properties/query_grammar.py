"""A small grammar of SQL queries over the tables of `streams_and_batch.environment`: what it makes is valid, and its result does not depend on
the order of events. Each part draws a query with typed columns, so that parts nest. Ties are broken by ordering by every column.
"""

from __future__ import annotations

from grammar_of_time import LEAVES
from grammar_parts import (
    TABLES,
    Query,
    aggregate,
    condition,
    condition_of_both,
    expression,
    named,
    number,
    pick,
    residual,
    text,
)
from hypothesis import strategies as st


def select(draw, depth: int) -> Query:
    """Filter and projection."""
    of = query(draw, depth - 1)
    items, columns = named([expression(draw, list(of.columns)) for _ in range(draw(st.integers(1, 4)))])
    where = f" WHERE {condition(draw, list(of.columns), 2)}" if draw(st.booleans()) else ""
    return Query(f"SELECT {draw(st.sampled_from(['', '', 'DISTINCT ']))}{items} FROM ({of.sql}) AS q{where}", columns)


def group(draw, depth: int) -> Query:
    """Group aggregation, with grouping sets and HAVING. Without keys a stream has no row for no input, so HAVING asks for one."""
    of = query(draw, depth - 1)
    inner = list(of.columns)
    names = draw(st.lists(st.sampled_from(inner), max_size=2, unique=True))
    calls = [aggregate(draw, inner) for _ in range(draw(st.integers(1, 3)))]
    keys = ", ".join(n for n, _ in names)
    shapes = ["{}", "{}", "{}", "ROLLUP({})", "CUBE({})", "GROUPING SETS (({}), ())"] if names else ["{}"]
    sets = draw(st.sampled_from(shapes)).format(keys)
    grouping = [(f"GROUPING_ID({keys})", "I")] if sets != keys and draw(st.booleans()) else []
    items, columns = named([*names, *calls, *grouping])
    having = f" HAVING {draw(st.sampled_from(calls))[0]} IS NOT NULL AND COUNT(*) > {draw(st.integers(0, 1))}"
    if not names:
        return Query(f"SELECT {items} FROM ({of.sql}) AS q{having}", columns)
    if not draw(st.booleans()) and sets == keys:
        having = ""
    return Query(f"SELECT {items} FROM ({of.sql}) AS q GROUP BY {sets}{having}", columns)


def top(draw, depth: int) -> Query:
    """The first rows of each key, or of all, with or without their number."""
    of = query(draw, depth - 1)
    order = ", ".join(f"{n} {draw(st.sampled_from(['ASC', 'DESC']))}" for n, _ in draw(st.permutations(of.columns)))
    names = ", ".join(n for n, _ in of.columns)
    if draw(st.integers(0, 3)) == 0:
        offset = draw(st.sampled_from(["", "", " OFFSET 1", " OFFSET 2"]))
        return Query(
            f"SELECT {names} FROM ({of.sql}) AS q ORDER BY {order} LIMIT {draw(st.integers(1, 4))}{offset}", of.columns
        )
    keys = draw(st.lists(st.sampled_from([n for n, _ in of.columns]), max_size=2, unique=True))
    partition = f"PARTITION BY {', '.join(keys)} " if keys else ""
    is_numbered = draw(st.booleans())
    columns = (*of.columns, ("rn", "I")) if is_numbered and "rn" not in dict(of.columns) else of.columns
    return Query(
        f"SELECT {', '.join(n for n, _ in columns)} FROM (SELECT {names}, ROW_NUMBER() OVER ({partition}ORDER BY {order}) AS "
        f"{'rn' if 'rn' not in dict(of.columns) else 'rn2'} FROM ({of.sql}) AS q) "
        f"WHERE {'rn' if 'rn' not in dict(of.columns) else 'rn2'} <= {draw(st.integers(1, 3))}",
        columns,
    )


def join(draw, depth: int) -> Query:
    """A join on a key, often with a condition more, of any kind."""
    left, right = query(draw, depth - 1), query(draw, depth - 1)
    mine, theirs = left.aliased("l"), right.aliased("r")
    kinds = [k for k in "SIT" if left.of(k) and right.of(k)]
    kind = draw(st.sampled_from(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]))
    on = []
    for _ in range(draw(st.integers(1, 2)) if kinds else 0):
        of = draw(st.sampled_from(kinds))
        on.append(f"{pick(draw, mine, of, '')} = {pick(draw, theirs, of, '')}")
    if not on and kind != "JOIN":
        kind = "JOIN"
    if not on or draw(st.integers(0, 2)) == 0:
        on.append(draw(st.sampled_from([residual, condition_of_both]))(draw, mine, theirs))
    chosen = draw(st.lists(st.sampled_from(mine + theirs), min_size=1, max_size=4, unique=True))
    items, columns = named(chosen)
    return Query(f"SELECT {items} FROM ({left.sql}) AS l {kind} ({right.sql}) AS r ON {' AND '.join(on)}", columns)


def set_operation(draw, depth: int) -> Query:
    """UNION, INTERSECT and EXCEPT, of columns cast to the same types."""
    left, right = query(draw, depth - 1), query(draw, depth - 1)
    kinds = [draw(st.sampled_from("SI")) for _ in range(draw(st.integers(1, 2)))]

    def side(of: Query) -> str:
        columns = list(of.columns)
        made = [
            f"{text(draw, columns, 0)} AS c{i}" if kind == "S" else f"CAST({number(draw, columns, 0)} AS BIGINT) AS c{i}"
            for i, kind in enumerate(kinds)
        ]
        return f"SELECT {', '.join(made)} FROM ({of.sql}) AS q"

    word = draw(st.sampled_from(["UNION", "INTERSECT", "EXCEPT"])) + draw(st.sampled_from(["", " ALL"]))
    columns = tuple((f"c{i}", kind) for i, kind in enumerate(kinds))
    return Query(f"SELECT {', '.join(n for n, _ in columns)} FROM ({side(left)} {word} {side(right)}) AS q", columns)


def sub_query(draw, depth: int) -> Query:
    """EXISTS, IN and scalar sub-queries in WHERE."""
    of, other = query(draw, depth - 1), query(draw, depth - 1)
    mine, theirs = of.aliased("q"), other.aliased("s")
    kinds = [k for k in "SI" if of.of(k) and other.of(k)]
    names = ", ".join(f"q.{n}" for n, _ in of.columns)
    head = f"SELECT {names} FROM ({of.sql}) AS q WHERE"
    negated = draw(st.sampled_from(["", "NOT "]))
    if not kinds:
        return Query(f"{head} {negated}EXISTS (SELECT 1 FROM ({other.sql}) AS s WHERE {condition(draw, theirs)})", of.columns)
    kind = draw(st.sampled_from(kinds))
    outer, inner = pick(draw, mine, kind, ""), pick(draw, theirs, kind, "")
    extra = f" AND {condition(draw, theirs)}" if draw(st.booleans()) else ""
    form = draw(st.integers(0, 2))
    if form == 0:
        return Query(f"{head} {negated}EXISTS (SELECT 1 FROM ({other.sql}) AS s WHERE {inner} = {outer}{extra})", of.columns)
    if form == 1:
        return Query(f"{head} {outer} {negated}IN (SELECT {inner} FROM ({other.sql}) AS s WHERE TRUE{extra})", of.columns)
    call = f"{draw(st.sampled_from(['MIN', 'MAX', 'AVG', 'SUM', 'COUNT']))}({number(draw, theirs, 0)})"
    correlated = f"{inner} = {outer}{extra}" if draw(st.booleans()) else "TRUE"
    call = call.replace("COUNT", "MAX") if correlated == "TRUE" else call
    return Query(f"{head} {number(draw, mine, 0)} >= (SELECT {call} FROM ({other.sql}) AS s WHERE {correlated})", of.columns)


def unnested(draw, depth: int) -> Query:
    """Rows with each element of an array or map made of them, or with what a table function makes of them."""
    of = query(draw, depth - 1)
    columns = list(of.columns)
    chosen = [(f"q.{n}", kind) for n, kind in draw(st.lists(st.sampled_from(columns), max_size=2, unique=True))]
    is_left = draw(st.booleans())
    form = draw(st.integers(0, 3))
    if form == 0:
        source, added = f"LATERAL TABLE(letters({text(draw, columns)})) AS t(e)", [("t.e", "S")]
    elif form == 1:
        source = f"UNNEST(MAP['a', {number(draw, columns, 0)}, {text(draw, columns, 0)}, 7]) AS t(e, i)"
        added = [("COALESCE(t.i, 0)", "I")]
    else:
        elements = ", ".join(f"CAST({number(draw, columns, 0)} AS BIGINT)" for _ in range(draw(st.integers(1, 3))))
        array = f"ARRAY[{elements}]"
        array = f"CASE WHEN {condition(draw, columns, 0)} THEN {array} END" if draw(st.booleans()) else array
        source, added = f"UNNEST({array}) AS t(e)", [("t.e", "I")]
        if form == 3:
            source, added = f"UNNEST({array}) WITH ORDINALITY AS t(e, i)", [("t.e", "I"), ("t.i", "I")]
    items, made = named([*chosen, *added])
    joined = f"LEFT JOIN {source} ON TRUE" if is_left else f"CROSS JOIN {source}"
    return Query(f"SELECT {items} FROM ({of.sql}) AS q {joined}", made)


INNER = (select, group, group, top, join, join, set_operation, sub_query, unnested)


def query(draw, depth: int) -> Query:
    """A query of at most `depth` parts around a table."""
    if depth <= 0:
        return draw(st.sampled_from(TABLES))
    form = draw(st.integers(0, 9))
    if form == 0:
        return draw(st.sampled_from(TABLES))
    if form <= 2:
        return draw(st.sampled_from(LEAVES))(draw, depth)
    return draw(st.sampled_from(INNER))(draw, depth)


@st.composite
def queries(draw, depth: int = 2) -> str:
    """The text of a query, nested at most `depth` deep."""
    made = query(draw, depth)
    return made.sql


@st.composite
def timed_queries(draw) -> str:
    """The text of a query whose operators work by time, a join of three, or a part over one of these."""
    if draw(st.integers(0, 3)):
        return draw(st.sampled_from(LEAVES))(draw, 1).sql
    leaf = draw(st.sampled_from(LEAVES))(draw, 1)
    items, columns = named([expression(draw, list(leaf.columns)) for _ in range(2)])
    del columns
    return f"SELECT {items} FROM ({leaf.sql}) AS q WHERE {condition(draw, list(leaf.columns))}"


@st.composite
def keyed_queries(draw) -> str:
    """The text of a query with a row for each value of its first column, a text, and two numbers; whether its key can be known is left to chance."""
    of = query(draw, 1)
    columns = list(of.columns)
    numbers = [f"CAST(MAX({number(draw, columns)}) AS BIGINT) AS c1", f"COUNT({draw(st.sampled_from(columns))[0]}) AS c2"]
    key = f"COALESCE({text(draw, columns, 0)}, 'n')"
    grouped = f"SELECT its_key AS c0, {', '.join(numbers)} FROM (SELECT *, {key} AS its_key FROM ({of.sql}) AS q) AS r GROUP BY its_key"
    if draw(st.booleans()):
        return grouped
    return f"SELECT c0 || '!' AS c0, c1, c2 FROM ({grouped}) AS t"
