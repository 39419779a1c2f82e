"""Output encodings: whichever is asked for, the same plans come out, and what it asks for is what is legal."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from ai.actions import Action, Kind, ToolRegistry, known, on, values_in
from ai.errors import ContractError, ParseError
from ai.llm.encodings import ENCODINGS, encoding_of
from ai.llm.encodings.base import Encoding
from ai.llm.encodings.gbnf import number
from ai.llm.encodings.offers import Offers
from ai.llm.parse import ELEMENT_CHARS_MAX, REPLY_CHARS_MAX, SlotText, find_plans
from ai.llm.prompt import Detail, example_plans, system_message
from ai.observation import Cell, ObservationBatch
from tests.ai.llm.gbnf import as_regex
from tests.ai.llm.streams import STREAMS, content
from tests.ai.llm.village import (
    FORAGERS,
    FORAGING,
    MARKET,
    PEOPLE,
    VILLAGERS,
    Bush,
    Field,
    Nap,
    forager,
    foragers,
    market,
    plans,
    villager,
)

LINE = encoding_of("line")
KEYED = [encoding_of("named"), encoding_of("tuple")]
SLOTS = {f"a{n}": 100 + n for n in range(1, 9)}
VILLAGE = market(villager(people=(PEOPLE[5], PEOPLE[9]), debt_to=7), villager())
FIELD = foragers(forager(bushes=(Bush(id=4, pos=Cell(1, 1), berries=2),)), forager(field=Field(1, 1)))
DOMAINS: dict[str, tuple[ToolRegistry, ObservationBatch[Any]]] = {
    "market": (MARKET, VILLAGE),
    "field": (FORAGING, FIELD),
}

each_encoding = pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda encoding: encoding.name)
each_domain = pytest.mark.parametrize(("registry", "batch"), DOMAINS.values(), ids=DOMAINS)


def scan(encoding: Encoding, *pieces: str, whole: bool = True) -> tuple[list[SlotText], Any]:
    scanner = encoding.scanner(SLOTS)
    found = [slot for piece in pieces for slot in scanner.feed(piece)]
    return found + scanner.close(whole=whole), scanner


# -- the same plans ----------------------------------------------------------------------------------------------------


@each_encoding
@each_domain
@given(st.data())
@settings(deadline=None, max_examples=60)
def test_a_plan_written_in_any_encoding_reads_back_as_itself(
    encoding: Encoding, registry: ToolRegistry, batch: ObservationBatch[Any], data: st.DataObject
) -> None:
    """Any plan gives the same steps and integers after writing, framing, scanning and reading."""
    written = data.draw(st.lists(plans(registry, batch), min_size=1, max_size=4))
    reply = encoding.frame({f"a{n}": encoding.write(plan, registry) for n, plan in enumerate(written, 1)})
    found, scanner = scan(encoding, reply)
    assert scanner.cut is None
    assert [slot.agent for slot in found] == [100 + n for n in range(1, len(written) + 1)]
    for slot, plan in zip(found, written, strict=True):
        assert encoding.parse(slot.text, registry) == tuple(plan)
        assert encoding.encode(slot.text, registry) == tuple(map(registry.encode, plan))


@each_encoding
@given(st.data())
@settings(deadline=None, max_examples=40)
def test_every_encoding_also_reads_named_json(encoding: Encoding, data: st.DataObject) -> None:
    """A plan in named JSON is read wherever a plan is expected: models fall back to it, and scripts use it."""
    plan = data.draw(plans(MARKET, VILLAGE))
    text = encoding_of("named").write(plan, MARKET)
    found, _ = scan(encoding, encoding.frame({"a1": text}))
    assert encoding.parse(found[0].text, MARKET) == tuple(plan)
    reply = encoding_of("named").frame({"a1": text, "a2": text})
    assert [slot.agent for slot in scan(encoding, reply)[0] or find_plans(reply, SLOTS)] == [101, 102]


SOUP = st.lists(
    st.sampled_from(["Buy", "Sleep", "bread", " ", ";", "; ", "3", "-", "-7", "0.5", "1e9", "\n", "\t", "{", "}", "[",
                     "]", '"', ",", ":", "a1", "a1: ", "[1", '{"x":', "null", "NaN", "\u00e9", "\\", "٣",
                     '["Sleep",1]', '{"act":"Sleep"}'])
).map("".join)  # fmt: skip


@each_encoding
@given(SOUP | st.text(max_size=60))
@settings(deadline=None, max_examples=120)
def test_any_text_gives_a_plan_or_a_parse_error(encoding: Encoding, text: str) -> None:
    """No text raises anything but `ParseError`, and steps and integers agree about it."""
    try:
        expected: object = tuple(map(MARKET.encode, encoding.parse(text, MARKET)))
    except ParseError as error:
        expected = str(error)
    try:
        found: object = encoding.encode(text, MARKET)
    except ParseError as error:
        found = str(error)
    assert found == expected


# -- streams -----------------------------------------------------------------------------------------------------------


@each_encoding
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
    text=SOUP | st.text("a1: ;\n\r/ Sleep", max_size=60),
    cuts=st.lists(st.integers(0, 80), max_size=6),
    whole=st.booleans(),
)
@settings(deadline=None, max_examples=120)
def test_any_split_of_lines_gives_the_plans_of_the_whole(text: str, cuts: list[int], *, whole: bool) -> None:
    """Lines, prose and noise are read the same for any split into pieces."""
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
    """The last line of a reply that was cut off may lack an argument, so it is not a plan; in a whole reply it is."""
    text = "a1: Sleep 3\na2: Buy fish 1"
    assert scan(LINE, text + "2")[0] == [SlotText(101, "Sleep 3"), SlotText(102, "Buy fish 12")]
    found, scanner = scan(LINE, text, whole=False)
    assert found == [SlotText(101, "Sleep 3")]
    assert scanner.cut == "the reply ended inside a plan"


def test_lines_are_known_by_their_slot() -> None:
    """Prose is passed over, the first line of a slot wins, and lines of agents that were not asked are counted."""
    reply = "Sure:\n1: Sleep 1\n a2: Sleep 2\r\na2: Sleep 3\na9: Sleep 4\n"
    found, scanner = scan(LINE, reply)
    assert found == [SlotText(101, "Sleep 1"), SlotText(102, "Sleep 2")]
    assert (scanner.duplicates, scanner.unknown, scanner.cut) == ({102: 1}, 1, None)


@pytest.mark.parametrize("garbage", ["x", "a1: x\n", "a1: Sleep 1; ", " ", "\n", "a1", "\x00"])
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
    assert scanner.feed("a2: Sleep 1\n") == []
    assert scanner.text == kept


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "step 1 is empty"),
        ("Sleep 3;", "step 2 is empty"),
        ("Sleep 3;;Sleep 1", "step 2 is empty"),
        ("Fly 3", "step 1: unknown verb 'Fly'"),
        ("Sleep 3; Sleep -1", "step 2: Sleep.hours"),
        ("Sleep 3 4", "Sleep takes at most 1 arguments, not 2"),
        ("Buy bread", "Buy.count"),
        ("Buy bread \u0664", "Buy.count"),
        ("Sleep " + "9" * ELEMENT_CHARS_MAX, "characters"),
        ('Sleep "', "not JSON"),
        ("Sleep [NaN]", "NaN"),
        ('[1] "x" {', "not JSON"),
        ("; ".join(["Sleep 1"] * 9), "at most 8"),
    ],
)
def test_what_is_no_line_is_refused_with_its_reason(text: str, reason: str) -> None:
    """Each defect of a line is a `ParseError` that names it; nothing is repaired."""
    with pytest.raises(ParseError) as caught:
        LINE.encode(text, MARKET)
    assert reason in str(caught.value)
    assert len(str(caught.value)) < 600


# -- what is asked for is what is written, and what is legal -----------------------------------------------------------


def asked_for(encoding: Encoding, registry: ToolRegistry, batch: ObservationBatch[Any]) -> Callable[[str], bool]:
    """Return a judge of whole replies: the schema or grammar that is sent with the call, as a server enforces it."""
    offers = Offers.of(batch, registry)
    schema, grammar = encoding.schema(offers), encoding.grammar(offers)
    if grammar is not None:
        pattern = re.compile(as_regex(grammar))
        return lambda reply: pattern.fullmatch(reply) is not None
    assert schema is not None
    validator = Draft202012Validator(schema)
    return lambda reply: bool(validator.is_valid(json.loads(reply)))


@each_encoding
@each_domain
@given(st.data())
@settings(deadline=None, max_examples=150)
def test_what_an_encoding_writes_is_what_it_asks_for(
    encoding: Encoding, registry: ToolRegistry, batch: ObservationBatch[Any], data: st.DataObject
) -> None:
    """Any plan that an agent may make, written in the encoding, is valid under the schema or grammar of its call."""
    written = [data.draw(plans(registry, batch, row)) for row in range(len(batch))]
    reply = encoding.frame({f"a{n}": encoding.write(plan, registry) for n, plan in enumerate(written, 1)})
    assert asked_for(encoding, registry, batch)(reply), reply


@each_encoding
@pytest.mark.parametrize("detail", Detail)
@each_domain
def test_the_example_in_the_prompt_is_what_the_call_asks_for(
    encoding: Encoding, detail: Detail, registry: ToolRegistry, batch: ObservationBatch[Any]
) -> None:
    """The prompt's own example is valid under the schema or grammar that is sent with it."""
    shown = min(len(example_plans(registry)), detail)
    example = system_message(registry, encoding=encoding, detail=detail).partition("Example:\n")[2]
    assert example.count('"a' if encoding is not LINE else ": ") >= shown >= 1
    asked = {"market": market, "field": foragers}["market" if registry is MARKET else "field"]
    everyone: Any = asked(*[batch.to_object(0)] * shown)  # type: ignore[operator] # one of the two takes them
    assert asked_for(encoding, registry, everyone)(example), example


