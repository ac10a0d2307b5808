"""`tableapi version`. Imports click only."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed

import click

_PACKAGES = ("polars", "pyarrow", "numpy", "numba", "sqlglot")


@click.command("version")
def version() -> None:
    """Show the versions of this package and of what it stands on."""
    click.echo(f"tableapi {_installed('tableapi')}")
    click.echo(f"python {platform.python_version()}, " + ", ".join(f"{name} {_installed(name)}" for name in _PACKAGES))


def _installed(name: str) -> str:
    try:
        return installed(name)
    except PackageNotFoundError:
        return "(not installed)"
