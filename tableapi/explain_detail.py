"""`ExplainDetail`: what `explain` shows besides the plan. Plain numbers, as in PyFlink. Imports nothing."""

from __future__ import annotations


class ExplainDetail:
    """Further parts of an explanation."""

    ESTIMATED_COST = 0
    """What each step is expected to cost."""

    CHANGELOG_MODE = 1
    """Which kinds of rows each step hands on."""

    JSON_EXECUTION_PLAN = 2
    """The plan of execution as JSON."""

    PLAN_ADVICE = 3
    """Advice on how the query could run better."""

    NAMES = ("ESTIMATED_COST", "CHANGELOG_MODE", "JSON_EXECUTION_PLAN", "PLAN_ADVICE")
    """The names, by number."""
