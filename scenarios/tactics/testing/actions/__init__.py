"""The checker for action kinds, `check_action`: it runs small arenas full of agents in ways that must not differ.

It works for every kind. `arena` and `dice` make arenas; `looking`, `doing` and `stock` check a kind; `playing` runs an
arena.
"""

from scenarios.tactics.testing.actions.check import check_action

__all__ = ["check_action"]
