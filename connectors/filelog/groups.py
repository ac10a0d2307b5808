"""Consumer groups: members share the partitions of topics, and where each partition's reading stands is kept in the log's
directory.

A member is alive while it holds the lock on its own file, so the death of a process is noticed at once and needs no
heartbeat; a member that
is stopped is put out after `session_timeout_ms`. A partition moves only when its owner has let go of it, is dead, or was put
out; what such a member then tries to commit is refused. Imports connectors.filelog only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tableapi.connectors.filelog.crc import crc32
from tableapi.connectors.filelog.errors import FencedError
from tableapi.connectors.filelog.follow import CHECK_INTERVAL_S, Batch, Follower, TopicPartition
from tableapi.connectors.filelog.log import EventLog, Start
from tableapi.connectors.filelog.storage import File
from tableapi.connectors.filelog.topic import check_name
from tableapi.errors import CorruptionError, StreamClosedError, UnknownNameError, did_you_mean

Offsets = dict[str, dict[int, int]]
"""Topic to partition to the next offset."""


@dataclass
class GroupState:
    """Who is in a group and what each has.

    Args:
        generation: Grows with every change.
        members: Member to its topics and last sign of life (ms).
        owners: `topic@partition` to the member that reads it.
        targets: `topic@partition` to the member that is to read it.
    """

    generation: int = 0
    members: dict[str, dict[str, Any]] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    targets: dict[str, str] = field(default_factory=dict)


def group_names(log: EventLog) -> list[str]:
    """Names of all consumer groups."""
    return [n for n in log.storage.list(f"{log.path}/groups") if not n.startswith(".")]


def committed_offsets(log: EventLog, group: str, topic: str) -> dict[int, int]:
    """The committed next offset of each partition of a topic; empty when the group has none."""
    return _load_offsets(log, group).get(topic, {})


def store_offsets(log: EventLog, group: str, topic: str, offsets: Mapping[int, int], *, durable: bool = False) -> None:
    """Sets committed offsets, whoever owns the partitions (resetting a group, transactions)."""
    log.storage.make_directory(_directory(log, check_name(group, "group")))
    with log.storage.lock(f"{_directory(log, group)}/lock"):
        _store_offsets(log, group, {topic: dict(offsets)}, durable=durable)


def delete_group(log: EventLog, group: str) -> None:
    """Forgets a group.

    Raises:
        UnknownNameError: there is none of that name.
        FencedError: it has living members.
    """
    _check_known(log, group)
    directory = _directory(log, group)
    with log.storage.lock(f"{directory}/lock"):
        state = load_group(log, group)
        for member in state.members:
            probe = log.storage.try_lock(f"{directory}/{member}.member")
            if probe is None:
                raise FencedError(f"group '{group}' has a living member {member}", fix="end its members first")
            probe.close()
        for name in log.storage.list(directory):
            log.storage.remove(f"{directory}/{name}")
        log.storage.remove_directory(directory)


def describe_group(log: EventLog, group: str) -> list[dict[str, Any]]:
    """What a group has read: a dict per partition with `topic, partition, committed, end, lag, member`.

    Raises:
        UnknownNameError: there is none of that name.
    """
    _check_known(log, group)
    owners = load_group(log, group).owners
    offsets = _load_offsets(log, group)
    for key in owners:
        offsets.setdefault(key.rpartition("@")[0], {})
    rows = []
    for topic in sorted(set(offsets) & set(log.topics())):
        for info in log.partition_infos(topic):
            committed = offsets[topic].get(info.partition)
            lag = info.end_offset - (info.start_offset if committed is None else committed)
            member = owners.get(f"{topic}@{info.partition}")
            values = (topic, info.partition, committed, info.end_offset, lag, member)
            rows.append(dict(zip(("topic", "partition", "committed", "end", "lag", "member"), values, strict=True)))
    return rows


def reset_group(log: EventLog, group: str, topic: str, position: Start) -> dict[int, int]:
    """Sets a group's committed offsets of a topic to a position, within what there is; the offsets by partition."""
    log.describe(topic)
    offsets = {
        i.partition: min(max(log.resolve(topic, position, i.partition), i.start_offset), i.end_offset)
        for i in log.partition_infos(topic)
    }
    store_offsets(log, group, topic, offsets)
    return offsets


