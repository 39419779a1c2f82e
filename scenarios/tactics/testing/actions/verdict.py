"""How a broken rule is told: an `AssertionError` of one sentence that begins with the kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


def must(holds: bool, name: str, rule: str) -> None:  # noqa: FBT001
    """Tell that the kind of this name breaks a rule, unless it holds.

    Raises:
        AssertionError: it does not.
    """
    if not holds:
        raise AssertionError(f"{name} {rule}")


@contextmanager
def fails_as(name: str, call: str) -> Iterator[None]:
    """Tell an error of the kind's own code by the call that brought it about.

    Raises:
        AssertionError: there was one.
    """
    try:
        yield
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(f"{name} fails in `{call}`: {type(error).__name__}: {error}") from error
