"""Joins, Top-N and deduplication per window, over all kinds of windows: as a stream they give what they give as batch, and only ever add rows."""

import datetime
import random

import pytest

from tableapi import EnvironmentSettings, TableEnvironment

WINDOWS = {
    "TUMBLE": "INTERVAL '10' SECOND",
    "TUMBLE offset": "INTERVAL '10' SECOND, INTERVAL '3' SECOND",
    "HOP": "INTERVAL '5' SECOND, INTERVAL '10' SECOND",
    "CUMULATE": "INTERVAL '5' SECOND, INTERVAL '10' SECOND",
    "SESSION": "INTERVAL '3' SECOND",
}
ON = "l.k = r.k AND l.window_start = r.window_start AND l.window_end = r.window_end"
JOINS = {
    "inner": "SELECT l.v, r.v, l.window_start FROM l JOIN r ON {on}",
    "inner with a residual": "SELECT l.v, r.v, l.window_start FROM l JOIN r ON {on} AND l.v < r.v",
    "left": "SELECT l.v, r.v, l.window_start FROM l LEFT JOIN r ON {on}",
    "right": "SELECT l.v, r.v, r.window_end FROM l RIGHT JOIN r ON {on}",
    "full": "SELECT l.v, r.v, l.window_start, r.window_start FROM l FULL JOIN r ON {on}",
    "semi": "SELECT v, window_start FROM l WHERE EXISTS (SELECT * FROM r WHERE {on})",
    "anti": "SELECT v, window_start FROM l WHERE NOT EXISTS (SELECT * FROM r WHERE {on})",
}
RANKS = {
    "top": "SELECT v, k, rn FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY v DESC) AS rn FROM l) "
    "WHERE rn <= 2",
    "top by key": "SELECT v, window_end FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end, k ORDER BY v) AS rn "
    "FROM l) WHERE rn <= 2",
    "first": "SELECT v, window_start FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end, k ORDER BY ts) AS rn "
    "FROM l) WHERE rn = 1",
    "last": "SELECT v, window_start FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end, k ORDER BY ts DESC) AS rn "
    "FROM l) WHERE rn = 1",
    "top of an aggregation": "SELECT k, n FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY n DESC, k) AS rn "
    "FROM (SELECT k, window_start, window_end, SUM(v) AS n FROM l GROUP BY k, window_start, window_end)) WHERE rn = 1",
}


def result(tmp_path, query, window, is_streaming, parallelism=1, max_batch_rows=65_536):
    settings = EnvironmentSettings.in_streaming_mode() if is_streaming else EnvironmentSettings.in_batch_mode()
    env = TableEnvironment.create(settings)
    env.get_config().set("parallelism.default", str(parallelism))
    env.get_config().set("pipeline.max-batch-rows", str(max_batch_rows))
    env.get_config().set("pipeline.check-edges", "true")
    kind, partition = window.split()[0], " PARTITION BY k" if window == "SESSION" else ""
    for name in ("l", "r"):
        env.execute_sql(
            f"CREATE TABLE {name}_rows (k STRING, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) "
            f"WITH ('connector' = 'filesystem', 'path' = '{tmp_path / name}', 'format' = 'csv')"
        )
        env.execute_sql(
            f"CREATE VIEW {name} AS SELECT * FROM TABLE({kind}(TABLE {name}_rows{partition}, DESCRIPTOR(ts), {WINDOWS[window]}))"
        )
    table = env.sql_query(query.format(on=ON))
    rows = [(str(r.get_row_kind()), *r) for r in table.execute().collect()]
    assert all(kind == "+I" for kind, *_ in rows)
    return sorted((row[1:] for row in rows), key=str), table.explain() if is_streaming else ""


@pytest.fixture
def tables(tmp_path):
    """Rows whose times are out of order by up to the watermark's delay. Both sides have rows of key a at the same times: equal sessions."""
    rng = random.Random(3)
    times = sorted((rng.randrange(90_000), rng.randrange(5_000), rng.choice("abc")) for _ in range(40))
    rows = [(k, datetime.datetime(2024, 3, 10, 8) + datetime.timedelta(milliseconds=t + d)) for t, d, k in times]
    others = [row for row in rows if row[0] == "a" or rng.random() < 0.4]
    for name, first, side in (("l", 0, rows), ("r", 10, others)):
        (tmp_path / name).write_text("".join(f"{k},{first + i},{t}\n" for i, (k, t) in enumerate(side)))
    return tmp_path


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("kind", JOINS)
def test_window_joins(tables, kind, window):
    expected, _ = result(tables, JOINS[kind], window, is_streaming=False)
    assert expected
    rows, plan = result(tables, JOINS[kind], window, True, max_batch_rows=7)
    assert "WindowJoin(" in plan
    assert rows == expected


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("kind", RANKS)
def test_ranks_of_windows(tables, kind, window):
    expected, _ = result(tables, RANKS[kind], window, is_streaming=False)
    assert expected
    rows, plan = result(tables, RANKS[kind], window, True, max_batch_rows=5)
    assert "WindowRank" in plan
    assert rows == expected


@pytest.mark.parametrize("parallelism", [2, 3])
def test_several_workers(tables, parallelism):
    for query in (JOINS["full"], RANKS["top by key"]):
        for window in ("HOP", "SESSION"):
            expected, _ = result(tables, query, window, is_streaming=False)
            assert result(tables, query, window, True, parallelism, 6)[0] == expected
