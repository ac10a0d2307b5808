import pytest
from helpers import agg, schema

from tableapi import AggregateFunction, DataTypes
from tableapi.plan.nodes import NamedAgg
from tableapi.plan.rex import AggCall, Ref
from tableapi.runtime.stream.group_aggregate import GroupAggregateSpec
from tableapi.testing import OperatorHarness, assert_changelog
from tableapi.udf import udaf

INPUT = schema("k STRING, v BIGINT")
COUNT_SUM = (agg(INPUT, "n", "COUNT"), agg(INPUT, "s", "SUM", "v"))


def harness(aggregates, keys=("k",), **flags):
    return OperatorHarness(GroupAggregateSpec(INPUT, keys, aggregates, **flags), INPUT)


def test_updates_of_a_key_are_folded_within_a_batch():
    h = harness(COUNT_SUM)
    assert_changelog(h.feed("a 1\nb null\na 3"), "+I a 2 4\n+I b 1 null")
    assert_changelog(
        h.feed("b 5\nc 1\na 0"),
        """
        -U b 1 null
        +U b 2 5
        +I c 1 1
        -U a 2 4
        +U a 3 4
        """,
    )


def test_without_update_before():
    h = harness(COUNT_SUM, generate_update_before=False)
    h.feed("a 1")
    assert_changelog(h.feed("a 2\nb 1"), "+U a 2 3\n+I b 1 1")


def test_groups_vanish_with_their_last_row():
    h = harness(COUNT_SUM, input_is_insert_only=False)
    h.feed("a 1\nb 2")
    assert_changelog(h.feed("-D a 1\n-U b 2\n+U b 5"), "-D a 1 1\n-U b 1 2\n+U b 1 5")
    assert_changelog(h.feed("+I a 9\n-D a 9"), "")
    assert_changelog(h.feed("+I a 9"), "+I a 1 9")
    assert h.operator.state()["groups"].rows() == [("a", 1, 9), ("b", 1, 5)]


def test_unchanged_results_emit_nothing():
    h = harness((agg(INPUT, "m", "MAX", "v"),))
    h.feed("a 5")
    assert_changelog(h.feed("a 3\na null"), "")
    assert_changelog(h.feed("a 8"), "-U a 5\n+U a 8")


def test_extremes_and_edges_survive_retraction():
    calls = tuple(agg(INPUT, f.lower(), f, "v") for f in ("MIN", "MAX", "FIRST_VALUE", "LAST_VALUE"))
    h = harness(calls, input_is_insert_only=False)
    assert_changelog(h.feed("a 5\na 2\na 9\na 5"), "+I a 2 9 5 5")
    assert_changelog(h.feed("-D a 9"), "-U a 2 9 5 5\n+U a 2 5 5 5")
    assert_changelog(h.feed("-D a 5"), "-U a 2 5 5 5\n+U a 2 5 2 5")
    assert_changelog(h.feed("-D a 5"), "-U a 2 5 2 5\n+U a 2 2 2 2")
    assert_changelog(h.feed("-D a 2"), "-D a 2 2 2 2")


def test_global_aggregate_has_no_row_before_the_first_input():
    h = harness(COUNT_SUM, keys=())
    assert h.end() == ""
    assert_changelog(h.feed("a 1\nb 2"), "+I 2 3")
    assert_changelog(h.feed("a 1"), "-U 2 3\n+U 3 4")


def test_distinct_rows():
    h = harness((), keys=("k", "v"), input_is_insert_only=False)
    assert_changelog(h.feed("a 1\na 1\nb null"), "+I a 1\n+I b null")
    assert_changelog(h.feed("-D a 1\n+I b null"), "")
    assert_changelog(h.feed("-D a 1\n+I c 1"), "-D a 1\n+I c 1")


@pytest.mark.parametrize("insert_only", [True, False])
def test_distinct_and_filter(insert_only):
    source = schema("k STRING, v BIGINT, f BOOLEAN")
    calls = (
        agg(source, "d", "COUNT", "v", distinct=True),
        agg(source, "s", "SUM", "v", distinct=True, filter="f"),
        agg(source, "n", "COUNT", filter="f"),
    )
    h = OperatorHarness(GroupAggregateSpec(source, ("k",), calls, insert_only), source)
    assert_changelog(h.feed("a 1 true\na 1 true\na 2 null\na null true"), "+I a 2 1 3")
    assert_changelog(h.feed("a 2 true"), "-U a 2 1 3\n+U a 2 3 4")
    if not insert_only:
        assert_changelog(h.feed("-D a 1 true"), "-U a 2 3 4\n+U a 2 3 3")
        assert_changelog(h.feed("-D a 1 true"), "-U a 2 3 3\n+U a 1 2 2")


