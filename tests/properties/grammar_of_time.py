"""Parts of the grammar of queries that work by time, or on the streams themselves: windows, timed joins, frames, patterns, lookups."""

from __future__ import annotations

from grammar_parts import DELETED, FACTS, VERSIONS, Query, aggregate, condition, named, number, residual
from hypothesis import strategies as st

SIZES = st.sampled_from([("10", "5"), ("15", "5"), ("20", "10"), ("6", "2")])
WINDOWED = (*FACTS.columns, ("window_start", "T"), ("window_end", "T"))


def _windowed(kind: str, table: str, size: str, slide: str, time: str = "ts", offset: str = "") -> str:
    bounds = {
        "TUMBLE": size,
        "SESSION": slide,
        "HOP": f"{slide}' SECOND, INTERVAL '{size}",
        "CUMULATE": f"{slide}' SECOND, INTERVAL '{size}",
    }
    return f"TABLE({kind}(TABLE {table}, DESCRIPTOR({time}), INTERVAL '{bounds[kind]}' SECOND{offset}))"


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
    offset = draw(st.sampled_from(["", "", ", INTERVAL '1' SECOND"])) if kind != "SESSION" else ""
    source = _windowed(kind, table, size, slide, offset=offset)
    where = f" WHERE {condition(draw, list(FACTS.columns), 0)}" if kind != "SESSION" and draw(st.booleans()) else ""
    calls = [aggregate(draw, list(FACTS.columns)) for _ in range(draw(st.integers(1, 3)))]
    items, columns = named([*keys, ("window_start", "T"), ("window_end", "T"), *calls])
    grouped = ", ".join([*(n for n, _ in keys), "window_start", "window_end"])
    having = f" HAVING {draw(st.sampled_from(calls))[0]} IS NOT NULL" if draw(st.booleans()) else ""
    return Query(f"SELECT {items} FROM {source}{where} GROUP BY {grouped}{having}", columns)


def grouped_window(draw, depth: int) -> Query:
    """Aggregation of a group window."""
    del depth
    size, slide = draw(SIZES)
    kind = draw(st.sampled_from(["TUMBLE", "HOP", "SESSION"]))
    bounds = {"TUMBLE": size, "SESSION": slide, "HOP": f"{slide}' SECOND, INTERVAL '{size}"}[kind]
    of = f"{{}}(ts, INTERVAL '{bounds}' SECOND)"
    keys = draw(st.lists(st.sampled_from([("k", "S"), ("g", "I")]), max_size=2, unique=True))
    calls = [aggregate(draw, list(FACTS.columns)) for _ in range(draw(st.integers(1, 2)))]
    items, columns = named([*keys, (of.format(f"{kind}_START"), "T"), (of.format(f"{kind}_END"), "T"), *calls])
    grouped = ", ".join([*(n for n, _ in keys), of.format(kind)])
    return Query(f"SELECT {items} FROM f GROUP BY {grouped}", columns)


def updated_window(draw, depth: int) -> Query:
    """Aggregation of a window over rows that are updated, each time in another window."""
    del depth
    size, slide = draw(SIZES)
    source = _windowed(draw(st.sampled_from(["TUMBLE", "HOP", "CUMULATE"])), "c", size, slide, "`at`")
    calls = [aggregate(draw, list(VERSIONS.columns)) for _ in range(draw(st.integers(1, 2)))]
    keys = draw(st.sampled_from([[], [("w", "I")]]))
    items, columns = named([*keys, ("window_start", "T"), ("window_end", "T"), *calls])
    grouped = ", ".join([*(n for n, _ in keys), "window_start", "window_end"])
    return Query(f"SELECT {items} FROM {source} GROUP BY {grouped}", columns)


def timed_join(draw, depth: int) -> Query:
    """An interval join of facts, or facts with the version of their time."""
    del depth
    if draw(st.integers(0, 2)) == 0:
        kind = draw(st.sampled_from(["JOIN", "LEFT JOIN"]))
        columns = [("f.k", "S"), ("f.v", "I"), ("f.ts", "T"), ("p.w", "I")]
        items, made = named(draw(st.lists(st.sampled_from(columns), min_size=1, max_size=4, unique=True)))
        return Query(f"SELECT {items} FROM f {kind} p FOR SYSTEM_TIME AS OF f.ts ON f.k = p.k", made)
    kind = draw(st.sampled_from(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]))
    low, high = draw(st.integers(0, 8)), draw(st.integers(0, 8))
    mine, theirs = FACTS.aliased("a"), FACTS.aliased("b")
    extra = f" AND {residual(draw, mine, theirs)}" if draw(st.booleans()) else ""
    near = f"a.k = b.k AND b.ts BETWEEN a.ts - INTERVAL '{low}' SECOND AND a.ts + INTERVAL '{high}' SECOND{extra}"
    if draw(st.integers(0, 3)) == 0:
        word = draw(st.sampled_from(["EXISTS", "NOT EXISTS"]))
        return Query(f"SELECT k, g, v, ts FROM f AS a WHERE {word} (SELECT 1 FROM f AS b WHERE {near})", FACTS.columns)
    items, made = named(draw(st.lists(st.sampled_from(mine + theirs), min_size=1, max_size=5, unique=True)))
    return Query(f"SELECT {items} FROM f AS a {kind} f AS b ON {near}", made)


