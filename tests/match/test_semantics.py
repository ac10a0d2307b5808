"""What MATCH_RECOGNIZE finds, as small pictures: each quantifier, skip mode, WITHIN and kind of measure, batch and stream."""

import json

import pytest

from tableapi import DataTypes, EnvironmentSettings, TableEnvironment
from tableapi.errors import ExecutionError, TableApiError, UnsupportedError, ValidationError
from tableapi.plan.json_form import plans_from_json, plans_to_json
from tableapi.udf import udf

DDL = """CREATE TABLE t (k STRING, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND)
WITH ('connector'='filesystem','path'='{path}','format'='json')"""


@pytest.fixture(params=["batch", "stream"])
def ask(request, tmp_path):
    """`ask(rows, clauses)`: the result of MATCH_RECOGNIZE over rows `(k, v, second)`, sorted."""

    def run(rows, clauses, select="*"):
        path = tmp_path / "t.json"
        lines = [json.dumps({"k": k, "v": v, "ts": f"2024-01-01 00:{s // 60:02}:{s % 60:02}"}) for k, v, s in rows]
        path.write_text("\n".join(lines) + "\n")
        settings = EnvironmentSettings.in_batch_mode() if request.param == "batch" else EnvironmentSettings.in_streaming_mode()
        env = TableEnvironment.create(settings)
        env.execute_sql(DDL.format(path=path))
        result = env.execute_sql(f"SELECT {select} FROM t MATCH_RECOGNIZE ({clauses})")
        return sorted((tuple(row) for row in result.collect()), key=repr)

    return run


def series(*values):
    """Rows of one partition, a second apart."""
    return [("a", v, i) for i, v in enumerate(values)]


LENGTHS = "ORDER BY ts MEASURES FIRST(A.v) AS f, COUNT(A.v) AS n, B.v AS b AFTER MATCH SKIP PAST LAST ROW"


@pytest.mark.parametrize(
    ("pattern", "values", "expected"),
    [
        ("A B", [1, 9, 1, 1, 9], [(1, 1, 9), (1, 1, 9)]),
        ("A+ B", [1, 2, 9, 9, 3, 9], [(1, 2, 9), (3, 1, 9)]),
        ("A* B", [1, 2, 9, 9], [(1, 2, 9), (None, 0, 9)]),
        ("A? B", [1, 2, 9, 9], [(2, 1, 9), (None, 0, 9)]),
        ("A{2} B", [1, 2, 3, 9], [(2, 2, 9)]),
        ("A{2,} B", [1, 9, 1, 2, 3, 9], [(1, 3, 9)]),
        ("A{1,2} B", [1, 2, 3, 9], [(2, 2, 9)]),
        ("A{,2} B", [1, 2, 3, 9, 9], [(2, 2, 9), (None, 0, 9)]),
        ("A+? B", [1, 2, 9], [(1, 2, 9)]),
    ],
)
def test_quantifiers(ask, pattern, values, expected):
    found = ask(series(*values), f"{LENGTHS} PATTERN ({pattern}) DEFINE A AS A.v < 5, B AS B.v >= 5")
    assert found == sorted(expected, key=repr)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("A+ B", [(1, 3, 9)]), ("A+? B", [(1, 1, 2), (3, 1, 9)]), ("A{2,3}? B", [(1, 2, 3)]), ("A{1,2} B", [(2, 2, 9)])],
)
def test_a_greedy_variable_keeps_every_row_that_it_can_take(ask, pattern, expected):
    """Flink: a row that a greedy loop can take never goes to the next variable, even if that is the only way to match."""
    found = ask(series(1, 2, 3, 9), f"{LENGTHS} PATTERN ({pattern}) DEFINE A AS A.v < 5")
    assert found == expected


def test_a_reluctant_last_variable_stops_at_once(ask):
    found = ask(
        series(1, 6, 7, 1, 6),
        "ORDER BY ts MEASURES A.v AS a, COUNT(B.v) AS n AFTER MATCH SKIP PAST LAST ROW PATTERN (A B+?) DEFINE A AS A.v < 5, B AS B.v > 5",
    )
    assert found == [(1, 1), (1, 1)]


