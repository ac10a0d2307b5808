"""From the optimised logical plan to the job graph: which operator runs each node, and how rows travel between workers.

`PhysicalPlanner.plan` walks the plan bottom up; one method a node class. Whether a consumer needs -U rows travels top down as
`needs_before`. Equal sub-plans become one vertex.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tableapi.errors import ChangelogError, UnsupportedError
from tableapi.plan import nodes as n
from tableapi.plan.explain import changelog_text, describe
from tableapi.plan.match_node import Match
from tableapi.plan.rex import Ref
from tableapi.plan.rules.filters import conjunction
from tableapi.plan.traits import (
    INSERT_ONLY,
    changelog,
    equal_pairs,
    is_bounded,
    keeps_one_by_time,
    ranks_windows,
    time_of,
    upsert_key,
    window_of,
)
from tableapi.row import RowKind
from tableapi.runtime.constraints import Constraints, ConstraintSpec
from tableapi.runtime.planner.chains import calc_chain
from tableapi.runtime.planner.checks import check_time, check_window
from tableapi.runtime.planner.graph import (
    FORWARD,
    SINGLE,
    CollectSpec,
    Edge,
    Exchange,
    ExchangeKind,
    JobConfig,
    JobGraph,
    SinkSpec,
    SourceSpec,
    Vertex,
)
from tableapi.runtime.planner.grouping import copy_key_arguments, expanded_schema
from tableapi.runtime.planner.inline import FrameSource, values_frame
from tableapi.runtime.planner.multi_join import FlatJoin, flat_join
from tableapi.runtime.planner.settings import PlannerSettings
from tableapi.runtime.planner.tables import Tables
from tableapi.runtime.planner.watermark import watermark_spec
from tableapi.tablespec import RowSchema, TimeKind

UPSERT_MATERIALIZE = "table.exec.sink.upsert-materialize"
"""AUTO, NONE or FORCE: whether a sink's upserts are made from all rows of a key when the query has another key."""

CDC_DUPLICATES = "table.exec.source.cdc-events-duplicate"
"""Whether changes of a table with a PRIMARY KEY may come twice, so that only its newest row of a key counts."""

MULTI_JOIN = "table.optimizer.multi-join.enabled"
AGGREGATE_PHASES = "table.optimizer.agg-phase-strategy"

MIN_BATCH_ROWS = 1024
"""With smaller batches there is nothing to fold before rows travel."""


@dataclass(frozen=True)
class Stream:
    """The output of a vertex: its columns, and the keys by which its rows are spread over the workers (None: anyhow)."""

    vertex: int
    schema: RowSchema
    keys: tuple[str, ...] | None = None
    is_single: bool = False


def plan_job(roots: Sequence[n.Node], tables: Tables, config: JobConfig, settings: PlannerSettings) -> JobGraph:
    """The job graph of several optimised plans, each ending in a Sink or Collect.

    Raises:
        ChangelogError: A sink cannot take the changes that its query makes.
        UnsupportedError: A node cannot run as a stream.
    """
    planner = PhysicalPlanner(tables, config, settings)
    for root in roots:
        planner.root(root)
    return JobGraph(tuple(planner.vertices), config)


