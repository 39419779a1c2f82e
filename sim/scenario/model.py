"""Scenarios: what a run starts from, as data. A TOML file in, a validated `Scenario` out.

A scenario is complete: map, archetypes, teams, squads, planning and timed inputs. Its canonical JSON stands in every
replay's header, so a replay needs no other file. Whatever is wrong with a file, `load` says it in one sentence: the
file, the dotted key, the reason.

Where agents and things start is told in `sim.scenario.placement`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Annotated, Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from scipy import ndimage

from ai.actions import CELLS_MAX, NAMES_MAX
from ai.heuristics import HeuristicConfig
from ai.planners.scripted import Script
from ai.roles import RoleName
from sim.components import ABILITIES_MAX, ITEMS_MAX, SLOTS_MAX
from sim.errors import ScenarioError
from sim.explain import one_line, problem, sentence, suggestion
from sim.gear import DEFAULT_ITEMS, AbilitySpec, ItemSpec, WeaponSpec
from sim.grid import Terrain
from sim.inputs import (
    Act,
    CellIndex,
    Collapse,
    Control,
    Fortify,
    Move,
    Name,
    Order,
    Remove,
    SetCells,
    SetParameter,
    Spawn,
    SpawnWave,
    TimedInput,
)
from sim.objectives import OBJECTIVES_MAX, Eliminate, Escort, Extract, Objective, Text
from sim.objects import Gives, MapObject, Opens, Scattered, Takes
from sim.rng import Purpose, Rng
from sim.scenario.placement import Start, overlapping, place_agents, place_things
from sim.scenario.tiers import tier_order

AGENTS_MAX: Final = 200_000
"""Agents a scenario may start with."""
TICKS_MAX: Final = 10_000_000
"""Ticks a run may last."""
POIS_MAX: Final = 64
"""Named places of a map."""
THINGS_MAX: Final = 1000
"""Things that stand on a map."""
SQUADS_MAX: Final = 1000
"""Squads of a scenario."""
CELLS_TOTAL_MAX: Final = 4_194_304
"""Cells of a map."""
INPUTS_MAX: Final = 100_000
"""Timed inputs of a scenario or of a file of inputs."""

GLYPHS: Final = {".": Terrain.FLOOR, "+": Terrain.COVER, "#": Terrain.WALL}
"""What a map is drawn with."""

PLUGINS_MAX: Final = 16
"""Plug-ins of a scenario."""
PluginName = Annotated[str, Field(max_length=128, pattern=r"^(?:[A-Za-z0-9_-]+/)*[A-Za-z0-9_-]+(?:\.py)?$")]
"""A Python file beside the scenario's own or in a folder there, or the name of an installed plug-in."""
Tiers = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=64)], ...], Field(min_length=1, max_length=16)]
Terrains = NDArray[np.uint8]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Place(_Part):
    """A named place that everyone knows."""

    name: Name
    x: CellIndex
    y: CellIndex


class GeneratedMap(_Part):
    """A map made from a seed: walls and cover scattered over open floor, one connected region left open.

    `mirrored` makes the east the mirror image of the west, so that neither side has the better ground.
    """

    width: Annotated[int, Field(ge=4, le=CELLS_MAX)]
    height: Annotated[int, Field(ge=4, le=CELLS_MAX)]
    walls_permille: Annotated[int, Field(ge=0, le=400)] = 100
    cover_permille: Annotated[int, Field(ge=0, le=400)] = 50
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    mirrored: bool = False


