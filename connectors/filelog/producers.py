"""What a partition knows of its idempotent producers: epoch and last sequence number of each, so that a retry never duplicates.

The table is rebuilt from frame headers; a snapshot is kept at the start of each segment. Imports connectors.filelog only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from tableapi.connectors.filelog.crc import crc32
from tableapi.connectors.filelog.errors import FencedError, OutOfOrderSequenceError
from tableapi.connectors.filelog.frame import NO_PRODUCER, FrameHeader

EXPIRY_MS = 7 * 24 * 3_600_000
REMEMBERED_BATCHES = 5


@dataclass(frozen=True, slots=True)
class ProducerState:
    """The last batches of one producer: `(first sequence, next sequence, base offset)`, newest last."""

    epoch: int
    batches: tuple[tuple[int, int, int], ...]
    append_ms: int


class ProducerTable:
    """Producer id to its state, as of one place in the log."""

    def __init__(self) -> None:
        self.states: dict[int, ProducerState] = {}

    def note(self, header: FrameHeader) -> None:
        """Takes in a frame that is in the log."""
        if header.producer_id == NO_PRODUCER:
            return
        old = self.states.get(header.producer_id)
        batch = (header.base_sequence, header.base_sequence + header.span, header.base_offset)
        earlier = old.batches if old and old.epoch == header.producer_epoch else ()
        self.states[header.producer_id] = ProducerState(
            header.producer_epoch, (*earlier, batch)[-REMEMBERED_BATCHES:], header.append_time_ms
        )

    def find_duplicate(self, producer: tuple[int, int, int], count: int, where: str) -> int | None:
        """The offset at which a batch already is, or None when it is the next one.

        Raises:
            FencedError: its epoch is older than one seen.
            OutOfOrderSequenceError: batches before it are missing.
        """
        producer_id, epoch, sequence = producer
        state = self.states.get(producer_id)
        if state is None or epoch > state.epoch:
            if sequence != 0:
                raise OutOfOrderSequenceError(
                    f"{where}: producer {producer_id} sends sequence {sequence}, but nothing is known of it",
                    fix="begin with a new producer; its earlier events are in the log or have expired",
                )
            return None
        if epoch < state.epoch:
            raise FencedError(
                f"{where}: producer {producer_id} has epoch {epoch}, but epoch {state.epoch} has written since",
                fix="end this producer; another one of the same name has taken over",
            )
        following = state.batches[-1][1]
        if sequence == following:
            return None
        if sequence > following:
            raise OutOfOrderSequenceError(f"{where}: producer {producer_id} sends sequence {sequence} after {following - 1}")
        for first, end, offset in state.batches:
            if first <= sequence and sequence + count <= end:
                return offset + sequence - first
        return -1

    def to_bytes(self, now_ms: int) -> bytes:
        """A snapshot, without producers that have been silent for a week."""
        kept = {
            str(k): [s.epoch, [list(b) for b in s.batches], s.append_ms]
            for k, s in self.states.items()
            if now_ms - s.append_ms < EXPIRY_MS
        }
        body = json.dumps(kept).encode()
        return b"%08x\n" % crc32(body) + body

    @staticmethod
    def from_bytes(data: bytes) -> ProducerTable | None:
        """The table of a snapshot, or None when it is damaged."""
        if len(data) < 9 or data[:8] != b"%08x" % crc32(data[9:]):
            return None
        table = ProducerTable()
        for producer_id, (epoch, batches, append_ms) in json.loads(data[9:]).items():
            table.states[int(producer_id)] = ProducerState(epoch, tuple(map(tuple, batches)), append_ms)
        return table
