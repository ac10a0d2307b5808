"""Settings of a topic. Imports tableapi.errors only."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tableapi.errors import OptionError, did_you_mean

_WORDS = {
    "cleanup": ("delete", "compact"),
    "compression": ("none", "lz4", "zstd"),
    "durability": ("none", "batch", "ack"),
    "evolution": ("backward", "forward", "full", "none"),
}


@dataclass(frozen=True)
class TopicConfig:
    """How a topic is kept. Times are in milliseconds, sizes in bytes, per partition; 0 or less for no bound.

    Args:
        cleanup: `delete` old segments by retention, or `compact`: keep the newest event of each key.
        retention_ms: Age of the newest event of a segment after which it is deleted.
        retention_bytes: Size of a partition above which its oldest segments are deleted.
        delete_retention_ms: How long compaction keeps tombstones, so that readers see the deletion.
        segment_bytes: Size at which a new segment is begun.
        segment_ms: Age at which a new segment is begun.
        compression: `none`, `lz4` or `zstd`.
        durability: `none` (survives the death of any process), `batch` (fsync at intervals) or `ack` (fsync before
            acknowledging).
        fsync_interval_ms: Interval of `batch`.
        max_frame_bytes: Larger appends are cut into frames of about this size.
        evolution: Which schema changes are allowed.
    """

    cleanup: str = "delete"
    retention_ms: int = 0
    retention_bytes: int = 0
    delete_retention_ms: int = 24 * 3_600_000
    segment_bytes: int = 128 * 1024 * 1024
    segment_ms: int = 7 * 24 * 3_600_000
    compression: str = "none"
    durability: str = "none"
    fsync_interval_ms: int = 1000
    max_frame_bytes: int = 8 * 1024 * 1024
    evolution: str = "backward"

    def __post_init__(self) -> None:
        for name, words in _WORDS.items():
            if getattr(self, name) not in words:
                raise OptionError(
                    f"topic setting {name} = '{getattr(self, name)}' is unknown", exists=f"values: {', '.join(words)}"
                )
        if self.segment_bytes < 4096 or self.max_frame_bytes < 1024:
            raise OptionError("segment_bytes must be at least 4096 and max_frame_bytes at least 1024")

    @property
    def durable(self) -> bool:
        """Whether anything is ever fsynced."""
        return self.durability != "none"

    def changed(self, settings: Mapping[str, Any]) -> TopicConfig:
        """The settings with some replaced; texts are read as numbers where numbers are needed.

        Raises:
            OptionError: an unknown name or value.

        >>> TopicConfig().changed({"compression": "lz4", "segment_ms": "1000"}).segment_ms
        1000
        """
        kinds: dict[str, type] = {f.name: type(getattr(self, f.name)) for f in dataclasses.fields(self)}
        values: dict[str, Any] = {}
        for key, value in settings.items():
            name = key.replace(".", "_").replace("-", "_")
            if name not in kinds:
                raise OptionError(
                    f"there is no topic setting '{key}'", exists=f"settings: {', '.join(kinds)}", fix=did_you_mean(name, kinds)
                )
            try:
                values[name] = kinds[name](value)
            except ValueError:
                raise OptionError(f"topic setting {name} = '{value}' is not a number") from None
        return dataclasses.replace(self, **values)
