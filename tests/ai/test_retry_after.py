"""The `Retry-After` header, in the two forms it has and all those it has not."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from hypothesis import given
from hypothesis import strategies as st

from ai.clients.wire.retry_after import retry_after_s

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


@given(st.integers(0, 10**6))
def test_a_retry_after_date_is_as_good_as_its_seconds(seconds: int) -> None:
    """The two forms of the header mean the same."""
    assert retry_after_s(str(seconds), NOON) == seconds
    date = format_datetime(NOON + timedelta(seconds=seconds), usegmt=True)
    assert retry_after_s(date, NOON) == seconds


@given(st.text() | st.sampled_from(["", "-1", "1e9", "\u0663", "9" * 400, "Mon, 99 Foo 0000 99:99:99 GMT", "inf"]))
def test_any_retry_after_is_read_or_passed_over(header: str) -> None:
    """Whatever a server writes gives seconds of zero or more, or nothing."""
    seconds = retry_after_s(header, NOON)
    assert seconds is None or seconds >= 0


def test_a_date_in_the_past_means_now() -> None:
    """A moment that has gone by asks for no wait."""
    assert retry_after_s(format_datetime(NOON - timedelta(days=1), usegmt=True), NOON) == 0
