"""The heuristic tier for the slow reference: one agent at a time, straight from the texts of its rules.

Reads the part of the language of rules that drawn scenarios and the skirmish use; any other text is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from ai.actions import Action
from ai.rules import Rule
from tests.reference.slow_tick import Agent, Known, Place, Plan, SlowWorld, Step, ball, distance2

Holds = Callable[[Any], bool]

NUMBERS: dict[str, str] = {"ammo": "rounds"} | {
    name: name for name in ("morale", "hp", "hp_max", "reserve", "smokes", "explosives", "medkits")
}
"""The numbers of an agent that rules compare, and what the reference calls them."""
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}
TARGETS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        (
            "AimedShot", "Approach", "Attack", "Charge", "CoordinateAttack", "CoverFire", "Distract", "HeavyAttack",
            "MarkTarget", "QuickAttack", "Retreat", "Taunt",
        ),
        ("target_id", "enemies"),
    ),
    "Heal": ("target_id", "allies"),
    "Revive": ("ally_id", "allies"),
}  # fmt: skip
"""The argument of verbs that names somebody, and the list it is taken from."""
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "Approach": ("target_id", "distance"), "Retreat": ("target_id", "distance"), "CoverFire": ("target_id", "duration"),
    "Dodge": ("direction",), "MoveTo": ("x", "y", "speed"), "Regroup": ("rally_point.x", "rally_point.y"),
    "RequestCover": ("duration",), "Scan": ("radius",), "SetAmbush": ("position.x", "position.y"),
    "TakeCover": ("position.x", "position.y"), "ThrowExplosive": ("x", "y"), "ThrowSmoke": ("x", "y"),
    "Wait": ("duration",), "Block": (), "Reload": (),
}  # fmt: skip
"""The stored arguments of verbs in their order; the others have their target alone."""
WORDS = {"walk": 0, "run": 1, "sprint": 2, "left": 0, "right": 1}
IDLE = Step("Wait", [1000])


def heuristic(world: SlowWorld, known: Known) -> tuple[Plan, int]:
    """Plan by the scenario's rules; the idle step where none serves, or where the scenario has no tier of rules."""
    tiers = world.scenario.planning.tiers
    if "heuristic" not in tiers:
        return [IDLE], tiers.index("emergency") if "emergency" in tiers else len(tiers)
    book = world.scenario.playbook()
    team = world.scenario.settings.teams[known.me.team].name
    for rule in book.group_rules.get(team, book.rules):
        plan = _plan(world, known, rule)
        if plan is not None:
            return plan, tiers.index("heuristic")
    return [IDLE], tiers.index("heuristic")


def _plan(world: SlowWorld, known: Known, rule: Rule) -> Plan | None:
    """Return the steps of a rule; None where it does not hold or a step cannot be taken."""
    if not all(_holds(world, known, text) for text in rule.when):
        return None
    if any(_holds(world, known, text) for text in rule.unless):
        return None
    steps = [_step(world, known, step) for step in rule.then]
    return None if None in steps else [step for step in steps if step]


# Conditions.


def _holds(world: SlowWorld, known: Known, text: str) -> bool:
    """Tell whether all parts of a condition hold; those about one list hold for the same entry."""
    about: dict[str, list[Holds]] = {}
    for part in text.split(" and "):
        plain = part.removeprefix("no ")
        listed, holds = _part(world, known, plain)
        if plain != part:
            if any(map(holds, _entries(known, listed))):
                return False
        else:
            about.setdefault(listed, []).append(holds)
    return all(
        any(all(holds(entry) for holds in found) for entry in _entries(known, listed))
        if listed
        else all(holds(None) for holds in found)
        for listed, found in about.items()
    )


def _entries(known: Known, listed: str) -> list[Any]:
    return {"": [None], "enemies": known.enemies, "allies": known.allies}[listed]


def _part(world: SlowWorld, known: Known, text: str) -> tuple[str, Holds]:
    """Return the list that a part is about, and whether the part holds for an entry of it (nothing: for the agent)."""
    me = known.me
    plain: dict[str, Callable[[], bool]] = {
        "always": lambda: True,
        "order": lambda: me.order is not None,
        "goal": lambda: me.goal is not None,
        "player": lambda: known.leader is not None,
        "me.cover_wanted_by": lambda: known.caller is not None,
        "me.cover == low": lambda: world.at(*me.place) == "+",
        "me.reserves > 0": lambda: world.reserves[me.team] > 0,
    }
    if text in plain:
        held = plain[text]()
        return "", lambda _: held
    if text in ("enemies", "allies"):
        return text, lambda _: True
    for pattern, read in PARTS.items():
        found = re.fullmatch(pattern, text)
        if found is not None:
            result: tuple[str, Holds] = read(world, known, *found.groups())
            return result
    raise AssertionError(f"the reference cannot read {text!r}")


