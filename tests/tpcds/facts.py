"""Seeded fact tables of TPC-DS. Sales refer to existing keys; returns refer to sales; the three channels share customers and items."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from dimensions import Columns, date_key, with_nulls

Ints = np.ndarray[Any, Any]

FIRST, LAST = date_key("1998-01-02"), date_key("2002-12-31")
BUSY_DAYS = ("1998-12-12", "1999-02-21", "1999-11-06", "2000-01-27", "2000-04-03", "2000-12-02", "2001-01-20", "2001-04-14")
RETURN_DAYS = ("2000-06-30", "2000-09-27", "2000-11-17")
FLAT_DAY = "2000-03-14"
"""On this day every channel sells the same few items once, for the same price."""


def _days(rng: np.random.Generator, size: int, busy: tuple[str, ...], share: float) -> Ints:
    """Days of five years, a share of them on a few busy days."""
    usual = rng.integers(FIRST, LAST, size)
    special = np.array([date_key(d) for d in busy])[rng.integers(0, len(busy), size)]
    return np.where(rng.random(size) < share, special, usual)


def _baskets(rng: np.random.Generator, size: int, long_share: float) -> Ints:
    """Basket numbers from 1 for `size` lines: small baskets of up to five lines, and long ones of up to nineteen."""
    lengths = np.where(rng.random(size) < long_share, rng.integers(8, 20, size), rng.integers(1, 6, size))
    return np.repeat(np.arange(1, size + 1), lengths)[:size]


def _prices(rng: np.random.Generator, prefix: str, quantity: Ints, cost: Ints, price: Ints, shipped: bool) -> Columns:
    """The money columns in cents; what is not drawn follows from the rest."""
    size = len(quantity)
    sales = (price * rng.choice((0.2, 0.5, 0.8, 1.0), size)).astype(int)
    coupon = np.where(rng.random(size) < 0.2, sales * quantity // 4, 0)
    tax = (sales * quantity * rng.choice((0.0, 0.02, 0.08), size)).astype(int)
    paid = sales * quantity - coupon
    columns = {
        "quantity": quantity,
        "wholesale_cost": cost,
        "list_price": price,
        "sales_price": sales,
        "ext_discount_amt": (price - sales) * quantity,
        "ext_sales_price": sales * quantity,
        "ext_wholesale_cost": cost * quantity,
        "ext_list_price": price * quantity,
        "ext_tax": tax,
        "coupon_amt": coupon,
        "net_paid": paid,
        "net_paid_inc_tax": paid + tax,
        "net_profit": paid - cost * quantity,
    }
    if shipped:
        shipping = (price * quantity * rng.uniform(0.0, 0.4, size)).astype(int)
        columns |= {
            "ext_ship_cost": shipping,
            "net_paid_inc_ship": paid + shipping,
            "net_paid_inc_ship_tax": paid + shipping + tax,
        }
    return {f"{prefix}_{name}": values for name, values in columns.items()}


def _party(customer: pl.DataFrame, keys: Ints, prefix: str) -> Columns:
    """A customer and the demographics and address that it has."""
    found = customer[(keys - 1).tolist()]
    return {
        f"{prefix}customer_sk": keys,
        f"{prefix}cdemo_sk": found["c_current_cdemo_sk"].to_numpy(allow_copy=True),
        f"{prefix}hdemo_sk": found["c_current_hdemo_sk"].to_numpy(allow_copy=True),
        f"{prefix}addr_sk": found["c_current_addr_sk"].to_numpy(allow_copy=True),
    }


def _customers(rng: np.random.Generator, size: int, count: int) -> Ints:
    """Customers, some of whom buy far more than others."""
    return (rng.random(size) ** 1.6 * count).astype(int) + 1


def store_sales(rng: np.random.Generator, customer: pl.DataFrame, items: int, size: int = 14_000) -> Columns:
    """Sales in stores, in cents."""
    ticket = _baskets(rng, size, 0.5)
    tickets = int(ticket[-1]) + 1
    buyer = _customers(rng, tickets, customer.height)[ticket]
    item = rng.integers(1, items + 1, size)
    item = np.where(rng.random(size) < 0.15, 7, item)
    cost = rng.integers(100, 8_000, size)
    columns = {
        "ss_sold_date_sk": _days(rng, tickets, BUSY_DAYS, 0.25)[ticket],
        "ss_sold_time_sk": (rng.integers(8 * 6, 22 * 6, tickets) * 600)[ticket],
        "ss_item_sk": item,
        **_party(customer, buyer, "ss_"),
        "ss_store_sk": with_nulls(rng, rng.integers(1, 9, tickets), 0.04)[ticket],
        "ss_promo_sk": with_nulls(rng, rng.integers(1, 11, size), 0.3),
        "ss_ticket_number": ticket,
        **_prices(rng, "ss", rng.integers(1, 101, size), cost, (cost * rng.uniform(1, 3, size)).astype(int), False),
    }
    columns["ss_addr_sk"] = _moved(rng, columns["ss_addr_sk"], ticket, 160)
    return _sold_flat(columns, "ss")


def _moved(rng: np.random.Generator, address: Ints, basket: Ints, addresses: int) -> Ints:
    """The address of a purchase: for a third of the baskets not the one where the customer lives; sometimes unknown."""
    baskets = int(basket[-1]) + 1
    elsewhere = rng.integers(1, addresses + 1, baskets)[basket]
    return with_nulls(rng, np.where((rng.random(baskets) < 0.33)[basket], elsewhere, address), 0.03)


def _sold_flat(columns: Columns, prefix: str) -> Columns:
    """Makes the last lines sales of FLAT_DAY: each of thirty items once, at one price."""
    last = slice(-30, None)
    columns[f"{prefix}_sold_date_sk"][last] = date_key(FLAT_DAY)
    columns[f"{prefix}_item_sk"][last] = np.arange(1, 31) * 2
    for name, value in (("quantity", 10), ("sales_price", 2_000), ("ext_sales_price", 20_000)):
        columns[f"{prefix}_{name}"][last] = value
    return columns


def shipped_sales(
    rng: np.random.Generator, prefix: str, customer: pl.DataFrame, items: int, returned: Columns, size: int
) -> Columns:
    """Catalog (cs) or web (ws) sales, in cents; the last sixth repeat what somebody returned to a store, some weeks later."""
    order = _baskets(rng, size, 0.1)
    orders = int(order[-1]) + 1
    buyer = _customers(rng, orders, customer.height)[order]
    item = rng.integers(1, items + 1, size)
    sold = _days(rng, orders, BUSY_DAYS, 0.25)[order]
    repeated = size // 6
    source = rng.integers(0, len(returned["sr_item_sk"]), repeated)
    tail = slice(size - repeated, None)
    order[tail] = order[size - repeated - 1] + 1 + np.arange(repeated)
    buyer[tail], item[tail] = returned["sr_customer_sk"][source], returned["sr_item_sk"][source]
    sold[tail] = np.minimum(returned["sr_returned_date_sk"][source] + rng.integers(0, 60, repeated), LAST)
    other = np.where(rng.random(size) < 0.7, buyer, _customers(rng, size, customer.height))
    cost = rng.integers(100, 8_000, size)
    columns = {
        "sold_date_sk": sold,
        "sold_time_sk": rng.integers(0, 144, size) * 600,
        "ship_date_sk": sold + rng.integers(2, 130, size),
        **_party(customer, buyer, "bill_"),
        **_party(customer, other, "ship_"),
        "ship_mode_sk": rng.integers(1, 13, size),
        "warehouse_sk": with_nulls(rng, rng.integers(1, 6, size), 0.02),
        "item_sk": item,
        "promo_sk": with_nulls(rng, rng.integers(1, 11, size), 0.3),
        "order_number": order,
    }
    columns["ship_customer_sk"] = with_nulls(rng, columns["ship_customer_sk"], 0.04)
    columns["ship_addr_sk"] = with_nulls(rng, columns["ship_addr_sk"], 0.04)
    own = {"cs": {"call_center_sk": 4, "catalog_page_sk": 30}, "ws": {"web_page_sk": 12, "web_site_sk": 6}}[prefix]
    columns |= {name: rng.integers(1, count + 1, size) for name, count in own.items()}
    quantity = rng.integers(1, 101, size)
    price = (cost * rng.uniform(1, 3, size)).astype(int)
    columns = {f"{prefix}_{name}": values for name, values in columns.items()} | _prices(
        rng, prefix, quantity, cost, price, True
    )
    return _sold_flat(columns, prefix)


def _returns(rng: np.random.Generator, sales: Columns, prefix: str, share: float) -> tuple[Ints, Columns]:
    """(which sales came back, the columns that all kinds of returns have, without prefix)."""
    size = len(sales[f"{prefix}_item_sk"])
    which = np.flatnonzero(rng.random(size) < share)
    count = len(which)
    bought = sales[f"{prefix}_quantity"][which]
    quantity = np.where(rng.random(count) < 0.4, bought, rng.integers(1, bought + 1))
    amount = quantity * sales[f"{prefix}_sales_price"][which]
    sold = sales[f"{prefix}_sold_date_sk"][which]
    special = np.array([date_key(d) for d in RETURN_DAYS])[rng.integers(0, len(RETURN_DAYS), count)]
    near = (special > sold) & (special - sold < 200) & (rng.random(count) < 0.6)
    tax, fee, shipping = amount * 2 // 100, rng.integers(50, 10_000, count), rng.integers(0, 5_000, count)
    cash = (amount * rng.choice((0.1, 0.3, 0.6), count)).astype(int)
    charge = (amount - cash) // 2
    return which, {
        "returned_date_sk": np.where(near, special, sold + rng.integers(1, 140, count)),
        "reason_sk": rng.integers(1, 9, count),
        "return_quantity": quantity,
        "return_tax": tax,
        "return_amt_inc_tax": amount + tax,
        "fee": fee,
        "return_ship_cost": shipping,
        "refunded_cash": cash,
        "reversed_charge": charge,
        "net_loss": fee + shipping + tax,
        "$amount": amount,
        "$credit": amount - cash - charge,
    }


def store_returns(rng: np.random.Generator, sales: Columns) -> Columns:
    """What came back to the stores, in cents."""
    which, common = _returns(rng, sales, "ss", 0.22)
    same = {
        f"sr_{n}": sales[f"ss_{n}"][which] for n in ("item_sk", "customer_sk", "cdemo_sk", "hdemo_sk", "addr_sk", "store_sk")
    }
    return same | {
        "sr_ticket_number": sales["ss_ticket_number"][which],
        "sr_return_time_sk": rng.integers(8 * 6, 22 * 6, len(which)) * 600,
        "sr_return_amt": common.pop("$amount"),
        "sr_store_credit": common.pop("$credit"),
        **{f"sr_{name}": values for name, values in common.items()},
    }


def shipped_returns(rng: np.random.Generator, sales: Columns, prefix: str) -> Columns:
    """What came back by post of catalog (cs) or web (ws) sales, in cents."""
    which, common = _returns(rng, sales, prefix, 0.25)
    returned = f"{prefix[0]}r"
    columns = {
        **{f"refunded_{n}": sales[f"{prefix}_bill_{n}"][which] for n in ("customer_sk", "cdemo_sk", "hdemo_sk", "addr_sk")},
        **{f"returning_{n}": sales[f"{prefix}_ship_{n}"][which] for n in ("customer_sk", "cdemo_sk", "hdemo_sk", "addr_sk")},
        "item_sk": sales[f"{prefix}_item_sk"][which],
        "order_number": sales[f"{prefix}_order_number"][which],
        "returned_time_sk": rng.integers(0, 144, len(which)) * 600,
        "return_amount" if prefix == "cs" else "return_amt": common.pop("$amount"),
        "store_credit" if prefix == "cs" else "account_credit": common.pop("$credit"),
        **common,
    }
    same = ("call_center_sk", "catalog_page_sk", "ship_mode_sk", "warehouse_sk") if prefix == "cs" else ("web_page_sk",)
    columns |= {name: sales[f"{prefix}_{name}"][which] for name in same}
    return {f"{returned}_{name}": values for name, values in columns.items()}


def inventory(rng: np.random.Generator, items: int) -> Columns:
    """A weekly count of every other item in three warehouses; few counts are very high."""
    weeks = np.arange(FIRST, LAST, 7)
    day, item, warehouse = (g.ravel() for g in np.meshgrid(weeks, np.arange(1, items + 1, 2), np.arange(1, 4), indexing="ij"))
    quantity = np.minimum(rng.lognormal(4.2, 1.4, len(day)), 1_000).astype(int)
    return {
        "inv_date_sk": day,
        "inv_item_sk": item,
        "inv_warehouse_sk": warehouse,
        "inv_quantity_on_hand": with_nulls(rng, quantity, 0.03),
    }
