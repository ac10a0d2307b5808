"""The 24 tables of TPC-DS: column names and types, in a short notation.

A column is its name and a letter: i INT, s STRING, d DATE, m DECIMAL(7, 2), p DECIMAL(5, 2), c DECIMAL(15, 2). A prefix
before the colon belongs to every column of the table.
"""

from __future__ import annotations

import polars as pl

SQL_TYPES = {"i": "INT", "s": "STRING", "d": "DATE", "m": "DECIMAL(7, 2)", "p": "DECIMAL(5, 2)", "c": "DECIMAL(15, 2)"}
FRAME_TYPES: dict[str, pl.DataType] = {
    "i": pl.Int32(),
    "s": pl.String(),
    "d": pl.Date(),
    "m": pl.Decimal(7, 2),
    "p": pl.Decimal(5, 2),
    "c": pl.Decimal(15, 2),
}

_ADDRESS = (
    "street_number s, street_name s, street_type s, suite_number s, city s, county s, state s, zip s, country s, gmt_offset p"
)
_PRICES = """wholesale_cost m, list_price m, sales_price m, ext_discount_amt m, ext_sales_price m, ext_wholesale_cost m,
    ext_list_price m, ext_tax m, coupon_amt m"""
_SHIPPED = f"""quantity i, {_PRICES}, ext_ship_cost m, net_paid m, net_paid_inc_tax m, net_paid_inc_ship m,
    net_paid_inc_ship_tax m, net_profit m"""
_PARTIES = "{0}_customer_sk i, {0}_cdemo_sk i, {0}_hdemo_sk i, {0}_addr_sk i"
_BILL_SHIP = f"{_PARTIES.format('bill')}, {_PARTIES.format('ship')}"
_REFUNDED_RETURNING = f"{_PARTIES.format('refunded')}, {_PARTIES.format('returning')}"

