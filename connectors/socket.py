"""The `socket` connector: rows from and to programs that speak over TCP or Unix sockets.

Imports connectors.{base,options,registry,bad_records,socket_*} and tableapi's plain data types only.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from tableapi.connectors.bad_records import policy_of
from tableapi.connectors.base import Connector, ScanRequest, Sink, Source
from tableapi.connectors.formats.base import INSERT_ONLY, TextFormat
from tableapi.connectors.options import COMMON_OPTIONS, read_options
from tableapi.connectors.registry import find_format, format_names
from tableapi.connectors.socket_options import ARROW_STREAM, OPTIONS, endpoint_of
from tableapi.connectors.socket_sink import SocketSink
from tableapi.connectors.socket_source import SocketSource
from tableapi.errors import OptionError, UnsupportedError
from tableapi.tablespec import TableSpec


class SocketConnector(Connector):
    """TCP and Unix sockets. At most once: what is on its way when a process dies is lost."""

    name = "socket"
    options = OPTIONS

    def source(self, table: TableSpec, request: ScanRequest, is_streaming: bool) -> Source:
        form, format_options, options = self._read(table)
        endpoint = endpoint_of(options, listens_by_default=False)
        if options["end-on-close"] and endpoint.listens:
            raise OptionError("'end-on-close' is for a source that connects", fix="use 'mode' = 'connect', or leave it out")
        names = table.produced.names
        columns = tuple(names) if request.columns is None else request.columns or tuple(names[:1])
        source = SocketSource(
            endpoint,
            options["framing"],
            form.name if form else None,
            format_options,
            table.physical,
            columns,
            policy_of(options),
            options["buffer-size"],
            options["end-on-close"],
            form.produces if form else INSERT_ONLY,
        )
        source.framer("")
        return source

    def sink(self, table: TableSpec) -> Sink:
        form, format_options, options = self._read(table)
        sink = SocketSink(
            endpoint_of(options, listens_by_default=True),
            options["framing"],
            form.name if form else None,
            format_options,
            table.persisted,
            str(uuid4()),
            options["buffer-size"],
            options["sink.slow-client"] == "skip",
            options["sink.await-clients"],
            options["sink.await-timeout"].total_seconds(),
            form.accepts if form else INSERT_ONLY,
        )
        sink.encoder()
        return sink

    def _read(self, table: TableSpec) -> tuple[TextFormat | None, dict[str, Any], dict[str, Any]]:
        name = table.options.get("format")
        form = None if name is None else find_format(name)
        prefix = f"{name}."
        others = {k: v for k, v in table.options.items() if name is None or not k.startswith(prefix)}
        options = read_options("connector 'socket'", others, (*self.options, *COMMON_OPTIONS))
        is_arrow = options["framing"] == ARROW_STREAM
        if form is None and not is_arrow:
            raise OptionError(
                "connector 'socket' needs the option 'format'",
                exists=f"formats: {', '.join(format_names())}",
                fix="add 'format' = 'json', or 'framing' = 'arrow-stream'",
            )
        if is_arrow:
            if form is not None and form.name != "arrow":
                raise OptionError("an Arrow stream has no other format", fix="leave 'format' out")
            return None, {}, options
        if not isinstance(form, TextFormat):
            raise UnsupportedError(f"format '{name}' cannot be sent record by record", fix="use 'json', 'csv' or 'raw'")
        return form, form.read_options(table.options), options
