"""Runs the command line: `python -m sim` is the same as `tickweave`."""

from sim.entry import main

main()