_TABLES = {
    "call_center": f"""cc: call_center_sk i, call_center_id s, rec_start_date d, rec_end_date d, closed_date_sk i, open_date_sk i,
        name s, class s, employees i, sq_ft i, hours s, manager s, mkt_id i, mkt_class s, mkt_desc s, market_manager s,
        division i, division_name s, company i, company_name s, {_ADDRESS}, tax_percentage p""",
    "catalog_page": """cp: catalog_page_sk i, catalog_page_id s, start_date_sk i, end_date_sk i, department s,
        catalog_number i, catalog_page_number i, description s, type s""",
    "catalog_returns": f"""cr: returned_date_sk i, returned_time_sk i, item_sk i, {_REFUNDED_RETURNING}, call_center_sk i,
        catalog_page_sk i, ship_mode_sk i, warehouse_sk i, reason_sk i, order_number i, return_quantity i, return_amount m,
        return_tax m, return_amt_inc_tax m, fee m, return_ship_cost m, refunded_cash m, reversed_charge m, store_credit m,
        net_loss m""",
    "catalog_sales": f"""cs: sold_date_sk i, sold_time_sk i, ship_date_sk i, {_BILL_SHIP}, call_center_sk i,
        catalog_page_sk i, ship_mode_sk i, warehouse_sk i, item_sk i, promo_sk i, order_number i, {_SHIPPED}""",
    "customer": """c: customer_sk i, customer_id s, current_cdemo_sk i, current_hdemo_sk i, current_addr_sk i,
        first_shipto_date_sk i, first_sales_date_sk i, salutation s, first_name s, last_name s, preferred_cust_flag s,
        birth_day i, birth_month i, birth_year i, birth_country s, login s, email_address s, last_review_date_sk i""",
    "customer_address": f"ca: address_sk i, address_id s, {_ADDRESS}, location_type s",
    "customer_demographics": """cd: demo_sk i, gender s, marital_status s, education_status s, purchase_estimate i,
        credit_rating s, dep_count i, dep_employed_count i, dep_college_count i""",
    "date_dim": """d: date_sk i, date_id s, date d, month_seq i, week_seq i, quarter_seq i, year i, dow i, moy i, dom i, qoy i,
        fy_year i, fy_quarter_seq i, fy_week_seq i, day_name s, quarter_name s, holiday s, weekend s, following_holiday s,
        first_dom i, last_dom i, same_day_ly i, same_day_lq i, current_day s, current_week s, current_month s,
        current_quarter s, current_year s""",
    "household_demographics": "hd: demo_sk i, income_band_sk i, buy_potential s, dep_count i, vehicle_count i",
    "income_band": "ib: income_band_sk i, lower_bound i, upper_bound i",
    "inventory": "inv: date_sk i, item_sk i, warehouse_sk i, quantity_on_hand i",
    "item": """i: item_sk i, item_id s, rec_start_date d, rec_end_date d, item_desc s, current_price m, wholesale_cost m,
        brand_id i, brand s, class_id i, class s, category_id i, category s, manufact_id i, manufact s, size s,
        formulation s, color s, units s, container s, manager_id i, product_name s""",
    "promotion": """p: promo_sk i, promo_id s, start_date_sk i, end_date_sk i, item_sk i, cost c, response_target i,
        promo_name s, channel_dmail s, channel_email s, channel_catalog s, channel_tv s, channel_radio s, channel_press s,
        channel_event s, channel_demo s, channel_details s, purpose s, discount_active s""",
    "reason": "r: reason_sk i, reason_id s, reason_desc s",
    "ship_mode": "sm: ship_mode_sk i, ship_mode_id s, type s, code s, carrier s, contract s",
    "store": f"""s: store_sk i, store_id s, rec_start_date d, rec_end_date d, closed_date_sk i, store_name s,
        number_employees i, floor_space i, hours s, manager s, market_id i, geography_class s, market_desc s,
        market_manager s, division_id i, division_name s, company_id i, company_name s, {_ADDRESS}, tax_percentage p""",
    "store_returns": """sr: returned_date_sk i, return_time_sk i, item_sk i, customer_sk i, cdemo_sk i, hdemo_sk i, addr_sk i,
        store_sk i, reason_sk i, ticket_number i, return_quantity i, return_amt m, return_tax m, return_amt_inc_tax m, fee m,
        return_ship_cost m, refunded_cash m, reversed_charge m, store_credit m, net_loss m""",
    "store_sales": f"""ss: sold_date_sk i, sold_time_sk i, item_sk i, customer_sk i, cdemo_sk i, hdemo_sk i, addr_sk i,
        store_sk i, promo_sk i, ticket_number i, quantity i, {_PRICES}, net_paid m, net_paid_inc_tax m, net_profit m""",
    "time_dim": """t: time_sk i, time_id s, time i, hour i, minute i, second i, am_pm s, shift s, sub_shift s, meal_time s""",
    "warehouse": f"w: warehouse_sk i, warehouse_id s, warehouse_name s, warehouse_sq_ft i, {_ADDRESS}",
    "web_page": """wp: web_page_sk i, web_page_id s, rec_start_date d, rec_end_date d, creation_date_sk i, access_date_sk i,
        autogen_flag s, customer_sk i, url s, type s, char_count i, link_count i, image_count i, max_ad_count i""",
    "web_returns": f"""wr: returned_date_sk i, returned_time_sk i, item_sk i, {_REFUNDED_RETURNING}, web_page_sk i,
        reason_sk i, order_number i, return_quantity i, return_amt m, return_tax m, return_amt_inc_tax m, fee m,
        return_ship_cost m, refunded_cash m, reversed_charge m, account_credit m, net_loss m""",
    "web_sales": f"""ws: sold_date_sk i, sold_time_sk i, ship_date_sk i, item_sk i, {_BILL_SHIP}, web_page_sk i,
        web_site_sk i, ship_mode_sk i, warehouse_sk i, promo_sk i, order_number i, {_SHIPPED}""",
    "web_site": f"""web: site_sk i, site_id s, rec_start_date d, rec_end_date d, name s, open_date_sk i, close_date_sk i,
        class s, manager s, mkt_id i, mkt_class s, mkt_desc s, market_manager s, company_id i, company_name s, {_ADDRESS},
        tax_percentage p""",
}


def _columns(text: str) -> dict[str, str]:
    prefix, columns = text.split(":")
    pairs = (column.split() for column in columns.split(","))
    return {f"{prefix}_{name}": letter for name, letter in pairs}


TABLES: dict[str, dict[str, str]] = {name: _columns(text) for name, text in _TABLES.items()}
"""Table name to column name to type letter."""


def sql_columns(table: str) -> str:
    """The column list of CREATE TABLE."""
    return ", ".join(f"{name} {SQL_TYPES[letter]}" for name, letter in TABLES[table].items())
