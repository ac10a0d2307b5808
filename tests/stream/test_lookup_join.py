"""Lookup joins: keyed tables with caches, retries and answers that come late; tables held whole; what is taken back."""

import asyncio
import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import time

import numpy as np
import polars as pl
import pytest
from helpers import schema

from tableapi.connectors.base import LookupReader, LookupSource, ReadResult, Source, Split, SplitReader
from tableapi.errors import ExecutionError
from tableapi.plan.nodes import JoinKind, NamedRex
from tableapi.plan.rex import Call, Literal, Ref
from tableapi.row import RowKind
from tableapi.runtime.lookup.asked import KeyedTable, WholeTable
from tableapi.runtime.lookup.cache import CacheSettings
from tableapi.runtime.lookup.reload import Periodic, Timed
from tableapi.runtime.stream.accounting import state_bytes
from tableapi.runtime.stream.calc import CalcStep
from tableapi.runtime.stream.lookup_join import LookupJoinSpec
from tableapi.testing import MemorySnapshot, OperatorHarness, assert_changelog
from tableapi.types import DataTypes

LEFT = schema("a INT, v STRING")
TABLE = schema("id INT, name STRING")


@dataclass
class Names(LookupSource):
    """A table in memory that counts its questions; with `gate`, answers come when it is opened."""

    rows: dict = field(default_factory=dict)
    is_async: bool = False
    asked: list = field(default_factory=list)
    gate: threading.Event | None = None
    order: list = field(default_factory=list)

    def reader(self):
        return NamesReader(self)


class NamesReader(LookupReader):
    def __init__(self, source):
        self.source = source

    def lookup(self, keys):
        self.source.asked.append(sorted(keys["id"]))
        found = [(k, name) for k in keys["id"] for name in self.source.rows.get(k, ())]
        return pl.DataFrame(found, schema=TABLE.to_polars(), orient="row")

    async def lookup_async(self, keys):
        if self.source.gate is not None and 1 in keys["id"]:
            await asyncio.to_thread(self.source.gate.wait)
        return self.lookup(keys)


def keyed(source, kind="LEFT", *, steps=(), condition=None, insert_only=True, ttl_ms=None, **asked):
    table = KeyedTable("names", source, TABLE, ("id",), **asked)
    return LookupJoinSpec(LEFT, TABLE, JoinKind[kind], (("a", "id"),), table, steps, condition, insert_only, None, ttl_ms)


def test_each_key_of_a_batch_is_asked_once():
    source = Names({1: ["x", "y"], 2: ["z"]})
    h = OperatorHarness(keyed(source), LEFT)
    shown = h.feed("1 p\n2 q\n1 r\nnull s\n3 t")
    expected = "+I 1 p 1 x\n+I 1 p 1 y\n+I 2 q 2 z\n+I 1 r 1 x\n+I 1 r 1 y\n+I null s null null\n+I 3 t null null"
    assert_changelog(shown, expected)
    assert source.asked == [[1, 2, 3]]
    assert_changelog(OperatorHarness(keyed(source, "INNER"), LEFT).feed("2 q\n3 t"), "+I 2 q 2 z")


def test_cache_remembers_rows_and_missing_keys():
    source = Names({1: ["x"], 2: ["y"]})
    h = OperatorHarness(keyed(source, cache=CacheSettings(max_keys=10)), LEFT)
    h.feed("1 p\n3 p")
    source.rows[1] = ["new"]
    assert_changelog(h.feed("1 q\n2 q\n3 q"), "+I 1 q 1 x\n+I 2 q 2 y\n+I 3 q null null")
    assert source.asked == [[1, 3], [2]]
    metrics = h.context.metrics
    assert (metrics["lookup_hits"], metrics["lookup_misses"], metrics["cached_keys"]) == (2, 3, 3)
    assert h.operator.state()["cache"].sort("id").rows() == [(1, "x"), (2, "y")]


def test_cache_without_missing_keys_asks_for_them_again():
    source = Names({1: ["x"]})
    h = OperatorHarness(keyed(source, cache=CacheSettings(max_keys=10, keeps_missing=False)), LEFT)
    h.feed("1 p\n3 p")
    h.feed("1 p\n3 p")
    assert source.asked == [[1, 3], [3]]


