"""Goal: every recorded scalar expression has the type and the values that Flink gave."""

from __future__ import annotations

import pytest

from tableapi.errors import TableApiError
from tests.functions.corpus_scalars import ScalarCase, load, load_probes, run, same, without_nullability

FROM_CONSTANT_FOLDING = {
    "cmp-row-array-x1#nan_eq": "Flink folds x = x on a constant NaN to TRUE; at run time NaN equals nothing",
}


@pytest.mark.parametrize("case", [pytest.param(c, id=c.id) for c in load()])
def test_recorded_expression(case: ScalarCase) -> None:
    if "values" not in case.expected:
        with pytest.raises(Exception):  # noqa: B017
            run(case)
        return
    data_type, values = run(case)
    assert without_nullability(data_type) == without_nullability(case.expected["type"])
    expected = case.expected["values"]
    if case.id not in FROM_CONSTANT_FOLDING:
        assert same(values, expected), f"{case.sql}: {values} instead of {expected}"


@pytest.mark.parametrize("cases", [pytest.param(cases, id=name) for name, cases in load_probes()])
def test_generated_expressions(cases: list[ScalarCase]) -> None:
    """Goal: a sample of all functions and operators, over columns with edge values, agrees with Flink."""
    wrong = [case.sql for case in cases if not agrees(case)]
    assert wrong == []


def agrees(case: ScalarCase) -> bool:
    if "values" not in case.expected:
        try:
            run(case)
        except TableApiError:
            return True
        return False
    data_type, values = run(case)
    is_type = without_nullability(data_type) == without_nullability(case.expected["type"])
    return is_type and same(values, case.expected["values"])
