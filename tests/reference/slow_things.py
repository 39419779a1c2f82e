"""The reference's rules of what has a name: weapons, items, abilities, things on the map, routes, and changed ground.

One agent at a time, like `slow_tick`, from which these functions are called. Names are positions in sorted tables;
lists and records are canonical JSON under an index.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sim.run.scenario_file import Scenario

if TYPE_CHECKING:
    from tests.reference.slow_tick import Agent, Place, SlowWorld, Step

NAMED = (
    "DropItem", "EquipWeapon", "Interact", "ModifyTerrain", "Patrol", "SwitchWeapon", "Throw", "UseAbility",
    "UseDefensiveAbility", "UseItem",
)  # fmt: skip
"""The kinds whose rules are written down here."""
STORED = ("ModifyTerrain", "Patrol")
"""Those of which a list or a record is kept, under the index in their first argument."""
KIT = {"explosives": ("blast", 0), "medkits": ("heal", 20), "smokes": ("smoke", 0)}
"""Items of every scenario: what they do, and how much."""
COMPASS = {
    "north": (0, -1), "northeast": (1, -1), "east": (1, 0), "southeast": (1, 1),
    "south": (0, 1), "southwest": (-1, 1), "west": (-1, 0), "northwest": (-1, -1),
}  # fmt: skip
AWAY = {"near": 3, "medium": 6, "far": 10}
"""Cells."""


@dataclass
class Thing:
    """A thing on the map: what it is called, where it is, how much is left (None: without end), and what it does."""

    id: int
    kind: str
    place: Place
    left: int | None
    effect: Any = None
    item: str | None = None


@dataclass
class Request:
    """What an agent makes of the ground, part by part; `team` is set where that costs it a change."""

    key: int
    parts: list[tuple[list[Place], str]]
    team: int | None = None


class Tables:
    """The names of a scenario, sorted, and what items do."""

    def __init__(self, scenario: Scenario) -> None:
        self.weapons = sorted(scenario.settings.weapons)
        self.abilities = sorted(scenario.settings.abilities)
        self.own_items = sorted(scenario.settings.items)
        self.effects = KIT | {name: (item.effect, item.amount) for name, item in scenario.settings.items.items()}
        self.items = sorted(self.effects)
        standing = [*scenario.settings.map.objects, *scenario.settings.map.scattered]
        self.kinds = sorted({thing.kind for thing in standing} | set(self.items))
        self.has_cargo = any(thing.effect.kind == "yield" for thing in standing)


def first_things(world: SlowWorld, purpose: int) -> dict[int, Thing]:
    """Return what stands on the map at the start, by id; scattered things on the free cells with the lowest numbers."""
    plan = world.scenario.settings.map
    found = [Thing(n, each.kind, (each.x, each.y), each.stock, each.effect) for n, each in enumerate(plan.objects)]
    for group in plan.scattered:
        area, taken = group.area, {thing.place for thing in found}
        cells = [(x, y) for y in range(area.y, area.y + area.height) for x in range(area.x, area.x + area.width)]
        free = [cell for cell in cells if world.at(*cell) != "#" and cell not in taken]
        free.sort(key=lambda cell: world.word(cell[1] * world.width + cell[0], 0, purpose))
        found += [Thing(len(found) + n, group.kind, cell, group.stock, group.effect)
                  for n, cell in enumerate(free[: group.count])]  # fmt: skip
    return {thing.id: thing for thing in found}


def things_seen(world: SlowWorld, agent: Agent) -> list[Thing]:
    """Return the eight nearest things an agent sees, ties by id."""
    seen = [
        thing
        for thing in world.things.values()
        if _far(agent.place, thing.place) <= agent.sight**2 and world.sees(agent.place, thing.place)
    ]
    return sorted(seen, key=lambda thing: (_far(agent.place, thing.place), thing.id))[:8]


def holding(world: SlowWorld, agent: Agent) -> list[int]:
    """Return what a batch tells of what an agent has: items, weapons (2: in hand), abilities (1: has it), cargo."""
    tables, kind = world.tables, world.archetype(agent)
    hand = kind.weapons[agent.hand] if agent.slots else None
    weapons = [int(name in kind.weapons) + (name == hand) for name in tables.weapons]
    abilities = [int(name in kind.abilities) for name in tables.abilities]
    return [*(agent.items.get(name, 0) for name in tables.own_items), *weapons, *abilities,
            *([agent.cargo] if tables.has_cargo else [])]  # fmt: skip


def held(agent: Agent, item: str) -> int:
    """Return how many of an item an agent holds."""
    count: int = getattr(agent, item) if item in KIT else agent.items.get(item, 0)
    return count


def give(world: SlowWorld, agent: Agent, item: str, count: int) -> None:
    """Let an agent hold more of an item, or fewer."""
    if item in KIT:
        setattr(agent, item, getattr(agent, item) + count)
        return
    agent.items[item] = agent.items.get(item, 0) + count
    agent.item_kinds = max(agent.item_kinds, world.tables.own_items.index(item) + 1)


# Lists and records.


def store(world: SlowWorld, step: Step) -> None:
    """Keep a step's lists and records under the lowest free index, or the one they have already."""
    known = {content: index for index, content in world.payloads.items()}
    index = known.get(step.payload)
    if index is None:
        index = next(n for n in range(len(known) + 1) if n not in world.payloads)
        world.payloads[index] = step.payload
    step.args[0] = index


