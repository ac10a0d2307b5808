"""The seeded TPC-DS tables as frames with the types of `schema.py`."""

from __future__ import annotations

from pathlib import Path

import dimensions
import facts
import numpy as np
import polars as pl
from dimensions import Columns
from schema import FRAME_TYPES, TABLES

FACTS = ("store_sales", "store_returns", "catalog_sales", "catalog_returns", "web_sales", "web_returns")


def tables(seed: int = 7) -> dict[str, pl.DataFrame]:
    """All 24 tables."""
    rng = np.random.default_rng(seed)
    columns: dict[str, Columns] = dimensions.shops(rng) | dimensions.people(rng)
    columns |= {"item": dimensions.items(rng), "time_dim": dimensions.times()}
    items = len(columns["item"]["i_item_sk"])
    customer = pl.DataFrame({k: pl.Series(list(v)) for k, v in columns["customer"].items()})
    sales = columns["store_sales"] = facts.store_sales(rng, customer, items)
    returned = columns["store_returns"] = facts.store_returns(rng, sales)
    for prefix, name, size in (("cs", "catalog", 9_000), ("ws", "web", 7_000)):
        sales = columns[f"{name}_sales"] = facts.shipped_sales(rng, prefix, customer, items, returned, size)
        columns[f"{name}_returns"] = facts.shipped_returns(rng, sales, prefix)
    columns["inventory"] = facts.inventory(rng, items)
    frames = {name: _frame(name, given) for name, given in columns.items()}
    days = dimensions.dates()
    frames["date_dim"] = days.cast({name: FRAME_TYPES[letter] for name, letter in TABLES["date_dim"].items()})
    return frames


def _frame(table: str, given: Columns) -> pl.DataFrame:
    """The table with all its columns in order; those that were not made are NULL. Money of facts is given in cents."""
    unknown = given.keys() - TABLES[table].keys()
    assert not unknown, f"{table} has no {unknown}"
    height = len(next(iter(given.values())))
    scale = 100 if table in FACTS else 1
    series = []
    for name, letter in TABLES[table].items():
        dtype = FRAME_TYPES[letter]
        values = list(given.get(name, [None] * height))
        if letter in "mpc" and name in given:
            column = (pl.Series(name, values, dtype=pl.Float64) / scale).round(2).cast(dtype)
        else:
            column = _whole(name, values) if letter == "i" else pl.Series(name, values, dtype=dtype)
        series.append(column)
    return pl.DataFrame(series)


def _whole(name: str, values: list[object]) -> pl.Series:
    return pl.Series(name, values, dtype=pl.Float64, strict=False).fill_nan(None).cast(pl.Int32)


def write(folder: Path) -> None:
    """Writes every table as `<name>.parquet`."""
    for name, frame in tables().items():
        frame.write_parquet(folder / f"{name}.parquet")
