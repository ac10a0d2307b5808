"""Goal: a condition on rows matched before means the same in the compiled search and where it is tested row by row."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tableapi import DataTypes, EnvironmentSettings, TableEnvironment
from tableapi.runtime.match import search
from tableapi.runtime.match.matcher import Matcher

CONDITIONS = [
    "B.v >= LAST(A.v)",
    "LAST(B.v, 1) IS NULL OR NOT B.v <= LAST(B.v, 1)",
    "B.v < FIRST(B.v, 1) AND B.v IS NOT NULL",
    "SUM(B.v) + A.v < 4",
    "SUM(A.v) * 1000000000 < B.v * 3",
    "COUNT(B.v) <= 2 AND COUNT(*) < 5",
    "MIN(B.v) < A.v OR MAX(A.v) > B.v",
    "AVG(B.v) >= A.v",
    "AVG(v) < B.v",
    "B.ts < FIRST(A.ts) + INTERVAL '5' SECOND",
    "B.d > A.d + 0.5E0",
    "SUM(B.d) < 3E0",
    "B.d * 2E0 >= A.v",
    "B.b = A.b",
    "B.b AND NOT A.b",
    "CAST(B.v AS BIGINT) - A.v > 1",
]

row = st.tuples(
    st.sampled_from("kl"),
    st.one_of(st.none(), st.integers(-3, 3)),
    st.one_of(st.none(), st.sampled_from([-1.5, 0.0, 0.25, 2.0])),
    st.one_of(st.none(), st.booleans()),
)


@pytest.mark.parametrize("condition", CONDITIONS)
@given(
    rows=st.lists(row, min_size=1, max_size=14),
    pattern=st.sampled_from(["A B+ C", "A+ B", "A B* C", "A B+? C", "A B{2} C"]),
    is_past=st.booleans(),
)
def test_compiled_and_row_by_row_agree(condition: str, rows: list[tuple], pattern: str, is_past: bool) -> None:
    env = TableEnvironment.create(EnvironmentSettings.in_batch_mode())
    columns = {"k": DataTypes.STRING(), "v": DataTypes.INT(), "d": DataTypes.DOUBLE(), "b": DataTypes.BOOLEAN()}
    schema = DataTypes.ROW([DataTypes.FIELD(n, t) for n, t in {**columns, "ts": DataTypes.TIMESTAMP(3)}.items()])
    start = datetime(2024, 1, 1)
    table = env.from_elements([(*r, start + timedelta(seconds=i)) for i, r in enumerate(rows)], schema)
    env.create_temporary_view("m", table)
    skip = "PAST LAST ROW" if is_past else "TO NEXT ROW"
    query = env.sql_query(
        "SELECT * FROM m MATCH_RECOGNIZE (PARTITION BY k ORDER BY ts MEASURES FIRST(A.ts) AS a, COUNT(*) AS n "
        f"AFTER MATCH SKIP {skip} PATTERN ({pattern}) DEFINE B AS {condition})"
    )
    used = []
    chosen = search.searcher

    def row_by_row(matcher: Matcher) -> search.RunSearch:
        used.append(chosen(matcher))
        return search.RunSearch(matcher)

    found = list(query.execute().collect())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "searcher", row_by_row)
        assert list(query.execute().collect()) == found
    assert [type(s) for s in used] == [search.KernelSearch]


def test_a_text_is_tested_row_by_row() -> None:
    env = TableEnvironment.create(EnvironmentSettings.in_batch_mode())
    env.execute_sql(
        "CREATE VIEW m AS SELECT * FROM (VALUES ('x', TIMESTAMP '2024-01-01 00:00:01'), ('x', TIMESTAMP '2024-01-01 00:00:02')) AS t(w, ts)"
    )
    found = env.sql_query(
        "SELECT * FROM m MATCH_RECOGNIZE (ORDER BY ts MEASURES A.w AS a, B.w AS b PATTERN (A B) DEFINE B AS B.w = A.w)"
    )
    assert [tuple(r) for r in found.execute().collect()] == [("x", "x")]
