"""Inner joins of several inputs on one key: what a tree of joins gives, from the rows of the inputs alone."""

import random
from collections import Counter

import pytest
from helpers import schema

from tableapi import EnvironmentSettings, TableEnvironment
from tableapi.plan.nodes import JoinKind
from tableapi.plan.rex import Call, Ref
from tableapi.runtime.stream.accounting import state_bytes
from tableapi.runtime.stream.join import JoinSpec
from tableapi.runtime.stream.multi_join import MultiJoinSpec
from tableapi.testing import OperatorHarness, assert_changelog
from tableapi.types import DataTypes

A, B, C = schema("a INT, x STRING"), schema("b INT, y STRING"), schema("c INT, z STRING")
KEYS = (("a",), ("b",), ("c",))


def harness(condition=None, ttl_ms=None, insert_only=False, snapshot=None):
    spec = MultiJoinSpec((A, B, C), KEYS, condition, (insert_only,) * 3, (ttl_ms,) * 3)
    return OperatorHarness(spec, A, B, C, snapshot=snapshot)


def test_a_row_meets_every_combination_of_the_others():
    h = harness()
    assert h.feed("1 a1\nnull a2") == ""
    assert h.feed("1 b1\n1 b2\nnull b3", 1) == ""
    assert_changelog(h.feed("1 c1\nnull c2\n2 c3", 2), "+I 1 a1 1 b1 1 c1\n+I 1 a1 1 b2 1 c1")
    assert_changelog(h.feed("-U 1 b1\n+U 1 B1", 1), "-U 1 a1 1 b1 1 c1\n+U 1 a1 1 B1 1 c1")
    assert_changelog(h.feed("-D 1 a1"), "-D 1 a1 1 b2 1 c1\n-D 1 a1 1 B1 1 c1")
    assert_changelog(h.feed("+I 2 a3\n-D 2 a3"), "")


def test_a_condition_over_all_inputs():
    less = Call(DataTypes.BOOLEAN(), "LESS", (Ref(DataTypes.STRING(), "x"), Ref(DataTypes.STRING(), "z")))
    h = harness(less)
    h.feed("1 k")
    h.feed("1 m", 1)
    assert_changelog(h.feed("1 a\n1 z", 2), "+I 1 k 1 m 1 z")
    assert_changelog(h.feed("-U 1 k\n+U 1 zz"), "-D 1 k 1 m 1 z")


def test_rows_expire():
    h = harness(ttl_ms=1000, insert_only=True)
    h.feed("1 a1")
    h.feed("1 b1", 1)
    h.set_clock(1000)
    assert h.feed("1 c1", 2) == ""
    assert [frame.height for frame in h.operator.state().values()] == [0, 0, 1]


@pytest.mark.parametrize("seed", range(4))
def test_random_changes_give_the_join_of_what_is_left(seed):
    """Goal: after every batch the folded output is the join of the inputs' live rows, also across a restart."""
    rng = random.Random(seed)
    h, live = harness(), [Counter(), Counter(), Counter()]
    for _ in range(25):
        input, lines = rng.randrange(3), []
        for _ in range(rng.randrange(1, 6)):
            if +live[input] and rng.random() < 0.4:
                row = rng.choice(sorted(+live[input]))
                live[input] -= Counter([row])
                lines.append(f"-D {row[0]} {row[1]}")
            else:
                row = (rng.randrange(3), rng.choice("pqr"))
                live[input][row] += 1
                lines.append(f"+I {row[0]} {row[1]}")
        h.feed("\n".join(lines), input)
        assert h.fold() == joined(live)
    again, left = harness(snapshot=h.snapshot()), joined(live)
    for (a, x), n in sorted(live[0].items()):
        changed = again.feed("\n".join([f"-D {a} {x}"] * n))
        assert changed.count("-D") == sum(c for row, c in left.items() if row[:2] == (a, x))


OPTIONAL = [(False, True, True), (False, False, True), (False, True, False)]


def left_harness(optional, snapshot=None):
    return OperatorHarness(
        MultiJoinSpec((A, B, C), KEYS, None, (False,) * 3, (None,) * 3, optional), A, B, C, snapshot=snapshot
    )


def test_left_joins_in_pictures():
    h = left_harness((False, True, True))
    assert_changelog(h.feed("1 a1\nnull a2"), "+I null a2 null null null null\n+I 1 a1 null null null null")
    assert_changelog(h.feed("1 b1\nnull b2", 1), "-D 1 a1 null null null null\n+I 1 a1 1 b1 null null")
    assert_changelog(h.feed("1 c1", 2), "-D 1 a1 1 b1 null null\n+I 1 a1 1 b1 1 c1")
    assert_changelog(h.feed("-U 1 b1\n+U 1 B1", 1), "-U 1 a1 1 b1 1 c1\n+U 1 a1 1 B1 1 c1")
    assert_changelog(h.feed("-D 1 B1", 1), "-D 1 a1 1 B1 1 c1\n+I 1 a1 null null 1 c1")
    assert_changelog(h.feed("-U 1 a1\n+U 1 A1"), "-U 1 a1 null null 1 c1\n+U 1 A1 null null 1 c1")
    assert_changelog(h.feed("-D 1 A1"), "-D 1 A1 null null 1 c1")