def forget(world: SlowWorld) -> None:
    """Drop what no plan refers to."""
    steps = [step for agent in world.agents.values() for step in agent.plan if step.kind in STORED]
    kept = {step.args[0] for step in steps}
    world.payloads = {index: content for index, content in world.payloads.items() if index in kept}


def content(world: SlowWorld, step: Step) -> Any:
    """Return a step's lists and records."""
    index = step.args[0]
    assert index is not None
    return json.loads(world.payloads[index])


# What may not be done, and why.


def why_not(world: SlowWorld, agent: Agent, step: Step) -> str | None:
    """Return why a step of a kind with names may not run now; None when it may."""
    match step.kind:
        case "EquipWeapon" | "SwitchWeapon":
            slot = _slot(world, agent, step)
            if slot is None or slot >= agent.slots:
                return "no item"
            return "nothing to do" if slot == agent.hand else None
        case "UseItem":
            return _no_use(world, agent, world.tables.items[step.args[0] or 0])
        case "DropItem" | "Throw":
            if held(agent, world.tables.items[step.args[0] or 0]) <= 0:
                return "no item"
            return world.bad_aim(agent, step.args[1:], 64) if step.kind == "Throw" else None
        case "UseAbility" | "UseDefensiveAbility":
            name = world.tables.abilities[step.args[0] or 0]
            ability = world.scenario.settings.abilities[name]
            if name not in world.archetype(agent).abilities:
                return "no item"
            if (ability.kind == "defensive") != (step.kind == "UseDefensiveAbility"):
                return "unusable"
            return "no stamina" if agent.stamina < ability.stamina else None
        case "Interact":
            return _no_dealing(world, agent, world.things.get(step.args[0] or 0))
        case "ModifyTerrain":
            return _no_change(world, agent, step)
        case _:
            return None if agent.place in world.walk_from(waypoint(world, step)) else "unreachable"


def _slot(world: SlowWorld, agent: Agent, step: Step) -> int | None:
    """Return the slot that an agent wants in hand."""
    if step.kind == "SwitchWeapon":
        return step.args[0]
    carried, name = world.archetype(agent).weapons, world.tables.weapons[step.args[0] or 0]
    return carried.index(name) if name in carried else None


def _no_use(world: SlowWorld, agent: Agent, item: str) -> str | None:
    effect, _ = world.tables.effects[item]
    if held(agent, item) <= 0:
        return "no item"
    if effect in ("none", "blast"):
        return "unusable"
    full = {"heal": agent.hp >= agent.hp_max, "stamina": agent.stamina >= 100, "morale": agent.morale >= 100}
    return "nothing to do" if full.get(effect) else None


def _no_dealing(world: SlowWorld, agent: Agent, thing: Thing | None) -> str | None:
    if thing is None:
        return "target gone"
    if _far(agent.place, thing.place) > 2:
        return "out of range"
    what = thing.effect.kind if thing.effect else "lie"
    if what == "take" and thing.effect.team not in (None, world.scenario.settings.teams[agent.team].name):
        return "unusable"
    whole = what == "heal" and agent.hp >= agent.hp_max
    if thing.left == 0 or whole or (what == "take" and agent.cargo <= 0):
        return "nothing to do"
    return "full" if what == "yield" and agent.cargo >= world.archetype(agent).carry else None


def _no_change(world: SlowWorld, agent: Agent, step: Step) -> str | None:
    if world.edits[agent.team] <= 0:
        return "no budget"
    cell = _spot(world, agent, content(world, step)["payload"]["relative_location"])
    inside = cell is not None and 0 <= cell[0] < world.width and 0 <= cell[1] < world.height
    if cell is None or not inside or _far(agent.place, cell) > 256:
        return "out of range"
    return None if world.sees(agent.place, cell) else "no sight"


def _spot(world: SlowWorld, agent: Agent, where: dict[str, Any]) -> Place | None:
    """Return the cell that a request means."""
    x, y = agent.place
    match where["method"]:
        case "Coordinates":
            cell = where.get("cell")
            return None if cell is None else (cell["x"], cell["y"])
        case "DirectionFrom":
            dx, dy = COMPASS[where["cardinal"]]
            return x + dx * AWAY[where["distance"]], y + dy * AWAY[where["distance"]]
    dx, dy = (0, -1) if agent.goal is None else (_sign(agent.goal[0] - x), _sign(agent.goal[1] - y))
    for _ in range(min(int(where["look_distance"]), 16)):
        if world.at(x + dx, y + dy) == "#":
            break
        x, y = x + dx, y + dy
    return x, y


