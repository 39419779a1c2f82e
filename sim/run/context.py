"""The data that a run hands to its systems: constants of the run, and notes of the current tick."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal, Protocol, TextIO, cast, overload

import numpy as np
from numpy.typing import NDArray

from ai.actions import Action, ToolRegistry
from ai.errors import ContractError
from ai.plans import BatchPlans
from sim.engine.rng import Rng
from sim.engine.values import frozen
from sim.errors import WorldError
from sim.messages import one_line, quoted, suggestion
from sim.run.data_files import BYTES_MAX
from sim.run.files import decode
from sim.run.inputs import Input
from sim.run.payloads import Payloads
from sim.run.plan_columns import ActionSteps, Progress, Status
from sim.run.planning import Planning
from sim.run.rounds import RoundNotes, Rounds
from sim.run.settings import ALIVE_MAX
from sim.run.thinking import void

if TYPE_CHECKING:
    from sim.run.domain import Domain
    from sim.run.world import World


class PlanSource(Protocol):
    """Where plans come from: live tiers, or a record."""

    @property
    def tiers(self) -> tuple[str, ...]:
        """Names of the tiers, in order."""
        ...

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the model tiers that are in play; with any, agents are asked in rounds."""
        ...

    def plan(self, batch: Any, walks: NDArray[np.int8] | None = None) -> BatchPlans:
        """Return one legal plan for every agent of the batch; `walks` says by `Walk` which tiers each may use."""
        ...

    def ask(self, batch: Any) -> None:
        """Ask the model tiers for the agents of a batch, without waiting."""
        ...

    def arrive(self, asked_at: int, batch: Any) -> BatchPlans | None:
        """Return what the round of a tick has for these agents, waiting for it; None where there was no such call."""
        ...

    def forget(self) -> None:
        """Drop the calls that are open: the world goes on from another state."""
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...


def no_plans() -> PlanSource:
    """Return the source of a run that is set up and never ticked."""
    return cast("PlanSource", SimpleNamespace(tiers=(), models=(), forget=lambda: None, close=lambda: None))


NO_ROWS: Final = frozen(np.zeros(0, np.intp))
"""No rows."""


