"""A small grammar of SQL queries over the tables f, u, p, d, m and s: what it makes is valid, and its result does not depend on the order of events.

Each part draws a query with typed columns (`S` text, `I` whole number, `T` time), so that parts nest. Ties are broken by ordering by every column.
"""

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


def _pick(draw, columns: Columns, kind: str, otherwise: str) -> str:
    names = [name for name, its_kind in columns if its_kind == kind]
    return draw(st.sampled_from(names)) if names else otherwise


def number(draw, columns: Columns, depth: int = 1) -> str:
    """An expression of a whole number."""
    form = draw(st.integers(0, 9 if depth else 2))
    if form <= 1:
        return _pick(draw, columns, "I", "1")
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
        return _pick(draw, columns, "S", "'a'")
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
        name = _pick(draw, columns, "T", "")
        if name:
            return draw(st.sampled_from([name, f"{name} + INTERVAL '5' SECOND"])), "T"
    return (text(draw, columns), "S") if kind == "S" else (number(draw, columns), "I")


def aggregate(draw, columns: Columns) -> tuple[str, str]:
    """An aggregate call and its type."""
    where = f" FILTER (WHERE {condition(draw, columns, 0)})" if draw(st.integers(0, 3)) == 0 else ""
    form = draw(st.integers(0, 7))
    if form == 0:
        return f"COUNT(*){where}", "I"
    if form in (1, 2):
        distinct = draw(st.sampled_from(["", "DISTINCT "]))
        return f"{draw(st.sampled_from(['SUM', 'COUNT', 'AVG']))}({distinct}{number(draw, columns)}){where}", "I"
    if form == 3:
        return f"COUNT(DISTINCT {text(draw, columns)}){where}", "I"
    name = draw(st.sampled_from(["MIN", "MAX"]))
    if form == 4:
        return f"{name}({text(draw, columns)}){where}", "S"
    times = [n for n, kind in columns if kind == "T"]
    if form == 5 and times:
        return f"{name}({draw(st.sampled_from(times))}){where}", "T"
    return f"{name}({number(draw, columns)}){where}", "I"


def _named(items: list[tuple[str, str]]) -> tuple[str, tuple[tuple[str, str], ...]]:
    return ", ".join(f"{sql} AS c{i}" for i, (sql, _) in enumerate(items)), tuple(
        (f"c{i}", kind) for i, (_, kind) in enumerate(items)
    )


def select(draw, depth: int) -> Query:
    """Filter and projection."""
    of = query(draw, depth - 1)
    items, columns = _named([expression(draw, list(of.columns)) for _ in range(draw(st.integers(1, 4)))])
    where = f" WHERE {condition(draw, list(of.columns), 2)}" if draw(st.booleans()) else ""
    return Query(f"SELECT {draw(st.sampled_from(['', '', 'DISTINCT ']))}{items} FROM ({of.sql}) AS q{where}", columns)


def group(draw, depth: int) -> Query:
    """Group aggregation, with grouping sets and HAVING. Without keys a stream has no row for no input, so HAVING asks for one."""
    of = query(draw, depth - 1)
    inner = list(of.columns)
    names = draw(st.lists(st.sampled_from(inner), max_size=2, unique=True))
    calls = [aggregate(draw, inner) for _ in range(draw(st.integers(1, 3)))]
    items, columns = _named([*names, *calls])
    keys = ", ".join(n for n, _ in names)
    having = f" HAVING {draw(st.sampled_from(calls))[0]} IS NOT NULL AND COUNT(*) > {draw(st.integers(0, 1))}"
    if not names:
        return Query(f"SELECT {items} FROM ({of.sql}) AS q{having}", columns)
    sets = draw(st.sampled_from(["{}", "{}", "{}", "ROLLUP({})", "CUBE({})"])).format(keys)
    if not draw(st.booleans()) and sets == keys:
        having = ""
    return Query(f"SELECT {items} FROM ({of.sql}) AS q GROUP BY {sets}{having}", columns)


def top(draw, depth: int) -> Query:
    """The first rows of each key, or of all, with or without their number."""
    of = query(draw, depth - 1)
    order = ", ".join(f"{n} {draw(st.sampled_from(['ASC', 'DESC']))}" for n, _ in draw(st.permutations(of.columns)))
    names = ", ".join(n for n, _ in of.columns)
    if draw(st.integers(0, 3)) == 0:
        return Query(f"SELECT {names} FROM ({of.sql}) AS q ORDER BY {order} LIMIT {draw(st.integers(1, 4))}", of.columns)
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
        on.append(f"{_pick(draw, mine, of, '')} = {_pick(draw, theirs, of, '')}")
    if not on and kind != "JOIN":
        kind = "JOIN"
    if not on or draw(st.integers(0, 2)) == 0:
        on.append(draw(st.sampled_from([_residual, condition_of_both]))(draw, mine, theirs))
    chosen = draw(st.lists(st.sampled_from(mine + theirs), min_size=1, max_size=4, unique=True))
    items, columns = _named(chosen)
    return Query(f"SELECT {items} FROM ({left.sql}) AS l {kind} ({right.sql}) AS r ON {' AND '.join(on)}", columns)


