"""Damaged files: a reader returns exactly the whole valid prefix, or says which file and offset; it never returns a wrong event."""

from __future__ import annotations

import shutil

import polars as pl
import pytest

from tableapi.connectors.filelog import EventLog
from tableapi.connectors.filelog.frame import SEGMENT_HEADER_SIZE, FrameHeader
from tableapi.connectors.filelog.verify import repair, verify
from tableapi.errors import CorruptionError
from tableapi.types import DataTypes as D

FRAMES, ROWS = 6, 3


def batch(number):
    ids = list(range(number * ROWS, number * ROWS + ROWS))
    return pl.DataFrame({"id": ids, "s": [f"event-{i}" for i in ids]})


def make(path, frames=FRAMES, **config):
    with EventLog(path) as log:
        log.create("t", {"id": D.BIGINT(), "s": D.STRING()}, **config)
        for number in range(frames):
            log.append("t", batch(number))
    return path / "topics/t/0"


def read(path):
    """What a reader gets before the end or an error, and the error."""
    got = []
    try:
        with EventLog(path) as log:
            reader = log.reader("t", 0)
            end = log.resolve("t", "latest", 0)
            while reader.offset < end:
                frame = reader.read(1)
                if frame is not None:
                    got.extend(frame.rows())
    except CorruptionError as error:
        return got, error
    return got, None


EXPECTED = pl.concat([batch(n) for n in range(FRAMES)]).rows()


def positions(data):
    at, found = SEGMENT_HEADER_SIZE, []
    while at < len(data):
        found.append(at)
        at += FrameHeader.unpack(data, at).size
    return found


def check(path, allow_shorter=True):
    got, error = read(path)
    assert got == EXPECTED[: len(got)]
    if error is not None:
        assert "file " in str(error)
        assert "offset " in str(error)
        assert "topic 't' partition 0" in str(error)
    else:
        assert allow_shorter or got == EXPECTED[: 3 * ROWS]
        assert len(got) % ROWS == 0
    return got, error


def test_truncation_at_every_byte(tmp_path):
    """After another boot the torn tail is cut at the last whole frame; without one, missing bytes were acknowledged and are an error."""
    original = make(tmp_path / "log")
    (segment,) = original.glob("*.log")
    data = segment.read_bytes()
    starts = [*positions(data), len(data)]
    state = (original / "state").read_bytes()
    for length in range(starts[-3], len(data)):
        whole = sum(1 for s in starts[1:] if s <= length)
        segment.write_bytes(data[:length])
        (original / "state").unlink(missing_ok=True)
        got, error = check(tmp_path / "log")
        assert error is None
        assert len(got) == whole * ROWS
        assert segment.stat().st_size == starts[whole]
        segment.write_bytes(data[:length])
        (original / "state").write_bytes(state)
        got, error = check(tmp_path / "log")
        assert error is not None
        (original / "state").unlink()
        if length % 16:
            continue
        segment.write_bytes(data[:length])
        with EventLog(tmp_path / "log") as log:
            log.append("t", batch(whole))
            assert log.read("t").rows() == EXPECTED[: (whole + 1) * ROWS]


def test_every_byte_flipped(tmp_path):
    original = make(tmp_path / "log", frames=3)
    (segment,) = original.glob("*.log")
    data = segment.read_bytes()
    state = (original / "state").read_bytes()
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 0xFF
        segment.write_bytes(damaged)
        (original / "state").write_bytes(state)
        check(tmp_path / "log", allow_shorter=False)


def test_every_byte_flipped_after_another_boot(tmp_path):
    original = make(tmp_path / "log", frames=3, durability="ack")
    (segment,) = original.glob("*.log")
    data = segment.read_bytes()
    last = positions(data)[-1]
    for at in range(0, len(data), 3):
        damaged = bytearray(data)
        damaged[at] ^= 0x01
        segment.write_bytes(damaged)
        (original / "state").unlink(missing_ok=True)
        got, error = check(tmp_path / "log")
        assert at >= last or error is not None or got == EXPECTED[: 3 * ROWS]


def test_swapped_frames(tmp_path):
    original = make(tmp_path / "log")
    (segment,) = original.glob("*.log")
    data = segment.read_bytes()
    starts = [*positions(data), len(data)]
    a, b, c = starts[2], starts[3], starts[4]
    segment.write_bytes(data[:a] + data[b:c] + data[a:b] + data[c:])
    got, error = check(tmp_path / "log")
    assert (len(got), error is not None) == (2 * ROWS, True)
    (original / "state").unlink()
    assert check(tmp_path / "log")[1] is not None


