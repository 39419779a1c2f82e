"""Hypothesis strategies for runs: small scenarios with every feature of the rules, and inputs for them.

Values shrink to few agents on a small open map, and to few inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from hypothesis import strategies as st

from scenarios.tactics.inputs import (
    Act,
    Collapse,
    Control,
    Fortify,
    Input,
    Move,
    Order,
    Rect,
    Remove,
    SetCells,
    SetParameter,
    Spawn,
    SpawnWave,
    Spot,
)
from scenarios.tactics.parameters import NAMES
from scenarios.tactics.testing.flat import flat
from sim.run.plugins import Plugin
from sim.run.scenario_file import Scenario

TIERS: Final = (["simplified_llm", "full_llm", "heuristic", "emergency"], ["heuristic"], ["emergency"])
WORDS: Final = ("reach the door", "hold", "fall back")

CONDITIONS: st.SearchStrategy[str] = st.one_of(
    st.builds(lambda below: f"me.morale < {below}", st.sampled_from([0, 60, 95, 100])),
    st.builds(lambda share: f"me.hp < {share}% of me.hp_max", st.sampled_from([10, 60, 100])),
    st.builds(lambda most: f"me.ammo <= {most}", st.integers(0, 3)),
    st.builds(lambda cells: f"enemies within {cells}", st.integers(1, 8)),
    st.builds(lambda text: f"objective contains '{text}'", st.sampled_from(["REACH", "hold"])),
    st.builds(lambda text: f"order contains '{text}'", st.sampled_from(["back", "Reach"])),
    st.builds(lambda share: f"allies.hp > 0 and allies.hp < {share}% of me.hp_max", st.sampled_from([30, 90])),
    st.builds(lambda item: f"me.{item} >= 1", st.sampled_from(["smokes", "explosives", "medkits"])),
    st.builds(
        lambda group: f"me.cooldowns.{group} <= 0",
        st.sampled_from(["block", "heal", "scan", "throw", "weapon", "singing"]),
    ),
    st.sampled_from(
        [
            "enemies", "no enemies", "order", "always", "me.cover_wanted_by", "me.cover == low", "no player",
            "me.reserves > 0",
        ]
    ),
    st.builds(
        lambda who, held: f"{who}.conditions has {held}",
        st.sampled_from(["me", "allies", "enemies"]),
        st.sampled_from(["ambush", "calling", "down", "focus", "marked", "suppressed"]),
    ),
    st.builds(lambda who, count: f"{who} >= {count}", st.sampled_from(["enemies", "allies"]), st.integers(1, 3)),
    st.builds(lambda what, cells: f"{what} within {cells}", st.sampled_from(["player", "goal"]), st.integers(1, 6)),
    st.builds(lambda held: f"player.stance == {held}", st.sampled_from(["crouch", "prone", "stand"])),
    st.builds(lambda cells: f"pois 'door' within {cells}", st.integers(1, 6)),
    st.builds(lambda seconds: f"after {seconds}", st.integers(0, 3)),
    st.builds(lambda count: f"one in {count} from 1", st.integers(1, 3)),
)  # fmt: skip
DOWN: Final = "nearest where conditions has down"
UP: Final = "fewest:hp where no conditions has down"
STEPS: Final[list[dict[str, Any] | str]] = [
    {"act": "Heal"},
    {"act": "Reload"},
    {"act": "TakeCover"},
    {"act": "ThrowExplosive", "x": "nearest enemies", "y": "nearest enemies"},
    {"act": "MoveTo", "x": "goal", "y": "goal"},
    {"act": "Block"},
    "throw smoke",
    "heal ally",
    "move to leader",
    "ambush in cover",
    {"act": "MarkTarget", "target_id": "nearest"},
    {"act": "CoordinateAttack", "target_id": "fewest:hp"},
    {"act": "Attack", "target_id": "nearest where conditions has marked"},
    {"act": "Attack", "target_id": "nearest where conditions has focus"},
    {"act": "CoverFire", "target_id": "nearest", "duration": 1.5},
    {"act": "RequestCover", "duration": 2},
    {"act": "Charge", "target_id": "fewest:hp"},
    {"act": "Taunt", "target_id": "nearest"},
    {"act": "Heal", "target_id": UP},
    {"act": "Heal", "target_id": "player"},
    {"act": "Heal", "target_id": "nearest where id == me.cover_wanted_by"},
    {"act": "Revive", "ally_id": DOWN},
    {"act": "MoveTo", "x": "nearest allies where conditions has down", "y": "nearest allies where conditions has down"},
    {"act": "MoveTo", "x": "player", "y": "player", "speed": "sprint"},
    {"act": "MoveTo", "x": "me.distracted_to", "y": "me.distracted_to"},
    {"act": "MoveTo", "x": "nearest enemies", "y": "nearest enemies", "speed": "walk"},
    {"act": "Regroup", "rally_point": "pois 'door'"},
    {"act": "Regroup", "rally_point": "goal"},
    {"act": "ThrowSmoke", "x": "me.pos", "y": "me.pos"},
    {"act": "Dodge", "direction": "left"},
]
"""Steps for rules, with picks as targets and cells."""
ACTIONS: st.SearchStrategy[dict[str, Any] | str] = st.one_of(
    st.builds(
        lambda verb: {"act": verb, "target_id": "nearest"},
        st.sampled_from(["Attack", "AimedShot", "QuickAttack", "HeavyAttack"]),
    ),
    st.builds(lambda cells: {"act": "Approach", "target_id": "nearest", "distance": cells}, st.integers(1, 6)),
    st.builds(lambda cells: {"act": "Retreat", "target_id": "nearest", "distance": cells}, st.integers(1, 8)),
    st.builds(lambda cells: {"act": "Scan", "radius": cells}, st.integers(1, 12)),
    st.builds(lambda seconds: {"act": "Wait", "duration": seconds}, st.sampled_from([0.1, 0.5, 1.25])),
    st.sampled_from(STEPS),
)
RULES = st.lists(
    st.builds(
        lambda when, unless, then: {"when": when, "unless": unless, "then": then},
        st.lists(CONDITIONS, min_size=1, max_size=2),
        st.lists(CONDITIONS, max_size=1),
        st.lists(ACTIONS, min_size=1, max_size=3),
    ),
    min_size=1,
    max_size=8,
)


def objectives_for(squads: list[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Draw an objective of any kind for a team of these squads."""
    place, radius = st.sampled_from(["door", "corner"]), st.integers(0, 6)
    ticks, squad = st.sampled_from([1, 3, 8]), st.sampled_from(squads)
    worth = {"required": st.booleans(), "points": st.sampled_from([0, 10]), "points_each": st.sampled_from([0, 1])}

    def some(kind: str, **keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
        return st.fixed_dictionaries({"kind": st.just(kind), **keys, **worth})

    def of_squad(kind: str) -> st.SearchStrategy[dict[str, Any]]:
        return squad.flatmap(
            lambda chosen: some(
                kind, squad=st.just(chosen["name"]), place=place, radius=radius, count=st.integers(1, chosen["count"])
            )
        )

    names = st.sampled_from([each["name"] for each in squads])
    return st.one_of(
        some("eliminate"),
        some("reach", place=place, radius=radius, count=st.integers(1, 3), squad=st.none() | names),
        some("reach", place=place, radius=radius, share_percent=st.sampled_from([1, 50, 100])),
        some("hold", place=place, radius=radius, ticks=ticks, contested=st.booleans()),
        of_squad("escort"),
        of_squad("extract"),
        some("extract", place=place, radius=radius, text=st.sampled_from([None, "extract them"])),
        some("defend", ticks=ticks, place=place, radius=radius),
        some("defend", ticks=ticks, squad=st.none() | names),
        some("collect", count=ticks),
    )


def _share(one: dict[str, int], other: dict[str, int]) -> bool:
    return all(
        one[start] < other[start] + other[size] and other[start] < one[start] + one[size]
        for start, size in (("x", "width"), ("y", "height"))
    )


@st.composite
def scenarios(draw: st.DrawFn, plugins: Sequence[Plugin] = ()) -> Scenario:
    """Draw a scenario of up to 18 agents in one to three teams on a map of at most 16 by 12 cells.

    Args:
        draw: the function that hypothesis passes.
        plugins: plug-ins that the scenario names; pass them to the run as well. Their planners precede all other tiers.
    """
    own = [planner.name for plugin in plugins for planner in plugin.planners]
    width, height = draw(st.integers(4, 16)), draw(st.integers(4, 12))
    rows = [["."] * width for _ in range(height)]
    patches = st.tuples(
        st.integers(0, width - 1), st.integers(0, height - 1), st.integers(1, 4), st.integers(1, 3),
        st.sampled_from("+#"),
    )  # fmt: skip
    for left, top, wide, high, glyph in draw(st.lists(patches, max_size=10)):
        for y in range(top, min(top + high, height)):
            for x in range(left, min(left + wide, width)):
                rows[y][x] = glyph
    rows[0][0] = "."
    free = {(x, y) for y in range(height) for x in range(width) if rows[y][x] != "#"}
    teams: list[dict[str, Any]] = []
    for number in range(draw(st.integers(1, 3))):
        squads = []
        for name in "ab"[: draw(st.integers(1, 2))]:
            x, y = draw(st.integers(0, width - 2)), draw(st.integers(0, height - 2))
            wide, high = draw(st.integers(2, width - x)), draw(st.integers(2, height - y))
            cells = sorted((cy, cx) for cx, cy in free if x <= cx < x + wide and y <= cy < y + high)
            if not cells:
                continue
            count = min(len(cells), draw(st.integers(1, 3)))
            free -= {(cx, cy) for cy, cx in cells[:count]}
            squads.append(
                {
                    "name": f"{name}{number}",
                    "archetype": draw(st.sampled_from(["one", "two"])),
                    "count": count,
                    "area": {"x": x, "y": y, "width": wide, "height": high},
                }
            )
        if squads:
            team: dict[str, Any] = {"name": f"team {number}", "squads": squads}
            if draw(st.booleans()):
                team |= {"objective": draw(st.sampled_from(WORDS)), "goal": "door"}
            if draw(st.booleans()):
                team["objectives"] = draw(st.lists(objectives_for(squads), min_size=1, max_size=3))
            if draw(st.integers(0, 4)) == 0:
                squads[0]["objective"] = "hold"
            if draw(st.integers(0, 4)) == 0:
                squads[-1]["goal"] = "corner"
            if draw(st.integers(0, 4)) == 0:
                squads[-1]["role"] = "stealth"
            if draw(st.booleans()):
                edge = {"x": draw(st.integers(0, width - 2)), "y": 0, "width": 2, "height": height}
                team["reinforcements"] = {"count": draw(st.integers(1, 4)), "area": edge}
            teams.append(team)
    if not teams:
        alone = {"name": "a0", "archetype": "one", "count": 1, "area": {"x": 0, "y": 0, "width": 1, "height": 1}}
        teams.append({"name": "team 0", "squads": [alone]})
    everyone = [squad for team in teams for squad in team["squads"]]
    for squad in everyone:
        if sum(_share(squad["area"], other["area"]) for other in everyone) == 1 and draw(st.booleans()):
            squad["start"] = "drawn"
    door = max(free | {(0, 0)})
    director = {
        "squad": draw(st.sampled_from([squad["name"] for team in teams for squad in team["squads"]])),
        "budget": {"traps": draw(st.integers(0, 2)), "terrain_edits": 1, "spawns": draw(st.integers(0, 2))},
    }
    first = {"rule": "team", "team": teams[0]["name"]}
    kinds = st.fixed_dictionaries(
        {
            "hp": st.sampled_from([5, 40, 100]),
            "morale": st.sampled_from([0, 50, 100]),
            "magazine": st.sampled_from([0, 2, 20]),
            "reserve": st.sampled_from([0, 3, 90]),
            "smokes": st.integers(0, 2),
            "explosives": st.integers(0, 2),
            "medkits": st.integers(0, 2),
            "sight": st.sampled_from([1, 3, 6, 16]),
            "reach": st.sampled_from([1, 4, 8, 16]),
            "accuracy": st.sampled_from([0, 500, 1000]),
            "role": st.sampled_from([None, "support"]),
        }
    )
    return flat(
        {
            "name": "arena",
            "description": "drawn",
            "ticks": draw(st.sampled_from([100, 5, 20])),
            "ticks_per_second": draw(st.sampled_from([10, 5, 1, 3, 20])),
            "seed": draw(st.integers(0, 2**63 - 1)),
            "map": {
                "rows": ["".join(row) for row in rows],
                "places": [{"name": "door", "x": door[0], "y": door[1]}, {"name": "corner", "x": 0, "y": 0}],
            },
            "archetypes": {"one": draw(kinds), "two": draw(kinds)},
            "teams": teams,
            "plugins": [plugin.name for plugin in plugins],
            "planning": {
                "tiers": [*own, *draw(st.sampled_from(TIERS))],
                "per_tick_max": draw(st.sampled_from([1000, 1, 3])),
                "ttl_s": draw(st.sampled_from([20, 1, 3])),
                "alert_every": draw(st.integers(1, 6)),
            },
            "rules": draw(RULES),
            "downed_s": draw(st.sampled_from([0, 0, 1, 3])),
            "morale": draw(
                st.fixed_dictionaries(
                    {},
                    optional={
                        "slow_below": st.sampled_from([0, 60, 100]),
                        "break_below": st.sampled_from([0, 60, 100]),
                        "rally_at": st.sampled_from([0, 70, 100]),
                        "leader_cells": st.integers(0, 4),
                        "rest_gain": st.integers(0, 20),
                        "victory_gain": st.integers(0, 40),
                    },
                )
            ),
            "ends": draw(st.sampled_from(["last_team", "objectives", "never"])),
            "director": draw(st.none() | st.just(director)),
            "at_limit": draw(st.sampled_from([{}, {"rule": "draw"}, {"rule": "score"}, first])),
        }
    )


def inputs(scenario: Scenario, ticks: int) -> st.SearchStrategy[dict[int, list[Input]]]:
    """Draw inputs of every kind by tick, for a run of `ticks` ticks; pass them to `Simulation.inject`.

    Some name agents, squads or cells that do not exist: they are refused and have no effect.
    """
    squads = [squad.name for team in scenario.settings.teams for squad in team.squads]
    agent = st.integers(0, scenario.agents + 3)
    squad = st.sampled_from([*squads, "nobody"])
    x, y = st.integers(0, scenario.settings.map.width), st.integers(0, scenario.settings.map.height)
    size = st.integers(1, 4)
    spot = st.builds(Spot, x=x, y=y)
    steps: st.SearchStrategy[dict[str, Any]] = st.one_of(
        st.builds(lambda x, y: {"act": "MoveTo", "x": x, "y": y}, x, y),
        st.builds(lambda key: {"act": "Attack", "target_id": key}, agent),
        st.builds(lambda seconds: {"act": "Wait", "duration": seconds}, st.sampled_from([0.5, 2])),
        st.sampled_from([{"act": "Dance"}, {}, {"act": "MoveTo", "x": -1, "y": 0}]),
    )
    kinds: st.SearchStrategy[Input] = st.one_of(
        st.builds(Move, agent=agent, x=x, y=y),
        st.builds(Order, squad=squad, text=st.sampled_from([*WORDS, "run"]), x=st.none() | x, y=st.none() | y),
        st.builds(SetCells, cell=st.sampled_from(["floor", "cover", "wall"]), x=x, y=y, width=size, height=size),
        st.builds(Spawn, squad=squad, count=st.sampled_from([1, 2, 3, 900]), x=x, y=y),
        st.builds(Remove, agent=agent),
        st.builds(Control, agent=agent, on=st.sampled_from([True, True, False])),
        st.builds(Act, agent=agent, step=steps),
        st.builds(Fortify, rect=st.builds(Rect, x=x, y=y, width=size, height=size)),
        st.builds(
            SpawnWave,
            archetype=st.sampled_from(["one", "two", "three"]),
            count=st.sampled_from([1, 2, 900]),
            origin=spot,
            squad=st.none() | squad,
        ),
        st.builds(Collapse, a=spot, b=spot),
        st.builds(SetParameter, name=st.sampled_from([*NAMES, "morale"]), value=st.sampled_from([0, 1, 30, 100, 5000])),
    )
    timed = st.tuples(st.integers(0, ticks - 1), kinds)

    def by_tick(found: list[tuple[int, Input]]) -> dict[int, list[Input]]:
        sorted_: dict[int, list[Input]] = {}
        for tick, item in found:
            sorted_.setdefault(tick, []).append(item)
        return sorted_

    return st.lists(timed, max_size=8).map(by_tick)
