"""Our own code with one bug each: a patch of one function, a sentence that says the bug, and what must catch it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ai import actions, legality, orchestrator
from ai.actions import arguments, integers, registry
from ai.clients.resilience import Admission, CircuitBreaker, ResilientClient, RetryPolicy
from ai.llm.parse import SlotScanner, scanner
from ai.observation import ObservationBatch
from ai.observation.batch import sources_of
from ai.plans import PlanBatch
from ai.rules import conditions, rule
from scenarios.tactics import perception
from scenarios.tactics.components import Cooldowns
from scenarios.tactics.grid import Smoke
from scenarios.tactics.systems.combat import Combat
from scenarios.tactics.systems.execution import Execution
from sim.engine import resources
from sim.engine.commands import Queued
from sim.engine.rng import Rng
from sim.engine.storage import Storage
from sim.engine.texts import Texts
from sim.engine.world import World
from sim.replay import reader
from sim.replay.format import chain
from sim.replay.keyframes import state_of
from sim.replay.playback import Playback, RecordedPlanning
from sim.replay.record import HASH_CHARS
from sim.replay.writer import Recorder
from sim.run import context, planning_service, rounds
from sim.run import thinking as run_thinking
from sim.run import world as run_world
from sim.run.listeners import Listeners
from sim.run.plan_columns import Ask, Progress, Status
from sim.run.simulation import Simulation

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Mutant:
    """One bug: how it is planted, the sentence that says it, and the promises that it must break."""

    plant: Callable[[Patch], None]
    caught_by: tuple[str, ...]

    @property
    def name(self) -> str:
        """The bug in a few words."""
        return self.plant.__name__


MUTANTS: list[Mutant] = []
"""All of them."""


def caught_by(*promises: str) -> Callable[[Callable[[Patch], None]], Callable[[Patch], None]]:
    """Add a mutant that breaks these promises."""

    def add(plant: Callable[[Patch], None]) -> Callable[[Patch], None]:
        MUTANTS.append(Mutant(plant, promises))
        return plant

    return add


# -- replays -----------------------------------------------------------------------------------------------------------


def _module(name: str) -> Any:
    """Return a module of replays; some share their name with the function that the package exports."""
    return import_module(f"sim.replay.{name}")


@caught_by("moved")
def chain_forgets_what_was_before(patch: Patch) -> None:
    """The value of a line's chain covers the line alone."""
    for module in ("format", "reader"):
        patch.setattr(_module(module), "chain", lambda _previous, kind, body: chain("", kind, body))


@caught_by("killed")
def torn_line_is_taken_for_whole(patch: Patch) -> None:
    """A last line that lacks its newline is read as if it had one."""
    original = reader._next_line

    def next_line(stream: Any, at: Any) -> bytes:
        line = original(stream, at)
        return line + b"\n" if line.endswith(b"}") else line

    patch.setattr(reader, "_next_line", next_line)


def _trusting(patch: Patch, change: Callable[[Any, Any], dict[str, Any]]) -> None:
    """Let `verify` take some fields of a tick from the record instead of from the run."""
    original = Playback.tick

    def tick(self: Playback, record: Any) -> Any:
        again = original(self, record)
        return again.model_copy(update=change(record, again))

    patch.setattr(Playback, "tick", tick)


@caught_by("tampered")
def verify_skips_plans(patch: Patch) -> None:
    """The digest of the plans is not compared."""
    _trusting(patch, lambda record, _: {"plan": record.plan})


@caught_by("tampered")
def verify_skips_one_column(patch: Patch) -> None:
    """The first column's hash is not compared."""
    _trusting(patch, lambda record, again: {"columns": record.columns[:HASH_CHARS] + again.columns[HASH_CHARS:]})


@caught_by("tampered")
def verify_trusts_the_recorded_tier(patch: Patch) -> None:
    """Who planned for whom is taken from the record."""
    _trusting(patch, lambda record, _: {"planned": record.planned})


@caught_by("tampered")
def verify_skips_draws(patch: Patch) -> None:
    """The counts of random draws are taken from the record."""
    _trusting(patch, lambda record, _: {"draws": record.draws})