def test_values_of_types_without_fixed_width():
    source = schema("k STRING, t STRING, d DECIMAL(10;2)")
    calls = (
        agg(source, "lo", "MIN", "t"),
        agg(source, "last", "LAST_VALUE", "t"),
        agg(source, "s", "SUM", "d"),
        agg(source, "l", "LISTAGG", "t"),
    )
    h = OperatorHarness(GroupAggregateSpec(source, ("k",), calls), source)
    assert_changelog(h.feed("a x 1.50\nb null null"), "+I a x x 1.50 x\n+I b null null null null")
    assert_changelog(
        h.feed("a c 0.25\nb z 1.00\na null null"),
        """
        -U a x x 1.50 x
        +U a c c 1.75 x,c
        -U b null null null null
        +U b z z 1.00 z
        """,
    )


def test_idle_groups_are_forgotten_after_their_time_to_live():
    h = harness(COUNT_SUM, ttl_ms=1000)
    h.feed("a 1\nb 1")
    h.set_clock(600)
    h.feed("b 1")
    h.set_clock(1000)
    assert_changelog(h.feed("a 1\nb 1"), "+I a 1 1\n-U b 2 2\n+U b 3 3")


@pytest.mark.parametrize("keys", [("k",), ()])
def test_a_restored_operator_goes_on_where_the_snapshot_was_taken(keys):
    calls = (
        *COUNT_SUM,
        agg(INPUT, "d", "COUNT", "v", distinct=True),
        agg(INPUT, "m", "MIN", "v"),
        agg(INPUT, "l", "LISTAGG", "k"),
    )
    spec = GroupAggregateSpec(INPUT, keys, calls, input_is_insert_only=False)
    first = OperatorHarness(spec, INPUT)
    first.feed("a 1\nb 2\na 1\nc null")
    first.feed("-D b 2")
    second = OperatorHarness(spec, INPUT, snapshot=first.snapshot())
    for rows in ("-D a 1\n+I b 7", "+I c 3\n-D a 1", "+I a 0"):
        assert first.feed(rows) == second.feed(rows)


class Spread(AggregateFunction):
    """Largest minus smallest value, as a user would write it."""

    def create_accumulator(self):
        return []

    def accumulate(self, accumulator, value):
        accumulator.append(value)

    def get_value(self, accumulator):
        return max(accumulator) - min(accumulator)


class RetractableSpread(Spread):
    def retract(self, accumulator, value):
        accumulator.remove(value)


@pytest.mark.parametrize("function", [Spread, RetractableSpread])
@pytest.mark.parametrize("insert_only", [True, False])
def test_python_aggregates(function, insert_only):
    """With and without `retract`; state survives a restart either way."""
    wrapper = udaf(function(), result_type=DataTypes.BIGINT(), func_type="general")
    call = NamedAgg("spread", AggCall("spread", (Ref(DataTypes.BIGINT(), "v"),), DataTypes.BIGINT(), udaf=wrapper))
    spec = GroupAggregateSpec(INPUT, ("k",), (call,), insert_only)
    h = OperatorHarness(spec, INPUT)
    assert_changelog(h.feed("a 1\nb 5\na 4"), "+I a 3\n+I b 0")
    h = OperatorHarness(spec, INPUT, snapshot=h.snapshot())
    assert_changelog(h.feed("a 9"), "-U a 3\n+U a 8")
    if not insert_only:
        assert_changelog(h.feed("-D a 1"), "-U a 8\n+U a 5")


def test_a_group_whose_time_has_passed_begins_anew_even_before_a_timer():
    h = harness(COUNT_SUM, ttl_ms=1000, input_is_insert_only=False)
    h.feed("a 1\nb 1")
    h.clock.set(1000)
    assert_changelog(h.feed("a 5"), "+I a 1 5")
    h.set_clock(1500)
    assert h.operator.state()["groups"].rows() == [("a", 1, 5)]
