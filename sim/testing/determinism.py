"""Assertions about whole scenarios, including a user's systems, planners and verbs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from ai.guard import everything
from ai.llm_types import LlmClient
from ai.planners.emergency import Emergency
from sim.messages import suggestion
from sim.run.plugins import Plugin, load_plugins
from sim.run.scenario_file import Scenario, load
from sim.run.simulation import Simulation
from sim.testing.checks import CHECKS, Case, Check, examine

TICKS: Final = 20
"""The default number of ticks for which a scenario is run."""
ALL: Final = tuple(check.name for check in CHECKS)
"""The names of all checks of `sim.testing.checks`, as `tickweave doctor` lists them."""


def assert_deterministic(
    scenario: Scenario | Path | str,
    *,
    ticks: int = TICKS,
    seed: int | None = None,
    plugins: Sequence[Plugin] = (),
    client: Callable[[], LlmClient] | None = None,
    checks: Sequence[str] = ALL,
) -> None:
    """Assert that only scenario, seed and inputs decide a run, by running it in ways that must give the same result.

    Args:
        scenario: a scenario, or the name or path of one, as for `tickweave doctor`.
        ticks: the number of ticks of each check.
        seed: a seed that replaces the scenario's.
        plugins: the plug-ins of a scenario given as an object; those of a file are found beside it. Plug-ins without a
            file cannot be loaded in other processes, so checks with other processes are left out.
        client: makes a model client that gives the same answers each time.
        checks: the checks to run.

    Raises:
        AssertionError: a check found a difference: the check, the first difference, and where to look.
        ScenarioError: the scenario cannot be set up.
        ValueError: there is no check of that name.
    """
    assert_passes(case_of(scenario, ticks=ticks, seed=seed, plugins=plugins, client=client), named(checks))


@everything()
def check_scenario(
    scenario: Scenario | Path | str, *, ticks: int = TICKS, seed: int | None = None, plugins: Sequence[Plugin] = ()
) -> None:
    """Check that a scenario works: it runs, its inputs have an effect, and its planners give every agent a plan.

    The arguments are those of `assert_deterministic`, which checks determinism.

    Raises:
        AssertionError: a promise is broken; the message is one sentence with the tick.
        ScenarioError: the scenario is not valid; the message is one sentence with the key.
    """
    case = case_of(scenario, ticks=ticks, seed=seed, plugins=plugins)
    with Simulation(case.scenario, seed=seed, plugins=case.plugins) as simulation:
        name = case.scenario.name
        for report in simulation.reports(ticks):
            where = f"scenario {name!r}, tick {report.tick}"
            for place, reason in report.refused.items():
                raise AssertionError(f"{where}: input {report.inputs[place]!r} has no effect: {reason}")
            lost = 0 if report.plans is None else report.plans.counts().get(Emergency.name, 0)
            if lost and simulation.tiers != (Emergency.name,):
                above = ", ".join(tier for tier in simulation.tiers if tier != Emergency.name)
                raise AssertionError(f"{where}: {lost} agents got no legal plan from {above}")
            simulation.world.check()
            try:
                simulation.domain.invariants(simulation.world)
            except AssertionError as error:
                raise AssertionError(f"{where}: {error}") from None


def case_of(
    scenario: Scenario | Path | str,
    *,
    ticks: int,
    seed: int | None = None,
    plugins: Sequence[Plugin] = (),
    client: Callable[[], LlmClient] | None = None,
) -> Case:
    """Return the case for the checks of `sim.testing.checks`, from a scenario or the name or path of one."""
    if isinstance(scenario, Scenario):
        return Case(scenario, ticks, seed, plugins, client)
    loaded = load(scenario)
    return Case(loaded, ticks, seed, load_plugins(loaded), client)


def named(names: Sequence[str]) -> tuple[Check, ...]:
    """Return checks by name, in the best order for running them.

    Raises:
        ValueError: there is no check of that name.
    """
    for name in names:
        if name not in ALL:
            raise ValueError(f"no check {name!r}; {suggestion(name, list(ALL), 'checks')}")
    return tuple(check for check in CHECKS if check.name in names)


def assert_passes(case: Case, checks: Sequence[Check], who: str | None = None) -> None:
    """Assert that checks find nothing; `who` names the tested object, by default the scenario.

    Raises:
        AssertionError: a check finds something.
    """
    for examined in examine(case, checks):
        if examined.finding is not None:
            check = next(check for check in checks if check.name == examined.check)
            raise AssertionError(
                f"{who or f'scenario {case.scenario.name!r}'} is not deterministic; check {check.name!r} "
                f"({check.about}): {examined.finding.sentence}; look at: {check.look_at}"
            )
