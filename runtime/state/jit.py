"""When kernels are compiled: not before there is enough to do that loading the compiler pays.

A kernel is a function of NumPy arrays that numba can compile. The first few rows of a process are worked on by the same function as
plain Python, so that a small query does not wait for numba; from then on it is compiled (and kept on disk). Imports NumPy only.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from inspect import signature
from typing import Any, TypeVar

import numpy as np

F = TypeVar("F", bound=Callable[..., Any])

PLAIN_ROWS = 2_000
"""Rows that a process works on without numba, over all kernels: some milliseconds."""

_ROW_ARGUMENTS = ("words", "slots", "ids", "owners", "offsets", "cells")
"""Names of the argument whose length is a kernel's work."""


class Kernel:
    """A function that is plain Python first, and compiled once its process has seen `PLAIN_ROWS` rows. One whose name begins with `_` is
    a part of others and is compiled with them."""

    rows_seen = 0

    def __init__(self, function: Callable[..., Any]) -> None:
        self.plain = function
        self.compiled: Callable[..., Any] | None = None
        names = [] if function.__name__.startswith("_") else list(signature(function).parameters)
        self._rows_at = next((names.index(n) for n in _ROW_ARGUMENTS if n in names), None)

    def __call__(self, *args: Any) -> Any:
        if self.compiled is None:
            if self._rows_at is None or Kernel.rows_seen < PLAIN_ROWS:
                return self._call_plain(args)
            self.compile()
        assert self.compiled is not None
        return self.compiled(*args)

    def _call_plain(self, args: tuple[Any, ...]) -> Any:
        if self._rows_at is not None:
            Kernel.rows_seen += len(args[self._rows_at])
            if Kernel.rows_seen >= PLAIN_ROWS:
                return self(*args)
        with np.errstate(over="ignore"):
            return self.plain(*args)

    def compile(self) -> Callable[..., Any]:
        """Compiles this kernel and those that it calls."""
        if self.compiled is None:
            import numba

            names = self.plain.__code__.co_names
            own = self.plain.__globals__
            inner = {n: own[n].compile() for n in names if isinstance(own.get(n), Kernel)}
            function = types.FunctionType(self.plain.__code__, {**own, **inner}, self.plain.__name__)
            function.__qualname__ = self.plain.__qualname__
            self.compiled = numba.njit(cache=True, nogil=True)(function)
        assert self.compiled is not None
        return self.compiled


def kernel(function: F) -> F:
    """Declares a kernel."""
    return Kernel(function)  # type: ignore[return-value]
