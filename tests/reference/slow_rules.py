"""The heuristic tier for the slow reference: rules as texts, read again for one agent at a time.

Knows only what the game's rules use. Everything an agent knows is a dictionary by the names that rules write.
"""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.reference.slow_tick import Known, Place, Plan, SlowWorld, Step

Facts = dict[str, Any]
COMPARE = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "AimedShot": ("target_id",), "Approach": ("target_id", "distance"), "Attack": ("target_id",), "Block": (),
    "Charge": ("target_id",), "CoordinateAttack": ("target_id",), "CoverFire": ("target_id", "duration"),
    "Dodge": ("direction",), "Heal": ("target_id",), "HeavyAttack": ("target_id",), "MarkTarget": ("target_id",),
    "MoveTo": ("x", "y", "speed"), "QuickAttack": ("target_id",), "Regroup": ("rally_point",), "Reload": (),
    "RequestCover": ("duration",), "Retreat": ("target_id", "distance"), "Revive": ("ally_id",), "Scan": ("radius",),
    "TakeCover": ("position",), "Taunt": ("target_id",), "ThrowExplosive": ("x", "y"), "ThrowSmoke": ("x", "y"),
    "Wait": ("duration",),
}  # fmt: skip
"""The arguments of verbs, in stored order; a cell is two numbers."""
CELLS = ("rally_point", "position")
NAMES = ("walk", "run", "sprint"), ("left", "right")
FRIENDS = ("Heal", "Revive")


