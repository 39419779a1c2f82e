"""The text of a condition as parts, split at `and`; parts are not yet checked against an observation."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from ai.errors import ContractError

PARTS_MAX: Final = 16
"""The most parts that one condition may join."""
CHARS_MAX: Final = 1000
"""The most characters of one condition."""
_TOKEN: Final = re.compile(
    r"""\s*(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)"|(?P<op><=|>=|==|!=|<|>)|(?P<number>-?\d+(?:\.\d+)?%?)(?![\w.])"""
    r"""|(?P<word>[^\s'"<>=!]+))"""
)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a condition as written.

    `tail` is the comparison, `within`, `has`, `contains`, `after`, `one in`, `always`, or empty for presence. `value`
    follows it; `percent` and `of` are a share of another field; `named` is the name before `within`.
    """

    field: str
    tail: str = ""
    value: Decimal | str | None = None
    percent: int = 100
    of: str = ""
    named: str = ""
    negated: bool = False
    offset: int = 0


def parts_of(text: str) -> tuple[Part, ...]:
    """Return the parts of a condition, all of which must hold.

    Raises:
        ContractError: it cannot be read; the message has the text and the reason.
    """
    if len(text) > CHARS_MAX:
        raise ContractError(f"a condition has at most {CHARS_MAX} characters, not {len(text)}")
    parts: list[Part] = []
    tokens: list[tuple[str, str]] = []
    for kind, value in [*_tokens(text), ("word", "and")]:
        if (kind, value) == ("word", "and"):
            parts.append(_part(text, tokens))
            tokens = []
        else:
            tokens.append((kind, value))
    if len(parts) > PARTS_MAX:
        raise ContractError(f"condition {text!r}: at most {PARTS_MAX} parts are joined, not {len(parts)}")
    return tuple(parts)


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    place, end = 0, len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None:
            raise ContractError(f"condition {text!r}: cannot read {text[place:end].strip()[:20]!r}")
        kind = str(match.lastgroup)
        found.append(("text" if kind in ("single", "double") else kind, match[kind]))
        place = match.end()
    return found


def _part(text: str, tokens: Sequence[tuple[str, str]]) -> Part:
    """Read one part."""

    def wrong(why: str) -> ContractError:
        return ContractError(f"condition {text!r}: {why}")

    if not tokens:
        raise wrong("a part is empty")
    words = [value for kind, value in tokens if kind == "word"]
    if words[:1] in (["no"], ["not"]) and tokens[0][0] == "word":
        inner = _part(text, tokens[1:])
        return replace(inner, negated=not inner.negated)
    kinds = [kind for kind, _ in tokens]
    values = [value for _, value in tokens]
    if values == ["always"]:
        return Part("", "always")
    if values[0] == "after" and kinds == ["word", "number"]:
        return Part("", "after", _decimal(values[1], wrong))
    if values[:2] == ["one", "in"] and kinds[2:] == ["number"]:
        return Part("", "one in", _decimal(values[2], wrong))
    if values[:2] == ["one", "in"] and kinds[2:] == ["number", "word", "number"] and values[3] == "from":
        return Part("", "one in", _decimal(values[2], wrong), offset=int(_decimal(values[4], wrong)))
    if kinds[0] != "word":
        raise wrong(f"a part begins with a field, not {values[0]!r}")
    if "op" in kinds:
        place = kinds.index("op")
        if place != 1:
            raise wrong(f"{' '.join(values[:place])!r} is not a field")
        return _comparison(values[0], values[1], tokens[2:], wrong)
    for tail in ("within", "has", "contains"):
        if tail in values[1:]:
            place = values.index(tail, 1)
            if (
                kinds[place + 1 :] not in (["number"], ["word"], ["text"])
                or place > 2
                or kinds[1:place] not in ([], ["text"])
            ):
                raise wrong(f"{tail!r} stands between a field and a value")
            value = _decimal(values[place + 1], wrong) if tail == "within" else values[place + 1]
            return Part(values[0], tail, value, named=values[1] if place == 2 else "")
    if set(kinds) != {"word"}:
        raise wrong(f"cannot read {' '.join(values)!r}")
    return Part(" ".join(values))


def _comparison(field: str, op: str, tokens: Sequence[tuple[str, str]], wrong: Callable[[str], ContractError]) -> Part:
    kinds, values = [kind for kind, _ in tokens], [value for _, value in tokens]
    if kinds == ["number"] and not values[0].endswith("%"):
        return Part(field, op, _decimal(values[0], wrong))
    if kinds in (["word"], ["text"]):
        return Part(field, op, values[0])
    if kinds == ["number", "word", "word"] and values[0].endswith("%") and values[1] == "of":
        return Part(field, op, percent=int(_decimal(values[0][:-1], wrong)), of=values[2])
    raise wrong(f"{op!r} is followed by a number, a name, a field or a share such as 30% of energy_max")


def _decimal(text: str, wrong: Callable[[str], ContractError]) -> Decimal:
    if not re.fullmatch(r"-?\d{1,12}(\.\d{1,6})?", text):
        raise wrong(f"{text!r} is not a number that a condition can hold")
    return Decimal(text)
