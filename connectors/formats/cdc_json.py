"""Changelogs as JSON: `debezium-json`, `ogg-json`, `canal-json` and `maxwell-json`.

An update becomes a -U row with the old values and a +U row with the new ones. When writing, Flink's way is kept: what is taken
away is written as a delete, what is added as an insert.
Imports formats.{base,convert,lines,json_format,json_encode}, connectors.base and tableapi's plain data types only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from tableapi.connectors.base import Option
from tableapi.connectors.formats.base import (
    ALL_KINDS,
    BadRecord,
    Decoded,
    TextDecoder,
    TextEncoder,
    TextFormat,
)
from tableapi.connectors.formats.convert import ConversionError
from tableapi.connectors.formats.json_encode import JsonEncoder, lines_of
from tableapi.connectors.formats.json_format import (
    JSON_OPTIONS,
    JsonDecoder,
    check_types,
    json_encoder,
    split_lines,
    style_of,
)
from tableapi.connectors.formats.lines import decode_lines
from tableapi.errors import OptionError, UnknownNameError, did_you_mean
from tableapi.row import RowKind
from tableapi.tablespec import Field, RowSchema
from tableapi.types import ArrayType, DataType, DataTypes, RowField, RowType

_INSERT, _UPDATE, _DELETE = "+", "~", "-"


@dataclass(frozen=True)
class Envelope:
    """How a kind of change record is laid out.

    Args:
        operation: The field that says what happened.
        operations: What its values mean: insert, update, delete ("": the record is left out).
        new, old: The fields with the row after and before the change.
        old_is_partial: `old` holds only what has changed, and a deleted row stands in `new`.
        is_list: `new` and `old` hold lists of rows.
        wrapper: The field around all of that, if any.
    """

    operation: str
    operations: Mapping[str, str]
    new: str
    old: str
    old_is_partial: bool = False
    is_list: bool = False
    wrapper: str | None = None


@dataclass(frozen=True)
class ChangeDecoder(TextDecoder):
    """Reads change records.

    Args:
        row: The wanted columns of the table.
        extras: Wanted metadata: column name, path of fields in the envelope.
        includes: Fields whose text must match a pattern, else the record is left out.
    """

    envelope: Envelope
    row: RowSchema
    reader: JsonDecoder
    columns: tuple[str, ...]
    extras: tuple[tuple[str, tuple[str, ...], DataType], ...] = ()
    includes: tuple[tuple[str, str], ...] = ()

    def decode(self, data: bytes) -> Decoded:
        decoded = decode_lines(data, self._fast, self._slow)
        frame, kinds = self._changes(self._relevant(decoded.frame))
        return Decoded(frame, kinds, () if self.reader.is_lenient else decoded.bad)

    def decode_records(self, records: Sequence[bytes]) -> Decoded:
        return self.decode(b"".join(record.replace(b"\n", b" ") + b"\n" for record in records))

    def _fast(self, data: bytes) -> pl.DataFrame:
        records = self._unwrap(self.reader.fast(data))
        wrong = self._wrong(records).drop_nulls()
        if len(wrong):
            raise ConversionError(wrong[0])
        return records

    def _slow(self, data: bytes) -> tuple[pl.DataFrame, list[BadRecord]]:
        frames, bad = [], []
        for offset, line, raw in split_lines(data):
            if raw.strip() == b"null":
                continue
            frame, found = self.reader.slow(raw)
            records = self._unwrap(frame)
            wrong = self._wrong(records)
            bad += [BadRecord(offset, line, raw, b.reason) for b in found]
            bad += [BadRecord(offset, line, raw, reason) for reason in wrong.drop_nulls()]
            frames.append(records.filter(wrong.is_null()))
        return (pl.concat(frames) if frames else self._unwrap(self.reader.fast(b""))), bad

    def _unwrap(self, records: pl.DataFrame) -> pl.DataFrame:
        wrapper = self.envelope.wrapper
        return records if wrapper is None else records[wrapper].struct.unnest()

    def _relevant(self, records: pl.DataFrame) -> pl.DataFrame:
        e = self.envelope
        ignored = [word for word, meaning in e.operations.items() if not meaning]
        records = records.filter(~pl.col(e.operation).is_in(ignored)) if ignored else records
        for name, pattern in self.includes:
            records = records.filter(pl.col(name).str.contains(f"^(?:{pattern})$"))
        return records

    def _wrong(self, records: pl.DataFrame) -> pl.Series:
        """What is wrong with each record, null where nothing is."""
        e = self.envelope
        operation, known = pl.col(e.operation), list(e.operations)
        meaning = operation.replace_strict(
            list(e.operations), list(e.operations.values()), default=None, return_dtype=pl.String
        )
        needs_old = meaning.is_in([_UPDATE] if e.old_is_partial else [_UPDATE, _DELETE])
        needs_new = meaning.is_in([_INSERT, _UPDATE, _DELETE] if e.old_is_partial else [_INSERT, _UPDATE])
        unknown = pl.format(f"'{e.operation}' is '{{}}', which is none of {', '.join(known)}", operation.fill_null("null"))
        return records.select(
            pl.when(meaning.is_null())
            .then(unknown)
            .when(needs_old & pl.col(e.old).is_null())
            .then(pl.lit(f"'{e.old}' is null, but an update or delete needs the old row"))
            .when(needs_new & pl.col(e.new).is_null())
            .then(pl.lit(f"'{e.new}' is null, but the change needs the row"))
            .alias("wrong")
        ).to_series()

    def _changes(self, records: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
        """The rows of all records, in order, and their kinds."""
        e = self.envelope
        if e.is_list:
            records = records.explode(e.new, e.old) if not records[e.old].has_nulls() else _explode_pair(records, e.new, e.old)
        operation = records[e.operation].replace_strict(list(e.operations), list(e.operations.values()), return_dtype=pl.String)
        is_update, is_delete = (operation == _UPDATE).to_numpy(), (operation == _DELETE).to_numpy()
        new = self._rows(records[e.new])
        old = self._overlay(records[e.old], new) if e.old_is_partial else self._rows(records[e.old])
        count = records.height
        source = np.repeat(np.arange(count), 1 + is_update)
        is_second = np.zeros(len(source), dtype=bool)
        is_second[1:] = source[1:] == source[:-1]
        takes_old = (is_update[source] & ~is_second) | (is_delete[source] & (not e.old_is_partial))
        kinds = np.where(
            is_delete[source], int(RowKind.DELETE), np.where(is_second, int(RowKind.UPDATE_AFTER), int(RowKind.INSERT))
        )
        kinds[is_update[source] & ~is_second] = int(RowKind.UPDATE_BEFORE)
        rows = pl.concat([old, new])[np.where(takes_old, source, count + source)]
        for name, path, data_type in self.extras:
            rows = rows.with_columns(_extra(records, path, data_type)[source].alias(name))
        return rows.select(self.columns), pl.Series("kind", kinds.astype(np.int8))

    def _rows(self, structs: pl.Series) -> pl.DataFrame:
        return pl.DataFrame({f.name: structs.struct.field(f.name) for f in self.row})

    def _overlay(self, old: pl.Series, new: pl.DataFrame) -> pl.DataFrame:
        """The rows before an update: `new`, with the fields that `old` (JSON text) has."""
        texts = old.fill_null("{}")
        parsed = JsonDecoder(self.row, self.reader.style, is_lenient=self.reader.is_lenient).decode(lines_of(texts)).frame
        columns = {}
        for f in self.row:
            is_given = texts.str.contains(rf'[{{,]\s*"{re.escape(f.name)}"\s*:')
            columns[f.name] = parsed[f.name].zip_with(is_given, new[f.name])
        return pl.DataFrame(columns)


def _explode_pair(records: pl.DataFrame, new: str, old: str) -> pl.DataFrame:
    empty = pl.col(new).list.eval(pl.lit(None, dtype=pl.String))
    return records.with_columns(pl.when(pl.col(old).is_null()).then(empty).otherwise(pl.col(old)).alias(old)).explode(new, old)


def _extra(records: pl.DataFrame, path: tuple[str, ...], data_type: DataType) -> pl.Series:
    values = records[path[0]]
    for name in path[1:]:
        values = values.struct.field(name)
    return values if values.dtype == data_type.to_polars() else values.cast(data_type.to_polars())


@dataclass(frozen=True)
class ChangeEncoder(TextEncoder):
    """Writes an insert for each row that is added and a delete for each that is taken away; `{}` is the row's place."""

    rows: JsonEncoder
    insert: tuple[str, str]
    delete: tuple[str, str]

    def encode(self, frame: pl.DataFrame, kinds: pl.Series | None) -> bytes:
        objects = self.rows.objects(frame)
        if not len(objects):
            return b""
        takes_away = (
            pl.repeat(False, len(objects), eager=True)
            if kinds is None
            else kinds.is_in([int(RowKind.UPDATE_BEFORE), int(RowKind.DELETE)])
        )
        parts = pl.DataFrame({"row": objects, "gone": takes_away})
        added = pl.concat_str(pl.lit(self.insert[0]), "row", pl.lit(self.insert[1]))
        deleted = pl.concat_str(pl.lit(self.delete[0]), "row", pl.lit(self.delete[1]))
        return lines_of(parts.select(pl.when("gone").then(deleted).otherwise(added)).to_series())


