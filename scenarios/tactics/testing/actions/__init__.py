"""The checker for action kinds, `check_action`: small arenas full of agents, played in ways that must not differ.

It knows no kind. What an arena is stands in `arena` and `dice`; what is checked of a kind in `looking`, `doing` and
`stock`; how an arena is played in `playing`.
"""

from scenarios.tactics.testing.actions.check import check_action

__all__ = ["check_action"]
