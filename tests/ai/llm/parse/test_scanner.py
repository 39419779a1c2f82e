"""The streaming scanner: any split of a reply gives the plans of the whole, and a cut reply gives no wrong one."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai.llm.parse import (
    DEPTH_MAX,
    ELEMENT_CHARS_MAX,
    REPLY_CHARS_MAX,
    WHITESPACE_RUN_MAX,
    SlotScanner,
    SlotText,
)
from tests.ai.llm.streams import STREAMS, content

PLANS = {
    "compact_k4": 4,
    "dsl_k4": 0,
    "stock_schema_k2_ws": 2,
    "tuple_k4": 4,
    "tuple_k4_cut": 1,
    "tuple_k4_length": 2,
    "tuple_k4_timings": 4,
    "tuple_k8": 8,
    "verbose_k3": 3,
    "vllm_line_k4": 0,
    "vllm_line_k4_length": 0,
}
SLOTS = {f"a{n}": 100 + n for n in range(1, 9)}
WAIT = '{"steps":[{"act":"Wait","duration":2}]}'


MARKS = st.sampled_from(['{', '}', '[', ']', ':', ',', '"', '\\', '\\"', '\n', ' ', ' ' * 31, '\u2003', 'x', '7',
                         '"a1"', '"a1":', '"a1" :\n{', '"a1":{"steps":[', '"a77":', '"agent_id":', '101', '"steps"',
                         '"act"', '"act":', '{"a2":[', '{{[[', '"' + "x" * 70, f'"a1":{WAIT}', f',"a2":{WAIT}',
                         f', "a77": {WAIT}', ',"a3":[["Wait",{"x":[1]}]]', '"a5":{"x":[1}',
                         '[' * (DEPTH_MAX - 5)])  # fmt: skip


def scan(*pieces: str, slots: dict[str, int] = SLOTS) -> tuple[list[SlotText], SlotScanner]:
    scanner = SlotScanner(slots)
    found = [slot for piece in pieces for slot in scanner.feed(piece)]
    return found + scanner.close(), scanner


def test_every_recorded_stream_is_listed() -> None:
    """The table of expected plans names every recorded stream in the folder."""
    assert sorted(PLANS) == sorted(path.stem for path in STREAMS.glob("*.sse"))


@pytest.mark.parametrize("name", PLANS)
def test_one_character_at_a_time_gives_the_plans_of_the_whole(name: str) -> None:
    """A recorded reply fed character by character gives the same plans in the same order as fed at once."""
    text = content(name)
    whole, _ = scan(text)
    assert len(whole) == PLANS[name]
    assert [slot.agent for slot in whole] == [101 + n for n in range(PLANS[name])]
    assert all(slot.text in text for slot in whole)
    assert scan(*text)[0] == whole


@pytest.mark.parametrize("name", PLANS)
def test_a_reply_that_stops_anywhere_gives_only_plans_of_the_whole(name: str) -> None:
    """Whatever is left of a recorded reply gives a beginning of the whole reply's plans, never another one."""
    text = content(name)
    whole, _ = scan(text)
    ends: list[int] = []
    for slot in whole:
        ends.append(text.index(slot.text, ends[-1] if ends else 0) + len(slot.text))
    scanner = SlotScanner(SLOTS)
    found: list[SlotText] = []
    for read, char in enumerate(text, 1):
        found += scanner.feed(char)
        assert found == whole[: sum(end <= read for end in ends)]


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_any_split_of_any_form_gives_the_plans_of_the_whole(data: st.DataObject) -> None:
    """Keyed, wrapped, listed, fenced and broken replies are read the same for any split into pieces."""
    body = st.sampled_from(
        [WAIT, f"[{WAIT}]", '{"steps":["}",{"act":"]"}]}', '{"a":"\\\\\\"}{"}', '{"steps":[', "null", "7"]
    )
    keyed = st.lists(st.tuples(st.sampled_from([*SLOTS, "a77", "plans"]), body), max_size=5)
    by_id = st.lists(st.tuples(st.integers(99, 110), st.booleans()), max_size=5)
    text = data.draw(
        st.one_of(
            keyed.map(lambda items: "{" + ",".join(f'"{slot}":{plan}' for slot, plan in items) + "}"),
            keyed.map(lambda items: 'so "this:\n{"plans": {' + ", ".join(f'"{s}" :\n {p}' for s, p in items) + "}}"),
            by_id.map(
                lambda items: (
                    "```json\n["
                    + ",".join(
                        f'{{"agent_id":{n},"steps":[{{}}]}}' if first else f'{{"steps":[], "agent_id" : {n} }}'
                        for n, first in items
                    )
                )
            ),
            st.lists(MARKS, max_size=40).map("".join),
        )
    )
    whole, reference = scan(text)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    found, scanner = scan(*pieces)
    assert found == whole
    assert (scanner.cut, scanner.duplicates, scanner.unknown) == (
        reference.cut,
        reference.duplicates,
        reference.unknown,
    )
    assert scanner.text == text


