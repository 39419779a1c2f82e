"""`tickweave scenarios`: what `run` knows by name."""

from __future__ import annotations

from typing import Annotated

import typer

from scenarios.tactics.scenario import available
from scenarios.tactics.scenario.schema import scenario_schema
from sim.cli.common import AsJson, print_json, print_table
from sim.cli.run_report import scenarios_table


def scenarios(
    *,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of a scenario file.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the scenarios that `run` knows by name."""
    if schema:
        print_json(scenario_schema())
        return
    found = available()
    if as_json:
        entries = [
            {"name": name, "agents": each.agents, "ticks": each.ticks, "description": each.description}
            for name, each in found
        ]
        print_json({"scenarios": entries})
    else:
        print_table(scenarios_table(found))
