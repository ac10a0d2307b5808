"""What the grammar makes of a query before names are looked up: clauses, tables and joins as written.

Expressions are `plan.unresolved` nodes; the few that need more than that (sub-queries not planned yet, named windows, arguments
of table functions) are extra node classes here. Plain immutable data; imports errors, types and plan.unresolved only.
"""

from __future__ import annotations

from dataclasses import dataclass

from tableapi.errors import Location
from tableapi.plan.unresolved import Name, SortItem, Unresolved
from tableapi.types import DataType


@dataclass(frozen=True)
class QueryValue(Unresolved):
    """A sub-query in an expression. `kind`: scalar, exists, in, any, all; the last two compare with `operator`."""

    kind: str
    query: Query
    args: tuple[Unresolved, ...] = ()
    negated: bool = False
    operator: str | None = None


@dataclass(frozen=True)
class NamedOver(Unresolved):
    """A call OVER a window that the WINDOW clause defines (`base`), perhaps refined."""

    call: Unresolved
    window: WindowDefinition


@dataclass(frozen=True)
class WindowDefinition:
    """The inside of an OVER clause or of a WINDOW clause item."""

    base: str | None
    partition_by: tuple[Unresolved, ...]
    order_by: tuple[SortItem, ...]
    is_rows: bool
    lower: Unresolved | None
    upper: Unresolved | None
    where: Location | None = None


@dataclass(frozen=True)
class FieldStar(Unresolved):
    """`x.*`: the columns of a table alias, or the fields of a row."""

    arg: Unresolved


@dataclass(frozen=True)
class Descriptor(Unresolved):
    """`DESCRIPTOR(a, b)`."""

    columns: tuple[str, ...]


@dataclass(frozen=True)
class TableArgument(Unresolved):
    """`TABLE t` or `(query)` as an argument of a table function, with PARTITION BY and ORDER BY."""

    table: TableReference
    partition_by: tuple[Unresolved, ...] = ()
    order_by: tuple[SortItem, ...] = ()


@dataclass(frozen=True)
class NamedArgument(Unresolved):
    """`name => value`."""

    name: str
    value: Unresolved


@dataclass(frozen=True)
class GroupingSet(Unresolved):
    """An item of GROUP BY that stands for several groupings. `kind`: sets, rollup, cube.

    Among `sets`, one that is a single grouping set stands for all of its groupings.
    """

    kind: str
    items: tuple[tuple[Unresolved, ...], ...]


@dataclass(frozen=True)
class Clause:
    """Base of everything that is not an expression."""

    where: Location | None


@dataclass(frozen=True)
class Hint(Clause):
    """`NAME(key = 'value', …)` or `NAME(item, …)` of a hint comment."""

    name: str
    pairs: tuple[tuple[str, str], ...]
    items: tuple[str, ...]


@dataclass(frozen=True)
class TableReference(Clause):
    """Base of what can stand in FROM."""


@dataclass(frozen=True)
class TableName(TableReference):
    """A table, view or CTE by name."""

    parts: tuple[str, ...]
    hints: tuple[Hint, ...] = ()
    system_time: Unresolved | None = None


@dataclass(frozen=True)
class Derived(TableReference):
    """A query in parentheses; with `lateral` it may refer to tables before it."""

    query: Query
    lateral: bool = False


@dataclass(frozen=True)
class TableFunction(TableReference):
    """`TABLE(f(…))`, `f(…)` or `LATERAL TABLE(f(…))`."""

    name: str
    args: tuple[Unresolved, ...]
    lateral: bool = False


@dataclass(frozen=True)
class UnnestTable(TableReference):
    """`UNNEST(collection) [WITH ORDINALITY]`."""

    collection: Unresolved
    with_ordinality: bool = False


@dataclass(frozen=True)
class MatchRecognize(TableReference):
    """`table MATCH_RECOGNIZE (…)`, its clauses as written."""

    table: TableReference
    partition_by: tuple[Unresolved, ...]
    order_by: tuple[SortItem, ...]
    measures: tuple[tuple[str, Unresolved], ...]
    rows_per_match: str | None
    after_match: tuple[str, ...]
    pattern: Pattern
    within: Unresolved | None
    subsets: tuple[tuple[str, tuple[str, ...]], ...]
    define: tuple[tuple[str, Unresolved], ...]


