"""The shipped checkers: every planner found passes, and each broken rule is told in a sentence."""

from __future__ import annotations

import importlib
import sys
from collections.abc import AsyncIterator, Callable
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import ai.planners
from ai import (
    Action,
    FailingLlm,
    LlmChunk,
    LlmClient,
    LlmRequest,
    MockBatchLlm,
    Observation,
    ObservationBatch,
    Outcome,
    PlanBatch,
    Playbook,
    Rule,
    ToolRegistry,
    known,
    number,
    pick,
)
from ai.actions import NONE
from ai.brought import packed
from ai.errors import ClientError, ContractError
from ai.planners import discover
from ai.planners.base import PlanCall, Planner, TierPlans
from ai.planners.heuristic import Heuristic
from ai.planners.playbook import Branch, Consideration, Goal, Operator, Option
from ai.samples import sample_observations
from ai.testing import check_client, check_planner, sample_step
from scenarios.tactics.actions import default_registry
from scenarios.tactics.playbook import PLAYBOOK
from scenarios.tactics.snapshot import WorldSnapshot
from tests.ai.llm.village import (
    FORAGING,
    MARKET,
    TABLES,
    Buy,
    Forager,
    Go,
    Pick,
    Sell,
    Sleep,
    Talk,
    Villager,
    market,
    villager,
)

Batch = ObservationBatch[Any]
SELLING = Playbook(
    rules=(
        Rule("mood < 30", Sleep(4)),
        Rule("people.mood > 20", Talk(pick("fewest:mood"), "Hello!")),
        Rule("stock.bread >= 1", (Sell("bread", 1), Sleep(2))),
    ),
    facts={"rich": "money >= 3", "fed": "stock.bread >= 1", "company": "people"},
    goals=(Goal(("company",), ("cheered",)), Goal(("!fed",), ("fed",))),
    operators=(
        Operator(Buy("bread", 1), ("rich",), ("fed",)),
        Operator(Sell("fish", 1), (), ("rich",)),
        Operator(Talk(pick("first people"), "Hello!"), ("fed",), ("cheered",)),
    ),
    options=(
        Option(Sleep(3), 1, (Consideration("mood", 100, 0, 5),)),
        Option(Talk(pick("first"), "Hello!"), 2, (Consideration("money", 0, 9, 4),), when=("people",)),
    ),
    tree=(Branch(("people",), Talk(pick("first people"), "Hello!")), Branch((), Sleep(1))),
)
PICKING = Playbook(
    rules=(
        Rule("bushes within 2", Pick(pick("nearest"))),
        Rule(("bushes", "energy > 0"), (Go(pick("nearest bushes")), Pick(pick("nearest")))),
        Rule("home", Go(pick("home"))),
    ),
)
DOMAINS: dict[str, tuple[ToolRegistry, type[Observation], Playbook]] = {
    "market": (MARKET, Villager, SELLING),
    "foraging": (FORAGING, Forager, PICKING),
    "tactics": (default_registry(), WorldSnapshot, PLAYBOOK),
}


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("name", sorted(discover()))
def test_every_planner_keeps_the_rules(name: str, domain: str) -> None:
    """What discovery finds passes the shipped check in every domain, with what the domain tells it and without."""
    registry, observation, playbook = DOMAINS[domain]
    kind = discover()[name]
    check_planner(kind(), registry, observation)
    of = getattr(kind, "of", None)
    if of is not None:
        planner = of(playbook)
        check_planner(planner, registry, observation)
        assert packed((planner, registry)), "the check could not ask it in another process"


def test_the_shipped_tiers_are_found_in_name_order() -> None:
    """Discovery lists the source's four tiers and all others by name."""
    found = discover()
    assert list(found) == sorted(found)
    assert {"emergency", "full_llm", "heuristic", "simplified_llm"} <= set(found)
    assert all(found[name]().name == name for name in found)


@pytest.mark.parametrize("client", [MockBatchLlm.for_agents(1, MARKET), FailingLlm()])
def test_the_test_clients_keep_the_rules(client: LlmClient) -> None:
    """The clients for tests stream like real ones."""
    check_client(client)
    assert client.calls > 0  # type: ignore[attr-defined]  # both count


