"""Windows of the Table API give what their SQL forms give."""

from __future__ import annotations

import datetime

import pytest

from tableapi.errors import UnsupportedError, ValidationError
from tableapi.expressions import CURRENT_ROW, UNBOUNDED_RANGE, UNBOUNDED_ROW, col, lit, row_interval
from tableapi.window import Over, Session, Slide, Tumble

ROWS = "\n".join(
    f'{{"k": "{k}", "v": {v}, "ts": "2024-01-01 00:00:{s:02}"}}'
    for k, v, s in [("a", 1, 1), ("b", 2, 3), ("a", 3, 7), ("a", 4, 12), ("b", 5, 14), ("a", 6, 31)]
)


@pytest.fixture
def events(env, tmp_path):
    (tmp_path / "events.json").write_text(ROWS)
    env.execute_sql(
        "CREATE TABLE events (k STRING, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '2' SECOND) "
        f"WITH ('connector' = 'filesystem', 'path' = '{tmp_path}', 'format' = 'json')"
    )
    return env.from_path("events")


def at(second):
    return datetime.datetime(2024, 1, 1, 0, second // 60, second % 60)


def test_tumble(events, rows):
    result = (
        events.window(Tumble.over(lit(10).seconds).on(col("ts")).alias("w"))
        .group_by(col("w"), col("k"))
        .select(col("k"), col("w").start.alias("s"), col("w").end.alias("e"), col("v").sum.alias("n"))
    )
    assert rows(result) == [
        ("a", at(0), at(10), 4),
        ("a", at(10), at(20), 4),
        ("a", at(30), at(40), 6),
        ("b", at(0), at(10), 2),
        ("b", at(10), at(20), 5),
    ]


def test_slide(events, rows):
    result = (
        events.window(Slide.over(lit(20).seconds).every(lit(10).seconds).on(col("ts")).alias("w"))
        .group_by(col("w"))
        .select(col("w").start.alias("s"), col("v").sum.alias("n"))
    )
    assert rows(result) == [
        (datetime.datetime(2023, 12, 31, 23, 59, 50), 6),
        (at(0), 15),
        (at(10), 9),
        (at(20), 6),
        (at(30), 6),
    ]


def test_session_has_the_plan_of_its_key(events):
    result = (
        events.window(Session.with_gap(lit(8).seconds).on(col("ts")).alias("w"))
        .group_by(col("w"), col("k"))
        .select(col("k"), col("w").start.alias("s"), col("v").sum.alias("n"))
    )
    assert "partition=[k]" in result.explain() or "SESSION" in result.explain()


def test_keys_with_names(events, rows):
    result = (
        events.window(Tumble.over(lit(1).minutes).on(col("ts")).alias("w"))
        .group_by(col("w"), (col("v") % 2).alias("odd"))
        .select(col("odd"), col("v").sum.alias("n"))
    )
    assert rows(result) == [(0, 12), (1, 9)]


def test_over_windows_of_rows(stream, rows, tmp_path):
    (tmp_path / "events.json").write_text(ROWS)
    stream.execute_sql(
        "CREATE TABLE events (k STRING, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '2' SECOND) "
        f"WITH ('connector' = 'filesystem', 'path' = '{tmp_path}', 'format' = 'json')"
    )
    events = stream.from_path("events")
    window = Over.partition_by(col("k")).order_by(col("ts")).preceding(row_interval(1)).following(CURRENT_ROW).alias("w")
    ours = events.over_window(window).select(col("k"), col("v"), col("v").sum.over(col("w")).alias("s"))
    theirs = stream.sql_query(
        "SELECT k, v, SUM(v) OVER (PARTITION BY k ORDER BY ts ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS s FROM events"
    )
    assert ours._plan() == theirs._plan()


def test_over_bounds():
    ordered = Over.order_by(col("ts"))
    assert ordered.alias("w").frame().is_rows is False
    assert ordered.preceding(UNBOUNDED_ROW).alias("w").frame().is_rows
    assert not ordered.preceding(UNBOUNDED_RANGE).alias("w").frame().is_rows
    assert not ordered.preceding(lit(5).seconds).alias("w").frame().is_rows
    with pytest.raises(ValidationError, match="both be rows"):
        ordered.preceding(UNBOUNDED_RANGE).following(CURRENT_ROW).alias("w").frame()


def test_windows_that_are_refused(events):
    with pytest.raises(ValidationError, match="needs a name"):
        events.window(Tumble.over(lit(1).minutes).on(col("ts")))
    with pytest.raises(ValidationError, match="exactly once"):
        events.window(Tumble.over(lit(1).minutes).on(col("ts")).alias("w")).group_by(col("k"))
    with pytest.raises(UnsupportedError, match="processing-time"):
        events.window(Tumble.over(row_interval(2)).on(col("ts")).alias("w")).group_by(col("w")).select(col("v").sum)


def test_windows_of_rows(stream, rows, tmp_path):
    """Only full windows give rows; each key counts for itself."""
    (tmp_path / "events.json").write_text(ROWS)
    stream.execute_sql(
        "CREATE TABLE events (k STRING, v INT, pt AS PROCTIME()) "
        f"WITH ('connector' = 'filesystem', 'path' = '{tmp_path}', 'format' = 'json')"
    )
    events = stream.from_path("events")
    twos = events.window(Tumble.over(row_interval(2)).on(col("pt")).alias("w"))
    assert rows(twos.group_by(col("w")).select(col("v").sum.alias("s"), col("v").count)) == [(11, 2), (3, 2), (7, 2)]
    assert rows(twos.group_by(col("w"), col("k")).select(col("k"), col("v").sum.alias("s"))) == [("a", 10), ("a", 4), ("b", 7)]
    sliding = events.window(Slide.over(row_interval(3)).every(row_interval(2)).on(col("pt")).alias("w"))
    assert rows(sliding.group_by(col("w")).select(col("v").min.alias("lo"), col("v").max.alias("hi"))) == [(1, 3), (3, 5)]
    with pytest.raises(ValidationError, match="no start"):
        twos.group_by(col("w")).select(col("w").start)


def test_a_running_total_over_processing_time_counts_row_by_row(stream, rows, tmp_path):
    """RANGE from the first row is the default frame; rows of one millisecond are still no peers."""
    (tmp_path / "events.json").write_text(ROWS)
    stream.execute_sql(
        "CREATE TABLE events (k STRING, v INT, pt AS PROCTIME()) "
        f"WITH ('connector' = 'filesystem', 'path' = '{tmp_path}', 'format' = 'json')"
    )
    counted = stream.sql_query("SELECT k, v, COUNT(*) OVER (PARTITION BY k ORDER BY pt) AS n FROM events")
    numbers = [n for k, v, n in rows(counted) if k == "a"]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))


