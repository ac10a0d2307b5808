"""Event time where several streams meet: the minimum over those that have something to say."""

from __future__ import annotations

from collections.abc import Sequence

from tableapi.runtime.cluster.diagnosis import WorkerNote
from tableapi.runtime.planner.graph import JobGraph, SourceSpec
from tableapi.runtime.stream.batch import MAX_WATERMARK, MIN_WATERMARK


class WatermarkTracker:
    """The combined watermark of a number of channels.

    A channel that is idle is not waited for; one that has ended counts as MAX_WATERMARK. When the last active channel falls
    idle the result is the highest watermark that any of them had reached (Flink: StatusWatermarkValve). The combined
    watermark never goes back.
    """

    def __init__(self, channels: int) -> None:
        self._watermarks = [MIN_WATERMARK] * channels
        self._idle = [False] * channels
        self._ended = [False] * channels
        self.watermark_ms = MIN_WATERMARK if channels else MAX_WATERMARK
        self.is_idle = False

    @property
    def has_ended(self) -> bool:
        """Whether every channel has ended."""
        return all(self._ended)

    def advance(self, channel: int, time_ms: int) -> None:
        """A channel's watermark has reached `time_ms`."""
        self._watermarks[channel] = max(self._watermarks[channel], time_ms)
        self._combine()

    def set_idle(self, channel: int, is_idle: bool) -> None:
        """A channel falls idle, or speaks again."""
        self._idle[channel] = is_idle
        self._combine()

    def end(self, channel: int) -> None:
        """A channel says nothing more."""
        assert not self._ended[channel]
        self._ended[channel] = True
        self._combine()

    def is_closed(self, channel: int) -> bool:
        """Whether a channel has ended."""
        return self._ended[channel]

    def held_back_by(self) -> list[int]:
        """The channels that nothing but time or rows can advance: active, and not ahead of the combined watermark."""
        return [
            c
            for c, watermark in enumerate(self._watermarks)
            if not (self._ended[c] or self._idle[c]) and watermark <= self.watermark_ms
        ]

    def _combine(self) -> None:
        open_channels = [c for c, ended in enumerate(self._ended) if not ended]
        active = [self._watermarks[c] for c in open_channels if not self._idle[c]]
        self.is_idle = bool(open_channels) and not active
        if not open_channels:
            combined = MAX_WATERMARK
        elif active:
            combined = min(active)
        else:
            combined = max(self._watermarks[c] for c in open_channels)
        self.watermark_ms = max(self.watermark_ms, combined)


class GroupTimes:
    """How far the alignment groups of a job have come, from what its workers say of their splits."""

    def __init__(self, graph: JobGraph) -> None:
        specs = {v.id: v.step.watermark for v in graph.vertices if isinstance(v.step, SourceSpec)}
        self._alignments = {i: spec.alignment for i, spec in specs.items() if spec is not None and spec.alignment is not None}

    @property
    def is_needed(self) -> bool:
        """Whether the job has alignment groups."""
        return bool(self._alignments)

    def slowest(self, notes: Sequence[WorkerNote]) -> dict[str, int]:
        """By group the event time of the active split that is furthest behind; groups without one are left out."""
        found: dict[str, int] = {}
        for source in (s for note in notes for s in note.sources if s.vertex in self._alignments):
            group = self._alignments[source.vertex].group
            for split in source.splits:
                if not split.is_idle:
                    found[group] = min(found.get(group, MAX_WATERMARK), split.watermark_ms)
        return found
