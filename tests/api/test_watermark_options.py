"""How event time moves is said in a table's options and the session's configuration."""

import pytest

from tableapi import EnvironmentSettings, TableEnvironment
from tableapi.errors import OptionError
from tableapi.plan.rules import optimize
from tableapi.runtime.execute import plan_stream
from tableapi.runtime.planner.graph import Alignment, SourceSpec


def watermark(tmp_path, options="", **config):
    env = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    for key, value in config.items():
        env.get_config().set(key.replace("__", "-").replace("_", "."), value)
    env.execute_sql(
        "CREATE TABLE ev (v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) "
        f"WITH ('connector' = 'filesystem', 'path' = '{tmp_path}', 'format' = 'json'{options})"
    )
    plan = env._builder().collect(env.from_path("ev")._relation)
    assert optimize(plan, is_streaming=True)
    (step,) = [v.step for v in plan_stream([plan], env._settings()).vertices if isinstance(v.step, SourceSpec)]
    return step.watermark


def test_idle_timeout_is_on_by_default_and_zero_turns_it_off(tmp_path):
    assert watermark(tmp_path).idle_timeout_ms == 5_000
    assert watermark(tmp_path, table_exec_source_idle__timeout="0 s").idle_timeout_ms == 0
    assert watermark(tmp_path, table_exec_source_idle__timeout="1 min").idle_timeout_ms == 60_000
    own = ", 'scan.watermark.idle-timeout' = '2 s'"
    assert watermark(tmp_path, own, table_exec_source_idle__timeout="1 min").idle_timeout_ms == 2_000


def test_emit_strategy(tmp_path):
    assert watermark(tmp_path).emit_interval_ms == 200
    assert watermark(tmp_path, ", 'scan.watermark.emit.strategy' = 'on-event'").emit_interval_ms == 0
    assert watermark(tmp_path, pipeline_auto__watermark__interval="1 s").emit_interval_ms == 1_000


def test_alignment(tmp_path):
    assert watermark(tmp_path).alignment is None
    group = ", 'scan.watermark.alignment.group' = 'g'"
    both = group + ", 'scan.watermark.alignment.max-drift' = '1 min'"
    assert watermark(tmp_path, both).alignment == Alignment("g", 60_000)
    with pytest.raises(OptionError, match="how far it may run ahead"):
        watermark(tmp_path, group)
    with pytest.raises(OptionError, match="max-drift"):
        watermark(tmp_path, group + ", 'scan.watermark.alignment.max-drift' = 'soon'")
