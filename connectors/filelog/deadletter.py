"""Dead-letter topics: records that could not be decoded, with their bytes, where they came from and why.

Imports connectors.filelog and connectors.formats.base only.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from tableapi.connectors.filelog.log import EventLog
from tableapi.connectors.filelog.schema import TopicSchema, make_schema
from tableapi.connectors.formats.base import BadRecord
from tableapi.types import DataTypes


def dead_letter_schema() -> TopicSchema:
    """The columns of every dead-letter topic.

    >>> dead_letter_schema().columns.names
    ['raw', 'reason', 'source', 'position', 'found_at']
    """
    return make_schema(
        {
            "raw": DataTypes.BYTES(),
            "reason": DataTypes.STRING(),
            "source": DataTypes.STRING(),
            "position": DataTypes.BIGINT(),
            "found_at": DataTypes.TIMESTAMP_LTZ(3),
        },
        event_time="found_at",
    )


def put_aside(log: EventLog, topic: str, records: Sequence[BadRecord], source: str, first_position: int = 0) -> None:
    """Appends bad records to a dead-letter topic, which is made when absent.

    Args:
        log: The log.
        topic: Name of the dead-letter topic.
        records: What could not be decoded.
        source: Where they came from: a file, a topic and partition.
        first_position: Added to the records' offsets.
    """
    if not records:
        return
    schema = dead_letter_schema()
    log.create(topic, schema, if_not_exists=True)
    rows = [(r.raw, r.reason, source, first_position + r.offset, log.storage.now_ms()) for r in records]
    frame = pl.DataFrame(rows, schema={**schema.polars(), "found_at": pl.Int64}, orient="row")
    log.append(topic, frame.with_columns(pl.from_epoch("found_at", "ms").dt.replace_time_zone("UTC")))
