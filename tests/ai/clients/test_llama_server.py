"""A llama-server of our own: started with the right slots and context, watched, and surely ended."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ai.clients import client_from_spec, llama_server
from ai.clients.llama_server import LlamaServerClient
from ai.errors import ClientError, ContractError
from ai.llm.probe import probe
from ai.llm_types import Endpoint, LlmRequest, Message
from ai.testing import check_client
from sim.cli import invoke
from tests.ai.clients.llama_programs import DIES, ROOT, STUBBORN, install, model, running

REQUEST = LlmRequest((Message("user", "a1: id 7"),), tokens_max=64)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only server on PATH is the one that works; the file with its process numbers."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return install(tmp_path)


def gone(pids: Path) -> bool:
    """Wait for the processes in the file to end."""
    numbers = [int(pid) for pid in pids.read_text().split()]
    for _ in range(200):
        if not any(running(pid) for pid in numbers):
            return True
        time.sleep(0.05)
    return False


async def text_of(client: LlamaServerClient) -> str:
    return "".join([chunk.text async for chunk in client.stream(REQUEST)])


def test_it_starts_with_the_slots_and_context_of_the_spec_and_ends_with_its_client(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slots and each slot's context are what the spec says; closing ends the server and all it has started."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-a-child")
    client = client_from_spec(f"llama-server:{model(tmp_path)}?slots=3&context=512")
    assert isinstance(client, LlamaServerClient)

    async def run() -> Endpoint | None:
        found = await probe(client)
        await asyncio.gather(*(text_of(client) for _ in range(5)))
        await client.aclose()
        await client.aclose()
        return found

    assert asyncio.run(run()) == Endpoint(True, True, "enforced", True, 3, 512, "llama-server")
    assert client.label == "llama-server:tiny.gguf"
    assert gone(program)
    assert "OPENAI_API_KEY" not in Path(f"{program}.env").read_text().split()


def test_it_keeps_the_rules_of_clients(program: Path, tmp_path: Path) -> None:
    """The checker of clients finds nothing, and its closing leaves no process."""
    check_client(client_from_spec(f"llama-server:{model(tmp_path)}"))
    assert gone(program)


def test_a_server_that_does_not_end_when_asked_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that ignores the request to end is gone all the same."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    pids = install(tmp_path, more=STUBBORN)
    client = LlamaServerClient(str(model(tmp_path)))
    asyncio.run(text_of(client))
    client.stop()
    assert gone(pids)


def test_a_server_that_ends_at_its_start_is_told_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error has what the server said; it is not started again and again, and `run` ends with exit code 1."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    install(tmp_path, DIES)
    client = LlamaServerClient(str(model(tmp_path)))
    for _ in range(2):
        with pytest.raises(ClientError, match="ended at its start: error: unknown model architecture") as caught:
            asyncio.run(text_of(client))
        assert caught.value.outcome == "unavailable"
    assert invoke(["run", "skirmish", "--ticks", "1", "--llm", f"llama-server:{model(tmp_path)}"]) == 1


def test_a_server_that_ends_in_the_middle_fails_its_calls(program: Path, tmp_path: Path) -> None:
    """Once the server has gone, a call says so at once."""
    client = LlamaServerClient(str(model(tmp_path)))
    asyncio.run(text_of(client))
    os.kill(int(program.read_text().split()[0]), signal.SIGKILL)
    assert gone(program)
    for _ in range(100):
        with pytest.raises(ClientError) as caught:
            asyncio.run(text_of(client))
        if "has ended" in str(caught.value):
            break
        time.sleep(0.05)
    assert "has ended" in str(caught.value)
    client.stop()


@pytest.mark.parametrize(
    "rest",
    ["", "nowhere.gguf", ".", "text.gguf", "tiny.gguf?slots=0", "tiny.gguf?slots=x", "tiny.gguf?slots=999999999999",
     "tiny.gguf?colour=1", "a\0b"],
)  # fmt: skip
def test_a_bad_spec_is_a_usage_error(
    rest: str, program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No file, no model, or an option that does not exist ends with one sentence and exit code 64."""
    monkeypatch.chdir(tmp_path)
    model(tmp_path)
    (tmp_path / "text.gguf").write_text("not a model")
    assert invoke(["run", "skirmish", "--llm", f"llama-server:{rest}"]) == 64
    assert capsys.readouterr().err.count("\n") == 1


def test_without_a_program_on_path_the_spec_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names the programs that were looked for, and the package that would do."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(llama_server, "find_spec", lambda name: None)
    with pytest.raises(ContractError, match="neither llama-server nor llama-cpp-server is on PATH"):
        LlamaServerClient(str(model(tmp_path)))


ENGINE = """
import types
from ai.fake.server import FakeSettings, serving
class CommonParams:
    def __init__(self):
        self.model, self.cpuparams = types.SimpleNamespace(path=""), types.SimpleNamespace(n_threads=0)
class Server:
    def __init__(self, params):
        assert open(params.model.path, "rb").read(4) == b"GGUF" and params.hostnames == ["127.0.0.1"], params
        if params.cpuparams.n_threads == 7:
            raise RuntimeError("no model of this kind")
        settings = FakeSettings(model="tiny.gguf", slots=params.n_parallel, context=params.n_ctx // params.n_parallel)
        self.running = serving(settings, port=params.port)
        self.running.__enter__()
"""


def test_the_package_serves_where_no_program_is_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed engine is run as a process of its own, with slots and context; its errors are its last words."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(llama_server, "find_spec", lambda name: name)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    (tmp_path / "xllamacpp.py").write_text(ENGINE)

    async def run(more: str) -> Endpoint | None:
        client = llama_server.from_spec(f"{model(tmp_path)}?slots=2&context=900{more}")
        try:
            return await probe(client)
        finally:
            await client.aclose()

    assert asyncio.run(run("&gpu_layers=1")) == Endpoint(True, True, "enforced", True, 2, 900, "llama-server")
    failed = asyncio.run(run("&threads=7"))
    assert failed is not None
    assert "xllamacpp: no model of this kind" in failed.detail


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_server_is_left_however_the_run_ends(how: signal.Signals, program: Path, tmp_path: Path) -> None:
    """Ctrl-C, a request to end, and even a kill of the run leave no process of the server behind."""
    spec = f"llama-server:{model(tmp_path)}"
    out = str(tmp_path / "a.replay.jsonl")
    command = [sys.executable, "-m", "sim", "run", "crowd", "--llm", spec, "--out", out, "--deadline-ms", "1"]
    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stderr is not None
        assert b"llama-server:tiny.gguf" in run.stderr.readline()
        run.send_signal(how)
        run.communicate(timeout=30)
    assert gone(program)