@caught_by("recorded")
def replay_forgets_what_a_clock_decided(patch: Patch) -> None:
    """Sizes of calls and states of the breaker are those of the replay itself, which has no model."""
    original = RecordedPlanning.plan

    def plan(self: RecordedPlanning, batch: Any) -> Any:
        plans = original(self, batch)
        plans.model = {}
        return plans

    patch.setattr(RecordedPlanning, "plan", plan)


@caught_by("recorded")
def replay_forgets_why_a_tier_failed(patch: Patch) -> None:
    """Every failed attempt of a model is replayed as one that left the agent out."""
    patch.setattr("sim.replay.playback.failures", lambda *_: {})


@caught_by("entered")
def keyframe_root_is_not_compared(patch: Patch) -> None:
    """A run is entered at a keyframe whatever root the tick's record has."""
    for module in ("replay_file", "verify"):
        patch.setattr(
            _module(module), "enter", lambda simulation, keyframe, _: simulation.restore(state_of(keyframe, simulation))
        )


@caught_by("declared")
def declarations_are_not_compared(patch: Patch) -> None:
    """What observations, verbs and inputs were declared with is not held against what runs here."""
    patch.setattr(_module("playback"), "first_change", lambda *_: None)


@caught_by("declared")
def declarations_of_the_world_are_not_compared(patch: Patch) -> None:
    """What columns and resources were declared with is not held against what runs here."""
    patch.setattr(_module("playback"), "first_difference", lambda *_: None)


@caught_by("keyframes")
def keyframe_is_not_verified(patch: Patch) -> None:
    """`verify` passes over keyframes."""
    patch.setattr(_module("verify")._Verification, "_keyframe", lambda *_: None)


@caught_by("resumed")
def resumed_run_counts_its_own_ticks_only(patch: Patch) -> None:
    """The end record of a resumed run sums up what came after the kill."""
    original = Recorder.resumed.__func__  # type: ignore[attr-defined]

    def resumed(kind: type[Recorder], simulation: Any, writer: Any, header: Any, ticks: Any, **due: Any) -> Recorder:
        return original(kind, simulation, writer, header, [], **due)

    patch.setattr(Recorder, "resumed", classmethod(resumed))


# -- replies -----------------------------------------------------------------------------------------------------------


@caught_by("scanner")
def brace_inside_a_string_closes(patch: Patch) -> None:
    """Inside a plan quotes are like any other character."""
    patch.setattr(scanner, "_INSIDE", re.compile(scanner._INSIDE.pattern.replace(f'"{scanner._CONTENT}|', "")))


@caught_by("scanner")
def broken_plan_swallows_the_next(patch: Patch) -> None:
    """A plan goes on to its last bracket, whatever slot turns up inside."""
    original = SlotScanner._read

    def read(self: SlotScanner, kind: str, text: str, slot: str | None, found: Any) -> None:
        original(self, "bracket" if kind == "begin" and self._plan is not None else kind, text, slot, found)

    patch.setattr(SlotScanner, "_read", read)


@caught_by("scanner")
def last_plan_of_an_agent_wins(patch: Patch) -> None:
    """A second plan for the same agent is handed out too."""
    original = SlotScanner._give

    def give(self: SlotScanner, *args: Any) -> None:
        self._given.clear()
        original(self, *args)

    patch.setattr(SlotScanner, "_give", give)


class _Everyone:
    def __contains__(self, agent: object) -> bool:
        return True


@caught_by("scanner")
def plans_for_strangers_are_accepted(patch: Patch) -> None:
    """An id that was not asked for is as good as any."""
    original = SlotScanner.__init__

    def init(self: SlotScanner, slots: Any) -> None:
        original(self, slots)
        self._agents = _Everyone()  # type: ignore[assignment]

    patch.setattr(SlotScanner, "__init__", init)


@caught_by("streamed")
def string_is_forgotten_between_pieces(patch: Patch) -> None:
    """A string that a piece leaves open is over with the piece."""
    original = SlotScanner._scan

    def scan(self: SlotScanner, *args: Any) -> None:
        original(self, *args)
        self._in_string = False

    patch.setattr(SlotScanner, "_scan", scan)


