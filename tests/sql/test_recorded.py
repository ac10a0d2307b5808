"""What Flink 2.3 says of a few hundred queries: whether they are valid, their columns, and (for some) their results."""

from __future__ import annotations

import collections
import json
from pathlib import Path
from typing import Any

import pytest

from tableapi import EnvironmentSettings, TableEnvironment
from tableapi.errors import TableApiError
from tableapi.plan.builder import Builder
from tableapi.sql import statements as st
from tests.corpus.harness import loose_type, norm, parse_type
from tests.sql.helpers import MemoryCatalog

FIXTURES = Path(__file__).parent / "fixtures"
VALIDATION = json.loads((FIXTURES / "recorded_validation.json").read_text())
RESULTS = json.loads((FIXTURES / "recorded_results.json").read_text())

LATER = "Flink refuses it when the job is planned; here that is not part of planning the query, or it runs"
LIMIT = "a limit of Flink: it has a plain answer here"
LENIENT = "an untyped NULL whose type does not matter is accepted here"
CORRELATED = "Flink cannot take this correlation out of the sub-query; here it runs"
DIFFERENT = {
    "SELECT c.cust, t.oid FROM customers c CROSS JOIN LATERAL (SELECT oid FROM orders o WHERE o.cust = c.cust LIMIT 1) t": CORRELATED,
    "SELECT * FROM orders o WHERE EXISTS (SELECT 1 FROM customers c WHERE EXISTS (SELECT 1 FROM l1 WHERE l1.s = o.cust))": CORRELATED,
    "SELECT APPROX_COUNT_DISTINCT(cust) FROM orders": LIMIT,
    "SELECT MIN(b) FROM (VALUES (X'01'), (X'02')) AS t(b)": LIMIT,
    "SELECT LAG(qty) OVER (ORDER BY ts), SUM(qty) OVER (PARTITION BY cust ORDER BY ts) FROM orders": LATER,
    "SELECT oid FROM orders OFFSET 3": LATER,
    "SELECT oid FROM orders ORDER BY cust": LATER,
    "SELECT LEAD(qty) OVER (ORDER BY ts) FROM orders": LATER,
    "SELECT NTILE(2) OVER (ORDER BY ts) FROM orders": LATER,
    "SELECT SUM(qty) OVER () FROM orders": LATER,
    "SELECT SUM(qty) OVER (ORDER BY ts ROWS BETWEEN 1 FOLLOWING AND 2 FOLLOWING) FROM orders": LATER,
    "SELECT SUM(qty) OVER (ORDER BY qty RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) FROM orders": LATER,
    "SELECT SUM(qty) OVER (ORDER BY cust ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM orders": LATER,
    "SELECT SUM(qty) OVER (ORDER BY ts DESC ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM orders": LATER,
    "SELECT SUM(qty) OVER (PARTITION BY cust ORDER BY ts), SUM(qty) OVER (ORDER BY ts) FROM orders": LATER,
    "SELECT * FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY cust ORDER BY qty) rn FROM orders) WHERE rn > 3": LATER,
    "SELECT * FROM (SELECT *, RANK() OVER (PARTITION BY cust ORDER BY qty) rn FROM orders) WHERE rn = 1": LATER,
    "SELECT * FROM orders /*+ OPTIONS('nope'='1') */": LATER,
    "SELECT SUM(qty) FILTER (WHERE qty > 1) OVER (ORDER BY ts) FROM orders": "FILTER before OVER has a plain meaning",
    "SELECT COUNT(*) FROM TABLE(HOP(TABLE orders, DESCRIPTOR(ts), INTERVAL '7' SECOND, INTERVAL '20' SECOND)) "
    "GROUP BY window_start, window_end": LATER,
    "SELECT COUNT(qty, oid) FROM orders": "counts the rows in which no argument is NULL; Flink does so where one cannot be NULL",
    "SELECT * FROM nest LEFT JOIN UNNEST(nums) AS u(a) ON a > 1": "the condition chooses among the elements of a row",
    "SELECT ts - ts FROM orders": "the difference of timestamps is an interval here, also without a qualifier",
    "SELECT TUMBLE_PROCTIME(ts, INTERVAL '1' MINUTE), COUNT(*) FROM orders GROUP BY TUMBLE(ts, INTERVAL '1' MINUTE)": (
        "an event-time window has no processing time"
    ),
    "SELECT * FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts, oid), INTERVAL '1' SECOND))": "a window has one time column",
    "SELECT HASH_CODE('a')": "an internal function of Flink",
    "SELECT MAP['a', NULL]": "Flink gives the untyped NULL the type of the key",
    "SELECT 1/0": "a division by zero fails when it runs, also a constant one",
    "SELECT ROW(1, 'a', NULL)": LENIENT,
    "SELECT ROW(1, NULL)": LENIENT,
    "SELECT ROW(NULL)": LENIENT,
    "SELECT CAST(ROW(1, NULL) AS ROW<a INT, b INT>)": LENIENT,
    "SELECT MAP['a', 1, 'b', NULL]": LENIENT,
    "SELECT NULLIF(NULL, 1)": LENIENT,
    "SELECT JSON_VALUE(NULL, '$.a')": LENIENT,
    "SELECT JSON_OBJECT('a' VALUE NULL)": LENIENT,
    "SELECT JSON_ARRAY(NULL)": LENIENT,
    "SELECT JSON_ARRAY(1, NULL)": LENIENT,
    "SELECT * FROM orders ORDER BY NULL LIMIT 1": LENIENT,
}
NOTHING_TO_COUNT = "SELECT COUNT(*) AS n FROM orders WHERE oid > 100 GROUP BY ()"
"""A stream emits the first row of a global aggregate when the first input row comes (Flink: the same)."""


