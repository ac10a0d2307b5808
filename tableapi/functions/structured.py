"""OBJECT_OF and OBJECT_UPDATE: records that belong to a class. Their values are laid out as those of a ROW."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from tableapi.errors import TypeMismatchError, UnknownNameError, did_you_mean
from tableapi.functions.registry import LoweringCall, Resolved, ScalarFunction
from tableapi.plan.rex import Literal, Rex
from tableapi.types import CharacterType, RowField, StructuredType


def _constant_text(arg: Rex, what: str) -> str:
    if isinstance(arg, Literal) and isinstance(arg.type, CharacterType) and isinstance(arg.value, str):
        return arg.value
    raise TypeMismatchError(f"{what} must be a constant text", where=arg.where)


def _pairs(args: Sequence[Rex]) -> dict[str, Rex]:
    """The values by the names of their fields."""
    if len(args) % 2:
        raise TypeMismatchError("every field needs a name and a value")
    values: dict[str, Rex] = {}
    for name_arg, value in zip(args[::2], args[1::2], strict=True):
        name = _constant_text(name_arg, "the name of a field")
        if name in values:
            raise TypeMismatchError(f"the field '{name}' is given twice", where=name_arg.where)
        values[name] = value
    return values


def _object_of_signature(args: Sequence[Rex]) -> Resolved:
    if not args:
        raise TypeMismatchError("the name of a class is needed, then names and values of fields")
    class_name = _constant_text(args[0], "the name of the class")
    if not all(part.isidentifier() for part in class_name.replace("$", "_").split(".")):
        raise TypeMismatchError(
            f"'{class_name}' is no name of a class", where=args[0].where, fix="name it as Java or Python does"
        )
    fields = tuple(RowField(name, value.type) for name, value in _pairs(args[1:]).items())
    return Resolved(tuple(a.type for a in args), StructuredType(fields, class_name))


def _object_of(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    assert isinstance(call.type, StructuredType)
    return structure([value.alias(f.name) for f, value in zip(call.type.fields, args[2::2], strict=True)])


def structure(fields: Sequence[pl.Expr]) -> pl.Expr:
    """A record of the fields; there may be none."""
    return pl.struct(fields) if fields else pl.lit({}, dtype=pl.Struct([]))


def _object_update_signature(args: Sequence[Rex]) -> Resolved:
    if not args:
        raise TypeMismatchError("an object is needed, then names and values of fields")
    source = args[0].type
    if not isinstance(source, StructuredType):
        raise TypeMismatchError(f"{source} is no structured type", where=args[0].where, fix="make an object with OBJECT_OF")
    updates = _pairs(args[1:])
    for name in updates:
        if name not in source.field_names():
            known = source.field_names()
            raise UnknownNameError(
                f"the object has no field '{name}'", exists=f"fields: {', '.join(known)}", fix=did_you_mean(name, known)
            )
    fields = tuple(RowField(f.name, updates[f.name].type) if f.name in updates else f for f in source.fields)
    return Resolved(tuple(a.type for a in args), replace(source, fields=fields))


def _object_update(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    source = call.args[0].type
    assert isinstance(source, StructuredType)
    given = {call.constant(i): args[i + 1] for i in range(1, len(args), 2)}
    values = [given.get(f.name, args[0].struct.field(f.name)).alias(f.name) for f in source.fields]
    return pl.when(args[0].is_not_null()).then(structure(values))


FUNCTIONS = [
    ScalarFunction(
        "OBJECT_OF",
        _object_of_signature,
        _object_of,
        "Makes a structured object of the class named first, from names (constant texts) and values of its fields.",
        api_name="object_of",
        examples=(
            ("OBJECT_OF('app.Point', 'x', 1, 'y', 2).y", "2"),
            ("TYPEOF(OBJECT_OF('P', 'x', 1))", "STRUCTURED<'P', `x` INT NOT NULL>"),
        ),
        category="collection",
    ),
    ScalarFunction(
        "OBJECT_UPDATE",
        _object_update_signature,
        _object_update,
        "The structured object with the values of some of its fields replaced. A field takes the type of its new value.",
        api_name="object_update",
        examples=(("OBJECT_UPDATE(OBJECT_OF('app.Point', 'x', 1, 'y', 2), 'y', 5).y", "5"),),
        category="collection",
    ),
]
