"""Bitmaps on expressions.

May import the expression base only; the functions themselves are declared in `tableapi.functions`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tableapi.expression_base import ExpressionBase

if TYPE_CHECKING:
    from tableapi.expression import Expression


class BitmapMembers(ExpressionBase):
    """Members of `Expression` for BITMAP values."""

    __slots__ = ()

    def bitmap_and(self, bitmap2: Any) -> Expression:
        """The values in both bitmaps."""
        return self._call("BITMAP_AND", bitmap2)

    def bitmap_andnot(self, bitmap2: Any) -> Expression:
        """The values that are not in the other bitmap."""
        return self._call("BITMAP_ANDNOT", bitmap2)

    def bitmap_and_agg(self) -> Expression:
        """The values in all bitmaps of a group."""
        return self._call("BITMAP_AND_AGG")

    def bitmap_and_cardinality_agg(self) -> Expression:
        """How many values are in all bitmaps of a group."""
        return self._call("BITMAP_AND_CARDINALITY_AGG")

    def bitmap_build(self) -> Expression:
        """An ARRAY of integers as a bitmap."""
        return self._call("BITMAP_BUILD")

    def bitmap_build_agg(self) -> Expression:
        """The integers of a group as a bitmap."""
        return self._call("BITMAP_BUILD_AGG")

    def bitmap_build_cardinality_agg(self) -> Expression:
        """How many different integers are in a group."""
        return self._call("BITMAP_BUILD_CARDINALITY_AGG")

    def bitmap_cardinality(self) -> Expression:
        """How many values are in the bitmap."""
        return self._call("BITMAP_CARDINALITY")

    def bitmap_from_bytes(self) -> Expression:
        """The bitmap that bytes stand for."""
        return self._call("BITMAP_FROM_BYTES")

    def bitmap_or(self, bitmap2: Any) -> Expression:
        """The values in either bitmap."""
        return self._call("BITMAP_OR", bitmap2)

    def bitmap_or_agg(self) -> Expression:
        """The values in any bitmap of a group."""
        return self._call("BITMAP_OR_AGG")

    def bitmap_or_cardinality_agg(self) -> Expression:
        """How many values are in any bitmap of a group."""
        return self._call("BITMAP_OR_CARDINALITY_AGG")

    def bitmap_to_array(self) -> Expression:
        """The values, as an ARRAY."""
        return self._call("BITMAP_TO_ARRAY")

    def bitmap_to_bytes(self) -> Expression:
        """The bitmap as bytes."""
        return self._call("BITMAP_TO_BYTES")

    def bitmap_to_string(self) -> Expression:
        """The values as text."""
        return self._call("BITMAP_TO_STRING")

    def bitmap_xor(self, bitmap2: Any) -> Expression:
        """The values in exactly one of both bitmaps."""
        return self._call("BITMAP_XOR", bitmap2)

    def bitmap_xor_agg(self) -> Expression:
        """The values in an odd number of bitmaps of a group."""
        return self._call("BITMAP_XOR_AGG")

    def bitmap_xor_cardinality_agg(self) -> Expression:
        """How many values are in an odd number of bitmaps of a group."""
        return self._call("BITMAP_XOR_CARDINALITY_AGG")
