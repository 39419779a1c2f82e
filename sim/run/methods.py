"""The check that the methods of a user's class can be called as those of the framework's base class.

A method with other arguments would fail inside the framework, and a misspelt one would never be called.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from sim.messages import quoted

_OURS: Final = ("ai", "sim")


def named(given: object) -> str:
    """Return a name for a part of a domain: a class by its name, an object by its class."""
    if isinstance(given, type):
        return given.__qualname__
    if callable(given):
        return f"the function {getattr(given, '__qualname__', given)}"
    return quoted(given) if type(given).__repr__ is not object.__repr__ else f"an instance of {type(given).__name__}"


def misspelt(name: str, known: Sequence[str], whole: str) -> str:
    """Return a sentence about a name that is probably one of the known parts of a whole, misspelt, or nothing."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
    return f"is not a part of {whole}; did you mean {near[0]}?" if near else ""


def wrong_method(kind: type, base: type) -> str:
    """Return what is wrong with the first such method of a class, or nothing; a class is checked once."""
    return _wrong_method(kind, base)  # for mypy, classes passed to a cached function have no hash


@cache
def _wrong_method(kind: type, base: type) -> str:
    known = _known(base)
    for owner in kind.__mro__:
        if owner in base.__mro__ or not issubclass(owner, base):
            continue
        for name, given in vars(owner).items():
            wrong = "" if name.startswith("_") else _wrong(kind, base, name, given, known)
            if wrong:
                return f"{kind.__name__}.{name} {wrong}"
    return ""


@cache
def _known(base: type) -> dict[str, tuple[Any, bool]]:
    """Return the parts of a base class by name, and whether each is a method; those of libraries do not count."""
    ours = [owner for owner in base.__mro__ if owner.__module__.partition(".")[0] in _OURS]
    parts = {name: value for owner in reversed(ours) for name, value in vars(owner).items() if name[0] != "_"}
    return {name: (value, inspect.isroutine(value)) for name, value in parts.items()}


def _wrong(kind: type, base: type, name: str, given: object, known: dict[str, tuple[Any, bool]]) -> str:
    routine = inspect.isroutine(given)
    if name not in known:
        alike = [each for each, (_, method) in known.items() if method == routine and each[0] == name[0]]
        return misspelt(name, alike, base.__name__)
    declared, method = known[name]
    if not method:
        return ""
    usual = _count(getattr(kind, name, None))
    if routine and usual is not None and usual == _count(getattr(base, name)) and not _on_instance(declared, given):
        return ""
    wanted = list(inspect.signature(getattr(base, name)).parameters)
    call = f"{name}({', '.join(wanted)})"
    if not routine:
        return f"is {named(given)}; write a method {call}"
    if _on_instance(declared, given):
        return "is called on the class; put @classmethod above it"
    return "" if takes(getattr(kind, name), wanted) else f"is called as {call} and takes other arguments"


def _on_instance(declared: object, given: object) -> bool:
    """Return whether a method that is called on the class was written for instances."""
    return isinstance(declared, classmethod) and not isinstance(given, classmethod | staticmethod)


def _count(method: Any) -> int | None:
    """Return how many arguments a plain method takes, None if it takes others by name; `inspect` is slow."""
    code = getattr(method, "__code__", None)
    if code is None or code.co_kwonlyargcount:
        return None
    return int(code.co_argcount) - (getattr(method, "__self__", None) is not None)


def takes(method: Any, wanted: Sequence[str]) -> bool:
    """Return whether a method can be called with these arguments, by position."""
    try:
        inspect.signature(method).bind(*wanted)
    except ValueError:  # the method of a library without a signature
        return True
    except TypeError:
        return False
    return True
