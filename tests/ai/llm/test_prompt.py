"""Prompts: what every call says about verbs and rules, in the domain's words, and the same bytes everywhere."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ai.actions import Action, PromptText, ToolRegistry, known, number
from ai.llm.encodings import ENCODINGS, NAMED
from ai.llm.encodings.base import PLAN_STEPS_MAX, Encoding
from ai.llm.prompt import (
    PROMPT_VERSION,
    REASON_CHARS_MAX,
    Detail,
    PromptRequest,
    example_plans,
    slots_of,
    system_message,
)
from tests.ai.llm.village import FORAGING, MARKET, PEOPLE, Buy, Nap, Sleep, forager, foragers, market, villager

BATCH = market(villager(people=(PEOPLE[5],)), villager(debt_to=1), villager(), keys=(3, 8, 21))
ROOT = Path(__file__).parents[3]

each_encoding = pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda encoding: encoding.name)


def test_the_system_message_of_a_market() -> None:
    """Role, rules and examples are the domain's; verbs follow from their declarations."""
    assert system_message(MARKET, detail=Detail.FULL) == (
        "You plan for villagers on a market day.\n"
        "Rules:\n"
        "1. Keep a coin for tomorrow.\n"
        "2. Sleep when the mood is below 30.\n"
        "3. Use only ids that the agent's own row names.\n"
        f"4. A plan has 1 to {PLAN_STEPS_MAX} steps; only the verbs below exist; arguments marked ? are optional.\n"
        '5. Reply with one minified JSON object, one plan for each slot, no other text: {"a1":{"steps":[...]},...}.\n'
        "Names of goods: bread|fish|fine wool\n"
        "Verbs:\n"
        "Buy(good name of goods, count 1..100): Buy pieces of a good at its price.\n"
        "Sell(good name of goods, count 1..100): Sell pieces of a good.\n"
        "Sleep(hours 1..12): Sleep for some hours.\n"
        "Talk(to id in people or debt_to, what text of at most 60 characters): Say something to somebody here.\n"
        "Tip(coins 0..5, to? id in people, pause? 0.1..60): Give some coins away, to somebody or to a beggar.\n"
        "Example:\n"
        '{"a1":{"steps":[{"act":"Buy","good":"bread","count":2},{"act":"Sleep","hours":3}]}}'
    )


def test_cells_records_and_lists_are_described_as_a_reply_writes_them() -> None:
    """Cells stand in braces, halves of cells alone, lists with their length, records with their fields."""
    lines = dict(line.split("(", 1) for line in system_message(FORAGING).splitlines() if "(" in line)
    assert lines["Go"] == "at {x cell, y cell}): Walk to a cell."
    assert lines["Look"].startswith("x cell, y cell, mood slow|shy)")
    assert lines["Rest"].startswith("at? {x cell, y cell}, habit? slow|shy, pause 0.5..30)")
    assert lines["Tour"].startswith(
        "pace -3..3, stops [1 to 3 of {x cell, y cell}], bushes [0 to 2 of id in bushes], "
        "order {good nuts|red berries, share -1..1, why? text of at most 12 characters})"
    )


class Mend(Action):
    """Mend something of somebody's."""

    cooldown_s = 2.5
    cost = "one nail"
    whose: int = known("people")


def test_a_full_prompt_says_what_verbs_cost() -> None:
    """Cooldown and cost stand in the full prompt alone."""
    registry = ToolRegistry([Mend, Sleep], idle=Sleep(1))
    assert "somebody's. Cooldown 2.5 s. Costs one nail." in system_message(registry, detail=Detail.FULL)
    assert "Cooldown" not in system_message(registry, detail=Detail.COMPACT)


def test_a_name_of_one_table_stands_where_it_is_used() -> None:
    """Names that a single argument takes are said there; names that several take are said once above."""
    assert "Buy(good bread|fish|fine wool, count 1..100)" in system_message(MARKET.first_tier)
    assert system_message(MARKET).count("fine wool") == 1


# -- examples ----------------------------------------------------------------------------------------------------------


def test_the_domains_examples_are_taken_where_their_verbs_are_offered() -> None:
    """An example with a verb that is not offered is not an example; others are made from the registry then."""
    assert example_plans(MARKET) == [(Buy("bread", 2), Sleep(3))]
    made = example_plans(MARKET.offering(["Sleep", "Tip"]))
    assert [[step.act for step in plan] for plan in made] == [["Sleep", "Tip"], ["Tip", "Sleep"]]


def test_examples_that_are_made_need_no_target() -> None:
    """Verbs that name somebody are in no example; a registry of nothing else has none at all."""
    acts = {step.act for plan in example_plans(FORAGING) for step in plan}
    assert acts == {"Go", "Look", "Nap", "Rest", "Tour"}
    only = ToolRegistry([Mend, Sleep], idle=Sleep(1)).offering(["Mend"])
    assert example_plans(only) == []
    assert "Example" not in system_message(only)


@pytest.mark.parametrize("detail", Detail)
def test_a_prompt_has_as_many_examples_as_its_detail(detail: Detail) -> None:
    """One in the compact prompt, three in the full one."""
    text = system_message(FORAGING, detail=detail).partition("Example:\n")[2]
    assert len(json.loads(text)) == {Detail.COMPACT: 1, Detail.FULL: 3}[detail]
    assert text == json.dumps(json.loads(text), separators=(",", ":"))


# -- the framework's own words -----------------------------------------------------------------------------------------


