"""`check_domain` and `check_action` pass a sound model, and name what is wrong with each broken one."""

# ruff: noqa: E501 - the changes in the tables are source text

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest

from ai.observation import Cell, Entry, Id, Observation, fact
from sim.run.domain import Domain
from sim.run.domains import domain_file
from sim.run.simulation import Simulation
from sim.testing import check_action, check_domain
from sim.testing.domains import _check_batch
from tests.sim.run.test_domain_errors import HOOK, MODEL, method

APPLY = "turn[Purse].coins[rows] -= args.count"
REFUSED = 'return {"too dear": turn[Purse].coins[rows] < args.count}'
GROW = "world[Purse].coins[:] += 1"


def model(folder: Path, changes: dict[str, str]) -> type[Domain]:
    """Return the domain of the sound model with some text replaced."""
    source = MODEL
    for old, new in changes.items():
        assert source.count(old) == 1
        source = source.replace(old, new)
    (folder / "model.py").write_text(source)
    return domain_file(folder / "model.py").kind


def verb(kind: type[Domain], name: str = "Buy") -> Any:
    """Return a verb of a domain by name."""
    return next(each for each in kind.actions if each.__name__ == name)


def test_a_sound_model_passes(tmp_path: Path) -> None:
    """A model without a mistake passes, as a class, with settings of its own, and verb by verb."""
    kind = model(tmp_path, {})
    check_domain(kind, ticks=6)
    check_domain(kind(agents=1), ticks=6, seeds=(5,))
    for each in kind.actions:
        check_action(each, kind)


BROKEN: dict[str, tuple[dict[str, str], str]] = {
    "an invariant": (
        method("def invariants(self, world):\n        assert world.tick < 3, 'it is late'"),
        "domain 'shop', default settings, seed 1: tick 2: it is late",
    ),
    "an error in a system": (
        {GROW: f"{GROW}\n        assert world.tick < 2 or world[Purse].coins[77]"},
        r"tick 2, system 'grow'; model.py, line \d+, in Grow.process: IndexError",
    ),
    "state in a module": (
        {GROW: "TICKS.append(1)\n        world[Purse].coins[:] += len(TICKS)", "class Grow": "TICKS = []\n\n\nclass Grow"},
        "check 'rerun'.*Purse.coins",
    ),
    "state in an attribute": (
        {GROW: "vars(self)['n'] = vars(self).get('n', 0) + 1\n        world[Purse].coins[:] += vars(self)['n']"},
        "check 'restore'.*Purse.coins",
    ),
    "a clock": (
        {GROW: "import time\n        world[Purse].coins[:] += int(time.time()) * 0 + 1"},
        "system 'grow' called time.time",
    ),
    "a score that is not a number": (
        method("def scores(self, world):\n        return {'wealth': float('nan')}"),
        "at the start: score 'wealth' is nan; give a number",
    ),
    "a metric that writes": (
        {"int(world[Purse].coins.sum())": "world[Purse].coins.fill(7) or 1"},
        "at the start: metrics, scores, groups or invariants change the world",
    ),
    "groups of other names": (
        method("def groups(self, world):\n        return ('rich', 'poor'), np.zeros(world.n, int)"),
        "group_names and groups",
    ),
    "a group that is not there": (
        method("def groups(self, world):\n        return ('rich',), np.full(world.n, 4)"),
        "an index that is not one of its 1 names",
    ),
    "no examples": (
        {HOOK: f"    @classmethod\n    def examples(cls):\n        return iter(())\n\n{HOOK}"},
        "domain 'shop': examples\\(\\) yields nothing",
    ),
    "settings without a default": (
        {'Field(4, ge=1, le=100, description="People.")': 'Field(ge=1, le=100, description="People.")'},
        "domain 'shop': examples\\(\\) yields no settings: agents: is missing",
    ),
    "examples that do not run": (
        {HOOK: f"    @classmethod\n    def examples(cls):\n        yield cls.settings(agents=2)\n\n{HOOK}", GROW: "world[Purse].coins[2] += 1"},
        "settings agents=2, seed 1: tick 0, system 'grow'",
    ),
    "a misspelt part": ({"    metrics = {": "    metrcs = {"}, "metrcs is not a part of Domain; did you mean metrics"),
    "plans that depend on the batch": (
        {'Rule("always", Rest())': "Rule('always', crowd)", "class ShopSettings": "def crowd(batch, rows):\n    from ai.rules import Draft\n    return Draft('Buy', {'good': 0, 'count': 1 + len(rows) % 4})\n\n\nclass ShopSettings"},
        "plans differently when asked|check 'parts'|Draft",
    ),
}  # fmt: skip
"""By what is broken: the change to the sound model, and the sentence."""


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_domain_is_named(name: str, tmp_path: Path) -> None:
    """One sentence says what is wrong, with settings and seed where they matter."""
    changes, sentence = BROKEN[name]
    kind = model(tmp_path, changes)
    with pytest.raises(AssertionError) as caught:
        check_domain(kind, ticks=5, processes=False)
    assert re.search(sentence, str(caught.value)), str(caught.value)
    assert "\n" not in str(caught.value)


