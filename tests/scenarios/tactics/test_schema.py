"""The schema that editors get: it explains every key, and never quarrels with the loader."""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError as SchemaError
from jsonschema.validators import extend

from scenarios.tactics.domain import Tactics
from sim.cli import invoke
from sim.errors import ScenarioError
from sim.run.scenario_file import Scenario, load
from sim.run.schema import DIALECT, scenario_schema
from tests.scenarios.tactics.test_scenario_files import BROKEN, GOOD, Broken

REPOSITORY: Final = Path(__file__).parents[3]
FILES: Final = sorted([*REPOSITORY.glob("scenarios/tactics/*.toml"), *REPOSITORY.glob("tests/*/*.toml")])
SCHEMA: Final = scenario_schema(Tactics)
SHAPE: Final = re.compile(r": (?:is missing; add it|is not a known key;|should (?:be|have|match) |no input is of kind)")
"""How the loader says that a file has another shape; what only code can find, it says otherwise."""


def _pattern(_: object, pattern: str, value: object, __: object) -> Iterator[SchemaError]:
    """Check a pattern as JSON Schema means it: `$` is the end, not the place before a last newline."""
    if isinstance(value, str) and not re.search(pattern.replace("$", r"\Z"), value):
        yield SchemaError(f"{value!r} does not match {pattern}")


VALIDATOR: Final = extend(
    Draft202012Validator,
    {"pattern": _pattern},
    # TOML keeps whole numbers apart from others, and so do validators of TOML.
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int),
)(SCHEMA)


def quarrel(data: Any) -> str | None:
    """Say in what schema and loader do not agree about a file's data, None where they do."""
    objections = [error.message for error in VALIDATOR.iter_errors(data)]
    try:
        Scenario.from_canonical(data)
    except ScenarioError as error:
        if SHAPE.search(str(error)) and not objections:
            return f"the schema allows what the loader refuses: {error}"
        return None
    return f"the schema refuses what the loader takes: {objections[0]}" if objections else None


def test_the_schema_is_one() -> None:
    """It is valid JSON Schema of the version that it names."""
    assert SCHEMA["$schema"] == DIALECT == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(SCHEMA)


def test_the_command_line_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    """`tickweave scenarios --schema tactics` is what editors are given."""
    assert invoke(["scenarios", "--schema", "tactics"]) == 0
    assert json.loads(capsys.readouterr().out) == SCHEMA


def tables() -> dict[str, dict[str, Any]]:
    """Return what describes a table of a file, by name: the file, its settings, and all that they and inputs hold."""
    found = {"the file": SCHEMA}
    left: list[tuple[str, Any]] = [
        ("settings", SCHEMA["properties"]["settings"]),
        ("inputs", SCHEMA["properties"]["inputs"]),
        ("planning", {"$ref": "#/$defs/Planning"}),
    ]
    while left:
        name, node = left.pop()
        if isinstance(node, list):
            left += [(name, each) for each in node]
        elif isinstance(node, dict):
            ref = str(node.get("$ref", "")).rpartition("/")[2]
            if ref and ref not in found:
                left.append((ref, SCHEMA["$defs"][ref]))
            if "properties" in node:
                found[name] = node
            left += [(name if key != "items" else f"{name}[]", part) for key, part in node.items()]
    return found


def test_every_key_is_explained() -> None:
    """Each has a description, each table too, and no table takes keys that it does not name."""
    names = tables()
    assert {"settings", "Squad", "MoraleRules", "Hold", "input_order", "input_kill", "Spot", "GroupPlanning"} <= set(
        names
    )
    for name, table in names.items():
        assert table.get("description") or name == "inputs[]", name
        assert table["additionalProperties"] is False, name
        for key, value in table["properties"].items():
            assert value.get("description", "").endswith(".") or "const" in value, f"nothing explains {name}.{key}"


def test_null_is_no_alternative() -> None:
    """TOML has no word for it, so no key may ask for it."""
    assert '"null"' not in json.dumps(SCHEMA)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_shipped_file_is_valid(path: Path) -> None:
    """No editor underlines anything in one of them."""
    data = tomllib.loads(path.read_text("utf-8"))
    assert [error.message for error in VALIDATOR.iter_errors(data)] == []


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.name)
def test_a_broken_file_is_underlined_where_a_schema_can_know(broken: Broken) -> None:
    """What the loader refuses for its shape, the schema refuses too."""
    if any(
        reason in broken.says for reason in ("is not UTF-8", "is not TOML", "nests more", "value that no key takes")
    ):
        return  # an editor stops before it looks at any schema
    assert quarrel(tomllib.loads(broken.content.decode("utf-8-sig"))) is None


