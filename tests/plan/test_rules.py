"""The optimiser's rules: each query becomes the plan written beside it, and every step on the way is a valid plan."""

from __future__ import annotations

from pathlib import Path

import pytest
from plan_fixtures import BOUNDED_FOLDER, EVALUATE, FOLDER, Fixture, bounded_text, environment, logical, optimized_text, read

from tableapi.plan.explain import plan_text
from tableapi.plan.rules import (
    BOUNDED,
    BY_CHANGES,
    LOGICAL,
    READERS,
    STREAMING,
    SUBQUERIES,
    WINDOWS,
    optimize,
    optimize_bounded,
)

FILES = sorted(FOLDER.glob("*.txt"))
CASES = [(path, fixture) for path in FILES for fixture in read(path)]
BOUNDED_CASES = [(path, fixture) for path in sorted(BOUNDED_FOLDER.glob("*.txt")) for fixture in read(path)]


@pytest.mark.parametrize(("path", "fixture"), CASES, ids=[f"{p.stem}-{f.name}" for p, f in CASES])
def test_a_query_becomes_its_plan(path: Path, fixture: Fixture) -> None:
    assert optimized_text(fixture) == fixture.expected


@pytest.mark.parametrize(("path", "fixture"), CASES, ids=[f"{p.stem}-{f.name}" for p, f in CASES])
def test_optimizing_again_changes_nothing(path: Path, fixture: Fixture) -> None:
    final = optimize(logical(environment(is_streaming=True), fixture.sql), is_streaming=True, evaluate=EVALUATE)
    assert plan_text(optimize(final, is_streaming=True, evaluate=EVALUATE)) == plan_text(final)


def test_every_rule_is_used_by_some_fixture() -> None:
    """Goal: no rule is dead or untested."""
    used: set[str] = set()
    for _, fixture in CASES:
        plan = logical(environment(is_streaming=True), fixture.sql)
        optimize(plan, is_streaming=True, check=lambda changed, rule: used.add(rule.__name__), evaluate=EVALUATE)
    rules = {r.__name__ for r in (*SUBQUERIES, *LOGICAL, *WINDOWS, *BY_CHANGES, *STREAMING)}
    assert rules - used <= {"remove_true_filter", "versions_filter", "limit_of_sort_through_project"}


@pytest.mark.parametrize(("path", "fixture"), BOUNDED_CASES, ids=[f"{p.stem}-{f.name}" for p, f in BOUNDED_CASES])
def test_bounded_queries_become_their_plans(path: Path, fixture: Fixture) -> None:
    assert bounded_text(fixture) == fixture.expected


def test_every_bounded_rule_is_used_by_some_fixture() -> None:
    """Goal: no rule is dead or untested."""
    used: set[str] = set()
    for _, fixture in BOUNDED_CASES:
        plans = [logical(environment(is_streaming=False), sql) for sql in fixture.sql.split(";")]
        optimize_bounded(plans, check=lambda changed, rule: used.add(rule.__name__))
    assert {r.__name__ for r in (*BOUNDED, *READERS)} - {r.__name__ for r in LOGICAL} <= used
