"""Planning alone, in a plain esper world: nothing is lost between what a host knows and what planners see."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import esper
import pytest

from ai.testing import FailingLlm, MockBatchLlm
from tests.models.alone import REGISTRY, Day, Neighbour, Person, Townsman

WORLD = "town of mine"


@pytest.fixture(autouse=True)
def town() -> Iterator[list[int]]:
    """Eleven people in an esper world of their own."""
    esper.switch_world(WORLD)
    yield [esper.create_entity(Person(role)) for role in ("baker", *["buyer"] * 10)]
    esper.switch_world("default")
    esper.delete_world(WORLD)


def person(key: int) -> Person:
    """Return a person of the town."""
    found: Person = esper.component_for_entity(key, Person)
    return found


def test_rules_over_the_hosts_own_numbers_plan_for_everybody(town: list[int]) -> None:
    """Everybody without bread buys one, and then greets the first neighbour; a tired one sleeps."""
    person(town[3]).mood = 10
    day = Day()
    esper.add_processor(day)
    esper.process()
    assert [person(key).stock["bread"] for key in town] == [1] * 3 + [0] + [1] * 7
    assert person(town[0]).money == 15.5
    assert person(town[3]).mood == 20
    esper.process()
    assert person(town[0]).heard == ["Good morning."] * 9
    assert set(day.tiers) == {"heuristic"}


def test_a_model_reads_everything_that_the_host_knows(town: list[int]) -> None:
    """All ten neighbours, what was heard, prices and a role of the host's own are in the prompt; nothing else is."""

    class Listening(MockBatchLlm):
        asked = ""

        def stream(self, request: Any) -> Any:
            self.asked += "\n".join(message.content for message in request.messages)
            return super().stream(request)

    person(town[0]).heard = ["bread is dear", "fish is cheap", "rain tomorrow"]
    client = Listening(len(town), REGISTRY)
    day = Day(client)
    esper.add_processor(day)
    esper.process()
    assert set(day.tiers) == {"simplified_llm"}
    assert client.calls <= 3
    for text in ("people of a town", "baker", "bread is dear", "fish is cheap", "rain tomorrow", "20.5", "price"):
        assert text in client.asked, text
    for verb in ("Buy", "Talk", "Sleep"):
        assert f"{verb}(" in client.asked
    assert "Wait(" not in client.asked
    assert not {"enemy", "cover", "squad", "ammo"} & set(client.asked.lower().replace(",", " ").split())


def test_everybody_has_a_legal_plan_when_the_model_fails(town: list[int]) -> None:
    """Rules answer for everybody whom a failing client leaves without a plan."""
    day = Day(FailingLlm())
    esper.add_processor(day)
    esper.process()
    assert day.tiers == ["heuristic"] * len(town)


def test_a_batch_keeps_ten_neighbours_and_three_texts() -> None:
    """A list within its limit arrives whole, and a float with its scale arrives exact."""
    known = Townsman(
        role="baker",
        money=2.5,
        mood=50,
        heard=("one", "two", "three"),
        people=tuple(Neighbour(id=each) for each in range(1, 11)),
    )
    batch = Townsman.from_objects([(0, known)])
    assert batch.to_object(0) == known