class Map(_Part):
    """The map: either `rows` of equal length (`.` floor, `+` cover, `#` wall) or `generate`.

    `objects` stand where the file says, `scattered` ones where the run's seed says.
    """

    rows: Annotated[tuple[str, ...], Field(max_length=CELLS_MAX)] = ()
    generate: GeneratedMap | None = None
    places: Annotated[tuple[Place, ...], Field(max_length=POIS_MAX)] = ()
    objects: Annotated[tuple[MapObject, ...], Field(max_length=THINGS_MAX)] = ()
    scattered: Annotated[tuple[Scattered, ...], Field(max_length=THINGS_MAX)] = ()

    @property
    def width(self) -> int:
        """Cells from west to east."""
        return self.generate.width if self.generate else len(self.rows[0])

    @property
    def height(self) -> int:
        """Cells from north to south."""
        return self.generate.height if self.generate else len(self.rows)

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if bool(self.rows) == (self.generate is not None):
            raise problem("", "needs exactly one of 'rows' (a drawn map) and 'generate' (a made one)")
        for y, row in enumerate(self.rows):
            if not row or len(row) > CELLS_MAX:
                raise problem(f"rows[{y}]", f"is {len(row)} cells wide; a row has 1 to {CELLS_MAX}")
            if len(row) != len(self.rows[0]):
                raise problem(f"rows[{y}]", f"is {len(row)} cells wide, the first row {len(self.rows[0])}; pad it")
            odd = re.search(f"[^{re.escape(''.join(GLYPHS))}]", row)
            if odd:
                known = ", ".join(f"{glyph!r} {kind.name.lower()}" for glyph, kind in GLYPHS.items())
                raise problem(f"rows[{y}]", f"has {odd.group()!a} at column {odd.start()}; use {known}")
        if self.width * self.height > CELLS_TOTAL_MAX:
            raise problem("", f"has {self.width * self.height} cells; at most {CELLS_TOTAL_MAX} are possible")
        self._check_places()
        self._check_objects()
        return self

    def _check_objects(self) -> None:
        spots: list[tuple[str, int, int]]
        listed: tuple[MapObject | Scattered, ...] = (*self.objects, *self.scattered)
        for index, thing in enumerate(listed):
            if isinstance(thing, Scattered):
                name, area = f"scattered[{index - len(self.objects)}]", thing.area
                spots = [(f"{name}.area", area.x + area.width - 1, area.y + area.height - 1)]
            else:
                name = f"objects[{index}]"
                spots = [(name, thing.x, thing.y)]
            if isinstance(thing.effect, Opens):
                opening = thing.effect
                corner = opening.x + opening.width - 1, opening.y + opening.height - 1
                spots.append((f"{name}.effect", *corner))
            for key, x, y in spots:
                if x >= self.width or y >= self.height:
                    raise problem(key, f"reaches to ({x}, {y}), outside the {self.width} by {self.height} map")
        things = len(self.objects) + sum(group.count for group in self.scattered)
        if things > THINGS_MAX:
            raise problem("scattered", f"makes {things} things in all; at most {THINGS_MAX} are possible")
        areas = [group.area for group in self.scattered]
        for one, other in overlapping(areas, range(len(areas))):
            raise problem(f"scattered[{one}].area", f"overlaps that of scattered[{other}]; draw from areas apart")

    def _check_places(self) -> None:
        cells = _terrain(self)
        names: set[str] = set()
        for index, place in enumerate(self.places):
            key = f"places[{index}]"
            if place.name in names:
                raise problem(f"{key}.name", f"{place.name!r} is used twice; names are unique")
            names.add(place.name)
            if place.x >= self.width or place.y >= self.height:
                where = f"({place.x}, {place.y})"
                raise problem(key, f"{place.name!r} at {where} is outside the {self.width} by {self.height} map")
            if cells[place.y, place.x] == Terrain.WALL:
                free = np.argwhere(cells != Terrain.WALL)
                hint = "there is no free cell"
                if len(free):
                    y, x = free[np.abs(free - (place.y, place.x)).sum(axis=1).argmin()]
                    hint = f"the nearest free cell is ({x}, {y})"
                raise problem(key, f"{place.name!r} at ({place.x}, {place.y}) stands in a wall; {hint}")


