"""Processing time, in endless jobs whose clock the test moves: results are those of the same query over a column with the times of arrival."""

import datetime
import time

import polars as pl
import pytest

from tableapi import EnvironmentSettings, TableEnvironment
from tableapi.connectors.filelog import EventLog
from tableapi.testing import JobClock
from tableapi.types import DataTypes

START_MS = 1_700_000_000_000
ARRIVALS = [
    (0, [("a", 1), ("b", 2)]),
    (3_000, [("a", 3)]),
    (11_000, [("b", 4), ("a", 5), ("c", 6)]),
    (12_500, [("c", 7)]),
    (31_000, [("a", 8), ("c", 9)]),
]
END_MS = 100_000
TVF = "SELECT k, window_start, window_end, COUNT(*), SUM(v), MIN(v) FROM TABLE({window}) GROUP BY k, window_start, window_end"
QUERIES = {
    "TUMBLE": TVF.format(window="TUMBLE(TABLE ev, DESCRIPTOR({t}), INTERVAL '10' SECOND, INTERVAL '2' SECOND)"),
    "HOP": TVF.format(window="HOP(TABLE ev, DESCRIPTOR({t}), INTERVAL '2' SECOND, INTERVAL '10' SECOND)"),
    "CUMULATE": TVF.format(window="CUMULATE(TABLE ev, DESCRIPTOR({t}), INTERVAL '5' SECOND, INTERVAL '20' SECOND)"),
    "SESSION": TVF.format(window="SESSION(TABLE ev PARTITION BY k, DESCRIPTOR({t}), INTERVAL '9' SECOND)"),
    "distinct": "SELECT window_start, COUNT(DISTINCT k) FROM TABLE(HOP(TABLE ev, DESCRIPTOR({t}), INTERVAL '5' SECOND, INTERVAL '20' SECOND)) "
    "GROUP BY window_start, window_end",
    "cascade": "SELECT window_end, MAX(s) FROM (SELECT k, window_start, window_end, SUM(v) AS s FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR({t}), "
    "INTERVAL '10' SECOND)) GROUP BY k, window_start, window_end) GROUP BY window_start, window_end",
    "rows of sessions": "SELECT v, window_start, window_end FROM TABLE(SESSION(TABLE ev PARTITION BY k, DESCRIPTOR({t}), INTERVAL '9' SECOND))",
    "group TUMBLE": "SELECT k, TUMBLE_START({t}, INTERVAL '10' SECOND), SUM(v) FROM ev GROUP BY k, TUMBLE({t}, INTERVAL '10' SECOND)",
    "group HOP": "SELECT k, HOP_END({t}, INTERVAL '5' SECOND, INTERVAL '10' SECOND), SUM(v) FROM ev "
    "GROUP BY k, HOP({t}, INTERVAL '5' SECOND, INTERVAL '10' SECOND)",
    "OVER rows": "SELECT v, SUM(v) OVER (PARTITION BY k ORDER BY {t} ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM ev",
    "OVER range": "SELECT v, SUM(v) OVER (PARTITION BY k ORDER BY {t} RANGE BETWEEN INTERVAL '15' SECOND PRECEDING AND CURRENT ROW) FROM ev",
    "OVER all": "SELECT v, COUNT(*) OVER (PARTITION BY k ORDER BY {t} ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM ev",
    "interval join": "SELECT a.v, b.v FROM ev a JOIN ev b ON a.k = b.k AND a.{t} BETWEEN b.{t} - INTERVAL '9' SECOND AND b.{t}",
    "first": "SELECT k, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY {t}) AS n FROM ev) WHERE n = 1",
    "order": "SELECT v FROM ev ORDER BY {t}",
}


def expected(query):
    """The result as batch, with the times of arrival as a column."""
    env = TableEnvironment.create(EnvironmentSettings.in_batch_mode())
    at = datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=START_MS)
    rows = [(k, v, at + datetime.timedelta(milliseconds=ms)) for ms, batch in ARRIVALS for k, v in batch]
    schema = DataTypes.ROW([DataTypes.FIELD("k", DataTypes.STRING()), DataTypes.FIELD("v", DataTypes.INT())])
    schema = DataTypes.ROW([*schema.fields, DataTypes.FIELD("ts", DataTypes.TIMESTAMP(3))])
    env.create_temporary_view("ev", env.from_elements(rows, schema))
    return sorted(tuple(r) for r in env.sql_query(query.format(t="ts")).execute().collect())


class Job:
    """A query over a log of two partitions; the clock stands still while rows are on their way."""

    def __init__(self, directory, query, parallelism):
        self.clock = JobClock(directory / "clock", START_MS)
        self.log = EventLog(directory / "log")
        self.log.create("ev", {"k": DataTypes.STRING(), "v": DataTypes.INT()}, partitions=2)
        env = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
        for key, value in {
            "parallelism.default": parallelism,
            "pipeline.check-edges": "true",
            "pipeline.clock-file": self.clock.path,
        }.items():
            env.get_config().set(key, str(value))
        env.execute_sql(
            f"CREATE TABLE ev (k STRING, v INT, p AS PROCTIME()) WITH ('connector' = 'filelog', 'path' = '{directory / 'log'}', 'topic' = 'ev')"
        )
        self.result = env.sql_query(query.format(t="p")).execute()
        self.rows = self.result.collect()
        self.handle = self.result.get_job_client()._execution.handle
        self.sent, self.sides = 0, query.count("ev a") + query.count("ev b") or 1

    def append(self, rows):
        for number, row in enumerate(rows):
            frame = pl.DataFrame([row], schema={"k": pl.String(), "v": pl.Int32()}, orient="row")
            self.log.append("ev", frame, partition=(self.sent + number) % 2)
        self.sent += len(rows)

    def settle(self):
        """Until the first step that keeps anything has taken all rows; the state is shown between two batches."""
        deadline_s, taken = time.monotonic() + 20, 0
        while taken != self.sent * self.sides:
            assert time.monotonic() < deadline_s, self.handle.why_no_output()
            step = next((v for v in self.handle.metrics().vertices if not v.name.startswith(("Source", "Calc"))), None)
            taken = 0 if step is None else step.rows_in
            time.sleep(0.002)
        self.handle.state()


@pytest.mark.parametrize(
    ("name", "parallelism"), [*((n, 1) for n in QUERIES), ("HOP", 2), ("rows of sessions", 2), ("interval join", 2)]
)
def test_results_follow_the_clock(name, parallelism, tmp_path):
    wanted = expected(QUERIES[name])
    assert wanted
    job = Job(tmp_path, QUERIES[name], parallelism)
    for at_ms, rows in ARRIVALS:
        while (now_ms := job.clock.now_ms() - START_MS) < at_ms:
            job.clock.advance(min(500, at_ms - now_ms))
        job.append(rows)
        job.settle()
    job.clock.advance(END_MS)
    got = [job.rows.next() for _ in wanted]
    job.rows.close()
    assert sorted(tuple(r) for r in got) == wanted
