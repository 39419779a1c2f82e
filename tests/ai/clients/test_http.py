"""Calls over real sockets: bounded, kept open where the server does, and one sentence for whatever is in the way."""

import asyncio
import contextlib
import os
import ssl
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from ai.clients.http import SHARED_KEY, Http
from ai.clients.openai import OpenAIClient
from ai.errors import ClientError, ContractError
from ai.llm.probe import probe
from ai.llm_types import LlmRequest
from ai.urls import checked_url, model_and_url
from tests.ai.clients.servers import (
    DONE,
    END,
    GOOD,
    HEAD,
    REQUEST,
    Call,
    Keep,
    Reset,
    Server,
    Step,
    asked,
    chunk,
    chunks_of,
    event,
    openai,
    refused,
    stream,
    text_of,
    whole,
)

TLS = Path(__file__).parents[2] / "fixtures" / "tls"
KEPT = HEAD + chunk(event("{}", "stop") + DONE)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith("SSL_CERT"):
            monkeypatch.delenv(name)


def trickle(step: bytes, *, first: bytes = b"") -> Iterator[Step]:
    yield first
    while True:
        yield step
        yield 0.02


@pytest.mark.parametrize(
    ("first", "step"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X"),
        (HEAD, chunk(b": ping\n\n")),
        (HEAD, chunk(event("x"))),
        (b"HTTP/1.1 500 X\r\nContent-Length: 9999\r\n\r\n", b"x"),
    ],
)
def test_a_server_that_trickles_holds_nobody_longer_than_the_bound(first: bytes, step: bytes) -> None:
    """Bytes in the head, pings, tokens or an error that never end: the call is over when its time is."""
    begun = time.monotonic()
    error = refused(lambda call: trickle(step, first=first), request=LlmRequest((), timeout_s=5.0, left_s=0.3))
    assert error.outcome == "timeout"
    assert time.monotonic() - begun < 2


