"""The OpenAI client: real and broken streams, faults by outcome, what is sent, and a key that never shows."""

import asyncio
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai.clients import client_from_spec
from ai.clients.openai import (
    GENERIC,
    HOSTED_URL,
    KEY_NAMES,
    LLAMA_SERVER,
    OPENAI,
    VLLM,
    Flavour,
    OpenAIClient,
    SseReader,
)
from ai.clients.reply import REPLY_BYTES_MAX, Reply
from ai.clients.sse import LINE_BYTES_MAX
from ai.errors import ClientError, ContractError
from ai.llm_types import LlmChunk, LlmRequest, Message
from tests.ai.clients.servers import (
    DONE,
    GOOD,
    HEAD,
    Call,
    Server,
    asked,
    chunk,
    event,
    openai,
    refused,
    stream,
    text_of,
    whole,
)

STREAMS = Path(__file__).parents[2] / "fixtures" / "sse"
NAMES = sorted(path.stem for path in STREAMS.glob("*.sse"))
SCHEMA = {"type": "object"}
REQUEST = LlmRequest(
    (Message("system", "rules"), Message("user", "agents")), schema=SCHEMA, tokens_max=77, seed=2**40 + 5, timeout_s=5
)
CONTEXT_ERROR = json.loads((STREAMS / "error_ctx.http").read_bytes().partition(b"\r\n\r\n")[2])


def read(pieces: Sequence[bytes]) -> tuple[str, LlmChunk | str]:
    """Read a stream without a server: the text, and the last chunk or how it failed."""
    reader = SseReader(Reply(LlmRequest(()), clock=lambda: 0.0))
    try:
        text = "".join(reader.feed(piece).text for piece in pieces)
        last = reader.close()
        return text + last.text, last
    except ClientError as error:
        return "", f"{error.outcome}: {error}"


def said(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"


# -- reading -----------------------------------------------------------------------------------------------------------


@given(st.sampled_from(NAMES), st.data())
@settings(deadline=None, max_examples=40)
def test_any_split_of_the_bytes_gives_the_same_text(name: str, data: st.DataObject) -> None:
    """A recorded stream split anywhere, even inside a character, gives the text and end of the whole."""
    body = (STREAMS / f"{name}.sse").read_bytes()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=20)))
    assert read([body[a:b] for a, b in pairwise([0, *cuts, len(body)])]) == read([body])


def events_of(text: str | None, finish: str | None) -> list[dict[str, Any]]:
    """Return one event as each of several servers writes it."""
    delta = {} if text is None else {"content": text}
    full = {"role": "assistant", "content": text or "", "reasoning_content": None}
    other = {"index": 1, "delta": {"content": "other"}}
    usage = {"prompt_tokens": 3, "completion_tokens": 9}
    return [
        {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}], "usage": None},
        {"choices": [{"delta": full, "finish_reason": finish, "token_ids": None}]},
        {"choices": [{"finish_reason": finish, "delta": full, "native_finish_reason": finish}], "provider": "P"},
        {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], "x_groq": {"usage": None}},
        {"choices": [{"index": 0, "delta": full, "finish_reason": finish}, other], "usage": usage},
        {"choices": [{"message": {"content": "x"}, "delta": full, "finish_reason": finish}], "obfuscation": "ab"},
    ]


DIALECTS = st.integers(0, len(events_of(None, None)) - 1)
PIECES = st.sampled_from(
    ['{"a1":', '"', "\\", "\n", "\u00e9", "\U0001f600", "\u2028", "a", 'content":"x"', " ", "}]", "\0"]
)


@given(
    DIALECTS,
    st.lists(st.text(st.characters(blacklist_categories=["Cs"]), max_size=4) | PIECES, max_size=20),
    st.booleans(),
    st.sampled_from(["\n\n", "\r\n\r\n", "\n", "\r\r"]),
    st.sampled_from(["data: ", "data:"]),
    st.lists(st.integers(0, 5000), max_size=8),
)
@settings(deadline=None)
def test_the_dialects_of_servers_give_the_same_text(
    dialect: int,
    texts: list[str],
    ascii_only: bool,  # noqa: FBT001
    end: str,
    start: str,
    cuts: list[int],
) -> None:
    """Events of many servers, however they are written and split, give the text and the finish that was meant."""
    events = [events_of(text, None)[dialect] for text in texts] + [events_of(None, "stop")[dialect]]
    body = "".join(f"{start}{json.dumps(item, ensure_ascii=ascii_only)}{end}" for item in events).encode() + DONE
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    text, last = read([body[a:b] for a, b in pairwise(edges)])
    assert isinstance(last, LlmChunk)
    assert (text, last.finish) == ("".join(texts), "stop")


