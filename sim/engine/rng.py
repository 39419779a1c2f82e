"""Random numbers that belong to an agent, a tick and a purpose, never to the order of calls.

A draw is Philox4x32-10 of the counter (agent key, tick, purpose, draw index) under the 64-bit seed. There is no stream
to advance, so a draw for other agents, in another order or for another purpose changes no number. The array path and
`philox4x32` give the same words; both match the published Random123 vectors.

Each counter word has 32 bits, so ticks from 2**32 on are refused rather than folded: after folding, two ticks would
share their draws. For a key from 2**32 on, the words of its upper half are mixed into the counter of its lower half.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.engine.canonical import text_bytes
from sim.engine.values import integer
from sim.errors import WorldError, no_array, short

ROUNDS: Final = 10
CHUNK: Final = 12288
"""Draws computed at once, so that the working memory stays in the processor's cache."""
AHEAD_MAX: Final = 12288
"""The most draws that are computed and kept together for several ticks."""
AHEAD_TICKS: Final = 64
"""The most ticks whose draws are computed together."""
KINDS_MAX: Final = 32
"""The number of kinds of draws that are kept."""
_WORD: Final = 0xFFFFFFFF
_M0: Final = 0xD2511F53
_M1: Final = 0xCD9E8D57
_W0: Final = 0x9E3779B9
_W1: Final = 0xBB67AE85
_MULTIPLIERS: Final = (np.array(_M0, np.uint64), np.array(_M1, np.uint64))
_U32: Final = np.array(32, np.uint64)
_LOW: Final = np.array(_WORD, np.uint64)


Word: TypeAlias = int | NDArray[np.uint32] | NDArray[np.uint64]


class _Kept(NamedTuple):
    """The draws of the same agents for one purpose in successive ticks.

    Attributes:
        keys: the agents' keys, as bytes.
        tick: the first of the ticks.
        words: the first word of each draw, or all four: `[1 or 4, ticks, agents]`.
    """

    keys: bytes
    tick: int
    words: NDArray[np.uint32]


SEED_MAX: Final = 2**63 - 1
"""The highest seed of a run; every file and record can hold it."""
KEY_MAX: Final = 2**63 - 1
"""The highest key that may be drawn for."""
NAMED: Final = 1 << 16
"""The numbers of purposes by name start here; lower numbers are for purposes that choose their own number."""
CELLS: Final = 1 << 31
"""Added to the purpose of a draw for a place, so that cell 7 and agent 7 draw different numbers."""
_NAMES: Final[dict[int, str]] = {}


def purpose(name: str, number: int | None = None) -> int:
    """Return the number of a purpose; a name always gives the same number.

    Args:
        name: the name of the purpose in reports and records.
        number: an explicit number below 65,536, so that a purpose can change its name; by default derived from the
            name.

    Raises:
        WorldError: the name is empty, the number is out of range, or another name has it in this process.

    >>> GIVE = purpose("give")
    >>> purpose_name(GIVE)
    'give'
    """
    if not name or (number is not None and not 0 <= number < NAMED):
        raise WorldError(
            f"purpose({name!r}, {number}): a purpose needs a name, and a number of its own is in 0..{NAMED - 1}"
        )
    code = number
    if code is None:
        digest = hashlib.blake2b(text_bytes("purpose", name), digest_size=8, person=b"tickweave").digest()
        code = NAMED + int.from_bytes(digest, "big") % (CELLS - NAMED)
    if _NAMES.setdefault(code, name) != name:
        raise WorldError(f"the purpose {name!r} has the number of {_NAMES[code]!r}; give it another name")
    return code


def purpose_name(code: int) -> str:
    """Return the label of a purpose in reports: its name, else its number; `@cells` marks draws for places."""
    if code >= CELLS:
        return f"{purpose_name(code - CELLS)}@cells"
    return _NAMES.get(code) or str(code)


