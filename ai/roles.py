"""Roles: what an agent cares for besides its objective, in a sentence or two that a language model reads."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, Field

ROLES: Final = {
    "exploration": "See what nobody has seen yet: look into unknown ground and at places and things, report, and avoid "
    "fights that you need not have.",
    "stealth": "Stay unseen: keep to cover and out of lines of sight, use smoke, wait for the moment, and leave before "
    "you are cornered.",
    "support": "Keep the others going: heal, revive and cover your squad before you attack, and stay close behind it.",
    "tactical": "Win the fight with few losses: take cover and flanks, fire together at one target, and save "
    "explosives for groups.",
}
"""Text of each role by name."""
ROLE_NAMES: Final = tuple(ROLES)
"""Names of the roles; the position of one is its number."""
NO_ROLE: Final = -1
"""Number of an agent without a role."""


def role_number(name: str | None) -> int:
    """Return the number of a known role, `NO_ROLE` for None."""
    return NO_ROLE if name is None else ROLE_NAMES.index(name)


def role_name(number: int) -> str | None:
    """Return the name of a role, None for `NO_ROLE`."""
    return None if number == NO_ROLE else ROLE_NAMES[number]


def _known(name: str) -> str:
    if name not in ROLES:
        raise ValueError(f"no role {name!r}; known roles: {', '.join(ROLE_NAMES)}")
    return name


RoleName = Annotated[str, Field(max_length=64), AfterValidator(_known)]
"""Name of a role, in data from outside; an unknown one is refused in a sentence that lists the known ones."""
