"""Systems: plain classes that hold only constants; each runs one phase of a tick."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np

from sim.errors import WorldError

_CONTAINERS: Final = (np.ndarray, list, dict, set, bytearray)


class System:
    """The base of all systems: one phase of a tick, a function of columns and resources.

    A system holds constants only. Values that change are state; they belong in components and resources, which are
    hashed, copied and restored.

    Attributes:
        name: the name of the system in reports; the class name in lower case unless set.
        reads: the components and resources that it reads.
        writes: the components and resources that it writes.
        after: the system that a plug-in's system follows; None for the end of the tick.
        flushes: whether `process` may call `World.flush`. Births and deaths take effect at the end of a system; only
            a system whose later work must see them needs this.
    """

    name: ClassVar[str] = "system"
    reads: ClassVar[tuple[type, ...]] = ()
    writes: ClassVar[tuple[type, ...]] = ()
    after: ClassVar[str | None] = None
    flushes: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        if "name" not in cls.__dict__:
            cls.name = cls.__name__.lower()

    def process(self, world: Any, run: Any) -> None:
        """Do this phase's work for one tick.

        Args:
            world: the `World`, active while this runs.
            run: an object that the systems of one tick share; it does not outlive the tick.
        """
        raise NotImplementedError(f"{type(self).__name__} has no process(self, world, run)")


def check_constants(system: System) -> None:
    """Refuse a system that could keep state between ticks.

    Raises:
        WorldError: the system or its class holds an array, a list, a dict, a set or a resource.
    """
    owners = [system, *(kind for kind in type(system).__mro__ if kind not in (System, object))]
    for owner in owners:
        for name, value in getattr(owner, "__dict__", {}).items():
            if name.startswith("__") or isinstance(value, type):
                continue
            is_resource = all(hasattr(value, part) for part in ("columns", "restore", "stamp"))
            if is_resource or isinstance(value, _CONTAINERS):
                raise WorldError(
                    f"system {system.name!r} ({type(system).__name__}) holds {name}, a {type(value).__name__}, "
                    f"which no snapshot copies; keep state in a component or a resource, and constants in tuples"
                )
