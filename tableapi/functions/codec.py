"""Encodings of text and bytes: Base64, character sets, URLs, addresses, and PRINTF."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote_plus, urlsplit

import polars as pl

from tableapi.functions.printf import java_format
from tableapi.functions.registry import LoweringCall, ScalarFunction
from tableapi.functions.rowwise import by_row
from tableapi.functions.signatures import ANY, AS_BIGINT, BINARY, TEXT, overload, signature
from tableapi.functions.text_format import decode_utf8, to_text
from tableapi.types import ArrayType, BigIntType, MapType, MultisetType, RowType, VarBinaryType, VarCharType

STRING = VarCharType()

_CHARSETS = {
    "US-ASCII": "ascii",
    "ASCII": "ascii",
    "ISO-8859-1": "latin-1",
    "UTF-8": "utf-8",
    "UTF8": "utf-8",
    "UTF-16BE": "utf-16-be",
    "UTF-16LE": "utf-16-le",
    "UTF-16": "utf-16",
    "UTF-32": "utf-32-be",
    **{name: name for name in ("GBK", "GB2312", "GB18030", "BIG5", "SHIFT_JIS", "EUC-JP", "EUC-KR", "KOI8-R")},
    **{f"ISO-8859-{part}": f"iso8859-{part}" for part in (2, 4, 5, 7, 9, 13, 15)},
    **{f"WINDOWS-{page}": f"cp{page}" for page in range(1250, 1259)},
}


def _encode(text: str, charset: str) -> bytes | None:
    codec = _CHARSETS.get(charset.upper())
    if codec is None:
        return None
    if codec == "utf-16":
        return b"\xfe\xff" + text.encode("utf-16-be") if text else b""
    return text.encode(codec, "replace")


def _decode(raw: bytes, charset: str) -> str | None:
    codec = _CHARSETS.get(charset.upper())
    if codec == "utf-16" and raw[:2] not in (b"\xfe\xff", b"\xff\xfe"):
        codec = "utf-16-be"
    return None if codec is None else raw.decode(codec, "replace")


def _from_base64(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    missing = (4 - args[0].str.len_bytes() % 4) % 4
    padded = pl.concat_str([args[0], pl.lit("===").str.slice(0, missing)])
    return decode_utf8(padded.str.decode("base64", strict=False))


def _url_encode(text: str) -> str:
    return quote_plus(text, safe="*").replace("~", "%7E")


_BAD_ESCAPE = re.compile("%(?![0-9a-fA-F]{2})")


def _url_decode(text: str) -> str | None:
    from urllib.parse import unquote_plus

    return None if _BAD_ESCAPE.search(text) else unquote_plus(text, errors="replace")


_PROTOCOLS = ("http", "https", "ftp", "file", "jar", "mailto")


def _parse_url(url: str, part: str, key: str | None = None) -> str | None:
    if ":" not in url or url.split(":", 1)[0].lower() not in _PROTOCOLS:
        return None
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        port = parts.port
    except ValueError:
        return None
    if key is not None:
        match = re.search(f"(?:&|^){re.escape(key)}=([^&]*)", parts.query) if part == "QUERY" else None
        return match[1] if match else None
    if port is not None or host.endswith(":"):
        host = host.rpartition(":")[0]
    query = parts.query if "?" in url.split("#", 1)[0] else None
    found = {
        "HOST": host,
        "PATH": parts.path,
        "QUERY": query,
        "REF": parts.fragment if "#" in url else None,
        "PROTOCOL": parts.scheme,
        "FILE": parts.path if query is None else f"{parts.path}?{query}",
        "AUTHORITY": parts.netloc if "//" in url else None,
        "USERINFO": parts.netloc.rpartition("@")[0] if "@" in parts.netloc else None,
    }
    return found.get(part)


def _inet_aton(text: str) -> int | None:
    parts = text.split(".")
    if not 1 <= len(parts) <= 4 or not all(p.isascii() and p.isdigit() and int(p) <= 255 for p in parts):
        return None
    numbers = [int(p) for p in parts]
    padded = [*numbers[:-1], *[0] * (4 - len(numbers)), numbers[-1]]
    return sum(n << (24 - 8 * i) for i, n in enumerate(padded))


def _inet_ntoa(number: int) -> str | None:
    if not 0 <= number < 2**32:
        return None
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))


_NESTED = (ArrayType, MapType, MultisetType, RowType)


def _printf(args: Sequence[pl.Expr], call: LoweringCall) -> pl.Expr:
    types = [a.type for a in call.args[1:]]
    shown = [to_text(a, t, call.session) if isinstance(t, _NESTED) else a for a, t in zip(args[1:], types, strict=True)]
    return by_row(
        [args[0], *shown],
        lambda pattern, *values: None if pattern is None else java_format(pattern, values, types),
        pl.String(),
        null_in_null_out=False,
    )


FUNCTIONS: tuple[ScalarFunction, ...] = (
    ScalarFunction(
        "TO_BASE64",
        overload(signature(TEXT, result=STRING), signature(BINARY, result=STRING)),
        lambda args, call: args[0].cast(pl.Binary).bin.encode("base64"),
        "Bytes, or the UTF-8 bytes of a text, in Base64.",
        api_name="to_base64",
        examples=(("TO_BASE64('hello')", "aGVsbG8="),),
        category="string",
    ),
    ScalarFunction(
        "FROM_BASE64",
        signature(TEXT, result=STRING, is_nullable=True),
        _from_base64,
        "The text whose UTF-8 bytes are given in Base64.",
        api_name="from_base64",
        examples=(("FROM_BASE64('aGVsbG8=')", "hello"),),
        category="string",
    ),
    ScalarFunction(
        "ENCODE",
        signature(TEXT, TEXT, result=VarBinaryType(), is_nullable=True),
        lambda args, call: by_row(args, _encode, pl.Binary()),
        "The bytes of the text in a character set (UTF-8, UTF-16, US-ASCII, ISO-8859-1, GBK, ...); NULL when it is unknown.",
        api_name="encode",
        category="string",
    ),
    ScalarFunction(
        "DECODE",
        signature(BINARY, TEXT, result=STRING, is_nullable=True),
        lambda args, call: by_row(args, _decode, pl.String()),
        "The text of bytes in a character set; what cannot be read becomes U+FFFD.",
        api_name="decode",
        examples=(("DECODE(X'6869', 'UTF-8')", "hi"),),
        category="string",
    ),
    ScalarFunction(
        "URL_ENCODE",
        signature(TEXT, result=STRING, is_nullable=True),
        lambda args, call: by_row(args[:1], _url_encode, pl.String()),
        "The text in application/x-www-form-urlencoded form.",
        api_name="url_encode",
        examples=(("URL_ENCODE('a b&c')", "a+b%26c"),),
        category="string",
    ),
    ScalarFunction(
        "URL_DECODE",
        signature(TEXT, result=STRING, is_nullable=True),
        lambda args, call: by_row(args[:1], _url_decode, pl.String()),
        "The text behind its application/x-www-form-urlencoded form; NULL when that is malformed.",
        api_name="url_decode",
        examples=(("URL_DECODE('a+b%26c')", "a b&c"),),
        category="string",
    ),
    ScalarFunction(
        "PARSE_URL",
        signature(TEXT, TEXT, TEXT, optional=1, result=STRING, is_nullable=True),
        lambda args, call: by_row(args, _parse_url, pl.String()),
        "A part of a URL: HOST, PATH, QUERY (or the value of one of its keys), REF, PROTOCOL, AUTHORITY, FILE, USERINFO.",
        api_name="parse_url",
        examples=(("PARSE_URL('http://a.b/c?x=1', 'QUERY', 'x')", "1"),),
        category="string",
    ),
    ScalarFunction(
        "INET_ATON",
        signature(TEXT, result=BigIntType(), is_nullable=True),
        lambda args, call: by_row(args, _inet_aton, pl.Int64()),
        "The number of an IPv4 address; NULL when it is none.",
        api_name="inet_aton",
        examples=(("INET_ATON('127.0.0.1')", "2130706433"),),
        category="string",
    ),
    ScalarFunction(
        "INET_NTOA",
        signature(AS_BIGINT, result=STRING, is_nullable=True),
        lambda args, call: by_row(args, _inet_ntoa, pl.String()),
        "The IPv4 address of a number; NULL when it is none.",
        api_name="inet_ntoa",
        examples=(("INET_NTOA(2130706433)", "127.0.0.1"),),
        category="string",
    ),
    ScalarFunction(
        "PRINTF",
        signature(TEXT, rest=ANY, result=STRING, is_nullable=True),
        _printf,
        "Text formatted as Java's Formatter does; NULL when a value does not fit its place.",
        api_name="printf",
        examples=(("PRINTF('%s has %d', 'x', 5)", "x has 5"),),
        category="string",
    ),
)
