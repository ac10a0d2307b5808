"""Equal programs in SQL and in the Table API give equal plans."""

from __future__ import annotations

import pytest
from plan_fixtures import environment, logical

from tableapi.expressions import col, lit
from tableapi.plan.explain import plan_text
from tableapi.plan.rules import optimize
from tableapi.window import Slide, Tumble

PAIRS = {
    "select": (
        "SELECT id, price * 2 AS twice FROM orders WHERE price > 3",
        lambda t: t("orders").filter(col("price") > 3).select(col("id"), (col("price") * 2).alias("twice")),
    ),
    "group": (
        "SELECT customer, SUM(price) AS total, COUNT(id) AS n FROM orders GROUP BY customer",
        lambda t: (
            t("orders")
            .group_by(col("customer"))
            .select(col("customer"), col("price").sum.alias("total"), col("id").count.alias("n"))
        ),
    ),
    "global aggregate": (
        "SELECT MAX(price) AS m FROM orders",
        lambda t: t("orders").select(col("price").max.alias("m")),
    ),
    "tumble": (
        "SELECT customer, TUMBLE_START(`at`, INTERVAL '10' MINUTE) AS s, SUM(price) AS p "
        "FROM orders GROUP BY customer, TUMBLE(`at`, INTERVAL '10' MINUTE)",
        lambda t: (
            t("orders")
            .window(Tumble.over(lit(10).minutes).on(col("at")).alias("w"))
            .group_by(col("w"), col("customer"))
            .select(col("customer"), col("w").start.alias("s"), col("price").sum.alias("p"))
        ),
    ),
    "hop": (
        "SELECT HOP_END(`at`, INTERVAL '1' MINUTE, INTERVAL '5' MINUTE) AS e, SUM(price) AS p "
        "FROM orders GROUP BY HOP(`at`, INTERVAL '1' MINUTE, INTERVAL '5' MINUTE)",
        lambda t: (
            t("orders")
            .window(Slide.over(lit(5).minutes).every(lit(1).minutes).on(col("at")).alias("w"))
            .group_by(col("w"))
            .select(col("w").end.alias("e"), col("price").sum.alias("p"))
        ),
    ),
    "join": (
        "SELECT id, amount FROM orders JOIN payments ON id = order_id WHERE amount > 3",
        lambda t: (
            t("orders")
            .join(t("payments"), col("id") == col("order_id"))
            .filter(col("amount") > 3)
            .select(col("id"), col("amount"))
        ),
    ),
    "left join": (
        "SELECT id, amount FROM orders LEFT JOIN payments ON id = order_id",
        lambda t: t("orders").left_outer_join(t("payments"), col("id") == col("order_id")).select(col("id"), col("amount")),
    ),
    "union all": (
        "SELECT id FROM orders UNION ALL SELECT order_id FROM payments",
        lambda t: t("orders").select(col("id")).union_all(t("payments").select(col("order_id"))),
    ),
    "distinct": (
        "SELECT DISTINCT customer FROM orders",
        lambda t: t("orders").select(col("customer")).distinct(),
    ),
    "order and limit": (
        "SELECT id, price FROM orders ORDER BY price DESC NULLS FIRST LIMIT 3",
        lambda t: t("orders").select(col("id"), col("price")).order_by(col("price").desc).limit(3),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_both_front_ends_give_the_same_plan(name: str) -> None:
    sql, build = PAIRS[name]
    env = environment(is_streaming=True)
    from_sql = optimize(logical(env, sql), is_streaming=True)
    from_api = optimize(env._builder().collect(build(env.from_path)._relation), is_streaming=True)
    assert plan_text(from_api) == plan_text(from_sql)
    assert from_api == from_sql