class Spoiled(Heuristic):
    """Rules of the market, with an answer that is spoiled before it is given."""

    def __init__(self, spoil: Callable[[TierPlans, Batch], object]) -> None:
        super().__init__(SELLING.rules)
        self.spoil = spoil
        self.calls = 0

    async def plan(self, batch: Batch, registry: ToolRegistry, call: PlanCall) -> TierPlans:
        answer = await super().plan(batch, registry, call)
        self.calls += 1
        self.spoil(answer, batch)
        return answer


def _changes_batch(answer: TierPlans, batch: Batch) -> None:
    batch.column("mood")[0] += 1


def _other_keys(answer: TierPlans, batch: Batch) -> None:
    answer.plans.keys = answer.plans.keys[::-1].copy()


def _fewer(answer: TierPlans, batch: Batch) -> None:
    answer.outcome = answer.outcome[1:]


def _unknown_target(answer: TierPlans, batch: Batch) -> None:
    answer.plans.length[0] = 1
    answer.plans.kind[0, 0] = MARKET.code("Talk")
    answer.plans.args[0, :, 0] = (5, *[NONE] * 3)


def _ok_without_plan(answer: TierPlans, batch: Batch) -> None:
    answer.plans.length[0] = 0


def _garbage_beyond(answer: TierPlans, batch: Batch) -> None:
    answer.plans.kind = np.concatenate([answer.plans.kind, np.ones_like(answer.plans.kind)])
    answer.plans.args = np.concatenate([answer.plans.args, np.ones_like(answer.plans.args)])


def _strangers(answer: TierPlans, batch: Batch) -> None:
    answer.errors[10_000] = "who?"


def _by_company(answer: TierPlans, batch: Batch) -> None:
    _all_sleep(answer, len(batch))


def _all_sleep(answer: TierPlans, hours: int) -> None:
    answer.plans = PlanBatch.from_steps(answer.plans.keys, [[Sleep(hours)]] * len(answer.plans), MARKET)
    answer.outcome[:] = Outcome.OK


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (_changes_batch, "changed the batch"),
        (_other_keys, "agents asked, in their order"),
        (_fewer, "other sizes"),
        (_unknown_target, "not legal"),
        (_ok_without_plan, "only an offered plan is ok"),
        (_garbage_beyond, "must hold zeros"),
        (_strangers, "not asked"),
        (_by_company, "plans differently when asked for"),
    ],
)
def test_the_planner_check_finds_broken_rules(spoil: Callable[[TierPlans, Batch], object], sentence: str) -> None:
    """Each rule of the planner's contract, broken, is told in a sentence that names planner and rule."""
    with pytest.raises(AssertionError, match=f"'heuristic'.*{sentence}"):
        check_planner(Spoiled(spoil), SLEEPING, Villager)


SLEEPING = MARKET.offering(["Sleep"])


def test_the_planner_check_finds_chance() -> None:
    """A planner that claims to be deterministic and is not is found."""
    planner = Spoiled(lambda answer, batch: _all_sleep(answer, planner.calls))
    with pytest.raises(AssertionError, match="two calls differ"):
        check_planner(planner, SLEEPING, Villager)


class Direction(Enum):
    """The hash of a member is that of its name."""

    NORTH = 1
    EAST = 2
    SOUTH = 3
    WEST = 4


class FirstOfASet(Heuristic):
    """Takes the first member of a set."""

    async def plan(self, batch: Batch, registry: ToolRegistry, call: PlanCall) -> TierPlans:
        answer = await super().plan(batch, registry, call)
        if "Sleep" in registry:
            first = next(iter({Direction.NORTH, Direction.EAST, Direction.SOUTH, Direction.WEST}))
            _all_sleep(answer, first.value)
        return answer


def test_the_planner_check_finds_the_order_of_a_set() -> None:
    """The order differs between the other processes, so it is found whatever this process has."""
    with pytest.raises(AssertionError, match="an order of sets"):
        check_planner(FirstOfASet(SELLING.rules), SLEEPING, Villager)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "has a plan and no text"),
        ("", "has a plan and no text"),
        ("not a plan", "does not read as its plan"),
        ('{"steps":[{"act":"Sleep","hours":7}]}', "does not read as its plan"),
    ],
)
def test_the_planner_check_finds_plans_that_no_replay_could_read(text: str | None, sentence: str) -> None:
    """A planner that is not deterministic and gives no text, or another plan's, is found: its runs prove nothing."""

    def spoil(answer: TierPlans, batch: Batch) -> None:
        answer.texts = {} if text is None else dict.fromkeys(batch.keys.tolist(), text)

    planner = Spoiled(spoil)
    planner.deterministic = False
    with pytest.raises(AssertionError, match=f"'heuristic'.*{sentence}"):
        check_planner(planner, MARKET, Villager)


