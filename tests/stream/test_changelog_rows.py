"""TO_CHANGELOG and FROM_CHANGELOG, in both front ends."""

from __future__ import annotations

import pytest

from tableapi import EnvironmentSettings, TableEnvironment
from tableapi.errors import ChangelogError, RecordError, UnsupportedError, ValidationError
from tableapi.expressions import col, descriptor, map_


@pytest.fixture
def env():
    env = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    env.get_config().set("parallelism.default", "1").set("pipeline.max-batch-rows", "1")
    env.create_temporary_view("t", env.from_elements([("a", 1), ("b", 2), ("a", 3)], ["k", "v"]))
    codes = [("INSERT", 1, "a"), ("INSERT", 2, "b"), ("UPDATE_BEFORE", 1, "a"), ("UPDATE_AFTER", 1, "aa"), ("DELETE", 2, "b")]
    env.create_temporary_view("c", env.from_elements(codes, ["op", "id", "v"]))
    return env


def changes(table):
    return [(str(r.get_row_kind()), *r) for r in table.execute().collect()]


SUMS = "SELECT k, SUM(v) AS s FROM t GROUP BY k"


def test_to_changelog(env):
    expected = [
        ("+I", "INSERT", "a", 1),
        ("+I", "INSERT", "b", 2),
        ("+I", "UPDATE_BEFORE", "a", 1),
        ("+I", "UPDATE_AFTER", "a", 4),
    ]
    assert changes(env.sql_query(SUMS).to_changelog()) == expected
    assert changes(env.sql_query(f"SELECT * FROM TO_CHANGELOG(input => TABLE ({SUMS}))")) == expected


def test_codes_and_names(env):
    sums = env.sql_query(SUMS)
    table = sums.to_changelog(
        descriptor("kind").as_argument("op"), map_("INSERT, UPDATE_AFTER", "put").as_argument("op_mapping")
    )
    assert table.get_resolved_schema().get_column_names() == ["kind", "k", "s"]
    assert changes(table) == [("+I", "put", "a", 1), ("+I", "put", "b", 2), ("+I", "put", "a", 4)]
    assert "ToChangelog" in table.explain()


def test_from_changelog(env):
    expected = [("+I", 1, "a"), ("+I", 2, "b"), ("-U", 1, "a"), ("+U", 1, "aa"), ("-D", 2, "b")]
    assert changes(env.from_path("c").from_changelog()) == expected
    assert changes(env.sql_query("SELECT * FROM FROM_CHANGELOG(input => TABLE c)")) == expected
    assert env.from_path("c").from_changelog().to_polars().rows() == [(1, "aa")]


def test_back_and_forth_changes_nothing(env):
    sums = env.sql_query(SUMS)
    assert changes(sums.to_changelog().from_changelog()) == changes(sums)


def test_unknown_code(env):
    with pytest.raises(RecordError, match="names no kind"):
        changes(env.from_path("c").from_changelog(map_("INSERT", "INSERT").as_argument("op_mapping")))


def test_what_is_refused(env):
    with pytest.raises(ValidationError, match="did you mean 'INSERT'"):
        env.from_path("c").to_changelog(descriptor("x").as_argument("op"), map_("INSRT", "c").as_argument("op_mapping"))
    with pytest.raises(ValidationError, match="already"):
        env.from_path("c").to_changelog()
    with pytest.raises(ChangelogError):
        changes(env.sql_query("SELECT v AS op, COUNT(*) AS n FROM c GROUP BY v").from_changelog())
    batch = TableEnvironment.create(EnvironmentSettings.in_batch_mode())
    with pytest.raises(UnsupportedError, match="streaming"):
        batch.from_elements([(1,)], ["a"]).select(col("a")).to_changelog()
