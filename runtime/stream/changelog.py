"""Conversions between kinds of changelogs.

Imports the plan, `runtime.state` and the operator contract.
"""

from __future__ import annotations

from dataclasses import dataclass

from tableapi.errors import UnsupportedError
from tableapi.runtime.stream.operator import Operator
from tableapi.tablespec import RowSchema


@dataclass(frozen=True)
class ChangelogNormalizeSpec:
    """Upserts on `key` (+I/+U without -U, -D maybe with the key only) become a full changelog with the stored rows.

    Rows that do not change emit nothing. A delete of an unknown key emits nothing.
    """

    input: RowSchema
    key: tuple[str, ...]
    generate_update_before: bool = True

    def create(self) -> Operator:
        """A new operator."""
        raise UnsupportedError("ChangelogNormalize is not supported yet", fix="run the query in batch mode")


@dataclass(frozen=True)
class DropUpdateBeforeSpec:
    """Drops -U rows (the consumer updates by key)."""

    def create(self) -> Operator:
        """A new operator."""
        raise UnsupportedError("DropUpdateBefore is not supported yet", fix="run the query in batch mode")


@dataclass(frozen=True)
class UpsertMaterializeSpec:
    """Makes a changelog whose rows may arrive out of order per `key` (the sink's primary key) into upserts on that key.

    Keeps all rows of a key in order of arrival; emits the latest one, or -D when none is left.
    """

    input: RowSchema
    key: tuple[str, ...]

    def create(self) -> Operator:
        """A new operator."""
        raise UnsupportedError("UpsertMaterialize is not supported yet", fix="run the query in batch mode")
