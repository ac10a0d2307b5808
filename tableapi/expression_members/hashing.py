"""Hash functions on expressions.

May import the expression base only; the functions themselves are declared in `tableapi.functions`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tableapi.expression_base import ExpressionBase

if TYPE_CHECKING:
    from tableapi.expression import Expression


class HashingMembers(ExpressionBase):
    """Members of `Expression` that hash text."""

    __slots__ = ()

    @property
    def md5(self) -> Expression:
        """The MD5 digest of the text, as hexadecimal digits."""
        return self._call("MD5")

    @property
    def sha1(self) -> Expression:
        """The SHA1 digest of the text, as hexadecimal digits."""
        return self._call("SHA1")

    @property
    def sha224(self) -> Expression:
        """The SHA224 digest of the text, as hexadecimal digits."""
        return self._call("SHA224")

    @property
    def sha256(self) -> Expression:
        """The SHA256 digest of the text, as hexadecimal digits."""
        return self._call("SHA256")

    @property
    def sha384(self) -> Expression:
        """The SHA384 digest of the text, as hexadecimal digits."""
        return self._call("SHA384")

    @property
    def sha512(self) -> Expression:
        """The SHA512 digest of the text, as hexadecimal digits."""
        return self._call("SHA512")

    def sha2(self, hash_length: Any) -> Expression:
        """The SHA-2 digest of 224, 256, 384 or 512 bits, as hexadecimal digits."""
        return self._call("SHA2", hash_length)