def _residual(draw, mine: Columns, theirs: Columns) -> str:
    return f"{number(draw, mine, 0)} {draw(st.sampled_from(['<', '<=', '<>']))} {number(draw, theirs, 0)}"


def condition_of_both(draw, mine: Columns, theirs: Columns) -> str:
    """A condition over both sides of a join."""
    return condition(draw, mine + theirs)


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
    outer, inner = _pick(draw, mine, kind, ""), _pick(draw, theirs, kind, "")
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


SIZES = st.sampled_from([("10", "5"), ("15", "5"), ("20", "10"), ("6", "2")])
WINDOWED = (*FACTS.columns, ("window_start", "T"), ("window_end", "T"))


def _windowed(kind: str, table: str, size: str, slide: str) -> str:
    bounds = {
        "TUMBLE": size,
        "SESSION": slide,
        "HOP": f"{slide}' SECOND, INTERVAL '{size}",
        "CUMULATE": f"{slide}' SECOND, INTERVAL '{size}",
    }
    return f"TABLE({kind}(TABLE {table}, DESCRIPTOR(ts), INTERVAL '{bounds[kind]}' SECOND))"


def window(draw, depth: int) -> Query:
    """Aggregation of a window over facts."""
    del depth
    size, slide = draw(SIZES)
    kind = draw(st.sampled_from(["TUMBLE", "HOP", "CUMULATE", "SESSION"]))
    keys = draw(st.lists(st.sampled_from([("k", "S"), ("g", "I")]), max_size=2, unique=True))
    names = ", ".join(n for n, _ in keys)
    table = "f"
    if kind == "SESSION" and keys:
        table += f" PARTITION BY {names}" if len(keys) == 1 else f" PARTITION BY ({names})"
    source = _windowed(kind, table, size, slide)
    where = f" WHERE {condition(draw, list(FACTS.columns), 0)}" if kind != "SESSION" and draw(st.booleans()) else ""
    calls = [aggregate(draw, list(FACTS.columns)) for _ in range(draw(st.integers(1, 3)))]
    items, columns = _named([*keys, ("window_start", "T"), ("window_end", "T"), *calls])
    grouped = ", ".join([*(n for n, _ in keys), "window_start", "window_end"])
    having = f" HAVING {draw(st.sampled_from(calls))[0]} IS NOT NULL" if draw(st.booleans()) else ""
    return Query(f"SELECT {items} FROM {source}{where} GROUP BY {grouped}{having}", columns)


def timed_join(draw, depth: int) -> Query:
    """An interval join of facts, or facts with the version of their time."""
    del depth
    if draw(st.booleans()):
        kind = draw(st.sampled_from(["JOIN", "LEFT JOIN"]))
        columns = [("f.k", "S"), ("f.v", "I"), ("f.ts", "T"), ("p.w", "I")]
        items, made = _named(draw(st.lists(st.sampled_from(columns), min_size=1, max_size=4, unique=True)))
        return Query(f"SELECT {items} FROM f {kind} p FOR SYSTEM_TIME AS OF f.ts ON f.k = p.k", made)
    kind = draw(st.sampled_from(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]))
    low, high = draw(st.integers(0, 8)), draw(st.integers(0, 8))
    mine, theirs = FACTS.aliased("a"), FACTS.aliased("b")
    extra = f" AND {_residual(draw, mine, theirs)}" if draw(st.booleans()) else ""
    items, made = _named(draw(st.lists(st.sampled_from(mine + theirs), min_size=1, max_size=5, unique=True)))
    return Query(
        f"SELECT {items} FROM f AS a {kind} f AS b ON a.k = b.k AND b.ts BETWEEN a.ts - INTERVAL '{low}' SECOND AND "
        f"a.ts + INTERVAL '{high}' SECOND{extra}",
        made,
    )


def over(draw, depth: int) -> Query:
    """Aggregates over the rows before, as far as their time says, which does not depend on the order of equal times."""
    del depth
    partition = draw(st.sampled_from(["", "PARTITION BY k ", "PARTITION BY k, g "]))
    frame = draw(st.sampled_from(["UNBOUNDED PRECEDING", "INTERVAL '5' SECOND PRECEDING", "INTERVAL '20' SECOND PRECEDING"]))
    calls = [
        (f"{draw(st.sampled_from(['SUM', 'COUNT', 'MIN', 'MAX', 'AVG']))}({number(draw, list(FACTS.columns))}) OVER w", "I")
        for _ in range(draw(st.integers(1, 2)))
    ]
    items, columns = _named([*FACTS.columns, *calls])
    return Query(f"SELECT {items} FROM f WINDOW w AS ({partition}ORDER BY ts RANGE BETWEEN {frame} AND CURRENT ROW)", columns)


