"""Rows come out in the order that the query says, also when only constants are selected above a sort."""

from __future__ import annotations

import pytest

from tableapi import EnvironmentSettings, TableEnvironment


@pytest.mark.parametrize("read", ["to_polars", "collect"])
def test_a_choice_of_constants_keeps_the_order(read):
    env = TableEnvironment.create(EnvironmentSettings.in_batch_mode())
    env.create_temporary_view("t", env.from_elements([(i,) for i in (9, 2, 7, 4, 5, 6, 3, 8, 1, 0)], ["i"]))
    query = env.sql_query("SELECT CASE WHEN i > 5 THEN 1 ELSE 0 END AS v FROM t ORDER BY i")
    for _ in range(20):
        rows = query.to_polars().rows() if read == "to_polars" else [tuple(r) for r in query.execute().collect()]
        assert rows == [(0,)] * 6 + [(1,)] * 4
