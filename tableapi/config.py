"""Configuration: plain key-value text, the keys that this engine acts on (typed), and the settings of an environment.

May import errors; the option parser of `connectors` only inside functions. Reads no files and no environment variables.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from tableapi.errors import OptionError, did_you_mean
from tableapi.expression_base import caller

DEFAULT_CATALOG = "default_catalog"
DEFAULT_DATABASE = "default_database"


@dataclass(frozen=True)
class ConfigOption:
    """A key that this engine acts on.

    Args:
        key: The key.
        kind: "string", "int", "bool", "float", "duration", "memory", or the allowed words.
        default: Text of the value when it is not set ("" for none).
        doc: One sentence.
    """

    key: str
    kind: str | tuple[str, ...]
    default: str
    doc: str


OPTIONS = (
    ConfigOption("execution.runtime-mode", ("STREAMING", "BATCH", "AUTOMATIC"), "STREAMING", "How queries run."),
    ConfigOption("parallelism.default", "int", "", "Number of workers; by default one per core, at most 4."),
    ConfigOption("table.exec.resource.default-parallelism", "int", "-1", "Workers of a query; -1 means parallelism.default."),
    ConfigOption("pipeline.name", "string", "", "Name of the next job."),
    ConfigOption("pipeline.max-batch-rows", "int", "65536", "Most rows in a batch; 1 gives a row-by-row changelog."),
    ConfigOption("pipeline.linger", "duration", "2 ms", "How long a source may wait to make a batch larger."),
    ConfigOption("pipeline.check-edges", "bool", "false", "Check every batch between operators; for finding bugs."),
    ConfigOption("pipeline.clock-file", "string", "", "A file that shows processing time, for tests (testing.JobClock)."),
    ConfigOption("pipeline.global-job-parameters", "string", "", "k:v,… pairs that Python functions can read."),
    ConfigOption("table.local-time-zone", "string", "default", "The session time zone."),
    ConfigOption("table.builtin-catalog-name", "string", DEFAULT_CATALOG, "Name of the catalog that is there from the start."),
    ConfigOption("table.builtin-database-name", "string", DEFAULT_DATABASE, "Name of its database."),
    ConfigOption("table.display.max-column-width", "int", "30", "Characters of a cell that print() shows."),
    ConfigOption("table.dml-sync", "bool", "false", "Whether an INSERT waits for its job."),
    ConfigOption(
        "table.exec.source.idle-timeout", "duration", "5 s", "After how long a silent split counts as idle; 0: never."
    ),
    ConfigOption("table.exec.state.ttl", "duration", "0 s", "How long state lives without access; 0 is for ever."),
    ConfigOption("table.exec.sink.not-null-enforcer", ("ERROR", "DROP"), "ERROR", "What a NULL for a NOT NULL column does."),
    ConfigOption(
        "table.exec.sink.type-length-enforcer", ("IGNORE", "TRIM_PAD", "ERROR"), "IGNORE", "What text of a wrong length does."
    ),
    ConfigOption(
        "table.optimizer.agg-phase-strategy",
        ("AUTO", "ONE_PHASE", "TWO_PHASE"),
        "AUTO",
        "Whether workers aggregate their own rows before they travel.",
    ),
    ConfigOption(
        "table.optimizer.multi-join.enabled",
        "bool",
        "false",
        "Whether joins on one key are one operator, whatever their number.",
    ),
    ConfigOption("table.exec.mini-batch.enabled", "bool", "false", "Accepted; batches are always folded here."),
    ConfigOption(
        "table.exec.sink.upsert-materialize",
        ("AUTO", "FORCE", "NONE"),
        "AUTO",
        "Whether a keyed sink keeps the rows of a key, so that changes that come out of order do no harm.",
    ),
    ConfigOption(
        "table.exec.source.cdc-events-duplicate", "bool", "false", "Whether changes of a table with a key may come twice."
    ),
    ConfigOption("table.exec.emit.early-fire.enabled", "bool", "false", "Whether windows give results before their end."),
    ConfigOption("table.exec.emit.early-fire.delay", "duration", "", "How often; 0: with every batch."),
    ConfigOption("table.exec.emit.late-fire.enabled", "bool", "false", "Whether windows give new results after their end."),
    ConfigOption("table.exec.emit.late-fire.delay", "duration", "", "How often; 0: with every batch."),
    ConfigOption("table.exec.emit.allow-lateness", "duration", "", "For how long after its end a window takes rows."),
    ConfigOption("table.exec.async-lookup.buffer-capacity", "int", "100", "Rows that wait for an asynchronous lookup."),
    ConfigOption(
        "table.exec.async-lookup.output-mode",
        ("ORDERED", "ALLOW_UNORDERED"),
        "ORDERED",
        "Whether looked-up rows may overtake each other.",
    ),
    ConfigOption("table.exec.async-lookup.timeout", "duration", "3 min", "How long a lookup may take, over all its tries."),
    ConfigOption("table.plan.force-recompile", "bool", "false", "Whether COMPILE PLAN replaces a plan file that exists."),
    ConfigOption(
        "pipeline.auto-watermark-interval", "duration", "200 ms", "Watermarks advance in steps of so much event time."
    ),
    ConfigOption("execution.checkpointing.interval", "duration", "", "Accepted; jobs do not take checkpoints yet."),
    ConfigOption("execution.checkpointing.dir", "string", "", "Accepted; jobs do not take checkpoints yet."),
    ConfigOption("execution.checkpointing.savepoint-dir", "string", "", "Accepted; jobs do not take savepoints yet."),
    ConfigOption("restart-strategy.type", "string", "", "Accepted; a job that failed is not started again."),
    ConfigOption(
        "python.execution-mode",
        "string",
        "",
        "Where Python functions run: process or thread; in processes unless a job is small.",
    ),
    ConfigOption("python.files", "string", "", "Files, folders and zips with modules for functions, with commas between them."),
    ConfigOption("python.archives", "string", "", "Archives for functions, path#name, with commas between them."),
    ConfigOption("python.requirements", "string", "", "A requirements file whose packages must be there."),
    ConfigOption("table.exec.async-scalar.max-concurrent-operations", "int", "10", "Rows that a coroutine awaits at a time."),
    ConfigOption("table.exec.async-scalar.timeout", "duration", "3 min", "How long a row may take, over all its tries."),
    ConfigOption("table.exec.async-scalar.retry-strategy", "string", "FIXED_DELAY", "FIXED_DELAY, or NO_RETRY."),
    ConfigOption("table.exec.async-scalar.max-attempts", "int", "3", "How often a row is tried."),
    ConfigOption("table.exec.async-scalar.retry-delay", "duration", "100 ms", "Time between two tries."),
    ConfigOption("python.executable", "string", "python", "Accepted; Python functions run in this interpreter."),
)
"""The keys that this engine acts on."""

CHECKED_PREFIXES = ("table.", "parallelism.", "pipeline.")
"""Keys that begin so and that nobody knows are refused: most likely a misspelling."""


@cache
def known_keys() -> dict[str, tuple[str | tuple[str, ...], str]]:
    """All known keys: kind and default text."""
    from tableapi.config_keys import FLINK_KEYS

    kinds = {"Boolean": "bool", "Integer": "int", "Long": "int", "Double": "float", "Float": "float", "Duration": "duration"}
    kinds["MemorySize"] = "memory"
    known: dict[str, tuple[str | tuple[str, ...], str]] = {}
    for line in FLINK_KEYS.split("\n"):
        if line:
            key, kind, default = line.split("|", 2)
            known[key] = (kinds.get(kind, "string"), default)
    return known | {o.key: (o.kind, o.default) for o in OPTIONS}


def check_option(key: str, value: str) -> None:
    """Refuses a misspelt key and a value that is not of the key's type.

    Raises:
        OptionError: With a did-you-mean, or the form of the value.
    """
    known = known_keys()
    if key not in known:
        if key.startswith(CHECKED_PREFIXES) and not key.startswith("table.user."):
            raise OptionError(
                f"unknown configuration key '{key}'",
                where=caller(),
                exists=f"{len(known)} keys",
                fix=did_you_mean(key, known) or "look the key up in the documentation of Flink's configuration",
            )
        return
    try:
        parse_value(known[key][0], value)
    except ValueError as error:
        raise OptionError(f"{key} = '{value}': {error}", where=caller(), fix=f"default: {known[key][1] or 'none'}") from None


def parse_value(kind: str | tuple[str, ...], text: str) -> Any:
    """The typed value of a configuration text.

    Raises:
        ValueError: The text is not of that kind.

    >>> parse_value("bool", "true"), parse_value("duration", "5 s")
    (True, datetime.timedelta(seconds=5))
    """
    if isinstance(kind, tuple):
        if text.upper() not in kind:
            raise ValueError(f"expected one of {', '.join(kind)}")
        return text.upper()
    return _PARSERS[kind](text)


def _parse_bool(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("expected true or false")
    return text.lower() == "true"


def _parse_duration(text: str) -> datetime.timedelta:
    from tableapi.durations import parse_duration

    return parse_duration(text)


def _parse_memory(text: str) -> int:
    from tableapi.connectors.options import parse_memory_size

    return parse_memory_size(text)


_PARSERS: dict[str, Callable[[str], Any]] = {
    "string": str,
    "int": int,
    "float": float,
    "bool": _parse_bool,
    "duration": _parse_duration,
    "memory": _parse_memory,
}


class Configuration:
    """Key-value text (PyFlink: `pyflink.common.Configuration`).

    >>> config = Configuration.from_dict({"parallelism.default": "2"})
    >>> config.get_integer("parallelism.default", 1)
    2
    """

    def __init__(self, other: Configuration | None = None) -> None:
        self._values: dict[str, str] = dict(other._values) if other is not None else {}

    @classmethod
    def from_dict(cls, map: dict[str, str]) -> Configuration:
        """A configuration of the given pairs."""
        config = cls()
        for key, value in map.items():
            config.set_string(key, value)
        return config

    def get_string(self, key: str, default_value: str | None) -> str | None:
        """The value, or the default when it is not set."""
        return self._values.get(key, default_value)

    def set_string(self, key: str, value: str) -> Configuration:
        """Sets a value.

        Raises:
            OptionError: The key is misspelt, or the value is not of its type.
        """
        if not isinstance(value, str):
            raise OptionError(f"{key}: the value must be text, not {value!r}", where=caller(), fix=f"'{_text(value)}'")
        check_option(key, value)
        self._values[key] = value
        return self

    def _set(self, key: str, value: Any) -> Configuration:
        return self.set_string(key, _text(value))

    def _typed(self, key: str, kind: str, default_value: Any) -> Any:
        text = self._values.get(key)
        if text is None:
            return default_value
        try:
            return parse_value(kind, text)
        except ValueError as error:
            raise OptionError(f"{key} = '{text}': {error}", where=caller()) from None

    def get_integer(self, key: str, default_value: int) -> int:
        """The value as a whole number."""
        return int(self._typed(key, "int", default_value))

    def set_integer(self, key: str, value: int) -> Configuration:
        """Sets a whole number."""
        return self._set(key, value)

    def get_boolean(self, key: str, default_value: bool) -> bool:
        """The value as true or false."""
        return bool(self._typed(key, "bool", default_value))

    def set_boolean(self, key: str, value: bool) -> Configuration:
        """Sets true or false."""
        return self._set(key, value)

    def get_float(self, key: str, default_value: float) -> float:
        """The value as a number."""
        return float(self._typed(key, "float", default_value))

    def set_float(self, key: str, value: float) -> Configuration:
        """Sets a number."""
        return self._set(key, value)

    def get_bytearray(self, key: str, default_value: bytearray) -> bytearray:
        """The value as bytes (kept as hexadecimal digits)."""
        text = self._values.get(key)
        return default_value if text is None else bytearray.fromhex(text)

    def set_bytearray(self, key: str, value: bytearray) -> Configuration:
        """Sets bytes (kept as hexadecimal digits)."""
        return self._set(key, bytes(value).hex())

    def key_set(self) -> set[str]:
        """The keys that are set."""
        return set(self._values)

    def add_all_to_dict(self, target_dict: dict[str, str]) -> None:
        """Copies all pairs into a dict."""
        target_dict.update(self._values)

    def add_all(self, other: Configuration, prefix: str | None = None) -> Configuration:
        """Takes over all pairs of another configuration, their keys behind `prefix`."""
        for key, value in other._values.items():
            self.set_string((prefix or "") + key, value)
        return self

    def contains_key(self, key: str) -> bool:
        """Whether the key is set."""
        return key in self._values

    def to_dict(self) -> dict[str, str]:
        """All pairs."""
        return dict(self._values)

    def remove_config(self, key: str) -> bool:
        """Unsets a key; whether it was set."""
        return self._values.pop(key, None) is not None

    @staticmethod
    def parse_list_value(value: str) -> list[str]:
        """The items of a list as Flink writes it: `a;b`, or `[a, b]`."""
        if not value:
            return []
        text = value.strip()
        if text.startswith("[") and text.endswith("]"):
            return [item.strip().strip("'\"") for item in text[1:-1].split(",") if item.strip()]
        return [item for item in text.split(";") if item]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Configuration) and self._values == other._values

    def __hash__(self) -> int:
        return hash(frozenset(self._values.items()))

    def __str__(self) -> str:
        return str(self._values)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class TableConfig:
    """The configuration of a session: what `table_env.get_config()` gives.

    >>> TableConfig().set("table.local-time-zone", "Europe/Berlin").get_local_timezone()
    'Europe/Berlin'
    """

    def __init__(self, configuration: Configuration | None = None) -> None:
        self._configuration = configuration if configuration is not None else Configuration()

    def get(self, key: str, default_value: str | None) -> str | None:
        """The value of a key, or the default when it is not set."""
        return self._configuration.get_string(key, default_value)

    def set(self, key: str, value: str) -> TableConfig:
        """Sets a key.

        Raises:
            OptionError: The key is misspelt, or the value is not of its type.
        """
        if key == "table.local-time-zone":
            _check_time_zone(value)
        self._configuration.set_string(key, value)
        return self

    def option(self, key: str) -> Any:
        """The typed value of a known key: what is set, or its default (None when it has none)."""
        kind, default = known_keys()[key]
        text = self._configuration.get_string(key, default)
        return parse_value(kind, text) if text else None

    def get_local_timezone(self) -> str:
        """The session time zone."""
        zone = self.get("table.local-time-zone", "default")
        return system_time_zone() if zone in (None, "default") else str(zone)

    def set_local_timezone(self, timezone_id: str) -> None:
        """Sets the session time zone, for example `Europe/Berlin` or `UTC`."""
        self.set("table.local-time-zone", timezone_id)

    def get_max_generated_code_length(self) -> int:
        """Kept for programs written for Flink; nothing here generates Java code."""
        return self._configuration.get_integer("table.generated-code.max-length", 4000)

    def set_max_generated_code_length(self, max_generated_code_length: int) -> None:
        """Kept for programs written for Flink; nothing here generates Java code."""
        self._configuration.set_integer("table.generated-code.max-length", max_generated_code_length)

    def set_idle_state_retention(self, duration: datetime.timedelta) -> None:
        """Sets how long state lives without access; zero is for ever."""
        self.set("table.exec.state.ttl", f"{duration // datetime.timedelta(milliseconds=1)} ms")

    def get_idle_state_retention(self) -> datetime.timedelta:
        """How long state lives without access; zero is for ever."""
        return self.option("table.exec.state.ttl") or datetime.timedelta(0)

    def get_configuration(self) -> Configuration:
        """The underlying pairs; changes act on this configuration."""
        return self._configuration

    def add_configuration(self, configuration: Configuration) -> None:
        """Takes over all pairs."""
        self._configuration.add_all(configuration)

    def get_sql_dialect(self) -> str:
        """The SQL dialect: always the default one."""
        return SqlDialect.DEFAULT

    def set_sql_dialect(self, sql_dialect: str) -> None:
        """Sets the SQL dialect.

        Raises:
            OptionError: It is not the default one.
        """
        if sql_dialect != SqlDialect.DEFAULT:
            raise OptionError("only SqlDialect.DEFAULT is supported", where=caller())

    def set_python_executable(self, python_exec: str) -> None:
        """Accepted for programs written for Flink; Python functions run in this interpreter."""
        self.set("python.executable", python_exec)

    def get_python_executable(self) -> str:
        """The interpreter that was set."""
        return str(self.get("python.executable", "python"))

    def default_parallelism(self) -> int:
        """Number of workers of a query."""
        for key in ("table.exec.resource.default-parallelism", "parallelism.default"):
            value = self.option(key)
            if value is not None and value > 0:
                return int(value)
        return min(os.cpu_count() or 1, 4)

    @staticmethod
    def get_default() -> TableConfig:
        """A configuration with nothing set."""
        return TableConfig()


class SqlDialect:
    """SQL dialects."""

    DEFAULT = "default"
    HIVE = "hive"


def system_time_zone() -> str:
    """The IANA name of the machine's time zone, `UTC` when it cannot be told."""
    zone = os.environ.get("TZ", "")
    target = os.path.realpath("/etc/localtime")
    if not zone and "/zoneinfo/" in target:
        zone = target.split("/zoneinfo/", 1)[1]
    try:
        _check_time_zone(zone)
    except OptionError:
        return "UTC"
    return "UTC" if zone in ("", "Etc/UTC", "Etc/UCT") else zone


