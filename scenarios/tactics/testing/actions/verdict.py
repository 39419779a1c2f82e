"""The report of a broken rule: an `AssertionError` with one sentence that begins with the kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


def must(holds: bool, name: str, rule: str) -> None:  # noqa: FBT001
    """Report that the kind of this name breaks a rule, unless the rule holds.

    Raises:
        AssertionError: the rule does not hold.
    """
    if not holds:
        raise AssertionError(f"{name} {rule}")


@contextmanager
def fails_as(name: str, call: str) -> Iterator[None]:
    """Report an error of the kind's own code with the call that raised it.

    Raises:
        AssertionError: the code raised an error.
    """
    try:
        yield
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(f"{name} fails in `{call}`: {type(error).__name__}: {error}") from error
