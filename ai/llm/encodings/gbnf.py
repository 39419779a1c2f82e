"""Rules of a grammar (GBNF) for the values that plans hold: quoted words, texts, and ranges of numbers."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from ai.llm.encodings.offers import CACHED

CHARACTER: Final = r'[^"\\\x00-\x1F] | "\\" ["\\bfnrt] | "\\u00" [01] [0-9a-f]'
"""One character of a text, as JSON writes it."""
_DECIMALS_MAX: Final = 6
"""The most digits after the decimal point."""


def quoted(text: str) -> str:
    """Return a text as a literal."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def one_of(texts: Iterable[str]) -> str:
    """Return the choice between literal texts."""
    return f"({' | '.join(map(quoted, texts))})"


@lru_cache(maxsize=CACHED)
def number(low: int, high: int, scale: int) -> str:
    """Return the numbers from `low / scale` to `high / scale` as alternatives, with the decimals of the scale."""
    if scale == 1:
        return whole(low, high)
    if low < 0:
        parts = [f'"-" ({number(max(-high, 0), -low, scale)})']
        return " | ".join([*parts, number(0, high, scale)] if high >= 0 else parts)
    decimals = next((d for d in range(1, _DECIMALS_MAX) if 10**d % scale == 0), _DECIMALS_MAX)
    unit = 10**decimals
    low, high = -(-low * unit // scale), high * unit // scale
    (first, above), (last, below) = divmod(low, unit), divmod(high, unit)
    if first == last:
        return _with_decimals(first, above, below, decimals)
    parts = [_with_decimals(first, above, unit - 1, decimals), _with_decimals(last, 0, below, decimals)]
    if first + 1 < last:
        parts.append(f'({whole(first + 1, last - 1)}) ("." [0-9]{{1,{decimals}}})?')
    return " | ".join(parts)


def _with_decimals(whole: int, low: int, high: int, decimals: int) -> str:
    """Return the numbers that begin with `whole` and whose decimals, taken as a whole number, lie in a range."""
    parts = [] if low else [f'"{whole}"']
    for digits in _same_length(str(low).zfill(decimals), str(high).zfill(decimals)) if high else ():
        first, *rest = digits.split(" ")
        text = ""
        for digit in reversed(rest):
            zeros = (not text or text.endswith("?")) and digit.startswith(('"0', "[0"))  # may be left out at the end
            text = f"{digit} {text}".rstrip()
            text = f"({text})?" if zeros else text
        parts.append(f'"{whole}." {first} {text}'.rstrip())
    return " | ".join(parts)


@lru_cache(maxsize=CACHED)
def whole(low: int, high: int) -> str:
    """Return the whole numbers from `low` to `high`, without leading zeros, as alternatives."""
    if low < 0:
        negative = f'"-" ({whole(max(-high, 1), -low)})'
        return f"{negative} | {whole(0, high)}" if high >= 0 else negative
    parts: list[str] = []
    for digits in range(len(str(low)), len(str(high)) + 1):
        first = max(low, 10 ** (digits - 1) if digits > 1 else 0)
        parts += _same_length(str(first), str(min(high, 10**digits - 1)))
    return " | ".join(parts)


def _same_length(low: str, high: str) -> list[str]:
    """Return the numbers between two numbers with equally many digits."""
    if not low:
        return [""]
    first, last, rest = int(low[0]), int(high[0]), len(low) - 1
    if low[1:] == "0" * rest and high[1:] == "9" * rest:
        return [" ".join([_digit(first, last), *["[0-9]"] * rest])]
    if first == last:
        return [f"{_digit(first, first)} {tail}" for tail in _same_length(low[1:], high[1:])]
    parts = []
    if low[1:] != "0" * rest:
        parts += [f"{_digit(first, first)} {tail}" for tail in _same_length(low[1:], "9" * rest)]
        first += 1
    ending = []
    if high[1:] != "9" * rest:
        ending = [f"{_digit(last, last)} {tail}" for tail in _same_length("0" * rest, high[1:])]
        last -= 1
    if first <= last:
        parts.append(" ".join([_digit(first, last), *["[0-9]"] * rest]))
    return parts + ending


def _digit(low: int, high: int) -> str:
    return f'"{low}"' if low == high else f"[{low}-{high}]"
