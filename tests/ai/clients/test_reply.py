"""What the clients of real servers share: thoughts told apart, keys struck out, unconstrained replies noticed."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.clients.base import LlmRequest
from ai.clients.wire.framing import LINE_BYTES_MAX, LineFramer
from ai.clients.wire.redaction import Striker, shown
from ai.clients.wire.reply import Reply, fits
from ai.clients.wire.thinking import HELD_CHARS_MAX, ThoughtFilter
from ai.errors import ClientError

KEY = "sk-aaab-secret"


def pieces(text: str, cuts: list[int]) -> list[str]:
    edges = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


def told_apart(parts: list[str], *, inside: bool = False) -> tuple[str, str, bool]:
    thoughts = ThoughtFilter(inside=inside)
    found = [*(thoughts.feed(part) for part in parts), thoughts.rest()]
    return "".join(text for text, _ in found), "".join(thought for _, thought in found), thoughts.unopened


@given(st.lists(st.binary(max_size=8)), st.lists(st.integers(0, 200), max_size=10))
def test_lines_are_the_same_for_any_split(lines: list[bytes], cuts: list[int]) -> None:
    """Only whole lines are handed on, ended by the newline byte and by nothing else, wherever the bytes were split."""
    body = b"".join(line.replace(b"\n", b"") + b"\n" for line in lines)
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    framer = LineFramer()
    found = [framer.feed(body[a:b]) for a, b in pairwise(edges)]
    assert b"".join(found) == body
    assert all(whole.endswith(b"\n") for whole in found if whole)
    assert framer.rest() == b""


@pytest.mark.parametrize("size", [64, 4096, LINE_BYTES_MAX + 1])
def test_a_line_without_end_is_refused(size: int) -> None:
    """However the bytes come, a line is given up at its limit and not at the end of the reply."""
    framer, fits = LineFramer(), LINE_BYTES_MAX // size
    for _ in range(fits):
        framer.feed(b"x" * size)
    with pytest.raises(ClientError, match="a line of the reply") as caught:
        framer.feed(b"x" * size)
    assert caught.value.outcome == "cut"


@given(st.lists(st.integers(0, 100), max_size=8))
def test_thoughts_are_told_apart_for_any_split(cuts: list[int]) -> None:
    """A block of thoughts before the reply is no part of it, also where its opening mark stood in the prompt."""
    answer = '{"a1":"<think>x</think>"}'
    assert told_apart(pieces(f" <think>a<b</think>{answer}", cuts)) == (answer, "a<b", False)
    assert told_apart(pieces(f"so, well</think>{answer}", cuts)) == (answer, "so, well", True)
    assert told_apart(pieces(f"try {{a}} or</think>{answer}", cuts), inside=True) == (answer, "try {a} or", True)
    assert told_apart(pieces(answer, cuts)) == (answer, "", False)
    assert told_apart(pieces(answer, cuts), inside=True) == (answer, "", True)
    assert told_apart(pieces(f"Here you are: {answer}", cuts)) == (f"Here you are: {answer}", "", False)
    assert told_apart(pieces("I cannot", cuts)) == ("I cannot", "", False)
    assert told_apart(pieces("<think>endless</thi", cuts)) == ("", "endless</thi", False)


@pytest.mark.parametrize("inside", [False, True])
@given(cuts=st.lists(st.integers(0, 200), max_size=10))
def test_plans_by_lines_are_handed_on_as_they_come(inside: bool, cuts: list[int]) -> None:  # noqa: FBT001
    """A reply that begins with a slot's line is an answer from there on: nothing of it waits for the end."""
    reply = "a1: Scan 8; Wait 2\na2: MoveTo 3 4\n"
    thoughts = ThoughtFilter(inside=inside)
    fed = told = ""
    for part in pieces(reply, cuts):
        fed += part
        told += thoughts.feed(part)[0]
        assert told == (fed if len(fed) > len("a1") else "")


