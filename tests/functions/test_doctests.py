"""Goal: the examples in docstrings run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import tableapi.functions

MODULES = [
    *(f"tableapi.functions.{m.name}" for m in pkgutil.iter_modules(tableapi.functions.__path__)),
    "tableapi.plan.typing",
    "tableapi.runtime.casts",
    "tableapi.runtime.expressions",
]


@pytest.mark.parametrize("module", MODULES)
def test_docstring_examples(module: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(module))
    assert failed == 0
