"""Traits: unique keys, kinds of changes, windows; and sinks that cannot take a query's changes."""

from __future__ import annotations

import pytest
from plan_fixtures import environment, logical

from tableapi.errors import ChangelogError
from tableapi.plan.explain import changelog_text
from tableapi.plan.nodes import EmitPolicy
from tableapi.plan.rules import optimize
from tableapi.plan.traits import changelog, unique_keys, upsert_key, window_of

TOP = "SELECT {} FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY customer ORDER BY {}) AS rn FROM orders) WHERE rn <= {}"

CHANGES = {
    "SELECT id FROM orders WHERE price > 1": "[I]",
    "SELECT DISTINCT customer FROM orders": "[I]",
    "SELECT customer, SUM(price) AS s FROM orders GROUP BY customer": "[I,UB,UA]",
    "SELECT s, COUNT(*) AS c FROM (SELECT customer, SUM(price) AS s FROM orders GROUP BY customer) GROUP BY s": "[I,UB,UA,D]",
    "SELECT COUNT(*) AS c FROM orders": "[I,UB,UA]",
    "SELECT window_end, COUNT(*) AS c FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(`at`), INTERVAL '1' HOUR)) "
    "GROUP BY window_start, window_end": "[I]",
    "SELECT window_end, MAX(s) FROM (SELECT customer, window_start, window_end, SUM(price) AS s FROM TABLE(TUMBLE(TABLE orders, "
    "DESCRIPTOR(`at`), INTERVAL '1' HOUR)) GROUP BY customer, window_start, window_end) GROUP BY window_start, window_end": "[I]",
    "SELECT window_end, MAX(s) FROM (SELECT customer, window_start, window_end, SUM(price) AS s FROM TABLE(TUMBLE("
    "(SELECT customer, price, PROCTIME() AS p FROM orders), DESCRIPTOR(p), INTERVAL '1' HOUR)) "
    "GROUP BY customer, window_start, window_end) GROUP BY window_start, window_end": "[I,UB,UA]",
    TOP.format("id", "price DESC", 3): "[I,UB,UA,D]",
    TOP.format("id", "`at`", 1): "[I]",
    TOP.format("id", "`at` DESC", 1): "[I,UB,UA]",
    "SELECT id FROM orders JOIN payments ON id = order_id": "[I]",
    "SELECT id FROM orders LEFT JOIN payments ON id = order_id": "[I,D]",
    "SELECT id FROM orders WHERE id IN (SELECT order_id FROM payments)": "[I]",
    "SELECT id FROM orders WHERE id NOT IN (SELECT order_id FROM payments WHERE order_id IS NOT NULL)": "[I,D]",
    "SELECT id FROM orders UNION ALL SELECT order_id FROM payments": "[I]",
    "SELECT id, paid FROM orders JOIN payments ON id = order_id AND paid BETWEEN `at` AND `at` + INTERVAL '1' HOUR": "[I]",
    "SELECT o.id FROM orders AS o JOIN customers FOR SYSTEM_TIME AS OF o.`at` AS c ON o.customer = c.name": "[I]",
    "SELECT id FROM orders ORDER BY price LIMIT 2": "[I,UB,UA,D]",
    "SELECT id FROM orders ORDER BY `at` LIMIT 2": "[I]",
    "SELECT id FROM orders ORDER BY `at` DESC LIMIT 2": "[I,UB,UA,D]",
    "SELECT id, COUNT(*) OVER (ORDER BY `at`) FROM orders": "[I]",
    "SELECT id, COUNT(*) OVER (ORDER BY `at` DESC) FROM orders": "[I,UB,UA,D]",
}


@pytest.mark.parametrize("sql", CHANGES)
def test_kinds_of_changes(sql: str) -> None:
    plan = optimize(logical(environment(is_streaming=True), sql), is_streaming=True)
    assert changelog_text(changelog(plan)) == CHANGES[sql]


def test_windows_that_give_several_results_change_them() -> None:
    sql = "SELECT SUM(price) FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(`at`), INTERVAL '1' HOUR)) GROUP BY window_start, window_end"
    for emit, kinds in ((EmitPolicy(early_ms=0), "[I,UB,UA]"), (EmitPolicy(None, 0, 60_000), "[I,UB,UA]"), (None, "[I]")):
        plan = optimize(logical(environment(is_streaming=True), sql), is_streaming=True, emit=emit)
        assert changelog_text(changelog(plan)) == kinds


KEYS = {
    "SELECT * FROM customers": [{"name"}],
    "SELECT name AS n, city FROM customers": [{"n"}],
    "SELECT city FROM customers": [],
    "SELECT customer, SUM(price) AS s FROM orders GROUP BY customer": [{"customer"}],
    "SELECT COUNT(*) AS c FROM orders": [set()],
    TOP.format("*", "price", 1): [{"customer"}],
    TOP.format("*", "price", 3): [{"customer", "rn"}],
    "SELECT c.name, o.id FROM orders AS o JOIN customers AS c ON o.customer = c.name": [],
    "SELECT DISTINCT customer, id FROM orders": [{"customer", "id"}],
}


@pytest.mark.parametrize("sql", KEYS)
def test_unique_keys(sql: str) -> None:
    plan = optimize(logical(environment(is_streaming=True), sql), is_streaming=True)
    found = unique_keys(plan)
    for key in KEYS[sql]:
        assert frozenset(key) in found
    if not KEYS[sql]:
        assert not found


def test_upsert_key_is_the_smallest_in_column_order() -> None:
    plan = optimize(
        logical(environment(is_streaming=True), "SELECT SUM(price) AS s, customer FROM orders GROUP BY customer"),
        is_streaming=True,
    )
    assert upsert_key(plan) == ("customer",)


def test_windows_are_carried_through_projections_and_aggregations() -> None:
    env = environment(is_streaming=True)
    sql = (
        "SELECT window_start AS s, window_end AS e, price FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(`at`), INTERVAL '1' HOUR))"
    )
    window = window_of(logical(env, sql).inputs[0])
    assert window is not None
    assert (window.start, window.end, window.window.size_ms) == ("s", "e", 3_600_000)


def test_a_sink_that_cannot_take_changes_is_refused_with_the_reason_and_the_fixes(tmp_path) -> None:
    env = environment(is_streaming=True)
    env.execute_sql(
        f"CREATE TABLE totals (customer STRING, total INT) WITH ('connector'='filesystem', 'path'='{tmp_path}/t', 'format'='csv')"
    )
    with pytest.raises(ChangelogError) as caught:
        env.execute_sql("INSERT INTO totals SELECT customer, SUM(price) FROM orders GROUP BY customer").wait()
    text = str(caught.value)
    assert "table 'totals' (connector 'filesystem') takes [I]" in text
    assert "makes [I,UB,UA]" in text
    assert "Aggregate(by=[customer]" in text
    assert "TUMBLE" in text
    assert "batch mode" in text
    assert not (tmp_path / "t").exists()
