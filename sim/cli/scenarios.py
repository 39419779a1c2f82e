"""`tickweave scenarios`: list the names that `run` accepts."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated

import typer

from sim.cli.common import AsJson, print_columns, print_json
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
    """List the scenarios and domains that run by their name."""
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
                "description": _description(each),
            }
            for name, each in found
        ]
        print_json({"scenarios": entries})
    else:
        print_columns(
            ("scenario", "agents", "ticks", "description"),
            [(name, f"{each.agents:,}", f"{each.ticks:,}", _description(each)) for name, each in found],
            numbers=("agents", "ticks"),
        )


def _description(scenario: Scenario) -> str:
    """Return the description of a scenario; of a domain that runs by its name, the first line of its docstring."""
    return scenario.description or (inspect.getdoc(type(scenario.domain)) or "").partition("\n")[0]


def _domains() -> list[tuple[str, Scenario]]:
    """Return the installed domains whose settings all have defaults."""
    found = []
    for name in available_domains():
        try:
            found.append((name, load(name)))
        except ScenarioError:  # it has settings without defaults: only a scenario file can run it
            continue
    return found
