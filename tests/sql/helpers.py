"""A catalog in memory, and shortcuts, for tests of the SQL front end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tableapi.plan.explain import plan_text
from tableapi.plan.scope import PlanContext
from tableapi.sql import parse_one
from tableapi.sql import statements as st
from tableapi.sql.catalog_reader import ViewSpec
from tableapi.tablespec import ObjectIdentifier, TableSpec

TABLES = """
CREATE TABLE orders (oid INT, cust STRING, item STRING, qty INT, price DECIMAL(10, 2), ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH ('connector' = 'x');
CREATE TABLE customers (cust STRING, region STRING) WITH ('connector' = 'x');
CREATE TABLE act (usr STRING, n INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector' = 'x');
CREATE TABLE nest (id INT, info ROW<a INT, b STRING>, tags ARRAY<STRING>, attrs MAP<STRING, INT>) WITH ('connector' = 'x');
CREATE TABLE rates (cur STRING, rate DOUBLE, ts TIMESTAMP(3), PRIMARY KEY (cur) NOT ENFORCED, WATERMARK FOR ts AS ts)
  WITH ('connector' = 'x');
CREATE TABLE pay (pid INT, cur STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector' = 'x');
"""


class MemoryCatalog:
    """Tables and views in a dictionary; carries out the statements that define them."""

    def __init__(self, *, is_streaming: bool = True, functions: dict[str, Any] | None = None) -> None:
        self.tables: dict[ObjectIdentifier, TableSpec | ViewSpec] = {}
        functions = functions or {}
        self.path = ("cat", "db")
        self.context = PlanContext(lambda parts: functions.get(parts[-1]), is_streaming=is_streaming)

    def qualify(self, parts: Sequence[str]) -> ObjectIdentifier:
        return ObjectIdentifier(*(self.path[: 3 - len(parts)] + tuple(parts)))

    def find_table(self, identifier: ObjectIdentifier) -> TableSpec | ViewSpec | None:
        return self.tables.get(identifier)

    def find_function(self, parts: Sequence[str]) -> Any | None:
        return self.context.functions(tuple(parts))

    def table_names(self) -> Iterable[str]:
        return [i.name for i in self.tables]

    def parse(self, text: str) -> st.Statement:
        return parse_one(text, self, self.context)

    def run(self, text: str) -> st.Statement:
        """Parses a statement and keeps what it defines."""
        statement = self.parse(text)
        match statement:
            case st.CreateTable(spec=spec) | st.AlterTable(spec=spec):
                self.tables[spec.identifier] = spec
            case st.CreateView(view=view):
                self.tables[view.identifier] = view
        return statement

    def plan(self, query: str) -> str:
        """The plan of a query as text."""
        statement = self.parse(query)
        assert isinstance(statement, st.Query)
        return plan_text(statement.relation.node)


def catalog(**options: Any) -> MemoryCatalog:
    """A catalog with the test tables."""
    made = MemoryCatalog(**options)
    for text in TABLES.strip().split(";\n"):
        made.run(text)
    return made
