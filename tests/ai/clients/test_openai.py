"""The OpenAI client: framing of real and broken streams, faults by outcome, and a key that never shows."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai.clients import client_from_spec
from ai.clients.base import LlmChunk, LlmClient, LlmRequest, Message
from ai.clients.openai import KEY_NAMES, OpenAIClient, SseReader
from ai.clients.wire.framing import LINE_BYTES_MAX
from ai.clients.wire.reader import REPLY_BYTES_MAX
from ai.clients.wire.reply import Reply
from ai.errors import ClientError, ContractError

STREAMS = Path(__file__).parent.parent / "fixtures" / "sse"
NAMES = sorted(path.stem for path in STREAMS.glob("*.sse"))
REQUEST = LlmRequest(
    (Message("system", "rules"), Message("user", "agents")), schema={"type": "object"}, tokens_max=77, seed=2**40 + 5
)
DONE = b"data: [DONE]\n\n"
CONTEXT_ERROR = (STREAMS / "error_ctx.http").read_bytes().partition(b"\r\n\r\n")[2]
LOADING = b'{"error":{"message":"Loading model","type":"unavailable_error","code":503}}'


def event(content: str | None = None, finish: str | None = None, **extra: Any) -> bytes:
    choice = {"index": 0, "delta": {} if content is None else {"content": content}, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice], **extra}, ensure_ascii=False).encode() + b"\n\n"


class Pieces(httpx.AsyncByteStream):
    """A response body that arrives in the given pieces; an exception among them is raised in its place."""

    def __init__(self, pieces: Sequence[bytes | Exception]) -> None:
        self.pieces = pieces
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def aclose(self) -> None:
        self.closed = True


async def collect(client: LlmClient, request: LlmRequest = REQUEST) -> list[LlmChunk]:
    return [chunk async for chunk in client.stream(request)]


def answering(*pieces: bytes | Exception, status: int = 200) -> OpenAIClient:
    transport = httpx.MockTransport(lambda request: httpx.Response(status, stream=Pieces(pieces)))
    return OpenAIClient("m", transport=transport)


def ask(client: OpenAIClient) -> tuple[str, LlmChunk]:
    async def run() -> list[LlmChunk]:
        try:
            return await collect(client)
        finally:
            await client.aclose()

    chunks = asyncio.run(run())
    assert all(chunk.finish is None and chunk.usage is None for chunk in chunks[:-1])
    return "".join(chunk.text for chunk in chunks), chunks[-1]


def fault(client: OpenAIClient) -> ClientError:
    with pytest.raises(ClientError) as caught:
        ask(client)
    return caught.value


def read(reads: Sequence[Sequence[bytes]]) -> tuple[str, LlmChunk | str]:
    """Read a stream without a server, some pieces at a time: the text, and the last chunk or how it failed."""
    reader = SseReader(Reply(LlmRequest(()), clock=lambda: 0.0), lambda error: ClientError(str(error)))
    try:
        text = "".join(reader.feed(pieces).text for pieces in reads)
        return text, reader.close()
    except ClientError as error:
        return "", error.outcome


# -- framing -----------------------------------------------------------------------------------------------------------


@given(st.sampled_from(NAMES), st.data())
@settings(deadline=None, max_examples=40)
def test_any_split_of_the_bytes_gives_the_same_text(name: str, data: st.DataObject) -> None:
    """A recorded stream split anywhere, even inside a character, gives the text and end of the whole."""
    body = (STREAMS / f"{name}.sse").read_bytes()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=20)))

    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    whole = read([[body]])
    assert read([[piece] for piece in pieces]) == whole
    assert read([pieces]) == whole


@given(st.sampled_from(NAMES), st.lists(st.integers(0, 400), max_size=6))
@settings(deadline=None, max_examples=40)
def test_events_in_pieces_of_their_own_give_the_same_text(name: str, looks: list[int]) -> None:
    """A recorded stream of which each event is a piece, as servers write it, gives the text and end of the whole."""
    body = (STREAMS / f"{name}.sse").read_bytes()
    events = [event + b"\n\n" for event in body.split(b"\n\n")]
    events[-1] = events[-1].removesuffix(b"\n\n")
    edges = [0, *sorted(looks), len(events)]
    assert b"".join(events) == body
    assert read([events[a:b] for a, b in pairwise(edges)]) == read([[body]])


@pytest.mark.parametrize("name", NAMES)
def test_every_split_in_two_gives_the_same_text(name: str) -> None:
    """The first and last events of a recorded stream, cut once at every place, give the text and end of the whole."""
    events = (STREAMS / f"{name}.sse").read_bytes().split(b"\n\n")
    body = b"\n\n".join([*events[:3], *events[-4:]])
    whole = read([[body]])
    for cut in range(len(body)):
        assert read([[body[:cut]], [body[cut:]]]) == whole


def test_a_recorded_stream_gives_text_finish_usage_and_timings() -> None:
    """A whole stream of a real server, one byte at a time, gives its plans and what the server measured."""
    text, last = ask(answering(*((STREAMS / "verbose_k3.sse").read_bytes()[n : n + 1] for n in range(36_270))))
    assert list(json.loads(text)) == ["a1", "a2", "a3"]
    assert last.finish == "stop"
    assert last.usage == {"prompt_tokens": 329, "completion_tokens": 149, "cached_tokens": 226}
    assert last.timings is not None
    assert last.timings["predicted_n"] == 149


def test_a_recorded_stream_that_reached_its_limit_says_so() -> None:
    """A reply cut at its token limit ends with `length`."""
    assert ask(answering((STREAMS / "tuple_k4_length.sse").read_bytes()))[1].finish == "length"


def test_separators_and_split_characters_inside_strings_survive() -> None:
    """U+2028, U+0085, carriage returns, comments and characters split over reads or escapes come through unharmed."""
    text = "caf\u00e9 \u2028\u2029\u0085 \U0001f600"
    body = b": ping\n\nevent: message\r\n" + event(text) + b'data:{"choices":[{"delta":{"content":"\\ud83d"}}]}\r\n'
    body += b'data: {"choices":[{"delta":{"content":"\\ude00!"}}]}\n' + event(finish="stop") + DONE
    assert ask(answering(*(body[n : n + 1] for n in range(len(body)))))[0] == text + "\U0001f600!"


def test_half_a_character_becomes_a_replacement() -> None:
    """A lone surrogate never reaches the text: what comes out can always be written as UTF-8."""
    body = b'data: {"choices":[{"delta":{"content":"x\\ud83d"}}]}\n' + event(finish="stop") + DONE
    text, _ = ask(answering(body))
    assert text == "x\ufffd"


def test_reasoning_is_kept_out_of_the_text() -> None:
    """What a model thinks, under either name, is not part of the reply."""
    thoughts = [
        b'data: {"choices":[{"delta":{"%s":"{}","content":null}}]}\n' % name
        for name in (b"reasoning", b"reasoning_content")
    ]
    assert ask(answering(*thoughts, event("{}"), event(finish="stop"), DONE))[0] == "{}"


def test_unknown_usage_stays_unknown() -> None:
    """Where the server reports no counts, the last chunk has None and not zero."""
    _, last = ask(answering(event("{}", "stop"), DONE))
    assert (last.usage, last.timings) == (None, None)
    _, last = ask(answering(event("{}", "stop", usage={"prompt_tokens": None, "completion_tokens": 3}), DONE))
    assert last.usage == {"completion_tokens": 3}


def test_a_finish_is_enough_and_so_is_done() -> None:
    """A stream is complete when it has a finish reason or `[DONE]`, whichever the server sends."""
    assert ask(answering(event("{}", "length")))[1].finish == "length"
    assert ask(answering(event("{}"), DONE))[1].finish == "stop"
    assert ask(answering(event("{}"), b"data: [DONE]"))[1].finish == "stop"
    assert ask(answering(event("{}", "stop"), httpx.RemoteProtocolError("gone")))[1].finish == "stop"


# -- faults ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pieces", "outcome", "reason"),
    [
        ([event("{")], "cut", "before the reply was complete"),
        ([event("{"), httpx.RemoteProtocolError("gone")], "cut", "before the reply was complete"),
        ([], "cut", "before the reply was complete"),
        ([event("{"), httpx.ReadError("gone")], "transport", "connection broke"),
        ([event("{"), httpx.ReadTimeout("slow")], "timeout", "within the time"),
        ([event("{"), b'data: {"error":{"code":500,"message":"slot\\n lost"}}\n\n'], "transport", "slot lost"),
        ([b'data: {"error":"busy"}\n\n'], "transport", "busy"),
        ([b'data: {"error":{"code":429,"message":"slow down"}}\n\n'], "rate_limited", "slow down"),
        ([b"<html>\n</html>\n"], "transport", "not an event stream"),
        ([b"data: {\n"], "transport", "not JSON"),
        ([b"data: " + b"[" * 100_000 + b"\n"], "transport", "not JSON"),
        ([b'{"error":{"message":"no stream here"}}\n'], "transport", "no stream here"),
        ([b"x" * LINE_BYTES_MAX, b"x"], "cut", "longer than"),
        ([b": ping\n" * 40_000, b": ping\n" * 40_000], "cut", "without an event"),
        ([event("x" * 200_000)] * 50, "cut", f"longer than {REPLY_BYTES_MAX}"),
        ([event("{"), b'data: {"choices":[{"delta":{"refusal":"I will not"}}]}\n', DONE], "refused", "I will not"),
    ],
)
def test_a_stream_that_fails_is_a_client_error_by_outcome(
    pieces: list[bytes | Exception], outcome: str, reason: str
) -> None:
    """Each way a stream can break is a `ClientError` with the outcome that tells the tiers what happened."""
    error = fault(answering(*pieces))
    assert error.outcome == outcome
    assert reason in str(error)
    assert str(error).startswith("openai:m: ")


@pytest.mark.parametrize(
    "payload",
    [
        b"7",
        b"[]",
        b'{"choices":7}',
        b'{"choices":[7]}',
        b'{"choices":[{"delta":[]}]}',
        b'{"choices":[{"delta":{"content":7}}]}',
        b'{"usage":[],"timings":7}',
    ],
)
def test_events_of_another_shape_are_passed_over(payload: bytes) -> None:
    """An event that is JSON but not a piece of a reply changes nothing."""
    assert ask(answering(b"data: " + payload + b"\n", event("{}", "stop"), DONE))[0] == "{}"


@pytest.mark.parametrize(
    ("status", "body", "outcome", "reason"),
    [
        (400, CONTEXT_ERROR, "transport", "context size (4096 tokens)"),
        (401, b'{"error":{"message":"bad key"}}', "transport", "OPENAI_API_KEY"),
        (404, b'{"error":"model not found"}', "transport", "model not found (check the model"),
        (408, b"", "timeout", "no message"),
        (429, b'{"message":"slow down"}', "rate_limited", "slow down"),
        (500, b"\xff<html>", "transport", "HTTP 500"),
        (503, LOADING, "transport", "Loading model"),
        (302, b"[" * 100_000, "transport", "HTTP 302"),
    ],
)  # fmt: skip
def test_an_answer_other_than_200_is_a_client_error_that_says_what_to_do(
    status: int, body: bytes, outcome: str, reason: str
) -> None:
    """The server's own words are kept, bounded, with the outcome and an advice."""
    error = fault(answering(body, status=status))
    assert error.outcome == outcome
    assert reason in str(error)
    assert len(str(error)) < 400