def _number(world: SlowWorld, known: Known, who: str, name: str, op: str, value: str) -> tuple[str, Holds]:
    wanted = COMPARE[op]
    return _of(known, who, lambda one: wanted(getattr(one, NUMBERS[name]), int(value)))


def _share(world: SlowWorld, known: Known, who: str, op: str, percent: str) -> tuple[str, Holds]:
    wanted, most = COMPARE[op], known.me.hp_max * int(percent)
    return _of(known, who, lambda one: wanted(one.hp * 100, most))


def _under(world: SlowWorld, known: Known, who: str, name: str) -> tuple[str, Holds]:
    if who == "enemies":
        return who, lambda one: name in world.shown(known.me, one)
    return _of(known, who, lambda one: name in world.held(one))


def _of(known: Known, who: str, holds: Holds) -> tuple[str, Holds]:
    return (who, holds) if who != "me" else ("", lambda _: holds(known.me))


def _within(world: SlowWorld, known: Known, who: str, cells: str) -> tuple[str, Holds]:
    def near(cell: Place | None) -> bool:
        return cell is not None and distance2(known.me.place, cell) <= Decimal(cells) ** 2

    match who:
        case "enemies" | "allies":
            return who, lambda one: near(one.place)
        case "goal":
            return "", lambda _: near(known.me.goal)
        case "player":
            return "", lambda _: known.leader is not None and near(known.leader.place)
    return "", lambda _: near(_place(world, who.removeprefix("pois ").strip("'")))


def _count(world: SlowWorld, known: Known, who: str, op: str, count: str) -> tuple[str, Holds]:
    return "", lambda _: COMPARE[op](len(_entries(known, who)), int(count))


def _contains(world: SlowWorld, known: Known, what: str, text: str) -> tuple[str, Holds]:
    return "", lambda _: text.casefold() in (getattr(known.me, what) or "").casefold()


def _cooled(world: SlowWorld, known: Known, group: str) -> tuple[str, Holds]:
    return "", lambda _: known.cooldowns.get(group, 0) == 0


def _stance(world: SlowWorld, known: Known, stance: str) -> tuple[str, Holds]:
    names = ("stand", "crouch", "prone")
    return "", lambda _: known.leader is not None and names[world.stance(known.leader)] == stance


def _after(world: SlowWorld, known: Known, seconds: str) -> tuple[str, Holds]:
    return "", lambda _: world.tick_number >= int(seconds) * world.rate


def _one_in(world: SlowWorld, known: Known, count: str, offset: str | None) -> tuple[str, Holds]:
    return "", lambda _: known.me.key % int(count) == int(offset or 0) % int(count)


PARTS: dict[str, Callable[..., tuple[str, Holds]]] = {
    r"(enemies|allies) (<|<=|==|!=|>=|>) (\d+)": _count,
    r"(me|allies|enemies)\.hp (<|<=|>|>=) (\d+)% of me\.hp_max": _share,
    r"(me|allies|enemies)\.(\w+) (<|<=|==|!=|>=|>) (\d+)": _number,
    r"me\.cooldowns\.(\w+) <= 0": _cooled,
    r"(me|allies|enemies)\.conditions has (\w+)": _under,
    r"(enemies|allies|goal|player|pois '[^']+') within ([\d.]+)": _within,
    r"(objective|order) contains '([^']*)'": _contains,
    r"player\.stance == (\w+)": _stance,
    r"after (\d+)": _after,
    r"one in (\d+)(?: from (\d+))?": _one_in,
}
"""What the parts of a condition look like, and how each is read."""


# Steps.