class Archetype(_Part):
    """What kind of agent a squad is made of: its starting values.

    The first of `weapons` is in hand at the start and replaces reach, accuracy and magazine. `carry` is how many units
    of cargo fit. `role` is what such agents care for, as language models read it (`ai.roles`).
    """

    hp: Annotated[int, Field(ge=1, le=10_000)] = 100
    morale: Annotated[int, Field(ge=0, le=100)] = 100
    magazine: Annotated[int, Field(ge=0, le=1000)] = 30
    reserve: Annotated[int, Field(ge=0, le=10_000)] = 90
    smokes: Annotated[int, Field(ge=0, le=100)] = 1
    explosives: Annotated[int, Field(ge=0, le=100)] = 1
    medkits: Annotated[int, Field(ge=0, le=100)] = 1
    sight: Annotated[int, Field(ge=1, le=16)] = 10
    reach: Annotated[int, Field(ge=1, le=16)] = 8
    accuracy: Annotated[int, Field(ge=0, le=1000)] = 700
    carry: Annotated[int, Field(ge=0, le=10_000)] = 10
    weapons: Annotated[tuple[Name, ...], Field(max_length=SLOTS_MAX)] = ()
    items: Annotated[dict[Name, Annotated[int, Field(ge=0, le=1000)]], Field(max_length=ITEMS_MAX)] = {}
    abilities: Annotated[tuple[Name, ...], Field(max_length=ABILITIES_MAX)] = ()
    role: RoleName | None = None


class Area(_Part):
    """A rectangle of cells."""

    x: CellIndex
    y: CellIndex
    width: Annotated[int, Field(ge=1, le=CELLS_MAX)]
    height: Annotated[int, Field(ge=1, le=CELLS_MAX)]


class Squad(_Part):
    """Agents of one archetype that start in one area; the first one leads.

    `start` says on which of the area's free cells: the first in row order (`rows`), or those that the run's seed draws
    (`drawn`; no other squad's area may overlap then).
    A squad of none waits for those who join it later. `objective` and `goal` (a place) stand in for the team's, `role`
    for the archetype's; whoever joins later has the squad's role too.
    """

    name: Name
    archetype: Name
    count: Annotated[int, Field(ge=0, le=AGENTS_MAX)]
    area: Area
    start: Start = "rows"
    objective: Text | None = None
    goal: Name | None = None
    role: RoleName | None = None


class Reinforcements(_Part):
    """Agents that a team may call in: how many in all, and the area (its edge of the map) where they enter."""

    count: Annotated[int, Field(ge=1, le=AGENTS_MAX)]
    area: Area


class Team(_Part):
    """Squads that fight on one side, what they read that they are after (`objective`), and where that is (`goal`).

    Where these are not given, agents read the first of `objectives` that is open, and go to its place.
    `reinforcements` are who may still come. `tiers` and `heuristics` are how this team plans, where it is not as
    `planning.tiers` and the scenario's `heuristics` say.
    """

    name: Name
    objective: Text | None = None
    goal: Name | None = None
    objectives: Annotated[tuple[Objective, ...], Field(max_length=OBJECTIVES_MAX)] = ()
    reinforcements: Reinforcements | None = None
    tiers: Tiers | None = None
    heuristics: HeuristicConfig | None = None
    squads: Annotated[tuple[Squad, ...], Field(min_length=1, max_length=1000)]
    terrain_edits: Annotated[int, Field(ge=0, le=1000)] = 3

    @model_validator(mode="after")
    def _tries_each_once(self) -> Self:
        _check_tiers(self.tiers or ())
        return self


class Planning(_Part):
    """How plans are made: the tiers in order, how many agents a tick, and how long a plan holds."""

    tiers: Tiers = ("simplified_llm", "full_llm", "heuristic", "emergency")
    start: str | None = None
    per_tick_max: Annotated[int, Field(ge=1, le=AGENTS_MAX)] = 100_000
    stagger_ticks: Annotated[int, Field(ge=1, le=1000)] = 5
    ttl_s: Annotated[int, Field(ge=1, le=3600)] = 20
    alert_every_ticks: Annotated[int, Field(ge=1, le=1000)] = 10

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        _check_tiers(self.tiers)
        if self.start is not None and self.start not in self.tiers:
            raise problem("start", f"{self.start!r} is not in the list of tiers: {', '.join(self.tiers)}")
        return self


