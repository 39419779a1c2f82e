"""The shipped checker of action kinds: every kind found passes, and each broken rule is told in a sentence."""

from __future__ import annotations

from itertools import count
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from ai.actions import known, on
from ai.errors import ContractError
from scenarios.tactics.actions import discover
from scenarios.tactics.actions.base import (
    Action,
    Refused,
    Turn,
    Walk,
)
from scenarios.tactics.components import Ammo, Inventory, Morale, Position, Stamina
from scenarios.tactics.grid import Cells, Terrain
from scenarios.tactics.testing.actions import check_action
from sim.engine.rng import purpose
from sim.engine.world import World
from sim.run.actions import Args, Codes, Rows

clock = count()


@pytest.mark.parametrize("kind", discover(), ids=lambda kind: kind.__name__)
def test_every_kind_keeps_the_rules(kind: type[Action]) -> None:
    """What discovery finds passes the shipped check."""
    check_action(kind)


class Sound(Action):
    """Stare at an enemy, at the cost of a breath."""

    target_id: int = known("enemies")
    duration_s: ClassVar[float] = 0.5

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        gone = (turn.target_rows(args[0]) < 0) | (turn.world[Stamina].value[rows] < 1)
        return np.where(gone, np.int8(Refused.TARGET_GONE), np.int8(0))

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        turn.world[Stamina].value[rows] -= 1


def test_a_kind_from_elsewhere_is_checked_the_same() -> None:
    """A kind that no folder holds passes when it keeps the rules."""
    check_action(Sound)


def test_what_a_kind_needs_can_be_brought_in() -> None:
    """A kind that is legal only in a world made for it passes with `prepare`, and fails without."""

    class Dusk(Sound):
        """Stare at an enemy when everyone is afraid."""

        @classmethod
        def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
            dark = turn.grid.terrain[0, 0] == Terrain.COVER
            return super().refusals(turn, rows, args) if dark else np.full(len(rows), Refused.NO_COVER, np.int8)

    check_action(Dusk, prepare=lambda arena: arena.run_context.game.grid.set_cells(0, 0, 1, 1, Terrain.COVER))
    with pytest.raises(AssertionError, match="was refused to everyone in 8 arenas"):
        check_action(Dusk)


class Never(Sound):
    """Is refused to everyone."""

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        return np.full(len(rows), Refused.NO_ITEM, np.int8)


class Odd(Sound):
    """Refuses for a reason that nobody knows."""

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        return np.full(len(rows), 99, np.int8)


class OneForAll(Sound):
    """Gives one answer to all."""

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        return np.zeros((), np.int8)


class Scribbler(Sound):
    """Writes while it looks."""

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        turn.world[Stamina].value[rows] = 7
        return super().refusals(turn, rows, args)


class Hasty(Sound):
    """Harms while it looks."""

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        turn.harm(rows, np.ones(len(rows), np.int32))
        return super().refusals(turn, rows, args)


class Gambler(Sound):
    """Draws while it looks."""

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        turn.rng.draws(turn.world.keys[rows], turn.tick, purpose("test"))
        return super().refusals(turn, rows, args)


class Moody(Sound):
    """Changes its mind."""

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        return np.full(len(rows), Refused.NO_ITEM if next(clock) % 2 else Refused.NO, np.int8)


class Herd(Sound):
    """Lets a crowd do what it lets nobody do alone."""

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        return np.full(len(rows), Refused.NO if len(rows) > 1 else Refused.NO_ITEM, np.int8)


class Broken(Sound):
    """Fails where it says that it is legal."""

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        raise KeyError("no such thing")


class Meddler(Sound):
    """Writes to the row of its target."""

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        turn.world[Morale].value[turn.target_rows(args[0])] = 1


class Killer(Sound):
    """Decides who exists."""

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        turn.world.kill(turn.target_rows(args[0]))


class Builder(Sound):
    """Changes the map at once."""

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        turn.grid.set_cells(9, 5, 1, 1, Terrain.COVER)


class Clockwork(Sound):
    """Depends on something that is not state."""

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        turn.world[Stamina].value[rows] = next(clock) % 100


class Gossip(Sound):
    """Reads of its target what others write in the same phase."""

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        stamina = turn.world[Stamina].value
        stamina[rows] = stamina[turn.target_rows(args[0])] // 2


class FirstBorn(Sound):
    """Depends on esper's numbers."""

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        turn.world[Stamina].value[rows] = [turn.world._mirror._ids[key] % 50 for key in turn.world.keys[rows].tolist()]


class Forger(Sound):
    """Makes rounds."""

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        turn.world[Ammo].reserve[rows] += 5


class Tireless(Sound):
    """Breathes in more than there is room for."""

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        turn.world[Stamina].value[rows] -= 200


class Ghost(Sound):
    """Walks where someone stands."""

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        position = turn.world[Position]
        position.x[rows], position.y[rows] = 9, 5


class Mole(Sound):
    """Walks into a wall, one at a time."""

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        position, only = turn.world[Position], rows[turn.world.keys[rows] == 1]
        position.x[only], position.y[only] = 4, 2


