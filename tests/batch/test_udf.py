"""Python functions: every kind, the values that they see, what they may return, and how their failures look."""

from __future__ import annotations

import datetime
from decimal import Decimal

import polars as pl
import pytest
from batch_plans import BIGINT, DOUBLE, INT, STRING, asc, call, col, lit, rows, run, table

from tableapi.errors import ExecutionError, UnsupportedError
from tableapi.plan.nodes import (
    Aggregate,
    Filter,
    FrameBound,
    FrameBoundKind,
    Join,
    JoinKind,
    NamedAgg,
    NamedRex,
    Over,
    OverFrame,
    Project,
)
from tableapi.plan.rex import AggCall, Literal, UdfCall
from tableapi.row import Row
from tableapi.runtime.udf import ScalarTask, split_udfs
from tableapi.runtime.udf_aggregate import AggregateRunner
from tableapi.runtime.udf_scope import FunctionScope
from tableapi.runtime.udf_table import SOURCE, TableTask
from tableapi.tablespec import Field
from tableapi.types import DataTypes
from tableapi.udf import AggregateFunction, AsyncScalarFunction, ScalarFunction, udaf, udf, udtf

T = table({"k": STRING, "a": BIGINT, "b": BIGINT}, [("x", 1, 2), ("x", None, 4), ("y", 5, 6)])


def pick(function, *args, source=T):
    return [r[0] for r in run(Project(source, (NamedRex("r", UdfCall(function.result_type, function, args)),))).rows()]


def evaluate_scalar(function, args, result_type, *, arg_types=None, height=1, time_zone="UTC"):
    frame = pl.DataFrame([a.alias(f"a{i}") for i, a in enumerate(args)]) if args else pl.DataFrame(height=height)
    task = ScalarTask(function, tuple(arg_types or [None] * len(args)), result_type, time_zone)
    return FunctionScope().run(task, frame).to_series()


@udf(result_type=BIGINT)
def add(a, b):
    return None if a is None else a + b


@udf(result_type=BIGINT, func_type="pandas")
def add_pandas(a, b):
    return a + b


@udf(result_type=BIGINT, func_type="polars")
def add_polars(a, b):
    return a + b


@udf(result_type=BIGINT, func_type="arrow")
def add_arrow(a, b):
    import pyarrow.compute as pc

    return pc.add(a, b)


@pytest.mark.parametrize("function", [add, add_pandas, add_polars, add_arrow], ids=lambda f: f.func_type)
def test_scalar_functions_of_each_kind(function):
    assert pick(function, col(T, "a"), col(T, "b")) == [3, None, 11]


def test_nested_calls_and_calls_inside_expressions():
    inner = UdfCall(BIGINT, add, (col(T, "a"), col(T, "b")))
    outer = UdfCall(BIGINT, add, (call("PLUS", inner, lit(1, BIGINT)), inner))
    total = call("PLUS", outer, col(T, "b"))
    assert run(Project(T, (NamedRex("r", total), NamedRex("s", inner)))).rows() == [(9, 3), (None, None), (29, 11)]


def test_splitting_makes_stages_and_shares_equal_calls():
    inner = UdfCall(BIGINT, add, (col(T, "a"), col(T, "b")))
    outer = UdfCall(BIGINT, add, (inner, col(T, "b")))
    names = iter("pqrs")
    stages, rest = split_udfs([outer, inner], lambda hint: next(names))
    assert [[(n, str(c)) for n, c in stage] for stage in stages] == [[("p", "add(a, b)")], [("q", "add(p, b)")]]
    assert [str(r) for r in rest] == ["q", "p"]


def test_functions_that_are_not_deterministic_are_called_each_time():
    count = iter(range(100))
    number = udf(lambda: next(count), result_type=BIGINT, deterministic=False)
    one, two = (UdfCall(BIGINT, number, ()) for _ in range(2))
    found = run(Project(T, (NamedRex("p", one), NamedRex("q", two))))
    assert sorted(found["p"].to_list() + found["q"].to_list()) == list(range(6))


def test_in_filter_and_join_condition():
    positive = udf(lambda x: x is not None and x > 1, result_type=DataTypes.BOOLEAN())
    assert rows(Filter(T, UdfCall(DataTypes.BOOLEAN(), positive, (col(T, "a"),)))) == [("y", 5, 6)]
    other = table({"c": BIGINT}, [(3,), (11,)])
    same = call("EQUALS", UdfCall(BIGINT, add, (col(T, "a"), col(T, "b"))), col(other, "c"))
    assert rows(Join(T, other, JoinKind.INNER, same)) == [("x", 1, 2, 3), ("y", 5, 6, 11)]
    less = UdfCall(
        DataTypes.BOOLEAN(), udf(lambda p, q: (p or 0) > q, result_type=DataTypes.BOOLEAN()), (col(T, "a"), col(other, "c"))
    )
    assert rows(Join(T, other, JoinKind.INNER, less)) == [("y", 5, 6, 3)]


