"""Coverage marks: every refusal is brought about by a test that says so, and marks cannot be wrong."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from scenarios.tactics.actions.base import Refused
from tests.reference.stage import Stage
from tests.support.marks import Reason, all_reasons, covers, name_of

ROOT = Path(__file__).parents[2]


def claims() -> Iterator[tuple[str, Reason]]:
    """Yield every claim that a test makes, for all of its cases or for one."""
    for path in sorted(ROOT.glob("tests/**/test_*.py")):
        if path != Path(__file__) and "covers(" in path.read_text("utf-8"):
            module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
            for name, function in inspect.getmembers(module, inspect.isfunction):
                for mark in getattr(function, "pytestmark", ()):
                    cases = mark.args[1] if mark.name == "parametrize" else ()
                    for each in (mark, *(mark for case in cases for mark in getattr(case, "marks", ()))):
                        if each.name == "covers":
                            yield from ((f"{path.stem}.{name}", reason) for reason in each.args)


def test_every_refusal_is_brought_about_by_a_test() -> None:
    """Whoever adds a reason marks the test that brings it about."""
    assert all_reasons() - {name_of(reason) for _, reason in claims()} == set()


def test_every_mark_names_a_refusal() -> None:
    """Whoever takes a reason away, or changes its sentence, finds the tests that were about it."""
    assert [(where, reason) for where, reason in claims() if name_of(reason) is None] == []


def shoot_with_an_empty_weapon() -> None:
    """Bring about `NO_AMMO`, and no other refusal."""
    with Stage("ab", magazine=0) as stage:
        stage.plan(0, ("Attack", 1))
        stage.tick()


def test_a_marked_test_that_brings_about_something_else_fails(request: pytest.FixtureRequest) -> None:
    """It fails by itself, and passes when its claim is kept: nobody has to call anything."""

    def marked(reason: Reason) -> pytest.Function:
        made: pytest.Function = pytest.Function.from_parent(
            request.node.parent, name="made", callobj=shoot_with_an_empty_weapon
        )
        made.add_marker(covers(reason))
        return made

    marked(Refused.NO_AMMO).runtest()
    with pytest.raises(AssertionError, match=r"claims to cover Refused\.NO_SIGHT, which did not come up"):
        marked(Refused.NO_SIGHT).runtest()
