"""Cryptographic hashes of text as lower-case hexadecimal digits. Each distinct text of a batch is hashed once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import polars as pl

from tableapi.errors import ExecutionError
from tableapi.functions.registry import LoweringCall, ScalarFunction
from tableapi.functions.rowwise import by_row
from tableapi.functions.signatures import AS_INT, param, signature
from tableapi.types import BinaryStringType, CharacterType, CharType, VarCharType

_TEXT_OR_BYTES = param("a character or binary string", CharacterType, BinaryStringType, null_as=VarCharType())


def _digest(algorithm: str) -> Callable[[bytes], str]:
    make = getattr(hashlib, algorithm)
    return lambda data: make(data, usedforsecurity=False).hexdigest()


def _hash(name: str, digits: int) -> ScalarFunction:
    compute = _digest(name.lower())
    return ScalarFunction(
        name,
        signature(_TEXT_OR_BYTES, result=CharType(digits)),
        lambda args, call: by_row([args[0].cast(pl.Binary)], compute, pl.String()),
        f"{name} of the bytes, or of the text's UTF-8 bytes, {digits} hexadecimal digits.",
        api_name=name.lower(),
        category="hash",
    )


_SHA2 = {224: "sha224", 256: "sha256", 384: "sha384", 512: "sha512", 0: "sha256"}


def _sha2(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    def compute(data: bytes, bits: int) -> str:
        if bits not in _SHA2:
            raise ExecutionError(f"SHA2 has no length of {bits} bits", fix="use 224, 256, 384 or 512")
        return _digest(_SHA2[bits])(data)

    return by_row([call.guarded(args[0]).cast(pl.Binary), args[1]], compute, pl.String())


FUNCTIONS: tuple[ScalarFunction, ...] = (
    _hash("MD5", 32),
    _hash("SHA1", 40),
    _hash("SHA224", 56),
    _hash("SHA256", 64),
    _hash("SHA384", 96),
    _hash("SHA512", 128),
    ScalarFunction(
        "SHA2",
        signature(_TEXT_OR_BYTES, AS_INT, result=VarCharType(128)),
        _sha2,
        "SHA-2 of the text or bytes with a length of 224, 256, 384 or 512 bits.",
        api_name="sha2",
        can_fail=True,
        category="hash",
    ),
)
