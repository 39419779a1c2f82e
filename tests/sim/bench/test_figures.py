"""Medians over rounds and ratios between ways of asking."""

from dataclasses import replace
from statistics import median

from hypothesis import given
from hypothesis import strategies as st

from sim.bench.figures import figures
from sim.bench.strategies import Kind, Sample, Strategy

NAIVE = Strategy(Kind.NAIVE, "named")
BASELINE = Strategy(Kind.BASELINE, "named")
SINGLES = Strategy(Kind.SINGLES, "line")
SHARDS = Strategy(Kind.SHARDS, "line")


def sample(strategy: Strategy, total_s: float, *, agents: int = 10, valid: int = 10, number: int = 1) -> Sample:
    return Sample(
        strategy=strategy,
        agents=agents,
        round=number,
        total_s=total_s,
        first_s=total_s / 10,
        calls=2,
        prompt_tokens=100,
        cached_tokens=50,
        completion_tokens=30,
        valid=valid,
        steps=2 * valid,
    )


def test_ratios_are_to_the_singles_of_the_same_number_of_agents() -> None:
    """N and B are one way each, S is the singles in the same encoding; other numbers of agents do not enter."""
    found = figures(
        [
            sample(NAIVE, 80.0),
            sample(BASELINE, 20.0),
            sample(SINGLES, 10.0),
            sample(Strategy(Kind.SINGLES, "tuple"), 15.0),
            sample(SHARDS, 8.0),
            sample(NAIVE, 1.0, agents=5),
        ]
    )
    own = next(each for each in found if each.strategy == SHARDS)
    assert (own.over_n, own.over_b, own.over_s, own.first_share) == (10.0, 2.5, 1.25, 0.04)
    assert (own.valid, own.steps, own.rounds) == (1.0, 2.0, 1)
    assert [(each.agents, each.strategy.kind) for each in found[:2]] == [(5, Kind.NAIVE), (10, Kind.NAIVE)]


@given(st.lists(st.floats(0.1, 100), min_size=1, max_size=9), st.lists(st.floats(0.1, 100), min_size=1, max_size=9))
def test_a_ratio_is_that_of_the_medians(slow: list[float], fast: list[float]) -> None:
    """Whatever the rounds and their number, totals are medians and the ratio is theirs."""
    samples = [sample(BASELINE, total) for total in slow] + [sample(SHARDS, total) for total in fast]
    found = {each.strategy: each for each in figures(samples)}
    assert found[SHARDS].total_s == median(fast)
    assert found[SHARDS].over_b == median(slow) / median(fast)
    assert found[SHARDS].over_s is None


def test_nothing_is_compared_with_a_way_that_gave_no_plan() -> None:
    """A server that fails at once is fast for the wrong reason."""
    found = {each.strategy: each for each in figures([sample(BASELINE, 20.0), sample(SHARDS, 0.01, valid=0)])}
    assert found[SHARDS].over_b is None
    assert found[SHARDS].steps is None
    found = {each.strategy: each for each in figures([sample(BASELINE, 0.01, valid=0), sample(SHARDS, 5.0)])}
    assert found[SHARDS].over_b is None


def test_tokens_that_one_round_did_not_tell_are_unknown() -> None:
    """Unknown is not zero."""
    [found] = figures([sample(SHARDS, 5.0), replace(sample(SHARDS, 6.0, number=2), prompt_tokens=None)])
    assert found.prompt_tokens is None
    assert found.completion_tokens == 30
