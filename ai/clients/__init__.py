"""Language-model clients: one file for each client, and shared files. `ai.llm_types` has the interface of clients.

A client that a command line can name is one file here (or a module named under the entry point group
`tickweave.clients`) with two names: `SCHEME`, the part of a spec before the colon, and
`from_spec(rest: str) -> LlmClient`, which reads the part after the colon and raises `ContractError` if it is wrong.
Files without these names are shared; only `http` imports httpx.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from importlib import import_module
from typing import Final

from ai.entries import installed
from ai.errors import ContractError
from ai.llm_types import LlmClient

ENTRY_POINTS: Final = "tickweave.clients"  # entry point group under which other packages name client modules

Factory = Callable[[str], LlmClient]


def discover() -> dict[str, Factory]:
    """Return the factory of every scheme: the files of this folder in name order, then entry points in name order.

    Raises:
        ContractError: a module is malformed, or two of them claim one scheme; the message names the file.
    """
    found: dict[str, Factory] = {}
    owners: dict[str, str] = {}
    names = sorted(info.name for info in pkgutil.iter_modules(__path__))
    modules: list[tuple[str, object]] = [(f"{name}.py", import_module(f"{__name__}.{name}")) for name in names]
    modules += [(f"entry point {point.name} = {point.value}", point.load()) for point in installed(ENTRY_POINTS)]
    for place, module in modules:
        scheme, factory = getattr(module, "SCHEME", None), getattr(module, "from_spec", None)
        if scheme is None and factory is None and place.endswith(".py"):
            continue
        if not isinstance(scheme, str) or not scheme or not callable(factory):
            raise ContractError(f"client {place} must define SCHEME (a text) and from_spec (a function of one text)")
        if scheme in found:
            raise ContractError(f"client {place} claims the scheme {scheme!r}, which {owners[scheme]} already has")
        found[scheme], owners[scheme] = factory, place
    return found


def client_from_spec(spec: str) -> LlmClient:
    """Return the client that a spec names, as `SCHEME:REST`.

    Raises:
        ContractError: the scheme is unknown, or its client cannot read the rest; the message is one sentence for
            people.
    """
    scheme, _, rest = spec.partition(":")
    factories = discover()
    if scheme not in factories:
        known = ", ".join(f"{known}:" for known in sorted(factories))
        raise ContractError(f"unknown model spec {scheme[:40]!r}; it must start with one of: {known}")
    return factories[scheme](rest)
