"""The page: one file that needs nothing else, small, and strict about what may run in it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sim import view
from sim.cli import invoke
from sim.errors import ReplayError
from sim.replay.diff import diff
from sim.replay.replay_file import open_replay_file
from sim.viewer.page import asset, difference_of, fitted, page, recording


def data_of(html: str) -> list[dict[str, Any]]:
    """Return the recordings of a page."""
    match = re.search(r'<script type="text/plain" id="frames">([^<]*)</script>', html)
    assert match is not None
    found: list[dict[str, Any]] = json.loads(gzip.decompress(base64.b64decode(match[1])))
    return found


def test_a_page_needs_nothing_else(recorded: Callable[..., Path]) -> None:
    """It loads nothing, and its policy allows exactly the scripts and styles that are in it."""
    html = view(recorded("ecology", "--ticks", "20", "--seed", "1")).html
    assert not re.search(r"""(?:src|href)=|url\(|@import|import\(""", html.replace(asset("uplot.min.js"), ""))
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    assert policy is not None
    assert "default-src 'none'; script-src 'sha256-" in policy[1]
    assert "connect-src 'none'" in policy[1]
    assert "unsafe" not in policy[1]
    parts = re.findall(r"<script>(.*?)</script>|<style>(.*?)</style>", html, re.DOTALL)
    digests = {base64.b64encode(hashlib.sha256((a or b).encode()).digest()).decode() for a, b in parts}
    assert digests == set(re.findall(r"sha256-([A-Za-z0-9+/=]+)", policy[1]))


def test_a_view_is_the_same_every_time(recorded: Callable[..., Path]) -> None:
    """No clock and no order of a set is in a page."""
    replay = recorded("market", "--ticks", "20", "--seed", "1")
    assert view(replay).html == view(replay).html


def test_what_is_not_drawn_goes_first(recorded: Callable[..., Path]) -> None:
    """A page that would be too large leaves out other values, then plans of rules, and says which."""
    replay = recorded("skirmish", "--ticks", "20", "--seed", "1")
    base = len(page(b""))
    whole = len(page(fitted([recording(replay)])))
    data = data_of(page(fitted([recording(replay)], base + 4096 + (whole - base) // 2)))[0]
    series, left_out = data["about"]["series"], data["about"]["left_out"]
    assert left_out
    shown = {number for number, each in enumerate(series) if each["shown"]}
    there = {change[0] for frame in data["frames"] for change in frame.get("c", [])}
    assert shown <= there
    assert not {series[number]["name"] for number in there} & set(left_out)
    least = data_of(page(fitted([recording(replay)], 0)))[0]
    assert "plans of rules" in least["about"]["left_out"]
    assert not any(frame.get("q") for frame in least["frames"])
    assert {change[0] for frame in least["frames"] for change in frame.get("c", [])} == shown


def test_plans_of_models_stay_whatever_the_size(modelled: Path) -> None:
    """Steps, knowledge, prompts and replies of models are in the smallest page, and their texts as well."""
    full, least = (data_of(page(fitted([recording(modelled)], limit)))[0] for limit in (10**7, 0))
    assert [frame.get("o") for frame in full["frames"]] == [frame.get("o") for frame in least["frames"]]
    texts = [text for frame in least["frames"] for text in frame.get("s", [])]
    origins = [each for frame in least["frames"] for each in frame.get("o", {}).values()]
    assert origins
    assert all(texts[number] for each in origins for number in each.values())


def test_the_first_difference_is_that_of_diff(recorded: Callable[..., Path]) -> None:
    """Its tick and its values are those that `diff` finds; the same run has none."""
    one = recorded("ecology", "--ticks", "20", "--seed", "1")
    two = recorded("ecology", "--ticks", "20", "--seed", "2")
    assert difference_of((one, ()), (one, ())) == {"same": True}
    with open_replay_file(one) as left, open_replay_file(two) as right:
        wanted = diff(left, right)
    assert wanted is not None
    found = difference_of((one, ()), (two, ()))
    assert (found["where"], found["tick"], found["names"]) == (wanted.where, wanted.tick, list(wanted.names))


def test_long_runs_can_be_thinned(recorded: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """`every` keeps the start, every N-th tick and the last; a page of too many values is refused with the way out."""
    replay = recorded("ecology", "--ticks", "20", "--seed", "1")
    assert [frame["t"] for frame in recording(replay, every=6).frames] == [-1, 0, 6, 12, 18, 19]
    monkeypatch.setattr("sim.viewer.page.CHANGES_MAX", 2000)
    with pytest.raises(ReplayError, match="at most 2,000 values; add --every 2 for fewer ticks"):
        recording(replay)


@pytest.mark.nightly
def test_a_thousand_agents_over_three_hundred_ticks_fit_into_a_megabyte(recorded: Callable[..., Path]) -> None:
    """The whole page is below 1 MB, and nothing had to be left out."""
    found = view(recorded("crowd", "--ticks", "300"))
    assert len(found.html.encode()) < 1_000_000
    assert "left_out" not in data_of(found.html)[0]["about"]


def test_the_command_writes_a_file_and_never_over_another(
    recorded: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page is called after the replay; a file that is there stays without --force, and so does the replay."""
    monkeypatch.chdir(tmp_path)
    replay = recorded("ecology", "--ticks", "20", "--seed", "1")
    name = replay.name.removesuffix(".replay.jsonl") + ".html"
    assert invoke(["view", str(replay)]) == 0
    assert f"{name}: " in capsys.readouterr().out
    assert invoke(["view", str(replay)]) == 64
    assert "--force" in capsys.readouterr().err
    assert invoke(["view", str(replay), "--force", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == {"files": [str(replay)], "view": name, "bytes": (tmp_path / name).stat().st_size}
    assert invoke(["view", str(replay), "--out", str(replay), "--force"]) == 64
    assert "the command reads" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "code", "sentence"),
    [
        (("missing.replay.jsonl",), 64, "cannot be read"),
        (("pyproject.toml",), 1, "is not a line of a replay"),
        (("pyproject.toml", "--serve", "--out", "a.html"), 64, "--serve: writes no file"),
        (("pyproject.toml", "--port", "80"), 64, "--port: needs --serve"),
    ],
)
def test_wrong_use_is_one_sentence(
    command: tuple[str, ...], code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wrong and where; nothing is written."""
    assert invoke(["view", *command]) == code
    err = capsys.readouterr().err
    assert sentence in err
    assert err.count("\n") == 1
    assert not Path("pyproject.html").exists()


def test_local_python_needs_consent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A replay of a domain in a local file is not run before somebody agreed."""
    (tmp_path / "mine.py").write_text(Path("tests/models/wealth.py").read_text("utf-8"), encoding="utf-8")
    replay = tmp_path / "a.replay.jsonl"
    assert invoke(["run", str(tmp_path / "mine.py"), "--ticks", "3", "--out", str(replay), "--quiet"]) == 0
    monkeypatch.delenv("TICKWEAVE_TRUST")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    capsys.readouterr()
    assert invoke(["view", str(replay), "--out", str(tmp_path / "a.html")]) == 64
    assert "add --trust" in capsys.readouterr().err
    assert not (tmp_path / "a.html").exists()
    assert invoke(["view", str(replay), "--out", str(tmp_path / "a.html"), "--trust"]) == 0


def test_a_notebook_shows_a_view_in_a_frame_of_its_own(recorded: Callable[..., Path], tmp_path: Path) -> None:
    """The page stands in a frame that may run scripts and nothing else; its short form is one line."""
    found = view(recorded("ecology", "--ticks", "20", "--seed", "1"))
    html = found._repr_html_()
    assert html.startswith("<iframe srcdoc=")
    assert 'sandbox="allow-scripts"' in html
    assert "<script" not in html
    assert re.fullmatch(r"View\(\d+ kB; save\(FILE\) writes it\)", repr(found))
    assert found.save(tmp_path / "a.html").read_text("utf-8") == found.html