SKIP_ROWS = series(1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    ("skip", "expected"),
    [
        ("", [(1, 3), (2, 4), (3, 5)]),
        ("AFTER MATCH SKIP TO NEXT ROW", [(1, 3), (2, 4), (3, 5)]),
        ("AFTER MATCH SKIP PAST LAST ROW", [(1, 3)]),
        ("AFTER MATCH SKIP TO FIRST C", [(1, 3), (3, 5)]),
        ("AFTER MATCH SKIP TO LAST B", [(1, 3), (2, 4), (3, 5)]),
        ("AFTER MATCH SKIP TO C", [(1, 3), (3, 5)]),
    ],
)
def test_skip_modes(ask, skip, expected):
    assert ask(SKIP_ROWS, f"ORDER BY ts MEASURES A.v AS a, C.v AS c {skip} PATTERN (A B C) DEFINE A AS A.v > 0") == expected


def test_skipping_to_a_variable_without_rows_fails(ask):
    with pytest.raises(ExecutionError, match="no row of 'B'"):
        ask(
            series(1, 9),
            "ORDER BY ts MEASURES A.v AS a AFTER MATCH SKIP TO FIRST B PATTERN (A B? C) DEFINE A AS A.v = 1, B AS B.v = 5, C AS C.v = 9",
        )


def test_skipping_to_the_first_row_fails(ask):
    with pytest.raises(ExecutionError, match="first row of the match"):
        ask(
            series(1, 9),
            "ORDER BY ts MEASURES B.v AS b AFTER MATCH SKIP TO LAST A PATTERN (A+ B) DEFINE A AS A.v = 1",
        )


def test_within_is_exclusive(ask):
    rows = [("a", 1, 0), ("a", 2, 5), ("a", 3, 9)]
    found = ask(rows, "ORDER BY ts MEASURES A.v AS a, B.v AS b PATTERN (A B) WITHIN INTERVAL '5' SECOND DEFINE A AS A.v > 0")
    assert found == [(2, 3)]


def test_an_expired_run_gives_way_to_later_ones(ask):
    """The run of row 1 lasts until its time is over; the match of rows 10 and 11 waits for that."""
    rows = [("a", 1, 0), ("a", 10, 1), ("a", 11, 2), ("a", 5, 3)]
    clauses = (
        "ORDER BY ts MEASURES FIRST(A.v) AS a, LAST(B.v) AS b AFTER MATCH SKIP PAST LAST ROW PATTERN (A B+ C) "
        "WITHIN INTERVAL '1' MINUTE DEFINE B AS B.v > A.v"
    )
    assert ask(rows, clauses) == [(10, 11)]


def test_partitions_do_not_see_each_other(ask):
    rows = [("a", 1, 0), ("b", 1, 1), ("a", 9, 2), ("b", 8, 3), (None, 1, 4), (None, 7, 5)]
    found = ask(
        rows,
        "PARTITION BY k ORDER BY ts MEASURES B.v AS b AFTER MATCH SKIP PAST LAST ROW PATTERN (A B) DEFINE A AS A.v = 1, B AS B.v > 5",
    )
    assert found == sorted([("a", 9), ("b", 8), (None, 7)], key=repr)


def test_measures(ask):
    clauses = (
        "ORDER BY ts MEASURES FIRST(B.v, 1) AS c1, LAST(B.v, 1) AS c2, LAST(B.v, 5) AS c3, SUM(B.v * 10) AS total, "
        "MIN(v) AS low, COUNT(*) AS n, LAST(B.v) - FIRST(B.v) AS diff, v AS c4, MATCH_ROWTIME() AS t, AVG(B.v) AS mean "
        "AFTER MATCH SKIP PAST LAST ROW PATTERN (A B+ C) DEFINE A AS A.v = 0, B AS B.v BETWEEN 1 AND 5, C AS C.v > 5"
    )
    (row,) = ask(series(0, 1, 2, 4, 8), clauses, "c1, c2, c3, total, low, n, diff, c4, CAST(t AS STRING), mean")
    assert row == (2, 2, None, 70, 0, 5, 3, 8, "2024-01-01 00:00:04.000", 2)


def test_conditions_on_earlier_rows(ask):
    clauses = (
        "ORDER BY ts MEASURES FIRST(D.v) AS f, LAST(D.v) AS l, U.v AS u AFTER MATCH SKIP PAST LAST ROW PATTERN (S D+ U) "
        "DEFINE D AS (LAST(D.v, 1) IS NULL AND D.v < S.v) OR D.v < LAST(D.v, 1), U AS U.v > S.v"
    )
    assert ask(series(5, 4, 2, 7, 9, 8, 10), clauses) == [(4, 2, 7), (8, 8, 10)]


