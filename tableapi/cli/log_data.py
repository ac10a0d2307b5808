"""`tableapi log append|read|tail`: events in and out, as JSON lines, CSV, tables and Arrow streams.

May import click and connectors.filelog, connectors.formats.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from tableapi.cli.log import open_log, progress_bar

if TYPE_CHECKING:
    import polars as pl

    from tableapi.connectors.filelog import EventLog
    from tableapi.tablespec import RowSchema

CHUNK_BYTES = 4 * 1024 * 1024
BATCH_ROWS = 100_000
FORMATS = ("json", "csv", "table", "arrow")


def parse_position(text: str) -> Any:
    """`earliest`, `latest`, an offset, or a time in ISO form (UTC when it names no zone)."""
    if text in ("earliest", "latest"):
        return text
    if text.isdigit():
        return int(text)
    try:
        time_of = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(
            f"'{text}' is no position: give earliest, latest, an offset, or a time such as 2024-01-31T12:00"
        ) from None
    return time_of if time_of.tzinfo else time_of.replace(tzinfo=UTC)


@click.command("append")
@click.argument("topic")
@click.argument("file", type=click.File("rb"), default="-")
@click.option("--format", "form", type=click.Choice(["json", "csv", "arrow"]), default="json", show_default=True)
@click.option("--header", is_flag=True, help="The first line of the CSV names its columns.")
@click.option("--partition", type=int, help="All events to this partition.")
@click.option("--dead-letters", metavar="TOPIC", help="Put records that cannot be decoded into this topic instead of failing.")
@click.pass_context
def append_command(
    context: click.Context,
    topic: str,
    file: BinaryIO,
    form: str,
    header: bool,
    partition: int | None,
    dead_letters: str | None,
) -> None:
    """Append the events in FILE (default: standard input) to TOPIC."""
    from tableapi.connectors.filelog import Producer

    log = open_log(context)
    log.describe(topic)
    rows = 0
    with Producer(log) as producer, progress_bar(f"append to {topic}") as progress:
        for frame in _frames(log, topic, file, form, header, dead_letters):
            arguments = {} if partition is None else {"partition": partition}
            rows += producer.append(topic, frame, **arguments).rows
            progress(rows, rows)
    log.close()
    click.echo(f"{rows} events appended", err=True)


def _frames(
    log: EventLog, topic: str, file: BinaryIO, form: str, header: bool, dead_letters: str | None
) -> Iterator[pl.DataFrame]:
    if form == "arrow":
        yield from _arrow_frames(file)
        return
    from tableapi.connectors.filelog.deadletter import put_aside
    from tableapi.connectors.registry import find_format

    schema = log.schema_of(topic).columns
    text_format: Any = find_format(form)
    names = schema.names
    line = 1
    if header and form == "csv":
        names = [n.strip().strip('"') for n in file.readline().decode().rstrip("\r\n").split(",")]
        schema = _selected(schema, names)
        line += 1
    decoder = text_format.decoder(schema, names, text_format.read_options({}))
    name = getattr(file, "name", "<stdin>")
    position = 0
    for data in _chunks(file, decoder.boundary):
        decoded = decoder.decode(data)
        if decoded.bad and dead_letters is None:
            raise decoded.bad[0].error(form, str(name), line)
        if dead_letters is not None:
            put_aside(log, dead_letters, decoded.bad, str(name), position)
        if decoded.frame.height:
            yield decoded.frame
        position += len(data)
        line += data.count(b"\n")


def _selected(schema: RowSchema, names: list[str]) -> RowSchema:
    from tableapi.tablespec import RowSchema

    return RowSchema(tuple(schema[n] for n in names))


def _chunks(file: BinaryIO, boundary: Callable[[bytes], int]) -> Iterator[bytes]:
    """Pieces of whole records: what has arrived, without waiting for more once there is a whole record."""
    read = getattr(file, "read1", file.read)
    rest = b""
    while piece := read(CHUNK_BYTES):
        rest += piece
        end = boundary(rest)
        if end:
            yield rest[:end]
            rest = rest[end:]
    if rest:
        yield rest


def _arrow_frames(file: BinaryIO) -> Iterator[pl.DataFrame]:
    import polars as pl
    import pyarrow as pa

    from tableapi.errors import RecordError

    try:
        with pa.ipc.open_stream(file) as reader:
            for batch in reader:
                if batch.num_rows:
                    frame = pl.from_arrow(batch)
                    assert isinstance(frame, pl.DataFrame)
                    yield frame
    except pa.ArrowInvalid as error:
        raise RecordError(f"the input is no Arrow IPC stream: {error}", fix="write it with pyarrow.ipc.new_stream") from None


def _read_options(command: Callable[..., Any]) -> Callable[..., Any]:
    options = [
        click.option("--partition", "partitions", type=int, multiple=True, help="Only these partitions."),
        click.option("--columns", help="Only these columns, separated by ','."),
        click.option("--metadata", default="", help="Also offset, partition, timestamp, append_time, headers, kind."),
        click.option("--format", "form", type=click.Choice(FORMATS), default="json", show_default=True),
        click.option("-f", "--follow", is_flag=True, help="Go on with what is appended, until interrupted."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command("read")
@click.argument("topic")
@click.option("--from", "start", default="earliest", show_default=True, help="earliest, latest, an offset or a time.")
@click.option("--to", "end", default="latest", show_default=True, help="Where to end: latest, an offset or a time (exclusive).")
@click.option("--limit", type=int, help="At most so many events.")
@_read_options
@click.pass_context
def read_command(
    context: click.Context,
    topic: str,
    start: str,
    end: str,
    limit: int | None,
    partitions: tuple[int, ...],
    columns: str | None,
    metadata: str,
    form: str,
    follow: bool,
) -> None:
    """Write the events of TOPIC to standard output."""
    log = open_log(context)
    log.describe(topic)
    _stream(
        log, topic, parse_position(start), None if follow else parse_position(end), partitions, columns, metadata, form, limit
    )


@click.command("tail")
@click.argument("topic")
@click.option(
    "-n", "--lines", "count", type=int, default=10, show_default=True, help="How many of the last events of each partition."
)
@_read_options
@click.pass_context
def tail_command(
    context: click.Context,
    topic: str,
    count: int,
    partitions: tuple[int, ...],
    columns: str | None,
    metadata: str,
    form: str,
    follow: bool,
) -> None:
    """Write the last events of TOPIC, and with --follow those that come."""
    log = open_log(context)
    infos = log.partition_infos(topic)
    start = {i.partition: max(i.start_offset, i.end_offset - count) for i in infos}
    _stream(log, topic, start, None if follow else "latest", partitions, columns, metadata, form, None)


def _stream(
    log: EventLog,
    topic: str,
    start: Any,
    end: Any,
    partitions: tuple[int, ...],
    columns: str | None,
    metadata: str,
    form: str,
    limit: int | None,
) -> None:
    from tableapi.connectors.filelog import follow

    wanted = None if columns is None else [c.strip() for c in columns.split(",") if c.strip()]
    extra = [m.strip() for m in metadata.split(",") if m.strip()]
    writer = _Writer(form, log.empty_frame(topic, wanted, extra))
    rows = 0
    batches = follow(
        log, topic, start=start, end=end, partitions=partitions or None, columns=wanted, metadata=extra, max_rows=BATCH_ROWS
    )
    for batch in batches:
        frame = batch.frame if limit is None else batch.frame.head(limit - rows)
        writer.write(frame)
        rows += frame.height
        if limit is not None and rows >= limit:
            break
    writer.close()


class _Writer:
    """Writes frames to standard output in one format."""

    def __init__(self, form: str, empty: pl.DataFrame) -> None:
        self._form, self._empty = form, empty
        self._out = sys.stdout.buffer
        self._arrow: Any = None
        self._is_first = True
        if form in ("json", "csv"):
            from tableapi.connectors.filelog import make_schema
            from tableapi.connectors.registry import find_format

            text_format: Any = find_format(form)
            self._encoder = text_format.encoder(make_schema(empty).columns, text_format.read_options({}))

    def write(self, frame: pl.DataFrame) -> None:
        """Writes rows and lets a waiting reader have them."""
        if self._form == "arrow":
            self._write_arrow(frame)
        elif self._form == "table":
            self._write_table(frame)
        else:
            if self._is_first and self._form == "csv":
                self._out.write((",".join(frame.columns) + "\n").encode())
            self._out.write(self._encoder.encode(frame, None))
        self._is_first = False
        self._out.flush()

    def _write_arrow(self, frame: pl.DataFrame) -> None:
        import pyarrow as pa

        table = frame.to_arrow()
        if self._arrow is None:
            self._arrow = pa.ipc.new_stream(self._out, table.schema)
        self._arrow.write_table(table)

    def _write_table(self, frame: pl.DataFrame) -> None:
        import polars as pl

        with pl.Config(tbl_rows=-1, tbl_cols=-1, fmt_str_lengths=60, tbl_hide_dataframe_shape=True, tbl_width_chars=200):
            self._out.write(f"{frame}\n".encode())

    def close(self) -> None:
        """Ends the output; also without rows it is one of its format."""
        if self._is_first and self._form != "json":
            self.write(self._empty)
        if self._arrow is not None:
            self._arrow.close()
        self._out.flush()