def neighbours(draw, depth: int) -> Query:
    """Values of the rows before and after, in order of a time that no two rows of a key share."""
    del depth
    calls = [
        (f"{draw(st.sampled_from(['LAG', 'LEAD']))}(v{draw(st.sampled_from(['', ', 2', ', 1, 7']))}) OVER w", "I")
        for _ in range(draw(st.integers(1, 2)))
    ]
    items, columns = _named([("k", "S"), ("v", "I"), ("ts", "T"), *calls])
    return Query(f"SELECT {items} FROM m WINDOW w AS (PARTITION BY k ORDER BY ts)", columns)


def window_join(draw, depth: int) -> Query:
    """A join of the rows, or of the aggregates, of the same windows."""
    del depth
    size, slide = draw(SIZES)
    source = _windowed(draw(st.sampled_from(["TUMBLE", "HOP", "CUMULATE"])), "f", size, slide)
    rows = Query(f"SELECT {', '.join(n for n, _ in WINDOWED)} FROM {source}", WINDOWED)
    sums = Query(
        f"SELECT k, SUM(v) AS v, window_start, window_end FROM {source} GROUP BY k, window_start, window_end",
        (("k", "S"), ("v", "I"), ("window_start", "T"), ("window_end", "T")),
    )
    left, right = draw(st.sampled_from([rows, sums])), draw(st.sampled_from([rows, sums]))
    mine, theirs = left.aliased("l"), right.aliased("r")
    same = "l.window_start = r.window_start AND l.window_end = r.window_end AND l.k = r.k"
    if draw(st.integers(0, 3)) == 0:
        word = draw(st.sampled_from(["EXISTS", "NOT EXISTS"]))
        names = ", ".join(n for n, _ in left.columns)
        return Query(
            f"SELECT {names} FROM ({left.sql}) AS l WHERE {word} (SELECT * FROM ({right.sql}) AS r WHERE {same})", left.columns
        )
    kind = draw(st.sampled_from(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]))
    extra = f" AND {_residual(draw, mine, theirs)}" if draw(st.integers(0, 2)) == 0 else ""
    items, columns = _named(draw(st.lists(st.sampled_from(mine + theirs), min_size=1, max_size=5, unique=True)))
    return Query(f"SELECT {items} FROM ({left.sql}) AS l {kind} ({right.sql}) AS r ON {same}{extra}", columns)


def window_top(draw, depth: int) -> Query:
    """The first rows of each window, of its rows or of its aggregates."""
    del depth
    size, slide = draw(SIZES)
    source = _windowed(draw(st.sampled_from(["TUMBLE", "HOP", "CUMULATE"])), "f", size, slide)
    if draw(st.booleans()):
        of = Query(f"SELECT {', '.join(n for n, _ in WINDOWED)} FROM {source}", WINDOWED)
    else:
        calls = [aggregate(draw, list(FACTS.columns)) for _ in range(2)]
        items, columns = _named([("k", "S"), ("window_start", "T"), ("window_end", "T"), *calls])
        items = items.replace(" AS c1", "").replace(" AS c2", "")
        columns = tuple({"c1": ("window_start", "T"), "c2": ("window_end", "T")}.get(n, (n, kind)) for n, kind in columns)
        of = Query(f"SELECT {items} FROM {source} GROUP BY k, window_start, window_end", columns)
    key = f", {draw(st.sampled_from(of.columns))[0]}" if draw(st.booleans()) else ""
    order = ", ".join(f"{n} {draw(st.sampled_from(['ASC', 'DESC']))}" for n, _ in draw(st.permutations(of.columns)))
    names = ", ".join(n for n, _ in of.columns)
    return Query(
        f"SELECT {names} FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end{key} ORDER BY {order}) AS rn "
        f"FROM ({of.sql}) AS q) WHERE rn <= {draw(st.integers(1, 3))}",
        of.columns,
    )


def first_or_last(draw, depth: int) -> Query:
    """The first or last row of a key by time, or of a key and window; only columns that rows of the same time share."""
    del depth
    source, keys = "f", "k"
    if draw(st.booleans()):
        size, slide = draw(SIZES)
        source, keys = (
            _windowed(draw(st.sampled_from(["TUMBLE", "HOP", "CUMULATE"])), "f", size, slide),
            "window_start, window_end, k",
        )
    return Query(
        f"SELECT k, ts FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY {keys} ORDER BY ts {draw(st.sampled_from(['ASC', 'DESC']))}) AS rn "
        f"FROM {source}) WHERE rn = 1",
        (("k", "S"), ("ts", "T")),
    )


