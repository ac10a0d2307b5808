"""For tests of programs and operators: changelogs as pictures, folding, and a harness that drives one operator by hand.

A picture has a row a line: the kind, then the values in the order of the schema, apart by spaces. `null` is NULL; text with
spaces stands in single quotes; times are ISO. Imports the runtime inside functions only.
"""

from __future__ import annotations

import datetime
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from tableapi.row import RowKind

if TYPE_CHECKING:
    from tableapi.runtime.stream.batch import Batch
    from tableapi.runtime.stream.operator import Operator

Schema = Mapping[str, Any]
"""Column names to Polars types."""

_KINDS = {str(kind): kind for kind in RowKind}


def batch(picture: str, schema: Any) -> Batch:
    """The batch that a picture shows.

    Args:
        picture: Lines such as `+I 1 a`; the kind may be left out when all rows are inserts.
        schema: Column names to Polars types, or a `RowSchema`.

    >>> batch("+I 1 a\\n-D 2 'b c'", {"n": pl.Int64(), "s": pl.String()}).frame.rows()
    [(1, 'a'), (2, 'b c')]
    """
    from tableapi.runtime.stream.batch import KIND_DTYPE, Batch

    types = _types(schema)
    kinds, rows = [], []
    for line in filter(str.strip, picture.splitlines()):
        words = _words(line)
        kind = _KINDS.get(words[0])
        values = words if kind is None else words[1:]
        if len(values) != len(types):
            raise ValueError(f"{line.strip()!r} has {len(values)} values for the columns {', '.join(types)}")
        kinds.append(RowKind.INSERT if kind is None else kind)
        rows.append([_parse(word, dtype) for word, dtype in zip(values, types.values(), strict=True)])
    frame = pl.DataFrame(rows, schema=dict(types), orient="row") if types else pl.DataFrame(height=len(rows))
    has_changes = any(kind is not RowKind.INSERT for kind in kinds)
    return Batch(frame, pl.Series("kind", [int(k) for k in kinds], dtype=KIND_DTYPE) if has_changes else None)


def picture(batches: Batch | Iterable[Batch]) -> str:
    """The picture of a batch or of several, one after the other.

    >>> print(picture(batch("+I 1 null", {"n": pl.Int64(), "s": pl.String()})))
    +I 1 null
    """
    from tableapi.runtime.stream.batch import Batch

    several = [batches] if isinstance(batches, Batch) else batches
    lines = []
    for one in several:
        for kind, row in zip(one.kind_values().tolist(), one.frame.iter_rows(), strict=True):
            lines.append(" ".join([str(RowKind(kind)), *map(_show, row)]))
    return "\n".join(lines)


def fold(changelog: Batch | Iterable[Batch]) -> Counter[tuple[Any, ...]]:
    """The rows that are left after all changes, with their numbers.

    Raises:
        AssertionError: A row is taken away that is not there.

    >>> fold(batch("+I 1\\n+I 2\\n-D 1", {"n": pl.Int64()}))
    Counter({(2,): 1})
    """
    from tableapi.runtime.stream.batch import Batch

    rows: Counter[tuple[Any, ...]] = Counter()
    for one in [changelog] if isinstance(changelog, Batch) else changelog:
        for adds, values in zip(one.adds().tolist(), one.frame.iter_rows(), strict=True):
            row = tuple(_hashable(v) for v in values)
            rows[row] += 1 if adds else -1
            assert rows[row] >= 0, f"{row} is taken away but is not there"
    return +rows


def assert_changelog(actual: Batch | Iterable[Batch] | str, expected: str) -> None:
    """Fails unless the changelog looks like the expected picture, line by line (indentation does not matter)."""
    shown = actual if isinstance(actual, str) else picture(actual)
    wanted = "\n".join(" ".join(line.split()) for line in expected.strip().splitlines())
    assert shown == wanted, f"changelog:\n{shown}\nexpected:\n{wanted}"


class ManualClock:
    """A processing-time clock that stands still until it is moved."""

    def __init__(self, now_ms: int = 0) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return self._now_ms

    def set(self, now_ms: int) -> None:
        """Moves the clock; it never goes back."""
        assert now_ms >= self._now_ms
        self._now_ms = now_ms

    def advance(self, by_ms: int) -> None:
        """Moves the clock forward."""
        self.set(self._now_ms + by_ms)


class JobClock:
    """Processing time of whole jobs, in a test's hands: all workers of a job whose session names the clock's file see its time.

    Args:
        path: A file to keep the time in; it is made.
        now_ms: Milliseconds since the epoch.

    >>> import tempfile
    >>> clock = JobClock(tempfile.mkdtemp() + "/clock", 5_000)
    >>> clock.advance(250)
    >>> clock.now_ms()
    5250

    A session takes it with `env.get_config().set("pipeline.clock-file", str(clock.path))`.
    """

    def __init__(self, path: str | Path, now_ms: int = 0) -> None:
        self.path = Path(path)
        self._now_ms = now_ms
        self.path.write_bytes(now_ms.to_bytes(8, "little", signed=True))

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return self._now_ms

    def advance(self, by_ms: int) -> None:
        """Moves the clock forward; timers of running jobs that are due then fire."""
        assert by_ms >= 0
        self._now_ms += by_ms
        with self.path.open("r+b") as file:
            file.write(self._now_ms.to_bytes(8, "little", signed=True))


