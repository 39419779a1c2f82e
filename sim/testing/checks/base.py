"""The common part of all checks: the case that is run, the plain run to compare with, the names of a difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from ai.llm_types import LlmClient
from ai.plans import Outcome
from sim.engine.state import WorldState
from sim.engine.state_diff import changes
from sim.errors import MachineError
from sim.messages import one_line
from sim.run.plugins import Plugin
from sim.run.scenario_file import Scenario
from sim.run.simulation import PhaseDigest, Simulation, TickReport


@dataclass(frozen=True, slots=True)
class Finding:
    """The first difference that a check found; a part that cannot be named is None.

    `system` is the first whose work differs, `component` and `field` the column, `key` the agent, `expected` the value
    of the plain run and `actual` that of the run that must equal it.
    """

    tick: int | None
    system: str | None = None
    component: str | None = None
    key: int | None = None
    field: str | None = None
    expected: Any = None
    actual: Any = None
    reason: str = ""

    @property
    def sentence(self) -> str:
        """Say it."""
        said = [] if self.tick is None else [f"tick {self.tick}"]
        if self.system is not None:
            said.append(f"system {self.system!r}")
        if self.component is not None:
            said.append(self.component if self.field is None else f"{self.component}.{self.field}")
        if self.key is not None:
            said.append(f"agent {self.key}" if self.key >= 0 else "as a whole")
        if self.field is not None:
            said.append(f"{self.expected!r} became {self.actual!r}")
        return one_line(", ".join(said) + (": " if said and self.reason else "") + self.reason)


@dataclass(frozen=True, slots=True)
class Untested:
    """A check applies to a case and compared nothing in it; `reason` says why."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """A check does not apply to a case: its domain has no such part; `reason` says which."""

    reason: str


Checked = Finding | Untested | NotApplicable | None
"""The result of a check; None: everything compared was the same."""
Result = Literal["same", "differs", "untested", "not applicable"]


@dataclass(frozen=True, slots=True)
class Examined:
    """The result of one check, with its name."""

    check: str
    found: Checked = None

    @property
    def result(self) -> Result:
        """The result in words."""
        match self.found:
            case Finding():
                return "differs"
            case Untested():
                return "untested"
            case NotApplicable():
                return "not applicable"
            case None:
                return "same"

    @property
    def finding(self) -> Finding | None:
        """The difference, if one was found."""
        return self.found if isinstance(self.found, Finding) else None

    @property
    def reason(self) -> str | None:
        """Why nothing was compared, if nothing was."""
        return self.found.reason if isinstance(self.found, Untested | NotApplicable) else None


@dataclass(frozen=True, slots=True)
class Check:
    """One way to run a case that must change nothing.

    `about` names the difference in a clause; `look_at` the place that a finding points to; `compares` says
    whether it needs the plain run.
    """

    name: str
    about: str
    look_at: str
    run: Callable[[Case], Checked]
    compares: bool = True

    def examine(self, case: Case) -> Examined:
        """Run it; an error of the other run is a finding as well, one of the plain run is not.

        Raises:
            Exception: any error that the plain run raises.
        """
        if self.compares:
            case.expected()
        try:
            found: Checked = self.run(case)
        except (MachineError, MemoryError, OSError):
            raise  # trouble of the machine says nothing about the case
        except Exception as error:
            case.expected()
            found = Finding(None, reason=one_line(f"it fails with {type(error).__name__}: {error}"))
        return Examined(self.name, found)


class Seen(NamedTuple):
    """The result of one tick: the root, every component's digest after each phase, and the outcome."""

    root: str
    phases: tuple[PhaseDigest, ...]
    outcome: str | None


