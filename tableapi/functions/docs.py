"""docs/functions.md, made from the declarations: `python -m tableapi.functions.docs > docs/functions.md`."""

from __future__ import annotations

from tableapi.functions.registry import Function, functions

_CHAPTERS = (
    ("comparison", "Comparison and predicates"),
    ("logical", "Logic"),
    ("arithmetic", "Arithmetic and mathematics"),
    ("conditional", "Conditions and NULL"),
    ("string", "Strings"),
    ("temporal", "Dates and times"),
    ("collection", "Arrays, maps and rows"),
    ("json", "JSON and VARIANT"),
    ("bitmap", "Bitmaps"),
    ("hash", "Hashes"),
    ("system", "System"),
    ("aggregate", "Aggregates"),
    ("ranking", "Functions of an OVER window"),
)

_HEAD = """# Built-in functions

Every built-in of SQL and of the Table API. This page is generated from the declarations in `tableapi/functions`
(`python -m tableapi.functions.docs`). A function gives NULL when an argument is NULL unless its text says otherwise.
Semantics are Flink's.
"""


def render() -> str:
    """The whole page."""
    parts = [_HEAD]
    for category, title in _CHAPTERS:
        members = [f for f in functions() if f.category == category]
        parts.append(f"## {title}\n")
        parts.append("| SQL | Table API | what it does | example |\n|---|---|---|---|")
        parts.extend(_line(f) for f in members)
        parts.append("")
    return "\n".join(parts)


def _line(function: Function) -> str:
    names = ", ".join(f"`{n}`" for n in (function.name, *function.sql_names)).replace("|", "\\|")
    api = f"`{function.api_name}`" if function.api_name else ""
    shown = "; ".join(f"`{sql}` is `{value}`" for sql, value in function.examples[:2])
    return f"| {names} | {api} | {_cell(function.doc)} | {_cell(shown)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    import sys

    sys.stdout.write(render())
