"""The promises that our own mutants break, as functions that can be called: most are tests of this suite themselves.

Each raises where its promise does not hold. What is recorded here is recorded again, so that a mutant of the recorder
is not hidden by a recording that was made before it was planted.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ai.actions import Action, ToolRegistry
from ai.clients.faulty import Fault, FaultyClient
from ai.clients.resilience import FAILURES_MAX
from ai.clients.scripted import ScriptedClient
from ai.errors import ParseError
from ai.llm.parse import SlotScanner
from ai.observation import Cell, ObservationBatch
from ai.orchestrator import FallbackOrchestrator, drive
from ai.planners.base import PlanCall, TierPlans
from ai.planners.emergency import Emergency
from ai.planners.heuristic import Heuristic
from ai.plans import Outcome, PlanBatch
from scenarios.tactics.actions import default_registry
from scenarios.tactics.playbook import PLAYBOOK
from scenarios.tactics.testing.flat import flat, flattened
from sim.engine.digest import state_digest
from sim.engine.rng import Rng, philox4x32
from sim.engine.world import World
from sim.replay import read, rerecord, scan, verify
from sim.replay.format import canonical
from sim.replay.record import HASH_CHARS
from sim.run.planning_service import ModelOptions
from sim.run.scenario_file import Scenario
from sim.testing.checks import CHECKS, Case, examine
from tests.ai import test_orchestrator
from tests.ai.actions import test_registry
from tests.ai.clients import test_resilience
from tests.ai.llm.village import (
    FORAGING,
    MARKET,
    TABLES,
    Bush,
    Field,
    Go,
    Order,
    Pick,
    Tour,
    forager,
    foragers,
)
from tests.ai.observation import test_round_trip
from tests.ai.rules import test_conditions, test_rules
from tests.ai.strategies import agents, enemy
from tests.properties import test_rounds as asked
from tests.reference.lockstep import Dice, random_plans, run_in_step
from tests.sim.engine import test_commands, test_resources, test_texts
from tests.sim.engine.small_world import ALL, Position, everything
from tests.sim.replay import test_keyframes, test_recover, test_replay_file, test_verify
from tests.sim.replay.recordings import SCRIPT, framed, model, record, rules, scenario
from tests.sim.run import test_listeners, test_rounds, test_thinking
from tests.support.recording import rechain

COLUMNS_EVERY = 8
"""Of the columns, which are altered here; `tests/properties` alters any."""


def warm() -> None:
    """Make the recordings that the suite shares, so that no mutant has a part in them."""
    for each in (rules, model, framed):
        each("hash")
        each("full")


# -- replays -----------------------------------------------------------------------------------------------------------


def moved_lines() -> None:
    """A line that was taken away, doubled or swapped with the next is noticed."""
    lines = record(scenario()).splitlines(keepends=True)
    assert scan(b"".join(lines)).status == "complete"
    for at in range(2, len(lines) - 2):
        for changed in (
            lines[:at] + lines[at + 1 :],
            lines[:at] + lines[at:][:1] + lines[at:],
            [*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]],
        ):
            found = scan(b"".join(changed))
            assert found.status == "corrupt"
            assert "chain" in str(found.problem), f"line {at + 1}: only {found.problem}"


def _flipped(text: str, place: int = 0) -> str:
    return text[:place] + ("0" if text[place] != "0" else "1") + text[place + 1 :]


def _alterations(body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what is altered and the tick's body with it; every alteration is one that a reader takes."""
    for place in range(0, len(body["columns"]), COLUMNS_EVERY * HASH_CHARS):
        yield f"column {place // HASH_CHARS}", {**body, "columns": _flipped(body["columns"], place)}
    yield "components", {**body, "components": _flipped(body["components"])}
    for name in ("root", "known", "heard", "plan"):
        if body.get(name) is not None:
            yield name, {**body, name: _flipped(body[name])}
    if "planned" in body:
        others = {tier: "emergency" if tier == "heuristic" else "heuristic" for tier in body["planned"]}
        if len(set(others.values())) == len(others):
            yield "tier", {**body, "planned": {others[tier]: keys for tier, keys in body["planned"].items()}}
    for name in ("agents", "plans"):
        if name in body:
            yield name, {**body, name: body[name] + 1}
    for name in ("inputs", "refused", "attempts", "texts", "shards", "usage", "model", "draws", "changes", "phases"):
        if name in body:
            yield name, {key: value for key, value in body.items() if key != name}