def test_conditions_that_python_does_not_know_go_through_polars(ask):
    clauses = (
        "ORDER BY ts MEASURES A.v AS a, B.v AS b AFTER MATCH SKIP PAST LAST ROW PATTERN (A B) "
        "DEFINE B AS ABS(B.v - A.v) = 3 AND COALESCE(LAST(B.v, 1), -1) = -1 AND STDDEV_POP(A.v) = 0"
    )
    assert ask(series(1, 5, 2, 2, 5), clauses) == [(2, 5), (5, 2)]


def test_aggregates_in_conditions(ask):
    clauses = (
        "ORDER BY ts MEASURES COUNT(A.v) AS n, B.v AS b AFTER MATCH SKIP PAST LAST ROW PATTERN (A+ B) "
        "DEFINE A AS SUM(A.v) <= 6, B AS COUNT(*) > 2"
    )
    assert ask(series(1, 2, 3, 4, 7), clauses) == [(3, 4)]


def test_neighbours_of_matched_rows(ask):
    """PREV looks at the row before, part of the match or not."""
    clauses = (
        "ORDER BY ts MEASURES PREV(UP.v, 2) AS p, UP.v AS u AFTER MATCH SKIP PAST LAST ROW PATTERN (UP) "
        "DEFINE UP AS UP.v > PREV(UP.v) AND PREV(UP.v) > PREV(UP.v, 2)"
    )
    assert ask(series(3, 1, 2, 4, 0), clauses) == [(1, 4)]


def test_rows_after_a_matched_row(ask):
    """NEXT looks at the row after, part of the match or not; a stream waits for it."""
    clauses = (
        "ORDER BY ts MEASURES PEAK.v AS v, NEXT(PEAK.v, 2) AS later AFTER MATCH SKIP PAST LAST ROW PATTERN (PEAK) "
        "DEFINE PEAK AS PEAK.v > PREV(PEAK.v) AND PEAK.v > NEXT(PEAK.v)"
    )
    assert ask(series(1, 3, 2, 4, 1), clauses) == [(3, 4), (4, None)]


def test_nulls_do_not_match(ask):
    found = ask(series(None, 1, None, 2), "ORDER BY ts MEASURES A.v AS a PATTERN (A) DEFINE A AS A.v > 0")
    assert found == [(1,), (2,)]


@pytest.mark.parametrize(
    ("clauses", "message"),
    [
        ("ORDER BY ts MEASURES A.v AS a PATTERN (A B+) DEFINE A AS A.v > 0", "greedy quantifier cannot end"),
        ("ORDER BY ts MEASURES A.v AS a PATTERN (A B+ C? D) DEFINE A AS A.v > 0", "cannot follow the greedy B+"),
        ("ORDER BY ts MEASURES A.v AS a PATTERN (A?) DEFINE A AS A.v > 0", "matches no rows"),
        ("ORDER BY ts MEASURES A.v AS a PATTERN (A B?? C) DEFINE A AS A.v > 0", "reluctant optional"),
        ("ORDER BY ts MEASURES A.v AS a PATTERN (A B A) DEFINE A AS A.v > 0", "stands twice"),
        ("ORDER BY ts MEASURES A.v AS a PATTERN (A | B) DEFINE A AS A.v > 0", "alternative"),
        ("ORDER BY ts MEASURES A.v AS a PATTERN ((A B)+ C) DEFINE A AS A.v > 0", "quantifier on a group"),
        ("ORDER BY ts MEASURES A.v AS a PATTERN (A {- B -} C) DEFINE A AS A.v > 0", "exclusion"),
        ("ORDER BY ts MEASURES A.v AS a PATTERN (PERMUTE(A, B)) DEFINE A AS A.v > 0", "PERMUTE"),
        ("ORDER BY ts MEASURES A.v AS a PATTERN (^ A) DEFINE A AS A.v > 0", "anchor"),
        ("ORDER BY ts MEASURES A.v AS a ALL ROWS PER MATCH PATTERN (A) DEFINE A AS A.v > 0", "ALL ROWS PER MATCH"),
        ("ORDER BY ts MEASURES A.v AS a PATTERN (A B) SUBSET S = (A, B) DEFINE A AS A.v > 0", "SUBSET"),
        ("ORDER BY ts MEASURES CLASSIFIER() AS a PATTERN (A) DEFINE A AS A.v > 0", "CLASSIFIER"),
        ("ORDER BY ts MEASURES A.v AS a AFTER MATCH SKIP TO LAST X PATTERN (A) DEFINE A AS A.v > 0", "'X'"),
        ("ORDER BY ts MEASURES A.v AS a AFTER MATCH SKIP TO FIRST A PATTERN (A B) DEFINE A AS A.v > 0", "again and again"),
        ("ORDER BY ts MEASURES C.v AS a PATTERN (A) DEFINE A AS A.v > 0", "'C' is no pattern variable"),
        ("ORDER BY ts MEASURES SUM(A.v + B.v) AS a PATTERN (A B) DEFINE A AS A.v > 0", "columns of A and of B"),
        ("ORDER BY ts MEASURES SUM(DISTINCT A.v) AS a PATTERN (A B) DEFINE A AS A.v > 0", "DISTINCT"),
        ("ORDER BY ts MEASURES A.v AS a, B.v AS a PATTERN (A B) DEFINE A AS A.v > 0", "two columns called 'a'"),
        ("ORDER BY ts DESC MEASURES A.v AS a PATTERN (A) DEFINE A AS A.v > 0", "ascending"),
        ("ORDER BY v MEASURES A.v AS a PATTERN (A) DEFINE A AS A.v > 0", "rowtime or proctime attribute"),
        ("MEASURES A.v AS a PATTERN (A) DEFINE A AS A.v > 0", "needs ORDER BY"),
    ],
)
def test_what_is_refused(ask, clauses, message):
    with pytest.raises((UnsupportedError, ValidationError, TableApiError), match=message.replace("+", r"\+")):
        ask(series(1, 2), clauses)


