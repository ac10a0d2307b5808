"""Environments and small tables for the tests of the front end."""

from __future__ import annotations

import pytest

from tableapi import DataTypes, EnvironmentSettings, TableEnvironment

PEOPLE = DataTypes.ROW(
    [
        DataTypes.FIELD("a", DataTypes.INT()),
        DataTypes.FIELD("b", DataTypes.STRING()),
        DataTypes.FIELD("c", DataTypes.DOUBLE()),
    ]
)
ROWS = [(1, "Hi", 10.5), (2, "Hello", 20.25), (3, None, None), (4, "Hi", -1.0), (5, "World", 0.0)]


@pytest.fixture
def batch():
    return TableEnvironment.create(EnvironmentSettings.in_batch_mode())


@pytest.fixture
def stream():
    env = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    env.get_config().set("parallelism.default", "1")
    return env


@pytest.fixture(params=["batch", "stream"])
def env(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def table(env):
    return env.from_elements(ROWS, PEOPLE)


@pytest.fixture
def rows():
    """The rows of a table, without kinds, sorted where the order says nothing."""

    def read(table, *, ordered=False):
        found = table.to_polars().rows()
        return found if ordered else sorted(found, key=repr)

    return read
