"""Every error that a user can act on, one class each.

A message says what, where, what exists and what to do. `where` is the user's own file and line (or the
position in a SQL text); it is kept apart from the message so that front ends can show it in their way.
Imports nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True)
class Location:
    """A place in a user's program: a Python file and line, or a position in a SQL text."""

    file: str
    line: int
    column: int | None = None
    source: str | None = None
    """The whole SQL text when the place is in SQL, so that the token can be underlined."""
    length: int = 1

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}"
        return place if self.column is None else f"{place}:{self.column}"


class TableApiError(Exception):
    """Base of all errors that this library raises on purpose.

    Args:
        what: One sentence that says what is wrong.
        where: The place in the user's program.
        exists: What could have been meant (for example, "columns: a, b").
        fix: What to do about it.
    """

    def __init__(
        self,
        what: str,
        *,
        where: Location | None = None,
        exists: str | None = None,
        fix: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what, self.where, self.exists, self.fix = what, where, exists, fix

    def at(self, where: Location | None) -> TableApiError:
        """The same error with a place, unless it has one already."""
        if self.where is None:
            self.where = where
        return self

    def __str__(self) -> str:
        lines = [self.what]
        if self.where is not None:
            lines.append(f"  at: {self.where}")
            lines.extend(_excerpt(self.where))
        if self.exists:
            lines.append(f"  exists: {self.exists}")
        if self.fix:
            lines.append(f"  fix: {self.fix}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.what, self.where, self.exists, self.fix))


def _rebuild(
    kind: type[TableApiError], what: str, where: Location | None, exists: str | None, fix: str | None
) -> TableApiError:
    return kind(what, where=where, exists=exists, fix=fix)


def _excerpt(where: Location) -> list[str]:
    if where.source is None or where.column is None:
        return []
    lines = where.source.splitlines()
    if not 1 <= where.line <= len(lines):
        return []
    return [f"    {lines[where.line - 1]}", "    " + " " * (where.column - 1) + "^" * max(1, where.length)]


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """`did you mean 'x'?` for the known name closest to `name`, or None.

    >>> did_you_mean("custmer", ["customer", "price"])
    "did you mean 'customer'?"
    """
    by_folded = {k.casefold(): k for k in known}
    close = get_close_matches(name.casefold(), by_folded, n=1)
    return f"did you mean '{by_folded[close[0]]}'?" if close else None


class ValidationError(TableApiError):
    """The program says something that has no meaning: an unknown name, a wrong type, a misplaced clause."""


class SqlParseError(ValidationError):
    """The text is not SQL."""


class UnknownNameError(ValidationError):
    """A column, table, function, option or connector that does not exist."""


class TypeMismatchError(ValidationError):
    """A value of one type stands where another is needed."""


class AlreadyExistsError(ValidationError):
    """A name is taken."""


class UnsupportedError(TableApiError):
    """The program has a meaning, but this engine cannot run it (yet)."""


class ChangelogError(ValidationError):
    """A sink or operator cannot take the changes that a query produces."""


class OptionError(ValidationError):
    """A connector, format or configuration option is missing, unknown or malformed."""


class ExecutionError(TableApiError):
    """A job failed while running."""


class RecordError(ExecutionError):
    """A record could not be decoded or does not fit the schema."""


class CastError(ExecutionError):
    """CAST met a value that does not fit the target type. TRY_CAST gives NULL instead."""


class StreamClosedError(ExecutionError):
    """A log, channel or job that is closed was used."""


class CorruptionError(ExecutionError):
    """Stored bytes do not match their checksum, or a piece of a log or checkpoint is missing."""


class JobCancelledError(ExecutionError):
    """The job was stopped by the user."""
