"""Payloads of running plans: stored once, found by index, dropped with the last step that needs them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.run.payloads import Payloads

CONTENTS = st.binary(min_size=1, max_size=3)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(CONTENTS, st.sets(st.integers(0, 6))), max_size=12))
def test_indices_follow_from_content_and_order_alone(script: list[bytes | set[int]]) -> None:
    """Equal contents share an index, new ones get the lowest that is free, and a restored store goes on the same."""
    store, expected = Payloads(), dict[int, bytes]()
    for deed in script:
        if isinstance(deed, bytes):
            known = [index for index, content in expected.items() if content == deed]
            wanted = known[0] if known else next(i for i in range(99) if i not in expected)
            assert store.add(deed) == wanted
            expected[wanted] = deed
        else:
            store.keep(deed & expected.keys())
            expected = {index: content for index, content in expected.items() if index in deed}
        other = Payloads()
        other.restore(store.columns())
        store = other
        assert {index: store[index] for index in expected} == expected
        assert len(store) == len(expected)
        assert store.columns()["index"].tolist() == sorted(expected)


def test_the_stamp_changes_with_the_content() -> None:
    """Whoever caches a hash by the stamp sees every change, and none where there was none."""
    store = Payloads()
    stamps = [store.stamp]
    for deed in (lambda: store.add(b"a"), lambda: store.add(b"b"), lambda: store.keep([1]), lambda: store.keep([])):
        deed()
        stamps.append(store.stamp)
    assert len(set(stamps)) == 5
    store.keep([])
    store.add(b"c")
    stamp = store.stamp
    store.add(b"c")
    assert store.stamp == stamp
    assert all(isinstance(column, np.ndarray) for column in store.columns().values())