def _step(world: SlowWorld, known: Known, step: Any) -> Step | None:
    """Return a step of a rule, None where it cannot be taken."""
    if isinstance(step, str):
        return MOVES[step](world, known)
    fields: dict[str, Any] = step.model_dump() if isinstance(step, Action) else dict(step)
    verb = fields.pop("act")
    values: dict[str, int | None] = {}
    for name, value in fields.items():
        if name == TARGETS.get(verb, ("",))[0]:
            values[name] = None if value is None else _target(world, known, str(value), TARGETS[verb][1])
            if value is not None and values[name] is None:
                return None
        elif name in ("x", "y", "position", "rally_point") and value is not None:
            cell = _spot(world, known, str(value))
            if cell is None or not (0 <= cell[0] < world.width and 0 <= cell[1] < world.height):
                return None
            values |= (
                {name: cell["xy".index(name)]}
                if name in "xy"
                else dict(zip((f"{name}.x", f"{name}.y"), cell, strict=True))
            )
        elif name == "duration":
            values[name] = int(value * 1000 + 0.5)
        else:
            values[name] = WORDS.get(str(value), value)
    names = ARGUMENTS.get(verb, (TARGETS.get(verb, ("",))[0],))
    return Step(verb, [values.get(name) for name in names])


def _picked(world: SlowWorld, known: Known, how: str, listed: str, where: str | None) -> Agent | None:
    """Return the one that a pick names: of the list's entries that fit the first, or the one with the fewest."""
    found: list[Agent] = _entries(known, listed)
    if where is not None:
        found = [other for other in found if _fits(world, known, listed, where, other)]
    if how.startswith("fewest:"):
        found = sorted(found, key=lambda other: getattr(other, NUMBERS[how.removeprefix("fewest:")]))
    return found[0] if found else None


def _fits(world: SlowWorld, known: Known, listed: str, where: str, other: Agent) -> bool:
    if where == "id == me.cover_wanted_by":
        return other is known.caller
    plain = where.removeprefix("no ")
    held = _part(world, known, f"{listed}.{plain}")[1](other)
    return held if plain == where else not held


PICK = r"(nearest|fewest:\w+)(?: (enemies|allies))?(?: where (.+))?"


def _target(world: SlowWorld, known: Known, pick: str, listed: str) -> int | None:
    if pick == "player":
        return known.leader.key if known.leader else None
    found = re.fullmatch(PICK, pick)
    assert found is not None, pick
    other = _picked(world, known, found[1], found[2] or listed, found[3])
    return other.key if other else None


def _spot(world: SlowWorld, known: Known, pick: str) -> Place | None:
    match pick:
        case "goal":
            return known.me.goal
        case "me.pos":
            return known.me.place
        case "player":
            return known.leader.place if known.leader else None
        case "me.distracted_to":
            return known.me.drawn_to if known.me.drawn_until > world.tick_number else None
    if pick.startswith("pois "):
        return _place(world, pick.removeprefix("pois ").strip("'"))
    found = re.fullmatch(PICK, pick)
    assert found is not None, pick
    other = _picked(world, known, found[1], found[2], found[3])
    return other.place if other else None


def _place(world: SlowWorld, name: str) -> Place | None:
    return next(((place.x, place.y) for place in world.scenario.settings.map.places if place.name == name), None)


def _throw_smoke(world: SlowWorld, known: Known) -> Step | None:
    if not known.enemies or known.me.smokes <= 0:
        return None
    near = known.enemies[0]
    return Step("ThrowSmoke", [(known.me.x + near.x) // 2, (known.me.y + near.y) // 2])


def _heal_ally(world: SlowWorld, known: Known) -> Step | None:
    hurt = [ally for ally in known.allies if 0 < ally.hp < known.me.hp_max]
    if not hurt or known.me.medkits <= 0:
        return None
    return Step("Heal", [min(hurt, key=lambda ally: ally.hp).key])


def _move_to_leader(world: SlowWorld, known: Known) -> Step | None:
    me, leader = known.me, known.leader
    if leader is None or max(abs(leader.x - me.x), abs(leader.y - me.y)) <= 1:
        return None
    return Step("MoveTo", [*leader.place, None])


def _ambush_in_cover(world: SlowWorld, known: Known) -> Step | None:
    """Lie in wait on the nearest cell of cover within eight cells on which nobody is known to stand."""
    me, taken = known.me, {other.place for other in [*known.enemies, *known.allies]}
    cells = sorted(ball(me.place, 8), key=lambda cell: (distance2(me.place, cell), cell[1], cell[0]))
    return next((Step("SetAmbush", [*cell]) for cell in cells if world.at(*cell) == "+" and cell not in taken), None)


MOVES: Mapping[str, Callable[[SlowWorld, Known], Step | None]] = {
    "throw smoke": _throw_smoke,
    "heal ally": _heal_ally,
    "move to leader": _move_to_leader,
    "ambush in cover": _ambush_in_cover,
}
"""Moves that rules name."""
