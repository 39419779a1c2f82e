"""`tickweave doctor`: run a scenario in ways that must not change the result, and name each difference."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Final

import typer

from sim.cli.common import FAILED, INCONCLUSIVE, NO_MODEL, OK, AsJson, client_maker, known_name, print_json
from sim.cli.consent import Trust, load_scenario
from sim.cli.options import ScenarioName, Seed
from sim.cli.terminal import drawing, plain
from sim.run.plugins import load_plugins
from sim.run.scenario_file import TICKS_MAX
from sim.testing.checks import CHECKS, Case, Check, Examined, examine

TICKS: Final = 50
"""Ticks that each check runs by default."""


def doctor(
    scenario: ScenarioName,
    *,
    ticks: Annotated[int, typer.Option(min=1, max=TICKS_MAX, help="Ticks that each check runs.")] = TICKS,
    seed: Seed = None,
    check: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Run only this check; repeatable.")] = None,
    llm: Annotated[
        str, typer.Option(metavar="SPEC", help="A model that always gives the same answers: scripted:FILE.")
    ] = (NO_MODEL),
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Check that scenario, seed and inputs alone decide a run.

    Each check repeats the run under another condition, and names the first difference and its probable cause.

    Exit code: 0 no differences, 1 a check found one, 2 a check that applies compared nothing, or a planner
    always failed.
    """
    plan = load_scenario(scenario, trust=trust)
    names = [known_name("--check", name, [each.name for each in CHECKS], "check") for name in check or ()]
    asked = tuple(each for each in CHECKS if not names or each.name in names)
    case = Case(plan, ticks, seed, load_plugins(plan), client_maker(llm))
    found = list(examine(case, asked, progress=_show))
    if as_json:
        entries = [
            {
                "check": each.check,
                "finding": None if each.finding is None else {**asdict(each.finding), "said": each.finding.sentence},
                "result": each.result,
                "reason": each.reason,
            }
            for each in found
        ]
        print_json({"scenario": plan.name, "ticks": ticks, "checks": entries, "planners": case.broken_planners()})
    else:
        for line in (*_said(found, asked), *case.broken_planners().values()):
            sys.stdout.write(f"{line}\n")
    results = {each.result for each in found} | {"untested" for _ in case.broken_planners()}
    raise typer.Exit(FAILED if "differs" in results else INCONCLUSIVE if "untested" in results else OK)


def _show(name: str) -> None:
    terminal = drawing()
    if terminal.isatty():
        terminal.write(f"\r\033[K{plain(name)} ...\r")


def _said(found: list[Examined], checks: tuple[Check, ...]) -> Iterator[str]:
    width = max(len(check.name) for check in checks)
    for each, check in zip(found, checks, strict=True):
        if each.finding is not None:
            yield f"{check.name:{width}}  DIFFERS  {check.about}"
            yield f"{'':{width}}  {each.finding.sentence}"
            yield f"{'':{width}}  look at: {check.look_at}"
        elif each.reason is not None:
            yield f"{check.name:{width}}  {each.result}  {each.reason}"
        else:
            yield f"{check.name:{width}}  same     {check.about}"
