"""The order of measurements, and what is left when time is over."""

import asyncio
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from sim.bench.rounds import Cell, interleaved, measured
from sim.bench.strategies import Kind, Sample, Strategy, strategies

ENCODINGS = ("named", "tuple", "line")
ALL = strategies(list(Kind), ENCODINGS)


def test_every_kind_in_every_encoding() -> None:
    """Singles of the past in named JSON, the others in each encoding, the low-latency one in the shortest."""
    assert [each.name for each in strategies([Kind.NAIVE, Kind.GIANT, Kind.LOW_LATENCY], ["line", "named"])] == [
        "naive",
        "giant named",
        "giant line",
        "low-latency line",
    ]
    assert len(ALL) == 2 + 3 * 3 + 1


@given(st.integers(1, 6), st.lists(st.integers(1, 50), min_size=1, max_size=4, unique=True), st.integers(0, 6))
def test_every_round_has_every_way_once(rounds: int, agents: list[int], naive_rounds: int) -> None:
    """A round ends before the next one begins; naive singles are in the first rounds only."""
    cells = interleaved(rounds, agents, ALL, naive_rounds=naive_rounds)
    assert [cell.round for cell in cells] == sorted(cell.round for cell in cells)
    for number in range(1, rounds + 1):
        for count in agents:
            ways = Counter(cell.strategy for cell in cells if cell.round == number and cell.agents == count)
            assert set(ways) == {way for way in ALL if way.kind is not Kind.NAIVE or number <= naive_rounds}
            assert set(ways.values()) == {1}


@given(st.integers(2, 4))
def test_rounds_begin_with_different_ways(rounds: int) -> None:
    """So that no way is always the first after another."""
    cells = interleaved(rounds, [5], ALL)
    assert (
        len({next(cell.strategy for cell in cells if cell.round == number + 1) for number in range(rounds)}) == rounds
    )


@given(st.integers(0, 12))
def test_what_there_was_no_time_for_is_returned(seconds: int) -> None:
    """The measurement under way is finished; the later ones are left out, in order."""
    now, taken = [0.0], []
    cells = interleaved(1, [5], ALL)

    async def measure(cell: Cell) -> Sample:
        now[0] += 2.0
        return Sample(cell.strategy, cell.agents, cell.round, 2.0, None, 0, None, None, None, 0, 0)

    left = asyncio.run(measured(cells, measure, take=taken.append, left_s=lambda: seconds - now[0]))
    assert len(taken) == min(-(-seconds // 2), len(cells))
    assert [sample.strategy for sample in taken] + [cell.strategy for cell in left] == ALL


def test_names_of_ways_tell_them_apart() -> None:
    """No two ways have one name."""
    assert len({each.name for each in ALL}) == len(ALL)
    assert Strategy(Kind.SHARDS, "line").name == "shards line"
