"""Seeded dimension tables of TPC-DS, small: domains are narrow, so that the conditions of the queries meet rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

FIRST_DAY, LAST_DAY = date(1998, 1, 1), date(2003, 12, 31)
FIRST_DATE_SK = 2450815
"""The Julian day of FIRST_DAY, as the benchmark numbers days."""

CITIES = ("Midway", "Fairview", "Oak Grove", "Five Points", "Centerville", "Pleasant Hill", "Edgewood", "Riverside")
COUNTIES = (
    ("Williamson County", "TN", -5),
    ("Ziebach County", "SD", -6),
    ("Rush County", "GA", -5),
    ("Walker County", "TX", -6),
    ("Bronx County", "NY", -5),
    ("Franklin Parish", "OH", -5),
    ("Orange County", "CA", -7),
    ("Barrow County", "KY", -6),
)
ZIPS = ("24128", "76232", "65084", "87816", "83926", "77556", "20548", "26231", "43848", "15126", "91137", "61265")
COLORS = ("pale", "chiffon", "powder", "khaki", "slate", "blanched", "burnished", "purple", "forest", "lime", "navy", "plum")
UNITS = ("Ounce", "Oz", "Bunch", "Ton", "N/A", "Dozen", "Box", "Pound")
SIZES = ("medium", "extra large", "petite", "small", "large", "economy")
CATEGORIES = {
    "Women": ("maternity", "dresses", "fragrances", "swimwear"),
    "Men": ("accessories", "shirts", "pants", "sports-apparel"),
    "Music": ("rock", "pop", "country", "classical"),
    "Books": ("personal", "self-help", "reference", "computers"),
    "Electronics": ("portable", "stereo", "wireless", "cameras"),
    "Jewelry": ("diamonds", "birdal", "pendants", "rings"),
    "Sports": ("football", "golf", "tennis", "fitness"),
    "Home": ("bedding", "rugs", "lighting", "kids"),
    "Children": ("infants", "school-uniforms", "toddlers", "newborn"),
    "Shoes": ("athletic", "mens", "womens", "kids"),
}
BRANDS = ("scholaramalgamalg #14", "scholaramalgamalg #7", "exportiunivamalg #9", "edu packscholar #1", "importoamalg #1")
EDUCATION = ("Primary", "Secondary", "College", "2 yr Degree", "4 yr Degree", "Advanced Degree", "Unknown")
BUY_POTENTIAL = (">10000", "Unknown", "0-500", "501-1000", "1001-5000", "5001-10000")
COUNTRIES = ("GERMANY", "JAPAN", "FRANCE", "PERU", "UNITED STATES", "NEPAL", "KENYA")

Columns = dict[str, Any]


def pick(rng: np.random.Generator, values: Sequence[Any], size: int, skew: float = 0.0) -> np.ndarray[Any, Any]:
    """`size` of the values, the earlier ones more often when skewed."""
    weights = 1.0 / np.arange(1, len(values) + 1) ** skew
    return np.asarray(values, dtype=object)[rng.choice(len(values), size, p=weights / weights.sum())]


def labels(prefix: str, keys: np.ndarray[Any, Any]) -> list[str]:
    """Business keys: sixteen characters that end in the number."""
    return [f"{prefix}{key:0{16 - len(prefix)}d}" for key in keys]


def with_nulls(rng: np.random.Generator, values: np.ndarray[Any, Any], share: float) -> np.ndarray[Any, Any]:
    """The values with some of them missing."""
    found = values.astype(object)
    found[rng.random(len(values)) < share] = None
    return found


def dates() -> pl.DataFrame:
    """Every day of six years."""
    days = pl.DataFrame({"d_date": pl.date_range(FIRST_DAY, LAST_DAY, eager=True)})
    day = pl.col("d_date")
    since = (day - pl.date(1900, 1, 1)).dt.total_days()
    quarter = (day.dt.year() - 1900) * 4 + day.dt.quarter() - 1
    week = (since + 1) // 7 + 1
    flag = pl.lit("N")
    return days.select(
        d_date_sk=since - (FIRST_DAY - date(1900, 1, 1)).days + FIRST_DATE_SK,
        d_date_id=pl.format("AAAAAAAA{}", day.dt.strftime("%Y%m%d")),
        d_date=day,
        d_month_seq=(day.dt.year() - 1900) * 12 + day.dt.month() - 1,
        d_week_seq=week,
        d_quarter_seq=quarter,
        d_year=day.dt.year(),
        d_dow=day.dt.weekday() % 7,
        d_moy=day.dt.month(),
        d_dom=day.dt.day(),
        d_qoy=day.dt.quarter(),
        d_fy_year=day.dt.year(),
        d_fy_quarter_seq=quarter,
        d_fy_week_seq=week,
        d_day_name=day.dt.strftime("%A"),
        d_quarter_name=pl.format("{}Q{}", day.dt.year(), day.dt.quarter()),
        d_holiday=pl.when((day.dt.month() == 12) & (day.dt.day() == 25)).then(pl.lit("Y")).otherwise(flag),
        d_weekend=pl.when(day.dt.weekday() > 5).then(pl.lit("Y")).otherwise(flag),
        d_following_holiday=flag,
        d_first_dom=since - (FIRST_DAY - date(1900, 1, 1)).days + FIRST_DATE_SK - day.dt.day() + 1,
        d_last_dom=since - (FIRST_DAY - date(1900, 1, 1)).days + FIRST_DATE_SK - day.dt.day() + day.dt.month_end().dt.day(),
        d_same_day_ly=since - (FIRST_DAY - date(1900, 1, 1)).days + FIRST_DATE_SK - 365,
        d_same_day_lq=since - (FIRST_DAY - date(1900, 1, 1)).days + FIRST_DATE_SK - 91,
        d_current_day=flag,
        d_current_week=flag,
        d_current_month=flag,
        d_current_quarter=flag,
        d_current_year=flag,
    )


def date_key(day: str) -> int:
    """The surrogate key of an ISO date."""
    return FIRST_DATE_SK + (date.fromisoformat(day) - FIRST_DAY).days


def times() -> Columns:
    """Every tenth minute of a day."""
    second = np.arange(0, 86400, 600)
    hour = second // 3600
    meal = np.select([(hour >= 6) & (hour < 9), (hour >= 17) & (hour < 21)], ["breakfast", "dinner"], "")
    return {
        "t_time_sk": second,
        "t_time_id": labels("AAAAAAAA", second),
        "t_time": second,
        "t_hour": hour,
        "t_minute": second // 60 % 60,
        "t_second": second % 60,
        "t_am_pm": np.where(hour < 12, "AM", "PM"),
        "t_shift": np.array(("third", "first", "second"))[hour // 8],
        "t_sub_shift": np.array(("night", "morning", "afternoon", "evening"))[hour // 6],
        "t_meal_time": [m or None for m in meal],
    }


def address(rng: np.random.Generator, size: int) -> Columns:
    """The columns that every address has, without their prefix; a county lies in one state and one time zone."""
    county = rng.choice(len(COUNTIES), size, p=np.array((6, 4, 4, 3, 2, 2, 2, 1)) / 24)
    return {
        "street_number": [str(n) for n in rng.integers(1, 1000, size)],
        "street_name": pick(rng, ("Main", "Oak", "Elm", "Park", "Lake", "Hill"), size),
        "street_type": pick(rng, ("Street", "Ave", "Blvd", "Lane"), size),
        "suite_number": [f"Suite {n}" for n in rng.integers(0, 50, size) * 10],
        "city": pick(rng, CITIES, size, 0.5),
        "county": [COUNTIES[c][0] for c in county],
        "state": [COUNTIES[c][1] for c in county],
        "zip": pick(rng, ZIPS, size, 0.7),
        "country": ["United States"] * size,
        "gmt_offset": [COUNTIES[c][2] for c in county],
    }


def place(rng: np.random.Generator, prefix: str, size: int) -> Columns:
    """An address under a table's prefix."""
    return {f"{prefix}_{name}": values for name, values in address(rng, size).items()}


