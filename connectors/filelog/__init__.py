"""The event stream on files: a durable, partitioned, replayable log that many programs share.

`EventLog` is the entry; the format is specified in docs/filelog-format.md.
"""

from __future__ import annotations

from tableapi.connectors.filelog.config import TopicConfig
from tableapi.connectors.filelog.errors import (
    FencedError,
    LogIoError,
    OffsetOutOfRangeError,
    OutOfOrderSequenceError,
    PoisonedSegmentError,
    TopicDeletedError,
    TransactionError,
)
from tableapi.connectors.filelog.log import Appended, EventLog, PartitionInfo
from tableapi.connectors.filelog.schema import Evolution, SchemaEvolutionError, SchemaMismatchError, TopicSchema, make_schema
from tableapi.connectors.filelog.topic import TopicInfo

__all__ = [
    "Appended",
    "EventLog",
    "Evolution",
    "FencedError",
    "LogIoError",
    "OffsetOutOfRangeError",
    "OutOfOrderSequenceError",
    "PartitionInfo",
    "PoisonedSegmentError",
    "SchemaEvolutionError",
    "SchemaMismatchError",
    "TopicConfig",
    "TopicDeletedError",
    "TopicInfo",
    "TopicSchema",
    "TransactionError",
    "make_schema",
]
