"""Arguments and options that several commands have: one spelling, one range and one help text for each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from ai.llm.sharding import Prefer as PreferName
from sim.run.planning import TICKS_MAX as ROUND_TICKS_MAX
from sim.run.scenario_file import TICKS_MAX, scenario_names

SHARD_SIZE_MAX: Final = 1_000
"""The most agents that may be pinned for one call; the context of the model limits it further."""
IN_FLIGHT_MAX: Final = 256
"""The most calls that may be pinned to run at once."""


EncodingName = Literal["named", "tuple", "line"]
"""How replies write plans (`ai.llm.encodings`)."""


def completed_scenarios(incomplete: str) -> list[str]:
    """Return the scenarios that a shell offers; where none fits, it offers files."""
    return [name for name in scenario_names() if name.startswith(incomplete)]


_SCENARIO: Final = typer.Argument(
    metavar="SCENARIO",
    help="A name (see `scenarios`), or the path of a TOML or Python file.",
    autocompletion=completed_scenarios,
)
ScenarioName = Annotated[str, _SCENARIO]
OptionalScenarioName = Annotated[str | None, _SCENARIO]
ReplayName = Annotated[str, typer.Argument(metavar="FILE", help="A replay.")]
Plugins = Annotated[
    list[Path] | None,
    typer.Option("--plugin", metavar="FILE", help="Path of a local domain or plug-in that the run uses."),
]
Metrics = Annotated[
    list[str] | None,
    typer.Option("--metric", metavar="NAME", help="A metric of the domain, or FILE.py:FUNCTION; repeatable."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print no summary and no progress.")]
Seed = Annotated[int | None, typer.Option(min=0, max=2**63 - 1, help="Replaces the scenario's seed.")]
Ticks = Annotated[
    int | None, typer.Option(min=1, max=TICKS_MAX, help="The most ticks to run; replaces the scenario's number.")
]
Every = Annotated[
    int | None,
    typer.Option(min=1, max=ROUND_TICKS_MAX, metavar="TICKS", help="Ticks from one planning round to the next."),
]
Prefer = Annotated[
    PreferName | None, typer.Option(help="Size calls for speed, for few tokens, or for both [balanced].")
]
ShardSize = Annotated[
    int | None, typer.Option(min=1, max=SHARD_SIZE_MAX, metavar="K", help="Agents per call; adapts by default.")
]
InFlight = Annotated[
    int | None, typer.Option(min=1, max=IN_FLIGHT_MAX, metavar="M", help="Calls at the same time; adapts by default.")
]
Tiers = Annotated[
    str | None, typer.Option(metavar="TIERS", help="Planners in the order in which they are tried: goap,heuristic.")
]
Groups = Annotated[
    list[str] | None, typer.Option(metavar="NAME=TIERS", help="Planners of one group, or llm:MODEL; repeatable.")
]
Values = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A setting, or planning.KEY; repeatable."),
]
