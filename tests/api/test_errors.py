"""Errors of planning point at the user's line: each program marks the guilty one with `# cause`."""

from __future__ import annotations

import inspect

import pytest

from tableapi import DataTypes, Schema, TableDescriptor
from tableapi.errors import TableApiError
from tableapi.expressions import call, col, lit
from tableapi.udf import udf, udtf
from tableapi.window import Over, Tumble


def cause_line(function) -> int:
    lines, start = inspect.getsourcelines(function)
    return start + next(i for i, text in enumerate(lines) if "# cause" in text)


def unknown_column(env):
    t = env.from_elements([(1, "x")], ["price", "b"])
    return t.select(
        col("b"),
        col("prise") + 1,  # cause
    )


def wrong_type(env):
    t = env.from_elements([(1, "x")], ["a", "b"])
    return t.select(
        col("a"),
        col("b") - 1,  # cause
    )


def expression_made_elsewhere(env):
    t = env.from_elements([(1, "x")], ["a", "b"])
    condition = col("nope") > 1  # cause
    return t.where(condition)


def ungrouped_column(env):
    t = env.from_elements([(1, "x")], ["a", "b"])
    return t.group_by(col("a")).select(
        col("a"),
        col("b"),  # cause
    )


def unknown_function(env):
    t = env.from_elements([(1, "x")], ["a", "b"])
    return t.select(call("uper", col("b")))  # cause


def unknown_table(env):
    return env.from_path("nope")  # cause


def union_of_different_widths(env):
    one = env.from_elements([(1,)], ["a"])
    two = env.from_elements([(1, 2)], ["a", "b"])
    return one.union_all(two)  # cause


def text_for_expression(env):
    t = env.from_elements([(1,)], ["a"])
    return t.filter("a > 1")  # cause


def condition_that_is_no_condition(env):
    t = env.from_elements([(1,)], ["a"])
    return t.filter(col("a") + 1)  # cause


def python_and(env):
    t = env.from_elements([(1,)], ["a"])
    return t.filter(col("a") > 1 and col("a") < 3)  # cause


def window_on_no_time(env):
    t = env.from_elements([(1,)], ["a"])
    return (
        t.window(Tumble.over(lit(1).minutes).on(col("a")).alias("w"))  # cause
        .group_by(col("w"))
        .select(col("a").sum)
    )


def window_not_in_group_by(env):
    t = env.from_elements([(1,)], ["a"])
    windowed = t.window(Tumble.over(lit(1).minutes).on(col("a")).alias("w"))
    return windowed.group_by(col("a"))  # cause


def unknown_over_window(env):
    t = env.from_elements([(1,)], ["a"])
    return t.over_window(Over.order_by(col("a")).alias("w")).select(
        col("a").sum.over(col("v")),  # cause
    )


def table_function_as_value(env):
    split = udtf(lambda s: s.split(), result_types=["STRING"])
    t = env.from_elements([("x",)], ["a"])
    return t.select(split(col("a")))  # cause


def missing_result_type(env):
    return udf(lambda x: x)  # cause


def unknown_option(env):
    return env.get_config().set("table.exec.state.tttl", "1 h")  # cause


def wrong_option_value(env):
    return env.get_config().set("table.exec.state.ttl", "often")  # cause


def key_that_is_nullable(env):
    return (
        Schema.new_builder().column("id", DataTypes.INT()).primary_key("id").build()  # cause
    )


def taken_name(env):
    table = TableDescriptor.for_connector("datagen").schema(Schema.new_builder().column("a", "INT").build()).build()
    env.create_table("t", table)
    env.create_table("t", table)  # cause


def value_of_another_type(env):
    return env.from_elements([(1,), ("x",)], DataTypes.ROW([DataTypes.FIELD("a", DataTypes.INT())]))  # cause


def sink_of_other_columns(env):
    schema = Schema.new_builder().column("a", "INT").column("b", "STRING").build()
    env.create_table("sink", TableDescriptor.for_connector("blackhole").schema(schema).build())
    t = env.from_elements([(1,)], ["a"])
    return t.execute_insert("sink")  # cause


PROGRAMS = [
    v for k, v in list(globals().items()) if inspect.isfunction(v) and "# cause" in inspect.getsource(v) and k != "cause_line"
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_error_names_the_guilty_line(batch, program):
    with pytest.raises(TableApiError) as raised:
        program(batch)
    where = raised.value.where
    assert where is not None, str(raised.value)
    assert (where.file, where.line) == (__file__, cause_line(program)), str(raised.value)
    assert f"{__file__}:{where.line}" in str(raised.value)


def test_did_you_mean(batch):
    with pytest.raises(TableApiError, match="did you mean 'price'") as raised:
        unknown_column(batch)
    assert "columns: price, b" in str(raised.value)


def test_tracebacks_hide_the_engine(batch):
    with pytest.raises(TableApiError) as raised:
        unknown_column(batch)
    own = [entry for entry in raised.traceback if "/tableapi/" in str(entry.path)]
    assert len(own) <= 1


def test_sql_errors_underline_the_place(batch):
    with pytest.raises(TableApiError) as raised:
        batch.sql_query("SELECT nope FROM (VALUES (1)) AS t(a)")
    assert raised.value.where.line == 1
    assert "^^^^" in str(raised.value)
