"""A corpus of broken scenario files: each is refused in one sentence that says where and why, and with exit code 64."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from scenarios.tactics import objectives
from scenarios.tactics.actions.base import Action
from scenarios.tactics.scenario import checks, rules, teams
from scenarios.tactics.scenario import map as map_
from sim.cli import invoke
from sim.cli.common import USAGE
from sim.errors import ScenarioError
from sim.run import planning
from sim.run.files import FILE_BYTES_MAX
from sim.run.plugins import Plugin
from sim.run.scenario_file import Scenario, from_toml, load
from sim.run.simulation import Simulation
from tests.support.sentences import handed, said_by

GOOD = """
domain = "tactics"
name = "room"
description = "Two against two"

[settings.map]
rows = ["....", ".+#.", "...."]
places = [{ name = "door", x = 3, y = 1 }]

[settings.archetypes.rifle]

[[settings.teams]]
name = "a"
goal = "door"
squads = [{ name = "a1", archetype = "rifle", count = 2, area = { x = 0, y = 0, width = 2, height = 3 } }]

[[settings.teams]]
name = "b"
squads = [{ name = "b1", archetype = "rifle", count = 2, area = { x = 2, y = 0, width = 2, height = 3 } }]

[[inputs]]
tick = 3
input = { kind = "order", squad = "a1", text = "hold", x = 1, y = 1 }
"""

BUSHES = (
    '{{ kind = "bush", count = {count}, effect = {{ kind = "yield" }}, '
    "area = {{ x = {x}, y = 0, width = {width}, height = 3 }} }}"
)
"""Things to be scattered over three rows."""

SECONDS_MAX = 20.0


class Sing(Action):
    """Sing a song."""


@dataclass(frozen=True)
class Broken:
    """A broken file and what its sentence says."""

    name: str
    content: bytes
    says: str


def _changed(name: str, old: str, new: str, says: str) -> Broken:
    assert GOOD.count(old) >= 1
    return Broken(name, GOOD.replace(old, new, 1).encode(), says)


def _added(name: str, text: str, says: str) -> Broken:
    return Broken(name, (text + GOOD).encode(), says)


BROKEN = [
    Broken("empty", b"", "domain: is missing; add it"),
    Broken("binary", b"\x7fELF\x02\xff\xfe", "is not UTF-8 at byte 5"),
    Broken("utf-16", GOOD.encode("utf-16"), "is not UTF-8 at byte 0"),
    Broken("json", b'{"name": "room"}', "is not TOML"),
    Broken("nul", GOOD.replace("a1", "a\x00").encode(), "is not TOML"),
    _changed("unclosed text", 'name = "room"', 'name = "room', "is not TOML: Illegal character '\\n' (at line 3"),
    _added("key twice", 'name = "other"\n', "is not TOML: Cannot overwrite a value"),
    _added("deep arrays", f"x = {'[' * 100_000}\n", "nests more than 32 levels deep"),
    _added("deep keys", ".".join("k" * 100_000) + " = 1\n", "nests more than 32 levels deep"),
    _added("a date", "seed = 1979-05-27\n", "holds a value that no key takes"),
    _added("an endless number", f"seed = 0x{'f' * 20_000}\n", "holds a value that no key takes"),
    _added("too large a number", f"seed = {2**63}\n", "seed: should be less than 9223372036854775808"),
    _added("a float", "seed = 1.5\n", "seed: should be a valid integer, not 1.5"),
    _added("a boolean", "ticks = true\n", "ticks: should be a valid integer, not True"),
    _added("no ticks", "ticks = 0\n", "ticks: should be greater than or equal to 1, not 0"),
    _added("a misspelt key", "tikcs = 5\n", "tikcs: is not a known key; did you mean 'ticks'?"),
    _changed(
        "a misspelt inner key",
        "count = 2",
        "cuont = 2, count = 2",
        "squads[0].cuont: is not a known key; did you mean 'count'",
    ),
    _changed(
        "a misspelt input key",
        'text = "hold"',
        'text = "hold", sqad = 1',
        "inputs[0].input.sqad: is not a known key; did you mean 'squad'",
    ),
    _changed(
        "an unknown input",
        'kind = "order"',
        'kind = "dance"',
        "inputs[0].input.kind: no input is of kind 'dance'; kinds: act, collapse, control, fortify, kill, move",
    ),
    _changed("a name with a newline", 'name = "room"', 'name = "ro\\nom"', "name: should match pattern"),
    _changed("a huge text", "Two against two", "x" * 1000, "description: should have at most 300 characters"),
    _changed("no map", 'rows = ["....", ".+#.", "...."]', "", "settings.map: needs exactly one of 'rows'"),
    _changed(
        "two maps",
        "[settings.map]",
        "[settings.map]\ngenerate = { width = 9, height = 9 }",
        "settings.map: needs exactly one of 'rows'",
    ),
    _changed("a ragged map", '"...."]', '"..."]', "settings.map.rows[2]: is 3 cells wide, the first row 4; pad it"),
    _changed(
        "an odd glyph", ".+#.", ".?#.", "settings.map.rows[1]: has '?' at column 1; use '.' floor, '+' cover, '#' wall"
    ),
    _changed("an odd letter", ".+#.", ".é#.", "settings.map.rows[1]: has '\\xe9' at column 1"),
    _changed(
        "a place in a wall",
        "x = 3, y = 1 }]",
        "x = 2, y = 1 }]",
        "settings.map.places[0]: 'door' at (2, 1) stands in a wall; the nearest free cell is (2, 0)",
    ),
    _changed(
        "a place off the map",
        "x = 3, y = 1 }]",
        "x = 4, y = 1 }]",
        "settings.map.places[0]: 'door' at (4, 1) is outside the 4 by 3 map",
    ),
    _changed(
        "a place twice",
        "y = 1 }]",
        'y = 1 }, { name = "door", x = 0, y = 0 }]',
        "settings.map.places[1].name: 'door' is used twice",
    ),
    _changed(
        "a map too large",
        'rows = ["....", ".+#.", "...."]',
        "generate = { width = 4096, height = 4096 }",
        "settings.map: has 16777216 cells; at most 4194304",
    ),
    _changed(
        "an unknown goal",
        'goal = "door"',
        'goal = "dor"',
        "settings.teams[0].goal: no place 'dor'; did you mean 'door'?",
    ),
    _changed(
        "an unknown archetype",
        '"rifle"',
        '"rifel"',
        "settings.teams[0].squads[0].archetype: no archetype 'rifel'; did you mean 'rifle'?",
    ),
    _changed("a team twice", 'name = "b"', 'name = "a"', "settings.teams[1].name: 'a' is used twice"),
    _changed("a squad twice", 'name = "b1"', 'name = "a1"', "settings.teams[1].squads[0].name: 'a1' is used twice"),
    _changed(
        "an area off the map",
        "x = 2, y = 0",
        "x = 3, y = 0",
        "settings.teams[1].squads[0].area: reaches to (4, 2), outside the 4 by 3 map",
    ),
    _changed(
        "an unknown start",
        "height = 3 } }]",
        'height = 3 }, start = "random" }]',
        "settings.teams[0].squads[0].start: should be 'rows' or 'drawn', not 'random'",
    ),
    _changed(
        "drawn agents in another's area",
        "width = 2, height = 3 } }]",
        'width = 3, height = 3 }, start = "drawn" }]',
        "settings.teams: let the area of 'a1' overlap that of 'b1'; agents whose cells are drawn need an area of",
    ),
    _changed(
        "things scattered off the map",
        "places =",
        f"scattered = [{BUSHES.format(count=2, x=2, width=3)}]\nplaces =",
        "settings.map.scattered[0].area: reaches to (4, 2), outside the 4 by 3 map",
    ),
    _changed(
        "things scattered over each other",
        "places =",
        f"scattered = [{BUSHES.format(count=1, x=0, width=2)}, {BUSHES.format(count=1, x=1, width=2)}]\nplaces =",
        "settings.map.scattered[0].area: overlaps that of scattered[1]; draw from areas apart",
    ),
    _changed(
        "more things than cells",
        "places =",
        f"scattered = [{BUSHES.format(count=12, x=0, width=4)}]\nplaces =",
        "settings.map.scattered[0].area: has 11 free cells for 12 of 'bush'; enlarge it or lower the count",
    ),
    _changed(
        "more things than there may be",
        "places =",
        f"scattered = [{BUSHES.format(count=1000, x=0, width=1)}, {BUSHES.format(count=1, x=1, width=1)}]\nplaces =",
        "settings.map.scattered: makes 1001 things in all; at most 1000 are possible",
    ),
    _changed(
        "an area too full",
        "count = 2",
        "count = 7",
        "settings.teams[0].squads[0].area: has 6 free cells for the 7 agents of 'a1'",
    ),
    _changed(
        "too many agents",
        "count = 2",
        "count = 1000000",
        "settings.teams: have 1000002 agents in all; 1 to at most 1000000",
    ),
    _changed(
        "a tier twice",
        "[settings.map]",
        '[planning]\ntiers = ["heuristic", "heuristic"]\n[settings.map]',
        "planning.tiers[1]: 'heuristic' is listed twice",
    ),
    _changed(
        "an unknown start",
        "[settings.map]",
        '[planning]\nstart = "full"\n[settings.map]',
        "planning.start: 'full' is not in the list of tiers",
    ),
    _changed("an order to nobody", 'squad = "a1"', 'squad = "a2"', "inputs[0].input.squad: no squad 'a2'"),
    _changed(
        "an order off the map",
        'text = "hold", x = 1',
        'text = "hold", x = 4',
        "inputs[0].input.x: 4 is outside the 4 by 3 map",
    ),
    _changed(
        "an unknown rule",
        "[settings.map]",
        '[[rules]]\nwhen = "always"\nthen = { act = "Sing" }\n[settings.map]',
        "rules[0]: there is no action 'Sing'; known: ",
    ),
    _changed(
        "an unknown move",
        "[settings.map]",
        '[[rules]]\nwhen = "always"\nthen = "sing"\n[settings.map]',
        "rules[0]: there is no move 'sing'; known: ",
    ),
    _changed(
        "a rule about nothing",
        "[settings.map]",
        '[[rules]]\nwhen = "me.moral < 3"\nthen = { act = "Block" }\n[settings.map]',
        "rules[0]: condition 'me.moral < 3': ",
    ),
    _changed(
        "a rule cut short",
        "[settings.map]",
        '[[rules]]\nwhen = "me.morale <"\nthen = { act = "Block" }\n[settings.map]',
        "rules[0].when: condition 'me.morale <': '<' is followed by ",
    ),
    _changed(
        "a rule without a step",
        "[settings.map]",
        '[[rules]]\nwhen = "always"\nthen = []\n[settings.map]',
        "rules[0].then: should have at least 1",
    ),
    _changed(
        "a step that is a number",
        "[settings.map]",
        '[[rules]]\nwhen = "always"\nthen = [7]\n[settings.map]',
        "rules[0].then: a step is an action, a table with a verb under 'act', a name, or a function",
    ),
    _changed(
        "a rule with a key too many",
        "[settings.map]",
        '[[rules]]\nwhen = "always"\nthne = "sing"\nthen = { act = "Block" }\n[settings.map]',
        "rules[0].thne: is not a known key; did you mean 'then'?",
    ),
    _changed(
        "the second rule is wrong",
        "[settings.map]",
        '[[rules]]\nwhen = "always"\nthen = { act = "Block" }\n'
        '[[rules]]\nwhen = "always"\nthen = { act = "Attack", target_id = "nearest allies" }\n[settings.map]',
        "rules[1]: Attack.target_id: 'nearest allies': target_id takes ids of enemies, not of 'allies'",
    ),
    _changed(
        "a rule out of range",
        "[settings.map]",
        '[[rules]]\nwhen = "always"\nthen = { act = "Scan", radius = 101 }\n[settings.map]',
        "rules[0]: Scan.radius: must be from 1 to 64",
    ),
    _added("not a number", "seed = nan\n", "holds a value that no key takes"),
    _added("an endless value", "ticks = inf\n", "holds a value that no key takes"),
    _added("a list for a text", 'description = ["x"]\n', "is not TOML: Cannot overwrite a value"),
    _added("a text for a number", 'ticks_per_second = "ten"\n', "ticks_per_second: should be a valid integer"),
    _changed("a billion agents", "count = 2", "count = 1000000000", "squads[0].count: should be less than or equal to"),
    _changed("a negative count", "count = 2", "count = -2", "squads[0].count: should be greater than or equal to 0"),
    _changed("a share of an agent", "count = 2", "count = 1.5", "squads[0].count: should be a valid integer"),
    _changed("a negative place", "x = 0, y = 0, width", "x = -1, y = 0, width", "squads[0].area.x: should be greater"),
    _changed(
        "a spawn in walls",
        "x = 2, y = 0, width = 2, height = 3",
        "x = 2, y = 1, width = 1, height = 1",
        "settings.teams[1].squads[0].area: has 0 free cells for the 2 agents of 'b1'",
    ),
    _changed("an empty map", 'rows = ["....", ".+#.", "...."]', 'rows = [""]', "settings.map.rows[0]: is 0 cells wide"),
    _added("a plug-in above", 'plugins = ["../rules.py"]\n', "plugins[0]: should match pattern"),
    _added("a plug-in anywhere", 'plugins = ["/etc/passwd"]\n', "plugins[0]: should match pattern"),
    _added("a plug-in by tricks", 'plugins = ["a/../../b.py"]\n', "plugins[0]: should match pattern"),
    _added("an end there is not", 'settings.ends = "tomorrow"\n', "settings.ends: should be "),
    _changed(
        "tiers that contradict",
        "[settings.map]",
        '[planning.groups.a]\ntiers = ["heuristic", "full_llm", "emergency"]\n[settings.map]',
        "planning.groups: try the tiers emergency, full_llm, heuristic in orders that contradict each other",
    ),
    _changed(
        "a tier of a group twice",
        "[settings.map]",
        '[planning.groups.a]\ntiers = ["heuristic", "heuristic"]\n[settings.map]',
        "planning.groups.a.tiers[1]: 'heuristic' is listed twice",
    ),
    _changed(
        "a group there is not",
        "[settings.map]",
        '[planning.groups.c]\ntiers = ["heuristic"]\n[settings.map]',
        "planning.groups.c: no such group; groups: a, b",
    ),
    _changed(
        "a rule of a group out of range",
        "[settings.map]",
        '[[planning.groups.a.rules]]\nwhen = "always"\nthen = { act = "Scan", radius = 0 }\n[settings.map]',
        "planning.groups.a.rules[0]: Scan.radius: must be from 1 to 64",
    ),
    _changed(
        "a rule of a group of nowhere",
        "[settings.map]",
        "[[planning.groups.a.rules]]\n"
        "when = \"pois 'dor' within 3\"\nthen = { act = 'Scan', radius = 10 }\n[settings.map]",
        "planning.groups.a.rules[0].when: no place 'dor'; did you mean 'door'?",
    ),
    _changed("a domain there is not", '"tactics"', '"tactcs"', "domain: no domain 'tactcs' is installed; did you mean"),
    _changed("a domain elsewhere", '"tactics"', '"../tactics.py"', "domain: should match pattern"),
    _changed("a domain file there is not", '"tactics"', '"tactics.py"', "domain: "),
    Broken("no settings", b'domain = "tactics"\nname = "room"\n', "settings.map: is missing; add it"),
    _changed("a setting outside of the settings", "[settings.map]", "[map]", "map: is not a known key; known keys: "),
    _changed(
        "a misspelt setting",
        "[settings.map]",
        "[settings.mapp]\n[settings.map]",
        "settings.mapp: is not a known key; did you mean 'map'?",
    ),
    _changed(
        "an unknown objective",
        'name = "b"\n',
        'name = "b"\nobjectives = [{ kind = "win" }]\n',
        "settings.teams[1].objectives[0]: ",
    ),
    _changed(
        "an objective elsewhere",
        'name = "b"\n',
        'name = "b"\nobjectives = [{ kind = "reach", place = "dor" }]\n',
        "no place 'dor'; did you mean 'door'?",
    ),
    _changed(
        "an enemy there is not",
        'name = "b"\n',
        'name = "b"\nobjectives = [{ kind = "eliminate", team = "c" }]\n',
        "no other team 'c'; other teams: a",
    ),
    _changed(
        "a director of nobody",
        "[settings.map]",
        '[settings.director]\nsquad = "c1"\n[settings.map]',
        "settings.director.squad: no squad 'c1'",
    ),
    _changed(
        "a weapon there is not",
        "[settings.archetypes.rifle]",
        '[settings.archetypes.rifle]\nweapons = ["laser"]',
        "'laser'",
    ),
    _changed(
        "an item there is not",
        "[settings.archetypes.rifle]",
        "[settings.archetypes.rifle]\nitems = { rope = 1 }",
        "'rope'",
    ),
    _changed(
        "a role there is not",
        "[settings.archetypes.rifle]",
        '[settings.archetypes.rifle]\nrole = "wizard"',
        "archetypes.rifle.role: should be 'exploration', 'stealth', 'support' or 'tactical', not 'wizard'",
    ),
    _changed(
        "too much health",
        "[settings.archetypes.rifle]",
        "[settings.archetypes.rifle]\nhp = 10000000000",
        "settings.archetypes.rifle.hp: ",
    ),
    _changed(
        "a line of a script by nobody",
        "[settings.map]",
        "[[script.lines]]\nagent = -1\nsteps = [{}]\n[settings.map]",
        "script.lines[0].agent: should be greater than or equal to 0",
    ),
    _changed("letters that look alike", 'name = "a1"', 'name = "\u0430 1"', "not '\\u0430 1'"),
    _changed(
        "letters that do not show", 'name = "door"', 'name = "do\u200bor"', "places[0].name: should match pattern"
    ),
    _changed("a name written backwards", 'name = "room"', 'name = "ro\u202eom"', "name: should match pattern"),
    _changed("wide letters", '"rifle"', '"\uff52ifle"', "not '\\uff52ifle'"),
    _changed(
        "an inline key twice", "count = 2", "count = 2, count = 3", "is not TOML: Duplicate inline table key 'count'"
    ),
    _added("a table twice", "[settings.map]\n", "is not TOML: Cannot declare ('settings', 'map') twice"),
    _added("less than endless", "ticks = -inf\n", "ticks: holds a value that no key takes"),
    _changed(
        "not a number inside",
        "count = 2",
        "count = nan",
        "settings.teams[0].squads[0].count: holds a value that no key",
    ),
    _added("less than nothing", "seed = -9223372036854775808\n", "seed: should be greater than or equal to 0"),
    _changed("a far place", "x = 2, y = 0, width", f"x = {2**63 - 1}, y = 0, width", "area.x: should be less than or"),
    _added("an include", 'include = ["room.toml"]\n', "include: is not a known key; known keys: "),
    _added("deep inline tables", f"x = {'{ a = ' * 100_000}\n", "nests more than 32 levels deep"),
    _added("a deep table", f"[{'.'.join('t' * 100_000)}]\n", "nests more than 32 levels deep"),
    _added("a long key", f"{'k' * 100_000} = 1\n", "kkk...: is not a known key"),
    _added("a key that acts", '"\\u001b[31m" = 1\n', "'\\x1b[31m': is not a known key"),
    _added("a plug-in at home", 'plugins = ["~/rules.py"]\n', "plugins[0]: should match pattern"),
    _added("a plug-in of the other kind", 'plugins = ["C:\\\\rules.py"]\n', "plugins[0]: should match pattern"),
    _added("a plug-in cut short", 'plugins = ["rules\\u0000.py"]\n', "plugins[0]: should match pattern"),
    _changed(
        "a team of nobody",
        'name = "b"',
        'name = "b"\nsquads = []\n[[settings.teams]]\nname = "c"',
        "squads: should have at least 1",
    ),
    _changed(
        "a row too wide",
        '"....", ".+#.", "...."',
        f'"{"." * 5000}"',
        "settings.map.rows[0]: is 5000 cells wide; a row has",
    ),
    _changed(
        "an order for a cell of nobody",
        "[settings.map]",
        '[[rules]]\nwhen = "always"\nthen = { act = "MoveTo", x = "nearest", y = "nearest" }\n[settings.map]',
        "rules[0]: MoveTo.x: 'nearest': a cell needs the list it is taken from, as in 'nearest people'",
    ),
    _changed(
        "a rule of nowhere",
        "[settings.map]",
        "[[rules]]\nwhen = \"pois 'dor' within 3\"\nthen = { act = 'Scan', radius = 10 }\n[settings.map]",
        "rules[0].when: no place 'dor'; did you mean 'door'?",
    ),
    _changed(
        "a step to nowhere",
        "[settings.map]",
        "[[rules]]\nwhen = 'always'\nthen = { act = 'MoveTo', x = \"pois 'dor'\", y = \"pois 'dor'\" }\n[settings.map]",
        "rules[0].then.x: no place 'dor'; did you mean 'door'?",
    ),
    _changed(
        "a director's work without one",
        'kind = "order", squad = "a1", text = "hold", x = 1, y = 1',
        'kind = "fortify", rect = { x = 0, y = 0, width = 1, height = 1 }',
        "inputs[0].input: fortify needs a director",
    ),
    _added(
        "an end for nobody",
        'settings.at_limit = { rule = "team" }\n',
        "settings.at_limit.team: goes with rule = 'team' and with no other",
    ),
    _changed(
        "two charges at once",
        'name = "b"\n',
        'name = "b"\nobjectives = [{ kind = "defend", ticks = 5, place = "door", squad = "b1" }]\n',
        "settings.teams[1].objectives[0].squad: cannot stand beside 'place'",
    ),
    _changed(
        "more than there are",
        'name = "b"\n',
        'name = "b"\nobjectives = [{ kind = "extract", place = "door", count = 9 }]\n',
        "settings.teams[1].objectives[0].count: is 9, but there are 2 agents to begin with",
    ),
    _changed(
        "one name for two things",
        "[settings.archetypes.rifle]",
        "[settings.weapons.x]\n[settings.items.x]\n[settings.archetypes.rifle]",
        "settings.items.x: is a name of weapons already",
    ),
    _changed(
        "a weapon twice",
        "[settings.archetypes.rifle]",
        '[settings.weapons.x]\n[settings.archetypes.rifle]\nweapons = ["x", "x"]',
        "settings.archetypes.rifle.weapons[1]: 'x' is listed twice",
    ),
    _changed(
        "a thing off the map",
        "[settings.map]",
        "[settings.map]\nobjects = [{ kind = 'post', x = 9, y = 0, effect = { kind = 'heal' } }]",
        "settings.map.objects[0]: reaches to (9, 0), outside the 4 by 3 map",
    ),
    _changed(
        "too many squads",
        "[[inputs]]",
        "[[settings.teams]]\nname = 'c'\nsquads = ["
        + ", ".join(
            f"{{ name = 'c{n}', archetype = 'rifle', count = 0, area = {{ x = 0, y = 0, width = 1, height = 1 }} }}"
            for n in range(999)
        )
        + "]\n[[inputs]]",
        "settings.teams: have 1001 squads in all; at most 1000 are possible",
    ),
    _changed(
        "an input before the start", "tick = 3", "tick = -3", "inputs[0].tick: should be a whole number from 0, not -3"
    ),
]


def _said(path: Path) -> str:
    begun = time.perf_counter()
    with pytest.raises(ScenarioError) as caught:
        load(path)
    assert time.perf_counter() - begun < SECONDS_MAX
    return str(caught.value)


def test_the_file_that_is_broken_here_is_good(tmp_path: Path) -> None:
    """Without a break, the file loads."""
    (tmp_path / "room.toml").write_text(GOOD, encoding="utf-8")
    assert load(tmp_path / "room.toml").agents == 4


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.name)
def test_a_broken_file_is_refused_in_one_sentence(
    broken: Broken, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sentence names file, key and reason, and the command line says the same and exits with 64."""
    path = tmp_path / "broken.toml"
    path.write_bytes(broken.content)
    said = _said(path)
    assert said.startswith(f"{path}: ")
    assert broken.says in said
    assert said.isprintable()
    assert invoke(["run", str(path), "--out", str(tmp_path / "never.replay.jsonl")]) == USAGE
    assert capsys.readouterr() == ("", f"tickweave: {said}\n")
    assert not (tmp_path / "never.replay.jsonl").exists()
    assert invoke(["check", str(path)]) == USAGE
    assert capsys.readouterr() == ("", f"tickweave: {said}\n")


