"""Rules of Flink's on what a row pattern may be. Each function raises with what is wrong and what to write instead."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tableapi.errors import UnknownNameError, UnsupportedError, ValidationError, did_you_mean
from tableapi.plan.match_node import PatternElement, Skip, SkipKind


def check_pattern(pattern: Sequence[PatternElement]) -> None:
    """Refuses patterns that Flink refuses.

    Raises:
        UnsupportedError: For each of them.
    """
    names = [e.variable for e in pattern]
    for name in names:
        if names.count(name) > 1:
            raise UnsupportedError(f"pattern variable '{name}' stands twice in the pattern", fix="use two variables")
    if all(e.minimum == 0 for e in pattern):
        raise UnsupportedError(
            "a pattern that matches no rows at all is not supported", fix="make at least one variable obligatory"
        )
    for element in pattern:
        if (element.minimum, element.maximum) == (0, 1) and not element.is_greedy:
            raise UnsupportedError(f"reluctant optional variables are not supported: {element}", fix=f"{element.variable}?")
    for before, element in pairwise(pattern):
        if before.keeps_rows and element.minimum == 0:
            raise UnsupportedError(
                f"the optional variable {element} cannot follow the greedy {before}",
                fix=f"make {before} reluctant: {before}?",
            )
    last = pattern[-1]
    if last.keeps_rows:
        raise UnsupportedError(
            f"a greedy quantifier cannot end a pattern: {last}",
            fix=f"end it with a simple variable, or make it reluctant: {last}?",
        )


def check_skip(skip: Skip, pattern: Sequence[PatternElement]) -> None:
    """Refuses AFTER MATCH SKIP to what can never be skipped to.

    Raises:
        UnknownNameError: The variable is not in the pattern.
        ValidationError: It always begins the match.
    """
    variables = [e.variable for e in pattern]
    if skip.variable is not None and skip.variable not in variables:
        raise UnknownNameError(
            f"AFTER MATCH SKIP names '{skip.variable}', which is not in the pattern",
            exists=f"pattern variables: {', '.join(variables)}",
            fix=did_you_mean(skip.variable, variables),
        )
    first = pattern[0]
    begins = skip.variable == first.variable and first.minimum > 0
    if begins and (skip.kind is SkipKind.FIRST or first.maximum == 1):
        raise ValidationError(
            f"AFTER MATCH SKIP {skip} would find the same match again and again", fix="skip to another variable"
        )


def check_names(variables: Sequence[str], defined: Sequence[str], measures: Sequence[str], partition_by: Sequence[str]) -> None:
    """Refuses definitions of unknown variables, and results with two columns of one name.

    Raises:
        ValidationError: With the name.
    """
    for name in defined:
        if name not in variables:
            raise UnknownNameError(
                f"DEFINE names '{name}', which is not in the pattern",
                exists=f"pattern variables: {', '.join(variables)}",
                fix=did_you_mean(name, variables),
            )
        if list(defined).count(name) > 1:
            raise ValidationError(f"pattern variable '{name}' is defined twice")
    for name in measures:
        if list(measures).count(name) > 1 or name in partition_by:
            raise ValidationError(f"MATCH_RECOGNIZE gives two columns called '{name}'", fix="name the measure differently")
