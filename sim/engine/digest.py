"""The canonical bytes and the hash of a world: per column, per component, and one root.

A root is a function of state alone: of tick, next key, keys, columns, membership, object components and resources. It
is never chained and knows nothing of esper ids, capacities, addresses or the order in which things were created.

Hash input of a column is its declaration (name, dtype, shape) and its values, little-endian, in key order, cut to the
entries that are in use; of a component, its columns' hashes and its membership; of the root, everything above.

Hashing a kilobyte costs ten times as much as comparing it, and most columns do not change in most ticks. So each
world's last bytes are kept, and a column whose bytes are equal keeps its hash; those in the world's block are compared
all at once. The comparison is of content: no flag that could be forgotten decides.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from ai.canonical import little_endian
from sim.errors import WorldError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from sim.engine.block import Block
    from sim.engine.columns import Store, Table
    from sim.engine.resources import Resource
    from sim.engine.world import World

DEPTH_MAX: Final = 64
"""How deep the value of an object component may nest; deeper is taken for a cycle."""


@dataclass(frozen=True, slots=True)
class StateDigest:
    """Names a state of a world: equal roots, equal states.

    Attributes:
        root: 16 hex digits over everything.
        components: 16 hex digits by component, object component and resource.
        columns: 8 hex digits by "Component.column", in declaration order, then resources.
    """

    root: str
    components: Mapping[str, str]
    columns: Mapping[str, str]


def state_digest(world: World) -> StateDigest:
    """Hash the state of a world.

    Raises:
        WorldError: a value of an object component or resource has no canonical encoding, or a column that says how
            many entries are used says more than there are.

    >>> from sim.engine.columns import Component, i32
    >>> from sim.engine.world import World
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


class Canonical(NamedTuple):
    """The canonical bytes of a value, and whether a float is among them."""

    data: bytes
    has_float: bool


def canonical_bytes(value: object) -> bytes:
    """Encode a value so that equal values, and only those, have equal bytes, on every machine.

    Raises:
        WorldError: the value, or one inside it, has no canonical encoding; the message names its type and place.

    >>> canonical_bytes({"b": 1, "a": (True, None)})
    b'{s1:a(TN)s1:bi1;}'
    """
    return canonical(value).data


def canonical(value: object) -> Canonical:
    """Encode a value as `canonical_bytes` does, and say whether a float is in it.

    Raises:
        WorldError: as `canonical_bytes`.
    """
    parts: list[bytes] = []
    has_float = _encode(value, parts, type(value).__name__, 0)
    return Canonical(b"".join(parts), has_float)


def _encode(value: Any, out: list[bytes], where: str, depth: int) -> bool:
    if depth > DEPTH_MAX:
        raise WorldError(f"{where} nests deeper than {DEPTH_MAX}: object components must not hold cycles")
    if value is None:
        out.append(b"N")
    elif value is True:
        out.append(b"T")
    elif value is False:
        out.append(b"F")
    elif isinstance(value, Enum):
        out.append(b"e" + _text(type(value).__qualname__))
        return _encode(value.value, out, where, depth + 1)
    elif isinstance(value, int):
        out.append(b"i%d;" % value)
    elif isinstance(value, str):
        out.append(b"s" + _text(value))
    elif isinstance(value, bytes):
        out.append(b"b%d:" % len(value) + value)
    elif isinstance(value, float):
        if value != value:
            raise WorldError(f"{where} is NaN, which equals nothing and so cannot be compared or hashed")
        # Adding zero turns -0.0 into 0.0: equal values must have equal bytes.
        out.append(b"f" + struct.pack("<d", value + 0.0))
        return True
    elif isinstance(value, tuple | list):
        return _encode_sequence(value, out, where, depth)
    elif isinstance(value, dict):
        return _encode_dict(value, out, where, depth)
    elif is_dataclass(value) and not isinstance(value, type):
        has_float = False
        out.append(b"D" + _text(type(value).__qualname__) + b"{")
        for field in fields(value):
            out.append(_text(field.name))
            has_float |= _encode(getattr(value, field.name), out, f"{type(value).__name__}.{field.name}", depth + 1)
        out.append(b"}")
        return has_float
    else:
        raise WorldError(
            f"{where} holds a {type(value).__name__}, which has no canonical encoding; use int, bool, str, bytes, "
            f"None, float, enums, tuples, lists, dicts with str or int keys, or dataclasses of these"
        )
    return False


def _encode_sequence(value: tuple[Any, ...] | list[Any], out: list[bytes], where: str, depth: int) -> bool:
    has_float = False
    opening, closing = (b"(", b")") if isinstance(value, tuple) else (b"[", b"]")
    out.append(opening)
    for position, item in enumerate(value):
        has_float |= _encode(item, out, f"{where}[{position}]", depth + 1)
    out.append(closing)
    return has_float


def _encode_dict(value: dict[Any, Any], out: list[bytes], where: str, depth: int) -> bool:
    has_float = False
    for key in value:
        if type(key) is not int and type(key) is not str:
            raise WorldError(f"{where} has a key of type {type(key).__name__}; dict keys must be str or int")
    out.append(b"{")
    for key in sorted(value, key=lambda key: (type(key) is str, key)):
        _encode(key, out, where, depth + 1)
        has_float |= _encode(value[key], out, f"{where}[{key!r}]", depth + 1)
    out.append(b"}")
    return has_float


def _text(text: str) -> bytes:
    data = text.encode("utf-8", "surrogatepass")
    return b"%d:" % len(data) + data


def _hasher(*header: str) -> hashlib.blake2b:
    return hashlib.blake2b(b"".join(map(_text, header)), digest_size=8, person=b"tickweave")


