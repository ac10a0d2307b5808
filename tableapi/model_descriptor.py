"""`ModelDescriptor`: a model as a program declares it and a catalog keeps it; calling a model is not supported."""

from __future__ import annotations

from typing import Any

from tableapi.schema import Schema


class ModelDescriptor:
    """A model: provider, options, input and output columns.

    >>> ModelDescriptor.for_provider("openai").option("task", "embedding").build().get_options()
    {'provider': 'openai', 'task': 'embedding'}
    """

    def __init__(
        self, options: dict[str, str], input_schema: Schema | None, output_schema: Schema | None, comment: str | None
    ) -> None:
        self._options, self._comment = dict(options), comment
        self._input_schema, self._output_schema = input_schema, output_schema

    @staticmethod
    def for_provider(provider: str) -> ModelDescriptor.Builder:
        """A builder for a provider."""
        return ModelDescriptor.Builder().option("provider", provider)

    def get_options(self) -> dict[str, str]:
        """The options, the provider among them."""
        return dict(self._options)

    def get_input_schema(self) -> Schema | None:
        """The columns that the model takes."""
        return self._input_schema

    def get_output_schema(self) -> Schema | None:
        """The columns that the model gives."""
        return self._output_schema

    def get_comment(self) -> str | None:
        """The comment."""
        return self._comment

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ModelDescriptor) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(tuple(sorted(self._options.items())))

    class Builder:
        """Builds a `ModelDescriptor`."""

        def __init__(self) -> None:
            self._options: dict[str, str] = {}
            self._input: Schema | None = None
            self._output: Schema | None = None
            self._comment: str | None = None

        def input_schema(self, input_schema: Schema) -> ModelDescriptor.Builder:
            """Sets the columns that the model takes."""
            self._input = input_schema
            return self

        def output_schema(self, output_schema: Schema) -> ModelDescriptor.Builder:
            """Sets the columns that the model gives."""
            self._output = output_schema
            return self

        def option(self, key: Any, value: Any) -> ModelDescriptor.Builder:
            """Sets an option of the provider."""
            name = key if isinstance(key, str) else str(getattr(key, "key", key))
            self._options[name] = str(value).lower() if isinstance(value, bool) else str(value)
            return self

        def comment(self, comment: str) -> ModelDescriptor.Builder:
            """Sets the comment."""
            self._comment = comment
            return self

        def build(self) -> ModelDescriptor:
            """The descriptor."""
            return ModelDescriptor(self._options, self._input, self._output, self._comment)
