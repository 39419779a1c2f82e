"""The hash of a world: per column, per component, and one root.

A root is a function of state alone: of tick, next key, keys, columns, membership and resources. It is never chained and
knows nothing of esper ids, capacities, addresses or the order in which things were created.

Hash input of a column is its declaration (name, dtype, shape) and its values, little-endian, in key order, cut to the
entries that are in use; of a column of texts, their content (`sim.engine.texts`); of a component, its columns' hashes
and its membership; of the root, everything above.

Hashing a kilobyte costs ten times as much as comparing it, and most columns do not change in most ticks. So each
world's last bytes are kept, and a column whose bytes are equal keeps its hash; those in the world's block are compared
all at once. The comparison is of content: no flag that could be forgotten decides.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.engine.block import Block
from sim.engine.canonical import DIGEST_BYTES, array_bytes, hasher, little_endian, text_bytes
from sim.engine.resources import CustomResource, DeclaredResource
from sim.engine.storage import Storage
from sim.engine.tables import Store, Table
from sim.engine.world import World


@dataclass(frozen=True, slots=True)
class StateDigest:
    """Names a state of a world: equal roots, equal states.

    Attributes:
        root: 16 hex digits over everything.
        components: 16 hex digits by component and resource.
        columns: 8 hex digits by "Component.column", in declaration order, then resources.
    """

    root: str
    components: Mapping[str, str]
    columns: Mapping[str, str]


def state_digest(world: World) -> StateDigest:
    """Hash the state of a world.

    Raises:
        WorldError: an array of a custom resource has no canonical encoding, or a column that says how many entries
            are used says more than there are.

    >>> from sim.engine.columns import Component, i32
    >>> class Position(Component):
    ...     x: i32
    >>> with World([Position]) as world:
    ...     before = state_digest(world).root
    ...     world.spawn({Position: {"x": 3}})
    ...     world.flush()
    ...     state_digest(world).root == before
    False
    """
    # The cache hangs on the world, so that it dies with it.
    cache = world.digest_cache
    if not isinstance(cache, _WorldCache):
        cache = world.digest_cache = _WorldCache(world)
    return cache.digest(world)


class _Part:
    """Keeps the hash of one column, and its last bytes where it is compared by itself."""

    __slots__ = ("base", "digest", "label", "raw", "short")

    def __init__(self, label: str, *header: str) -> None:
        self.label = label
        self.base = hasher(*header)
        self.raw: bytes | None = None
        self.digest = b""
        self.short = ""

    def renew(self, raw: bytes) -> None:
        """Take the hash of other bytes than before."""
        fresh = self.base.copy()
        fresh.update(raw)
        self.digest = fresh.digest(DIGEST_BYTES)
        self.short = self.digest[:4].hex()

    def changes_to(self, raw: bytes) -> bool:
        """Take over these bytes, and tell whether they are others than before."""
        if raw == self.raw:
            return False
        self.raw = raw
        self.renew(raw)
        return True


class _TableCache:
    """Keeps the hash of one component."""

    __slots__ = ("base", "columns", "digest", "mask", "name")

    def __init__(self, table: Table) -> None:
        self.name = table.schema.name
        self.base = hasher("component", self.name)
        self.mask = _Part("mask", "mask", self.name)
        self.columns = tuple(
            _Part(spec.label, "column", spec.label, "texts" if spec.is_text else spec.dtype.name, str(spec.shape))
            for spec in table.schema.columns
        )
        self.digest = b""

    def renew(self) -> str:
        """Hash columns and membership again, and return the hash as text."""
        fresh = self.base.copy()
        fresh.update(b"".join([self.mask.digest, *[part.digest for part in self.columns]]))
        self.digest = fresh.digest(DIGEST_BYTES)
        return self.digest.hex()


class _Place(NamedTuple):
    """A column where it stands in a world, and where its hash is kept."""

    store: Store
    part: _Part
    table: int


class _ResourceCache(NamedTuple):
    resource: CustomResource
    stamp: tuple[int, int]
    digest: bytes
    named: bytes
    columns: dict[str, str]


class _WorldCache:
    def __init__(self, world: World) -> None:
        self.base = hasher("world")
        self.keys = _Part("keys", "keys")
        self.tables = tuple(_TableCache(table) for table in world.storage.tables)
        self.components = dict.fromkeys((cache.name for cache in self.tables), "")
        self.columns = {part.label: "" for cache in self.tables for part in cache.columns}
        self.resources: dict[str, _ResourceCache] = {}
        places = {
            part.label: _Place(store, part, number)
            for number, (table, cache) in enumerate(zip(world.storage.tables, self.tables, strict=True))
            for store, part in zip(table.stores, cache.columns, strict=True)
        }
        self.in_block = tuple(places[spec.label] for spec in world.storage.block.columns)
        self.texts = frozenset(place for place, each in enumerate(self.in_block) if each.store.spec.is_text)
        self.beside = tuple(place for place in places.values() if place.store.lengths is not None)
        # The block as it was hashed last, and how many rows it had.
        self.block: Block | None = None
        self.words: NDArray[np.uint64] = world.storage.block.words.copy()
        self.n = 0

    def digest(self, world: World) -> StateDigest:
        n = world.n
        world.storage.normalise()
        root = self.base.copy()
        self.keys.changes_to(little_endian(world.keys))
        for number in sorted(self._changed(world, n)):
            cache = self.tables[number]
            self.components[cache.name] = cache.renew()
        parts = [struct.pack("<qqq", world.tick, world.next_key, n), self.keys.digest]
        parts += [cache.digest for cache in self.tables]
        components, columns = dict(self.components), dict(self.columns)
        for name, resource in world.resources.items():
            entry = self._resource(world, name, resource)
            components[name] = entry.digest.hex()
            columns.update(entry.columns)
            parts.append(entry.named)
        root.update(b"".join(parts))
        return StateDigest(root.hexdigest(DIGEST_BYTES), components, columns)

    def _changed(self, world: World, n: int) -> set[int]:
        """Hash what is not as it was at the last time, and return the numbers of the tables it belongs to."""
        # What may be refused comes first, so that nothing is taken over by half.
        beside = [little_endian(place.store.used(n)) for place in self.beside]
        block, words = world.storage.block, world.storage.block.words
        if block is not self.block or n != self.n:
            changed = list(range(len(self.in_block)))
            self.block, self.words, self.n = block, words.copy(), n
        elif self.in_block:
            # Rows beyond the last may differ as well: they cost a hash and change none.
            differing = np.logical_or.reduceat(words != self.words, block.starts)
            changed = differing.nonzero()[0].tolist()
            np.copyto(self.words, words)
        else:
            changed = []
        tables: set[int] = set()
        for place in changed:
            store, part, owner = self.in_block[place]
            part.renew(_text_content(world.storage, store) if place in self.texts else little_endian(store.living(n)))
            self.columns[part.label] = part.short
            tables.add(owner)
        for (_, part, owner), raw in zip(self.beside, beside, strict=True):
            if part.changes_to(raw):
                self.columns[part.label] = part.short
                tables.add(owner)
        for number, (table, cache) in enumerate(zip(world.storage.tables, self.tables, strict=True)):
            mask = table.mask
            if mask is None and cache.mask.raw == b"":
                continue
            if cache.mask.changes_to(b"" if mask is None else mask[:n].tobytes()):
                tables.add(number)
        return tables

    def _resource(self, world: World, name: str, resource: CustomResource) -> _ResourceCache:
        # A resource whose restore() also took its old stamp back would meet that stamp again with other content; the
        # world's own count of restores keeps the two apart.
        stamp = (resource.stamp, world.restores)
        entry = self.resources.get(name)
        if entry is not None and entry.resource is resource and entry.stamp == stamp:
            return entry
        whole = hasher("resource", name)
        texts = resource.texts() if isinstance(resource, DeclaredResource) else {}
        columns: dict[str, str] = {}
        for column, array in sorted(resource.columns().items()):
            label = f"{name}.{column}"
            part = hasher("column", label, "texts" if column in texts else array.dtype.name, str(array.shape))
            is_declared = isinstance(resource, DeclaredResource)
            part.update(little_endian(array) if is_declared else array_bytes(label, array))
            part.update(text_bytes(*texts.get(column, ())))
            columns[label] = part.hexdigest(DIGEST_BYTES)[:8]
            whole.update(part.digest(DIGEST_BYTES))
        digest = whole.digest(DIGEST_BYTES)
        entry = self.resources[name] = _ResourceCache(resource, stamp, digest, text_bytes(name) + digest, columns)
        return entry


def _text_content(storage: Storage, store: Store) -> bytes:
    numbers, texts = storage.content(store)
    return little_endian(numbers) + text_bytes(*texts)