class _Part:
    """Keeps the hash of one column, and its last bytes where it is compared by itself."""

    __slots__ = ("base", "digest", "label", "raw", "short")

    def __init__(self, label: str, *header: str) -> None:
        self.label = label
        self.base = _hasher(*header)
        self.raw: bytes | None = None
        self.digest = b""
        self.short = ""

    def renew(self, raw: bytes) -> None:
        """Take the hash of other bytes than before."""
        hasher = self.base.copy()
        hasher.update(raw)
        self.digest = hasher.digest()
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
        self.base = _hasher("component", self.name)
        self.mask = _Part("mask", "mask", self.name)
        self.columns = tuple(
            _Part(store.spec.label, "column", store.spec.label, store.spec.dtype.name, str(store.spec.shape))
            for store in table.stores
        )
        self.digest = b""

    def renew(self) -> str:
        """Take the hash of columns and membership anew, and return it as text."""
        hasher = self.base.copy()
        hasher.update(b"".join([self.mask.digest, *[part.digest for part in self.columns]]))
        self.digest = hasher.digest()
        return self.digest.hex()


class _Place(NamedTuple):
    """A column where it stands in a world, and where its hash is kept."""

    store: Store
    part: _Part
    table: int


class _ResourceCache(NamedTuple):
    resource: Resource
    stamp: tuple[int, int]
    digest: bytes
    columns: dict[str, str]


class _WorldCache:
    def __init__(self, world: World) -> None:
        self.base = _hasher("world")
        self.keys = _Part("keys", "keys")
        self.tables = tuple(_TableCache(table) for table in world.tables)
        self.components = dict.fromkeys((cache.name for cache in self.tables), "")
        self.columns = {part.label: "" for cache in self.tables for part in cache.columns}
        self.resources: dict[str, _ResourceCache] = {}
        places = {
            part.label: _Place(store, part, number)
            for number, (table, cache) in enumerate(zip(world.tables, self.tables, strict=True))
            for store, part in zip(table.stores, cache.columns, strict=True)
        }
        self.in_block = tuple(places[spec.label] for spec in world.block.columns)
        self.beside = tuple(place for place in places.values() if place.store.lengths is not None)
        # The block as it was hashed last, and how many rows it had.
        self.block: Block | None = None
        self.words: NDArray[np.uint64] = world.block.words.copy()
        self.n = 0

    def digest(self, world: World) -> StateDigest:
        n = world.n
        root = self.base.copy()
        self.keys.changes_to(little_endian(world.keys))
        for number in sorted(self._changed(world, n)):
            cache = self.tables[number]
            self.components[cache.name] = cache.renew()
        parts = [struct.pack("<qqq", world.tick, world.next_key, n), self.keys.digest]
        parts += [cache.digest for cache in self.tables]
        components, columns = dict(self.components), dict(self.columns)
        for declared in world.object_types:
            hasher = _hasher("object", declared.__qualname__)
            held: list[tuple[int, object]] = world.objects(declared)
            for key, value in held:
                hasher.update(struct.pack("<q", key))
                hasher.update(canonical_bytes(value))
            digest = hasher.digest()
            components[declared.__name__] = digest.hex()
            parts.append(digest)
        for name, resource in world.resources.items():
            entry = self._resource(world, name, resource)
            components[name] = entry.digest.hex()
            columns.update(entry.columns)
            parts += [_text(name), entry.digest]
        root.update(b"".join(parts))
        return StateDigest(root.hexdigest(), components, columns)

    def _changed(self, world: World, n: int) -> set[int]:
        """Hash what is not as it was at the last time, and return the numbers of the tables it belongs to."""
        # What may be refused comes first, so that nothing is taken over by half.
        beside = [little_endian(place.store.used(n)) for place in self.beside]
        block, words = world.block, world.block.words
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
            part.renew(little_endian(store.living(n)))
            self.columns[part.label] = part.short
            tables.add(owner)
        for (_, part, owner), raw in zip(self.beside, beside, strict=True):
            if part.changes_to(raw):
                self.columns[part.label] = part.short
                tables.add(owner)
        for number, (table, cache) in enumerate(zip(world.tables, self.tables, strict=True)):
            mask = table.mask
            if mask is None and cache.mask.raw == b"":
                continue
            if cache.mask.changes_to(b"" if mask is None else mask[:n].tobytes()):
                tables.add(number)
        return tables

    def _resource(self, world: World, name: str, resource: Resource) -> _ResourceCache:
        # A resource whose restore() also took its old stamp back would meet that stamp again with other content; the
        # world's own count of restores keeps the two apart.
        stamp = (resource.stamp, world.restores)
        entry = self.resources.get(name)
        if entry is not None and entry.resource is resource and entry.stamp == stamp:
            return entry
        hasher = _hasher("resource", name)
        columns: dict[str, str] = {}
        for column, array in sorted(resource.columns().items()):
            label = f"{name}.{column}"
            part = _hasher("column", label, array.dtype.name, str(array.shape))
            part.update(_resource_bytes(label, array))
            columns[label] = part.hexdigest()[:8]
            hasher.update(part.digest())
        entry = self.resources[name] = _ResourceCache(resource, stamp, hasher.digest(), columns)
        return entry


def _resource_bytes(label: str, array: NDArray[Any]) -> bytes:
    if array.dtype.kind == "f":
        if np.isnan(array).any():
            raise WorldError(f"{label} holds NaN, which equals nothing and so cannot be compared or hashed")
        array = array + 0.0
    elif array.dtype.kind not in "biu":
        raise WorldError(
            f"{label} is of dtype {array.dtype}, which has no canonical encoding; use integers or booleans"
        )
    return little_endian(array)
