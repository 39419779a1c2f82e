"""`tickweave versus`: compare two planners over many seeds and say which is stronger."""

from __future__ import annotations

import re
import sys
from typing import Annotated, Final

import typer

from sim.cli.common import AsJson, print_json, progress_bar, usage
from sim.cli.consent import Trust, load_scenario
from sim.messages import shown
from sim.run.choices import tiers_of
from sim.run.scenario_file import TICKS_MAX
from sim.versus import score, score_by_value, tournament

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
    ticks: Annotated[int | None, typer.Option(min=1, max=TICKS_MAX, help="Ticks of a run at most.")] = None,
    metric: Annotated[
        str | None, typer.Option(metavar="NAME", help="The better last value of this metric or score wins.")
    ] = None,
    lower: Annotated[bool, typer.Option("--lower", help="With --metric: the lower value is the better one.")] = False,
    jobs: Annotated[int, typer.Option(min=1, max=JOBS_MAX, help="Processes to play in.")] = 1,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Compare two planners: every seed is run twice, with the sides swapped where the scenario has groups."""
    plan = load_scenario(scenario, trust=trust)
    if lower and metric is None:
        raise usage("--lower goes with --metric")
    if metric is None and len(plan.domain.group_names) < 2:
        raise usage(f"scenario {shown(plan.name)} has no two groups that could win; name a metric with --metric")
    chosen = _seeds(seeds)
    with progress_bar(f"{a} against {b}", 2 * len(chosen), unit="runs") as show:
        games = tournament(plan, tiers_of(a), tiers_of(b), chosen, ticks=ticks, metric=metric, jobs=jobs, progress=show)
    came_to = score(games) if metric is None else score_by_value(games, lower=lower)
    low, high = came_to.interval
    stronger = {"a": a, "b": b, None: None}[came_to.stronger]
    if as_json:
        print_json(
            {
                "scenario": plan.name,
                "a": {"tiers": tiers_of(a), "wins": came_to.a},
                "b": {"tiers": tiers_of(b), "wins": came_to.b},
                "games": came_to.games,
                "metric": metric,
                "draws": came_to.draws,
                "share_a": came_to.share,
                "interval": [low, high],
                "stronger": stronger,
                "ticks_mean": sum(game.ticks for game in games) / len(games),
                "runs": [
                    {"seed": game.seed, "swapped": game.swapped, "ticks": game.ticks, "value": game.value}
                    for game in games
                ],
            }
        )
        return
    share = "no game was decided" if came_to.share is None else f"{came_to.share:.0%} of the decided games for {a}"
    sys.stdout.write(
        f"{plan.name}: {came_to.games} games, {a} won {came_to.a}, {b} won {came_to.b}, {came_to.draws} draws\n"
        f"{share}, 95 percent interval {low:.0%} to {high:.0%}: "
        f"{'neither is shown to be stronger' if stronger is None else f'{stronger} is stronger'}\n"
    )


def _seeds(text: str) -> range:
    found = re.fullmatch(r"(\d{1,18}):(\d{1,18})", text)
    if found is None:
        raise usage(f"--seeds: {shown(text)} is not of the form FROM:TO, as in 0:50")
    seeds = range(int(found[1]), int(found[2]))
    if not 1 <= len(seeds) <= GAMES_MAX:
        raise usage(f"--seeds: {shown(text)} has {len(seeds)} seeds; 1 to {GAMES_MAX} are possible")
    return seeds
