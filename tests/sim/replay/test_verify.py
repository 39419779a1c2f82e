"""Verifying replays: what matches, what is proven to differ and how it is named, and what cannot be judged."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest

from ai.clients.scripted import ScriptedClient
from ai.planners import heuristic
from ai.testing import FailingLlm
from scenarios.tactics.actions import default_registry, discover
from scenarios.tactics.actions.base import (
    Action,
    Turn,
)
from scenarios.tactics.actions.movement import MoveTo
from scenarios.tactics.actions.offensive import Attack
from scenarios.tactics.systems.perception import Perception
from sim.engine.rng import Rng
from sim.engine.world import World
from sim.errors import ReplayError
from sim.replay import read, rerecord, verify
from sim.replay.format import canonical, digest
from sim.replay.record import run_digest
from sim.run.actions import Args, Rows
from tests.sim.replay.recordings import SCENARIO, SCRIPT, TICKS, model, record, rules, scenario
from tests.support.recording import rechain

Detail = Literal["hash", "full"]


def altered(replay: bytes, line: int, change: Callable[[dict[str, Any]], object]) -> bytes:
    """Return a replay with the body of one line changed and the chain computed again."""
    lines = replay.splitlines(keepends=True)
    whole = json.loads(lines[line])
    change(whole["v"])
    lines[line] = b'{"c":"%s","k":"%s","v":%s}\n' % (whole["c"].encode(), whole["k"].encode(), canonical(whole["v"]))
    return b"".join(rechain(lines))


def line_with(replay: bytes, key: str) -> int:
    """Return the number of the first tick's line that has a key."""
    return next(tick.t + 1 for tick in read(replay).ticks if key in tick.data())


@pytest.mark.parametrize("detail", ["hash", "full"])
@pytest.mark.parametrize("make", [rules, model])
def test_recording_matches_and_is_recorded_again_to_the_byte(make: Callable[[Detail], bytes], detail: Detail) -> None:
    """A recording matches, and re-recording it gives the same bytes."""
    verdict = verify(make(detail))
    assert (verdict.verdict, verdict.ticks, verdict.first, verdict.reason) == ("match", TICKS, None, "")
    assert verdict.exit_code == 0
    assert rerecord(read(make(detail))) == make(detail)


def test_failing_model_is_replayed_without_it() -> None:
    """A run in which every model reply was useless matches too: its attempts come from the record."""
    replay = record(scenario(), client=FailingLlm())
    assert verify(replay).verdict == "match"
    assert {attempt.tier for tick in read(replay).ticks for attempt in tick.attempts} == {"simplified_llm", "full_llm"}


def test_model_run_is_verified_without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verifying what a model planned opens no socket and starts no event loop."""
    replay = model()

    def forbidden(*args: object, **kwargs: object) -> None:
        raise AssertionError("a replay must not open a socket")

    monkeypatch.setattr(socket, "socket", forbidden)
    monkeypatch.setattr("asyncio.new_event_loop", forbidden)
    assert verify(replay).verdict == "match"


def test_progress_is_told() -> None:
    """Whoever shows progress hears of every proven tick."""
    told: list[tuple[int, int]] = []
    verify(rules(), progress=lambda done, planned: told.append((done, planned)))
    assert told == [(tick + 1, TICKS) for tick in range(TICKS)]


def test_path_and_missing_file(tmp_path: Path) -> None:
    """A path is verified like bytes; a missing file is an error, not a verdict."""
    path = tmp_path / "a.replay.jsonl"
    path.write_bytes(rules())
    assert verify(path) == verify(rules())
    with pytest.raises(ReplayError, match="no such file"):
        verify(tmp_path / "b.replay.jsonl")


def test_decided_run_matches() -> None:
    """A run that was decided before its last planned tick is complete."""
    lonely = [{**team, "squads": [{**team["squads"][0], "count": 1}]} for team in SCENARIO["teams"]]
    weak = {"rifle": {"hp": 5, "accuracy": 1000, "reach": 12, "sight": 14}}
    replay = record(scenario(archetypes=weak, teams=lonely, inputs=[], ticks=400), ticks=400)
    end = read(replay).end
    assert end is not None
    assert end.outcome
    assert end.ticks < 400
    assert verify(replay).verdict == "match"


# -- divergence --------------------------------------------------------------------------------------------------------


def harm_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plant a bug: attacks hurt more than when the replay was recorded."""
    monkeypatch.setattr(Attack, "damage", Attack.damage + 1)