TICKS = [(k, v, i) for i, (k, v) in enumerate([("a", 1), ("b", 5), ("a", 4), ("b", 3), ("a", 2), ("b", 8), ("a", 9), ("b", 2)])]


def test_counting_matches_needs_no_measure(ask):
    clauses = "ORDER BY ts MEASURES A.v AS a AFTER MATCH SKIP PAST LAST ROW PATTERN (A B) DEFINE B AS B.v > A.v"
    assert ask(TICKS, clauses, "COUNT(*)")[-1] == (2,)


@pytest.mark.parametrize("parallelism", [1, 2])
def test_a_whole_program(tmp_path, parallelism):
    """A Python function in both clauses, a computed input, and a window over MATCH_ROWTIME()."""
    path = tmp_path / "t.json"
    path.write_text("".join(json.dumps({"k": k, "v": v, "ts": f"2024-01-01 00:00:{s:02}"}) + "\n" for k, v, s in TICKS))
    env = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    env.get_config().set("parallelism.default", str(parallelism))
    env.execute_sql(DDL.format(path=path))
    env.create_temporary_function("twice", udf(lambda x: 2 * x, result_type=DataTypes.INT()))
    result = env.execute_sql(
        """
        WITH m AS (
          SELECT * FROM (SELECT k, v + 1 AS w, ts FROM t) MATCH_RECOGNIZE (
            PARTITION BY k ORDER BY ts MEASURES twice(A.w) AS a, B.w AS b, MATCH_ROWTIME() AS rt
            AFTER MATCH SKIP PAST LAST ROW PATTERN (A B) DEFINE A AS twice(A.w) > 2, B AS B.w > A.w))
        SELECT window_start, COUNT(*), SUM(a), SUM(b) FROM TABLE(TUMBLE(TABLE m, DESCRIPTOR(rt), INTERVAL '1' MINUTE))
        GROUP BY window_start, window_end
        """
    )
    assert [tuple(row)[1:] for row in result.collect()] == [(3, 18, 24)]


def test_a_match_can_be_stored_as_a_plan():
    env = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    env.execute_sql(DDL.format(path="/nowhere"))
    table = env.sql_query(
        "SELECT * FROM t MATCH_RECOGNIZE (PARTITION BY k ORDER BY ts MEASURES SUM(B.v) AS s AFTER MATCH SKIP TO LAST B "
        "PATTERN (A B{2,}? C) WITHIN INTERVAL '5' SECOND DEFINE B AS B.v > A.v, C AS C.v > PREV(C.v)) AS m"
    )
    plan = table._relation.node
    assert plans_from_json(plans_to_json([plan])) == (plan,)
    text = table.explain()
    assert "pattern=(A B{2,}? C), within=5 s, skip=TO LAST B, define=[B AS (B.v > A.v), C AS (C.v > C.$lag)]" in text
    assert "SUM(v) OVER B AS s" in text


def test_a_definition_of_no_variable_of_the_pattern_is_passed_over(ask):
    found = ask(series(1, 2), "ORDER BY ts MEASURES A.v AS a AFTER MATCH SKIP PAST LAST ROW PATTERN (A) DEFINE C AS C.v > 7")
    assert found == [(1,), (2,)]
