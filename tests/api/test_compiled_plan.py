"""Plans can be stored as JSON and run later."""

from __future__ import annotations

import json

import pytest

from tableapi import PlanReference
from tableapi.errors import AlreadyExistsError, UnknownNameError, UnsupportedError, ValidationError
from tableapi.expressions import col
from tableapi.plan.json_form import plans_from_json, plans_to_json
from tableapi.udf import udf

QUERIES = [
    "SELECT 1, 'x', 1.5, 1e0, TRUE, CAST(NULL AS INT), DATE '2024-01-01', TIME '01:02:03', TIMESTAMP '2024-01-01 00:00:00.5'",
    "SELECT k, SUM(v) AS s, COUNT(DISTINCT v) FILTER (WHERE v > 1) FROM t GROUP BY k HAVING SUM(v) > 0 ORDER BY s DESC LIMIT 3",
    "SELECT a.k, b.v FROM t AS a LEFT JOIN t AS b ON a.k = b.k AND a.v < b.v WHERE a.v IN (1, 2) OR a.k LIKE 'x%'",
    "SELECT k, v FROM t UNION ALL SELECT k, v + 1 FROM t EXCEPT SELECT k, 2 FROM t",
    "SELECT * FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v DESC) AS rn FROM t) WHERE rn <= 2",
    "SELECT window_start, k, COUNT(*) FROM TUMBLE(TABLE events, DESCRIPTOR(ts), INTERVAL '1' MINUTE) "
    "GROUP BY window_start, window_end, k",
    "SELECT k, x FROM t CROSS JOIN UNNEST(ARRAY[v, 1]) AS u(x)",
    "SELECT k FROM t WHERE v = (SELECT MAX(v) FROM t)",
]


@pytest.fixture
def session(env, tmp_path):
    env.create_temporary_view("t", env.from_elements([("a", 1), ("a", 2), ("b", 3)], ["k", "v"]))
    env.execute_sql(
        "CREATE TABLE events (k STRING, d AS UPPER(k), ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) "
        f"WITH ('connector' = 'filesystem', 'path' = '{tmp_path}/in', 'format' = 'json')"
    )
    env.execute_sql(
        f"CREATE TABLE goal (k STRING, v BIGINT) WITH ('connector' = 'filesystem', 'path' = '{tmp_path}/out', 'format' = 'csv')"
    )
    return env


@pytest.mark.parametrize("query", QUERIES)
def test_every_plan_comes_back_equal(session, query):
    plan = session._builder().collect(session.sql_query(query)._relation)
    assert plans_from_json(plans_to_json([plan])) == (plan,)


def test_compile_store_load_execute(session, rows, tmp_path):
    file = tmp_path / "plan.json"
    compiled = session.compile_plan_sql("INSERT INTO goal SELECT k, v FROM t WHERE v > 1")
    compiled.write_to_file(file)
    assert json.loads(file.read_text())["version"] == 1
    assert "Sink" in compiled.explain()
    with pytest.raises(AlreadyExistsError):
        compiled.write_to_file(file)
    compiled.write_to_file(file, ignore_if_exists=True)
    session.execute_plan(PlanReference.from_file(file)).wait()
    assert rows(session.from_path("goal")) == [("a", 2), ("b", 3)]
    again = session.load_plan(PlanReference.from_json_string(compiled.as_json_string()))
    assert again.as_smile_bytes() == compiled.as_smile_bytes()


def test_sql_statements(session, rows, tmp_path):
    session.execute_sql(f"COMPILE PLAN '{tmp_path}/p.json' FOR INSERT INTO goal SELECT 'x', 1")
    session.execute_sql(f"EXECUTE PLAN '{tmp_path}/p.json'").wait()
    assert rows(session.from_path("goal")) == [("x", 1)]
    statement = f"COMPILE AND EXECUTE PLAN '{tmp_path}/p.json' IF NOT EXISTS FOR INSERT INTO goal SELECT 'y', 2"
    session.execute_sql(statement).wait()
    assert rows(session.from_path("goal")) == [("x", 1), ("x", 1)]


def test_pipelines_and_sets(session):
    t = session.from_path("t")
    pipeline = t.insert_into("goal")
    both = session.create_statement_set().add(pipeline).add_insert("goal", t)
    assert len(plans_from_json(both.compile_plan().as_json_string())) == 2
    assert plans_from_json(pipeline.compile_plan().as_json_string()) == (pipeline._sink,)


def test_what_cannot_be_stored_or_read(session, tmp_path):
    shout = udf(lambda s: s + "!", result_type="STRING", name="shout")
    pipeline = session.from_path("t").select(shout(col("k")), col("v")).insert_into("goal")
    with pytest.raises(UnsupportedError, match="shout"):
        pipeline.compile_plan().as_json_string()
    with pytest.raises(ValidationError, match="not a stored plan"):
        session.load_plan(PlanReference.from_json_string("{}"))
    with pytest.raises(ValidationError, match="not a stored plan"):
        session.load_plan(PlanReference.from_json_string("SELECT 1"))
    with pytest.raises(ValidationError, match="version 99"):
        session.load_plan(PlanReference.from_json_string('{"format": "tableapi-plan", "version": 99, "plans": []}'))
    with pytest.raises(UnknownNameError):
        session.load_plan(PlanReference.from_file(tmp_path / "nope.json"))
    hostile = '{"format": "tableapi-plan", "version": 1, "plans": [{"@": "types.__builtins__"}]}'
    with pytest.raises(ValidationError, match="does not exist"):
        session.load_plan(PlanReference.from_json_string(hostile))


def test_functions_of_modules_are_named(session, rows, tmp_path, monkeypatch):
    (tmp_path / "shouting.py").write_text(
        "from tableapi.udf import udf\n@udf(result_type='STRING')\ndef shout(s):\n    return s + '!'\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import shouting

    pipeline = session.from_path("t").select(shouting.shout(col("k")), col("v")).insert_into("goal")
    text = pipeline.compile_plan().as_json_string()
    assert "shouting:shout" in text
    session.execute_plan(PlanReference.from_json_string(text)).wait()
    assert rows(session.from_path("goal")) == [("a!", 1), ("a!", 2), ("b!", 3)]
