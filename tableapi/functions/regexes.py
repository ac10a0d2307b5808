"""Java regular expressions in Polars' engine where it can run them, else in Python's.

Java's \\d, \\w and \\s mean ASCII; its POSIX classes (\\p{Alpha}) too. Polars has no look-around and no back references:
patterns that use them run in Python's `re`, once per distinct text.
"""

from __future__ import annotations

import re
from functools import lru_cache

import polars as pl

from tableapi.functions.regex_classes import POSIX, SHORTHANDS, class_end, flat_class, is_combined

_UNICODE_IN_PYTHON = {"L": r"[^\W\d_]", "IsAlphabetic": r"[^\W\d_]", "N": r"\d", "Nd": r"\d", "IsDigit": r"\d"}


def _translate(pattern: str, is_python: bool) -> str:
    """The pattern in the other engine's spelling."""
    parts: list[str] = []
    index, depth = 0, 0
    while index < len(pattern):
        char = pattern[index]
        if char == "\\" and index + 1 < len(pattern):
            text, index = _escape(pattern, index + 1, depth > 0, is_python)
            parts.append(text)
            continue
        if char == "[" and not depth:
            end = class_end(pattern, index)
            if is_combined(pattern[index:end]):
                parts.append(flat_class(pattern[index:end]))
                index = end
                continue
        if char == "[":
            depth += 1
        elif char == "]" and depth:
            depth -= 1
        if is_python and pattern.startswith("(?<", index) and pattern[index + 3 : index + 4] not in ("=", "!"):
            parts.append("(?P<")
            index += 3
            continue
        parts.append(char)
        index += 1
    return "".join(parts)


def _escape(pattern: str, index: int, in_class: bool, is_python: bool) -> tuple[str, int]:
    """The translation of the escape whose letter is at `index`, and where the pattern goes on."""
    letter = pattern[index]
    if letter == "Q":
        end = pattern.find("\\E", index)
        quoted = pattern[index + 1 : end if end >= 0 else None]
        return re.escape(quoted), len(pattern) if end < 0 else end + 2
    if letter.lower() in SHORTHANDS:
        return _ascii_class(SHORTHANDS[letter.lower()], letter.isupper(), in_class), index + 1
    if letter in "pP":
        match = re.match(r"\{(\w+)\}|(\w)", pattern[index + 1 :])
        if match:
            return _property(match[1] or match[2], letter == "P", in_class, is_python), index + 1 + match.end()
    if letter == "Z":
        return (r"\Z" if is_python else r"\z"), index + 1
    if letter == "z":
        return (r"\Z" if is_python else r"\z"), index + 1
    if letter == "e":
        return r"\x1B", index + 1
    if letter == "R" and not in_class:
        return r"(?:\r\n|[\n\x0B\f\r\x85\u2028\u2029])", index + 1
    if not is_python and not letter.isalnum() and letter not in r"\.+*?()|[]{}^$#&-~/<>'\"!%,:;=@_` ":
        return letter, index + 1
    return "\\" + letter, index + 1


def _ascii_class(members: str, is_negated: bool, in_class: bool) -> str:
    if not in_class:
        return f"[{'^' if is_negated else ''}{members}]"
    return members if not is_negated else _complement(members)


def _complement(members: str) -> str:
    """The members of a character class's complement, spelled as ranges (for use inside a class)."""
    is_member = re.compile(f"[{members}]")
    ranges, start = [], None
    for code in range(129):
        inside = code == 128 or is_member.match(chr(code)) is not None
        if not inside and start is None:
            start = code
        elif inside and start is not None:
            ranges.append(f"\\x{start:02X}-\\x{code - 1:02X}")
            start = None
    return "".join(ranges) + "\u0080-\U0010ffff"


def _property(name: str, is_negated: bool, in_class: bool, is_python: bool) -> str:
    if name in POSIX:
        return _ascii_class(POSIX[name], is_negated, in_class)
    if not is_python:
        plain = name.removeprefix("Is") if name in ("IsAlphabetic", "IsDigit", "IsLetter") else name
        names = {"Alphabetic": "Alphabetic", "Digit": "Nd", "Letter": "L"}
        return f"\\{'P' if is_negated else 'p'}{{{names.get(plain, plain)}}}"
    known = _UNICODE_IN_PYTHON.get(name)
    if known is None or in_class or is_negated:
        raise re.error(f"\\p{{{name}}} is not supported here")
    return known


@lru_cache(maxsize=1024)
def native(pattern: str) -> str | None:
    """The pattern for Polars' engine, or None when it cannot run it."""
    try:
        translated = _translate(pattern, is_python=False)
        pl.Series(["", None], dtype=pl.String).str.contains(translated)
    except (pl.exceptions.PolarsError, re.error):
        return None
    return translated


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> re.Pattern[str] | None:
    """The pattern for Python's engine, or None when it is not a regular expression."""
    try:
        return re.compile(_translate(pattern, is_python=True))
    except (re.error, OverflowError):
        return None


def can_be_empty(pattern: str) -> bool:
    """Whether the pattern matches an empty text: between its matches Java finds empty ones that Polars' engine leaves out."""
    found = compiled(pattern)
    return found is not None and found.search("") is not None


def groups(pattern: str) -> int | None:
    """Number of groups of the pattern, or None when it is malformed."""
    found = compiled(pattern)
    if found is not None:
        return found.groups
    translated = native(pattern)
    if translated is None:
        return None
    captured = pl.Series([""]).str.extract_groups(translated)
    return len(captured.struct.fields)