# What is done.


def have_effect(world: SlowWorld, agent: Agent, step: Step) -> None:
    """Do what a step of a kind with names is for."""
    match step.kind:
        case "EquipWeapon" | "SwitchWeapon":
            _draw(world, agent, _slot(world, agent, step) or 0)
        case "UseItem":
            _use(world, agent, world.tables.items[step.args[0] or 0])
        case "DropItem":
            name = world.tables.items[step.args[0] or 0]
            give(world, agent, name, -1)
            world.laid.append((agent.key, name, agent.place))
        case "Throw":
            _throw(world, agent, world.tables.items[step.args[0] or 0], (step.args[1] or 0, step.args[2] or 0))
        case "UseAbility" | "UseDefensiveAbility":
            _be_able(world, agent, world.scenario.settings.abilities[world.tables.abilities[step.args[0] or 0]])
        case "Interact":
            world.uses.append((agent, step.args[0] or 0))
        case "ModifyTerrain":
            asked = content(world, step)["payload"]
            cell = _spot(world, agent, asked["relative_location"])
            assert cell is not None
            world.reshaped.append(Request(agent.key, _parts(agent.place, cell, asked), agent.team))


def _draw(world: SlowWorld, agent: Agent, slot: int) -> None:
    """Put one weapon away with its rounds and take out another with its own."""
    spec = world.scenario.settings.weapons[world.archetype(agent).weapons[slot]]
    agent.stowed[agent.hand], agent.rounds = agent.rounds, agent.stowed[slot]
    agent.stowed[slot], agent.hand = 0, slot
    agent.magazine, agent.reach, agent.accuracy = spec.magazine, spec.reach, spec.accuracy
    agent.damage = spec.damage_permille


def _use(world: SlowWorld, agent: Agent, item: str) -> None:
    effect, amount = world.tables.effects[item]
    give(world, agent, item, -1)
    match effect:
        case "heal":
            world.mend[agent.key] += amount
        case "stamina":
            agent.stamina = min(agent.stamina + amount, 100)
        case "morale":
            agent.morale = min(agent.morale + amount, 100)
        case "ammo":
            agent.reserve += amount
        case "smoke":
            world.spread_smoke(agent.place)


def _throw(world: SlowWorld, agent: Agent, item: str, cell: Place) -> None:
    effect, _ = world.tables.effects[item]
    give(world, agent, item, -1)
    if effect == "smoke":
        world.spread_smoke(cell)
    elif effect == "blast":
        world.explode(agent, cell)
    else:
        world.laid.append((agent.key, item, cell))


def _be_able(world: SlowWorld, agent: Agent, ability: Any) -> None:
    agent.stamina -= ability.stamina
    ticks, now = ability.seconds * world.rate, world.tick_number + 1
    match ability.effect:
        case "shield":
            agent.guard_until = max(agent.guard_until, now + ticks)
        case "evade":
            world.impose("dodge", agent, ticks)
        case "stamina":
            agent.stamina = min(agent.stamina + ability.amount, 100)
        case "morale":
            agent.morale = min(agent.morale + ability.amount, 100)
        case "smoke":
            world.spread_smoke(agent.place)
        case "mend":
            for friend in [agent, *world.sightings(agent, ability.cells, hostile=False)]:
                world.mend[friend.key] += ability.amount
        case "reveal":
            for enemy in world.sightings(agent, ability.cells, hostile=True):
                asked = (agent.key, now + ticks)
                world.marks[enemy.key] = min(world.marks.get(enemy.key, asked), asked)


def settle(world: SlowWorld) -> None:
    """What was asked of things is done, then what was dropped lies there, then the ground changes."""
    for agent, thing_id in sorted(world.uses, key=lambda use: use[0].key):
        _deal(world, agent, world.things[thing_id])
    world.things = {n: thing for n, thing in world.things.items() if thing.item is None or thing.left != 0}
    for _, item, place in sorted(world.laid):
        world.things[world.next_thing] = Thing(world.next_thing, item, place, 1, item=item)
        world.next_thing += 1
    if world.reshaped:
        _reshape(world)


