"""A query as SQL with full names: tables with catalog and database, columns with their table, `*` written out (SHOW CREATE VIEW).

What its names mean was noted while it was planned (`notes.Notes`). Layout and parentheses follow Flink's printer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tableapi.plan import unresolved as un
from tableapi.plan.resolve import output_name
from tableapi.plan.scope import Relation, ScopeColumn, unique
from tableapi.sql import ast
from tableapi.sql.catalog_reader import CatalogReader
from tableapi.sql.expression_text import ExpressionText, UnprintableError
from tableapi.sql.notes import Notes
from tableapi.sql_text import quote_name, quote_text

_NAMELESS = "EXPR$0"
"""What Flink calls a table in FROM that has no name."""


def full_text(query: ast.Query, notes: Notes, written: str) -> str:
    """The query with full names. `written` is given back where a clause has no such form (MATCH_RECOGNIZE, JSON functions)."""
    try:
        return _Printer(notes.catalog, notes.sources, notes.columns).query(query)
    except UnprintableError:
        return written


@dataclass(frozen=True)
class _Printer:
    catalog: CatalogReader
    sources: dict[int, Relation]
    columns: dict[int, list[str]]
    with_tables: frozenset[str] = field(default_factory=frozenset)

    def query(self, query: ast.Query) -> str:
        match query:
            case ast.Select():
                return self._select(query, ())
            case ast.OrderedQuery(query=ast.Select() as select):
                return self._select(select, query.order_by) + _limits(query)
            case ast.OrderedQuery(query=inner):
                plain = ExpressionText(lambda name: name.parts, self.query)
                order = "" if not query.order_by else f"\nORDER BY {', '.join(map(plain.sort_item, query.order_by))}"
                items = self._items(query, _NAMELESS)
                return f"SELECT {items}\nFROM ({self.query(inner)}) AS {quote_name(_NAMELESS)}{order}{_limits(query)}"
            case ast.SetOperation(kind=kind, is_all=is_all, left=left, right=right):
                return f"{self._operand(left)}\n{kind}{' ALL' if is_all else ''}\n{self._operand(right)}"
            case ast.ValuesRows(rows=rows):
                plain = ExpressionText(lambda name: name.parts, self.query)
                return "VALUES " + ",\n".join(f"ROW({', '.join(map(plain.text, row))})" for row in rows)
            case ast.WithQuery(tables=tables, query=inner):
                printer, shown = self, []
                for table in tables:
                    names = f" ({', '.join(map(quote_name, table.columns))})" if table.columns else ""
                    shown.append(f"{quote_name(table.name)}{names} AS ({printer.query(table.query)})")
                    printer = replace(printer, with_tables=printer.with_tables | {table.name})
                return f"WITH {', '.join(shown)} {printer.query(inner)}"
            case ast.TableQuery(table=table):
                return f"SELECT {self._items(query, table.parts[-1])}\nFROM {self._table(table, None, ())}"
            case _:
                raise UnprintableError

    def _items(self, query: ast.Query, table: str) -> str:
        return ", ".join(f"{quote_name(table)}.{quote_name(name)}" for name in self.columns[id(query)])

    def _operand(self, query: ast.Query) -> str:
        text = self.query(query)
        return f"({text})" if isinstance(query, ast.OrderedQuery | ast.WithQuery) else text

    def _select(self, select: ast.Select, order_by: Sequence[un.SortItem]) -> str:
        source = self.sources.get(id(select))
        if source is None:
            raise UnprintableError
        nameless = _NAMELESS if isinstance(select.source, ast.Derived | ast.TableFunction) else None
        scope = _Scope(source, nameless)
        outputs = [scope.written_out(item) for item in select.items]
        items = [item for group in outputs for item in group]
        shown = ExpressionText(scope.full, self.query)
        hints = "" if not select.hints else f"\n/*+ {', '.join(map(_hint, select.hints))} */"
        lines = [f"SELECT {'DISTINCT ' if select.is_distinct else ''}{hints}{', '.join(map(shown.text, items))}"]
        if select.source is not None:
            lines.append(f"FROM {self._from(select.source, shown)}")
        if select.condition is not None:
            lines.append(f"WHERE {shown.text(select.condition)}")
        if select.group_by is not None:
            keys = ", ".join(map(shown.group_key, select.group_by))
            lines.append(f"GROUP BY {keys or '()'}")
        if select.having is not None:
            lines.append(f"HAVING {shown.text(select.having)}")
        if select.windows:
            windows = ", ".join(f"{quote_name(n)} AS ({shown.window(w)})" for n, w in select.windows)
            lines.append(f"WINDOW {windows}")
        selected = {name for item in items if (name := output_name(item))}
        by_output = ExpressionText(lambda n: n.parts if n.parts[0] in selected else scope.full(n), self.query)
        if select.qualify is not None:
            lines.append(f"QUALIFY {by_output.text(select.qualify)}")
        if order_by:
            lines.append(f"ORDER BY {', '.join(map(by_output.sort_item, order_by))}")
        return "\n".join(lines)

    def _from(self, table: ast.TableReference, shown: ExpressionText) -> str:
        match table:
            case ast.Joined():
                return self._joined(table, shown)
            case ast.Aliased(table=inner, alias=alias, columns=columns):
                return self._table(inner, alias, columns, shown)
            case _:
                return self._table(table, None, (), shown)

    def _joined(self, table: ast.Joined, shown: ExpressionText) -> str:
        word = "NATURAL " if table.is_natural else ""
        condition = "" if table.condition is None else f" ON {shown.text(table.condition)}"
        if table.using is not None:
            condition = f" USING ({', '.join(map(quote_name, table.using))})"
        right = self._from(table.right, shown)
        right = f"({right})" if isinstance(table.right, ast.Joined) else right
        return f"{self._from(table.left, shown)}\n{word}{table.kind} JOIN {right}{condition}"

    def _table(
        self, table: ast.TableReference, alias: str | None, columns: Sequence[str], shown: ExpressionText | None = None
    ) -> str:
        names = f" ({', '.join(map(quote_name, columns))})" if columns else ""
        named = "" if alias is None else f" AS {quote_name(alias)}{names}"
        match table:
            case ast.TableName(parts=parts, hints=hints, system_time=time):
                is_with = len(parts) == 1 and parts[0] in self.with_tables
                text = quote_name(parts[0]) if is_with else str(self.catalog.qualify(parts))
                if time is not None and shown is not None:
                    text += f" FOR SYSTEM_TIME AS OF {shown.text(time)}"
                if hints:
                    return f"{text}\n/*+ {', '.join(map(_hint, hints))} */{named}"
                return text + (named or f" AS {quote_name(parts[-1])}")
            case ast.Derived(query=query, lateral=lateral):
                return f"{'LATERAL ' if lateral else ''}({self.query(query)}){named or f' AS {quote_name(_NAMELESS)}'}"
            case ast.UnnestTable(collection=collection, with_ordinality=ordinality) if shown is not None:
                return f"UNNEST({shown.text(collection)}){' WITH ORDINALITY' if ordinality else ''}{named}"
            case ast.TableFunction(name=name, args=args, lateral=lateral) if shown is not None:
                inner = replace(shown, table=self._argument)
                call = f"{name.upper()}({', '.join(map(inner.text, args))})"
                return f"{'LATERAL ' if lateral else ''}TABLE({call}){named or f' AS {quote_name(_NAMELESS)}'}"
            case _:
                raise UnprintableError

    def _argument(self, table: ast.TableReference) -> str:
        if isinstance(table, ast.Derived):
            return f"({self.query(table.query)})"
        return f"TABLE {self.catalog.qualify(table.parts)}" if isinstance(table, ast.TableName) else "?"


@dataclass(frozen=True)
class _Scope:
    """What names mean in a SELECT."""

    source: Relation
    nameless: str | None

    def full(self, name: un.Name) -> tuple[str, ...]:
        """A name with the table that it belongs to."""
        first = name.parts[0]
        if len(name.parts) > 1 and self._has_table(first):
            return name.parts
        relation: Relation | None = self.source
        while relation is not None:
            for column in relation.columns:
                if column.name == first and not column.is_merged:
                    qualifier = column.qualifier or (self.nameless if relation is self.source else None)
                    return name.parts if qualifier is None else (qualifier, *name.parts)
            relation = relation.outer
        return name.parts

    def _has_table(self, qualifier: str) -> bool:
        relation: Relation | None = self.source
        while relation is not None:
            if relation.has_qualifier(qualifier):
                return True
            relation = relation.outer
        return False

    def written_out(self, item: un.Unresolved) -> list[un.Unresolved]:
        """A select item; `*` and `t.*` become their columns, under other names where two are alike."""
        if isinstance(item, un.Star):
            return self._columns(self.source.star(item.qualifier))
        if isinstance(item, ast.FieldStar):
            if isinstance(item.arg, un.Name) and len(item.arg.parts) == 1 and self.source.has_qualifier(item.arg.parts[0]):
                return self._columns(self.source.star(item.arg.parts[0]))
            raise UnprintableError
        return [item]

    def _columns(self, columns: Sequence[ScopeColumn]) -> list[un.Unresolved]:
        made: list[un.Unresolved] = []
        taken: list[str] = []
        for column in columns:
            name = un.Name((column.name,) if column.qualifier is None else (column.qualifier, column.name))
            visible = unique(column.name, taken)
            taken.append(visible)
            made.append(name if visible == column.name else un.As(name, (visible,)))
        return made


def _limits(query: ast.OrderedQuery) -> str:
    offset = f"\nOFFSET {query.offset} ROWS" if query.offset else ""
    return offset + ("" if query.fetch is None else f"\nFETCH NEXT {query.fetch} ROWS ONLY")


def _hint(hint: ast.Hint) -> str:
    items = [*map(quote_name, hint.items), *(f"{quote_text(k)} = {quote_text(v)}" for k, v in hint.pairs)]
    return f"{quote_name(hint.name)}({', '.join(items)})"
