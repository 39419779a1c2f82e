"""`tickweave check`: report whether a scenario file is valid, its contents, and probable mistakes in it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ai.plans import FallbackTier
from sim.cli.common import AsJson, print_json, print_result
from sim.cli.consent import Trust, load_scenario, local_files, remembered
from sim.cli.options import ScenarioName
from sim.messages import shown
from sim.run.choices import without_data
from sim.run.files import read_text
from sim.run.plugins import load_plugins
from sim.run.scenario_file import head_of
from sim.run.simulation import Simulation


def check(
    scenario: ScenarioName,
    *,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Validate a scenario without running it.

    An invalid one gets one sentence and exit code 64; probable mistakes are named.
    """
    local = [Path(scenario)] if scenario.endswith(".py") else local_files(scenario)
    if local and not trust and not remembered(local):
        _check_head(scenario, local, as_json=as_json)
        return
    plan = load_scenario(scenario, trust=trust)
    with Simulation(plan, plugins=load_plugins(plan)) as simulation:
        verbs = [] if simulation.registry is None else list(simulation.registry.names)
        tiers = list(simulation.tiers)
    chosen = [tier for tier in tiers if tier != FallbackTier.HEURISTIC]  # every domain has it by default
    noted = (*plan.domain.advice(plan), *without_data(plan, chosen))
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
    counts = f"{plan.agents} agents, {plan.ticks} ticks, {len(plan.inputs)} inputs, {len(verbs)} verbs"
    sys.stdout.write(f"{plan.name}: valid, {counts}\n")
    for name in plan.domain.group_names:
        sys.stdout.write(f"  {name}: tiers {', '.join(plan.planning.tiers_of(name))}\n")
    for sentence in noted:
        sys.stdout.write(f"  probably a mistake: {sentence}\n")


def _check_head(scenario: str, local: Sequence[Path], *, as_json: bool) -> None:
    """Check the engine's keys alone: `check` executes no local code without consent."""
    note = f"settings not checked: that would execute {', '.join(shown(str(file)) for file in local)}; add --trust"
    name = Path(scenario).stem
    if scenario.endswith(".toml"):
        name = head_of(read_text(scenario), shown(scenario)).name
    print_result({"scenario": name, "note": note}, f"{name}: keys valid; {note}", as_json=as_json)
