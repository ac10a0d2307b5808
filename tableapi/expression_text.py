"""How an expression that is not resolved yet prints: `as(plus(v, 1), 'q')`. May import plan.unresolved only."""

from __future__ import annotations

from tableapi.plan import unresolved as un

_NAMES = {
    "EQUALS": "equals",
    "NOT_EQUALS": "notEquals",
    "LESS": "lessThan",
    "LESS_OR_EQUAL": "lessThanOrEqual",
    "GREATER": "greaterThan",
    "GREATER_OR_EQUAL": "greaterThanOrEqual",
    "NEGATE": "minusPrefix",
    "CASE": "ifThenElse",
    "$ROW": "row",
}


def expression_text(node: un.Unresolved) -> str:
    """The text of a tree, in Flink's style.

    >>> expression_text(un.As(un.Call("PLUS", (un.Name(("v",)), un.Lit(1))), ("q",)))
    "as(plus(v, 1), 'q')"
    """
    match node:
        case un.Name(parts=parts):
            return ".".join(parts)
        case un.Lit(value=value):
            return "null" if value is None else str(value).lower() if isinstance(value, bool) else _quoted(value)
        case un.Call(function=function, args=args, distinct=distinct):
            text = _call(_NAMES.get(function) or _camel(function), *map(expression_text, args))
            return _call("distinct", text) if distinct else text
        case un.UdfCall(function=function, args=args):
            return _call(function.name, *map(expression_text, args))
        case un.Cast(arg=arg, data_type=data_type, is_try=is_try):
            return _call("tryCast" if is_try else "cast", expression_text(arg), str(data_type))
        case un.As(arg=arg, names=names):
            return _call("as", expression_text(arg), *map(_quoted, names))
        case un.Star(qualifier=qualifier):
            return "*" if qualifier is None else f"{qualifier}.*"
        case un.SortItem(arg=arg, ascending=ascending):
            return _call("asc" if ascending else "desc", expression_text(arg))
        case un.ColumnRange(items=items, invert=invert):
            return _call("withoutColumns" if invert else "withColumns", *map(expression_text, items))
        case un.OverAlias(call=call, window=window):
            return _call("over", expression_text(call), window)
        case un.WindowProperty(window=window, property=what):
            return _call(what, window)
        case un.Subquery(kind=kind, args=args):
            return _call(kind, *map(expression_text, args), "<table>")
        case _:
            return type(node).__name__


def _call(name: str, *args: str) -> str:
    return f"{name}({', '.join(args)})"


def _quoted(value: object) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)


def _camel(name: str) -> str:
    first, *rest = name.lower().split("_")
    return first + "".join(part.capitalize() for part in rest)
