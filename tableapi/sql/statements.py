"""The kinds of SQL statement, one frozen class each: what the front end hands to the environment to carry out.

Names are already looked up and queries already planned; carrying a statement out needs no SQL. Where a statement changes a
definition (ALTER TABLE, CREATE TABLE … LIKE), it holds the complete new definition. May import tablespec, plan, catalog_reader.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tableapi.sql.catalog_reader import ViewSpec
from tableapi.tablespec import ObjectIdentifier, TableColumn, TableSpec

if TYPE_CHECKING:
    from tableapi.plan.nodes import Sink
    from tableapi.plan.scope import Relation


@dataclass(frozen=True)
class Statement:
    """Base of all statements. `text` is the SQL it was written as."""

    text: str = field(default="", compare=False, kw_only=True)


@dataclass(frozen=True)
class Query(Statement):
    """SELECT, VALUES, TABLE, WITH: gives rows."""

    relation: Relation


@dataclass(frozen=True)
class Insert(Statement):
    """INSERT INTO, INSERT OVERWRITE, UPDATE or DELETE: a job that writes a table. `sink.table` is the target."""

    sink: Sink


@dataclass(frozen=True)
class StatementSet(Statement):
    """EXECUTE STATEMENT SET BEGIN … END: several inserts that run as one job."""

    inserts: tuple[Insert, ...]


@dataclass(frozen=True)
class CreateTable(Statement):
    """CREATE TABLE. `insert` is set for CREATE TABLE … AS: the job that fills the table once it is there."""

    spec: TableSpec
    is_temporary: bool = False
    if_not_exists: bool = False
    or_replace: bool = False
    insert: Sink | None = None


@dataclass(frozen=True)
class CreateView(Statement):
    """CREATE VIEW, and ALTER VIEW … AS (then `is_alter` is set and the view must exist)."""

    view: ViewSpec
    is_temporary: bool = False
    if_not_exists: bool = False
    or_replace: bool = False
    is_alter: bool = False


@dataclass(frozen=True)
class CreateFunction(Statement):
    """CREATE FUNCTION, and ALTER FUNCTION (then `or_replace` is set and the function must exist).

    `is_system` functions have one-part names and belong to no database; then `identifier` is None.
    """

    name: str
    identifier: ObjectIdentifier | None
    path: str
    """What AS names: for LANGUAGE PYTHON `module.attribute`."""
    language: str = "JAVA"
    is_temporary: bool = False
    is_system: bool = False
    if_not_exists: bool = False
    or_replace: bool = False
    if_exists: bool = False
    """Whether an ALTER FUNCTION of a missing function does nothing."""
    resources: tuple[tuple[str, str], ...] = ()
    """(JAR | FILE | ARCHIVE | ARTIFACT, URI) pairs."""
    options: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class CreateCatalog(Statement):
    """CREATE CATALOG."""

    name: str
    options: Mapping[str, str] = field(default_factory=dict, hash=False)
    if_not_exists: bool = False
    comment: str | None = None


@dataclass(frozen=True)
class CreateDatabase(Statement):
    """CREATE DATABASE. `catalog` None is the current one."""

    catalog: str | None
    name: str
    options: Mapping[str, str] = field(default_factory=dict, hash=False)
    if_not_exists: bool = False
    comment: str | None = None


@dataclass(frozen=True)
class DropTable(Statement):
    """DROP TABLE."""

    identifier: ObjectIdentifier
    is_temporary: bool = False
    if_exists: bool = False


@dataclass(frozen=True)
class DropView(Statement):
    """DROP VIEW."""

    identifier: ObjectIdentifier
    is_temporary: bool = False
    if_exists: bool = False


@dataclass(frozen=True)
class DropFunction(Statement):
    """DROP FUNCTION. `identifier` is None for a system function."""

    name: str
    identifier: ObjectIdentifier | None
    is_temporary: bool = False
    is_system: bool = False
    if_exists: bool = False


@dataclass(frozen=True)
class DropDatabase(Statement):
    """DROP DATABASE. Without `cascade` it must be empty. `catalog` None is the current one."""

    catalog: str | None
    name: str
    if_exists: bool = False
    cascade: bool = False


@dataclass(frozen=True)
class DropCatalog(Statement):
    """DROP CATALOG."""

    name: str
    if_exists: bool = False


@dataclass(frozen=True)
class AlterTable(Statement):
    """ALTER TABLE other than RENAME TO: `spec` is the complete new definition of an existing table."""

    spec: TableSpec


@dataclass(frozen=True)
class RenameTable(Statement):
    """ALTER TABLE or ALTER VIEW … RENAME TO. The old name exists (unless dropped meanwhile)."""

    identifier: ObjectIdentifier
    new_identifier: ObjectIdentifier
    is_view: bool = False


@dataclass(frozen=True)
class AlterDatabase(Statement):
    """ALTER DATABASE … SET. `catalog` None is the current one."""

    catalog: str | None
    name: str
    options: Mapping[str, str] = field(hash=False)


@dataclass(frozen=True)
class AlterCatalog(Statement):
    """ALTER CATALOG … SET, RESET or COMMENT."""

    name: str
    set_options: Mapping[str, str] = field(default_factory=dict, hash=False)
    reset_keys: tuple[str, ...] = ()
    comment: str | None = None


@dataclass(frozen=True)
class CreateModel(Statement):
    """CREATE MODEL. A catalog keeps its description; calling a model is not supported."""

    identifier: ObjectIdentifier
    inputs: tuple[TableColumn, ...] | None
    outputs: tuple[TableColumn, ...] | None
    options: Mapping[str, str] = field(hash=False)
    comment: str | None = None
    is_temporary: bool = False
    if_not_exists: bool = False


@dataclass(frozen=True)
class AlterModel(Statement):
    """ALTER MODEL … SET or RESET."""

    identifier: ObjectIdentifier
    set_options: Mapping[str, str] = field(default_factory=dict, hash=False)
    reset_keys: tuple[str, ...] = ()
    if_exists: bool = False


@dataclass(frozen=True)
class RenameModel(Statement):
    """ALTER MODEL … RENAME TO."""

    identifier: ObjectIdentifier
    new_identifier: ObjectIdentifier
    if_exists: bool = False


@dataclass(frozen=True)
class DropModel(Statement):
    """DROP MODEL."""

    identifier: ObjectIdentifier
    is_temporary: bool = False
    if_exists: bool = False


@dataclass(frozen=True)
class DescribeModel(Statement):
    """DESCRIBE MODEL."""

    identifier: ObjectIdentifier


@dataclass(frozen=True)
class AlterPartitions(Statement):
    """ALTER TABLE … ADD or DROP PARTITION: values of all partition columns, as text, and (when added) properties."""

    identifier: ObjectIdentifier
    partitions: tuple[tuple[Mapping[str, str], Mapping[str, str]], ...] = field(hash=False)
    is_drop: bool = False
    conditional: bool = False


MEASURES = ("count", "distinct", "min", "max", "average_length", "max_length")
"""What ANALYZE TABLE computes of a column."""


@dataclass(frozen=True)
class Analyze(Statement):
    """ANALYZE TABLE. `rows` gives, per partition: the partition keys, the number of rows, and MEASURES of each of `columns`."""

    identifier: ObjectIdentifier
    rows: Relation
    columns: tuple[str, ...]
    partition_keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Nothing(Statement):
    """A statement with nothing to do: ALTER TABLE IF EXISTS of a table that does not exist."""


@dataclass(frozen=True)
class UseCatalog(Statement):
    """USE CATALOG."""

    name: str


@dataclass(frozen=True)
class UseDatabase(Statement):
    """USE. `catalog` None is the current one."""

    catalog: str | None
    name: str


@dataclass(frozen=True)
class UseModules(Statement):
    """USE MODULES: the modules to use, in order of resolution."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class LoadModule(Statement):
    """LOAD MODULE."""

    name: str
    options: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class UnloadModule(Statement):
    """UNLOAD MODULE."""

    name: str