def tampering() -> None:
    """A record that was altered, its chain computed again, is not a match, and the verdict names its tick."""
    seen: set[str] = set()
    for replay in (rules("full"), model("full")):
        lines = replay.splitlines(keepends=True)
        for tick, line in enumerate(lines[1:-1]):
            for what, body in _alterations(json.loads(line)["v"]):
                if what in seen:
                    continue
                seen.add(what)
                altered = b'{"c":"' + b"0" * 16 + b'","k":"T","v":' + canonical(body) + b"}\n"
                verdict = verify(b"".join(rechain([*lines[: tick + 1], altered, *lines[tick + 2 :]])))
                assert verdict.verdict != "match", what
                assert verdict.ticks == tick, f"{what} of tick {tick}: {verdict.reason}"
                assert verdict.first is None or verdict.first.tick == tick, what
    assert {"tier", "texts", "attempts", "draws", "inputs"} <= seen


def killed_writers() -> None:
    """A writer killed before, at and after the end of every line, and inside of some, leaves what can be recovered."""
    replay = framed()
    ends = [place for place, byte in enumerate(replay) if byte == ord("\n")][:-1]
    for offset in sorted({*ends[::4], *(end + 1 for end in ends[2::4]), *range(1, len(replay) - 1, len(replay) // 5)}):
        test_recover.killed_at(replay, offset)


def resumed_runs() -> None:
    """A run taken up again after some ticks goes on to the same bytes."""
    replay = record(scenario(), keyframes=4)
    ends = [place + 1 for place, byte in enumerate(replay) if byte == ord("\n")]
    with tempfile.TemporaryDirectory() as folder:
        for end in ends[:-1:3]:
            test_recover.resumed_at(replay, end + 20, Path(folder) / "a.replay.jsonl")


def declared() -> None:
    """A recording of another declaration is inconclusive, and the part that differs is named."""
    for change, words in (
        (lambda body: body["declarations"]["observation"].pop("me.hp"), "observation.me.hp is new"),
        (lambda body: body["declarations"]["actions"]["Scan"].pop("code"), "actions.Scan.code is new"),
        (lambda body: body["declarations"]["inputs"].pop("kill"), "inputs.kill is new"),
        (lambda body: body["declarations"]["world"]["components"][0]["columns"].pop(0), "column Position.x is only"),
    ):
        verdict = verify(test_verify.altered(rules(), 0, change))
        assert (verdict.verdict, verdict.exit_code) == ("inconclusive", 2)
        assert re.search(words, verdict.reason), verdict.reason


def recordings() -> None:
    """What is recorded matches and is written back to the byte, also where a model fails until its breaker opens."""
    failing = FaultyClient(
        ScriptedClient(SCRIPT), [Fault(), *([Fault(outcome="transport")] * (3 * FAILURES_MAX)), Fault(outcome="cut")]
    )
    options = ModelOptions(retries=0, shard_size=1, in_flight=1)
    for replay in (record(scenario()), record(scenario(), client=failing, model=options, keyframes=4)):
        verdict = verify(replay)
        assert verdict.verdict == "match", verdict.reason
        assert rerecord(read(replay)) == replay
    assert b'"breaker":["open"]' in replay


# -- the engine --------------------------------------------------------------------------------------------------------


def _yard() -> Scenario:
    """Return a scenario whose agents differ in what they can bear, see and carry."""
    data = flattened(scenario())
    kit = {"hp": 60, "accuracy": 900, "reach": 6, "sight": 14, "smokes": 2, "explosives": 2, "medkits": 2}
    data["archetypes"] = {"rifle": kit, "guard": {**kit, "hp": 400, "sight": 9}}
    data["teams"][0]["squads"].append(
        {"name": "guards", "archetype": "guard", "count": 4, "area": {"x": 2, "y": 3, "width": 4, "height": 2}}
    )
    return flat(data)


def slow_reference() -> None:
    """Rules and random plans give what the slow reference gives, in every column of every agent."""
    yard = _yard()
    run_in_step(yard, ticks=25)
    for seed in (1, 2):
        plans = random_plans(seed, yard)
        run_in_step(yard, ticks=30, choose=plans)
    crowd = ("MoveTo", "MoveTo", "ThrowSmoke", "Attack", "AoEAttack")
    plans = random_plans(3, yard, crowd)
    run_in_step(yard.replaced(ticks_per_second=1), ticks=30, choose=plans)


def _examined(name: str) -> Callable[[], None]:
    def check() -> None:
        (found,) = examine(Case(_yard(), ticks=20), [each for each in CHECKS if each.name == name])
        assert found.finding is None, found.finding.sentence

    return check


def draws() -> None:
    """Each draw is the scalar path's block of its key, tick and purpose, in any company and tick after tick."""
    rng = Rng(99)
    for tick in (3, 4, 5, 6, 7, 5):
        assert rng.draws([4, 9], tick, 12).tolist() == [list(philox4x32((key, tick, 12, 0), (99, 0))) for key in (4, 9)]
    for keys in ([4], [9, 4, 70_000], list(range(5, 40, 3))):
        for tick, purpose, seed in ((0, 0, 1), (7, 3, 99), (2**32 - 1, 12, 2**40 + 5)):
            wanted = [list(philox4x32((key, tick, purpose, 0), (seed & (2**32 - 1), seed >> 32))) for key in keys]
            assert Rng(seed).draws(np.array(keys), tick, purpose).tolist() == wanted


def births() -> None:
    """Births of one flush are ordered by the key of the one that they come from, then by the order of calls."""
    with World(ALL, debug=True) as world:
        world.spawn(everything({Position: {"x": np.arange(5) * 10}}), count=5)
        world.flush()
        test_commands.test_births_are_ordered_by_parent_then_call(world)


def texts() -> None:
    """Worlds with the same texts agree, whatever else their tables hold and in which order."""
    with World([test_texts.Villager], **test_texts.PARTS) as world:
        world.spawn({test_texts.Villager: {}}, 3)
        world.flush()
        test_texts.test_neither_order_nor_unused_texts_are_state(world)


def resources() -> None:
    """A change of a declared resource is in the next digest, and going back takes it out again."""
    with test_resources.world_of() as world:
        before, state = state_digest(world), world.snapshot()
        world[test_resources.Grass].left[2] += 1
        assert state_digest(world) != before
        world.restore(state)
        assert state_digest(world) == before
        assert world[test_resources.Grass].left.tolist() == [3] * 6


# -- planning ----------------------------------------------------------------------------------------------------------


def codes() -> None:
    """Codes are places in name order, whatever the order in which kinds are given."""
    test_registry.test_codes_follow_names_and_stay_under_another_offer()
    kinds = [spec.action for spec in MARKET.specs]
    for order in (kinds, kinds[::-1], kinds[2:] + kinds[:2]):
        registry = ToolRegistry(order, idle=MARKET.idle, tables=TABLES)
        assert [registry.code(spec.name) for spec in MARKET.specs] == list(range(len(kinds)))


STEPS: tuple[tuple[str, dict[str, object]], ...] = (
    ("Wait", {"duration": 0.57}),
    ("Wait", {"duration": 1.005}),
    ("Scan", {"radius": 7}),
    ("MoveTo", {"x": 3, "y": 4, "speed": "run"}),
    ("MoveTo", {"x": 0, "y": 0}),
    ("TakeCover", {}),
    ("TakeCover", {"position": {"x": 2, "y": 9}}),
    ("Heal", {"target_id": 12}),
    ("Heal", {}),
)


def steps() -> None:
    """A step is the same after it became integers and came back, with its optional arguments and without."""
    registry = default_registry()
    for name, fields in STEPS:
        step = registry.make(name, **fields)
        encoded = registry.encode(step)
        assert registry.decode(encoded.kind, encoded.args, encoded.payload) == step
    for seconds, stored in ((0.57, 570), (1.005, 1005), (2.3, 2300)):
        assert registry.encode(registry.make("Wait", duration=seconds)).args[0] == stored


class Offers:
    """A tier that offers everyone the same step, whatever the rules say of it."""

    name = "offers"
    deterministic = False

    def __init__(self, *steps: Action) -> None:
        self.steps = steps

    async def plan(self, batch: ObservationBatch[Any], registry: ToolRegistry, call: PlanCall) -> TierPlans:
        """Offer it."""
        plans = PlanBatch.from_steps(batch.keys, [self.steps] * len(batch), registry)
        return TierPlans(plans, np.full(len(batch), Outcome.OK, np.int8))


def legal() -> None:
    """A plan that is not legal for its agent is not used, and the tier below is asked."""
    registry = default_registry()
    who = agents(3, enemies=[enemy(9, 6, 5)], allies=[enemy(7, 6, 6)])
    wait = registry.make("Wait", duration=1.0)
    for steps, tier in (
        ([registry.make("Attack", target_id=9)], "offers"),
        ([registry.make("Attack", target_id=2)], "heuristic"),
        ([registry.make("Attack", target_id=7)], "heuristic"),
        ([registry.make("MoveTo", x=900, y=0)], "heuristic"),
        ([wait, registry.make("Attack", target_id=2)], "heuristic"),
    ):
        tiers = FallbackOrchestrator([Offers(*steps), Heuristic.of(PLAYBOOK), Emergency()])
        results = drive(tiers.plan_batch_with_fallback(None, who, registry))
        assert {result.tier for result in results.values()} == {tier}, steps
    _legal_for_foragers()


def _legal_for_foragers() -> None:
    """Each agent has a space of its own, and what stands inside of lists is judged as well."""
    bush = Bush(id=9, pos=Cell(1, 1), berries=1)
    batch = foragers(forager(bushes=(bush,)), forager(field=Field(3, 3), bushes=(bush,)))
    order = Order("nuts", 0.5)
    for step, tiers in (
        (Go(Cell(5, 5)), ["offers", "emergency"]),
        (Pick(9), ["offers", "offers"]),
        (Pick(4), ["emergency", "emergency"]),
        (Tour(1, (Cell(1, 1), Cell(2, 5)), (), order), ["offers", "emergency"]),
        (Tour(1, (Cell(1, 1),), (9, 8), order), ["emergency", "emergency"]),
    ):
        plans = drive(FallbackOrchestrator([Offers(step)]).plan_batch_with_fallback(None, batch, FORAGING))
        assert [plans.tiers[tier] for tier in plans.plans.tier.tolist()] == tiers, step


def known() -> None:
    """The digest of what agents know is one of contents: not of how they were interned, nor of spare places."""
    test_round_trip.test_the_digest_does_not_see_how_texts_were_interned()
    test_round_trip.test_the_digest_sees_shared_values_by_content()
    test_round_trip.test_the_digest_sees_tick_scale_and_tables()
    test_round_trip.test_a_spare_width_changes_nothing()


def ruled() -> None:
    """The first rule that serves an agent gives its whole plan; joined parts are about one entry of a list."""
    test_rules.test_the_first_rule_that_serves_an_agent_gives_its_plan()
    test_rules.test_a_rule_whose_step_cannot_be_taken_leaves_its_agents_to_the_next()
    test_conditions.test_parts_about_one_list_are_about_the_same_entry()


def parsed() -> None:
    """A step is read only if its verb is offered and its names are those of a table."""
    for data in ({"act": "Sell", "good": "bread", "count": 1}, {"act": "Buy", "good": "gold", "count": 1}):
        try:
            step = MARKET.first_tier.parse_step(data)
        except ParseError:
            continue
        raise AssertionError(f"{data} was read as {step}")


# -- replies -----------------------------------------------------------------------------------------------------------

SLOTS = {f"a{n}": 100 + n for n in range(1, 5)}
BODIES = (
    '{"steps":["}",{"act":"]"}]}',
    "[7]",
    '{"x":"\\\\"}',
    '{"x":"\\"}{"}',
    '{"steps":[{"act":"Say","agent_id":103}]}',
)
BROKEN = ('{"steps":[', '{"x":"no end}', '{"x":"a\nb","y":1}', "{{}")


def _replies() -> Iterator[tuple[str, list[tuple[int, str]]]]:
    """Yield replies by slot and by id, and the plans in them: doubled, of strangers, and after broken ones."""
    dice = Dice(5)
    for _ in range(150):
        slots = [1 + dice.below(6) for _ in range(1 + dice.below(4))]
        keyed = [(slot, dice.pick(BODIES if f"a{slot}" in SLOTS else BROKEN)) for slot in slots]
        text = ",".join(f'"a{slot}":{body}' for slot, body in keyed)
        whole = [(100 + slot, body) for slot, body in keyed]
        listed = [(99 + dice.below(8), dice.pick(BODIES)) for _ in range(1 + dice.below(4))]
        objects = [(agent, f'{{"agent_id":{agent},"steps":{body}}}') for agent, body in listed]
        wrapped = ",".join(body for _, body in objects)
        yield dice.pick(((f"{{{text}}}", whole), (f'so:\n{{"plans": {{{text}}}}}', whole), (f"[{wrapped}", objects)))


def scanner() -> None:
    """Every reply gives the first whole plan of each agent asked, whatever stands beside it."""
    for text, plans in _replies():
        first: dict[int, str] = {}
        for agent, body in plans:
            if agent in SLOTS.values():
                first.setdefault(agent, body)
        fast = SlotScanner(SLOTS)
        assert [tuple(slot) for slot in fast.feed(text) + fast.close()] == list(first.items()), text


def streamed() -> None:
    """Fed one character at a time, braces, quotes and escapes inside of strings mean nothing."""
    for blank in range(0, 64, 3):
        text = f'{{"a1":["]{"x" * blank}\\"]","}}"],"a2":{{"x":"\\\\"}}}}'
        whole = SlotScanner(SLOTS).feed(text)
        assert [slot.agent for slot in whole] == [101, 102]
        fed = SlotScanner(SLOTS)
        assert [slot for char in text for slot in fed.feed(char)] + fed.close() == whole


def breaker() -> None:
    """A breaker opens after failures in a row, probes after the recovery time, and closes when the probe succeeds."""
    test_resilience.test_a_breaker_opens_after_failures_in_a_row_only()
    test_resilience.test_a_breaker_tells_its_changes_once()


def served() -> None:
    """Whatever somebody else's planner does, everyone asked, and nobody else, has one legal plan."""
    for spoil in (test_orchestrator._misuse, test_orchestrator._other_keys, test_orchestrator._shorter):
        tiers = test_orchestrator.walk(test_orchestrator.Broken(spoil), Heuristic())
        asked = test_orchestrator.villagers(3)
        test_orchestrator.assert_one_legal_plan_each(test_orchestrator.plan(None, asked, MARKET, tiers), asked)
    test_orchestrator.test_an_emergency_tier_of_ones_own_cannot_leave_anyone_without(test_orchestrator._misuse)


def retried() -> None:
    """A call is made again after a fault that may pass, a bounded number of times, and after no other."""
    test_resilience.test_a_passing_fault_is_tried_again("transport")
    test_resilience.test_tries_are_bounded()
    test_resilience.test_a_hopeless_call_is_not_repeated(test_resilience.fault(status=404))


def in_rounds() -> None:
    """Agents are asked in rounds and bridged between them; refusals back off, and an invalidation goes first."""
    test_rounds.test_the_first_round_asks_everybody_and_later_ones_fall_on_tick_numbers()
    test_rounds.test_between_rounds_other_tiers_bridge_at_once_and_the_record_says_so()
    test_rounds.test_a_bridge_is_kept_where_no_model_gives_a_plan()
    test_rounds.test_a_plan_of_a_model_ends_a_bridge_at_any_step()
    test_rounds.test_refusals_in_a_row_back_off_to_eight_rounds_and_no_further()
    test_rounds.test_a_refused_plan_of_a_model_is_bridged_at_once_and_backs_off()
    test_rounds.test_an_invalidation_ends_the_waiting_and_goes_first()


def thinking() -> None:
    """A plan takes effect in its tick, unless its ask was voided; a fork with other planners voids what is open."""
    test_thinking.test_a_plan_takes_effect_think_ticks_after_its_round()
    test_thinking.test_whatever_invalidates_a_plan_voids_its_open_ask()
    test_thinking.test_a_plan_asked_for_ahead_waits_for_the_end_of_the_current_one()
    test_thinking.test_a_plan_that_is_not_legal_any_more_is_refused_when_it_starts()
    test_thinking.test_a_restored_world_has_lost_its_open_asks()
    asked.recorded.cache_clear()
    try:
        asked.test_a_changed_fork_voids_what_is_open.hypothesis.inner_test((2, 5), 9, {"client": asked.Delayed()})
        asked.test_neither_order_nor_delay_of_replies_changes_a_run.hypothesis.inner_test((2, 3), (0, 4), (3, 0))
    finally:
        asked.recorded.cache_clear()


def heard() -> None:
    """A listener hears of a run and cannot end it."""
    listener = type("Rude", (), {"on_tick": staticmethod(_raise), "on_plan": staticmethod(_raise)})()
    with test_listeners.simulation(listener) as run:
        run.run(2)


def _raise(*_: object) -> None:
    raise AssertionError("a listener ended the run")


PROMISES: dict[str, Callable[[], None]] = {
    "births": births,
    "breaker": breaker,
    "codes": codes,
    "declared": declared,
    "draws": draws,
    "entered": test_replay_file.test_a_run_that_is_another_is_not_entered,
    "heard": heard,
    "in_rounds": in_rounds,
    "keyframes": test_keyframes.test_tampered_keyframes_are_no_match,
    "killed": killed_writers,
    "known": known,
    "legal": legal,
    "moved": moved_lines,
    "parts": _examined("parts"),
    "parsed": parsed,
    "recorded": recordings,
    "reference": slow_reference,
    "restored": _examined("restore"),
    "resources": resources,
    "resumed": resumed_runs,
    "retried": retried,
    "rules": ruled,
    "scanner": scanner,
    "served": served,
    "spawning": _examined("spawning"),
    "steps": steps,
    "streamed": streamed,
    "tampered": tampering,
    "texts": texts,
    "thinking": thinking,
}
"""Every promise by name."""
