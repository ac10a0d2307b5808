"""Reads the text options of `WITH (...)` into typed values, as declared by `connectors.base.Option`.

Owns option parsing: Flink's duration and memory-size texts, defaults, required and unknown keys.
Imports errors and connectors.base only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from tableapi.connectors.base import Option
from tableapi.durations import parse_duration
from tableapi.errors import OptionError, did_you_mean


class MemorySize(int):
    """A number of bytes. As the kind of an `Option` it says that the text is a memory size ("64 mb")."""

    __slots__ = ()


LOOKUP_OPTIONS = (
    Option(
        "lookup.cache", ("NONE", "PARTIAL", "FULL"), "What a lookup join remembers: nothing, looked-up keys, the whole table."
    ),
    Option("lookup.partial-cache.max-rows", int, "How many keys are remembered; the least recently used ones go first."),
    Option("lookup.partial-cache.expire-after-write", timedelta, "After how long a remembered key is looked up again."),
    Option("lookup.partial-cache.expire-after-access", timedelta, "After how long without use a remembered key is forgotten."),
    Option("lookup.partial-cache.cache-missing-key", bool, "Remember that a key has no rows.", default=True),
    Option(
        "lookup.full-cache.reload-strategy", ("PERIODIC", "TIMED"), "When the whole table is read again.", default="PERIODIC"
    ),
    Option("lookup.full-cache.periodic-reload.interval", timedelta, "Time between two readings of the table."),
    Option(
        "lookup.full-cache.periodic-reload.schedule-mode",
        ("FIXED_DELAY", "FIXED_RATE"),
        "Whether the time counts from the end of a reading or from its start.",
        default="FIXED_DELAY",
    ),
    Option("lookup.full-cache.timed-reload.iso-time", str, "Time of day of a reading, '02:30' or '02:30Z' (UTC)."),
    Option("lookup.full-cache.timed-reload.interval-in-days", int, "Days between two readings.", default=1),
)
"""How a lookup join reads the table; the planner reads them from the table."""

COMMON_OPTIONS = (
    Option("connector", str, "Name of the connector."),
    Option("property-version", int, "Version of the option layout; only 1 exists.", default=1),
    Option("scan.parallelism", int, "Number of readers."),
    Option("sink.parallelism", int, "Number of writers."),
    Option("scan.watermark.emit.strategy", ("on-periodic", "on-event"), "When watermarks are emitted.", default="on-periodic"),
    Option("scan.watermark.idle-timeout", timedelta, "After how long without rows a split no longer holds back the watermark."),
    Option("scan.watermark.alignment.group", str, "Sources of one group wait for each other."),
    Option("scan.watermark.alignment.max-drift", timedelta, "How far a source may run ahead of its group."),
    Option("scan.watermark.alignment.update-interval", timedelta, "Accepted; workers tell each other five times a second."),
    *LOOKUP_OPTIONS,
)
"""Options that every connector has; the planner reads them from the table."""

_MEMORY_UNITS = {
    **dict.fromkeys(("", "b", "byte", "bytes"), 1),
    **dict.fromkeys(("k", "kb", "kib", "kibibyte", "kibibytes"), 1 << 10),
    **dict.fromkeys(("m", "mb", "mib", "mebibyte", "mebibytes"), 1 << 20),
    **dict.fromkeys(("g", "gb", "gib", "gibibyte", "gibibytes"), 1 << 30),
    **dict.fromkeys(("t", "tb", "tib", "tebibyte", "tebibytes"), 1 << 40),
}


def parse_memory_size(text: str) -> MemorySize:
    """A memory size as Flink writes it: a number and a binary unit (bytes without one).

    Raises:
        ValueError: when the text is not one.

    >>> parse_memory_size("64 mb")
    67108864
    """
    match = re.fullmatch(r"(\d+)\s*([a-z]*)", text.strip().lower())
    if match is None or match[2] not in _MEMORY_UNITS:
        raise ValueError(f"'{text}' is not a memory size; write a number and a unit (b, kb, mb, gb), for example '64 mb'")
    return MemorySize(int(match[1]) * _MEMORY_UNITS[match[2]])


def memory_size_text(size: int) -> str:
    """A number of bytes in the largest unit that says it without a fraction; `parse_memory_size` reads it.

    >>> memory_size_text(134217728), memory_size_text(1500)
    ('128 mb', '1500 b')
    """
    units = (("tb", 1 << 40), ("gb", 1 << 30), ("mb", 1 << 20), ("kb", 1 << 10), ("b", 1))
    unit, factor = next(u for u in units if size % u[1] == 0)
    return f"{size // factor} {unit}"


def parse_boolean(text: str) -> bool:
    """`true` or `false` in any case.

    >>> parse_boolean("TRUE")
    True
    """
    word = text.strip().lower()
    if word not in ("true", "false"):
        raise ValueError(f"'{text}' is neither 'true' nor 'false'")
    return word == "true"


def parse_value(option: Option, text: str) -> Any:
    """The typed value of `text` for `option`.

    Raises:
        OptionError: when the text does not fit the option's kind; it names the option and what would fit.
    """
    try:
        return _parse(option.kind, text)
    except ValueError as e:
        raise OptionError(f"option '{option.key}' has a wrong value: {e}", fix=option.doc) from None


def _parse(kind: Any, text: str) -> Any:
    if isinstance(kind, tuple):
        for word in kind:
            if word.casefold() == text.strip().casefold():
                return word
        raise ValueError(f"'{text}' is not one of {', '.join(kind)}")
    if kind is bool:
        return parse_boolean(text)
    if kind is timedelta:
        return parse_duration(text)
    if kind is MemorySize:
        return parse_memory_size(text)
    if kind in (int, float):
        try:
            return kind(text.strip())
        except ValueError:
            raise ValueError(f"'{text}' is not a{'n integer' if kind is int else ' number'}") from None
    return text


def read_options(owner: str, given: Mapping[str, str], declared: Sequence[Option]) -> dict[str, Any]:
    """Typed values by key: those given, and the defaults of the rest.

    A declared key may hold `#`, which stands for any name (`fields.#.kind`), or end in `.*` (any suffix): such options appear
    in the result only when given, under their full key.

    Args:
        owner: Who has the options, for messages: "connector 'filesystem'".
        given: The texts, as in `WITH (...)`.
        declared: All options that exist.

    Raises:
        OptionError: for an unknown key, a missing required one, or a text that does not fit.

    >>> declared = [Option("rows", int, "Rows."), Option("wait", bool, "Wait.", default=True)]
    >>> read_options("connector 'x'", {"rows": "5"}, declared)
    {'rows': 5, 'wait': True}
    """
    values = {o.key: o.default for o in declared if "#" not in o.key and not o.key.endswith(".*")}
    for key, text in given.items():
        option = find_option(key, declared)
        if option is None:
            raise unknown_option(owner, key, declared)
        values[key] = parse_value(option, str(text)) if option.key == key else _parse_pattern(option, key, str(text))
    missing = [o for o in declared if o.required and o.key not in given]
    if missing:
        raise OptionError(
            f"{owner} needs the option '{missing[0].key}'",
            exists="given: " + (", ".join(sorted(given)) or "none"),
            fix=f"add '{missing[0].key}' = '…' to WITH (...): {missing[0].doc}",
        )
    return values


def _parse_pattern(option: Option, key: str, text: str) -> Any:
    return parse_value(Option(key, option.kind, option.doc), text)


def find_option(key: str, declared: Iterable[Option]) -> Option | None:
    """The declared option that `key` names, exactly or through a pattern."""
    for option in declared:
        if option.key == key or _pattern_matches(option.key, key):
            return option
    return None


def _pattern_matches(pattern: str, key: str) -> bool:
    if pattern.endswith(".*"):
        return key.startswith(pattern[:-1]) and len(key) > len(pattern) - 1
    if "#" not in pattern:
        return False
    head, tail = pattern.split("#")
    return key.startswith(head) and key.endswith(tail) and len(key) > len(head) + len(tail)


def unknown_option(owner: str, key: str, declared: Iterable[Option]) -> OptionError:
    """The error for a key that `owner` does not have."""
    known = sorted({o.key for o in declared} - {o.key for o in COMMON_OPTIONS})
    return OptionError(
        f"{owner} has no option '{key}'",
        exists="options: " + ", ".join(known),
        fix=did_you_mean(key, known) or "remove it or use one of the options above",
    )
