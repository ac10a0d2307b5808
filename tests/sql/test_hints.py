"""Hints: which exist, in which query block they count, and what they say of joins and aggregations."""

from __future__ import annotations

import pytest

from tableapi.errors import OptionError, UnknownNameError, ValidationError
from tableapi.plan import nodes as n
from tests.sql.helpers import MemoryCatalog

MINUTE, DAY = 60_000, 86_400_000
NO_HINT = n.JoinHint()


@pytest.fixture
def made() -> MemoryCatalog:
    catalog = MemoryCatalog()
    for table in ("a", "b", "c"):
        catalog.run(f"CREATE TABLE {table} (k INT, v INT) WITH ('connector' = 'datagen')")
    return catalog


def plan(catalog: MemoryCatalog, text: str) -> n.Node:
    return catalog.parse(text).relation.node  # type: ignore[attr-defined, no-any-return]


def joins(catalog: MemoryCatalog, text: str) -> list[n.JoinHint]:
    """The hints of a query's joins, the outermost first."""
    return [node.hint for node in n.walk(plan(catalog, text)) if isinstance(node, n.Join)]


def aggregates(catalog: MemoryCatalog, text: str) -> list[int | None]:
    return [node.state_ttl_ms for node in n.walk(plan(catalog, text)) if isinstance(node, n.Aggregate)]


def test_state_ttl_of_a_join_goes_by_alias(made: MemoryCatalog) -> None:
    ttl = "SELECT /*+ STATE_TTL('x' = '1d', 'b' = '5 min') */ * FROM a AS x JOIN b ON x.k = b.k"
    assert joins(made, ttl) == [n.JoinHint(DAY, 5 * MINUTE)]
    assert joins(made, ttl.replace("'5 min'", "'0 s'")) == [n.JoinHint(DAY, 0)]
    using = "SELECT /*+ STATE_TTL('b' = '1d') */ * FROM a LEFT JOIN b USING (k)"
    assert joins(made, using) == [n.JoinHint(None, DAY)]
    three = "SELECT /*+ STATE_TTL('a' = '1d', 'c' = '2d') */ a.v FROM a JOIN b ON a.k = b.k JOIN c ON b.k = c.k"
    assert joins(made, three) == [n.JoinHint(None, 2 * DAY), n.JoinHint(DAY, None)]


def test_the_last_value_of_a_table_wins(made: MemoryCatalog) -> None:
    text = "SELECT /*+ STATE_TTL('a' = '1d'), STATE_TTL('a' = '2d') */ a.v FROM a JOIN b ON a.k = b.k"
    assert joins(made, text) == [n.JoinHint(2 * DAY)]


def test_state_ttl_of_an_aggregation(made: MemoryCatalog) -> None:
    assert aggregates(made, "SELECT /*+ STATE_TTL('x' = '1d') */ k, COUNT(*) FROM a AS x GROUP BY k HAVING COUNT(*) > 1") == [
        DAY
    ]
    assert aggregates(made, "SELECT /*+ STATE_TTL('a' = '1d') */ DISTINCT k FROM a") == [DAY]
    joined = "SELECT /*+ STATE_TTL('a' = '1d') */ a.k, COUNT(*) FROM a JOIN b ON a.k = b.k GROUP BY a.k"
    assert aggregates(made, joined) == [None]
    assert joins(made, joined) == [n.JoinHint(DAY)]


def test_a_hint_counts_in_its_own_query_block(made: MemoryCatalog) -> None:
    inner = "SELECT * FROM (SELECT /*+ STATE_TTL('a' = '1d') */ a.v FROM a JOIN b ON a.k = b.k) AS q JOIN c ON q.v = c.v"
    assert joins(made, inner) == [NO_HINT, n.JoinHint(DAY)]
    outer = "SELECT /*+ STATE_TTL('q' = '1d') */ * FROM (SELECT a.v FROM a JOIN b ON a.k = b.k) AS q JOIN c ON q.v = c.v"
    assert joins(made, outer) == [n.JoinHint(DAY), NO_HINT]
    aggregate = "SELECT /*+ STATE_TTL('q' = '1d') */ MAX(n) FROM (SELECT COUNT(*) AS n FROM a GROUP BY k) AS q"
    assert aggregates(made, aggregate) == [DAY, None]
    with pytest.raises(ValidationError, match="names 'a', which is not in this query"):
        joins(made, outer.replace("'q'", "'a'"))


