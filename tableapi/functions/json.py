"""Declarations of this topic."""

from __future__ import annotations

from tableapi.functions.registry import ScalarFunction

FUNCTIONS: tuple[ScalarFunction, ...] = ()