_LTZ3, _STRING = DataTypes.TIMESTAMP_LTZ(3), DataTypes.STRING()
_STRINGS = DataTypes.ARRAY(_STRING)


class _ChangeFormat(TextFormat):
    """What the four formats share. `paths` says where each metadata key stands in the record."""

    produces = ALL_KINDS
    accepts = ALL_KINDS
    options: tuple[Option, ...] = JSON_OPTIONS
    paths: Mapping[str, tuple[str, ...]] = {}
    insert: tuple[str, str]
    delete: tuple[str, str]

    def envelope(self, options: Mapping[str, Any]) -> Envelope:
        raise AssertionError("each format has an envelope")

    def includes(self, options: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
        return ()

    def decoder(
        self, schema: RowSchema, columns: Sequence[str], options: Mapping[str, Any], metadata: Mapping[str, str] | None = None
    ) -> ChangeDecoder:
        row = RowSchema(tuple(f for f in schema if f.name in columns)) if set(columns) & set(schema.names) else schema
        check_types(self.name, row)
        extras = tuple((name, self._path(key), self.metadata[key]) for name, key in (metadata or {}).items() if name in columns)
        includes = self.includes(options)
        envelope = self.envelope(options)
        reader = JsonDecoder(_record_schema(envelope, row, extras, includes), style_of(options), options["ignore-parse-errors"])
        return ChangeDecoder(envelope, row, reader, tuple(columns), extras, includes)

    def _path(self, key: str) -> tuple[str, ...]:
        if key not in self.paths:
            raise UnknownNameError(
                f"format '{self.name}' has no metadata '{key}'",
                exists=f"metadata: {', '.join(self.paths)}",
                fix=did_you_mean(key, self.paths),
            )
        return self.paths[key]

    def encoder(self, schema: RowSchema, options: Mapping[str, Any]) -> ChangeEncoder:
        check_types(self.name, schema)
        return ChangeEncoder(json_encoder(schema, options), self.insert, self.delete)


def _record_schema(
    envelope: Envelope,
    row: RowSchema,
    extras: tuple[tuple[str, tuple[str, ...], DataType], ...],
    includes: tuple[tuple[str, str], ...],
) -> RowSchema:
    """What is read of each record."""
    rows: DataType = RowType(tuple(RowField(f.name, f.type) for f in row))
    old: DataType = _STRING if envelope.old_is_partial else rows
    fields: dict[str, DataType] = {
        envelope.operation: _STRING,
        envelope.new: ArrayType(rows) if envelope.is_list else rows,
        envelope.old: ArrayType(old) if envelope.is_list else old,
    }
    nested: dict[str, dict[str, DataType]] = {}
    for _, path, data_type in extras:
        stored = DataTypes.BIGINT() if data_type == _LTZ3 else data_type
        if len(path) == 1:
            fields[path[0]] = stored
        else:
            nested.setdefault(path[0], {})[path[1]] = stored
    fields |= {name: RowType(tuple(RowField(n, t) for n, t in inner.items())) for name, inner in nested.items()}
    fields |= {name: _STRING for name, _ in includes}
    schema = RowSchema(tuple(Field(n, t) for n, t in fields.items()))
    if envelope.wrapper is None:
        return schema
    return RowSchema((Field(envelope.wrapper, RowType(tuple(RowField(f.name, f.type) for f in schema))),))


class DebeziumJsonFormat(_ChangeFormat):
    """Records of Debezium: before, after, op."""

    name = "debezium-json"
    options: tuple[Option, ...] = (
        Option("schema-include", bool, "Records carry their schema, the change stands in 'payload'.", default=False),
        *JSON_OPTIONS,
    )
    insert = ('{"before":null,"after":', ',"op":"c"}')
    delete = ('{"before":', ',"after":null,"op":"d"}')
    paths: Mapping[str, tuple[str, ...]] = {
        "ingestion-timestamp": ("ts_ms",),
        "source.timestamp": ("source", "ts_ms"),
        "source.database": ("source", "db"),
        "source.schema": ("source", "schema"),
        "source.table": ("source", "table"),
    }
    metadata: Mapping[str, DataType] = dict.fromkeys(("ingestion-timestamp", "source.timestamp"), _LTZ3) | dict.fromkeys(
        ("source.database", "source.schema", "source.table"), _STRING
    )

    def envelope(self, options: Mapping[str, Any]) -> Envelope:
        meanings = {"c": _INSERT, "r": _INSERT, "u": _UPDATE, "d": _DELETE}
        return Envelope("op", meanings, "after", "before", wrapper="payload" if options["schema-include"] else None)

    def encoder(self, schema: RowSchema, options: Mapping[str, Any]) -> ChangeEncoder:
        if options["schema-include"]:
            raise OptionError(
                "'debezium-json.schema-include' is for reading only", fix="leave it out of a table that is written"
            )
        return super().encoder(schema, options)


class OggJsonFormat(_ChangeFormat):
    """Records of Oracle GoldenGate: before, after, op_type."""

    name = "ogg-json"
    insert = ('{"before":null,"after":', ',"op_type":"I"}')
    delete = ('{"before":', ',"after":null,"op_type":"D"}')
    paths: Mapping[str, tuple[str, ...]] = {"table": ("table",), "primary-keys": ("primary_keys",)}
    metadata: Mapping[str, DataType] = {"table": _STRING, "primary-keys": _STRINGS}

    def envelope(self, options: Mapping[str, Any]) -> Envelope:
        return Envelope("op_type", {"I": _INSERT, "U": _UPDATE, "D": _DELETE}, "after", "before")


class CanalJsonFormat(_ChangeFormat):
    """Records of Canal: lists of rows, and for updates the old values of what has changed."""

    name = "canal-json"
    options: tuple[Option, ...] = (
        Option("database.include", str, "Regular expression; records of other databases are left out."),
        Option("table.include", str, "Regular expression; records of other tables are left out."),
        *JSON_OPTIONS,
    )
    insert = ('{"data":[', '],"type":"INSERT"}')
    delete = ('{"data":[', '],"type":"DELETE"}')
    paths: Mapping[str, tuple[str, ...]] = {
        "database": ("database",),
        "table": ("table",),
        "pk-names": ("pkNames",),
        "ingestion-timestamp": ("ts",),
        "event-timestamp": ("es",),
    }
    metadata: Mapping[str, DataType] = {
        "database": _STRING,
        "table": _STRING,
        "pk-names": _STRINGS,
        "ingestion-timestamp": _LTZ3,
        "event-timestamp": _LTZ3,
    }

    def envelope(self, options: Mapping[str, Any]) -> Envelope:
        ignored = dict.fromkeys(("CREATE", "ALTER", "ERASE", "TRUNCATE", "RENAME", "CINDEX", "DINDEX", "QUERY"), "")
        meanings = {"INSERT": _INSERT, "UPDATE": _UPDATE, "DELETE": _DELETE, **ignored}
        return Envelope("type", meanings, "data", "old", old_is_partial=True, is_list=True)

    def includes(self, options: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
        given = (("database", options["database.include"]), ("table", options["table.include"]))
        return tuple((name, pattern) for name, pattern in given if pattern)


class MaxwellJsonFormat(_ChangeFormat):
    """Records of Maxwell: a row, and for updates the old values of what has changed."""

    name = "maxwell-json"
    insert = ('{"data":', ',"type":"insert"}')
    delete = ('{"data":', ',"type":"delete"}')
    paths: Mapping[str, tuple[str, ...]] = {
        "database": ("database",),
        "table": ("table",),
        "primary-key-columns": ("primary_key_columns",),
    }
    metadata: Mapping[str, DataType] = {"database": _STRING, "table": _STRING, "primary-key-columns": _STRINGS}

    def envelope(self, options: Mapping[str, Any]) -> Envelope:
        meanings = {"insert": _INSERT, "bootstrap-insert": _INSERT, "update": _UPDATE, "delete": _DELETE}
        return Envelope("type", meanings, "data", "old", old_is_partial=True)