@pytest.mark.parametrize("over", [-1, 0, 1, 2])
def test_the_limit_of_a_plan_is_the_same_for_any_split(over: int) -> None:
    """A plan of exactly the largest size is handed out, one character more cuts, in pieces and at once."""
    text = '{"a1":["' + "x" * (ELEMENT_CHARS_MAX - 4 + over) + '"]}'
    for size in (len(text), 1000, 1):
        found, scanner = scan(*(text[at : at + size] for at in range(0, len(text), size)))
        assert len(found) == (over <= 0)
        assert (scanner.cut is None) == (over <= 0)


@pytest.mark.parametrize(
    "text",
    [
        f'{{"a1":{WAIT},"a2":{WAIT}}}',
        f'Sure! Here:\n```json\n{{"a1":{WAIT},"a2":{WAIT}}}\n```\nDone.',
        f'{{"plans":{{"a1":{WAIT},"a2":{WAIT}}}}}',
        f'{{"result":[{{"a1":{WAIT}}},{{"a2":{WAIT}}}]}}',
        f'"a1":{WAIT},"a2":{WAIT}',
        f'{{"why":"a {{ and a \\"","a1":{WAIT},"a2":{WAIT}}}',
        f'[INFO] "quoted prose {{"a1":{WAIT},"a2":{WAIT}}}',
    ],
)
def test_slots_are_found_wherever_they_stand(text: str) -> None:
    """Plans under slot names are found in wrappers, after prose, in fences and after a thinking part."""
    found, _ = scan(text)
    assert found == [SlotText(101, WAIT), SlotText(102, WAIT)]


@pytest.mark.parametrize(
    "text",
    [
        '[{"agent_id":102,"steps":[]},{"agent_id":101,"steps":[]}]',
        '{"agent_id":102,"steps":[]}\n{"agent_id":101,"steps":[]}\n',
        '{"plans":[{"agent_id":102,"steps":[]},{"steps":[],"agent_id": 101 }]}',
    ],
)
def test_ids_are_real_ids_in_any_order(text: str) -> None:
    """An object with `agent_id` belongs to the agent of that id, in an array, on a line, and whatever the key order."""
    assert [slot.agent for slot in scan(text)[0]] == [102, 101]


def test_a_position_is_not_an_id() -> None:
    """A reply that numbers its plans by position names agents that were not asked, and gives none of them a plan."""
    found, scanner = scan('[{"agent_id":1,"steps":[]},{"agent_id":2,"steps":[]},{"agent_id":"101","steps":[]}]')
    assert found == []
    assert scanner.unknown == 2


def test_a_step_that_names_an_agent_is_not_a_plan() -> None:
    """An object with a verb is a step, even if it has an argument called agent_id."""
    found, _ = scan('[{"agent_id":101,"steps":[{"act":"Follow","agent_id":102}]}]')
    assert [slot.agent for slot in found] == [101]


def test_the_first_closed_plan_wins_and_others_are_counted() -> None:
    """Later plans of an agent are counted as duplicates and plans of strangers as unknown; neither is handed out."""
    found, scanner = scan('{"a1":{"n":1},"a1":{"n":2},"a9":{"n":3},"x":[{"agent_id":101},{"agent_id":7}],"a2":{"n":4}}')
    assert found == [SlotText(101, '{"n":1}'), SlotText(102, '{"n":4}')]
    assert scanner.duplicates == {101: 2}
    assert scanner.unknown == 2


BODY = st.lists(
    st.fixed_dictionaries(
        {"act": st.just("Say"), "text": st.text('{}[]":,\\ \na1', max_size=12), "n": st.integers(0, 9)}
    ),
    min_size=1,
    max_size=3,
).map(lambda steps: json.dumps({"steps": steps}))


@given(st.lists(BODY, min_size=2, max_size=5), st.data())
@settings(deadline=None, max_examples=400)
def test_damage_to_one_plan_costs_no_other(bodies: list[str], data: st.DataObject) -> None:
    """Whatever is cut out of one plan or put into it, the plans of all other slots are read as they were written."""
    hurt = data.draw(st.integers(0, len(bodies) - 1))
    body = bodies[hurt]
    start = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(start, len(body)))
    spoilt = body[:start] + data.draw(st.text('{}[]":,\\ \n7a', max_size=6)) + body[end:]
    comma = data.draw(st.sampled_from([",", ", ", " ", "\n", ""]))
    whole = {f"a{n}": text for n, text in enumerate(bodies, 1)}
    text = (
        "{" + comma.join(f'"{slot}":{spoilt if slot == f"a{hurt + 1}" else text}' for slot, text in whole.items()) + "}"
    )
    found, _ = scan(text)
    got = {slot.agent: slot.text for slot in found}
    assert {SLOTS[slot]: text for slot, text in whole.items() if slot != f"a{hurt + 1}"}.items() <= got.items()