@caught_by("parsed")
def verbs_that_are_not_offered_are_read(patch: Patch) -> None:
    """A reply may use every verb that has a code."""
    original = actions.ToolRegistry.parse_step
    patch.setattr(actions.ToolRegistry, "parse_step", lambda self, data: original(self.whole, data))


@caught_by("parsed")
def names_of_no_table_are_read(patch: Patch) -> None:
    """A name that no table has is taken for one."""
    patch.setattr(actions.ToolRegistry, "_unknown_name", lambda *_: None)


# -- kinds and tiers ---------------------------------------------------------------------------------------------------


@caught_by("codes")
def codes_follow_the_order_of_definition(patch: Patch) -> None:
    """Kinds get their codes as they come."""

    def unsorted(values: Iterable[Any], **_: Any) -> list[Any]:
        return list(values)

    patch.setattr(registry, "sorted", unsorted, raising=False)


@caught_by("steps")
def optional_argument_is_dropped(patch: Patch) -> None:
    """What may be left out is left out when a step becomes integers."""
    original = actions.ToolRegistry.encode

    def encode(self: actions.ToolRegistry, step: Any) -> Any:
        encoded = original(self, step)
        spec = self.spec(encoded.kind)
        kept = [arg.required for arg in spec.args] + [True] * (len(encoded.args) - len(spec.args))
        args = [value if keep else actions.NONE for value, keep in zip(encoded.args, kept, strict=True)]
        return actions.EncodedStep(encoded.kind, tuple(args), encoded.payload)  # type: ignore[arg-type]

    patch.setattr(actions.ToolRegistry, "encode", encode)


@caught_by("steps")
def numbers_are_cut_off(patch: Patch) -> None:
    """Numbers lose what is behind the point instead of being rounded."""
    patch.setattr(arguments, "round_half_away", int)
    patch.setattr(integers, "round_half_away", int)


@caught_by("legal")
def illegal_plans_are_accepted(patch: Patch) -> None:
    """Whatever a tier offers is taken."""
    patch.setattr(orchestrator, "refusals", lambda batch, *_: np.zeros(len(batch), np.int8))


@caught_by("legal")
def any_list_will_do_for_a_target(patch: Patch) -> None:
    """A target is legal when any list of the agent has it, whatever its argument names."""
    original = ObservationBatch.knows

    def knows(self: ObservationBatch[Any], rows: Any, ids: Any, _: Any) -> Any:
        return original(self, rows, ids, sources_of(self.layout))

    patch.setattr(ObservationBatch, "knows", knows)


@caught_by("legal")
def cells_are_held_against_the_first_agent_s_space(patch: Patch) -> None:
    """Whoever is first in a batch lends its space to all others."""
    original = legality.extent

    def extent(batch: Any, space: str, side: str, _: Any) -> Any:
        found = original(batch, space, side, None)
        return found if isinstance(found, int) else int(found[0])

    patch.setattr(legality, "extent", extent)


@caught_by("legal")
def payloads_are_not_judged(patch: Patch) -> None:
    """What stands inside lists and records is taken as it is."""
    patch.setattr(legality, "_payload_refusal", lambda *_: 0)


@caught_by("legal")
def only_the_first_step_is_judged(patch: Patch) -> None:
    """A plan is legal when its first step is."""
    original = legality.refusals

    def refusals(batch: Any, plans: Any, known: Any) -> Any:
        return original(batch, replace(plans, length=np.minimum(plans.length, 1)), known)

    patch.setattr(orchestrator, "refusals", refusals)


@caught_by("served")
def a_fault_of_a_planner_ends_the_call(patch: Patch) -> None:
    """An exception in somebody else's planner comes out of the batch call."""
    patch.setattr(orchestrator, "_is_caller_fault", lambda *_: True)


@caught_by("served")
def answers_are_not_looked_at(patch: Patch) -> None:
    """A planner may answer for others than those it was asked for."""
    patch.setattr(orchestrator, "_check_answer", lambda *_: None)


@caught_by("served")
def nobody_stands_behind_the_last_tier(patch: Patch) -> None:
    """Where the last tier fails, its agents are left without a plan."""
    patch.setattr(orchestrator, "_idle_plans", lambda keys, _: PlanBatch.empty(keys))


