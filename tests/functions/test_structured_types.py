"""Goal: structured types, VARIANT and BITMAP are types like the others: written, printed, compared, grouped and collected."""

from __future__ import annotations

import pytest

import tableapi as ta
from tableapi import DataTypes
from tableapi.errors import TableApiError, TypeMismatchError, UnknownNameError
from tableapi.expressions import col, lit, object_of
from tableapi.sql import parse_type

POINT = DataTypes.STRUCTURED(
    "app.Point", [DataTypes.FIELD("x", DataTypes.INT().not_null()), DataTypes.FIELD("y", DataTypes.STRING().not_null())]
)


@pytest.fixture
def session() -> ta.TableEnvironment:
    return ta.TableEnvironment.create(ta.EnvironmentSettings.in_batch_mode())


@pytest.mark.parametrize(
    ("text", "data_type"),
    [
        ("STRUCTURED<'app.Point', x INT NOT NULL, `y` STRING NOT NULL>", POINT),
        ("STRUCTURED<'it''s'>", DataTypes.STRUCTURED("it's")),
        ("VARIANT NOT NULL", DataTypes.VARIANT(False)),
        ("BITMAP", DataTypes.BITMAP()),
        ("CHARACTER(3)", DataTypes.CHAR(3)),
        ("CHARACTER VARYING(3)", DataTypes.VARCHAR(3)),
        ("BINARY VARYING(3)", DataTypes.VARBINARY(3)),
    ],
)
def test_type_texts(text: str, data_type: ta.types.DataType) -> None:
    assert parse_type(text) == data_type
    assert parse_type(str(data_type)) == data_type


def values(session: ta.TableEnvironment, query: str) -> list[list[object]]:
    return [list(row) for row in session.sql_query(query).execute().collect()]


def test_objects_keep_their_class(session: ta.TableEnvironment) -> None:
    table = session.sql_query("SELECT OBJECT_OF('app.Point', 'x', 1, 'y', CAST('a' AS STRING)) AS p")
    assert str(table.get_resolved_schema().get_column_data_types()[0]) == str(POINT)
    assert values(
        session, "SELECT CAST(OBJECT_OF('app.Point', 'x', 1) AS STRING), JSON_STRING(OBJECT_OF('P', 'b', 1, 'a', 2))"
    ) == [["(x=1)", '{"a":2,"b":1}']]


def test_update_takes_the_type_of_the_new_value(session: ta.TableEnvironment) -> None:
    row = values(session, "SELECT OBJECT_UPDATE(OBJECT_OF('P', 'x', 1, 'y', 2), 'x', 'new').x")
    assert row == [["new"]]


def test_table_api(session: ta.TableEnvironment) -> None:
    table = session.from_elements([(1,)], ["a"])
    made = table.select(object_of("app.Point", "p", col("a")).object_update("p", lit("z")).get("p"))
    assert [list(r) for r in made.execute().collect()] == [["z"]]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("OBJECT_OF('not a class', 'x', 1)", TypeMismatchError),
        ("OBJECT_OF('P', 'x')", TypeMismatchError),
        ("OBJECT_OF('P', 'x', 1, 'x', 2)", TypeMismatchError),
        ("OBJECT_OF('P', CAST('x' AS STRING), 1)", TypeMismatchError),
        ("OBJECT_UPDATE(OBJECT_OF('P', 'x', 1), 'z', 2)", UnknownNameError),
        ("OBJECT_UPDATE(ROW(1), 'x', 2)", TypeMismatchError),
        ("COALESCE(OBJECT_OF('P', 'x', 1), OBJECT_OF('Q', 'x', 1))", TypeMismatchError),
    ],
)
def test_what_is_no_object(session: ta.TableEnvironment, call: str, error: type[TableApiError]) -> None:
    with pytest.raises(error):
        session.sql_query(f"SELECT {call}")


def test_group_join_and_print(session: ta.TableEnvironment, capsys: pytest.CaptureFixture[str]) -> None:
    session.execute_sql(
        "CREATE VIEW w AS SELECT PARSE_JSON('{\"b\": 1, \"a\": [2]}') v, BITMAP_BUILD(ARRAY[2, 1]) b, OBJECT_OF('P', 'x', 1) o"
    )
    assert values(session, "SELECT o.x, COUNT(*) FROM w GROUP BY o") == [[1, 1]]
    assert values(session, "SELECT l.b FROM w AS l JOIN w AS r ON l.o = r.o") == [[[1, 2]]]
    assert values(session, "SELECT JSON_STRING(v['a'][1]), v['c'] FROM w") == [["2", None]]
    session.sql_query("SELECT * FROM w").execute().print()
    shown = capsys.readouterr().out
    assert '{"a":[2],"b":1}' in shown
    assert "{1,2}" in shown
    assert "(x=1)" in shown
