"""Arguments of Python functions: by name, left out, DEFAULT; wrong ones are refused when the query is planned."""

from __future__ import annotations

import pytest

from tableapi.errors import TableApiError
from tableapi.expressions import call, col, lit
from tableapi.udf import AggregateFunction, ScalarFunction, udaf, udf, udtf


@udf(result_type="STRING")
def show(a, b=5, c=None, *, loud=False):
    return f"{a}|{b}|{c}|{loud}"


class Shift(ScalarFunction):
    def eval(self, value, by=10):
        return value + by


class Weighted(AggregateFunction):
    def create_accumulator(self):
        return [0]

    def accumulate(self, accumulator, value, weight=1):
        accumulator[0] += value * weight

    def get_value(self, accumulator):
        return accumulator[0]


shift = udf(Shift(), result_type="BIGINT")
typed = udf(lambda a, b=2: a * b, input_types=["BIGINT", "BIGINT"], result_type="BIGINT", name="typed")
every = udf(lambda *values: sum(values), result_type="BIGINT", name="every")
object_default = udf(lambda a, b=[1], c=0: a, result_type="BIGINT", name="object_default")
times = udtf(lambda word, count=2: [word] * count, result_types=["STRING"])
weighted = udaf(Weighted(), result_type="BIGINT")


@pytest.fixture
def functions(env):
    named = {"show": show, "shift": shift, "typed": typed, "every_one": every, "object_default": object_default, "times": times}
    for name, function in {**named, "weighted": weighted}.items():
        env.create_temporary_function(name, function)
    return env


CALLS = {
    "show(x)": "7|5|None|False",
    "show(x, 1)": "7|1|None|False",
    "show(b => 2, a => x)": "7|2|None|False",
    "show(a => x, b => DEFAULT, c => 'z')": "7|5|z|False",
    "show(x, c => 'z')": "7|5|z|False",
    "show(x, DEFAULT, 'z')": "7|5|z|False",
    "shift(x)": 17,
    "shift(`by` => 1, `value` => x)": 8,
    "typed(x)": 14,
    "typed(b => CAST(3 AS SMALLINT), a => x)": 21,
    "every_one(x, 1, 2)": 10,
}


@pytest.mark.parametrize(("text", "value"), CALLS.items(), ids=CALLS)
def test_arguments_in_sql(functions, text, value):
    assert functions.sql_query(f"SELECT {text} FROM (VALUES (CAST(7 AS BIGINT))) AS t(x)").to_polars().rows() == [(value,)]


REFUSED = {
    "show()": "'show' needs its argument 'a'",
    "show(b => 1)": "'show' needs its argument 'a'",
    "show(x, 1, 'z', 4)": "'show' takes 3 arguments, not 4",
    "show(x, bb => 1)": r"'show' has no parameter 'bb'(.|\n)*parameters: a, b, c(.|\n)*'b'",
    "show(x, a => 1)": "the argument 'a' of 'show' is given twice",
    "show(x, loud => TRUE)": "'show' has no parameter 'loud'",
    "show(b => 1, x)": "an argument by position follows one by name",
    "show(DEFAULT)": "'show' needs its argument 'a'",
    "object_default(x, c => 1)": "the default of 'b' of 'object_default' is no number",
    "UPPER(DEFAULT)": "only Python functions take arguments by name",
    "UPPER(a => 'x')": "only Python functions take arguments by name",
}


@pytest.mark.parametrize(("text", "message"), REFUSED.items(), ids=REFUSED)
def test_wrong_arguments_are_refused_at_plan_time(functions, text, message):
    with pytest.raises(TableApiError, match=message):
        functions.sql_query(f"SELECT {text} FROM (VALUES (CAST(7 AS BIGINT))) AS t(x)")


def test_table_and_aggregate_functions(functions):
    found = functions.sql_query(
        "SELECT w FROM (VALUES ('a')) AS t(x), LATERAL TABLE(times(count => 3, word => x)) AS f(w)".replace("count", "`count`")
    )
    assert found.to_polars().rows() == [("a",)] * 3
    total = "SELECT weighted(weight => 10, `value` => x), weighted(x) FROM (VALUES (CAST(1 AS BIGINT)), (2)) AS t(x)"
    assert functions.sql_query(total).to_polars().rows() == [(30, 3)]


def test_arguments_in_the_table_api(functions):
    table = functions.from_elements([(7,)], ["x"])
    assert table.select(show(lit(2).as_argument("b"), col("x").as_argument("a"))).to_polars().rows() == [("7|2|None|False",)]
    assert table.select(call("shift", col("x"))).to_polars().rows() == [(17,)]
    with pytest.raises(TableApiError, match="'show' takes 3 arguments, not 4"):
        table.select(show(col("x"), 1, "z", 4))