def test_cache_lets_the_least_recently_used_go():
    source = Names({k: [f"n{k}"] for k in range(10)})
    h = OperatorHarness(keyed(source, cache=CacheSettings(max_keys=2)), LEFT)
    for key in (1, 2, 1, 3, 1, 2):
        h.feed(f"{key} p")
    assert source.asked == [[1], [2], [3], [2]]
    assert h.context.metrics["cached_keys"] == 2


def test_cache_expires_after_write_and_after_access():
    source = Names({1: ["x"]})
    h = OperatorHarness(keyed(source, cache=CacheSettings(after_write_ms=100)), LEFT)
    for now in (0, 60, 100):
        h.set_clock(now)
        h.feed("1 p")
    assert len(source.asked) == 2
    source.asked.clear()
    h = OperatorHarness(keyed(source, cache=CacheSettings(after_access_ms=100)), LEFT)
    for now in (0, 60, 120, 220):
        h.set_clock(now)
        h.feed("1 p")
    assert len(source.asked) == 2


def test_missing_keys_are_asked_again_until_the_attempts_are_used_up():
    source = Names({1: ["x"]})
    h = OperatorHarness(keyed(source, max_attempts=3, retry_delay_ms=1_000), LEFT)
    assert h.feed("1 p\n2 p") == ""
    assert h.feed("1 q") == "", "answers leave in order"
    assert h.set_clock(999) == ""
    assert h.set_clock(1_000) == ""
    source.rows[2] = ["late"]
    assert_changelog(h.set_clock(2_000), "+I 1 p 1 x\n+I 2 p 2 late\n+I 1 q 1 x")
    assert source.asked == [[1, 2], [1], [2], [2]]
    h.feed("3 p")
    h.set_clock(3_000)
    assert_changelog(h.set_clock(4_000), "+I 3 p null null")


def test_unordered_rows_do_not_wait_for_each_other_but_watermarks_do():
    source = Names({1: ["x"]})
    h = OperatorHarness(keyed(source, max_attempts=2, retry_delay_ms=1_000, is_ordered=False), LEFT)
    assert h.feed("2 p") == ""
    h.advance(5)
    assert h.watermark < 5
    assert h.feed("1 p") == "", "it stands behind a watermark that waits"
    h.set_clock(1_000)
    assert h.watermark == 5
    assert_changelog(h.emitted, "+I 2 p null null\n+I 1 p 1 x")
    h.feed("2 q")
    assert_changelog(h.feed("1 q"), "+I 1 q 1 x")


def test_the_end_of_input_asks_one_last_time():
    source = Names({})
    h = OperatorHarness(keyed(source, max_attempts=9, retry_delay_ms=1_000_000), LEFT)
    h.feed("1 p")
    source.rows[1] = ["x"]
    assert_changelog(h.end(), "+I 1 p 1 x")


@pytest.mark.parametrize("is_ordered", [True, False])
def test_asynchronous_answers(is_ordered):
    source = Names({1: ["x"], 2: ["y"]}, is_async=True, gate=threading.Event())
    h = OperatorHarness(keyed(source, is_async=True, is_ordered=is_ordered), LEFT)
    h.feed("1 p")
    h.feed("2 p")
    while not source.asked:
        pass
    shown = ""
    for now in range(2, 2_000, 2):
        shown += h.set_clock(now)
        if shown or is_ordered:
            break
    assert shown == ("" if is_ordered else "+I 2 p 2 y")
    source.gate.set()
    h.end()
    assert_changelog(h.emitted, "+I 1 p 1 x\n+I 2 p 2 y" if is_ordered else "+I 2 p 2 y\n+I 1 p 1 x")
    h.operator.close()


def test_capacity_bounds_the_questions_under_way():
    source = Names({k: ["x"] for k in range(9)}, is_async=True)
    h = OperatorHarness(keyed(source, is_async=True, capacity=1), LEFT)
    for key in range(2, 9):
        h.feed(f"{key} p")
        assert h.context.metrics["waiting_rows"] <= 1
    h.end()
    assert len(h.emitted) == 7
    h.operator.close()


def test_an_answer_that_takes_too_long_fails_the_job():
    source = Names({1: ["x"]}, is_async=True, gate=threading.Event())
    h = OperatorHarness(keyed(source, is_async=True, timeout_ms=1), LEFT)
    h.feed("1 p")
    with pytest.raises(ExecutionError, match="did not answer within 1 ms"):
        h.end()
    source.gate.set()
    h.operator.close()


