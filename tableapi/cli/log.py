"""`tableapi log`: create, describe, check and clean topics of an event log; consumer groups.

Reading and writing events is in `cli.log_data`. May import click, rich (lazily) and connectors.filelog.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from tableapi.connectors.filelog import EventLog, TopicInfo

QUIET_S = 0.5
"""Work shorter than this shows no progress."""

_DATA_COMMANDS = ("append", "read", "tail")


class _LogGroup(click.Group):
    """Loads the commands that handle events when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_DATA_COMMANDS])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _DATA_COMMANDS:
            from tableapi.cli import log_data

            command: click.Command = getattr(log_data, f"{cmd_name}_command")
            return command
        return super().get_command(ctx, cmd_name)


@click.group(cls=_LogGroup)
@click.option(
    "-L",
    "--log",
    "path",
    envvar="TABLEAPI_LOG",
    default="eventlog",
    show_default=True,
    help="Directory of the log (or $TABLEAPI_LOG).",
)
@click.pass_context
def log_group(context: click.Context, path: str) -> None:
    """Create, write, read and check event streams on files.

    \b
    tableapi log create clicks 'name STRING, n INT' --key name --partitions 4
    printf '{"name":"ada","n":1}\\n' | tableapi log append clicks
    tableapi log read clicks --from earliest
    """
    context.obj = {**(context.obj or {}), "path": path}


def open_log(context: click.Context, *, must_exist: bool = True) -> EventLog:
    """The log that the command line names.

    Raises:
        UnknownNameError: it does not exist, and the command is not one that makes it.
    """
    import os

    from tableapi.connectors.filelog import EventLog
    from tableapi.errors import UnknownNameError

    path = context.obj["path"]
    if must_exist and not os.path.isdir(os.path.join(path, "topics")):
        raise UnknownNameError(
            f"there is no event log in '{path}'",
            fix="name its directory with `tableapi log --log DIR …` or $TABLEAPI_LOG, or create a topic",
        )
    return EventLog(path)


def parse_settings(texts: Sequence[str]) -> dict[str, str]:
    """`name=value` texts as a dict."""
    for text in texts:
        if "=" not in text:
            raise click.UsageError(f"'{text}' is not of the form name=value")
    return dict(text.split("=", 1) for text in texts)


def parse_columns(text: str) -> Any:
    """`'a BIGINT, b STRING NOT NULL'` as a RowSchema."""
    from tableapi.sql import parse_type
    from tableapi.tablespec import Field, RowSchema
    from tableapi.types import RowType

    row = parse_type(f"ROW<{text}>")
    assert isinstance(row, RowType)
    return RowSchema(tuple(Field(f.name, f.data_type) for f in row.fields))


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Shows how far long work is, on a terminal; the function takes what is done and the whole."""
    import time

    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    started = time.monotonic()
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None, visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=time.monotonic() - started > QUIET_S)


@log_group.command("create")
@click.argument("topic")
@click.argument("columns")
@click.option("--key", default="", help="Key columns, separated by ','.")
@click.option("--event-time", help="The TIMESTAMP column that holds the event's time.")
@click.option("--partitions", type=int, default=1, show_default=True, help="Number of partitions, fixed for ever.")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Settings: retention_ms, durability, compression, …"
)
@click.option("--if-not-exists", is_flag=True, help="No error when it exists with the same columns.")
@click.pass_context
def create_command(
    context: click.Context,
    topic: str,
    columns: str,
    key: str,
    event_time: str | None,
    partitions: int,
    settings: tuple[str, ...],
    if_not_exists: bool,
) -> None:
    """Make TOPIC with COLUMNS, such as 'name STRING, n INT NOT NULL'."""
    log = open_log(context, must_exist=False)
    info = log.create(
        topic,
        parse_columns(columns),
        key=[k.strip() for k in key.split(",") if k.strip()],
        event_time=event_time,
        partitions=partitions,
        if_not_exists=if_not_exists,
        **parse_settings(settings),
    )
    click.echo(f"topic {info.name}: {info.partitions} partitions in {log.path}", err=True)


@log_group.command("list")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.pass_context
def list_command(context: click.Context, form: str) -> None:
    """Show all topics."""
    log = open_log(context)
    rows = []
    for name in log.topics():
        infos = log.partition_infos(name)
        rows.append(
            {
                "topic": name,
                "partitions": len(infos),
                "events": sum(i.end_offset - i.start_offset for i in infos),
                "bytes": sum(i.size_bytes for i in infos),
                "cleanup": log.topic(name).config.cleanup,
            }
        )
    show_rows(rows, form, ["topic", "partitions", "events", "bytes", "cleanup"])


def show_rows(rows: Sequence[dict[str, Any]], form: str, names: Sequence[str]) -> None:
    """Prints rows as JSON lines or as an aligned table."""
    if form == "json":
        for row in rows:
            click.echo(json.dumps(row))
        return
    texts = [list(names), *([str(row[n]) for n in names] for row in rows)]
    widths = [max(len(t[i]) for t in texts) for i in range(len(names))]
    is_number = [all(isinstance(row[n], int) for row in rows) for n in names]
    for line in texts:
        cells = (t.rjust(w) if n else t.ljust(w) for t, w, n in zip(line, widths, is_number, strict=True))
        click.echo("  ".join(cells).rstrip())


@log_group.command("describe")
@click.argument("topic")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.pass_context
def describe_command(context: click.Context, topic: str, form: str) -> None:
    """Show TOPIC's schema versions, settings and partitions."""
    import dataclasses

    log = open_log(context)
    info = log.describe(topic)
    partitions = [dataclasses.asdict(p) for p in log.partition_infos(topic)]
    if form == "json":
        value = {
            "topic": info.name,
            "schemas": [s.to_json() for s in info.schemas],
            "settings": dataclasses.asdict(info.config),
            "partitions": partitions,
        }
        click.echo(json.dumps(value))
        return
    _show_schema(info)
    settings = ", ".join(f"{k}={v}" for k, v in dataclasses.asdict(info.config).items())
    click.echo(f"settings: {settings}")
    show_rows(partitions, "table", ["partition", "start_offset", "end_offset", "segments", "size_bytes"])


