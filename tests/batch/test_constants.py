"""Constant expressions are computed while planning, with the values, and the errors, that they have at run time."""

from __future__ import annotations

import datetime
import random
import re
from decimal import Decimal

import polars as pl
import pytest

from tableapi import EnvironmentSettings, TableEnvironment
from tableapi.errors import TableApiError
from tableapi.functions.patterns import like_regex


@pytest.fixture
def env() -> TableEnvironment:
    env = TableEnvironment.create(EnvironmentSettings.in_batch_mode())
    frame = pl.DataFrame({"id": [1, 2, 3], "born": [datetime.date(2024, 1, d) for d in (1, 2, 3)], "word": ["abc", "", None]})
    env.create_temporary_view("t", env.from_polars(frame))
    return env


def plan_of(env: TableEnvironment, query: str) -> str:
    return env.sql_query(query).explain().split("Optimized Physical Plan")[1]


@pytest.mark.parametrize(
    ("condition", "shown"),
    [
        ("born < DATE '2024-01-01' + INTERVAL '2' DAY", "(born < 2024-01-03)"),
        ("id = CAST('2' AS INT)", "(id = 2)"),
        ("word = UPPER('ab') || LOWER('C')", "(word = 'ABc')"),
        ("id + 1 * 2 > 3", "((id + 2) > 3)"),
        ("CASE WHEN 1 > 2 THEN id ELSE 3 END = 3", "CASE(FALSE, id, 3)"),
    ],
)
def test_constants_are_computed_in_the_plan(env: TableEnvironment, condition: str, shown: str) -> None:
    assert shown in plan_of(env, f"SELECT id FROM t WHERE {condition}")


@pytest.mark.parametrize(
    "call", ["CURRENT_TIMESTAMP", "LOCALTIMESTAMP", "CURRENT_DATE", "NOW()", "UNIX_TIMESTAMP()", "RAND()", "UUID()"]
)
def test_the_clock_and_chance_are_not(env: TableEnvironment, call: str) -> None:
    text = plan_of(env, f"SELECT CAST({call} AS STRING) || 'x' AS v FROM t")
    assert "()" in text.split("Inline")[0]


def test_an_expression_that_fails_does_so_when_it_is_evaluated_and_not_before(env: TableEnvironment) -> None:
    failing = "CAST('no number' AS INT)"
    assert "no number" in plan_of(env, f"SELECT {failing} AS v FROM t")
    assert env.sql_query(f"SELECT {failing} AS v FROM t WHERE id > 5").to_polars().height == 0
    assert env.sql_query(f"SELECT CASE WHEN id < 0 THEN {failing} ELSE 0 END AS v FROM t").to_polars()["v"].to_list() == [
        0,
        0,
        0,
    ]
    with pytest.raises(TableApiError, match="no number"):
        env.sql_query(f"SELECT {failing} AS v FROM t").to_polars()


def test_a_condition_that_is_never_true_reads_nothing(env: TableEnvironment) -> None:
    for condition in ("1 = 2", "CAST(NULL AS INT) > 1"):
        assert "Values" in plan_of(env, f"SELECT id FROM t WHERE {condition}")
        assert env.sql_query(f"SELECT COUNT(*) AS c FROM t WHERE {condition}").to_polars()["c"].to_list() == [0]


def test_substring_and_left_with_constant_bounds_agree_with_those_of_columns(env: TableEnvironment) -> None:
    bounds = pl.DataFrame(
        {"a": [a for a in range(-5, 6) for _ in range(-1, 6)], "n": [n for _ in range(-5, 6) for n in range(-1, 6)]}
    )
    env.create_temporary_view("b", env.from_polars(bounds))
    for text in ("hello", "äöü", "", "a"):
        by_row = env.sql_query(
            f"SELECT a, n, SUBSTRING('{text}', a, n) AS s, SUBSTRING('{text}', a) AS r, `LEFT`('{text}', n) AS l FROM b"
        )
        for a, n, s, r, left in by_row.to_polars().rows():
            query = f"SELECT SUBSTRING(x, {a}, {n}) AS s, SUBSTRING(x, {a}) AS r, `LEFT`(x, {n}) AS l FROM (VALUES ('{text}')) AS v(x)"
            assert env.sql_query(query).to_polars().rows() == [(s, r, left)], (text, a, n)


def test_like_with_a_constant_pattern_finds_what_the_whole_expression_matches(env: TableEnvironment) -> None:
    source = random.Random(3)
    words = ["".join(source.choice("ab\n_%") for _ in range(source.randint(0, 6))) for _ in range(60)]
    env.create_temporary_view("w", env.from_polars(pl.DataFrame({"x": words})))
    for _ in range(60):
        pattern = "".join(source.choice("ab_%%") for _ in range(source.randint(0, 6)))
        for escape in ("", " ESCAPE '!'"):
            found = env.sql_query(f"SELECT x FROM w WHERE x LIKE '{pattern}'{escape}").to_polars()["x"].to_list()
            expected = [x for x in words if re.fullmatch(like_regex(pattern, None), x)]
            assert found == expected, (pattern, escape)


def test_sums_and_counts_are_shared_and_groups_without_values_are_null(env: TableEnvironment) -> None:
    frame = pl.DataFrame(
        {
            "k": [1, 1, 2, 2, 3],
            "i": [1, None, None, None, 5],
            "d": [Decimal("1.10"), Decimal("2.25"), None, None, Decimal("7.00")],
        },
        schema={"k": pl.Int64, "i": pl.Int32, "d": pl.Decimal(7, 2)},
    )
    env.create_temporary_view("g", env.from_polars(frame))
    select = "SUM(i) AS si, AVG(i) AS ai, COUNT(i) AS ci, SUM(d) AS sd, AVG(d) AS ad, COUNT(d) AS cd, SUM(d) FILTER (WHERE i > 1) AS sf, COUNT(DISTINCT i) AS di"
    rows = env.sql_query(f"SELECT k, {select} FROM g GROUP BY k ORDER BY k").to_polars().rows()
    one, two, three = (tuple(Decimal(x) if isinstance(x, str) else x for x in row) for row in (
        (1, 1, 1, 1, "3.35", "1.675000", 2, None, 1),
        (2, None, None, 0, None, None, 0, None, 0),
        (3, 5, 5, 1, "7.00", "7.000000", 1, "7.00", 1),
    ))  # fmt: skip
    assert rows == [one, two, three]
    (whole,) = env.sql_query(f"SELECT {select} FROM g WHERE k = 2").to_polars().rows()
    assert whole == two[1:]
