"""`tickweave check`: say whether a scenario file is valid, what is in it, and what in it is surely not meant."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from scenarios.tactics.scenario import folder_of, load, tier_order
from scenarios.tactics.scenario.lint import advice
from sim.cli.common import AsJson, print_json
from sim.run.plugins import load_plugins
from sim.run.simulation import Simulation


def check(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO", help="Name (see `scenarios`) or path of a TOML file.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Explain a scenario without running it; a wrong one gets one sentence and exit code 64."""
    plan = load(scenario)
    with Simulation(plan, plugins=load_plugins(plan, folder_of(scenario))) as simulation:
        verbs = list(simulation.registry.names)
    noted = advice(plan)
    teams = [
        {
            "team": team.name,
            "agents": sum(squad.count for squad in team.squads),
            "squads": [squad.name for squad in team.squads],
            "objectives": [objective.kind for objective in team.objectives],
            "tiers": list(team.tiers or plan.planning.tiers),
        }
        for team in plan.teams
    ]
    if as_json:
        print_json(
            {
                "scenario": plan.name,
                "agents": plan.agents,
                "ticks": plan.ticks,
                "map": [plan.map.width, plan.map.height],
                "tiers": list(tier_order(plan)),
                "teams": teams,
                "inputs": len(plan.inputs),
                "verbs": verbs,
                "advice": list(noted),
            }
        )
        return
    size = f"map {plan.map.width} by {plan.map.height}"
    told = f"{plan.agents} agents, {plan.ticks} ticks, {size}, {len(plan.inputs)} inputs, {len(verbs)} verbs"
    sys.stdout.write(f"{plan.name}: valid, {told}\n")
    for team in plan.teams:
        squads = ", ".join(squad.name for squad in team.squads)
        objectives = ", ".join(objective.kind for objective in team.objectives) or "none"
        tiers = ", ".join(team.tiers or plan.planning.tiers)
        sys.stdout.write(f"  {team.name}: squads {squads}; objectives {objectives}; tiers {tiers}\n")
    for sentence in noted:
        sys.stdout.write(f"  surely not meant: {sentence}\n")