def test_changed_effect_is_named_by_column(monkeypatch: pytest.MonkeyPatch) -> None:
    """At detail `hash` a changed effect is named by tick, component and column, and what would name more is said."""
    hurt = next(tick.t for tick in read(rules("full")).ticks if "Health.hp" in tick.changes)
    replay = rules()
    harm_more(monkeypatch)
    verdict = verify(replay)
    assert (verdict.verdict, verdict.exit_code, verdict.ticks) == ("diverged", 1, hurt)
    first = verdict.first
    assert first is not None
    assert (first.tick, first.component, first.field, first.cause) == (hurt, "Health", "hp", "effect")
    assert first.phase is first.key is None
    assert len(first.expected) == len(first.actual) == 6
    assert "--detail full" in verdict.reason


def test_changed_effect_is_named_by_agent_and_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """At detail `full` the same bug is named by phase, agent and both values."""
    replay = rules("full")
    tick = next(tick for tick in read(replay).ticks if "Health.hp" in tick.changes)
    health = tick.changes["Health.hp"]
    harm_more(monkeypatch)
    first = verify(replay).first
    assert first is not None
    assert isinstance(health.values[0], int)
    named = {
        name: getattr(first, name)
        for name in ("tick", "phase", "component", "key", "field", "expected", "actual", "cause")
    }
    assert named == {
        "tick": tick.t,
        "phase": "combat",
        "component": "Health",
        "key": health.keys[0],
        "field": "hp",
        "expected": health.values[0],
        "actual": health.values[0] - 1,
        "cause": "effect",
    }


def test_missing_change_is_told_with_the_value_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one side left a value as it was, that value is told."""
    replay = rules("full")

    def miss(_cls: object, turn: Turn, rows: Rows, args: Args) -> None:
        """Shoot at nobody."""

    monkeypatch.setattr(Attack, "apply", classmethod(miss))
    first = verify(replay).first
    assert first is not None
    assert (first.phase, first.component, first.field) == ("execution", "Ammo", "rounds")
    assert first.actual == first.expected + 1


def test_changed_draws_are_named_by_purpose(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that draws more often than it did is a random cause."""
    replay = rules()
    below = Rng.below

    def twice(self: Rng, keys: Any, tick: int, purpose: Any, limit: int) -> Any:
        below(self, keys, tick, purpose, limit)
        return below(self, keys, tick, purpose, limit)

    monkeypatch.setattr(Rng, "below", twice)
    first = verify(replay).first
    assert first is not None
    assert (first.cause, first.field) == ("random", "draws.hit")
    assert (first.expected, first.actual) == (1, 2)


