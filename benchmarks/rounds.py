"""Measures what rounds of model calls are worth, against a checkout that asks agent by agent.

    python benchmarks/rounds.py ../first-edition                  agents a call, tokens a plan, time, shares
    python benchmarks/rounds.py ../first-edition --plans rules    the same with plans that can be carried out
    python benchmarks/rounds.py --prefer speed --slots 4          the shortest wait; likewise --prefer cost, --twice
    python benchmarks/rounds.py --strength                        rules asked in rounds against rules in every tick
    python benchmarks/rounds.py --paced                           late ticks of a paced run whose calls take 1 to 2 s

Both checkouts play the same scenarios, in turn, against one `tickweave fake-llm` of this checkout (200 ms to the first
token, 20 ms a token, seed 1). `slowest` is the time of the ticks over the sum, over rounds, of the slowest call of
each: how much is done in series that could be done side by side. `decoding` is that time over what decoding alone
takes on all slots.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import mean
from time import perf_counter
from typing import Any, Final

from ai.fake.client import StandInClient
from ai.llm.executor import CallEnd
from ai.llm_types import Endpoint
from sim.cli.model import ready_model
from sim.run.listeners import Listener
from sim.run.llm_usage import ModelTally
from sim.run.scenario_file import Scenario, load
from sim.run.simulation import Simulation

TICKS: Final = 40
SCENARIOS: Final = {
    "skirmish": "skirmish", "extraction": "extraction", "siege": "siege", "gathering": "foraging",
    "infiltration": "infiltration",
}  # fmt: skip
"""The scenarios, and how the first edition called them."""
TOKEN_S: Final = 0.02
RULES: Final = StandInClient("rules", Endpoint(reachable=True, slots=8, wants_rules=True))
"""A model that is as good as the rules, and answers at once."""
GAMES: Final = 20
"""Seeds of the games between two teams of rules; each is played from both sides."""


@contextmanager
def fake_llm(*options: str) -> Iterator[str]:
    """Serve the fake model and give its spec."""
    command = [sys.executable, "-c", "from sim.cli import main; main()", "fake-llm", "--seed", "1", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            assert server.stdout is not None
            for line in server.stdout:
                found = re.search(r"http://127\.0\.0\.1:\d+", line)
                if found:
                    yield f"openai:fake@{found.group()}/v1"
                    break
        finally:
            server.terminate()


def old(checkout: Path, scenario: str, spec: str) -> dict[str, Any]:
    """Play a scenario in another checkout."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["run", scenario, "--seed", "1", "--ticks", str(TICKS), "--llm", spec, "--json", "--quiet"]
        program = [str((checkout / ".venv/bin/python").absolute()), "-c", "from sim.cli import main; main()"]
        command = [*program, *words, "--out", f"{folder}/old.replay.jsonl"]
        own = {**os.environ, "PYTHONPATH": str(checkout.absolute())}
        done = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)
    return {"wall_s": said["wall_s"], **said["llm"]}


class Slowest(Listener):
    """Keeps the time of the slowest call of each round."""

    def __init__(self) -> None:
        self.by_round: dict[int, float] = defaultdict(float)

    def on_call(self, tick: int, call: CallEnd) -> None:
        self.by_round[tick] = max(self.by_round[tick], call.total_s or 0.0)


def new(scenario: Scenario, spec: str, slots: int) -> dict[str, Any]:
    """Play a scenario here."""
    begun = perf_counter()
    tally, slowest = ModelTally(), Slowest()
    with (
        ready_model(spec, quiet=True) as client,
        Simulation(scenario, seed=1, client=client, listeners=[slowest]) as run,
    ):
        first = perf_counter()
        for report in run.reports(TICKS):
            tally.add(report.tick, report.plans, report.round)
        run_s = perf_counter() - first
    wall_s = perf_counter() - begun
    said = tally.as_json()
    held = said["under_model"] + said["bridged"] + said["none"]
    return {
        **said,
        "wall_s": wall_s,
        "slowest": run_s / sum(slowest.by_round.values()),
        "decoding": run_s / (said["completion_tokens"] * TOKEN_S / slots),
        "shares": [round(said[name] / held, 3) for name in ("under_model", "bridged", "none")],
    }