def test_the_corpus_does_not_shrink() -> None:
    """At least a hundred broken files are refused, and no two are the same."""
    assert len({broken.content for broken in BROKEN}) == len(BROKEN) >= 100


def test_every_sentence_of_the_checks_is_in_the_corpus() -> None:
    """Whatever code finds wrong with a scenario is wrong with some file here."""
    templates = set().union(
        *(handed(module, "problem") for module in (checks, map_, objectives, planning, rules, teams))
    )
    found: set[str | None] = set()
    for broken in BROKEN:
        try:
            from_toml(broken.content.decode(), "file")
        except UnicodeDecodeError:
            continue
        except ScenarioError as error:
            parts = str(error).split(": ")
            found |= {said_by(": ".join(parts[first:]), templates) for first in range(len(parts))}
    assert templates - found == set()


@pytest.mark.parametrize(
    "content", [f"\ufeff{GOOD}", GOOD.replace("\n", "\r\n"), GOOD.rstrip("\n"), f"# \u202e\n{GOOD}"]
)
def test_what_editors_leave_in_files_is_no_fault(content: str, tmp_path: Path) -> None:
    """A byte order mark, other ends of lines, no end of the last one, and odd letters in comments."""
    (tmp_path / "room.toml").write_bytes(content.encode())
    assert load(tmp_path / "room.toml").agents == 4


