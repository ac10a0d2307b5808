"""Answers from a table that is asked for keys: with a cache, without waiting, and again where there was no answer.

Imports the sibling modules, the connector contract and the operator contract.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from tableapi.errors import ExecutionError, TableApiError
from tableapi.runtime.lookup.asked import KeyedTable
from tableapi.runtime.lookup.cache import PartialCache
from tableapi.runtime.stream.batch import Batch
from tableapi.runtime.stream.operator import Clock


@dataclass(eq=False)
class Question:
    """A batch whose rows wait for answers.

    Args:
        batch: The rows. keys: Their keys. known: Which of them can have an answer at all.
        answers: Rows found so far.
        open: Keys that are being asked for, or will be at `due_ms`.
    """

    batch: Batch
    keys: pl.DataFrame
    known: npt.NDArray[np.bool_]
    answers: list[pl.DataFrame] = field(default_factory=list)
    open: pl.DataFrame | None = None
    future: Future[pl.DataFrame] | None = None
    attempts: int = 0
    due_ms: int | None = None


class KeyedLookup:
    """Asks a table for the keys of batches, each different key once.

    Args:
        asked: The table and how it is asked.
        columns: For each of `asked.keys` the column of a question's keys that holds its values.
        clock: Processing time: the age of cached keys and when to ask again.
        metrics: Counts hits, misses, calls and repeated calls.
    """

    def __init__(self, asked: KeyedTable, columns: tuple[str, ...], clock: Clock, metrics: dict[str, int]) -> None:
        self._asked, self._columns, self._clock, self._metrics = asked, columns, clock, metrics
        self._types = asked.table.to_polars()
        self._key_types = {name: self._types[name] for name in asked.keys}
        self._cache = None if asked.cache is None else PartialCache(self._key_types, self._types, asked.cache)
        self._reader = asked.source.reader()
        self._loop = _LoopThread() if asked.source.is_async else None

    @property
    def cache(self) -> PartialCache | None:
        """What is remembered."""
        return self._cache

    def begin(self, question: Question) -> None:
        """Looks into the cache and asks for the rest."""
        columns = [question.keys[c].cast(t, strict=False).alias(k) for c, (k, t) in self._pairs()]
        keys = pl.DataFrame(columns).filter(pl.Series(question.known)).unique(maintain_order=True).drop_nulls()
        if self._cache is not None and keys.height:
            rows, missing = self._cache.get(keys, self._clock.now_ms())
            self._count("lookup_hits", keys.height - int(np.count_nonzero(missing)))
            question.answers.append(rows)
            keys = keys.filter(pl.Series(missing))
        if keys.height:
            self._count("lookup_misses", keys.height)
            self._ask(question, keys)

    def _pairs(self) -> Any:
        return zip(self._columns, self._key_types.items(), strict=True)

    def _ask(self, question: Question, keys: pl.DataFrame) -> None:
        self._count("lookup_calls", 1)
        question.open, question.due_ms = keys, None
        question.attempts += 1
        if self._loop is None:
            self._take(question, self._guarded(lambda: self._reader.lookup(keys)))
            return
        question.future = self._loop.submit(self._reader.lookup_async(keys), self._asked.timeout_ms)
        if not self._asked.is_async:
            self.advance(question, wait=True)

    def advance(self, question: Question, *, wait: bool = False, is_last: bool = False) -> bool:
        """Takes what has been answered and asks again what is due.

        Args:
            question: A question that has begun.
            wait: Wait for the answer that is under way, if there is one.
            is_last: The input has ended: keys without rows are asked for once more, now.

        Returns:
            Whether the question is answered.
        """
        while True:
            if question.future is not None:
                if not wait and not question.future.done():
                    return False
                future, question.future = question.future, None
                self._take(question, self._guarded(future.result))
            elif question.due_ms is None:
                return True
            elif is_last or self._clock.now_ms() >= question.due_ms:
                assert question.open is not None
                if is_last:
                    question.attempts = self._asked.max_attempts - 1
                self._count("lookup_retries", question.open.height)
                self._ask(question, question.open)
            else:
                return False

    def _guarded(self, answer: Any) -> pl.DataFrame:
        name = self._asked.name
        try:
            found = answer()
        except TimeoutError:
            raise ExecutionError(
                f"table '{name}' did not answer within {self._asked.timeout_ms} ms",
                fix="raise 'timeout' of the LOOKUP hint or table.exec.async-lookup.timeout",
            ) from None
        except (TableApiError, CancelledError):
            raise
        except Exception as error:
            raise ExecutionError(f"the lookup in table '{name}' failed: {type(error).__name__}: {error}") from error
        return self._checked(found)

    def _checked(self, found: Any) -> pl.DataFrame:
        name = self._asked.name
        if not isinstance(found, pl.DataFrame):
            raise ExecutionError(f"the lookup in table '{name}' gave {type(found).__name__}, not a Polars DataFrame")
        absent = [c for c in self._types if c not in found.columns]
        if absent:
            raise ExecutionError(
                f"the lookup in table '{name}' gave no column '{absent[0]}'",
                exists=f"columns given: {', '.join(found.columns)}",
                fix="return every column of the table, with the keys",
            )
        try:
            return found.select(list(self._types)).cast(self._types)  # type: ignore[arg-type]
        except pl.exceptions.PolarsError as error:
            raise ExecutionError(f"the lookup in table '{name}' gave values that do not fit: {error}") from None

    def _take(self, question: Question, rows: pl.DataFrame) -> None:
        assert question.open is not None
        keys, names = question.open, list(self._key_types)
        question.answers.append(rows)
        found = rows.select(names).unique()
        missing = keys.join(found, on=names, how="anti", maintain_order="left")
        is_final = question.attempts >= self._asked.max_attempts
        if self._cache is not None:
            answered = keys if is_final else keys.join(found, on=names, how="semi", maintain_order="left")
            rows = rows.join(answered, on=names, how="semi", maintain_order="left")
            self._cache.put(answered, rows, self._clock.now_ms())
            self._metrics["cached_keys"] = self._cache.count
        question.open = None
        if missing.height and not is_final:
            question.open, question.due_ms = missing, self._clock.now_ms() + self._asked.retry_delay_ms

    def _count(self, name: str, by: int) -> None:
        self._metrics[name] = self._metrics.get(name, 0) + by

    def close(self) -> None:
        """Gives up what is under way and closes the reader."""
        if self._loop is not None:
            self._loop.close()
        self._reader.close()


class _LoopThread:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="lookups", daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, pl.DataFrame], timeout_ms: int) -> Future[pl.DataFrame]:
        return asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, timeout_ms / 1000), self._loop)

    def close(self) -> None:
        async def cancel() -> None:
            tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(cancel(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
