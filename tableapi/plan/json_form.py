"""The stored form of plans: JSON with a version, one object a node, in the names of the classes.

Only the classes of plans, expressions, types and table definitions can be in it; reading it runs no code but the import of
modules whose Python functions the plan names. May import plan, types, tablespec, errors.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import io
import json
import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from enum import Enum
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import polars as pl

from tableapi.errors import UnsupportedError, ValidationError
from tableapi.plan import match_node, nodes, rex, unresolved
from tableapi.plan.nodes import InlineFrame, Node

FORMAT = "tableapi-plan"
VERSION = 1


def plans_to_json(plans: Sequence[Node]) -> str:
    """The stored form of plans.

    Raises:
        UnsupportedError: A plan holds a Python function that has no importable name.
    """
    return json.dumps({"format": FORMAT, "version": VERSION, "plans": [_encode(p) for p in plans]}, indent=1)


def plans_from_json(text: str) -> tuple[Node, ...]:
    """The plans of a stored form.

    Raises:
        ValidationError: The text is not a stored plan, or of a version that is not known.
    """
    try:
        stored = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValidationError(f"this is not a stored plan: {error}") from None
    if not isinstance(stored, dict) or stored.get("format") != FORMAT:
        raise ValidationError("this is not a stored plan", fix="compile one with compile_plan() or COMPILE PLAN")
    if stored.get("version") != VERSION:
        raise ValidationError(
            f"the stored plan has version {stored.get('version')}, known is {VERSION}", fix="compile it again"
        )
    plans = tuple(_decode(p) for p in stored["plans"])
    if not all(isinstance(p, Node) for p in plans):
        raise ValidationError("the stored plan holds something that is not a plan")
    return plans


@cache
def _modules() -> dict[str, ModuleType]:
    names = {"types": "tableapi.types", "tablespec": "tableapi.tablespec", "row": "tableapi.row"}
    return {
        "nodes": nodes,
        "match": match_node,
        "rex": rex,
        "un": unresolved,
        **{k: import_module(v) for k, v in names.items()},
    }


@cache
def _prefixes() -> dict[str, str]:
    return {module.__name__: prefix for prefix, module in _modules().items()}


def _name(kind: type) -> str:
    prefix = _prefixes().get(kind.__module__)
    if prefix is None:
        raise UnsupportedError(f"a plan with a {kind.__name__} cannot be stored")
    return f"{prefix}.{kind.__name__}"


def _kind(name: str) -> Any:
    prefix, _, attribute = name.partition(".")
    kind = getattr(_modules().get(prefix), attribute, None)
    if not isinstance(kind, type) or kind.__module__ not in _prefixes():
        raise ValidationError(f"the stored plan names '{name}', which does not exist", fix="compile it again")
    return kind


def _encode(value: Any) -> Any:
    if isinstance(value, Enum):
        return {"@enum": _name(type(value)), "name": value.name}
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"@float": str(value)}
    if isinstance(value, tuple | list):
        return [_encode(v) for v in value]
    if isinstance(value, InlineFrame):
        return {"@frame": _frame_text(value.frame)}
    for tag, (kind, write, _) in _SCALARS.items():
        if type(value) is kind:
            return {tag: write(value)}
    if isinstance(value, dict):
        return {"@map": {str(k): _encode(v) for k, v in value.items()}}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kept = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init and f.name != "where"}
        return {"@": _name(type(value)), **{k: _encode(v) for k, v in kept.items()}}
    if hasattr(value, "func") and hasattr(value, "kind"):
        return {"@python": _python_name(value)}
    raise UnsupportedError(f"a plan with a {type(value).__name__} cannot be stored")


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_decode(v) for v in value)
    if not isinstance(value, dict):
        return value
    if "@" in value:
        kind = _kind(value["@"])
        return kind(**{k: _decode(v) for k, v in value.items() if k != "@"})
    if "@enum" in value:
        return _kind(value["@enum"])[value["name"]]
    if "@map" in value:
        return {k: _decode(v) for k, v in value["@map"].items()}
    if "@frame" in value:
        return InlineFrame(pl.read_ipc(io.BytesIO(base64.b64decode(value["@frame"]))))
    if "@float" in value:
        return float(value["@float"])
    if "@python" in value:
        return _python_function(value["@python"])
    for tag, (_, _, read) in _SCALARS.items():
        if tag in value:
            return read(value[tag])
    raise ValidationError(f"the stored plan holds {sorted(value)}, which has no meaning", fix="compile it again")


_SCALARS: dict[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]] = {
    "@decimal": (Decimal, str, Decimal),
    "@bytes": (bytes, bytes.hex, bytes.fromhex),
    "@datetime": (datetime.datetime, datetime.datetime.isoformat, datetime.datetime.fromisoformat),
    "@date": (datetime.date, datetime.date.isoformat, datetime.date.fromisoformat),
    "@time": (datetime.time, datetime.time.isoformat, datetime.time.fromisoformat),
    "@interval": (
        datetime.timedelta,
        lambda v: str(v // datetime.timedelta(microseconds=1)),
        lambda t: datetime.timedelta(microseconds=int(t)),
    ),
}


def _frame_text(frame: pl.DataFrame) -> str:
    target = io.BytesIO()
    frame.write_ipc(target)
    return base64.b64encode(target.getvalue()).decode("ascii")


def _python_name(wrapper: Any) -> str:
    function = wrapper.func if hasattr(wrapper.func, "__qualname__") else type(wrapper.func)
    module, name = function.__module__, function.__qualname__
    found: Any = None
    if module != "__main__" and "<" not in name:
        found = getattr(import_module(module), name, None)
    if found is not wrapper:
        raise UnsupportedError(
            f"the Python function '{wrapper.name}' cannot be stored in a plan",
            fix="define it, decorated, at the top of a module that can be imported",
        )
    return f"{module}:{name}"


def _python_function(path: str) -> Any:
    module, _, name = path.partition(":")
    try:
        found = getattr(import_module(module), name, None)
    except ImportError as error:
        raise ValidationError(f"the stored plan calls '{path}', which cannot be imported: {error}") from None
    if found is None or not hasattr(found, "func"):
        raise ValidationError(f"the stored plan calls '{path}', which is not a function of a query")
    return found
