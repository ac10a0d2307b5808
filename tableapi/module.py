"""`Module` and `ModuleEntry`: sets of built-in functions. There is one, `core`."""

from __future__ import annotations

from tableapi.errors import UnsupportedError


class Module:
    """A set of built-in functions."""

    def __init__(self, name: str = "core") -> None:
        self._name = name


class HiveModule(Module):
    """Hive's functions; not available here.

    Raises:
        UnsupportedError: Always.
    """

    def __init__(self, hive_version: str | None = None) -> None:
        raise UnsupportedError("Hive modules are not supported", fix="the built-in functions are always loaded")


class ModuleEntry:
    """A module and whether it is used."""

    def __init__(self, name: str, used: bool) -> None:
        self._name, self._used = name, used

    def name(self) -> str:
        """Name of the module."""
        return self._name

    def used(self) -> bool:
        """Whether its functions can be called."""
        return self._used

    def __repr__(self) -> str:
        return f"ModuleEntry(name={self._name}, used={self._used})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ModuleEntry) and (self._name, self._used) == (other._name, other._used)

    def __hash__(self) -> int:
        return hash((self._name, self._used))
