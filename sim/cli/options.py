"""Options that several commands have: one spelling, one range and one help text for each."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import typer

from sim.run.planning import TICKS_MAX as ROUND_TICKS_MAX
from sim.run.scenario_file import TICKS_MAX

SHARD_SIZE_MAX: Final = 1_000
"""Most agents that may be pinned for one call; what a call has room for bounds it further."""
IN_FLIGHT_MAX: Final = 256
"""Most calls that may be pinned to run at once."""


class EncodingOption(StrEnum):
    """How replies write plans (`ai.llm.encodings`)."""

    NAMED = "named"
    TUPLE = "tuple"
    LINE = "line"


class PreferOption(StrEnum):
    """What calls of a model are cut for."""

    BALANCED = "balanced"
    SPEED = "speed"
    COST = "cost"


Seed = Annotated[int | None, typer.Option(min=0, max=2**63 - 1, help="In place of the scenario's seed.")]
Ticks = Annotated[
    int | None, typer.Option(min=1, max=TICKS_MAX, help="Ticks to run at most, in place of the scenario's.")
]
Every = Annotated[
    int | None,
    typer.Option(min=1, max=ROUND_TICKS_MAX, metavar="TICKS", help="Ticks from one round of calls to the next."),
]
Prefer = Annotated[
    PreferOption | None, typer.Option(help="What calls are cut for: time, tokens, or some of both [balanced].")
]
ShardSize = Annotated[
    int | None, typer.Option(min=1, max=SHARD_SIZE_MAX, metavar="K", help="Agents in one call; else it adapts.")
]
InFlight = Annotated[
    int | None, typer.Option(min=1, max=IN_FLIGHT_MAX, metavar="M", help="Calls at once; else it adapts.")
]
Tiers = Annotated[
    str | None, typer.Option(metavar="TIERS", help="Planners in the order they are tried: goap,heuristic.")
]
Groups = Annotated[
    list[str] | None, typer.Option(metavar="NAME=TIERS", help="Planners of one group; may be given several times.")
]
Values = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A setting, or planning.KEY; may be given several times."),
]
Metrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metric", metavar="NAME", help="A metric of the domain, or FILE.py:FUNCTION; may be given several times."
    ),
]
