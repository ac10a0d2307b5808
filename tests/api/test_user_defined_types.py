"""Objects of a program's own classes: stored as values of an SQL type, made again for the functions that want them."""

from __future__ import annotations

import pytest

from tableapi import DataTypes, ScalarFunction, UserDefinedType
from tableapi.errors import ExecutionError, UnsupportedError
from tableapi.expressions import col
from tableapi.udf import udf


class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y


class PointType(UserDefinedType):
    @classmethod
    def sql_type(cls):
        return DataTypes.ARRAY(DataTypes.DOUBLE())

    def serialize(self, obj):
        return [obj.x, obj.y]

    def deserialize(self, datum):
        return Point(*datum)


Point.__UDT__ = PointType()

norm = udf(lambda p: None if p is None else abs(p.x) + abs(p.y), input_types=[PointType()], result_type="DOUBLE", name="norm")
make = udf(lambda x: Point(x, 2 * x), result_type=PointType(), name="make")


class Mirror(ScalarFunction):
    def open(self, function_context):
        self.sign = -1

    def eval(self, point, scale):
        return Point(self.sign * point.x * scale, point.y)


@pytest.mark.parametrize("mode", ["thread", "process"])
def test_objects_in_functions(env, mode):
    env.get_config().set("python.execution-mode", mode)
    schema = DataTypes.ROW([DataTypes.FIELD("i", DataTypes.BIGINT()), DataTypes.FIELD("p", PointType())])
    table = env.from_elements([(1, Point(1.0, -2.0)), (2, None)], schema)
    assert str(table.get_schema().get_field_data_types()[1]) == "ARRAY<DOUBLE>"
    assert table.to_polars().rows() == [(1, [1.0, -2.0]), (2, None)]
    assert table.select(norm(col("p")).alias("n")).to_polars().rows() == [(3.0,), (None,)]
    assert table.select(norm(make(col("i").cast(DataTypes.DOUBLE()))).alias("n")).to_polars().rows() == [(3.0,), (6.0,)]
    mirror = udf(Mirror(), input_types=[PointType(), DataTypes.DOUBLE()], result_type=PointType())
    assert table.where(col("i") == 1).select(mirror(col("p"), 2.0).alias("m")).to_polars().rows() == [([-2.0, -2.0],)]


def test_types_are_inferred_and_nested(env):
    assert env.from_elements([(Point(1.0, 2.0),)], ["p"]).to_polars().rows() == [([1.0, 2.0],)]
    nested = DataTypes.ROW(
        [
            DataTypes.FIELD("ps", DataTypes.ARRAY(PointType())),
            DataTypes.FIELD("m", DataTypes.MAP(DataTypes.STRING(), PointType())),
        ]
    )
    table = env.from_elements([([Point(1.0, 2.0), None], {"k": Point(3.0, 4.0)})], nested)
    (row,) = table.execute().collect()
    assert list(row) == [[[1.0, 2.0], None], {"k": [3.0, 4.0]}]


def test_what_is_not_defined_or_cannot_be_is_named(env):
    class Bare(UserDefinedType):
        pass

    with pytest.raises(UnsupportedError, match="Bare does not say how it is stored"):
        env.from_elements([(1,)], DataTypes.ROW([DataTypes.FIELD("a", Bare())]))
    with pytest.raises(UnsupportedError, match="functions of one row"):
        udf(lambda s: s, input_types=[PointType()], result_type="DOUBLE", func_type="pandas")
    wrong = udf(lambda x: 7, result_type=PointType(), name="wrong")
    with pytest.raises(ExecutionError, match=r"'wrong' failed for the row \(1\): AttributeError"):
        env.from_elements([(1,)], ["a"]).select(wrong(col("a"))).to_polars()
