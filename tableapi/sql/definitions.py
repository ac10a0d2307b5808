"""From definitions as written to `TableSpec`s: columns, keys, watermark, LIKE, ALTER TABLE. Plain functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from tableapi.errors import Location, UnknownNameError, ValidationError, did_you_mean
from tableapi.plan import unresolved as un
from tableapi.sql import ast
from tableapi.sql.rewrite import parts
from tableapi.tablespec import ColumnKind, Distribution, ObjectIdentifier, TableColumn, TableSpec, Watermark


def table_spec(
    identifier: ObjectIdentifier,
    elements: Sequence[ast.Element],
    *,
    options: Mapping[str, str],
    partition_keys: Sequence[str],
    comment: str | None,
    distributed: ast.DistributionDefinition | None = None,
) -> TableSpec:
    """The definition that the elements of a CREATE TABLE make. Not validated: see `check`."""
    columns: list[TableColumn] = []
    keys: list[ast.PrimaryKeyDefinition] = []
    watermarks: list[ast.WatermarkDefinition] = []
    for element in elements:
        match element:
            case ast.ColumnDefinition():
                if any(c.name == element.name for c in columns):
                    raise ValidationError(f"column '{element.name}' is defined twice", where=element.where)
                columns.append(column(element))
                if element.is_primary_key:
                    keys.append(ast.PrimaryKeyDefinition(element.where, (element.name,)))
            case ast.PrimaryKeyDefinition():
                keys.append(element)
            case ast.WatermarkDefinition():
                watermarks.append(element)
    for several in (keys, watermarks):
        if len(several) > 1:
            what = "PRIMARY KEY" if isinstance(several[1], ast.PrimaryKeyDefinition) else "WATERMARK"
            raise ValidationError(f"a table has at most one {what}", where=several[1].where)
    return TableSpec(
        identifier,
        tuple(columns),
        dict(options),
        keys[0].columns if keys else (),
        tuple(partition_keys),
        watermark(watermarks[0]) if watermarks else None,
        comment,
        None if distributed is None else distribution(distributed),
    )


def column(definition: ast.ColumnDefinition) -> TableColumn:
    """The column that a definition makes."""
    if definition.expression is not None:
        check_expression(definition.expression)
    return TableColumn(
        definition.name,
        definition.data_type,
        ColumnKind(definition.kind),
        definition.expression,
        definition.metadata_key,
        definition.is_virtual,
        definition.comment,
    )


def watermark(definition: ast.WatermarkDefinition) -> Watermark:
    """The watermark that a definition makes."""
    check_expression(definition.expression)
    return Watermark(definition.column, definition.expression)


def distribution(definition: ast.DistributionDefinition) -> Distribution:
    """The distribution that a clause makes. Flink: BY (…) without HASH or RANGE leaves the choice to the connector."""
    return Distribution(definition.kind, definition.columns, definition.buckets)


def check_expression(expression: un.Unresolved) -> None:
    """Fails for what cannot stand in a table definition."""
    for part in parts(expression):
        if isinstance(part, ast.QueryValue | un.Subquery):
            raise ValidationError("a sub-query cannot stand in a table definition", where=part.where)
        if isinstance(part, un.Over | ast.NamedOver):
            raise ValidationError("an OVER call cannot stand in a table definition", where=part.where)


def check(spec: TableSpec, where: Location | None) -> TableSpec:
    """The definition with key columns NOT NULL.

    Raises:
        ValidationError: A key, partition or watermark column does not exist or is of the wrong kind.
    """
    by_name = {c.name: c for c in spec.columns}
    buckets = spec.distribution.columns if spec.distribution else ()
    for what, names in (("primary key", spec.primary_key), ("partition", spec.partition_keys), ("bucket", buckets)):
        for name in names:
            if name not in by_name:
                raise _unknown(f"{what} column '{name}' is not defined in the table", name, by_name, where)
            if by_name[name].kind is not ColumnKind.PHYSICAL:
                raise ValidationError(f"{what} column '{name}' must be a physical column", where=where)
            if list(names).count(name) > 1:
                raise ValidationError(f"{what} column '{name}' stands twice", where=where)
    if spec.watermark is not None and spec.watermark.column not in by_name:
        name = spec.watermark.column
        raise _unknown(f"watermark column '{name}' is not defined in the table", name, by_name, where)
    if spec.watermark is not None and _is_proctime(by_name[spec.watermark.column]):
        raise ValidationError(f"'{spec.watermark.column}' is processing time, it has no watermark", where=where)
    columns = tuple(
        replace(c, type=c.type.not_null()) if c.name in spec.primary_key and c.type is not None else c for c in spec.columns
    )
    return replace(spec, columns=columns)


def _is_proctime(column: TableColumn) -> bool:
    return isinstance(column.expression, un.Call) and column.expression.function.upper() == "PROCTIME"


def _unknown(what: str, name: str, known: Iterable[str], where: Location | None) -> UnknownNameError:
    names = list(known)
    return UnknownNameError(what, where=where, exists=f"columns: {', '.join(names) or 'none'}", fix=did_you_mean(name, names))


_FEATURE_OF = {ColumnKind.COMPUTED: "GENERATED", ColumnKind.METADATA: "METADATA"}
_ALL_FEATURES = ("CONSTRAINTS", "DISTRIBUTION", "PARTITIONS", "GENERATED", "METADATA", "OPTIONS", "WATERMARKS")


def with_like(spec: TableSpec, source: TableSpec, like: ast.LikeClause) -> TableSpec:
    """CREATE TABLE … LIKE: the source's definition, then the new one. Default: INCLUDING ALL OVERWRITING OPTIONS (Flink)."""
    strategy = _strategies(like)
    columns = _like_columns(spec, source, strategy, like.where)
    return replace(
        spec,
        columns=columns,
        options=_like_options(spec, source, strategy["OPTIONS"], like.where),
        primary_key=_like_part(spec.primary_key, source.primary_key, strategy["CONSTRAINTS"], "a primary key", like.where),
        partition_keys=_like_part(
            spec.partition_keys, source.partition_keys, strategy["PARTITIONS"], "partition columns", like.where
        ),
        distribution=_like_part(spec.distribution, source.distribution, strategy["DISTRIBUTION"], "a distribution", like.where),
        watermark=_like_part(spec.watermark, source.watermark, strategy["WATERMARKS"], "a watermark", like.where),
    )


