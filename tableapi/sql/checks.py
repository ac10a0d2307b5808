"""Rules of Flink's validator that need only the expression as written. Each function raises ValidationError with a place.

An untyped NULL is legal only where its type follows from its neighbours; the sets below are what Flink 2.3 accepts and rejects.
"""

from __future__ import annotations

from collections.abc import Sequence

from tableapi.errors import ValidationError
from tableapi.functions import registry
from tableapi.plan import unresolved as un
from tableapi.plan.scope import Relation
from tableapi.sql.rewrite import parts
from tableapi.types import IntType

_NULL_REJECTED = frozenset(
    {
        *("AND", "OR", "NOT", "IS_TRUE", "IS_NOT_TRUE", "IS_FALSE", "IS_NOT_FALSE", "IS_UNKNOWN", "IS_NOT_UNKNOWN", "IF"),
        *("PLUS", "MINUS", "TIMES", "DIVIDE", "MOD", "NEGATE", "CONCAT_OPERATOR", "LIKE", "SIMILAR_TO", "GREATEST", "LEAST"),
        *(
            "ABS",
            "POWER",
            "CONCAT",
            "CONCAT_WS",
            "SUBSTRING",
            "TRIM",
            "REPLACE",
            "LPAD",
            "RPAD",
            "UPPER",
            "LOWER",
            "CHAR_LENGTH",
        ),
        *("CHARACTER_LENGTH", "REGEXP_EXTRACT", "REGEXP_REPLACE", "SPLIT_INDEX", "DATE_FORMAT", "TO_TIMESTAMP", "TO_DATE"),
        *(
            "TO_TIMESTAMP_LTZ",
            "EXTRACT",
            "TIMESTAMPADD",
            "TIMESTAMPDIFF",
            "FLOOR",
            "CEIL",
            "ROUND",
            "ARRAY_SORT",
            "CARDINALITY",
        ),
        *(
            "MD5",
            "SHA1",
            "SHA2",
            "SHA256",
            "IS_ALPHA",
            "IS_DIGIT",
            "IS_DECIMAL",
            "BIN",
            "HEX",
            "LOG",
            "LN",
            "SQRT",
            "EXP",
            "ELT",
        ),
        *("STR_TO_MAP", "MAP_KEYS", "MAP_VALUES", "PARSE_URL", "UNIX_TIMESTAMP", "CONVERT_TZ", "FROM_UNIXTIME", "POSITION"),
        *("LOCATE", "INSTR", "OVERLAY", "REPEAT", "REVERSE", "LEFT", "RIGHT", "SIN", "COS", "TAN", "SIGN", "TRUNCATE", "RAND"),
    }
)
_ALL_NULL_REJECTED = frozenset({"COALESCE", "IFNULL", "ARRAY"})


def is_null(expression: un.Unresolved) -> bool:
    """Whether the expression is the word NULL."""
    return isinstance(expression, un.Lit) and expression.value is None and expression.data_type is None


def no_untyped_null(expression: un.Unresolved) -> None:
    """Fails for NULL where nothing gives it a type."""
    if is_null(expression):
        raise ValidationError("NULL has no type here", where=expression.where, fix="write CAST(NULL AS type)")


def call(call: un.Call) -> None:
    """Fails for what a call cannot be given."""
    name = call.function.upper()
    if name == "CASE":
        results = [*call.args[1::2], call.args[-1]]
        if all(is_null(r) for r in results):
            raise ValidationError(
                "every result of CASE is NULL", where=call.where, fix="give one of them a type: CAST(NULL AS type)"
            )
    elif name in _NULL_REJECTED or isinstance(registry.find(name), registry.AggregateFunction | registry.RankingFunction):
        for arg in call.args:
            no_untyped_null(arg)
    elif name in _ALL_NULL_REJECTED and call.args and all(is_null(a) for a in call.args):
        no_untyped_null(call.args[0])
    if call.filter is not None:
        no_untyped_null(call.filter)
    if name == "LISTAGG" and len(call.args) > 1 and not isinstance(call.args[1], un.Lit):
        raise ValidationError("the separator of LISTAGG must be a literal", where=call.args[1].where)
    if name == "COUNT" and not call.args:
        raise ValidationError("COUNT needs an argument", where=call.where, fix="write COUNT(*)")


