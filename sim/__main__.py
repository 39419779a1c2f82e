"""Runs the command line: `python -m sim` is `tickweave`."""

from sim.entry import main

main()
