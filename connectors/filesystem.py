"""The `filesystem` connector: a table is a file, a directory of files, or a pattern, in any format.

Imports connectors.{base,options,registry,bad_records,filesystem_source,filesystem_sink} and tableapi's plain data types only.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

from tableapi.connectors.bad_records import BAD_RECORD_OPTIONS, policy_of
from tableapi.connectors.base import Connector, Option, ScanRequest, Sink, Source
from tableapi.connectors.filesystem_sink import FilesystemSink
from tableapi.connectors.filesystem_source import FILE_METADATA, FilesystemSource
from tableapi.connectors.filesystem_store import whole_path
from tableapi.connectors.formats.base import Format
from tableapi.connectors.options import COMMON_OPTIONS, MemorySize, read_options
from tableapi.connectors.registry import find_format, format_names
from tableapi.errors import OptionError, UnknownNameError, UnsupportedError, did_you_mean
from tableapi.tablespec import ColumnKind, RowSchema, TableSpec


class FilesystemConnector(Connector):
    """Files on the local disk or in a remote store."""

    name = "filesystem"
    options = (
        Option("path", str, "File, directory, pattern or URI.", required=True),
        Option("format", str, "Format of the files.", required=True),
        Option(
            "partition.default-name", str, "Directory of rows whose partition column is NULL.", default="__DEFAULT_PARTITION__"
        ),
        Option("source.monitor-interval", timedelta, "Keep looking for new files, this often; the table is then unbounded."),
        Option("source.path.regex-pattern", str, "Read only files whose whole path matches."),
        Option(
            "source.report-statistics", ("ALL", "NONE"), "Whether planning looks at sizes and footers of files.", default="ALL"
        ),
        Option(
            "sink.rolling-policy.file-size", MemorySize, "Part files end at this size.", default=MemorySize(128 * 1024 * 1024)
        ),
        Option(
            "sink.rolling-policy.rollover-interval", timedelta, "Part files end at this age.", default=timedelta(minutes=30)
        ),
        Option("sink.rolling-policy.inactivity-interval", timedelta, "Accepted for Flink.", default=timedelta(minutes=30)),
        Option("sink.rolling-policy.check-interval", timedelta, "Accepted for Flink.", default=timedelta(minutes=1)),
        Option("sink.partition-commit.policy.kind", str, "'success-file' marks finished directories."),
        Option("sink.partition-commit.success-file.name", str, "Name of that mark.", default="_SUCCESS"),
        Option(
            "sink.partition-commit.trigger",
            ("process-time", "partition-time"),
            "When a directory is finished.",
            default="process-time",
        ),
        Option("sink.partition-commit.delay", timedelta, "How long after that it is marked.", default=timedelta(0)),
        Option("sink.partition-commit.watermark-time-zone", str, "Zone of the times that directories name.", default="UTC"),
        Option("sink.partition-commit.policy.class", str, "A policy in Java; cannot run here."),
        Option("sink.partition-commit.policy.class.parameters", str, "Its parameters."),
        Option("partition.time-extractor.kind", ("default", "custom"), "How directories name times.", default="default"),
        Option("partition.time-extractor.class", str, "An extractor in Java; cannot run here."),
        Option(
            "partition.time-extractor.timestamp-pattern", str, "Accepted for Flink: directories are marked when the job ends."
        ),
        Option("partition.time-extractor.timestamp-formatter", str, "Accepted for Flink: as above."),
        Option("compaction.file-size", MemorySize, "Accepted for Flink; see 'auto-compaction'."),
        Option("compaction.parallelism", int, "Accepted for Flink; see 'auto-compaction'."),
        Option("sink.shuffle-by-partition.enable", bool, "Accepted for Flink.", default=False),
        Option("auto-compaction", bool, "Merge small files; not supported yet.", default=False),
        *BAD_RECORD_OPTIONS,
    )

    def source(self, table: TableSpec, request: ScanRequest, is_streaming: bool) -> Source:
        form, format_options, options = self._read(table)
        produced = table.produced
        metadata = {c.name: c.metadata_key or c.name for c in table.columns if c.kind is ColumnKind.METADATA}
        _check_metadata(metadata, form)
        stored, partition = _divide(table)
        interval: timedelta | None = options["source.monitor-interval"]
        columns = tuple(produced.names) if request.columns is None else request.columns or tuple(produced.names[:1])
        source = FilesystemSource(
            path=whole_path(options["path"]),
            format_name=form.name,
            format_options=format_options,
            stored=stored,
            partition=partition,
            produced=produced,
            columns=columns,
            metadata={name: key for name, key in metadata.items() if name in columns},
            bad_records=policy_of(options),
            default_partition=options["partition.default-name"],
            pattern=options["source.path.regex-pattern"],
            monitor_ms=None if interval is None or not is_streaming else max(1, int(interval.total_seconds() * 1000)),
            limit=request.limit,
            is_cut=table.watermark is None,
            changelog=form.produces,
            partition_filter=request.partition_filter,
            ranges=request.ranges,
            reports_statistics=options["source.report-statistics"] == "ALL",
        )
        if hasattr(form, "decoder"):
            source.decoder()
        return source

    def sink(self, table: TableSpec) -> Sink:
        form, format_options, options = self._read(table)
        _check_sink_options(options)
        kinds = (options["sink.partition-commit.policy.kind"] or "").split(",")
        sink = FilesystemSink(
            path=whole_path(options["path"]),
            job=str(uuid4()),
            format_name=form.name,
            format_options=format_options,
            schema=table.persisted,
            partition_keys=table.partition_keys,
            default_partition=options["partition.default-name"],
            roll_bytes=options["sink.rolling-policy.file-size"],
            roll_ms=int(options["sink.rolling-policy.rollover-interval"].total_seconds() * 1000),
            success_file=options["sink.partition-commit.success-file.name"] if "success-file" in kinds else None,
            accepts=form.accepts,
        )
        if hasattr(form, "encoder"):
            form.encoder(sink.stored, format_options)
        return sink

    def _read(self, table: TableSpec) -> tuple[Format, dict[str, Any], dict[str, Any]]:
        if "format" not in table.options:
            raise OptionError(
                "connector 'filesystem' needs the option 'format'",
                exists=f"formats: {', '.join(format_names())}",
                fix="add 'format' = '…' to WITH (...)",
            )
        form = find_format(table.options["format"])
        prefix = form.name + "."
        others = {k: v for k, v in table.options.items() if not k.startswith(prefix)}
        options = read_options("connector 'filesystem'", others, (*self.options, *COMMON_OPTIONS))
        return form, form.read_options(table.options), options


def _divide(table: TableSpec) -> tuple[RowSchema, RowSchema]:
    """The columns inside the files, and those that directories hold."""
    keys = set(table.partition_keys)
    stored = RowSchema(tuple(f for f in table.physical if f.name not in keys))
    return stored, RowSchema(tuple(table.physical[k] for k in table.partition_keys))


def _check_metadata(metadata: Mapping[str, str], form: Format) -> None:
    known = [*FILE_METADATA, *form.metadata]
    for name, key in metadata.items():
        if key not in known:
            raise UnknownNameError(
                f"column '{name}': there is no metadata '{key}'",
                exists=f"metadata: {', '.join(known)}",
                fix=did_you_mean(key, known),
            )


def _check_sink_options(options: Mapping[str, Any]) -> None:
    kinds = [k.strip() for k in (options["sink.partition-commit.policy.kind"] or "").split(",") if k.strip()]
    other = [k for k in kinds if k != "success-file"]
    if other:
        reason = {"metastore": "there is no Hive metastore here", "custom": "policies in Java cannot run here"}
        raise UnsupportedError(
            f"partition commit policy '{other[0]}' is not supported" + (f": {reason[other[0]]}" if other[0] in reason else ""),
            exists="policies: success-file",
            fix="use 'success-file'",
        )
    for key in ("sink.partition-commit.policy.class", "partition.time-extractor.class"):
        if options[key]:
            raise UnsupportedError(f"'{key}' = '{options[key]}': classes in Java cannot run here", fix="leave it out")
    if options["sink.partition-commit.trigger"] != "process-time" or options["sink.partition-commit.delay"]:
        raise UnsupportedError(
            "marking partitions before the job ends is not supported yet",
            fix="leave 'sink.partition-commit.trigger' and '.delay' out: directories are marked when the job ends",
        )
    if options["auto-compaction"]:
        raise UnsupportedError("'auto-compaction' is not supported yet", fix="raise 'sink.rolling-policy.file-size' instead")