def test_a_recorded_stream_gives_text_finish_usage_and_timings() -> None:
    """A whole stream of a real server, one byte at a time, gives its plans and what the server measured."""
    body = (STREAMS / "verbose_k3.sse").read_bytes()
    text, last = read([body[n : n + 1] for n in range(len(body))])
    assert isinstance(last, LlmChunk)
    assert list(json.loads(text)) == ["a1", "a2", "a3"]
    assert (last.finish, last.usage) == ("stop", {"prompt_tokens": 329, "completion_tokens": 149, "cached_tokens": 226})
    assert last.timings is not None
    assert last.timings["predicted_n"] == 149


def test_separators_and_split_characters_inside_strings_survive() -> None:
    """U+2028, U+0085, carriage returns, comments and characters split over reads or escapes come through unharmed."""
    text = "caf\u00e9 \u2028\u2029\u0085 \U0001f600"
    body = b": ping\n\nevent: message\r\n" + event(text) + b'data:{"choices":[{"delta":{"content":"\\ud83d"}}]}\r\n'
    body += b'data: {"choices":[{"delta":{"content":"\\ude00!"}}]}\n' + event(finish="stop") + DONE
    assert read([body[n : n + 1] for n in range(len(body))])[0] == text + "\U0001f600!"
    assert read([said(b'{"choices":[{"delta":{"content":"x\\ud83d"}}]}'), DONE])[0] == "x\ufffd"


@pytest.mark.parametrize(
    "pieces",
    [
        [event("", "stop"), event("{}"), DONE],
        [event("{}"), event(finish="stop"), said(b'{"choices":[],"usage":{"prompt_tokens":5}}'), DONE],
        [said(b'{"choices":[],"prompt_filter_results":[]}'), event("{}", "stop"), DONE],
        [b"data: \n\n", event("{}"), b"data:\n\n", b"data\n\n", event(finish="stop"), DONE],
        [b"event: ping\ndata: {}\n\n", event("{}"), b"event: keepalive\ndata: keepalive\n\n", DONE],
        [event("{}"), DONE, b"data: {broken\n\n"],
        [b"data: {broken\n\n", event("{}", "stop")],
        [said(b'{"choices":[{"delta":null}]}'), said(b'{"choices":null}'), event("{}", "stop"), DONE],
        [said(b'{"choices":[{"delta":{"content":[{"type":"text","text":"{}"}]}}]}'), DONE],
        [json.dumps({"choices": [{"message": {"content": "{}"}, "finish_reason": "stop"}]}, indent=1).encode()],
        *([said(data), event("{}", "stop"), DONE] for data in (
            b"7", b"[]", b'{"choices":7}', b'{"choices":[7]}', b'{"choices":[{"delta":[]}]}',
            b'{"choices":[{"delta":{"content":7}}]}', b'{"usage":[],"timings":7}', b"[" * 100_000)),
    ],
)  # fmt: skip
def test_good_replies_of_odd_shapes_are_taken(pieces: list[bytes]) -> None:
    """Early finishes, empty events, keep-alives, broken events and whole JSON: the reply is there all the same."""
    text, last = read(pieces)
    assert isinstance(last, LlmChunk)
    assert (text, last.finish) == ("{}", "stop")
    assert read([b"".join(pieces)]) == (text, last)


def test_thoughts_are_kept_out_of_the_text() -> None:
    """What a model thinks, under either name, is not part of the reply."""
    thoughts = [said(b'{"choices":[{"delta":{"%s":"{}"}}]}' % name) for name in (b"reasoning", b"reasoning_content")]
    assert read([*thoughts, event("{}", "stop"), DONE])[0] == "{}"


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        (None, None),
        ({"prompt_tokens": None, "completion_tokens": 3}, {"completion_tokens": 3}),
        ({"prompt_tokens": -1, "completion_tokens": 10**30}, None),
        ({"prompt_tokens": True, "completion_tokens": 1.5}, None),
        ({"prompt_tokens_details": {"cached_tokens": 2}}, {"cached_tokens": 2}),
    ],
)
def test_counts_that_are_unknown_or_absurd_stay_unknown(usage: object, counts: object) -> None:
    """Where the server reports no counts, or none that can be, the last chunk has None and not zero."""
    timings = b'{"choices":[],"timings":{"prompt_ms":1e999,"predicted_ms":-1,"x":"y","queue_ms":%s}}' % (b"9" * 400)
    _, last = read([event("{}", "stop", usage=usage), said(timings), DONE])
    assert isinstance(last, LlmChunk)
    assert (last.usage, last.timings) == (counts, None)