class PhysicalPlanner:
    """Collects the vertices of one job."""

    def __init__(self, tables: Tables, config: JobConfig, settings: PlannerSettings) -> None:
        self.tables, self.config, self.settings = tables, config, settings
        self.vertices: list[Vertex] = []
        self._names: dict[str, int] = {}
        self._planned: dict[tuple[n.Node, bool], Stream] = {}

    def root(self, root: n.Node) -> None:
        """Plans one sink."""
        if isinstance(root, n.Collect):
            stream = self.plan(root.input, needs_before=True)
            self._add("Collect", CollectSpec(stream.schema), stream.schema, [Edge(stream.vertex)])
            return
        assert isinstance(root, n.Sink)
        self._sink(root)

    def plan(self, node: n.Node, needs_before: bool = True) -> Stream:
        """The stream of a node; equal nodes share one."""
        key = (node, needs_before)
        if key not in self._planned:
            method: Callable[[Any, bool], Stream] | None = getattr(self, f"_{type(node).__name__.lower()}", None)
            if method is None:
                raise UnsupportedError(
                    f"{describe(node)} is not supported yet on a stream",
                    fix="run the query in batch mode: EnvironmentSettings.in_batch_mode()",
                )
            self._planned[key] = method(node, needs_before)
        return self._planned[key]

    def _add(self, name: str, step: Any, schema: RowSchema, inputs: Sequence[Edge] = ()) -> int:
        count = self._names.get(name, 0)
        self._names[name] = count + 1
        uid = f"{name}-{count}"
        vertex = Vertex(len(self.vertices), uid, name, step, schema, tuple(inputs))
        self.vertices.append(vertex)
        return vertex.id

    def _kinds(self, node: n.Node) -> frozenset[RowKind]:
        return changelog(node, self.tables.facts)

    def _ttl(self, hinted_ms: int | None) -> int | None:
        """The time to live that a hint asks for, or else the session (None: for ever)."""
        return self.settings.state_ttl_ms if hinted_ms is None else hinted_ms or None

    def _inserts(self, node: n.Node) -> bool:
        return self._kinds(node) == INSERT_ONLY

    def _hashed(self, stream: Stream, keys: Sequence[str]) -> Edge:
        """An edge on which rows with equal keys meet on one worker. No keys: all rows meet on worker 0."""
        if not keys:
            return Edge(stream.vertex, FORWARD if stream.is_single else SINGLE)
        if stream.keys == tuple(keys) and not stream.is_single:
            return Edge(stream.vertex, FORWARD)
        return Edge(stream.vertex, Exchange(ExchangeKind.HASH, tuple(keys)))

    def _scan(self, node: n.Scan, needs_before: bool) -> Stream:
        return self._source(node, None, None)

    def _source(self, scan: n.Scan, assigner: n.WatermarkAssigner | None, calc: Any, *, normalize: bool = True) -> Stream:
        source = self.tables.source(scan)
        watermark = None
        schema = scan.schema
        if assigner is not None:
            watermark = watermark_spec(assigner, scan.table, self.settings)
            schema = assigner.schema
        name = f"Source[{scan.table.identifier.name}]"
        vertex = self._add(name, SourceSpec(source, scan.schema, watermark, calc), schema)
        stream = Stream(vertex, schema)
        has_before = RowKind.UPDATE_BEFORE in source.changelog
        may_repeat = has_before and self.settings.options.get(CDC_DUPLICATES, "false").lower() == "true"
        if normalize and RowKind.UPDATE_AFTER in source.changelog and (not has_before or may_repeat):
            return self._normalized(stream, scan)
        return stream

    def _normalized(self, stream: Stream, scan: n.Scan) -> Stream:
        from tableapi.runtime.stream.changelog import ChangelogNormalizeSpec

        key = scan.table.primary_key
        if not key:
            raise ChangelogError(
                f"table '{scan.table.identifier.name}' hands over upserts, or changes twice, and needs a PRIMARY KEY",
                fix="declare PRIMARY KEY (…) NOT ENFORCED",
            )
        edge = self._hashed(stream, key)
        vertex = self._add(
            "Normalize", ChangelogNormalizeSpec(stream.schema, key, ttl_ms=self.settings.state_ttl_ms), stream.schema, [edge]
        )
        return Stream(vertex, stream.schema, key)

    def _watermarkassigner(self, node: n.WatermarkAssigner, needs_before: bool, *, normalize: bool = True) -> Stream:
        below, steps = calc_chain(node.input)
        if not isinstance(below, n.Scan):
            raise UnsupportedError("a watermark can only be assigned to a table, not to a query")
        calc = None
        if steps:
            from tableapi.runtime.stream.calc import CalcSpec

            calc = CalcSpec(below.schema, steps)
        return self._source(below, node, calc, normalize=normalize)

    def _inline(self, node: n.Inline, needs_before: bool) -> Stream:
        vertex = self._add("Inline", SourceSpec(FrameSource(node.data.frame), node.schema), node.schema)
        return Stream(vertex, node.schema)

    def _values(self, node: n.Values, needs_before: bool) -> Stream:
        source = FrameSource(values_frame(node, self.config.session))
        vertex = self._add("Values", SourceSpec(source, node.schema), node.schema)
        return Stream(vertex, node.schema)

    def _project(self, node: n.Project, needs_before: bool) -> Stream:
        return self._calc(node, needs_before)

    def _filter(self, node: n.Filter, needs_before: bool) -> Stream:
        return self._calc(node, needs_before)

    def _calc(self, node: n.Node, needs_before: bool) -> Stream:
        below, steps = calc_chain(node)
        needs = needs_before or any(s.condition is not None for s in steps) or not _keeps_key(node, below)
        source = self.plan(below, needs)
        return self._with_steps(source, steps, node)

    def _windowtable(self, node: n.WindowTable, needs_before: bool) -> Stream:
        from tableapi.runtime.stream.window_table import WindowTableSpec

        check_window(node)
        source = self.plan(node.input)
        if node.window.kind is n.WindowKind.SESSION:
            edge = self._hashed(source, node.window.partition_by)
        else:
            edge = Edge(source.vertex)
        spec = WindowTableSpec(source.schema, node.window, node.start, node.end, node.time, self._inserts(node.input))
        return Stream(self._add("WindowTable", spec, node.schema, [edge]), node.schema)

    def _unnest(self, node: n.Unnest, needs_before: bool) -> Stream:
        from tableapi.runtime.stream.unnest import UnnestSpec

        source = self.plan(node.input)
        spec = UnnestSpec(source.schema, node.collection, node.outputs, node.is_outer, node.ordinality)
        vertex = self._add("Unnest", spec, node.schema, [Edge(source.vertex)])
        return Stream(vertex, node.schema, source.keys, source.is_single)

    def _correlate(self, node: n.Correlate, needs_before: bool) -> Stream:
        from tableapi.runtime.stream.correlate import CorrelateSpec

        source = self.plan(node.input)
        spec = CorrelateSpec(source.schema, node.function, node.args, node.outputs, node.is_outer, node.condition)
        vertex = self._add("Correlate", spec, node.schema, [Edge(source.vertex)])
        return Stream(vertex, node.schema, source.keys, source.is_single)

    def _tochangelog(self, node: n.ToChangelog, needs_before: bool) -> Stream:
        from tableapi.runtime.stream.changelog_rows import ToChangelogSpec

        source = self.plan(node.input)
        vertex = self._add("ToChangelog", ToChangelogSpec(node.op, node.codes), node.schema, [Edge(source.vertex)])
        return Stream(vertex, node.schema, source.keys, source.is_single)

    def _fromchangelog(self, node: n.FromChangelog, needs_before: bool) -> Stream:
        from tableapi.runtime.stream.changelog_rows import FromChangelogSpec

        if not self._inserts(node.input):
            raise ChangelogError("FROM_CHANGELOG reads rows that are only ever added, but its input changes")
        source = self.plan(node.input)
        vertex = self._add("FromChangelog", FromChangelogSpec(node.op, node.codes), node.schema, [Edge(source.vertex)])
        return Stream(vertex, node.schema, is_single=source.is_single)

    def _aggregate(self, node: n.Aggregate, needs_before: bool) -> Stream:
        from tableapi.runtime.stream.group_aggregate import GroupAggregateSpec

        if node.grouping_sets is not None:
            return self._grouping_sets(node, needs_before)
        source = self.plan(node.input)
        is_partial = self._has_two_phases(node, source)
        if is_partial:
            source = self._local_aggregate(node, source)
        spec = GroupAggregateSpec(
            source.schema,
            node.keys,
            node.aggregates,
            self._inserts(node.input),
            needs_before,
            self._ttl(node.state_ttl_ms),
            is_partial,
        )
        edge = self._hashed(source, node.keys)
        vertex = self._add(_named("GroupAggregate", node.keys), spec, node.schema, [edge])
        return Stream(vertex, node.schema, node.keys or None, not node.keys)

    def _has_two_phases(self, node: n.Aggregate, source: Stream) -> bool:
        """Whether workers fold their own rows first: where rows travel, in batches, and partial values give exactly what rows give."""
        from tableapi.runtime.stream.partial import is_mergeable

        strategy = self.settings.options.get(AGGREGATE_PHASES, "AUTO").upper()
        if strategy == "ONE_PHASE" or not node.aggregates or not self._inserts(node.input):
            return False
        is_worthwhile = self.config.parallelism > 1 and self.config.max_batch_rows >= MIN_BATCH_ROWS
        travels = self._hashed(source, node.keys).exchange is not FORWARD
        return travels and (is_worthwhile or strategy == "TWO_PHASE") and all(is_mergeable(a.call) for a in node.aggregates)

    def _local_aggregate(self, node: n.Aggregate, source: Stream) -> Stream:
        from tableapi.runtime.stream.partial import LocalAggregateSpec, partial_schema

        schema = partial_schema(source.schema, node.keys, node.aggregates)
        spec = LocalAggregateSpec(source.schema, node.keys, node.aggregates)
        return Stream(self._add(_named("LocalAggregate", node.keys), spec, schema, [Edge(source.vertex)]), schema)

    def _grouping_sets(self, node: n.Aggregate, needs_before: bool) -> Stream:
        from tableapi.plan.scope import unique
        from tableapi.runtime.stream.calc import CalcSpec, CalcStep
        from tableapi.runtime.stream.expand import ExpandSpec
        from tableapi.runtime.stream.group_aggregate import GroupAggregateSpec

        assert node.grouping_sets is not None
        copied, aggregates = copy_key_arguments(node)
        source = self.plan(copied)
        group_id = node.group_id or unique("$group_id", source.schema.names)
        expand = ExpandSpec(source.schema, node.keys, node.grouping_sets, group_id)
        expanded = expanded_schema(source.schema, node, group_id)
        vertex = self._add("Expand", expand, expanded, [Edge(source.vertex)])
        keys = (*node.keys, group_id)
        spec = GroupAggregateSpec(
            expanded, keys, aggregates, self._inserts(node.input), needs_before, self._ttl(node.state_ttl_ms)
        )
        full = n.Aggregate(node.input, node.keys, node.aggregates, node.grouping_sets, group_id).schema
        edge = self._hashed(Stream(vertex, expanded), keys)
        grouped = self._add(_named("GroupAggregate", keys), spec, full, [edge])
        items = tuple(n.NamedRex(f.name, Ref(f.type, f.name)) for f in node.schema)
        calc = self._add("Calc", CalcSpec(full, (CalcStep(None, items),)), node.schema, [Edge(grouped)])
        return Stream(calc, node.schema)

    def _windowaggregate(self, node: n.WindowAggregate, needs_before: bool) -> Stream:
        from tableapi.runtime.stream.window_aggregate import WindowAggregateSpec

        check_window(node)
        self._check_window_time(node)
        source = self.plan(node.input)
        spec = WindowAggregateSpec(
            source.schema,
            node.window,
            node.keys,
            node.aggregates,
            node.properties,
            node.attached,
            self._inserts(node.input),
            node.emit,
            needs_before,
        )
        edge = self._hashed(source, node.keys)
        vertex = self._add(_named("WindowAggregate", node.keys), spec, node.schema, [edge])
        return Stream(vertex, node.schema, node.keys or None, not node.keys)

    def _check_window_time(self, node: n.WindowAggregate) -> None:
        if node.attached is None and node.input.schema[node.window.time_column].time is None:
            raise UnsupportedError(
                f"the window's time column '{node.window.time_column}' is no time attribute any more after a join or aggregation",
                fix="window before the join, or join with an interval condition on the time attributes",
            )

    def _over(self, node: n.Over, needs_before: bool) -> Stream:
        from tableapi.runtime.stream.over import OverSpec, looks_ahead

        time_column, is_event_time = None, True
        if node.order_by and node.order_by[0].ascending and self._inserts(node.input):
            column = node.order_by[0].column
            kind = time_of(node.input, column)
            if kind is not None:
                time_column, is_event_time = column, kind is TimeKind.ROWTIME
        if time_column is not None and len({looks_ahead(call) for call in node.calls}) == 2:
            return self.plan(_with_leads_apart(node, looks_ahead), needs_before)
        source = self.plan(node.input)
        frame = node.frame
        if time_column is not None and not is_event_time and frame.lower.kind is n.FrameBoundKind.UNBOUNDED:
            frame = replace(frame, is_rows=True)  # each row has its own processing time, also within one millisecond
        spec = OverSpec(
            source.schema,
            node.partition_by,
            node.order_by,
            frame,
            node.calls,
            time_column,
            is_event_time,
            self._inserts(node.input),
            needs_before,
            None if time_column is not None and any(map(looks_ahead, node.calls)) else self.settings.state_ttl_ms,
        )
        edge = self._hashed(source, node.partition_by)
        vertex = self._add(_named("Over", node.partition_by), spec, node.schema, [edge])
        return Stream(vertex, node.schema, node.partition_by or None, not node.partition_by)

    def _match(self, node: Match, needs_before: bool) -> Stream:
        from tableapi.runtime.stream.pattern_match import PatternMatchSpec

        if not self._inserts(node.input):
            raise ChangelogError("MATCH_RECOGNIZE reads rows that are only ever added, but its input changes")
        column = node.order_by[0].column
        check_time(node.input, column, f"column '{column}'", "match rows")
        source = self.plan(node.input)
        spec = PatternMatchSpec(
            source.schema,
            node.partition_by,
            node.order_by,
            node.pattern,
            node.defines,
            node.measures,
            node.skip,
            node.within_ms,
            source.schema[node.order_by[0].column].time is not TimeKind.PROCTIME,
        )
        edge = self._hashed(source, node.partition_by)
        vertex = self._add(_named("Match", node.partition_by), spec, node.schema, [edge])
        return Stream(vertex, node.schema, node.partition_by or None, not node.partition_by)

    def _rank(self, node: n.Rank, needs_before: bool) -> Stream:
        source = self.plan(node.input)
        edge = self._hashed(source, node.partition_by)
        name, spec = self._rank_spec(node, source.schema, needs_before)
        vertex = self._add(_named(name, node.partition_by), spec, node.schema, [edge])
        return Stream(vertex, node.schema, node.partition_by or None, not node.partition_by)

    def _rank_spec(self, node: n.Rank, schema: RowSchema, needs_before: bool) -> tuple[str, Any]:
        from tableapi.runtime.stream.deduplicate import DeduplicateSpec
        from tableapi.runtime.stream.rank import RankSpec
        from tableapi.runtime.stream.window_rank import WindowRankSpec

        inserts = self._inserts(node.input)
        if inserts and ranks_windows(node):
            window = window_of(node.input)
            assert window is not None
            bounds = (window.start, window.end)
            spec: Any = WindowRankSpec(schema, bounds, node.partition_by, node.order_by, node.start, node.end, node.rank_name)
            return "WindowRank", spec
        if inserts and keeps_one_by_time(node):
            first = node.order_by[0]
            column = first.column if schema[first.column].time is TimeKind.ROWTIME else None
            return "Deduplicate", DeduplicateSpec(
                schema, node.partition_by, column, not first.ascending, needs_before, self.settings.state_ttl_ms
            )
        spec = RankSpec(
            schema,
            node.partition_by,
            node.order_by,
            node.start,
            node.end,
            node.kind,
            node.rank_name,
            inserts,
            needs_before,
            self.settings.state_ttl_ms,
        )
        return "Rank", spec

    def _join(self, node: n.Join, needs_before: bool) -> Stream:
        from tableapi.runtime.stream.join import JoinSpec

        is_wanted = node.hint.is_multi or self.settings.options.get(MULTI_JOIN, "true") != "false"
        flat = flat_join(node) if is_wanted else None
        if flat is not None:
            return self._multi_join(flat, node)
        left, right = self.plan(node.left), self.plan(node.right)
        pairs, rest = _split_condition(node)
        hint = node.hint
        ttl = self._ttl(hint.left_ttl_ms), self._ttl(hint.right_ttl_ms)
        spec = JoinSpec(
            left.schema,
            right.schema,
            node.kind,
            pairs,
            rest,
            self._inserts(node.left),
            self._inserts(node.right),
            ttl_ms=ttl,
        )
        return self._two_inputs("Join", spec, node, left, right, pairs)

    def _multi_join(self, flat: FlatJoin, node: n.Join) -> Stream:
        from tableapi.runtime.stream.calc import CalcStep
        from tableapi.runtime.stream.multi_join import MultiJoinSpec

        streams = [self.plan(part) for part in flat.parts]
        spec = MultiJoinSpec(
            tuple(s.schema for s in streams),
            flat.keys,
            flat.condition,
            tuple(self._inserts(part) for part in flat.parts),
            tuple(self._ttl(ttl_ms) for ttl_ms in flat.ttls_ms),
            flat.optional,
        )
        edges = [self._hashed(s, keys) for s, keys in zip(streams, flat.keys, strict=True)]
        parts = zip(streams, flat.optional, strict=True)
        schema = RowSchema(
            tuple(replace(f, type=f.type.nullable()) if optional else f for s, optional in parts for f in s.schema)
        )
        joined = Stream(self._add(_named("MultiJoin", flat.keys[0]), spec, schema, edges), schema, flat.keys[0])
        if schema.names == node.schema.names:
            return joined
        items = tuple(n.NamedRex(f.name, flat.columns[f.name]) for f in node.schema)
        return self._with_steps(joined, (CalcStep(None, items),), node)

    def _two_inputs(
        self, name: str, spec: Any, node: n.Binary, left: Stream, right: Stream, pairs: tuple[tuple[str, str], ...]
    ) -> Stream:
        left_keys, right_keys = tuple(a for a, _ in pairs), tuple(b for _, b in pairs)
        edges = [self._hashed(left, left_keys), self._hashed(right, right_keys)]
        vertex = self._add(_named(name, left_keys), spec, node.schema, edges)
        return Stream(vertex, node.schema, left_keys if left_keys and self._keeps_left_keys(node) else None, not pairs)

    @staticmethod
    def _keeps_left_keys(node: n.Binary) -> bool:
        kind = getattr(node, "kind", n.JoinKind.INNER)
        return kind not in (n.JoinKind.RIGHT, n.JoinKind.FULL)

    def _intervaljoin(self, node: n.IntervalJoin, needs_before: bool) -> Stream:
        from tableapi.runtime.stream.interval_join import IntervalJoinSpec

        left, right = self.plan(node.left), self.plan(node.right)
        pairs, rest = _split_condition(node)
        spec = IntervalJoinSpec(
            left.schema,
            right.schema,
            node.kind,
            pairs,
            rest,
            node.left_time,
            node.right_time,
            node.lower_ms,
            node.upper_ms,
            node.is_event_time,
        )
        return self._two_inputs("IntervalJoin", spec, node, left, right, pairs)

    def _windowjoin(self, node: n.WindowJoin, needs_before: bool) -> Stream:
        from tableapi.runtime.stream.window_join import WindowJoinSpec

        left, right = self.plan(node.left), self.plan(node.right)
        pairs, rest = _split_condition(node)
        spec = WindowJoinSpec(left.schema, right.schema, node.kind, pairs, rest, node.left_window, node.right_window)
        on = pairs or tuple(zip(node.left_window, node.right_window, strict=True))
        return self._two_inputs("WindowJoin", spec, node, left, right, on)

    def _temporaljoin(self, node: n.TemporalJoin, needs_before: bool) -> Stream:
        from tableapi.runtime.stream.temporal_join import TemporalJoinSpec

        if node.right_time is not None:
            check_time(node.left, node.left_time, f"column '{node.left_time}'", "look up versions")
        left, right = self.plan(node.left), self._versions(node.right)
        spec = TemporalJoinSpec(
            left.schema,
            right.schema,
            node.kind,
            node.keys,
            node.left_time,
            node.right_time,
            node.condition,
            self.settings.state_ttl_ms,
            self._inserts(node.left),
        )
        return self._two_inputs("TemporalJoin", spec, node, left, right, node.keys)

    def _versions(self, node: n.Node) -> Stream:
        """Every version of a versioned table, in order: an upsert source is not normalised and a keep-last deduplication is left
        out, since both would fold versions of a key that arrive together."""
        below, steps = calc_chain(node)
        assert all(s.condition is None for s in steps), "the rule versions_filter moves filters into the join"
        if isinstance(below, n.Rank) and self._keeps_last(below):
            return self._with_steps(self.plan(below.input), steps, node)
        if isinstance(below, n.Scan | n.WatermarkAssigner):
            return self._with_steps(self._raw_source(below), steps, node)
        return self.plan(node)

    def _keeps_last(self, rank: n.Rank) -> bool:
        first = rank.order_by[0] if rank.order_by else None
        by_time = first is not None and time_of(rank.input, first.column) is TimeKind.ROWTIME and not first.ascending
        return by_time and rank.start == rank.end == 1 and rank.rank_name is None and self._inserts(rank.input)

    def _raw_source(self, node: n.Node) -> Stream:
        if isinstance(node, n.Scan):
            return self._source(node, None, None, normalize=False)
        assert isinstance(node, n.WatermarkAssigner)
        return self._watermarkassigner(node, True, normalize=False)

    def _with_steps(self, source: Stream, steps: tuple[Any, ...], node: n.Node) -> Stream:
        if not steps:
            return source
        from tableapi.runtime.stream.calc import CalcSpec

        vertex = self._add("Calc", CalcSpec(source.schema, steps), node.schema, [Edge(source.vertex)])
        return Stream(vertex, node.schema, _renamed_keys(source.keys, steps), source.is_single)

    def _lookupjoin(self, node: n.LookupJoin, needs_before: bool) -> Stream:
        from tableapi.runtime.lookup.asked import asked_table
        from tableapi.runtime.planner.lookups import lookup_join_spec

        stream = self.plan(node.input)
        asked = asked_table(node, self.tables, self.config.session, self.settings.options)
        edge, keys, is_single = Edge(stream.vertex), stream.keys, stream.is_single
        if node.hint.is_shuffled:
            keys, is_single = tuple(dict.fromkeys(a for a, _ in node.keys)), False
            edge = self._hashed(stream, keys)
        spec = lookup_join_spec(
            node,
            stream.schema,
            asked,
            is_insert_only=self._inserts(node.input),
            partition_keys=() if is_single else keys,
            ttl_ms=self.settings.state_ttl_ms,
        )
        name = f"LookupJoin[{asked.name}]"
        return Stream(self._add(name, spec, node.schema, [edge]), node.schema, keys, is_single)

    def _setop(self, node: n.SetOp, needs_before: bool) -> Stream:
        from tableapi.runtime.stream.calc import CalcSpec
        from tableapi.runtime.stream.set_op import SetOpSpec

        if node.kind is n.SetKind.UNION and node.is_all:
            names = node.schema.names
            parts = [self.plan(_with_names(p, names), needs_before) for p in node.parts]
            vertex = self._add("Union", CalcSpec(node.schema, ()), node.schema, [Edge(p.vertex) for p in parts])
            return Stream(vertex, node.schema)
        parts = [self.plan(p) for p in node.parts]
        spec = SetOpSpec(tuple(p.schema for p in parts), node.kind, node.is_all, self.settings.state_ttl_ms)
        edges = [self._hashed(p, p.schema.names) for p in parts]
        return Stream(self._add(node.kind.value.title(), spec, node.schema, edges), node.schema)

    def _limit(self, node: n.Limit, needs_before: bool) -> Stream:
        from tableapi.runtime.stream.rank import RankSpec
        from tableapi.runtime.stream.sort_limit import LimitSpec

        if isinstance(node.input, n.Sort) and node.fetch is not None and not self._sorts_by_time(node.input):
            source = self.plan(node.input.input)
            spec: Any = RankSpec(
                source.schema,
                (),
                node.input.order_by,
                node.offset + 1,
                node.offset + node.fetch,
                input_is_insert_only=self._inserts(node.input.input),
                generate_update_before=needs_before,
                ttl_ms=self.settings.state_ttl_ms,
            )
            name = "TopN"
        else:
            source = self.plan(node.input)
            spec, name = LimitSpec(source.schema, node.fetch, node.offset, self._inserts(node.input)), "Limit"
        edge = self._hashed(source, ())
        return Stream(self._add(name, spec, node.schema, [edge]), node.schema, None, True)

    def _sorts_by_time(self, node: n.Sort) -> bool:
        first = node.order_by[0]
        return first.ascending and time_of(node.input, first.column) is not None and self._inserts(node.input)

    def _sort(self, node: n.Sort, needs_before: bool) -> Stream:
        from tableapi.runtime.stream.sort_limit import FullSortSpec, TemporalSortSpec

        if self._sorts_by_time(node):
            source = self.plan(node.input)
            is_event_time = source.schema[node.order_by[0].column].time is TimeKind.ROWTIME
            spec: Any = TemporalSortSpec(source.schema, node.order_by, is_event_time)
        elif is_bounded(node.input, self.tables.facts):
            source = self.plan(node.input)
            spec = FullSortSpec(source.schema, node.order_by)
        else:
            raise UnsupportedError(
                f"an endless stream cannot be sorted by {node.order_by[0]}",
                fix="sort by a time attribute ascending, add LIMIT, or run in batch mode",
            )
        edge = self._hashed(source, ())
        return Stream(self._add("Sort", spec, node.schema, [edge]), node.schema, None, True)

    def _sink(self, node: n.Sink) -> None:
        from tableapi.runtime.stream.changelog import DropUpdateBeforeSpec, UpsertMaterializeSpec

        sink = self.tables.sink(node.table)
        kinds = self._kinds(node.input)
        check_sink(node, sink.accepts, kinds)
        takes_before = RowKind.UPDATE_BEFORE in sink.accepts
        own_key = upsert_key(node.input)
        is_forced = self.settings.options.get(UPSERT_MATERIALIZE, "AUTO").upper() == "FORCE"
        has_key = own_key is not None and set(own_key) == set(sink.key) and not is_forced
        stream = self.plan(node.input, needs_before=takes_before or not has_key)
        edge = Edge(stream.vertex)
        if kinds != INSERT_ONLY and sink.key and not takes_before:
            if has_key or self.settings.options.get(UPSERT_MATERIALIZE, "AUTO").upper() == "NONE":
                step: Any = DropUpdateBeforeSpec()
            else:
                step, edge = (
                    UpsertMaterializeSpec(stream.schema, sink.key, self.settings.state_ttl_ms),
                    self._hashed(stream, sink.key),
                )
            edge = Edge(self._add("Upsert", step, stream.schema, [edge]))
        constraints = Constraints.of(node.table.identifier.name, node.table.persisted, self.settings.options)
        if constraints.needed(node.input.schema):
            edge = Edge(self._add("Constraints", ConstraintSpec(constraints), stream.schema, [edge]))
        name = f"Sink[{node.table.identifier.name}]"
        static = tuple((key, literal.value) for key, literal in node.static_partition)
        self._add(name, SinkSpec(sink, stream.schema, node.overwrite, static), stream.schema, [edge])


