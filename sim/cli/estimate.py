"""`tickweave estimate`: the calls that a run would make to a model, and their cost, without a call."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Final

import typer

from ai.llm.price import INSTALL, price_of, prices_installed
from sim.bench.estimate import CONTEXT, Estimate, Server
from sim.bench.estimate import estimate as estimated
from sim.cli.choices import chosen, group_models
from sim.cli.common import NO_MODEL, AsJson, client_of, print_json, print_rows, require_planning, usage
from sim.cli.consent import Trust, load_scenario
from sim.cli.options import (
    EncodingName,
    Every,
    Groups,
    InFlight,
    Prefer,
    ScenarioName,
    Seed,
    ShardSize,
    Ticks,
    Tiers,
    Values,
)
from sim.run.choices import with_values
from sim.run.planning_service import ModelOptions

LOCAL: Final = "llama-server"
"""The scheme of a server that a run starts itself; it is known to take grammars."""
SLOTS: Final = 8
LATENCY_MS: Final = 200.0
TOKENS_PER_S: Final = 50.0


def estimate(
    scenario: ScenarioName,
    *,
    llm: Annotated[str, typer.Option(metavar="SPEC", help="The model, as for `run`; it is not asked.")],
    seed: Seed = None,
    ticks: Ticks = None,
    slots: Annotated[int, typer.Option(min=1, max=4096, help="Calls that the server runs at the same time.")] = SLOTS,
    latency_ms: Annotated[float, typer.Option(min=0, max=1e6, help="Time to the first token of a call.")] = LATENCY_MS,
    tokens_per_s: Annotated[
        float, typer.Option(min=0.01, max=1e6, help="Tokens per second of each call.")
    ] = TOKENS_PER_S,
    context: Annotated[int, typer.Option(min=64, max=2**24, help="Context of a call, tokens.")] = CONTEXT,
    every: Every = None,
    prefer: Prefer = None,
    shard_size: ShardSize = None,
    in_flight: InFlight = None,
    encoding: Annotated[
        EncodingName | None,
        typer.Option(help="How replies write plans. Default: line for llama-server, named for others"),
    ] = None,
    tiers: Tiers = None,
    group: Groups = None,
    choices: Values = None,
    plugin: Annotated[list[str] | None, typer.Option(metavar="FILE", help="Add a plug-in.")] = None,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Estimate the calls, tokens, time and cost of a model.

    Nothing is sent: a stand-in answers with the plans of the scenario's rules.
    """
    if llm == NO_MODEL:
        raise usage("estimate: name the model with --llm")
    if group_models(group):
        raise usage("estimate: one model a time; name it with --llm, and only planners with --group")
    client = client_of(llm)
    assert client is not None
    plan, plugins = chosen(load_scenario(scenario, trust=trust), choices, tiers, group, plugin)
    require_planning(plan, "--llm")
    wanted = {"planning.every": every, "planning.prefer": prefer}
    plan = with_values(plan, {key: value for key, value in wanted.items() if value is not None})
    options = ModelOptions(shard_size=shard_size, in_flight=in_flight, encoding=encoding)
    server = Server(slots, latency_ms / 1000, tokens_per_s, context, grammar=llm.startswith(f"{LOCAL}:"))
    found = estimated(
        plan,
        client.label,
        server,
        ticks=ticks or plan.ticks,
        seed=seed,
        plugins=plugins,
        options=options,
        price=price_of(llm),
    )
    if as_json:
        print_json({"scenario": plan.name, "model": client.label, **asdict(found)})
    else:
        print_rows(_rows(found, plan.name, client.label, slots))


def _rows(found: Estimate, scenario: str, model: str, slots: int) -> tuple[tuple[str, str], ...]:
    plans = max(found.agents, 1)
    if found.cost is not None:
        cost = f"{found.cost:,.4f} US dollars at the price of {found.price}, without discounts for cached tokens"
    elif prices_installed():
        cost = "not known: this model has no known price"
    else:
        cost = f"not known: {INSTALL}"
    return (
        ("scenario", f"{scenario}, {found.ticks:,} ticks"),
        ("model", f"{model}, not asked: rules answered in its place"),
        ("rounds", f"{found.rounds:,}"),
        ("calls", f"{found.calls:,} for {found.agents:,} agents, {found.agents_per_call:.1f} agents a call"),
        ("tokens read", f"about {found.prompt_tokens:,}, {found.prompt_tokens / plans:,.0f} an agent asked"),
        ("tokens written", f"about {found.completion_tokens:,}, {found.completion_tokens / plans:,.0f} an agent asked"),
        ("cost", cost),
        ("time of the model", f"about {found.model_s:,.1f} s on {slots:,} slots"),
    )
