"""Finds connectors and formats by the names used in `'connector' = '…'` and `'format' = '…'`.

Built-in ones are loaded when first asked for; others come from the entry-point groups
`tableapi.connectors` and `tableapi.formats`.
Imports errors and connectors.base only.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from tableapi.connectors.base import Connector
from tableapi.errors import UnknownNameError, UnsupportedError, did_you_mean

if TYPE_CHECKING:
    from tableapi.connectors.formats.base import Format

_CONNECTORS = {
    "filesystem": "tableapi.connectors.filesystem:FilesystemConnector",
    "datagen": "tableapi.connectors.datagen:DatagenConnector",
    "print": "tableapi.connectors.print:PrintConnector",
    "blackhole": "tableapi.connectors.blackhole:BlackholeConnector",
    "socket": "tableapi.connectors.socket:SocketConnector",
    "nexmark": "tableapi.connectors.nexmark:NexmarkConnector",
    "filelog": "tableapi.connectors.filelog.connector:FilelogConnector",
    "jdbc": "tableapi.connectors.jdbc:JdbcConnector",
    "python": "tableapi.connectors.python:PythonConnector",
}

_FORMATS = {
    "csv": "tableapi.connectors.formats.csv_format:CsvFormat",
    "json": "tableapi.connectors.formats.json_format:JsonFormat",
    "debezium-json": "tableapi.connectors.formats.cdc_json:DebeziumJsonFormat",
    "canal-json": "tableapi.connectors.formats.cdc_json:CanalJsonFormat",
    "maxwell-json": "tableapi.connectors.formats.cdc_json:MaxwellJsonFormat",
    "ogg-json": "tableapi.connectors.formats.cdc_json:OggJsonFormat",
    "raw": "tableapi.connectors.formats.raw:RawFormat",
    "parquet": "tableapi.connectors.formats.parquet:ParquetFormat",
    "arrow": "tableapi.connectors.formats.arrow:ArrowFormat",
    "orc": "tableapi.connectors.formats.orc:OrcFormat",
    "avro": "tableapi.connectors.formats.avro:AvroFormat",
}

_OTHER_FORMATS = {
    "avro-confluent": "it needs a schema registry",
    "debezium-avro-confluent": "it needs a schema registry",
    "protobuf": "it needs classes made by Protobuf's compiler for Java",
}
"""Formats of Flink that are not here, and why."""

_HINTS = {
    "kafka": "use 'filelog': a durable, partitioned, replayable stream on files",
    "upsert-kafka": "use 'filelog' with a PRIMARY KEY: a stream read as a table",
}


def connector_names() -> list[str]:
    """Names of all connectors: built in, and installed through entry points.

    >>> "filesystem" in connector_names()
    True
    """
    return sorted({*_CONNECTORS, *(e.name for e in entry_points(group="tableapi.connectors"))})


def format_names() -> list[str]:
    """Names of all formats: built in, and installed through entry points."""
    return sorted({*_FORMATS, *(e.name for e in entry_points(group="tableapi.formats"))})


def find_connector(name: str) -> Connector:
    """The connector of that name.

    Raises:
        UnknownNameError: when there is none; it lists those that exist.

    >>> find_connector("print").name
    'print'
    """
    connector: Connector = _load("connector", name, "tableapi.connectors")
    return connector


def find_format(name: str) -> Format:
    """The format of that name.

    Raises:
        UnknownNameError: when there is none; it lists those that exist.
        UnsupportedError: when Flink has it and this library has not.
    """
    found: Format = _load("format", name, "tableapi.formats")
    return found


@cache
def _load(what: str, name: str, group: str) -> Any:
    built_in = _CONNECTORS if what == "connector" else _FORMATS
    if name in built_in:
        module, _, attribute = built_in[name].partition(":")
        return getattr(import_module(module), attribute)()
    for entry in entry_points(group=group):
        if entry.name == name:
            return entry.load()()
    names = connector_names() if what == "connector" else format_names()
    if what == "format" and name in _OTHER_FORMATS:
        raise UnsupportedError(
            f"format '{name}' is not supported: {_OTHER_FORMATS[name]}", exists=f"formats: {', '.join(names)}"
        )
    raise UnknownNameError(
        f"there is no {what} '{name}'",
        exists=f"{what}s: {', '.join(names)}",
        fix=did_you_mean(name, names) or _HINTS.get(name, f"install a package that brings it (entry-point group '{group}')"),
    )