def _check_tiers(tiers: tuple[str, ...]) -> None:
    for index, tier in enumerate(tiers):
        if tier in tiers[:index]:
            raise problem(f"tiers[{index}]", f"{tier!r} is listed twice; each tier is tried once")


class CombatRules(_Part):
    """What changes every hit: `hit_bonus` is added to each chance to hit, per-mille, before its bounds."""

    hit_bonus: Annotated[int, Field(ge=-1000, le=1000)] = 0


Share = Annotated[int, Field(ge=0, le=100)]


class MoraleRules(_Part):
    """What moves morale (0 to 100), and what it does.

    It falls by `harm_percent` of hit points lost, by `squad_loss` for each of the squad who dies, by `sight_loss` for
    each other friend seen dying, and by `outnumbered_loss` for each plan made with at least twice as many enemies in
    sight as friends, oneself included. It rises by `victory_gain` for each enemy seen dying; and each second by
    `rest_gain` for those whose plan knows of no enemy, and by `leader_gain` for those whose leader is within
    `leader_cells`. Each point above or below 50 is worth `aim_permille` on the chance to hit. Below `slow_below` an
    agent walks at half its pace; below `break_below` it breaks and flees as fast as it can; from `rally_at` on it plans
    again.
    """

    harm_percent: Annotated[int, Field(ge=0, le=1000)] = 50
    squad_loss: Share = 10
    sight_loss: Share = 5
    outnumbered_loss: Share = 2
    victory_gain: Share = 5
    rest_gain: Share = 5
    leader_gain: Share = 1
    leader_cells: Annotated[int, Field(ge=0, le=64)] = 5
    aim_permille: Annotated[int, Field(ge=0, le=20)] = 2
    slow_below: Share = 25
    break_below: Share = 10
    rally_at: Share = 25


class Budget(_Part):
    """How many operations the director has: collapses (`traps`), fortifications, and waves (`spawns`)."""

    traps: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    terrain_edits: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    spawns: Annotated[int, Field(ge=0, le=1_000_000)] = 0


class Director(_Part):
    """Who plays against the teams from outside: the squad that its waves join, and what it may do."""

    squad: Name
    budget: Budget = Budget()


class AtLimit(_Part):
    """What a run that is open after its last tick comes to.

    `open`: nothing; `draw`: a draw; `score`: the highest score wins; `team`: the named team wins.
    """

    rule: Literal["open", "draw", "score", "team"] = "open"
    team: Name | None = None

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if (self.rule == "team") != (self.team is not None):
            raise problem("team", "goes with rule = 'team' and with no other; add the one or drop the other")
        return self


