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
from tableapi.connectors.filelog.follow import Batch, Follower, follow
from tableapi.connectors.filelog.groups import Consumer, committed_offsets, group_names
from tableapi.connectors.filelog.log import Appended, EventLog, PartitionInfo
from tableapi.connectors.filelog.producer import Producer
from tableapi.connectors.filelog.schema import Evolution, SchemaEvolutionError, SchemaMismatchError, TopicSchema, make_schema
from tableapi.connectors.filelog.topic import TopicInfo
from tableapi.connectors.filelog.transactions import Prepared, TransactionalProducer, abort_prepared, commit_prepared

__all__ = [
    "Appended",
    "Batch",
    "Consumer",
    "EventLog",
    "Evolution",
    "FencedError",
    "Follower",
    "LogIoError",
    "OffsetOutOfRangeError",
    "OutOfOrderSequenceError",
    "PartitionInfo",
    "PoisonedSegmentError",
    "Prepared",
    "Producer",
    "SchemaEvolutionError",
    "SchemaMismatchError",
    "TopicConfig",
    "TopicDeletedError",
    "TopicInfo",
    "TopicSchema",
    "TransactionError",
    "TransactionalProducer",
    "abort_prepared",
    "commit_prepared",
    "committed_offsets",
    "follow",
    "group_names",
    "make_schema",
]
