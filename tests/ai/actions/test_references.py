"""What actions refer to must be declared: found when a domain is made."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ai.actions import Action, PromptText, ToolRegistry, check, known, name, on
from ai.errors import ContractError
from ai.observation import AgentId, Cell, Observation, fact
from ai.orchestrator import FallbackOrchestrator
from tests.ai.llm.village import FORAGING, MARKET, TABLES, Buy, Forager, Sleep, Villager, villager


class Fetch(Action):
    """Fetch somebody or something."""

    what: int = known("guide", "bushes")


class Wave(Action):
    """Wave to somebody."""

    to: int = known("peple")


class Fly(Action):
    """Fly to a cell."""

    to: Cell = on("sky")


class Step(Action):
    """Step onto a cell of something that has no size."""

    to: Cell = on("landmarks")


class Sing(Action):
    """Sing a song."""

    song: str = name("songs")


def test_what_is_declared_passes() -> None:
    """The market and the field fit their verbs."""
    check(MARKET, Villager)
    check(FORAGING, Forager)


@pytest.mark.parametrize(
    ("actions", "of", "message"),
    [
        ([Wave], Villager, "Wave.to: Villager has no ids under 'peple'; it has self, people, debt_to"),
        ([Fetch], Forager, "Fetch.what: 'guide' has ids of agents and 'bushes' of bushes; keep one of them"),
        ([Fly], Forager, "Fly.to.x: Forager has no space 'sky'; declare a shared fact with width and height"),
        ([Step], Forager, "Step.to.x: 'landmarks' is not a space: its value has no width and height"),
        ([Sing], Villager, "Sing.song: the registry has no table 'songs'; its tables: goods, trades"),
    ],
)
def test_a_dangling_reference_is_one_sentence(actions: Any, of: type[Observation], message: str) -> None:
    """The verb, its argument, and what there is."""
    tables = TABLES if of is Villager else {}
    with pytest.raises(ContractError) as caught:
        check(ToolRegistry(actions, idle=Sleep(), tables=tables), of)
    assert message in str(caught.value)


def test_a_host_without_tables_may_leave_verbs_out() -> None:
    """A registry that was given no tables does not offer verbs that need one; with empty tables they are a mistake."""
    check(ToolRegistry([Buy], idle=Sleep()), Villager)
    with pytest.raises(ContractError, match=r"Buy\.good: the registry has no table 'goods'; its tables: none"):
        check(ToolRegistry([Buy], idle=Sleep(), tables={}), Villager)


def test_a_batch_asks_for_no_plan_with_a_dangling_reference() -> None:
    """Planning alone checks references once, and does not hand the agents on to a lower tier."""
    registry = ToolRegistry([Sing], idle=Sleep(), tables=TABLES)
    orchestrator = FallbackOrchestrator()
    for _ in range(2):
        with pytest.raises(ContractError, match="the registry has no table 'songs'"):
            asyncio.run(orchestrator.plan_batch_with_fallback(None, [(1, villager())], registry))


def test_examples_of_a_prompt_are_plans() -> None:
    """An example with a name that no table has is told by its number."""
    prompt = PromptText(examples=((Sleep(1),), (Buy("gold", 1),)))
    registry = ToolRegistry([Buy], idle=Sleep(), tables=TABLES, prompt=prompt)
    with pytest.raises(ContractError, match="example 2 of the prompt: Buy: good: no goods named 'gold'"):
        check(registry, Villager)


def test_ids_may_stand_in_lists_of_ids() -> None:
    """A plain list of ids, and a single id, are sources as well."""

    class Member(Observation):
        """Somebody who knows ids alone."""

        friends: tuple[AgentId, ...] = fact(default=(), limit=3)
        boss: AgentId | None = fact(default=None)

    class Call(Action):
        """Call somebody."""

        to: int = known("friends", "boss", "self")

    check(ToolRegistry([Call], idle=Sleep()), Member)
    batch = Member.from_objects([(1, Member(friends=(5, 3), boss=9)), (2, Member())])
    assert batch.targets("friends", "boss", "self") == [(1, 3, 5, 9), (2,)]