@pytest.fixture
def segmented(tmp_path):
    original = make(tmp_path / "log", segment_bytes=4096, segment_ms=0)
    with EventLog(tmp_path / "log") as log:
        pass
    shutil.rmtree(tmp_path / "log")
    with EventLog(tmp_path / "log") as log:
        log.create("t", {"id": D.BIGINT(), "s": D.STRING()})
        for number in range(FRAMES):
            log.append("t", batch(number))
            if number in (1, 3):
                log.partition("t", 0).roll()
    assert len(list(original.glob("*.log"))) == 3
    return tmp_path / "log", sorted(original.glob("*.log"))


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("keeps_state", [True, False])
def test_a_segment_is_removed(segmented, which, keeps_state):
    path, segments = segmented
    segments[which].unlink()
    if not keeps_state:
        (segments[0].parent / "state").unlink()
    _, error = check(path)
    assert error is not None or (which == 2 and not keeps_state)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_segment_is_renamed_or_duplicated(segmented, which):
    path, segments = segmented
    other = segments[0].parent / f"{7:020d}.log"
    shutil.copy(segments[which], other)
    got, error = read(path)
    assert got == EXPECTED[: len(got)]
    assert got == EXPECTED or error is not None
    (segments[0].parent / "state").unlink()
    got, error = read(path)
    assert got == EXPECTED[: len(got)]
    assert got == EXPECTED or error is not None
    segments[which].unlink()
    got, error = read(path)
    assert got == EXPECTED[: len(got)]
    assert error is not None


def test_a_segment_of_another_partition(tmp_path):
    with EventLog(tmp_path / "log") as log:
        log.create("t", {"id": D.BIGINT(), "s": D.STRING()}, partitions=2)
        for number in (0, 1):
            log.append("t", batch(number), partition=number)
    shutil.copy(tmp_path / f"log/topics/t/0/{0:020d}.log", tmp_path / f"log/topics/t/1/{0:020d}.log")
    with (
        EventLog(tmp_path / "log") as log,
        pytest.raises(CorruptionError, match="belongs elsewhere: it was written as partition 0"),
    ):
        log.read("t", partitions=[1])


def test_verify_finds_nothing_in_a_sound_topic(segmented):
    path, _ = segmented
    with EventLog(path) as log:
        (result,) = verify(log, "t")
        assert (result.segments, result.frames, result.rows, result.problems) == (3, FRAMES, FRAMES * ROWS, ())
        assert repair(log, "t") == []


def test_repair_says_what_is_lost_and_keeps_the_rest(segmented):
    path, segments = segmented
    data = bytearray(segments[1].read_bytes())
    data[positions(bytes(data))[0] + 320] ^= 1
    segments[1].write_bytes(data)
    with EventLog(path) as log:
        (problem,) = verify(log, "t")[0].problems
        assert (problem.first_lost, problem.end_lost) == (6, 9)
        assert "lost: offsets 6 to 8" in str(problem)
        assert len(repair(log, "t")) == 1
    got, error = read(path)
    assert error is None
    assert got == EXPECTED[:6] + EXPECTED[9:]
    with EventLog(path) as log:
        assert verify(log, "t")[0].problems == ()
        log.append("t", batch(FRAMES))
        assert log.read("t", metadata=["offset"])["offset"].to_list() == [*range(6), *range(9, 21)]


@pytest.mark.parametrize("which", [0, 1, 2])
def test_repair_of_a_missing_segment(segmented, which):
    path, segments = segmented
    segments[which].unlink()
    lost = range(which * 6, which * 6 + 6)
    with EventLog(path) as log:
        problems = repair(log, "t")
        assert [(p.first_lost, p.end_lost) for p in problems] == [(lost[0], lost[-1] + 1)]
    with EventLog(path) as log:
        assert log.read("t").rows() == [r for r in EXPECTED if r[0] not in lost]
        log.append("t", batch(FRAMES))
        assert log.read("t", metadata=["offset"])["offset"][-1] == FRAMES * ROWS + ROWS - 1


def test_repair_of_damage_everywhere(segmented):
    path, segments = segmented
    for segment in segments:
        data = bytearray(segment.read_bytes())
        for at in range(20, len(data), 700):
            data[at] ^= 0x10
        segment.write_bytes(data)
    with EventLog(path) as log:
        assert repair(log, "t")
    got, error = read(path)
    assert error is None
    assert set(got) <= set(EXPECTED)
    with EventLog(path) as log:
        assert verify(log, "t")[0].problems == ()
        log.append("t", batch(FRAMES))
        assert log.read("t", metadata=["offset"])["offset"][-1] == FRAMES * ROWS + ROWS - 1


def test_a_damaged_index_is_only_slower(segmented):
    path, segments = segmented
    for segment in segments:
        segment.with_suffix(".index").write_bytes(b"rubbish" * 20)
    with EventLog(path) as log:
        for start in range(FRAMES * ROWS):
            assert log.read("t", start=start).rows() == EXPECTED[start:]


def test_a_damaged_registry_is_named(segmented):
    path, _ = segmented
    file = path / "topics/t/topic.json"
    file.write_text(file.read_text().replace("BigInt", "BigInd"))
    with EventLog(path) as log, pytest.raises(CorruptionError, match=r"topic.json is damaged"):
        log.read("t")