def distance2(a: Place, b: Place) -> int:
    """Return the squared distance of two cells."""
    return (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2


def heuristic(world: SlowWorld, known: Known) -> tuple[Plan, int]:
    """Plan by the scenario's rules; the idle step where none serves, or the scenario has no tier of rules."""
    from tests.reference.slow_tick import Step

    tiers = world.scenario.planning.tiers
    if "heuristic" not in tiers:
        return [Step("Wait", [1000])], tiers.index("emergency") if "emergency" in tiers else len(tiers)
    playbook = world.scenario.playbook()
    team = world.scenario.settings.teams[known.me.team].name
    facts = view(world, known)
    for rule in playbook.group_rules.get(team, playbook.rules):
        if all(holds(facts, text) for text in rule.when) and not any(holds(facts, text) for text in rule.unless):
            steps = [make(world, facts, step) for step in rule.then]
            if None not in steps:
                return [step for step in steps if step], tiers.index("heuristic")
    return [Step("Wait", [1000])], tiers.index("heuristic")


def view(world: SlowWorld, known: Known) -> Facts:
    """Return what one agent knows by the names that rules write."""
    me, leader = known.me, known.leader

    def entry(other: Any, conditions: set[str]) -> Facts:
        return {"id": other.key, "pos": other.place, "hp": other.hp, "conditions": conditions}

    drawn = me.drawn_until > world.tick_number
    return {
        "key": me.key,
        "seconds": (world.tick_number, world.rate),
        "me.pos": me.place,
        "me.hp": me.hp, "me.hp_max": me.hp_max, "me.ammo": me.rounds, "me.reserve": me.reserve,
        "me.morale": me.morale, "me.smokes": me.smokes, "me.explosives": me.explosives, "me.medkits": me.medkits,
        "me.cover": "low" if world.at(*me.place) == "+" else "none",
        "me.conditions": world.held(me),
        "me.cover_wanted_by": known.caller.key if known.caller else None,
        "me.distracted_to": me.drawn_to if drawn else None,
        "me.reserves": world.reserves[me.team],
        **{f"me.cooldowns.{group}": ticks for group, ticks in known.cooldowns.items()},
        "goal": me.goal, "objective": me.objective, "order": me.order,
        "player": entry(leader, world.held(leader)) if leader else None,
        "player.stance": ("stand", "crouch", "prone")[world.stance(leader)] if leader else None,
        "enemies": [entry(other, world.shown(me, other)) for other in known.enemies],
        "allies": [entry(other, world.held(other)) for other in known.allies],
        "pois": {spot.name: (spot.x, spot.y) for spot in world.scenario.settings.map.places},
    }  # fmt: skip


# -- conditions --------------------------------------------------------------------------------------------------------


def holds(facts: Facts, text: str) -> bool:
    """Tell whether a condition holds; parts about one list are about the same entry."""
    about: dict[str, list[str]] = {}
    for part in text.split(" and "):
        if part.startswith("no "):
            if _part(facts, part[3:]):
                return False
            continue
        name = re.split(r"[ .]", part)[0]
        if name in ("enemies", "allies") and not re.match(r"\w+( >= \d+| within [\d.]+)?$", part):
            about.setdefault(name, []).append(part)
        elif not _part(facts, part):
            return False
    return all(
        any(all(_part({**facts, name: [one]}, part) for part in parts) for one in facts[name])
        for name, parts in about.items()
    )


def _part(facts: Facts, part: str) -> bool:
    if part == "always":
        return True
    if match := re.fullmatch(r"after (\d+)", part):
        tick, rate = facts["seconds"]
        return bool(tick >= int(match[1]) * rate)
    if match := re.fullmatch(r"one in (\d+)(?: from (\d+))?", part):
        return bool(facts["key"] % int(match[1]) == int(match[2] or 0) % int(match[1]))
    if match := re.fullmatch(r"pois '(.+)' within ([\d.]+)", part):
        return _near(facts, facts["pois"].get(match[1]), float(match[2]))
    if match := re.fullmatch(r"(\S+) within ([\d.]+)", part):
        found = facts[match[1]]
        found = found[0] if isinstance(found, list) and found else found
        return _near(facts, found["pos"] if isinstance(found, dict) else found, float(match[2]))
    if match := re.fullmatch(r"(\S+) contains '(.+)'", part):
        return match[2].casefold() in (facts[match[1]] or "").casefold()
    if match := re.fullmatch(r"(\S+) has (\w+)", part):
        return any(match[2] in value for value in _values(facts, match[1]))
    if match := re.fullmatch(r"(\S+) (<=?|>=?|[!=]=) (\S+)(?:% of (\S+))?", part):
        return _compared(facts, *match.groups())
    found = facts[part]
    return found is not None and found not in ([], 0)


def _compared(facts: Facts, left: str, sign: str, right: str, of: str | None) -> bool:
    values = [len(facts[left])] if isinstance(facts.get(left), list) else _values(facts, left)
    if of is not None:
        return any(COMPARE[sign](value * 100, int(right.rstrip("%")) * facts[of]) for value in values)
    wanted: Any = int(right) if re.fullmatch(r"-?\d+", right) else facts.get(right, right)
    return any(value is not None and COMPARE[sign](value, wanted) for value in values)


def _values(facts: Facts, path: str) -> list[Any]:
    """Return the values of a field: one, or one of every entry of a list; a table has 0 where a name is missing."""
    name, _, field = path.partition(".")
    if isinstance(facts.get(name), list):
        return [entry[field] for entry in facts[name]]
    return [facts.get(path, 0 if path.startswith("me.cooldowns.") else None)]


def _near(facts: Facts, cell: Place | None, cells: float) -> bool:
    return isinstance(cell, tuple) and distance2(facts["me.pos"], cell) <= cells * cells


# -- steps -------------------------------------------------------------------------------------------------------------


def make(world: SlowWorld, facts: Facts, step: Any) -> Step | None:
    """Return the step of a rule, None where it cannot be made."""
    from tests.reference.slow_tick import Step

    if isinstance(step, str):
        return _move(world, facts, step)
    data = step if isinstance(step, dict) else {name: getattr(step, name) for name in type(step).model_fields}
    data = {name: getattr(value, "text", value) for name, value in data.items()}
    verb, args = data["act"], []
    for name in ARGUMENTS[verb]:
        value = data.get(name)
        if name == "duration" and value is None:
            value = 1
        if value is None:
            args += [None, None] if name in CELLS else [None]
        elif name == "duration":
            args.append(int(value * 1000 + 0.5))
        elif name in ("speed", "direction"):
            args.append(NAMES[name == "direction"].index(value))
        elif isinstance(value, str) and (name in CELLS or name in "xy"):
            cell = _cell(facts, value)
            if cell is None or not (0 <= cell[0] < world.width and 0 <= cell[1] < world.height):
                return None
            args += [cell["xy".index(name)]] if name in "xy" else cell
        elif isinstance(value, str):
            found = _chosen(facts, value, "allies" if verb in FRIENDS else "enemies")
            if found is None:
                return None
            args.append(found["id"])
        else:
            args.append(value)
    return Step(verb, args)


def _chosen(facts: Facts, text: str, source: str) -> Facts | None:
    """Return whom a pick names."""
    text, _, where = text.partition(" where ")
    how, _, path = text.partition(" ")
    if how == "player":
        player: Facts | None = facts["player"]
        return player
    found = facts[path or source]
    if where:
        found = [entry for entry in found if _fits(facts, entry, where)]
    if how == "fewest:hp":
        found = sorted(found, key=lambda entry: entry["hp"])
    return found[0] if found else None


def _fits(facts: Facts, entry: Facts, where: str) -> bool:
    if where == "id == me.cover_wanted_by":
        return bool(entry["id"] == facts["me.cover_wanted_by"])
    match = re.fullmatch(r"(no )?conditions has (\w+)", where)
    assert match is not None
    return (match[2] in entry["conditions"]) != bool(match[1])


def _cell(facts: Facts, text: str) -> Place | None:
    """Return which cell a pick names."""
    if match := re.fullmatch(r"pois '(.+)'", text):
        named: Place | None = facts["pois"].get(match[1])
        return named
    if text in ("goal", "me.pos", "me.distracted_to"):
        own: Place | None = facts[text]
        return own
    found = _chosen(facts, text, "enemies")
    return found["pos"] if found else None


def _move(world: SlowWorld, facts: Facts, name: str) -> Step | None:
    """Return the step of a named move, None where it cannot be made."""
    from tests.reference.slow_tick import Step

    x, y = facts["me.pos"]
    match name:
        case "throw smoke":
            if not facts["enemies"] or facts["me.smokes"] <= 0:
                return None
            there = facts["enemies"][0]["pos"]
            return Step("ThrowSmoke", [(x + there[0]) // 2, (y + there[1]) // 2])
        case "heal ally":
            hurt = [ally for ally in facts["allies"] if 0 < ally["hp"] < facts["me.hp_max"]]
            if not hurt or facts["me.medkits"] <= 0:
                return None
            return Step("Heal", [min(hurt, key=lambda ally: ally["hp"])["id"]])
        case "move to leader":
            leader = facts["player"]
            if leader is None or max(abs(leader["pos"][0] - x), abs(leader["pos"][1] - y)) <= 1:
                return None
            return Step("MoveTo", [*leader["pos"], None])
        case "ambush in cover":
            cell = _free_cover(world, facts)
            return Step("SetAmbush", [*cell]) if cell else None
    raise AssertionError(f"no move {name}")


def _free_cover(world: SlowWorld, facts: Facts) -> Place | None:
    """Return the nearest cell of cover within eight cells on which nobody is known to stand."""
    x, y = facts["me.pos"]
    taken = {other["pos"] for other in [*facts["enemies"], *facts["allies"]]}
    span = range(-8, 9)
    cells = [(x + dx, y + dy) for dx in span for dy in span if dx * dx + dy * dy <= 64]
    cells.sort(key=lambda cell: (distance2((x, y), cell), cell[1], cell[0]))
    return next((cell for cell in cells if world.at(*cell) == "+" and cell not in taken), None)