def test_changed_perception_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Agents that know something else before planning are a difference of perception."""
    replay = rules()
    process = Perception.process

    def blind(self: Perception, world: World, run: Any) -> None:
        process(self, world, run)
        if run.batch is not None:
            run.batch.me.hp[:] = 1

    monkeypatch.setattr(Perception, "process", blind)
    first = verify(replay).first
    assert first is not None
    assert (first.tick, first.phase, first.cause) == (0, "perception", "perception")


@pytest.mark.parametrize("detail", ["hash", "full"])
def test_changed_rules_are_a_planner_cause(monkeypatch: pytest.MonkeyPatch, detail: Detail) -> None:
    """Rules that plan otherwise are named as the planner; at detail `full` with agent and steps."""
    replay = rules(detail)

    def scan(rules: Any, batch: Any) -> Any:
        plans = plans_by_rules(rules, batch)
        plans.args[0, 0, 0] = 3
        plans.kind[0, 0] = default_registry().code("Scan")
        plans.args[0, 1:, 0] = -(2**31)
        return plans

    plans_by_rules = heuristic.plans_by_rules
    monkeypatch.setattr(heuristic, "plans_by_rules", scan)
    first = verify(replay).first
    assert first is not None
    assert (first.tick, first.cause) == (0, "planner")
    if detail == "full":
        assert (first.phase, first.component, first.key) == ("planning", "ActionSteps", 0)
    else:
        assert (first.phase, first.field, first.key) == ("planning", "plan", None)


@pytest.mark.parametrize(
    ("error", "cause", "told"),
    [
        (ZeroDivisionError("planted"), "effect", "ZeroDivisionError: planted"),
        (MemoryError(), "environment", "out of memory"),
        (OSError(24, "Too many open files"), "environment", "Too many open files"),
    ],
)
def test_a_tick_that_cannot_be_made_again_proves_nothing(
    error: Exception, cause: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code that fails, or a machine in trouble, compares nothing: a sentence without a traceback, and exit code 2."""
    replay = rules()

    def broken(*args: object) -> None:
        raise error

    monkeypatch.setattr(MoveTo, "onward", broken)
    verdict = verify(replay)
    assert (verdict.verdict, verdict.exit_code, verdict.cause) == ("inconclusive", 2, cause)
    assert told in verdict.reason
    assert "diverge" not in verdict.reason


# -- altered records with a whole chain --------------------------------------------------------------------------------


def test_altered_step_is_named() -> None:
    """Another plan in the text of a model tier is a difference of planning in that very tick."""
    line = line_with(model(), "texts")

    def change(body: dict[str, Any]) -> None:
        key = next(iter(body["texts"]))
        body["texts"][key] = '{"steps":[{"act":"Wait","duration":5}]}'

    first = verify(altered(model(), line, change)).first
    assert first is not None
    assert (first.tick, first.phase, first.cause) == (line - 1, "planning", "planner")


def test_unreadable_and_missing_texts_are_differences() -> None:
    """A text that is not a plan, or is not there, is a difference that names the agent, never a traceback."""
    line = line_with(model(), "texts")
    key = next(iter(read(model()).ticks[line - 1].texts))
    for change in (
        lambda body: body["texts"].update({key: "no plan"}),
        lambda body: body["texts"].update({key: '{"steps":[{"act":"Attack","target_id":12345}]}'}),
        lambda body: body["texts"].pop(key),
    ):
        first = verify(altered(model(), line, change)).first
        assert first is not None
        assert (first.tick, first.key, first.phase) == (line - 1, int(key), "planning")


def test_text_of_the_same_plan_is_still_a_difference() -> None:
    """Spaces in a reply change no plan, yet the record no longer agrees with itself."""
    line = line_with(model(), "texts")
    key = next(iter(read(model()).ticks[line - 1].texts))

    def change(body: dict[str, Any]) -> None:
        body["texts"][key] += " "

    first = verify(altered(model(), line, change)).first
    assert first is not None
    assert (first.cause, first.field) == ("file", "heard")


def test_missing_timed_input_is_named() -> None:
    """An input that the scenario has for a tick must be in its record."""
    line = line_with(rules(), "inputs")
    first = verify(altered(rules(), line, lambda body: body.pop("inputs"))).first
    assert first is not None
    assert (first.tick, first.cause, first.field) == (line - 1, "inputs", "inputs")
    assert first.expected["kind"] == "order"