@dataclass(slots=True)
class Case:
    """A run to examine: a scenario with its plug-ins, for a number of ticks.

    Args:
        scenario: the scenario to run.
        ticks: how many ticks at most.
        seed: in place of the scenario's.
        plugins: those that the scenario names.
        client: makes a model client for a run; without one the model tiers are passed over.
    """

    scenario: Scenario
    ticks: int = 50
    seed: int | None = None
    plugins: Sequence[Plugin] = ()
    client: Callable[[], LlmClient] | None = None
    _expected: list[Seen] = field(default_factory=list)
    _attempts: Counter[tuple[str, Outcome]] = field(default_factory=Counter)
    _faults: dict[str, str] = field(default_factory=dict)

    def simulation(self, **options: Any) -> Simulation:
        """Return a fresh simulation of the case, reporting every phase."""
        options = {"client": None if self.client is None else self.client(), **options}
        return Simulation(self.scenario, seed=self.seed, plugins=self.plugins, detail="full", **options)

    def expected(self) -> list[Seen]:
        """Return what every tick of the plain run comes to; it is made once."""
        if not self._expected:
            with self.simulation() as simulation:
                for report in simulation.reports(self.ticks):
                    self._expected.append(seen(report))
                    for attempts in () if report.plans is None else report.plans.attempts:
                        for code, count in zip(*np.unique(attempts.outcome, return_counts=True), strict=True):
                            self._attempts[attempts.tier, Outcome(code)] += int(count)
                        for text in attempts.errors.values():
                            self._faults.setdefault(attempts.tier, text)
        return self._expected

    def broken_planners(self) -> dict[str, str]:
        """Return one sentence for each planner that failed whenever the plain run asked it, by tier."""
        found = {}
        for tier in dict.fromkeys(tier for tier, _ in self._attempts):
            outcomes = {outcome: count for (name, outcome), count in self._attempts.items() if name == tier}
            if outcomes.keys() <= {Outcome.FAULT, Outcome.INVALID}:
                count = sum(outcomes.values())
                found[tier] = one_line(
                    f"planner {tier!r} failed in all {count:,} plans it was asked for, so nothing that it does was "
                    f"compared: {self._faults.get(tier, 'its plans are not legal')}"
                )
        return found

    def state_at(self, tick: int) -> WorldState:
        """Return the state of the plain run after a tick."""
        with self.simulation() as simulation:
            return simulation.run(tick + 1).snapshot()

    def compare(self, other: Simulation) -> Finding | None:
        """Run another simulation of the case and return where it first differs from the plain run."""
        with other:
            for tick, expected in enumerate(self.expected()):
                actual = seen(other.tick())
                if actual != expected:
                    return difference(tick, expected, actual, self.state_at(tick), other.snapshot())
        return None


def seen(report: TickReport) -> Seen:
    """Return the values of a tick that are compared."""
    return Seen(report.digest.root, report.phases, report.outcome)


def difference(tick: int, expected: Seen, actual: Seen, before: WorldState | None, after: WorldState | None) -> Finding:
    """Name the first difference of a tick, from digests and, where they are at hand, from both states after it."""
    system = component = None
    for one, two in zip(expected.phases, actual.phases, strict=False):
        names = [name for name in one.components if one.components[name] != two.components.get(name)]
        if names:
            system, component = one.phase, names[0]
            break
    if before is not None and after is not None:
        forth = {(change.column, change.key): change.value for change in changes(before, after)}
        back = {(change.column, change.key): change.value for change in changes(after, before)}
        for column, key in sorted(forth.keys() | back.keys(), key=lambda place: _order(place, component)):
            name, _, column_name = column.partition(".")
            return Finding(tick, system, name, key, column_name, back.get((column, key)), forth.get((column, key)))
    if component is None and expected.outcome != actual.outcome:
        return Finding(tick, reason=f"the outcome is {actual.outcome!r}, not {expected.outcome!r}")
    return Finding(tick, system, component)


def _order(place: tuple[str, int], component: str | None) -> tuple[bool, int, str]:
    """Put the component that differed first before others, then the lowest key."""
    return place[0].partition(".")[0] != component, place[1], place[0]
