"""Schema on read: events whose `value` column holds the bytes or text of a record, decoded and encoded by a text format.

Imports connectors.formats.base, connectors.registry and connectors.filelog only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from tableapi.connectors.formats.base import BadRecord, TextDecoder, TextEncoder, TextFormat
from tableapi.errors import OptionError
from tableapi.tablespec import RowSchema

VALUE = "value"


@dataclass(frozen=True)
class ValueFormat:
    """A text format and its options; plain data.

    Args:
        name: The format's name.
        schema: The columns of a record.
        options: Options of the format, read.
        dead_letters: Topic for records that do not decode; None: they fail the job.
    """

    name: str
    schema: RowSchema
    options: Mapping[str, Any] = field(default_factory=dict)
    dead_letters: str | None = None

    def decoder(self, columns: tuple[str, ...]) -> TextDecoder:
        """A decoder that yields `columns`."""
        return _text_format(self.name).decoder(self.schema, columns, self.options)

    def encoder(self) -> TextEncoder:
        """An encoder of whole records."""
        return _text_format(self.name).encoder(self.schema, self.options)


def _text_format(name: str) -> TextFormat:
    from tableapi.connectors.registry import find_format

    found = find_format(name)
    if not isinstance(found, TextFormat):
        raise OptionError(f"'value.format' = '{name}' is a format of whole files", fix="use a format of records: json, csv")
    return found


def make_value_format(name: str, schema: RowSchema, options: Mapping[str, str], dead_letters: str | None) -> ValueFormat:
    """The format that a table's options ask for.

    Args:
        options: All options of the table; those of the format begin with `value.<format>.`.

    Raises:
        OptionError, UnknownNameError: a wrong format or option.
    """
    prefix = f"value.{name}."
    own = {k.removeprefix("value."): v for k, v in options.items() if k.startswith(prefix)}
    return ValueFormat(name, schema, _text_format(name).read_options(own), dead_letters)


@dataclass(frozen=True)
class DecodedValues:
    """Rows of decoded values: which values they came from (None: all, in order), their kinds, and what did not decode.

    Args:
        bad: Pairs of the value's row number and what is wrong with it.
    """

    frame: pl.DataFrame
    kept: pl.Series | None
    kinds: pl.Series | None
    bad: tuple[tuple[int, BadRecord], ...] = ()


def decode_values(values: pl.Series, decoder: TextDecoder, *, is_json: bool) -> DecodedValues:
    """Decodes a column of values, one record each: all at once when all are sound, else one by one."""
    pieces = values.cast(pl.Binary).fill_null(b"").to_list()
    if is_json:
        # The decoder takes a line as a record. In JSON a line end can only be space between tokens.
        pieces = [piece.replace(b"\n", b" ") for piece in pieces]
    decoded = decoder.decode(b"\n".join(pieces) + b"\n")
    if not decoded.bad and decoded.frame.height == len(pieces):
        return DecodedValues(decoded.frame, None, decoded.kinds)
    frames, kinds, kept, bad = [decoded.frame.clear()], [], [], []
    for row, piece in enumerate(pieces):
        one = decoder.decode(piece + b"\n")
        if one.bad or one.frame.height == 0:
            record = one.bad[0] if one.bad else BadRecord(0, 0, piece, "there is no record in it")
            bad.append((row, record))
            continue
        frames.append(one.frame)
        kinds.append(pl.Series([0] * one.frame.height, dtype=pl.Int8) if one.kinds is None else one.kinds)
        kept.extend([row] * one.frame.height)
    return DecodedValues(
        pl.concat(frames),
        pl.Series(kept, dtype=pl.UInt32),
        pl.concat(kinds) if kinds and decoded.kinds is not None else None,
        tuple(bad),
    )


def encode_values(frame: pl.DataFrame, kinds: pl.Series | None, encoder: TextEncoder) -> pl.Series:
    """A column of values, one record each."""
    lines = encoder.encode(frame, kinds).split(b"\n")[:-1]
    if len(lines) != frame.height:
        singles = [encoder.encode(frame[i : i + 1], None if kinds is None else kinds[i : i + 1]) for i in range(frame.height)]
        lines = [single.removesuffix(b"\n") for single in singles]
    return pl.Series(VALUE, lines, dtype=pl.Binary)