def test_wrong_answers_are_named():
    class Wrong(NamesReader):
        def lookup(self, keys):
            return keys

    source = Names()
    source.reader = lambda: Wrong(source)
    with pytest.raises(ExecutionError, match="gave no column 'name'"):
        OperatorHarness(keyed(source), LEFT).feed("1 p")


def test_what_was_found_is_taken_back_not_what_is_there_now():
    source = Names({1: ["x", "y"]})
    spec = keyed(source, insert_only=False)
    h = OperatorHarness(spec, LEFT)
    h.feed("1 p\n2 p")
    source.rows = {1: ["new"], 2: ["new"]}
    assert_changelog(h.feed("-U 1 p\n+U 1 q"), "-D 1 p 1 x\n-D 1 p 1 y\n+I 1 q 1 new")
    again = OperatorHarness(spec, LEFT, snapshot=h.snapshot())
    for one in (h, again):
        assert_changelog(one.feed("-D 2 p"), "-D 2 p null null")
        source.rows[1] = ["other"]
        assert_changelog(one.feed("-U 1 q\n+U 1 r"), "-U 1 q 1 new\n+U 1 r 1 other")
        source.rows[1] = ["new"]
        assert one.feed("-D 7 never") == ""
        assert one.feed("+I 8 p\n-D 8 p") == ""
    assert h.operator.state()["found"].rows() == [(1, "r", 1, "other")]


def test_what_was_found_lives_as_long_as_state_does():
    h = OperatorHarness(keyed(Names({1: ["x"]}), insert_only=False, ttl_ms=100), LEFT)
    h.feed("1 p")
    h.set_clock(50)
    h.feed("1 q")
    h.set_clock(100)
    assert h.feed("-D 1 p") == ""
    assert_changelog(h.feed("-D 1 q"), "-D 1 q 1 x")
    assert h.context.metrics["keys"] == 0


def test_waiting_rows_survive_a_restart():
    source = Names({})
    spec = keyed(source, max_attempts=2, retry_delay_ms=1_000)
    h = OperatorHarness(spec, LEFT)
    h.feed("1 p\n-D 2 q")
    again = OperatorHarness(spec, LEFT, snapshot=h.snapshot())
    assert_changelog(again.end(), "+I 1 p null null\n-D 2 q null null")
    assert h.operator.state()["waiting"].rows() == [(1, "p", 0), (2, "q", 3)]


def test_steps_over_the_table_and_a_condition():
    upper = NamedRex("big", Call(DataTypes.STRING(), "UPPER", (Ref(DataTypes.STRING(), "name"),)))
    steps = (CalcStep(None, (NamedRex("b", Ref(DataTypes.INT(), "id")), upper)),)
    condition = Call(DataTypes.BOOLEAN(), "NOT_EQUALS", (Ref(DataTypes.STRING(), "big"), Literal(DataTypes.STRING(), "Y")))
    right = schema("b INT, big STRING")
    table = KeyedTable("names", Names({1: ["x", "y"], 2: ["y"]}), TABLE, ("id",))
    h = OperatorHarness(LookupJoinSpec(LEFT, right, JoinKind.LEFT, (("a", "b"),), table, steps, condition), LEFT)
    assert_changelog(h.feed("1 p\n2 p"), "+I 1 p 1 X\n+I 2 p null null")


# -- tables that are held whole


@dataclass(frozen=True, eq=False)
class Changes(Source):
    """A table whose changes are handed over one after the other; None: nothing now."""

    batches: list
    is_bounded: bool = False
    changelog = frozenset({RowKind.INSERT, RowKind.UPDATE_AFTER, RowKind.DELETE})

    def splits(self):
        return [Split("0")]

    def reader(self, split, position=None):
        return ChangesReader(self)


class ChangesReader(SplitReader):
    def __init__(self, source):
        self.source, self.next = source, 0

    def read(self, max_rows):
        if self.next >= len(self.source.batches):
            return ReadResult(None, self.next, finished=self.source.is_bounded)
        rows, kinds = self.source.batches[self.next]
        self.next += 1
        frame = pl.DataFrame(rows, schema=TABLE.to_polars(), orient="row")
        return ReadResult(frame, self.next, None if kinds is None else pl.Series("kind", kinds, dtype=pl.Int8))


def whole(source, identity=("id",), reload=None):
    asked = WholeTable("names", source, TABLE, ("id",), identity, reload)
    return LookupJoinSpec(LEFT, TABLE, JoinKind.LEFT, (("a", "id"),), asked)


