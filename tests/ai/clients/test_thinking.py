"""Thoughts told apart from the answer: by every known mark, for any split, and voided when their end shows late."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.clients.thinking import CLOSING, OPENING, Parts, ThoughtFilter

CUTS = st.lists(st.integers(0, 200), max_size=10)
MARKS = list(zip(OPENING, CLOSING, strict=True))
DRAFT, ANSWER = '{"a1":[1]}', '{"a1":[8]}'


def pieces(text: str, cuts: list[int]) -> list[str]:
    edges = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


def split(text: str, cuts: list[int] = [], *, inside: bool = False, whole: bool = True) -> tuple[str, str, bool]:  # noqa: B006
    """Return answer, thoughts, and whether this model's thoughts come without their opening."""
    thoughts = ThoughtFilter(inside=inside)
    answer = thinking = ""
    for part in [*map(thoughts.feed, pieces(text, cuts)), thoughts.rest(whole=whole)]:
        if part.voids:
            answer, thinking = "", thinking + answer
        answer, thinking = answer + part.text, thinking + part.thinking
    return answer, thinking, thoughts.unopened


@pytest.mark.parametrize(("opening", "closing"), MARKS)
@given(cuts=CUTS)
def test_a_draft_in_a_block_of_thoughts_is_no_answer(opening: str, closing: str, cuts: list[int]) -> None:
    """Every kind of mark, in any case, at the start or after prose, once or twice, keeps a draft out of the answer."""
    block = f"{opening}maybe {DRAFT} no{closing}"
    assert split(f"{block}{ANSWER}", cuts) == (ANSWER, f"maybe {DRAFT} no", False)
    assert split(f"{block.upper()}{ANSWER}", cuts)[0] == ANSWER
    assert split(f"Sure.\n{block}{ANSWER}", cuts)[0] == f"Sure.\n{ANSWER}"
    assert split(f"{opening}\n{closing}\n{block}{ANSWER}", cuts)[0].strip() == ANSWER
    assert split(f"{opening}endless {DRAFT}", cuts)[0] == ""


@pytest.mark.parametrize("closing", CLOSING)
@given(cuts=CUTS)
def test_a_closing_mark_alone_voids_what_came_before(closing: str, cuts: list[int]) -> None:
    """Where the opening mark stood in the prompt, a draft, a slot and brackets before the closing one are thoughts."""
    thoughts = f"Okay, a1: it is at [2,2], 5\" wide.\nI could use {DRAFT}, don't\n"
    assert split(f"{thoughts}{closing}{ANSWER}", cuts) == (ANSWER, thoughts, True)
    assert split(f"{thoughts}{closing}{ANSWER}", cuts, inside=True) == (ANSWER, thoughts, True)


def test_a_late_closing_mark_is_reported_once_and_at_once() -> None:
    """Text is handed on as it comes; the piece with the mark says that all of it is void."""
    thoughts = ThoughtFilter()
    assert thoughts.feed(f"try {DRAFT}\n") == Parts(f"try {DRAFT}\n")
    assert thoughts.feed(f"no</think>{ANSWER}") == Parts(ANSWER, "no", voids=True)
    assert thoughts.feed("\n") == Parts("\n")


@given(CUTS)
def test_a_mark_inside_a_string_is_data(cuts: list[int]) -> None:
    """An agent may say what looks like a mark, with quotes and backslashes around it."""
    for said in ("<think>x</think>", r"\"</think>", r"\\\"[/THINK]", "</THINK>"):
        answer = f'{{"a1":{{"say":"{said}"}}}}'
        assert split(answer, cuts) == (answer, "", False)
        assert split(f"<think>a<b</think>{answer}", cuts) == (answer, "a<b", False)
        assert split(answer, cuts, inside=True) == (answer, "", True)


@given(CUTS)
def test_a_model_that_is_expected_to_think_may_answer_at_once(cuts: list[int]) -> None:
    """A reply that begins with an answer is one; one that never closes its thoughts is one if it is whole."""
    for answer in (ANSWER, "[[1]]", "a1: Scan 8; Wait 2\na2: MoveTo 3 4\n"):
        assert split(answer, cuts, inside=True) == (answer, "", True)
    assert split("I cannot", cuts, inside=True)[0] == "I cannot"
    assert split(f"well, {DRAFT}", cuts, inside=True, whole=False)[0] == ""
    assert split(f"<think>well</think>{ANSWER}", cuts, inside=True) == (ANSWER, "well", False)


@given(st.text(alphabet='<>[]/think{}":a1 \\\n◁▷', max_size=60), CUTS, st.booleans())
def test_any_text_gives_the_same_for_any_split_and_loses_nothing(
    text: str,
    cuts: list[int],
    inside: bool,  # noqa: FBT001
) -> None:
    """Whatever a model writes, answer and thoughts do not depend on the pieces, and hold all but the marks."""
    answer, thinking, unopened = split(text, cuts, inside=inside)
    assert (answer, thinking, unopened) == split(text, inside=inside)
    assert len(answer) + len(thinking) <= 2 * len(text)


@pytest.mark.parametrize("inside", [False, True])
def test_an_answer_is_handed_on_as_it_comes(inside: bool) -> None:  # noqa: FBT001
    """Nothing of an answer waits for the end of the reply, but for a last bracket that may begin a mark."""
    thoughts, fed, given_out = ThoughtFilter(inside=inside), "", ""
    for character in 'a1: Scan 8; Say ["x", "y"]\n':
        fed += character
        given_out += thoughts.feed(character).text
        assert len(fed) - len(given_out) <= (2 if len(fed) < 3 else character == "[")
