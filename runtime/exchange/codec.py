"""Batches as Arrow IPC streams in a given piece of memory, and back.

Row kinds travel as one more Int8 column. Strings keep their view layout, which costs no conversion on either side, unless a
frame holds on to far more text than its own rows use (a small selection from a large batch): then they are packed first.
Loads pyarrow; imports the batch type only.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.ipc as ipc

from tableapi.runtime.stream.batch import Batch

KIND_COLUMN = "\x01kind"

PACK_SLACK_BYTES = 64 * 1024
"""Text that a frame may carry without using it before it is packed."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A batch ready to be written: its Arrow form and the exact number of bytes that it takes."""

    table: pa.Table
    size: int


def encode(batch: Batch) -> Encoded:
    """The Arrow form of a batch."""
    frame = batch.frame
    if batch.kinds is not None:
        frame = frame.with_columns(batch.kinds.alias(KIND_COLUMN))
    table = frame.to_arrow(compat_level=pl.CompatLevel.newest())
    size = _stream_size(table)
    if size > PACK_SLACK_BYTES and size > 2 * frame.estimated_size() + PACK_SLACK_BYTES:
        table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
        size = _stream_size(table)
    return Encoded(table, size)


def _stream_size(table: pa.Table) -> int:
    sink = pa.MockOutputStream()
    with ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return int(sink.size())


def write(encoded: Encoded, memory: mmap.mmap, offset: int) -> None:
    """Puts the bytes of a batch at `offset` of `memory`."""
    sink = pa.FixedSizeBufferWriter(pa.py_buffer(memoryview(memory)[offset : offset + encoded.size]))
    with ipc.new_stream(sink, encoded.table.schema) as writer:
        writer.write_table(encoded.table)


def to_bytes(encoded: Encoded) -> bytes:
    """The bytes of a (small) batch."""
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, encoded.table.schema) as writer:
        writer.write_table(encoded.table)
    return bytes(sink.getvalue())


def copy_out(memory: mmap.mmap, offset: int, size: int) -> pa.Buffer:
    """A private copy of a piece of shared memory, which can then be overwritten."""
    copy = pa.allocate_buffer(size)
    np.frombuffer(copy, dtype=np.uint8)[:] = np.frombuffer(memory, dtype=np.uint8, count=size, offset=offset)
    return copy


def decode(data: pa.Buffer | bytes, height: int) -> Batch:
    """The batch of `height` rows written in `data`, which stays in use for as long as the rows do."""
    with ipc.open_stream(pa.py_buffer(data)) as reader:
        batches = list(reader)
        schema = reader.schema
    if len(batches) == 1:
        frame = pl.DataFrame(batches[0])
    else:
        frame = pl.DataFrame(pa.Table.from_batches(batches, schema))
    kinds = None
    if KIND_COLUMN in frame.columns:
        kinds = frame.get_column(KIND_COLUMN).alias("kind")
        frame = frame.drop(KIND_COLUMN)
    if frame.width == 0:
        frame = pl.DataFrame(height=height)
    assert frame.height == height, (frame.height, height)
    return Batch(frame, kinds)
