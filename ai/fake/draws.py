"""Repeatable choices for the fake server: a draw depends on the seed and on names, never on order or time."""

from __future__ import annotations

import hashlib


class Draws:
    """A sequence of numbers that depends only on the seed and the names."""

    def __init__(self, *names: object) -> None:
        self._names = repr(names).encode()
        self._count = 0

    def below(self, n: int) -> int:
        """Return the next number, from 0 to n - 1."""
        self._count += 1
        digest = hashlib.blake2b(self._names, digest_size=8, salt=self._count.to_bytes(8, "little")).digest()
        return int.from_bytes(digest, "little") % n

    def share(self) -> float:
        """Return the next number, from 0 up to but not including 1."""
        return self.below(2**32) / 2**32