@dataclass(frozen=True)
class Pattern:
    """A row pattern with its quantifier. `kind`: variable, sequence, group, alternation, exclusion, permute, start, end."""

    kind: str
    name: str | None = None
    parts: tuple[Pattern, ...] = ()
    minimum: int = 1
    maximum: int | None = 1
    is_greedy: bool = True


@dataclass(frozen=True)
class Aliased(TableReference):
    """`table AS alias (columns)`."""

    table: TableReference
    alias: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Joined(TableReference):
    """A join. `kind`: INNER, LEFT, RIGHT, FULL, CROSS."""

    left: TableReference
    right: TableReference
    kind: str
    condition: Unresolved | None = None
    using: tuple[str, ...] | None = None
    is_natural: bool = False


@dataclass(frozen=True)
class Query(Clause):
    """Base of all queries."""


@dataclass(frozen=True)
class Select(Query):
    """SELECT … FROM … WHERE … GROUP BY … HAVING … WINDOW … QUALIFY."""

    items: tuple[Unresolved, ...]
    is_distinct: bool = False
    source: TableReference | None = None
    condition: Unresolved | None = None
    group_by: tuple[Unresolved, ...] | None = None
    having: Unresolved | None = None
    windows: tuple[tuple[str, WindowDefinition], ...] = ()
    qualify: Unresolved | None = None
    hints: tuple[Hint, ...] = ()


@dataclass(frozen=True)
class ValuesRows(Query):
    """VALUES (…), (…)."""

    rows: tuple[tuple[Unresolved, ...], ...]


@dataclass(frozen=True)
class TableQuery(Query):
    """`TABLE t` as a query."""

    table: TableName


@dataclass(frozen=True)
class SetOperation(Query):
    """UNION, INTERSECT, EXCEPT."""

    kind: str
    is_all: bool
    left: Query
    right: Query


@dataclass(frozen=True)
class OrderedQuery(Query):
    """A query with ORDER BY, LIMIT, OFFSET or FETCH."""

    query: Query
    order_by: tuple[SortItem, ...] = ()
    fetch: int | None = None
    offset: int = 0


@dataclass(frozen=True)
class CommonTable(Clause):
    """`name (columns) AS (query)` of a WITH clause."""

    name: str
    columns: tuple[str, ...]
    query: Query


@dataclass(frozen=True)
class WithQuery(Query):
    """WITH … query."""

    tables: tuple[CommonTable, ...]
    query: Query


@dataclass(frozen=True)
class ColumnDefinition(Clause):
    """A column of CREATE TABLE. `kind`: physical, computed, metadata."""

    name: str
    kind: str
    data_type: DataType | None
    expression: Unresolved | None = None
    metadata_key: str | None = None
    is_virtual: bool = False
    comment: str | None = None
    is_primary_key: bool = False
    position: ColumnPosition | None = None


@dataclass(frozen=True)
class ColumnPosition:
    """FIRST, or AFTER a column (ALTER TABLE)."""

    after: str | None


@dataclass(frozen=True)
class WatermarkDefinition(Clause):
    """WATERMARK FOR column AS expression."""

    column: str
    expression: Unresolved


@dataclass(frozen=True)
class PrimaryKeyDefinition(Clause):
    """PRIMARY KEY (…) NOT ENFORCED."""

    columns: tuple[str, ...]
    name: str | None = None


@dataclass(frozen=True)
class DistributionDefinition(Clause):
    """DISTRIBUTED BY [HASH|RANGE] (…) INTO n BUCKETS."""

    kind: str | None
    columns: tuple[str, ...] = ()
    buckets: int | None = None


Element = ColumnDefinition | WatermarkDefinition | PrimaryKeyDefinition


@dataclass(frozen=True)
class LikeClause(Clause):
    """LIKE table (INCLUDING … EXCLUDING … OVERWRITING …): (strategy, feature) pairs."""

    parts: tuple[str, ...]
    features: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class CreateTableClause(Clause):
    """CREATE TABLE as written. `names` is set for `CREATE TABLE t (a, b) AS …`, which reorders columns."""

    parts: tuple[str, ...]
    elements: tuple[Element, ...]
    names: tuple[str, ...]
    comment: str | None
    partition_keys: tuple[str, ...]
    options: tuple[tuple[str, str], ...]
    like: LikeClause | None
    query: Query | None
    is_temporary: bool
    if_not_exists: bool
    or_replace: bool
    distribution: DistributionDefinition | None = None
    must_exist: bool = False
    """REPLACE TABLE: there is something to replace."""


