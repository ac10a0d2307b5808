"""Fixture pairs of the optimiser: a query, and the plan that it becomes. `python tests/plan/plan_fixtures.py` rewrites the expectations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tableapi import EnvironmentSettings, TableEnvironment
from tableapi.functions.registry import SessionContext
from tableapi.plan import nodes as n
from tableapi.plan.explain import plan_text
from tableapi.plan.rules import optimize, optimize_bounded
from tableapi.plan.spec import check_plan
from tableapi.runtime.constants import evaluated
from tableapi.tablespec import ColumnStatistics, TableStatistics

FOLDER = Path(__file__).parent / "rules"
BOUNDED_FOLDER = Path(__file__).parent / "bounded_rules"
"""Rules of bounded plans: a text may hold several queries, separated by semicolons, that run as one job."""

EVALUATE = partial(evaluated, session=SessionContext())
"""Constants are folded by the runtime, as they are in a job."""

TABLES = """
CREATE TABLE orders (id INT, customer STRING, price INT, at TIMESTAMP(3), WATERMARK FOR at AS at - INTERVAL '5' SECOND)
  WITH ('connector' = 'datagen', 'number-of-rows' = '10');
CREATE TABLE payments (order_id INT, amount INT, paid TIMESTAMP(3), WATERMARK FOR paid AS paid)
  WITH ('connector' = 'datagen', 'number-of-rows' = '10');
CREATE TABLE events (id INT, kind STRING) WITH ('connector' = 'datagen', 'number-of-rows' = '10');
CREATE TABLE customers (name STRING, city STRING, since TIMESTAMP(3), WATERMARK FOR since AS since, PRIMARY KEY (name) NOT ENFORCED)
  WITH ('connector' = 'datagen', 'number-of-rows' = '10')
"""


@dataclass(frozen=True)
class Fixture:
    """A named query and the text of its optimised plan."""

    name: str
    sql: str
    expected: str


def read(path: Path) -> list[Fixture]:
    """The fixtures of a file: `# name`, the query, `----`, the plan, blank line."""
    fixtures = []
    for block in path.read_text().split("\n# ")[0:]:
        block = block.removeprefix("# ").strip()
        if block:
            name, rest = block.split("\n", 1)
            sql, _, expected = rest.partition("\n----\n")
            fixtures.append(Fixture(name, sql.strip(), expected.strip()))
    return fixtures


def write(path: Path, fixtures: list[Fixture]) -> None:
    path.write_text("\n\n".join(f"# {f.name}\n{f.sql}\n----\n{f.expected}" for f in fixtures) + "\n")


def environment(is_streaming: bool) -> TableEnvironment:
    """A session with the tables that the fixtures use."""
    settings = EnvironmentSettings.in_streaming_mode() if is_streaming else EnvironmentSettings.in_batch_mode()
    env = TableEnvironment.create(settings)
    for statement in TABLES.split(";"):
        env.execute_sql(statement.replace(" at ", " `at` ").replace("FOR at", "FOR `at`").replace("AS at", "AS `at`"))
    return env


def logical(env: TableEnvironment, sql: str) -> n.Node:
    """The plan as the builder makes it."""
    table = env.sql_query(sql)
    return env._builder().collect(table._relation)


def optimized_text(fixture: Fixture) -> str:
    """The text of a fixture's optimised plan; every plan on the way is checked."""
    plan = logical(environment(is_streaming=True), fixture.sql)
    check_plan(plan)
    final = optimize(plan, is_streaming=True, check=lambda changed, rule: check_plan(changed), evaluate=EVALUATE)
    check_plan(final, is_final=True)
    return plan_text(final)


SIZES = {
    "orders": TableStatistics(
        1_000_000,
        {
            "id": ColumnStatistics(1_000_000, 1, 1_000_000, 0.0),
            "customer": ColumnStatistics(1_000),
            "price": ColumnStatistics(1_000, 1, 1_000),
        },
    ),
    "payments": TableStatistics(100_000, {"order_id": ColumnStatistics(100_000, 1, 1_000_000)}),
    "customers": TableStatistics(1_000, {"name": ColumnStatistics(1_000), "city": ColumnStatistics(50)}),
    "events": TableStatistics(10_000, is_parsed=True),
}
"""What the bounded plans' rules know of the tables."""


def bounded_text(fixture: Fixture) -> str:
    """The text of the optimised plans of a bounded job; every plan on the way is checked."""
    env = environment(is_streaming=False)
    plans = [logical(env, query) for query in fixture.sql.split(";")]
    final = optimize_bounded(
        plans, check=lambda changed, rule: check_plan(changed), statistics=lambda scan: SIZES[scan.table.identifier.name]
    )
    seen: set[int] = set()
    for plan in final:
        check_plan(plan, is_final=True)
    return "\n".join(plan_text(plan, seen=seen) for plan in final)


if __name__ == "__main__":
    for file in sorted(BOUNDED_FOLDER.glob("*.txt")):
        write(file, [Fixture(f.name, f.sql, bounded_text(f)) for f in read(file)])
    for file in sorted(FOLDER.glob("*.txt")):
        write(file, [Fixture(f.name, f.sql, optimized_text(f)) for f in read(file)])