def test_interim_answers_without_end_are_given_up() -> None:
    """A server that says nothing but `100 Continue` ends the call by its bytes, long before its time."""

    def endless(_call: Call) -> Iterator[Step]:
        while True:
            yield b"HTTP/1.1 100 Continue\r\n\r\n" * 1000

    begun = time.monotonic()
    error = refused(endless, request=LlmRequest((), timeout_s=60.0, left_s=60.0))
    assert "no answer within 1048576 bytes" in str(error)
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize(
    ("limit", "first", "reason"),
    [
        ("ai.clients.http.HEAD_S", b"HTTP/1.1 200 OK\r\n", "no answer within the time allowed"),
        ("ai.clients.chat.LINE_S", HEAD + chunk(b"data: "), "a line of the reply did not end within 0 s"),
    ],
)
def test_a_trickle_ends_long_before_a_call_that_may_take_minutes(
    limit: str, first: bytes, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server may take its time before it answers, and not between the bytes of one line."""
    monkeypatch.setattr(limit, 0.3)
    step = b"X" if "HEAD_S" in limit else chunk(b"x")
    begun = time.monotonic()
    error = refused(lambda call: trickle(step, first=first), request=LlmRequest((), timeout_s=60.0, left_s=60.0))
    assert (error.outcome, reason in str(error)) == ("timeout", True), error
    assert time.monotonic() - begun < 10


def test_a_step_of_the_probe_is_bounded_too() -> None:
    """A server that trickles its list of models is left after the time of that question, and asked for a reply."""

    async def run() -> float:
        async with Server(lambda call: trickle(b" ", first=b"HTTP/1.1 200 OK\r\n\r\n")) as server:
            http, begun = Http("x", server.url), time.monotonic()
            with pytest.raises(ClientError, match="within the time"):
                await http.ask("GET", "/models", total_s=0.3)
            await http.aclose()
            return time.monotonic() - begun

    assert asyncio.run(run()) < 2


@pytest.mark.parametrize("wire", [b"", HEAD, HEAD + chunk(event("a"))])
def test_a_silent_server_is_given_up_in_time(wire: bytes) -> None:
    """A server that falls silent, before its answer or in the middle, is left after the silence that was allowed."""
    assert refused(lambda call: (wire, 30.0), request=LlmRequest((), timeout_s=0.1)).outcome == "timeout"


@pytest.mark.parametrize(
    "wire",
    [
        HEAD + chunk(event("{}", "stop")) + chunk(DONE),
        HEAD + chunk(event("{}", "stop")),
        HEAD + chunk(event("{}")) + chunk(DONE),
        stream(event("{}", "stop")),
        whole(200, event("{}", "stop"), "Content-Type: text/event-stream"),
    ],
)
def test_a_reply_is_over_when_the_protocol_says_so(wire: bytes) -> None:
    """`[DONE]`, the end of the body, or a finish and silence end a reply, however long the connection stays open."""
    begun = time.monotonic()
    chunks, error, _ = asked(lambda call: (wire, 30.0))
    assert (text_of(chunks), error) == ("{}", None)
    assert time.monotonic() - begun < 5


def test_heartbeats_after_the_finish_are_silence() -> None:
    """A server that says how the reply ended and then only pings is not listened to any longer."""
    begun = time.monotonic()
    chunks, _, _ = asked(lambda call: trickle(chunk(b": ping\n\n"), first=HEAD + chunk(event("{}", "stop"))))
    assert chunks[-1].finish == "stop"
    assert time.monotonic() - begun < 5


def test_a_connection_is_kept_where_the_server_keeps_it() -> None:
    """Twenty calls in a row use one connection, also where the end of the body comes a moment after the reply."""

    async def run(steps: tuple[Step, ...]) -> int:
        async with Server(lambda call: steps) as server:
            client = openai(server)
            for _ in range(20):
                assert text_of(await chunks_of(client)) == "{}"
            await client.aclose()
            return server.dialled

    assert asyncio.run(run((GOOD, Keep))) == 1
    assert asyncio.run(run((KEPT, 0.01, END, Keep))) < 10  # a busy machine may be late now and then
    assert asyncio.run(run((GOOD,))) == 20


def test_a_connection_that_closes_before_any_byte_is_replaced_once() -> None:
    """A server that hangs up on a kept connection is dialled again at once; one that always does fails the call."""
    served = 0

    def fickle(call: Call) -> tuple[Step, ...]:
        nonlocal served
        served += 1
        return () if served % 2 == 0 else (GOOD, Keep)

    async def run() -> int:
        async with Server(fickle) as server:
            client = openai(server)
            for _ in range(10):
                assert text_of(await chunks_of(client)) == "{}"
            await client.aclose()
            return len(server.calls)

    assert asyncio.run(run()) == 19
    for steps in ((), (Reset,)):
        _, error, server = asked(lambda call, steps=steps: steps)
        assert "hung up before it answered" in str(error)
        assert len(server.calls) == 2


def test_a_hang_up_charges_no_breaker_and_no_probe() -> None:
    """A llama-server that closes what it promised to keep is probed and asked without a fault."""
    served: list[int] = []

    def once(call: Call) -> tuple[Step, ...]:
        served.append(1)
        return () if len(served) % 3 == 0 else (GOOD, Keep)

    async def run() -> None:
        async with Server(once) as server:
            client = openai(server)
            endpoint = await probe(client)
            assert endpoint is not None
            assert endpoint.model_present
            await client.aclose()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("wire", "reason"),
    [
        (b"HTTP/1.1 200", "hung up"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 30_000, "not HTTP"),
        (HEAD + b"-1\r\n", "not HTTP: illegal chunk header"),
        (HEAD + chunk(event("a")), "before the reply was complete"),
        (HEAD + chunk(event("a")) + b"5", "before the reply was complete"),
        (whole(200, event("a") + event("b"))[:-9], "before the reply was complete"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope", "packed"),
    ],
)
def test_an_answer_that_is_none_is_reported_as_what_it_is(wire: bytes, reason: str) -> None:
    """A server that hangs up early, speaks no HTTP, breaks the framing or stops in the middle gets one sentence."""
    error = refused(wire)
    assert reason in str(error)
    assert "localhost" not in str(error)


def test_a_connection_reset_in_the_middle_is_a_fault_of_the_transport() -> None:
    """What came before is handed on, and the call fails as `transport`."""
    chunks, error, _ = asked(lambda call: (HEAD + chunk(event("[good")), 0.1, Reset))
    assert text_of(chunks) == "[good"
    assert error is not None
    assert error.outcome == "transport"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("location", ["/v2/chat?key=sk-secret", "https://elsewhere/v2"])
def test_a_redirect_is_reported_with_its_location(status: int, location: str) -> None:
    """A redirect is not followed, since it would take the key along; the sentence says where it points."""
    error = refused(whole(status, b"", f"Location: {location}"))
    assert f"HTTP {status}: the server redirects to {location.partition('?')[0]}" in str(error)
    assert "secret" not in str(error)
    assert error.permanent


def test_a_server_that_is_not_there_is_reported_without_its_address() -> None:
    """Where nobody listens, or no such host exists, the call fails in one sentence that names neither."""
    for url in ("http://127.0.0.1:9/v1", "http://no..host/v1", f"http://{'a' * 70}.x/v1", "https://127.0.0.1:9/v1"):
        client = OpenAIClient("m", url, key_names=())
        with pytest.raises(ClientError) as caught:
            asyncio.run(chunks_of(client))
        assert not any(word in str(caught.value) for word in ("host/", "127", "\n"))


def test_https_is_spoken_to_trusted_servers_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over TLS a reply comes through where the environment names its authority, else a sentence says how to name it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "certificate.pem", TLS / "key.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(TLS / "certificate.pem"))
    chunks, error, _ = asked(stream(*[event("x" * 900)] * 200, event(finish="stop"), DONE), tls=context)
    assert (text_of(chunks), error) == ("x" * 900 * 200, None)
    monkeypatch.delenv("SSL_CERT_FILE")
    _, error, _ = asked(GOOD, tls=context)
    assert "certificate is not trusted (self-signed certificate); SSL_CERT_FILE" in str(error)

    async def refusing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(whole(400, b"this is HTTP"))
        writer.close()

    async def plain() -> str:
        async with await asyncio.start_server(refusing, "127.0.0.1", 0) as server:
            url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
            with pytest.raises(ClientError) as caught:
                await chunks_of(OpenAIClient("m", url, key_names=()))
            return str(caught.value)

    assert "does not speak TLS here" in asyncio.run(plain())


@pytest.mark.parametrize(
    ("url", "names", "reason"),
    [
        ("http://far.invalid/v1", {"ALL_PROXY": "socks5://127.0.0.1:9"}, "ALL_PROXY names a SOCKS proxy"),
        ("http://far.invalid/v1", {"all_proxy": "socks://127.0.0.1:9/"}, "all_proxy names a SOCKS proxy"),
        ("http://far.invalid/v1", {"HTTP_PROXY": "ftp://x:1"}, "HTTP_PROXY names no usable proxy"),
        ("http://far.invalid/v1", {"HTTP_PROXY": "http://[::1"}, "HTTP_PROXY names no usable proxy"),
        ("http://far.invalid/v1", {"HTTP_PROXY": " 127.0.0.1:9 "}, "through the proxy that HTTP_PROXY names"),
        ("http://far.invalid/v1", {"HTTP_PROXY": "x:1", "NO_PROXY": "far.invalid"}, "is the server running"),
        ("http://far.invalid/v1", {"HTTP_PROXY": "x..:1", "NO_PROXY": "::1/128,[::1]"}, ""),
        ("https://127.0.0.1:9/v1", {"SSL_CERT_FILE": "/no/such/file"}, "SSL_CERT_FILE names cannot be read: No such"),
        ("https://127.0.0.1:9/v1", {"SSL_CERT_FILE": "/dev/null"}, "SSL_CERT_FILE names cannot be read: it holds no"),
        ("https://127.0.0.1:9/v1", {"SSL_CERT_DIR": "/no/such/folder"}, "is the server running"),
        ("http://127.0.0.1:9/v1", {"MY_KEY": "sk\u00e9cret"}, "MY_KEY holds characters no key has"),
    ],
)
def test_an_odd_environment_is_one_sentence(
    url: str, names: dict[str, str], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is wrong in the environment ends a call as a `ClientError` that names the variable and nothing else."""
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    client = OpenAIClient("m", url, key_names=("MY_KEY",))
    with pytest.raises(ClientError) as caught:
        asyncio.run(chunks_of(client))
    assert reason in str(caught.value)
    assert not any(word in str(caught.value) for word in ("\n", "127.0.0.1", "cret"))
    endpoint = asyncio.run(probe(client))
    assert endpoint is not None
    assert not endpoint.reachable


@pytest.mark.parametrize(
    ("rules", "proxied"),
    [("", True), ("10.0.0.0/8", False), ("11.0.0.0/8,nonsense/99", True), ("10.1.2.3", False), ("*", False)],
)
def test_a_proxy_is_for_the_network_and_not_for_this_machine(
    rules: str, *, proxied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls to other machines go to the proxy unless NO_PROXY covers them; calls to this one never do."""

    async def run() -> list[str]:
        async with Server(lambda call: GOOD) as server:
            monkeypatch.setenv("HTTP_PROXY", server.root)
            monkeypatch.setenv("NO_PROXY", rules)
            here = OpenAIClient("m", server.url, key_names=())
            far = OpenAIClient("m", "http://10.1.2.3:1/v1", key_names=())
            await chunks_of(here)
            with contextlib.suppress(ClientError):
                await chunks_of(far, LlmRequest((), timeout_s=0.2))
            await here.aclose()
            await far.aclose()
            return [call.path for call in server.calls]

    there = ["http://10.1.2.3:1/v1/chat/completions"] if proxied else []
    assert asyncio.run(run()) == ["/v1/chat/completions", *there]


def test_a_client_ends_with_its_loop_and_begins_again_on_another() -> None:
    """Loops one after the other may use one client: each gets connections of its own, and none is left open."""

    async def run(client: OpenAIClient | None) -> OpenAIClient:
        async with Server(lambda call: (GOOD, Keep)) as server:
            client = client or openai(server)
            client._http.url = server.url
            assert text_of(await chunks_of(client)) == "{}"
            server.open = 0  # the loop's end closes it
            return client

    client = asyncio.run(run(None))
    asyncio.run(run(client))


def test_a_pool_without_a_free_place_is_replaced() -> None:
    """Should places in the pool be lost all the same, the call fails in time and the next one has a new client."""

    async def run() -> None:
        async with Server(lambda call: GOOD) as server:
            client = openai(server)
            await chunks_of(client)
            session = client._http._session
            assert session is not None

            async def full(request: httpx.Request, *, stream: bool) -> httpx.Response:
                raise httpx.PoolTimeout("full")

            session.kept.send = full  # type: ignore[method-assign, assignment]
            with pytest.raises(ClientError) as caught:
                await chunks_of(client)
            assert caught.value.outcome == "timeout"
            assert text_of(await chunks_of(client)) == "{}"
            await session.guard.aclose()
            await client.aclose()

    asyncio.run(run())


def test_leaving_a_stream_early_closes_its_connection() -> None:
    """A reader that stops closes the generator, and with it the connection."""

    async def run() -> None:
        async with Server(lambda call: trickle(chunk(event("x")), first=HEAD)) as server:
            client = openai(server)
            reply = client.stream(REQUEST)
            await anext(reply)
            await reply.aclose()  # type: ignore[attr-defined]
            for _ in range(200):
                if server.open:
                    await asyncio.sleep(0.01)
            assert not server.open
            await client.aclose()
            await client.aclose()

    asyncio.run(run())


@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_pieces_of_any_size_come_through_whole(framing: str) -> None:
    """A reply larger than one read, after a token that came alone, is the text that was sent, however it was framed."""
    events = [event("a"), *(event("x" * 900) for _ in range(200)), event(finish="stop"), DONE]
    wire = b"".join(events)
    pieces = [wire[a:b] for a, b in pairwise([*range(0, len(wire), 1013), len(wire)])]
    body = stream(*pieces) if framing == "chunked" else b"HTTP/1.1 200 OK\r\n\r\n" + wire
    assert text_of(asked(body)[0]) == "a" + "x" * 900 * 200


@pytest.mark.parametrize(
    ("rest", "model", "url"),
    [
        ("m", "m", None),
        ("m@20240620", "m@20240620", None),
        ("m@20240620@https://h/v1/", "m@20240620", "https://h/v1"),
        ("m@HTTP://h", "m", "http://h"),
        ("@cf/org/m-3.1", "@cf/org/m-3.1", None),
        ("@cf/org/m@http://[::1]:9", "@cf/org/m", "http://[::1]:9"),
    ],
)
def test_a_spec_is_split_at_its_url(rest: str, model: str, url: str | None) -> None:
    """A model's name may hold an @ itself; only what follows as a URL is one."""
    assert model_and_url(rest, "openai") == (model, url)


@pytest.mark.parametrize("rest", ["m@localhost", "m@host:8080", "m@my.host/v1", "m@[::1]:9", "m@ftp://h", " @http://h"])
def test_a_url_without_its_scheme_is_refused(rest: str) -> None:
    """What looks like a host after the @ is a mistake and no model's name."""
    with pytest.raises(ContractError):
        model_and_url(rest, "openai")


@pytest.mark.parametrize("url", ["xyz", "http://", "http://xyz:x", "http://[::1", "http://u:xyz@h", "http://h?k=xyz"])
def test_a_url_that_is_none_or_holds_a_secret_is_refused(url: str) -> None:
    """The sentence does not repeat the URL."""
    with pytest.raises(ContractError) as caught:
        checked_url(url, "openai")
    assert "xyz" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "key", "sent"),
    [
        ("https://api.example.com/v1", "a-long-key", "a-long-key"),
        ("http://127.0.0.1:8080", "a-long-key", "a-long-key"),
        ("http://[::1]:8080", "a-long-key", "a-long-key"),
        ("http://localhost:8080", "a-long-key", "a-long-key"),
        ("https://api.example.com/v1", "https://api.example.com a-long-key", "a-long-key"),
        ("https://api.example.com/v1", "https://other.example.com a-long-key", None),
        ("https://api.example.com:444/v1", "https://api.example.com a-long-key", None),
        ("http://127.0.0.1:8080", "https://127.0.0.1:8080 a-long-key", None),
    ],
)
def test_a_key_goes_to_its_origin_over_what_nobody_can_read(
    url: str, key: str, sent: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over TLS or to this machine, and where an origin stands before it to that origin alone."""
    monkeypatch.setenv(SHARED_KEY, key)
    assert Http("model", url, key_names=(SHARED_KEY,)).key() == sent


@pytest.mark.parametrize("url", ["http://api.example.com/v1", "http://10.0.0.7:8000", "http://localhost.example.com"])
def test_a_key_is_not_sent_in_clear_unless_a_person_says_so(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal names the variable and the option, and not the key."""
    monkeypatch.setenv(SHARED_KEY, "a-long-key")
    http = Http("model", url, key_names=(SHARED_KEY,))
    with pytest.raises(ClientError, match=f"{SHARED_KEY} would go over the network in clear.*--insecure-key") as caught:
        http.key()
    assert "a-long-key" not in str(caught.value)
    monkeypatch.setenv("TICKWEAVE_INSECURE_KEY", "1")
    assert http.key() == "a-long-key"
