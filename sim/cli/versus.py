"""`tickweave versus`: compare two planners or models over many seeds and report which is stronger."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from ai.llm.price import cost_of
from ai.plans import LlmUsage
from sim.cli.choices import with_choices
from sim.cli.common import AsJson, Force, client_of, print_json, progress_bar, usage, write_whole
from sim.cli.consent import Trust, load_scenario, trust_metrics
from sim.cli.options import ScenarioName, Values
from sim.cli.plot import FORMS
from sim.errors import ScenarioError
from sim.extras import extra
from sim.messages import number, shown
from sim.run.scenario_file import TICKS_MAX
from sim.run.writing import check_free
from sim.sweep.seeds import seeds_of
from sim.sweep.versus import Game, Player, difference, score, score_by_value, tournament
from sim.sweep.versus import usage as usage_of
from sim.sweep.versus_plot import draw_games

GAMES_MAX: Final = 10_000
"""Seeds of one tournament."""
JOBS_MAX: Final = 64
"""Processes of one tournament."""


def versus(
    scenario: ScenarioName,
    *,
    a: Annotated[str, typer.Option(metavar="PLANNER", help="Tiers separated by commas, or llm:SPEC as for --llm.")],
    b: Annotated[str, typer.Option(metavar="PLANNER", help="The other planner.")],
    seeds: Annotated[str, typer.Option(metavar="SEEDS", help="5, 1,2,3 or 0:50.")] = "0:10",
    ticks: Annotated[int | None, typer.Option(min=1, max=TICKS_MAX, help="The most ticks of a run.")] = None,
    metric: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The better last value wins: a metric, a score, or FILE.py:FUNCTION."),
    ] = None,
    lower: Annotated[bool, typer.Option("--lower", help="With --metric: the lower value is better.")] = False,
    whole: Annotated[
        bool, typer.Option("--whole", help="With --metric: each planner plans for all agents, even with groups.")
    ] = False,
    choices: Values = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Also draw the runs: .png, .svg or .pdf.")] = None,
    jobs: Annotated[int, typer.Option(min=1, max=JOBS_MAX, help="Processes that run games.")] = 1,
    trust: Trust = False,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Compare two planners over the same seeds.

    In a domain with groups they play each other, each seed twice with the sides swapped.
    """
    plan = with_choices(load_scenario(scenario, trust=trust), choices)
    for option, given in (("--lower", lower), ("--whole", whole)):
        if given and metric is None:
            raise usage(f"{option}: needs --metric")
    if metric is None and len(plan.domain.group_names) < 2:
        raise usage(f"scenario {shown(plan.name)} does not have two groups that could win; name a metric with --metric")
    trust_metrics([metric] if metric else None)
    if plot is not None:
        extra("matplotlib", "--plot")
        if plot.suffix not in FORMS:
            raise usage(f"--plot: {shown(str(plot))} ends in none of {', '.join(FORMS)}")
        check_free(plot, replace=force)
    try:
        chosen = seeds_of(seeds)
    except ScenarioError as error:
        raise usage(f"--seeds: {error}") from None
    if len(chosen) > GAMES_MAX:
        raise usage(f"--seeds: {len(chosen)} seeds; at most {GAMES_MAX}")
    one, other = Player.of(a), Player.of(b)
    for player in (one, other):
        client_of(player.model)  # refuse a wrong spec before anything runs
    with progress_bar(f"{a} against {b}", 2 * len(chosen), unit="runs") as show:
        games = tournament(plan, one, other, chosen, ticks=ticks, metric=metric, whole=whole, jobs=jobs, progress=show)
    if plot is not None:
        with write_whole(plot, replace=force) as sink:
            draw_games(games, (a, b), metric, sink, form=plot.suffix[1:])
    told = _told(games, one, other, metric, lower=lower)
    if as_json:
        print_json({"scenario": plan.name, **told})
    else:
        sys.stdout.write("\n".join(_sentences(plan.name, told, a, b)) + "\n")


def _told(
    games: Sequence[Game],
    one: Player,
    other: Player,
    metric: str | None,
    *,
    lower: bool,
) -> dict[str, Any]:
    came_to = score(games) if metric is None else score_by_value(games, lower=lower)
    found: dict[str, Any] = {
        "a": {"tiers": list(one.tiers), "wins": came_to.a, **_model(one, usage_of(games, "a"))},
        "b": {"tiers": list(other.tiers), "wins": came_to.b, **_model(other, usage_of(games, "b"))},
        "games": came_to.games,
        "metric": metric,
        "draws": came_to.draws,
        "share_a": came_to.share,
        "interval": list(came_to.interval),
        "stronger": {"a": one.name, "b": other.name, None: None}[came_to.stronger],
        "difference": None,
        "ticks_mean": sum(game.ticks for game in games) / len(games),
        "runs": [
            {"seed": game.seed, "swapped": game.swapped, "ticks": game.ticks, "value": game.value} for game in games
        ],
    }
    if metric is not None:
        gain = difference(games)
        found["difference"] = {
            "mean": gain.difference.mean,
            "interval": [gain.difference.low, gain.difference.high],
            "effect": gain.effect,
            "p": gain.p,
        }
    return found


def _model(player: Player, used: LlmUsage) -> dict[str, Any]:
    if not player.has_model:
        return {}
    return {
        "model": player.model,
        "calls": used.calls,
        "prompt_tokens": used.prompt_tokens,
        "completion_tokens": used.completion_tokens,
        "cost": cost_of(player.model, used.prompt_tokens, used.completion_tokens),
    }


def _sentences(name: str, told: dict[str, Any], a: str, b: str) -> list[str]:
    low, high = told["interval"]
    share = "no game was decided" if told["share_a"] is None else f"{told['share_a']:.0%} of the decided games for {a}"
    stronger = told["stronger"]
    wins = f"{a} won {told['a']['wins']}, {b} won {told['b']['wins']}"
    verdict = "neither is shown to be stronger" if stronger is None else f"{stronger} is stronger"
    lines = [
        f"{name}: {told['games']} games, {wins}, {told['draws']} draws",
        f"{share}, 95 percent interval {low:.0%} to {high:.0%}: {verdict}",
    ]
    gain = told["difference"]
    if gain is not None:
        effect = "" if gain["effect"] is None else f", effect size {gain['effect']:.2f}"
        chance = "" if gain["p"] is None else f", p {gain['p']:.3g}"
        interval = "95 percent interval {} to {}".format(*(number(end, "+") for end in gain["interval"]))
        lines.append(f"{told['metric']}: {a} minus {b} is {number(gain['mean'], '+')}, {interval}{effect}{chance}")
    for side, player in (("a", a), ("b", b)):
        used = told[side]
        if "model" in used:
            tokens = (
                "no tokens counted"
                if used["prompt_tokens"] is None
                else f"{used['prompt_tokens']:,} prompt tokens, {used['completion_tokens'] or 0:,} completion tokens"
            )
            cost = "" if used["cost"] is None else f", {used['cost']:,.4f} US dollars"
            lines.append(f"{player}: {used['calls']:,} calls, {tokens}{cost}")
    return lines