def test_altered_tier_is_named_by_agent() -> None:
    """An agent that stands under another tier than the one that planned for it is named."""
    line = line_with(rules(), "planned")

    def change(body: dict[str, Any]) -> None:
        body["planned"] = {"emergency": body["planned"]["heuristic"]}

    first = verify(altered(rules(), line, change)).first
    assert first is not None
    assert (first.cause, first.field, first.expected, first.actual) == (
        "planner", "planned", "emergency", "heuristic",
    )  # fmt: skip
    assert first.key is not None


def test_altered_end_is_named() -> None:
    """An end record that does not sum up its ticks is a difference."""
    for change in (
        lambda body: body.update(root="0" * 16),
        lambda body: body.update(outcome="red wins"),
        lambda body: body["plans"].update(heuristic=1),
        lambda body: body.update(reason="interrupted"),
    ):
        verdict = verify(altered(rules(), TICKS + 1, change))
        assert verdict.verdict == "diverged"
        assert verdict.first is not None
        assert verdict.first.tick is None
        assert str(verdict.first.field).startswith("end.")


# -- what cannot be judged ---------------------------------------------------------------------------------------------


def test_prefix_is_proven_but_inconclusive() -> None:
    """The whole ticks of an incomplete replay are proven, and nothing is said about the rest."""
    lines = rules().splitlines(keepends=True)
    verdict = verify(b"".join(lines[:6]))
    assert (verdict.verdict, verdict.ticks, verdict.exit_code, verdict.first) == ("inconclusive", 5, 2, None)
    assert "without an end record" in verdict.reason


def test_corrupt_line_is_inconclusive_and_named() -> None:
    """What stands before a damaged line is proven; the line and the reason are told."""
    lines = rules().splitlines(keepends=True)
    verdict = verify(b"".join([*lines[:4], lines[5], *lines[6:]]))
    assert (verdict.verdict, verdict.ticks) == ("inconclusive", 3)
    assert verdict.reason.startswith("line 5: the chain is broken")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda body: body.update(seed=2), "scenario and seed"),
        (lambda body: body["scenario"].update(description="Another"), "scenario and seed"),
        (lambda body: body.update(run="0" * 16), "scenario and seed"),
        (
            lambda body: body["registry"].update(digest="0" * 16),
            "which of them are offered, or the idle step, has changed",
        ),
        (lambda body: body["registry"]["kinds"].append("Dance"), "without Dance"),
        (lambda body: body["registry"]["kinds"].remove("Scan"), "with Scan"),
        (lambda body: body.update(determinism="exact"), "determinism"),
        (lambda body: body["tiers"].reverse(), "tiers are in another order"),
        (lambda body: body["columns"].append("Fuel.left"), r"columns are others \(Fuel.left\)"),
        (lambda body: body["components"].remove("Health"), r"components are others \(Health\)"),
        (lambda body: body["declarations"]["inputs"].pop("kill"), r"declared otherwise .*: inputs.kill is new here"),
        (lambda body: body["declarations"].update(moons=[1]), r"declared otherwise .*: moons is None, not \[1\]"),
        (
            lambda body: body["declarations"]["world"]["components"][0]["columns"][1].update(dtype="int64"),
            "declared otherwise .*: Position.y: dtype is int64 in the recording and int32 here",
        ),
        (
            lambda body: body["declarations"]["world"]["components"][0]["columns"].pop(0),
            r"declared otherwise .*: column Position.x is only here",
        ),
        (lambda body: body["declarations"].update(world=5), "the declarations in the header have another form"),
        (lambda body: body["declarations"].update(world={"components": [5]}), "have another form"),
        (lambda body: body["declarations"].update(world={"components": [{"name": [1]}]}), "have another form"),
        (lambda body: body["declarations"]["world"]["components"].reverse(), r"component \w+ is at another position"),
        (lambda body: body.update(format="tickweave/1"), "tickweave/2"),
    ],
)
def test_header_of_another_run_is_inconclusive(change: Callable[[dict[str, Any]], object], words: str) -> None:
    """A header that contradicts itself or what runs here proves nothing, and says why."""
    verdict = verify(altered(rules(), 0, change))
    assert (verdict.verdict, verdict.ticks, verdict.exit_code) == ("inconclusive", 0, 2)
    assert re.search(words, verdict.reason), verdict.reason


