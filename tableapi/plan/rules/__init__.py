"""The optimiser: an ordered tuple of rules, applied to a fixed point, and two whole-plan passes.

A rule is a plain function `node -> node | None`, one idea each, in a file named after its topic. Nothing here knows connectors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps

from tableapi.plan import nodes as n
from tableapi.plan.estimates import Estimator, StatisticsOf, nothing_known
from tableapi.plan.rules.bounded import (
    anti_joins_down,
    filter_into_scan,
    limit_into_scan,
    outer_to_inner,
    remove_watermark,
    semi_join_down,
)
from tableapi.plan.rules.constants import Evaluate, folding, never_true
from tableapi.plan.rules.filters import (
    factor_or,
    filter_into_join,
    filter_through_aggregate,
    filter_through_lookup,
    filter_through_project,
    filter_through_union,
    merge_filters,
    remove_true_filter,
)
from tableapi.plan.rules.join_order import order_joins
from tableapi.plan.rules.joins import (
    computed_join_keys,
    interval_join,
    one_sided_conditions,
    versions_filter,
    window_join,
)
from tableapi.plan.rules.nothing import aggregate_of_nothing
from tableapi.plan.rules.projects import merge_projects, remove_identity_project
from tableapi.plan.rules.prune import prune_columns
from tableapi.plan.rules.rank import empty_rank_name, limit_of_sort_through_project, rank_from_over
from tableapi.plan.rules.reduce import reduce_aggregates
from tableapi.plan.rules.reuse import share_results
from tableapi.plan.rules.subquery import exists_or_in_filter, outer_join_subquery, scalar_subquery
from tableapi.plan.rules.windows import window_aggregate, with_emit_policy
from tableapi.plan.traits import Facts, no_facts

Rule = Callable[[n.Node], n.Node | None]

SUBQUERIES: tuple[Rule, ...] = (exists_or_in_filter, scalar_subquery, outer_join_subquery)

LOGICAL: tuple[Rule, ...] = (
    remove_true_filter,
    merge_filters,
    factor_or,
    merge_projects,
    remove_identity_project,
    filter_through_project,
    filter_through_union,
    filter_through_aggregate,
    filter_into_join,
    filter_through_lookup,
    one_sided_conditions,
    limit_of_sort_through_project,
    rank_from_over,
)

BY_CHANGES: tuple[Callable[[n.Node, Facts], n.Node | None], ...] = (interval_join, window_join)

STREAMING: tuple[Rule, ...] = (versions_filter, computed_join_keys, aggregate_of_nothing)

BOUNDED: tuple[Rule, ...] = (*LOGICAL, outer_to_inner, semi_join_down, remove_watermark, never_true)

READERS: tuple[Rule, ...] = (filter_into_scan, limit_into_scan)

WINDOWS: tuple[Rule, ...] = (window_aggregate,)

CLEANUP: tuple[Rule, ...] = (empty_rank_name, merge_projects, remove_identity_project)

MAX_CHANGES = 1000
"""So often may one place of a plan change. Rules must settle long before; a pair that undo each other is a bug, reported as one."""

Check = Callable[[n.Node, Rule], None]


def optimize(
    plan: n.Node,
    *,
    is_streaming: bool,
    check: Check | None = None,
    emit: n.EmitPolicy | None = None,
    statistics: StatisticsOf = nothing_known,
    facts: Facts = no_facts,
    evaluate: Evaluate | None = None,
) -> n.Node:
    """The plan that is run.

    Args:
        plan: A plan as the builder made it.
        is_streaming: Whether stream-only operators (interval join, window join) may be used, and bounded plans' rules may not.
        check: Called after every change with the new part of the plan and the rule.
        emit: When the windows of a stream give results besides the one at their end.
        statistics: What is known of tables; joins of bounded plans are ordered by it.
        facts: What connectors say of tables: some operators of a stream are for rows that are only ever added.
        evaluate: Computes constant expressions; without it they stay.
    """
    if not is_streaming:
        return optimize_bounded([plan], check=check, statistics=statistics, evaluate=evaluate)[0]
    settled: Settled = {}
    for rules in (SUBQUERIES, (*_folded(evaluate), *LOGICAL), WINDOWS):
        plan = apply_rules(plan, rules, check, settled)
    plan = plan if emit is None else with_emit_policy(plan, emit)
    plan = apply_rules(plan, (*(_knowing(facts, rule) for rule in BY_CHANGES), *STREAMING), check, settled)
    (plan,) = prune_columns([plan])
    return apply_rules(plan, CLEANUP, check, settled)


def _knowing(facts: Facts, rule: Callable[[n.Node, Facts], n.Node | None]) -> Rule:
    """The rule, applied with what is known of tables."""

    @wraps(rule)
    def informed(node: n.Node) -> n.Node | None:
        return rule(node, facts)

    return informed


def _folded(evaluate: Evaluate | None) -> tuple[Rule, ...]:
    return () if evaluate is None else (folding(evaluate),)


def optimize_bounded(
    plans: Sequence[n.Node],
    *,
    check: Check | None = None,
    statistics: StatisticsOf = nothing_known,
    evaluate: Evaluate | None = None,
) -> list[n.Node]:
    """The plans that are run as one bounded job; what they have in common is computed once. Arguments are those of `optimize`."""
    estimator, settled = Estimator(statistics), Settled()
    bounded = (*_folded(evaluate), *BOUNDED)
    ordered = []
    for plan in plans:
        for rules in (SUBQUERIES, bounded, WINDOWS):
            plan = apply_rules(plan, rules, check, settled)
        plan = anti_joins_down(order_joins(plan, estimator), estimator)
        plan = reduce_aggregates(plan, estimator)
        ordered.append(apply_rules(plan, bounded, check, settled))
    shared = share_results(ordered, statistics)
    pruned = prune_columns([apply_rules(plan, READERS, check, settled) for plan in shared])
    return [apply_rules(plan, CLEANUP, check, settled) for plan in pruned]


Settled = dict[tuple[Rule, ...], dict[int, tuple[n.Node, n.Node]]]
"""By rules and identity of a part of a plan: the part, and what the rules make of it. Nodes never change, so neither does this."""


def apply_rules(plan: n.Node, rules: tuple[Rule, ...], check: Check | None = None, settled: Settled | None = None) -> n.Node:
    """Applies rules bottom up until none changes anything. `settled` carries over what was found out by an earlier call."""
    known = {} if settled is None else settled.setdefault(rules, {})
    return _rewrite(plan, rules, check, known)


def _rewrite(node: n.Node, rules: tuple[Rule, ...], check: Check | None, known: dict[int, tuple[n.Node, n.Node]]) -> n.Node:
    """A part of a plan in which no rule has anything to change. Rules look down only, so each part is settled before those above it."""
    if id(node) in known:
        return known[id(node)][1]
    begun = node
    for _ in range(MAX_CHANGES):
        node = _with_rewritten_inputs(node, rules, check, known)
        for rule in rules:
            changed = rule(node)
            if changed is not None and changed is not node:
                if check is not None:
                    check(changed, rule)
                node = changed
                break
        else:
            known[id(begun)] = (begun, node)
            known[id(node)] = (node, node)
            return node
    raise AssertionError(f"the rules {[r.__name__ for r in rules]} do not settle")


def _with_rewritten_inputs(
    node: n.Node, rules: tuple[Rule, ...], check: Check | None, known: dict[int, tuple[n.Node, n.Node]]
) -> n.Node:
    inputs = node.inputs
    new = tuple([_rewrite(i, rules, check, known) for i in inputs])
    if any(a is not b for a, b in zip(new, inputs, strict=True)):
        return node.with_inputs(new)
    return node
