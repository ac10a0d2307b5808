"""Arithmetic and mathematics on expressions.

May import the expression base only; the functions themselves are declared in `tableapi.functions`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tableapi.expression_base import ExpressionBase, caller, make_call

if TYPE_CHECKING:
    from tableapi.expression import Expression


class NumericMembers(ExpressionBase):
    """Members of `Expression` for numbers."""

    __slots__ = ()

    @property
    def exp(self) -> Expression:
        """e to the power of this number."""
        return self._call("EXP")

    @property
    def log10(self) -> Expression:
        """The base 10 logarithm."""
        return self._call("LOG10")

    @property
    def log2(self) -> Expression:
        """The base 2 logarithm."""
        return self._call("LOG2")

    @property
    def ln(self) -> Expression:
        """The natural logarithm."""
        return self._call("LN")

    def log(self, base: Any = None) -> Expression:
        """The natural logarithm, or the logarithm to `base`."""
        return self._make(make_call("LOG", (self,) if base is None else (base, self), caller()))

    @property
    def cosh(self) -> Expression:
        """The hyperbolic cosine."""
        return self._call("COSH")

    @property
    def sinh(self) -> Expression:
        """The hyperbolic sine."""
        return self._call("SINH")

    @property
    def sin(self) -> Expression:
        """The sine of an angle in radians."""
        return self._call("SIN")

    @property
    def cos(self) -> Expression:
        """The cosine of an angle in radians."""
        return self._call("COS")

    @property
    def tan(self) -> Expression:
        """The tangent of an angle in radians."""
        return self._call("TAN")

    @property
    def cot(self) -> Expression:
        """The cotangent of an angle in radians."""
        return self._call("COT")

    @property
    def asin(self) -> Expression:
        """The arc sine, in radians."""
        return self._call("ASIN")

    @property
    def acos(self) -> Expression:
        """The arc cosine, in radians."""
        return self._call("ACOS")

    @property
    def atan(self) -> Expression:
        """The arc tangent, in radians."""
        return self._call("ATAN")

    @property
    def tanh(self) -> Expression:
        """The hyperbolic tangent."""
        return self._call("TANH")

    @property
    def degrees(self) -> Expression:
        """Radians as degrees."""
        return self._call("DEGREES")

    @property
    def radians(self) -> Expression:
        """Degrees as radians."""
        return self._call("RADIANS")

    @property
    def sqrt(self) -> Expression:
        """The square root."""
        return self._call("SQRT")

    @property
    def abs(self) -> Expression:
        """The absolute value."""
        return self._call("ABS")

    @property
    def sign(self) -> Expression:
        """-1, 0 or 1."""
        return self._call("SIGN")

    def round(self, places: Any) -> Expression:
        """The number rounded to `places` digits after the point, half away from zero."""
        return self._call("ROUND", places)

    @property
    def bin(self) -> Expression:
        """The binary digits of an integer, as text."""
        return self._call("BIN")

    @property
    def hex(self) -> Expression:
        """The hexadecimal digits of an integer, or of the bytes of a text."""
        return self._call("HEX")

    @property
    def unhex(self) -> Expression:
        """The bytes that hexadecimal digits stand for."""
        return self._call("UNHEX")

    def truncate(self, n: Any = 0) -> Expression:
        """The number cut off after `n` digits behind the point."""
        return self._call("TRUNCATE", n)