@dataclass(slots=True)
class Run:
    """The constants of one run, and the notes of its current tick. It is never state.

    Attributes:
        domain: the domain with its settings.
        seed: the run's seed.
        ticks: ticks planned; `outcome` may end a run before.
        ticks_per_second: ticks in one simulated second.
        planning: the scenario's section `planning`.
        registry: the verbs, None where no agent plans.
        spaces: the domain's spaces by name.
        files: the content of the data files that the settings declare, by name.
        rng: counter-based draws under the seed.
        payloads: lists and records of running plans.
        game: data that the domain's `setup` leaves for its systems; constants and handles of resources.
        reason_codes: the code of each reason for which a step may be refused.
        source: where plans come from; None where no agent plans.
        rounds: when the model tiers are asked; None where none is in play.
        thinks: whether the world has the components of thinking time.
        tick: the current tick.
        inputs: the inputs for this tick, in order.
        refused: index of each input that had no effect, and the sentence that says why.
        alarmed: rows whose alert changed in this tick.
        may: whether each agent may plan in this tick, `[n]`.
        chosen: rows that are planned for in this tick.
        asked: those of them that are asked of the model tiers.
        started: rows whose new plan begins in this tick.
        round: the notes of this tick about the model tiers.
        batch: the knowledge of the chosen agents.
        plans: the plans that came back.
        notes: data that one system of the domain leaves for the next; a new `Domain.notes()` each tick.
    """

    domain: Domain
    seed: int
    ticks: int
    ticks_per_second: int
    planning: Planning
    registry: ToolRegistry | None
    rng: Rng
    spaces: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    payloads: Payloads = field(default_factory=Payloads)
    game: Any = None
    reason_codes: Mapping[str, int] = field(default_factory=dict)
    source: PlanSource | None = None
    rounds: Rounds | None = None
    thinks: bool = False
    agents_max: int = ALIVE_MAX
    tick: int = 0
    inputs: tuple[Input, ...] = ()
    refused: dict[int, str] = field(default_factory=dict)
    alarmed: NDArray[np.intp] = field(default_factory=lambda: NO_ROWS)
    may: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    chosen: NDArray[np.intp] = field(default_factory=lambda: NO_ROWS)
    asked: NDArray[np.intp] = field(default_factory=lambda: NO_ROWS)
    started: NDArray[np.intp] = field(default_factory=lambda: NO_ROWS)
    round: RoundNotes = field(default_factory=RoundNotes)
    batch: Any = None
    plans: BatchPlans | None = None
    notes: Any = None

    def __repr__(self) -> str:
        return f"Run({self.domain!r}, seed {self.seed}, tick {self.tick:,} of {self.ticks:,})"

    @property
    def settings(self) -> Any:
        """The domain's settings."""
        return self.domain.settings

    @property
    def space(self) -> Any:
        """The run's only space.

        Raises:
            ContractError: the domain has none, or several.
        """
        if len(self.spaces) != 1:
            known = ", ".join(self.spaces) or "none"
            raise ContractError(f"run.space needs a domain with one space; this one has: {known}")
        return next(iter(self.spaces.values()))

    @overload
    def open(self, name: str, mode: Literal["r"] = "r") -> TextIO: ...

    @overload
    def open(self, name: str, mode: Literal["rb"]) -> BinaryIO: ...

    def open(self, name: str, mode: Literal["r", "rb"] = "r") -> TextIO | BinaryIO:
        """Open a data file that a setting of the type `DataFile` names: as text in UTF-8, or with `rb` as bytes.

        The recording has its digest, and a replay refuses a file of another content.

        Raises:
            ContractError: no setting names the file.
            ScenarioError: it is not text.
        """
        if name not in self.files:
            known = suggestion(name, list(self.files), "data files")
            raise ContractError(
                one_line(
                    f"no setting declares the data file {quoted(name)} ({known}); give a setting the type DataFile"
                )
            )
        content = self.files[name]
        return io.BytesIO(content) if mode == "rb" else io.StringIO(decode(content, name, BYTES_MAX), newline=None)

    def begin(self, tick: int, inputs: tuple[Input, ...]) -> None:
        """Start the notes of a tick."""
        self.tick, self.inputs, self.refused = tick, inputs, {}
        self.alarmed = self.chosen = self.asked = self.started = NO_ROWS
        if self.rounds is not None or self.thinks:
            self.round = RoundNotes()
        self.batch = self.plans = None
        notes = getattr(self.domain, "notes", None)
        self.notes = None if notes is None else notes()

    @property
    def thinks_now(self) -> bool:
        """Whether this tick's model plans while the world goes on; the first round of a run is waited for."""
        return self.thinks and self.rounds is not None and self.tick > 0

    def words(self, purpose: int) -> Callable[[int, int], NDArray[np.uint32]]:
        """Return the source of random words that builders of networks take: called with a count and a part.

        The words depend on the seed, the purpose and the part alone; they are for the start of a run.
        """
        return lambda count, part: self.rng.draws(np.arange(count), 0, purpose, part)[:, 0]

    def seconds(self, seconds: float) -> int:
        """Return the ticks that a constant number of seconds takes, rounded up on the millisecond, at least one."""
        return max(-(-round(seconds * 1000) * self.ticks_per_second // 1000), 1)

    def write_plan(self, world: World, row: int, plan: Sequence[Action]) -> None:
        """Give an agent a plan from outside: these steps, from now on. An empty plan ends the current one.

        Raises:
            WorldError: agents of this domain do not plan.
        """
        if self.registry is None:
            raise WorldError(f"agents of {self.domain.name!r} do not plan")
        steps, progress = world[ActionSteps], world[Progress]
        steps.kind[:, row] = 0
        steps.args[:, :, row] = 0
        steps.length[row] = len(plan)
        for place, step in enumerate(plan):
            encoded = self.registry.encode(step)
            steps.kind[place, row] = encoded.kind
            steps.args[place, :, row] = encoded.args
            if encoded.payload:
                index = self.payloads.add(encoded.payload)
                steps.args[place, self.registry.spec(encoded.kind).payload_place, row] = index
        progress.status[row] = Status.RUNNING if plan else Status.FINISHED
        progress.step[row] = 0
        progress.started_at[row] = progress.until[row] = -1
        progress.tier[row] = -1
        progress.planned_at[row] = self.tick
        if self.thinks:
            void(world, [row])
        if not plan:
            progress.waiting_since[row] = self.tick
        progress.tries[row] = progress.refusal[row] = 0


def invalidate(world: World, rows: Any, tick: int) -> None:
    """Void the plans of some agents: they need new ones from `tick` on, and a model is asked for them first."""
    outdate(world, rows, tick)
    if world.run.thinks:
        void(world, rows)
    if world.run.rounds is not None:
        progress = world[Progress]
        progress.ask_from[rows] = -1
        progress.refusals[rows] = 0


def outdate(world: World, rows: Any, tick: int) -> None:
    """End plans that are too old: nothing new is known, so the agents have no precedence."""
    progress = world[Progress]
    progress.status[rows] = Status.STALE
    progress.waiting_since[rows] = tick