def over(draw, depth: int) -> Query:
    """Aggregates over the rows before, as far as their time says, which does not depend on the order of equal times."""
    del depth
    partition = draw(st.sampled_from(["", "PARTITION BY k ", "PARTITION BY k, g "]))
    frame = draw(st.sampled_from(["UNBOUNDED PRECEDING", "INTERVAL '5' SECOND PRECEDING", "INTERVAL '20' SECOND PRECEDING"]))
    calls = [
        (f"{draw(st.sampled_from(['SUM', 'COUNT', 'MIN', 'MAX', 'AVG']))}({number(draw, list(FACTS.columns))}) OVER w", "I")
        for _ in range(draw(st.integers(1, 2)))
    ]
    items, columns = named([*FACTS.columns, *calls])
    return Query(f"SELECT {items} FROM f WINDOW w AS ({partition}ORDER BY ts RANGE BETWEEN {frame} AND CURRENT ROW)", columns)


def over_rows(draw, depth: int) -> Query:
    """Aggregates over a number of rows before, in order of a time that no two rows of a key share; and two windows in a query."""
    del depth
    columns = [("k", "S"), ("v", "I"), ("ts", "T")]

    def call() -> tuple[str, str]:
        name = draw(
            st.sampled_from(["SUM(", "COUNT(", "MIN(", "MAX(", "AVG(", "COUNT(DISTINCT ", "FIRST_VALUE(", "LAST_VALUE("])
        )
        return f"{name}{number(draw, columns)}) OVER w", "I"

    framed = draw(st.sampled_from(["UNBOUNDED", "1", "3"]))
    windows = f"w AS (PARTITION BY k ORDER BY ts ROWS BETWEEN {framed} PRECEDING AND CURRENT ROW)"
    calls = [call() for _ in range(draw(st.integers(1, 2)))]
    if draw(st.booleans()):
        windows += ", w2 AS (PARTITION BY k ORDER BY ts RANGE BETWEEN INTERVAL '9' SECOND PRECEDING AND CURRENT ROW)"
        calls.append((f"{draw(st.sampled_from(['SUM', 'MIN', 'COUNT']))}(v) OVER w2", "I"))
    items, made = named([*columns, *calls])
    return Query(f"SELECT {items} FROM m WINDOW {windows}", made)


def in_order(draw, depth: int) -> Query:
    """Aggregates that depend on the order of the rows of a key, which is that of their time."""
    del depth
    calls = [
        draw(
            st.sampled_from(
                [
                    ("FIRST_VALUE(v)", "I"),
                    ("LAST_VALUE(v)", "I"),
                    ("LISTAGG(CAST(v AS STRING))", "S"),
                    ("LISTAGG(CAST(v AS STRING), ';') FILTER (WHERE v > 0)", "S"),
                    ("CAST(ARRAY_AGG(v) AS STRING)", "S"),
                    ("FIRST_VALUE(ts) FILTER (WHERE v < 2)", "T"),
                ]
            )
        )
        for _ in range(draw(st.integers(1, 3)))
    ]
    items, columns = named([("k", "S"), *calls])
    return Query(f"SELECT {items} FROM m GROUP BY k", columns)


def neighbours(draw, depth: int) -> Query:
    """Values of the rows before and after, in order of a time that no two rows of a key share."""
    del depth
    calls = [
        (f"{draw(st.sampled_from(['LAG', 'LEAD']))}(v{draw(st.sampled_from(['', ', 2', ', 1, 7']))}) OVER w", "I")
        for _ in range(draw(st.integers(1, 2)))
    ]
    items, columns = named([("k", "S"), ("v", "I"), ("ts", "T"), *calls])
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
    extra = f" AND {residual(draw, mine, theirs)}" if draw(st.integers(0, 2)) == 0 else ""
    items, columns = named(draw(st.lists(st.sampled_from(mine + theirs), min_size=1, max_size=5, unique=True)))
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
        items, columns = named([("k", "S"), ("window_start", "T"), ("window_end", "T"), *calls])
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
    items, made = named(draw(st.lists(st.sampled_from(columns), min_size=1, max_size=4, unique=True)))
    extra = f" AND {residual(draw, [('q.v', 'I')], [('s.w', 'I')])}" if draw(st.booleans()) else ""
    return Query(
        f"SELECT {items} FROM (SELECT *, PROCTIME() AS pt FROM f) AS q {kind} s FOR SYSTEM_TIME AS OF q.pt ON q.k = s.k{extra}",
        made,
    )