@pytest.mark.parametrize(
    ("text", "agents"),
    [
        (f'{{"a1":{WAIT} "a2":{WAIT} "a3":{WAIT}}}', [101, 102, 103]),
        (f'{{"a1":{{"why":"go\nnow","steps":[]}},"a2":{WAIT},"a3":{WAIT}}}', [102, 103]),
        (f'{{"a1":{{"why":"go now,"steps":[]}},"a2":{WAIT},"a3":{WAIT}}}', [102, 103]),
        (f'{{"a1":{{"why":"go now}},"a2":{WAIT},"a3":{WAIT}}}', [102, 103]),
        (f'{{"a1":{{why":"go now","steps":[]}},"a2":{WAIT},"a3":{WAIT}}}', [102, 103]),
        (f'{{"a1":{WAIT},"a2":{{"steps":[{{"act":"Wait"}}],"a3":{WAIT}}}', [101, 103]),
        (f'{{"a1":{WAIT},"a2":{{"steps":[[[[[{{"act":"Wait"\n"a3":{WAIT}}}', [101, 103]),
    ],
)
def test_a_plan_that_lacks_a_mark_costs_no_other(text: str, agents: list[int]) -> None:
    """A comma, quote or brace too few, and a raw line end in a string, spoil the plan that they belong to alone."""
    for found, _ in (scan(text), scan(*text)):
        assert [slot.agent for slot in found if slot.text == WAIT] == agents


def test_a_plan_that_is_given_up_is_never_handed_out() -> None:
    """Closing brackets that are left over at the end do not bring back a plan in which another slot turned up."""
    found, scanner = scan(f'{{"a1":{{"steps":[{{"act":"Wait"}}],"a2":{WAIT}}}}}}}')
    assert (found, scanner.cut) == ([SlotText(102, WAIT)], None)


def test_any_number_of_broken_plans_leaves_the_next_one_whole() -> None:
    """Brackets of plans that were given up do not count as open."""
    broken = "".join(f'"a{n}":{{"steps":[[' for n in range(1, 40))
    assert scan(f'{{{broken},"a8":{WAIT}}}')[0] == [SlotText(108, WAIT)]


def test_one_broken_plan_by_id_does_not_cost_the_others() -> None:
    """Among plans by id a missing brace or quote spoils its own plan; the scan goes on at the next line."""
    found, _ = scan(
        '[{"agent_id":101,"steps":[{"act":"Wait"]},\n'
        '{"agent_id":102,"steps":[{"act":"Wait","n:2}]},\n'
        '{"agent_id":103,"steps":[]}]'
    )
    assert found[-1] == SlotText(103, '{"agent_id":103,"steps":[]}')
    assert found[0].text == '{"agent_id":101,"steps":[{"act":"Wait"]}'


def test_an_open_plan_is_cut_when_the_reply_closes() -> None:
    """A plan that is still open at the end of the reply is not handed out, and the scanner says why."""
    found, scanner = scan(f'{{"a1":{WAIT},"a2":{{"steps":[')
    assert [slot.agent for slot in found] == [101]
    assert scanner.cut == "the reply ended inside a plan"


def test_a_run_of_whitespace_cuts_the_reply() -> None:
    """A whitespace loop ends the scan at its limit, one character less does not."""
    loop = " " * WHITESPACE_RUN_MAX
    found, scanner = scan(f'{{"a1":{WAIT},{loop}"a2":{WAIT}}}')
    assert [slot.agent for slot in found] == [101]
    assert "whitespace" in (scanner.cut or "")
    found, scanner = scan(f'{{"a1":{{"reason":"{loop[1:]}"}},{loop[1:]}"a2":{WAIT}}}')
    assert [slot.agent for slot in found] == [101, 102]
    assert scanner.cut is None


def test_a_plan_over_its_limit_cuts_the_reply() -> None:
    """A plan that grows over its limit ends the scan, under a slot and with an id alike."""
    filler = f'"{"x" * ELEMENT_CHARS_MAX}"'
    for text in (f'{{"a1":[{filler}],"a2":{WAIT}}}', f'[{{"agent_id":101,"steps":[{filler}]}},{{"agent_id":102}}]'):
        found, scanner = scan(text)
        assert found == []
        assert "longer" in (scanner.cut or "")


def test_deep_nesting_cuts_the_reply() -> None:
    """More open brackets than the limit end the scan."""
    assert "brackets" in (scan("[" * (DEPTH_MAX + 1))[1].cut or "")
    assert scan("[" * DEPTH_MAX)[1].cut is None


@pytest.mark.parametrize("garbage", ["x", '{"', '{"agent_id":', "[{", '"\\', "}", '{"k":{},', '"a1":{'])
def test_a_megabyte_of_garbage_is_refused_in_bounded_memory(garbage: str) -> None:
    """Garbage without end stops at a named limit, and nothing after it is kept."""
    scanner = SlotScanner(SLOTS)
    piece = garbage * (65_536 // len(garbage))
    for _ in range(20):
        assert scanner.feed(piece) == []
    assert scanner.cut is not None
    assert len(scanner.text) <= REPLY_CHARS_MAX
    kept = scanner.text
    assert scanner.feed(f'{{"a1":{WAIT}}}') == []
    assert scanner.text == kept