def test_a_query_can_be_split_into_sessions(env, events, rows):
    sessions = env.sql_query(
        "SELECT k, COUNT(*) AS n FROM TABLE(SESSION((SELECT * FROM events WHERE v > 0) PARTITION BY k, DESCRIPTOR(ts), "
        "INTERVAL '1' HOUR)) GROUP BY k, window_start, window_end"
    )
    assert {k for k, _ in rows(sessions)} == {k for k, *_ in rows(events)}


def test_what_a_stream_refuses_of_window_functions(stream, rows, tmp_path):
    (tmp_path / "events.json").write_text(ROWS)
    stream.execute_sql(
        "CREATE TABLE events (k STRING, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '2' SECOND) "
        f"WITH ('connector' = 'filesystem', 'path' = '{tmp_path}', 'format' = 'json')"
    )
    uneven = "INTERVAL '25' SECOND, INTERVAL '1' MINUTE"
    function = f"TABLE(HOP(TABLE events, DESCRIPTOR(ts), {uneven}))"
    with pytest.raises(ValidationError, match="multiple of its slide"):
        rows(stream.sql_query(f"SELECT COUNT(*) FROM {function} GROUP BY window_start, window_end"))
    assert rows(stream.sql_query(f"SELECT k, window_start FROM {function}"))
    assert rows(stream.sql_query(f"SELECT COUNT(*) FROM events GROUP BY HOP(ts, {uneven})"))
    joined = "(SELECT a.ts FROM events a JOIN events b ON a.k = b.k)"
    with pytest.raises(UnsupportedError, match="after a regular join"):
        rows(
            stream.sql_query(
                f"SELECT COUNT(*) FROM TABLE(TUMBLE({joined}, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end"
            )
        )
    with pytest.raises(UnsupportedError, match="after a regular join"):
        rows(
            stream.sql_query(
                f"SELECT * FROM {joined} MATCH_RECOGNIZE (ORDER BY ts MEASURES A.ts AS t PATTERN (A) DEFINE A AS TRUE)"
            )
        )