def _deal(world: SlowWorld, agent: Agent, thing: Thing) -> None:
    """Let an agent have what is left for it of what a thing gives."""
    what = thing.effect.kind if thing.effect else "lie"
    wanted = thing.effect.each if what in ("give", "yield") else 1
    if what == "yield":
        wanted = min(wanted, world.archetype(agent).carry - agent.cargo)
    got = wanted if thing.left is None else min(wanted, thing.left)
    if thing.left is not None:
        thing.left -= got
    if got <= 0:
        return
    match what:
        case "lie":
            assert thing.item is not None
            give(world, agent, thing.item, got)
        case "give":
            give(world, agent, thing.effect.item, got)
        case "heal":
            world.mend[agent.key] += thing.effect.amount
        case "yield":
            agent.cargo += got
        case "take":
            world.delivered[agent.team] += agent.cargo
            agent.cargo = 0
        case "open":
            gate = thing.effect
            cells = [(gate.x + dx, gate.y + dy) for dx in range(gate.width) for dy in range(gate.height)]
            world.reshaped.append(Request(agent.key, [(cells, ".")]))


# The ground.


def _parts(here: Place, centre: Place, asked: dict[str, Any]) -> list[tuple[list[Place], str]]:
    """Return what a request makes of which cells, later parts over earlier ones."""
    radius = 1 + int(asked["intensity"] * 2 + 0.5)
    span = range(-radius, radius + 1)
    whole = [(dx, dy) for dx in span for dy in span if dx * dx + dy * dy <= radius * radius]
    ahead = (_sign(centre[0] - here[0]), _sign(centre[1] - here[1]))
    across = (-ahead[1], ahead[0]) if ahead != (0, 0) else (1, 0)
    shapes = {
        "Cave": [(whole, ".")],
        "Lake": [(whole, ".")],
        "Crater": [(whole, "."), ([(x, y) for x, y in whole if x * x + y * y > (radius - 1) ** 2], "+")],
        "Cliff": [([(across[0] * n, across[1] * n) for n in span], "#")],
        "Ruins": [([(x, y) for x, y in whole if (x + y) % 2 == 0], "+")],
        "Forest": [(whole, "+")],
        "Custom": [(whole, "+")],
    }
    shape = shapes[asked["feature_type"]["type"]]
    return [([(centre[0] + x, centre[1] + y) for x, y in offsets], glyph) for offsets, glyph in shape]


def _reshape(world: SlowWorld) -> None:
    """The lowest keys get a team's last changes; of a cell the lowest has its way."""
    granted: list[Request] = []
    for request in sorted(world.reshaped, key=lambda request: request.key):
        if request.team is not None:
            if world.edits[request.team] <= 0:
                continue
            world.edits[request.team] -= 1
        granted.append(request)
    for request in reversed(granted):
        for cells, wanted in request.parts:
            chosen = [(x, y) for x, y in cells if 0 <= x < world.width and 0 <= y < world.height]
            glyph = wanted
            if wanted == "#":
                places = [agent.place for agent in world.agents.values()]
                chosen = [
                    (x, y) for x, y in chosen if not any(abs(x - ax) <= 1 and abs(y - ay) <= 1 for ax, ay in places)
                ]
                glyph = "+" if _would_part(world, set(chosen)) else "#"
            for x, y in chosen:
                world.terrain[y][x] = glyph
    world.forget_ways()


def _would_part(world: SlowWorld, walls: set[Place]) -> bool:
    """Tell whether walls would leave two parts of what is one region now."""
    before = list(_regions(world, set()))
    after = list(_regions(world, walls))
    return any(sum(bool(part & region) for part in after) > 1 for region in before)


def _regions(world: SlowWorld, walls: set[Place]) -> Iterator[set[Place]]:
    """Yield the regions of cells that can be walked through."""
    left = {(x, y) for y in range(world.height) for x in range(world.width) if world.at(x, y) != "#"} - walls
    while left:
        region = {min(left)}
        waiting = deque(region)
        while waiting:
            x, y = waiting.popleft()
            for cell in ((x, y - 1), (x - 1, y), (x + 1, y), (x, y + 1)):
                if cell in left and cell not in region:
                    region.add(cell)
                    waiting.append(cell)
        left -= region
        yield region


# Rounds.


def route(world: SlowWorld, step: Step) -> list[Place]:
    """Return the cells of a round."""
    return [(cell["x"], cell["y"]) for cell in content(world, step)["waypoints"]]


def waypoint(world: SlowWorld, step: Step) -> Place:
    """Return the cell that comes next; after the last one comes the first."""
    cells = route(world, step)
    return cells[(step.args[1] or 0) % len(cells)]


def walk_round(world: SlowWorld, agent: Agent, step: Step) -> bool:
    """Note a cell that has been passed, and tell whether the round is over."""
    goal = waypoint(world, step)
    crowded = agent.tries >= 3 and world.walk_from(goal).get(agent.place, 99) <= 4
    if agent.place == goal or crowded:
        step.args[1] = (step.args[1] or 0) + 1
        agent.tries = 0
    return (step.args[1] or 0) > len(route(world, step))


def _far(a: Place, b: Place) -> int:
    return (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)
