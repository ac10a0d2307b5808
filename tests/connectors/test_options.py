"""Option texts become typed values, and a wrong one is named with what would be right."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tableapi.connectors.base import Option
from tableapi.connectors.options import MemorySize, parse_memory_size, read_options
from tableapi.connectors.registry import connector_names, find_connector, find_format, format_names
from tableapi.durations import parse_duration
from tableapi.errors import OptionError, UnknownNameError

DECLARED = (
    Option("path", str, "Where.", required=True),
    Option("mode", ("fast", "safe"), "How.", default="safe"),
    Option("size", MemorySize, "How large.", default=MemorySize(5)),
    Option("every", timedelta, "How often."),
    Option("fields.#.min", int, "Smallest."),
    Option("extra.*", str, "Handed on."),
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5 s", 5),
        ("500 ms", 0.5),
        ("1min", 60),
        ("2 h", 7200),
        ("1 d", 86400),
        ("100", 0.1),
        ("PT1M30S", 90),
        ("P1DT1H", 90000),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "s", "5 parsecs", "-1 s", "1.5 s"])
def test_bad_durations(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize(("text", "size"), [("64 mb", 64 << 20), ("1g", 1 << 30), ("12", 12), ("3 KB", 3072)])
def test_memory_sizes(text: str, size: int) -> None:
    assert parse_memory_size(text) == size


def test_values_defaults_and_patterns() -> None:
    given = {"path": "p", "mode": "FAST", "every": "2 s", "fields.a.b.min": "3", "extra.x.y": "z"}
    assert read_options("it", given, DECLARED) == {
        "path": "p",
        "mode": "fast",
        "size": 5,
        "every": timedelta(seconds=2),
        "fields.a.b.min": 3,
        "extra.x.y": "z",
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "needs the option 'path'"),
        ({"path": "p", "pth": "q"}, "did you mean 'path'"),
        ({"path": "p", "mode": "slow"}, "not one of fast, safe"),
        ({"path": "p", "fields.a.min": "x"}, "option 'fields.a.min' has a wrong value: 'x' is not an integer"),
        ({"path": "p", "size": "1 elephant"}, "memory size"),
        ({"path": "p", "extra.": "z"}, "no option 'extra.'"),
    ],
)
def test_wrong_options(given: dict[str, str], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        read_options("it", given, DECLARED)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", connector_names())
def test_every_connector_loads(name: str) -> None:
    assert find_connector(name).name == name


@pytest.mark.parametrize("name", format_names())
def test_every_format_loads(name: str) -> None:
    assert find_format(name).name == name


def test_unknown_connector_lists_what_exists() -> None:
    with pytest.raises(UnknownNameError) as caught:
        find_connector("filesytem")
    assert "did you mean 'filesystem'?" in str(caught.value)
    assert "datagen" in str(caught.value)


def test_kafka_points_to_the_log() -> None:
    with pytest.raises(UnknownNameError, match="no connector 'kafka'") as caught:
        find_connector("kafka")
    assert "filelog" in str(caught.value)
