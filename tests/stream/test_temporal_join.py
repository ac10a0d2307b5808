from dataclasses import replace

import pytest
from helpers import schema

from tableapi.plan.nodes import JoinKind
from tableapi.plan.rex import Call, Ref
from tableapi.runtime.stream.temporal_join import TemporalJoinSpec
from tableapi.testing import OperatorHarness, assert_changelog
from tableapi.types import DataTypes

ORDERS = schema("o INT, cur STRING, ts TIMESTAMP(3)", ts="rowtime")
RATES = schema("rcur STRING, rate INT, rts TIMESTAMP(3)", rts="rowtime")
SPEC = TemporalJoinSpec(ORDERS, RATES, JoinKind.INNER, (("cur", "rcur"),), "ts", "rts")


def harness(kind=JoinKind.INNER, **changes):
    return OperatorHarness(replace(SPEC, kind=kind, **changes), ORDERS, RATES)


def test_rows_wait_for_the_watermark_and_meet_the_version_of_their_time():
    h = harness()
    assert h.feed("1 EUR 2024-01-01T10:05\n2 EUR 2024-01-01T10:15\n3 USD 2024-01-01T10:05") == ""
    assert h.feed("+I EUR 100 2024-01-01T10:00\n+U EUR 110 2024-01-01T10:10", input=1) == ""
    assert_changelog(h.advance("2024-01-01T10:10"), "+I 1 EUR 2024-01-01T10:05 EUR 100 2024-01-01T10:00")
    assert h.operator.state()["versions"].height == 1
    assert_changelog(h.advance("2024-01-01T10:20"), "+I 2 EUR 2024-01-01T10:15 EUR 110 2024-01-01T10:10")


def test_left_join_pads_and_keeps_kinds():
    h = harness(JoinKind.LEFT)
    h.feed("+I 1 EUR 2024-01-01T09:00\n+I 2 EUR 2024-01-01T10:15\n-D 3 null 2024-01-01T10:05")
    h.feed("EUR 100 2024-01-01T10:00", input=1)
    assert_changelog(
        h.end(),
        """
        +I 1 EUR 2024-01-01T09:00 null null null
        +I 2 EUR 2024-01-01T10:15 EUR 100 2024-01-01T10:00
        -D 3 null 2024-01-01T10:05 null null null
        """,
    )


def test_a_deleted_key_has_no_version():
    h = harness(JoinKind.LEFT)
    h.feed("+I EUR 100 2024-01-01T10:00\n-D EUR 100 2024-01-01T10:10\n-U USD 1 2024-01-01T10:00", input=1)
    h.feed("1 EUR 2024-01-01T10:09\n2 EUR 2024-01-01T10:10\n3 USD 2024-01-01T10:10")
    assert_changelog(
        h.advance("2024-01-01T11:00"),
        """
        +I 1 EUR 2024-01-01T10:09 EUR 100 2024-01-01T10:00
        +I 2 EUR 2024-01-01T10:10 null null null
        +I 3 USD 2024-01-01T10:10 null null null
        """,
    )
    assert h.operator.state()["versions"].height == 0


def test_the_rest_of_the_condition():
    condition = Call(DataTypes.BOOLEAN(), "GREATER", (Ref(DataTypes.INT(), "rate"), Ref(DataTypes.INT(), "o")))
    for kind, expected in (
        (JoinKind.INNER, "+I 1 EUR 2024-01-01T10:05 EUR 100 2024-01-01T10:00"),
        (JoinKind.LEFT, "+I 1 EUR 2024-01-01T10:05 EUR 100 2024-01-01T10:00\n+I 200 EUR 2024-01-01T10:05 null null null"),
    ):
        h = harness(kind, condition=condition)
        h.feed("EUR 100 2024-01-01T10:00", input=1)
        h.feed("1 EUR 2024-01-01T10:05\n200 EUR 2024-01-01T10:05")
        assert_changelog(h.end(), expected)


@pytest.mark.parametrize("kind", [JoinKind.INNER, JoinKind.LEFT])
def test_a_restored_operator_goes_on_where_the_snapshot_was_taken(kind):
    spec = replace(SPEC, kind=kind)
    first = harness(kind)
    first.feed("1 EUR 2024-01-01T10:05\n-D 2 EUR 2024-01-01T10:15\n3 USD 2024-01-01T10:05")
    first.feed("+I EUR 100 2024-01-01T10:00\n+U EUR 110 2024-01-01T10:10\n-D USD 1 2024-01-01T10:00", input=1)
    first.advance("2024-01-01T10:02")
    second = OperatorHarness(spec, ORDERS, RATES, snapshot=first.snapshot())
    for rates, orders, watermark in (
        ("USD 7 2024-01-01T10:04", "4 USD 2024-01-01T10:12", "2024-01-01T10:11"),
        ("EUR 120 2024-01-01T10:20", "5 EUR 2024-01-01T10:25", "2024-01-01T11:00"),
    ):
        assert first.feed(rates, 1) == second.feed(rates, 1)
        assert first.feed(orders) == second.feed(orders)
        assert first.advance(watermark) == second.advance(watermark) != ""


def test_what_a_row_takes_back_is_what_was_found_for_it():
    """A left row that is taken back late meets no newer version; halves of an update that differ are -D and +I."""
    updating = replace(SPEC, left_is_insert_only=False)
    h = OperatorHarness(updating, ORDERS, RATES)
    h.feed("EUR 100 2024-01-01T10:00\nEUR 110 2024-01-01T10:10", input=1)
    h.feed("1 EUR 2024-01-01T10:05\n2 EUR 2024-01-01T10:05\n3 USD 2024-01-01T10:05")
    h.advance("2024-01-01T10:20")
    again = OperatorHarness(updating, ORDERS, RATES, snapshot=h.snapshot())
    for one in (h, again):
        one.feed("-D 1 EUR 2024-01-01T10:05\n-U 2 EUR 2024-01-01T10:05\n+U 2 USD 2024-01-01T10:25\n-D 9 EUR 2024-01-01T10:05")
        expected = "-D 1 EUR 2024-01-01T10:05 EUR 100 2024-01-01T10:00\n-D 2 EUR 2024-01-01T10:05 EUR 100 2024-01-01T10:00"
        assert_changelog(one.advance("2024-01-01T10:30"), expected)
    assert h.operator.state()["found"].height == 2


def test_both_halves_of_an_update_that_find_a_row_stay_an_update():
    h = OperatorHarness(replace(SPEC, left_is_insert_only=False), ORDERS, RATES)
    h.feed("EUR 100 2024-01-01T10:00", input=1)
    h.feed("1 EUR 2024-01-01T10:05")
    h.advance("2024-01-01T10:05")
    h.feed("-U 1 EUR 2024-01-01T10:05\n+U 2 EUR 2024-01-01T10:06")
    rate = "EUR 100 2024-01-01T10:00"
    assert_changelog(h.advance("2024-01-01T10:10"), f"-U 1 EUR 2024-01-01T10:05 {rate}\n+U 2 EUR 2024-01-01T10:06 {rate}")
