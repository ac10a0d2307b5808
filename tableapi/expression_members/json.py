"""JSON on expressions.

May import the expression base only; the functions themselves are declared in `tableapi.functions`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tableapi.expression_base import ExpressionBase, caller, make_call
from tableapi.expression_enums import (
    JsonExistsOnError,
    JsonQueryOnEmptyOrError,
    JsonQueryWrapper,
    JsonType,
    JsonValueOnEmptyOrError,
)
from tableapi.plan.unresolved import Cast
from tableapi.types import DataType

if TYPE_CHECKING:
    from tableapi.expression import Expression


class JsonMembers(ExpressionBase):
    """Members of `Expression` for JSON text."""

    __slots__ = ()

    def json_quote(self) -> Expression:
        """The text as a JSON string."""
        return self._call("JSON_QUOTE")

    def json_unquote(self) -> Expression:
        """The text that a JSON string stands for."""
        return self._call("JSON_UNQUOTE")

    def is_json(self, json_type: JsonType | None = None) -> Expression:
        """Whether the text is JSON (of a kind)."""
        return self._call("IS_JSON", json_type)

    def json_exists(self, path: str, on_error: JsonExistsOnError | None = None) -> Expression:
        """Whether the text has a value at the path."""
        return self._call("JSON_EXISTS", path, on_error)

    def json_value(
        self,
        path: str,
        returning_type: DataType | None = None,
        on_empty: JsonValueOnEmptyOrError = JsonValueOnEmptyOrError.NULL,
        default_on_empty: Any = None,
        on_error: JsonValueOnEmptyOrError = JsonValueOnEmptyOrError.NULL,
        default_on_error: Any = None,
    ) -> Expression:
        """The scalar at the path.

        Args:
            path: A JSON path, for example `$.a.b`.
            returning_type: STRING by default; BOOLEAN, INT and DOUBLE too.
            on_empty: What to answer when there is nothing at the path.
            default_on_empty: The value for `JsonValueOnEmptyOrError.DEFAULT`.
            on_error: What to answer when the path cannot be evaluated.
            default_on_error: The value for `JsonValueOnEmptyOrError.DEFAULT`.
        """
        where = caller()
        value = make_call("JSON_VALUE", (self, path, on_empty, default_on_empty, on_error, default_on_error), where)
        return self._make(value if returning_type is None else Cast(value, returning_type, where=where))

    def json_query(
        self,
        path: str,
        wrapping_behavior: JsonQueryWrapper = JsonQueryWrapper.WITHOUT_ARRAY,
        on_empty: JsonQueryOnEmptyOrError = JsonQueryOnEmptyOrError.NULL,
        on_error: JsonQueryOnEmptyOrError = JsonQueryOnEmptyOrError.NULL,
    ) -> Expression:
        """The JSON text of the object or array at the path."""
        return self._call("JSON_QUERY", path, wrapping_behavior, on_empty, on_error)