@each_encoding
@each_domain
@given(st.data())
@settings(deadline=None, max_examples=25)
def test_what_is_asked_for_is_legal_and_is_written_alike(
    encoding: Encoding, registry: ToolRegistry, batch: ObservationBatch[Any], data: st.DataObject
) -> None:
    """Whatever a model writes inside the schema or grammar is a legal plan, and written again it is still inside."""
    offers = Offers.of(batch, registry)
    schema, grammar = encoding.schema(offers), encoding.grammar(offers)
    if grammar is not None:
        reply = data.draw(st.from_regex(as_regex(grammar), fullmatch=True))
    else:
        assert schema is not None
        reply = json.dumps(data.draw(instances(schema, schema["$defs"])))
    found, _ = scan(encoding, reply)
    assert sorted(slot.agent for slot in found) == [101, 102]
    read = [encoding.parse(slot.text, registry) for slot in sorted(found)]
    for row, plan in enumerate(read):
        assert all(legal(registry, batch, row, step) for step in plan)
    again = encoding.frame({f"a{n}": encoding.write(plan, registry) for n, plan in enumerate(read, 1)})
    assert asked_for(encoding, registry, batch)(again), again


def legal(registry: ToolRegistry, batch: ObservationBatch[Any], row: int, step: Action) -> bool:
    """Say whether an agent knows what a step names and the cells are those of its space."""
    spec = registry.spec(step.act)
    stored = []
    for arg in spec.args:
        value: Any = step
        for part in arg.name.split("."):
            value = None if value is None else getattr(value, part)
        stored.append((arg, value))
    for arg, value in (*stored, *values_in(spec, step)):
        if value is None:
            assert not arg.required
        elif arg.kind is Kind.TARGET and value not in batch.targets(*arg.sources)[row]:
            return False
        elif arg.kind in (Kind.CELL, Kind.CELL_X, Kind.CELL_Y):
            space = batch.shared[arg.sources[0]][int(batch.column(arg.sources[0])[row])]
            x = value.x if arg.kind is Kind.CELL else value if arg.kind is Kind.CELL_X else 0
            y = value.y if arg.kind is Kind.CELL else value if arg.kind is Kind.CELL_Y else 0
            if x >= space.width or y >= space.height:
                return False
    return True


