"""What a filter and a projection share is computed once, and fields of rows are read before rows are copied."""

import polars as pl

from tableapi import EnvironmentSettings, TableEnvironment
from tableapi.plan.nodes import NamedRex, Scan, walk
from tableapi.plan.rex import Call, Literal, Ref
from tableapi.plan.rules import optimize
from tableapi.plan.rules.fields import note_read_fields
from tableapi.plan.rules.share import share_sources
from tableapi.runtime.stream.batch import Batch
from tableapi.runtime.stream.calc import CalcSpec, CalcStep
from tableapi.runtime.stream.row_steps import plan_row_step
from tableapi.tablespec import Field, RowSchema
from tableapi.testing import OperatorHarness, assert_changelog
from tableapi.types import BooleanType, DataTypes

TEXT, LONG = DataTypes.STRING(), DataTypes.BIGINT()
ROW = DataTypes.ROW([DataTypes.FIELD("name", TEXT), DataTypes.FIELD("n", LONG)])
INPUT = RowSchema((Field("r", ROW), Field("k", LONG)))


def get(field, type_):
    return Call(type_, "GET", (Ref(ROW, "r"), Literal(TEXT, field)))


def lower_name():
    return Call(TEXT, "LOWER", (get("name", TEXT),))


def is_a():
    return Call(BooleanType(), "EQUALS", (lower_name(), Literal(TEXT, "a")))


def test_what_condition_and_columns_share_is_computed_before_the_filter():
    step = plan_row_step(is_a(), [NamedRex("low", lower_name()), NamedRex("n", get("n", LONG))])
    assert [str(c.rex) for c in step.taken] == ["GET(r, 'name')", "GET(r, 'n')"]
    assert [str(c.rex) for c in step.early] == ["LOWER($GET(r, 'name'))"]
    assert step.late == ()
    assert str(step.condition) == "($shared = 'a')"
    assert [str(c.rex) for c in step.columns] == ["$shared", "$GET(r, 'n')"]


def test_what_only_columns_share_is_computed_after_the_filter():
    step = plan_row_step(None, [NamedRex("a", is_a()), NamedRex("b", lower_name())])
    assert step.early == ()
    assert [str(c.rex) for c in step.late] == ["LOWER($GET(r, 'name'))"]


def test_an_expression_that_can_fail_is_not_moved_out_of_its_branch():
    quotient = Call(LONG, "DIVIDE", (Literal(LONG, 1), Ref(LONG, "k")))
    is_zero = Call(BooleanType(), "EQUALS", (Ref(LONG, "k"), Literal(LONG, 0)))
    case = Call(LONG, "CASE", (is_zero, Literal(LONG, 0), quotient))
    step = plan_row_step(None, [NamedRex("a", case), NamedRex("b", Call(LONG, "PLUS", (case, case)))])
    assert step.early == ()
    assert [str(c.rex) for c in step.late] == ["(k = 0)"]


def test_filter_and_projection_over_fields():
    columns = (NamedRex("low", lower_name()), NamedRex("n", get("n", LONG)), NamedRex("k", Ref(LONG, "k")))
    h = OperatorHarness(CalcSpec(INPUT, (CalcStep(is_a(), columns),)), INPUT)
    rows = {"r": [{"name": "A", "n": 1}, None, {"name": "b", "n": 2}, {"name": "a", "n": None}], "k": [1, 2, 3, 4]}
    assert_changelog(h.feed(Batch(pl.DataFrame(rows, schema=INPUT.to_polars()))), "+I a 1 1\n+I a null 4")


def test_constants_keep_the_number_of_rows_that_pass():
    h = OperatorHarness(CalcSpec(INPUT, (CalcStep(is_a(), (NamedRex("one", Literal(LONG, 1)),)),)), INPUT)
    rows = {"r": [{"name": "A", "n": 1}, {"name": "b", "n": 2}, {"name": "a", "n": 3}], "k": [1, 2, 3]}
    assert_changelog(h.feed(Batch(pl.DataFrame(rows, schema=INPUT.to_polars()))), "+I 1\n+I 1")


def test_the_time_of_a_batch_in_several_pieces():
    """Polars evaluates a constant once a piece of the frame."""
    now = Call(DataTypes.TIMESTAMP_LTZ(3), "PROCTIME")
    h = OperatorHarness(
        CalcSpec(INPUT, (CalcStep(None, (NamedRex("k", Ref(LONG, "k")), NamedRex("now", now))),)), INPUT, clock_ms=1000
    )
    pieces = [pl.DataFrame({"r": [None] * n, "k": [n] * n}, schema=INPUT.to_polars()) for n in (1, 2, 4)]
    shown = h.feed(Batch(pl.concat(pieces, rechunk=False)))
    assert [line.split()[1] for line in shown.splitlines()] == ["1", "2", "2", "4", "4", "4", "4"]
    assert len({line.split(maxsplit=2)[2] for line in shown.splitlines()}) == 1


def test_a_scan_says_which_fields_of_a_row_are_read():
    env = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    env.execute_sql("CREATE TABLE t (r ROW<a INT, b INT, c INT>, s ROW<a INT, b INT>, k INT) WITH ('connector' = 'datagen')")

    def fields(*queries):
        plans = [optimize(env._builder().collect(env.sql_query(q)._relation), is_streaming=True) for q in queries]
        scans = {node for plan in note_read_fields(share_sources(plans)) for node in walk(plan) if isinstance(node, Scan)}
        (scan,) = scans
        return dict(scan.fields)

    assert fields("SELECT r.a, k FROM t WHERE r.c > 1") == {"r": ("a", "c")}
    assert fields("SELECT x.a, s FROM (SELECT r AS x, s FROM t)") == {"r": ("a",)}
    assert fields("SELECT r.a, r FROM t") == {}
    assert fields("SELECT COUNT(DISTINCT s.a) FROM t GROUP BY r.b") == {"r": ("b",), "s": ("a",)}
    assert fields("SELECT r.a FROM t", "SELECT r.b, s.a FROM t") == {"r": ("a", "b"), "s": ("a",)}
    assert fields("SELECT l.r.a FROM t AS l JOIN (SELECT r.b AS b FROM t) AS x ON l.k = x.b") == {}
