"""Windows by name (the WINDOW clause), and group windows written as calls in GROUP BY: TUMBLE(…), HOP(…), SESSION(…)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tableapi.errors import UnknownNameError, ValidationError, did_you_mean
from tableapi.plan import unresolved as un
from tableapi.plan.nodes import WindowKind
from tableapi.plan.scope import Relation
from tableapi.sql import ast
from tableapi.sql.call_grammar import over_call
from tableapi.sql.rewrite import map_parts, parts

_LENGTHS = {"TUMBLE": ("size",), "HOP": ("step", "size"), "SESSION": ("gap",)}
_PROPERTIES = {"START": "start", "END": "end", "ROWTIME": "rowtime", "PROCTIME": "proctime"}
_AUXILIARY = {f"{window}_{suffix}": (window, prop) for window in _LENGTHS for suffix, prop in _PROPERTIES.items()}


def resolve_windows(expression: un.Unresolved, windows: Mapping[str, ast.WindowDefinition]) -> un.Unresolved:
    """The expression with `OVER w` replaced by the window that `w` names."""

    def change(part: un.Unresolved) -> un.Unresolved:
        if isinstance(part, ast.NamedOver):
            window = _complete(part.window, windows, ())
            part = over_call(part.call, window, part.where)
        return map_parts(part, change)

    return change(expression)


def _complete(
    window: ast.WindowDefinition, windows: Mapping[str, ast.WindowDefinition], seen: tuple[str, ...]
) -> ast.WindowDefinition:
    if window.base is None:
        return window
    if window.base not in windows or window.base in seen:
        raise UnknownNameError(
            f"window '{window.base}' does not exist",
            where=window.where,
            exists=f"windows: {', '.join(windows) or 'none'}",
            fix=did_you_mean(window.base, windows) or f"define it: WINDOW {window.base} AS (PARTITION BY … ORDER BY …)",
        )
    base = _complete(windows[window.base], windows, (*seen, window.base))
    if window.partition_by or (window.order_by and base.order_by):
        raise ValidationError(f"window '{window.base}' is refined by a clause that it has already", where=window.where)
    has_frame = window.lower is not None
    frame = window if has_frame else base
    return ast.WindowDefinition(
        None,
        base.partition_by,
        base.order_by or window.order_by,
        frame.is_rows,
        frame.lower,
        frame.upper,
        window.where,
    )


@dataclass(frozen=True)
class GroupWindow:
    """A group window call of GROUP BY."""

    alias: str
    call: un.Call

    @property
    def name(self) -> str:
        """TUMBLE, HOP or SESSION."""
        return self.call.function.upper()

    def apply(self, builder, relation: Relation, keys: list[un.Unresolved]) -> Relation:  # type: ignore[no-untyped-def]
        """The relation with the window assigned. The other keys are what a session is kept by."""
        lengths = _LENGTHS[self.name]
        if len(self.call.args) != 1 + len(lengths):
            raise ValidationError(
                f"{self.name} takes {1 + len(lengths)} arguments: time column, {', '.join(_SHOWN[n] for n in lengths)}",
                where=self.call.where,
            )
        sizes = dict(zip(lengths, self.call.args[1:], strict=True))
        partition_by = keys if self.name == "SESSION" else []
        return builder.group_window(
            relation, WindowKind[self.name], self.alias, self.call.args[0], partition_by=partition_by, **sizes
        )

    def replace_in(self, expression: un.Unresolved) -> un.Unresolved:
        """The expression with TUMBLE_START(…) and its like replaced by properties of this window."""

        def change(part: un.Unresolved) -> un.Unresolved:
            if isinstance(part, un.Call) and part.function.upper() in _AUXILIARY:
                window, prop = _AUXILIARY[part.function.upper()]
                if window == self.name and part.args == self.call.args:
                    return un.WindowProperty(self.alias, prop, where=part.where)
            return map_parts(part, change)

        return change(expression)


_SHOWN = {"size": "size", "step": "slide", "gap": "gap"}


def find_group_window(keys: list[un.Unresolved]) -> GroupWindow | None:
    """The group window among GROUP BY keys, or None.

    Raises:
        ValidationError: There are several.
    """
    calls = [k for k in keys if isinstance(k, un.Call) and k.function.upper() in _LENGTHS]
    if len(calls) > 1:
        raise ValidationError("GROUP BY can hold only one group window", where=calls[1].where)
    return GroupWindow("$window", calls[0]) if calls else None


def check_no_window_calls(expressions: list[un.Unresolved]) -> None:
    """Fails for TUMBLE_START(…) and its like that no group window of GROUP BY explains."""
    for expression in expressions:
        for part in parts(expression):
            if isinstance(part, un.Call) and part.function.upper() in _AUXILIARY:
                window, _ = _AUXILIARY[part.function.upper()]
                raise ValidationError(
                    f"{part.function.upper()} needs the same window in GROUP BY",
                    where=part.where,
                    fix=f"add GROUP BY {window}(…) with the same arguments",
                )