def test_join_strategies_are_checked_and_change_nothing(made: MemoryCatalog) -> None:
    plain = "SELECT a.v FROM a JOIN b ON a.k = b.k"
    for name in ("BROADCAST", "SHUFFLE_HASH", "SHUFFLE_MERGE", "NEST_LOOP", "broadcast"):
        assert plan(made, plain.replace("SELECT", f"SELECT /*+ {name}(a) */")) == plan(made, plain)
    with pytest.raises(ValidationError, match="names 'z', which is not in this query"):
        plan(made, plain.replace("SELECT", "SELECT /*+ BROADCAST(z) */"))
    with pytest.raises(ValidationError, match=r"written BROADCAST\(t1, t2\)"):
        plan(made, plain.replace("SELECT", "SELECT /*+ BROADCAST('a' = 'b') */"))


def test_multi_join_marks_joins_of_its_tables(made: MemoryCatalog) -> None:
    three = "SELECT /*+ MULTI_JOIN(a, b, c) */ a.v FROM a JOIN b ON a.k = b.k JOIN c ON b.k = c.k"
    assert [h.is_multi for h in joins(made, three)] == [True, True]
    assert [h.is_multi for h in joins(made, three.replace("(a, b, c)", "(a, b)"))] == [False, True]


LOOKUP = "SELECT /*+ LOOKUP({}) */ x.v FROM (SELECT k, v, PROCTIME() AS p FROM a) AS x JOIN b FOR SYSTEM_TIME AS OF x.p AS d ON x.k = d.k"


def lookups(catalog: MemoryCatalog, options: str) -> n.LookupHint:
    return next(node.hint for node in n.walk(plan(catalog, LOOKUP.format(options))) if isinstance(node, n.LookupJoin))


def test_lookup_options(made: MemoryCatalog) -> None:
    retry = "'retry-predicate' = 'lookup_miss', 'retry-strategy' = 'fixed_delay', 'fixed-delay' = '10s', 'max-attempts' = '3'"
    given = "'table' = 'd', 'async' = 'true', 'output-mode' = 'allow_unordered', 'capacity' = '7', 'timeout' = '2 s', "
    expected = n.LookupHint(True, False, 7, 2_000, 10_000, 3, True)
    assert lookups(made, given + retry + ", 'shuffle' = 'true'") == expected
    assert lookups(made, "'table' = 'd'") == n.LookupHint()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ("'async' = 'true'", ValidationError, "needs 'table'"),
        ("'table' = 'd', 'asinc' = 'true'", UnknownNameError, "no option 'asinc'.*[Dd]id you mean 'async'"),
        ("'table' = 'd', 'capacity' = '0'", OptionError, "'0' is not a positive whole number"),
        ("'table' = 'd', 'timeout' = 'soon'", OptionError, "'timeout' of the hint LOOKUP has a wrong value"),
        ("'table' = 'd', 'max-attempts' = '3'", ValidationError, "lacks retry-predicate, retry-strategy, fixed-delay"),
        ("'table' = 'b'", ValidationError, "names 'b', which is not in this query"),
    ],
)
def test_wrong_lookup_options(made: MemoryCatalog, options: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match="(?s)" + message):
        lookups(made, options)


def test_unknown_hints(made: MemoryCatalog) -> None:
    with pytest.raises(UnknownNameError, match=r"(?s)no hint BRODCAST.*BROADCAST"):
        made.parse("SELECT /*+ BRODCAST(a) */ a.v FROM a JOIN b ON a.k = b.k")
    with pytest.raises(ValidationError, match="OPTIONS belongs to a table"):
        made.parse("SELECT /*+ OPTIONS('a' = 'b') */ v FROM a")
    with pytest.raises(UnknownNameError, match=r"(?s)STATE_TTL is no hint of a table.*after SELECT"):
        made.parse("SELECT v FROM a /*+ STATE_TTL('a' = '1d') */")
    with pytest.raises(OptionError, match="'a' of the hint STATE_TTL has a wrong value"):
        made.parse("SELECT /*+ STATE_TTL('a' = 'soon') */ v FROM a")
