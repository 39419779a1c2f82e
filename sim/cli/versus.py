"""`tickweave versus`: let two planners play each other and tell which is stronger."""

from __future__ import annotations

import re
import sys
from typing import Annotated, Final

import typer

from ai.plans import FallbackTier
from sim.cli.common import AsJson, print_json, progress_bar, usage
from sim.cli.consent import Trust, load_scenario
from sim.messages import shown
from sim.run.scenario_file import TICKS_MAX
from sim.versus import score, tournament

GAMES_MAX: Final = 10_000
"""Seeds of one tournament."""
JOBS_MAX: Final = 64
"""Processes of one tournament."""


def versus(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO", help="Name (see `scenarios`) or path of a TOML file.")],
    *,
    a: Annotated[str, typer.Option(metavar="TIERS", help="One planner: a tier, or several with commas between.")],
    b: Annotated[str, typer.Option(metavar="TIERS", help="The other planner.")],
    seeds: Annotated[str, typer.Option(metavar="FROM:TO", help="Seeds, the last one left out.")] = "0:10",
    ticks: Annotated[int | None, typer.Option(min=1, max=TICKS_MAX, help="Ticks of a game at most.")] = None,
    jobs: Annotated[int, typer.Option(min=1, max=JOBS_MAX, help="Processes to play in.")] = 1,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Play a scenario's first two groups against each other, every seed twice with the sides swapped."""
    plan = load_scenario(scenario, trust=trust)
    chosen = _seeds(seeds)
    with progress_bar(f"{a} against {b}", 2 * len(chosen), unit="games") as show:
        games = tournament(plan, _tiers(a), _tiers(b), chosen, ticks=ticks, jobs=jobs, progress=show)
    came_to = score(games)
    low, high = came_to.interval
    stronger = {"a": a, "b": b, None: None}[came_to.stronger]
    if as_json:
        print_json(
            {
                "scenario": plan.name,
                "a": {"tiers": _tiers(a), "wins": came_to.a},
                "b": {"tiers": _tiers(b), "wins": came_to.b},
                "games": len(games),
                "draws": came_to.draws,
                "share_a": came_to.share,
                "interval": [low, high],
                "stronger": stronger,
                "ticks_mean": sum(game.ticks for game in games) / len(games),
            }
        )
        return
    share = "no game was decided" if came_to.share is None else f"{came_to.share:.0%} of the decided games for {a}"
    sys.stdout.write(
        f"{plan.name}: {len(games)} games, {a} won {came_to.a}, {b} won {came_to.b}, {came_to.draws} draws\n"
        f"{share}, 95 percent interval {low:.0%} to {high:.0%}: "
        f"{'they are not told apart' if stronger is None else f'{stronger} is stronger'}\n"
    )


def _tiers(text: str) -> list[str]:
    tiers = [tier.strip() for tier in text.split(",")]
    return tiers if FallbackTier.EMERGENCY in tiers else [*tiers, str(FallbackTier.EMERGENCY)]


def _seeds(text: str) -> range:
    found = re.fullmatch(r"(\d{1,18}):(\d{1,18})", text)
    if found is None:
        raise usage(f"--seeds: {shown(text)} is not of the form FROM:TO, as in 0:50")
    seeds = range(int(found[1]), int(found[2]))
    if not 1 <= len(seeds) <= GAMES_MAX:
        raise usage(f"--seeds: {shown(text)} has {len(seeds)} seeds; 1 to {GAMES_MAX} are possible")
    return seeds
