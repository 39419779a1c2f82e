"""Replies that are looked at now and then: nothing lost, nothing late, nothing left open, over real sockets."""

import asyncio
import ssl
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.clients.base import LlmRequest, always, reading
from ai.clients.openai import OpenAIClient
from ai.clients.wire.connection import TAKE_BYTES
from ai.clients.wire.gather import GATHER_MIN_S, LEFT_SHARE, next_look
from ai.errors import ClientError

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
PLAIN = b"HTTP/1.1 200 OK\r\n\r\n"
END = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
TLS = Path(__file__).parent.parent / "fixtures" / "tls"
REQUEST = LlmRequest((), timeout_s=5.0)
TIMES = st.floats(0, 1e5)

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def event(text: str) -> bytes:
    return b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % text.encode()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def request_of(reader: asyncio.StreamReader) -> bytes:
    """Read a request whole: a server that closes before it has read everything resets the connection."""
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split()[0]))
    return head


def saying(*pieces: bytes) -> Answer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()

    return answer


@asynccontextmanager
async def client_of(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[OpenAIClient]:
    """Run a server that answers so, give its client, and see that no connection is left in the end."""
    open_now = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now
        open_now += 1
        try:
            await answer(reader, writer)
        except OSError:
            pass
        finally:
            writer.close()
            open_now -= 1

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    scheme = "http" if tls is None else "https"
    client = OpenAIClient("m", f"{scheme}://localhost:{server.sockets[0].getsockname()[1]}/v1", key_names=())
    try:
        yield client
    finally:
        await client.aclose()
        for _ in range(500):
            if open_now:
                await asyncio.sleep(0.01)
        server.close()
        assert not open_now


def asked(
    answer: Answer, *, request: LlmRequest = REQUEST, tls: ssl.SSLContext | None = None, texts: list[str] | None = None
) -> str:
    """Ask a server that answers so and return the text; `texts` has it piece by piece."""
    texts = [] if texts is None else texts

    async def run() -> None:
        async with client_of(answer, tls) as client:
            async for piece in client.stream(request):
                texts.append(piece.text)

    asyncio.run(run())
    return "".join(texts)


def refused(answer: Answer, request: LlmRequest = REQUEST) -> ClientError:
    with pytest.raises(ClientError) as caught:
        asked(answer, request=request)
    return caught.value


@given(TIMES, st.floats(0, 1e3), st.one_of(st.just(float("inf")), st.floats(0, 1e4)))
def test_a_reply_is_looked_at_soon_and_together_with_others(now: float, longest: float, left: float) -> None:
    """The next look is no later than the longest wait, in time for the end, on a moment that calls share."""
    at = next_look(now, longest, now + left)
    left = now + left - now
    assert now < at <= now + max(min(longest, (1 - LEFT_SHARE) * left or longest), GATHER_MIN_S) + 1e-6
    assert (at / GATHER_MIN_S).is_integer()


def nobody() -> bool:
    return False


async def tokens(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str, count: int) -> None:
    """Answer with the beginning of a reply: so many tokens at the pace of a model."""
    await request_of(reader)
    writer.write(HEAD)
    for _ in range(count):
        writer.write(chunk(event(token)))
        await asyncio.sleep(0.02)


async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Write forty tokens and the end."""
    await tokens(reader, writer, "x", 40)
    writer.write(chunk(END) + b"0\r\n\r\n")


PATIENT = LlmRequest((), timeout_s=60.0, hurried=nobody)


async def pieces_of(client: OpenAIClient, request: LlmRequest, texts: list[str] | None = None) -> list[str]:
    """Return the texts of a reply piece by piece; `texts` has them too, also when it fails."""
    texts = [] if texts is None else texts
    async for piece in client.stream(request):
        texts.append(piece.text)
    return texts


def test_a_reply_whose_parts_nobody_waits_for_is_not_looked_at_before_its_end() -> None:
    """From a server that ends connections it comes whole, in two pieces: the reply and its end."""

    async def run() -> None:
        async with client_of(slowly) as client:
            pieces = await pieces_of(client, LlmRequest((), timeout_s=5.0))
            assert len(pieces) > 4
            patient = await pieces_of(client, PATIENT)
            assert "".join(patient) == "".join(pieces) == "x" * 40
            assert len(patient) == 2

    asyncio.run(run())


def test_a_server_that_leaves_connections_open_is_not_waited_for() -> None:
    """Where only the framing tells the end, a reply is there soon after it, whoever waits for its parts."""

    async def lingering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await slowly(reader, writer)
        await reader.read()

    async def run() -> None:
        async with asyncio.timeout(30), client_of(lingering) as client:
            for request in (PATIENT, REQUEST, PATIENT):
                assert "".join(await pieces_of(client, request)) == "x" * 40

    asyncio.run(run())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when a byte came that nobody has looked at")
def test_silence_is_measured_from_the_last_byte_whether_or_not_it_was_looked_at() -> None:
    """A reply that takes longer than the silence that is allowed comes whole if it is never silent for so long."""
    request = LlmRequest((), timeout_s=0.2, hurried=nobody)

    async def falling_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await tokens(reader, writer, "[", 20)
        await reader.read()

    async def run() -> tuple[list[str], float]:
        async with client_of(slowly) as client:
            await pieces_of(client, request)
            assert "".join(await pieces_of(client, request)) == "x" * 40
        texts: list[str] = []
        async with client_of(falling_silent) as client:
            begun = time.monotonic()
            with pytest.raises(ClientError) as caught:
                await pieces_of(client, request, texts)
        assert caught.value.outcome == "timeout"
        return texts, time.monotonic() - begun

    texts, took = asyncio.run(run())
    assert "".join(texts) == "[" * 20
    assert took >= 0.5


def test_the_end_of_a_reply_whose_parts_nobody_waits_for_is_told_at_once() -> None:
    """Where looks would be minutes apart, the last piece follows the end of the reply, not the next look."""

    async def run() -> str:
        async with asyncio.timeout(60), client_of(slowly) as client:
            await pieces_of(client, REQUEST)
            return "".join(await pieces_of(client, LlmRequest((), timeout_s=1e5, hurried=nobody)))

    assert asyncio.run(run()) == "x" * 40


@pytest.mark.parametrize("hurried", [always, nobody])
def test_a_reply_is_left_at_its_deadline(hurried: Callable[[], bool]) -> None:
    """Of a server that writes on and on, a piece comes soon after the deadline, so that the reader can leave."""

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(HEAD)
        while not reader.at_eof():
            writer.write(chunk(event("x")))
            await asyncio.sleep(0.01)

    async def run() -> None:
        ends = time.monotonic() + 0.3
        request = LlmRequest((), timeout_s=1e5, left_s=0.3, hurried=hurried)
        async with asyncio.timeout(60), client_of(endless) as client, reading(client.stream(request)) as stream:
            async for _ in stream:
                if time.monotonic() >= ends:
                    break

    asyncio.run(run())


@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_pieces_of_any_size_come_through_whole(framing: str) -> None:
    """A reply larger than one look, after a token that came alone, is the text that was sent, however it was framed."""
    events = [event("a"), *(event("x" * 900) for _ in range(200)), END]
    assert sum(map(len, events)) > 2 * TAKE_BYTES
    wire = [HEAD, *map(chunk, events), b"0\r\n\r\n"] if framing == "chunked" else [PLAIN, *events]
    assert asked(saying(*wire)) == "a" + "x" * 900 * 200


def test_what_came_before_a_fault_in_the_same_look_is_handed_on() -> None:
    """Plans that closed just before an error, a broken frame or a reset are not lost with it."""
    for fault in (chunk(b'data: {"error":"busy"}\n\n'), b"no chunk", chunk(b"data: {\n\n")):
        texts: list[str] = []
        with pytest.raises(ClientError):
            asked(saying(HEAD + chunk(event("[good")) + fault), texts=texts)
        assert "".join(texts) == "[good"


@pytest.mark.parametrize(
    ("wire", "hung_up", "reason"),
    [
        (b"", True, "hung up"),
        (b"HTTP/1.1 200", True, "hung up"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", False, "no HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000, False, "no HTTP"),
        (HEAD + b"-1\r\n", False, "framing"),
        (HEAD + chunk(event("a")), False, "before the reply was complete"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + event("a"), False, "before the reply was complete"),
    ],
)
def test_an_answer_that_is_none_is_told_as_what_it_is(wire: bytes, reason: str, *, hung_up: bool) -> None:
    """Who hangs up early, speaks no HTTP, breaks the framing or stops in the middle is a `ClientError` that says so."""
    error = refused(saying(wire))
    assert reason in str(error)
    assert error.hung_up == hung_up


def test_a_silent_reply_is_given_up_in_time() -> None:
    """A server that falls silent, before its answer or in the middle, is left after the silence that was allowed."""

    def silent(wire: bytes) -> Answer:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await request_of(reader)
            writer.write(wire)
            await reader.read()

        return answer

    for wire in (b"", HEAD, HEAD + chunk(event("a"))):
        for request in (LlmRequest((), timeout_s=0.1), LlmRequest((), timeout_s=0.1, hurried=nobody)):
            assert refused(silent(wire), request).outcome == "timeout"


def test_a_server_that_nobody_runs_is_told_without_its_address() -> None:
    """Where nobody listens, or no such host exists, the call fails as `transport` and names neither."""
    for url in ("http://127.0.0.1:9/v1", "http://no..host/v1", "https://127.0.0.1:9/v1"):
        with pytest.raises(ClientError) as caught:
            asyncio.run(anext(OpenAIClient("m", url).stream(REQUEST)))  # type: ignore[arg-type]
        assert caught.value.outcome == "transport"
        assert "host/" not in str(caught.value)
        assert "127" not in str(caught.value)


def test_https_is_spoken_to_those_who_can_be_trusted_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over TLS the same reply comes through where the certificate is known, and none where it is not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "certificate.pem", TLS / "key.pem")
    wire = HEAD + chunk(event("x" * 900)) * 200 + chunk(END) + b"0\r\n\r\n"
    monkeypatch.setenv("SSL_CERT_FILE", str(TLS / "certificate.pem"))
    assert asked(saying(wire), tls=context) == "x" * 900 * 200
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(ClientError, match=r"certificate is not trusted \(self-signed certificate\); SSL_CERT_FILE"):
        asked(saying(wire), tls=context)


def test_a_proxy_is_for_the_network_and_not_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the environment names a proxy, calls to other machines go to it, and calls to this one do not."""

    async def run() -> list[bytes]:
        seen: list[bytes] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append((await request_of(reader)).split(b"\r\n")[0])
            writer.write(PLAIN + END)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        here = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        monkeypatch.setenv("HTTP_PROXY", f"http://{here}")
        for host in ("model.invalid", here):
            client = OpenAIClient("m", f"http://{host}/v1", key_names=())
            assert [piece.finish async for piece in client.stream(REQUEST)][-1] == "stop"
            await client.aclose()
        server.close()
        return seen

    for name in ("http_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    through, direct = asyncio.run(run())
    assert through == b"POST http://model.invalid/v1/chat/completions HTTP/1.1"
    assert direct == b"POST /v1/chat/completions HTTP/1.1"