def test_an_upsert_table_is_followed():
    changes = Changes([([(1, "x"), (2, "y"), (1, "z")], None)])
    h = OperatorHarness(whole(changes), LEFT)
    assert_changelog(h.feed("1 p\n2 p"), "+I 1 p 1 z\n+I 2 p 2 y")
    changes.batches.append(([(2, None), (1, "w")], [3, 2]))
    assert_changelog(h.feed("1 p\n2 p"), "+I 1 p 1 w\n+I 2 p null null")
    assert h.context.metrics["table_rows"] == 1
    assert state_bytes(h.operator) > 0


def test_rows_of_a_changelog_are_taken_back_one_by_one():
    changes = Changes([([(1, "x"), (1, "x"), (1, "y")], None), ([(1, "x"), (1, "y"), (1, "z")], [3, 1, 2])])
    assert_changelog(OperatorHarness(whole(changes, ()), LEFT).feed("1 p"), "+I 1 p 1 x\n+I 1 p 1 z")


def test_a_bounded_table_is_read_again_when_that_is_due():
    changes = Changes([([(1, "x")], None)], is_bounded=True)
    h = OperatorHarness(whole(changes, None, Periodic(1_000)), LEFT)
    assert_changelog(h.feed("1 p"), "+I 1 p 1 x")
    changes.batches[0] = ([(1, "new")], None)
    h.set_clock(999)
    assert_changelog(h.feed("1 p"), "+I 1 p 1 x")
    h.set_clock(1_000)
    assert_changelog(h.feed("1 p"), "+I 1 p 1 new")
    day = 86_400_000
    assert Timed(time(2, 30), days=2).next_ms(0, 3 * 3_600_000) == 2 * day + 9_000_000


def test_followed_table_equals_a_dictionary():
    """Random upserts and deletes between random look-ups."""
    rng = np.random.default_rng(4)
    changes, expected, truth = Changes([]), [], {}
    h = OperatorHarness(whole(changes), LEFT)
    for step in range(60):
        keys, deletes = rng.integers(0, 12, 5).tolist(), rng.random(5) < 0.4
        rows = [(k, f"{step}-{i}") for i, k in enumerate(keys)]
        changes.batches.append((rows, np.where(deletes, 3, 2).tolist()))
        for (key, name), is_delete in zip(rows, deletes, strict=True):
            truth.pop(key, None) if is_delete else truth.__setitem__(key, name)
        asked = rng.integers(0, 12, 4).tolist()
        h.feed("\n".join(f"{k} p" for k in asked))
        expected += [(k, "p", k if k in truth else None, truth.get(k)) for k in asked]
    assert [row for batch in h.emitted for row in batch.frame.rows()] == expected


@pytest.mark.parametrize("settings", [CacheSettings(5), CacheSettings(after_write_ms=7), CacheSettings(5, 7, 3, False)])
def test_a_cache_never_invents_rows(settings):
    """Whatever is remembered, over a table that does not change the answer is the table's."""
    rng = np.random.default_rng(5)
    source = Names({k: [f"n{k}.{i}" for i in range(k % 3)] for k in range(20)})
    h = OperatorHarness(keyed(source, "INNER", cache=settings), LEFT)
    asked = []
    for step in range(80):
        h.set_clock(step)
        keys = rng.integers(0, 20, 6).tolist()
        asked += keys
        h.feed("\n".join(f"{k} p" for k in keys))
    expected = Counter((k, name) for k in asked for name in source.rows[k])
    assert Counter((row[0], row[3]) for batch in h.emitted for row in batch.frame.rows()) == expected
    assert sum(map(len, source.asked)) < len(asked)


def test_rescaled_waiting_rows_and_findings():
    source = Names({1: ["x"], 2: ["y"]})
    spec = keyed(source, insert_only=False)
    parts = []
    for subtask, rows in enumerate(("1 p", "2 p\n2 p")):
        h = OperatorHarness(spec, LEFT)
        h.context.subtask = subtask
        h.feed(rows)
        parts.append(h.snapshot())
    source.rows = {}
    h = OperatorHarness(spec, LEFT, snapshot=MemorySnapshot(parts))
    assert_changelog(h.feed("-D 2 p\n-D 1 p\n-D 2 p\n-D 2 p"), "-D 2 p 2 y\n-D 1 p 1 x\n-D 2 p 2 y")