VERBS: dict[str, tuple[dict[str, str], str]] = {
    "writes while it looks": (
        {REFUSED: f"turn[Purse].coins[rows] = 3\n        {REFUSED}"},
        "Buy writes in refused",
    ),
    "draws while it looks": (
        {REFUSED: f"turn.world.draws(rows, 77)\n        {REFUSED}"},
        "Buy draws random numbers in refused",
    ),
    "judges by the crowd": (
        {REFUSED: 'return {"too dear": np.full(len(rows), len(rows) > 2)}'},
        "Buy judges an agent by who else is asked, in refused",
    ),
    "judges another way each time": (
        {REFUSED: 'CALLS.append(1)\n        return {"too dear": np.full(len(rows), len(CALLS) % 3 == 0)}', "class Grow": "CALLS = []\n\n\nclass Grow"},
        "Buy (judges differently when asked again|judges an agent by who)",
    ),
    "takes no time": (
        {f"    @classmethod\n    def apply(cls, turn, rows, args):\n        {APPLY}": f"    @classmethod\n    def duration_ticks(cls, turn, rows, args):\n        return 0\n\n    @classmethod\n    def apply(cls, turn, rows, args):\n        {APPLY}"},
        "Buy takes 0 ticks",
    ),
    "takes half a tick": (
        {f"    @classmethod\n    def apply(cls, turn, rows, args):\n        {APPLY}": f"    @classmethod\n    def duration_ticks(cls, turn, rows, args):\n        return 1.5\n\n    @classmethod\n    def apply(cls, turn, rows, args):\n        {APPLY}"},
        "Buy gives float64 in duration_ticks",
    ),
    "writes to others": ({APPLY: "turn[Purse].coins[:] -= 1"}, "Buy writes Purse.coins of agent .*send through a channel"),
    "writes to a resource": ({APPLY: "turn[Stall].price[:] += 1"}, "Buy writes Stall.price, which is not its own"),
    "reads what others write": (
        {APPLY: "turn[Purse].coins[rows] = turn[Purse].coins[(rows + 1) % turn.world.n] + 1"},
        "Buy depends on the order in which agents are visited",
    ),
    "kills at once": ({APPLY: "turn.world.kill(rows)"}, "Buy changes who is in the world"),
    "comes out otherwise": (
        {APPLY: "CALLS.append(1)\n        turn[Purse].coins[rows] -= len(CALLS) % 7", "class Grow": "CALLS = []\n\n\nclass Grow"},
        "Buy (comes to something else|depends on the order)",
    ),
    "is never possible": ({REFUSED: 'return {"too dear": np.ones(len(rows), bool)}'}, "Buy was refused to everyone in 6 situations"),
    "fails": ({APPLY: "turn[Purse].coins[rows] //= turn[Nothing]"}, "Buy fails in apply.*NameError"),
    "breaks an invariant": (
        {HOOK: f"    def invariants(self, world):\n        assert (world[Purse].coins < 1000).all(), 'too rich'\n\n{HOOK}", APPLY: "turn[Purse].coins[rows] += 2000"},
        "Buy breaks an invariant: too rich",
    ),
}  # fmt: skip
"""By what is broken: the change to the sound model, and the sentence."""


@pytest.mark.parametrize("name", VERBS)
def test_a_broken_verb_is_named(name: str, tmp_path: Path) -> None:
    """One sentence begins with the verb and says which rule it breaks."""
    changes, sentence = VERBS[name]
    kind = model(tmp_path, changes)
    with pytest.raises(AssertionError) as caught:
        check_action(verb(kind), kind)
    assert re.search(sentence, str(caught.value)), str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_a_verb_needs_can_be_brought_in(tmp_path: Path) -> None:
    """A verb that is possible only in a world made for it passes with `prepare`."""
    kind = model(tmp_path, {REFUSED: 'return {"too dear": turn[Purse].coins[rows] < 5000}'})

    def rich(simulation: Simulation) -> None:
        (purse,) = (each for each in kind.components if each.__name__ == "Purse")
        simulation.world[purse].coins[:] = 9000  # type: ignore[attr-defined] # of a model that is loaded here

    check_action(verb(kind), kind, prepare=rich)
    with pytest.raises(AssertionError, match="was refused to everyone"):
        check_action(verb(kind), kind)


def test_a_verb_that_is_not_listed_can_be_checked(tmp_path: Path) -> None:
    """A verb from elsewhere is checked in a domain that does not list it, which stays as it is."""
    kind = model(
        tmp_path,
        {
            "actions, idle = (Buy, Greet, Rest), Rest()": "actions, idle = (Greet, Rest), Rest()",
            '(Rule("coins > 3", Buy("bread", 1)), Rule("always", Rest()))': '(Rule("always", Rest()),)',
        },
    )
    listed = kind.actions
    check_action(sys.modules[kind.__module__].Buy, kind)
    assert kind.actions is listed


class Bush(Entry):
    id: Annotated[int, Id("bushes")]
    pos: Cell


class Known(Observation):
    pos: Cell
    bushes: tuple[Bush, ...] = fact(default=(), limit=3, nearest=True)


def test_a_list_that_is_not_nearest_first_is_named() -> None:
    """A domain that arranges lists itself keeps the declared order, which rules and picks rely on."""
    zero = np.zeros(1, np.int32)
    bushes = {"id": np.array([[5, 6]]), "pos": (np.array([[9, 1]], np.int32), np.zeros((1, 2), np.int32))}
    batch = Known.batch(np.array([1]), arranged=True, pos=(zero, zero), bushes=bushes)
    with pytest.raises(AssertionError, match="here: the lists of agent 1 are not in the declared order"):
        _check_batch(batch, None, "here")