def test_classes_are_opened_once_and_closed_at_the_end():
    events = []

    class Scale(ScalarFunction):
        def open(self, function_context):
            events.append(("open", function_context.get_job_parameter("factor", "10")))
            self.factor = 10

        def eval(self, x):
            return None if x is None else x * self.factor

        def close(self):
            events.append("close")

    scale = udf(Scale(), result_type=BIGINT)
    assert pick(scale, col(T, "a")) == [10, None, 50]
    assert events == [("open", "10"), "close"]


def test_async_functions():
    class Later(AsyncScalarFunction):
        async def eval(self, x):
            import asyncio

            await asyncio.sleep(0)
            return x

    assert pick(udf(Later(), result_type=BIGINT), col(T, "a")) == [1, None, 5]


ZONE = "Europe/Berlin"
SEEN = [
    (DataTypes.DATE(), datetime.date(2024, 1, 2)),
    (DataTypes.TIME(3), datetime.time(1, 2, 3, 4000)),
    (DataTypes.TIMESTAMP(6), datetime.datetime(2024, 1, 2, 3, 4, 5, 6)),
    (DataTypes.DECIMAL(10, 2), Decimal("1.50")),
    (DataTypes.BYTES(), b"ab"),
    (DataTypes.ARRAY(INT), [1, None]),
    (DataTypes.MAP(STRING, INT), {"a": 1, "b": None}),
    (DataTypes.ROW([DataTypes.FIELD("x", INT), DataTypes.FIELD("y", STRING)]), Row(x=1, y="b")),
    (DataTypes.INTERVAL(DataTypes.SECOND(3)), datetime.timedelta(seconds=2)),
]


@pytest.mark.parametrize(("data_type", "value"), SEEN, ids=lambda v: str(v)[:20])
def test_values_arrive_and_return_in_python_form(data_type, value):
    seen = []
    same = udf(lambda x: (seen.append(x), x)[1], result_type=data_type)
    column = evaluate_scalar(udf(lambda: value, result_type=data_type), [], data_type, height=2)
    again = evaluate_scalar(same, [column], data_type, arg_types=[data_type])
    assert seen == [value, value]
    assert again.to_list() == column.to_list()
    assert again.dtype == data_type.to_polars()


def test_instants_are_seen_in_the_session_zone():
    kind = DataTypes.TIMESTAMP_LTZ(3)
    column = pl.Series([datetime.datetime(2024, 7, 1, 10, tzinfo=datetime.UTC)], dtype=kind.to_polars())
    hour = udf(lambda t: t.hour, result_type=INT)
    assert evaluate_scalar(hour, [column], INT, arg_types=[kind], time_zone=ZONE).to_list() == [12]
    same = udf(lambda t: t, result_type=kind)
    assert evaluate_scalar(same, [column], kind, arg_types=[kind], time_zone=ZONE).equals(column)
    later = udf(lambda s: s + datetime.timedelta(hours=1), result_type=kind, func_type="pandas")
    found = evaluate_scalar(later, [column], kind, arg_types=[kind], time_zone=ZONE)
    assert found.to_list() == [datetime.datetime(2024, 7, 1, 11, tzinfo=datetime.UTC)]


@pytest.mark.parametrize(
    ("data_type", "value", "message"),
    [
        (INT, "7", "TypeError: returned '7'"),
        (DataTypes.TINYINT(), 300, "OverflowError: returned 300, which does not fit TINYINT"),
        (STRING, 7, "declared type is STRING"),
        (DataTypes.ARRAY(INT), 7, "declared type is ARRAY<INT>"),
        (BIGINT, 1.5, "declared type is BIGINT"),
    ],
)
def test_results_must_fit_the_declared_type(data_type, value, message):
    wrong = udf(lambda x: value, result_type=data_type, name="wrong")
    with pytest.raises(ExecutionError, match=message):
        pick(wrong, col(T, "a"))


def test_failures_show_the_row_and_the_users_line():
    @udf(result_type=BIGINT)
    def shares(a, b):
        return b // (a - 1)  # cause

    with pytest.raises(ExecutionError) as caught:
        pick(shares, col(T, "a"), col(T, "b"))
    text = str(caught.value)
    assert "Python function 'shares' failed for the row (1, 2): ZeroDivisionError" in text
    assert "return b // (a - 1)  # cause" in text
    assert caught.value.where is not None
    assert caught.value.where.file == __file__
    assert "polars" not in text


