"""Properties of the reply parser: whatever the text, the answer is plans or `ParseError`."""

import contextlib
import json

from hypothesis import given
from hypothesis import strategies as st

from ai.actions import STEPS_MAX, ToolRegistry
from ai.errors import ParseError
from ai.llm.encodings import NAMED
from ai.llm.parse import SlotScanner
from tests.ai.llm.parse.test_reply import Scan, Wait
from tests.support.replies import ParsedReply, parse_reply

REGISTRY = ToolRegistry([Scan, Wait], idle=Wait())
SLOTS = {"a1": 3, "a2": 12, "a3": 123}
NUMBERS = st.integers() | st.floats() | st.sampled_from([10**400, -(2**63), 1e308])
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=8) | st.sampled_from(["Wait", "Scan"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["a1", "a2", "a9", "agent_id", "steps", "plan", "act", "duration", "radius", "message",
                             "content", "response"]) | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)  # fmt: skip
STEPS = st.lists(
    st.one_of(
        st.builds(lambda s: {"act": "Wait", "duration": s}, st.integers(1, 600)),
        st.builds(lambda r: {"act": "Scan", "radius": r}, st.integers(1, 64)),
    ),
    min_size=1,
    max_size=STEPS_MAX,
)
REPLIES = st.fixed_dictionaries({slot: st.fixed_dictionaries({"steps": STEPS}) for slot in SLOTS})
GRAMMAR = st.lists(
    st.sampled_from(['{', '}', '[', ']', ':', ',', '"', '\\', '\n', ' ', '"a1"', '"agent_id"', '3', '"steps"', '"act"',
                     '"Wait"', '"a1":{"steps":[{"act":"Wait"}]}',
                     '```', 'null', '1e999', '\u2028']),
    max_size=40,
).map("".join)  # fmt: skip


def read(text: str) -> ParsedReply | None:
    """Parse and check everything that holds for every reply."""
    try:
        reply = parse_reply(text, SLOTS, REGISTRY)
    except ParseError:
        return None
    assert set(reply.plans) | set(reply.errors) == set(reply.texts) <= set(SLOTS.values())
    assert not set(reply.plans) & set(reply.errors)
    for agent, steps in reply.plans.items():
        assert NAMED.parse(reply.texts[agent], REGISTRY) == steps
        assert 1 <= len(steps) <= STEPS_MAX
        assert all(isinstance(step, Wait | Scan) for step in steps)
    assert str(reply.errors).encode()
    return reply


RAW_JSON = JSON.map(lambda data: json.dumps(data, ensure_ascii=False))


@given(st.text(max_size=200) | GRAMMAR | JSON.map(json.dumps) | RAW_JSON)
def test_any_text_gives_plans_or_a_parse_error(text: str) -> None:
    """Text, bracket soup and every JSON value give plans or `ParseError`, and nothing else is ever raised."""
    read(text)
    with contextlib.suppress(ParseError):
        NAMED.parse(text, REGISTRY)


@given(REPLIES, st.data())
def test_damage_never_gives_an_agent_a_plan_that_was_not_written(plans: dict[str, object], data: st.DataObject) -> None:
    """A valid reply with a stretch cut out or put in gives plans or `ParseError`; untouched earlier plans are kept."""
    text = json.dumps(plans)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 12)))
    damaged = text[:start] + data.draw(st.text('{}[]",:\\ 7a', max_size=6)) + text[end:]
    intact = {slot.agent: slot.text for slot in SlotScanner(SLOTS).feed(text[:start])}
    reply = read(damaged)
    assert intact.items() <= (reply.texts if reply else {}).items()


@given(REPLIES, st.data())
def test_a_truncated_reply_keeps_whole_plans_and_no_others(plans: dict[str, object], data: st.DataObject) -> None:
    """Cut anywhere, a reply gives some of the plans of the whole reply, each complete."""
    text = json.dumps(plans)
    whole = read(text)
    assert whole is not None
    assert len(whole.plans) == len(SLOTS)
    part = read(text[: data.draw(st.integers(0, len(text)))])
    assert part is None or part.plans.items() <= whole.plans.items()


@given(REPLIES, st.permutations(list(SLOTS)))
def test_the_form_of_a_reply_does_not_change_its_plans(plans: dict[str, dict[str, object]], order: list[str]) -> None:
    """Keyed by slot or listed by id, in any order, indented or not, the same plans come out."""
    keyed = read(json.dumps({slot: plans[slot] for slot in order}))
    listed = read(json.dumps([{"agent_id": SLOTS[slot], **plans[slot]} for slot in order], indent=1))
    assert keyed is not None
    assert listed is not None
    assert keyed.plans == listed.plans