def join_of_three(draw, depth: int) -> Query:
    """Three tables that share a key."""
    del depth
    tables = [draw(st.sampled_from([FACTS, VERSIONS, DELETED])) for _ in range(3)]
    kinds = [draw(st.sampled_from(["JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"])) for _ in range(2)]
    middle = draw(st.sampled_from("xxy"))
    columns = [pair for of, alias in zip(tables, "xyz", strict=True) for pair in of.aliased(alias)]
    items, made = named(draw(st.lists(st.sampled_from(columns), min_size=1, max_size=5, unique=True)))
    x, y, z = (f"({of.sql}) AS {alias}" for of, alias in zip(tables, "xyz", strict=True))
    return Query(f"SELECT {items} FROM {x} {kinds[0]} {y} ON x.k = y.k {kinds[1]} {z} ON {middle}.k = z.k", made)


PATTERNS = (
    "A B",
    "A B+ C",
    "A B* C",
    "A B? C",
    "A B+? C",
    "A B*? C",
    "A B{2} C",
    "A B{1,2} C",
    "A{2,}? B",
    "A+ B",
    "A{1,3} B C? D",
)
OF_ROW = ("{0}.v > 0", "{0}.v <= 1", "{0}.v <> 2", "MOD({0}.v, 2) = 0", "{0}.v > PREV({0}.v, 1)", "{0}.v < NEXT({0}.v)")
OF_RUN = (
    "{0}.v >= LAST(A.v)",
    "{0}.v > LAST({0}.v, 1)",
    "LAST({0}.v, 1) IS NULL OR {0}.v <> LAST({0}.v, 1)",
    "{0}.v < FIRST(A.v)",
    "{0}.v <= FIRST(A.v, 1)",
    "{0}.v > A.v - 2",
    "SUM({0}.v) < 4",
    "SUM(A.v) > {0}.v",
    "COUNT({0}.v) <= 2",
    "COUNT(*) < 4",
    "MIN(A.v) < {0}.v",
    "MAX({0}.v) <= 3 AND {0}.v IS NOT NULL",
    "AVG(A.v) >= {0}.v",
    "AVG(v) < {0}.v",
    "{0}.v BETWEEN MIN(A.v) - 1 AND MAX(A.v) + 1",
    "{0}.ts < FIRST(A.ts) + INTERVAL '30' SECOND",
)


def match(draw, depth: int) -> Query:
    """Patterns of rows in order of their time, which no two rows of a key share."""
    del depth
    pattern = draw(st.sampled_from(PATTERNS))
    skips = ["PAST LAST ROW", "TO NEXT ROW"] + (
        ["TO FIRST B", "TO LAST B"] if pattern.split()[1][:2] not in ("B*", "B?") else []
    )
    conditions = [
        f"{name} AS {draw(st.sampled_from(OF_RUN if draw(st.booleans()) else OF_ROW)).format(name)}"
        for name in "ABCD"
        if name in pattern and draw(st.integers(0, 3))
    ]
    define = f" DEFINE {', '.join(conditions)}" if conditions else " DEFINE A AS TRUE"
    measures = (
        f"A.ts AS c0, {draw(st.sampled_from(['LAST(B.v)', 'NEXT(A.v, 2)', 'MAX(B.v)']))} AS c1, COUNT(*) AS c2, SUM(A.v) AS c3"
    )
    within = draw(st.sampled_from(["", "", " WITHIN INTERVAL '20' SECOND"]))
    if not within and pattern.endswith("?"):
        within = " WITHIN INTERVAL '30' SECOND"
    return Query(
        f"SELECT k, c0, c1, c2, c3 FROM m MATCH_RECOGNIZE (PARTITION BY k ORDER BY ts MEASURES {measures} ONE ROW PER MATCH "
        f"AFTER MATCH SKIP {draw(st.sampled_from(skips))} PATTERN ({pattern}){within}{define})",
        (("k", "S"), ("c0", "T"), ("c1", "I"), ("c2", "I"), ("c3", "I")),
    )


LEAVES = (
    window, window, grouped_window, updated_window, timed_join, timed_join, over, over_rows, window_join, window_top, first_or_last,
    look_up, join_of_three, match, match, neighbours, in_order,
)  # fmt: skip