@caught_by("known")
def texts_of_an_observation_are_places(patch: Patch) -> None:
    """A text or shared value enters the digest of what agents know as its place in the batch."""
    patch.setattr(ObservationBatch, "_meanings", lambda _self, _leaf, column: column)


@caught_by("known")
def spare_places_are_known_too(patch: Patch) -> None:
    """Places of lists that nobody uses enter the digest of what agents know."""
    patch.setattr(ObservationBatch, "there", lambda self, group: np.ones_like(self.column(group.marker), np.bool_))


@caught_by("retried")
def tries_have_no_end(patch: Patch) -> None:
    """A call that failed is made again however often it was."""
    original = RetryPolicy.wait_s
    patch.setattr(RetryPolicy, "wait_s", lambda self, _tried, *rest: original(self, 0, *rest))


@caught_by("retried")
def what_is_hopeless_is_tried_again(patch: Patch) -> None:
    """What a server will refuse again is sent again."""
    patch.setattr(
        ResilientClient, "_next", lambda self, error, tried: self._policy.wait_s(tried, 0.5, error.retry_after_s)
    )


@caught_by("retried")
def passing_faults_are_final(patch: Patch) -> None:
    """Nothing is tried a second time."""
    patch.setattr(ResilientClient, "_next", lambda *_: None)


@caught_by("breaker")
def failures_need_not_be_in_a_row(patch: Patch) -> None:
    """A success does not start the count of failures again."""
    original = CircuitBreaker.settle

    def settle(self: CircuitBreaker, admission: Admission, succeeded: bool | None, now: float) -> None:  # noqa: FBT001
        if admission is Admission.CALL and succeeded:
            return
        original(self, admission, succeeded, now)

    patch.setattr(CircuitBreaker, "settle", settle)


@caught_by("breaker")
def breaker_that_never_probes(patch: Patch) -> None:
    """Once open, a breaker stays open."""
    original = CircuitBreaker.admit
    patch.setattr(CircuitBreaker, "admit", lambda self, _now: original(self, 0.0))


# -- the engine --------------------------------------------------------------------------------------------------------


@caught_by("reference")
def highest_key_wins_a_cell(patch: Patch) -> None:
    """Of two walkers who want one cell, the later one gets it."""
    original = World.claim

    def claim(self: World, targets: Any, claimants: Any, size: int) -> Any:
        return original(self, targets, (1 << 30) - claimants, size)

    patch.setattr(World, "claim", claim)


@caught_by("reference")
def last_harm_wins(patch: Patch) -> None:
    """Who is harmed twice in a tick loses only the last of it."""

    def last(_: Combat, world: World, parts: Any) -> Any:
        total = np.zeros(world.n, np.int32)
        for rows, amounts in parts:
            total[rows] = amounts
        return total

    patch.setattr(Combat, "_sum", last)


@caught_by("reference")
def walks_are_settled_one_kind_at_a_time(patch: Patch) -> None:
    """A walker steps on as soon as its kind has acted, not when all have."""
    original = Execution.act

    def act(self: Execution, action: Any, turn: Any, rows: Any, args: Any) -> None:
        original(self, action, turn, rows, args)
        self._walk(turn)
        turn.walks.clear()
        turn.occupancy = perception.occupancy_of(turn.world, turn.grid)

    patch.setattr(Execution, "act", act)


@caught_by("reference")
def friends_are_among_the_enemies(patch: Patch) -> None:
    """Whoever looks for enemies finds friends as well."""
    original = perception._pairs

    def pairs(world: Any, occupancy: Any, rows: Any, radius: Any, hostile: int) -> Any:
        found, enemies = original(world, occupancy, rows, radius, hostile)
        friends, _ = original(world, occupancy, rows[:hostile], radius[:hostile], 0)
        taken = found.at(slice(enemies)).and_also(friends)
        return taken.and_also(found.at(slice(enemies, None))), len(taken.viewer)

    patch.setattr(perception, "_pairs", pairs)


