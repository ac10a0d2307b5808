"""`ChangelogMode`: the kinds of rows that a stream of changes may hold. May import row only."""

from __future__ import annotations

from dataclasses import dataclass

from tableapi.row import RowKind


@dataclass(frozen=True)
class ChangelogMode:
    """A set of row kinds.

    >>> print(ChangelogMode.upsert())
    [+I, +U, -D]
    """

    kinds: frozenset[RowKind]
    key_only_deletes: bool = False

    @staticmethod
    def insert_only() -> ChangelogMode:
        """Rows are only ever added."""
        return ChangelogMode(frozenset({RowKind.INSERT}))

    @staticmethod
    def upsert(key_only_deletes: bool = True) -> ChangelogMode:
        """Rows of a key are added, replaced and removed; what was before an update is not told."""
        return ChangelogMode(frozenset({RowKind.INSERT, RowKind.UPDATE_AFTER, RowKind.DELETE}), key_only_deletes)

    @staticmethod
    def all() -> ChangelogMode:
        """All kinds."""
        return ChangelogMode(frozenset(RowKind))

    def get_contained_kinds(self) -> set[RowKind]:
        """The kinds."""
        return set(self.kinds)

    def contains(self, kind: RowKind) -> bool:
        """Whether rows of that kind may occur."""
        return kind in self.kinds

    def contains_only(self, kind: RowKind) -> bool:
        """Whether rows of that kind alone may occur."""
        return self.kinds == {kind}

    def __str__(self) -> str:
        return f"[{', '.join(str(k) for k in sorted(self.kinds))}]"
