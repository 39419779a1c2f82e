"""From reply text to plans: what one plan may hold, and how a whole reply is read."""

import json
from pathlib import Path
from typing import Any

import pytest

from ai.actions import STEPS_MAX, Action, ToolRegistry, known, number, on, seconds
from ai.errors import ParseError
from ai.llm.encodings import NAMED
from ai.llm.parse import DEPTH_MAX, ELEMENT_CHARS_MAX, REPLY_CHARS_MAX
from tests.support.replies import parse_reply

REPLIES = Path(__file__).parents[3] / "fixtures" / "replies.jsonl"
WAIT = '{"steps":[{"act":"Wait","duration":2}]}'
SCAN = '{"steps":[{"act":"Scan","radius":3}]}'


class Wait(Action):
    """Stay where you are."""

    duration: float = seconds(0.1, 600, default=1.0)


class Scan(Action):
    """Look around."""

    radius: int = number(1, 64, rounded=True, default=10)


def verb(name: str, **arguments: Any) -> type[Action]:
    """Return a verb with whole numbers as arguments, as small models were once asked for them."""
    space = {"__module__": __name__, "__doc__": f"Do {name}.", "__annotations__": dict.fromkeys(arguments, int)}
    made: type[Action] = type(Action)(name, (Action,), {**space, **arguments})
    return made


CELL = {"x": on("field", axis="x"), "y": on("field", axis="y")}
DISTANCE = number(1, 64, rounded=True)
REGISTRY = ToolRegistry(
    [
        Scan,
        Wait,
        *(verb(name, **CELL) for name in ("MoveTo", "ThrowSmoke", "ThrowExplosive")),
        *(verb(name, target_id=known("people")) for name in ("Attack", "MarkTarget", "Distract", "Heal")),
        *(verb(name, target_id=known("people"), distance=DISTANCE) for name in ("Approach", "Retreat")),
        *(verb(name) for name in ("TakeCover", "Reload", "Block")),
        verb("AoEAttack", radius=DISTANCE, **CELL),
    ],
    idle=Wait(),
)


# -- one plan ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        WAIT,
        '[{"act":"Wait","duration":2}]',
        '{"plan":{"goal":"hold","steps":[{"act":"Wait","duration":2}]}}',
        '{"plan":[{"act":"Wait","duration":2}]}',
        '{"plan_id":7,"agent_id":3,"reason":"it is quiet","mood":null,"steps":[{"duration":2.0,"act":"Wait"}]}',
    ],
)
def test_a_plan_is_an_object_with_steps_or_the_list_itself(text: str) -> None:
    """Every accepted form of one plan gives its steps, whatever else the plan object says."""
    assert NAMED.parse(text, REGISTRY) == (Wait(duration=2),)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"steps":[]}', "no steps"),
        ("[]", "no steps"),
        ("{}", '"steps"'),
        ("null", '"steps"'),
        ('{"steps":{"act":"Wait"}}', '"steps"'),
        ('{"plan":"go","reason":""}', '"steps"'),
        ('{"plan":{"plan":{"steps":[]}}}', '"steps"'),
        ('{"steps":[{"act":"Wait"},{"act":"Fly"}]}', "step 2: unknown verb 'Fly'"),
        ('{"steps":["Wait"]}', "step 1: a step must be an object"),
        ('{"steps":[{"act":"MoveTo","x":1,"y":2,"z":3}]}', "MoveTo.z"),
        ('{"steps":[{"act":"MoveTo","x":1,"y":2.5}]}', "MoveTo.y"),
        ('{"steps":[{"act":"MoveTo","x":1,"y":null}]}', "MoveTo.y"),
        ('{"steps":[{"act":"MoveTo","x":true,"y":1}]}', "MoveTo.x"),
        ('{"steps":[{"act":"Wait","duration":NaN}]}', "NaN"),
        ('{"steps":[{"act":"Wait","duration":-Infinity}]}', "Infinity"),
        ('{"steps":[{"act":"Wait","duration":1e999}]}', "1e999"),
        ('{"steps":[{"act":"Wait","act":"Scan"}]}', "'act' appears twice"),
        ('{"steps":[{"act":"Wait"}],"steps":[]}', "'steps' appears twice"),
        ('{"steps":[{"act":"Wait","duration":' + "9" * 5000 + "}]}", "too long"),
        ('{"steps":[{"act":"Wait"}]', "not JSON"),
        ('{"steps":[{"act":"Wait"},]}', "not JSON"),
        ("{'steps':[{'act':'Wait'}]}", "not JSON"),
        (WAIT + WAIT, "not JSON"),
        ("", "not JSON"),
        ("[" * (DEPTH_MAX + 1), "brackets"),
        ('{"steps":[],"reason":"' + "x" * ELEMENT_CHARS_MAX + '"}', "characters"),
        (json.dumps({"steps": [{"act": "Wait"}] * (STEPS_MAX + 1)}), f"at most {STEPS_MAX}"),
        ('{"steps":[{"act":"Wait","\\ud800":1}]}', "Wait"),
    ],
)
def test_what_is_not_a_plan_is_refused_with_its_reason(text: str, reason: str) -> None:
    """Each defect of a plan is a `ParseError` that names it; nothing is repaired."""
    with pytest.raises(ParseError) as caught:
        NAMED.parse(text, REGISTRY)
    assert reason in str(caught.value)
    assert len(str(caught.value)) < 600