def _show_schema(info: TopicInfo) -> None:
    schema = info.schema
    click.echo(f"topic {info.name}, schema version {schema.version} of {len(info.schemas)}")
    for field in schema.columns:
        marks = ["key"] * (field.name in schema.key) + ["event time"] * (field.name == schema.event_time)
        click.echo(f"  {field.name} {field.type}{'  (' + ', '.join(marks) + ')' if marks else ''}")


@log_group.command("alter")
@click.argument("topic")
@click.argument("settings", nargs=-1, required=True)
@click.pass_context
def alter_command(context: click.Context, topic: str, settings: tuple[str, ...]) -> None:
    """Change SETTINGS (name=value …) of TOPIC."""
    open_log(context).alter(topic, **parse_settings(settings))


@log_group.command("evolve")
@click.argument("topic")
@click.argument("columns")
@click.pass_context
def evolve_command(context: click.Context, topic: str, columns: str) -> None:
    """Register COLUMNS as the next version of TOPIC's schema."""
    info = open_log(context).evolve(topic, parse_columns(columns))
    click.echo(f"topic {topic}: schema version {info.schema.version}", err=True)


@log_group.command("verify")
@click.argument("topic")
@click.option("--repair", "repairs", is_flag=True, help="Turn what is damaged into gaps, and say which offsets are lost.")
@click.pass_context
def verify_command(context: click.Context, topic: str, repairs: bool) -> None:
    """Read and check every byte of TOPIC. Exit code 1 when something is wrong."""
    from tableapi.connectors.filelog.verify import repair, verify

    log = open_log(context)
    with progress_bar(f"verify {topic}") as progress:
        results = verify(log, topic, progress=progress)
    for result in results:
        counts = f"{result.segments} segments, {result.frames} frames, {result.rows} events, {result.size_bytes} bytes"
        click.echo(f"partition {result.partition}: {counts}")
        for problem in result.problems:
            click.echo(f"  {problem}")
    count = sum(len(r.problems) for r in results)
    if not count:
        click.echo("sound")
        return
    if not repairs:
        click.echo(f"{count} problems; `tableapi log verify {topic} --repair` cuts out what is damaged", err=True)
        context.exit(1)
    repair(log, topic)
    click.echo("repaired; the damaged files are kept as *.damaged", err=True)


@log_group.command("compact")
@click.argument("topic")
@click.option("--all", "rolls", is_flag=True, help="Begin new segments first, so that everything takes part.")
@click.pass_context
def compact_command(context: click.Context, topic: str, rolls: bool) -> None:
    """Apply TOPIC's retention and compaction now."""
    from tableapi.connectors.filelog.compaction import clean

    with progress_bar(f"compact {topic}") as progress:
        results = clean(open_log(context), topic, roll=rolls, progress=progress)
    for r in results:
        counts = f"{r.segments_deleted} segments deleted, {r.rows_dropped} events dropped, {r.bytes_freed} bytes freed"
        click.echo(f"partition {r.partition}: {counts}")


@log_group.command("delete")
@click.argument("topic")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def delete_command(context: click.Context, topic: str, yes: bool) -> None:
    """Remove TOPIC and all its events."""
    log = open_log(context)
    log.describe(topic)
    if not yes:
        events = sum(i.end_offset - i.start_offset for i in log.partition_infos(topic))
        click.confirm(f"remove topic '{topic}' with its {events} events?", abort=True, err=True)
    log.delete(topic)


@log_group.group("group")
def group_group() -> None:
    """Look at and reset consumer groups."""


@group_group.command("list")
@click.pass_context
def group_list(context: click.Context) -> None:
    """Show the names of all groups."""
    from tableapi.connectors.filelog.groups import group_names

    for name in group_names(open_log(context)):
        click.echo(name)


@group_group.command("describe")
@click.argument("group")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.pass_context
def group_describe(context: click.Context, group: str, form: str) -> None:
    """Show what GROUP has read of each partition, and who reads it."""
    from tableapi.connectors.filelog.groups import describe_group

    names = ["topic", "partition", "committed", "end", "lag", "member"]
    show_rows(describe_group(open_log(context), group), form, names)


@group_group.command("reset")
@click.argument("group")
@click.argument("topic")
@click.option("--to", "position", default="earliest", show_default=True, help="earliest, latest, an offset or a time.")
@click.pass_context
def group_reset(context: click.Context, group: str, topic: str, position: str) -> None:
    """Move GROUP's committed offsets of TOPIC."""
    from tableapi.cli.log_data import parse_position
    from tableapi.connectors.filelog.groups import reset_group

    log = open_log(context)
    for partition, offset in reset_group(log, group, topic, parse_position(position)).items():
        click.echo(f"partition {partition}: {offset}")


@group_group.command("delete")
@click.argument("group")
@click.pass_context
def group_delete(context: click.Context, group: str) -> None:
    """Forget GROUP."""
    from tableapi.connectors.filelog.groups import delete_group

    delete_group(open_log(context), group)
