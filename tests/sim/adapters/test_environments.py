"""Domains as environments for learning: the checks of PettingZoo and Gymnasium, and replays without a policy."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given
from hypothesis import strategies as st
from pettingzoo.test import parallel_api_test, parallel_seed_test

from ai.legality import refusals
from ai.plans import PlanBatch, Refusal
from sim import Simulation, load, verify
from sim.adapters import Policy, env, parallel_env
from sim.adapters.vectors import vectors_of
from sim.errors import MissingExtra, ScenarioError
from sim.extras import extra
from sim.replay import read
from sim.replay.recording import record

DOMAINS = [("market", "Villager.coins"), ("foraging", "Ash"), ("skirmish", "red")]


@pytest.mark.parametrize(("name", "reward"), DOMAINS)
def test_the_checks_of_pettingzoo_pass(name: str, reward: str) -> None:
    """`parallel_api_test` and `parallel_seed_test` find nothing wrong."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice about spaces without bounds
        parallel_api_test(parallel_env(name, reward, ticks_a_step=2), num_cycles=15)
        parallel_seed_test(lambda: parallel_env(name, reward), num_cycles=8)


@pytest.mark.parametrize(("name", "reward"), DOMAINS)
def test_the_check_of_gymnasium_passes(name: str, reward: str) -> None:
    """`check_env` finds nothing wrong."""
    made = env(name, reward, ticks_a_step=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_env(made, skip_render_check=True)
    made.close()


def test_a_random_episode_replays_without_its_policy(tmp_path: Path) -> None:
    """An episode of random actions leaves a replay that verifies; its plans are those of the tier `policy`."""
    with parallel_env_of("foraging", "Ash", tmp_path) as world:
        world.reset(seed=4)
        random = np.random.default_rng(1)
        rewards, acted = 0.0, 0
        for _ in range(30):
            actions = {name: random.integers(0, world.action_space(name).nvec) for name in world.agents}
            _, gains, _, _, infos = world.step(actions)
            rewards += sum(gains.values())
            acted += sum(info["acted"] for info in infos.values())
    replay = tmp_path / "episode-000001.replay.jsonl"
    assert acted > 0
    verdict = verify(replay)
    assert (verdict.verdict, verdict.ticks) == ("match", 30)
    found = read(replay)
    assert found.header is not None
    assert (found.header.outside, found.header.tiers) == (["policy"], ["policy", "emergency"])
    assert {tier for tick in found.ticks for tier in tick.planned} >= {"policy"}


class parallel_env_of:  # noqa: N801 - reads as a call
    """A parallel environment that is closed."""

    def __init__(self, name: str, reward: Any, folder: Path | None = None) -> None:
        self.made = parallel_env(name, reward, record=folder)

    def __enter__(self) -> Any:
        return self.made

    def __exit__(self, *_: object) -> None:
        self.made.close()


def test_rewards_are_what_a_value_gained() -> None:
    """The rewards of an episode sum to the change of the value, of the whole world or of the agent's own column."""
    with parallel_env_of("market", "Villager.coins") as world:
        world.reset(seed=2)
        simulation = world._episode.simulation
        first = world._episode.simulation.world
        coins = {name: int(first[first.components[0]].coins[row]) for row, name in enumerate(world.agents)}
        total = dict.fromkeys(world.agents, 0.0)
        for _ in range(12):
            _, gains, ended, cut, _ = world.step({name: np.zeros(4, int) for name in world.agents})
            total = {name: total[name] + gains[name] for name in total}
            assert not any(ended.values())
            assert not any(cut.values())
        now = {name: int(first[first.components[0]].coins[row]) for row, name in enumerate(world.agents)}
        assert total == {name: now[name] - coins[name] for name in coins}
        assert simulation.world.tick == 12


def test_an_episode_ends_at_its_last_tick() -> None:
    """At the tick limit everybody is truncated, and the environment has no agents left."""
    plan = load("market").replaced(ticks=3)
    world = parallel_env(plan, lambda each: float(each.n))
    world.reset(seed=1)
    seen = [world.step({})[3] for _ in range(3)]
    assert [all(each.values()) for each in seen] == [False, False, True]
    assert world.agents == []
    assert world.step({}) == ({}, {}, {}, {}, {})


@given(st.lists(st.integers(0, 15), min_size=5, max_size=5), st.sampled_from(["market", "foraging", "skirmish"]))
def test_any_action_is_a_legal_step_or_none(action: list[int], name: str) -> None:
    """Whatever numbers a policy gives, the step that they stand for is legal for the agent."""
    simulation, vectors, batch = started(name)
    steps = [vectors.step(batch, row, action[: len(vectors.shape)]) for row in range(len(batch))]
    plans = PlanBatch.from_encoded(batch.keys, [None if step is None else [step] for step in steps])
    verdict = refusals(batch, plans, simulation.registry)
    given = np.array([step is not None for step in steps])
    assert (verdict[given] == Refusal.ACCEPTED).all()
    assert vectors.observations(batch).shape == (len(batch), vectors.size)


@cache
def started(name: str) -> tuple[Any, Any, Any]:
    """Return a run at its start, its vectors, and what its agents know."""
    with Simulation(load(name), seed=1) as simulation:
        rows = np.flatnonzero(simulation.domain.plannable(simulation.world))
        return simulation, vectors_of(simulation), simulation.domain.observe(simulation.world, rows)


def test_a_policy_is_a_planner(tmp_path: Path) -> None:
    """A function of vectors plans for all agents, and its run verifies without it."""
    asked: list[tuple[int, ...]] = []

    def predict(vectors: Any) -> Any:
        asked.append(vectors.shape)
        return np.full((len(vectors), 3), 1)

    with Simulation(load("market"), tiers=[Policy(predict), "heuristic"]) as simulation:
        record(simulation, tmp_path / "a.replay.jsonl", 10)
    assert asked[0][0] == 12
    assert verify(tmp_path / "a.replay.jsonl").verdict == "match"


def test_what_cannot_be_an_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A domain without plans, an unknown reward or agent, and a missing package get one sentence."""
    with pytest.raises(ScenarioError, match="do not plan"):
        env("segregation", "happy")
    with pytest.raises(ScenarioError, match="did you mean 'coins'"):
        parallel_env("market", "coin")
    with pytest.raises(ScenarioError, match="no agent 99 plans"):
        env("market", "coins", agent=99)
    with pytest.raises(ScenarioError, match="call reset first"):
        env("market", "coins").step([0, 0, 0])
    monkeypatch.setitem(__import__("sys").modules, "pettingzoo", None)
    with pytest.raises(MissingExtra, match=r"tickweave\[rl\]"):
        extra("pettingzoo", "parallel_env")
