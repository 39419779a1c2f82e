"""Object components: dataclasses attached to single entities, for user code that is not hot. Hashed like all state."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any, TypeVar, get_args, get_type_hints

from sim.engine.digest import canonical
from sim.errors import WorldError

T = TypeVar("T")


class ObjectComponents:
    """Holds the values of each declared type by the key of the entity that has one.

    Args:
        types: what may be attached, each a dataclass.
        name: what errors call the world.

    Raises:
        WorldError: a type is no dataclass.
    """

    def __init__(self, types: Sequence[type], name: str) -> None:
        for declared in types:
            if not is_dataclass(declared):
                raise WorldError(f"object component {declared!r} is not a dataclass")
        self._name = name
        self._held: dict[type, dict[int, Any]] = {declared: {} for declared in types}
        self._exact = any(_mentions_float(declared, set()) for declared in types)

    @property
    def exact(self) -> bool:
        """Whether a float is or was in a value, or may be in one by its type's declaration."""
        self._exact = self._exact or any(
            canonical(value).has_float for held in self._held.values() for value in held.values()
        )
        return self._exact

    def of(self, declared: type[T]) -> dict[int, T]:
        """Find the values of one type, by key.

        Raises:
            WorldError: the type is not declared.
        """
        held = self._held.get(declared)
        if held is None:
            name = getattr(declared, "__name__", repr(declared))
            raise WorldError(f"object component {name} is not declared in {self._name}: World(..., objects=[{name}])")
        return held

    def attach(self, key: int, value: object) -> None:
        """Give an entity a value, in place of one of the same type.

        Raises:
            WorldError: the type is not declared, or the value has no canonical encoding.
        """
        held = self.of(type(value))
        self._exact |= canonical(value).has_float
        held[key] = value

    def get(self, key: int, declared: type[T]) -> T:
        """Find an entity's value.

        Raises:
            WorldError: the type is not declared, or the entity has none.
        """
        held = self.of(declared)
        if key not in held:
            raise WorldError(f"entity {key} has no {declared.__name__}")
        return held[key]

    def forget(self, keys: Iterable[int]) -> None:
        """Take everything from entities that died."""
        dead = list(keys)
        for held in self._held.values():
            if held:
                for key in dead:
                    held.pop(key, None)

    def copies(self) -> dict[str, tuple[tuple[int, Any], ...]]:
        """Copy all values, by type, as (key, value) in key order."""
        return {
            declared.__name__: tuple(copy.deepcopy(sorted(held.items(), key=lambda pair: pair[0])))
            for declared, held in self._held.items()
        }

    def restore(self, copies: Mapping[str, Iterable[tuple[int, Any]]]) -> None:
        """Take over what `copies` handed out."""
        for declared in self._held:
            self._held[declared] = dict(copy.deepcopy(tuple(copies[declared.__name__])))


def _mentions_float(kind: Any, seen: set[Any]) -> bool:
    """Tell whether a declared type can hold a float: itself, in its arguments, or in a nested dataclass."""
    if kind is float:
        return True
    if isinstance(kind, type) and is_dataclass(kind):
        if kind in seen:
            return False
        seen.add(kind)
        return any(_mentions_float(hint, seen) for hint in get_type_hints(kind).values())
    return any(_mentions_float(argument, seen) for argument in get_args(kind))
