"""Results of windows before and after their end: what Flink 2.3 gave for the same events, delays by the clock, restarts."""

import pytest
from helpers import agg, schema

from tableapi import EnvironmentSettings, TableEnvironment
from tableapi.errors import UnsupportedError, ValidationError
from tableapi.plan.nodes import EmitPolicy, WindowKind, WindowProperty, WindowSpec
from tableapi.runtime.stream.window_aggregate import WindowAggregateSpec
from tableapi.testing import OperatorHarness, assert_changelog, fold

EVENTS = [(1, 1), (2, 6), (4, 3), (8, 11), (16, 5), (32, 12), (64, 25), (128, 9), (256, 19), (512, 31), (1024, 90), (2048, 55)]
EARLY = {"early-fire.enabled": "true", "early-fire.delay": "0 ms"}
LATE = {"late-fire.enabled": "true", "late-fire.delay": "0 ms", "allow-lateness": "30 s"}
TUMBLE = "SELECT TUMBLE_START(ts, INTERVAL '10' SECOND), SUM(v) FROM ev GROUP BY TUMBLE(ts, INTERVAL '10' SECOND)"
HOP = (
    "SELECT HOP_START(ts, INTERVAL '5' SECOND, INTERVAL '10' SECOND), SUM(v) FROM ev "
    "GROUP BY HOP(ts, INTERVAL '5' SECOND, INTERVAL '10' SECOND)"
)


def changelog(tmp_path, query, settings):
    """The changes, row by row: kind, second at which the window starts, sum."""
    lines = [f'{{"v": {v}, "ts": "2024-03-10 08:{s // 60:02}:{s % 60:02}"}}' for v, s in EVENTS]
    (tmp_path / "ev.json").write_text("\n".join(lines))
    env = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    for key, value in {"pipeline.max-batch-rows": "1", "pipeline.check-edges": "true", "parallelism.default": "1"}.items():
        env.get_config().set(key, value)
    for key, value in settings.items():
        env.get_config().set(f"table.exec.emit.{key}", value)
    env.execute_sql(
        "CREATE TABLE ev (v INT, ts TIMESTAMP(3), p AS PROCTIME(), WATERMARK FOR ts AS ts - INTERVAL '0' SECOND) "
        f"WITH ('connector' = 'filesystem', 'path' = '{tmp_path / 'ev.json'}', 'format' = 'json')"
    )
    with env.execute_sql(query).collect() as rows:
        return [(str(r.get_row_kind()), r[0].minute * 60 + r[0].second, r[1]) for r in rows]


def update(start, before, after):
    return [("-U", start, before), ("+U", start, after)]


def test_late_results_of_tumbling_windows(tmp_path):
    assert changelog(tmp_path, TUMBLE, LATE) == [
        ("+I", 0, 7),
        *update(0, 7, 23),
        ("+I", 10, 40),
        *update(0, 23, 151),
        *update(10, 40, 296),
        ("+I", 20, 64),
        ("+I", 30, 512),
        ("+I", 90, 1024),
    ]


def test_early_results_of_tumbling_windows(tmp_path):
    assert changelog(tmp_path, TUMBLE, EARLY) == [
        ("+I", 0, 1),
        *update(0, 1, 3),
        *update(0, 3, 7),
        ("+I", 10, 8),
        *update(10, 8, 40),
        ("+I", 20, 64),
        ("+I", 30, 512),
        ("+I", 90, 1024),
    ]


def test_early_and_late_results(tmp_path):
    assert changelog(tmp_path, TUMBLE, {**EARLY, **LATE}) == [
        ("+I", 0, 1),
        *update(0, 1, 3),
        *update(0, 3, 7),
        ("+I", 10, 8),
        *update(0, 7, 23),
        *update(10, 8, 40),
        ("+I", 20, 64),
        *update(0, 23, 151),
        *update(10, 40, 296),
        ("+I", 30, 512),
        ("+I", 90, 1024),
    ]


def test_late_results_of_hopping_windows(tmp_path):
    """Also of a window that had had no rows when it ended (the one from second 55)."""
    found = changelog(tmp_path, HOP, LATE)
    assert sorted(found) == sorted(
        [
            *[("+I", 3595, 1), *update(3595, 1, 5), ("+I", 0, 7), *update(0, 7, 23), ("+I", 5, 58), ("+I", 10, 40)],
            *[*update(5, 58, 186), *update(0, 23, 151), ("+I", 15, 256), *update(10, 40, 296), ("+I", 20, 64)],
            *[("+I", 25, 576), ("+I", 30, 512), ("+I", 55, 2048), ("+I", 85, 1024), ("+I", 90, 1024)],
        ]
    )


