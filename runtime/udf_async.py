"""Awaits coroutine functions: a few rows at a time, with a time limit and repeated tries (`table.exec.async-scalar.*`).

Imports the sibling that opens functions; loaded with the first such function, because asyncio takes long to load.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tableapi.runtime.udf_scope import AsyncSettings, RowFailure


class EventLoop:
    """An event loop in a thread of its own."""

    def __init__(self, settings: AsyncSettings) -> None:
        self._settings = settings
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tableapi-async", daemon=True)
        self._thread.start()

    def map(self, function: Callable[..., Awaitable[Any]], rows: Sequence[tuple[Any, ...]]) -> list[Any]:
        """The results for all rows, in their order.

        Raises:
            RowFailure: One failed for good; the others are cancelled.
        """
        return asyncio.run_coroutine_threadsafe(self._all(function, rows), self._loop).result()

    async def _all(self, function: Callable[..., Awaitable[Any]], rows: Sequence[tuple[Any, ...]]) -> list[Any]:
        results: list[Any] = [None] * len(rows)
        pending = iter(enumerate(rows))

        async def work() -> None:
            for index, row in pending:
                results[index] = await self._one(function, index, row)

        workers = [asyncio.ensure_future(work()) for _ in range(min(self._settings.concurrency, len(rows)))]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        return results

    async def _one(self, function: Callable[..., Awaitable[Any]], index: int, row: tuple[Any, ...]) -> Any:
        try:
            async with asyncio.timeout(self._settings.timeout_s) as limit:
                return await self._tries(function, row)
        except TimeoutError:
            if limit.expired():
                error = TimeoutError(f"no answer within {self._settings.timeout_s:g} s")
            raise RowFailure(index, error) from error
        except Exception as error:
            raise RowFailure(index, error) from error

    async def _tries(self, function: Callable[..., Awaitable[Any]], row: tuple[Any, ...]) -> Any:
        for attempt in range(1, self._settings.attempts + 1):
            try:
                return await function(*row)
            except Exception:
                if attempt == self._settings.attempts:
                    raise
                await asyncio.sleep(self._settings.delay_s)
        raise AssertionError("at least one attempt is made")

    def close(self) -> None:
        """Ends the loop and its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
