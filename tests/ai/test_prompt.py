"""Prompts: what a model is told is what the parser accepts, byte for byte the same for the same knowledge."""

import json
import re
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import create_model

from ai.actions import COMMON_KINDS, ActionStep, Cell, CellX, CellY, EnemyId, Seconds, ToolRegistry
from ai.encodings import NAMED
from ai.encodings.base import PLAN_STEPS_MAX, Offers
from ai.knowledge import POIS_MAX, TEXT_CHARS_MAX
from ai.parse import parse_plan, parse_reply
from ai.prompt import Asking, Detail, example_plans, slots_of, system_message
from ai.roles import ROLES
from ai.snapshot import AgentId, SharedMap, SnapshotBatch, WorldSnapshot


def user_message(batch: SnapshotBatch) -> str:
    return Asking(batch, REGISTRY).user


def kind(name: str, **fields: object) -> type[ActionStep]:
    made = {field: (annotation, ...) for field, annotation in fields.items()}
    return create_model(name, __base__=ActionStep, __doc__=f"Do {name}.", act=(Literal[name], name), **made)  # type: ignore[call-overload]


class Attack(ActionStep):
    """Shoot at an enemy."""

    cooldown_s = 1.5
    cost = "ammo"
    act: Literal["Attack"] = "Attack"
    target_id: EnemyId


class Heal(ActionStep):
    """Heal someone or yourself."""

    act: Literal["Heal"] = "Heal"
    target_id: EnemyId
    duration: Seconds | None = None


class TakeCover(ActionStep):
    """Go behind cover."""

    act: Literal["TakeCover"] = "TakeCover"
    position: Cell | None = None


REGISTRY = ToolRegistry([Attack, Heal, TakeCover, kind("MoveTo", x=CellX, y=CellY), kind("Reload")])


def snapshot(x: int, *, enemies: tuple[int, ...] = (), **fields: Any) -> WorldSnapshot:
    return WorldSnapshot.model_validate(
        {
            "me": {"pos": {"x": x, "y": 2}, "cooldowns": {"scan": 1.2, "attack": 0.0}},
            "enemies": [{"id": key, "pos": {"x": x + 5, "y": 3}} for key in enemies],
            "bounds": {"width": 64, "height": 48},
            **fields,
        }
    )


AGENTS = [(AgentId(key), snapshot(key, enemies=(key + 50,), objective="hold the gate")) for key in (3, 12, 40)]
BATCH = SnapshotBatch.from_snapshots(AGENTS)


def verbs(system: str) -> list[str]:
    section = system.partition("\nVerbs:\n")[2].partition("\nExample:\n")[0]
    return [line.partition("(")[0] for line in section.splitlines()]


def example(system: str) -> str:
    return system.partition("\nExample:\n")[2]


def walk(node: object) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from walk(child)


@pytest.mark.parametrize("detail", list(Detail))
@pytest.mark.parametrize("registry", [REGISTRY, REGISTRY.offering(COMMON_KINDS), REGISTRY.offering(["Attack"])])
def test_the_prompt_advertises_exactly_the_verbs_the_parser_accepts(registry: ToolRegistry, *, detail: Detail) -> None:
    """Every verb in the prompt is accepted by the parser's registry and every accepted verb is in the prompt."""
    assert verbs(system_message(registry, detail=detail)) == list(registry.names)


@pytest.mark.parametrize("detail", list(Detail))
def test_the_example_is_a_reply_that_parses(*, detail: Detail) -> None:
    """The example in the prompt is minified and each of its plans passes the parser; a bare prompt has none."""
    text = example(system_message(REGISTRY, detail=detail))
    if detail is Detail.BARE:
        assert text == ""
        return
    assert text == json.dumps(json.loads(text), separators=(",", ":"))
    reply = parse_reply(text, {"a1": 1, "a2": 2, "a3": 3}, REGISTRY)
    assert len(reply.plans) == (3 if detail is Detail.FULL else 1)
    assert reply.errors == {}


