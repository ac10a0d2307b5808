"""The flights program: two event streams in, one continuous SQL job over them, three event streams out, checked against batch.

`publish` writes the flights and the weather reports of 2013 as event streams on files. `start` runs one job over them, which gives
the delays per origin and hour, the carriers with most delay minutes per origin so far, and each flight with the weather valid when it
was scheduled to leave. `check` asks the same questions in batch mode and compares.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from tableapi import DataTypes, EnvironmentSettings, TableEnvironment
from tableapi.connectors.filelog import EventLog
from tableapi.demo import data
from tableapi.result import TableResult

PARTITIONS = 4

SOURCES = """
CREATE TABLE flights (
  origin STRING, dest STRING, carrier STRING, flight INT,
  scheduled TIMESTAMP(3), delay_minutes INT, distance_miles INT,
  WATERMARK FOR scheduled AS scheduled - INTERVAL '1' DAY
) WITH ('connector' = 'filelog', 'path' = '{path}', 'topic' = 'flights', 'scan.bounded.mode' = 'latest-offset');

CREATE TABLE weather (
  origin STRING, observed TIMESTAMP(3),
  temperature_f DOUBLE, wind_mph DOUBLE, rain_inches DOUBLE, visibility_miles DOUBLE,
  WATERMARK FOR observed AS observed,
  PRIMARY KEY (origin) NOT ENFORCED
) WITH ('connector' = 'filelog', 'path' = '{path}', 'topic' = 'weather', 'scan.bounded.mode' = 'latest-offset');
"""

SINKS = """
CREATE TABLE hourly_delays (
  origin STRING, window_start TIMESTAMP(3), window_end TIMESTAMP(3),
  departures BIGINT, mean_delay DOUBLE, max_delay INT
) WITH ('connector' = 'filelog', 'path' = '{path}', 'topic' = 'hourly_delays');

CREATE TABLE worst_carriers (
  origin STRING, place BIGINT, carrier STRING, delay_minutes BIGINT,
  PRIMARY KEY (origin, place) NOT ENFORCED
) WITH ('connector' = 'filelog', 'path' = '{path}', 'topic' = 'worst_carriers');

CREATE TABLE flights_in_weather (
  origin STRING, carrier STRING, flight INT, scheduled TIMESTAMP(3), delay_minutes INT,
  observed TIMESTAMP(3), wind_mph DOUBLE, rain_inches DOUBLE, visibility_miles DOUBLE
) WITH ('connector' = 'filelog', 'path' = '{path}', 'topic' = 'flights_in_weather');
"""

QUERIES = {
    "hourly_delays": """
SELECT origin, window_start, window_end,
       COUNT(delay_minutes) AS departures,
       AVG(CAST(delay_minutes AS DOUBLE)) AS mean_delay,
       MAX(delay_minutes) AS max_delay
FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(scheduled), INTERVAL '1' HOUR))
GROUP BY origin, window_start, window_end""",
    "worst_carriers": """
SELECT origin, place, carrier, delay_minutes FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY origin ORDER BY delay_minutes DESC, carrier) AS place FROM (
    SELECT origin, carrier, SUM(CAST(delay_minutes AS BIGINT)) AS delay_minutes
    FROM flights WHERE delay_minutes > 0 GROUP BY origin, carrier))
WHERE place <= 3""",
    "flights_in_weather": """
SELECT f.origin, f.carrier, f.flight, f.scheduled, f.delay_minutes,
       w.observed, w.wind_mph, w.rain_inches, w.visibility_miles
FROM flights AS f
LEFT JOIN weather FOR SYSTEM_TIME AS OF f.scheduled AS w ON f.origin = w.origin""",
}

FLIGHTS_SCHEMA = {
    "origin": DataTypes.STRING(),
    "dest": DataTypes.STRING(),
    "carrier": DataTypes.STRING(),
    "flight": DataTypes.INT(),
    "scheduled": DataTypes.TIMESTAMP(3),
    "delay_minutes": DataTypes.INT(),
    "distance_miles": DataTypes.INT(),
}

WEATHER_SCHEMA = {
    "origin": DataTypes.STRING(),
    "observed": DataTypes.TIMESTAMP(3),
    "temperature_f": DataTypes.DOUBLE(),
    "wind_mph": DataTypes.DOUBLE(),
    "rain_inches": DataTypes.DOUBLE(),
    "visibility_miles": DataTypes.DOUBLE(),
}


def publish(path: Path) -> dict[str, int]:
    """Writes the flights and the weather as event streams keyed by origin; gives the number of events per stream."""
    counts = {}
    with EventLog(path) as log:
        for topic, schema, time, frame in (
            ("flights", FLIGHTS_SCHEMA, "scheduled", data.flights()),
            ("weather", WEATHER_SCHEMA, "observed", data.weather()),
        ):
            log.create(topic, schema, key="origin", event_time=time, partitions=PARTITIONS)
            log.append(topic, frame)
            counts[topic] = frame.height
    return counts


def _environment(path: Path, settings: EnvironmentSettings, *scripts: str) -> TableEnvironment:
    env = TableEnvironment.create(settings)
    quoted = str(path).replace("'", "''")
    for script in scripts:
        for statement in script.format(path=quoted).split(";"):
            if statement.strip():
                env.execute_sql(statement)
    return env


def stream_environment(path: Path, parallelism: int = 2) -> TableEnvironment:
    """A session in which the two input streams and the three output streams are tables."""
    env = _environment(path, EnvironmentSettings.in_streaming_mode(), SOURCES, SINKS)
    env.get_config().set("parallelism.default", str(parallelism))
    env.get_config().set("pipeline.max-batch-rows", "8192")
    return env


def start(env: TableEnvironment) -> TableResult:
    """Starts the one job that writes all three output streams."""
    statements = env.create_statement_set()
    for table, query in QUERIES.items():
        statements.add_insert_sql(f"INSERT INTO {table} {query}")
    return statements.execute()


@dataclass(frozen=True)
class Check:
    """One comparison: rows that the stream gave, rows that batch gives, and whether they are the same rows."""

    stream: str
    stream_rows: int
    batch_rows: int
    is_equal: bool


def check(path: Path) -> list[Check]:
    """Asks the same questions in batch mode and compares the answers with what stands in the output streams."""
    env = _environment(path, EnvironmentSettings.in_batch_mode(), SOURCES)
    checks = []
    with EventLog(path) as log:
        for topic, query in QUERIES.items():
            expected = env.sql_query(query).to_polars()
            written = latest(log, topic)
            same = written.select(expected.columns).sort(expected.columns).equals(expected.sort(expected.columns))
            checks.append(Check(topic, written.height, expected.height, same))
    return checks


def latest(log: EventLog, topic: str) -> pl.DataFrame:
    """The rows of an output stream: all events, or the newest of each key of an upsert stream."""
    frame = log.read(topic)
    key = list(log.describe(topic).schema.key)
    return frame.unique(key, keep="last", maintain_order=True) if key else frame
