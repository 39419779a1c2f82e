"""A domain package that is built, installed into a fresh environment and used there by commands alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sim.cli.common import INCONCLUSIVE, OK, USAGE

ROOT = Path(__file__).parents[2]
PACKAGE = Path(__file__).parent / "studygroup"
SECONDS = 240
"""The longest that one command may take."""


@dataclass(frozen=True)
class Site:
    """A fresh environment with Tickweave and the package installed from wheels, and a folder to work in."""

    home: Path
    folder: Path

    def __call__(self, command: str, *args: str | Path, code: int = OK) -> str:
        """Run a command of the environment in the folder; return what it prints."""
        done = self.start(command, *args)
        said, complained = done.communicate(timeout=SECONDS)
        assert done.returncode == code, f"{command} {args}: {done.returncode}\n{said}\n{complained}"
        assert "Traceback" not in complained
        return said if code == OK else complained

    def start(self, command: str, *args: str | Path) -> subprocess.Popen[str]:
        """Start a command of the environment in the folder."""
        given = [str(self.home / "bin" / command), *map(str, args)]
        left = ("PYTHONPATH", "PYTHONHOME", "TICKWEAVE_TRUST", "PYTHONHASHSEED")
        environment = {name: value for name, value in os.environ.items() if name not in left}
        environment |= {"XDG_CONFIG_HOME": str(self.folder / "config"), "HOME": str(self.folder)}
        pipe = subprocess.PIPE
        return subprocess.Popen(given, cwd=self.folder, env=environment, stdout=pipe, stderr=pipe, text=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Build both wheels outside of the tree and install them; dependencies come from the environment of the tests."""
    base = tmp_path_factory.mktemp("site")
    home, wheels, source = base / "home", base / "wheels", base / "source"
    kept = shutil.ignore_patterns("__pycache__", "own_tests.py")
    for name in ("ai", "sim", "scenarios"):
        shutil.copytree(ROOT / name, source / "tickweave" / name, ignore=kept)
    for name in ("pyproject.toml", "README.md", "LICENSE", "tickweave.py", "tickweave_pytest.py"):
        shutil.copy(ROOT / name, source / "tickweave" / name)
    shutil.copytree(PACKAGE, source / "studygroup", ignore=kept)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = [*pip, "wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(wheels)]
    _do([*build, str(source / "tickweave"), str(source / "studygroup")])
    shutil.rmtree(source)
    _do([sys.executable, "-m", "venv", "--without-pip", str(home)])
    installed = sorted(map(str, wheels.glob("*.whl")))
    assert len(installed) == 2
    _do([*pip, "--python", str(home / "bin" / "python"), "install", "--no-deps", "--no-index", *installed])
    # A path in a .pth file is searched last, and .pth files there are not read: the editable install stays unseen.
    (packages,) = (home / "lib").glob("python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    folder = base / "work"
    folder.mkdir()
    return Site(home, folder)


def _do(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def served(site: Site) -> Iterator[str]:
    """Serve the fake model; yields how `--llm` names it."""
    server = site.start("tickweave", "fake-llm", "--json", "--latency-ms", "1", "--tokens-per-s", "0")
    try:
        assert server.stdout is not None
        yield json.loads(server.stdout.readline())["llm"]["openai"]
    finally:
        server.terminate()
        server.communicate(timeout=30)


def run_json(site: Site, *args: str | Path) -> Any:
    """Run a command with `--json` and return its object."""
    return json.loads(site("tickweave", *args, "--json"))


def test_what_is_used_is_what_was_installed(site: Site) -> None:
    """Neither the working tree nor the editable install of the tests is what the environment imports."""
    program = (
        "import ai, sim, scenarios, studygroup, importlib.metadata as m; "
        "print(*(p.__file__ for p in (ai, sim, scenarios, studygroup)), "
        "*(str(m.distribution(n).locate_file('')) for n in ('tickweave', 'studygroup')), sep='\\n')"
    )
    found = site("python", "-c", program).split()
    assert len(found) == 6
    assert all(path.startswith(str(site.home)) for path in found)


def test_the_package_needs_no_consent_and_a_loose_file_does(site: Site) -> None:
    """An installed domain runs without a question; the same code as a file beside a scenario does not."""
    assert run_json(site, "run", "studygroup", "--ticks", "3", "--out", "consent.replay.jsonl")["ticks"] == 3
    loose = site.folder / "loose"
    loose.mkdir()
    shutil.copy(PACKAGE / "src/studygroup/domain.py", loose / "group.py")
    (loose / "group.toml").write_text('domain = "group.py"\nname = "group"\nticks = 3\n')
    assert "add --trust" in site("tickweave", "run", "loose/group.toml", code=USAGE)
    site("tickweave", "run", "loose/group.toml", "--trust")


def test_it_is_listed(site: Site) -> None:
    """The scenario file in the package has a name, and `check` explains it."""
    entries = {entry["name"]: entry for entry in run_json(site, "scenarios")["scenarios"]}
    assert entries["exam"]["domain"] == "studygroup"
    assert entries["exam"]["agents"] == 20
    assert "20" in site("tickweave", "check", "exam")


def test_a_run_is_recorded_verified_shown_and_forked(site: Site) -> None:
    """`run`, `verify`, `show`, `fork`, `pack` and `recover` do their work at their defaults."""
    said = run_json(site, "run", "exam")
    assert said["ticks"] == 20
    assert said["metrics"]["learnt"] > 0
    replay = site.folder / "exam-3.replay.jsonl"
    assert run_json(site, "verify", replay.name)["verdict"] == "match"
    site("tickweave", "show", replay.name, "--tick", "5")
    site("tickweave", "show", replay.name, "--agent", "3", "--tick", "9")
    site("tickweave", "fork", replay.name, "--at", "8", "--tiers", "emergency", "--out", "fork.replay.jsonl")
    assert run_json(site, "verify", "fork.replay.jsonl")["verdict"] == "match"
    site("tickweave", "diff", replay.name, "fork.replay.jsonl", code=1)
    site("tickweave", "pack", replay.name, "--out", "exam.packed.replay.jsonl")
    assert run_json(site, "verify", "exam.packed.replay.jsonl")["verdict"] == "match"
    lines = replay.read_bytes().splitlines(keepends=True)
    (site.folder / "cut.replay.jsonl").write_bytes(b"".join(lines[:12]) + lines[12][:30])
    site("tickweave", "verify", "cut.replay.jsonl", code=INCONCLUSIVE)
    kept = run_json(site, "recover", "cut.replay.jsonl", "--out", "kept.replay.jsonl")["ticks"]
    assert 5 < kept < 20
    assert run_json(site, "verify", "kept.replay.jsonl")["verdict"] in ("match", "recovered")
    assert run_json(site, "run", "--resume", "cut.replay.jsonl")["root"] == said["root"]
    site("tickweave", "diff", replay.name, "cut.replay.jsonl")


def test_inputs_reach_it(site: Site) -> None:
    """Inputs of the domain and of the framework are read from a file; one without effect is told."""
    lines = [
        {"tick": 1, "input": {"kind": "rebind", "topic": 1}},
        {"tick": 2, "input": {"kind": "control", "agent": 4}},
        {"tick": 2, "input": {"kind": "act", "agent": 4, "step": {"act": "Read", "topic": "chess", "hours": 2}}},
        {"tick": 3, "input": {"kind": "rebind", "topic": 7}},
    ]
    (site.folder / "inputs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    said = run_json(site, "run", "studygroup", "--ticks", "6", "--inputs", "inputs.jsonl", "--out", "in.replay.jsonl")
    assert said["ticks"] == 6
    assert run_json(site, "verify", "in.replay.jsonl")["verdict"] == "match"


@pytest.mark.parametrize("start", ["exam", "studygroup"])
def test_the_doctor_finds_nothing_at_its_defaults(site: Site, start: str) -> None:
    """Every check is `same` or `not applicable`, with the reason."""
    found = {each["check"]: each for each in run_json(site, "doctor", start)["checks"]}
    assert {each["result"] for each in found.values()} <= {"same", "not applicable"}
    assert {"rerun", "restore", "parts"} <= {name for name, each in found.items() if each["result"] == "same"}
    assert all(each["reason"] for each in found.values() if each["result"] == "not applicable")


def test_a_plug_in_of_the_package_adds_to_it(site: Site) -> None:
    """A scenario names an installed plug-in; nobody is asked for consent."""
    (site.folder / "cafe.toml").write_text('domain = "studygroup"\nname = "cafe"\nplugins = ["coffee"]\nticks = 30\n')
    assert "cups" in run_json(site, "run", "cafe.toml")["metrics"]
    assert run_json(site, "verify", "cafe-1.replay.jsonl")["verdict"] == "match"


def test_a_model_plans_for_it(site: Site) -> None:
    """With a model the plans are the model's; the recording is verified without one."""
    with served(site) as llm:
        said = run_json(site, "run", "exam", "--llm", llm, "--out", "model.replay.jsonl")
    assert said["ticks"] == 20
    assert sum(count for tier, count in said["tiers"].items() if tier.endswith("_llm")) > 0
    assert run_json(site, "verify", "model.replay.jsonl")["verdict"] == "match"


def test_its_authors_tests_pass(site: Site) -> None:
    """`check_domain`, `check_action`, the strategies and the pytest plug-in work from outside."""
    shutil.copy(PACKAGE / "own_tests.py", site.folder / "test_studygroup.py")
    site("tickweave", "run", "exam", "--quiet", "--out", "golden.replay.jsonl")
    (site.folder / "golden.replay.jsonl").rename(site.folder / "exam.replay.jsonl")
    (site.folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    site("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_studygroup.py")
