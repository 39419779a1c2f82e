"""The checker for verbs: agents of a domain use one verb in many situations, run in ways that must not differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ai.actions import Kind
from ai.errors import ContractError
from ai.guard import everything
from ai.legality import extent
from ai.testing import Known, sample_step
from sim.engine.digest import state_digest
from sim.engine.rng import Rng, purpose
from sim.engine.state_diff import changes
from sim.messages import one_line
from sim.run.actions import Action, Args, Rows
from sim.run.context import invalidate
from sim.run.domain import Domain
from sim.run.plan_columns import ActionSteps
from sim.run.scenario_file import Scenario
from sim.run.simulation import Simulation
from sim.run.systems import Act

SITUATIONS: Final = 6
"""The default number of situations in which a verb is checked: moments of runs with different seeds."""
TICKS: Final = 4
"""The number of ticks for which each situation is run."""
Prepare = Callable[[Simulation], None]
"""Sets up a situation for a verb, for example with a full purse."""
_DICE: Final = purpose("check_action")


@everything()
def check_action(
    action: type[Action], domain: type[Domain] | Domain, *, situations: int = SITUATIONS, prepare: Prepare | None = None
) -> None:
    """Check that a verb keeps the rules of `sim.run.actions`.

    In each situation, all agents that may plan have a plan of one step of the verb, with known targets, unknown
    targets, and arguments over their whole ranges. `refused` and `duration_ticks` must only read, draw nothing, judge
    every agent independently, and give the same result again; reasons must be declared, and durations must be whole
    numbers from 1. `start` and `apply` must write only to the columns of their own agents, and affect others through
    channels. The domain's invariants must hold afterwards. The same moment must give the same result again, and in any
    order of agents. The verb must be possible for some agent.

    Args:
        action: the verb to check, one of the domain's or another one for it.
        domain: the domain; a class means its default settings.
        situations: the number of situations to try.
        prepare: called with the simulation of each situation before the verb is used.

    Raises:
        AssertionError: the verb breaks a rule; the message is one sentence that begins with the verb.
        ContractError: the verb or the domain is malformed.
    """
    domain = domain() if isinstance(domain, type) else domain
    possible = 0
    for number in range(situations):
        with _situation(action, domain, number, prepare) as at:
            if not len(at.rows):
                continue
            codes = _asked(at, "refused")
            possible += int((codes == 0).sum())
            _check_alone(at, codes)
            _check_own_rows(at, (codes == 0).nonzero()[0])
            roots = _play(at)
            at.must(roots == _play(at), "comes to something else when the same moment is played again")
            at.must(
                roots == _play(at, one_by_one=True),
                "depends on the order in which agents are visited; reach others through a channel, "
                "and read of them only what no verb writes",
            )
    if not possible:
        raise AssertionError(
            f"{action.__name__} was refused to everyone in {situations} situations; "
            "`prepare` can bring in what it needs"
        )


@dataclass(frozen=True, slots=True)
class _Situation:
    """A moment of a run: the agents that use the verb, and their arguments."""

    simulation: Simulation
    action: type[Action]
    rows: Rows
    args: Args

    def turn(self) -> Any:
        run = self.simulation.run_context
        return self.acting().turn(self.simulation.world, run)

    def acting(self) -> Act:
        """Return the domain's own `Act`, which may extend a turn."""
        kinds = [system for system in self.simulation.domain.systems if issubclass(system, Act)]
        return kinds[0]() if kinds else Act()

    def must(self, holds: bool, rule: str) -> None:  # noqa: FBT001 - it reads like an assertion
        if not holds:
            raise AssertionError(f"{self.action.__name__} {rule}")

    @contextmanager
    def calling(self, hook: str) -> Iterator[None]:
        try:
            yield
        except (AssertionError, ContractError):
            raise
        except Exception as error:
            reason = f"{self.action.__name__} fails in {hook}: {type(error).__name__}: {error}"
            raise AssertionError(one_line(reason)) from error


@contextmanager
def _situation(action: type[Action], domain: Domain, number: int, prepare: Prepare | None) -> Iterator[_Situation]:
    """Open a situation: a moment of a run at which all agents have a plan of one step of the verb."""
    scenario = Scenario.of(domain, seed=number, planning={"tiers": ["heuristic", "emergency"]})
    if action not in domain.actions:
        others = tuple(each for each in domain.actions if each.__name__ != action.__name__)
        scenario.domain.actions = (*others, action)
    with Simulation(scenario) as simulation:
        world, run, registry = simulation.world, simulation.run_context, simulation.registry
        if registry is None:
            raise ContractError(f"{type(domain).__name__} has no actions; list the verb in `actions`")
        simulation.run(number * number)
        run.begin(world.tick, ())
        if prepare is not None:
            prepare(simulation)
            world.flush()
        rows = simulation.domain.plannable(world).nonzero()[0]
        invalidate(world, slice(None), world.tick)
        if len(rows):
            batch = simulation.domain.observe(world, rows)
            spec, rng = registry.spec(action.__name__), Rng(number)
            dice = [rng.below(batch.keys, world.tick, _DICE, 2**31, draw) for draw in range(2)]
            ids = {arg.sources: batch.targets(*arg.sources) for arg in spec.shapes() if arg.kind is Kind.TARGET}
            spaces = {arg.sources[0] for arg in spec.shapes() if arg.kind in (Kind.CELL, Kind.CELL_X, Kind.CELL_Y)}
            sides = {
                name: [
                    np.broadcast_to(extent(batch, name, side, None), len(rows)).tolist() for side in ("width", "height")
                ]
                for name in spaces
            }
            plans = []
            for place in range(len(rows)):
                known = Known(
                    {sources: each[place] for sources, each in ids.items() if dice[0][place] % 4},
                    {name: (width[place], height[place]) for name, (width, height) in sides.items()},
                )
                step = sample_step(registry, spec, int(dice[1][place] % 97), known)
                plans.append([] if step is None else [step])
            rows = rows[np.array(list(map(bool, plans)), np.bool_)]
            for row, plan in zip(rows.tolist(), filter(None, plans), strict=True):
                run.write_plan(world, row, plan)
        steps = world[ActionSteps]
        yield _Situation(simulation, action, rows, np.ascontiguousarray(steps.args[0][:, rows]))


