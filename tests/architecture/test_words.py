"""The engine and the planning system know no game: none of its words is in a name or a text of theirs."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*ROOT.glob("ai/**/*.py"), *ROOT.glob("sim/**/*.py")])
WORDS = frozenset({"enemy", "enemies", "ammo", "morale", "weapon", "weapons", "squad", "squads", "hp"})
"""Words of the game, in either number."""
NAMES_ONLY = frozenset({"cover"})
"""Words that plain English needs: forbidden in names alone."""
PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def words_of(text: str) -> set[str]:
    """Return the words of a name or text, cut at underscores, at capitals and at everything else."""
    return {part.lower() for part in PART.findall(text)}


def texts_of(source: str) -> Iterator[tuple[int, str]]:
    """Yield every text of a program with its line, docstrings and the fixed parts of f-strings included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            yield node.lineno, node.value if isinstance(node.value, str) else node.value.decode("latin-1")


def names_of(source: str) -> Iterator[tuple[int, str]]:
    """Yield every name in a program with its line: variables, attributes, arguments, functions, classes, modules."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME:
            yield token.start[0], token.string


def found_in(source: str) -> set[tuple[int, str]]:
    """Return the words of the game in a program, each with its line."""
    found = {(line, word) for line, text in texts_of(source) for word in words_of(text) & WORDS}
    return found | {(line, word) for line, name in names_of(source) for word in words_of(name) & (WORDS | NAMES_ONLY)}


def test_neither_engine_nor_planning_speaks_of_the_game() -> None:
    """No identifier and no text of `ai` and `sim` has a word of the game, nor has the name of one of their files."""
    found = [
        f"{path.relative_to(ROOT)}:{line}: {word}"
        for path in SOURCES
        for line, word in sorted(found_in(path.read_text("utf-8")))
    ]
    named = [str(path.relative_to(ROOT)) for path in SOURCES if words_of(path.stem) & (WORDS | NAMES_ONLY)]
    assert (found, named) == ([], [])


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("nearest_enemy = 1", {"enemy"}),
        ("world.hpMax", {"hp"}),
        ("HPColumn = 3", {"hp"}),
        ("def take_cover(a): ...", {"cover"}),
        ("f(cover=1)", {"cover"}),
        ("text = 'Take cover before you engage'", set()),
        ("text = f'{n} enemies'", {"enemies"}),
        ("text = {'me.ammo': b'squad'}", {"ammo", "squad"}),
        ('"""Fewer weapons."""', {"weapons"}),
        ("cover_all, recovered, discovered, hpx, php, enemyx = range(6)", {"cover"}),
        ("recovered, discovered, hpx, php = 'hyphen', 'ammonite', 'demoralised', 1  # an enemy", set()),
    ],
)
def test_words_are_found_whole_in_names_and_texts(source: str, words: set[str]) -> None:
    """Names are cut at underscores and capitals; longer words that contain one of these are others."""
    assert {word for _, word in found_in(source)} == words