def philox4x32(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, int, int, int]:
    """Compute one Philox4x32-10 block in plain Python: the reference that the array path is tested against.

    >>> [f"{word:08x}" for word in philox4x32((0, 0, 0, 0), (0, 0))]
    ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        p0, p1 = _M0 * c0, _M1 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & _WORD, (p0 >> 32) ^ c3 ^ k1, p0 & _WORD
        k0, k1 = (k0 + _W0) & _WORD, (k1 + _W1) & _WORD
    return c0, c1, c2, c3


class Rng:
    """Draws random words for agents, and counts the draws of each purpose.

    Args:
        seed: the run's seed, 0 to 2**64 - 1; runs accept only the lower half, up to `SEED_MAX`.

    Raises:
        WorldError: the seed is out of range.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed = integer(seed, 0, 2**64 - 1, "seed")
        self.counts: dict[int, int] = {}
        self._kept: dict[tuple[int, int, int], _Kept] = {}
        self._work = np.empty((3, 0), np.uint64)
        starts = (seed & _WORD, _W0), (seed >> 32, _W1)
        self._keys_of_two_rounds = [
            tuple(
                np.array((start + i * step & _WORD) << 32 | start + (i + 1) * step & _WORD, np.uint64)
                for start, step in starts
            )
            for i in range(0, ROUNDS, 2)
        ]

    def draws(self, keys: ArrayLike, tick: int, purpose: int, draw: int = 0) -> NDArray[np.uint32]:
        """Draw four words for each agent: `[agents, 4] uint32`, in the order of `keys`.

        A key above 2**32 - 1 (such as a pair of agents as one number) takes one more round: the words of its upper half
        are mixed into the counter of its lower half.

        Args:
            keys: agent keys, `[agents]`.
            tick: the tick the draw belongs to.
            purpose: the number that `purpose` returned for a name, or a number below 65,536.
            draw: an index to count up if one agent needs more than four words for one purpose in one tick.

        Raises:
            WorldError: a key is not in 0..2**63-1, or the tick, the purpose or the draw index not in 0..2**32-1.

        >>> Rng(0).draws([0], tick=0, purpose=0)[0].tolist() == list(philox4x32((0, 0, 0, 0), (0, 0)))
        True
        """
        return self._words(keys, tick, purpose, draw, 4).T

    def below(
        self, keys: ArrayLike, tick: int, purpose: int, bound: int | NDArray[np.integer], draw: int = 0
    ) -> NDArray[np.int64]:
        """Draw an integer in 0..bound-1 for each agent: `[agents] int64`, from the first word.

        It is `(word * bound) >> 32`: the same on every machine, with a bias of at most bound / 2**32.

        Args:
            keys: agent keys, `[agents]`.
            tick: the tick the draw belongs to.
            purpose: the number that `purpose` returned for a name, or a number below 65,536.
            bound: one bound for all, or `[agents]`; 1 to 2**32, or 0 where there are no agents.
            draw: as in `draws`.

        Raises:
            WorldError: a bound is not in 1..2**32, or as in `draws`.

        >>> Rng(7).below([3, 1, 3], tick=0, purpose=1, bound=1000).tolist()
        [253, 887, 253]
        """
        try:
            bounds = np.asarray(bound)
            low, high = (bound, bound) if type(bound) is int else (bounds.min(initial=1), bounds.max(initial=1))
        except (TypeError, ValueError):
            raise no_array(bound, "bound") from None
        if bounds.size and (bounds.dtype.kind not in "iu" or not 0 <= low <= high <= 1 << 32):
            raise WorldError(f"bound {short(bound)} is not an integer in 1..2**32")
        if low == 0 and np.size(keys):  # an empty world draws nothing below its size
            raise WorldError(f"bound {short(bound)} is not an integer in 1..2**32")
        words = self._words(keys, tick, purpose, draw, 1)[0].astype(np.uint64)
        try:
            words *= bounds.astype(np.uint64)
        except ValueError:
            raise WorldError(f"{bounds.shape} bounds for {len(words)} draws; give one, or one for each") from None
        words >>= _U32
        drawn: NDArray[np.int64] = words.view(np.int64)
        return drawn

    def take_counts(self) -> dict[int, int]:
        """Return the draws per purpose since the last call, in order of purpose, and start again from zero."""
        counts, self.counts = dict(sorted(self.counts.items())), {}
        return counts

    def _words(self, keys: ArrayLike, tick: int, purpose: int, draw: int, count: int) -> NDArray[np.uint32]:
        """Check and count draws, and return the first word of each or all four: `[count, agents]`."""
        try:
            agents = np.asarray(keys)
        except (TypeError, ValueError):
            raise no_array(keys, "keys") from None
        if agents.ndim != 1 or (agents.size and agents.dtype.kind not in "iu"):
            raise WorldError(f"keys must be a flat sequence of integers, not {agents.dtype} of shape {agents.shape}")
        for what, word in (("tick", tick), ("purpose", purpose), ("draw", draw)):
            if type(word) is not int or not 0 <= word <= _WORD:
                integer(word, 0, _WORD, what)
        # Read as unsigned numbers, negative keys are too large as well.
        words = agents.view(np.uint64) if agents.dtype == np.int64 else agents.astype(np.uint64)
        top = int(words[words.argmax()]) if words.size else 0  # in a third of the time of `max`
        if top > KEY_MAX:
            raise WorldError(f"keys {agents.min()}..{agents.max()} are not in 0..2**63-1")
        purpose, draw = int(purpose), int(draw)
        self.counts[purpose] = self.counts.get(purpose, 0) + agents.size
        if top <= _WORD:
            blocks = self._in_series if 0 < 2 * words.size <= AHEAD_MAX else self._blocks
            return blocks(words, tick, purpose, draw, count)
        low, high = words & _LOW, words >> _U32
        mixed = np.where(high > 0, self._blocks(high, tick, purpose, draw, 4), np.uint32(0))
        mixed ^= np.array([[0], [tick], [purpose], [draw]], np.uint32)
        return self._blocks(low ^ mixed[0], mixed[1], mixed[2], mixed[3], count)

    def _in_series(
        self, keys: NDArray[np.uint64], tick: int, purpose: int, draw: int, count: int
    ) -> NDArray[np.uint32]:
        """Return the draws of one tick; if those of the tick before were asked for, compute later ticks along with it.

        For few agents, the calls of NumPy take longer than the computation, and several ticks need as many as one.
        """
        raw = keys.tobytes()
        kept = self._kept.get((purpose, draw, count))
        place = -1 if kept is None or kept.keys != raw else tick - kept.tick
        if kept is None or not 0 <= place < kept.words.shape[1]:
            # Twice as many ticks each time: where agents change, little is computed in vain.
            ticks = 2 * place if kept is not None and place == kept.words.shape[1] else 1
            ticks = min(ticks, AHEAD_MAX // keys.size, AHEAD_TICKS, _WORD + 1 - tick)
            words = np.empty((count, ticks, keys.size), np.uint32)
            self._fill(words, keys, np.arange(tick, tick + ticks, dtype=np.uint64)[:, np.newaxis], purpose, draw)
            if len(self._kept) >= KINDS_MAX:
                self._kept.clear()
            kept, place = _Kept(raw, tick, words), 0
            self._kept[purpose, draw, count] = kept
        return kept.words[:, place].copy()

    def _blocks(
        self, keys: NDArray[np.uint64], tick: Word, purpose: Word, draw: Word, count: int
    ) -> NDArray[np.uint32]:
        # Word by word, so that the caller's `draws[:, 0]` lies together in memory.
        out = np.empty((count, keys.size), dtype=np.uint32)
        for start in range(0, keys.size, CHUNK):
            part = slice(start, start + CHUNK)
            words = [word[part] if isinstance(word, np.ndarray) else word for word in (tick, purpose, draw)]
            self._fill(out[:, part], keys[part], *words)
        return out

    def _fill(self, out: NDArray[np.uint32], keys: NDArray[np.uint64], tick: Word, purpose: Word, draw: Word) -> None:
        """Compute the first word of each block or all four: `[1 or 4, agents]`, or `[1 or 4, ticks, agents]`."""
        shape, n = out.shape[1:], out[0].size
        if 2 * n > self._work.shape[1]:  # kept, as allocating and freeing it takes half as long as the draws
            self._work = np.empty((3, 2 * n), np.uint64)
        # Words 0 and 2 stand side by side, and so do words 1 and 3. All arrays of a call are flat and of one length:
        # NumPy's overhead for few agents is then a quarter of that for arrays with two dimensions.
        even, odd, products = self._work[:, : 2 * n]
        (c0, c2), (c1, c3), (p1, p0) = ((words[:n], words[n:]) for words in (even, odd, products))
        for place, word in zip((c0, c1, c2, c3), (keys, tick, purpose, draw), strict=True):
            place.reshape(shape)[...] = word
        multiply, xor, shift, both = np.multiply, np.bitwise_xor, np.right_shift, np.bitwise_and
        m0, m1 = _MULTIPLIERS
        alone = len(out) == 1
        # The keys of two rounds are mixed into the products of the first: its own into the upper halves, which it uses,
        # those of the second into the lower halves, which the second uses.
        for k0, k1 in self._keys_of_two_rounds[: -1 if alone else None]:
            for first in (True, False):
                multiply(c0, m0, p0)
                multiply(c2, m1, p1)
                if first:
                    xor(p0, k1, p0)
                    xor(p1, k0, p1)
                shift(products, _U32, even)
                xor(even, odd, even)
                both(products, _LOW, odd)
        if not alone:
            for place, word in zip(out, (c0, c1, c2, c3), strict=True):
                place[...] = word.reshape(shape)
            return
        # The first word needs half of the last two rounds.
        k0, k1 = self._keys_of_two_rounds[-1]
        multiply(c0, m0, p0)
        multiply(c2, m1, p1)
        xor(p0, k1, p0)
        xor(p1, k0, p1)
        shift(p0, _U32, c2)
        xor(c2, c3, c2)
        multiply(c2, m1, c2)
        shift(c2, _U32, c2)
        xor(c2, p1, c2)
        out[0] = c2.reshape(shape)  # the lower half
