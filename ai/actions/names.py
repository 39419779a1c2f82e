"""Names of weapons, items and abilities: text in a step, a position in a sorted table as an integer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from ai.actions.fields import NAME_ROLES, NAMES_MAX, Role
from ai.actions.spec import ToolSpec
from ai.actions.step import ActionStep
from ai.errors import ContractError


def name_tables(names: Mapping[Role, Iterable[str]]) -> dict[Role, tuple[str, ...]]:
    """Sort the names of each table.

    Raises:
        ContractError: a table has too many names, or the role is not one of names.
    """
    tables = {role: tuple(sorted(set(table))) for role, table in names.items()}
    for role, table in tables.items():
        if role not in NAME_ROLES:
            raise ContractError(f"{role!r} is not a role of names: {', '.join(r.name for r in NAME_ROLES)}")
        if len(table) > NAMES_MAX:
            raise ContractError(f"{len(table)} names of {role.name.lower()}s; at most {NAMES_MAX} fit")
    return tables


def bound(spec: ToolSpec, tables: Mapping[Role, tuple[str, ...]]) -> ToolSpec:
    """Return a spec whose arguments of names are choices from the tables."""
    if not spec.roles & set(NAME_ROLES):
        return spec
    args = [
        replace(arg, choices=tables.get(arg.role, ()), high=max(len(tables.get(arg.role, ())) - 1, 0))
        if arg.role in NAME_ROLES
        else arg
        for arg in spec.args
    ]
    return replace(spec, args=tuple(args))


def nameless(spec: ToolSpec) -> bool:
    """Tell whether a kind needs a name of an empty table."""
    return any(arg.role in NAME_ROLES and not arg.choices for arg in spec.args)


def unknown_name(spec: ToolSpec, step: ActionStep) -> str | None:
    """Say which name of a step is in no table, None if there is none."""
    for arg in spec.args:
        if arg.role in NAME_ROLES:
            value = getattr(step, arg.name)
            if value is not None and value not in arg.choices:
                known = ", ".join(arg.choices) or "none"
                return f"{arg.name}: no {arg.role.name.lower()} is named {value!a}; known: {known}"
    return None