def test_a_file_may_name_the_schema_in_its_first_line(tmp_path: Path) -> None:
    """What editors read there is a comment to everyone else."""
    (tmp_path / "room.toml").write_text(f"#:schema ./scenario.schema.json\n{GOOD}", encoding="utf-8")
    assert load(tmp_path / "room.toml").name == "room"


# Mutations.

ODD: Final[list[Any]] = [
    True, False, 0, 1, -1, 5.0, 0.5, 2**31, 2**63, -(2**63), 10**30, "", "x", "a b", "ro\nom", "room\n", "é",
    "x" * 301, "heuristic", "+", "always", [], [0], ["x"], ["x", "x"], [{}], {}, {"x": 0}, {"kind": "always"},
    {"kind": "scan"}, {"act": "Wait"},
]  # fmt: skip
KEYS_ODD: Final = ["kind", "name", "x", "y", "count", "squad", "team", "tikcs", "", "a b", "-a", "x" * 65, "é", "kind "]
SOURCES: Final = [tomllib.loads(GOOD)] + [
    tomllib.loads(path.read_text("utf-8")) for path in FILES if load(path).agents < 200
]


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every table or list of a file with every key or place in it."""
    for key, value in list(node.items() if isinstance(node, dict) else enumerate(node)):
        yield node, key
        if isinstance(value, dict | list):
            yield from places(value)


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """Draw a file's data with one to three things wrong, or not: replaced, left out, emptied, doubled, renamed, put in.

    Which key is drawn first, then where it stands: of rare ones there are as many as of frequent ones.
    """
    data = copy.deepcopy(draw(st.sampled_from(SOURCES)))
    for _ in range(draw(st.integers(1, 3))):
        found: dict[str, list[tuple[Any, Any]]] = {}
        for node, key in places(data):
            found.setdefault(key if isinstance(key, str) else "[]", []).append((node, key))
        if not found:
            break
        node, key = draw(st.sampled_from(found[draw(st.sampled_from(sorted(found)))]))
        match draw(st.sampled_from(["replace", "drop", "empty", "double", "rename", "add"])):
            case "replace":
                node[key] = draw(st.sampled_from(ODD) | st.integers() | st.text(max_size=3))
            case "drop":
                del node[key]
            case "empty":
                node[key] = type(node[key])()
            case "double" if isinstance(node, list):
                node.append(copy.deepcopy(node[key]))
            case "rename" if isinstance(node, dict):
                node[draw(st.sampled_from(KEYS_ODD))] = node.pop(key)
            case "add" if isinstance(node, dict):
                node[draw(st.sampled_from(KEYS_ODD))] = draw(st.sampled_from(ODD))
    return data


@given(mutated())
def test_schema_and_loader_agree(data: Any) -> None:
    """Whatever becomes of a shipped file, both refuse it or both take it, but for what only code can find."""
    assert quarrel(data) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('kind = "order", ', ""),
        ('name = "room"', 'name = "room\\n"'),
        ('name = "room"', "name = 7"),
        ("[settings.archetypes.rifle]", '[settings.archetypes."-a"]\n[settings.archetypes.rifle]'),
        ("[settings.archetypes.rifle]", f"[settings.archetypes.{'a' * 65}]\n[settings.archetypes.rifle]"),
        ("[settings.archetypes.rifle]", '[settings.archetypes.rifle]\nitems = { "-a" = 1 }'),
        ("tick = 3", "tick = 3.0"),
        ("tick = 3", "tick = true"),
        ("[settings.map]", "[[script.lines]]\nsteps = []\n[settings.map]"),
        ("[settings.map]", "[settings.map]\nobjects = [{ kind = 'a', x = 0, y = 0, effect = {} }]"),
    ],
)
def test_shapes_that_both_refuse(old: str, new: str) -> None:
    """Each is one where a schema made carelessly lets through what the loader refuses."""
    data = tomllib.loads(GOOD.replace(old, new, 1))
    assert not VALIDATOR.is_valid(data)
    assert quarrel(data) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[settings.map]", "[[script.lines]]\nsteps = [{ anything = [1, { a = 2.5 }] }]\n[settings.map]"),
        (
            "[settings.archetypes.rifle]",
            '[settings.archetypes."a b.c-d"]\n[settings.archetypes.rifle]\nrole = "support"',
        ),
    ],
)
def test_shapes_that_both_take(old: str, new: str) -> None:
    """Each is one where a schema made carelessly refuses what the loader takes."""
    data = tomllib.loads(GOOD.replace(old, new, 1))
    assert VALIDATOR.is_valid(data)
    assert quarrel(data) is None
