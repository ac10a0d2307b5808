"""Prints results as Flink does: a frame of dashes, right-aligned cells, unicode widths. Text is made by the runtime's casts."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import TYPE_CHECKING

import polars as pl

from tableapi import types as t
from tableapi.row import RowKind
from tableapi.tablespec import RowSchema

if TYPE_CHECKING:
    from tableapi.result import Batch

NULL_TEXT = "<NULL>"


class PrintStyle(Enum):
    """How a result is printed."""

    CHANGES = "changes"
    """A frame with a column `op`, columns as wide as their types."""
    ROWS = "rows"
    """A frame, columns as wide as their types."""
    CONTENT = "content"
    """A frame, columns as wide as their content, NULL as nothing (statements that show definitions)."""
    PLAIN = "plain"
    """The values alone."""


def display_width(text: str) -> int:
    """How many columns of a terminal the text takes.

    >>> display_width("a界"), display_width("e\u0301"), display_width("\U0001f469\u200d\U0001f680")
    (3, 1, 2)
    """
    return len(text) if text.isascii() else sum(width for _, width in _clusters(text))


_ZERO_WIDTH = frozenset({"Mn", "Me", "Cf"})
"""Categories of characters that take no room of their own: marks and joiners."""

_JOINER, _AS_EMOJI, _SOFT_HYPHEN = "\u200d", "\ufe0f", "\u00ad"


def _clusters(text: str) -> Iterator[tuple[str, int]]:
    """What is seen as one character, and its width: a letter with its marks, an emoji with what modifies it or is joined to it."""
    cluster, width = "", 0
    for character in text:
        is_mark = character != _SOFT_HYPHEN and unicodedata.category(character) in _ZERO_WIDTH
        is_joined = cluster.endswith(_JOINER) or (width == 2 and "\U0001f3fb" <= character <= "\U0001f3ff")
        is_flag = len(cluster) == 1 and _is_flag_half(cluster) and _is_flag_half(character)
        if cluster and (is_mark or is_joined or is_flag):
            cluster += character
            width = 2 if is_flag or (character == _AS_EMOJI and width == 1) else width
            continue
        if cluster:
            yield cluster, width
        cluster = character
        width = 0 if is_mark else 2 if unicodedata.east_asian_width(character) in "WF" else 1
    if cluster:
        yield cluster, width


def _is_flag_half(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def fit(text: str, width: int) -> str:
    """The text right-aligned in `width` columns, cut with `...` when it is longer.

    >>> fit("abcdef", 5), fit("ab", 4)
    ('ab...', '  ab')
    """
    taken = display_width(text)
    if taken <= width:
        return " " * (width - taken) + text
    cut, used = "", 0
    for character, step in _clusters(text):
        if used + step > width - 3:
            break
        cut, used = cut + character, used + step
    return " " * (width - 3 - used) + cut + "..."


def text_columns(frame: pl.DataFrame, schema: RowSchema, time_zone: str, null: str = NULL_TEXT) -> list[list[str]]:
    """The values of each column as text, as CAST(… AS STRING) writes them."""
    from tableapi.functions.registry import SessionContext
    from tableapi.plan.rex import Cast, Ref
    from tableapi.runtime.expressions import lower

    session = SessionContext(time_zone)
    columns = []
    for field in schema:
        if isinstance(field.type, t.BinaryStringType):
            text = pl.concat_str(pl.lit("x'"), pl.col(field.name).bin.encode("hex"), pl.lit("'"))
        elif isinstance(field.type, t.CharacterType):
            text = pl.col(field.name)
        else:
            text = lower(Cast(t.VarCharType(), Ref(field.type, field.name)), session)
        columns.append(frame.select(text.fill_null(null).alias("text"))["text"].to_list())
    return columns


def width_of_type(data_type: t.DataType, limit: int) -> int:
    """How wide a column of changes is: its rows are printed before all are known."""
    match data_type:
        case t.TinyIntType():
            width = 4
        case t.SmallIntType():
            width = 6
        case t.IntType():
            width = 11
        case t.BigIntType():
            width = 20
        case t.DecimalType(precision=precision):
            width = precision + 3
        case t.BooleanType():
            width = 5
        case t.DateType():
            width = 10
        case t.TimeType(precision=precision):
            width = 8 + (1 + precision if precision else 0)
        case t.AnyTimestampType():
            width = 19 + (1 + data_type.precision if data_type.precision else 0)
        case _:
            width = limit
    return max(width, len(NULL_TEXT)) if data_type.is_nullable else width


def print_result(schema: RowSchema, batches: Iterator[Batch], time_zone: str, style: PrintStyle, max_width: int) -> None:
    """Prints batches, as they come unless columns are as wide as their content.

    Args:
        schema: The columns.
        batches: Frames and kinds.
        time_zone: In which instants are shown.
        style: See `PrintStyle`.
        max_width: Columns of a terminal that a cell may take.
    """
    if style is PrintStyle.PLAIN:
        for frame, _ in batches:
            for row in zip(*text_columns(frame, schema, time_zone), strict=True):
                _write(" ".join(row))
        return
    if style is PrintStyle.CONTENT:
        _print_content(schema, list(batches), time_zone)
        return
    shows_kinds = style is PrintStyle.CHANGES
    names = ["op", *schema.names] if shows_kinds else schema.names
    widths = [min(max(display_width(f.name), width_of_type(f.type, max_width)), max_width) for f in schema]
    widths = [2, *widths] if shows_kinds else widths
    count = 0
    for frame, kinds in batches:
        if not frame.height:
            continue
        if not count:
            _header(names, widths)
        columns = text_columns(frame, schema, time_zone)
        if shows_kinds:
            ops = ["+I"] * frame.height if kinds is None else [str(RowKind(k)) for k in kinds.to_list()]
            columns = [ops, *columns]
        for row in zip(*columns, strict=True):
            _write(_line(row, widths))
        count += frame.height
    _footer(count, widths)


def _print_content(schema: RowSchema, batches: list[Batch], time_zone: str) -> None:
    columns: list[list[str]] = [[] for _ in schema]
    count = 0
    for frame, _ in batches:
        count += frame.height
        for column, added in zip(columns, text_columns(frame, schema, time_zone, null=""), strict=True):
            column.extend(added)
    widths = [
        max([display_width(name), *map(display_width, column)]) for name, column in zip(schema.names, columns, strict=True)
    ]
    if count:
        _header(schema.names, widths)
        for row in zip(*columns, strict=True):
            _write(_line(row, widths))
    _footer(count, widths)


def _header(names: Sequence[str], widths: Sequence[int]) -> None:
    _write(_rule(widths))
    _write(_line(names, widths))
    _write(_rule(widths))


def _footer(count: int, widths: Sequence[int]) -> None:
    if not count:
        _write("Empty set")
        return
    _write(_rule(widths))
    _write(f"{count} row{'' if count == 1 else 's'} in set")


def _rule(widths: Sequence[int]) -> str:
    return "+" + "+".join("-" * (w + 2) for w in widths) + "+"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "|" + "|".join(f" {fit(c, w)} " for c, w in zip(cells, widths, strict=True)) + "|"


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")
