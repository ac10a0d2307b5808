"""`Module` and `ModuleEntry`: sets of built-in functions. There is one, `core`."""

from __future__ import annotations

from collections.abc import Sequence

from tableapi.errors import AlreadyExistsError, UnknownNameError, UnsupportedError, ValidationError


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


class Modules:
    """The modules of a session: which are loaded, and which of them are used, in order of look-up."""

    def __init__(self) -> None:
        self.loaded, self.used = ["core"], ["core"]

    def load(self, name: str) -> None:
        """Loads a module and uses it last."""
        if name in self.loaded:
            raise AlreadyExistsError(f"module '{name}' is loaded already", exists=self._exists())
        if name != "core":
            raise UnsupportedError(f"module '{name}' does not exist here", exists="modules that can be loaded: core")
        self.loaded.append(name)
        self.used.append(name)

    def unload(self, name: str) -> None:
        """Forgets a module."""
        self._check(name)
        self.loaded.remove(name)
        self.used = [n for n in self.used if n != name]

    def use(self, names: Sequence[str]) -> None:
        """Uses these modules, in this order."""
        for name in names:
            self._check(name)
        if len(set(names)) != len(names):
            raise ValidationError("a module stands twice")
        self.used = list(names)

    def entries(self) -> list[ModuleEntry]:
        """All loaded modules, the used ones first."""
        unused = [n for n in self.loaded if n not in self.used]
        return [*(ModuleEntry(n, True) for n in self.used), *(ModuleEntry(n, False) for n in unused)]

    def _check(self, name: str) -> None:
        if name not in self.loaded:
            raise UnknownNameError(f"module '{name}' is not loaded", exists=self._exists())

    def _exists(self) -> str:
        return f"modules: {', '.join(self.loaded) or 'none'}"
