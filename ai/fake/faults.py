"""Which calls the fake server spoils, and how: a share for each kind, drawn by seed and call number."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from ai.errors import ContractError
from ai.fake.draws import Draws


class Fault(StrEnum):
    """One way in which a call goes wrong."""

    RATE_LIMIT = "429"
    """HTTP 429 with Retry-After."""
    BUSY = "503"
    """HTTP 503, as while a model loads."""
    KEY = "401"
    """HTTP 401, with the caller's own key in the message."""
    HANGUP = "hangup"
    """The connection is closed before any byte of an answer."""
    RESET = "reset"
    """The connection is reset in the middle of the reply."""
    CUT = "cut"
    """The stream ends in the middle of the reply, in order, without its last event."""
    ERROR = "error"
    """An error event inside a stream that began with 200."""
    GARBAGE = "garbage"
    """Bytes that are no stream."""
    WRONG = "wrong"
    """A whole reply that is not a plan, under any schema."""
    STALL = "stall"
    """The reply stops half way and the connection stays open."""
    LAPSE = "lapse"
    """A good reply, after which the connection stays open and hangs up on the next call that is made on it."""


FAULTS_MAX: Final = 32
"""Kinds that one specification may name."""


def parse_faults(spec: str) -> dict[Fault, float]:
    """Return the share of calls that each fault takes, from `KIND=SHARE[,KIND=SHARE...]`, as in `429=0.1,cut=0.05`.

    Raises:
        ContractError: an unknown kind, a share outside 0 to 1, or shares of more than 1 together.
    """
    shares: dict[Fault, float] = {}
    for part in spec.split(",")[:FAULTS_MAX]:
        name, _, written = part.strip().partition("=")
        try:
            share = float(written)
            fault = Fault(name)
        except ValueError:
            kinds = ", ".join(fault.value for fault in Fault)
            raise ContractError(f"{part[:40]!r} is not a fault; write KIND=SHARE, with KIND one of {kinds}") from None
        if not 0 <= share <= 1:
            raise ContractError(f"the share of {fault} must be between 0 and 1")
        shares[fault] = share
    if sum(shares.values()) > 1 + 1e-9:
        raise ContractError("the shares of all faults together must not be more than 1")
    return shares


def drawn(shares: Mapping[Fault, float], seed: int, call: int) -> Fault | None:
    """Return the fault of a call, by its number, None for a call that goes well."""
    left = Draws("fault", seed, call).share()
    for fault, share in shares.items():
        left -= share
        if left < 0:
            return fault
    return None
