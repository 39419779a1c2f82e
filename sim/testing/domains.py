"""The checker for whole domains: their declarations, their promises during a run, and their saved files."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
from pydantic import ValidationError

from ai.actions import ToolRegistry
from ai.errors import AIError
from ai.legality import refusals
from ai.observation import ObservationBatch
from ai.planners.base import Planner
from ai.planners.behaviour import Behaviour
from ai.planners.goap import Goap
from ai.planners.heuristic import Heuristic
from ai.planners.playbook import Playbook
from ai.planners.utility import Utility
from ai.plans import PlanBatch, Refusal
from ai.testing import check_planner
from sim.engine.codec import decode_state, encode_state
from sim.engine.digest import state_digest
from sim.errors import SimError
from sim.messages import one_line, quoted, sentence
from sim.replay.recording import record
from sim.replay.verify import verify
from sim.run.domain import Domain
from sim.run.faults import fault_of
from sim.run.scenario_file import Scenario
from sim.run.settings import Settings
from sim.run.simulation import Simulation
from sim.testing.checks import Case
from sim.testing.determinism import assert_passes, check_scenario, named

TICKS: Final = 20
"""The default number of ticks of each way of running a domain."""
SEEDS: Final = (1, 2)
"""The default number of seeds for each of a domain's examples."""
EXAMPLES_MAX: Final = 100
"""The most settings that `examples` may yield."""
IN_PROCESS: Final = ("guard", "rerun", "restore", "spawning", "bystanders", "parts", "replies")
"""The checks of `sim.testing.checks` that run for every example and seed."""


def check_domain(
    domain: type[Domain] | Domain, *, ticks: int = TICKS, seeds: Sequence[int] = SEEDS, processes: bool = True
) -> None:
    """Check that a domain keeps the contract of `sim.run.domain`.

    A class is checked with all settings that its `examples` yields, an instance with its own settings. Each is set up
    and run: declarations must fit, `invariants` must hold after every tick, metrics and scores must be numbers,
    observations must survive their JSON form, every planner of the domain must make legal plans, the idle step must be
    possible for every agent, and a run must depend only on settings, seed and inputs, also from a saved state. The
    first example is also recorded, verified, and run in other processes.

    Args:
        domain: the domain to check.
        ticks: the number of ticks of each way of running it.
        seeds: seeds for each of the examples.
        processes: whether the first example is also run in other processes, if they can import the domain.

    Raises:
        AssertionError: a promise is broken; the message is one sentence with domain, settings, seed and tick.
    """
    kind = domain if isinstance(domain, type) else type(domain)
    with _told(f"domain {kind.name!r}"):
        found = [domain.settings] if isinstance(domain, Domain) else _examples(kind)
    for place, settings in enumerate(found):
        for seed in seeds:
            where = f"domain {kind.name!r}, {_said(settings)}, seed {seed}"
            with _told(where):
                scenario = Scenario.of(kind(settings), seed=seed, ticks=ticks)
                _check_round_trip(scenario)
                _check_run(scenario)
                check_scenario(scenario, ticks=ticks)
                assert_passes(Case(scenario, ticks), named(IN_PROCESS))
        with _told(f"domain {kind.name!r}, {_said(settings)}"):
            scenario = Scenario.of(kind(settings), seed=seeds[0], ticks=ticks)
            _check_planners(scenario)
            if place == 0:
                _check_recording(scenario)
                if processes:
                    assert_passes(Case(scenario, ticks), named(("hash seed",)))


def _examples(kind: type[Domain]) -> list[Settings]:
    found: list[Settings] = []
    try:
        examples = list(itertools.islice(kind.examples(), EXAMPLES_MAX + 1))
    except ValidationError as error:
        reason = sentence(error, kind.settings.model_json_schema())
        raise AssertionError(
            f"examples() yields no settings: {reason}; write examples() with what a run needs"
        ) from None
    for settings in examples:
        _must(isinstance(settings, kind.settings), f"examples() yields {quoted(settings)}; yield {kind.settings}")
        found.append(settings)
    _must(len(found) <= EXAMPLES_MAX, f"examples() yields more than {EXAMPLES_MAX} settings")
    _must(bool(found), "examples() yields nothing; yield settings that show what the domain does")
    return found


def _said(settings: Settings) -> str:
    changed = settings.model_dump(mode="json", exclude_defaults=True)
    return (
        "default settings"
        if not changed
        else "settings " + ", ".join(f"{name}={quoted(value)}" for name, value in changed.items())
    )


def _must(holds: bool, rule: str) -> None:  # noqa: FBT001 - it reads like an assertion
    if not holds:
        raise AssertionError(rule)


@contextmanager
def _told(where: str) -> Iterator[None]:
    """Turn any error into an `AssertionError` with one sentence that begins with a place."""
    try:
        yield
    except (AssertionError, SimError, AIError) as error:
        raise AssertionError(one_line(f"{where}: {error}")) from error
    except Exception as error:
        fault = fault_of(error)
        if fault is None:
            raise
        raise AssertionError(one_line(f"{where}: {fault}")) from error


