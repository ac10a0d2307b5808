"""The `op_mapping` of TO_CHANGELOG and FROM_CHANGELOG: which code stands for which kind of change.

May import plan.rex, row and errors.
"""

from __future__ import annotations

from tableapi.errors import TypeMismatchError, ValidationError, did_you_mean
from tableapi.plan.rex import Call, Cast, Literal, Rex
from tableapi.row import RowKind

DEFAULT = tuple((kind, kind.name) for kind in RowKind)


def kind_codes(mapping: Rex | None) -> tuple[tuple[RowKind, str], ...]:
    """The codes of TO_CHANGELOG: `MAP['INSERT', 'c', 'UPDATE_BEFORE, UPDATE_AFTER', 'u']`; other kinds are left out.

    Raises:
        ValidationError: A kind does not exist or is named twice.
    """
    if mapping is None:
        return DEFAULT
    codes: dict[RowKind, str] = {}
    for kinds, code in _pairs(mapping):
        for kind in map(_kind, kinds.split(",")):
            if kind in codes:
                raise ValidationError(f"op_mapping names {kind.name} twice")
            codes[kind] = code
    return tuple(codes.items())


def code_kinds(mapping: Rex | None) -> tuple[tuple[str, RowKind], ...]:
    """The codes of FROM_CHANGELOG: `MAP['c, r', 'INSERT', 'd', 'DELETE']`.

    Raises:
        ValidationError: A kind does not exist, or a code is named twice.
    """
    if mapping is None:
        return tuple((code, kind) for kind, code in DEFAULT)
    kinds: dict[str, RowKind] = {}
    for codes, kind in _pairs(mapping):
        for code in codes.split(","):
            if code.strip() in kinds:
                raise ValidationError(f"op_mapping names '{code.strip()}' twice")
            kinds[code.strip()] = _kind(kind)
    return tuple(kinds.items())


def _kind(name: str) -> RowKind:
    known = [k.name for k in RowKind]
    if name.strip() not in known:
        raise ValidationError(
            f"'{name.strip()}' is not a kind of change", exists=", ".join(known), fix=did_you_mean(name.strip(), known)
        )
    return RowKind[name.strip()]


def _pairs(mapping: Rex) -> list[tuple[str, str]]:
    args = [_text(a) for a in mapping.args] if isinstance(mapping, Call) and mapping.function == "MAP" else []
    if not args:
        raise TypeMismatchError("op_mapping must be a MAP of constant texts", fix="MAP['INSERT', 'c', 'DELETE', 'd']")
    return list(zip(args[::2], args[1::2], strict=True))


def _text(rex: Rex) -> str:
    while isinstance(rex, Cast):
        rex = rex.arg
    if not isinstance(rex, Literal) or not isinstance(rex.value, str):
        raise TypeMismatchError(f"op_mapping must be a MAP of constant texts, not of {rex}")
    return rex.value