def catalog() -> MemoryCatalog:
    made = MemoryCatalog()
    made.path = ("default_catalog", "default_database")
    for text in VALIDATION["setup"]:
        made.run(text)
    return made


def verdict(made: MemoryCatalog, query: str) -> list[list[str]] | None:
    """The columns of a query, or None when it is refused."""
    try:
        statement = made.parse(query)
    except TableApiError:
        return None
    assert isinstance(statement, st.Query)
    schema = Builder(made.context).collect(statement.relation).schema
    return [[f.name, str(f.type)] for f in schema]


def loose(columns: list[list[str]] | None) -> list[list[str]] | None:
    return None if columns is None else [[name, loose_type(kind)] for name, kind in columns]


def test_validation_agrees_with_flink() -> None:
    made = catalog()
    different = {}
    for case in VALIDATION["cases"]:
        ours, theirs = loose(verdict(made, case["query"])), loose(case.get("columns"))
        if ours != theirs:
            different[case["query"]] = f"ours {ours}, Flink {theirs}"
    unexpected = {q: why for q, why in different.items() if q not in DIFFERENT}
    assert not unexpected, "\n".join(f"{q}\n   {why}" for q, why in unexpected.items())
    agreed = [q for q in DIFFERENT if q not in different]
    assert not agreed, f"these agree now, take them off the list: {agreed}"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for name, text in RESULTS["data"].items():
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize("mode", ["batch", "streaming"])
def test_results_agree_with_flink(mode: str, data: Path) -> None:
    """A stream gives, folded, what Flink gives in batch; queries that a stream refuses are left out there."""
    is_batch = mode == "batch"
    env = TableEnvironment.create(EnvironmentSettings.in_batch_mode() if is_batch else EnvironmentSettings.in_streaming_mode())
    for text in RESULTS["setup"]:
        env.execute_sql(text.replace("${DATA}", str(data)))
    wrong, refused = [], []
    for case in RESULTS["cases"]:
        try:
            rows = folded(env, case)
        except TableApiError as error:
            if not case.get("error"):
                refused.append(f"{case['query']}\n   {error}")
            continue
        expected = sorted(json.dumps(r, ensure_ascii=False) for r in case.get("rows", ()))
        if not is_batch and case["query"] == NOTHING_TO_COUNT:
            expected = []
        if case.get("error") or rows != expected:
            wrong.append(f"{case['query']}\n   ours {rows}\n   Flink {expected}")
    assert not wrong, "\n".join(wrong)
    assert not is_batch or not refused, "\n".join(refused)
    assert len(refused) < 15, "\n".join(refused)


def folded(env: TableEnvironment, case: dict[str, Any]) -> list[str]:
    """The rows that are there in the end, as sorted JSON texts."""
    types = [parse_type(kind) for _, kind in case.get("columns", ())]
    counts: collections.Counter[str] = collections.Counter()
    with env.execute_sql(case["query"]).collect() as rows:
        for row in rows:
            values = [norm(v, t) for v, t in zip(row, types, strict=False)]
            counts[json.dumps(values, ensure_ascii=False)] += 1 if row.get_row_kind().adds else -1
    return sorted(counts.elements())