class MemorySnapshot:
    """A snapshot in memory: writer and reader in one."""

    def __init__(self, parts: Sequence[MemorySnapshot] = ()) -> None:
        self._frames: dict[str, list[pl.DataFrame]] = {}
        self._values: dict[str, Any] = {}
        for part in parts:
            self._values.update(part._values)
            for name, frames in part._frames.items():
                self._frames.setdefault(name, []).extend(frames)

    def write_frame(self, name: str, frame: pl.DataFrame) -> None:
        """Stores a table of state."""
        self._frames.setdefault(name, []).append(frame)

    def frame(self, name: str, frame: pl.DataFrame | None = None) -> Any:
        """Stores a table of state, or gives back the stored one (parts put together)."""
        if frame is not None:
            self.write_frame(name, frame)
            return None
        found = self._frames.get(name)
        return None if found is None else pl.concat(found)

    def value(self, name: str, value: Any = None) -> Any:
        """Stores a value, or gives back the stored one."""
        if value is not None:
            self._values[name] = value
            return None
        return self._values.get(name)


class OperatorHarness:
    """Drives one operator: feeds pictures, returns pictures.

    Args:
        spec: An operator spec.
        schemas: Schema of each input (column names to Polars types, or `RowSchema`).
        snapshot: State to start from.

    >>> from tableapi.runtime.stream.changelog import DropUpdateBeforeSpec
    >>> harness = OperatorHarness(DropUpdateBeforeSpec(), {"n": pl.Int64()})
    >>> harness.feed("-U 1\\n+U 2")
    '+U 2'
    """

    def __init__(self, spec: Any, *schemas: Any, snapshot: MemorySnapshot | None = None, clock_ms: int = 0) -> None:
        from tableapi.functions.registry import SessionContext
        from tableapi.runtime.stream.operator import OperatorContext

        self.clock = ManualClock(clock_ms)
        self.watermark: int | None = None
        self.emitted: list[Batch] = []
        self._timers: list[int] = []
        self._schemas = [_types(s) for s in schemas]
        self._taken = 0
        self.operator: Operator = spec.create()
        self.context = OperatorContext(
            emit=self.emitted.append,
            session=SessionContext(),
            clock=self.clock,
            set_timer=self._timers.append,
            pass_watermark=self._pass_watermark,
        )
        self.operator.open(self.context)
        if snapshot is not None:
            self.operator.restore(snapshot)

    def feed(self, rows: str | Batch, input: int = 0) -> str:
        """Gives rows to an input; returns what was emitted."""
        one = batch(rows, self._schemas[input]) if isinstance(rows, str) else rows
        self.operator.process(input, one)
        return self._new()

    def advance(self, watermark: int | str) -> str:
        """Moves event time (milliseconds, or an ISO time in UTC); returns what was emitted. `self.watermark` is what was
        passed on."""
        if isinstance(watermark, str):
            moment = datetime.datetime.fromisoformat(watermark)
            watermark = round(moment.replace(tzinfo=datetime.UTC).timestamp() * 1000)
        self.watermark = self.operator.on_watermark(watermark)
        return self._new()

    def end(self) -> str:
        """Ends the input; returns what was emitted."""
        from tableapi.runtime.stream.batch import MAX_WATERMARK

        return self.advance(MAX_WATERMARK)

    def set_clock(self, now_ms: int) -> str:
        """Moves processing time and fires the timers that are due; returns what was emitted."""
        self.clock.set(now_ms)
        while due := [t for t in self._timers if t <= now_ms]:
            self._timers[:] = [t for t in self._timers if t != min(due)]
            self.operator.on_timer(min(due))
        return self._new()

    def snapshot(self) -> MemorySnapshot:
        """The operator's state."""
        taken = MemorySnapshot()
        self.operator.snapshot(taken)
        return taken

    def fold(self) -> Counter[tuple[Any, ...]]:
        """The rows that all emitted changes leave."""
        return fold(self.emitted)

    def _pass_watermark(self, watermark_ms: int) -> None:
        self.watermark = watermark_ms

    def _new(self) -> str:
        new = self.emitted[self._taken :]
        self._taken = len(self.emitted)
        return picture(new)


def _types(schema: Any) -> dict[str, pl.DataType]:
    return dict(schema.to_polars()) if hasattr(schema, "to_polars") else dict(schema)


def _words(line: str) -> list[str]:
    lexer = shlex.shlex(line.strip(), posix=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    lexer.quotes = "'"
    return list(lexer)


def _parse(word: str, dtype: pl.DataType) -> Any:
    if word == "null":
        return None
    if word.startswith("'"):
        word = word[1:-1]
    if dtype.is_integer():
        return int(word)
    if dtype.is_float():
        return float(word)
    if dtype == pl.Boolean:
        return word == "true"
    if isinstance(dtype, pl.Decimal):
        return Decimal(word)
    if isinstance(dtype, pl.Datetime):
        moment = datetime.datetime.fromisoformat(word)
        return moment.replace(tzinfo=datetime.UTC) if dtype.time_zone else moment
    if dtype == pl.Date:
        return datetime.date.fromisoformat(word)
    if dtype == pl.Time:
        return datetime.time.fromisoformat(word)
    if isinstance(dtype, pl.List):
        inner = word.strip("[]")
        return [_parse(part, dtype.inner) for part in inner.split(",")] if inner else []  # type: ignore[arg-type]
    return word


def _show(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime.datetime):
        text = value.replace(tzinfo=None).isoformat(timespec="milliseconds" if value.microsecond else "seconds")
        return text.removesuffix(":00") if value.second == 0 and not value.microsecond else text
    if isinstance(value, list):
        return f"[{','.join(map(_show, value))}]"
    text = str(value)
    return f"'{text}'" if not text or " " in text else text


def _hashable(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_hashable(v) for v in value)
    if isinstance(value, dict):
        return tuple((k, _hashable(v)) for k, v in value.items())
    return "NaN" if value != value else value