def _check_known(log: EventLog, group: str) -> None:
    names = group_names(log)
    if group not in names:
        raise UnknownNameError(
            f"there is no group '{group}'", exists=f"groups: {', '.join(names) or 'none'}", fix=did_you_mean(group, names)
        )


def load_group(log: EventLog, group: str) -> GroupState:
    """The state of a group."""
    value = _read(log, f"{_directory(log, group)}/state.json")
    return GroupState(**value) if value is not None else GroupState()


def _directory(log: EventLog, group: str) -> str:
    return f"{log.path}/groups/{group}"


def _read(log: EventLog, path: str) -> dict[str, Any] | None:
    try:
        data = log.storage.read_file(path)
    except FileNotFoundError:
        return None
    if data[:8] != b"%08x" % crc32(data[9:]):
        raise CorruptionError(f"file {path} is damaged", fix="remove it; the group then starts over")
    value: dict[str, Any] = json.loads(data[9:])
    return value


def _write(log: EventLog, path: str, value: Mapping[str, Any], *, durable: bool) -> None:
    body = json.dumps(value).encode()
    log.storage.write_file(path, b"%08x\n" % crc32(body) + body, durable=durable)


def _load_offsets(log: EventLog, group: str) -> Offsets:
    value = _read(log, f"{_directory(log, group)}/offsets.json") or {}
    return {topic: {int(p): o for p, o in offsets.items()} for topic, offsets in value.items()}


def _store_offsets(log: EventLog, group: str, new: Offsets, *, durable: bool) -> None:
    offsets = _load_offsets(log, group)
    for topic, by_partition in new.items():
        offsets.setdefault(topic, {}).update(by_partition)
    _write(log, f"{_directory(log, group)}/offsets.json", offsets, durable=durable)