def _large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(FILE_BYTES_MAX + 1)


def _hundred_megabytes(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(10**8)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "cannot be read: No such file or directory"),
        (lambda path: path.mkdir(), "is a directory; name a file in it"),
        (lambda path: path.symlink_to("/dev/zero"), "is not a regular file"),
        (lambda path: path.symlink_to(path), "cannot be read: "),
        (os.mkfifo, "is not a regular file"),
        (lambda path: path.symlink_to("/proc/self/mem"), "cannot be read: Input/output error"),
        (_hundred_megabytes, f"has {10**8} bytes; at most {FILE_BYTES_MAX} are read"),
        (_large, f"has {FILE_BYTES_MAX + 1} bytes; at most {FILE_BYTES_MAX} are read"),
    ],
    ids=["missing", "directory", "device", "circle", "pipe", "memory", "huge", "large"],
)
def test_what_is_no_readable_file_is_refused(make: Callable[[Path], None], says: str, tmp_path: Path) -> None:
    """Paths that lead to no ordinary file of bounded size are refused before anything is read."""
    path = tmp_path / "odd.toml"
    make(path)
    assert says in _said(path)


@pytest.mark.parametrize("text", ['x = "' + '\\"' * 500_000, "x = '''" + "''" * 500_000, 'x = """' + '\\""' * 300_000])
def test_hostile_text_is_refused_in_little_time(text: str, tmp_path: Path) -> None:
    """Text that a careless pattern would go over again and again takes no longer than any other."""
    path = tmp_path / "slow.toml"
    path.write_text(text, encoding="utf-8")
    assert "is not TOML" in _said(path)