def _strategies(like: ast.LikeClause) -> dict[str, str]:
    given = {feature: strategy for strategy, feature in like.features}
    if len(given) != len(like.features):
        raise ValidationError("a feature of LIKE is given twice", where=like.where)
    for feature in ("ALL", "CONSTRAINTS", "DISTRIBUTION", "PARTITIONS"):
        if given.get(feature) == "OVERWRITING":
            raise ValidationError(f"OVERWRITING {feature} does not exist", where=like.where, fix=f"use EXCLUDING {feature}")
    default = given.pop("ALL", None)
    strategy = {f: default or ("OVERWRITING" if f == "OPTIONS" else "INCLUDING") for f in _ALL_FEATURES}
    return {**strategy, **given}


def _like_columns(
    spec: TableSpec, source: TableSpec, strategy: Mapping[str, str], where: Location | None
) -> tuple[TableColumn, ...]:
    new = {c.name: c for c in spec.columns}
    kept: list[TableColumn] = []
    for existing in source.columns:
        feature = _FEATURE_OF.get(existing.kind)
        chosen = strategy[feature] if feature else "INCLUDING"
        if chosen == "EXCLUDING":
            continue
        if existing.name in new:
            same_kind = new[existing.name].kind is existing.kind
            if chosen != "OVERWRITING" or not same_kind:
                raise ValidationError(
                    f"column '{existing.name}' is in the source table of LIKE already",
                    where=where,
                    fix=f"use OVERWRITING {feature}" if feature and same_kind else "leave it out, or name it differently",
                )
            kept.append(new.pop(existing.name))
            continue
        kept.append(existing)
    return (*kept, *new.values())


def _like_options(spec: TableSpec, source: TableSpec, strategy: str, where: Location | None) -> dict[str, str]:
    if strategy == "EXCLUDING":
        return dict(spec.options)
    clash = sorted(set(spec.options) & set(source.options))
    if strategy == "INCLUDING" and clash:
        raise ValidationError(
            f"option '{clash[0]}' is in the source table of LIKE already", where=where, fix="use OVERWRITING OPTIONS"
        )
    return {**source.options, **spec.options}


def _like_part(new, existing, strategy: str, what: str, where: Location | None):  # type: ignore[no-untyped-def]
    if strategy == "EXCLUDING" or not existing:
        return new
    if new and strategy == "INCLUDING":
        raise ValidationError(f"the source table of LIKE has {what} already", where=where, fix="exclude the source's")
    return new or existing


def altered(spec: TableSpec, clause: ast.AlterTableClause) -> TableSpec:
    """The definition after an ALTER TABLE (not RENAME TO)."""
    match clause.action:
        case "set":
            return replace(spec, options={**spec.options, **_without_connector(clause.options, clause.where)})
        case "reset":
            if "connector" in clause.names:
                raise ValidationError("the option 'connector' cannot be changed", where=clause.where)
            return replace(spec, options={k: v for k, v in spec.options.items() if k not in clause.names})
        case "drop-primary-key":
            if not spec.primary_key:
                raise ValidationError("the table has no primary key", where=clause.where)
            return replace(spec, primary_key=())
        case "drop-watermark":
            if spec.watermark is None:
                raise ValidationError("the table has no watermark", where=clause.where)
            return replace(spec, watermark=None)
        case "drop-distribution":
            if spec.distribution is None:
                raise ValidationError("the table has no distribution", where=clause.where)
            return replace(spec, distribution=None)
        case "drop-columns":
            return _without_columns(spec, clause)
        case "rename-column":
            return _with_renamed(spec, clause)
        case _ if clause.distribution is not None:
            return _with_distribution(spec, clause.distribution, is_new=clause.action == "add")
        case _:
            for element in clause.elements:
                spec = _with_element(spec, element, is_new=clause.action == "add")
            return spec