def test_examples_need_no_target_and_only_offered_verbs() -> None:
    """Examples hold no target that a model could copy, and a registry without such verbs gets no example."""
    plans = example_plans(REGISTRY)
    assert {step.act for plan in plans for step in plan} == {"MoveTo", "Reload", "Scan", "TakeCover", "Wait"}
    assert all(NAMED.parse(NAMED.write(plan, REGISTRY), REGISTRY) == tuple(plan) for plan in plans)
    assert "Example" not in system_message(REGISTRY.offering(["Attack"]))


def test_the_full_prompt_names_cooldowns_and_costs() -> None:
    """The full tier's catalogue shows ranges, choices, cooldown and cost; the compact one leaves the last two out."""
    assert "Attack(target_id enemy id): Shoot at an enemy. Cooldown 1.5 s. Costs ammo." in system_message(
        REGISTRY, detail=Detail.FULL
    )
    assert "Attack(target_id enemy id): Shoot at an enemy.\n" in system_message(REGISTRY)
    assert "Heal(target_id enemy id, duration? 0.1..600): Heal someone or yourself." in system_message(REGISTRY)


def test_nested_arguments_are_shown_and_constrained_as_a_reply_writes_them() -> None:
    """An optional cell is one nullable object in the schema and one braced argument in the catalogue."""
    assert "TakeCover(position? {x cell, y cell}): Go behind cover." in system_message(REGISTRY)
    schema = NAMED.schema(Offers.of(BATCH, REGISTRY))
    kinds = [node["properties"] for node in walk(schema) if "act" in node.get("properties", ())]
    position = next(fields["position"] for fields in kinds if fields["act"]["enum"] == ["TakeCover"])
    assert position["anyOf"][0]["required"] == ["x", "y"]
    assert position["anyOf"][1] == {"type": "null"}
    assert parse_plan('[{"act":"TakeCover","position":null}]', REGISTRY) == (TakeCover(),)


def test_the_prompt_does_not_depend_on_the_order_of_agents() -> None:
    """The same agents in any order give the same bytes, in slots that follow the keys."""
    prompt = Asking(BATCH, REGISTRY).prompt()
    assert Asking(SnapshotBatch.from_snapshots(AGENTS[::-1]), REGISTRY).prompt() == prompt
    assert json.dumps(prompt.schema) == json.dumps(Asking(BATCH, REGISTRY).prompt().schema)
    assert slots_of(BATCH.keys) == {"a1": 3, "a2": 12, "a3": 40}


def test_the_system_message_is_the_same_over_ticks_and_shards() -> None:
    """Nothing that changes from tick to tick or shard to shard stands in the system message, so it stays cached."""
    prompts = [Asking(batch, REGISTRY).prompt() for batch in (BATCH, BATCH.take(slice(1, 2)))]
    later = SnapshotBatch(keys=np.array([5], np.int64), tick=977, ticks_per_second=30, role=np.array([2], np.int32))
    prompts.append(Asking(later, REGISTRY).prompt())
    assert len({prompt.system for prompt in prompts}) == 1
    assert "977" not in prompts[2].user
    assert Asking(SnapshotBatch(keys=later.keys, tick=1, role=later.role), REGISTRY).prompt().user == prompts[2].user


def test_what_all_agents_know_is_said_once() -> None:
    """Map, places and texts stand before the rows, once each, sorted and bounded; rows refer to texts by number."""
    places = [{"k": f"p{n:02}", "pos": {"x": n, "y": 0}} for n in range(20)]
    agents = [
        (AgentId(key), snapshot(key, pois=places[::-1], objective="hold", orders=['say "go"\nnow', "x" * 900]))
        for key in (1, 2)
    ]
    text = user_message(SnapshotBatch.from_snapshots(agents))
    head, _, rows = text.partition("Agents:\n")
    assert head.startswith('Map: 64x48 cells, x 0..63, y 0..47\nPlaces: "p00"@0,0 "p01"@1,0')
    assert head.count("@") == POIS_MAX
    assert 'Text 1: "hold"\nText 2: "say \\"go\\"\\nnow"\n' in head
    assert "objective 1 order 2" in head
    assert "hold" not in rows
    long = SnapshotBatch(
        keys=np.array([1], np.int64), objective=np.array([0], np.int32), texts=("~" * 900,), map=SharedMap(9, 9)
    )
    assert user_message(long).count("~") == TEXT_CHARS_MAX