def _check_round_trip(scenario: Scenario) -> None:
    """Check that settings and scenario survive their JSON form."""
    settings = scenario.settings
    again = type(settings).model_validate_json(settings.model_dump_json())
    _must(again == settings, f"settings do not come back from JSON: {quoted(settings)} became {quoted(again)}")
    canonical = scenario.canonical()
    text = json.dumps(canonical, allow_nan=False)
    _must(
        Scenario.from_canonical(json.loads(text)).canonical() == canonical, "the scenario does not come back from JSON"
    )


def _check_run(scenario: Scenario) -> None:
    """Check the visible results of a plain run: invariants, numbers, groups, observations and saved states."""
    with Simulation(scenario) as simulation, Simulation(scenario) as other:
        domain, world = simulation.domain, simulation.world
        _check_state(simulation, "at the start")
        json.dumps([domain.declarations()], allow_nan=False)
        for report in simulation.reports():
            where = f"tick {report.tick}"
            _check_state(simulation, where)
            if simulation.run_context.batch is not None:
                _check_batch(simulation.run_context.batch, simulation.registry, where)
            saved = decode_state(encode_state(simulation.snapshot()), other.world)
            other.restore(saved)
            _must(
                state_digest(other.world).root == state_digest(world).root and other.outcome == simulation.outcome,
                f"{where}: a state that is saved and restored in another simulation is not the same",
            )


def _check_state(simulation: Simulation, where: str) -> None:
    domain, world = simulation.domain, simulation.world
    before = state_digest(world).root
    with _told(where):
        domain.invariants(world)
        for name, value in simulation.metrics().items():
            finite = np.isfinite(np.asarray(value, np.float64))
            _must(bool(finite.all()), f"metric {name!r} is {quoted(value)}; give a number")
        for name, score in simulation.scores().items():
            _must(math.isfinite(score), f"score {name!r} is {quoted(score)}; give a number")
        json.dumps(dict(domain.details(world)), allow_nan=False)
        names, index = domain.groups(world)
        members = np.asarray(index)
        _must(members.shape == (world.n,), f"groups(world) gives {members.shape} indices for {world.n} rows")
        if names:
            fits = (members >= -1) & (members < len(names))
            _must(bool(fits.all()), f"groups(world) gives an index that is not one of its {len(names)} names")
            _must(tuple(names) == tuple(domain.group_names), "group_names and groups(world) give different names")
        _must(
            state_digest(world).root == before, "metrics, scores, groups or invariants change the world; only read it"
        )


def _check_batch(batch: ObservationBatch[Any], registry: ToolRegistry | None, where: str) -> None:
    """Check the forms of observations, the order of their lists, and that the idle step is legal."""
    kind = batch.of
    objects = batch.to_objects()
    again = [kind.model_validate_json(one.model_dump_json()) for one in objects]
    for key, one, other in zip(batch.keys.tolist(), objects, again, strict=True):
        _must(one == other, f"{where}: the observation of agent {key} does not come back from JSON")
    pairs, pace = list(zip(batch.keys.tolist(), objects, strict=True)), batch.ticks_per_second
    sorted_again = kind.from_objects(pairs, tick=batch.tick, ticks_per_second=pace, tables=batch.tables).to_objects()
    for key, one, other in zip(batch.keys.tolist(), objects, sorted_again, strict=True):
        _must(one == other, f"{where}: the lists of agent {key} are not in the declared order, nearest first")
    assert registry is not None
    if len(batch):
        idle = PlanBatch.from_steps(batch.keys, [[registry.idle]] * len(batch), registry)
        codes = refusals(batch, idle, registry.whole)
        for key, code in zip(batch.keys.tolist(), codes.tolist(), strict=True):
            _must(
                not code,
                f"{where}: the idle step {registry.idle} of agent {key} is not legal: {Refusal(code).sentence}",
            )


def _check_planners(scenario: Scenario) -> None:
    """Check every planner that the domain's playbook serves."""
    domain = scenario.domain
    registry = domain.registry()
    if registry is None or domain.observation is None:
        return
    playbook: Playbook = scenario.playbook()
    planners: list[Planner] = [Heuristic.of(playbook)] if playbook.rules else []
    planners += [Goap.of(playbook)] if playbook.goals else []
    planners += [Utility.of(playbook)] if playbook.options else []
    planners += [Behaviour.of(playbook)] if playbook.tree else []
    for planner in planners:
        check_planner(planner, registry, domain.observation)


def _check_recording(scenario: Scenario) -> None:
    """Check that `verify` accepts a recording of a run."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "check.replay.jsonl"
        with Simulation(scenario) as simulation:
            record(simulation, path)
        verdict = verify(path)
    _must(verdict.verdict == "match", f"a recording is not verified: {verdict.verdict}: {verdict.reason}")
