"""Output encodings: whichever is asked for, the same plans come out, and what it asks for is what is legal."""

import json
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai.actions import ActionStep, Role, ToolRegistry, ToolSpec
from ai.encodings import ENCODINGS, encoding_of
from ai.encodings.base import PLAN_STEPS_MAX, Encoding, Offers
from ai.encodings.line import _whole
from ai.errors import ContractError, ParseError
from ai.legality import refusals
from ai.parse import ELEMENT_CHARS_MAX, REPLY_CHARS_MAX, SlotText
from ai.plan import PlanBatch
from ai.snapshot import AgentId, SnapshotBatch
from scenarios.tactics.actions import default_registry
from scenarios.tactics.testing.planning import MAP_HEIGHT, MAP_WIDTH, batches
from sim.testing.steps import inside, nested, steps
from tests.ai.gbnf import as_regex
from tests.ai.strategies import (
    enemy,
    one_row,
    small_registry,
    snapshot,
    wide_registry,
)
from tests.ai.streams import STREAMS, content

REGISTRIES = {"small": small_registry(), "wide": wide_registry(), "default": default_registry()}
LINE = encoding_of("line")
KEYED = [encoding_of("named"), encoding_of("tuple")]
SLOTS = {f"a{n}": 100 + n for n in range(1, 9)}


def plans(registry: ToolRegistry) -> st.SearchStrategy[list[ActionStep]]:
    return st.lists(steps(registry), min_size=1, max_size=PLAN_STEPS_MAX)


def scan(encoding: Encoding, *pieces: str, whole: bool = True) -> tuple[list[SlotText], Any]:
    scanner = encoding.scanner(SLOTS)
    found = [slot for piece in pieces for slot in scanner.feed(piece)]
    return found + scanner.close(whole=whole), scanner


# -- the same plans ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda encoding: encoding.name)
@given(st.data())
@settings(deadline=None, max_examples=40)
def test_a_plan_written_in_any_encoding_reads_back_as_itself(encoding: Encoding, data: st.DataObject) -> None:
    """Any plan of any registered kind gives the same steps and integers after writing, framing, scanning, reading."""
    registry = data.draw(st.sampled_from(list(REGISTRIES.values())))
    batch = data.draw(st.lists(plans(registry), min_size=1, max_size=4))
    reply = encoding.frame({f"a{n}": encoding.write(plan, registry) for n, plan in enumerate(batch, 1)})
    found, scanner = scan(encoding, reply)
    assert scanner.cut is None
    assert [slot.agent for slot in found] == [100 + n for n in range(1, len(batch) + 1)]
    for slot, plan in zip(found, batch, strict=True):
        assert encoding.parse(slot.text, registry) == tuple(plan)
        assert encoding.encode(slot.text, registry) == tuple(map(registry.encode, plan))


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda encoding: encoding.name)
@given(st.data())
@settings(deadline=None, max_examples=40)
def test_every_encoding_also_reads_named_json(encoding: Encoding, data: st.DataObject) -> None:
    """A plan in named JSON is read wherever a plan is expected: models fall back to it, and scripts use it."""
    registry = REGISTRIES["small"]
    plan = data.draw(plans(registry))
    text = encoding_of("named").write(plan, registry)
    found, _ = scan(encoding, encoding.frame({"a1": text}))
    assert encoding.parse(found[0].text, registry) == tuple(plan)
    reply = encoding_of("named").frame({"a1": text, "a2": text})
    assert [slot.agent for slot in scan(encoding, reply)[0] or encoding.find(reply, SLOTS)] == [101, 102]


SOUP = st.lists(
    st.sampled_from(["MoveTo", "Wait", "Scan", " ", ";", "; ", "3", "-", "-7", "0.5", "1e9", "\n", "\t", "{", "}", "[",
                     "]", '"', ",", ":", "a1", "a1: ", "[1", '{"x":', "null", "NaN", "\u00e9", "\\", "٣", "<think>",
                     '["Wait",1]', '{"act":"Wait"}'])
).map("".join)  # fmt: skip


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda encoding: encoding.name)
@given(SOUP | st.text(max_size=60))
@settings(deadline=None, max_examples=120)
def test_any_text_gives_a_plan_or_a_parse_error(encoding: Encoding, text: str) -> None:
    """No text raises anything but `ParseError`, and steps and integers agree about it."""
    registry = REGISTRIES["small"]
    try:
        expected: object = tuple(map(registry.encode, encoding.parse(text, registry)))
    except ParseError as error:
        expected = str(error)
    try:
        found: object = encoding.encode(text, registry)
    except ParseError as error:
        found = str(error)
    assert found == expected