def check_sink(node: n.Sink, accepts: frozenset[RowKind], kinds: frozenset[RowKind]) -> None:
    """Refuses a sink that cannot take what its query changes.

    Raises:
        ChangelogError: With the guilty operation, and what can be done.
    """
    refused = kinds - accepts - {RowKind.UPDATE_BEFORE}
    if not refused:
        return
    cause = _cause(node.input)
    raise ChangelogError(
        f"table '{node.table.identifier.name}' (connector '{node.table.options.get('connector')}') takes {changelog_text(accepts)}, "
        f"but the query changes rows that it has given: it makes {changelog_text(kinds)}",
        exists=f"the changes come from {describe(cause)}",
        fix="aggregate per window of time instead (TUMBLE, HOP, …), write to a sink that takes updates "
        "(an upsert table with a PRIMARY KEY, print, blackhole), or run in batch mode",
    )


def _cause(node: n.Node) -> n.Node:
    """The lowest node that turns insert-only input into changes."""
    for child in node.inputs:
        if changelog(child) != INSERT_ONLY:
            return _cause(child)
    return node


def _named(name: str, keys: Sequence[str]) -> str:
    return f"{name}[{', '.join(keys)}]" if keys else name


def _with_leads_apart(node: n.Over, looks_ahead: Callable[[n.NamedAgg], bool]) -> n.Node:
    """An Over node as two: calls that need no rows to come, and above them those that wait for some."""
    at_once = replace(node, calls=tuple(c for c in node.calls if not looks_ahead(c)))
    both = replace(node, input=at_once, calls=tuple(filter(looks_ahead, node.calls)))
    return n.Project(both, tuple(n.NamedRex(f.name, Ref(f.type, f.name)) for f in node.schema.fields))


