"""`tickweave scenarios`: the names that `run` accepts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sim.cli.common import AsJson, print_json, print_table
from sim.cli.run_report import description_of, scenarios_table
from sim.errors import ScenarioError
from sim.run.domains import available_domains, find_domain
from sim.run.scenario_file import Scenario, available, load
from sim.run.schema import scenario_schema


def scenarios(
    *,
    schema: Annotated[
        str | None,
        typer.Option("--schema", metavar="DOMAIN", help="Print the JSON schema of a domain's scenario files."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the scenarios, and the domains that run by their name with default settings."""
    if schema is not None:
        folder = Path(schema).parent if schema.endswith(".py") else None
        print_json(scenario_schema(find_domain(Path(schema).name if folder else schema, folder).kind))
        return
    found = [*available(), *_domains()]
    if as_json:
        entries = [
            {
                "name": name,
                "domain": each.head.domain,
                "agents": each.agents,
                "ticks": each.ticks,
                "description": description_of(each),
            }
            for name, each in found
        ]
        print_json({"scenarios": entries})
    else:
        print_table(scenarios_table(found))


def _domains() -> list[tuple[str, Scenario]]:
    """Return the installed domains whose settings all have defaults."""
    found = []
    for name in available_domains():
        try:
            found.append((name, load(name)))
        except ScenarioError:  # it has settings without defaults, so only a scenario file can run it
            continue
    return found
