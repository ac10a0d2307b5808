"""The methods of Table and of the tables between `group_by` and `select`."""

from __future__ import annotations

import polars as pl
import pytest

from tableapi import DataTypes, Row
from tableapi.errors import AlreadyExistsError, TypeMismatchError, UnknownNameError, ValidationError
from tableapi.expressions import col, lit, range_, with_all_columns, with_columns, without_columns
from tableapi.udf import AggregateFunction, TableAggregateFunction, udaf, udf, udtaf, udtf


def names(table):
    return table.get_resolved_schema().get_column_names()


def test_select_names_what_has_no_name(table, rows):
    result = table.select(col("a"), col("a") + 1, (col("a") * 2).alias("x"), col("b").upper_case)
    assert names(result) == ["a", "_c1", "x", "_c3"]
    assert rows(result)[0] == (1, 2, 2, "HI")


def test_columns_are_attributes(table, rows):
    assert rows(table.select(table.a + 1).filter(col("_c0") > 5)) == [(6,)]


def test_alias_renames_a_prefix(table):
    assert names(table.alias("x", "y")) == ["x", "y", "c"]
    with pytest.raises(ValidationError):
        table.alias("x", "y", "z", "w")


def test_column_functions(table):
    assert names(table.select(with_all_columns())) == ["a", "b", "c"]
    assert names(table.select(with_columns(range_("a", "b")))) == ["a", "b"]
    assert names(table.select(with_columns(range_(2, 3)))) == ["b", "c"]
    assert names(table.select(without_columns(col("b")))) == ["a", "c"]


def test_column_operations(table, rows):
    assert names(table.add_columns((col("a") + 1).alias("d"))) == ["a", "b", "c", "d"]
    assert names(table.add_or_replace_columns(lit(1).alias("b"), lit(2).alias("d"))) == ["a", "b", "c", "d"]
    assert rows(table.add_or_replace_columns(lit(1).alias("b")))[0] == (1, 1, 10.5)
    assert names(table.rename_columns(col("a").alias("z"))) == ["z", "b", "c"]
    assert names(table.drop_columns(col("b"))) == ["a", "c"]
    with pytest.raises(AlreadyExistsError):
        table.add_columns(lit(1).alias("b"))
    with pytest.raises(UnknownNameError):
        table.drop_columns(col("nope"))
    with pytest.raises(UnknownNameError):
        table.rename_columns(col("nope").alias("x"))


def test_duplicate_output_names_are_refused(table):
    with pytest.raises(ValidationError, match="ambiguous"):
        table.select(col("a"), col("b").alias("a"))


def test_filter_and_where_are_three_valued(table, rows):
    assert rows(table.where(col("c") < 0).select(col("a"))) == [(4,)]
    assert rows(table.filter(~(col("c") < 0)).select(col("a"))) == [(1,), (2,), (3,), (5,)]


def test_order_limit_offset(batch, rows):
    t = batch.from_elements([(n,) for n in (3, 1, 2, 5, 4)], ["n"])
    assert rows(t.order_by(col("n").desc).limit(2), ordered=True) == [(5,), (4,)]
    assert rows(t.order_by(col("n")).limit(2, 1), ordered=True) == [(2,), (3,)]
    assert rows(t.order_by(col("n").asc).offset(1).fetch(2), ordered=True) == [(2,), (3,)]
    with pytest.raises(ValidationError):
        t.limit(-1)


def test_null_is_the_highest_value(batch, rows):
    """Flink: the Table API sorts NULL last ascending and first descending; SQL does the opposite."""
    t = batch.from_elements([(1,), (None,), (2,)], DataTypes.ROW([DataTypes.FIELD("n", DataTypes.INT())]))
    batch.create_temporary_view("nulls", t)
    assert rows(t.order_by(col("n")), ordered=True) == [(1,), (2,), (None,)]
    assert rows(t.order_by(col("n").desc), ordered=True) == [(None,), (2,), (1,)]
    assert rows(batch.sql_query("SELECT * FROM nulls ORDER BY n"), ordered=True) == [(None,), (1,), (2,)]


def test_group_by(table, rows):
    result = table.group_by(col("b")).select(col("b"), col("a").sum.alias("s"), col("a").count.alias("n"))
    assert rows(result) == sorted([("Hi", 5, 2), ("Hello", 2, 1), ("World", 5, 1), (None, 3, 1)], key=repr)


def test_group_by_a_named_expression_has_the_plan_of_sql(batch, rows):
    t = batch.from_elements([(1, 10), (2, 20), (3, 30)], ["a", "v"])
    batch.create_temporary_view("t", t)
    ours = t.group_by((col("a") % 2).alias("k")).select(col("k"), (col("k") + 1).alias("k1"), col("v").sum.alias("s"))
    theirs = batch.sql_query("SELECT MOD(a, 2) AS k, MOD(a, 2) + 1 AS k1, SUM(v) AS s FROM t GROUP BY MOD(a, 2)")
    assert ours._plan() == theirs._plan()
    assert rows(ours) == [(0, 1, 20), (1, 2, 40)]


