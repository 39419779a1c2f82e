"""The shipped checkers: every planner found passes, and each broken rule is told in a sentence."""

from __future__ import annotations

import importlib
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import ai.planners
from ai import FailingLlm, LlmChunk, LlmRequest, MockBatchLlm, Outcome, PlanBatch, SnapshotBatch, ToolRegistry
from ai.errors import ContractError
from ai.planners import discover
from ai.planners.base import PlanCall, Planner, TierPlans
from ai.planners.heuristic import Heuristic
from ai.testing import check_client, check_planner, sample_snapshots
from tests.ai.strategies import small_registry

REGISTRY = small_registry()


@pytest.mark.parametrize("name", sorted(discover()))
def test_every_planner_keeps_the_rules(name: str) -> None:
    """What discovery finds passes the shipped check."""
    check_planner(discover()[name](), REGISTRY)


def test_the_four_tiers_are_found_in_name_order() -> None:
    """Discovery lists the source's four tiers by name."""
    found = discover()
    assert list(found) == sorted(found)
    assert {"emergency", "full_llm", "heuristic", "simplified_llm"} <= set(found)
    assert all(found[name]().name == name for name in found)


@pytest.mark.parametrize("client", [MockBatchLlm.for_agents(1), FailingLlm()])
def test_the_test_clients_keep_the_rules(client: MockBatchLlm | FailingLlm) -> None:
    """The clients for tests stream like real ones."""
    check_client(client)
    assert client.calls > 0


class Spoiled(Heuristic):
    """The rules, with an answer that is spoiled before it is given."""

    def __init__(self, spoil: Callable[[TierPlans, SnapshotBatch], object]) -> None:
        super().__init__()
        self.spoil = spoil
        self.calls = 0

    async def plan(self, batch: SnapshotBatch, registry: ToolRegistry, call: PlanCall) -> TierPlans:
        answer = await super().plan(batch, registry, call)
        self.calls += 1
        self.spoil(answer, batch)
        return answer


def _changes_batch(answer: TierPlans, batch: SnapshotBatch) -> None:
    batch.hp[0] += 1


def _other_keys(answer: TierPlans, batch: SnapshotBatch) -> None:
    answer.plans.keys = answer.plans.keys[::-1].copy()


def _fewer(answer: TierPlans, batch: SnapshotBatch) -> None:
    answer.outcome = answer.outcome[1:]


def _unknown_target(answer: TierPlans, batch: SnapshotBatch) -> None:
    if REGISTRY.specs[int(answer.plans.kind[0, 0])].name in REGISTRY and answer.plans.length[0]:
        answer.plans.kind[0, 0] = REGISTRY.code("Attack")
        answer.plans.args[0, :, 0] = (5, *[-(2**31)] * 3)


def _ok_without_plan(answer: TierPlans, batch: SnapshotBatch) -> None:
    answer.plans.length[0] = 0


def _garbage_beyond(answer: TierPlans, batch: SnapshotBatch) -> None:
    answer.plans.kind = np.concatenate([answer.plans.kind, np.ones_like(answer.plans.kind)])
    answer.plans.args = np.concatenate([answer.plans.args, np.ones_like(answer.plans.args)])


def _strangers(answer: TierPlans, batch: SnapshotBatch) -> None:
    answer.errors[10_000] = "who?"


def _by_company(answer: TierPlans, batch: SnapshotBatch) -> None:
    scan = ToolRegistry().code("Scan")
    if len(answer.plans) > 1 and len(ToolRegistry().specs) == 2:
        answer.plans.length[:] = 1
        answer.plans.kind[0] = scan
        answer.plans.args[0] = -(2**31)
        answer.plans.args[0, 0] = len(answer.plans)


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
    ],
)
def test_the_planner_check_finds_broken_rules(
    spoil: Callable[[TierPlans, SnapshotBatch], object], sentence: str
) -> None:
    """Each rule of the planner's contract, broken, is told in a sentence that names planner and rule."""
    with pytest.raises(AssertionError, match=f"'heuristic'.*{sentence}"):
        check_planner(Spoiled(spoil), REGISTRY)


def test_the_planner_check_finds_a_plan_that_depends_on_company() -> None:
    """A deterministic planner whose plans depend on the rest of the batch is found."""
    with pytest.raises(AssertionError, match="plans differently"):
        check_planner(Spoiled(_by_company), ToolRegistry())


def test_the_planner_check_finds_chance() -> None:
    """A planner that claims to be deterministic and is not is found."""

    def drift(answer: TierPlans, batch: SnapshotBatch) -> None:
        answer.plans.args[0, 0, answer.plans.length > 0] = planner.calls

    planner = Spoiled(drift)
    with pytest.raises(AssertionError, match="two calls differ"):
        check_planner(planner, ToolRegistry([], offered=["Scan"]))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "has a plan and no text"),
        ("", "has a plan and no text"),
        ("not a plan", "does not read as its plan"),
        ('{"steps":[{"act":"Wait","duration":7}]}', "does not read as its plan"),
    ],
)
def test_the_planner_check_finds_plans_that_no_replay_could_read(text: str | None, sentence: str) -> None:
    """A planner that is not deterministic and gives no text, or another plan's, is found: its runs prove nothing."""

    def spoil(answer: TierPlans, batch: SnapshotBatch) -> None:
        answer.texts = {} if text is None else dict.fromkeys(batch.keys.tolist(), text)

    planner = Spoiled(spoil)
    planner.deterministic = False
    with pytest.raises(AssertionError, match=f"'heuristic'.*{sentence}"):
        check_planner(planner, REGISTRY)


def test_the_planner_check_asks_for_a_planner() -> None:
    """Something else than a planner is told so."""
    with pytest.raises(AssertionError, match="has no text `name`"):
        check_planner(object())  # type: ignore[arg-type]


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
    check_planner(discover()["mine"](), REGISTRY)


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
    """Discovery never skips: a file that is no planner is an error with the file's name."""
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
    """An entry point that is no planner is an error with its name and value."""
    monkeypatch.setattr(ai.planners, "installed", lambda _group: [Point(loaded)])
    with pytest.raises(ContractError, match=rf"mine = their\.module:Mine.*{sentence}"):
        discover()


def test_the_sample_situations_hold_what_planners_get_wrong() -> None:
    """The samples have agents with and without enemies, goals, leaders, and places outside the map."""
    batch = SnapshotBatch.from_snapshots(sample_snapshots())
    assert (batch.enemy[:, 0] < 0).any()
    assert (batch.enemy[:, 1] >= 0).any()
    assert (batch.leader >= 0).any()
    assert (batch.goal_x >= batch.map.width).any() or (batch.goal_y >= batch.map.height).any()
    assert (batch.x < 0).any()


def test_a_planner_that_fails_in_an_orderly_way_passes() -> None:
    """A tier may fail as a whole with a planner error; that is no broken rule."""

    class Down:
        name, deterministic, needs_client = "down", False, True

        async def plan(self, batch: SnapshotBatch, registry: ToolRegistry, call: PlanCall) -> TierPlans:
            from ai.errors import ClientError

            raise ClientError("out of reach")

    down: Planner = Down()
    check_planner(down)


def test_no_plan_is_a_lawful_answer() -> None:
    """A tier may have nothing for anyone."""

    class Silent:
        name, deterministic = "silent", True

        async def plan(self, batch: SnapshotBatch, registry: ToolRegistry, call: PlanCall) -> TierPlans:
            return TierPlans(PlanBatch.empty(batch.keys), np.full(len(batch), Outcome.MISSING, np.int8))

    check_planner(Silent())
