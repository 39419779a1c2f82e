"""The pytest plug-in, in a project of its own: it proves golden replays, and replaces one only when it may."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from sim.cli import invoke
from sim.cli.common import OK
from sim.replay import verify

ROOT = Path(__file__).parents[3]
REPLAY = "golden/nap.replay.jsonl"
RULES = """
from sim.engine.columns import Component, i32
from sim.engine.system import System


class Naps(Component):
    count: i32


class Napping(System):
    def process(self, world, run):
        world[Naps].count[:] += 1


COMPONENTS, SYSTEMS = (Naps,), (Napping,)
"""
TEST = f'''
def test_the_run_is_as_recorded(verify_replay):
    verify_replay("{REPLAY}", plugins=["rules.py"])
'''


def run_pytest(folder: Path, *options: str) -> tuple[int, str]:
    """Run pytest in a folder as a user would, and return its exit code and what it says."""
    installed = any(point.name == "tickweave" for point in entry_points(group="pytest11"))
    loaded = [] if installed else ["-p", "tickweave_pytest"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *loaded, *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a scenario, a plug-in, a golden replay of it and a test."""
    text = (ROOT / "tests/mutants/arena.toml").read_text().replace("ticks = 24", 'ticks = 6\nplugins = ["rules.py"]')
    text = text.replace("[settings]", "[planning]\nevery = 1\n\n[settings]", 1)  # a model is asked in every tick
    (tmp_path / "nap.toml").write_text(text)
    (tmp_path / "rules.py").write_text(RULES)
    (tmp_path / "golden").mkdir()
    (tmp_path / "test_nap.py").write_text(TEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    run = ["run", str(tmp_path / "nap.toml"), "--detail", "full", "--quiet", "--out", str(tmp_path / REPLAY)]
    assert invoke(run) == OK
    return tmp_path


def test_a_changed_run_is_shown_and_replaced_only_on_request(project: Path) -> None:
    """The test passes, fails with the first difference, changes nothing, shows it, replaces it, passes."""
    assert run_pytest(project)[0] == 0
    (project / "rules.py").write_text(RULES.replace("+= 1", "+= 2"))
    before = (project / REPLAY).read_bytes()
    code, said = run_pytest(project)
    assert code == 1
    assert "nap.replay.jsonl: tick 0, phase 'napping': Naps.count of agent 0 is 2, recorded 1 (cause: effect" in said
    assert "look at it with `pytest --update-replays`" in said
    assert "During handling" not in said
    assert (project / REPLAY).read_bytes() == before
    code, said = run_pytest(project, "--update-replays")
    assert code == 0
    assert "tick 0, phase 'napping': Naps.count of agent 0 is 2, recorded 1" in said
    assert "6 of 6 ticks differ: root in 6" in said
    assert verify(project / REPLAY, plugin_files=[project / "rules.py"]).verdict == "match"
    assert run_pytest(project)[0] == 0


def test_a_corrupt_or_missing_replay_is_never_replaced(project: Path) -> None:
    """Even on request, what cannot be read stays as it is, and the sentence says what is wrong."""
    whole = (project / REPLAY).read_bytes()
    damaged = whole.replace(b'"agents":12', b'"agents":13', 1)
    assert damaged != whole
    for content, reason in ((damaged, "line "), (whole[:-40], "")):
        (project / REPLAY).write_bytes(content)
        code, said = run_pytest(project, "--update-replays")
        assert code == 1
        assert f"nap.replay.jsonl: {reason}" in said
        assert "nothing was written" in said
        assert (project / REPLAY).read_bytes() == content
    (project / REPLAY).unlink()
    code, said = run_pytest(project, "--update-replays")
    assert code == 1
    assert "nothing was written" in said
    assert not (project / REPLAY).exists()


def test_a_replay_that_would_ask_a_model_anew_is_not_replaced(project: Path) -> None:
    """Replies cannot be invented: the sentence says that the run must be recorded again."""
    script = project / "script.jsonl"
    script.write_text('{"agent": "*", "steps": [{"act": "Wait", "duration": 0.2}]}\n')
    out = project / REPLAY
    run = ["run", str(project / "nap.toml"), "--quiet", "--out", str(out), "--llm", f"scripted:{script}", "--force"]
    assert invoke(run) == OK
    before = out.read_bytes()
    changed = RULES.replace(
        "class Napping", "from scenarios.tactics.components import Progress\n\n\nclass Napping"
    ).replace("+= 1", "+= 1\n        world[Progress].status[:] = 0")
    (project / "rules.py").write_text(changed)
    code, said = run_pytest(project, "--update-replays")
    assert code == 1
    assert "record it again" in said
    assert out.read_bytes() == before


def test_the_plug_in_costs_nothing_at_the_start() -> None:
    """Loading it imports nothing of the simulation, nor hypothesis."""
    program = (
        "import sys; import tickweave_pytest; "
        "ours = {'numpy', 'scipy', 'esper', 'hypothesis', 'pydantic', 'ai', 'sim', 'scenarios'}; "
        "assert not ours & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, cwd=ROOT)


def test_a_project_may_have_packages_of_the_same_names(tmp_path: Path) -> None:
    """pytest runs in a project whose own `sim` and `ai` are found first, with its own tests of them."""
    for name in ("sim", "ai", "scenarios"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("OWN = True\n")
    (tmp_path / "test_own.py").write_text("import ai, scenarios, sim\n\ndef test_own(): assert sim.OWN and ai.OWN\n")
    code, said = run_pytest(tmp_path)
    assert code == 0, said
    assert "1 passed" in said
