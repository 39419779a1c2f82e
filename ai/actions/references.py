"""A check that everything that actions refer to is declared, made with the domain instead of with each plan."""

from __future__ import annotations

from ai.actions.arguments import Kind
from ai.actions.registry import ToolRegistry
from ai.actions.spec import ArgSpec, ToolSpec
from ai.errors import ContractError
from ai.observation import Layout, Observation, Shared, sources_of, space_of


def check(registry: ToolRegistry, of: type[Observation]) -> None:
    """Check that everything that the actions of a registry refer to is declared; a registry is checked once.

    Raises:
        ContractError: a target names no list, entry or id of the observation, or ids of two spaces; a name has no
            table; or a cell has no space.
    """
    if of in registry.checked:
        return
    layout = of.layout
    for spec in registry.specs:
        for arg in spec.shapes():
            _check_argument(registry, layout, spec, arg)
    for number, plan in enumerate(registry.prompt.examples, 1):
        for step in plan:
            try:
                registry.encode(step)
            except ContractError as error:
                raise ContractError(f"example {number} of the prompt: {error}") from None
    registry.checked.add(of)


def _check_table(registry: ToolRegistry, where: str, table: str) -> None:
    if registry.named and table not in registry.tables:
        known = ", ".join(registry.tables) or "none"
        raise ContractError(f"{where}: the registry has no table {table!r}; its tables: {known}")


def _check_argument(registry: ToolRegistry, layout: Layout, spec: ToolSpec, arg: ArgSpec) -> None:
    where = f"{spec.name}.{arg.name}"
    match arg.kind:
        case Kind.NAME:
            _check_table(registry, where, arg.sources[0])
        case Kind.TARGET:
            spaces: dict[str, str] = {}
            for source in arg.sources:
                try:
                    spaces.setdefault(space_of(layout, source), source)
                except KeyError:
                    known = ", ".join(sources_of(layout))
                    raise ContractError(f"{where}: {layout.name} has no ids under {source!r}; it has {known}") from None
            if len(spaces) > 1:
                (one, first), (other, second), *_ = spaces.items()
                raise ContractError(f"{where}: {first!r} has ids of {one} and {second!r} of {other}; keep one of them")
        case Kind.CELL | Kind.CELL_X | Kind.CELL_Y:
            leaf = layout.leaves.get(arg.sources[0])
            if not isinstance(leaf, Shared):
                raise ContractError(
                    f"{where}: {layout.name} has no space {arg.sources[0]!r}; "
                    f"declare a shared fact with width and height"
                )
            fields = {*getattr(leaf.kind, "model_fields", ()), *getattr(leaf.kind, "__dataclass_fields__", ())}
            if not ({"width", "height"} <= fields or {"width", "height"} <= set(dir(leaf.kind))):
                raise ContractError(f"{where}: {arg.sources[0]!r} is not a space: its value has no width and height")
