"""A dataflow Table API and SQL library in the style of Apache Flink: batch and incremental streams without a server.

Public names are those listed here and in `tableapi.expressions`, `tableapi.window`, `tableapi.udf` and `tableapi.catalog`.
They are imported when they are first used, so that `import tableapi` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tableapi.catalog import Catalog, CatalogDescriptor, ObjectPath, ResolvedSchema
    from tableapi.changelog_mode import ChangelogMode
    from tableapi.compiled_plan import CompiledPlan
    from tableapi.config import Configuration, EnvironmentSettings, SqlDialect, TableConfig
    from tableapi.data_view import DataView, ListView, MapView
    from tableapi.environment import TableEnvironment
    from tableapi.errors import TableApiError
    from tableapi.explain_detail import ExplainDetail
    from tableapi.expression import Expression
    from tableapi.grouped_table import (
        AggregatedTable,
        FlatAggregateTable,
        GroupedTable,
        GroupWindowedTable,
        OverWindowedTable,
        WindowGroupedTable,
    )
    from tableapi.job_client import JobClient, JobStatus
    from tableapi.model_descriptor import ModelDescriptor
    from tableapi.module import Module, ModuleEntry
    from tableapi.plan_reference import PlanReference
    from tableapi.result import CloseableIterator, ResultKind, TableResult
    from tableapi.row import Row, RowKind
    from tableapi.schema import Schema
    from tableapi.statement_set import StatementSet, TablePipeline
    from tableapi.stream_environment import StreamTableEnvironment
    from tableapi.table import Table
    from tableapi.table_descriptor import FormatDescriptor, TableDescriptor
    from tableapi.table_schema import TableSchema
    from tableapi.tablespec import ObjectIdentifier
    from tableapi.types import DataType, DataTypes
    from tableapi.udf import (
        AggregateFunction,
        AsyncScalarFunction,
        FunctionContext,
        ScalarFunction,
        TableAggregateFunction,
        TableFunction,
    )
    from tableapi.user_defined_type import UserDefinedType

_MODULES = {
    "catalog": ("Catalog", "CatalogDescriptor", "ObjectPath", "ResolvedSchema"),
    "changelog_mode": ("ChangelogMode",),
    "compiled_plan": ("CompiledPlan",),
    "config": ("Configuration", "EnvironmentSettings", "SqlDialect", "TableConfig"),
    "data_view": ("DataView", "ListView", "MapView"),
    "environment": ("TableEnvironment",),
    "errors": ("TableApiError",),
    "explain_detail": ("ExplainDetail",),
    "expression": ("Expression",),
    "grouped_table": (
        "AggregatedTable",
        "FlatAggregateTable",
        "GroupedTable",
        "GroupWindowedTable",
        "OverWindowedTable",
        "WindowGroupedTable",
    ),
    "job_client": ("JobClient", "JobStatus"),
    "model_descriptor": ("ModelDescriptor",),
    "module": ("Module", "ModuleEntry"),
    "plan_reference": ("PlanReference",),
    "result": ("CloseableIterator", "ResultKind", "TableResult"),
    "row": ("Row", "RowKind"),
    "schema": ("Schema",),
    "stream_environment": ("StreamTableEnvironment",),
    "user_defined_type": ("UserDefinedType",),
    "statement_set": ("StatementSet", "TablePipeline"),
    "table": ("Table",),
    "table_descriptor": ("FormatDescriptor", "TableDescriptor"),
    "table_schema": ("TableSchema",),
    "tablespec": ("ObjectIdentifier",),
    "types": ("DataType", "DataTypes"),
    "udf": (
        "AggregateFunction",
        "AsyncScalarFunction",
        "FunctionContext",
        "ScalarFunction",
        "TableAggregateFunction",
        "TableFunction",
    ),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "AggregateFunction",
    "AggregatedTable",
    "AsyncScalarFunction",
    "Catalog",
    "CatalogDescriptor",
    "ChangelogMode",
    "CloseableIterator",
    "CompiledPlan",
    "Configuration",
    "DataType",
    "DataTypes",
    "DataView",
    "EnvironmentSettings",
    "ExplainDetail",
    "Expression",
    "FlatAggregateTable",
    "FormatDescriptor",
    "FunctionContext",
    "GroupWindowedTable",
    "GroupedTable",
    "JobClient",
    "JobStatus",
    "ListView",
    "MapView",
    "ModelDescriptor",
    "Module",
    "ModuleEntry",
    "ObjectIdentifier",
    "ObjectPath",
    "OverWindowedTable",
    "PlanReference",
    "ResolvedSchema",
    "ResultKind",
    "Row",
    "RowKind",
    "ScalarFunction",
    "Schema",
    "SqlDialect",
    "StatementSet",
    "StreamTableEnvironment",
    "Table",
    "TableAggregateFunction",
    "TableApiError",
    "TableConfig",
    "TableDescriptor",
    "TableEnvironment",
    "TableFunction",
    "TablePipeline",
    "TableResult",
    "TableSchema",
    "UserDefinedType",
    "WindowGroupedTable",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    module = _HOME.get(name)
    if module is None:
        raise AttributeError(f"module 'tableapi' has no attribute '{name}'")
    value = getattr(import_module(f"tableapi.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