def shops(rng: np.random.Generator) -> dict[str, Columns]:
    """Stores, call centres, web sites, warehouses and what else there are few of. Stores lie in the first counties."""
    tables = {"store": _stores(rng), "call_center": _call_centers(rng), "web_site": _web_sites(rng)}
    n = np.arange(1, 6)
    tables["warehouse"] = {
        "w_warehouse_sk": n,
        "w_warehouse_id": labels("AAAAAAAA", n),
        "w_warehouse_name": ("Conventional childr", "Important issues", "Doors canno", "Bad cards must make", "Rooms cook"),
        "w_warehouse_sq_ft": n * 111_000,
        **place(rng, "w", 5),
    }
    return tables | _small(rng)


def _stores(rng: np.random.Generator) -> Columns:
    n = np.arange(1, 9)
    columns = {
        "s_store_sk": n,
        "s_store_id": labels("AAAAAAAA", (n + 1) // 2),
        "s_rec_start_date": [date(1997, 3, 13)] * 8,
        "s_rec_end_date": [None] * 8,
        "s_closed_date_sk": [None] * 8,
        "s_store_name": ("ought", "able", "ese", "anti", "cally", "ation", "eing", "bar"),
        "s_number_employees": (245, 236, 218, 288, 229, 297, 278, 210),
        "s_floor_space": n * 1_000_000 + 250_000,
        "s_hours": ["8AM-8PM", "8AM-4PM"] * 4,
        "s_manager": ("William Ward", "Scott Smith", "Edwin Adams", "David Thomas") * 2,
        "s_market_id": (8, 8, 8, 10, 4, 2, 8, 8),
        "s_geography_class": ["Unknown"] * 8,
        "s_market_desc": [f"Market number {k} of the region" for k in n],
        "s_market_manager": ("Julius Tran", "Dean Morrison") * 4,
        "s_division_id": [1] * 8,
        "s_division_name": ["Unknown"] * 8,
        "s_company_id": [1] * 8,
        "s_company_name": ["Unknown"] * 8,
        "s_tax_percentage": [0.03] * 8,
        **place(rng, "s", 8),
    }
    where = [COUNTIES[k] for k in (0, 0, 0, 1, 2, 0, 3, 1)]
    columns |= {
        "s_county": [w[0] for w in where],
        "s_state": [w[1] for w in where],
        "s_gmt_offset": [w[2] for w in where],
        "s_city": ("Midway", "Fairview", "Midway", "Fairview", "Midway", "Oak Grove", "Fairview", "Midway"),
        "s_zip": [*ZIPS[:6], *ZIPS[:2]],
    }
    return columns


def _call_centers(rng: np.random.Generator) -> Columns:
    n = np.arange(1, 5)
    return {
        "cc_call_center_sk": n,
        "cc_call_center_id": labels("AAAAAAAA", n),
        "cc_rec_start_date": [date(1998, 1, 1)] * 4,
        "cc_name": ("NY Metro", "Mid Atlantic", "North Midwest", "Pacific"),
        "cc_class": ("large", "medium", "small", "large"),
        "cc_employees": n * 100,
        "cc_sq_ft": n * 2_000,
        "cc_hours": ["8AM-8PM"] * 4,
        "cc_manager": ("Bob Belcher", "Felipe Perkins", "Mark Hightower", "Larry Mccray"),
        "cc_mkt_id": n,
        "cc_market_manager": ("Julius Durham", "Gary Colburn", "Julius Tran", "Evan Saldana"),
        **place(rng, "cc", 4),
        "cc_county": ("Williamson County", "Williamson County", "Ziebach County", "Rush County"),
        "cc_tax_percentage": [0.02] * 4,
    }


def _web_sites(rng: np.random.Generator) -> Columns:
    n = np.arange(1, 7)
    return {
        "web_site_sk": n,
        "web_site_id": labels("AAAAAAAA", (n + 1) // 2),
        "web_rec_start_date": [date(1997, 8, 16)] * 6,
        "web_name": [f"site_{k // 2}" for k in range(6)],
        "web_class": ["Unknown"] * 6,
        "web_manager": ("Ronald Shaffer", "Adam Stonge", "Tommy Jones") * 2,
        "web_company_id": [k % 3 + 1 for k in range(6)],
        "web_company_name": ("pri", "able", "ought") * 2,
        **place(rng, "web", 6),
        "web_tax_percentage": [0.05] * 6,
    }


def _small(rng: np.random.Generator) -> dict[str, Columns]:
    pages, modes, promotions, reasons = (np.arange(1, k + 1) for k in (12, 12, 10, 8))
    catalog, bands = np.arange(1, 31), np.arange(1, 21)
    flags = {f"p_channel_{c}": pick(rng, ("N", "Y"), 10, 0.6) for c in ("dmail", "email", "tv", "event")}
    return {
        "web_page": {
            "wp_web_page_sk": pages,
            "wp_web_page_id": labels("AAAAAAAA", pages),
            "wp_autogen_flag": ["N", "Y"] * 6,
            "wp_url": ["http://www.foo.com"] * 12,
            "wp_type": pick(rng, ("order", "general", "feedback", "ad"), 12),
            "wp_char_count": rng.integers(4_800, 5_300, 12),
            "wp_link_count": rng.integers(2, 25, 12),
        },
        "ship_mode": {
            "sm_ship_mode_sk": modes,
            "sm_ship_mode_id": labels("AAAAAAAA", modes),
            "sm_type": ("EXPRESS", "OVERNIGHT", "REGULAR", "TWO DAY", "NEXT DAY", "LIBRARY") * 2,
            "sm_code": ("AIR", "SURFACE", "SEA") * 4,
            "sm_carrier": ("DHL", "BARIAN", "UPS", "FEDEX") * 3,
        },
        "promotion": {
            "p_promo_sk": promotions,
            "p_promo_id": labels("AAAAAAAA", promotions),
            "p_cost": [1000.0] * 10,
            "p_promo_name": ("ought", "able", "pri", "ese", "anti") * 2,
            "p_purpose": ["Unknown"] * 10,
            "p_discount_active": ["N"] * 10,
            **flags,
        },
        "reason": {
            "r_reason_sk": reasons,
            "r_reason_id": labels("AAAAAAAA", reasons),
            "r_reason_desc": [f"reason {k}" for k in reasons],
        },
        "catalog_page": {
            "cp_catalog_page_sk": catalog,
            "cp_catalog_page_id": labels("AAAAAAAA", catalog),
            "cp_department": ["DEPARTMENT"] * 30,
            "cp_catalog_number": (catalog - 1) // 10 + 1,
            "cp_catalog_page_number": (catalog - 1) % 10 + 1,
            "cp_type": ("bi-annual", "quarterly", "monthly") * 10,
        },
        "income_band": {
            "ib_income_band_sk": bands,
            "ib_lower_bound": (bands - 1) * 10_000 + (bands > 1),
            "ib_upper_bound": bands * 10_000,
        },
    }


def people(rng: np.random.Generator, customers: int = 320, addresses: int = 160) -> dict[str, Columns]:
    """Customers, their addresses and the two kinds of demographics."""
    n, a = np.arange(1, customers + 1), np.arange(1, addresses + 1)
    demo = np.arange(2 * 5 * 7 * 4)
    household = np.arange(1, 241)
    return {
        "customer_address": {
            "ca_address_sk": a,
            "ca_address_id": labels("AAAAAAAA", a),
            **place(rng, "ca", addresses),
            "ca_location_type": pick(rng, ("single family", "condo", "apartment"), addresses),
        },
        "customer_demographics": {
            "cd_demo_sk": demo + 1,
            "cd_gender": np.array(("M", "F"))[demo % 2],
            "cd_marital_status": np.array(("M", "S", "D", "W", "U"))[demo // 2 % 5],
            "cd_education_status": np.array(EDUCATION)[demo // 10 % 7],
            "cd_purchase_estimate": demo // 70 * 2_000 + 500,
            "cd_credit_rating": np.array(("Low Risk", "Good", "High Risk", "Unknown"))[demo // 70],
            "cd_dep_count": demo % 7,
            "cd_dep_employed_count": demo // 3 % 7,
            "cd_dep_college_count": demo // 5 % 7,
        },
        "household_demographics": {
            "hd_demo_sk": household,
            "hd_income_band_sk": household % 20 + 1,
            "hd_buy_potential": pick(rng, BUY_POTENTIAL, 240, 0.6),
            "hd_dep_count": rng.integers(0, 10, 240),
            "hd_vehicle_count": rng.integers(-1, 5, 240),
        },
        "customer": {
            "c_customer_sk": n,
            "c_customer_id": labels("AAAAAAAA", n),
            "c_current_cdemo_sk": with_nulls(rng, (rng.random(customers) ** 3 * 280).astype(int) + 1, 0.02),
            "c_current_hdemo_sk": with_nulls(rng, rng.integers(1, 241, customers), 0.02),
            "c_current_addr_sk": rng.integers(1, addresses + 1, customers),
            "c_first_shipto_date_sk": rng.integers(date_key("1998-01-01"), date_key("1999-01-01"), customers),
            "c_first_sales_date_sk": rng.integers(date_key("1998-01-01"), date_key("1999-01-01"), customers),
            "c_salutation": pick(rng, ("Mr.", "Mrs.", "Ms.", "Dr.", "Sir"), customers),
            "c_first_name": with_nulls(rng, pick(rng, ("Javier", "Amy", "Latisha", "Michael", "Ruth", "Ken"), customers), 0.03),
            "c_last_name": with_nulls(rng, pick(rng, ("Lewis", "Moses", "Hamilton", "White", "Farmer", "Oh"), customers), 0.03),
            "c_preferred_cust_flag": with_nulls(rng, pick(rng, ("Y", "N"), customers), 0.03),
            "c_birth_day": rng.integers(1, 29, customers),
            "c_birth_month": rng.integers(1, 13, customers),
            "c_birth_year": rng.integers(1924, 1993, customers),
            "c_birth_country": pick(rng, COUNTRIES, customers),
            "c_email_address": [f"customer{k}@example.org" for k in n],
            "c_last_review_date_sk": rng.integers(date_key("1998-01-01"), date_key("2002-01-01"), customers),
        },
    }


def items(rng: np.random.Generator, size: int = 120) -> Columns:
    """Items: two rows a business key, as of two periods; a fifth of them cheap."""
    n = np.arange(1, size + 1)
    category = n % len(CATEGORIES)
    kind = rng.integers(0, 4, size)
    manufact = rng.integers(1, 21, size)
    brand = rng.integers(0, len(BRANDS), size)
    price = np.where(rng.random(size) < 0.2, rng.uniform(0.99, 1.49, size), rng.uniform(1.5, 99.0, size)).round(2)
    names = list(CATEGORIES)
    return {
        "i_item_sk": n,
        "i_item_id": labels("AAAAAAAA", (n + 1) // 2),
        "i_rec_start_date": [date(1997, 10, 27) + timedelta(days=int(k % 2) * 1000) for k in n],
        "i_rec_end_date": [date(2000, 7, 22) if k % 2 == 0 else None for k in n],
        "i_item_desc": [f"Item {k} of good and useful things, made for every day" for k in n],
        "i_current_price": price,
        "i_wholesale_cost": (price * 0.6).round(2),
        "i_brand_id": (category + 1) * 1000 + brand,
        "i_brand": [BRANDS[b] for b in brand],
        "i_class_id": kind + 1,
        "i_class": [CATEGORIES[names[c]][k] for c, k in zip(category, kind, strict=True)],
        "i_category_id": category + 1,
        "i_category": [names[c] for c in category],
        "i_manufact_id": manufact,
        "i_manufact": [f"maker{m}" for m in manufact],
        "i_size": pick(rng, SIZES, size),
        "i_formulation": [f"{k * 7919:020d}" for k in n],
        "i_color": pick(rng, COLORS, size),
        "i_units": pick(rng, UNITS, size),
        "i_container": ["Unknown"] * size,
        "i_manager_id": rng.integers(1, 11, size),
        "i_product_name": [f"product{k}" for k in n],
    }
