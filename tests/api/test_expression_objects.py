"""Expressions as Python objects: their text, and what Python may and may not do with them."""

from __future__ import annotations

import pickle

import pytest

from tableapi import DataTypes
from tableapi.errors import ValidationError
from tableapi.expressions import call, col, lit, not_, null_of, range_, with_columns
from tableapi.udf import ListView, MapView, ScalarFunction, udaf, udf, udtf

TEXTS = [
    ((col("v") + 1).alias("q"), "as(plus(v, 1), 'q')"),
    (col("a").cast(DataTypes.INT()), "cast(a, INT)"),
    (col("a").count.distinct, "distinct(count(a))"),
    (col("w").start, "start(w)"),
    (col("a").is_null, "isNull(a)"),
    (col("a").desc, "desc(a)"),
    (lit("x"), "'x'"),
    ((col("a") > 0).then(1, 2), "ifThenElse(greaterThan(a, 0), 1, 2)"),
    (col("a").in_(1, 2), "in(a, 1, 2)"),
    (col("a").between(1, 2), "between(a, 1, 2)"),
    (~col("a"), "isNotTrue(a)"),
    (not_(col("a")), "not(a)"),
    (-col("a"), "minusPrefix(a)"),
    (with_columns(range_("a", "c")), "withColumns(rangeTo(a, c))"),
    (col("a").substring(1, 2), "substring(a, 1, 2)"),
    (null_of(DataTypes.INT()), "null"),
    (lit(True), "true"),
    (col("r").x, "get(r, 'x')"),
    (col("m")["k"], "at(m, 'k')"),
]


@pytest.mark.parametrize(("expression", "text"), TEXTS, ids=[t for _, t in TEXTS])
def test_text(expression, text):
    assert str(expression) == text


def test_what_python_may_not_do():
    with pytest.raises(TypeError):
        hash(col("a"))
    with pytest.raises(ValidationError, match="no truth value"):
        bool(col("a") == 1)
    with pytest.raises(ValidationError, match="sliced"):
        col("a")[1:2]
    with pytest.raises(TypeError):
        iter(col("a"))
    with pytest.raises(AttributeError):
        _ = col("a")._repr_html_


def test_expressions_can_be_pickled():
    assert str(pickle.loads(pickle.dumps(col("a") + 1))) == "plus(a, 1)"


def test_windows_are_named_by_columns():
    with pytest.raises(ValidationError, match="alias"):
        _ = (col("a") + 1).start


def test_wrappers_say_what_the_runtime_needs():
    @udf(result_type="ROW<a INT, b STRING>", input_types=["INT"], deterministic=False, func_type="arrow")
    def f(x):
        """Doc."""

    assert (f.name, f.kind, f.func_type, f.deterministic) == ("f", "scalar", "arrow", False)
    assert str(f.result_type) == "ROW<`a` INT, `b` STRING>"
    assert [str(t) for t in f.input_types] == ["INT"]
    assert f.__doc__ == "Doc."
    assert str(f(col("a"), 1)) == "f(a, 1)"
    assert str(call(f, col("a"))) == "f(a)"

    class Plus(ScalarFunction):
        def eval(self, x) -> int:
            return x + 1

    assert str(udf(Plus()).result_type) == "BIGINT"
    assert udf(Plus, result_type="INT").name == "Plus"
    assert udtf(lambda x: [x], result_types=["INT", "STRING"]).result_type.field_names() == ["f0", "f1"]
    assert str(udtf(lambda x: [x], result_types="INT").alias("a")(col("x"))) == "as(<lambda>(x), 'a')"


def test_declarations_that_are_refused():
    with pytest.raises(ValidationError, match="result type"):
        udf(lambda x: x)
    with pytest.raises(ValidationError, match="not callable"):
        udf(3, result_type="INT")
    with pytest.raises(ValidationError, match="pandas"):
        udf(lambda x: x, result_type="INT", func_type="panda")
    with pytest.raises(ValidationError, match="AggregateFunction"):
        udaf(lambda x: x, result_type="INT")


def test_views_of_accumulators():
    values = ListView()
    values.add(1)
    values.add_all([2, 3])
    assert list(values) == [1, 2, 3]
    values.clear()
    assert list(values.get()) == []
    pairs = MapView()
    pairs.put("a", 1)
    pairs["b"] = 2
    assert (sorted(pairs), pairs.contains("a"), "c" in pairs, pairs.is_empty()) == (["a", "b"], True, False, False)
    pairs.remove("a")
    assert dict(pairs.items()) == {"b": 2}
