"""`tickweave doctor`: run a scenario in ways that must change nothing, and name what they change."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Final

import typer

from ai.llm_types import LlmClient
from sim.cli.common import FAILED, INCONCLUSIVE, NO_MODEL, OK, AsJson, client_of, print_json, usage
from sim.cli.consent import Trust, load_scenario
from sim.cli.options import Seed
from sim.cli.terminal import drawing, plain
from sim.messages import suggestion
from sim.run.plugins import load_plugins
from sim.run.scenario_file import TICKS_MAX
from sim.testing.checks import CHECKS, Case, Check, Examined, examine

TICKS: Final = 50
"""Ticks that each check runs, unless told."""


def doctor(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO", help="Name (see `scenarios`) or path of a TOML file.")],
    *,
    ticks: Annotated[int, typer.Option(min=1, max=TICKS_MAX, help="Ticks that each check runs.")] = TICKS,
    seed: Seed = None,
    check: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Run only this check; may be given several times.")
    ] = None,
    llm: Annotated[str, typer.Option(metavar="SPEC", help="A model that answers alike each time: scripted:FILE.")] = (
        NO_MODEL
    ),
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Look for what makes a scenario, its systems and its planners depend on more than scenario, seed and inputs.

    Exit code: 0 nothing was found, 1 something was, 2 a check that applies compared nothing.
    """
    plan = load_scenario(scenario, trust=trust)
    asked = _asked(check or [])
    client_of(llm)  # a wrong spec is told before anything runs

    def client() -> LlmClient:
        made = client_of(llm)
        assert made is not None
        return made

    case = Case(plan, ticks, seed, load_plugins(plan), None if llm == NO_MODEL else client)
    found = list(examine(case, asked, progress=_tell))
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
        print_json({"scenario": plan.name, "ticks": ticks, "checks": entries})
    else:
        for line in _said(found, asked):
            sys.stdout.write(f"{line}\n")
    results = {each.result for each in found}
    raise typer.Exit(FAILED if "differs" in results else INCONCLUSIVE if "untested" in results else OK)


def _asked(names: list[str]) -> tuple[Check, ...]:
    known = {check.name: check for check in CHECKS}
    for name in names:
        if name not in known:
            raise usage(f"--check: no check {name!r}; {suggestion(name, list(known), 'checks')}")
    return tuple(check for check in CHECKS if not names or check.name in names)


def _tell(name: str) -> None:
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