# -- faults ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pieces", "outcome", "reason"),
    [
        ([event("{")], "cut", "before the reply was complete"),
        ([], "cut", "before the reply was complete"),
        ([said(b'{"error":{"code":500,"message":"slot\\n lost"}}')], "transport", "slot lost"),
        ([event("{"), said(b'{"error":"busy"}')], "transport", "busy"),
        ([said(b'{"error":{"code":429,"message":"slow down"}}')], "rate_limited", "slow down"),
        ([b'event: error\ndata: {"message":"tool call validation failed"}\n\n'], "transport", "tool call validation"),
        ([b"event: error\ndata: out of memory\n\n"], "transport", "out of memory"),
        ([said(b'{"object":"error","message":"CUDA out of memory","code":50002}'), DONE], "transport", "CUDA"),
        ([b"<html>\n</html>\n"], "transport", "not an event stream"),
        ([b'{\n"error": {\n"message": "no stream here"}}\n'], "transport", "no stream here"),
        ([b"x" * LINE_BYTES_MAX, b"x"], "cut", "longer than"),
        ([b": ping\n" * 40_000] * 40, "cut", f"longer than {REPLY_BYTES_MAX}"),
        ([event("x" * 200_000)] * 50, "cut", f"longer than {REPLY_BYTES_MAX}"),
        ([said(b'{"choices":[{"delta":{"refusal":"I will not"}}]}'), DONE], "refused", "I will not"),
        ([said(b'{"choices":[{"delta":{"tool_calls":[]},"finish_reason":"tool_calls"}]}')], "invalid", "of a tool"),
        ([event("", "error"), DONE], "transport", "broke off"),
    ],
)
def test_a_stream_that_fails_is_a_client_error_by_outcome(pieces: list[bytes], outcome: str, reason: str) -> None:
    """Each way a stream can break is a `ClientError` with the outcome that tells the tiers what happened."""
    how = read(pieces)[1]
    assert isinstance(how, str)
    assert how.startswith(f"{outcome}: ")
    assert reason in how
    assert len(how) < 400


def test_what_came_before_a_fault_is_handed_on() -> None:
    """Plans that closed just before an error in the same piece are not lost with it."""
    chunks, error, _ = asked(stream(event("[good") + said(b'{"error":"busy"}')))
    assert text_of(chunks) == "[good"
    assert str(error) == "openai:m: the server reports: busy"


def test_the_room_is_learnt_from_an_error_inside_a_stream() -> None:
    """A prompt that is refused as too long after 200 carries the context, from which batches are cut."""
    words = "The input (5000 tokens) is longer than the model's context length (4096 tokens)."
    error = refused(stream(event(None, error={"message": words, "code": 400})))
    assert error.context == 4096


@pytest.mark.parametrize(
    ("status", "body", "outcome", "reason"),
    [
        (400, CONTEXT_ERROR, "transport", "context size (4096 tokens)"),
        (401, {"error": {"message": "bad key"}}, "transport", "OPENAI_API_KEY"),
        (404, {"error": "model not found"}, "transport", "model not found (check the model"),
        (408, b"", "timeout", "no message"),
        (413, {"error": "too large"}, "transport", "fewer agents"),
        (429, {"message": "slow down"}, "rate_limited", "slow down"),
        (500, b"\xff<html>", "transport", "HTTP 500"),
        (503, {"error": {"message": "Loading model"}}, "transport", "Loading model"),
        (500, b"x" * 200_000, "transport", "HTTP 500"),
    ],
)  # fmt: skip
def test_an_answer_other_than_200_is_a_client_error_that_says_what_to_do(
    status: int, body: object, outcome: str, reason: str
) -> None:
    """The server's own words are kept, bounded, with the outcome and an advice."""
    error = refused(whole(status, body), client_of=lambda server: OpenAIClient("m", server.url))
    assert error.outcome == outcome
    assert reason in str(error)
    assert len(str(error)) < 400


# -- what is sent ------------------------------------------------------------------------------------------------------


