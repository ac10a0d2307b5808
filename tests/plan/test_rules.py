"""The optimiser's rules: each query becomes the plan written beside it, and every step on the way is a valid plan."""

from __future__ import annotations

from pathlib import Path

import pytest
from plan_fixtures import FOLDER, Fixture, environment, logical, optimized_text, read

from tableapi.plan.explain import plan_text
from tableapi.plan.rules import LOGICAL, STREAMING, SUBQUERIES, WINDOWS, optimize

FILES = sorted(FOLDER.glob("*.txt"))
CASES = [(path, fixture) for path in FILES for fixture in read(path)]


@pytest.mark.parametrize(("path", "fixture"), CASES, ids=[f"{p.stem}-{f.name}" for p, f in CASES])
def test_a_query_becomes_its_plan(path: Path, fixture: Fixture) -> None:
    assert optimized_text(fixture) == fixture.expected


@pytest.mark.parametrize(("path", "fixture"), CASES, ids=[f"{p.stem}-{f.name}" for p, f in CASES])
def test_optimizing_again_changes_nothing(path: Path, fixture: Fixture) -> None:
    final = optimize(logical(environment(is_streaming=True), fixture.sql), is_streaming=True)
    assert plan_text(optimize(final, is_streaming=True)) == plan_text(final)


def test_every_rule_is_used_by_some_fixture() -> None:
    """Goal: no rule is dead or untested."""
    used: set[str] = set()
    for _, fixture in CASES:
        plan = logical(environment(is_streaming=True), fixture.sql)
        optimize(plan, is_streaming=True, check=lambda changed, rule: used.add(rule.__name__))
    rules = {r.__name__ for r in (*SUBQUERIES, *LOGICAL, *WINDOWS, *STREAMING)}
    assert rules - used <= {"remove_true_filter", "versions_filter", "limit_of_sort_through_project"}
