"""A second, slow implementation of the tick's rules, to hold the fast one against.

Plain Python: one agent at a time, lists and dictionaries, no arrays. It is written from the documented rules, keeps its
own copy of every number they name, and shares with the simulation only data (scenarios, inputs, the names of columns,
kinds and cooldown groups) and the scalar random block, which has published vectors of its own.

Agents are visited in descending key order in the execution phase, the opposite of what the fast one does: the rules
promise that the order cannot matter.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from scenarios.tactics.actions import default_registry
from scenarios.tactics.components import COOLDOWN_GROUPS as GROUPS
from scenarios.tactics.inputs import (
    Act,
    Collapse,
    Control,
    Fortify,
    Input,
    Move,
    Order,
    Remove,
    SetCells,
    SetParameter,
    Spawn,
    SpawnWave,
)
from sim.engine.rng import philox4x32
from sim.run.scenario_file import Scenario
from tests.reference import slow_things

NONE = -(2**31)
HIT, START, THING = 1, 5, 6
"""The purpose numbers of hit draws, of cells where agents start, and of cells where things stand."""

KIND_NAMES = tuple(spec.name for spec in default_registry().specs)
"""Every kind in name order; a stored code is the position."""
PLAIN = (
    "AimedShot", "AoEAttack", "Approach", "Attack", "Block", "CallReinforcements", "Charge", "CoordinateAttack",
    "CoverFire", "Distract", "Dodge", "Heal", "HeavyAttack", "MarkTarget", "MoveTo", "Parry", "QuickAttack", "Regroup",
    "Reload", "RequestCover", "Retreat", "Revive", "Scan", "SetAmbush", "Strafe", "TakeCover", "Taunt",
    "ThrowExplosive", "ThrowSmoke", "Wait",
)  # fmt: skip
"""The kinds without names, lists or records; the rules of the others stand in `slow_things`."""
RULED = tuple(sorted((*PLAIN, *slow_things.NAMED)))
WALKS = ("Approach", "Charge", "MoveTo", "Patrol", "Regroup", "Retreat", "SetAmbush", "TakeCover")
BUDGETS = ("traps", "terrain_edits", "spawns")
"""The director's budgets in stored order."""
PLANNING = ("per_tick_max", "ttl_s", "alert_every")
MORALE = (
    "harm_percent", "squad_loss", "sight_loss", "outnumbered_loss", "victory_gain", "rest_gain", "leader_gain",
    "leader_cells", "aim_permille", "slow_below", "break_below", "rally_at",
)  # fmt: skip
BOUNDS = {
    "planning.per_tick_max": (1, 200_000), "planning.ttl_s": (1, 3600),
    "planning.alert_every": (1, 1000), "combat.hit_bonus": (-1000, 1000), "morale.harm_percent": (0, 1000),
    "morale.leader_cells": (0, 64), "morale.aim_permille": (0, 20),
}  # fmt: skip
"""What numbers of the rules may be; 0 to 100 where nothing is named."""
STATUSES = ("none", "running", "finished", "refused", "stale")
CODES = (
    "no", "target gone", "not hostile", "out of range", "no sight", "no ammo", "no item", "no stamina",
    "nothing to do", "unreachable", "no cover", "blocked", "down", "no reserves", "unusable", "full", "no budget",
)  # fmt: skip
"""Refusals in stored order."""
CONDITIONS = ("ambush", "calling", "dodge", "down", "focus", "marked", "parry", "suppressed")
"""What an agent can be under, in stored order."""
ROLES = ("exploration", "stealth", "support", "tactical")
"""What an agent may care for, in stored order."""

SECONDS = {
    "AimedShot": 1000, "HeavyAttack": 500, "Block": 1000, "Heal": 1000, "Reload": 2000, "Scan": 1000, "AoEAttack": 1000,
    "Parry": 1000, "Strafe": 200, "Revive": 3000, "EquipWeapon": 1000, "SwitchWeapon": 500, "UseItem": 500,
    "Interact": 1000, "UseAbility": 500, "UseDefensiveAbility": 500, "ModifyTerrain": 3000,
}  # fmt: skip
"""How long a step takes before its effect, milliseconds; one tick where nothing is named."""
COOLDOWNS = {
    "Attack": ("weapon", 1000),
    "AimedShot": ("weapon", 2000),
    "QuickAttack": ("weapon", 500),
    "HeavyAttack": ("weapon", 3000),
    "ThrowExplosive": ("throw", 8000),
    "ThrowSmoke": ("throw", 8000),
    "Block": ("block", 1000),
    "Heal": ("heal", 10_000),
    "Scan": ("scan", 5000),
    "AoEAttack": ("weapon", 5000),
    "CoverFire": ("weapon", 4000),
    "Charge": ("weapon", 6000),
    "Dodge": ("block", 2000),
    "Parry": ("block", 3000),
    "MarkTarget": ("command", 5000),
    "CoordinateAttack": ("command", 15_000),
    "RequestCover": ("command", 10_000),
    "Regroup": ("command", 10_000),
    "Distract": ("provoke", 8000),
    "Taunt": ("provoke", 6000),
    "SetAmbush": ("ambush", 20_000),
    "CallReinforcements": ("reinforce", 60_000),
    "EquipWeapon": ("gear", 1000),
    "SwitchWeapon": ("gear", 500),
    "UseItem": ("gear", 1000),
    "Interact": ("gear", 1000),
    "Throw": ("throw", 8000),
    "UseAbility": ("ability", 0),
    "UseDefensiveAbility": ("defence", 0),
    "ModifyTerrain": ("terrain", 20_000),
}
"""Group and time from the effect on, milliseconds; that of an ability is its own."""
STRIKES = {"Attack": (10, 0, 1), "AimedShot": (15, 250, 1), "QuickAttack": (5, 0, 1), "HeavyAttack": (25, 200, 0)}
"""Damage, bonus on the chance to hit, rounds fired."""
PACES = (2, 5, 10)
"""Cells a second of walk, run and sprint."""

AROUND = ((0, -1), (-1, 0), (1, 0), (0, 1))
"""North, west, east, south."""

Place = tuple[int, int]
LATE = (2**62, 0)
"""Comes after whoever asks for something."""


@dataclass
class Step:
    """One step of a plan: the kind's name, its stored arguments (None: not given), and its lists and records."""

    kind: str
    args: list[int | None]
    payload: bytes = b""

    def stored(self) -> list[int]:
        """Return the four integers of the columns."""
        given = [NONE if value is None else value for value in self.args]
        return given + [NONE] * (4 - len(given))


Plan = list[Step]


