"""Market: goods and coins go from hand to hand, prices follow demand, words reach their listener."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import scenarios.market
from ai.testing import MockBatchLlm
from scenarios.market.domain import Market, MarketSettings, Stalls, Villager
from sim import Simulation, verify
from sim.run.inputs import Act, Control
from sim.run.plan_columns import Progress
from sim.run.scenario_file import Scenario
from sim.testing import assert_deterministic
from tests.support.code_lines import code_lines_of
from tests.support.recording import recorded

SEEDS = st.integers(0, 1000)
SETTINGS = st.builds(MarketSettings, agents=st.integers(1, 12), meal=st.integers(1, 9), meets=st.integers(0, 8))
COMBAT = {"enemy", "enemies", "attack", "ammo", "weapon", "cover", "squad", "hp", "morale", "soldier"}


def told_to(simulation: Simulation, agent: int, **step: Any) -> None:
    """Take a villager over and let it take one step in the next tick."""
    simulation.inject(Control(agent=agent))
    simulation.inject(Act(agent=agent, step=step))


@pytest.fixture
def village() -> Any:
    """Four villagers who neither eat nor work for a while, each with its mood at 60."""
    with Simulation(Market(agents=4, meal=1000), seed=2, tiers=["emergency"]) as simulation:
        simulation.run(1)
        yield simulation


@given(SETTINGS, SEEDS)
def test_coins_and_goods_stay_within_their_bounds(settings: MarketSettings, seed: int) -> None:
    """Nobody is in debt or owes goods, moods stay within 0 to 100 and prices within 1 to 50."""
    with Simulation(Market(settings), seed=seed) as simulation:
        villager, stalls = simulation.world[Villager], simulation.world[Stalls]
        for _ in simulation.reports(20):
            assert (villager.coins >= 0).all()
            assert (villager.stock >= 0).all()
            assert ((villager.mood >= 0) & (villager.mood <= 100)).all()
            assert ((stalls.price >= 1) & (stalls.price <= 50)).all()


@pytest.mark.parametrize(("act", "step"), [("Buy", 1), ("Sell", -1)])
def test_a_trade_moves_coins_goods_and_the_price(village: Simulation, act: str, step: int) -> None:
    """A piece costs its price, and the price moves by one coin in the direction of demand."""
    villager, stalls = village.world[Villager], village.world[Stalls]
    coins, stock, price = villager.coins.tolist(), villager.stock.tolist(), stalls.price.tolist()
    told_to(village, 1, act=act, good="fish", count=1)
    village.tick()
    assert villager.coins.tolist() == [coins[0], coins[1] - step * price[1], *coins[2:]]
    assert villager.stock.tolist()[1] == [stock[1][0], stock[1][1] + step, *stock[1][2:]]
    assert stalls.price.tolist() == [price[0], price[1] + step, price[2]]


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ({"act": "Buy", "good": "wool", "count": 20}, "too dear"),
        ({"act": "Sell", "good": "wool", "count": 20}, "not enough"),
    ],
)
def test_a_trade_beyond_the_means_is_refused(village: Simulation, step: dict[str, Any], reason: str) -> None:
    """It has no effect, and the agent's progress has the reason."""
    coins = village.world[Villager].coins.tolist()
    told_to(village, 1, **step)
    village.tick()
    assert village.world[Villager].coins.tolist() == coins
    assert village.world.entity(1)[Progress].refusal == village.run_context.reason_codes[reason]
    assert village.world[Stalls].price[2] == 5


def test_words_reach_the_listener_and_wake_it(village: Simulation) -> None:
    """The listener remembers who said what; the speaker's mood rises, and the listener's plan is void."""
    mood = int(village.world[Villager].mood[1])
    told_to(village, 1, act="Talk", to=2, words="Fish is cheap.")
    village.tick()
    assert village.world.entity(2)[Villager].heard == ("1 said: Fish is cheap.",)
    assert int(village.world[Villager].mood[1]) == mood + 3
    assert village.world[Villager].spoken_to.tolist() == [0, 0, 1, 0]


def test_a_meal_is_bread_or_hunger() -> None:
    """At its hour, a villager works for a piece of its good and eats bread, or its mood falls."""
    with Simulation(Market(agents=3, meal=1), seed=1, tiers=["emergency"]) as simulation:
        villager = simulation.world[Villager]
        villager.stock[:], villager.trade[:], villager.mood[:] = 0, 1, 60
        villager.stock[0, 0] = 1
        simulation.tick()
        assert villager.stock.tolist() == [[0, 0, 0], [1, 1, 1], [0, 0, 0]]
        fed, hungry, _ = (villager.mood - 60).tolist()
        assert fed - hungry == 12


def test_villagers_plan_by_rules_and_live_well() -> None:
    """After sixty hours by rules alone, moods are good and bread has a price."""
    with Simulation(Market(), seed=1) as simulation:
        simulation.run(60)
        assert simulation.metrics()["mood"] > 50
        assert 1 <= simulation.metrics()["bread_price"] <= 50


def test_a_model_is_asked_in_words_of_the_market() -> None:
    """The prompt has trades, moods, prices and what was heard, and no word of combat."""
    asked: list[str] = []

    class Listening(MockBatchLlm):
        def stream(self, request: Any) -> Any:
            asked.extend(message.content for message in request.messages)
            return super().stream(request)

    scenario = Scenario.of(Market(agents=6))
    registry = scenario.domain.registry()
    assert registry is not None
    with Simulation(scenario, client=Listening(6, registry)) as simulation:
        simulation.run(12)
    said = " ".join(asked)
    for part in ("market day", "baker", "mood", "costs", "coins"):
        assert part in said
    assert not COMBAT & {word.strip(".,:;()").lower() for word in said.split()}


@given(SETTINGS, SEEDS)
def test_a_recording_is_proven(settings: MarketSettings, seed: int) -> None:
    """Any run verifies."""
    verdict = verify(recorded(Market(settings), seed=seed, ticks=8))
    assert verdict.verdict == "match", verdict.reason


def test_scenario_and_seed_decide_a_run() -> None:
    """All checks of determinism hold."""
    assert_deterministic(Scenario.of(Market()), ticks=8)


def test_it_is_short() -> None:
    """The domain has at most 160 lines of code."""
    assert code_lines_of(Path(scenarios.market.__file__).parent) <= 160