def test_prose_before_lines_of_plans_is_let_go_with_them() -> None:
    """Prose is held back only until a slot's line shows, and thoughts before lines are kept apart."""
    assert ThoughtFilter().feed("Here they are:\na1: Wait 2\n") == ("Here they are:\na1: Wait 2\n", "")
    assert told_apart(["a thought</think>a1: Wait 2\n"]) == ("a1: Wait 2\n", "a thought", True)
    assert told_apart(["a"]) == ("a", "", False)


def test_prose_is_not_held_back_without_end() -> None:
    """A long reply without a bracket is let go at the limit, so that memory is bounded."""
    thoughts = ThoughtFilter()
    assert thoughts.feed("x" * HELD_CHARS_MAX) == ("", "")
    assert thoughts.feed("y") == ("x" * HELD_CHARS_MAX + "y", "")


@given(st.text(alphabet="sk-aber t", max_size=30), st.text(alphabet="sk-aber t", max_size=30), st.lists(st.integers()))
def test_a_key_is_struck_out_of_a_text_for_any_split(before: str, after: str, cuts: list[int]) -> None:
    """Wherever the pieces are split, the key never comes out, and everything else does."""
    text = f"{before}{KEY}{after}"
    striker = Striker(KEY)
    written = "".join(striker.feed(part) for part in pieces(text, cuts)) + striker.rest()
    assert written == text.replace(KEY, "***")


@pytest.mark.parametrize(
    "words",
    [f"wrong key {KEY}!", "Authorization: Bearer abc.def", "key sk-abc***xyz123 is no key", "http://u:secret@h/v1"],
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


SCHEMA = {"type": "object", "properties": {"a1": {}, "a2": {}}, "required": ["a1"], "additionalProperties": False}


@pytest.mark.parametrize(
    ("text", "follows"),
    [
        ('{"a1":1}', True),
        ('{"a1":1,"a2":2}', True),
        ('{"a2":2}', False),
        ('{"a1":1,"a3":2}', False),
        ('[{"a1":1}]', False),
        ("Sure! I would move.", False),
        ("", False),
        ("[" * 100_000, False),
    ],
)
def test_a_reply_that_no_schema_held_is_noticed(text: str, *, follows: bool) -> None:
    """A whole reply whose outermost level the schema forbids was written without it, and its last chunk says so."""
    assert fits(text, SCHEMA) == follows
    reply = Reply(LlmRequest((), schema=SCHEMA), clock=lambda: 0.0)
    reply.add(text)
    assert reply.end("stop").unconstrained != follows


def test_a_reply_that_was_cut_or_needed_no_schema_is_not_called_unconstrained() -> None:
    """A reply cut at its limit cannot be judged, and one for which no schema was asked need not be."""
    for request, finish in ((LlmRequest((), schema=SCHEMA), "length"), (LlmRequest(()), "stop")):
        reply = Reply(request, clock=lambda: 0.0)
        reply.add("no plan")
        assert not reply.end(finish).unconstrained


@pytest.mark.parametrize(("first_s", "queue_ms"), [(0.1, 0.0), (0.115, 0.0), (0.6, 500.0)])
def test_the_wait_for_a_slot_follows_from_the_first_token(first_s: float, queue_ms: float) -> None:
    """What passes before the first token beyond the reading of the prompt was spent in a queue, less the way there."""
    now = [0.0]
    reply = Reply(LlmRequest(()), clock=lambda: now[0])
    now[0] = first_s
    reply.add("{")
    assert reply.end("stop", timings={"prompt_ms": 100.0}).timings == {"prompt_ms": 100.0, "queue_ms": queue_ms}
    assert reply.end("stop", timings={"predicted_ms": 9.0}).timings == {"predicted_ms": 9.0}
    # Of a reply that was looked at late, the server's own times say how long it cannot have waited.
    now[0] = first_s + 0.2
    whole = {"prompt_ms": 100.0, "predicted_ms": 1000 * first_s + 100.0}
    assert reply.end("stop", timings=whole).timings == {**whole, "queue_ms": 0.0}
