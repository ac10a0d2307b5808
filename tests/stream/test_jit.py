"""Kernels work alike as plain Python and compiled, also when a process changes over in the middle."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tableapi.runtime.state import kernels, top_kernels
from tableapi.runtime.state.jit import PLAIN_ROWS, Kernel
from tableapi.runtime.state.key_index import KeyIndex


def all_kernels() -> list[Kernel]:
    return [k for module in (kernels, top_kernels) for k in vars(module).values() if isinstance(k, Kernel)]


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a fresh process: nothing is compiled and no row was seen."""
    monkeypatch.setattr(Kernel, "rows_seen", 0)
    for kernel in all_kernels():
        monkeypatch.setattr(kernel, "compiled", None)


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("dtype", [pl.Int64(), pl.Float64(), pl.String()])
def test_an_index_begun_in_plain_python_goes_on_compiled(dtype: pl.DataType) -> None:
    rng = np.random.default_rng(5)
    values = rng.integers(-(2**62), 2**62, 60)
    few = pl.DataFrame({"k": values}).select(pl.col("k").cast(dtype))
    many = pl.DataFrame({"k": np.concatenate([values, rng.integers(-(2**62), 2**62, 5000)])}).select(pl.col("k").cast(dtype))
    index = KeyIndex({"k": dtype})
    first, _ = index.insert(few)
    assert kernels.insert_words.compiled is None, "a few rows do not load numba"
    again, _ = index.insert(many)
    assert kernels.insert_words.compiled is not None, f"more than {PLAIN_ROWS} rows do"
    assert again[:60].tolist() == first.tolist()
    assert len(set(again.tolist())) == many["k"].n_unique()


def test_every_kernel_but_parts_knows_its_work() -> None:
    parts = {k.plain.__name__ for k in all_kernels() if k._rows_at is None}
    assert all(name.startswith("_") for name in parts)