def _without_connector(options: tuple[tuple[str, str], ...], where: Location | None) -> dict[str, str]:
    changed = dict(options)
    if "connector" in changed:
        raise ValidationError("the option 'connector' cannot be changed", where=where, fix="create a new table")
    return changed


def _find(spec: TableSpec, name: str, where: Location | None) -> TableColumn:
    for candidate in spec.columns:
        if candidate.name == name:
            return candidate
    raise _unknown(f"column '{name}' does not exist", name, [c.name for c in spec.columns], where)


def _readers(spec: TableSpec, name: str) -> str | None:
    """What of the definition needs a column, or None."""
    if name in spec.primary_key:
        return "the primary key"
    if name in spec.partition_keys:
        return "the partitioning"
    if spec.distribution is not None and name in spec.distribution.columns:
        return "the distribution"
    if spec.watermark is not None and (name == spec.watermark.column or _mentions(spec.watermark.expression, name)):
        return "the watermark"
    for other in spec.columns:
        if other.expression is not None and other.name != name and _mentions(other.expression, name):
            return f"the computed column '{other.name}'"
    return None


def _mentions(expression: un.Unresolved, name: str) -> bool:
    return any(isinstance(p, un.Name) and p.parts[0] == name for p in parts(expression))


def _without_columns(spec: TableSpec, clause: ast.AlterTableClause) -> TableSpec:
    for name in clause.names:
        _find(spec, name, clause.where)
        if clause.names.count(name) > 1:
            raise ValidationError(f"column '{name}' stands twice", where=clause.where)
    left = replace(spec, columns=tuple(c for c in spec.columns if c.name not in clause.names))
    for name in clause.names:
        if reader := _readers(left, name):
            raise ValidationError(f"column '{name}' cannot be dropped: {reader} needs it", where=clause.where)
    if not left.columns:
        raise ValidationError("a table needs at least one column", where=clause.where)
    return left


def _with_renamed(spec: TableSpec, clause: ast.AlterTableClause) -> TableSpec:
    old, new = clause.names
    _find(spec, old, clause.where)
    if any(c.name == new for c in spec.columns):
        raise ValidationError(f"the table has a column '{new}' already", where=clause.where)
    reader = _readers(replace(spec, primary_key=()), old)
    if reader:
        raise ValidationError(f"column '{old}' cannot be renamed: {reader} needs it", where=clause.where)
    return replace(
        spec,
        columns=tuple(replace(c, name=new) if c.name == old else c for c in spec.columns),
        primary_key=tuple(new if k == old else k for k in spec.primary_key),
    )


def _with_distribution(spec: TableSpec, clause: ast.DistributionDefinition, *, is_new: bool) -> TableSpec:
    if (spec.distribution is not None) == is_new:
        state = f"is {spec.distribution} already" if is_new else "has no distribution"
        raise ValidationError(f"the table {state}", where=clause.where, fix="use MODIFY" if is_new else "use ADD")
    return replace(spec, distribution=distribution(clause))


def _with_element(spec: TableSpec, element: ast.Element, *, is_new: bool) -> TableSpec:
    match element:
        case ast.PrimaryKeyDefinition():
            if bool(spec.primary_key) == is_new:
                state = "has a primary key already" if is_new else "has no primary key"
                raise ValidationError(f"the table {state}", where=element.where, fix="use MODIFY" if is_new else "use ADD")
            return replace(spec, primary_key=element.columns)
        case ast.WatermarkDefinition():
            if (spec.watermark is not None) == is_new:
                state = "has a watermark already" if is_new else "has no watermark"
                raise ValidationError(f"the table {state}", where=element.where, fix="use MODIFY" if is_new else "use ADD")
            return replace(spec, watermark=watermark(element))
        case ast.ColumnDefinition():
            return _with_column(spec, element, is_new=is_new)


def _with_column(spec: TableSpec, element: ast.ColumnDefinition, *, is_new: bool) -> TableSpec:
    exists = any(c.name == element.name for c in spec.columns)
    if exists and is_new:
        raise ValidationError(f"the table has a column '{element.name}' already", where=element.where, fix="use MODIFY")
    if not exists and not is_new:
        _find(spec, element.name, element.where)
    made = column(element)
    columns = list(spec.columns)
    if exists and element.position is None:
        columns = [made if c.name == element.name else c for c in columns]
    else:
        columns = [c for c in columns if c.name != element.name]
        columns.insert(_position(spec, columns, element), made)
    spec = replace(spec, columns=tuple(columns))
    return replace(spec, primary_key=(element.name,)) if element.is_primary_key else spec


def _position(spec: TableSpec, columns: list[TableColumn], element: ast.ColumnDefinition) -> int:
    if element.position is None:
        return len(columns)
    if element.position.after is None:
        return 0
    _find(spec, element.position.after, element.where)
    names = [c.name for c in columns]
    if element.position.after not in names:
        raise ValidationError(f"column '{element.name}' cannot stand after itself", where=element.where)
    return names.index(element.position.after) + 1
