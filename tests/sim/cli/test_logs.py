"""The program's log on stderr: what a command writes, once."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from sim.cli.logs import LINES_MAX, logs, warnings_only

LOGGER = logging.getLogger("tickweave.tests")


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Remove the handlers of pytest, which come with the call of a test."""
    return lambda: monkeypatch.setattr(logging.getLogger(), "handlers", [])


def test_a_warning_is_written_once(capsys: pytest.CaptureFixture[str], alone: Callable[[], None]) -> None:
    """`run` has a log of its own beside the one that every command has; a warning goes to one of them."""
    alone()
    with warnings_only(), logs(0, as_json=False):
        for _ in range(2):
            LOGGER.warning("the server refuses %s", "seed")
    assert capsys.readouterr().err == "tickweave: the server refuses seed\n"


def test_a_detailed_log_has_every_record(capsys: pytest.CaptureFixture[str], alone: Callable[[], None]) -> None:
    """With `--verbose` a record that comes twice is written twice, and after the block only warnings are written."""
    alone()
    with warnings_only():
        with logs(1, as_json=False):
            LOGGER.info("a call")
            LOGGER.info("a call")
        LOGGER.info("not shown")
        LOGGER.warning("shown")
    assert capsys.readouterr().err == "tickweave: a call\ntickweave: a call\ntickweave: shown\n"
    assert not logging.getLogger("tickweave").handlers


def test_warnings_are_bounded(capsys: pytest.CaptureFixture[str], alone: Callable[[], None]) -> None:
    """A listener that fails with a new message in every tick does not flood the terminal."""
    alone()
    with warnings_only():
        for number in range(LINES_MAX + 5):
            LOGGER.warning("%d", number)
    assert len(capsys.readouterr().err.splitlines()) == LINES_MAX


def test_a_program_with_its_own_logging_keeps_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the host program has configured logging, nothing is added to it."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [logging.NullHandler()])
    with warnings_only():
        LOGGER.warning("for the host")
    assert capsys.readouterr().err == ""
