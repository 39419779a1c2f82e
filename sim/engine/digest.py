"""The hashes of a world: one per column, one per component, and one root.

A root is a function of state alone: of tick, next key, keys, columns, membership and resources. It is never chained,
and it depends on no esper ids, capacities, addresses or order in which things were created.

The hash of a column covers its declaration (name, dtype, shape) and its values, little-endian, in key order, cut to the
entries in use. For a column of texts it covers their content (`sim.engine.texts`). The hash of a component covers the
hashes of its columns and its membership. The root covers all of these.

Hashing a kilobyte costs ten times as much as comparing it, and most columns do not change in most ticks. So the last
bytes of each world are kept, and a column with equal bytes keeps its hash; one comparison covers all columns of the
world's block. It compares content, so it does not depend on a flag that a system could forget to set.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.engine.block import Block
from sim.engine.canonical import array_bytes, hashed, key_of, little_endian, text_bytes
from sim.engine.resources import CustomResource, DeclaredResource
from sim.engine.storage import Storage
from sim.engine.tables import Store, Table
from sim.engine.world import World


@dataclass(frozen=True, slots=True)
class StateDigest:
    """Identifies a state of a world: states with equal roots are equal.

    Attributes:
        root: 16 hex digits for the whole state.
        components: 16 hex digits by component and resource.
        columns: 8 hex digits by "Component.column", in declaration order, then resources.
    """

    root: str
    components: Mapping[str, str]
    columns: Mapping[str, str]


def state_digest(world: World) -> StateDigest:
    """Hash the state of a world.

    Raises:
        WorldError: an array of a custom resource has no canonical encoding, or a column that counts the entries in use
            counts more than there are.

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
    # The cache is an attribute of the world, so that it is freed together with the world.
    cache = world.digest_cache
    if not isinstance(cache, _WorldCache):
        cache = world.digest_cache = _WorldCache(world)
    return cache.digest(world)


class _Part:
    """Keeps the hash of one column, and also its last bytes if the column is compared by itself."""

    __slots__ = ("digest", "key", "label", "raw", "short")

    def __init__(self, label: str, *header: str) -> None:
        self.label = label
        self.key = key_of(*header)
        self.raw: bytes | None = None
        self.digest = b""
        self.short = ""

    def renew(self, raw: bytes) -> None:
        """Hash bytes that have changed."""
        self.digest = hashed(self.key, raw)
        self.short = self.digest[:4].hex()

    def changes_to(self, raw: bytes) -> bool:
        """Take over these bytes, and return whether they differ from the last ones."""
        if raw == self.raw:
            return False
        self.raw = raw
        self.renew(raw)
        return True


class _TableCache:
    """Keeps the hash of one component."""

    __slots__ = ("columns", "digest", "key", "mask", "name")

    def __init__(self, table: Table) -> None:
        self.name = table.schema.name
        self.key = key_of("component", self.name)
        self.mask = _Part("mask", "mask", self.name)
        self.columns = tuple(
            _Part(spec.label, "column", spec.label, "texts" if spec.is_text else spec.dtype.name, str(spec.shape))
            for spec in table.schema.columns
        )
        self.digest = b""

    def renew(self) -> str:
        """Hash columns and membership again, and return the hash as text."""
        self.digest = hashed(self.key, self.mask.digest, *[part.digest for part in self.columns])
        return self.digest.hex()


class _Place(NamedTuple):
    """A column of a world, and the place that keeps its hash."""

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
        self.key = key_of("world")
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
        # The block at the time of the last hash, and the number of its rows then.
        self.block: Block | None = None
        self.words: NDArray[np.uint64] = world.storage.block.words.copy()
        self.n = 0

    def digest(self, world: World) -> StateDigest:
        n = world.n
        world.storage.normalise()
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
        return StateDigest(hashed(self.key, *parts).hex(), components, columns)

    def _changed(self, world: World, n: int) -> set[int]:
        """Hash the columns that changed since the last digest, and return the numbers of their tables."""
        # The checks that may fail come first, so that a failure leaves the cache as it was.
        beside = [little_endian(place.store.used(n)) for place in self.beside]
        block, words = world.storage.block, world.storage.block.words
        if block is not self.block or n != self.n:
            changed = list(range(len(self.in_block)))
            self.block, self.words, self.n = block, words.copy(), n
        elif self.in_block:
            # Rows beyond the last may differ as well: that costs one more hash and changes no result.
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
        # A resource whose restore() also resets its stamp could reach the same stamp later with other content. The
        # world's own count of restores tells the two apart.
        stamp = (resource.stamp, world.restores)
        entry = self.resources.get(name)
        if entry is not None and entry.resource is resource and entry.stamp == stamp:
            return entry
        texts = resource.texts() if isinstance(resource, DeclaredResource) else {}
        columns: dict[str, str] = {}
        digests: list[bytes] = []
        for column, array in sorted(resource.columns().items()):
            label = f"{name}.{column}"
            key = key_of("column", label, "texts" if column in texts else array.dtype.name, str(array.shape))
            is_declared = isinstance(resource, DeclaredResource)
            raw = little_endian(array) if is_declared else array_bytes(label, array)
            digests.append(hashed(key, raw, text_bytes(*texts.get(column, ()))))
            columns[label] = digests[-1][:4].hex()
        digest = hashed(key_of("resource", name), *digests)
        entry = self.resources[name] = _ResourceCache(resource, stamp, digest, text_bytes(name) + digest, columns)
        return entry


def _text_content(storage: Storage, store: Store) -> bytes:
    numbers, texts = storage.content(store)
    return little_endian(numbers) + text_bytes(*texts)
