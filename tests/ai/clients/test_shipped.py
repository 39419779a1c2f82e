"""Every shipped client keeps the rules of clients, against the fake server where it needs one, and leaks nothing."""

import asyncio
import gc
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ai.clients import client_from_spec, discover
from ai.clients.ollama import OllamaClient
from ai.clients.openai import OpenAIClient
from ai.errors import ClientError
from ai.fake.faults import Fault
from ai.fake.server import FakeServer, FakeSettings, serving
from ai.llm_types import LlmClient, LlmRequest, Message
from ai.testing import FailingLlm, MockBatchLlm, check_client
from tests.ai.llm.village import MARKET

ASKED = 'Example:\n{"a1":{"steps":[{"act":"Wait","duration":1}]}}\nAgents:\na1: id 7\na2: id 9'
REQUEST = LlmRequest((Message("user", ASKED),), tokens_max=200, slots={"a1": 7, "a2": 9}, timeout_s=10)
SERVED = ("ollama", "openai")


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServer]:
    with serving() as running:
        yield running


def client_of(scheme: str, server: FakeServer) -> LlmClient:
    return client_from_spec(f"{scheme}:fake@{server.openai_url if scheme == 'openai' else server.url}")


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def text_of(client: LlmClient) -> str:
    return "".join([chunk.text async for chunk in client.stream(REQUEST)])


@pytest.mark.parametrize("scheme", SERVED)
def test_clients_of_servers_keep_the_rules(scheme: str, server: FakeServer) -> None:
    """A client read to its end, read again and left in the middle gives and leaves what the rules say."""
    check_client(client_of(scheme, server))


def test_clients_without_a_server_keep_the_rules(tmp_path: Path) -> None:
    """The doubles and the scripted client keep the rules as well."""
    script = tmp_path / "script.jsonl"
    script.write_text('{"agent": "*", "steps": []}\n')
    for client in (client_from_spec(f"scripted:{script}"), MockBatchLlm.for_agents(1, MARKET), FailingLlm()):
        check_client(client)
    assert {"ollama", "openai", "scripted"} <= set(discover())


def test_both_interfaces_give_the_same_reply_and_the_same_counts(server: FakeServer) -> None:
    """One server asked over its two interfaces gives the same text, and both clients name its counts alike."""

    async def last(client: LlmClient) -> tuple[str, set[str]]:
        chunks = [chunk async for chunk in client.stream(REQUEST)]
        return "".join(chunk.text for chunk in chunks), set(chunks[-1].usage or ()) | set(chunks[-1].timings or ())

    replies = [asyncio.run(last(client_of(scheme, server))) for scheme in SERVED]
    assert replies[0][0] == replies[1][0]
    common = {"prompt_tokens", "completion_tokens", "cached_tokens", "prompt_ms", "predicted_ms", "queue_ms"}
    assert common <= replies[0][1] & replies[1][1]


@pytest.mark.parametrize("scheme", SERVED)
def test_many_replies_in_a_row_do_not_fail_where_a_plain_client_does(scheme: str) -> None:
    """A server may close a connection that it promised to keep: the call is then made once more."""
    asked = {"model": "fake", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}

    async def run() -> None:
        async with (
            FakeServer(FakeSettings(faults={Fault.LAPSE: 1.0})) as server,
            httpx.AsyncClient(trust_env=False) as plain,
        ):
            failures = 0
            for _ in range(10):
                try:
                    await plain.post(f"{server.openai_url}/chat/completions", json=asked)
                except httpx.RemoteProtocolError:
                    failures += 1
            assert failures == 5
            client = client_of(scheme, server)
            for _ in range(150):
                await text_of(client)
            await client.aclose()  # type: ignore[attr-defined]

    asyncio.run(run())


