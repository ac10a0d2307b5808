"""Puts the user's line into errors: a decorator for the public methods of the front end. May import errors and expressions."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from tableapi.errors import TableApiError
from tableapi.expression_base import caller

P = ParamSpec("P")
R = TypeVar("R")

SHOWS_ENGINE_FRAMES = "TABLEAPI_DEBUG" in os.environ
"""Errors of planning hide the frames of this library unless the environment variable TABLEAPI_DEBUG is set."""


def located(method: Callable[P, R]) -> Callable[P, R]:
    """Errors that know no place get the line that called the method; the traceback ends there."""

    @functools.wraps(method)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        __tracebackhide__ = not SHOWS_ENGINE_FRAMES  # read by IPython and pytest
        try:
            return method(*args, **kwargs)
        except TableApiError as error:
            error.at(caller())
            if SHOWS_ENGINE_FRAMES:
                raise
            raise error.with_traceback(None) from error.__cause__

    return wrapper