def _asked(at: _Situation, hook: str, places: NDArray[np.intp] | None = None) -> NDArray[Any]:
    """Call a read-only method, and check that it wrote and drew nothing."""
    world, run = at.simulation.world, at.simulation.run_context
    rows = at.rows if places is None else at.rows[places]
    args = at.args if places is None else np.ascontiguousarray(at.args[:, places])
    turn, before, draws = at.turn(), state_digest(world).root, dict(run.rng.counts)
    with at.calling(f"{hook}()"):
        if hook == "refused":
            found = np.asarray(at.action.refusals(turn, rows, args))
        else:
            found = np.asarray(at.action.duration_ticks(turn, rows, at.action.named(turn, args)))
    at.must(
        state_digest(world).root == before and not world.pending and not turn.sent,
        f"writes in {hook}(), where it may only read",
    )
    at.must(dict(run.rng.counts) == draws, f"draws random numbers in {hook}(), where it may only read")
    at.must(
        found.shape in ((), rows.shape),
        f"gives {found.shape} answers for {len(rows)} agents in {hook}(); give one each",
    )
    return np.broadcast_to(found, rows.shape)


def _check_alone(at: _Situation, codes: NDArray[Any]) -> None:
    """Check that every agent is judged independently, and that a second call gives the same result."""
    hooks = {"refused": codes}
    allowed = (codes == 0).nonzero()[0]
    if at.action.timed and len(allowed):
        hooks["duration_ticks"] = ticks = _asked(at, "duration_ticks", allowed)
        at.must(ticks.dtype.kind in "iu", f"gives {ticks.dtype} in duration_ticks(); give whole numbers of ticks")
        at.must(bool((ticks >= 1).all()), f"takes {ticks.min()} ticks; a step takes at least 1")
    for hook, together in hooks.items():
        places = np.arange(len(at.rows)) if hook == "refused" else allowed
        again = _asked(at, hook, places)
        at.must(again.tolist() == together.tolist(), f"judges differently when asked again, in {hook}()")
        alone = [_asked(at, hook, places[[place]])[0] for place in range(len(places))]
        at.must(alone == together.tolist(), f"judges an agent by who else is asked, in {hook}()")


def _check_own_rows(at: _Situation, allowed: NDArray[np.intp]) -> None:
    """Check that `start` and `apply` of some agents write nothing to the others."""
    world = at.simulation.world
    for places in (allowed[::2], allowed[1::2]):
        if not len(places):
            continue
        rows, args, turn = at.rows[places], np.ascontiguousarray(at.args[:, places]), at.turn()
        before = world.snapshot()
        hooks = ("start", "apply") if at.action.timed else ("start",)
        for hook in hooks:
            with at.calling(f"{hook}()"):
                getattr(at.action, hook)(turn, rows, at.action.named(turn, args))
        own = set(world.keys[rows].tolist())
        at.must(not world.pending, "changes who is in the world; send through a channel that does")
        changed = changes(before, world.snapshot())
        world.restore(before)
        for change in changed:
            shared = change.column.partition(".")[0] in world.resources
            whose = "" if shared else f" of agent {change.key}"
            at.must(
                not shared and change.key in own,
                f"writes {change.column}{whose}, which is not its own; send through a channel",
            )


def _play(at: _Situation, *, one_by_one: bool = False) -> list[str]:
    """Run the moment for some ticks and return the root after each; the world does not change.

    Agents are visited verb by verb, or one by one in reverse order.
    """
    simulation = at.simulation
    world, run, before, roots = simulation.world, simulation.run_context, simulation.snapshot(), []
    acting = at.acting()
    for _ in range(TICKS):
        run.begin(world.tick, ())
        turn = acting.turn(world, run)
        visits = list(acting.in_use(turn))
        if one_by_one:
            visits = [
                (action, rows[[place]], np.ascontiguousarray(args[:, [place]]))
                for action, rows, args in reversed(visits)
                for place in reversed(range(len(rows)))
            ]
        with at.calling("a tick"):
            for action, rows, args in visits:
                acting.act(action, turn, rows, args)
            acting.settle(turn)
        world.flush()
        world.tick += 1
        roots.append(state_digest(world).root)
        try:
            simulation.domain.invariants(world)
        except AssertionError as error:
            raise AssertionError(one_line(f"{at.action.__name__} breaks an invariant: {error}")) from error
    run.rng.take_counts()
    world.events.clear()
    world.restore(before)
    return roots
