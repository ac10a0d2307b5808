"""Tables that a Python class answers for: `'connector' = 'python'`.

Imports connectors.{base,options}, errors and tableapi's plain data types; cloudpickle for classes that cannot be imported.
"""

from __future__ import annotations

import asyncio
import base64
import inspect
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import polars as pl

from tableapi.connectors.base import Connector, LookupReader, LookupSource, Option, ScanRequest, Source
from tableapi.connectors.options import COMMON_OPTIONS, read_options
from tableapi.errors import OptionError, UnsupportedError, did_you_mean
from tableapi.tablespec import TableSpec

OPTIONS = (
    Option("lookup.class", str, "Importable class or object that answers lookups: 'package.module:Name'."),
    Option("lookup.object", str, "A pickled class or object that answers lookups, as `lookup_option` makes it."),
    Option("lookup.args.*", str, "Keyword argument of the class."),
)


def lookup_option(answerer: Any) -> str:
    """The text of the option 'lookup.object' for a class or object with a method `lookup`.

    Args:
        answerer: `lookup(keys: pl.DataFrame) -> pl.DataFrame`, plain or `async`, gets different keys in the table's key columns
            and returns all rows that have them. `open()` and `close()` are called when there are such methods. A class is
            made anew in each worker.

    >>> class Names:
    ...     def lookup(self, keys):
    ...         return keys.with_columns(name=pl.lit("x"))
    >>> isinstance(lookup_option(Names), str)
    True
    """
    import cloudpickle

    if not callable(getattr(answerer, "lookup", None)):
        raise OptionError(
            f"{answerer!r} has no method lookup(keys)", fix="define lookup(self, keys: pl.DataFrame) -> pl.DataFrame"
        )
    return base64.b64encode(cloudpickle.dumps(answerer)).decode("ascii")


class PythonConnector(Connector):
    """Tables that exist as answers of Python code only."""

    name = "python"
    options = OPTIONS

    def source(self, table: TableSpec, request: ScanRequest, is_streaming: bool) -> Source:
        raise UnsupportedError(
            f"table '{table.identifier.name}' only answers for keys",
            fix="join it with FOR SYSTEM_TIME AS OF a processing-time attribute",
        )

    def lookup(self, table: TableSpec, keys: tuple[str, ...], columns: tuple[str, ...]) -> LookupSource:
        options = read_options("connector 'python'", table.options, (*OPTIONS, *COMMON_OPTIONS))
        path, pickled = options["lookup.class"], options["lookup.object"]
        if (path is None) == (pickled is None):
            raise OptionError(f"table '{table.identifier.name}' needs one of 'lookup.class' and 'lookup.object'")
        found = _imported(path) if path is not None else _unpickled(pickled)
        method = getattr(found, "lookup", None)
        if not callable(method):
            raise OptionError(f"'{path or found!r}' has no method lookup(keys)")
        prefix = "lookup.args."
        given = tuple((k.removeprefix(prefix), v) for k, v in table.options.items() if k.startswith(prefix))
        return PythonLookup(path, pickled, given, inspect.iscoroutinefunction(method))


def _imported(path: str) -> Any:
    module_name, _, name = path.partition(":")
    try:
        module = import_module(module_name)
    except ImportError as error:
        raise OptionError(f"option 'lookup.class' names '{path}', which cannot be imported: {error}") from None
    if not name or not hasattr(module, name):
        known = [n for n in vars(module) if not n.startswith("_")]
        raise OptionError(
            f"option 'lookup.class': module '{module_name}' has no '{name}'",
            fix=did_you_mean(name, known) or "write 'package.module:Name'",
        )
    return getattr(module, name)


def _unpickled(text: str) -> Any:
    import cloudpickle

    return cloudpickle.loads(base64.b64decode(text))


@dataclass(frozen=True)
class PythonLookup(LookupSource):
    """Which class answers; plain data."""

    path: str | None
    pickled: str | None
    args: tuple[tuple[str, str], ...]
    is_async: bool

    def reader(self) -> LookupReader:
        found = _imported(self.path) if self.path is not None else _unpickled(self.pickled or "")
        answerer = found(**dict(self.args)) if inspect.isclass(found) else found
        if hasattr(answerer, "open"):
            answerer.open()
        return _Reader(answerer)


class _Reader(LookupReader):
    def __init__(self, answerer: Any) -> None:
        self._answerer = answerer

    def lookup(self, keys: pl.DataFrame) -> pl.DataFrame:
        found = self._answerer.lookup(keys)
        rows: pl.DataFrame = asyncio.run(found) if inspect.iscoroutine(found) else found
        return rows

    async def lookup_async(self, keys: pl.DataFrame) -> pl.DataFrame:
        rows: pl.DataFrame = await self._answerer.lookup(keys)
        return rows

    def close(self) -> None:
        if hasattr(self._answerer, "close"):
            self._answerer.close()