def test_early_results_of_hopping_windows(tmp_path):
    found = changelog(tmp_path, HOP, EARLY)
    assert sorted(found) == sorted(
        [
            *[("+I", 0, 1), ("+I", 3595, 1), ("+I", 5, 2), *update(0, 1, 3), *update(0, 3, 7), ("+I", 10, 8)],
            *[*update(5, 2, 10), *update(5, 10, 26), *update(10, 8, 40), *update(5, 26, 58), ("+I", 25, 64)],
            *[("+I", 20, 64), ("+I", 30, 512), *update(25, 64, 576), ("+I", 90, 1024), ("+I", 85, 1024)],
        ]
    )


def test_lateness_without_late_results_counts_for_nothing(tmp_path):
    expected = [("+I", 0, 7), ("+I", 10, 40), ("+I", 20, 64), ("+I", 30, 512), ("+I", 90, 1024)]
    assert changelog(tmp_path, TUMBLE, {"allow-lateness": "30 s"}) == expected


def test_early_results_of_processing_time(tmp_path):
    """At the end of the input an open window keeps what it has given (Flink)."""
    found = changelog(tmp_path, TUMBLE.replace("(ts", "(p"), EARLY)
    assert [kind for kind, *_ in found].count("+I") in (1, 2)
    assert sum((1 if kind.startswith("+") else -1) * total for kind, _, total in found) == 4095


def test_settings_that_are_refused(tmp_path):
    with pytest.raises(ValidationError, match="how long rows may be late"):
        changelog(tmp_path, TUMBLE, {k: v for k, v in LATE.items() if k != "allow-lateness"})
    with pytest.raises(ValidationError, match="needs a delay"):
        changelog(tmp_path, TUMBLE, {"early-fire.enabled": "true"})
    session = "SELECT SESSION_START(ts, INTERVAL '4' SECOND), SUM(v) FROM ev GROUP BY SESSION(ts, INTERVAL '4' SECOND)"
    with pytest.raises(UnsupportedError, match="SESSION"):
        changelog(tmp_path, session, EARLY)


INPUT = schema("k STRING, v BIGINT, ts TIMESTAMP(3)", ts="rowtime")
BOUNDS = (("ws", WindowProperty.START),)
SUM = (agg(INPUT, "s", "SUM", "v"),)
TEN_SECONDS = WindowSpec(WindowKind.TUMBLE, "ts", True, 10_000)
START = "2024-03-10T10:00"


def harness(policy, window=TEN_SECONDS, calls=SUM, snapshot=None, **flags):
    spec = WindowAggregateSpec(INPUT, window, ("k",), calls, BOUNDS, emit=policy, **flags)
    return OperatorHarness(spec, INPUT, snapshot=snapshot)


def test_delays_run_from_the_first_change():
    h = harness(EmitPolicy(early_ms=1000))
    h.set_clock(5_300)
    assert h.feed(f"a 1 {START}:01\nb 2 {START}:01") == ""
    h.set_clock(5_900)
    assert h.feed(f"a 4 {START}:02\na 8 {START}:11") == ""
    assert h.set_clock(6_299) == ""
    assert_changelog(h.set_clock(6_300), f"+I a 5 {START}\n+I b 2 {START}")
    assert_changelog(h.set_clock(6_900), f"+I a 8 {START}:10")
    h.set_clock(7_100)
    assert h.feed(f"b 3 {START}:03") == ""
    assert_changelog(h.set_clock(7_300), f"-U b 2 {START}\n+U b 5 {START}")
    assert h.feed(f"b 4 {START}:04") == ""
    assert_changelog(h.advance(f"{START}:09.999"), f"-U b 5 {START}\n+U b 9 {START}")
    assert h.set_clock(20_000) == ""


def test_late_delays_and_what_is_still_due_when_lateness_is_over():
    h = harness(EmitPolicy(late_ms=1000, lateness_ms=5_000))
    h.feed(f"a 1 {START}:01")
    assert_changelog(h.advance(f"{START}:10"), f"+I a 1 {START}")
    assert_changelog(h.feed(f"b 2 {START}:02"), f"+I b 2 {START}")
    assert h.feed(f"a 4 {START}:02\nb 4 {START}:03") == ""
    assert_changelog(h.set_clock(1_000), f"-U a 1 {START}\n+U a 5 {START}\n-U b 2 {START}\n+U b 6 {START}")
    assert h.feed(f"b 8 {START}:03") == ""
    assert_changelog(h.advance(f"{START}:14.999"), f"-U b 6 {START}\n+U b 14 {START}")
    assert h.feed(f"b 8 {START}:03") == ""
    assert h.context.metrics["late_rows"] == 1
    assert h.context.metrics["late_max_ms"] == 11_999
    assert h.operator._index.count == 0


