"""Queries on which a stream and the batch query once differed, found by generated queries and made small."""

from __future__ import annotations

import pytest
from streams_and_batch import stream_equals_batch

FACTS = [("d", None, None, 22), (None, None, 4, 30), ("a", 2, 4, 48), ("a", 2, 4, 48)]
VERSIONS = [("d", 8, 13), ("a", 2, 16), ("d", 7, 22), ("a", 3, 48), ("d", 1, 44)]
FACTS_OUT_OF_ORDER = [
    ("d", 3, 0, 44),
    ("d", None, None, 53),
    ("d", None, 0, 45),
    (None, None, None, 44),
    ("c", None, None, 48),
    ("c", 0, None, 31),
]

BY_TIME = {
    "interval join": "SELECT q.k, r.v FROM ({}) AS q JOIN f AS r ON q.ts BETWEEN r.ts AND r.ts + INTERVAL '9' SECOND",
    "sums of earlier rows": "SELECT k, SUM(v) OVER (PARTITION BY k ORDER BY ts RANGE BETWEEN INTERVAL '9' SECOND PRECEDING AND CURRENT ROW) AS s "
    "FROM ({}) AS q",
    "first row": "SELECT k, ts FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts) AS rn FROM ({}) AS q) WHERE rn = 1",
    "order of time": "SELECT k, ts FROM ({}) AS q ORDER BY ts",
}

QUERIES = {
    "distinct literal": "SELECT g, COUNT(DISTINCT 'b') AS c FROM f GROUP BY g",
    "distinct literal of all": "SELECT COUNT(DISTINCT 'b') AS c FROM f HAVING COUNT(*) > 0",
    "distinct literal of a window": "SELECT window_end, COUNT(DISTINCT 'b') AS c FROM TABLE(CUMULATE(TABLE f, DESCRIPTOR(ts), "
    "INTERVAL '2' SECOND, INTERVAL '6' SECOND)) GROUP BY window_start, window_end",
    "distinct literal that is taken back": "SELECT COUNT(DISTINCT 'b') AS c, s FROM (SELECT k, SUM(v) AS s FROM f GROUP BY k) GROUP BY s",
    "count of a literal": "SELECT k, COUNT(3) AS c, SUM(1) AS s, SUM(2) FILTER (WHERE v > 1) AS t FROM f GROUP BY k",
    "count of a literal in a window": "SELECT k, COUNT(3) AS c FROM TABLE(SESSION(TABLE f PARTITION BY k, DESCRIPTOR(ts), "
    "INTERVAL '5' SECOND)) GROUP BY k, window_start, window_end",
    "first row by time": "SELECT k, v FROM (SELECT k, v, ROW_NUMBER() OVER (PARTITION BY g, k, v ORDER BY ts) AS rn FROM f) WHERE rn = 1",
    "first row by time and more, joined": "SELECT p.w, r.v FROM p LEFT JOIN (SELECT k, v FROM (SELECT k, v, ROW_NUMBER() OVER "
    "(PARTITION BY g ORDER BY ts, k, v) AS rn FROM f) WHERE rn <= 1) AS r ON p.k = r.k",
    "first row by time with its number": "SELECT k, v, rn FROM (SELECT k, v, ROW_NUMBER() OVER (PARTITION BY g, k, v ORDER BY ts) AS rn "
    "FROM f) WHERE rn = 1",
    "join on the same condition twice": "SELECT f.k, f.v, p.w FROM f JOIN p ON f.k = p.k AND f.k = p.k",
    "left join on the same condition twice": "SELECT f.k, f.v, p.w FROM f LEFT JOIN p ON f.k = p.k AND f.k = p.k",
    "join of changing rows whose times are near": "SELECT p.w, f.g FROM p RIGHT JOIN f ON p.`at` BETWEEN f.ts - INTERVAL '9' SECOND AND f.ts",
    "full join of changing rows of the same time": "SELECT p.w, f.g FROM p FULL JOIN f ON p.`at` = f.ts",
    "join of windows of changing rows": "SELECT l.w, r.v FROM TABLE(TUMBLE(TABLE c, DESCRIPTOR(`at`), INTERVAL '20' SECOND)) AS l LEFT JOIN "
    "TABLE(TUMBLE(TABLE f, DESCRIPTOR(ts), INTERVAL '20' SECOND)) AS r "
    "ON l.window_start = r.window_start AND l.window_end = r.window_end AND l.k = r.k",
    "join of one column with two": "SELECT f.v, r.w FROM f JOIN (SELECT k, w, UPPER(k) AS x FROM p) AS r ON f.k = r.k AND f.k = r.x",
    **{
        f"{name} of joined rows": query.format(
            "SELECT l.k, l.v, l.ts FROM f AS l JOIN (SELECT k, g FROM f) AS r ON l.k = r.k AND l.g = r.g"
        )
        for name, query in BY_TIME.items()
    },
    **{
        f"{name} of rows with windows": query.format(
            "SELECT k, v, ts FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end "
            "ORDER BY v, k, g, ts) AS rn FROM TABLE(TUMBLE(TABLE f, DESCRIPTOR(ts), INTERVAL '20' SECOND))) WHERE rn <= 2"
        )
        for name, query in BY_TIME.items()
    },
    "full join on the same condition twice": "SELECT f.k, f.v, p.w FROM f FULL JOIN p ON f.k = p.k AND f.k = p.k AND f.v > 1",
}


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.parametrize("max_batch_rows", [1, 3, 9])
@pytest.mark.parametrize("facts", [FACTS, FACTS_OUT_OF_ORDER], ids=["in order", "out of order"])
def test_stream_equals_batch(name: str, max_batch_rows: int, facts: list[tuple]) -> None:
    stream_equals_batch(QUERIES[name], facts, VERSIONS, max_batch_rows=max_batch_rows, is_tight=True)
