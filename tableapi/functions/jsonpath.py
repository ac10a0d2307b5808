"""SQL/JSON paths: `[strict|lax] $.a.b[0]`, as Flink runs them (the Jayway dialect; without a mode word a path is strict).

A definite path gives one value; a path with a wildcard, a slice, a filter or `..` gives the list of all matches.
"""

from __future__ import annotations

import operator as operators
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tableapi.functions.jsontree import JsonError, parse


class PathError(ValueError):
    """The path is malformed, or leads nowhere in a strict path."""


@dataclass(frozen=True)
class Path:
    """A compiled path."""

    is_strict: bool
    steps: tuple[Step, ...]

    @property
    def is_definite(self) -> bool:
        """Whether it leads to one place at most."""
        return all(s.is_definite for s in self.steps)


@dataclass(frozen=True)
class Step:
    """One step: from a value to the values that it leads to. `needs`: what the one value that a definite beginning of the
    path leads to must be, or else the path leads nowhere."""

    name: str
    is_definite: bool
    follow: Callable[[Any], Iterator[Any]]
    needs: type[Any] | None = None


@dataclass(frozen=True)
class Found:
    """The outcome of a path: a value (None: nothing or a JSON null), or an error."""

    value: Any = None
    error: str | None = None
    is_strict: bool = True


_MODE = re.compile(r"^\s*(strict|lax)\s+(.+)$", re.IGNORECASE | re.DOTALL)


@lru_cache(maxsize=1024)
def compile_path(text: str) -> Path:
    """The path of a text.

    Raises:
        PathError: It is malformed.
    """
    match = _MODE.match(text)
    is_strict = match is None or match[1].lower() == "strict"
    path = match[2].strip() if match else text
    return Path(is_strict, tuple(_steps(path if path.startswith("$") or not path else f"$.{path}")))


def evaluate(document: str, path_text: str) -> Found:
    """Follows a path in a JSON text."""
    try:
        path = compile_path(path_text)
    except PathError as error:
        return Found(error=str(error))
    try:
        root = parse(document)
    except JsonError as error:
        return Found(error=str(error)) if path.is_strict else Found(is_strict=False)
    if root is None:
        return Found(error="the document is null")
    try:
        value = _read(root, path)
        if value is None and path.is_strict:
            return Found(error="null at the path")
        return Found(value, is_strict=path.is_strict)
    except PathError as error:
        return Found(error=str(error)) if path.is_strict else Found(is_strict=False)


def _read(root: Any, path: Path) -> Any:
    if path.is_definite:
        value = root
        for step in path.steps:
            found = list(step.follow(value))
            if not found:
                raise PathError(f"nothing at {step.name}")
            value = found[0]
        return value
    values = [root]
    is_definite = True
    for step in path.steps:
        if is_definite and step.needs and values and not isinstance(values[0], step.needs):
            raise PathError(f"nothing at {step.name}")
        values = [after for before in values for after in step.follow(before)]
        if is_definite and step.needs is dict and not values:
            raise PathError(f"nothing at {step.name}")
        is_definite = is_definite and step.is_definite
    return values


def _steps(text: str) -> Iterator[Step]:
    if not text.startswith("$"):
        raise PathError(f"the path '{text}' does not begin with $")
    index = 1
    while index < len(text):
        step, index = _step(text, index)
        yield step


_NAME = re.compile(r"[^.\[\]()\s]+")


def _step(text: str, index: int) -> tuple[Step, int]:
    if text.startswith("..", index):
        if text.startswith("..*", index):
            return Step("..*", False, lambda v: (x for d in _descendants(v) for x in _children(d))), index + 3
        match = _NAME.match(text, index + 2)
        if match:
            return _deep(match[0]), match.end()
        inner, end = _bracket(text, index + 2)
        return Step(f"..{inner.name}", False, lambda v: (x for d in _descendants(v) for x in inner.follow(d))), end
    if text[index] == ".":
        if text.startswith(".*", index):
            return Step("*", False, _children), index + 2
        match = re.compile(r"([A-Za-z]+)\(\)").match(text, index + 1)
        if match:
            return _function(match[1]), match.end()
        match = _NAME.match(text, index + 1)
        if match is None:
            raise PathError(f"a name is missing in the path '{text}'")
        return _member(match[0]), match.end()
    if text[index] == "[":
        return _bracket(text, index)
    raise PathError(f"the path '{text}' is malformed at '{text[index:]}'")


