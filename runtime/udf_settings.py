"""What a session's configuration says about Python functions, and the rule that decides in which process they run.

May import plan, connectors.options and the functions' runtime.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from tableapi.durations import parse_duration
from tableapi.errors import ValidationError, did_you_mean
from tableapi.plan import nodes as n
from tableapi.plan.rex import AggCall, Rex, UdfCall, walk
from tableapi.python_dependencies import ARCHIVES, archives_directory
from tableapi.runtime.udf_scope import AsyncSettings, FunctionSettings

MODES = ("process", "thread")
ASYNC = "table.exec.async-scalar."


def function_settings(options: Mapping[str, str], name: str) -> FunctionSettings:
    """The settings of a job's functions from the session's options as text.

    Raises:
        ValidationError: An option has a value that it cannot have.
    """
    parameters = job_parameters(options.get("pipeline.global-job-parameters", ""))
    return FunctionSettings(parameters, _asynchronous(options), name, archives_directory(options.get(ARCHIVES)))


def job_parameters(text: str) -> dict[str, str]:
    """The pairs of `k:v,…`; a key or value in single quotes may hold commas and colons (Flink's form of a map).

    >>> job_parameters("a:1,'b:c':'x, y'")
    {'a': '1', 'b:c': 'x, y'}
    """
    pairs = {}
    for pair in _parts(text, ","):
        key, *value = _parts(pair, ":", most=2)
        if not value:
            raise ValidationError(f"'pipeline.global-job-parameters' has '{pair.strip()}' where key:value is expected")
        pairs[_unquoted(key)] = _unquoted(value[0])
    return pairs


def _parts(text: str, separator: str, most: int = 0) -> list[str]:
    """The text cut at separators outside quotes, into at most `most` parts."""
    parts: list[str] = []
    part, quoted = "", False
    for character in text:
        quoted ^= character == "'"
        if character == separator and not quoted and len(parts) + 1 != most:
            parts.append(part)
            part = ""
        else:
            part += character
    return [*parts, part] if part.strip() or parts else []


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1].replace("''", "'") if len(text) > 1 and text[0] == text[-1] == "'" else text


def _asynchronous(options: Mapping[str, str]) -> AsyncSettings:
    default = AsyncSettings()

    def seconds(key: str, otherwise: float) -> float:
        text = options.get(ASYNC + key)
        return otherwise if text is None else parse_duration(text).total_seconds()

    strategy = options.get(ASYNC + "retry-strategy", "FIXED_DELAY").upper()
    if strategy not in ("FIXED_DELAY", "NO_RETRY"):
        raise ValidationError(f"'{ASYNC}retry-strategy' cannot be '{strategy}'", exists="FIXED_DELAY, NO_RETRY")
    return AsyncSettings(
        concurrency=max(1, int(options.get(ASYNC + "max-concurrent-operations", default.concurrency))),
        timeout_s=seconds("timeout", default.timeout_s),
        attempts=1 if strategy == "NO_RETRY" else max(1, int(options.get(ASYNC + "max-attempts", default.attempts))),
        delay_s=seconds("retry-delay", default.delay_s),
    )


def runs_in_processes(plans: Sequence[n.Node], options: Mapping[str, str], is_small: Callable[[], bool]) -> bool:
    """Whether the Python functions of a job run in worker processes.

    They do unless the job is small: then starting a process would take longer than the job. `python.execution-mode` decides where
    it is set. Functions that have archives always do, because they run in the archives' folder.

    Raises:
        ValidationError: The option has a value that it cannot have.
    """
    mode = options.get("python.execution-mode", "").lower()
    if mode and mode not in MODES:
        raise ValidationError(
            f"'python.execution-mode' cannot be '{mode}'", exists=", ".join(MODES), fix=did_you_mean(mode, MODES)
        )
    if options.get(ARCHIVES) and mode == "thread":
        raise ValidationError("functions that have archives run in worker processes", fix="leave 'python.execution-mode' out")
    if mode == "thread" or not any(True for _ in python_functions(plans)):
        return False
    return bool(mode or options.get(ARCHIVES)) or not is_small()


def python_functions(plans: Sequence[n.Node]) -> Iterator[Any]:
    """The wrappers of the Python functions that plans call."""
    for plan in plans:
        for node in n.walk(plan):
            for f in fields(node):
                yield from _functions(getattr(node, f.name))
            if isinstance(node, n.Correlate) and not isinstance(node.function, str):
                yield node.function


def _functions(value: Any) -> Iterator[Any]:
    if isinstance(value, Rex):
        yield from (part.function for part in walk(value) if isinstance(part, UdfCall))
    elif isinstance(value, AggCall):
        if value.udaf is not None:
            yield value.udaf
        yield from _functions(value.args)
    elif isinstance(value, tuple):
        for item in value:
            yield from _functions(item)
    elif is_dataclass(value) and not isinstance(value, n.Node | type) and type(value).__module__.startswith("tableapi.plan."):
        for f in fields(value):
            yield from _functions(getattr(value, f.name))