def instances(schema: Any, defs: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Draw an instance of a schema that uses the keywords of ours."""
    if "$ref" in schema:
        return st.deferred(lambda: instances(defs[schema["$ref"].rpartition("/")[2]], defs))
    if "anyOf" in schema:
        return st.one_of([instances(option, defs) for option in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema["type"]:
        case "object":
            assert schema["additionalProperties"] is False
            assert schema["required"] == list(schema["properties"])
            return st.fixed_dictionaries({name: instances(part, defs) for name, part in schema["properties"].items()})
        case "array" if "prefixItems" in schema:
            assert schema["minItems"] == schema["maxItems"] == len(schema["prefixItems"])
            return st.tuples(*(instances(part, defs) for part in schema["prefixItems"])).map(list)
        case "array":
            return st.lists(instances(schema["items"], defs), min_size=schema["minItems"], max_size=schema["maxItems"])
        case "string":
            sound = st.characters(codec="utf-8")
            return st.text(sound, min_size=schema.get("minLength", 0), max_size=schema["maxLength"])
        case "integer":
            return st.integers(schema["minimum"], schema["maximum"])
        case "number":
            return st.floats(schema["minimum"], schema["maximum"])
    assert schema["type"] == "null"
    return st.none()


@pytest.mark.parametrize("encoding", KEYED, ids=lambda encoding: encoding.name)
def test_the_schema_keeps_to_the_portable_subset(encoding: Encoding) -> None:
    """Only keywords that every server enforces are used, every object is closed, and every property is required."""
    allowed = {"type", "properties", "required", "additionalProperties", "enum", "items", "prefixItems", "anyOf",
               "minItems", "maxItems", "minimum", "maximum", "minLength", "maxLength", "$ref", "$defs"}  # fmt: skip

    def check(node: Any) -> None:
        if isinstance(node, list):
            for part in node:
                check(part)
        elif isinstance(node, dict):
            assert set(node) <= allowed
            if node.get("type") == "object":
                assert node["additionalProperties"] is False
                assert node["required"] == list(node["properties"])
            for key, part in node.items():
                if key in ("properties", "$defs"):
                    for inner in part.values():
                        check(inner)
                elif key not in ("enum", "required"):
                    check(part)

    for registry, batch in DOMAINS.values():
        check(encoding.schema(Offers.of(batch, registry)))


@given(st.integers(-5000, 5000), st.integers(-5000, 5000), st.sampled_from([1, 2, 10, 1000]))
@settings(deadline=None, max_examples=400)
def test_ranges_in_a_grammar_hold_their_numbers_and_no_others(one: int, other: int, scale: int) -> None:
    """The rule for a range matches each number in it, without leading zeros, and none beside it."""
    low, high = sorted((one, other))
    rule = re.compile(as_regex(f"root ::= {number(low, high, scale)}"))
    near = {bound // unit * unit for bound in (low, high) for unit in (10, 100, 1000)}
    for stored in near | {0, low - 1, low, low + 1, (low + high) // 2, high - 1, high, high + 1, 10 * high, 9999}:
        text = str(stored) if scale == 1 else f"{stored / scale:g}"
        assert bool(rule.fullmatch(text)) == (low <= stored <= high), text
    assert not rule.fullmatch(f"0{abs(low) or 1}")


# -- what agents are offered -------------------------------------------------------------------------------------------


def names_offered(offers: Offers, row: int) -> set[str]:
    schema = encoding_of("named").schema(Offers(offers.registry, [offers.each[row]]))
    assert schema is not None
    steps = [part["anyOf"] for name, part in schema["$defs"].items() if name.startswith("s")]
    return {act for options in steps for option in options for act in option["properties"]["act"]["enum"]}


def test_a_verb_is_offered_where_its_target_is_known() -> None:
    """Who knows nobody is not offered a verb that needs somebody; a target that may be left out does not matter."""
    offers = Offers.of(VILLAGE, MARKET)
    assert names_offered(offers, 0) == {"Buy", "Sell", "Sleep", "Talk", "Tip"}
    assert names_offered(offers, 1) == {"Buy", "Sell", "Sleep", "Tip"}
    assert names_offered(Offers.of(FIELD, FORAGING), 1) == {"Go", "Look", "Nap", "Rest", "Wander"}


def test_ids_of_another_space_are_never_offered() -> None:
    """An agent and a bush may have the same number; a verb for bushes names bushes alone."""
    offers = Offers.of(FIELD, FORAGING.offering(["Pick"]))
    assert [[offer.targets for offer in own] for own in offers.each] == [[{("bushes",): (4,)}], []]


def test_verbs_that_need_different_targets_of_the_same_sources_are_offered_by_themselves() -> None:
    """Each verb needs its own target; an agent with a target for neither is offered neither, and no empty choice."""

    class Visit(Action):
        """Visit a person, perhaps on behalf of a lender."""

        to: int = known("people")
        lender: int | None = known("debt_to", default=None)

    class Repay(Action):
        """Repay a lender, perhaps in front of a person."""

        lender: int = known("debt_to")
        to: int | None = known("people", default=None)

    registry = ToolRegistry([Visit, Repay, Nap], idle=Nap())
    owing = villager(debt_to=7)
    offers = Offers.of(market(villager(people=(PEOPLE[5],)), owing, villager()), registry)
    assert [names_offered(offers, row) for row in range(3)] == [{"Visit", "Nap"}, {"Repay", "Nap"}, {"Nap"}]


def test_agents_that_know_the_same_share_their_rules() -> None:
    """Equal targets mean one plan rule, so a grammar or schema for many agents stays small."""
    many = market(*[VILLAGE.to_object(0)] * 50)
    grammar = LINE.grammar(Offers.of(many, MARKET))
    assert grammar is not None
    assert grammar.count("\np1 ") == 1
    assert "p2" not in grammar
    assert len(grammar) < 2_500
    for encoding in KEYED:
        assert len(json.dumps(encoding.schema(Offers.of(many, MARKET)))) < 6_000


@given(st.lists(VILLAGERS, min_size=2, max_size=5) | st.lists(FORAGERS, min_size=2, max_size=5), st.data())
@settings(deadline=None, max_examples=60)
def test_offers_of_some_are_some_of_the_offers(agents: list[Any], data: st.DataObject) -> None:
    """What the agents of a call may do does not depend on the batch that the call is cut from."""
    registry: ToolRegistry = MARKET if hasattr(agents[0], "money") else FORAGING
    batch: ObservationBatch[Any] = market(*agents) if registry is MARKET else foragers(*agents)
    start = data.draw(st.integers(0, len(agents) - 1))
    rows = slice(start, data.draw(st.integers(start + 1, len(agents))))
    assert Offers.of(batch, registry).take(rows).each == Offers.of(batch.take(rows), registry).each


class Aim(Action):
    """Aim at a cell."""

    a1: Cell = on("field")


class Meet(Action):
    """Meet somebody."""

    whom: int = known("strangers")


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        (Aim, "Aim.a1: an argument must not be named like a slot (a1, a2, ...)"),
        (Meet, "Forager has no ids under 'strangers'"),
    ],
)
def test_verbs_that_cannot_be_asked_for_are_refused(action: type[Action], reason: str) -> None:
    """An argument named like a slot would make plans unreadable, and a source must be one of the observation."""
    with pytest.raises(ContractError) as caught:
        Offers.of(FIELD, ToolRegistry([action, Nap], idle=Nap()))
    assert reason in str(caught.value)


def test_an_encoding_is_found_by_its_name() -> None:
    """Names are unique, and an unknown one is refused with the known ones."""
    assert [encoding_of(encoding.name) for encoding in ENCODINGS] == list(ENCODINGS)
    with pytest.raises(ContractError, match="unknown encoding 'morse'; known: named, tuple, line"):
        encoding_of("morse")
