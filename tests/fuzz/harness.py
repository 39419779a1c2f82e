"""The parts that all harnesses share: cases from a seed, mutations, limits, and a corpus that keeps findings.

A harness has `make(draw)`, which returns the bytes of one case, and `check(data)`, which raises `AssertionError` where
a promise is broken; every other exception is a finding too. A finding is written to `corpus/NAME/`, and every later run
tries it first. The gate runs a few seconds of each harness, always the same cases; `FUZZ_SECONDS` and `FUZZ_SEED` make
it longer and other ones (`make test-nightly` runs an hour in all).
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import resource
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

CORPUS: Final = Path(__file__).parent / "corpus"
SECONDS: Final = float(os.environ.get("FUZZ_SECONDS", "8"))
"""How long each harness goes on."""
CASES: Final = int(os.environ.get("FUZZ_CASES", "1000000"))
"""Cases of each harness at most."""
SEED: Final = int(os.environ.get("FUZZ_SEED", "1"))
CASE_SECONDS_MAX: Final = 10.0
"""Processor time that one case may take."""
CASE_BYTES_MAX: Final = 500 * 2**20
"""Memory by which one case may let the process grow."""

EDGES: Final[tuple[Any, ...]] = (
    0, 1, -1, 2**31, 2**63 - 1, 2**63, -(2**63), 10**40, True, None, "", "x", "a\nb", "\x1b[31m", "\u202e", [], {}, 1.5,
    200_000, 1000, 4096, "../x", "/etc/passwd", "x" * 400, "0-3999999", "0" * 16, [[[[]]]],
)  # fmt: skip
"""Values that are put in the place of others."""
PIECES: Final = (
    "", '"', "'", "[", "]", "{", "}", "\n", "\r", "=", ",", ":", "999999", "-1", "\x1b", "\u202e", ".", "1e999", "nan",
    "[[[[", '"""', "#", "\x00", "é", "\ufffd", "null", "true",
)  # fmt: skip
"""Texts that are put in the place of others."""


class Draw:
    """Random choices of one case."""

    def __init__(self, seed: int, number: int) -> None:
        self._random = np.random.default_rng([seed, number])

    def below(self, bound: int) -> int:
        """Return a number from 0."""
        return int(self._random.integers(bound))

    def one(self, values: Any) -> Any:
        """Return one of some values."""
        return values[self.below(len(values))]

    def chance(self, percent: int) -> bool:
        """Return whether something happens that does so in so many cases of a hundred."""
        return self.below(100) < percent


def fuzz(name: str, make: Callable[[Draw], bytes], check: Callable[[bytes], object]) -> int:
    """Try the corpus, then cases until the time is over; return how many.

    Raises:
        AssertionError: the first finding; its input is in the corpus then.
    """
    for path in sorted((CORPUS / name).glob("*.bin")):
        tried(name, path.read_bytes(), check)
    ends, number = time.monotonic() + SECONDS, 0
    while number < CASES and time.monotonic() < ends:
        tried(name, make(Draw(SEED, number)), check)
        number += 1
    return number


def tried(name: str, data: bytes, check: Callable[[bytes], object]) -> None:
    """Check one case and its limits; keep what breaks them."""
    grown, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    problem = ""
    try:
        check(data)
    except Exception:
        problem = traceback.format_exc()
    took = time.process_time() - begun
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - grown) * 1024
    if took > CASE_SECONDS_MAX:
        problem += f"\nit took {took:.1f} s of the processor"
    if grown > CASE_BYTES_MAX:
        problem += f"\nthe process grew by {grown / 2**20:.0f} MiB"
    if problem:
        folder = CORPUS / name
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{hashlib.sha256(data).hexdigest()[:16]}.bin"
        path.write_bytes(data)
        raise AssertionError(f"{path}: {problem}")


def spoilt_bytes(draw: Draw, data: bytes) -> bytes:
    """Flip, cut, insert, repeat or swap bytes."""
    spoilt = bytearray(data)
    for _ in range(draw.one((1, 1, 1, 2, 5))):
        place = draw.below(len(spoilt) + 1)
        match draw.below(5):
            case 0 if place < len(spoilt):
                spoilt[place] ^= 1 << draw.below(8)
            case 1:
                del spoilt[place : place + draw.one((1, 1, 3, 30, 3000))]
            case 2:
                spoilt[place:place] = draw.one(PIECES).encode()
            case 3:
                spoilt[place:place] = spoilt[place : place + draw.one((1, 10, 300))]
            case _:
                spoilt[place : place + draw.one((1, 3, 30))] = draw.one(PIECES).encode()
    return bytes(spoilt)


def spoilt_lines(draw: Draw, data: bytes) -> bytes:
    """Drop, repeat, swap or cut lines."""
    lines = data.splitlines(keepends=True)
    for _ in range(draw.one((1, 1, 2))):
        if not lines:
            break
        one, two = draw.below(len(lines)), draw.below(len(lines))
        match draw.below(4):
            case 0:
                del lines[one]
            case 1:
                lines.insert(two, lines[one])
            case 2:
                lines[one], lines[two] = lines[two], lines[one]
            case _:
                lines[one] = lines[one][: draw.below(len(lines[one]) + 1)]
    return b"".join(lines)


def spoilt_json(draw: Draw, value: Any) -> Any:
    """Return a copy of JSON data with values replaced, scaled, repeated, renamed or dropped."""
    value = copy.deepcopy(value)
    for _ in range(draw.one((1, 1, 2, 4))):
        places = list(_places(value))
        if not places:
            return copy.deepcopy(draw.one(EDGES))
        *way, last = draw.one(places)
        owner = value
        for part in way:
            owner = owner[part]
        old = owner[last]
        match draw.below(6):
            case 0 | 1:
                owner[last] = copy.deepcopy(draw.one(EDGES))
            case 2 if isinstance(old, int):
                owner[last] = old * draw.one((0, -1, 2, 10, 100)) + draw.one((0, 1))
            case 3 if isinstance(owner, list):
                owner.append(copy.deepcopy(old))
            case 4 if isinstance(old, str):
                text = list(old)
                text[draw.below(len(text) + 1) : draw.below(len(text) + 1)] = draw.one(PIECES)
                owner[last] = "".join(text)
            case _:
                del owner[last]
    return value


def _places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if way:
        yield way
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _places(each, (*way, key))
    elif isinstance(value, list):
        for place, each in enumerate(value[:20]):
            yield from _places(each, (*way, place))


def said_well(error: Exception) -> None:
    """Assert that a refusal is one printable sentence."""
    text = str(error)
    assert text, "a refusal says nothing"
    assert text.isprintable(), f"not one printable line: {text!r}"


def as_json(value: Any) -> bytes:
    """Write data as bytes of a case."""
    return json.dumps(value).encode()
