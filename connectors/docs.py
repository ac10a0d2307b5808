"""docs/connectors.md, made from the declared options: `python -m tableapi.connectors.docs > docs/connectors.md`.

Imports the connectors' own modules only.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from tableapi.connectors.base import Option
from tableapi.connectors.options import COMMON_OPTIONS, MemorySize, memory_size_text
from tableapi.connectors.registry import connector_names, find_connector, find_format, format_names
from tableapi.durations import duration_text

_HEAD = """# Connectors and formats

What `WITH ('connector' = '…', 'format' = '…', …)` takes. This page is generated from the declarations in `connectors/`
(`python -m tableapi.connectors.docs`). Names and meanings are Flink's where Flink has the option; an unknown option is refused with the
ones that exist. `SHOW CREATE TABLE` shows what a table was given.

Others are found through the entry-point groups `tableapi.connectors` and `tableapi.formats`: a class of the contract in
`tableapi.connectors.base`.
"""

_FORMATS = """# Formats

Options of a format stand in `WITH (…)` under the format's name: `'csv.field-delimiter' = ';'`. A table on files takes any of them, a socket or
a log's `value.format` the ones that cut a stream of bytes into records.
"""

_KINDS: dict[Any, str] = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "`true` or `false`",
    timedelta: "duration",
    MemorySize: "memory size",
}


def render() -> str:
    """The whole page."""
    parts = [_HEAD, "## Every connector\n", _table(o for o in COMMON_OPTIONS if o.key != "connector")]
    for name in connector_names():
        connector = find_connector(name)
        parts += [f"## `{name}`\n", f"{_first_sentences(connector)}\n", _table(connector.options)]
    parts.append(_FORMATS)
    for name in format_names():
        known = find_format(name)
        parts += [f"## `{name}`\n", f"{_first_sentences(known)}\n", _table(known.options)]
    return "\n".join(parts)


def _first_sentences(owner: object) -> str:
    """The first paragraph of a class's docstring."""
    text = type(owner).__doc__ or ""
    return " ".join(text.split("\n\n")[0].split())


def _table(options: Iterable[Option]) -> str:
    lines = [_line(option) for option in options]
    if not lines:
        return "No options of its own.\n"
    return "\n".join(["| option | takes | default | what it does |", "|---|---|---|---|", *lines, ""])


def _line(option: Option) -> str:
    takes = ", ".join(f"`{w}`" for w in option.kind) if isinstance(option.kind, tuple) else _KINDS[option.kind]
    default = "**required**" if option.required else _default(option.kind, option.default)
    return f"| `{option.key}` | {takes} | {default} | {option.doc} |".replace("\n", " ")


def _default(kind: Any, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, timedelta):
        return f"`{duration_text(value)}`"
    return f"`{memory_size_text(value)}`" if kind is MemorySize else f"`{value}`"


if __name__ == "__main__":
    import sys

    sys.stdout.write(render())
