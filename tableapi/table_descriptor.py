"""Descriptors: a table, a format and a model as a program declares them. May import schema and errors."""

from __future__ import annotations

from typing import Any

from tableapi.errors import OptionError, ValidationError
from tableapi.expression_base import caller
from tableapi.schema import Schema


def _option_key(key: Any) -> str:
    return key if isinstance(key, str) else str(getattr(key, "key", key))


def _option_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class FormatDescriptor:
    """A format and its options.

    >>> FormatDescriptor.for_format("json").option("ignore-parse-errors", "true").build().get_options()
    {'ignore-parse-errors': 'true'}
    """

    def __init__(self, format: str, options: dict[str, str]) -> None:
        self._format, self._options = format, dict(options)

    @staticmethod
    def for_format(format: str) -> FormatDescriptor.Builder:
        """A builder for a format: `json`, `csv`, …"""
        return FormatDescriptor.Builder(format)

    def get_format(self) -> str:
        """Name of the format."""
        return self._format

    def get_options(self) -> dict[str, str]:
        """Its options, keys without the format's name."""
        return dict(self._options)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FormatDescriptor) and (self._format, self._options) == (other._format, other._options)

    def __hash__(self) -> int:
        return hash(self._format)

    def __str__(self) -> str:
        return f"{self._format}[{self._options}]"

    class Builder:
        """Builds a `FormatDescriptor`."""

        def __init__(self, format: str) -> None:
            self._format = format
            self._options: dict[str, str] = {}

        def option(self, key: Any, value: Any) -> FormatDescriptor.Builder:
            """Sets an option; the key has no format name before it."""
            self._options[_option_key(key)] = _option_text(value)
            return self

        def build(self) -> FormatDescriptor:
            """The descriptor."""
            return FormatDescriptor(self._format, self._options)


class TableDescriptor:
    """A table: connector, options, schema, partitioning.

    >>> TableDescriptor.for_connector("datagen").option("number-of-rows", "3").build().get_options()
    {'connector': 'datagen', 'number-of-rows': '3'}
    """

    def __init__(
        self, schema: Schema | None, options: dict[str, str], partition_keys: tuple[str, ...] = (), comment: str | None = None
    ) -> None:
        self._schema, self._options = schema, dict(options)
        self._partition_keys, self._comment = partition_keys, comment

    @staticmethod
    def for_connector(connector: str) -> TableDescriptor.Builder:
        """A builder for a connector: `filesystem`, `datagen`, `filelog`, …"""
        return TableDescriptor.Builder().option("connector", connector)

    def get_schema(self) -> Schema | None:
        """The declared schema."""
        return self._schema

    def get_options(self) -> dict[str, str]:
        """The options, the connector among them."""
        return dict(self._options)

    def get_partition_keys(self) -> list[str]:
        """Columns that the table is partitioned by."""
        return list(self._partition_keys)

    def get_comment(self) -> str | None:
        """The comment."""
        return self._comment

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TableDescriptor) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(tuple(sorted(self._options.items())))

    def __str__(self) -> str:
        schema = f"{self._schema} " if self._schema is not None else ""
        comment = f"COMMENT '{self._comment}'\n" if self._comment is not None else ""
        partitions = f"PARTITIONED BY ({', '.join(f'`{k}`' for k in self._partition_keys)})\n" if self._partition_keys else ""
        options = ",\n".join(f"  '{k}' = '{v}'" for k, v in self._options.items())
        return f"{schema}\n{comment}{partitions}WITH (\n{options}\n)".lstrip("\n")

    class Builder:
        """Builds a `TableDescriptor`."""

        def __init__(self) -> None:
            self._schema: Schema | None = None
            self._options: dict[str, str] = {}
            self._partition_keys: tuple[str, ...] = ()
            self._comment: str | None = None

        def schema(self, schema: Schema) -> TableDescriptor.Builder:
            """Sets the schema."""
            if not isinstance(schema, Schema):
                raise ValidationError(f"{schema!r} is not a Schema", where=caller(), fix="Schema.new_builder()….build()")
            self._schema = schema
            return self

        def option(self, key: Any, value: Any) -> TableDescriptor.Builder:
            """Sets an option of the connector."""
            self._options[_option_key(key)] = _option_text(value)
            return self

        def format(self, format: str | FormatDescriptor, format_option: Any = None) -> TableDescriptor.Builder:
            """Sets the format.

            Args:
                format: Its name, or a descriptor with options.
                format_option: Key that the format is named in (`format` by default; `key.format`, `value.format`).

            Raises:
                OptionError: The key does not end in `format`.
            """
            key = "format" if format_option is None else _option_key(format_option)
            if key != "format" and not key.endswith(".format"):
                raise OptionError(f"'{key}' is not a format option", where=caller(), fix="for example 'value.format'")
            prefix = key[: -len("format")]
            if isinstance(format, FormatDescriptor):
                self._options[key] = format.get_format()
                for name, value in format.get_options().items():
                    self._options[f"{prefix}{format.get_format()}.{name}"] = value
            else:
                self._options[key] = format
            return self

        def partitioned_by(self, *partition_keys: str) -> TableDescriptor.Builder:
            """Sets the columns that the table is partitioned by."""
            self._partition_keys = tuple(partition_keys)
            return self

        def comment(self, comment: str) -> TableDescriptor.Builder:
            """Sets the comment."""
            self._comment = comment
            return self

        def build(self) -> TableDescriptor:
            """The descriptor."""
            return TableDescriptor(self._schema, self._options, self._partition_keys, self._comment)
