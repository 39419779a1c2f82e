"""The hashes of a world: one per column, one per component, and one root.

A root is a function of state alone: of tick, next key, keys, columns, membership and resources. It is never chained,
and it depends on no esper ids, capacities, addresses or order in which things were created.

The hash of a column covers its declaration (name, dtype, shape) and its values, little-endian, in key order, cut to the
entries in use. For a column of texts it covers their content (`sim.engine.texts`). The hash of a component covers the
hashes of its columns and its membership. The root covers all of these.

Most columns do not change in most ticks, so a column keeps its hash as long as the world keeps its bytes
(`sim.engine.kept`).
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from numpy.typing import NDArray

from sim.engine.canonical import array_bytes, hashed, key_of, little_endian, text_bytes
from sim.engine.kept import Kept
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


def state_digest(world: World, *, looked: bool = False) -> StateDigest:
    """Hash the state of a world.

    Args:
        world: the world.
        looked: whether nothing has changed since the last digest or snapshot, so that nothing is compared again.

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
    if not looked:
        world.look()
    return cache.digest(world)


class _Part:
    """Keeps the hash of one column, with the hashed bytes."""

    __slots__ = ("digest", "key", "label", "raw", "short")

    def __init__(self, label: str, *header: str) -> None:
        self.label = label
        self.key = key_of(*header)
        self.raw: bytes | None = None
        self.digest = b""
        self.short = ""

    def renew(self, raw: bytes, content: bytes) -> None:
        """Hash the content that the bytes represent."""
        self.raw = raw
        self.digest = hashed(self.key, content)
        self.short = self.digest[:4].hex()


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
        self.columns_of_resources: dict[str, tuple[bytes, bytes]] = {}
        places = [
            (store if store.spec.is_text else None, part, number)
            for number, (table, cache) in enumerate(zip(world.storage.tables, self.tables, strict=True))
            for store, part in zip(table.stores, cache.columns, strict=True)
        ]
        self.places = tuple(zip(world.storage.kept, *zip(*places, strict=True), strict=True)) if places else ()
        self.version = -1

    def digest(self, world: World) -> StateDigest:
        """Hash the bytes kept at the last look."""
        n, keys = world.n, world.storage.kept_keys
        if keys.raw is not self.keys.raw:
            self.keys.renew(keys.raw, _ordered(keys))
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
        tables: set[int] = set()
        for kept, store, part, number in self.places:
            if kept.raw is not part.raw:
                part.renew(kept.raw, _ordered(kept) if store is None else _text_content(world.storage, store))
                self.columns[part.label] = part.short
                tables.add(number)
        if self.version != world.version:
            for number, (table, cache) in enumerate(zip(world.storage.tables, self.tables, strict=True)):
                raw = b"" if table.mask is None else table.mask[:n].tobytes()
                if raw != cache.mask.raw:
                    cache.mask.renew(raw, raw)
                    tables.add(number)
            self.version = world.version
        return tables

    def _resource(self, world: World, name: str, resource: CustomResource) -> _ResourceCache:
        # A resource whose restore() also resets its stamp could reach the same stamp later with other content. The
        # world's own count of restores tells the two apart.
        stamp = (resource.stamp, world.restores)
        entry = self.resources.get(name)
        if entry is not None and entry.resource is resource and entry.stamp == stamp:
            return entry
        if isinstance(resource, DeclaredResource):
            digests = {column: self._declared(resource, column) for column in sorted(resource.kept)}
        else:
            digests = {
                column: hashed(
                    _column_key(name, column, array.dtype.name, array), array_bytes(f"{name}.{column}", array)
                )
                for column, array in sorted(resource.columns().items())
            }
        digest = hashed(key_of("resource", name), *digests.values())
        columns = {f"{name}.{column}": found[:4].hex() for column, found in digests.items()}
        entry = self.resources[name] = _ResourceCache(resource, stamp, digest, text_bytes(name) + digest, columns)
        return entry

    def _declared(self, resource: DeclaredResource, column: str) -> bytes:
        """Hash a column of a declared resource, if it changed since the last time."""
        kept, label = resource.kept[column], f"{resource.name}.{column}"
        raw, digest = self.columns_of_resources.get(label, (None, b""))
        if raw is not kept.raw:
            texts = resource.texts().get(column)
            if texts is None:
                digest = hashed(_column_key(resource.name, column, kept.dtype.name, kept), _ordered(kept))
            else:
                content = resource.kept_columns()[column]
                key = _column_key(resource.name, column, "texts", content)
                digest = hashed(key, little_endian(content), text_bytes(*texts))
            self.columns_of_resources[label] = kept.raw, digest
        return digest


def _column_key(owner: str, column: str, kind: str, array: NDArray[Any] | Kept) -> bytes:
    return key_of("column", f"{owner}.{column}", kind, str(array.shape))


def _ordered(kept: Kept) -> bytes:
    return kept.raw if sys.byteorder == "little" else little_endian(kept.array())


def _text_content(storage: Storage, store: Store) -> bytes:
    numbers, texts = storage.content(store)
    return little_endian(numbers) + text_bytes(*texts)