def test_global_aggregate(table, rows):
    assert rows(table.select((col("a").sum + col("a").count).alias("x"))) == [(20,)]
    with pytest.raises(ValidationError):
        table.select(col("a"), col("a").sum)


def test_distinct_and_set_operations(batch, rows):
    left = batch.from_elements([(1, "x"), (1, "x"), (2, "y"), (3, "z")], ["a", "b"])
    right = batch.from_elements([(1, "x"), (3, "z"), (3, "z"), (4, "w")], ["c", "d"])
    assert rows(left.distinct()) == [(1, "x"), (2, "y"), (3, "z")]
    assert rows(left.union(right)) == [(1, "x"), (2, "y"), (3, "z"), (4, "w")]
    assert len(rows(left.union_all(right))) == 8
    assert rows(left.minus(right)) == [(2, "y")]
    assert rows(left.minus_all(right)) == [(1, "x"), (2, "y")]
    assert rows(left.intersect(right)) == [(1, "x"), (3, "z")]
    assert rows(left.intersect_all(right)) == [(1, "x"), (3, "z")]
    assert names(left.union(right)) == ["a", "b"]
    with pytest.raises(ValidationError):
        left.union(right.select(col("c")))


def test_joins(env, rows):
    left = env.from_elements([(1, "x"), (2, "y")], ["id", "s"])
    right = env.from_elements([(2, "B"), (3, "C")], ["rid", "t"])
    on = col("id") == col("rid")
    assert rows(left.join(right, on)) == [(2, "y", 2, "B")]
    assert rows(left.join(right).where(on)) == [(2, "y", 2, "B")]
    assert rows(left.left_outer_join(right, on)) == [(1, "x", None, None), (2, "y", 2, "B")]
    assert rows(left.right_outer_join(right, on)) == [(2, "y", 2, "B"), (None, None, 3, "C")]
    assert rows(left.full_outer_join(right, on)) == [(1, "x", None, None), (2, "y", 2, "B"), (None, None, 3, "C")]
    with pytest.raises(ValidationError, match="ambiguous names"):
        left.join(left)


def test_in_a_table(batch, rows):
    t = batch.from_elements([(1,), (2,), (3,)], ["a"])
    few = batch.from_elements([(2,), (3,)], ["x"])
    assert rows(t.where(col("a").in_(few))) == [(2,), (3,)]


def test_scalar_functions_and_map(env, rows):
    @udf(result_type=DataTypes.BIGINT())
    def twice(x):
        return x * 2

    @udf(result_type=DataTypes.ROW([DataTypes.FIELD("x", DataTypes.BIGINT()), DataTypes.FIELD("y", DataTypes.STRING())]))
    def whole(row):
        return Row(row.a + 1, row[1].lower())

    t = env.from_elements([(1, "A"), (2, "B")], ["a", "b"])
    assert rows(t.select(twice(col("a")).alias("d"))) == [(2,), (4,)]
    assert rows(t.map(whole)) == [(2, "a"), (3, "b")]
    assert names(t.map(whole).alias("p", "q")) == ["p", "q"]


def test_table_functions(env, rows):
    @udtf(result_types=[DataTypes.STRING(), DataTypes.INT()])
    def words(text):
        for word in text.split():
            yield word, len(word)

    t = env.from_elements([(1, "a bb"), (2, "")], ["id", "line"])
    call = words(col("line")).alias("w", "n")
    assert rows(t.join_lateral(call)) == [(1, "a bb", "a", 1), (1, "a bb", "bb", 2)]
    assert rows(t.left_outer_join_lateral(call)) == [(1, "a bb", "a", 1), (1, "a bb", "bb", 2), (2, "", None, None)]
    assert rows(t.flat_map(words(col("line")))) == [("a", 1), ("bb", 2)]
    assert names(t.flat_map(words(col("line")).alias("w", "n"))) == ["w", "n"]
    with pytest.raises(ValidationError):
        t.join_lateral(words(col("line")).alias("id", "n"))


class Range(AggregateFunction):
    """Smallest and largest."""

    def create_accumulator(self):
        return []

    def accumulate(self, accumulator, value):
        accumulator.append(value)

    def get_value(self, accumulator):
        return Row(min(accumulator), max(accumulator))

    def get_result_type(self):
        return DataTypes.ROW([DataTypes.FIELD("lo", DataTypes.BIGINT()), DataTypes.FIELD("hi", DataTypes.BIGINT())])


class Top2(TableAggregateFunction):
    """The two largest."""

    def create_accumulator(self):
        return []

    def accumulate(self, accumulator, value):
        accumulator.append(value)

    def emit_value(self, accumulator):
        for rank, value in enumerate(sorted(accumulator, reverse=True)[:2]):
            yield Row(value, rank)

    def get_result_type(self):
        return DataTypes.ROW([DataTypes.FIELD("v", DataTypes.BIGINT()), DataTypes.FIELD("rk", DataTypes.INT())])