@pytest.mark.parametrize("optional", OPTIONAL)
@pytest.mark.parametrize("seed", range(3))
def test_left_joins_give_what_cascaded_joins_give(optional, seed):
    """Goal: the same input gives the folded result of a tree of two-input joins, for each order of kinds, also after a restart."""
    rng = random.Random(seed)
    ab, abc = schema("a INT, x STRING, b INT, y STRING"), C
    kinds = [JoinKind.LEFT if o else JoinKind.INNER for o in optional[1:]]
    first = OperatorHarness(JoinSpec(A, B, kinds[0], (("a", "b"),), None, False, False), A, B)
    second = OperatorHarness(JoinSpec(ab, abc, kinds[1], (("a", "c"),), None, False, False), ab, C)
    multi, live = left_harness(optional), [Counter(), Counter(), Counter()]
    for step in range(30):
        input, lines = rng.randrange(3), []
        for _ in range(rng.randrange(1, 6)):
            if +live[input] and rng.random() < 0.45:
                row = rng.choice(sorted(+live[input], key=str))
                live[input] -= Counter([row])
                lines.append(f"-D {row[0]} {row[1]}")
            else:
                row = (rng.choice([0, 1, 2, "null"]), rng.choice("pq"))
                live[input][row] += 1
                lines.append(f"+I {row[0]} {row[1]}")
        rows, before = "\n".join(lines), len(first.emitted)
        multi.feed(rows, input)
        if input == 2:
            second.feed(rows, 1)
        else:
            first.feed(rows, input)
            for batch in first.emitted[before:]:
                second.feed(batch, 0)
        if step == 15:
            emitted = multi.emitted
            multi = left_harness(optional, snapshot=multi.snapshot())
            multi.emitted[:0] = emitted
        assert multi.fold() == second.fold()


def test_it_keeps_less_than_cascaded_joins():
    """Measured: 40 rows a key in each of three inputs are 1,600 rows between two joins, which here are no state."""
    ab = schema("a INT, x STRING, b INT, y STRING")
    first = OperatorHarness(JoinSpec(A, B, JoinKind.INNER, (("a", "b"),)), A, B)
    second = OperatorHarness(JoinSpec(ab, C, JoinKind.INNER, (("a", "c"),)), ab, C)
    multi = harness(insert_only=True)
    for input, name in enumerate("xyz"):
        rows = "\n".join(f"{k} {name}{i}" for k in range(10) for i in range(40))
        multi.feed(rows, input)
        if input < 2:
            first.feed(rows, input)
    for batch in first.emitted:
        second.feed(batch, 0)
    ratio = (state_bytes(first.operator) + state_bytes(second.operator)) / state_bytes(multi.operator)
    assert ratio > 5


def joined(live):
    expected = Counter()
    for (a, x), n in live[0].items():
        for (b, y), m in live[1].items():
            for (c, z), k in live[2].items():
                if a == b == c:
                    expected[a, x, b, y, c, z] += n * m * k
    return +expected


def steps(sql, **options):
    env = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    for key, value in options.items():
        env.get_config().set(key.replace("__", ".").replace("_", "-"), value)
    for name in ("t", "u", "v"):
        env.execute_sql(f"CREATE TABLE {name} (k INT, n INT, s STRING) WITH ('connector' = 'datagen', 'number-of-rows' = '5')")
    text = env.sql_query(sql).explain()
    return [
        line.split(": ")[1].split(" <-")[0] for line in text.split("== Optimized Execution Plan ==")[1].strip().splitlines()
    ]


def test_joins_on_one_key_become_one():
    assert "MultiJoin[k]" in steps("SELECT * FROM t JOIN u ON t.k = u.k LEFT JOIN v ON v.k = t.k")
    assert "MultiJoin[k]" in steps("SELECT * FROM t LEFT JOIN u ON t.k = u.k JOIN v ON v.k = t.k AND v.n > 1")
    assert "MultiJoin[k]" in steps("SELECT /*+ STATE_TTL('v' = '1 h') */ * FROM t JOIN u ON t.k = u.k JOIN v ON v.k = t.k")
    assert "MultiJoin[k]" in steps("SELECT * FROM t JOIN u ON t.k = u.k JOIN v ON v.k = t.k AND v.n < u.n")
    assert "MultiJoin[k]" in steps("SELECT t.s FROM t JOIN u ON t.k = u.k JOIN v ON v.k = u.k")
    assert "MultiJoin[k, n]" in steps("SELECT t.s FROM t JOIN u ON t.k = u.k AND t.n = u.n JOIN v ON v.n = u.n AND v.k = t.k")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM t JOIN u ON t.k = u.k JOIN v ON v.k = t.n",
        "SELECT * FROM t JOIN u ON t.k = u.k LEFT JOIN v ON v.k = t.k AND v.n > t.n",
        "SELECT * FROM t LEFT JOIN u ON t.k = u.k LEFT JOIN v ON v.k = u.k",
        "SELECT * FROM t JOIN u ON t.k = u.k FULL JOIN v ON v.k = t.k",
        "SELECT * FROM t JOIN u ON t.k = u.k AND t.n = u.n JOIN v ON v.k = t.k",
    ],
)
def test_other_joins_stay_a_tree(sql):
    assert not any(step.startswith("MultiJoin") for step in steps(sql))


def test_the_setting_turns_it_off():
    sql = "SELECT * FROM t JOIN u ON t.k = u.k JOIN v ON v.k = t.k"
    off = {"table__optimizer__multi_join__enabled": "false"}
    assert sum(step.startswith("Join") for step in steps(sql, **off)) == 2
    assert "MultiJoin[k]" in steps(sql.replace("SELECT", "SELECT /*+ MULTI_JOIN(t, u, v) */"), **off)
