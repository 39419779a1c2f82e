"""A paced run begins its ticks at an even rate, and says which it could not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sim.run.pace import LATE_S, Pace


class Clock:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


@given(st.lists(st.floats(0, 0.5), max_size=30))
def test_ticks_begin_at_an_even_rate_and_late_ones_are_counted(work: list[float]) -> None:
    """Two ticks begin a tenth of a second apart, or as much later as the tick between them took."""
    clock = Clock()
    pace = Pace(10, clock=clock, sleep=clock.sleep)
    begins, late = [], 0
    for seconds in work:
        pace.wait()
        begins.append(clock.now)
        clock.now += seconds
    for before, after, seconds in zip(begins, begins[1:], work, strict=False):
        assert after - before >= 0.1 - LATE_S - 1e-9
        assert after - before <= max(seconds, 0.1) + 1e-9
        late += seconds > 0.1 + LATE_S + 1e-9
    assert pace.late >= late
    assert pace.as_json()["late"] == pace.late