# -- streams -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda encoding: encoding.name)
@pytest.mark.parametrize("name", sorted(path.stem for path in STREAMS.glob("*.sse")))
def test_every_split_of_a_recorded_stream_gives_the_plans_of_the_whole(name: str, encoding: Encoding) -> None:
    """A recorded reply in two pieces, split anywhere, and in single characters, gives the plans of the whole."""
    text = content(name)
    whole, _ = scan(encoding, text)
    assert len(whole) == 4 or not (name in ("dsl_k4", "vllm_line_k4") and encoding is LINE)
    assert scan(encoding, *text)[0] == whole
    for place in range(0, len(text), max(1, len(text) // 100)):
        assert scan(encoding, text[:place], text[place:])[0] == whole


@given(
    text=SOUP | st.text("a1: ;\n\r<think>/ Wait", max_size=60),
    cuts=st.lists(st.integers(0, 80), max_size=6),
    whole=st.booleans(),
)
@settings(deadline=None, max_examples=120)
def test_any_split_of_lines_gives_the_plans_of_the_whole(text: str, cuts: list[int], *, whole: bool) -> None:
    """Lines, prose, thoughts and noise are read the same for any split into pieces."""
    expected, reference = scan(LINE, text, whole=whole)
    ends = sorted(min(cut, len(text)) for cut in cuts)
    pieces = [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]
    found, scanner = scan(LINE, *pieces, whole=whole)
    assert found == expected
    assert (scanner.cut, scanner.duplicates, scanner.unknown) == (
        reference.cut,
        reference.duplicates,
        reference.unknown,
    )
    assert scanner.text == text


def test_a_line_without_its_end_counts_only_in_a_whole_reply() -> None:
    """The last line of a reply that was cut off may lack an argument, so it is no plan; in a whole reply it is one."""
    text = "a1: Scan 3\na2: MoveTo 1"
    assert scan(LINE, text + "2 4")[0] == [SlotText(101, "Scan 3"), SlotText(102, "MoveTo 12 4")]
    found, scanner = scan(LINE, text, whole=False)
    assert found == [SlotText(101, "Scan 3")]
    assert scanner.cut == "the reply ended inside a plan"


def test_lines_are_known_by_their_slot() -> None:
    """Prose and thoughts are passed over, the first line of a slot wins, and lines of nobody asked are counted."""
    reply = "<think>\na1: Wait 9\n</think>\nSure:\n1: Wait 1\n a2: Wait 2\r\na2: Wait 3\na9: Wait 4\n"
    found, scanner = scan(LINE, reply)
    assert found == [SlotText(101, "Wait 1"), SlotText(102, "Wait 2")]
    assert (scanner.duplicates, scanner.unknown, scanner.cut) == ({102: 1}, 1, None)


@pytest.mark.parametrize("garbage", ["x", "a1: x\n", "a1: Wait 1; ", " ", "\n", "a1", "<think>", "\x00"])
@pytest.mark.parametrize("size", [7, 65_536])
def test_a_megabyte_of_lines_is_refused_in_bounded_memory(garbage: str, size: int) -> None:
    """Noise without end stops at a named limit, and nothing after it is kept."""
    scanner = LINE.scanner(SLOTS)
    piece = garbage * (size // len(garbage) + 1)
    for _ in range(REPLY_CHARS_MAX // len(piece) + 1):
        scanner.feed(piece)
    assert scanner.cut is not None
    assert len(scanner.text) <= REPLY_CHARS_MAX
    kept = scanner.text
    assert scanner.feed("a2: Wait 1\n") == []
    assert scanner.text == kept


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "step 1 is empty"),
        ("Scan 3;", "step 2 is empty"),
        ("Scan 3;;Wait 1", "step 2 is empty"),
        ("Fly 3", "step 1: unknown verb 'Fly'"),
        ("Scan 3; Wait -1", "step 2: Wait.duration"),
        ("Scan 3 4", "Scan takes at most 1 arguments, not 2"),
        ("MoveTo 3", "MoveTo.y"),
        ("MoveTo 3 \u0664", "MoveTo.y"),
        ("Scan " + "9" * ELEMENT_CHARS_MAX, "characters"),
        ('Scan "', "not JSON"),
        ("Scan [NaN]", "NaN"),
        ('[1] "x" {', "not JSON"),
        ("; ".join(["Wait 1"] * 9), "at most 8"),
    ],
)
def test_what_is_no_line_is_refused_with_its_reason(text: str, reason: str) -> None:
    """Each defect of a line is a `ParseError` that names it; nothing is repaired."""
    with pytest.raises(ParseError) as caught:
        LINE.encode(text, REGISTRIES["small"])
    assert reason in str(caught.value)
    assert len(str(caught.value)) < 600


# -- what is asked for is what is legal --------------------------------------------------------------------------------


def legal_steps(registry: ToolRegistry, batch: SnapshotBatch) -> st.SearchStrategy[ActionStep]:
    """Draw steps of the only agent of a batch that are legal, with whole seconds."""
    enemies = [key for key in batch.enemy[0].tolist() if key >= 0]
    allies = [key for key in (*batch.ally[0].tolist(), int(batch.keys[0]), int(batch.leader[0])) if key >= 0]
    ranges = {Role.CELL_X: range(batch.map.width), Role.CELL_Y: range(batch.map.height), Role.ENEMY: enemies,
              Role.ALLY: allies, Role.OBJECT: [key for key in batch.object[0].tolist() if key >= 0]}  # fmt: skip

    def made(spec: ToolSpec) -> st.SearchStrategy[ActionStep] | None:
        drawn = {}
        for arg in spec.args:
            offered = arg.choices or ranges.get(arg.role, range(-(-arg.low // arg.scale), arg.high // arg.scale + 1))
            if not offered:
                return None
            drawn[arg.name] = st.sampled_from(list(offered))
        drawn |= {field.name: inside(field, batch.map.width, batch.map.height) for field in spec.payload}
        required = {arg.name for arg in spec.args if arg.required} | {field.name for field in spec.payload}
        fields = st.fixed_dictionaries(
            {name: value for name, value in drawn.items() if name in required},
            optional={name: value for name, value in drawn.items() if name not in required and "." not in name},
        )
        return fields.map(lambda given: registry.make(spec.name, **nested(given)))

    return st.one_of([strategy for spec in registry if (strategy := made(spec)) is not None])


def known() -> SnapshotBatch:
    return one_row(
        snapshot(enemies=[enemy(51, 6, 3), enemy(7, 9, 9)], allies=[{"id": 2, "pos": {"x": 2, "y": 2}}]), key=12
    )


@pytest.mark.parametrize("name", REGISTRIES)
@given(st.data())
@settings(deadline=None, max_examples=40)
def test_the_grammar_allows_every_legal_plan(name: str, data: st.DataObject) -> None:
    """Any plan that the agent may make, written as a line, is in the grammar of its reply."""
    registry = REGISTRIES[name]
    batch = data.draw(st.sampled_from([known(), one_row(snapshot())]))
    plan = data.draw(st.lists(legal_steps(registry, batch), min_size=1, max_size=PLAN_STEPS_MAX))
    grammar = LINE.grammar(Offers.of(batch, registry))
    assert grammar is not None
    assert re.fullmatch(as_regex(grammar), LINE.frame({"a1": LINE.write(plan, registry)}))


@pytest.mark.parametrize("name", REGISTRIES)
@given(st.data())
@settings(deadline=None, max_examples=25)
def test_the_grammar_allows_nothing_but_legal_plans(name: str, data: st.DataObject) -> None:
    """Whatever a model writes inside the grammar is a legal plan for each agent asked."""
    registry = REGISTRIES[name]
    agents = data.draw(batches(upto=3).filter(bool))
    batch = SnapshotBatch.from_snapshots(agents)
    grammar = LINE.grammar(Offers.of(batch, registry))
    assert grammar is not None
    reply = data.draw(st.from_regex(as_regex(grammar), fullmatch=True))
    slots = {f"a{row + 1}": int(key) for row, key in enumerate(batch.keys)}
    scanner = LINE.scanner(slots)
    found = scanner.feed(reply)
    assert [slot.agent for slot in found] == batch.keys.tolist()
    encoded = PlanBatch.from_encoded(batch.keys, [LINE.encode(slot.text, registry) for slot in found])
    assert refusals(batch, encoded, registry).tolist() == [0] * len(batch)


@pytest.mark.parametrize("encoding", KEYED, ids=lambda encoding: encoding.name)
@pytest.mark.parametrize("name", REGISTRIES)
@given(st.data())
@settings(deadline=None, max_examples=40)
def test_the_schema_allows_every_legal_plan(name: str, encoding: Encoding, data: st.DataObject) -> None:
    """Any plan that the agent may make, written in the encoding, is valid under the schema of its reply."""
    registry = REGISTRIES[name]
    batch = data.draw(st.sampled_from([known(), one_row(snapshot())]))
    plan = data.draw(st.lists(legal_steps(registry, batch), min_size=1, max_size=PLAN_STEPS_MAX))
    schema = encoding.schema(Offers.of(batch, registry))
    assert schema is not None
    reply = json.loads(encoding.frame({"a1": encoding.write(plan, registry)}))
    if encoding.name == "named":
        reply["a1"]["steps"] = [step.model_dump(mode="json") for step in plan]  # under a schema nothing is left out
    assert valid(reply, schema, schema["$defs"])


@pytest.mark.parametrize("encoding", KEYED, ids=lambda encoding: encoding.name)
@pytest.mark.parametrize("name", REGISTRIES)
def test_the_schema_allows_no_target_cell_or_verb_that_is_not_legal(name: str, encoding: Encoding) -> None:
    """Strangers, cells off the map, verbs that are not offered and missing arguments are not valid under the schema."""
    registry = REGISTRIES[name].offering(["MoveTo", "Attack", "Wait"])
    schema = encoding.schema(Offers.of(known(), registry))
    assert schema is not None
    good = [["Attack", 51], ["MoveTo", MAP_WIDTH - 1, MAP_HEIGHT - 1], ["Wait", 1]]
    bad = [["Attack", 52], ["MoveTo", MAP_WIDTH, 0], ["MoveTo", 0, MAP_HEIGHT], ["MoveTo", 1], ["Attack"], ["Reload"],
           ["Wait", 601], ["MoveTo", 1, 2, 3], ["Wait", None]]  # fmt: skip
    for verdict, listed in ((True, good), (False, bad)):
        for step in listed:
            if encoding.name == "tuple":
                plan: object = [step]
            else:
                names = [arg.name for arg in registry.spec(str(step[0])).args]
                made = {"act": step[0], **dict(zip(names, step[1:], strict=False))}
                plan = {"steps": [{"speed": None, **made} if len(step) > 2 else made]}
            assert valid({"a1": plan}, schema, schema["$defs"]) is verdict, step


def valid(data: object, schema: Any, defs: dict[str, Any]) -> bool:
    """Judge data by the keywords that our schemas use."""
    if "$ref" in schema:
        return valid(data, defs[schema["$ref"].rpartition("/")[2]], defs)
    if "anyOf" in schema:
        return any(valid(data, option, defs) for option in schema["anyOf"])
    if "enum" in schema and data not in schema["enum"]:
        return False
    match schema["type"]:
        case "object":
            fields = schema["properties"]
            return (
                isinstance(data, dict)
                and set(data) == set(fields) == set(schema["required"])
                and all(valid(value, fields[name], defs) for name, value in data.items())
            )
        case "array":
            listed = schema.get("prefixItems") or [schema["items"]] * (len(data) if isinstance(data, list) else 0)
            return (
                isinstance(data, list)
                and schema["minItems"] <= len(data) <= schema["maxItems"]
                and all(valid(value, part, defs) for value, part in zip(data, listed, strict=True))
            )
        case "null":
            return data is None
        case "string":
            return isinstance(data, str)
        case "integer":
            fits = isinstance(data, int)
        case _:
            fits = isinstance(data, int | float)
    return fits and schema.get("minimum", data) <= data <= schema.get("maximum", data)  # type: ignore[operator]


@given(st.integers(0, 5000), st.integers(0, 5000))
@settings(deadline=None, max_examples=200)
def test_ranges_in_a_grammar_hold_their_numbers_and_no_others(one: int, other: int) -> None:
    """The rule for a range matches each whole number in it, without leading zeros, and none beside it."""
    low, high = sorted((one, other))
    rule = re.compile(as_regex(f"root ::= {_whole(low, high)}"))
    for number in {0, low - 1, low, low + 1, (low + high) // 2, high - 1, high, high + 1, 10 * high, 9999}:
        assert bool(rule.fullmatch(str(number))) == (low <= number <= high), number
    assert not rule.fullmatch(f"0{low}")


def test_agents_that_know_the_same_share_their_rules() -> None:
    """Equal targets mean one plan rule, so a grammar or schema for many agents stays small."""
    batch = SnapshotBatch.from_snapshots([(AgentId(5), snapshot(enemies=[enemy(51, 6, 3)]))])
    many = SnapshotBatch(keys=np.full(50, 5, np.int64), enemy=np.repeat(batch.enemy, 50, axis=0), map=batch.map)
    grammar = LINE.grammar(Offers.of(many, REGISTRIES["default"]))
    assert grammar is not None
    assert grammar.count("\np1 ") == 1
    assert "p2" not in grammar
    assert len(grammar) < 3_000
    for encoding in KEYED:
        assert len(json.dumps(encoding.schema(Offers.of(many, REGISTRIES["default"])))) < 12_000


def test_an_encoding_is_found_by_its_name() -> None:
    """Names are unique, and an unknown one is refused with the known ones."""
    assert [encoding_of(encoding.name) for encoding in ENCODINGS] == list(ENCODINGS)
    with pytest.raises(ContractError, match="unknown encoding 'morse'; known: named, tuple, line"):
        encoding_of("morse")
