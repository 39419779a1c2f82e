"""Keys struck out of texts, and a server's words made safe to show."""

import base64
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.clients.redaction import Striker, shown

KEY = "sk-aaab-secret"


def pieces(text: str, cuts: list[int]) -> list[str]:
    edges = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


@given(st.text(alphabet="sk-aber t", max_size=30), st.text(alphabet="sk-aber t", max_size=30), st.lists(st.integers()))
def test_a_key_is_struck_out_of_a_text_for_any_split(before: str, after: str, cuts: list[int]) -> None:
    """Wherever the pieces are split, the key never comes out, and everything else does."""
    text = f"{before}{KEY}{after}"
    striker = Striker(KEY)
    written = "".join(striker.feed(part) for part in pieces(text, cuts)) + striker.rest()
    assert written == text.replace(KEY, "***")


@pytest.mark.parametrize(
    "words",
    [f"wrong key {KEY}!", "Authorization: Bearer abc.def", "key sk-abc***xyz123 is not a key", "http://u:secret@h/v1"],
)
def test_a_servers_words_are_shown_without_secrets(words: str) -> None:
    """The key, other bearer tokens, what looks like a key, and the user of a URL are struck out."""
    written = shown(words, KEY)
    assert "***" in written
    assert not any(secret in written for secret in (KEY, "abc.def", "xyz123", "secret"))


def test_a_servers_words_are_one_bounded_line() -> None:
    """Whatever a server says fits on one line of a few hundred characters."""
    assert shown("a\r\n b\0" + "x" * 10_000, None).startswith("a b")
    assert len(shown("x" * 10_000, None)) <= 200
    assert shown(" \n", None) == "no message"


@pytest.mark.parametrize(
    "write",
    [
        lambda key: key[::-1],
        " ".join,
        lambda key: key.encode().hex(),
        lambda key: key.encode().hex().upper(),
        *(lambda key, n=n: base64.b64encode(b"x" * n + key.encode() + b"yz").decode() for n in range(3)),
        *(lambda key, n=n: base64.urlsafe_b64encode(b"x" * n + key.encode()).decode() for n in range(3)),
    ],
)
def test_a_key_is_struck_out_in_other_forms(write: Callable[[str], str]) -> None:
    """Backwards, spaced, in hex and in base64 at any place, whole or in pieces: nothing is left to read it from."""
    key = "sk_/+?aZ09-key-of-a-person"
    form = write(key)
    text = f"bad key {form} here"
    striker = Striker(key)
    pieces = "".join(striker.feed(char) for char in text) + striker.rest()
    for found in (shown(text, key), pieces):
        assert form not in found
        left = set(found.split())
        assert not any(len(word) > 8 and word in form for word in left), found


def test_a_short_key_strikes_no_words() -> None:
    """A key of a few letters is not looked for in its encodings."""
    assert shown("bad words here", "abad") == "bad words here"