def test_an_endless_error_answer_is_read_to_its_limit() -> None:
    """An error answer is bounded even when the server never stops writing it."""
    assert len(str(fault(answering(*[b"x" * 65_536] * 100, status=500)))) < 400


@pytest.mark.parametrize(
    ("raised", "outcome"),
    [
        (httpx.ConnectError("nobody at example.invalid"), "transport"),
        (httpx.ConnectTimeout("slow"), "timeout"),
        (httpx.PoolTimeout("full"), "timeout"),
        (httpx.RemoteProtocolError("disconnected"), "transport"),
        (httpx.ReadError("reset"), "transport"),
    ],
)
def test_no_answer_is_a_client_error_without_the_host(raised: Exception, outcome: str) -> None:
    """A server that cannot be reached is a fault of the transport, and the message names no host."""
    calls = 0

    def refuse(request: httpx.Request) -> httpx.Response:
        nonlocal calls
        calls += 1
        raise raised

    error = fault(OpenAIClient("m", "http://example.invalid/v1", transport=httpx.MockTransport(refuse)))
    assert error.outcome == outcome
    assert "example" not in str(error)
    assert calls == 1
    assert error.hung_up == isinstance(raised, httpx.RemoteProtocolError | httpx.ReadError)


def test_leaving_a_stream_early_closes_its_response() -> None:
    """Whoever stops reading closes the generator, and with it the connection."""
    body = Pieces([event("{"), event("}", "stop"), DONE])
    client = OpenAIClient("m", transport=httpx.MockTransport(lambda request: httpx.Response(200, stream=body)))

    async def run() -> None:
        stream = client.stream(REQUEST)
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]
        assert body.closed
        await client.aclose()
        await client.aclose()

    asyncio.run(run())