def over(over: un.Over) -> None:
    """Fails for a rank without an order, and for a frame that ends before it begins."""
    name = over.call.function.upper() if isinstance(over.call, un.Call) else ""
    if not over.order_by and isinstance(registry.find(name), registry.RankingFunction):
        raise ValidationError(f"{name} needs ORDER BY in its OVER clause", where=over.where)
    if over.lower is None:
        return
    if over.is_rows:
        _row_offset(over.lower)
        _row_offset(over.upper)
    lower, upper = _rank(over.lower), 0 if over.upper is None else _rank(over.upper)
    if lower == 2 or upper == -2 or lower > upper:
        raise ValidationError(
            "the frame of the window ends before it begins",
            where=over.lower.where,
            fix="write the earlier bound first: ROWS BETWEEN 2 PRECEDING AND CURRENT ROW",
        )


def _row_offset(bound: un.Bound | None) -> None:
    offset = None if bound is None else bound.offset
    if offset is None or (isinstance(offset, un.Lit) and isinstance(offset.value, int) and offset.value >= 0):
        return
    raise ValidationError("a ROWS frame counts rows: a whole number that is not negative", where=offset.where)


def _rank(bound: un.Bound) -> int:
    """-2 UNBOUNDED PRECEDING, -1 PRECEDING, 0 CURRENT ROW, 1 FOLLOWING, 2 UNBOUNDED FOLLOWING."""
    if bound.offset is None:
        return -2 if bound.is_preceding else 2
    if bound.offset == un.Lit(0):
        return 0
    return -1 if bound.is_preceding else 1


def group_key(key: un.Unresolved, relation: Relation, items: Sequence[un.Unresolved] = ()) -> un.Unresolved:
    """A GROUP BY key; a name must be a column (not an alias of the select list), a number is a constant (not a position)."""
    no_untyped_null(key)
    if isinstance(key, un.Name) and relation.outer is None and not _known(key.parts, relation):
        error = relation.unknown(key.parts)
        if any(isinstance(i, un.As) and i.names == key.parts for i in items):
            error.fix = (
                f"'{key.parts[0]}' is a name of the select list: repeat its expression in GROUP BY, or group in a query around"
            )
        raise error.at(key.where)
    if isinstance(key, un.Lit) and isinstance(key.value, int):
        return un.Cast(key, IntType(is_nullable=False), where=key.where)
    return key


def _known(parts: tuple[str, ...], relation: Relation) -> bool:
    if len(parts) > 1 and relation.has_qualifier(parts[0]):
        return True
    return relation.find(None, parts[0]) is not None


def grouping_calls(expressions: Sequence[un.Unresolved]) -> None:
    """Fails for GROUPING and its like outside a grouped query."""
    for expression in expressions:
        for part in parts(expression):
            if isinstance(part, un.Call) and part.function.upper() in ("GROUPING", "GROUPING_ID", "GROUP_ID"):
                raise ValidationError(f"{part.function.upper()} needs GROUP BY", where=part.where)


def qualify(condition: un.Unresolved, items: Sequence[un.Unresolved]) -> None:
    """Fails for a QUALIFY condition without an OVER call, written there or behind an alias."""
    aliased = {i.names[0]: i.arg for i in items if isinstance(i, un.As)}
    found = list(parts(condition))
    found += [q for p in found if isinstance(p, un.Name) and p.parts[0] in aliased for q in parts(aliased[p.parts[0]])]
    if not any(isinstance(p, un.Over) for p in found):
        raise ValidationError("QUALIFY needs an OVER call in its condition", where=condition.where, fix="use WHERE")