@pytest.mark.parametrize("scheme", SERVED)
@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (Fault.RATE_LIMIT, "rate_limited"),
        (Fault.BUSY, "transport"),
        (Fault.HANGUP, "transport"),
        (Fault.RESET, "transport"),
        (Fault.CUT, "cut"),
        (Fault.ERROR, "transport"),
        (Fault.GARBAGE, "transport or cut"),
        (Fault.STALL, "timeout"),
        (Fault.KEY, "transport"),
    ],
)
def test_each_fault_of_a_real_socket_has_its_outcome(
    scheme: str, fault: Fault, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong on the way is a `ClientError` that says how, and never shows the key."""
    monkeypatch.setenv("TICKWEAVE_API_KEY", "sk-very-secret")
    with serving(FakeSettings(faults={fault: 1.0}, retry_after_s=7)) as server:
        client = client_of(scheme, server)

        async def run() -> ClientError:
            request = LlmRequest(REQUEST.messages, timeout_s=0.3)
            with pytest.raises(ClientError) as caught:
                [chunk async for chunk in client.stream(request)]
            await client.aclose()  # type: ignore[attr-defined]
            return caught.value

        error = asyncio.run(run())
    assert error.outcome in outcome
    assert ("hung up" in str(error)) == (fault is Fault.HANGUP)
    assert error.retry_after_s == (7 if fault is Fault.RATE_LIMIT else None)
    assert error.permanent == (fault is Fault.KEY)
    assert "sk-very-secret" not in f"{error!r}{vars(error)}"
    assert "127.0.0.1" not in str(error)


def test_a_prompt_that_does_not_fit_tells_the_room_there_is() -> None:
    """The error of a prompt that is too long carries the server's context, from which a batch can be cut again."""
    with (
        serving(FakeSettings(context=4)) as server,
        pytest.raises(ClientError, match="exceeds the available") as caught,
    ):
        asyncio.run(text_of(OpenAIClient("fake", server.openai_url)))
    assert caught.value.context == 4


def test_megabytes_of_garbage_are_refused_before_their_end() -> None:
    """Bytes that are no stream are given up when that shows, not when they end."""
    sent = 0

    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        try:
            for _ in range(65_536):
                writer.write(b"garbage\xff" * 128)
                await writer.drain()
                sent += 1
                await asyncio.sleep(0)
        except OSError:
            pass
        finally:
            writer.close()

    async def run() -> None:
        listening = await asyncio.start_server(garbage, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        for client in (OpenAIClient("m", f"{url}/v1"), OllamaClient("m", url)):
            with pytest.raises(ClientError):
                await text_of(client)
            await client.aclose()
        listening.close()
        assert sent < 65_536

    asyncio.run(run())


FAULTS = {fault: 0.07 for fault in Fault if fault is not Fault.KEY}


async def called(client: LlmClient, number: int) -> None:
    """Make one call and leave it as its number says: after the first piece, in time, or at its end."""
    request = LlmRequest(REQUEST.messages, tokens_max=16, timeout_s=0.5, left_s=(0.05, 1.0, 1.0)[number % 3])
    stream = client.stream(request)
    try:
        if number % 5 == 0:
            await anext(stream)
        else:
            async for _ in stream:
                pass
    except ClientError:
        pass
    finally:
        await stream.aclose()  # type: ignore[attr-defined]


async def many(scheme: str, calls: int) -> tuple[int, int, int, int]:
    """Make many calls through drawn faults; returns the tasks, connections, places in the pool and files left."""
    async with FakeServer(FakeSettings(faults=FAULTS, slots=16, plan_tokens=4)) as server:
        client = client_of(scheme, server)
        for start in range(0, calls, 32):
            await asyncio.gather(*(called(client, number) for number in range(start, min(start + 32, calls))))
        session = client._http._session  # type: ignore[attr-defined]
        await asyncio.sleep(0.05)
        pools = [http._transport._pool for http in (session.kept, session.fresh)]
        busy = sum(not connection.is_idle() for pool in pools for connection in pool.connections)
        waiting = sum(len(pool._requests) for pool in pools)
        await client.aclose()  # type: ignore[attr-defined]
        for _ in range(1000):
            await asyncio.sleep(0.001)
            if not server.connections:
                break
        gc.collect()
        return len(asyncio.all_tasks()), server.connections, busy + waiting, open_files()


@pytest.mark.parametrize("scheme", SERVED)
@pytest.mark.parametrize("calls", [300, pytest.param(10_000, marks=pytest.mark.nightly)])
def test_nothing_is_left_after_many_calls_however_they_end(scheme: str, calls: int) -> None:
    """After calls that were read, left early, out of time, or failed, no task, connection, place or file is left."""
    _, _, _, files = asyncio.run(many(scheme, 40))
    assert asyncio.run(many(scheme, calls)) == (1, 0, 0, files)
