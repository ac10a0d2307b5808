"""What reaches a table with a key: upserts made from all rows of a key or only from the last one; sources whose changes repeat."""

import json
import sqlite3

import pytest


@pytest.fixture
def shop(stream, tmp_path):
    database = tmp_path / "shop.db"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE newest (n INTEGER PRIMARY KEY, k INTEGER)")
    stream.execute_sql(
        "CREATE TABLE newest (n BIGINT, k BIGINT, PRIMARY KEY (n) NOT ENFORCED) WITH ('connector' = 'jdbc', "
        f"'url' = 'jdbc:sqlite:{database}', 'table-name' = 'newest')"
    )
    stream.create_temporary_view("t", stream.from_elements([(1,), (1,), (2,)], ["k"]))
    stream.execute_sql("CREATE TEMPORARY VIEW counts AS SELECT COUNT(*) AS n, k FROM t GROUP BY k")
    return stream, database


@pytest.mark.parametrize(("wish", "is_materialized"), [("AUTO", True), ("NONE", False), ("FORCE", True)])
def test_rows_of_another_key_are_materialized_as_told(shop, wish, is_materialized):
    from tableapi.runtime.execute import plan_stream
    from tableapi.runtime.stream.changelog import UpsertMaterializeSpec

    env, _ = shop
    env.get_config().set("table.exec.sink.upsert-materialize", wish)
    statement = env._parse("INSERT INTO newest SELECT n, k FROM counts")
    graph = plan_stream([statement.sink], env._settings())
    assert any(isinstance(v.step, UpsertMaterializeSpec) for v in graph.vertices) is is_materialized
    swapped = env._parse("INSERT INTO newest SELECT k, n FROM counts")
    graph = plan_stream([swapped.sink], env._settings())
    assert any(isinstance(v.step, UpsertMaterializeSpec) for v in graph.vertices) is (wish == "FORCE")


def test_a_key_keeps_the_row_that_is_left(shop):
    env, database = shop
    env.execute_sql("INSERT INTO newest SELECT n, k FROM counts").wait()
    with sqlite3.connect(database) as connection:
        assert connection.execute("SELECT n, k FROM newest ORDER BY n").fetchall() == [(1, 2), (2, 1)]


def test_changes_that_come_twice_count_once(stream, tmp_path, rows):
    before, after = {"id": 1, "v": 5}, {"id": 1, "v": 7}
    changes = [{"op": "c", "after": before}, {"op": "u", "before": before, "after": after}]
    (tmp_path / "c.json").write_text("\n".join(json.dumps(c) for c in [*changes, changes[1]]) + "\n")
    stream.execute_sql(
        "CREATE TABLE c (id BIGINT, v BIGINT, PRIMARY KEY (id) NOT ENFORCED) WITH ('connector' = 'filesystem', "
        f"'path' = '{tmp_path}', 'format' = 'debezium-json')"
    )
    query = "SELECT SUM(v), COUNT(*) FROM c"
    stream.get_config().set("table.exec.source.cdc-events-duplicate", "true")
    assert rows(stream.sql_query(query)) == [(7, 1)]