def test_aggregate_and_flat_aggregate(batch, rows):
    t = batch.from_elements([("a", 3), ("a", 1), ("a", 2), ("b", 9)], ["k", "v"])
    ranges = udaf(Range())
    result = t.group_by(col("k")).aggregate(ranges(col("v")).alias("lo", "hi")).select(col("k"), col("lo"), col("hi"))
    assert rows(result) == [("a", 1, 3), ("b", 9, 9)]
    top = udtaf(Top2())
    flat = t.group_by(col("k")).flat_aggregate(top(col("v")).alias("v", "rk")).select(col("k"), col("v"), col("rk"))
    assert rows(flat) == [("a", 2, 1), ("a", 3, 0), ("b", 9, 0)]
    assert rows(t.aggregate(ranges(col("v"))).select(col("hi"))) == [(9,)]


def test_strings_are_not_expressions(table):
    with pytest.raises(TypeMismatchError, match=r"select\(\) takes expressions") as error:
        table.select("a, b")
    assert "col('a, b')" in str(error.value)


def test_unknown_attribute_says_what_exists(table):
    with pytest.raises(AttributeError, match="columns: a, b, c"):
        _ = table.nope


def test_tables_of_other_environments_are_refused(batch, stream):
    with pytest.raises(ValidationError, match="different environments"):
        batch.from_elements([(1,)], ["a"]).union_all(stream.from_elements([(1,)], ["a"]))


def test_arrow_protocol(batch):
    t = batch.from_elements([(1, "x"), (2, "y")], ["a", "b"])
    assert pl.DataFrame(t).rows() == [(1, "x"), (2, "y")]
    import pyarrow as pa

    assert pa.table(t).to_pylist() == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


def test_str_registers_the_table(batch, rows):
    t = batch.from_elements([(1,), (2,)], ["a"])
    assert rows(batch.sql_query(f"SELECT a + 1 AS b FROM {t} WHERE a > 1")) == [(3,)]
    assert str(t) == str(t)


def test_html_shows_first_rows(table):
    shown = table._repr_html_()
    assert "Hello" in shown
    assert "INT" in shown
    assert "5 rows" in shown


def test_names_of_what_has_no_name(batch):
    """Flink: bare aggregates are EXPR$n, fields row$field, casts column-TYPE, anything else is _c and its place."""
    row = DataTypes.ROW([DataTypes.FIELD("x", DataTypes.INT())])
    schema = DataTypes.ROW([DataTypes.FIELD("a", DataTypes.INT()), DataTypes.FIELD("r", row)])
    t = batch.from_elements([(1, Row(5))], schema)
    assert names(t.select(col("a").sum + 1, col("a").count)) == ["_c0", "EXPR$1"]
    assert names(t.group_by(col("a")).select(col("a"), col("a").max, col("a").min)) == ["a", "EXPR$0", "EXPR$1"]
    assert names(t.select(col("r").get("x"), col("r").x + 1)) == ["r$x", "_c1"]
    assert names(t.select(col("a").cast(DataTypes.BIGINT()), (col("a") + 1).cast("STRING"))) == ["a-BIGINT", "_c1"]
    assert names(t.select(col("a"), col("r").flatten)) == ["a", "r$x"]
    assert names(t.add_columns(col("a") * 2)) == ["a", "r", "_c2"]


def test_equal_grouping_sets_are_told_apart(env, rows):
    """Also on a stream, where rows of equal sets would be added up otherwise."""
    counted = env.sql_query(
        "SELECT k, COUNT(*), GROUP_ID(), GROUPING(k) FROM (VALUES ('a'), ('a'), ('b')) AS t(k) GROUP BY GROUPING SETS ((k), (k), ())"
    )
    assert sorted(rows(counted), key=str) == [
        ("a", 2, 0, 0),
        ("a", 2, 1, 0),
        ("b", 1, 0, 0),
        ("b", 1, 1, 0),
        (None, 3, 0, 1),
    ]


def test_using_keeps_both_sides_for_qualified_names(env, rows):
    joined = env.sql_query(
        "SELECT l.a AS x, r.a AS y, a FROM (VALUES (1), (2)) AS l(a) FULL JOIN (VALUES (2), (3)) AS r(a) USING (a)"
    )
    assert sorted(rows(joined), key=str) == [(1, None, 1), (2, 2, 2), (None, 3, 3)]
    everything = env.sql_query("SELECT * FROM (VALUES (1)) AS l(a) FULL JOIN (VALUES (2)) AS r(a) USING (a)")
    assert sorted(rows(everything)) == [(1,), (2,)]


def test_a_query_can_be_the_table_of_a_table_function(stream, rows):
    assert rows(stream.sql_query("SELECT op, k FROM TO_CHANGELOG(input => (SELECT 'a' AS k))")) == [("INSERT", "a")]