@dataclass
class Agent:
    """Everything there is to know about one agent."""

    key: int
    x: int
    y: int
    team: int
    squad: int
    hp: int
    hp_max: int
    morale: int
    rounds: int
    magazine: int
    reserve: int
    smokes: int
    explosives: int
    medkits: int
    reach: int
    accuracy: int
    sight: int
    objective: str | None
    goal: Place | None
    waiting_since: int
    leader: int | None = None
    taken: bool = False
    broken: bool = False
    damage: int = 1000
    slots: int = 0
    hand: int = 0
    stowed: list[int] = field(default_factory=lambda: [0] * 4)
    cargo: int = 0
    items: dict[str, int] = field(default_factory=dict)
    item_kinds: int = 0
    order: str | None = None
    stamina: int = 100
    ready_at: dict[str, int] = field(default_factory=lambda: dict.fromkeys(GROUPS, 0))
    groups: int = 0
    guard_until: int = 0
    ends: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CONDITIONS, 0))
    marked_by: int | None = None
    focused_by: int | None = None
    drawn_until: int = 0
    drawn_by: int | None = None
    drawn_to: Place | None = None
    plan: Plan = field(default_factory=list)
    status: str = "none"
    step: int = 0
    started_at: int | None = None
    until: int | None = None
    tier: int | None = None
    planned_at: int | None = None
    threats: int = 0
    refusal: str = "no"
    tries: int = 0

    @property
    def place(self) -> Place:
        """The cell it stands on."""
        return self.x, self.y

    def columns(self, texts: Sequence[str], own_items: Sequence[str]) -> dict[str, Any]:
        """Return what the simulation's columns should hold for this agent."""
        plan = [step.stored() for step in self.plan]
        goal = self.goal if self.goal is not None else (-1, -1)
        return {
            "Position.x": self.x,
            "Position.y": self.y,
            "Team.id": self.team,
            "Squad.id": self.squad,
            "Squad.leader": _or(self.leader),
            "Control.taken": self.taken,
            "Health.hp": self.hp,
            "Health.hp_max": self.hp_max,
            "Morale.value": self.morale,
            "Morale.broken": self.broken,
            "Ammo.rounds": self.rounds,
            "Ammo.magazine": self.magazine,
            "Ammo.reserve": self.reserve,
            "Kit.smokes": self.smokes,
            "Kit.explosives": self.explosives,
            "Kit.medkits": self.medkits,
            "Stamina.value": self.stamina,
            "Weapon.reach": self.reach,
            "Weapon.accuracy": self.accuracy,
            "Weapon.damage": self.damage,
            "Arsenal.slots": self.slots,
            "Arsenal.hand": self.hand,
            "Arsenal.rounds": self.stowed,
            "Inventory.cargo": self.cargo,
            "Inventory.kinds": self.item_kinds,
            "Inventory.count": [self.items.get(name, 0) for name in own_items] + [0] * (16 - len(own_items)),
            "Senses.sight": self.sight,
            "Cooldowns.groups": self.groups,
            "Cooldowns.ready_at": [self.ready_at[group] for group in GROUPS],
            "Guard.until": self.guard_until,
            "Conditions.until": [self.ends[name] for name in CONDITIONS],
            "Conditions.marked_by": _or(self.marked_by),
            "Conditions.focused_by": _or(self.focused_by),
            "Attention.until": self.drawn_until,
            "Attention.key": _or(self.drawn_by),
            "Attention.x": _or(self.drawn_to and self.drawn_to[0]),
            "Attention.y": _or(self.drawn_to and self.drawn_to[1]),
            "Goal.objective": -1 if self.objective is None else texts.index(self.objective),
            "Goal.order": -1 if self.order is None else texts.index(self.order),
            "Goal.x": goal[0],
            "Goal.y": goal[1],
            "ActionSteps.length": len(plan),
            "ActionSteps.kind": [KIND_NAMES.index(step.kind) for step in self.plan] + [0] * (8 - len(plan)),
            "ActionSteps.args": plan + [[0, 0, 0, 0]] * (8 - len(plan)),
            "Progress.status": STATUSES.index(self.status),
            "Progress.step": self.step,
            "Progress.started_at": _or(self.started_at),
            "Progress.until": _or(self.until),
            "Progress.tier": _or(self.tier),
            "Progress.planned_at": _or(self.planned_at),
            "Progress.waiting_since": self.waiting_since,
            "Progress.alert": self.threats,
            "Progress.ask_from": 0,
            "Progress.refusals": 0,
            "Progress.refusal": CODES.index(self.refusal),
            "Progress.tries": self.tries,
        }


def _or(value: int | None) -> int:
    return -1 if value is None else value


@dataclass
class Known:
    """What one agent knows when it plans."""

    me: Agent
    enemies: list[Agent]
    allies: list[Agent]
    leader: Agent | None
    cooldowns: dict[str, int]
    caller: Agent | None = None

    def columns(self, world: SlowWorld) -> dict[str, Any]:
        """Return what the batch's columns should hold for this agent; unused places hold key -1 and zeros."""
        me, leader = self.me, self.leader
        drawn = me.drawn_until > world.tick_number
        groups = GROUPS[: max(a.groups for a in world.agents.values())]
        columns = {
            **{f"me.{name}": getattr(me, name) for name in ("team", "hp", "hp_max", "reserve", "morale", "squad")},
            **{f"me.{name}": getattr(me, name) for name in ("smokes", "explosives", "medkits")},
            **_at("me.pos", me.place),
            "me.id": me.key,
            "me.ammo": me.rounds,
            "me.cover": int(world.at(*me.place) == "+"),
            "me.role": world.role(me),
            "me.cooldowns": [self.cooldowns[group] for group in groups],
            "me.conditions": bits(world.held(me)),
            "me.taunted_by": _or(me.drawn_by if drawn else None),
            **_at("me.distracted_to", me.drawn_to if drawn else None),
            "me.cover_wanted_by": -1 if self.caller is None else self.caller.key,
            "me.reserves": world.reserves[me.team],
            "me.holdings": slow_things.holding(world, me),
            **_at("goal", me.goal),
            "objective": -1 if me.objective is None else world.texts.index(me.objective),
            "order": -1 if me.order is None else world.texts.index(me.order),
            "player.id": -1 if leader is None else leader.key,
            **_at("player.pos", (0, 0) if leader is None else leader.place),
            "player.hp": 0 if leader is None else leader.hp,
            "player.order": world.texts.index(leader.order) if leader and leader.order else -1,
            "player.stance": world.stance(leader),
        }
        enemies, allies, things = self.enemies, self.allies, slow_things.things_seen(world, me)
        columns |= _listed("enemies", 8, [(a.key, *a.place, a.hp, bits(world.shown(me, a))) for a in enemies])
        columns |= _listed("allies", 4, [(a.key, *a.place, a.hp, bits(world.held(a))) for a in allies])
        columns["enemies.cover"] = _padded(8, [int(world.at(*a.place) == "+") for a in enemies])
        if world.things:
            columns["objects.id"] = _padded(8, [thing.id for thing in things], -1)
            columns["objects.kind"] = _padded(8, [world.tables.kinds.index(thing.kind) for thing in things])
            columns["objects.pos.x"] = _padded(8, [thing.place[0] for thing in things])
            columns["objects.pos.y"] = _padded(8, [thing.place[1] for thing in things])
            columns["objects.state"] = _padded(8, [-1 if thing.left is None else thing.left for thing in things])
        return columns


def _at(name: str, place: Place | None) -> dict[str, int]:
    x, y = place or (NONE, NONE)
    return {f"{name}.x": x, f"{name}.y": y}


def _padded(most: int, values: list[int], absent: int = 0) -> list[int]:
    return values + [absent] * (most - len(values))


def _listed(name: str, most: int, entries: list[tuple[int, ...]]) -> dict[str, list[int]]:
    columns = ("id", "pos.x", "pos.y", "hp", "conditions")
    return {
        f"{name}.{column}": _padded(most, [entry[place] for entry in entries], 0 if place else -1)
        for place, column in enumerate(columns)
    }


@dataclass
class Aim:
    """One objective of one team, and how far it has come."""

    team: int
    what: Any
    progress: int = 0
    state: str = "open"

    def words(self) -> str:
        """Return what agents read."""
        what = self.what
        if what.text:
            return what.text
        match what.kind:
            case "eliminate":
                return f"eliminate {what.team or 'the enemy'}"
            case "escort":
                return f"escort {what.squad} to {what.place}"
            case "extract":
                return f"extract at {what.place}"
            case "defend":
                return f"defend {what.place or what.squad}" if what.place or what.squad else "survive"
            case "collect":
                return f"collect {what.count}"
            case kind:
                return f"{kind} {what.place}"


Planner = Callable[["SlowWorld", Known], tuple[Plan, int]]
"""Gives an agent's plan and the tier's position."""


@dataclass
class SlowTick:
    """What the slow world can say about a tick besides its state."""

    applied: list[Input]
    refused: list[Input]
    known: dict[int, dict[str, Any]]
    hits_drawn: int
    outcome: str | None


