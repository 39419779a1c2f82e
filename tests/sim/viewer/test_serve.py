"""The server of a view: this machine alone, with the token, reading alone."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sim.cli import invoke
from sim.replay.replay_file import open_replay_file
from sim.replay.show import show_agent
from sim.viewer.replays import Shown, serve


@pytest.fixture
def address(recorded: Callable[..., Path]) -> Iterator[str]:
    """Serve a recording while a test runs."""
    server, address = serve([Shown(recorded("foraging", "--ticks", "20", "--seed", "1"))])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield address
    server.shutdown()
    thread.join()
    server.server_close()


def asked(address: str, path: str = "", method: str = "GET", **headers: str) -> tuple[int, str]:
    """Return the status and the body of an answer."""
    parts = urlsplit(address)
    assert parts.hostname is not None
    connection = HTTPConnection(parts.hostname, parts.port, timeout=10)
    try:
        connection.request(method, parts.path + path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_it_answers_the_page_and_single_agents(address: str, recorded: Callable[..., Path]) -> None:
    """What it says of an agent is what `show` says."""
    assert urlsplit(address).hostname == "127.0.0.1"
    status, page = asked(address)
    assert status == 200
    assert "connect-src 'self'" in page
    status, said = asked(address, "agent?run=0&t=6&a=1")
    with open_replay_file(recorded("foraging", "--ticks", "20", "--seed", "1")) as file:
        assert json.loads(said) == json.loads(json.dumps(show_agent(file, 6, 1)))


def test_strangers_get_nothing(address: str) -> None:
    """Another host name (a web page that had its name changed), a wrong token, another method: refused."""
    assert asked(address, Host="example.org")[0] == 403
    parts = urlsplit(address)
    root = f"http://{parts.hostname}:{parts.port}"
    assert asked(f"{root}/")[0] == 404
    assert asked(f"{root}/{'x' * 22}/")[0] == 404
    assert asked(address, "../../etc/passwd")[0] == 404
    assert asked(address, "more")[0] == 404
    assert asked(address, method="POST")[0] == 501
    assert asked(address)[0] == 200


@pytest.mark.parametrize(
    "query", ["", "?run=7", "?run=-9", "?t=99&a=1", "?t=1&a=999", "?t=x&a=1", "?t=1&a=", "?" + "&".join("abcdefghijkl")]
)
def test_a_wrong_question_is_answered_in_a_sentence(address: str, query: str) -> None:
    """The server goes on."""
    status, said = asked(address, f"agent{query}")
    assert status == 200
    assert json.loads(said)["error"]
    assert asked(address)[0] == 200


def test_a_port_that_is_taken_is_said(
    address: str, recorded: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence and exit code 64."""
    port = urlsplit(address).port
    replay = recorded("foraging", "--ticks", "20", "--seed", "1")
    assert invoke(["view", str(replay), "--serve", "--port", str(port)]) == 64
    assert f"--port: {port} cannot be used" in capsys.readouterr().err
