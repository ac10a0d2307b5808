"""Goal: what the registry declares is true: examples give what they show, names are unique and look-ups work, the docs are current."""

from __future__ import annotations

from pathlib import Path

import pytest

from tableapi.errors import TypeMismatchError, UnknownNameError
from tableapi.functions import docs, registry
from tests.functions.constants import resolve, text

EXAMPLES = [(sql, shown) for f in registry.functions() for sql, shown in f.examples]


@pytest.mark.parametrize(("sql", "shown"), EXAMPLES, ids=[e[0] for e in EXAMPLES])
def test_example_gives_what_it_shows(sql: str, shown: str) -> None:
    assert text(sql) == shown


def test_every_function_says_what_it_does() -> None:
    for function in registry.functions():
        assert function.doc.endswith("."), function.name
        assert function.name == function.name.upper()


def test_api_names_are_unique() -> None:
    names = [f.api_name for f in registry.functions() if f.api_name]
    assert len(names) == len(set(names))


def test_look_up_ignores_case_and_knows_aliases() -> None:
    assert registry.lookup("ceiling").name == "CEIL"
    assert registry.lookup("Substr") is registry.lookup("SUBSTRING")
    assert registry.find("no_such_function") is None


def test_unknown_function_names_the_closest() -> None:
    with pytest.raises(UnknownNameError) as caught:
        registry.lookup("UPER")
    assert "did you mean 'UPPER'?" in str(caught.value)


def test_type_error_names_the_function_and_its_arguments() -> None:
    with pytest.raises(TypeMismatchError) as caught:
        resolve("UPPER(1)")
    assert "UPPER(INT NOT NULL): argument 1 is INT NOT NULL, but a character string is needed" in str(caught.value)


def test_docs_are_current() -> None:
    page = Path(__file__).parents[2] / "docs" / "functions.md"
    assert page.read_text() == docs.render(), "run: python -m tableapi.functions.docs > docs/functions.md"