class SlowWorld:
    """The world of a scenario, tick by tick."""

    def __init__(self, scenario: Scenario, seed: int, planner: Planner, terrain: Sequence[Sequence[str]]) -> None:
        self.scenario = scenario
        self.seed = seed
        self.planner = planner
        self.rate = scenario.ticks_per_second
        self.rules = {f"planning.{name}": getattr(scenario.planning, name) for name in PLANNING}
        self.rules["combat.hit_bonus"] = scenario.settings.combat.hit_bonus
        self.rules |= {f"morale.{name}": getattr(scenario.settings.morale, name) for name in MORALE}
        self.tick_number = 0
        self.terrain = [list(row) for row in terrain]
        self.height, self.width = len(self.terrain), len(self.terrain[0])
        self.smoke: dict[Place, int] = {}
        self.reserves = [team.reinforcements.count if team.reinforcements else 0 for team in scenario.settings.teams]
        parts = [part for team in scenario.settings.teams for part in (team, *team.squads)]
        told = {part.objective for part in parts if part.objective}
        self.aims = [Aim(t, each) for t, team in enumerate(scenario.settings.teams) for each in team.objectives]
        self.texts = sorted(told | {aim.words() for aim in self.aims})
        self.extracted: set[int] = set()
        self.tables = slow_things.Tables(scenario)
        self.things = slow_things.first_things(self, THING)
        self.next_thing = len(self.things)
        self.payloads: dict[int, bytes] = {}
        self.edits = [team.terrain_edits for team in scenario.settings.teams]
        self.delivered = [0 for _ in scenario.settings.teams]
        budget = None if scenario.settings.director is None else scenario.settings.director.budget
        self.budget = {what: 0 if budget is None else getattr(budget, what) for what in BUDGETS}
        self.agents: dict[int, Agent] = {}
        self.next_key = 0
        self.executed: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self._fields: dict[Place, dict[Place, int]] = {}
        self._squads = [(t, team, squad) for t, team in enumerate(scenario.settings.teams) for squad in team.squads]
        for number, (_, _, squad) in enumerate(self._squads):
            area = squad.area
            cells = [(x, y) for y in range(area.y, area.y + area.height) for x in range(area.x, area.x + area.width)]
            free = [cell for cell in cells if self.at(*cell) != "#" and self.standing(cell) is None]
            if squad.start == "drawn":
                free.sort(key=lambda cell: self.word(cell[1] * self.width + cell[0], 0, START))
            for place in free[: squad.count]:
                self.join(number, place, 0)
        self.promote()

    def join(self, number: int, place: Place, waiting_since: int, archetype: str | None = None) -> None:
        """Add one fresh agent to a squad."""
        team_number, _, squad = self._squads[number]
        kind = self.scenario.settings.archetypes[archetype or squad.archetype]
        weapons = [self.scenario.settings.weapons[name] for name in kind.weapons]
        weapon = weapons[0] if weapons else kind
        objective, goal = self.after(number)
        agent = self.agents[self.next_key] = Agent(
            self.next_key, *place, team_number, number, kind.hp, kind.hp, kind.morale, weapon.magazine, weapon.magazine,
            kind.reserve, kind.smokes, kind.explosives, kind.medkits, weapon.reach, weapon.accuracy, kind.sight,
            objective, goal, waiting_since,
        )  # fmt: skip
        agent.slots, agent.damage = len(weapons), weapons[0].damage_permille if weapons else 1000
        agent.stowed[1 : len(weapons)] = [spec.magazine for spec in weapons[1:]]
        for name, pieces in kind.items.items():
            slow_things.give(self, agent, name, pieces)
        self.next_key += 1

    def place(self, name: str | None) -> Place | None:
        """Return a named place."""
        return next(((spot.x, spot.y) for spot in self.scenario.settings.map.places if spot.name == name), None)

    def after(self, number: int) -> tuple[str | None, Place | None]:
        """Return the words and the place that a squad is after: its own, its team's, or those of the current aim."""
        team_number, team, squad = self._squads[number]
        text, goal = squad.objective or team.objective, self.place(squad.goal or team.goal)
        aim = self.current(team_number)
        if aim is not None:
            text = text or aim.words()
            goal = goal or self.place(getattr(aim.what, "place", None))
        return text, goal

    def current(self, team: int) -> Aim | None:
        """Return a team's first open objective, or its last."""
        mine = [aim for aim in self.aims if aim.team == team]
        return next((aim for aim in mine if aim.state == "open"), mine[-1] if mine else None)

    def promote(self) -> None:
        """The lowest key of a squad leads it."""
        for agent in self.agents.values():
            agent.leader = min(other.key for other in self.agents.values() if other.squad == agent.squad)

    def word(self, key: int, tick: int, purpose: int) -> int:
        """Draw a number of 32 bits."""
        return philox4x32((key, tick, purpose, 0), (self.seed & 0xFFFFFFFF, self.seed >> 32))[0]

    def archetype(self, agent: Agent) -> Any:
        """Return what an agent's squad is made of."""
        return self.scenario.settings.archetypes[self._squads[agent.squad][2].archetype]

    # The map.

    def at(self, x: int, y: int) -> str:
        """Return `.`, `+` or `#`; there is wall around the map."""
        return self.terrain[y][x] if 0 <= x < self.width and 0 <= y < self.height else "#"

    def standing(self, place: Place) -> Agent | None:
        """Return who stands on a cell."""
        return next((agent for agent in self.agents.values() if agent.place == place), None)

    def sees(self, a: Place, b: Place) -> bool:
        """Walk the line between two cells; both ends are left out."""
        return all(self.at(*cell) != "#" and cell not in self.smoke for cell in line(a, b))

    def walk_from(self, goal: Place) -> dict[Place, int]:
        """Return the walking distance to a goal of every cell from which it can be reached."""
        if goal not in self._fields:
            found: dict[Place, int] = {}
            waiting: deque[tuple[Place, int]] = deque()
            if self.at(*goal) != "#":
                found[goal] = 0
                waiting.append((goal, 0))
            while waiting:
                (x, y), far = waiting.popleft()
                for dx, dy in AROUND:
                    cell = (x + dx, y + dy)
                    if self.at(*cell) != "#" and cell not in found:
                        found[cell] = far + 1
                        waiting.append((cell, far + 1))
            self._fields[goal] = found
        return self._fields[goal]

    def forget_ways(self) -> None:
        """The ground has changed."""
        self._fields.clear()

    # Time.

    def ticks(self, milliseconds: int) -> int:
        """Milliseconds as ticks, rounded up, at least one."""
        whole, rest = divmod(milliseconds * self.rate, 1000)
        return max(whole + (rest > 0), 1)

    def tick(self, inputs: Sequence[Input]) -> SlowTick:
        """Advance one tick."""
        self.hits_drawn = 0
        self.harm: Counter[int] = Counter()
        self.mend: Counter[int] = Counter()
        self.wishes: list[tuple[Agent, Place | None]] = []
        self.clouds: set[Place] = set()
        self.imposed: list[tuple[str, Agent, int]] = []
        self.lifted: list[tuple[str, Agent]] = []
        self.marks: dict[int, tuple[int, int]] = {}
        self.focuses: dict[int, tuple[int, int]] = {}
        self.draws: dict[int, tuple[int, int, int | None, Place | None]] = {}
        self.calls: list[tuple[Agent, int]] = []
        self.uses: list[tuple[Agent, int]] = []
        self.laid: list[tuple[int, str, Place]] = []
        self.reshaped: list[slow_things.Request] = []
        applied, refused = self.take_inputs(inputs)
        known = self.plan()
        self.flee()
        self.execute()
        self.fight()
        self.upkeep()
        self.judge()
        self.clean_up()
        self.tick_number += 1
        return SlowTick(applied, refused, known, self.hits_drawn, self.outcome())

    def outcome(self) -> str | None:
        """Say who won, if it is decided."""
        ends, names = self.scenario.settings.ends, [team.name for team in self.scenario.settings.teams]
        if ends == "never":
            return None
        needed = [[aim.state for aim in self.aims if aim.team == t and aim.what.required] for t in range(len(names))]
        winners = [name for name, states in zip(names, needed, strict=True) if states and set(states) == {"done"}]
        if winners:
            return f"{winners[0]} wins" if len(winners) == 1 else "draw"
        left = []
        for t, name in enumerate(names):
            lost = "failed" in needed[t]
            if ends == "last_team" and (len(names) > 1 or needed[t]):
                lost = lost or not any(agent.team == t for agent in self.agents.values())
            left += [] if lost else [name]
        if len(names) > 1 and len(left) <= 1:
            return f"{left[0]} wins" if left else "draw"
        if not left:
            return f"{names[0]} loses"
        rule = self.scenario.settings.at_limit
        if self.tick_number < self.scenario.ticks or rule.rule == "open":
            return None
        if rule.rule == "team":
            return f"{rule.team} wins"
        if rule.rule == "draw":
            return "draw"
        best = max(self.score(t) for t in range(len(names)))
        winners = [name for t, name in enumerate(names) if self.score(t) == best]
        return f"{winners[0]} wins" if len(winners) == 1 else "draw"

    def score(self, team: int) -> int:
        """Add up a team's points."""
        mine = [aim for aim in self.aims if aim.team == team]
        done = sum(aim.what.points for aim in mine if aim.state == "done")
        return done + sum(aim.what.points_each * aim.progress for aim in mine)

    # Inputs.

    def take_inputs(self, inputs: Sequence[Input]) -> tuple[list[Input], list[Input]]:
        """Apply inputs one after the other, each whole or not at all."""
        applied: list[Input] = []
        refused: list[Input] = []
        for item in inputs:
            done = {Move: self.move, Order: self.give_order, SetCells: self.set_cells, Spawn: self.spawn,
                    Remove: self.remove, Control: self.take, Act: self.act_for, Fortify: self.fortify,
                    SpawnWave: self.wave, Collapse: self.collapse,
                    SetParameter: self.set_number}[type(item)](item)  # fmt: skip
            (applied if done else refused).append(item)
        if any(isinstance(item, Spawn | SpawnWave | Remove) for item in applied):
            self.promote()
        return applied, refused

    def move(self, item: Move) -> bool:
        """The plan is dropped for a walk."""
        agent = self.agents.get(item.agent)
        if agent is None or agent.hp <= 0 or agent.place not in self.walk_from((item.x, item.y)):
            return False
        self.let(agent, [Step("MoveTo", [item.x, item.y])])
        return True

    def let(self, agent: Agent, plan: Plan) -> None:
        """Give an agent a plan of the player's."""
        agent.plan = plan
        agent.status, agent.step, agent.started_at, agent.until = "running", 0, None, None
        agent.tier, agent.planned_at, agent.tries, agent.refusal = None, self.tick_number, 0, "no"
        if not plan:
            agent.status, agent.waiting_since = "finished", self.tick_number

    def stir(self, agent: Agent) -> None:
        """Let an agent plan again, unless the player has it."""
        if not agent.taken:
            agent.status, agent.waiting_since = "stale", self.tick_number

    def set_number(self, item: SetParameter) -> bool:
        """One number of the rules changes, within the bounds of its key."""
        if item.name not in self.rules or not BOUNDS.get(item.name, (0, 100))[0] <= item.value:
            return False
        if item.value > BOUNDS.get(item.name, (0, 100))[1]:
            return False
        self.rules[item.name] = item.value
        return True

    def take(self, item: Control) -> bool:
        """The player takes an agent over or gives it back; either way it stops."""
        agent = self.agents.get(item.agent)
        if agent is None or agent.taken == item.on:
            return False
        agent.taken, agent.broken = item.on, False
        self.let(agent, [])
        return True

    def act_for(self, item: Act) -> bool:
        """The player lets a taken agent do one step."""
        agent, step = self.agents.get(item.agent), item.step
        if agent is None or not agent.taken or agent.hp <= 0:
            return False
        match step:
            case {"act": "Wait", "duration": float() | int() as seconds}:
                self.let(agent, [Step("Wait", [round(seconds * 1000)])])
            case {"act": "MoveTo", "x": x, "y": y} if x < self.width and y < self.height:
                self.let(agent, [Step("MoveTo", [x, y])])
            case {"act": "Attack", "target_id": key}:
                self.let(agent, [Step("Attack", [key])])
            case _:
                return False
        return True

    def fortify(self, item: Fortify) -> bool:
        """Floor becomes cover, for a terrain edit."""
        rect = item.rect
        cells = [(x, y) for y in range(rect.y, rect.y + rect.height) for x in range(rect.x, rect.x + rect.width)]
        floor = [(x, y) for x, y in cells if self.at(x, y) == "."]
        if rect.x + rect.width > self.width or rect.y + rect.height > self.height or not floor:
            return False
        if not self.spend("terrain_edits"):
            return False
        for x, y in floor:
            self.terrain[y][x] = "+"
        return True

    def wave(self, item: SpawnWave) -> bool:
        """Newcomers of an archetype join a squad of the director's team, for a spawn."""
        if self.scenario.settings.director is None or item.archetype not in self.scenario.settings.archetypes:
            return False
        own = self.squad_number(self.scenario.settings.director.squad)
        number = own if item.squad is None else self.squad_number(item.squad)
        if number is None or self._squads[number][0] != self._squads[own][0] or self.budget["spawns"] < 1:
            return False
        kinds = self.scenario.settings.archetypes
        if kinds[item.archetype].weapons != kinds[self._squads[number][2].archetype].weapons:
            return False
        if not self.let_in(number, item.count, (item.origin.x, item.origin.y), item.archetype):
            return False
        return self.spend("spawns")

    def collapse(self, item: Collapse) -> bool:
        """A line of cells becomes wall, for a trap."""
        x, y = item.a.x, item.a.y
        cells = [(x, y)]
        while (x, y) != (item.b.x, item.b.y):
            x += 0 if x == item.b.x else 1 if x < item.b.x else -1
            y += 0 if y == item.b.y else 1 if y < item.b.y else -1
            cells.append((x, y))
        if not (max(item.a.x, item.b.x) < self.width and max(item.a.y, item.b.y) < self.height):
            return False
        if all(self.at(*cell) == "#" for cell in cells) or any(self.standing(cell) for cell in cells):
            return False
        if not self.spend("traps"):
            return False
        for x, y in cells:
            self.terrain[y][x] = "#"
        self._fields.clear()
        return True

    def spend(self, what: str) -> bool:
        """Take one from a budget of the director's, if there is one."""
        if self.budget[what] < 1:
            return False
        self.budget[what] -= 1
        return True

    def squad_number(self, name: str) -> int | None:
        """Return a squad's number."""
        return next((n for n, (_, _, squad) in enumerate(self._squads) if squad.name == name), None)

    def give_order(self, item: Order) -> bool:
        """A squad plans again, with a new order and perhaps a new goal."""
        number = self.squad_number(item.squad)
        members = [agent for agent in self.agents.values() if agent.squad == number]
        if not members or (item.x is None) != (item.y is None):
            return False
        if item.x is not None and not (item.x < self.width and item.y < self.height):
            return False
        if item.text not in self.texts:
            self.texts.append(item.text)
        for agent in members:
            agent.order = item.text
            if item.x is not None:
                agent.goal = (item.x, item.y)
            self.stir(agent)
        return True

    def set_cells(self, item: SetCells) -> bool:
        """Change a rectangle, unless someone would be walled in."""
        cells = [(x, y) for y in range(item.y, item.y + item.height) for x in range(item.x, item.x + item.width)]
        if item.x + item.width > self.width or item.y + item.height > self.height:
            return False
        if item.cell == "wall" and any(self.standing(cell) for cell in cells):
            return False
        for x, y in cells:
            self.terrain[y][x] = {"floor": ".", "cover": "+", "wall": "#"}[item.cell]
        self._fields.clear()
        return True

    def spawn(self, item: Spawn) -> bool:
        """Newcomers take the free cells nearest to a place."""
        number = self.squad_number(item.squad)
        return number is not None and self.let_in(number, item.count, (item.x, item.y))

    def let_in(self, number: int, count: int, spot: Place, archetype: str | None = None) -> bool:
        """Newcomers stand on the free cells nearest to a place."""
        if not (spot[0] < self.width and spot[1] < self.height):
            return False
        taken = {agent.place for agent in self.agents.values()}
        free = [
            (x, y)
            for y in range(self.height)
            for x in range(self.width)
            if self.at(x, y) != "#" and (x, y) not in taken
        ]
        if len(free) < count:
            return False
        free.sort(key=lambda cell: (distance2(cell, spot), cell[1], cell[0]))
        for place in free[:count]:
            self.join(number, place, self.tick_number, archetype)
        return True

    def remove(self, item: Remove) -> bool:
        """One agent leaves."""
        return self.agents.pop(item.agent, None) is not None

    # Perception and planning.

    def sightings(self, agent: Agent, within: int | None = None, *, hostile: bool) -> list[Agent]:
        """Return the enemies or friends an agent sees, nearest first, ties by key."""
        sight = agent.sight if within is None else min(agent.sight, within)
        seen = [
            other
            for other in self.agents.values()
            if other is not agent
            and (other.team != agent.team) == hostile
            and distance2(agent.place, other.place) <= sight * sight
            and self.sees(agent.place, other.place)
        ]
        return sorted(seen, key=lambda other: (distance2(agent.place, other.place), other.key))

    def is_alarmed(self, agent: Agent) -> bool:
        """Tell whether an agent that planned in peace now notices an enemy."""
        if agent.status != "running" or agent.threats or agent.taken or agent.broken:
            return False
        step = agent.plan[agent.step]
        if step.kind == "Scan" and agent.started_at is not None:
            return bool(self.sightings(agent, step.args[0], hostile=True))
        if (agent.key + self.tick_number) % self.rules["planning.alert_every"]:
            return False
        return bool(self.sightings(agent, hostile=True))

    def know(self, agent: Agent) -> Known:
        """Return what an agent knows now."""
        leader = self.agents.get(agent.leader) if agent.leader is not None else None
        return Known(
            agent,
            self.known_enemies(agent)[:8],
            self.sightings(agent, hostile=False)[:4],
            None if leader is agent else leader,
            {group: max(at - self.tick_number, 0) for group, at in agent.ready_at.items()},
            self.caller(agent),
        )

    def role(self, agent: Agent) -> int:
        """Return the number of an agent's role: its squad's own, else that of the archetype its squad is made of."""
        squad = self._squads[agent.squad][2]
        name = squad.role or self.scenario.settings.archetypes[squad.archetype].role
        return -1 if name is None else ROLES.index(name)

    def stance(self, leader: Agent | None) -> int:
        """Return how a leader holds itself: 0 stands, 1 crouches, 2 lies."""
        if leader is None or self.is_(leader, "down"):
            return 0 if leader is None else 2
        return int(self.at(*leader.place) == "+" or self.is_(leader, "ambush"))

    def is_(self, agent: Agent, condition: str) -> bool:
        """Tell whether an agent is under a condition now."""
        return agent.ends[condition] > self.tick_number

    def held(self, agent: Agent) -> set[str]:
        """Return all that an agent is under."""
        return {name for name in CONDITIONS if self.is_(agent, name)}

    def shown(self, viewer: Agent, other: Agent) -> set[str]:
        """Return what a viewer knows of an enemy's conditions."""
        known = {"dodge", "down", "parry", "suppressed"}
        if other.marked_by == viewer.team:
            known.add("marked")
        if other.focused_by == viewer.squad:
            known.add("focus")
        return self.held(other) & known

    def known_enemies(self, agent: Agent) -> list[Agent]:
        """Return the enemies an agent sees, or that its team has marked nearby, by where its attention is."""
        known = self.sightings(agent, hostile=True)
        known += [
            other
            for other in self.agents.values()
            if other.team != agent.team
            and other not in known
            and "marked" in self.shown(agent, other)
            and distance2(agent.place, other.place) <= 256
        ]

        def far(other: Agent) -> int:
            if agent.drawn_until > self.tick_number:
                if agent.drawn_to is not None:
                    return min(distance2(agent.drawn_to, other.place), 1023)
                if other.key == agent.drawn_by:
                    return 0
            return distance2(agent.place, other.place)

        return sorted(known, key=lambda other: (far(other), other.key))

    def caller(self, agent: Agent) -> Agent | None:
        """Return the first squad mate that asks for cover; nobody if that is the agent itself."""
        asking = [a for a in self.agents.values() if a.squad == agent.squad and self.is_(a, "calling")]
        first = min(asking, key=lambda a: a.key, default=None)
        return None if first is agent else first

    def plan(self) -> dict[int, dict[str, Any]]:
        """Choose who plans, longest waiting first, and start the new plans."""
        now = self.tick_number
        alarmed = [agent for agent in self.agents.values() if self.is_alarmed(agent)]
        for agent in alarmed:
            # The need arose at this moment, whatever the old plan waited for.
            agent.status, agent.waiting_since = "stale", now
        free = [agent for agent in self.agents.values() if not (agent.taken or agent.broken) and agent.hp > 0]
        needing = [agent for agent in free if agent.status != "running" and agent.waiting_since <= now]
        needing.sort(key=lambda agent: (agent.waiting_since, agent.key))
        chosen = sorted(agent.key for agent in needing[: self.rules["planning.per_tick_max"]])
        known = {key: self.know(self.agents[key]) for key in chosen}
        columns = {key: what.columns(self) for key, what in known.items()}
        plans = {key: self.planner(self, what) for key, what in known.items()}
        for key, (plan, tier) in plans.items():
            agent = self.agents[key]
            for step in plan:
                if step.payload:
                    slow_things.store(self, step)
            agent.plan, agent.tier = plan, tier
            agent.status, agent.step, agent.started_at, agent.until = "running", 0, None, None
            agent.planned_at = agent.waiting_since = now
            agent.threats = len(known[key].enemies)
            agent.refusal, agent.tries = "no", 0
            friends = len(known[key].allies)
            if friends < 4 and agent.threats >= 2 * (friends + 1):
                agent.morale = max(agent.morale - self.rules["morale.outnumbered_loss"], 0)
        return columns

    def flee(self) -> None:
        """Who is broken and has nothing to do runs from the nearest enemy, or waits."""
        now = self.tick_number
        for agent in self.agents.values():
            if not agent.broken or agent.hp <= 0 or agent.status == "running" or agent.waiting_since > now:
                continue
            seen = self.sightings(agent, hostile=True)
            self.let(agent, [Step("Retreat", [seen[0].key, 16]) if seen else Step("Wait", [1000])])
            agent.waiting_since, agent.threats = now, len(seen)

    # Execution.

    def execute(self) -> None:
        """Everyone gets on with a step; walks and smoke are settled at the end."""
        for key in sorted(self.agents, reverse=True):
            agent = self.agents[key]
            if agent.status == "running":
                self.act(agent, agent.plan[agent.step])
        self.settle_walks()
        self.settle_conditions()
        slow_things.settle(self)
        self.settle_calls()
        for cell in self.clouds:
            end = self.tick_number + 1 + self.ticks(8000)
            self.smoke[cell] = max(self.smoke.get(cell, 0), end)

    def act(self, agent: Agent, step: Step) -> None:
        """Start, continue or end one step."""
        now = self.tick_number
        group, cooldown = COOLDOWNS.get(step.kind, ("", 0))
        if agent.started_at is None:
            if group and agent.ready_at[group] > now:
                return
            why = self.why_not(agent, step)
            if why is not None:
                self.refuse(agent, why)
                return
            self.begin(agent, step)
            agent.started_at = now
            if step.kind not in WALKS:
                lasts = {"Wait": 0, "CoverFire": 1}.get(step.kind)
                lasts = SECONDS.get(step.kind, 0) if lasts is None else step.args[lasts]
                agent.until = now + self.ticks(lasts) - 1
        if step.kind in WALKS:
            self.go(agent, step)
            return
        if agent.until > now:
            return
        if agent.started_at < now:
            why = self.why_not(agent, step)
            if why is not None:
                self.refuse(agent, why)
                return
        self.have_effect(agent, step)
        self.executed[step.kind] += 1
        if group:
            rest = self.ticks(cooldown)
            if step.kind in ("UseAbility", "UseDefensiveAbility"):
                rest = self.scenario.settings.abilities[self.tables.abilities[step.args[0]]].cooldown_s * self.rate
            agent.ready_at[group] = now + rest
            agent.groups = max(agent.groups, GROUPS.index(group) + 1)
        self.finish(agent)

    def finish(self, agent: Agent) -> None:
        """Go on to the next step, or end the plan."""
        agent.step += 1
        agent.started_at = agent.until = None
        agent.tries = 0
        if agent.step == len(agent.plan):
            agent.status, agent.step, agent.waiting_since = "finished", 0, self.tick_number

    def refuse(self, agent: Agent, why: str) -> None:
        """End a plan that cannot go on."""
        self.refusals[why] += 1
        agent.status, agent.refusal = "refused", why
        agent.waiting_since = self.tick_number + self.ticks(500)

    def target(self, step: Step) -> Agent | None:
        """Return the agent a step names."""
        return self.agents.get(step.args[0])

    def why_not(self, agent: Agent, step: Step) -> str | None:
        """Return why a step may not run now; None when it may."""
        if step.kind in slow_things.NAMED:
            return slow_things.why_not(self, agent, step)
        match step.kind:
            case "Attack" | "AimedShot" | "QuickAttack" | "HeavyAttack":
                if step.kind == "HeavyAttack" and agent.stamina < 20:
                    return "no stamina"
                if agent.rounds < STRIKES[step.kind][2]:
                    return "no ammo"
                reach2 = agent.reach**2
                if step.kind == "QuickAttack":
                    reach2 = min(reach2, 16)
                if step.kind == "HeavyAttack":
                    reach2 = 2
                return self.bad_target(agent, step, reach2, hostile=True)
            case "CoverFire":
                if agent.started_at is None and agent.rounds < 3:
                    return "no ammo"
                return self.bad_target(agent, step, agent.reach**2, hostile=True)
            case "AoEAttack":
                return "no ammo" if agent.rounds < 5 else self.bad_aim(agent, step.args, agent.reach**2)
            case "Charge":
                return "no stamina" if agent.stamina < 30 else self.bad_target(agent, step, 64, hostile=True)
            case "Strafe":
                bad = self.bad_target(agent, step, agent.sight**2, hostile=True)
                if bad is not None or agent.stamina < 5:
                    return bad or "no stamina"
                return "blocked" if self.aside(agent, self.target(step), step.args[1]) is None else None
            case "Dodge":
                return self.no_dodge(agent, step)
            case "MarkTarget" | "CoordinateAttack":
                return self.bad_target(agent, step, agent.sight**2, hostile=True)
            case "Taunt" | "Distract":
                bad = self.bad_target(agent, step, 64, hostile=True)
                return "down" if bad is None and self.target(step).hp <= 0 else bad
            case "RequestCover":
                mates = [other for other in self.agents.values() if other.squad == agent.squad]
                return "nothing to do" if len(mates) < 2 else None
            case "CallReinforcements":
                return "no reserves" if self.reserves[agent.team] <= 0 else None
            case "Revive":
                bad = self.bad_target(agent, step, 2, hostile=False)
                return "nothing to do" if bad is None and self.target(step).hp > 0 else bad
            case "Approach":
                return self.bad_target(agent, step, agent.sight**2, hostile=True)
            case "Retreat":
                return "target gone" if self.target(step) is None else None
            case "Heal":
                return self.no_healing(agent, step)
            case "Reload":
                if agent.reserve <= 0:
                    return "no ammo"
                return "nothing to do" if agent.rounds >= agent.magazine else None
            case "ThrowSmoke":
                return "no item" if agent.smokes <= 0 else self.bad_throw(agent, step)
            case "ThrowExplosive":
                return "no item" if agent.explosives <= 0 else self.bad_throw(agent, step)
            case "TakeCover" if step.args[0] is None:
                return "no cover" if self.shelter(agent) is None else None
            case "MoveTo" | "TakeCover" | "Regroup" | "SetAmbush":
                goal = (step.args[0], step.args[1])
                if agent.place not in self.walk_from(goal):
                    return "unreachable"
                return "no cover" if step.kind == "SetAmbush" and self.at(*goal) != "+" else None
        return None

    def no_dodge(self, agent: Agent, step: Step) -> str | None:
        """Judge a dodge: breath, and with a side, an enemy and a free cell."""
        if agent.stamina < 15:
            return "no stamina"
        if step.args[0] is None:
            return None
        enemies = self.sightings(agent, hostile=True)
        if not enemies:
            return "nothing to do"
        return "blocked" if self.aside(agent, enemies[0], step.args[0]) is None else None

    def aside(self, agent: Agent, other: Agent, side: int) -> Place | None:
        """Return the free cell to the left or right of who faces another, east or west before north or south."""
        ahead_x, ahead_y = other.x - agent.x, other.y - agent.y
        # Facing north, left is west: y counts southwards.
        x, y = (ahead_y, -ahead_x) if side == 0 else (-ahead_y, ahead_x)
        cell = (agent.x + (x > 0) - (x < 0), agent.y) if abs(x) >= abs(y) else (agent.x, agent.y + (y > 0) - (y < 0))
        return None if self.at(*cell) == "#" or self.standing(cell) is not None else cell

    def bad_target(self, agent: Agent, step: Step, reach2: int, *, hostile: bool) -> str | None:
        """Judge a target: alive, of the right side, near enough, in sight; the first failure counts."""
        other = self.target(step)
        if other is None:
            return "target gone"
        if (other.team != agent.team) != hostile:
            return "not hostile"
        if distance2(agent.place, other.place) > reach2:
            return "out of range"
        return None if self.sees(agent.place, other.place) else "no sight"

    def no_healing(self, agent: Agent, step: Step) -> str | None:
        """Judge a patient; the healer itself where none is named."""
        if agent.medkits <= 0:
            return "no item"
        patient = agent
        if step.args and step.args[0] is not None:
            bad = self.bad_target(agent, step, 2, hostile=False)
            if bad is not None:
                return bad
            patient = self.agents[step.args[0]]
            if patient.hp <= 0:
                return "down"
        return "nothing to do" if patient.hp >= patient.hp_max else None

    def bad_throw(self, agent: Agent, step: Step) -> str | None:
        """Judge a cell to throw at."""
        return self.bad_aim(agent, step.args, 64)

    def bad_aim(self, agent: Agent, aim: Sequence[int | None], reach2: int) -> str | None:
        """Judge a cell in reach and sight."""
        place = (aim[0], aim[1])
        if distance2(agent.place, place) > reach2:
            return "out of range"
        return "no sight" if self.at(*place) == "#" or not self.sees(agent.place, place) else None

    def begin(self, agent: Agent, step: Step) -> None:
        """Do what happens when a step starts."""
        if step.kind == "Block":
            agent.guard_until = self.tick_number + self.ticks(1000)
        if step.kind == "Parry":
            self.impose("parry", agent, self.ticks(1000))
        if step.kind == "Charge":
            agent.stamina -= 30
        if step.kind == "CoverFire":
            agent.rounds -= 3
            self.impose("suppressed", self.target(step), self.ticks(step.args[1]))
        if step.kind == "TakeCover" and step.args[0] is None:
            step.args = list(self.shelter(agent))

    def have_effect(self, agent: Agent, step: Step) -> None:
        """Do what a step is for."""
        if step.kind in slow_things.NAMED:
            slow_things.have_effect(self, agent, step)
        match step.kind:
            case "Attack" | "AimedShot" | "QuickAttack" | "HeavyAttack":
                self.strike(agent, step)
            case "Reload":
                moved = min(agent.magazine - agent.rounds, agent.reserve)
                agent.rounds += moved
                agent.reserve -= moved
            case "Heal":
                agent.medkits -= 1
                named = step.args[0] if step.args else None
                self.mend[agent.key if named is None else named] += 20
            case "ThrowSmoke":
                agent.smokes -= 1
                self.spread_smoke((step.args[0], step.args[1]))
            case "CoverFire":
                self.strike(agent, step)
            case "AoEAttack":
                self.rake(agent, step)
            case "Strafe":
                agent.stamina -= 5
                self.wishes.append((agent, self.aside(agent, self.target(step), step.args[1])))
            case "Dodge":
                agent.stamina -= 15
                self.impose("dodge", agent, self.ticks(1000))
                if step.args[0] is not None:
                    enemy = self.sightings(agent, hostile=True)[0]
                    self.wishes.append((agent, self.aside(agent, enemy, step.args[0])))
            case "RequestCover":
                self.impose("calling", agent, self.ticks(step.args[0]))
            case "CallReinforcements":
                self.calls.append((agent, step.args[0]))
            case "Revive":
                self.mend[step.args[0]] += 20
            case "MarkTarget" | "CoordinateAttack" | "Taunt" | "Distract":
                self.affect(agent, step)
            case "ThrowExplosive":
                agent.explosives -= 1
                self.explode(agent, (step.args[0], step.args[1]))

    def spread_smoke(self, centre: Place) -> None:
        """Smoke stands around a cell from the next tick on."""
        self.clouds |= {cell for cell in ball(centre, 2) if self.at(*cell) != "#"}

    def explode(self, agent: Agent, centre: Place) -> None:
        """What an agent has thrown goes off."""
        agent.guard_until = 0
        self.lifted.append(("ambush", agent))
        for cell in ball(centre, 2):
            struck = self.standing(cell)
            if struck is not None and self.sees(centre, cell):
                self.harm[struck.key] += 30 if distance2(centre, cell) <= 1 else 15

    def rake(self, agent: Agent, step: Step) -> None:
        """Harm everyone else in a circle whom the shooter has a clear line to."""
        agent.rounds -= 5
        agent.guard_until = 0
        self.lifted.append(("ambush", agent))
        for cell in ball((step.args[0], step.args[1]), step.args[2]):
            struck = self.standing(cell)
            if struck is not None and struck is not agent and self.sees(agent.place, cell):
                self.harm[struck.key] += 4 if self.at(*cell) == "+" else 8

    def impose(self, condition: str, agent: Agent, ticks: int) -> None:
        """Put an agent under a condition from the end of the phase on."""
        self.imposed.append((condition, agent, self.tick_number + 1 + ticks))

    def affect(self, agent: Agent, step: Step) -> None:
        """Mark, focus, taunt or distract; of several who do the same to one in a tick the lowest key counts."""
        now, key = self.tick_number + 1, step.args[0]
        if step.kind == "MarkTarget":
            self.marks[key] = min(self.marks.get(key, LATE), (agent.key, now + self.ticks(10_000)))
        elif step.kind == "CoordinateAttack":
            self.focuses[key] = min(self.focuses.get(key, LATE), (agent.key, now + self.ticks(8000)))
        elif key not in self.draws or self.draws[key][0] > agent.key:
            if step.kind == "Taunt":
                self.draws[key] = (agent.key, now + self.ticks(5000), agent.key, None)
            else:
                self.draws[key] = (agent.key, now + self.ticks(4000), None, agent.place)

    def settle_conditions(self) -> None:
        """What was asked for begins, then what was lifted ends."""
        for condition, agent, until in self.imposed:
            agent.ends[condition] = max(agent.ends[condition], until)
        for key, (by, until) in self.marks.items():
            self.agents[key].ends["marked"] = until
            self.agents[key].marked_by = self.agents[by].team
        for key, (by, until) in self.focuses.items():
            self.agents[key].ends["focus"] = until
            self.agents[key].focused_by = self.agents[by].squad
        for condition, agent in self.lifted:
            agent.ends[condition] = 0
        for key, (_, until, taunter, cell) in self.draws.items():
            agent = self.agents[key]
            agent.drawn_until, agent.drawn_by, agent.drawn_to = until, taunter, cell
            if agent.status != "none" and agent.hp > 0 and not agent.taken:
                agent.status, agent.waiting_since = "stale", self.tick_number

    def settle_calls(self) -> None:
        """Note who comes; they stand on their cells after the dead have left."""
        self.arrivals: list[tuple[int, Place, int]] = []
        taken = {agent.place for agent in self.agents.values()}
        for agent, count in sorted(self.calls, key=lambda call: call[0].key):
            entry = self.scenario.settings.teams[agent.team].reinforcements
            area = entry.area
            cells = [(x, y) for y in range(area.y, area.y + area.height) for x in range(area.x, area.x + area.width)]
            free = [cell for cell in cells if self.at(*cell) != "#" and cell not in taken]
            coming = free[: min(count, self.reserves[agent.team])]
            taken.update(coming)
            self.reserves[agent.team] -= len(coming)
            for cell in coming:
                self.arrivals.append((agent.squad, cell, self.tick_number + 1))

    def strike(self, agent: Agent, step: Step) -> None:
        """Hit or miss."""
        melee = step.kind in ("HeavyAttack", "Charge")
        if step.kind == "CoverFire":
            damage, bonus, rounds = max(step.args[1] * 5 // 1000, 1), 0, 0
        elif step.kind == "Charge":
            damage, bonus, rounds = 20, 100, 0
        else:
            damage, bonus, rounds = STRIKES[step.kind]
        other = self.agents[step.args[0]]
        damage = (damage * agent.damage + 500) // 1000
        chance = agent.accuracy + bonus + self.rules["combat.hit_bonus"]
        chance += self.rules["morale.aim_permille"] * (agent.morale - 50)
        if self.is_(agent, "ambush"):
            chance += 250
            damage = damage * 3 // 2
            self.lifted.append(("ambush", agent))
        chance += 150 * len({"marked", "focus"} & self.shown(agent, other))
        if self.is_(agent, "suppressed"):
            chance -= 300
        if self.is_(other, "dodge"):
            chance -= 400
        if self.at(*other.place) == "+" and distance2(agent.place, other.place) > 4:
            chance -= 400
        chance = max(50, min(chance, 950))
        self.hits_drawn += 1
        word = self.word(agent.key, self.tick_number, HIT)
        agent.rounds -= rounds
        agent.guard_until = 0
        if step.kind == "HeavyAttack":
            agent.stamina -= 20
        if word * 1000 >> 32 < chance:
            turned = melee and self.is_(other, "parry")
            if turned:
                self.lifted.append(("parry", other))
            self.harm[agent.key if turned else other.key] += damage

    # Walking.

    def go(self, agent: Agent, step: Step) -> None:
        """Arrive, or ask for the next cell when it is time for one."""
        if self.has_arrived(agent, step):
            self.arrive(agent, step)
            self.executed[step.kind] += 1
            if step.kind in COOLDOWNS:
                group, cooldown = COOLDOWNS[step.kind]
                agent.ready_at[group] = self.tick_number + self.ticks(cooldown)
                agent.groups = max(agent.groups, GROUPS.index(group) + 1)
            self.finish(agent)
            return
        pace = {"Charge": 10, "Patrol": 2}.get(step.kind, 5)
        if step.kind == "MoveTo" and len(step.args) > 2 and step.args[2] is not None:
            pace = PACES[step.args[2]]
        period = max((self.rate + pace - 1) // pace, 1)
        heavy = agent.morale < self.rules["morale.slow_below"] and not agent.broken
        if heavy or self.is_(agent, "suppressed"):
            period *= 2
        if (self.tick_number - agent.started_at) % period == period - 1:
            self.wishes.append((agent, self.onward(agent, step)))

    def arrive(self, agent: Agent, step: Step) -> None:
        """Do what happens at the end of a walk."""
        if step.kind == "SetAmbush":
            self.impose("ambush", agent, self.ticks(30_000))
        if step.kind == "Regroup" and self.is_together(agent, step):
            agent.morale = min(agent.morale + 10, 100)
        if step.kind == "Charge":
            other = self.target(step)
            if other is not None and distance2(agent.place, other.place) <= 2:
                self.strike(agent, step)

    def is_together(self, agent: Agent, step: Step) -> bool:
        """Tell whether a squad is near a point, but for those who are down."""
        mates = [other for other in self.agents.values() if other.squad == agent.squad and other.hp > 0]
        return all(abs(mate.x - step.args[0]) <= 3 and abs(mate.y - step.args[1]) <= 3 for mate in mates)

    def has_arrived(self, agent: Agent, step: Step) -> bool:
        """Tell whether a walk is over."""
        if step.kind == "Patrol":
            return slow_things.walk_round(self, agent, step)
        if step.kind == "Regroup":
            waited = self.tick_number - agent.started_at >= self.ticks(10_000)
            return waited or self.is_together(agent, step)
        if step.kind in ("MoveTo", "TakeCover", "SetAmbush"):
            goal = (step.args[0], step.args[1])
            if agent.place == goal:
                return True
            crowded = step.kind == "MoveTo" and agent.tries >= 3
            return crowded and self.walk_from(goal).get(agent.place, 99) <= 4
        other = self.target(step)
        if step.kind == "Charge":
            lost = self.bad_target(agent, step, 256, hostile=True) is not None
            return lost or distance2(agent.place, other.place) <= 2
        if step.kind == "Approach":
            lost = self.why_not(agent, step) is not None
            return lost or distance2(agent.place, other.place) <= step.args[1] ** 2
        return other is None or distance2(agent.place, other.place) >= step.args[1] ** 2

    def onward(self, agent: Agent, step: Step) -> Place | None:
        """Return the free neighbour with the lowest score below this cell's, the first of equals; None if none."""
        if step.kind == "Regroup" and abs(agent.x - step.args[0]) <= 3 and abs(agent.y - step.args[1]) <= 3:
            return agent.place
        if step.kind in ("MoveTo", "Patrol", "Regroup", "SetAmbush"):
            patrols = step.kind == "Patrol"
            distances = self.walk_from(slow_things.waypoint(self, step) if patrols else (step.args[0], step.args[1]))

            def score(cell: Place) -> int:
                return distances.get(cell, 2**31 - 1)
        else:
            other = None if step.kind == "TakeCover" else self.target(step)
            end = (step.args[0], step.args[1]) if other is None else other.place
            sign = -1 if step.kind == "Retreat" else 1

            def score(cell: Place) -> int:
                return sign * distance2(cell, end)

        best: Place | None = None
        for dx, dy in AROUND:
            cell = (agent.x + dx, agent.y + dy)
            if self.at(*cell) == "#" or self.standing(cell) is not None:
                continue
            if score(cell) < score(agent.place if best is None else best):
                best = cell
        return best

    def settle_walks(self) -> None:
        """The lowest key wins a cell; who fails too often is blocked. A leap that failed is over, not tried again."""
        taken: set[Place] = set()
        moves: list[tuple[Agent, Place]] = []
        for agent, cell in sorted(self.wishes, key=lambda wish: wish[0].key):
            if cell is not None and cell not in taken:
                taken.add(cell)
                moves.append((agent, cell))
                agent.tries = 0
                continue
            if agent.started_at is None:
                continue
            agent.tries += 1
            if agent.tries >= 8:
                self.refuse(agent, "blocked")
        for agent, cell in moves:
            agent.x, agent.y = cell
            self.lifted.append(("ambush", agent))

    def shelter(self, agent: Agent) -> Place | None:
        """Return the nearest free cell that is cover or hidden from the nearest visible enemy."""
        offsets = [(dx, dy) for dy in range(-5, 6) for dx in range(-5, 6) if abs(dx) + abs(dy) <= 5]
        offsets.sort(key=lambda offset: (abs(offset[0]) + abs(offset[1]), offset[1], offset[0]))
        enemies = self.sightings(agent, hostile=True)
        for dx, dy in offsets:
            cell = (agent.x + dx, agent.y + dy)
            if self.at(*cell) == "#" or self.standing(cell) not in (None, agent):
                continue
            if self.at(*cell) == "+" or (enemies and not self.sees(enemies[0].place, cell)):
                return cell
        return None

    # Combat, upkeep, cleanup.

    def fight(self) -> None:
        """Harm and healing take effect together."""
        dying: list[Agent] = []
        losses: Counter[int] = Counter()
        for agent in self.agents.values():
            harm, mend = self.harm[agent.key], self.mend[agent.key]
            if agent.guard_until > self.tick_number:
                harm = (harm + 1) // 2
            was = agent.hp
            if harm + mend:
                agent.hp = min(agent.hp + mend - harm, agent.hp_max)
            if agent.hp <= 0 < was:
                dying.append(agent)
            losses[agent.key] += harm * self.rules["morale.harm_percent"] // 100
            if harm and not agent.threats and agent.status != "none" and not agent.taken:
                agent.status, agent.waiting_since = "stale", self.tick_number
        for agent in self.agents.values():
            for other in dying:
                losses[agent.key] += self.grief(agent, other)
            agent.morale = max(0, min(agent.morale - losses[agent.key], 100))

    def grief(self, agent: Agent, other: Agent) -> int:
        """Return the morale that an agent loses by another's death."""
        if agent.squad == other.squad:
            return self.rules["morale.squad_loss"]
        if agent.hp <= 0 or distance2(agent.place, other.place) > agent.sight**2:
            return 0
        if not self.sees(agent.place, other.place):
            return 0
        return self.rules["morale.sight_loss"] if agent.team == other.team else -self.rules["morale.victory_gain"]

    def upkeep(self) -> None:
        """Time passes."""
        now = self.tick_number
        for agent in self.agents.values():
            agent.stamina = min(agent.stamina + 1, 100)
            if (now + 1) % self.rate == 0:
                gain = 0 if agent.threats else self.rules["morale.rest_gain"]
                leader = self.agents.get(agent.leader)
                if leader is not None and leader is not agent and leader.hp > 0:
                    near = distance2(agent.place, leader.place) <= self.rules["morale.leader_cells"] ** 2
                    gain += self.rules["morale.leader_gain"] if near else 0
                agent.morale = min(agent.morale + gain, 100)
            self.waver(agent)
            if agent.taken:
                continue
            if agent.status == "running" and now - agent.planned_at >= self.rules["planning.ttl_s"] * self.rate:
                agent.status, agent.waiting_since = "stale", now
        self.smoke = {cell: end for cell, end in self.smoke.items() if end > now + 1}

    def waver(self, agent: Agent) -> None:
        """Break or rally."""
        limit = self.rules["morale.rally_at" if agent.broken else "morale.break_below"]
        breaks = agent.morale < max(limit, self.rules["morale.break_below"])
        breaks = breaks and not agent.taken and agent.hp > 0
        if breaks != agent.broken:
            agent.broken = breaks
            agent.status, agent.waiting_since = "stale", self.tick_number

    def judge(self) -> None:
        """Every open objective looks at who is alive; who is extracted is marked; teams turn to their next aim."""
        before = [self.current(t) for t in range(len(self.scenario.settings.teams))]
        self.extracted = set()
        alive = [agent for agent in self.agents.values() if agent.hp > 0]
        for aim in [aim for aim in self.aims if aim.state == "open"]:
            self.judge_one(aim, alive)
        for number, (t, _, _) in enumerate(self._squads):
            words, goal = self.after(number)
            if self.current(t) is before[t] or self.is_fixed(number):
                continue
            for agent in self.agents.values():
                if agent.squad == number:
                    agent.objective, agent.goal = words, goal
                    self.stir(agent)

    def is_fixed(self, number: int) -> bool:
        """Tell whether a squad was given both words and a place."""
        _, team, squad = self._squads[number]
        return bool(squad.objective or team.objective) and bool(squad.goal or team.goal)

    def judge_one(self, aim: Aim, alive: list[Agent]) -> None:
        """Count one objective's progress."""
        what = aim.what
        squad = self.squad_number(what.squad) if getattr(what, "squad", None) else None
        ours = [a for a in alive if (a.team == aim.team if squad is None else a.squad == squad)]
        spot = self.place(getattr(what, "place", None))
        there = [] if spot is None else [a for a in alive if distance2(a.place, spot) <= what.radius**2]
        here = [agent for agent in ours if agent in there]
        friends = [agent for agent in there if agent.team == aim.team]
        foes = [agent for agent in there if agent.team != aim.team]
        match what.kind:
            case "eliminate":
                names = [team.name for team in self.scenario.settings.teams]
                foes = [a for a in alive if a.team != aim.team and what.team in (None, names[a.team])]
                aim.progress, aim.state = (0, "open") if foes else (1, "done")
            case "reach":
                aim.progress = len(here)
                if what.share_percent is not None:
                    aim.progress = 100 * len(here) // max(len(ours), 1)
                aim.state = "done" if aim.progress >= (what.share_percent or what.count) else "open"
            case "hold":
                aim.progress += bool(friends) and (what.contested or not foes)
                aim.state = "done" if aim.progress == what.ticks else "open"
            case "escort":
                aim.progress = len(here)
                aim.state = "failed" if len(ours) < what.count else "open"
                aim.state = "done" if len(here) >= what.count else aim.state
            case "extract":
                self.extracted |= {agent.key for agent in here}
                aim.progress += len(here)
                possible = aim.progress + len(ours) - len(here)
                aim.state = "failed" if possible < what.count else "open"
                aim.state = "done" if aim.progress >= what.count else aim.state
            case "defend":
                lost = not ours if spot is None else foes and not friends
                aim.progress += not lost
                aim.state = "failed" if lost else "done" if aim.progress == what.ticks else "open"
            case "collect":
                aim.progress = min(self.delivered[aim.team], what.count)
                aim.state = "done" if aim.progress == what.count else "open"

    def clean_up(self) -> None:
        """The dead leave, or lie down first, and so do the extracted; then those come who were called."""
        dead = [key for key, agent in self.agents.items() if agent.hp <= 0 and self.dies(agent)]
        dead += [key for key in self.extracted if key not in dead]
        for agent in self.agents.values():
            if agent.hp > 0 and agent.ends["down"]:
                agent.ends["down"], agent.waiting_since = 0, self.tick_number
        for key in dead:
            del self.agents[key]
        for number, place, waiting_since in self.arrivals:
            self.join(number, place, waiting_since)
        if dead or self.arrivals:
            self.promote()
        slow_things.forget(self)

    def dies(self, agent: Agent) -> bool:
        """Let who has no hit points left lie down, or say that it is over."""
        lies = self.scenario.settings.downed_s
        if lies and not agent.ends["down"]:
            agent.hp, agent.status, agent.waiting_since = 0, "stale", self.tick_number
            agent.ends["down"] = self.tick_number + 1 + self.ticks(lies * 1000)
            return False
        return not lies or agent.hp < 0 or agent.ends["down"] <= self.tick_number + 1


def bits(conditions: set[str]) -> int:
    """Return conditions as they are stored in a batch."""
    return sum(1 << CONDITIONS.index(name) for name in conditions)


def distance2(a: Place, b: Place) -> int:
    """Return the squared distance of two cells."""
    return (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2


def line(a: Place, b: Place) -> Iterator[Place]:
    """Yield the cells between two cells: the one canonical line of the pair."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    if dy < 0 or (dy == 0 and dx < 0):
        a, dx, dy = b, -dx, -dy
    n = max(abs(dx), abs(dy))
    for i in range(1, n):
        yield a[0] + (2 * i * dx + n) // (2 * n), a[1] + (2 * i * dy + n) // (2 * n)


def ball(centre: Place, radius: int) -> list[Place]:
    """Return the cells within a distance of a cell."""
    span = range(-radius, radius + 1)
    return [(centre[0] + dx, centre[1] + dy) for dy in span for dx in span if dx * dx + dy * dy <= radius * radius]
