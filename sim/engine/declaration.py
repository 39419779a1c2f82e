"""The declaration of a world as data: replay headers hold it, and it is compared before anything else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sim.engine.columns import ColumnSpec, Schema
from sim.engine.resources import CustomResource, DeclaredResource
from sim.engine.values import codes_of

Declaration = dict[str, Any]
"""JSON: `components` and `resources`, each with its `columns`, `tables` and `sizes`."""


def declaration_of(
    schemas: Iterable[Schema],
    resources: Iterable[CustomResource],
    tables: Mapping[str, Sequence[str]],
    sizes: Mapping[str, int],
) -> Declaration:
    """Return the declaration of a world as JSON."""
    return {
        "components": [{"name": schema.name, "columns": _columns(schema.columns)} for schema in schemas],
        "resources": [_resource(resource) for resource in resources],
        "tables": {name: list(names) for name, names in sorted(tables.items())},
        "sizes": dict(sorted(sizes.items())),
    }


def _columns(specs: Iterable[ColumnSpec]) -> list[dict[str, Any]]:
    found = []
    for spec in specs:
        data: dict[str, Any] = {"name": spec.name, "kind": spec.kind, "dtype": spec.dtype.name}
        data |= {"shape": list(spec.shape), "default": spec.default, "scale": spec.scale}
        data |= {"per": spec.per, "used_by": spec.used_by}
        if spec.enum is not None:
            data["enum"] = {member.name: code for member, code in codes_of(spec.enum).items()}
        found.append(data)
    return found


def _resource(resource: CustomResource) -> dict[str, Any]:
    if isinstance(resource, DeclaredResource):
        return {"name": resource.name, "rows": resource.rows_max, "columns": _columns(resource.schema.columns)}
    arrays = sorted(resource.columns().items())
    return {"name": resource.name, "columns": [{"name": name, "dtype": array.dtype.name} for name, array in arrays]}


def first_difference(recorded: Declaration, here: Declaration) -> str | None:
    """Return a sentence that names the first difference between two declarations, or None if they are equal.

    >>> one = {"components": [{"name": "Money", "columns": [{"name": "coins", "dtype": "int32"}]}]}
    >>> two = {"components": [{"name": "Money", "columns": [{"name": "coins", "dtype": "int64"}]}]}
    >>> first_difference(one, two)
    'Money.coins: dtype is int32 in the recording and int64 here'
    """
    for kind, what in (("components", "component"), ("resources", "resource")):
        found = _first_of(recorded.get(kind, []), here.get(kind, []), what, "")
        if found:
            return found
    for kind, what in (("tables", "table"), ("sizes", "size")):
        before, after = recorded.get(kind, {}), here.get(kind, {})
        for name in sorted({*before, *after}):
            if before.get(name) != after.get(name):
                return (
                    f"{what} {name!r} is {_told(before.get(name))} in the recording and {_told(after.get(name))} here"
                )
    return None if recorded == here else "the declarations differ"


def _first_of(before: Any, after: Any, what: str, owner: str) -> str | None:
    """Compare two lists of named declarations: components, resources or columns."""
    ours, theirs = {each["name"]: each for each in after}, {each["name"]: each for each in before}
    for name in [*theirs, *ours]:
        if name not in ours or name not in theirs:
            return f"{what} {owner}{name} is only {'in the recording' if name in theirs else 'here'}"
    if list(ours) != list(theirs):
        name = next(name for name, other in zip(theirs, ours, strict=True) if name != other)
        return f"{what} {owner}{name} is at another position in the recording"
    for name, recorded in theirs.items():
        here = ours[name]
        if recorded == here:
            continue
        for part in sorted({*recorded, *here} - {"columns"}):
            if recorded.get(part) != here.get(part):
                return (
                    f"{owner}{name}: {part} is {_told(recorded.get(part))} in the recording and "
                    f"{_told(here.get(part))} here"
                )
        return _first_of(recorded.get("columns", []), here.get("columns", []), "column", f"{name}.")
    return None


def _told(value: Any) -> str:
    match value:
        case None:
            return "not set"
        case list():
            return f"({', '.join(map(str, value))})"
        case dict():
            return f"({', '.join(f'{name}={each}' for name, each in value.items())})"
    return str(value)