def test_a_row_holds_what_its_agent_knows_and_no_more() -> None:
    """A row names the agent's own enemies and allies, and no float."""
    agents = [
        (AgentId(1), snapshot(1, enemies=(51,), allies=[{"id": 2, "pos": {"x": 2, "y": 2}, "hp": 90}])),
        (AgentId(2), snapshot(2, player={"id": 9, "pos": {"x": 4, "y": 4}, "hp": 80})),
    ]
    first, second = user_message(SnapshotBatch.from_snapshots(agents)).partition("Agents:\n")[2].splitlines()[:2]
    assert first.endswith("enemies 51@6,3 hp 100 allies 2@2,2 hp 90")
    assert "51" not in second
    assert second.endswith("leader 9@4,4 hp 80 enemies none allies none")
    assert not re.search(r"\d\.\d", first + second)


def test_whom_several_rows_name_is_described_once() -> None:
    """An enemy that two agents see stands before the rows, once; where they know different things, in each row."""
    same = [(AgentId(key), snapshot(1, enemies=(51,))) for key in (1, 2)]
    head, _, rows = user_message(SnapshotBatch.from_snapshots(same)).partition("Agents:\n")
    assert "\nKnown to several: 51@6,3 hp 100\n" in head
    assert rows.count("enemies 51 allies none") == 2
    other = [(AgentId(key), snapshot(key, enemies=(51,))) for key in (1, 2)]
    text = user_message(SnapshotBatch.from_snapshots(other))
    assert "Known" not in text
    assert "enemies 51@6,3" in text
    assert "enemies 51@7,3" in text


def test_array_and_object_forms_of_a_batch_give_the_same_rows() -> None:
    """A batch made of arrays alone is described like the one made of snapshots, with cooldowns in ticks rounded up."""
    batch = SnapshotBatch(
        keys=np.array([7], np.int64),
        ready=np.array([[11, 0]], np.int32),
        cooldown_names=("scan", "attack"),
        map=SharedMap(width=64, height=48),
    )
    assert "cooldown scan 2s enemies none" in user_message(batch)


def test_a_role_is_told_once_and_named_in_each_row() -> None:
    """The texts of the roles that occur stand before the rows, once, and of no other; who has none is told none."""
    me = {"pos": {"x": 1, "y": 2}}
    given = {1: "support", 2: "stealth", 3: "support", 4: None}
    agents = [
        (AgentId(key), snapshot(key, me=me if role is None else {**me, "role": role})) for key, role in given.items()
    ]
    head, _, rows = user_message(SnapshotBatch.from_snapshots(agents)).partition("Agents:\n")
    assert [line for line in head.splitlines() if line.startswith("Role")] == [
        f"Role stealth: {ROLES['stealth']}",
        f"Role support: {ROLES['support']}",
    ]
    assert (rows.count("role support"), rows.count("role stealth"), rows.count("role ")) == (2, 1, 3)


def test_a_leader_who_does_not_stand_is_said_to_crouch_or_lie() -> None:
    """That it stands goes without saying."""
    for stance, said in (
        ("stand", "hp 80 enemies"),
        ("crouch", "hp 80 crouch enemies"),
        ("prone", "hp 80 prone enemies"),
    ):
        leader = {"id": 9, "pos": {"x": 4, "y": 4}, "hp": 80, "stance": stance}
        text = user_message(SnapshotBatch.from_snapshots([(AgentId(1), snapshot(1, player=leader))]))
        assert f"leader 9@4,4 {said}" in text