def _children(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _descendants(value: Any) -> Iterator[Any]:
    yield value
    for child in _children(value):
        yield from _descendants(child)


def _member(name: str) -> Step:
    def follow(value: Any) -> Iterator[Any]:
        if isinstance(value, dict) and name in value:
            yield value[name]

    return Step(name, True, follow, dict)


def _deep(name: str) -> Step:
    inner = _member(name)
    return Step(f"..{name}", False, lambda v: (x for d in _descendants(v) for x in inner.follow(d)))


_FOLDS: dict[str, Callable[[list[Any]], Any]] = {"min": min, "max": max, "sum": sum}


def _function(name: str) -> Step:
    def follow(value: Any) -> Iterator[Any]:
        match name:
            case "length" | "size" if isinstance(value, list | dict | str):
                yield len(value)
            case "min" | "max" | "sum" if isinstance(value, list) and value:
                yield _FOLDS[name](value)
            case "keys" if isinstance(value, dict):
                yield list(value)

    if name not in ("length", "size", "min", "max", "sum", "keys"):
        raise PathError(f"the path function {name}() is not supported")
    return Step(f"{name}()", True, follow)


def _members(value: Any, names: list[str]) -> Iterator[Any]:
    if isinstance(value, dict):
        yield {name: value[name] for name in names if name in value}


_QUOTED = re.compile(r"""\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\s*""")
_NUMBER = re.compile(r"\s*-?\d+\s*$")
_SLICE = re.compile(r"\s*(-?\d+)?\s*:\s*(-?\d+)?\s*$")


def _bracket(text: str, index: int) -> tuple[Step, int]:
    end = _closing(text, index)
    inner = text[index + 1 : end]
    if inner.strip() == "*":
        return Step("[*]", False, _children), end + 1
    if inner.lstrip().startswith("?"):
        return _filter(inner.strip()), end + 1
    if inner.lstrip().startswith(("'", '"')):
        names = [(m[1] if m[1] is not None else m[2]).replace("\\'", "'") for m in _QUOTED.finditer(inner)]
        if len(names) == 1:
            return _member(names[0]), end + 1
        return Step(inner, True, lambda v: _members(v, names), dict), end + 1
    if match := _SLICE.match(inner):
        start, stop = (int(g) if g else None for g in match.groups())
        return Step(inner, False, lambda v: iter(v[start:stop] if isinstance(v, list) else []), list), end + 1
    parts = inner.split(",")
    if not all(_NUMBER.match(p) for p in parts):
        raise PathError(f"the path '{text}' is malformed at '[{inner}]'")
    positions = [int(p) for p in parts]
    return Step(f"[{inner}]", len(positions) == 1, lambda v: _at(v, positions), list), end + 1


def _at(value: Any, positions: list[int]) -> Iterator[Any]:
    if isinstance(value, list):
        for position in positions:
            if -len(value) <= position < len(value):
                yield value[position]


def _closing(text: str, index: int) -> int:
    if index >= len(text) or text[index] != "[":
        raise PathError(f"the path '{text}' is malformed")
    depth, quote, position = 0, "", index
    while position < len(text):
        char = text[position]
        if quote:
            if char == "\\":
                position += 1
            elif char == quote:
                quote = ""
        elif char in "'\"":
            quote = char
        elif char in "[(":
            depth += 1
        elif char in "])":
            depth -= 1
            if depth == 0:
                return position
        position += 1
    raise PathError(f"the path '{text}' has no closing bracket")


_CONDITION = re.compile(
    r"""^\s*@((?:\.[A-Za-z_][\w]*|\[[^\]]*\])*)\s*(?:(==|!=|<=|>=|<|>|=~)\s*('[^']*'|"[^"]*"|-?[\d.]+|true|false|null)\s*)?$"""
)


def _filter(text: str) -> Step:
    match = re.match(r"^\?\s*\((.*)\)$", text, re.DOTALL)
    if match is None:
        raise PathError(f"the filter '{text}' is malformed")
    alternatives = [[_condition(c) for c in part.split("&&")] for part in match[1].split("||")]

    def follow(value: Any) -> Iterator[Any]:
        candidates = value if isinstance(value, list) else [value] if isinstance(value, dict) else []
        return (c for c in candidates if any(all(test(c) for test in group) for group in alternatives))

    return Step(text, False, follow)


def _condition(text: str) -> Callable[[Any], bool]:
    match = _CONDITION.match(text.strip().strip("()"))
    if match is None:
        raise PathError(f"the filter condition '{text.strip()}' is not supported")
    path = Path(True, tuple(_steps("$" + match[1])))
    operator = match[2]
    wanted = _constant(match[3]) if operator else None

    def test(candidate: Any) -> bool:
        try:
            value = _read(candidate, path)
        except PathError:
            return False
        return True if operator is None else _compare(value, operator, wanted)

    return test


def _constant(text: str) -> Any:
    return text[1:-1] if text[0] in "'\"" else parse(text)


_ORDER: dict[str, Callable[[Any, Any], Any]] = {"<": operators.lt, "<=": operators.le, ">": operators.gt, ">=": operators.ge}


def _compare(value: Any, operator: str, wanted: Any) -> bool:
    if operator in ("==", "!="):
        return bool(value == wanted) == (operator == "==")
    try:
        return bool(_ORDER[operator](value, wanted)) if operator in _ORDER else False
    except TypeError:
        return False