@caught_by("reference")
def expired_smoke_still_blocks(patch: Patch) -> None:
    """What is kept about sight does not hear that smoke has cleared."""
    original = Smoke.expire

    def expire(self: Smoke, tick: int) -> None:
        stamp = self.stamp
        original(self, tick)
        self.stamp = stamp

    patch.setattr(Smoke, "expire", expire)


@caught_by("births")
def births_follow_the_order_of_calls(patch: Patch) -> None:
    """Keys are given as births were asked for, whoever asked."""
    original = Queued.births

    def births(self: Queued) -> Any:
        fixed, order = original(self)
        return fixed, np.sort(order)

    patch.setattr(Queued, "births", births)


@caught_by("texts")
def texts_are_known_by_their_places(patch: Patch) -> None:
    """A column of texts leaves the world as places in a table that depends on the run."""
    patch.setattr(Texts, "canonical", lambda self, places: (places, tuple(self._texts)))


@caught_by("resources")
def a_resource_is_compared_with_itself(patch: Patch) -> None:
    """What is kept of a resource is compared with it once, so that no change is seen."""
    original = resources.DeclaredResource.look

    def look(self: resources.DeclaredResource) -> None:
        if not self.stamp:
            original(self)

    patch.setattr(resources.DeclaredResource, "look", look)


@caught_by("restored")
def restored_cooldowns_are_over(patch: Patch) -> None:
    """A world that was restored lets everyone act at once."""
    original = World.restore

    def restore(self: World, state: Any) -> None:
        original(self, state)
        self[Cooldowns].ready_at[:] = 0

    patch.setattr(World, "restore", restore)


@caught_by("parts", "reference")
def rule_measures_from_the_first_of_the_batch(patch: Patch) -> None:
    """How near something is is asked of the first agent's place."""
    original = conditions.squares

    def squares(batch: Any, own: Any, x: Any, y: Any) -> Any:
        first = SimpleNamespace(column=lambda path: np.full(len(batch), batch.column(path)[0]))
        return original(first, own, x, y)  # type: ignore[arg-type]  # it reads columns alone

    patch.setattr(conditions, "squares", squares)


@caught_by("rules")
def parts_of_a_condition_are_about_any_entry(patch: Patch) -> None:
    """Each part of a condition about a list may be fulfilled by another entry."""
    original = conditions._any

    def any_of(parts: Any) -> Any:
        return conditions.all_of([original([part]) for part in parts])

    patch.setattr(conditions, "_any", any_of)


@caught_by("rules")
def a_later_rule_overrides_an_earlier_one(patch: Patch) -> None:
    """Of the rules that serve an agent, the last gives its plan."""
    original = rule.Bound.__init__

    def init(self: Any, *args: Any, **named: Any) -> None:
        original(self, *args, **named)
        self.rules.reverse()

    patch.setattr(rule.Bound, "__init__", init)


@caught_by("rules")
def a_rule_takes_part_of_its_steps(patch: Patch) -> None:
    """A rule serves those who can take any of its steps, not all."""
    original = rule.write

    def write(plans: Any, rows: Any, steps: Any, batch: Any, known: Any) -> Any:
        return original(plans, rows, [step for step in steps if not step[0] or step[0] in known][:1], batch, known)

    patch.setattr(rule, "write", write)


@caught_by("draws", "reference")
def draws_by_row(patch: Patch) -> None:
    """An agent's draw depends on its place among those who draw."""
    original = Rng._fill
    patch.setattr(
        Rng, "_fill", lambda self, out, keys, *rest: original(self, out, np.arange(len(keys), dtype=np.uint64), *rest)
    )


@caught_by("draws")
def draws_of_a_later_tick(patch: Patch) -> None:
    """Draws that were computed ahead are taken for one tick too late."""
    original = Rng._in_series

    def ahead(self: Rng, keys: Any, tick: int, purpose: int, draw: int, count: int) -> Any:
        found = original(self, keys, tick, purpose, draw, count)
        kept = self._kept[purpose, draw, count]
        return kept.words[:, min(tick - kept.tick + 1, kept.words.shape[1] - 1)] if tick > kept.tick else found

    patch.setattr(Rng, "_in_series", ahead)


