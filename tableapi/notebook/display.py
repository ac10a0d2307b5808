"""How tables show themselves in a notebook: schema and first rows, never computing more rows than are shown.

A front door: reaches the runtime through the environment of the table.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from tableapi.plan import nodes as n

if TYPE_CHECKING:
    from tableapi.table import Table

SHOWN_ROWS = 10

_STYLE = "border-collapse:collapse;font-family:monospace;font-size:12px"
_CELL = "border:1px solid #ccc;padding:2px 6px;text-align:right"


def preview(table: Table, rows: int = SHOWN_ROWS) -> list[list[str]] | None:
    """The first rows as text, a list a column; None when looking at them would mean to start a job that may not end.

    Rows are looked at when the program itself holds all of the input, or in batch mode.
    """
    from tableapi.printing import text_columns

    relation = table._builder.limit(table._relation, rows)
    plan = table._builder.collect(relation)
    leaves = [node for node in n.walk(plan) if not node.inputs]
    if table._t_env._is_streaming and not all(isinstance(leaf, n.Inline | n.Values) for leaf in leaves):
        return None
    settings = table._t_env._settings(is_streaming=False)
    from tableapi.runtime.execute import execute

    columns: list[list[str]] = [[] for _ in plan.schema]
    for frame, _ in execute([plan], settings).batches():
        for column, added in zip(columns, text_columns(frame, plan.schema, settings.time_zone), strict=True):
            column.extend(added)
    return columns


def table_html(table: Table) -> str:
    """The table as HTML.

    >>> from tableapi import EnvironmentSettings, TableEnvironment
    >>> env = TableEnvironment.create(EnvironmentSettings.in_batch_mode())
    >>> "<td" in table_html(env.from_elements([(1, "<b>")], ["a", "b"]))
    True
    """
    schema = table._row_schema()
    head = "".join(
        f'<th style="{_CELL}">{html.escape(f.name)}<br><small>{html.escape(str(f.type))}'
        f"{f' *{f.time.name}*' if f.time else ''}</small></th>"
        for f in schema
    )
    columns = preview(table)
    body = ""
    note = "rows are computed by execute()"
    if columns is not None:
        rows = list(zip(*columns, strict=True))
        body = "".join(
            "<tr>" + "".join(f'<td style="{_CELL}">{html.escape(cell)}</td>' for cell in row) + "</tr>" for row in rows
        )
        note = f"first {SHOWN_ROWS} rows" if len(rows) == SHOWN_ROWS else f"{len(rows)} row{'' if len(rows) == 1 else 's'}"
    return f'<table style="{_STYLE}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><small>{note}</small>'


def table_text(table: Table) -> str:
    """The table as plain text: its schema."""
    return str(table.get_resolved_schema())
