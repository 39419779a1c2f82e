"""A sentence of a GBNF grammar, as a server that takes the grammar could have written it.

Reads the form that llama.cpp documents (grammars/README.md there): rules, quoted texts, character classes, groups,
alternatives and repetitions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ai.errors import ParseError
from ai.fake.draws import Draws

GRAMMAR_CHARS_MAX: Final = 200_000
"""Characters that a grammar may have."""
SENTENCE_CHARS_MAX: Final = 100_000
"""Characters at which a sentence that does not end is given up."""
REPEATS_MAX: Final = 3
"""Times that an open repetition (`*`, `+`, `{2,}`) is repeated beyond its minimum, at most."""

_DEPTH_MAX: Final = 100
_TOKEN: Final = re.compile(
    r'\s+|#[^\n]*|(?P<define>[A-Za-z][\w-]*)\s*::=|(?P<name>[A-Za-z][\w-]*)|"(?P<text>(?:[^"\\]|\\.)*)"'
    r"|\[(?P<chars>(?:[^\]\\]|\\.)*)\]|\{(?P<low>\d{1,4})(?P<comma>,(?P<high>\d{1,4})?)?\}|(?P<mark>[()|*+?.])"
)
_ESCAPE: Final = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|(.))", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Text:
    text: str


@dataclass(frozen=True, slots=True)
class _Rule:
    name: str


@dataclass(frozen=True, slots=True)
class _Choice:
    options: tuple[tuple[_Node, ...], ...]


@dataclass(frozen=True, slots=True)
class _Repeat:
    node: _Node
    low: int
    high: int


_Node = _Text | _Rule | _Choice | _Repeat


class Grammar:
    """A grammar that was read, from which sentences of `root` are drawn.

    Raises:
        ParseError: it cannot be read.
    """

    def __init__(self, text: str) -> None:
        self._rules = _rules(text)

    def sentence(self, draws: Draws) -> str:
        """Return a drawn sentence.

        Raises:
            ParseError: the grammar names a rule that it does not have, or finds no end.
        """
        written: list[str] = []
        size = 0

        def write(node: _Node, depth: int) -> None:
            nonlocal size
            if depth > _DEPTH_MAX or size > SENTENCE_CHARS_MAX:
                raise ParseError("the grammar finds no end")
            if isinstance(node, _Text):
                written.append(node.text)
                size += len(node.text)
            elif isinstance(node, _Rule):
                if node.name not in self._rules:
                    raise ParseError(f"the grammar has no rule {node.name!r}")
                write(self._rules[node.name], depth + 1)
            elif isinstance(node, _Choice):
                for each in node.options[draws.below(len(node.options))]:
                    write(each, depth + 1)
            else:
                for _ in range(node.low + draws.below(min(node.high - node.low, REPEATS_MAX) + 1)):
                    write(node.node, depth + 1)

        write(_Rule("root"), 0)
        return "".join(written)


def _rules(grammar: str) -> dict[str, _Node]:
    if len(grammar) > GRAMMAR_CHARS_MAX:
        raise ParseError(f"the grammar is longer than {GRAMMAR_CHARS_MAX} characters")
    rules: dict[str, _Node] = {}
    name, open_groups = "", [[[]]]  # type: tuple[str, list[list[list[_Node]]]]
    place = 0
    while place < len(grammar):
        token = _TOKEN.match(grammar, place)
        if token is None:
            raise ParseError(f"the grammar cannot be read at {grammar[place : place + 20]!r}")
        place = token.end()
        if token["define"]:
            _end_rule(rules, name, open_groups)
            name, open_groups = token["define"], [[[]]]
        elif token.lastgroup is not None:
            _take(token, open_groups)
    _end_rule(rules, name, open_groups)
    return rules


def _take(token: re.Match[str], groups: list[list[list[_Node]]]) -> None:
    """Add one token to the innermost open group."""
    here = groups[-1][-1]
    mark = token["mark"]
    if token["name"]:
        here.append(_Rule(token["name"]))
    elif token["text"] is not None:
        here.append(_Text(_plain(token["text"])))
    elif token["chars"] is not None:
        here.append(_Choice(tuple((_Text(char),) for char in _members(token["chars"]))))
    elif mark == ".":
        here.append(_Text("x"))
    elif mark == "(":
        groups.append([[]])
    elif mark == "|":
        groups[-1].append([])
    elif mark == ")":
        if len(groups) == 1:
            raise ParseError("the grammar closes a group that is not open")
        closed = groups.pop()
        groups[-1][-1].append(_choice(closed))
    else:
        if not here:
            raise ParseError("the grammar repeats nothing")
        low, high = _times(token)
        here.append(_Repeat(here.pop(), low, max(low, high)))


def _times(token: re.Match[str]) -> tuple[int, int]:
    if token["low"] is None:
        low = int(token["mark"] == "+")
        return low, 1 if token["mark"] == "?" else low + REPEATS_MAX
    low = int(token["low"])
    if token["comma"] is None:
        return low, low
    return low, int(token["high"]) if token["high"] else low + REPEATS_MAX


def _end_rule(rules: dict[str, _Node], name: str, groups: list[list[list[_Node]]]) -> None:
    if len(groups) != 1:
        raise ParseError(f"the grammar's rule {name!r} leaves a group open")
    if name:
        rules[name] = _choice(groups[0])
    elif groups[0] != [[]]:
        raise ParseError("the grammar must begin with a rule")


def _choice(options: list[list[_Node]]) -> _Choice:
    return _Choice(tuple(tuple(option) for option in options))


def _members(chars: str) -> list[str]:
    """Return some characters of a class: the ends of its ranges; of a class that excludes, one it does not name."""
    if chars.startswith("^"):
        excluded = set(_members(chars[1:]))
        return [char for char in "xyz0 " if char not in excluded][:1] or ["~"]
    return sorted(set(_plain(re.sub(r"(?<=.)-(?=.)", "", chars, flags=re.DOTALL)))) or ["x"]


def _plain(text: str) -> str:
    def escaped(match: re.Match[str]) -> str:
        code = match[1] or match[2]
        return chr(int(code, 16)) if code else {"n": "\n", "r": "\r", "t": "\t"}.get(match[3], match[3])

    return _ESCAPE.sub(escaped, text)