def test_a_squad_shares_what_is_said_of_its_leader() -> None:
    """Every row names its squad; the leader whom several follow is described once, one that rows differ on in each."""

    def follower(key: int, squad: int, *, leader_x: int = 4) -> tuple[AgentId, WorldSnapshot]:
        me = {"pos": {"x": key, "y": 2}, "squad": squad}
        return AgentId(key), snapshot(key, me=me, player={"id": 9, "pos": {"x": leader_x, "y": 4}, "hp": 80})

    head, _, rows = user_message(SnapshotBatch.from_snapshots([follower(1, 0), follower(2, 0)])).partition("Agents:\n")
    assert "\nSquads: 0 led by 9@4,4 hp 80\n" in head
    assert "squad 0" in head.splitlines()[-1]
    assert "leader" not in rows
    text = user_message(SnapshotBatch.from_snapshots([follower(1, 0), follower(2, 0, leader_x=5)]))
    assert "led by" not in text
    assert text.count("leader 9@") == 2


def test_what_most_agents_say_of_themselves_is_said_once() -> None:
    """Rows tell only what differs from the most usual words, and only where everybody has some for it."""
    hp = {1: 100, 2: 90, 3: 100, 4: 100}
    agents = [
        (AgentId(key), snapshot(key, me={"pos": {"x": key, "y": 2}, "hp": value, "smokes": key % 2}))
        for key, value in hp.items()
    ]
    head, _, rows = user_message(SnapshotBatch.from_snapshots(agents)).partition("Agents:\n")
    usual = "hp 100/100 ammo 10+90 morale 100 cover none medkits 1"
    assert head.endswith(f"Unless a row says otherwise, each agent: {usual}\n")
    assert [line.partition(" enemies")[0] for line in rows.splitlines()[:4]] == [
        "a1 1@1,2 smokes 1", "a2 2@2,2 hp 90/100", "a3 3@3,2 smokes 1", "a4 4@4,2"
    ]  # fmt: skip


def test_the_most_usual_state_of_those_seen_is_said_once() -> None:
    """Of whom several rows name, those in the most usual state are named by place alone, and nobody else."""
    seen = [{"id": key, "pos": {"x": key, "y": 9}, "hp": 40 if key == 52 else 75} for key in (51, 52, 53)]
    agents = [(AgentId(key), snapshot(1, allies=seen)) for key in (1, 2)]
    text = user_message(SnapshotBatch.from_snapshots(agents))
    assert "\nKnown to several, hp 75 unless said: 51@51,9;52@52,9 hp 40;53@53,9\n" in text


PART = re.compile(
    r"(hp|ammo|morale|cover|smokes|explosives|medkits|goal|objective|order|role|squad|cooldown \w+) (\S+)"
)


def parts(text: str) -> list[dict[str, str]]:
    """Return what each row says of its agent, as a reader puts it together."""
    head, _, rows = text.partition("\nAgents:\n")
    texts = dict(re.findall(r"^Text (\d+): (.*)$", head, re.MULTILINE))
    common = dict(PART.findall(head.partition("each agent: ")[2]))
    told = [common | dict(PART.findall(row.partition(" enemies ")[0])) for row in rows.splitlines()[:-1]]
    for each in told:
        each.update({name: texts[each[name]] for name in ("objective", "order") if name in each})
    return told


few = st.integers(0, 2)
members = st.fixed_dictionaries(
    {
        "pos": st.fixed_dictionaries({"x": st.integers(0, 9), "y": few}),
        "hp": st.sampled_from([40, 100]),
        "ammo": few,
        "morale": st.sampled_from([30, 100]),
        "smokes": few,
        "medkits": few,
        "cooldowns": st.dictionaries(st.sampled_from(["scan", "attack"]), st.integers(0, 2)),
        "squad": st.none() | few,
        "role": st.none() | st.sampled_from(sorted(ROLES)),
    }
)


@given(st.lists(st.tuples(members, st.sampled_from([None, "hold", "go"])), min_size=1, max_size=6))
def test_a_reader_learns_the_same_of_an_agent_among_others_as_of_it_alone(drawn: list[tuple[Any, str | None]]) -> None:
    """What is said once and what a row adds come to exactly what the agent's row says when it is asked alone."""
    agents = [(AgentId(key), snapshot(1, me=me, objective=text)) for key, (me, text) in enumerate(drawn)]
    together = parts(user_message(SnapshotBatch.from_snapshots(agents)))
    alone = [parts(user_message(SnapshotBatch.from_snapshots([agent])))[0] for agent in agents]
    assert together == alone


