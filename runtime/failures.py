"""Carries errors that are raised inside a Polars query out of it unchanged.

Polars re-creates the exceptions of Python callbacks from their text and adds its own. Whoever raises one of our errors
inside a query remembers it here; `clean_failures` finds it again. Imports tableapi.errors only.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import polars as pl

from tableapi.errors import ExecutionError, TableApiError

_KEPT = 64
_ENGINE = re.compile(r"\n\n(This error occurred in the following|Resolved plan until failure)")
_lock = threading.Lock()
_raised: OrderedDict[str, TableApiError] = OrderedDict()

E = TypeVar("E", bound=TableApiError)


def remember(error: E) -> E:
    """Keeps an error that is about to be raised inside a Polars query."""
    with _lock:
        _raised[str(error)] = error
        while len(_raised) > _KEPT:
            _raised.popitem(last=False)
    return error


def original(error: BaseException) -> TableApiError | None:
    """The error that `error` came from, when it is one of ours."""
    text = _ENGINE.split(str(error), maxsplit=1)[0]
    with _lock:
        known = _raised.get(text)
    if known is not None:
        return known
    if isinstance(error, TableApiError):
        return type(error)(text, where=error.where, exists=error.exists, fix=error.fix)
    return None


@contextmanager
def clean_failures() -> Iterator[None]:
    """Runs Polars; its failures leave as errors of this library, without engine frames.

    Raises:
        ExecutionError: The query failed while running (or the remembered error, when a callback raised one).
    """
    try:
        yield
    except (TableApiError, pl.exceptions.PolarsError) as error:
        known = original(error)
        if known is not None:
            raise known from None
        raise ExecutionError(_ENGINE.split(str(error), maxsplit=1)[0]) from error