def test_columnar_functions_must_return_as_many_values():
    short = udf(lambda s: s.head(1), result_type=BIGINT, func_type="polars", name="short")
    with pytest.raises(ExecutionError, match="returned 1 values for 3 rows"):
        evaluate_scalar(short, [pl.Series([1, 2, 3])], BIGINT)


def test_table_functions_return_rows_and_their_source():
    pairs = udtf(lambda n: [(i, str(i)) for i in range(n)], result_types=[INT, STRING])
    fields = (Field("i", INT), Field("s", STRING))
    found = FunctionScope().run(TableTask(pairs, (INT,), fields), pl.DataFrame({"n": [2, 0, 1]}))
    assert found.columns == [SOURCE, "i", "s"]
    assert found.rows() == [(0, 0, "0"), (0, 1, "1"), (2, 0, "0")]
    single = udtf(lambda n: None if n == 0 else n, result_types=INT)
    found = FunctionScope().run(TableTask(single, (INT,), (Field("i", INT),)), pl.DataFrame({"n": [2, 0]}))
    assert found.rows() == [(0, 2)]


class Mean(AggregateFunction):
    def create_accumulator(self):
        return [0, 0]

    def accumulate(self, accumulator, value, weight):
        if value is not None:
            accumulator[0] += value * weight
            accumulator[1] += weight

    def retract(self, accumulator, value, weight):
        if value is not None:
            accumulator[0] -= value * weight
            accumulator[1] -= weight

    def get_value(self, accumulator):
        return accumulator[0] / accumulator[1] if accumulator[1] else None


mean = udaf(Mean(), result_type=DOUBLE)
total_pandas = udaf(lambda s: s.sum(), result_type=DOUBLE, func_type="pandas")


def python_agg(function, *args, **options):
    return NamedAgg("r", AggCall(function.name, args, function.result_type, udaf=function, **options))


def test_python_aggregates():
    weighted = python_agg(mean, col(T, "a"), Literal(BIGINT, 2))
    assert rows(Aggregate(T, ("k",), (weighted,))) == [("x", 1.0), ("y", 5.0)]
    assert rows(Aggregate(T, (), (weighted,))) == [(3.0,)]
    assert rows(Aggregate(Filter(T, lit(False, DataTypes.BOOLEAN())), (), (weighted,))) == [(None,)]
    assert rows(Aggregate(T, ("k",), (python_agg(total_pandas, col(T, "b")),))) == [("x", 6.0), ("y", 6.0)]


def test_python_aggregate_beside_a_built_in_one_with_filter():
    from batch_plans import BOOLEAN, agg

    source = table({"v": BIGINT, "f": BOOLEAN}, [(1, True), (2, False), (3, None), (5, True)])
    calls = (python_agg(mean, col(source, "v"), Literal(BIGINT, 1), filter="f"), agg("n", "COUNT"))
    assert rows(Aggregate(source, (), calls)) == [(3.0, 4)]


def test_python_aggregate_over_rows():
    frame = OverFrame(True, FrameBound(FrameBoundKind.OFFSET, -1), FrameBound(FrameBoundKind.CURRENT_ROW))
    node = Over(T, (), (asc("b"),), frame, (python_agg(mean, col(T, "b"), Literal(BIGINT, 1)),))
    assert [r[-1] for r in run(node).rows()] == [2.0, 3.0, 5.0]
    running = OverFrame(True, FrameBound(FrameBoundKind.UNBOUNDED), FrameBound(FrameBoundKind.CURRENT_ROW))
    node = Over(T, (), (asc("b"),), running, (python_agg(mean, col(T, "b"), Literal(BIGINT, 1)),))
    assert [r[-1] for r in run(node).rows()] == [2.0, 3.0, 4.0]


def test_runner_follows_the_accumulator_protocol():
    runner = AggregateRunner(mean, (BIGINT, BIGINT), DOUBLE, "UTC", FunctionScope())
    accumulator = runner.accumulate(runner.create(), [(1, 1), (3, 1), (8, 1)])
    assert runner.value(accumulator) == 4.0
    assert runner.can_retract
    assert runner.value(runner.retract(accumulator, [(8, 1)])) == 2.0
    assert not runner.can_merge
    with pytest.raises(UnsupportedError, match="cannot merge groups"):
        runner.merge(accumulator, [runner.create()])
