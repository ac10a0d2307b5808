"""Text functions on expressions.

May import the expression base only; the functions themselves are declared in `tableapi.functions`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tableapi.expression_base import ExpressionBase

if TYPE_CHECKING:
    from tableapi.expression import Expression


class StringMembers(ExpressionBase):
    """Members of `Expression` for text and bytes."""

    __slots__ = ()

    def concat(self, other: Any) -> Expression:
        """This text followed by `other`."""
        return self._call("CONCAT", other)

    def starts_with(self, start_expr: Any) -> Expression:
        """Whether the text begins with `start_expr`."""
        return self._call("STARTSWITH", start_expr)

    def ends_with(self, end_expr: Any) -> Expression:
        """Whether the text ends with `end_expr`."""
        return self._call("ENDSWITH", end_expr)

    def substring(self, begin_index: Any, length: Any = None) -> Expression:
        """The part from the 1-based `begin_index` on, of at most `length` characters."""
        return self._call("SUBSTRING", begin_index, length)

    def substr(self, begin_index: Any, length: Any = None) -> Expression:
        """The part from the 1-based `begin_index` on, of at most `length` characters."""
        return self._call("SUBSTR", begin_index, length)

    def replace(self, search: Any = None, replacement: Any = None) -> Expression:
        """The text with every `search` replaced."""
        return self._call("REPLACE", search, replacement)

    def translate(self, from_str: Any, to_str: Any) -> Expression:
        """Each character of `from_str` replaced by the one at the same place in `to_str`, or removed."""
        return self._call("TRANSLATE", from_str, to_str)

    @property
    def char_length(self) -> Expression:
        """The number of characters."""
        return self._call("CHAR_LENGTH")

    @property
    def upper_case(self) -> Expression:
        """The text in upper case."""
        return self._call("UPPER")

    @property
    def lower_case(self) -> Expression:
        """The text in lower case."""
        return self._call("LOWER")

    @property
    def init_cap(self) -> Expression:
        """The text with each word's first letter in upper case and the rest in lower case."""
        return self._call("INITCAP")

    def like(self, pattern: Any = None, escape: Any = None) -> Expression:
        """Whether the text matches a LIKE pattern (`%`, `_`)."""
        return self._call("LIKE", pattern, escape)

    def similar(self, pattern: Any = None) -> Expression:
        """Whether the text matches a SQL regular expression (SIMILAR TO)."""
        return self._call("SIMILAR_TO", pattern)

    def position(self, haystack: Any = None) -> Expression:
        """The 1-based place of this text in `haystack`, 0 when it is not there."""
        return self._call("POSITION", haystack)

    def lpad(self, length: Any, pad: Any) -> Expression:
        """The text padded on the left, or cut, to `length` characters."""
        return self._call("LPAD", length, pad)

    def rpad(self, length: Any, pad: Any) -> Expression:
        """The text padded on the right, or cut, to `length` characters."""
        return self._call("RPAD", length, pad)

    def overlay(self, new_string: Any, starting: Any, length: Any = None) -> Expression:
        """The text with `length` characters from the 1-based `starting` replaced by `new_string`."""
        return self._call("OVERLAY", new_string, starting, length)

    def regexp(self, regex: Any) -> Expression:
        """Whether a part of the text matches the regular expression."""
        return self._call("REGEXP", regex)

    def regexp_count(self, regex: Any) -> Expression:
        """How often the regular expression matches."""
        return self._call("REGEXP_COUNT", regex)

    def regexp_replace(self, regex: Any, replacement: Any) -> Expression:
        """The text with every match replaced."""
        return self._call("REGEXP_REPLACE", regex, replacement)

    def regexp_extract(self, regex: Any, extract_index: Any = None) -> Expression:
        """The group `extract_index` (0: the whole match) of the first match."""
        return self._call("REGEXP_EXTRACT", regex, extract_index)

    def regexp_extract_all(self, regex: Any, extract_index: Any = None) -> Expression:
        """The group `extract_index` of every match, as an ARRAY."""
        return self._call("REGEXP_EXTRACT_ALL", regex, extract_index)

    def regexp_instr(self, regex: Any) -> Expression:
        """The 1-based place of the first match, 0 when there is none."""
        return self._call("REGEXP_INSTR", regex)

    def regexp_substr(self, regex: Any) -> Expression:
        """The first match, NULL when there is none."""
        return self._call("REGEXP_SUBSTR", regex)

    @property
    def from_base64(self) -> Expression:
        """The text that base64 digits stand for."""
        return self._call("FROM_BASE64")

    @property
    def to_base64(self) -> Expression:
        """The base64 digits of the text."""
        return self._call("TO_BASE64")

    @property
    def ascii(self) -> Expression:
        """The code of the first character."""
        return self._call("ASCII")

    @property
    def chr(self) -> Expression:
        """The character of a code."""
        return self._call("CHR")

    def decode(self, charset: Any) -> Expression:
        """Bytes read as text in `charset`."""
        return self._call("DECODE", charset)

    def encode(self, charset: Any) -> Expression:
        """Text as bytes in `charset`."""
        return self._call("ENCODE", charset)

    def left(self, length: Any) -> Expression:
        """The first `length` characters."""
        return self._call("LEFT", length)

    def right(self, length: Any) -> Expression:
        """The last `length` characters."""
        return self._call("RIGHT", length)

    def instr(self, s: Any) -> Expression:
        """The 1-based place of `s` in this text, 0 when it is not there."""
        return self._call("INSTR", s)

    def locate(self, s: Any, pos: Any = None) -> Expression:
        """The 1-based place of this text in `s` from `pos` on, 0 when it is not there."""
        return self._call("LOCATE", s, pos)

    def url_decode(self) -> Expression:
        """The text without URL escapes."""
        return self._call("URL_DECODE")

    def url_encode(self) -> Expression:
        """The text with URL escapes."""
        return self._call("URL_ENCODE")

    def inet_aton(self) -> Expression:
        """The number of an IPv4 address."""
        return self._call("INET_ATON")

    def inet_ntoa(self) -> Expression:
        """The IPv4 address of a number."""
        return self._call("INET_NTOA")

    def parse_url(self, part_to_extract: Any, key: Any = None) -> Expression:
        """A part of a URL: HOST, PATH, QUERY, REF, PROTOCOL, AUTHORITY, FILE or USERINFO; with `key` one query parameter."""
        return self._call("PARSE_URL", part_to_extract, key)

    def printf(self, *obj: Any) -> Expression:
        """This printf format filled with the values."""
        return self._call("PRINTF", *obj)

    def ltrim(self, trim_str: Any = None) -> Expression:
        """The text without leading characters of `trim_str` (blanks by default)."""
        return self._call("LTRIM", trim_str)

    def rtrim(self, trim_str: Any = None) -> Expression:
        """The text without trailing characters of `trim_str` (blanks by default)."""
        return self._call("RTRIM", trim_str)

    def btrim(self, trim_str: Any = None) -> Expression:
        """The text without leading and trailing characters of `trim_str` (blanks by default)."""
        return self._call("BTRIM", trim_str)

    def repeat(self, n: Any) -> Expression:
        """The text `n` times."""
        return self._call("REPEAT", n)

    @property
    def reverse(self) -> Expression:
        """The text backwards."""
        return self._call("REVERSE")

    def split_index(self, separator: Any, index: Any) -> Expression:
        """The 0-based `index`-th part of the text split at `separator`."""
        return self._call("SPLIT_INDEX", separator, index)

    def str_to_map(self, list_delimiter: Any = None, key_value_delimiter: Any = None) -> Expression:
        """The text `k1=v1,k2=v2` as a MAP."""
        return self._call("STR_TO_MAP", list_delimiter, key_value_delimiter)

    def elt(self, expr: Any, *exprs: Any) -> Expression:
        """The expression at this 1-based index."""
        return self._call("ELT", expr, *exprs)

    def split(self, delimiter: Any) -> Expression:
        """The text split at `delimiter`, as an ARRAY."""
        return self._call("SPLIT", delimiter)

    def trim_leading(self, character: Any = None) -> Expression:
        """The text without leading `character`s (blanks by default)."""
        return self._call("TRIM_LEADING", " " if character is None else character)

    def trim_trailing(self, character: Any = None) -> Expression:
        """The text without trailing `character`s (blanks by default)."""
        return self._call("TRIM_TRAILING", " " if character is None else character)

    def trim(self, character: Any = None) -> Expression:
        """The text without leading and trailing `character`s (blanks by default)."""
        return self._call("TRIM", " " if character is None else character)
