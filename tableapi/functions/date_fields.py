"""Java date patterns (`yyyy-MM-dd HH:mm:ss.SSS`) as fields, and the English names that they read and show.

Two classes of Java read them: DateTimeFormatter has more letters and optional parts in brackets, SimpleDateFormat reads leniently.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from tableapi.errors import ValidationError

MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_FORMATTER_LETTERS = "GuyYQqMLwWDdFEecabBhKkHmsSAnNVvzOXxZp"
_SIMPLE_LETTERS = "GyMLdkHmsSEDFwWahKzZYuX"
_MOST_LETTERS = {**dict.fromkeys("dHhKkmsw", 2), **dict.fromkeys("aFW", 1), **dict.fromkeys("MLEQqG", 5), "D": 3, "S": 9}
OPTIONAL, REQUIRED = "[", "]"
BRACKETS = (OPTIONAL, REQUIRED)


class Field(NamedTuple):
    """A run of one pattern letter, literal text (`letter` is empty), or the beginning or end of an optional part."""

    letter: str
    width: int
    text: str = ""


@lru_cache(maxsize=512)
def fields(pattern: str) -> tuple[Field, ...]:
    """The fields of a pattern for DateTimeFormatter.

    Raises:
        ValidationError: A letter has no meaning, or a quote or bracket is not closed.
    """
    made = _fields(pattern, _FORMATTER_LETTERS, has_options=True)
    for field in made:
        if field.width > _MOST_LETTERS.get(field.letter, field.width):
            raise ValidationError(
                f"too many letters '{field.letter}' in the date pattern '{pattern}'", fix="write fewer of them"
            )
    return made


@lru_cache(maxsize=512)
def lenient_fields(pattern: str) -> tuple[Field, ...]:
    """The fields of a pattern for SimpleDateFormat.

    Raises:
        ValidationError: A letter has no meaning, or a quote is not closed.
    """
    return _fields(pattern, _SIMPLE_LETTERS, has_options=False)


_PART = re.compile(r"'((?:[^']|'')*)'|(([A-Za-z])\3*)|(.)", re.DOTALL)


def _fields(pattern: str, letters: str, has_options: bool) -> tuple[Field, ...]:
    made: list[Field] = []
    depth = 0
    for quoted, run, letter, other in _PART.findall(pattern):
        if letter:
            if letter not in letters:
                raise ValidationError(f"the date pattern '{pattern}' has the unknown letter '{letter}'", fix="quote text: 'T'")
            made.append(Field(letter, len(run)))
        elif other == "'":
            raise ValidationError(f"the quote in the date pattern '{pattern}' is not closed", fix="write '' for a quote")
        elif has_options and other in ("{", "}", "#"):
            raise ValidationError(f"'{other}' is reserved in the date pattern '{pattern}'", fix=f"quote it: '{other}'")
        elif has_options and other in (OPTIONAL, REQUIRED):
            depth += 1 if other == OPTIONAL else -1
            if depth < 0:
                raise ValidationError(f"']' without '[' in the date pattern '{pattern}'", fix="quote text: ']'")
            made.append(Field(other, 0))
        else:
            made.append(Field("", 0, other or quoted.replace("''", "'") or "'"))
    return (*made, *[Field(REQUIRED, 0)] * depth)