def doubled(scenario: Scenario) -> Scenario:
    """Return a scenario with twice the agents in each squad."""
    settings = scenario.canonical()["settings"]
    for team in settings["teams"]:
        for squad in team["squads"]:
            squad["count"] *= 2
    return scenario.replaced(settings=settings)


def compare(checkout: Path | None, plans: str, slots: int, prefer: str, *, twice: bool) -> None:
    """Print a line for each scenario, and the means."""
    found: dict[str, list[float]] = defaultdict(list)
    with fake_llm("--slots", str(slots), "--plans", plans) as spec:
        for name, before in [*SCENARIOS.items()][: 1 if twice else None]:
            scenario = load(name)
            scenario = doubled(scenario) if twice else scenario
            scenario = scenario.replaced(planning={**scenario.planning.model_dump(mode="json"), "prefer": prefer})
            now = new(scenario, spec, slots)
            line = {
                "agents a call": now["agents_per_call"], "tokens a plan": now["prompt_tokens_per_plan"],
                "wall s": now["wall_s"], "slowest": now["slowest"], "decoding": now["decoding"],
                "model": now["shares"][0], "bridge": now["shares"][1], "none": now["shares"][2],
            }  # fmt: skip
            if checkout is not None:
                then = old(checkout, before, spec)
                line |= {"old wall s": then["wall_s"], "wall ratio": now["wall_s"] / then["wall_s"]}
                line |= {"old agents a call": then["agents"] / then["calls"]}
                line |= {"old tokens a plan": then["prompt_tokens"] / then["agents"]}
            for part, value in line.items():
                found[part].append(value)
            print(f"{name:<13}", ", ".join(f"{part} {value:.2f}" for part, value in line.items()), flush=True)
    print(f"{'mean':<13}", ", ".join(f"{part} {mean(values):.2f}" for part, values in found.items()))


def strength() -> None:
    """Play skirmish to its end, one team's rules in rounds and the other's in every tick, from both sides."""
    rules, asked = ["heuristic", "emergency"], ["full_llm", "heuristic", "emergency"]
    won = {"rounds": 0, "every tick": 0, "neither": 0}
    base = load("skirmish")
    teams = list(base.domain.group_names)
    for seed in range(GAMES):
        for side in teams:
            groups = {team: {"tiers": asked if team == side else rules} for team in teams}
            scenario = base.replaced(planning={**base.planning.model_dump(mode="json"), "groups": groups})
            with Simulation(scenario, seed=seed, client=RULES) as run:
                outcome = run.run(scenario.ticks).outcome or ""
            winner = next((team for team in teams if outcome.startswith(team)), None)
            won["neither" if winner is None else "rounds" if winner == side else "every tick"] += 1
    print(f"skirmish, {GAMES} seeds from both sides:", ", ".join(f"{name} {count}" for name, count in won.items()))


def paced() -> None:
    """Print how many ticks of a paced run began late, whose calls take 1 to 2 seconds."""
    with (
        fake_llm("--slots", "8", "--latency-ms", "800", "--plans", "rules") as spec,
        tempfile.TemporaryDirectory() as at,
    ):
        words = ["run", "skirmish", "--seed", "1", "--ticks", "200", "--llm", spec, "--pace", "10", "--think", "30"]
        command = [sys.executable, "-c", "from sim.cli import main; main()", *words, "--json", "--out", f"{at}/p.jsonl"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)
    print(json.dumps({"ticks": said["ticks"], **said["pace"], "waited_s": said["llm"]["waited_s"]}))


def main() -> None:
    """Measure what the command line says."""
    parser = argparse.ArgumentParser(description="Measures rounds of model calls.")
    parser.add_argument("checkout", nargs="?", type=Path, help="another checkout with a .venv, to compare with")
    parser.add_argument("--plans", choices=("drawn", "rules"), default="drawn")
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--prefer", choices=("balanced", "speed", "cost"), default="balanced")
    parser.add_argument("--twice", action="store_true", help="skirmish alone, with twice its agents")
    parser.add_argument("--strength", action="store_true")
    parser.add_argument("--paced", action="store_true")
    chosen = parser.parse_args()
    if chosen.strength:
        strength()
    elif chosen.paced:
        paced()
    else:
        compare(chosen.checkout, chosen.plans, chosen.slots, chosen.prefer, twice=chosen.twice)


if __name__ == "__main__":
    main()
