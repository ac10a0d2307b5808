"""Whatever text comes in, only errors of this library come out."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as some

from tableapi.errors import TableApiError
from tableapi.sql import parse_expression, parse_type, split_statements
from tableapi.sql.dialect import tokenize
from tests.sql.helpers import catalog

CATALOG = catalog()
STATEMENTS = [
    s for path in sorted((Path(__file__).parent / "fixtures").glob("*.sql")) for s in split_statements(path.read_text())
]
TOKENS = [[s[t.start : t.end + 1] for t in tokenize(s)] for s in STATEMENTS]
WORDS = sorted(
    {w for tokens in TOKENS for w in tokens}
    | {"orders", "oid", "cust", "customers", "nest", "tags", "info", "'", "`", "(", "/*"}
)


def attempt(step, text: str) -> None:  # type: ignore[no-untyped-def]
    with suppress(TableApiError):
        step(text)


@given(some.text(max_size=60))
def test_random_text(text: str) -> None:
    for step in (CATALOG.parse, split_statements, parse_expression, parse_type):
        attempt(step, text)


@given(some.lists(some.sampled_from(WORDS), max_size=25))
def test_random_words(words: list[str]) -> None:
    for step in (CATALOG.parse, parse_expression, parse_type):
        attempt(step, " ".join(words))


@given(some.data())
def test_mutated_statements(data: some.DataObject) -> None:
    for _ in range(10):
        tokens = list(data.draw(some.sampled_from(TOKENS)))
        for _ in range(data.draw(some.integers(1, 3))):
            position = data.draw(some.integers(0, max(0, len(tokens) - 1)))
            change = data.draw(some.sampled_from(["drop", "insert", "replace"]))
            if change == "drop" and tokens:
                del tokens[position]
            elif change == "insert" or not tokens:
                tokens.insert(position, data.draw(some.sampled_from(WORDS)))
            else:
                tokens[position] = data.draw(some.sampled_from(WORDS))
        attempt(CATALOG.parse, " ".join(tokens))
