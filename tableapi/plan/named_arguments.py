"""Arguments of Python functions by name, and DEFAULT: put in the order of the function's parameters.

May import plan.unresolved and errors.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from tableapi.errors import TypeMismatchError, UnknownNameError, UnsupportedError, ValidationError, did_you_mean
from tableapi.plan import unresolved as un
from tableapi.types import VarCharType

NAMED, DEFAULT = "NAMED_ARGUMENT", "DEFAULT"

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def in_order(function: Any, args: tuple[un.Unresolved, ...]) -> tuple[un.Unresolved, ...]:
    """The arguments of a call of a wrapped Python function, by position.

    A parameter that is left out in the middle gets its default as a literal; those at the end stay left out.

    Raises:
        UnknownNameError: The function has no parameter of a name.
        ValidationError: A parameter is given twice, or one without a default is not given.
        TypeMismatchError: There are more arguments than parameters.
    """
    parameters = _parameters(function)
    if parameters is None:
        _refuse_names(function, args)
        return args
    positional = [p for p in parameters if p.kind in _POSITIONAL]
    is_open = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters)
    given: dict[str, un.Unresolved] = {}
    rest: list[un.Unresolved] = []
    is_named = False
    for position, arg in enumerate(args):
        name = _name_of(arg)
        if name is None and position < len(positional) and not is_named:
            given[positional[position].name] = arg
        elif name is None and is_open and not is_named:
            rest.append(arg)
        elif name is None:
            raise _too_many(function, args, positional)
        else:
            is_named = True
            _check_name(function, name, [p.name for p in positional], given, arg)
            given[name] = arg.args[1]  # type: ignore[attr-defined]
    _check_keywords(function, parameters)
    return (*_filled(function, positional, given), *rest)


def may_leave_out(function: Any, positions: range) -> bool:
    """Whether the arguments at (some) positions have defaults."""
    positional = [p for p in _parameters(function) or () if p.kind in _POSITIONAL]
    left_out = positional[positions.start : positions.stop]
    return len(left_out) == len(positions) > 0 and all(p.default is not inspect.Parameter.empty for p in left_out)


def _filled(function: Any, positional: Sequence[inspect.Parameter], given: dict[str, un.Unresolved]) -> list[un.Unresolved]:
    chosen = [None if _is_default(given.get(p.name)) else given.get(p.name) for p in positional]
    while chosen and chosen[-1] is None and positional[len(chosen) - 1].default is not inspect.Parameter.empty:
        chosen.pop()
    missing = [p.name for p, c in zip(positional, chosen, strict=False) if c is None and p.default is inspect.Parameter.empty]
    if missing:
        raise ValidationError(
            f"'{function.name}' needs its argument '{missing[0]}'", exists=f"parameters: {_listed(positional)}"
        )
    return [_literal(function, p) if c is None else c for p, c in zip(positional, chosen, strict=False)]


def _literal(function: Any, parameter: inspect.Parameter) -> un.Unresolved:
    value = parameter.default
    if value is None:
        return un.Cast(un.Lit(None), VarCharType())
    if not isinstance(value, bool | int | float | str):
        raise UnsupportedError(
            f"the default of '{parameter.name}' of '{function.name}' is no number, text or truth value",
            fix=f"give '{parameter.name}' too",
        )
    return un.Lit(value)


def _parameters(function: Any) -> list[inspect.Parameter] | None:
    """The parameters that a call gives; None where Python cannot tell."""
    method = "accumulate" if function.kind.endswith("aggregate") else "eval"
    target = getattr(function.func, method, function.func)
    try:
        parameters = list(inspect.signature(target).parameters.values())
    except (TypeError, ValueError):
        return None
    return parameters[1:] if method == "accumulate" and hasattr(function.func, method) else parameters


def _name_of(arg: un.Unresolved | None) -> str | None:
    if isinstance(arg, un.Call) and arg.function == NAMED and isinstance(arg.args[0], un.Lit):
        return str(arg.args[0].value)
    return None


def _is_default(arg: un.Unresolved | None) -> bool:
    return isinstance(arg, un.Call) and arg.function == DEFAULT


def _check_name(function: Any, name: str, names: list[str], given: dict[str, un.Unresolved], arg: un.Unresolved) -> None:
    if name not in names:
        raise UnknownNameError(
            f"'{function.name}' has no parameter '{name}'",
            where=arg.where,
            exists=f"parameters: {', '.join(names)}",
            fix=did_you_mean(name, names),
        )
    if name in given:
        raise ValidationError(f"the argument '{name}' of '{function.name}' is given twice", where=arg.where)


def _check_keywords(function: Any, parameters: Sequence[inspect.Parameter]) -> None:
    for p in parameters:
        if p.kind is inspect.Parameter.KEYWORD_ONLY and p.default is inspect.Parameter.empty:
            raise ValidationError(
                f"'{function.name}' takes '{p.name}' by keyword only, which a query cannot give", fix="remove the '*' before it"
            )


def _refuse_names(function: Any, args: tuple[un.Unresolved, ...]) -> None:
    named = next((a for a in args if _name_of(a) is not None or _is_default(a)), None)
    if named is not None:
        raise UnsupportedError(
            f"the parameters of '{function.name}' are not known", where=named.where, fix="give all by position"
        )


def _too_many(function: Any, args: Sequence[un.Unresolved], positional: Sequence[inspect.Parameter]) -> TypeMismatchError:
    if any(_name_of(a) is not None for a in args):
        return TypeMismatchError(f"'{function.name}': an argument by position follows one by name", fix="name it too")
    return TypeMismatchError(
        f"'{function.name}' takes {len(positional)} arguments, not {len(args)}", exists=f"parameters: {_listed(positional)}"
    )


def _listed(positional: Sequence[inspect.Parameter]) -> str:
    return ", ".join(p.name for p in positional) or "none"
