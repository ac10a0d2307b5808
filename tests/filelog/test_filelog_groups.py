"""Consumer groups and following."""

from __future__ import annotations

import threading
import time

import polars as pl
import pytest

from tableapi.connectors.filelog import Consumer, EventLog, FencedError, committed_offsets, follow, group_names
from tableapi.connectors.filelog.groups import assign, delete_group, load_group
from tableapi.types import DataTypes as D


@pytest.fixture
def log(tmp_path):
    opened = EventLog(tmp_path / "log")
    opened.create("t", {"id": D.BIGINT()}, key="id", partitions=4)
    yield opened
    opened.close()


def fill(log, first, count):
    log.append("t", pl.DataFrame({"id": range(first, first + count)}, schema={"id": pl.Int64}))


def drain(consumer):
    got = []
    while (batch := consumer.poll(0, max_rows=50)) is not None:
        got.extend(batch.frame["id"])
    return got


def test_shares_are_equal_and_sticky():
    owners = assign({"t": 5}, {"a": ["t"]}, {})
    assert set(owners.values()) == {"a"}
    two = assign({"t": 5}, {"a": ["t"], "b": ["t"]}, owners)
    assert sorted(list(two.values()).count(m) for m in "ab") == [2, 3]
    assert sum(two[k] != owners[k] for k in two) == 2
    assert assign({"t": 5}, {"a": ["t"], "b": ["t"]}, two) == two
    assert assign({"t": 1}, {"a": [], "b": ["t"]}, {}) == {"t@0": "b"}


def test_a_group_continues_where_it_left_off(log):
    fill(log, 0, 100)
    with Consumer(log, "g", ["t"]) as consumer:
        assert sorted(drain(consumer)) == list(range(100))
    fill(log, 100, 20)
    with Consumer(log, "g", ["t"]) as consumer:
        assert sorted(drain(consumer)) == list(range(100, 120))
    with Consumer(log, "h", ["t"], start="latest") as consumer:
        assert drain(consumer) == []
    assert group_names(log) == ["g", "h"]
    assert sum(committed_offsets(log, "g", "t").values()) == 120
    delete_group(log, "g")
    assert group_names(log) == ["h"]


def test_members_share_and_take_over(log):
    fill(log, 0, 100)
    first = Consumer(log, "g", ["t"], auto_commit_interval_ms=0)
    got = drain(first)
    assert sorted(got) == list(range(100))
    second = Consumer(log, "g", ["t"], auto_commit_interval_ms=0)
    assert drain(second) == []
    drain(first)
    fill(log, 100, 100)
    one, two = drain(first), drain(second)
    assert (len(first.assignment), len(second.assignment)) == (2, 2)
    assert sorted(one + two) == list(range(100, 200))
    first.close()
    fill(log, 200, 50)
    assert sorted(drain(second)) == list(range(200, 250))
    assert len(second.assignment) == 4
    second.close()


def test_a_dead_member_loses_its_partitions_and_uncommitted_events_come_again(log):
    fill(log, 0, 100)
    dead = Consumer(log, "g", ["t"], auto_commit=False)
    drain(dead)
    dead.commit()
    fill(log, 100, 10)
    assert len(drain(dead)) == 10
    dead._life.close()
    heir = Consumer(log, "g", ["t"])
    assert sorted(drain(heir)) == list(range(100, 110))
    with pytest.raises(FencedError, match="now read by"):
        dead.commit()
    heir.close()


def test_a_silent_member_is_put_out_and_fenced(log):
    fill(log, 0, 10)
    silent = Consumer(log, "g", ["t"], auto_commit=False)
    assert len(drain(silent)) == 10
    time.sleep(0.03)
    heir = Consumer(log, "g", ["t"], session_timeout_ms=20)
    assert len(drain(heir)) == 10
    with pytest.raises(FencedError):
        silent.commit()
    assert silent.member not in load_group(log, "g").members
    heir.close()


def test_following_sees_new_events_at_once(log):
    waited = []

    def write():
        for _ in range(10):
            time.sleep(0.01)
            stamp = time.perf_counter_ns()
            log.append("t", pl.DataFrame({"id": [stamp]}))

    writer = threading.Thread(target=write)
    writer.start()
    for batch in follow(log, "t", timeout_s=5):
        waited.append(time.perf_counter_ns() - batch.frame["id"][-1])
        if len(waited) == 10:
            break
    writer.join()
    assert sorted(waited)[5] < 10_000_000


def test_bounded_following_ends(log):
    fill(log, 0, 100)
    ids = [i for batch in follow(log, "t", end="latest", max_rows=7) for i in batch.frame["id"]]
    assert sorted(ids) == list(range(100))