def test_brackets_inside_strings_do_not_count_as_depth() -> None:
    """A reason full of brackets is only text."""
    text = json.dumps({"reason": '[{"\\' * 100, "steps": [{"act": "Wait", "duration": 2}]})
    assert NAMED.parse(text, REGISTRY) == (Wait(duration=2),)


def test_a_plan_text_is_read_alike_every_time() -> None:
    """Parsing is a function of text and registry: a recorded text gives the recorded plan again."""
    text = '{"steps":[{"act":"Wait","duration":0.1234},{"act":"Scan","radius":2.5}]}'
    assert NAMED.parse(text, REGISTRY) == NAMED.parse(text, REGISTRY) == (Wait(duration=0.123), Scan(radius=3))


def test_only_offered_verbs_are_accepted() -> None:
    """A registry that offers fewer verbs refuses the others with the same words as an unknown one."""
    with pytest.raises(ParseError, match="unknown verb 'Wait'; allowed: Scan"):
        NAMED.parse(WAIT, REGISTRY.offering(["Scan"]))


# -- a whole reply -----------------------------------------------------------------------------------------------------

KEYED = f'{{"a1":{WAIT},"a2":{SCAN}}}'


@pytest.mark.parametrize(
    "text",
    [
        KEYED,
        f"  {KEYED}\n",
        f"```json\n{KEYED}\n```",
        f"Here you are:\n```\n{KEYED}",
        json.dumps({"message": {"role": "assistant", "content": KEYED}}),
        json.dumps({"response": f"```{KEYED}```"}),
        f"My plans are {KEYED} as you asked.",
        f'{{"agent_id":7,"steps":[{{"act":"Wait","duration":2}}]}}\n{{"agent_id":9,{SCAN[1:]}',
        KEYED[:-1],
    ],
)
def test_the_same_plans_come_out_of_every_wrapping(text: str) -> None:
    """Plain, in a fence, in an envelope, in prose, by id and cut short, a reply gives the same plans."""
    reply = parse_reply(text, {"a1": 7, "a2": 9}, REGISTRY)
    assert reply.plans == {7: (Wait(duration=2),), 9: (Scan(radius=3),)}
    assert reply.errors == {}
    assert {agent: NAMED.parse(raw, REGISTRY) for agent, raw in reply.texts.items()} == reply.plans


@pytest.mark.parametrize("text", [WAIT, f"```\n{WAIT}\n```", f"I would wait: {WAIT}", '[{"act":"Wait","duration":2}]'])
def test_a_single_plan_without_a_name_belongs_to_the_only_agent_asked(text: str) -> None:
    """One bare plan is taken when one agent was asked, and only then."""
    reply = parse_reply(text, {"a1": 7}, REGISTRY)
    assert reply.plans == {7: (Wait(duration=2),)}
    with pytest.raises(ParseError):
        parse_reply(text, {"a1": 7, "a2": 9}, REGISTRY)
    with pytest.raises(ParseError):
        parse_reply(f"{text}\n{text}", {"a1": 7}, REGISTRY)


def test_each_plan_is_kept_or_refused_on_its_own() -> None:
    """One bad plan costs its own agent alone; its raw text and the reason are kept."""
    bad = '{"steps":[{"act":"Fly"}]}'
    reply = parse_reply(f'{{"a1":{bad},"a2":{SCAN},"a3":{{}},"a1":{WAIT}}}', {"a1": 7, "a2": 9}, REGISTRY)
    assert reply.plans == {9: (Scan(radius=3),)}
    assert list(reply.errors) == [7]
    assert "Fly" in reply.errors[7]
    assert reply.texts[7] == bad


@pytest.mark.parametrize(
    "text", ["", "no plan today", "{}", "[]", "null", '{"response":7}', "{", "x" * (REPLY_CHARS_MAX + 1)]
)
def test_a_text_without_any_plan_is_a_parse_error(text: str) -> None:
    """Only a text in which nothing could be read raises, and it raises `ParseError`."""
    with pytest.raises(ParseError):
        parse_reply(text, {"a1": 7}, REGISTRY)


@pytest.mark.parametrize("line", REPLIES.read_text("utf-8").splitlines(), ids=lambda line: json.loads(line)["id"])
def test_real_replies_give_exactly_the_plans_a_strict_reader_finds(line: str) -> None:
    """Recorded replies of small models give the labelled plans: none lost, none invented."""
    record = json.loads(line)
    slots = {f"a{position}": agent for position, agent in enumerate(record["agent_ids"], 1)}
    try:
        recovered = sorted(parse_reply(record["text"], slots, REGISTRY).plans)
    except ParseError:
        recovered = []
    assert recovered == record["expected_valid_slots"]
