"""Goal: whatever text comes in, only errors of this library come out, and soon.

Every text is made from its seed alone; a failure shows the seed. Found ones are kept in `FOUND`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fuzz.driving import failure, failures, front_end
from tests.fuzz.generator import bank, text_of
from tests.fuzz.typed import compute, grown

FIRST_SEED = 20_240_229
SLICE = 10_000

FOUND = [
    "SELECT SUM(qty) OVER (ORDER BY ts ROWS BETWEEN CURRENT ROW AND TIME '10:11:12' FOLLOWING) FROM orders",
    "SELECT SUM(qty) OVER (ORDER BY ts ROWS BETWEEN 'b' PRECEDING AND CURRENT ROW) FROM orders",
    "SELECT SUM(qty) OVER (ORDER BY ts ROWS BETWEEN NULL PRECEDING AND CURRENT ROW) FROM orders",
    "SELECT MAP_KEYS(NULL)",
    "SELECT CAST(2.5 AS DECIMAL(38, 18)) = 12345678901",
]
FOUND_EXPRESSIONS = [
    "MAP_UNION(NULL)",
    "IS_DECIMAL(ARRAY['a', NULL])",
    "IS_DIGIT(ARRAY[ROW(1, 2)])",
    "ROW()",
    "PRINTF('%s', ARRAY[1])",
]


def typed(seeds: range) -> Iterator[tuple[int, str]]:
    """500 well-typed expressions for each seed."""
    return ((seed, sql) for seed in seeds for sql in grown(seed, 500))


@pytest.mark.parametrize("text", FOUND)
def test_texts_that_once_failed(text: str) -> None:
    assert failure(front_end(), text) is None


@pytest.mark.parametrize("sql", FOUND_EXPRESSIONS)
def test_expressions_that_once_failed(sql: str) -> None:
    assert failure(compute, sql) is None


def test_parser_and_binder() -> None:
    seeds = range(FIRST_SEED, FIRST_SEED + 2500)
    assert not failures(front_end(bank()), ((seed, text_of(seed)) for seed in seeds))


def test_typed_expressions() -> None:
    assert not failures(compute, typed(range(FIRST_SEED, FIRST_SEED + 1)))


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 200_000, SLICE))
def test_parser_and_binder_at_length(start: int) -> None:
    assert not failures(front_end(bank()), ((seed, text_of(seed)) for seed in range(start, start + SLICE)))


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 40, 4))
def test_typed_expressions_at_length(start: int) -> None:
    assert not failures(compute, typed(range(start, start + 4)))
