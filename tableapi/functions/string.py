"""Functions of character strings. Positions count characters (code points) from 1.

May import types and the sibling helpers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

from tableapi.errors import TypeMismatchError
from tableapi.functions.fast_parse import with_fallback
from tableapi.functions.regexes import compiled
from tableapi.functions.registry import LoweringCall, Resolved, ScalarFunction, Signature
from tableapi.functions.rowwise import by_row
from tableapi.functions.signatures import (
    AS_BIGINT,
    AS_INT,
    BINARY,
    TEXT,
    Param,
    _check_count,
    first,
    merge,
    overload,
    signature,
)
from tableapi.plan.rex import Literal, Rex
from tableapi.types import (
    MAX_LENGTH,
    ArrayType,
    BinaryStringType,
    BinaryType,
    BooleanType,
    CharacterType,
    CharType,
    DataType,
    IntegralType,
    IntType,
    MapType,
    VarBinaryType,
    VarCharType,
)

STRING = VarCharType()


def _varying(types: Sequence[DataType]) -> DataType:
    """Result rule: VARCHAR of the first argument's length."""
    value = types[0]
    return VarCharType(value.length) if isinstance(value, CharacterType) else STRING


def _joined(types: Sequence[DataType]) -> DataType:
    """Result rule of ||: lengths add up; CHAR when both are."""
    left, right = types
    assert isinstance(left, CharacterType | BinaryStringType)
    assert isinstance(right, CharacterType | BinaryStringType)
    length = min(left.length + right.length, MAX_LENGTH)
    if isinstance(left, BinaryStringType):
        both_fixed = isinstance(left, BinaryType) and isinstance(right, BinaryType)
        return BinaryType(length) if both_fixed else VarBinaryType(length)
    return CharType(length) if isinstance(left, CharType) and isinstance(right, CharType) else VarCharType(length)