def _keeps_key(top: n.Node, below: n.Node) -> bool:
    """Whether the upsert key of `below` is still in the result, so that updates can be matched without -U."""
    return upsert_key(below) is not None and upsert_key(top) is not None


def _renamed_keys(keys: tuple[str, ...] | None, steps: Sequence[Any]) -> tuple[str, ...] | None:
    """The names of distribution keys after the steps; None when one of them is gone."""
    for step in steps:
        if keys is None or step.columns is None:
            continue
        names = {c.rex.name: c.name for c in reversed(step.columns) if isinstance(c.rex, Ref)}
        keys = tuple(names[k] for k in keys) if all(k in names for k in keys) else None
    return keys


def _split_condition(node: Any) -> tuple[tuple[tuple[str, str], ...], Any]:
    """(pairs of equal columns, the rest of the condition)."""
    from tableapi.plan.rex import Call, conjuncts

    pairs = equal_pairs(node.condition, node.left.schema.names, node.right.schema.names)
    rest = []
    for part in conjuncts(node.condition) if node.condition is not None else []:
        names = (
            {a.name for a in part.args if isinstance(a, Ref)} if isinstance(part, Call) and part.function == "EQUALS" else set()
        )
        if not any({a, b} == names for a, b in pairs):
            rest.append(part)
    return tuple(dict.fromkeys(pairs)), conjunction(rest)


def _with_names(node: n.Node, names: list[str]) -> n.Node:
    if node.schema.names == names:
        return node
    items = tuple(n.NamedRex(name, Ref(f.type, f.name)) for name, f in zip(names, node.schema, strict=True))
    return n.Project(node, items)
