"""KeyIndex, columns, RowStore and chains against plain Python dictionaries."""

import datetime as dt
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from tableapi.runtime.state.key_index import KeyIndex
from tableapi.runtime.state.row_store import Chains, RowStore

KEYS = {
    "int": ({"k": pl.Int64()}, lambda n: (None if n == 0 else n - 5,)),
    "two": ({"a": pl.Int32(), "b": pl.Date()}, lambda n: (n % 7 or None, dt.date(2020, 1, 1 + n % 5))),
    "float": ({"k": pl.Float64()}, lambda n: (float("nan") if n == 3 else n / 2,)),
    "string": ({"k": pl.String()}, lambda n: (None if n == 0 else "key" * (n % 9) + str(n),)),
    "mixed": ({"s": pl.String(), "d": pl.Decimal(10, 2), "n": pl.Int8()}, lambda n: ("x" * (n % 4), Decimal(n % 6), n % 3)),
    "none": ({}, lambda n: ()),
}


def _norm(row):
    return tuple("NaN" if v != v else v for v in row)


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("hasher", ["own", "two hashes only"])
def test_key_index_equals_a_dict(kind, hasher):
    """Inserting, finding and freeing random batches gives the same keys as a dictionary, even if all hashes collide."""
    schema, make = KEYS[kind]
    forced = (
        {} if hasher == "own" else {"hasher": lambda f: (np.arange(f.height) * 0 + f.hash_rows().to_numpy() % 2).astype("u8")}
    )
    index, expected = KeyIndex(schema, **forced), {}
    rng = np.random.default_rng(11)
    for step in range(30):
        rows = [make(int(n)) for n in rng.integers(0, 4 + 3 * step, 40)]
        frame = pl.DataFrame(rows, schema=schema, orient="row") if schema else pl.DataFrame(height=40)
        slots, new = index.insert(frame)
        fresh = []
        for i, row in enumerate(map(_norm, rows)):
            if row not in expected:
                fresh.append(i)
                assert slots[i] not in expected.values()
                expected[row] = slots[i]
            assert slots[i] == expected[row]
        assert new.tolist() == fresh
        assert index.find(frame).tolist() == slots.tolist()
        if schema:
            assert [_norm(r) for r in index.keys(slots).rows()] == [_norm(r) for r in rows]
        gone = [k for i, k in enumerate(expected) if (i + step) % 3 == 0]
        index.free(np.array([expected.pop(k) for k in gone], dtype=np.int64))
        assert index.count == len(expected)
        assert sorted(index.live_slots().tolist()) == sorted(expected.values())
        now = [expected.get(_norm(r), -1) for r in rows]
        assert index.find(frame).tolist() == now


def test_distinct_numbers_slots_in_order_of_appearance():
    index = KeyIndex({"k": pl.Int64()})
    index.insert(pl.DataFrame({"k": [1, 2, 3]}))
    groups, unique = index.distinct(np.array([2, 0, 2, 1]))
    assert groups.tolist() == [0, 1, 0, 2]
    assert unique.tolist() == [2, 0, 1]


def test_row_store_equals_a_dict():
    """Appending, rewriting and removing rows of every kind of type, far enough that heaps are compacted."""
    schema = {
        "i": pl.Int16(),
        "s": pl.String(),
        "d": pl.Decimal(12, 3),
        "l": pl.List(pl.Int64()),
        "t": pl.Datetime("us", "UTC"),
        "b": pl.Boolean(),
    }

    def make(n):
        if n % 5 == 0:
            return (None,) * 6
        when = dt.datetime(2020, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=n)
        return (n % 1000, f"text {n}", Decimal(n) / 8, [n, n + 1], when, n % 2 == 0)

    store, expected, n = RowStore(schema), {}, 0
    rng = np.random.default_rng(3)
    for _ in range(40):
        rows = [make(n + i) for i in range(700)]
        n += 700
        ids = store.append(pl.DataFrame(rows, schema=schema, orient="row"))
        assert not set(ids.tolist()) & set(expected)
        expected.update(zip(ids.tolist(), rows, strict=True))
        changed = rng.choice(np.array(list(expected)), 50, replace=False)
        store.write(changed, pl.DataFrame([make(n + i) for i in range(50)], schema=schema, orient="row"))
        expected.update({int(i): make(n + j) for j, i in enumerate(changed)})
        gone = rng.choice(np.array(list(expected)), 650, replace=False)
        store.remove(gone)
        for i in gone.tolist():
            del expected[i]
        live = store.live_ids()
        assert sorted(expected) == live.tolist()
        assert dict(zip(live.tolist(), store.gather(live).rows(), strict=True)) == expected


def test_chains_keep_order_and_lose_what_is_removed():
    chains = Chains()
    chains.append(np.array([0, 1, 2, 3, 4]), np.array([7, 7, 2, 7, 2]))
    chains.remove(np.array([1, 4]), np.array([7, 2]))
    ids, positions = chains.collect(np.array([2, -1, 7, 9]))
    assert ids.tolist() == [2, 0, 3]
    assert positions.tolist() == [0, 2, 2]
    chains.remove(np.array([2]), np.array([2]))
    assert chains.is_empty(np.array([2, 7])).tolist() == [True, False]
    assert chains.last(np.array([7, 2])).tolist() == [3, -1]


def test_collecting_owners_that_chains_have_never_seen():
    """Room for owners is made first: the arrays that are read must be those that have it."""
    chains = Chains()
    chains.append(np.array([0]), np.array([0]))
    owners = np.arange(1_000_000)
    ids, positions = chains.collect(owners)
    assert (ids.tolist(), positions.tolist()) == ([0], [0])


@pytest.mark.parametrize("dtype", [pl.String(), pl.Binary(), pl.List(pl.String()), pl.Struct({"a": pl.String()})])
def test_a_kept_row_does_not_keep_its_batch_in_memory(dtype):
    """What is stored is a copy: the same values, but not the buffers that the batch brought."""
    make = {
        pl.String: lambda i: f"text {i}",
        pl.Binary: lambda i: b"bytes %d" % i,
        pl.List: lambda i: [f"text {i}", None],
        pl.Struct: lambda i: {"a": f"text {i}"},
    }[type(dtype)]
    values = [None if i % 5 == 0 else make(i) for i in range(50)]
    batch = pl.DataFrame({"x": pl.Series(values, dtype=dtype)})
    store = RowStore({"x": dtype})
    ids = store.append(batch[[3, 5, 7]])
    assert store.gather(ids)["x"].to_list() == [values[i] for i in (3, 5, 7)]
    assert store.gather(ids).schema == batch.schema