def _concat(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return pl.concat_str(args) if len(args) > 1 else args[0]


def _concat_operator(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    if isinstance(call.type, BinaryStringType):
        return by_row(args, lambda a, b: a + b, pl.Binary())
    return pl.concat_str(args)


def _concat_ws(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    separator, parts = args[0], args[1:]
    if not parts:
        return pl.when(separator.is_not_null()).then(pl.lit(""))
    constant = call.constant(0)
    if isinstance(constant, str):
        return pl.concat_str(parts, separator=constant, ignore_nulls=True)
    known = pl.when(separator.is_not_null())
    return pl.concat_list([known.then(p) for p in parts]).list.drop_nulls().list.join(separator)


def _cut(value: pl.Expr, call: LoweringCall) -> pl.Expr:
    """A text whose length may have grown, cut to a CHAR result's length."""
    return value.str.slice(0, call.type.length) if isinstance(call.type, CharType) else value


_WORD = re.compile("[A-Za-z0-9]+")


def _init_cap(text: str) -> str:
    return _WORD.sub(lambda m: m[0][0].upper() + m[0][1:].lower(), text)


_SIDES = ("BOTH", "LEADING", "TRAILING")


def _is_side(args: Sequence[Rex]) -> bool:
    return len(args) == 3 and isinstance(args[0], Literal) and args[0].value in _SIDES


def _trim_signature(args: Sequence[Rex]) -> Resolved:
    """TRIM(text[, characters]) or, as SQL spells it, TRIM(side, characters, text)."""
    if _is_side(args):
        checked = signature(TEXT, TEXT, result=first)(args[1:])
        nullable = checked.result.is_nullable
        return Resolved((args[0].type, *checked.arg_types), _varying(checked.arg_types[1:]).with_nullability(nullable))
    return signature(TEXT, TEXT, optional=1, result=_varying)(args)


def _trim(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    if _is_side(call.args):
        return strip(args[2], args[1], str(call.constant(0)))
    return strip(args[0], args[1] if len(args) > 1 else pl.lit(" "), "BOTH")


def strip(text: pl.Expr, characters: pl.Expr, side: str) -> pl.Expr:
    """`text` without leading and/or trailing `characters`."""
    methods = {"BOTH": "strip_chars", "LEADING": "strip_chars_start", "TRAILING": "strip_chars_end"}
    stripped = getattr(text.str, methods[side])(characters)
    return pl.when(characters.is_not_null()).then(stripped)


def _strip_function(name: str, side: str, doc: str, api_name: str | None = None) -> ScalarFunction:
    def lower(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
        return strip(args[0], args[1] if len(args) > 1 else pl.lit(" "), side)

    return ScalarFunction(
        name,
        signature(TEXT, TEXT, optional=1, result=STRING if side == "BOTH" else _varying),
        lower,
        doc,
        api_name=api_name or name.lower(),
        category="string",
    )


def _substring(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    first, count = call.constant(1), call.constant(2)
    if first is not None and first >= 0 and (len(args) == 2 or (count is not None and count >= 0)):
        return args[0].str.slice(max(0, first - 1), count)
    text, start = args[0], args[1].cast(pl.Int64)
    length = args[2].cast(pl.Int64) if len(args) > 2 else None
    size = text.str.len_chars().cast(pl.Int64)
    begin = pl.when(start > 0).then(start - 1).when(start < 0).then(size + start).otherwise(0)
    begin = pl.when(start.is_not_null()).then(begin)
    is_inside = (begin >= 0) & (begin < size)
    wanted = pl.max_horizontal(length, pl.lit(0)) if length is not None else size
    shown = (
        pl.when(is_inside)
        .then(text.str.slice(begin.clip(0), wanted))
        .when(begin.is_not_null() & text.is_not_null())
        .then(pl.lit(""))
    )
    return shown if length is None else pl.when(length >= 0).then(shown)


def _left(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    if (count := call.constant(1)) is not None:
        return args[0].str.slice(0, max(0, count))
    made = args[0].str.slice(0, args[1].cast(pl.Int64).clip(0))
    return pl.when(args[1].is_not_null()).then(made)


def _right(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    size = args[0].str.len_chars().cast(pl.Int64)
    count = pl.min_horizontal(args[1].cast(pl.Int64).clip(0), size)
    made = args[0].str.slice(size - count)
    return pl.when(args[1].is_not_null()).then(made)


def _pad(is_left: bool) -> object:
    """Lengths count UTF-16 units; half a character is `?` (Java)."""

    def padded(text: str, length: int, pad: str) -> str | None:
        if length < 0 or not pad:
            return None
        units, pad_units = text.encode("utf-16-le"), pad.encode("utf-16-le")
        missing = 2 * length - len(units)
        filling = (pad_units * (missing // len(pad_units) + 1))[: max(missing, 0)]
        made = (filling + units if is_left else units + filling)[: 2 * length]
        return made.decode("utf-16-le", "surrogatepass").encode(errors="replace").decode()

    def lower(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
        length, pad = call.constant(1), call.constant(2)
        if not (isinstance(length, int) and length >= 0 and isinstance(pad, str) and len(pad) == 1 and pad <= "\uffff"):
            return by_row(args, padded, pl.String())

        def run(texts: pl.Series) -> pl.Series:
            cut = pl.col("x").str.slice(0, length)
            made = cut.str.pad_start(length, pad) if is_left else cut.str.pad_end(length, pad)
            is_plain = ~pl.col("x").str.contains("[\U00010000-\U0010ffff]")
            fast = pl.DataFrame({"x": texts}).select(pl.when(is_plain).then(made).alias("x"))["x"]
            return with_fallback(texts, fast, lambda x: by_row([x, pl.lit(length), pl.lit(pad)], padded, pl.String()))

        return args[0].map_batches(run, return_dtype=pl.String(), is_elementwise=True)

    return lower


def _repeat(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    known = args[0].is_not_null() & args[1].is_not_null()
    return pl.when(known).then(args[0].repeat_by(args[1].clip(0)).list.join(""))


def _replace(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    search = call.constant(1)
    if isinstance(search, str) and search and isinstance(call.constant(2), str):
        return args[0].str.replace_all(search, call.constant(2), literal=True)
    return by_row(args, lambda text, old, new: text.replace(old, new), pl.String())


def _translate(text: str, source: str, target: str) -> str:
    table: dict[int, str | None] = {}
    for index, char in enumerate(source):
        table.setdefault(ord(char), target[index] if index < len(target) else None)
    return text.translate(table)


def _overlay(text: str, new: str, start: int, length: int | None = None) -> str:
    if start <= 0 or start > len(text):
        return text
    size = len(new) if length is None else length
    kept = text[start - 1 + size :] if start + size <= len(text) and size > 0 else ""
    return text[: start - 1] + new + kept


def _overlay_length(types: Sequence[DataType]) -> DataType:
    lengths = [t.length for t in types[:2] if isinstance(t, CharacterType)]
    return VarCharType(min(sum(lengths), MAX_LENGTH))


def _find(sought: pl.Expr, text: pl.Expr) -> pl.Expr:
    # A constant text is given the height of the column first: Polars splits a constant by the first separator only.
    text = pl.when(sought.is_not_null()).then(text)
    before = text.str.splitn(sought, 2).struct.field("field_0").str.len_chars().cast(pl.Int32)
    is_found = text.str.contains(sought, literal=True)
    return (
        pl.when(sought.is_null() | text.is_null())
        .then(None)
        .when(sought == "")
        .then(1)
        .when(is_found)
        .then(before + 1)
        .otherwise(0)
        .cast(pl.Int32)
    )


def _position(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return _find(args[0], args[1])


def _locate(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    if len(args) == 2:
        return _find(args[0], args[1])
    return by_row(args, lambda sought, text, start: text.find(sought, max(start - 1, 0)) + 1 if sought else 1, pl.Int32())


def _instr(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    if len(args) == 2:
        return _find(args[1], args[0])
    return by_row(args, _nth_position, pl.Int32())


def _nth_position(text: str, sought: str, start: int, appearance: int = 1) -> int:
    """Position of the n-th appearance from `start` on (backwards when `start` is negative), 0 when there is none."""
    if start == 0 or appearance < 1:
        return 0
    found = start - 2 if start > 0 else len(text) + start + 1
    for _ in range(appearance):
        found = text.find(sought, found + 1) if start > 0 else text.rfind(sought, 0, max(found - 1, 0) + len(sought))
        if found < 0:
            return 0
    return found + 1


def _parts(text: str, separator: str) -> list[str]:
    if not text:
        return []
    return text.split(separator) if separator else re.split(r"\s", text)


def _split_index(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    def part(text: str, separator: str | int, index: int) -> str | None:
        if index < 0 or (isinstance(separator, int) and not 0 <= separator <= 255):
            return None
        parts = _parts(text, chr(separator) if isinstance(separator, int) else separator)
        return parts[index] if index < len(parts) else None

    separator, index = call.constant(1), call.constant(2)
    if isinstance(separator, str) and separator and isinstance(index, int) and index >= 0:
        found = args[0].str.split(separator).list.get(index, null_on_oob=True)
        return pl.when(args[0] != "").then(found)
    return by_row(args, part, pl.String())


def _split(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    separator = call.constant(1)
    parts = args[0].str.split(separator if isinstance(separator, str) else args[1])
    if not isinstance(separator, str):
        parts = pl.when(args[1] == "").then(args[0].str.split("")).otherwise(parts)
    empty = pl.lit(pl.Series([[]], dtype=pl.List(pl.String))).first()
    made = pl.when(args[0] == "").then(empty).otherwise(parts)
    return made if isinstance(separator, str) else pl.when(args[1].is_not_null()).then(made)


def _str_to_map(text: str, pairs: str = ",", key_value: str = "=") -> list[dict[str, str | None]] | None:
    between, inside = compiled(pairs), compiled(key_value)
    if between is None or inside is None:
        return None
    entries: dict[str, str | None] = {}
    parts = between.split(text) if text else []
    while parts and not parts[-1]:
        parts.pop()
    for part in parts:
        pieces = inside.split(part, maxsplit=1)
        entries[pieces[0]] = pieces[1] if len(pieces) > 1 else None
    return [{"key": k, "value": v} for k, v in entries.items()]


def _elt_signature(args: Sequence[Rex]) -> Resolved:
    _check_count(len(args), 2, None)
    if not isinstance(args[0].type, IntegralType):
        raise TypeMismatchError(f"the index is {args[0].type}, not an integer", where=args[0].where)
    if isinstance(args[0], Literal) and args[0].value is not None and args[0].value < 0:
        raise TypeMismatchError(f"the index {args[0].value} is below 0", where=args[0].where)
    merged = merge([a.type for a in args[1:]])
    if not isinstance(merged, CharacterType | BinaryStringType):
        raise TypeMismatchError(f"{merged} is no string", where=args[1].where)
    return Resolved((args[0].type, *(merged,) * (len(args) - 1)), merged.nullable())


def _elt(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    chain = pl.when(args[0] == 1).then(args[1])
    for index, value in enumerate(args[2:], start=2):
        chain = chain.when(args[0] == index).then(value)  # type: ignore[assignment]
    return chain.otherwise(None)


_STRING_OR_BINARY: Signature = overload(
    signature(TEXT, TEXT, result=BooleanType()), signature(BINARY, BINARY, result=BooleanType())
)


def _starts(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    is_binary = isinstance(call.args[0].type, BinaryStringType)
    return args[0].bin.starts_with(args[1]) if is_binary else args[0].str.starts_with(args[1])


def _ends(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    is_binary = isinstance(call.args[0].type, BinaryStringType)
    return args[0].bin.ends_with(args[1]) if is_binary else args[0].str.ends_with(args[1])


def _ascii(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    code = args[0].cast(pl.Binary).bin.get(0, null_on_oob=True).cast(pl.Int32)
    signed = pl.when(code > 127).then(code - 256).otherwise(code)
    return pl.when(args[0] == "").then(0).otherwise(signed).cast(pl.Int32)


def _chr(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    return by_row([args[0].cast(pl.Int64)], lambda n: "" if n < 0 else chr(n % 256), pl.String())


_ANY_SEPARATOR = Param("a string or a code point", lambda t: isinstance(t, CharacterType | IntegralType), lambda t: t)
_TEXT_MAP = MapType(STRING, STRING)


FUNCTIONS: tuple[ScalarFunction, ...] = (
    ScalarFunction(
        "CONCAT_OPERATOR",
        overload(signature(TEXT, TEXT, result=_joined), signature(BINARY, BINARY, result=_joined)),
        _concat_operator,
        "a || b: the two strings joined; NULL when one is NULL.",
        sql_names=("||",),
        examples=(("'a' || 'b'", "ab"),),
        category="string",
    ),
    ScalarFunction(
        "CONCAT",
        signature(TEXT, rest=TEXT, result=STRING),
        _concat,
        "The strings joined; NULL when one is NULL.",
        api_name="concat",
        examples=(("CONCAT('a', 'b', 'c')", "abc"),),
        category="string",
    ),
    ScalarFunction(
        "CONCAT_WS",
        lambda args: Resolved(
            (STRING,) * len(signature(TEXT, rest=TEXT, result=STRING)(args).arg_types),
            STRING.with_nullability(args[0].type.is_nullable),
        ),
        _concat_ws,
        "The strings that are not NULL joined by the first argument; NULL when that is NULL.",
        api_name="concat_ws",
        examples=(("CONCAT_WS('-', 'a', CAST(NULL AS STRING), 'b')", "a-b"),),
        category="string",
    ),
    ScalarFunction(
        "CHAR_LENGTH",
        signature(TEXT, result=IntType()),
        lambda args, call: args[0].str.len_chars().cast(pl.Int32),
        "Number of characters.",
        sql_names=("CHARACTER_LENGTH",),
        api_name="char_length",
        examples=(("CHAR_LENGTH('hello')", "5"),),
        category="string",
    ),
    ScalarFunction(
        "UPPER",
        signature(TEXT, result=first),
        lambda args, call: _cut(args[0].str.to_uppercase(), call),
        "The text in upper case.",
        api_name="upper_case",
        examples=(("UPPER('abc')", "ABC"),),
        category="string",
    ),
    ScalarFunction(
        "LOWER",
        signature(TEXT, result=first),
        lambda args, call: _cut(args[0].str.to_lowercase(), call),
        "The text in lower case.",
        api_name="lower_case",
        examples=(("LOWER('ABC')", "abc"),),
        category="string",
    ),
    ScalarFunction(
        "INITCAP",
        signature(TEXT, result=first),
        lambda args, call: by_row(args[:1], _init_cap, pl.String()),
        "Every word (a run of ASCII letters and digits) with a capital first letter.",
        api_name="init_cap",
        examples=(("INITCAP('hello wORLD')", "Hello World"),),
        category="string",
    ),
    ScalarFunction(
        "TRIM",
        _trim_signature,
        _trim,
        "The text without leading and/or trailing characters of a set (default: blanks).",
        api_name="trim",
        examples=(("TRIM(BOTH 'x' FROM 'xxaxx')", "a"), ("TRIM('  a ')", "a")),
        category="string",
    ),
    _strip_function("TRIM_LEADING", "LEADING", "The text without leading characters of a set."),
    _strip_function("TRIM_TRAILING", "TRAILING", "The text without trailing characters of a set."),
    _strip_function("LTRIM", "LEADING", "The text without leading characters of a set (default: blanks)."),
    _strip_function("RTRIM", "TRAILING", "The text without trailing characters of a set (default: blanks)."),
    _strip_function("BTRIM", "BOTH", "The text without leading and trailing characters of a set (default: blanks)."),
    ScalarFunction(
        "SUBSTRING",
        signature(TEXT, AS_INT, AS_INT, optional=1, result=_varying, is_nullable=True),
        _substring,
        "Part of the text from a position (negative: from the end; 0 is 1) of a length (default: to the end).",
        sql_names=("SUBSTR",),
        api_name="substring",
        examples=(("SUBSTRING('hello', 2, 3)", "ell"), ("SUBSTRING('hello', -3)", "llo")),
        category="string",
    ),
    ScalarFunction(
        "LEFT",
        signature(TEXT, AS_INT, result=_varying, is_nullable=True),
        _left,
        "The first n characters.",
        api_name="left",
        examples=(("LEFT('hello', 2)", "he"),),
        category="string",
    ),
    ScalarFunction(
        "RIGHT",
        signature(TEXT, AS_INT, result=_varying, is_nullable=True),
        _right,
        "The last n characters.",
        api_name="right",
        examples=(("RIGHT('hello', 2)", "lo"),),
        category="string",
    ),
    ScalarFunction(
        "LPAD",
        signature(TEXT, AS_INT, TEXT, result=STRING),
        _pad(True),  # type: ignore[arg-type]
        "The text filled on the left to a length, or cut to it; NULL for a negative length or an empty filling.",
        api_name="lpad",
        examples=(("LPAD('hi', 4, '??')", "??hi"), ("LPAD('hi', 1, '??')", "h")),
        category="string",
    ),
    ScalarFunction(
        "RPAD",
        signature(TEXT, AS_INT, TEXT, result=STRING),
        _pad(False),  # type: ignore[arg-type]
        "The text filled on the right to a length, or cut to it.",
        api_name="rpad",
        examples=(("RPAD('hi', 4, '??')", "hi??"),),
        category="string",
    ),
    ScalarFunction(
        "REPEAT",
        signature(TEXT, AS_INT, result=STRING),
        _repeat,
        "The text n times.",
        api_name="repeat",
        examples=(("REPEAT('ab', 2)", "abab"),),
        category="string",
    ),
    ScalarFunction(
        "REVERSE",
        signature(TEXT, result=STRING),
        lambda args, call: args[0].str.reverse(),
        "The text backwards.",
        api_name="reverse",
        examples=(("REVERSE('abc')", "cba"),),
        category="string",
    ),
    ScalarFunction(
        "REPLACE",
        signature(TEXT, TEXT, TEXT, result=STRING),
        _replace,
        "The text with every occurrence of one text replaced by another.",
        api_name="replace",
        examples=(("REPLACE('hello', 'l', 'L')", "heLLo"),),
        category="string",
    ),
    ScalarFunction(
        "TRANSLATE",
        signature(TEXT, TEXT, TEXT, result=STRING),
        lambda args, call: by_row([args[0], *(a.fill_null("") for a in args[1:])], _translate, pl.String()),
        "The text with each character of the second argument replaced by the one at its place in the third, or dropped. "
        "A NULL second or third argument counts as empty.",
        sql_names=("TRANSLATE3",),
        api_name="translate",
        examples=(("TRANSLATE('banana', 'abn', 'x')", "xxx"),),
        category="string",
    ),
    ScalarFunction(
        "OVERLAY",
        signature(TEXT, TEXT, AS_INT, AS_INT, optional=1, result=_overlay_length),
        lambda args, call: by_row(args, _overlay, pl.String()),
        "The text with a part (from a position, of a length) replaced by another text.",
        api_name="overlay",
        examples=(("OVERLAY('abcdef' PLACING 'XX' FROM 2 FOR 3)", "aXXef"),),
        category="string",
    ),
    ScalarFunction(
        "POSITION",
        signature(TEXT, TEXT, result=IntType()),
        _position,
        "Position (from 1) of a text in another, 0 when it is not there.",
        api_name="position",
        examples=(("POSITION('l' IN 'hello')", "3"),),
        category="string",
    ),
    ScalarFunction(
        "LOCATE",
        signature(TEXT, TEXT, AS_INT, optional=1, result=IntType()),
        _locate,
        "Position of a text in another, from a position on; 0 when it is not there.",
        api_name="locate",
        examples=(("LOCATE('l', 'hello', 4)", "4"),),
        category="string",
    ),
    ScalarFunction(
        "INSTR",
        signature(TEXT, TEXT, AS_INT, AS_INT, optional=2, result=IntType()),
        _instr,
        "Position of a text in another (arguments in the other order than LOCATE's).",
        api_name="instr",
        examples=(("INSTR('hello', 'l')", "3"),),
        category="string",
    ),
    ScalarFunction(
        "SPLIT_INDEX",
        signature(TEXT, _ANY_SEPARATOR, AS_INT, result=STRING, is_nullable=True),
        _split_index,
        "The part at an index (from 0) of the text split by a separator (a text, or a code point); NULL when there is none.",
        api_name="split_index",
        examples=(("SPLIT_INDEX('a,b,c', ',', 1)", "b"),),
        category="string",
    ),
    ScalarFunction(
        "SPLIT",
        signature(TEXT, TEXT, result=ArrayType(STRING)),
        _split,
        "The parts of the text between separators as an ARRAY; an empty separator splits characters.",
        api_name="split",
        category="string",
    ),
    ScalarFunction(
        "STR_TO_MAP",
        overload(
            signature(TEXT, result=_TEXT_MAP, is_nullable=True),
            signature(TEXT, TEXT, TEXT, result=_TEXT_MAP, is_nullable=True),
        ),
        lambda args, call: by_row(args, _str_to_map, _TEXT_MAP.to_polars()),
        "A MAP from text such as 'k1=v1,k2=v2'; the two separators are regular expressions.",
        api_name="str_to_map",
        category="string",
    ),
    ScalarFunction(
        "ELT",
        _elt_signature,
        _elt,
        "The n-th (from 1) of the strings; NULL when there is none.",
        api_name="elt",
        examples=(("ELT(2, 'a', 'b')", "b"),),
        category="string",
    ),
    ScalarFunction(
        "STARTSWITH",
        _STRING_OR_BINARY,
        _starts,
        "Whether the string begins with another.",
        api_name="starts_with",
        examples=(("STARTSWITH('hello', 'he')", "TRUE"),),
        category="string",
    ),
    ScalarFunction(
        "ENDSWITH",
        _STRING_OR_BINARY,
        _ends,
        "Whether the string ends with another.",
        api_name="ends_with",
        examples=(("ENDSWITH('hello', 'lo')", "TRUE"),),
        category="string",
    ),
    ScalarFunction(
        "ASCII",
        signature(TEXT, result=IntType()),
        _ascii,
        "The number of the first character, 0 for ''.",
        api_name="ascii",
        examples=(("ASCII('abc')", "97"),),
        category="string",
    ),
    ScalarFunction(
        "CHR",
        signature(AS_BIGINT, result=STRING),
        _chr,
        "The character of a number (modulo 256); '' for a negative one.",
        api_name="chr",
        examples=(("CHR(97)", "a"),),
        category="string",
    ),
)
