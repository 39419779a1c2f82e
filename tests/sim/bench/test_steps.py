"""Plans of equal length for all ways: exactly so many steps, and otherwise the same."""

import json
import re

import pytest
from jsonschema import Draft202012Validator

from ai.errors import ContractError
from ai.llm.encodings import ENCODINGS, NAMED
from ai.llm.encodings.base import PLAN_STEPS_MAX, Encoding, Offers
from ai.llm.prompt import PromptRequest
from sim.bench.known import common_verbs, what_agents_know
from sim.bench.steps import of_steps
from sim.run.scenario_file import load
from tests.ai.llm.gbnf import as_regex

SCENARIO = load("skirmish")
KNOWN = what_agents_know(SCENARIO, 2, seed=1)
REGISTRY = common_verbs(SCENARIO)


def allowed(encoding: Encoding, lengths: tuple[int, int]) -> bool:
    """Say whether a reply with plans of these lengths is one of those that the encoding holds a model to."""
    steps = [REGISTRY.parse_step({"act": "Reload"})]
    texts = {f"a{n}": encoding.write(steps * length, REGISTRY) for n, length in enumerate(lengths, 1)}
    reply = encoding.frame(texts)
    offers = Offers.of(KNOWN, REGISTRY)
    grammar, schema = encoding.grammar(offers), encoding.schema(offers)
    if grammar is not None:
        return re.fullmatch(as_regex(grammar), reply if reply.endswith("\n") else f"{reply}\n") is not None
    assert schema is not None
    return bool(Draft202012Validator(schema).is_valid(json.loads(reply)))


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda encoding: encoding.name)
@pytest.mark.parametrize("steps", range(1, PLAN_STEPS_MAX + 1))
def test_every_plan_has_to_have_so_many_steps(encoding: Encoding, steps: int) -> None:
    """Replies of that length are allowed in every encoding, a step more or less in one plan is not."""
    pinned = of_steps(encoding, steps)
    assert allowed(encoding, (steps, steps))
    assert allowed(pinned, (steps, steps))
    for other in (steps - 1, steps + 1):
        if 1 <= other <= PLAN_STEPS_MAX:
            assert allowed(encoding, (steps, other))
            assert not allowed(pinned, (steps, other))


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda encoding: encoding.name)
def test_what_is_asked_stays_the_same(encoding: Encoding) -> None:
    """The messages and the room for the reply are those of the encoding itself."""
    own, pinned = (PromptRequest(KNOWN, REGISTRY, encoding=each).prompt() for each in (encoding, of_steps(encoding, 3)))
    assert (own.system, own.user, own.tokens) == (pinned.system, pinned.user, pinned.tokens)


@pytest.mark.parametrize("steps", [0, -1, PLAN_STEPS_MAX + 1])
def test_a_length_that_no_plan_has_is_refused(steps: int) -> None:
    """Fewer than one step or more than a plan is asked for makes no sense."""
    with pytest.raises(ContractError):
        of_steps(NAMED, steps)
