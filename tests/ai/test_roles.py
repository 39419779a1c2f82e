"""Roles in what agents know: by name at the edge, by number inside, and none other than the known ones."""

import pytest
from pydantic import ValidationError

from ai.roles import NO_ROLE, ROLE_NAMES, ROLES, role_name, role_number
from ai.snapshot import WorldSnapshot
from ai.tokens import estimate_tokens
from tests.ai.strategies import one_row, snapshot

TOKENS_MAX = 60


@pytest.mark.parametrize("name", [None, *ROLE_NAMES])
def test_a_role_comes_back_from_its_number(name: str | None) -> None:
    """Names and numbers stand for each other, in a snapshot as well, and none is none."""
    assert role_name(role_number(name)) == name
    batch = one_row(snapshot(me={"role": name}))
    assert batch.role.tolist() == [role_number(name)]
    assert batch.snapshot(0).me.role == name


def test_agents_have_no_role_unless_they_are_given_one() -> None:
    """Data without roles and squads is taken as it is."""
    batch = one_row(snapshot())
    assert (batch.role.tolist(), batch.squad.tolist()) == ([NO_ROLE], [-1])


def test_an_unknown_role_is_refused_with_the_known_ones() -> None:
    """The refusal quotes the name and lists every role there is."""
    with pytest.raises(ValidationError, match="no role 'wizard'; known roles: exploration, stealth, support, tactical"):
        WorldSnapshot.model_validate({"me": {"pos": {"x": 0, "y": 0}, "role": "wizard"}})


def test_numbers_of_roles_follow_their_names_and_texts_stay_short() -> None:
    """Replays hold numbers, so the order is that of the names; a text costs no more than some tokens."""
    assert list(ROLE_NAMES) == sorted(ROLES)
    assert all("\n" not in text and estimate_tokens(text) <= TOKENS_MAX for text in ROLES.values())