@dataclass(frozen=True)
class CreateViewClause(Clause):
    """CREATE VIEW or ALTER VIEW … AS, as written."""

    parts: tuple[str, ...]
    columns: tuple[str, ...]
    comment: str | None
    query: Query
    sql: str
    is_temporary: bool
    if_not_exists: bool
    or_replace: bool = False
    is_alter: bool = False


@dataclass(frozen=True)
class FunctionClause(Clause):
    """CREATE, ALTER or DROP FUNCTION as written (`path` None: DROP)."""

    parts: tuple[str, ...]
    path: str | None
    language: str
    is_temporary: bool
    is_system: bool
    conditional: bool
    is_alter: bool
    resources: tuple[tuple[str, str], ...] = ()
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class ObjectClause(Clause):
    """A statement about one named object. `action`: DROP TABLE, DROP VIEW, DESCRIBE, SHOW CREATE TABLE, …"""

    action: str
    parts: tuple[str, ...]
    flags: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ShowClause(Clause):
    """SHOW with FROM/IN and LIKE."""

    kind: str
    source: tuple[str, ...] | None
    like: tuple[str, bool, bool] | None
    """Pattern, negated, ignores case."""
    partition: tuple[tuple[str, Unresolved], ...] = ()


@dataclass(frozen=True)
class RenameClause(Clause):
    """ALTER TABLE/VIEW … RENAME TO."""

    parts: tuple[str, ...]
    new_parts: tuple[str, ...]
    is_view: bool
    if_exists: bool


@dataclass(frozen=True)
class AlterTableClause(Clause):
    """ALTER TABLE as written.

    `action`: add, modify, drop-columns, drop-primary-key, drop-watermark, drop-distribution, rename-column, set, reset.
    """

    parts: tuple[str, ...]
    if_exists: bool
    action: str
    elements: tuple[Element, ...] = ()
    names: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    distribution: DistributionDefinition | None = None


@dataclass(frozen=True)
class PartitionClause(Clause):
    """PARTITION (key = value, …) WITH (…)."""

    values: tuple[tuple[str, Unresolved], ...]
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class PartitionsClause(Clause):
    """ALTER TABLE … ADD or DROP PARTITION as written. `action`: add, drop."""

    parts: tuple[str, ...]
    action: str
    partitions: tuple[PartitionClause, ...]
    conditional: bool


@dataclass(frozen=True)
class ModelClause(Clause):
    """A statement about a model as written. `action`: create, set, reset, rename, drop, describe, show."""

    action: str
    parts: tuple[str, ...]
    is_temporary: bool = False
    conditional: bool = False
    inputs: tuple[ColumnDefinition, ...] | None = None
    outputs: tuple[ColumnDefinition, ...] | None = None
    comment: str | None = None
    options: tuple[tuple[str, str], ...] = ()
    keys: tuple[str, ...] = ()
    new_parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class CallClause(Clause):
    """CALL procedure(…)."""

    parts: tuple[str, ...]
    args: tuple[Unresolved, ...]


@dataclass(frozen=True)
class AnalyzeClause(Clause):
    """ANALYZE TABLE. `columns` None: all; (): none. A partition key without a value means all of its values."""

    parts: tuple[str, ...]
    partition: tuple[tuple[str, Unresolved | None], ...]
    columns: tuple[str, ...] | None


@dataclass(frozen=True)
class ChangeClause(Clause):
    """UPDATE, or DELETE (then `assignments` is None)."""

    parts: tuple[str, ...]
    assignments: tuple[tuple[Name, Unresolved], ...] | None
    condition: Unresolved | None


@dataclass(frozen=True)
class InsertClause(Clause):
    """INSERT as written."""

    parts: tuple[str, ...]
    query: Query
    overwrite: bool
    columns: tuple[tuple[str, ...], ...] | None
    partition: tuple[tuple[str, Unresolved], ...]
    hints: tuple[Hint, ...]
    on_conflict: str | None = None


@dataclass(frozen=True)
class StatementSetClause(Clause):
    """EXECUTE STATEMENT SET as written."""

    inserts: tuple[InsertClause, ...]


@dataclass(frozen=True)
class ExplainClause(Clause):
    """EXPLAIN as written."""

    inner: object
    details: tuple[str, ...]


@dataclass(frozen=True)
class CompileClause(Clause):
    """COMPILE PLAN as written."""

    path: str
    inner: object
    if_not_exists: bool
    execute: bool