@pytest.mark.parametrize("data", [None, [], "room", 7, {}, {"name": "\ud800"}, {"seed": float("nan")}])
def test_a_replay_header_without_a_scenario_is_refused(data: object) -> None:
    """What a replay gives for a scenario is checked as a file is."""
    with pytest.raises(ScenarioError, match=r"^header: [^\n]+$"):
        Scenario.from_canonical(data, "header")


def test_rules_may_name_verbs_of_plug_ins() -> None:
    """What only a plug-in can know is left to the run, which has loaded it; it refuses what is still unknown."""
    rules = '[[rules]]\nwhen = "always"\nthen = { act = "Sing" }\n[settings.map]'
    text = 'plugins = ["songs.py"]\n' + GOOD.replace("[settings.map]", rules, 1)
    scenario = from_toml(text, "file")
    songs = Plugin("songs.py", "00", actions=(Sing,))
    with Simulation(scenario, plugins=[songs]) as simulation:
        assert simulation.registry is not None
        assert "Sing" in simulation.registry
    with pytest.raises(ScenarioError, match=r"^room: rules\[0\]: there is no action 'Sing'; known: "):
        Simulation(scenario, plugins=[Plugin("songs.py", "00")])


def test_a_deep_header_is_refused() -> None:
    """Data nested without end is refused, not followed."""
    deep: object = 1
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ScenarioError, match="holds a value that no key takes"):
        Scenario.from_canonical(deep, "header")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("skirmsh", "no scenario 'skirmsh'; did you mean 'skirmish'?"),
        ("", "no scenario ''; scenarios: ambush, crowd, ecology"),
        ("\x1b[31m", "no scenario '\\x1b[31m'"),
        ("x" * 5000, "no scenario 'xxx"),
    ],
)
def test_an_unknown_name_gets_a_suggestion(name: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is not known is refused with the nearest one, or all of them."""
    assert invoke(["run", name]) == USAGE
    assert says in capsys.readouterr().err


def test_a_file_without_its_suffix_is_pointed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that happens to be called like the name is not read, but mentioned."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").write_text(json.dumps({}), encoding="utf-8")
    with pytest.raises(ScenarioError, match=r"for the file of that name, write \./mine"):
        load("mine")


def test_the_name_of_a_domain_without_complete_defaults_leads_to_its_scenarios() -> None:
    """The game needs a map: its name alone names no run, and the sentence says what does."""
    with pytest.raises(ScenarioError, match=r"settings\.map: is missing; add it, or name a scenario of this domain"):
        load("tactics")
