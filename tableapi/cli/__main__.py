"""`python -m tableapi.cli`."""

from tableapi.cli import main

main()
