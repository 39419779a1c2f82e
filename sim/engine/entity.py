"""One entity as an object, by its key: for tests, tools and prompts. Systems use columns instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sim.engine.columns import Component, schema_of

if TYPE_CHECKING:
    from sim.engine.world import World


class _Cells:
    """Reads and writes one entity's values of one component; see `EntityView`."""

    __slots__ = ("_component", "_key", "_world")
    _component: type[Component]
    _key: int
    _world: World

    def __init__(self, world: World, key: int, component: type[Component]) -> None:
        object.__setattr__(self, "_world", world)
        object.__setattr__(self, "_key", key)
        object.__setattr__(self, "_component", component)

    def __getattr__(self, name: str) -> Any:
        return self._world.cell(self._key, self._component, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._world.set_cell(self._key, self._component, name, value)


class EntityView:
    """Shows one entity by its key, for tests, tools and prompts. It outlives flushes; systems use columns instead.

    `view[Health].hp` is a Python int, `view[Health].hp = 5` writes it; a column with inner dimensions gives a small
    array that writes through. `view[Memory]` gives an object component.
    """

    def __init__(self, world: World, key: int) -> None:
        self.world = world
        self.key = key

    @property
    def alive(self) -> bool:
        """Whether the entity still exists."""
        return self.world.row_of(self.key) >= 0

    def __getitem__(self, component: type[Any]) -> Any:
        """Open one component of the entity.

        Raises:
            WorldError: the component is not declared, the entity is dead or does not have it.
        """
        if component in self.world.object_types:
            return self.world.object(self.key, component)
        self.world.cell(self.key, component, schema_of(component).columns[0].name)
        return _Cells(self.world, self.key, component)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.key}{'' if self.alive else ' (dead)'}>"
