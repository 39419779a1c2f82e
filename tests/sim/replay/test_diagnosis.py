"""The second pass tells unstable code from changed code, and says where to look."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from sim.replay import diagnosis
from sim.replay.diagnosis import diagnose
from sim.replay.format import canonical, decode_body, encode_line, split_line
from sim.replay.verify import Verdict, verify
from sim.replay.writer import Recorder, ReplayWriter
from sim.run.plugins import from_file
from sim.run.simulation import Detail, Simulation
from tests.sim.replay.recordings import rules, scenario

PLANTED = Path(__file__).parents[2] / "mutants" / "planted"
TICKS = 6

STEADY = '''"""Counts up."""
from sim.engine.columns import Component, i32
from sim.engine.system import System


class Mood(Component):
    """What the system writes to."""

    value: i32


class Bug(System):
    """Counts up."""

    name = "bug"

    def process(self, world, frame):
        """Count."""
        world[Mood].value[:] += STEP if frame.tick == 3 else 1


COMPONENTS, SYSTEMS = (Mood,), (Bug,)
'''


@pytest.fixture
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the other processes, which take long to start."""
    monkeypatch.setattr(diagnosis, "PROCESSES", ())


def recorded(plugin: Path, detail: Detail = "hash", keyframes: int = 0) -> bytes:
    """Record a run with a plug-in."""
    sink = io.BytesIO()
    plan = scenario(plugins=[plugin.name], inputs=[], ticks=TICKS)
    with Simulation(plan, plugins=[from_file(plugin)], detail=detail) as simulation:
        recorder = Recorder(simulation, ReplayWriter(sink), keyframes=keyframes)
        recorder.header()
        for report in simulation.reports(TICKS):
            recorder.tick(report)
        recorder.end()
    return sink.getvalue()


def looked_into(replay: bytes, plugin: Path, jobs: int = 1) -> Verdict:
    """Verify a replay and explain what was found."""
    return diagnose(replay, verify(replay, plugin_files=[plugin], jobs=jobs), [plugin])


def steady(folder: Path, step: int) -> Path:
    """Write a plug-in that depends on nothing, in a version of its own."""
    folder.mkdir(exist_ok=True)
    path = folder / "steady.py"
    path.write_text(STEADY.replace("STEP", str(step)))
    return path


def altered(replay: bytes, line: int, change: Any) -> bytes:
    """Change the body of one line and compute the chain again."""
    chain, lines = "", []
    for number, whole in enumerate(replay.splitlines(keepends=True)):
        parts = split_line(whole)
        body = decode_body(parts.body)
        if number == line:
            change(body)
        written, chain = encode_line(chain, parts.kind, canonical(body))
        lines.append(written)
    return b"".join(lines)


@pytest.mark.usefixtures("_alone")
def test_a_clock_in_the_state_is_named_with_system_agent_field_and_both_values() -> None:
    """Code that differs from itself is named by the place where two runs part, and the doctor is recommended."""
    bug = PLANTED / "escaped_clock.py"
    verdict = looked_into(recorded(bug), bug)
    first = verdict.first
    assert first is not None
    assert (first.stable, first.cause, first.written_by) == (False, "effect", ["bug"])
    again = first.again
    assert again is not None
    assert (again.tick, again.phase, again.component, again.field) == (0, "bug", "Mood", "value")
    assert again.key is not None
    assert again.one != again.other
    assert "what 'bug' (plug-in escaped_clock.py) does" in verdict.details[-1]
    assert "tickweave doctor" in verdict.details[-1]


def test_an_order_of_words_is_found_by_another_process(tmp_path: Path) -> None:
    """Code that agrees with itself here, but not in a process with another hash seed, is not called stable."""
    bug = tmp_path / "words.py"
    rule = 'list({str(n) for n in range(1000)}).index("7")'
    bug.write_text(STEADY.replace("STEP if frame.tick == 3 else 1", rule))
    replay = altered(recorded(bug), 3, lambda body: body.update(columns="0" * len(body["columns"])))
    first = looked_into(replay, bug).first
    assert first is not None
    assert first.again is not None
    assert "process" in first.again.how
    assert first.again.phase == "bug"


@pytest.mark.usefixtures("_alone", "processes_pay")
def test_state_in_no_component_is_found_from_a_keyframe() -> None:
    """A run that is another one when it begins at a keyframe rests on state that nothing holds."""
    bug = PLANTED / "hidden_state.py"
    replay = recorded(bug, keyframes=2)
    verdict = looked_into(replay, bug, jobs=2)
    assert verdict.first is not None
    assert verdict.first.again is not None
    assert verdict.first.again.how == "from the keyframe of tick 1"
    assert "no component holds" in verdict.details[-1]


@pytest.mark.parametrize("detail", ["hash", "full"])
def test_a_changed_plug_in_is_a_cause_in_the_environment(tmp_path: Path, detail: Detail) -> None:
    """Steady code with another source than the recorded one is not called unstable; the plug-in is named."""
    before, now = steady(tmp_path / "before", 1), steady(tmp_path / "now", 5)
    verdict = looked_into(recorded(before, detail), now)
    first = verdict.first
    assert first is not None
    assert (first.tick, first.component, first.field) == (3, "Mood", "value")
    assert (first.stable, first.again, first.cause, verdict.cause) == (
        True, None, "environment", "environment",
    )  # fmt: skip
    assert list(first.environment) == ["plug-in steady.py"]
    assert "cause: environment, that is" in verdict.reason
    assert "cause: effect" not in verdict.reason
    assert verdict.details[-1] == "look first at: the plug-in steady.py: its source has changed"
    if detail == "full":
        assert (first.phase, first.expected, first.actual) == ("bug", 4, 8)


@pytest.mark.usefixtures("_alone")
def test_an_altered_record_is_told_from_unstable_code() -> None:
    """Where running again agrees with itself, the record is what differs, and the phases that write there are named."""

    def change(body: dict[str, Any]) -> None:
        body["components"] = f"000000{body['components'][6:]}"
        body["columns"] = f"000000{body['columns'][6:]}"

    replay = altered(rules(), 5, change)
    verdict = diagnose(replay, verify(replay))
    first = verdict.first
    assert first is not None
    assert (first.tick, first.component, first.field) == (4, "Position", "x")
    assert (first.stable, first.cause, first.environment) == (True, "effect", {})
    assert first.agreed == ["inputs", "known", "plans", "draws"]
    assert set(first.written_by) <= {"inputs", "execution", "combat", "upkeep", "flight", "cleanup"}


@pytest.mark.usefixtures("_alone")
def test_draws_that_differ_are_told_by_purpose() -> None:
    """The counts of every purpose that differs stand beside the first difference, recorded and here."""
    line = 1 + next(n for n, each in enumerate(rules().splitlines()[1:]) if b'"draws"' in each)
    replay = altered(rules(), line, lambda body: body["draws"].update(dict.fromkeys(body["draws"], 77)))
    first = diagnose(replay, verify(replay)).first
    assert first is not None
    assert first.cause == "random"
    assert first.draws
    assert all(there == 77 != here for there, here in first.draws.values())


def test_a_damaged_file_is_of_the_class_file() -> None:
    """What cannot be judged has a class too: a torn or altered file is `file`, and nothing is run a second time."""
    torn = verify(rules()[:-50])
    assert (torn.verdict, torn.cause) == ("inconclusive", "file")
    assert diagnose(rules()[:-50], torn) == torn