def test_the_closing_instruction_names_the_slots() -> None:
    """The last line asks for exactly the slots of the shard."""
    assert user_message(BATCH).endswith("exactly the 3 keys a1 to a3.")
    assert user_message(BATCH.take(slice(0, 1))).endswith("exactly the key a1.")


def test_the_schema_asks_for_every_slot_once_and_in_order() -> None:
    """The reply's schema requires all slots in key order and forbids others."""
    schema = NAMED.schema(Offers.of(BATCH, REGISTRY))
    assert list(schema["properties"]) == schema["required"] == ["a1", "a2", "a3"]
    assert schema["additionalProperties"] is False


def test_the_schema_lists_only_what_an_agent_can_name() -> None:
    """An agent's steps name the enemies it sees and cells of the map; verbs nobody can be named for are left out."""
    agents = [
        (AgentId(1), snapshot(1, enemies=(60, 51))),
        (AgentId(2), snapshot(2)),
        (AgentId(4), snapshot(4, enemies=(51, 60))),
    ]
    schema = NAMED.schema(Offers.of(SnapshotBatch.from_snapshots(agents), REGISTRY))
    plans = {slot: followed(node, schema) for slot, node in schema["properties"].items()}
    offers = {
        slot: {
            name: kind["properties"]
            for part in plan["properties"]["steps"]["items"]["anyOf"]
            for kind in followed(part, schema)["anyOf"]
            for name in kind["properties"]["act"]["enum"]
        }
        for slot, plan in plans.items()
    }
    assert sorted(offers["a1"]) == ["Attack", "Heal", "MoveTo", "Reload", "Scan", "TakeCover", "Wait"]
    assert offers["a1"]["Attack"]["target_id"]["enum"] == [51, 60]
    assert sorted(offers["a2"]) == ["MoveTo", "Reload", "Scan", "TakeCover", "Wait"]
    assert plans["a1"] is plans["a3"] is not plans["a2"]
    assert offers["a2"]["MoveTo"]["y"]["maximum"] == 47
    steps = plans["a1"]["properties"]["steps"]
    assert (steps["minItems"], steps["maxItems"]) == (1, PLAN_STEPS_MAX)


def followed(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Return what a reference stands for."""
    return schema["$defs"][node["$ref"].rpartition("/")[2]]


def test_agents_that_know_the_same_targets_share_one_definition() -> None:
    """Equal targets mean one plan definition, so the schema of a large shard stays small."""
    batch = SnapshotBatch(keys=np.arange(50, dtype=np.int64))
    enemies_only = ToolRegistry([Attack])
    batch.enemy[:, 0] = 99
    batch.keys[:] = 7
    schema = NAMED.schema(Offers.of(batch, enemies_only))
    assert [name for name in schema["$defs"] if name.startswith("plan")] == ["plan1"]
    assert len(json.dumps(schema)) < 10_000


def test_the_schema_keeps_to_the_portable_subset() -> None:
    """Only keywords that every server enforces are used, every object is closed, and every property is required."""
    allowed = {"type", "properties", "required", "additionalProperties", "enum", "items", "anyOf", "minItems",
               "maxItems", "minimum", "maximum", "$ref", "$defs"}  # fmt: skip
    schema = NAMED.schema(Offers.of(BATCH, REGISTRY))
    named: set[int] = set()
    for node in walk(schema):
        named |= {id(node[key]) for key in ("properties", "$defs") if key in node}
        if id(node) in named:
            continue
        assert set(node) <= allowed
        if node.get("type") == "object":
            assert node["additionalProperties"] is False
            assert node["required"] == list(node["properties"])


def test_the_reply_budget_grows_with_the_agents() -> None:
    """The tokens asked for are enough for every plan of the shard."""
    assert (
        Asking(BATCH, REGISTRY).prompt().tokens
        > Asking(BATCH.take(slice(0, 1)), REGISTRY).prompt().tokens
        >= NAMED.plan_tokens
    )
