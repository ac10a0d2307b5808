import polars as pl
import pytest
from helpers import schema

from tableapi.runtime.state.hashing import key_groups, worker_of
from tableapi.runtime.stream.batch import Batch
from tableapi.runtime.stream.checkers import EdgeChecker, EdgeCheckError
from tableapi.testing import batch

KV = schema("k STRING, v INT")


def test_rows_must_be_there_to_be_taken_back():
    checker = EdgeChecker("e", KV)
    checker.batch(batch("+I a 1\n-U a 1\n+U a 2", KV))
    checker.batch(batch("-D a 2\n+I a 2", KV))
    with pytest.raises(EdgeCheckError, match=r"edge e: .*\('a', 1\)"):
        checker.batch(batch("-D a 1", KV))


def test_columns_and_types():
    with pytest.raises(EdgeCheckError, match="columns"):
        EdgeChecker("e", KV).batch(Batch(pl.DataFrame({"k": ["a"], "v": [1]})))


def test_update_pairs():
    checker = EdgeChecker("e", KV, follows_rows=False, pairs_updates=True)
    checker.batch(batch("-U a 1\n+U a 2", KV))
    with pytest.raises(EdgeCheckError, match="-U without"):
        checker.batch(batch("-U a 1\n-D a 2", KV))


def test_watermarks_only_grow():
    checker = EdgeChecker("e", KV)
    checker.watermark(5)
    checker.watermark(5)
    with pytest.raises(EdgeCheckError, match="watermark 4 after 5"):
        checker.watermark(4)


def test_rows_belong_to_the_worker():
    rows = batch("a 1\nb 2\nc 3\nd 4", KV)
    owner = worker_of(key_groups(rows.frame, ["k"]), 2)
    for worker in (0, 1):
        EdgeChecker("e", KV, ("k",), worker, 2).batch(rows.filter(pl.Series(owner == worker)))
    with pytest.raises(EdgeCheckError, match="other workers"):
        EdgeChecker("e", KV, ("k",), 0, 2).batch(rows)
