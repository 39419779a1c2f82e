"""The one form in which values are written: it comes back as it was, and says the same as other encoders."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from sim.replay.format import canonical

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.integers(-(10**9), 10**9).map(lambda number: number / 10_000)
    | st.text(st.characters(max_codepoint=126, min_codepoint=32), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcz_09", max_size=4), inner, max_size=4),
    max_leaves=12,
)


def _sorted(value: object) -> object:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


@given(PLAIN)
def test_what_is_written_comes_back_and_is_written_alike(value: object) -> None:
    """Reading and writing again gives the same bytes, which are those of pydantic's encoder for sorted keys.

    Numbers have at most four decimals, texts are ASCII: what a record holds.
    """
    data = canonical(value)
    assert json.loads(data) == value
    assert canonical(json.loads(data)) == data
    assert to_json(_sorted(value)) == data
