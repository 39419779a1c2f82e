"""`tickweave check`: say whether a scenario file is valid, what is in it, and what in it is surely not meant."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from sim.cli.common import AsJson, print_json
from sim.run.plugins import load_plugins
from sim.run.scenario_file import load
from sim.run.simulation import Simulation


def check(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO", help="Name (see `scenarios`) or path of a TOML file.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Explain a scenario without running it; a wrong one gets one sentence and exit code 64."""
    plan = load(scenario)
    with Simulation(plan, plugins=load_plugins(plan)) as simulation:
        verbs = [] if simulation.registry is None else list(simulation.registry.names)
        tiers = list(simulation.tiers)
    noted = plan.domain.advice(plan)
    groups = [{"group": name, "tiers": list(plan.planning.tiers_of(name))} for name in plan.domain.group_names]
    if as_json:
        print_json(
            {
                "scenario": plan.name,
                "domain": plan.head.domain,
                "agents": plan.agents,
                "ticks": plan.ticks,
                "tiers": tiers,
                "groups": groups,
                "inputs": len(plan.inputs),
                "verbs": verbs,
                "advice": list(noted),
            }
        )
        return
    told = f"{plan.agents} agents, {plan.ticks} ticks, {len(plan.inputs)} inputs, {len(verbs)} verbs"
    sys.stdout.write(f"{plan.name}: valid, {told}\n")
    for name in plan.domain.group_names:
        sys.stdout.write(f"  {name}: tiers {', '.join(plan.planning.tiers_of(name))}\n")
    for sentence in noted:
        sys.stdout.write(f"  surely not meant: {sentence}\n")