# -- what is sent ------------------------------------------------------------------------------------------------------


def sent(client_of: Callable[[httpx.AsyncBaseTransport], OpenAIClient], request: LlmRequest = REQUEST) -> httpx.Request:
    seen: list[httpx.Request] = []

    def answer(call: httpx.Request) -> httpx.Response:
        seen.append(call)
        return httpx.Response(200, stream=Pieces([event("{}", "stop"), DONE]))

    asyncio.run(collect(client_of(httpx.MockTransport(answer)), request))
    return seen[0]


def test_the_request_streams_bounds_and_constrains(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every call streams with usage, bounds the reply, sends the schema in the form servers enforce, and closes."""
    for name in KEY_NAMES:
        monkeypatch.delenv(name, raising=False)
    call = sent(lambda transport: OpenAIClient("m", "https://host/api/v1/", transport=transport))
    assert (call.method, str(call.url)) == ("POST", "https://host/api/v1/chat/completions")
    assert json.loads(call.content) == {
        "model": "m",
        "messages": [{"role": "system", "content": "rules"}, {"role": "user", "content": "agents"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 77,
        "temperature": 0.0,
        "seed": 5,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "plans", "strict": True, "schema": {"type": "object"}},
        },
    }
    assert call.headers["connection"] == "close"
    assert "authorization" not in call.headers
    assert call.extensions["timeout"]["read"] == REQUEST.timeout_s
    assert "response_format" not in json.loads(sent(lambda t: OpenAIClient("m", transport=t), LlmRequest(())).content)


def test_the_key_comes_from_the_environment_and_never_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key travels in its header only: not in the label, the repr, an attribute or a server's echo of it."""
    monkeypatch.setenv("MY_KEY", "sk-secret-1")
    call = sent(lambda transport: OpenAIClient("m", key_names=("MY_KEY",), transport=transport))
    assert call.headers["authorization"] == "Bearer sk-secret-1"
    for status, body in ((401, b"wrong key sk-secret-1!"), (200, b'data: {"error":"sk-secret-1 is wrong"}\n\n')):
        transport = httpx.MockTransport(lambda request, s=status, b=body: httpx.Response(s, stream=Pieces([b])))
        client = OpenAIClient("m", key_names=("MY_KEY",), transport=transport)
        error = fault(client)
        assert "***" in str(error)
        assert "sk-secret-1" not in f"{error!r}{client!r}{client.label}{vars(client)}"


def test_a_key_that_cannot_be_sent_is_refused_unnamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key with characters no header takes is a `ContractError` that names the variable and not the key."""
    for key in ("sk\nsecret", "sk-s\u00e9cret", "two secrets"):
        monkeypatch.setenv("OPENAI_API_KEY", key)
        with pytest.raises(ContractError, match="OPENAI_API_KEY") as caught:
            ask(answering(DONE))
        assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "label", "url"),
    [
        ("gpt-x", "openai:gpt-x", "http://127.0.0.1:8080/v1/chat/completions"),
        ("org/model@https://host:81/v1", "openai:org/model", "https://host:81/v1/chat/completions"),
        ("@cf/model@http://host", "openai:@cf/model", "http://host/chat/completions"),
        ("/home/me/big.gguf@http://[::1]:9/v1", "openai:big.gguf", "http://[::1]:9/v1/chat/completions"),
        ("C:\\models\\big.GGUF", "openai:big.GGUF", "http://127.0.0.1:8080/v1/chat/completions"),
    ],
)
def test_a_spec_names_model_and_url(spec: str, label: str, url: str) -> None:
    """`openai:MODEL[@URL]` is read as it stands, and the label shows neither host nor path."""
    client = client_from_spec(f"openai:{spec}")
    assert client.label == label
    assert vars(vars(client)["_wire"])["_url"] == url.removesuffix("/chat/completions")
    assert repr(client) == f"OpenAIClient({label!r})"


@pytest.mark.parametrize(
    "spec",
    ["", " ", "m@localhost:8080", "m@ftp://host", "m@http://", "m@http://host:99999", "m@http://host:x", "m@http://[::1",
     "m@http://host?key=secret", "m@http://host#secret", "m@http://user:secret@host/v1"],
)  # fmt: skip
def test_a_bad_spec_is_refused_in_one_sentence(spec: str) -> None:
    """A missing model, a URL that is none, and a URL that carries a secret are `ContractError`s that repeat nothing."""
    with pytest.raises(ContractError) as caught:
        client_from_spec(f"openai:{spec}")
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


# -- a real socket -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "outcome", "word", "times"),
    [
        ("tuple_k4_length", "length", "TakeCover", 3),
        ("tuple_k4_cut", "cut", "TakeCover", 1),
        ("error_ctx", "transport", "TakeCover", 0),
        ("vllm_line_k4", "stop", "10 12", 3),
        ("vllm_line_k4_length", "length", "10 12", 1),
        ("vllm_error_ctx", "transport", "10 12", 0),
        ("vllm_error_model", "transport", "10 12", 0),
    ],
)
def test_recorded_wire_bytes_over_a_real_socket(name: str, outcome: str, word: str, times: int) -> None:
    """The raw bytes of real servers, sent over loopback in odd pieces, give what they gave when recorded."""
    wire = (STREAMS / f"{name}.http").read_bytes()
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        requests.append(head + await reader.readexactly(length))
        for start in range(0, len(wire), 1013):
            writer.write(wire[start : start + 1013])
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def run() -> tuple[str, str | None]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        client = OpenAIClient("model.gguf", f"http://127.0.0.1:{port}/v1")
        text: list[str] = []
        try:
            async for chunk in client.stream(REQUEST):
                text.append(chunk.text)
                finish = chunk.finish
        except ClientError as error:
            finish = error.outcome
        finally:
            await client.aclose()
            server.close()
            await server.wait_closed()
        return "".join(text), finish

    text, finish = asyncio.run(run())
    assert finish == outcome
    assert text.count(word) == times
    assert b"connection: close" in requests[0].lower()
