"""Rows, arrays and maps on expressions.

May import the expression base only; the functions themselves are declared in `tableapi.functions`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tableapi.expression_base import ExpressionBase, to_node

if TYPE_CHECKING:
    from tableapi.expression import Expression


class CollectionMembers(ExpressionBase):
    """Members of `Expression` for ROW, ARRAY, MAP and MULTISET values."""

    __slots__ = ()

    def at(self, index: Any) -> Expression:
        """The element at a 1-based index of an ARRAY, or the value of a MAP's key."""
        return self._call("AT", index)

    @property
    def cardinality(self) -> Expression:
        """The number of elements or entries."""
        return self._call("CARDINALITY")

    @property
    def element(self) -> Expression:
        """The only element of an ARRAY; NULL when it is empty, an error when it has several."""
        return self._call("ELEMENT")

    def array_append(self, addition: Any) -> Expression:
        """The array with one more element at its end."""
        return self._call("ARRAY_APPEND", to_node(addition))

    def array_contains(self, needle: Any) -> Expression:
        """Whether an element equals `needle`."""
        return self._call("ARRAY_CONTAINS", to_node(needle))

    def array_distinct(self) -> Expression:
        """The array without repeated elements, in order of first occurrence."""
        return self._call("ARRAY_DISTINCT")

    def array_position(self, needle: Any) -> Expression:
        """The 1-based place of the first element that equals `needle`, 0 when there is none."""
        return self._call("ARRAY_POSITION", to_node(needle))

    def array_prepend(self, addition: Any) -> Expression:
        """The array with one more element at its start."""
        return self._call("ARRAY_PREPEND", to_node(addition))

    def array_remove(self, needle: Any) -> Expression:
        """The array without the elements that equal `needle`."""
        return self._call("ARRAY_REMOVE", to_node(needle))

    def array_reverse(self) -> Expression:
        """The array backwards."""
        return self._call("ARRAY_REVERSE")

    def array_slice(self, start_offset: Any, end_offset: Any = None) -> Expression:
        """The elements from the 1-based `start_offset` to `end_offset`; negative offsets count from the end."""
        return self._call("ARRAY_SLICE", start_offset, end_offset)

    def array_sort(self, ascending_order: Any = None, null_first: Any = None) -> Expression:
        """The array in ascending or descending order."""
        return self._call("ARRAY_SORT", ascending_order, null_first)

    def array_union(self, array: Any) -> Expression:
        """The different elements of both arrays."""
        return self._call("ARRAY_UNION", array)

    def array_concat(self, *arrays: Any) -> Expression:
        """The elements of all arrays, one after the other."""
        return self._call("ARRAY_CONCAT", *arrays)

    def array_max(self) -> Expression:
        """The largest element."""
        return self._call("ARRAY_MAX")

    def array_join(self, delimiter: Any, null_replacement: Any = None) -> Expression:
        """The elements as text joined by `delimiter`; NULL elements are left out or replaced."""
        return self._call("ARRAY_JOIN", delimiter, null_replacement)

    def array_min(self) -> Expression:
        """The smallest element."""
        return self._call("ARRAY_MIN")

    def array_except(self, array: Any) -> Expression:
        """The different elements that are not in the other array."""
        return self._call("ARRAY_EXCEPT", array)

    def array_intersect(self, array: Any) -> Expression:
        """The different elements that are in both arrays."""
        return self._call("ARRAY_INTERSECT", array)

    @property
    def map_keys(self) -> Expression:
        """The keys, as an ARRAY."""
        return self._call("MAP_KEYS")

    def map_union(self, *maps: Any) -> Expression:
        """The entries of all maps; later ones win."""
        return self._call("MAP_UNION", *maps)

    @property
    def map_values(self) -> Expression:
        """The values, as an ARRAY."""
        return self._call("MAP_VALUES")

    @property
    def map_entries(self) -> Expression:
        """The entries, as an ARRAY of rows `key`, `value`."""
        return self._call("MAP_ENTRIES")

    def object_update(self, *kv: Any) -> Expression:
        """The structured object with fields replaced: name, value, name, value, …"""
        return self._call("OBJECT_UPDATE", *kv)

    def get(self, name_or_index: str | int) -> Expression:
        """A field of a ROW, by name or 0-based index."""
        return self._call("GET", name_or_index)

    @property
    def flatten(self) -> Expression:
        """All fields of a ROW as columns of their own, named `column$field`."""
        return self._call("FLATTEN")