class Kidnapper(Sound):
    """Takes someone away when nobody expects it."""

    duration_s: ClassVar[float] = 2.0

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        if turn.tick > 1:
            turn.world.kill(rows)


class Cuckoo(Sound):
    """Brings someone in when nobody expects it."""

    duration_s: ClassVar[float] = 2.0

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        if turn.tick > 1:
            turn.world.spawn({Position: {"x": 9, "y": 5}})


class Blind(Sound):
    """Harms whoever it is told to, there or not."""

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        return np.zeros(len(rows), np.int8)

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        turn.harm(turn.target_rows(args[0]), np.full(len(rows), 3, np.int32))


class Rumour(Blind):
    """Marks whoever it is told to, there or not."""

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        turn.afflictions.mark(rows, turn.target_rows(args[0]), 5)


class Blessing(Sound):
    """Harms by less than nothing."""

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        turn.harm(turn.target_rows(args[0]), np.full(len(rows), -50, np.int32))


class Peeper(Sound):
    """Judges by the breath of its target."""

    @classmethod
    def refusals(cls, turn: Turn, rows: Rows, args: Args) -> Codes:
        others = turn.target_rows(args[0])
        fresh = turn.world[Stamina].value[np.where(others < 0, rows, others)] >= 50
        return np.where((others < 0) | fresh, np.int8(Refused.TARGET_GONE), np.int8(0))


class Instant(Sound):
    """Takes no time at all."""

    @classmethod
    def ticks(cls, turn: Turn, args: Args) -> Any:
        return 0


class Backwards(Sound):
    """Rests until it has rested."""

    group: ClassVar[str] = "scan"

    @classmethod
    def cooldown(cls, turn: Turn, args: Args) -> Any:
        return -5


class Leaper(Walk):
    """Goes anywhere in one step."""

    x: int = on("bounds", axis="x")
    y: int = on("bounds", axis="y")

    @classmethod
    def arrived(cls, turn: Turn, rows: Rows, args: Args) -> NDArray[np.bool_]:
        there: NDArray[np.bool_] = turn.cells(rows) == turn.grid.cell(args[0], args[1])
        return there

    @classmethod
    def onward(cls, turn: Turn, rows: Rows, args: Args) -> Cells:
        goals = turn.grid.cell(args[0], args[1])
        return np.where(turn.occupancy.closed[goals], -1, goals)


class Poacher(Sound):
    """Gathers what grows nowhere."""

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        turn.world[Inventory].cargo[rows] += 1


class Copier(Sound):
    """Puts down what it has not."""

    @classmethod
    def apply(cls, turn: Turn, rows: Rows, args: Args) -> None:
        turn.laid.append((rows, np.zeros(len(rows), np.int32), turn.cells(rows)))


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        (Never, "was refused to everyone in 8 arenas"),
        (Odd, r"refuses with \[99\]"),
        (OneForAll, r"answers \(\) to \(\d+,\) agents"),
        (Scribbler, "writes where it may only look, in `refusals`"),
        (Hasty, "writes where it may only look, in `refusals`"),
        (Gambler, "draws random numbers where it may only look"),
        (Moody, "refuses differently when asked again"),
        (Herd, "judges an agent by who else is asked"),
        (Broken, "fails in `effect`: KeyError"),
        (Meddler, r"writes Morale.value of agent \d+, who does something else"),
        (Killer, "changes who exists by itself"),
        (Builder, "changes Grid at once"),
        (Clockwork, "comes out differently when the same moment is played again"),
        (Gossip, "depends on the order in which kinds and agents are visited"),
        (FirstBorn, "depends on the order in which agents were created"),
        (Forger, r"makes rounds out of nothing: \d+ become \d+"),
        (Tireless, r"brings Stamina.value to \[-\d+\]"),
        (Ghost, "puts two agents on one cell"),
        (Mole, "puts an agent into a wall"),
        (Kidnapper, r"lets agent \[\d+\] vanish alive"),
        (Cuckoo, r"lets \d+ agents come"),
        (Blind, "does something to a target that is gone"),
        (Rumour, "does something to a target that is gone"),
        (Blessing, "harms or mends by less than nothing"),
        (Peeper, "reads of another agent what its actions may write in the same phase, in `refusals`"),
        (Instant, "comes to 0 ticks, in `ticks`"),
        (Backwards, "comes to -5 ticks, in `cooldown`"),
        (Leaper, "wants to go farther than one cell"),
        (Poacher, r"makes cargo out of nothing: \d+ become \d+"),
        (Copier, r"makes items out of nothing: \d+ become \d+"),
    ],
)
def test_each_broken_rule_is_told(kind: type[Action], sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind that breaks one rule fails with the sentence about that rule, which starts with its name."""
    monkeypatch.setitem(World.__init__.__kwdefaults__, "esper_entities", True)  # type: ignore[arg-type] # it has some
    with pytest.raises(AssertionError, match=f"^{kind.__name__} {sentence}"):
        check_action(kind)


def test_a_malformed_kind_is_a_contract_error() -> None:
    """A class without fields that a planner can write is refused as the registry refuses it."""

    class Speechless(Action):
        words: Any = None

    with pytest.raises(ContractError, match="Speechless"):
        check_action(Speechless)