class Scenario(_Part):
    """A whole run's start. `load` reads one from a name or a path."""

    name: Name
    description: Text
    ticks: Annotated[int, Field(ge=1, le=TICKS_MAX)] = 300
    ticks_per_second: Annotated[int, Field(ge=1, le=1000)] = 10
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    map: Map
    archetypes: Annotated[dict[Name, Archetype], Field(min_length=1, max_length=1000)]
    weapons: Annotated[dict[Name, WeaponSpec], Field(max_length=NAMES_MAX)] = {}
    items: Annotated[dict[Name, ItemSpec], Field(max_length=ITEMS_MAX)] = {}
    abilities: Annotated[dict[Name, AbilitySpec], Field(max_length=ABILITIES_MAX)] = {}
    teams: Annotated[tuple[Team, ...], Field(min_length=1, max_length=64)]
    planning: Planning = Planning()
    heuristics: HeuristicConfig = HeuristicConfig()
    combat: CombatRules = CombatRules()
    morale: MoraleRules = MoraleRules()
    script: Script = Script()
    inputs: Annotated[tuple[TimedInput, ...], Field(max_length=INPUTS_MAX)] = ()
    ends: Literal["last_team", "objectives", "never"] = "last_team"
    at_limit: AtLimit = AtLimit()
    director: Director | None = None
    plugins: Annotated[tuple[PluginName, ...], Field(max_length=PLUGINS_MAX)] = ()
    downed_s: Annotated[int, Field(ge=0, le=3600)] = 0

    @property
    def agents(self) -> int:
        """Agents the run starts with."""
        return sum(self._count(team) for team in self.teams)

    @property
    def digest(self) -> str:
        """Thirty-two hex digits that name this scenario: equal digests, equal scenarios."""
        text = json.dumps(self.canonical(), sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(text.encode(), digest_size=16, person=b"tickweave-scen").hexdigest()

    def canonical(self) -> dict[str, Any]:
        """Return the scenario as plain JSON data, defaults included; what a replay's header holds."""
        return self.model_dump(mode="json")

    @classmethod
    def from_canonical(cls, data: object, source: str = "scenario") -> Scenario:
        """Read what `canonical` returned; `source` stands first in a refusal.

        Raises:
            ScenarioError: the data is no valid scenario; one sentence.
        """
        try:
            return cls.model_validate_json(json.dumps(data, allow_nan=False))
        except ValidationError as error:
            raise ScenarioError(one_line(f"{source}: {sentence(error, _schema())}")) from None
        except (TypeError, ValueError, RecursionError) as error:
            # Dates and times, integers thousands of digits long, NaN: TOML can write them, JSON cannot.
            raise ScenarioError(one_line(f"{source}: holds a value that no key takes ({error})")) from None

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if not 1 <= self.agents <= AGENTS_MAX:
            raise problem("teams", f"have {self.agents} agents in all; 1 to at most {AGENTS_MAX} are possible")
        self._check_gear()
        places = [place.name for place in self.map.places]
        teams: set[str] = set()
        squads: set[str] = set()
        for t, team in enumerate(self.teams):
            if team.name in teams:
                raise problem(f"teams[{t}].name", f"{team.name!r} is used twice; names are unique")
            teams.add(team.name)
            _check_name(f"teams[{t}].goal", team.goal, places, "place")
            for s, squad in enumerate(team.squads):
                self._check_squad(f"teams[{t}].squads[{s}]", squad, squads)
                _check_name(f"teams[{t}].squads[{s}].goal", squad.goal, places, "place")
            if team.reinforcements is not None:
                self._check_area(f"teams[{t}].reinforcements.area", team.reinforcements.area)
        for t, team in enumerate(self.teams):
            for o, objective in enumerate(team.objectives):
                self._check_objective(f"teams[{t}].objectives[{o}]", team, objective)
        _check_name("at_limit.team", self.at_limit.team, [team.name for team in self.teams], "team")
        if self.director is not None:
            _check_name("director.squad", self.director.squad, sorted(squads), "squad")
        tier_order(self)
        self._check_rules("heuristics", self.heuristics)
        for t, team in enumerate(self.teams):
            self._check_rules(f"teams[{t}].heuristics", team.heuristics or HeuristicConfig())
        self._check_inputs(squads)
        if len(squads) > SQUADS_MAX:
            raise problem("teams", f"have {len(squads)} squads in all; at most {SQUADS_MAX} are possible")
        self._check_starts()
        return self

    def _check_starts(self) -> None:
        """Check that everyone and everything finds a cell, whatever the seed."""
        squads = [squad for team in self.teams for squad in team.squads]
        drawn = [number for number, squad in enumerate(squads) if squad.start == "drawn"]
        for one, other in overlapping([squad.area for squad in squads], drawn):
            raise problem("teams", f"let the area of {squads[one].name!r} overlap that of {squads[other].name!r}; "
                          "agents whose cells are drawn need an area of their own")  # fmt: skip
        walls = terrain(self) == Terrain.WALL
        try:
            place_agents(self, walls, self.seed)
            place_things(self.map, walls, self.seed)
        except ScenarioError as error:
            raise problem("", str(error)) from None

    def _check_gear(self) -> None:
        taken: dict[str, str] = dict.fromkeys(DEFAULT_ITEMS, "items")
        for table in ("weapons", "items", "abilities"):
            for name in getattr(self, table):
                if name in taken:
                    raise problem(f"{table}.{name}", f"is a name of {taken[name]} already; weapons, items and "
                                  "abilities share one set of names")  # fmt: skip
                taken[name] = table
        listed = {"objects": self.map.objects, "scattered": self.map.scattered}
        things = [(f"map.{part}[{n}].effect", thing) for part, many in listed.items() for n, thing in enumerate(many)]
        for key, thing in things:
            if isinstance(thing.effect, Gives):
                _check_name(f"{key}.item", thing.effect.item, sorted({*DEFAULT_ITEMS, *self.items}), "item")
            if isinstance(thing.effect, Takes):
                _check_name(f"{key}.team", thing.effect.team, [team.name for team in self.teams], "team")
        for name, archetype in self.archetypes.items():
            for table, what in (("weapons", "weapon"), ("items", "item"), ("abilities", "ability")):
                wanted = list(getattr(archetype, table))
                for index, thing in enumerate(wanted):
                    _check_name(f"archetypes.{name}.{table}", thing, sorted(getattr(self, table)), what)
                    if thing in wanted[:index]:
                        raise problem(f"archetypes.{name}.{table}[{index}]", f"{thing!r} is listed twice")

    def _check_rules(self, key: str, config: HeuristicConfig) -> None:
        """Check that the places, things and items that rules name are there."""
        items = {*DEFAULT_ITEMS, *self.items}
        known = {
            "place": sorted(place.name for place in self.map.places),
            "object": sorted({thing.kind for thing in (*self.map.objects, *self.map.scattered)} | items),
            "item": sorted(items | {"cargo", *self.weapons, *self.abilities}),
        }
        for number, rule in enumerate(config.rules):
            for part in ("when", "unless", "then"):
                for index, each in enumerate(getattr(rule, part)):
                    for what, names in known.items():
                        where = f"{key}.rules[{number}].{part}[{index}].{what}"
                        _check_name(where, getattr(each, what, None), names, what)

    def _check_squad(self, key: str, squad: Squad, names: set[str]) -> None:
        if squad.name in names:
            raise problem(f"{key}.name", f"{squad.name!r} is used twice; names are unique in the whole scenario")
        names.add(squad.name)
        if squad.archetype not in self.archetypes:
            hint = suggestion(squad.archetype, sorted(self.archetypes), "archetypes")
            raise problem(f"{key}.archetype", f"no archetype {squad.archetype!r}; {hint}")
        self._check_area(f"{key}.area", squad.area)

    def _check_area(self, key: str, area: Area) -> None:
        if area.x + area.width > self.map.width or area.y + area.height > self.map.height:
            raise problem(
                key,
                f"reaches to ({area.x + area.width - 1}, {area.y + area.height - 1}), outside the "
                f"{self.map.width} by {self.map.height} map",
            )

    def _check_objective(self, key: str, team: Team, objective: Objective) -> None:
        """Check that the places, squads and teams it names are there, and that it can be done at all."""
        places, own = [place.name for place in self.map.places], {squad.name: squad for squad in team.squads}
        _check_name(f"{key}.place", getattr(objective, "place", None), places, "place")
        squad: str | None = getattr(objective, "squad", None)
        _check_name(f"{key}.squad", squad, list(own), "squad of the team")
        if isinstance(objective, Eliminate):
            others = [other.name for other in self.teams if other is not team]
            _check_name(f"{key}.team", objective.team, others, "other team")
        if isinstance(objective, Escort | Extract):
            counted = self._count(team) if squad is None else own[squad].count
            if counted < objective.count:
                raise problem(f"{key}.count", f"is {objective.count}, but there are {counted} agents to begin with")

    def _count(self, team: Team) -> int:
        return sum(squad.count for squad in team.squads)

    def _check_inputs(self, squads: set[str]) -> None:
        for index, timed in enumerate(self.inputs):
            check_input(self, timed, f"inputs[{index}].input", squads)


def _check_name(key: str, name: str | None, known: Sequence[str], what: str) -> None:
    if name is not None and name not in known:
        raise problem(key, f"no {what} {name!r}; {suggestion(name, known, f'{what}s')}")


def check_input(scenario: Scenario, timed: TimedInput, key: str, squads: set[str] | None = None) -> None:
    """Check what can be known of an input before the run: names that it uses exist and its cells are on the map.

    Raises:
        PydanticCustomError: it does not fit the scenario; `key` is where it stands.
    """
    item = timed.input
    if squads is None:
        squads = {squad.name for team in scenario.teams for squad in team.squads}
    _check_name(f"{key}.squad", getattr(item, "squad", None), sorted(squads), "squad")
    match item:
        case Move() | Order() | SetCells() | Spawn():
            cells = [(f"{key}.", item.x, item.y)]
        case Fortify():
            cells = [(f"{key}.rect.", item.rect.x, item.rect.y)]
        case SpawnWave():
            _check_name(f"{key}.archetype", item.archetype, sorted(scenario.archetypes), "archetype")
            cells = [(f"{key}.origin.", item.origin.x, item.origin.y)]
        case Collapse():
            cells = [(f"{key}.a.", item.a.x, item.a.y), (f"{key}.b.", item.b.x, item.b.y)]
        case Control() | Act() | Remove() | SetParameter():
            cells = []
    if isinstance(item, Fortify | SpawnWave | Collapse) and scenario.director is None:
        raise problem(key, f"{item.kind} needs a director; add [director] with a squad and a budget")
    for at, x, y in cells:
        for axis, value, size in (("x", x, scenario.map.width), ("y", y, scenario.map.height)):
            if value is not None and value >= size:
                raise problem(
                    f"{at}{axis}", f"{value} is outside the {scenario.map.width} by {scenario.map.height} map"
                )


@cache
def _schema() -> dict[str, Any]:
    return Scenario.model_json_schema()


@lru_cache(maxsize=4)
def generate_map(spec: GeneratedMap) -> Terrains:
    """Make a map: `[height, width] uint8` terrain, read-only.

    Each cell is drawn on its own; then everything outside the largest region that can be walked through (four
    neighbours, ties to the region met first in row order) is filled with wall, so that every open cell can be reached
    from every other.
    """
    rng = Rng(spec.seed)
    cells = np.empty((spec.height, spec.width), np.uint8)
    for y in range(spec.height):
        first = y * spec.width
        drawn = rng.below(np.arange(first, first + spec.width, dtype=np.int64), 0, Purpose.MAP, 1000)
        cells[y] = np.select(
            [drawn < spec.walls_permille, drawn < spec.walls_permille + spec.cover_permille],
            [Terrain.WALL, Terrain.COVER],
            Terrain.FLOOR,
        )
    if spec.mirrored:
        half = spec.width // 2
        cells[:, spec.width - half :] = cells[:, half - 1 :: -1]
    regions, count = ndimage.label(cells != Terrain.WALL)
    if count > 1:
        sizes = np.bincount(regions.ravel(), minlength=count + 1)
        sizes[0] = 0
        cells[regions != sizes.argmax()] = Terrain.WALL
    cells.flags.writeable = False
    return cells


def _terrain(plan: Map) -> Terrains:
    if plan.generate is not None:
        return generate_map(plan.generate)
    drawn = np.frombuffer("".join(plan.rows).encode("ascii"), np.uint8).reshape(plan.height, plan.width)
    cells = np.zeros_like(drawn)
    for glyph, kind in GLYPHS.items():
        cells[drawn == ord(glyph)] = kind
    return cells


def terrain(scenario: Scenario) -> Terrains:
    """Return the map a run starts with: `[height, width] uint8`, codes of `sim.grid.Terrain`."""
    return _terrain(scenario.map).copy()