def test_the_request_streams_bounds_and_constrains() -> None:
    """Every call streams with usage, bounds the reply, and sends the schema in the form that servers enforce."""
    _, _, server = asked(GOOD, request=REQUEST)
    call = server.calls[0]
    assert (call.method, call.path) == ("POST", "/v1/chat/completions")
    assert call.body == {
        "model": "m",
        "messages": [{"role": "system", "content": "rules"}, {"role": "user", "content": "agents"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 77,
        "temperature": 0.0,
        "seed": 5,
        "response_format": {"type": "json_schema", "json_schema": {"name": "plans", "strict": True, "schema": SCHEMA}},
    }
    assert "authorization" not in call.headers
    assert "response_format" not in asked(GOOD, request=LlmRequest((), timeout_s=5))[2].calls[0].body


def test_a_text_with_half_a_character_can_be_sent() -> None:
    """A lone surrogate in what an agent knows does not end the call."""
    _, error, server = asked(GOOD, request=LlmRequest((Message("user", "x\ud83d"),), timeout_s=5))
    assert error is None
    assert server.calls[0].body["messages"][0]["content"] == "x?"


def test_the_key_comes_from_the_environment_and_never_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key travels in its header only: not in the label, the repr, an attribute or a server's echo of it."""
    monkeypatch.setenv("MY_KEY", "sk-secret-1")

    def keyed(server: Server) -> OpenAIClient:
        return OpenAIClient("m", server.url, key_names=("MY_KEY",))

    _, _, server = asked(GOOD, client_of=keyed)
    assert server.calls[0].headers["authorization"] == "Bearer sk-secret-1"
    for answer in (whole(401, b"wrong key sk-secret-1!"), stream(said(b'{"error":"sk-secret-1 is wrong"}'))):
        error = refused(answer, client_of=keyed)
        assert "***" in str(error)
        assert "sk-secret-1" not in f"{error!r}"
    chunks, _, _ = asked(stream(event("sk-sec"), event("ret-1", "stop")), client_of=keyed)
    assert text_of(chunks) == "***"


@pytest.mark.parametrize("flavour", [GENERIC, LLAMA_SERVER, VLLM, OPENAI])
def test_every_kind_is_asked_for_a_bounded_reply_under_the_schema(flavour: Flavour) -> None:
    """Whatever the kind, the reply is bounded under each name it reads, and the schema stands where it is enforced."""
    body = OpenAIClient("m", flavour=flavour).body(REQUEST, ())
    assert all(body[name] == 77 for name in flavour.limits)
    assert body["response_format"]["json_schema"]["schema"] == SCHEMA
    without = OpenAIClient("m", flavour=flavour).body(REQUEST, flavour.limits)
    assert not set(flavour.limits) & set(without) or flavour is VLLM
    assert len({"max_tokens", "max_completion_tokens"} & set(without)) == (flavour is not VLLM)


@pytest.mark.parametrize(
    ("flavour", "place"), [(LLAMA_SERVER, ("grammar",)), (VLLM, ("structured_outputs", "grammar"))]
)
def test_a_grammar_stands_alone_where_the_server_reads_it(flavour: Flavour, place: tuple[str, ...]) -> None:
    """A grammar takes the place of the schema: beside one it would be ignored."""
    request = LlmRequest((), schema=SCHEMA, grammar="root ::= x")
    body: Any = OpenAIClient("m", flavour=flavour).body(request, ())
    assert "response_format" not in body
    for name in place:
        body = body[name]
    assert body == "root ::= x"


# -- specs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "label", "url"),
    [
        ("gpt-x", "openai:gpt-x", "http://127.0.0.1:8080/v1"),
        ("org/model@https://host:81/v1/", "openai:org/model", "https://host:81/v1"),
        ("@cf/model@http://host", "openai:@cf/model", "http://host"),
        ("/home/me/big.gguf@http://[::1]:9/v1", "openai:big.gguf", "http://[::1]:9/v1"),
        ("C:\\models\\big.GGUF", "openai:big.GGUF", "http://127.0.0.1:8080/v1"),
    ],
)
def test_a_spec_names_model_and_url(spec: str, label: str, url: str) -> None:
    """`openai:MODEL[@URL]` is read as it stands, and the label shows neither host nor path."""
    client = client_from_spec(f"openai:{spec}")
    assert isinstance(client, OpenAIClient)
    assert client.label == label
    assert client._http.url == url
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


def test_a_key_without_a_url_is_told_where_openai_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A spec without a URL means this machine; where a key is set and nobody listens, the sentence says both."""
    monkeypatch.setattr("ai.clients.openai.URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-1")
    client = client_from_spec("openai:gpt-x")
    with pytest.raises(ClientError) as caught:
        asyncio.run(anext(client.stream(REQUEST)))  # type: ignore[arg-type]
    assert "No URL was given, so it is http://127.0.0.1:" in str(caught.value)
    assert f"for OpenAI itself write openai:gpt-x@{HOSTED_URL}" in str(caught.value)
    for name in KEY_NAMES:
        monkeypatch.delenv(name, raising=False)


def test_the_hosted_service_is_known_by_its_name() -> None:
    """OpenAI itself is asked in its own way without a probe."""
    assert OpenAIClient("m", HOSTED_URL).flavour is OPENAI
    assert OpenAIClient("m").flavour is GENERIC


# -- recorded bytes ----------------------------------------------------------------------------------------------------


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

    def answer(call: Call) -> list[bytes]:
        return [wire[start : start + 1013] for start in range(0, len(wire), 1013)]

    chunks, error, _ = asked(answer, client_of=openai)
    assert (error.outcome if error is not None else chunks[-1].finish) == outcome
    assert text_of(chunks).count(word) == times


def test_a_reply_of_many_kilobytes_in_one_event_comes_whole() -> None:
    """One event as long as a line may be is taken."""
    text = "x" * (LINE_BYTES_MAX - 1000)
    assert text_of(asked(HEAD + chunk(event(text, "stop")) + b"0\r\n\r\n")[0]) == text
