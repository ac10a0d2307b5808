"""`ListView` and `MapView`: collections in the accumulator of a Python aggregate. Imports nothing from the package."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")


class DataView:
    """Base of collections in an accumulator."""

    def clear(self) -> None:
        """Removes everything."""
        raise NotImplementedError(type(self).__name__)


class ListView(DataView, Generic[T]):
    """A list in an accumulator.

    >>> view = ListView()
    >>> view.add(1)
    >>> list(view.get())
    [1]
    """

    def __init__(self, values: Iterable[T] = ()) -> None:
        self._list: list[T] = list(values)

    def get(self) -> Iterable[T]:
        """The values."""
        return self._list

    def add(self, value: T) -> None:
        """Adds a value."""
        self._list.append(value)

    def add_all(self, values: list[T]) -> None:
        """Adds values."""
        self._list.extend(values)

    def clear(self) -> None:
        """Removes everything."""
        self._list = []

    def __iter__(self) -> Iterator[T]:
        return iter(self._list)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ListView) and self._list == other._list

    def __hash__(self) -> int:
        return hash(tuple(map(repr, self._list)))


class MapView(DataView, Generic[K, V]):
    """A map in an accumulator.

    >>> view = MapView()
    >>> view.put("a", 1)
    >>> view.get("a"), view.contains("b")
    (1, False)
    """

    def __init__(self, values: dict[K, V] | None = None) -> None:
        self._dict: dict[K, V] = dict(values or {})

    def get(self, key: K) -> V | None:
        """The value of a key, None when there is none."""
        return self._dict.get(key)

    def put(self, key: K, value: V) -> None:
        """Sets the value of a key."""
        self._dict[key] = value

    def put_all(self, dict_value: dict[K, V]) -> None:
        """Sets values."""
        self._dict.update(dict_value)

    def remove(self, key: K) -> None:
        """Removes a key."""
        self._dict.pop(key, None)

    def contains(self, key: K) -> bool:
        """Whether the key is there."""
        return key in self._dict

    def items(self) -> Any:
        """Key and value pairs."""
        return self._dict.items()

    def keys(self) -> Any:
        """The keys."""
        return self._dict.keys()

    def values(self) -> Any:
        """The values."""
        return self._dict.values()

    def is_empty(self) -> bool:
        """Whether nothing is there."""
        return not self._dict

    def clear(self) -> None:
        """Removes everything."""
        self._dict = {}

    def __getitem__(self, key: K) -> V:
        return self._dict[key]

    def __setitem__(self, key: K, value: V) -> None:
        self._dict[key] = value

    def __delitem__(self, key: K) -> None:
        del self._dict[key]

    def __contains__(self, key: object) -> bool:
        return key in self._dict

    def __iter__(self) -> Iterator[K]:
        return iter(self._dict)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MapView) and self._dict == other._dict

    def __hash__(self) -> int:
        return hash(tuple(map(repr, self._dict.items())))
