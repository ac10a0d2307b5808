"""Rows that come too late are counted, warned about once, and can be looked at, in a job that runs and in one that has ended."""

import logging

import pytest

from tableapi import EnvironmentSettings, TableEnvironment

SECONDS = [1, 6, 12, 5, 20, 3, 31, 2]
TUMBLE = "SELECT window_start, COUNT(*) FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end"
QUERIES = {
    "tumble": TUMBLE,
    "hop": TUMBLE.replace("TUMBLE(TABLE", "HOP(TABLE").replace("INTERVAL", "INTERVAL '10' SECOND, INTERVAL"),
    "cumulate": TUMBLE.replace("TUMBLE(TABLE", "CUMULATE(TABLE").replace("INTERVAL", "INTERVAL '10' SECOND, INTERVAL"),
    "session": TUMBLE.replace("TUMBLE(TABLE", "SESSION(TABLE").replace("'10'", "'1'"),
    "session rows": "SELECT v, window_end FROM TABLE(SESSION(TABLE ev, DESCRIPTOR(ts), INTERVAL '1' SECOND))",
    "over": "SELECT v, COUNT(*) OVER (ORDER BY ts) FROM ev",
    "order": "SELECT v, ts FROM ev ORDER BY ts",
    "first": "SELECT v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY v ORDER BY ts) AS r FROM ev) WHERE r = 1",
    "window top": "SELECT v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY v) AS r FROM "
    "TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '10' SECOND))) WHERE r <= 2",
    "window join": "SELECT a.v FROM (SELECT * FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '10' SECOND))) a JOIN "
    "(SELECT * FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '10' SECOND))) b "
    "ON a.window_start = b.window_start AND a.window_end = b.window_end AND a.v = b.v",
    "interval join": "SELECT a.v FROM ev a JOIN ev b ON a.v = b.v + 100 AND a.ts BETWEEN b.ts AND b.ts + INTERVAL '1' SECOND",
    "match": "SELECT x FROM ev MATCH_RECOGNIZE (ORDER BY ts MEASURES A.v AS x PATTERN (A) DEFINE A AS A.v > 0)",
}
LATE = {3: 7_000, 5: 17_000, 7: 29_000}


def environment(tmp_path, parallelism=1):
    lines = [f'{{"v": {v}, "ts": "2024-03-10 08:00:{second:02}"}}' for v, second in enumerate(SECONDS)]
    (tmp_path / "ev.json").write_text("\n".join(lines))
    env = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    env.get_config().set("parallelism.default", str(parallelism))
    env.execute_sql(
        "CREATE TABLE ev (v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) "
        f"WITH ('connector' = 'filesystem', 'path' = '{tmp_path / 'ev.json'}', 'format' = 'json')"
    )
    return env


@pytest.mark.parametrize("name", QUERIES)
def test_every_operator_of_event_time_counts_and_keeps_late_rows(name, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "tableapi"):
        result = environment(tmp_path).execute_sql(QUERIES[name])
        list(result.collect())
        result.get_job_client().get_job_execution_result().result()
    counters = result.get_job_client().get_accumulators().result()
    tables = result.late_rows()
    sides = 2 if name in ("window join", "interval join") else 1
    assert counters["late_rows"] == sides * len(LATE)
    assert counters["late_max_ms"] >= 20_000
    assert len(tables) == sides
    for frame in tables.values():
        assert frame.columns[0] == "late_by_ms"
        assert frame.height == len(LATE)
        if not name.startswith("window"):
            assert frame["late_by_ms"].to_list() == list(LATE.values())
    warnings = [r.getMessage() for r in caplog.records if "too late" in r.getMessage()]
    assert len(warnings) == 1


def test_without_a_job_or_late_rows(tmp_path):
    assert environment(tmp_path).execute_sql("SHOW TABLES").late_rows() == {}
    result = environment(tmp_path).execute_sql("SELECT v FROM ev")
    list(result.collect())
    assert result.late_rows() == {}