def test_the_planner_check_asks_for_a_planner() -> None:
    """Something else than a planner is told so."""
    with pytest.raises(AssertionError, match="has no text `name`"):
        check_planner(object(), MARKET, Villager)  # type: ignore[arg-type]  # not a planner


class Chunks:
    """A client that yields what it is told."""

    def __init__(self, *chunks: Any, label: str = "chunks") -> None:
        self.chunks = chunks
        self.label = label

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        for chunk in self.chunks:
            yield chunk


@pytest.mark.parametrize(
    ("client", "sentence"),
    [
        (Chunks(LlmChunk("a")), "exactly the last"),
        (Chunks(LlmChunk("a", finish="stop"), LlmChunk("b")), "exactly the last"),
        (Chunks(LlmChunk("a", finish="stop"), LlmChunk("b", finish="stop")), "exactly the last"),
        (Chunks(), "without a chunk"),
        (Chunks("text"), "must yield LlmChunk"),
        (Chunks(LlmChunk("a", finish="stop"), label="openai:m@http://host/v1"), "no host, path or secret"),
        (Chunks(LlmChunk("a", finish="stop"), label=""), "not empty"),
        (object(), "needs `label`"),
    ],
)
def test_the_client_check_finds_broken_rules(client: Any, sentence: str) -> None:
    """Each rule of the client's contract, broken, is told in a sentence."""
    with pytest.raises(AssertionError, match=sentence):
        check_client(client)


# Discovery.

GOOD = """
from ai.planners.heuristic import Heuristic
class Mine(Heuristic):
    name = "mine"
PLANNERS = (Mine,)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Give a function that adds one file to the planners' folder, as seen by discovery."""
    monkeypatch.setattr(ai.planners, "__path__", [*ai.planners.__path__, str(tmp_path)])

    def add(source: str) -> Path:
        path = tmp_path / "zz_mine.py"
        path.write_text(source)
        importlib.invalidate_caches()
        monkeypatch.delitem(sys.modules, "ai.planners.zz_mine", raising=False)
        return path

    yield add  # type: ignore[misc]
    sys.modules.pop("ai.planners.zz_mine", None)
    if hasattr(ai.planners, "zz_mine"):
        del ai.planners.zz_mine


def test_a_planner_is_one_file(folder: Callable[[str], Path]) -> None:
    """A file in the folder is found by name, and what it holds passes the check."""
    folder(GOOD)
    check_planner(discover()["mine"](), MARKET, Villager)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("x = 1", "must define `PLANNERS"),
        ("PLANNERS = ()", "must define `PLANNERS"),
        ("PLANNERS = (3,)", "is not a class"),
        ("def (", "cannot be imported"),
        ("raise OSError('no disk')", "no disk"),
        ("class A: pass\nPLANNERS = (A,)", r"A\.name must be"),
        ("class A: name = 'a'\nPLANNERS = (A,)", r"A\.deterministic must be"),
        ("class A:\n name = 'a'; deterministic = True\n def plan(self): 0\nPLANNERS = (A,)", "`async def`"),
        (GOOD.replace("name =", "def __init__(self, x): 0\n    name ="), "without arguments"),
        (GOOD.replace('"mine"', '"heuristic"'), "already defined by"),
    ],
)
def test_a_malformed_file_is_an_error_that_names_it(folder: Callable[[str], Path], source: str, sentence: str) -> None:
    """Discovery never skips: a file that is not a planner is an error with the file's name."""
    folder(source)
    with pytest.raises(ContractError, match=rf"zz_mine\.py.*{sentence}"):
        discover()


class Point:
    """An installed distribution's entry point."""

    def __init__(self, loaded: object) -> None:
        self.name, self.value, self.loaded = "mine", "their.module:Mine", loaded

    def load(self) -> object:
        if isinstance(self.loaded, Exception):
            raise self.loaded
        return self.loaded


class Mine(Heuristic):
    """A third party's planner."""

    name = "mine"


