"""Every public member of PyFlink's Table API is here, with the same parameters. What is missing is a strict xfail with its reason."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from pathlib import Path

import pytest

MEMBERS = json.loads((Path(__file__).parent / "pyflink_members.json").read_text())

HOMES = {
    "expressions": "expressions",
    "udf": "udf",
    "window": "window",
    "tableapi": "",
    **dict.fromkeys(
        (
            "Catalog",
            "CatalogDatabase",
            "CatalogBaseTable",
            "CatalogPartition",
            "CatalogFunction",
            "CatalogModel",
            "CatalogPartitionSpec",
            "CatalogTableStatistics",
            "CatalogColumnStatistics",
            "ObjectPath",
            "ObjectIdentifier",
            "CatalogDescriptor",
            "ResolvedSchema",
            "Column",
            "PhysicalColumn",
            "ComputedColumn",
            "MetadataColumn",
            "WatermarkSpec",
            "UniqueConstraint",
            "ResolvedExpression",
        ),
        "catalog",
    ),
    **dict.fromkeys(("AggregatedTable", "FlatAggregateTable"), "table"),
    **dict.fromkeys(("UserDefinedFunction", "ImperativeAggregateFunction"), "udf"),
    **dict.fromkeys(("FilePlanReference", "JsonContentPlanReference", "BytesContentPlanReference"), "plan_reference"),
    **dict.fromkeys(
        (
            "TimeIntervalUnit",
            "TimePointUnit",
            "JsonType",
            "JsonExistsOnError",
            "JsonValueOnEmptyOrError",
            "JsonQueryWrapper",
            "JsonQueryOnEmptyOrError",
            "JsonOnNull",
        ),
        "expression",
    ),
}

MISSING: dict[str, str] = {}
"""Members that are not there yet, and why."""

CASES = [(owner, name, parameters) for owner, names in MEMBERS.items() for name, parameters in names.items()]


def find_owner(owner: str) -> object:
    home = HOMES.get(owner)
    if owner in ("expressions", "udf", "window", "tableapi"):
        return importlib.import_module(f"tableapi.{home}" if home else "tableapi")
    first, *rest = owner.split(".")
    found = getattr(importlib.import_module(f"tableapi.{home}" if home else "tableapi"), first)
    for name in rest:
        found = getattr(found, name)
    return found


@pytest.mark.parametrize(("owner", "name", "parameters"), CASES, ids=[f"{o}.{n}" for o, n, _ in CASES])
def test_member_exists(request, owner, name, parameters):
    reason = MISSING.get(f"{owner}.{name}")
    if reason:
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    holder = find_owner(owner)
    assert hasattr(holder, name), f"{owner} has no {name}"
    member = inspect.getattr_static(holder, name)
    if parameters == "any":
        return
    if parameters is None:
        assert isinstance(member, property)
        return
    assert own_parameters(getattr(holder, name), member)[: len(parameters)] == parameters
    assert inspect.getdoc(getattr(holder, name)), f"{owner}.{name} has no docstring"


def own_parameters(function: object, member: object) -> list[str]:
    shown = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name == "self" and not isinstance(member, staticmethod | classmethod):
            continue
        star = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        shown.append(star + parameter.name)
    return shown


RESOLVED_BY_THE_BUILDER = {"DESCRIPTOR", "FLATTEN", "NAMED_ARGUMENT", "RANGE_TO"}


def used_functions() -> list[str]:
    import tableapi

    root = Path(tableapi.__file__).parent
    files = [root / "expressions.py", root / "expression.py", *(root / "expression_members").glob("*.py")]
    calls = re.compile(r"""(?:_call|_function|make_call|Call|_reflected)\(\s*"([A-Z_0-9]+)\"""")
    return sorted({n for f in files for n in calls.findall(f.read_text())} - RESOLVED_BY_THE_BUILDER)


@pytest.mark.parametrize("name", used_functions())
def test_function_is_declared(name):
    from tableapi.functions import registry

    assert registry.find(name) is not None