def _check_time_zone(zone: str) -> None:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

    if zone == "default":
        return
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        if _is_offset(zone):
            return
        raise OptionError(
            f"'{zone}' is not a time zone",
            where=caller(),
            fix=did_you_mean(zone, available_timezones()) or "Europe/Berlin, UTC",
        ) from None


def _is_offset(zone: str) -> bool:
    import re

    return re.fullmatch(r"(?:GMT|UTC)?[+-]\d{1,2}(?::?\d{2})?", zone) is not None


class EnvironmentSettings:
    """How an environment starts: batch or streaming, names of the first catalog and database, configuration.

    >>> EnvironmentSettings.in_batch_mode().is_streaming_mode()
    False
    """

    class Builder:
        """Builds `EnvironmentSettings`."""

        def __init__(self) -> None:
            self._configuration = Configuration()

        def with_configuration(self, config: Configuration) -> EnvironmentSettings.Builder:
            """Takes over a configuration."""
            self._configuration.add_all(config)
            return self

        def in_batch_mode(self) -> EnvironmentSettings.Builder:
            """Queries run once over bounded inputs."""
            self._configuration.set_string("execution.runtime-mode", "BATCH")
            return self

        def in_streaming_mode(self) -> EnvironmentSettings.Builder:
            """Queries run incrementally, over bounded or unbounded inputs."""
            self._configuration.set_string("execution.runtime-mode", "STREAMING")
            return self

        def with_built_in_catalog_name(self, built_in_catalog_name: str) -> EnvironmentSettings.Builder:
            """Names the catalog that is there from the start."""
            self._configuration.set_string("table.builtin-catalog-name", built_in_catalog_name)
            return self

        def with_built_in_database_name(self, built_in_database_name: str) -> EnvironmentSettings.Builder:
            """Names the database that is there from the start."""
            self._configuration.set_string("table.builtin-database-name", built_in_database_name)
            return self

        def build(self) -> EnvironmentSettings:
            """The settings."""
            return EnvironmentSettings(self._configuration)

    def __init__(self, configuration: Configuration | None = None) -> None:
        self._configuration = Configuration(configuration)

    def get_built_in_catalog_name(self) -> str:
        """Name of the catalog that is there from the start."""
        return str(self._configuration.get_string("table.builtin-catalog-name", DEFAULT_CATALOG))

    def get_built_in_database_name(self) -> str:
        """Name of the database that is there from the start."""
        return str(self._configuration.get_string("table.builtin-database-name", DEFAULT_DATABASE))

    def is_streaming_mode(self) -> bool:
        """Whether queries run incrementally."""
        return str(self._configuration.get_string("execution.runtime-mode", "STREAMING")).upper() != "BATCH"

    def get_configuration(self) -> Configuration:
        """A copy of the configuration."""
        return Configuration(self._configuration)

    @staticmethod
    def new_instance() -> EnvironmentSettings.Builder:
        """A builder."""
        return EnvironmentSettings.Builder()

    @staticmethod
    def in_streaming_mode() -> EnvironmentSettings:
        """Settings for incremental queries."""
        return EnvironmentSettings.new_instance().in_streaming_mode().build()

    @staticmethod
    def in_batch_mode() -> EnvironmentSettings:
        """Settings for queries that run once over bounded inputs."""
        return EnvironmentSettings.new_instance().in_batch_mode().build()


def option_rows(config: Configuration) -> Iterable[tuple[str, str]]:
    """The pairs that are set, sorted by key: what SET shows."""
    return sorted(config.to_dict().items())
