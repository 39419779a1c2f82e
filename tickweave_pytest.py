"""The pytest plug-in: `verify_replay` for golden replays, and `--update-replays`.

pytest loads this module at every start, in projects that may have packages called `sim` or `ai`. It therefore stands
alone and imports nothing of Tickweave before a test asks for it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import pytest

VerifyReplay = Callable[..., None]
"""`verify_replay(path, plugins=())`; both are relative to the test's file."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.getgroup("tickweave").addoption(
        "--update-replays",
        action="store_true",
        help="replace replays that `verify_replay` finds changed, after telling what changes",
    )


@pytest.fixture
def verify_replay(request: pytest.FixtureRequest) -> VerifyReplay:
    """Assert that a replay, run again, is the same: `verify_replay("golden/run.replay.jsonl")`.

    Names are relative to the test's file. With `--update-replays` a replay that differs is shown and replaced.
    """

    def check(path: str | Path, plugins: Sequence[str | Path] = ()) -> None:
        from sim.testing.replays import verify_golden

        folder = request.path.parent
        update = bool(request.config.getoption("--update-replays"))
        files = [folder / plugin for plugin in plugins]
        problem = None
        try:
            verify_golden(folder / path, files, update=update, tell=lambda line: _tell(request.config, line))
        except AssertionError as error:
            problem = str(error)
        if problem is not None:  # outside of the handler, so that it is told once
            pytest.fail(problem, pytrace=False)

    return check


def _tell(config: pytest.Config, line: str) -> None:
    """Write a line past pytest's capture, so that it is seen whether or not the test passes."""
    capture = config.pluginmanager.getplugin("capturemanager")
    with nullcontext() if capture is None else capture.global_and_fixture_disabled():
        sys.stderr.write(f"\n{line}")
        sys.stderr.flush()