def assign(partitions: Mapping[str, int], members: Mapping[str, Sequence[str]], owners: Mapping[str, str]) -> dict[str, str]:
    """Who is to have which partition: equal shares per topic, moving as few as possible.

    Args:
        partitions: Topic to its number of partitions.
        members: Member to the topics that it wants.
        owners: Who has what now.

    >>> assign({"t": 3}, {"a": ["t"], "b": ["t"]}, {"t@0": "a", "t@1": "a", "t@2": "a"})
    {'t@0': 'a', 't@1': 'a', 't@2': 'b'}
    """
    result: dict[str, str] = {}
    for topic, count in sorted(partitions.items()):
        wanting = sorted(m for m, topics in members.items() if topic in topics)
        if not wanting:
            continue
        held = {m: [k for k in (f"{topic}@{p}" for p in range(count)) if owners.get(k) == m] for m in wanting}
        ranked = sorted(wanting, key=lambda m: (-len(held[m]), m))
        share = {m: count // len(wanting) + (i < count % len(wanting)) for i, m in enumerate(ranked)}
        kept = {key: m for m in wanting for key in held[m][: share[m]]}
        room = [m for m in ranked for _ in range(share[m] - min(len(held[m]), share[m]))]
        rest = [k for k in (f"{topic}@{p}" for p in range(count)) if k not in kept]
        result.update({f"{topic}@{p}": kept[f"{topic}@{p}"] for p in range(count) if f"{topic}@{p}" in kept})
        result.update(zip(rest, room, strict=True))
    return dict(sorted(result.items()))


class Consumer:
    """A member of a consumer group.

    Args:
        log: The log.
        group: Its name.
        topics: What to read; all members together read each event.
        start: Where to begin in a partition for which the group has not committed anything.
        columns: Columns wanted (None: all).
        metadata: Metadata wanted, see `EventLog.reader`.
        auto_commit: Commit what earlier polls returned now and then, and on closing. Else call `commit`.
        auto_commit_interval_ms: How often.
        session_timeout_ms: A member that has not polled for so long is put out.

    >>> import polars as pl, tempfile
    >>> from tableapi.types import DataTypes
    >>> log = EventLog(tempfile.mkdtemp())
    >>> _ = log.create("t", {"n": DataTypes.INT()})
    >>> _ = log.append("t", pl.DataFrame({"n": [1, 2]}))
    >>> with Consumer(log, "readers", ["t"]) as consumer:
    ...     consumer.poll(1).frame["n"].to_list()
    [1, 2]
    >>> committed_offsets(log, "readers", "t")
    {0: 2}
    """

    def __init__(
        self,
        log: EventLog,
        group: str,
        topics: Sequence[str],
        *,
        start: Start = "earliest",
        columns: Sequence[str] | None = None,
        metadata: Sequence[str] | dict[str, str] = (),
        auto_commit: bool = True,
        auto_commit_interval_ms: int = 1000,
        session_timeout_ms: int = 30_000,
    ) -> None:
        self._log, self.group, self._topics, self._start = log, check_name(group, "group"), list(topics), start
        self._auto_commit, self._commit_interval_s = auto_commit, auto_commit_interval_ms / 1000
        self._session_ms = session_timeout_ms
        self._directory = _directory(log, group)
        log.storage.make_directory(self._directory)
        self.member = f"{log.storage.random_id():x}"
        self._life: File | None = log.storage.try_lock(f"{self._directory}/{self.member}.member")
        self._follower = Follower(log, columns=columns, metadata=metadata, extra_paths=[self._directory])
        self._returned: dict[TopicPartition, int] = {}
        self._generation = -1
        self._checked = self._committed = float("-inf")
        for topic in topics:
            log.topic(topic)
        self._join()

    def _join(self) -> None:
        with self._locked():
            state = load_group(self._log, self.group)
            state.members[self.member] = {"topics": self._topics, "seen_ms": self._log.storage.now_ms()}
            self._rebalance(state)

    def _locked(self) -> Any:
        return self._log.storage.lock(f"{self._directory}/lock")

    def _rebalance(self, state: GroupState) -> None:
        """Puts out dead and silent members, and gives partitions to the rest. Under the group's lock."""
        now_ms = self._log.storage.now_ms()
        for member in list(state.members):
            if member != self.member and not self._is_alive(member, state.members[member]["seen_ms"], now_ms):
                del state.members[member]
                self._log.storage.remove(f"{self._directory}/{member}.member")
        topics = {topic for m in state.members.values() for topic in m["topics"]}
        counts = {topic: self._log.topic(topic).partitions for topic in topics}
        state.owners = {k: m for k, m in state.owners.items() if m in state.members}
        state.targets = assign(counts, {m: v["topics"] for m, v in state.members.items()}, state.owners)
        for key, member in state.targets.items():
            state.owners.setdefault(key, member)
        self._save(state)

    def _is_alive(self, member: str, seen_ms: int, now_ms: int) -> bool:
        if now_ms - seen_ms > self._session_ms:
            return False
        probe = self._log.storage.try_lock(f"{self._directory}/{member}.member")
        if probe is None:
            return True
        probe.close()
        return False

    def _save(self, state: GroupState) -> None:
        state.generation += 1
        value = {
            "generation": state.generation,
            "members": state.members,
            "owners": state.owners,
            "targets": state.targets,
        }
        _write(self._log, f"{self._directory}/state.json", value, durable=False)

    @property
    def assignment(self) -> list[TopicPartition]:
        """The partitions that this member reads."""
        return sorted(self._follower.partitions)

    def poll(self, timeout_s: float | None = None, max_rows: int = 65_536) -> Batch | None:
        """The next events of one of this member's partitions; None when none arrive in time.

        Calling it says that the events it returned before are dealt with.

        Args:
            timeout_s: How long to wait; None: for ever.
            max_rows: At most so many.
        """
        if self._life is None:
            raise StreamClosedError("the consumer is closed", fix="make a new one")
        clock = self._log.storage.monotonic
        deadline = None if timeout_s is None else clock() + timeout_s
        while True:
            self._follower.prepare_wait()
            self._attend(clock())
            found = self._follower.take(max_rows) if self._follower.partitions else None
            if found is not None:
                self._returned[found.topic, found.partition] = found.next_offset
                return found
            rest = None if deadline is None else deadline - clock()
            if rest is not None and rest <= 0:
                return None
            self._follower.prepare_wait_if_new()
            self._follower.wait(rest)

    def _attend(self, now: float) -> None:
        """Commits, shows that this member lives, and follows changes of the group."""
        if self._auto_commit and self._returned and now - self._committed >= self._commit_interval_s:
            self._commit_quietly(now)
        state = load_group(self._log, self.group)
        is_due = now - self._checked >= CHECK_INTERVAL_S
        if not is_due and state.generation == self._generation:
            return
        self._checked = now
        if self.member not in state.members:
            self._lose_all()
            self._join()
            state = load_group(self._log, self.group)
        if self._needs_change(state):
            with self._locked():
                self._let_go(load_group(self._log, self.group))
            state = load_group(self._log, self.group)
        self._take_over(state)
        self._generation = state.generation

    def _needs_change(self, state: GroupState) -> bool:
        now_ms = self._log.storage.now_ms()
        if now_ms - state.members[self.member]["seen_ms"] > self._session_ms / 3:
            return True
        if any(owner == self.member and state.targets.get(key) != self.member for key, owner in state.owners.items()):
            return True
        return any(m != self.member and not self._is_alive(m, v["seen_ms"], now_ms) for m, v in state.members.items())

    def _let_go(self, state: GroupState) -> None:
        if self.member not in state.members:
            return
        state.members[self.member]["seen_ms"] = self._log.storage.now_ms()
        leaving = [k for k, m in state.owners.items() if m == self.member and state.targets.get(k) != self.member]
        if self._auto_commit:
            self._commit_in(state, {k: v for k, v in self._returned.items() if f"{k[0]}@{k[1]}" in leaving})
        for key in leaving:
            topic, _, number = key.rpartition("@")
            self._follower.remove(topic, int(number))
            self._returned.pop((topic, int(number)), None)
            del state.owners[key]
        self._rebalance(state)

    def _take_over(self, state: GroupState) -> None:
        mine = {k for k, m in state.owners.items() if m == self.member}
        reading = {f"{t}@{p}" for t, p in self._follower.partitions}
        for key in sorted(mine - reading):
            topic, _, text = key.rpartition("@")
            number = int(text)
            committed = committed_offsets(self._log, self.group, topic)
            self._follower.add(topic, number, committed.get(number, self._start))
        for key in reading - mine:
            topic, _, text = key.rpartition("@")
            self._follower.remove(topic, int(text))
            self._returned.pop((topic, int(text)), None)

    def _lose_all(self) -> None:
        for key in self._follower.partitions:
            self._follower.remove(*key)
        self._returned.clear()

    def _commit_quietly(self, now: float) -> None:
        try:
            self.commit()
        except FencedError:
            self._lose_all()
        self._committed = now

    def commit(self) -> None:
        """Keeps for the group that everything which `poll` returned is dealt with.

        Raises:
            FencedError: this member was put out; another one has its partitions and reads those events again.
        """
        with self._locked():
            self._commit_in(load_group(self._log, self.group), self._returned)
        self._returned = {}

    def _commit_in(self, state: GroupState, offsets: Mapping[TopicPartition, int]) -> None:
        for topic, number in offsets:
            owner = state.owners.get(f"{topic}@{number}")
            if owner != self.member:
                raise FencedError(
                    f"group '{self.group}': partition {number} of topic '{topic}' is now read by {owner or 'nobody'}",
                    fix="poll again: this member rejoins, and what was not committed is read again",
                )
        if not offsets:
            return
        new: Offsets = {}
        for (topic, number), offset in offsets.items():
            new.setdefault(topic, {})[number] = offset
        durable = any(self._log.topic(t).config.durability == "ack" for t in new)
        _store_offsets(self._log, self.group, new, durable=durable)

    def positions(self) -> dict[TopicPartition, int]:
        """The next offset of each partition that this member reads."""
        return {key: self._follower.position(*key) for key in self._follower.partitions}

    def close(self) -> None:
        """Commits (with `auto_commit`) and leaves the group; others take over at once."""
        if self._life is None:
            return
        try:
            with self._locked():
                state = load_group(self._log, self.group)
                if self.member in state.members:
                    if self._auto_commit:
                        owned = {k: v for k, v in self._returned.items() if state.owners.get(f"{k[0]}@{k[1]}") == self.member}
                        self._commit_in(state, owned)
                    del state.members[self.member]
                    self._rebalance(state)
                self._log.storage.remove(f"{self._directory}/{self.member}.member")
        finally:
            self._life.close()
            self._life = None
            self._follower.close()

    def __enter__(self) -> Consumer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