class Idle(Action):
    """Do nothing."""

    turns: int = number(1, 9, default=1)


@each_encoding
def test_the_frameworks_text_speaks_of_no_domain(encoding: Encoding) -> None:
    """Without a domain's words a prompt has none: no map, no fights, nobody's goods."""
    registry = ToolRegistry([Idle], idle=Idle(), prompt=PromptText(role="-"))
    text = system_message(registry, encoding=encoding, detail=Detail.FULL) + PromptRequest(BATCH, registry).user
    words = set(re.findall(r"[a-z]+", text.lower()))
    assert not words & {"map", "grid", "enemy", "enemies", "allies", "ammo", "threats", "smoke", "objective", "hp"}


# -- bytes -------------------------------------------------------------------------------------------------------------


@each_encoding
def test_a_prompt_does_not_depend_on_time_order_or_seed(encoding: Encoding) -> None:
    """The same agents give the same bytes at any tick, in any order in which they were given."""
    one = PromptRequest(BATCH, MARKET, encoding).prompt()
    other = market(*[BATCH.to_object(row) for row in (2, 0, 1)], keys=(21, 3, 8))
    assert PromptRequest(other, MARKET, encoding).prompt() == one
    later = type(BATCH.to_object(0)).from_objects(
        list(zip((3, 8, 21), BATCH.to_objects(), strict=True)), tick=99, ticks_per_second=10, tables=dict(BATCH.tables)
    )
    assert PromptRequest(later, MARKET, encoding).prompt() == one


def test_a_prompt_is_the_same_in_another_process() -> None:
    """Another hash seed changes no byte of any message, schema or grammar."""
    program = (
        "from tests.ai.llm.test_prompt import BATCH\n"
        "from tests.ai.llm.village import MARKET\n"
        "from ai.llm.encodings import ENCODINGS\n"
        "from ai.llm.prompt import PromptRequest\n"
        "print([PromptRequest(BATCH, MARKET, encoding).prompt() for encoding in ENCODINGS])\n"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert printed == {(str([PromptRequest(BATCH, MARKET, each).prompt() for each in ENCODINGS]) + "\n").encode()}


# -- the call ----------------------------------------------------------------------------------------------------------


def test_slots_follow_the_keys() -> None:
    """Slots are a1 to ak in key order, in the rows, the schema and the closing line."""
    prompt = PromptRequest(BATCH, MARKET).prompt()
    assert slots_of(BATCH.keys) == {"a1": 3, "a2": 8, "a3": 21}
    assert prompt.user.endswith("\nReply with one minified JSON object with exactly the 3 keys a1 to a3.")
    assert prompt.schema is not None
    assert list(prompt.schema["properties"]) == prompt.schema["required"] == ["a1", "a2", "a3"]
    alone = PromptRequest(BATCH.take(slice(0, 1)), MARKET).user
    assert alone.endswith("exactly the key a1.")


def test_reasons_stand_at_the_end() -> None:
    """Agents that are asked again are given the reason, quoted and shortened; others are not."""
    user = PromptRequest(BATCH, MARKET, reasons={8: 'no "verb"\na3 21', 21: "x" * 999}).user
    assert user.splitlines()[-3:] == [
        "Your last plans for these slots were not taken:",
        'a2: "no \\"verb\\"\\na3 21"',
        f'a3: "{"x" * REASON_CHARS_MAX}"',
    ]
    assert "not taken" not in PromptRequest(BATCH, MARKET, reasons={99: "another call's"}).user


def test_a_part_of_a_request_is_the_request_of_the_part() -> None:
    """Cut into calls, a request asks what a request for those agents alone asks."""
    whole = foragers(forager(), forager(camp=1), forager(), forager(camp=1))
    for encoding in ENCODINGS:
        part = PromptRequest(whole, FORAGING, encoding).take(slice(1, 3))
        assert part.prompt() == PromptRequest(whole.take(slice(1, 3)), FORAGING, encoding).prompt()
        assert part.keys == [2, 3]


def test_the_reply_budget_grows_with_the_agents() -> None:
    """The tokens asked for are enough for every plan of the call."""
    one, three = PromptRequest(BATCH.take(slice(0, 1)), MARKET).prompt(), PromptRequest(BATCH, MARKET).prompt()
    assert three.tokens - one.tokens == 2 * NAMED.plan_tokens
    assert one.tokens > NAMED.plan_tokens


def test_fewer_verbs_are_counted_and_knowledge_is_kept() -> None:
    """A request with fewer verbs says the same of its agents and how many verbs it lacks."""
    whole = PromptRequest(BATCH, MARKET)
    part = whole.offering(["Sleep", "Buy"])
    assert (part.left_out, part.registry.names, part.user) == (3, ("Buy", "Sleep"), whole.user)
    assert Nap.keep == 1


def test_the_version_of_a_prompt_follows_its_wording() -> None:
    """Other verbs, other examples or another wording of facts are another version; other agents and ticks are not."""
    request = PromptRequest(BATCH, MARKET)
    version = request.version
    assert version.startswith(f"{PROMPT_VERSION}-")
    assert request.take(slice(0, 1)).version == version
    others = [
        PromptRequest(BATCH, MARKET.first_tier),
        PromptRequest(BATCH, ToolRegistry([Sleep], idle=Sleep(1), prompt=PromptText("You plan."))),
        PromptRequest(foragers(forager()), MARKET),
    ]
    assert len({version, *(other.version for other in others)}) == 4