@caught_by("draws")
def draws_for_all_purposes_alike(patch: Patch) -> None:
    """An agent draws the same for every purpose of a tick."""
    original = Rng._fill
    patch.setattr(Rng, "_fill", lambda self, out, keys, tick, _purpose, draw: original(self, out, keys, tick, 0, draw))


@caught_by("spawning")
def order_of_creation_is_kept(patch: Patch) -> None:
    """Rows stay as they were spawned instead of being put in the order of their keys."""
    original = Storage.append

    def append(self: Storage, *born: Any) -> None:
        with Patch.context() as inner:
            inner.setattr(Storage, "_permute", lambda *_: None)
            original(self, *born)

    patch.setattr(Storage, "append", append)


# -- rounds ------------------------------------------------------------------------------------------------------------


@caught_by("in_rounds")
def every_tick_is_a_round(patch: Patch) -> None:
    """Agents are asked as soon as they need a plan."""
    patch.setattr(rounds.Rounds, "due", lambda *_: True)


@caught_by("in_rounds")
def a_round_restarts_bridges(patch: Patch) -> None:
    """Whoever is asked under a bridge gets a new one where the model gives no plan."""
    patch.setattr(rounds, "MODEL", rounds.WHOLE)


@caught_by("in_rounds")
def refusals_are_not_counted(patch: Patch) -> None:
    """An agent that a model leaves out is asked in every round."""
    original = rounds.put_off

    def put_off(world: Any, run: Any, rows: Any) -> None:
        world[Progress].refusals[rows] = 0
        original(world, run, rows)

    patch.setattr(rounds, "put_off", put_off)


@caught_by("in_rounds")
def an_invalidation_has_no_precedence(patch: Patch) -> None:
    """Whoever is invalidated waits behind those that wait already."""
    patch.setattr(context, "invalidate", context.outdate)
    patch.setattr(run_world, "invalidate", context.outdate)


@caught_by("thinking")
def an_invalidation_leaves_the_ask_open(patch: Patch) -> None:
    """What a model thinks about starts though the agent's plan was voided meanwhile."""
    patch.setattr(context, "void", lambda *_: None)


@caught_by("thinking")
def a_late_plan_is_not_checked(patch: Patch) -> None:
    """A plan starts though its target is gone by now."""
    patch.setattr(run_thinking.Thinking, "_legal", lambda _self, _part, _plans, judged, _places: judged)


@caught_by("thinking")
def a_stored_plan_does_not_wait(patch: Patch) -> None:
    """A plan that was asked for ahead ends the current one when it arrives."""
    original = run_thinking.Thinking._arrival

    def arrival(self: Any, asked_at: int, rows: Any) -> None:
        self.world[Progress].status[rows] = Status.FINISHED.value
        original(self, asked_at, rows)

    patch.setattr(run_thinking.Thinking, "_arrival", arrival)


@caught_by("thinking")
def a_restored_ask_finds_the_old_call(patch: Patch) -> None:
    """After a restore, an open ask gets the reply to what was asked before."""
    patch.setattr(planning_service.LivePlanner, "forget", lambda _self: None)


@caught_by("thinking")
def a_fork_keeps_what_was_asked_of_others(patch: Patch) -> None:
    """A fork with other tiers gets replies to the parent's questions."""
    patch.setattr(Simulation, "void_asks", lambda _self: None)


@caught_by("thinking")
def a_plan_comes_when_it_is_there(patch: Patch) -> None:
    """A plan takes effect in the tick after its round, where the reply is there."""
    original = run_thinking.Thinking._ask

    def ask(self: Any) -> None:
        original(self)
        asked = self.world[Ask]
        asked.arrives_at[asked.asked_at == self.run.tick] = self.run.tick + 1

    patch.setattr(run_thinking.Thinking, "_ask", ask)


@caught_by("heard")
def a_listener_may_end_the_run(patch: Patch) -> None:
    """What a listener raises reaches the run."""

    def tell(self: Any, event: str, *values: Any) -> None:
        for listener in self._listeners:
            getattr(listener, event, lambda *_: None)(*values)

    patch.setattr(Listeners, "tell", tell)
