"""What authors of parts of a simulation test with. A checker raises `AssertionError` with one sentence."""

from sim.testing.actions import check_action

__all__ = ["check_action"]
