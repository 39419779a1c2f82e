"""Runs the command line: `python -m sim` is `tickweave`."""

from sim.cli import main

main()
