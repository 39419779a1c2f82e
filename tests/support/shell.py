"""Command lines run in the process of the tests."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sim.cli import invoke
from sim.cli.common import OK


class Shell:
    """Runs command lines in this process and keeps what they said."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, *words: str) -> int:
        """Run one command line."""
        code = invoke(words)
        self.out, self.err = self._capsys.readouterr()
        return code

    def json(self, *words: str) -> dict[str, Any]:
        """Run one command line that succeeds, and return the one object it prints."""
        assert self(*words, "--json") == OK, self.err
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value