def look_up(draw, depth: int) -> Query:
    """Facts with the row of a table that does not change."""
    del depth
    kind = draw(st.sampled_from(["JOIN", "LEFT JOIN"]))
    columns = [("q.k", "S"), ("q.v", "I"), ("q.ts", "T"), ("s.w", "I")]
    items, made = _named(draw(st.lists(st.sampled_from(columns), min_size=1, max_size=4, unique=True)))
    extra = f" AND {_residual(draw, [('q.v', 'I')], [('s.w', 'I')])}" if draw(st.booleans()) else ""
    return Query(
        f"SELECT {items} FROM (SELECT *, PROCTIME() AS pt FROM f) AS q {kind} s FOR SYSTEM_TIME AS OF q.pt ON q.k = s.k{extra}",
        made,
    )


def unnested(draw, depth: int) -> Query:
    """Rows with each element of an array made of them."""
    of = query(draw, depth - 1)
    columns = list(of.columns)
    elements = ", ".join(f"CAST({number(draw, columns, 0)} AS BIGINT)" for _ in range(draw(st.integers(1, 3))))
    items, made = _named([*draw(st.lists(st.sampled_from(columns), max_size=2, unique=True)), ("x", "I")])
    return Query(f"SELECT {items} FROM ({of.sql}) AS q CROSS JOIN UNNEST(ARRAY[{elements}]) AS t(x)", made)


def join_of_three(draw, depth: int) -> Query:
    """Three tables that share a key."""
    del depth
    tables = [draw(st.sampled_from([FACTS, VERSIONS, DELETED])) for _ in range(3)]
    kinds = [draw(st.sampled_from(["JOIN", "LEFT JOIN"])) for _ in range(2)]
    columns = [pair for of, alias in zip(tables, "xyz", strict=True) for pair in of.aliased(alias)]
    items, made = _named(draw(st.lists(st.sampled_from(columns), min_size=1, max_size=5, unique=True)))
    x, y, z = (f"({of.sql}) AS {alias}" for of, alias in zip(tables, "xyz", strict=True))
    return Query(f"SELECT {items} FROM {x} {kinds[0]} {y} ON x.k = y.k {kinds[1]} {z} ON x.k = z.k", made)


PATTERNS = ("A B", "A B+ C", "A B* C", "A B? C", "A B+? C", "A B{2} C", "A B{1,2} C", "A{2,}? B")
CONDITIONS = ("{0}.v > 0", "{0}.v <= 1", "{0}.v <> 2", "MOD({0}.v, 2) = 0", "{0}.v > PREV({0}.v, 1)", "{0}.v < NEXT({0}.v)")
SKIPS = ("PAST LAST ROW", "TO NEXT ROW", "TO FIRST A", "TO LAST A")


def match(draw, depth: int) -> Query:
    """Patterns of rows in order of their time, which no two rows of a key share."""
    del depth
    pattern = draw(st.sampled_from(PATTERNS))
    skip = draw(st.sampled_from(SKIPS[:2]))
    conditions = [
        f"{name} AS {draw(st.sampled_from(CONDITIONS)).format(name)}"
        for name in "ABC"
        if name in pattern and draw(st.integers(0, 3))
    ]
    define = f" DEFINE {', '.join(conditions)}" if conditions else " DEFINE A AS TRUE"
    measures = f"A.ts AS c0, {draw(st.sampled_from(['LAST(B.v)', 'NEXT(A.v, 2)']))} AS c1, COUNT(*) AS c2, SUM(A.v) AS c3"
    within = draw(st.sampled_from(["", "", " WITHIN INTERVAL '20' SECOND"]))
    return Query(
        f"SELECT k, c0, c1, c2, c3 FROM m MATCH_RECOGNIZE (PARTITION BY k ORDER BY ts MEASURES {measures} ONE ROW PER MATCH "
        f"AFTER MATCH SKIP {skip} PATTERN ({pattern}){within}{define})",
        (("k", "S"), ("c0", "T"), ("c1", "I"), ("c2", "I"), ("c3", "I")),
    )


INNER = (select, group, group, top, join, join, set_operation, sub_query, unnested)
LEAVES = (window, window, timed_join, over, window_join, window_top, first_or_last, look_up, join_of_three, match, neighbours)


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
    items, columns = _named([expression(draw, list(leaf.columns)) for _ in range(2)])
    del columns
    return f"SELECT {items} FROM ({leaf.sql}) AS q WHERE {condition(draw, list(leaf.columns))}"