def test_a_window_that_loses_its_rows_takes_its_result_back():
    h = harness(EmitPolicy(0, 0, 60_000), input_is_insert_only=False)
    assert_changelog(h.feed(f"a 1 {START}:01"), f"+I a 1 {START}")
    assert_changelog(h.feed(f"-D a 1 {START}:01"), f"-D a 1 {START}")
    assert_changelog(h.feed(f"+I a 3 {START}:01"), f"+I a 3 {START}")
    h.advance(f"{START}:10")
    assert_changelog(h.feed(f"-U a 3 {START}:01\n+U a 4 {START}:01"), f"-U a 3 {START}\n+U a 4 {START}")


def test_without_update_before():
    h = harness(EmitPolicy(early_ms=0), generate_update_before=False)
    h.feed(f"a 1 {START}:01")
    assert_changelog(h.feed(f"a 2 {START}:02"), f"+U a 3 {START}")
    assert h.feed(f"a 0 {START}:02") == ""


@pytest.mark.parametrize("kind", ["TUMBLE", "HOP", "CUMULATE"])
@pytest.mark.parametrize("policy", [EmitPolicy(early_ms=0), EmitPolicy(early_ms=500), EmitPolicy(1000, 700, 20_000)])
def test_a_restored_operator_goes_on_where_the_snapshot_was_taken(kind, policy):
    window = WindowSpec(WindowKind[kind], "ts", True, size_ms=20_000, step_ms=5_000)
    calls = (agg(INPUT, "s", "SUM", "v"), agg(INPUT, "hi", "MAX", "v"), agg(INPUT, "d", "COUNT", "v", distinct=True))
    first = harness(policy, window, calls)
    first.feed(f"a 1 {START}:01\na 2 {START}:11\nb 2 {START}:25")
    first.advance(f"{START}:21")
    first.feed(f"a 9 {START}:12\nb 2 {START}:28")
    second = harness(policy, window, calls, first.snapshot())
    for step in range(1, 5):
        rows = f"a {step} {START}:{20 + 3 * step}\nc {step} {START}:{10 + step}"
        assert sorted(first.feed(rows).splitlines()) == sorted(second.feed(rows).splitlines())
        clock = [sorted(h.set_clock(600 * step).splitlines()) for h in (first, second)]
        assert clock[0] == clock[1]
    assert sorted(first.end().splitlines()) == sorted(second.end().splitlines())


def test_what_is_left_is_what_single_results_are(tmp_path):
    """Whatever is given early, the last result of a window is its result."""
    rows = [f"a {v} {START}:{s:02}\nb {v} {START}:{(7 * s) % 60:02}" for v, s in EVENTS[:9]]
    left = []
    for policy in (None, EmitPolicy(early_ms=0), EmitPolicy(early_ms=100)):
        h = harness(policy, WindowSpec(WindowKind.HOP, "ts", True, 20_000, 5_000))
        for at, line in enumerate(rows):
            h.feed(line)
            h.set_clock(70 * at)
        h.end()
        left.append(fold(h.emitted))
    assert left[0] == left[1] == left[2]


@pytest.mark.parametrize("parallelism", [1, 2, 3])
@pytest.mark.parametrize("delay", ["0 ms", "1 ms"])
def test_jobs_of_several_workers_leave_what_batch_gives(tmp_path, parallelism, delay):
    rows = [(f"k{n % 7}", n, f"2024-03-10 08:{n // 60:02}:{n % 60:02}") for n in range(400)]
    (tmp_path / "ev.csv").write_text("".join(f"{k},{v},{t}\n" for k, v, t in rows))
    query = "SELECT k, window_start, window_end, SUM(v), COUNT(DISTINCT v) FROM TABLE({window}) GROUP BY k, window_start, window_end"
    windows = (
        "TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '20' SECOND)",
        "HOP(TABLE ev, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '30' SECOND)",
    )
    left = []
    for settings in (EnvironmentSettings.in_batch_mode(), EnvironmentSettings.in_streaming_mode()):
        env = TableEnvironment.create(settings)
        config = {
            "early-fire.enabled": "true",
            "early-fire.delay": delay,
            "late-fire.enabled": "true",
            "late-fire.delay": delay,
        }
        for key, value in {**config, "allow-lateness": "1 min"}.items():
            env.get_config().set(f"table.exec.emit.{key}", value)
        for key, value in {
            "parallelism.default": parallelism,
            "pipeline.max-batch-rows": 37,
            "pipeline.check-edges": "true",
        }.items():
            env.get_config().set(key, str(value))
        env.execute_sql(
            "CREATE TABLE ev (k STRING, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND) "
            f"WITH ('connector' = 'filesystem', 'path' = '{tmp_path / 'ev.csv'}', 'format' = 'csv')"
        )
        left.append([sorted(env.execute_sql(query.format(window=w)).to_polars().rows()) for w in windows])
    assert left[0] == left[1]
