"""Java's character classes that hold other classes: unions `[ab[cd]]` and intersections `[a-z&&[^b]]`, as flat classes.

In Java `[[:alpha:]]` is no POSIX class but the union of `:`, `a`, `l`, `p` and `h`.
"""

from __future__ import annotations

import re

POSIX = {
    "Lower": "a-z",
    "Upper": "A-Z",
    "ASCII": r"\x00-\x7F",
    "Alpha": "a-zA-Z",
    "Digit": "0-9",
    "Alnum": "a-zA-Z0-9",
    "Punct": r"!-/:-@\[-`{-~",
    "Graph": "!-~",
    "Print": " -~",
    "Blank": r" \t",
    "Cntrl": r"\x00-\x1F\x7F",
    "XDigit": "0-9a-fA-F",
    "Space": r" \t\n\x0B\f\r",
}
SHORTHANDS = {"d": "0-9", "w": "a-zA-Z0-9_", "s": r" \t\n\x0B\f\r", "h": r" \t\xA0"}
_LAST = 0x10FFFF

Ranges = list[tuple[int, int]]


def class_end(pattern: str, start: int) -> int:
    """The position after the class that begins at `start`; the end of the pattern when it is not closed."""
    depth, index = 0, start
    while index < len(pattern):
        char = pattern[index]
        if char == "\\":
            index += 1
        elif char == "[":
            depth += 1
        elif char == "]":
            depth -= 1
            if not depth:
                return index + 1
        index += 1
    return len(pattern)


def is_combined(text: str) -> bool:
    """Whether a class holds other classes."""
    plain = re.sub(r"\\.", "", text, flags=re.DOTALL)
    return "[" in plain[1:] or "&&" in plain


def flat_class(text: str) -> str:
    """A class that holds others as one of ranges alone, which all engines read.

    >>> flat_class("[a-e&&[^bc]]"), flat_class("[[:x]]")
    ('[ad-e]', '[:x]')

    Raises:
        re.error: The class is malformed, or has members that are no ranges.
    """
    ranges, end = _members(text, 1)
    if end != len(text):
        raise re.error("a character class is not closed")
    shown = "".join(_char(a) if a == b else f"{_char(a)}-{_char(b)}" for a, b in ranges)
    return f"[{shown}]" if shown else r"[^\s\S]"


def _char(code: int) -> str:
    char = chr(code)
    return char if char.isalnum() or char in " :_" else re.escape(char) if char.isascii() and char.isprintable() else _hex(code)


def _hex(code: int) -> str:
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _members(text: str, index: int) -> tuple[Ranges, int]:
    """The members of a class whose opening bracket is before `index`, and the position after its closing one."""
    is_negated = text.startswith("^", index)
    index += is_negated
    parts: list[Ranges] = [[]]
    while index < len(text):
        if text[index] == "]":
            made = parts[0]
            for part in parts[1:]:
                made = _intersection(made, part)
            return (_inverse(made) if is_negated else _union(made)), index + 1
        if text.startswith("&&", index):
            parts.append([])
            index += 2
        elif text[index] == "[":
            inner, index = _members(text, index + 1)
            parts[-1] += inner
        else:
            found, index = _range(text, index)
            parts[-1] += found
    raise re.error("a character class is not closed")


_ESCAPED = {"t": 9, "n": 10, "f": 12, "r": 13, "a": 7, "e": 27}


def _range(text: str, index: int) -> tuple[Ranges, int]:
    """One character, shorthand or range."""
    found, index = _single(text, index)
    is_char = len(found) == 1 and found[0][0] == found[0][1]
    if is_char and text.startswith("-", index) and text[index + 1 : index + 2] not in ("]", "[", ""):
        last, index = _single(text, index + 1)
        if last[0][0] < found[0][0]:
            raise re.error("a range of a character class is the wrong way round")
        return [(found[0][0], last[0][0])], index
    return found, index


def _single(text: str, index: int) -> tuple[Ranges, int]:
    if text[index] != "\\":
        return [(ord(text[index]),) * 2], index + 1
    letter = text[index + 1 : index + 2]
    if letter.lower() in SHORTHANDS:
        members = _listed(SHORTHANDS[letter.lower()])
        return (_inverse(members) if letter.isupper() else members), index + 2
    if letter in ("p", "P"):
        match = re.match(r"\{(\w+)\}", text[index + 2 :])
        if match is None or match[1] not in POSIX:
            raise re.error("a Unicode property in a combined character class")
        members = _listed(POSIX[match[1]])
        return (_inverse(members) if letter == "P" else members), index + 2 + match.end()
    if match := re.match(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})", text[index + 1 :]):
        return [(int(match[1] or match[2], 16),) * 2], index + 1 + match.end()
    if not letter or (letter.isalnum() and letter not in _ESCAPED):
        raise re.error(f"the escape \\{letter} in a character class")
    return [(_ESCAPED.get(letter, ord(letter)),) * 2], index + 2


def _listed(members: str) -> Ranges:
    """The ranges of a class of ours."""
    return _members(members + "]", 0)[0]


def _union(ranges: Ranges) -> Ranges:
    made: Ranges = []
    for low, high in sorted(ranges):
        if made and low <= made[-1][1] + 1:
            made[-1] = (made[-1][0], max(made[-1][1], high))
        else:
            made.append((low, high))
    return made


def _inverse(ranges: Ranges) -> Ranges:
    made, start = [], 0
    for low, high in _union(ranges):
        if low > start:
            made.append((start, low - 1))
        start = high + 1
    return [*made, (start, _LAST)] if start <= _LAST else made


def _intersection(left: Ranges, right: Ranges) -> Ranges:
    return _inverse([*_inverse(left), *_inverse(right)])
