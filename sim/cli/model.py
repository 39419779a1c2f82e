"""The model of a command: made from its spec, probed, and stopped at the end."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from typing import Any

from ai.llm.models import Models
from ai.llm.probe import sentence
from ai.llm_types import Endpoint, LlmClient
from sim.cli.common import FAILED, NO_MODEL, ExitError, client_of
from sim.messages import one_line
from sim.run.planning_service import probed


@contextmanager
def ready_model(spec: str, *, optional: bool = False, quiet: bool = False) -> Iterator[LlmClient | None]:
    """Yield the probed client of a model spec, None for `none`; a server that it started is stopped at the end.

    The result of the probe is printed on stderr. A server that is down or has no such model ends the command, unless
    the model is `optional`: then the tiers below plan.
    """
    client = client_of(spec)
    if client is None:
        yield None
        return
    with probed(client) as endpoint:
        if endpoint is not None:
            _tell(client.label, endpoint, optional=optional, quiet=quiet)
        yield client


@contextmanager
def ready_models(
    spec: str, others: Mapping[str, str], *, optional: bool = False, quiet: bool = False
) -> Iterator[LlmClient | None]:
    """Yield the model of a run as `ready_model` does, with further models by name where there are any."""
    with ExitStack() as stack:
        specs = {**({} if spec == NO_MODEL else {"": spec}), **others}
        clients = {
            name: stack.enter_context(ready_model(each, optional=optional, quiet=quiet)) for name, each in specs.items()
        }
        found = {name: client for name, client in clients.items() if client is not None}
        yield Models(found) if others and found else found.get("")


def described(client: LlmClient | None) -> dict[str, Any] | None:
    """Return the findings of the probe, for the report beside a replay; of several models by name."""
    if isinstance(client, Models):
        return {name: described(each) for name, each in client.clients.items()}
    endpoint: Endpoint | None = getattr(client, "endpoint", None)
    return None if endpoint is None else asdict(endpoint)


def _tell(label: str, endpoint: Endpoint, *, optional: bool, quiet: bool) -> None:
    told = one_line(sentence(label, endpoint))
    missing = not endpoint.reachable or endpoint.model_present is False
    if missing and not optional:
        raise ExitError(f"{told} (--llm-optional runs without it)", FAILED)
    if missing or not quiet:
        sys.stderr.write(f"tickweave: {told}{'; rules plan until it is there' if missing else ''}\n")