@dataclass(frozen=True)
class LikePattern:
    """`[NOT] LIKE 'pattern'` or `ILIKE` of a SHOW statement: `%` is any text, `_` any character, `\\` escapes."""

    pattern: str
    is_negated: bool = False
    ignores_case: bool = False

    def matches(self, name: str) -> bool:
        """Whether a name is to be shown.

        >>> LikePattern("ord%").matches("orders")
        True
        """
        pieces = re.findall(r"\\.|.", self.pattern, re.DOTALL)
        body = "".join(_WILDCARDS.get(piece) or re.escape(piece[-1]) for piece in pieces)
        found = re.fullmatch(body, name, re.DOTALL | (re.IGNORECASE if self.ignores_case else 0)) is not None
        return found != self.is_negated


_WILDCARDS = {"%": ".*", "_": "."}

SHOW_KINDS = (
    "CATALOGS",
    "DATABASES",
    "TABLES",
    "VIEWS",
    "FUNCTIONS",
    "USER FUNCTIONS",
    "MODULES",
    "FULL MODULES",
    "JARS",
    "JOBS",
    "PROCEDURES",
    "MODELS",
    "MATERIALIZED TABLES",
    "CURRENT CATALOG",
    "CURRENT DATABASE",
    "COLUMNS",
    "PARTITIONS",
    "CREATE TABLE",
    "CREATE VIEW",
    "CREATE CATALOG",
    "CREATE MODEL",
)
"""Every `Show.kind`."""