def test_invalid_scenario_is_inconclusive() -> None:
    """A scenario that this version does not take is told in one sentence."""

    def change(body: dict[str, Any]) -> None:
        body["scenario"]["planning"]["tiers"] = ["guesswork"]
        body["run"] = run_digest(body["scenario"], body["seed"])

    verdict = verify(altered(rules(), 0, change))
    assert verdict.verdict == "inconclusive"
    assert "guesswork" in verdict.reason


def test_environment_does_not_matter_to_portable_runs() -> None:
    """A portable replay is judged wherever it was recorded."""
    assert verify(altered(rules(), 0, lambda body: body["env"].update(arch="vax", numpy="0.1"))).verdict == "match"


def test_exact_runs_are_judged_only_where_they_were_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exact replay from another environment is inconclusive; from this one it is judged."""
    monkeypatch.setattr(World, "domain", "exact")
    replay = record(scenario())
    assert verify(replay).verdict == "match"
    verdict = verify(altered(replay, 0, lambda body: body["env"].update(arch="vax", numpy="0.1")))
    assert verdict.verdict == "inconclusive"
    assert "arch, numpy" in verdict.reason


def test_half_characters_in_replies_do_not_break_a_replay() -> None:
    """A reply with half a surrogate pair in it is recorded, read and verified."""
    text = '{"steps":[{"act":"Wait","duration":1}],"note":"\ud83d"}'
    client = ScriptedClient([{"agent": "*", "text": text}, *SCRIPT[2:3]])
    replay = record(scenario(), client=client)
    assert "\ufffd" in next(iter(read(replay).ticks[0].texts.values()))
    assert verify(replay).verdict == "match"


class Rally(Action):
    """Take a breath."""

    act: Literal["Rally"] = "Rally"


def test_a_verb_added_since_is_inconclusive_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verbs have codes by their place in the registry, so a run with another registry is another run."""
    recording = rules()
    monkeypatch.setattr("scenarios.tactics.actions.discover", lambda: (*discover(), Rally))
    assert "Rally" in default_registry()
    verdict = verify(recording)
    assert (verdict.verdict, verdict.ticks, verdict.exit_code, verdict.cause) == ("inconclusive", 0, 2, "environment")
    assert verdict.reason == "the verbs here are not those of the recording: with Rally"


def test_other_code_alone_does_not_matter() -> None:
    """A replay of a domain whose source has changed is judged by what it comes to."""
    assert verify(altered(rules(), 0, lambda body: body.update(source="0" * 16))).verdict == "match"


def test_a_sentence_that_is_worded_otherwise_is_no_difference() -> None:
    """Sentences for people may change from version to version; the facts that they are about may not."""
    replay = rules()
    line = line_with(replay, "refused")

    def reworded(body: dict[str, Any]) -> None:
        for each in [*body["refused"], *body.get("attempts", ())]:
            each["why" if "why" in each else "error"] = "it was said so once"
        names = {"inputs": [], "refused": [], "attempts": [], "texts": {}, "shards": [], "usage": None, "model": {}}
        body["heard"] = digest([body.get(name, default) for name, default in names.items()])

    assert verify(altered(replay, line, reworded)).verdict == "match"
    # Whoever changes the words alone has not written the record.
    careless = verify(altered(replay, line, lambda body: body["refused"][0].update(why="otherwise")))
    assert (careless.verdict, careless.cause) == ("diverged", "file")
    moved = verify(altered(replay, line, lambda body: body["refused"][0].update(at=body["refused"][0]["at"] + 1)))
    assert (moved.verdict, moved.cause) == ("diverged", "inputs")