def _module_with(planners: object) -> ModuleType:
    module = ModuleType("their")
    module.PLANNERS = planners  # type: ignore[attr-defined]
    return module


@pytest.mark.parametrize("loaded", [Mine, _module_with((Mine,))])
def test_entry_points_name_a_class_or_a_module(loaded: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Third parties add planners by entry point, as a class or as a module with `PLANNERS`."""
    monkeypatch.setattr(ai.planners, "installed", lambda _group: [Point(loaded)])
    assert discover()["mine"] is Mine


@pytest.mark.parametrize(
    ("loaded", "sentence"),
    [(3, "is not a class"), (ImportError("gone"), "cannot be loaded: gone"), (_module_with([]), "must define")],
)
def test_a_malformed_entry_point_is_an_error_that_names_it(
    loaded: object, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry point that is not a planner is an error with its name and value."""
    monkeypatch.setattr(ai.planners, "installed", lambda _group: [Point(loaded)])
    with pytest.raises(ContractError, match=rf"mine = their\.module:Mine.*{sentence}"):
        discover()


@pytest.mark.parametrize(
    ("observation", "tables"), [(Villager, TABLES), (Villager, {}), (Forager, {}), (WorldSnapshot, {})]
)
def test_the_samples_hold_what_planners_get_wrong(observation: type[Observation], tables: Any) -> None:
    """The samples have lists that are empty, full and too long, and facts that are absent and known."""
    pairs = sample_observations(observation, tables)
    batch = observation.from_objects(pairs, tables=tables)
    assert len(batch) == len(pairs) > 8
    assert len(set(batch.keys.tolist())) == len(batch)
    for group in observation.layout.groups.values():
        there = batch.there(group)
        assert there is None or (there.any() and not there.all()), group.path
    optional = [leaf for leaf in observation.layout.fields if getattr(leaf, "optional", False)]
    assert all(len({value is None for value in (getattr(o, one.name) for _, o in pairs)}) == 2 for one in optional)


def test_sample_steps_stay_in_their_ranges() -> None:
    """A verb that needs no target has a step for any number; one that needs a target or a cell has none."""
    found = {spec.name: [sample_step(MARKET, spec, count) for count in range(200)] for spec in MARKET}
    assert found["Talk"] == [None] * 200
    assert {step.hours for step in found["Sleep"]} == set(range(1, 13))  # type: ignore[union-attr]  # a step
    assert all(step is not None and MARKET.parse_step(step.model_dump()) == step for step in found["Buy"])
    assert sample_step(FORAGING, FORAGING.spec("Go")) is None


def test_the_mock_answers_with_the_registrys_own_verbs() -> None:
    """A model for tests gives legal plans in any domain; where every verb needs a target, the idle step."""

    class Count(Action):
        """Count something."""

        much: int = number(2, 5)

    class Wave(Action):
        """Wave to somebody."""

        to: int = known("people")

    class Cough(Action):
        """Cough."""

        first_tier = False

    counting = ToolRegistry([Count, Wave], idle=Count(2))
    assert {str(step) for n in range(9) for step in MockBatchLlm.for_agents(9, counting).steps_for(n)} == {
        f"Count(much={n})" for n in range(2, 6)
    }
    waving = ToolRegistry([Wave, Cough], idle=Cough())
    assert MockBatchLlm.for_agents(1, waving).steps_for(1) == [Cough()]


def test_a_planner_that_fails_in_an_orderly_way_passes() -> None:
    """A tier may fail as a whole with a planner error; that is not a broken rule."""

    class Down:
        name, deterministic, needs_client = "down", False, True

        async def plan(self, batch: Batch, registry: ToolRegistry, call: PlanCall) -> TierPlans:
            raise ClientError("out of reach")

    down: Planner = Down()
    check_planner(down, MARKET, Villager)


def test_no_plan_is_a_lawful_answer() -> None:
    """A tier may have nothing for anyone; agents may be given as a batch too."""

    class Silent:
        name, deterministic = "silent", True

        async def plan(self, batch: Batch, registry: ToolRegistry, call: PlanCall) -> TierPlans:
            return TierPlans(PlanBatch.empty(batch.keys), np.full(len(batch), Outcome.MISSING, np.int8))

    check_planner(Silent(), MARKET, market(villager(), villager(mood=3)))