@dataclass(frozen=True)
class Show(Statement):
    """SHOW. `kind` is one of SHOW_KINDS.

    `identifier`: the table of COLUMNS, PARTITIONS, CREATE TABLE, CREATE VIEW, or the model of CREATE MODEL. `catalog`,
    `database`: where to look (FROM/IN; None: the current one); `catalog` is also the subject of CREATE CATALOG.
    """

    kind: str
    identifier: ObjectIdentifier | None = None
    catalog: str | None = None
    database: str | None = None
    like: LikePattern | None = None
    partition: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Of PARTITIONS: values that the partitions must have."""


@dataclass(frozen=True)
class Describe(Statement):
    """DESCRIBE of a table or view."""

    identifier: ObjectIdentifier
    is_extended: bool = False


@dataclass(frozen=True)
class DescribeCatalog(Statement):
    """DESCRIBE CATALOG."""

    name: str
    is_extended: bool = False


@dataclass(frozen=True)
class DescribeFunction(Statement):
    """DESCRIBE FUNCTION."""

    parts: tuple[str, ...]
    is_extended: bool = False


@dataclass(frozen=True)
class Explain(Statement):
    """EXPLAIN. `details`: ESTIMATED_COST, CHANGELOG_MODE, JSON_EXECUTION_PLAN, PLAN_ADVICE. `inner`: what is explained."""

    inner: Query | Insert | StatementSet | CreateTable | ExecutePlan
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class SetOption(Statement):
    """SET. Without a key it shows all options. A session front end carries it out, not `execute_sql` (Flink: the same)."""

    key: str | None = None
    value: str | None = None


@dataclass(frozen=True)
class ResetOption(Statement):
    """RESET. Without a key it resets all options."""

    key: str | None = None


@dataclass(frozen=True)
class AddJar(Statement):
    """ADD JAR."""

    path: str


@dataclass(frozen=True)
class RemoveJar(Statement):
    """REMOVE JAR."""

    path: str


@dataclass(frozen=True)
class DescribeJob(Statement):
    """DESCRIBE JOB."""

    job_id: str


@dataclass(frozen=True)
class StopJob(Statement):
    """STOP JOB."""

    job_id: str
    with_savepoint: bool = False
    with_drain: bool = False


@dataclass(frozen=True)
class CompilePlan(Statement):
    """COMPILE PLAN 'file' FOR …, and COMPILE AND EXECUTE PLAN (then `execute` is set)."""

    path: str
    inner: Insert | StatementSet
    if_not_exists: bool = False
    execute: bool = False


@dataclass(frozen=True)
class ExecutePlan(Statement):
    """EXECUTE PLAN 'file'."""

    path: str


@dataclass(frozen=True)
class ClientCommand(Statement):
    """QUIT, EXIT, CLEAR, HELP: for an interactive client."""

    name: str
