"""One call to a chat server: made again with less where part of it is refused, with room for thoughts."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai.clients.chat import DOUBTS_MAX, LIMIT_WORDS, LIMITS, THOUGHT_TOKENS, schema_within
from ai.clients.openai import OpenAIClient
from ai.errors import ClientError
from ai.llm.probe import probe, sentence
from ai.llm_types import LlmRequest, Message
from tests.ai.clients.servers import (
    DONE,
    GOOD,
    Call,
    Server,
    asked,
    chunks_of,
    event,
    line,
    ollama,
    openai,
    refused,
    stream,
    text_of,
    whole,
)

SCHEMA = {"type": "object", "properties": {"minItems": {"type": "array", "minItems": 1}}, "minProperties": 1}
REQUEST = LlmRequest((Message("user", "go"),), schema=SCHEMA, tokens_max=7, timeout_s=5)
PLAIN = {"type": "object", "properties": {"minItems": {"type": "array"}}}


def error(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", **more}}


def strict(option: str, status: int, body: object) -> Callable[[Call], bytes]:
    return lambda call: whole(status, body) if option in call.body else GOOD


def loc(option: str) -> dict[str, Any]:
    return {"type": "extra_forbidden", "loc": ["body", option], "msg": "Extra inputs are not permitted"}


@pytest.mark.parametrize(
    ("option", "status", "body"),
    [
        ("temperature", 400, error("Unsupported value: 'temperature'", param="temperature", code="unsupported_value")),
        ("seed", 422, {"object": "error", "message": {"detail": [loc("seed")]}, "param": None}),
        ("stream_options", 400, {"object": "error", "message": f"[{loc('stream_options')}]", "code": 400}),
        ("seed", 400, [error('Unknown name "seed": Cannot find field.', code=400)]),
        ("stream_options", 400, error("Unrecognized request argument supplied: stream_options", param=None)),
        ("seed", 422, {"detail": [loc("seed")]}),
        ("response_format", 400, error("This response_format type is unavailable now", param=None)),
        ("response_format", 400, error("This model does not support `json_schema`", param="response_format")),
        ("response_format", 404, error("No endpoints found that support structured outputs")),
        ("response_format", 500, error("guided decoding is not available")),
        ("response_format", 400, error("Bad Request")),
        ("response_format", 422, b"no"),
    ],
)
def test_a_part_that_a_server_refuses_is_left_out_from_then_on(option: str, status: int, body: object) -> None:
    """Whatever shape the refusal has, the call is made again without the part, and later calls are made without."""
    chunks, failed, server = asked(*[strict(option, status, body)] * 3, request=REQUEST)
    assert (text_of(chunks), failed) == ("{}", None)
    assert [option in call.body for call in server.calls] == [True, False, False, False]


def test_limits_in_a_schema_are_left_out_before_the_schema_is() -> None:
    """A server that refuses one word of a schema still enforces the rest of it; names of properties stay."""

    def picky(call: Call) -> bytes:
        schema = call.body["response_format"]["json_schema"]["schema"]
        return GOOD if schema == PLAIN else whole(400, error("invalid schema: minItems is not supported"))

    _, failed, server = asked(picky, picky, request=REQUEST)
    assert failed is None
    assert len(server.calls) == 3


@given(
    st.recursive(
        st.booleans() | st.integers(),
        lambda inner: st.dictionaries(st.sampled_from([*sorted(LIMIT_WORDS), "type", "properties", "items"]), inner),
    )
)
def test_a_schema_without_limits_holds_none(schema: Any) -> None:
    """No limit is left anywhere but as the name of a property, and leaving out twice changes nothing."""
    if isinstance(schema, dict):
        plain = schema_within(schema, {LIMITS})
        assert plain == schema_within(plain, {LIMITS})  # type: ignore[arg-type] # only the schema as a whole can go
        assert not LIMIT_WORDS & set(plain)  # type: ignore[arg-type]


def test_what_was_left_out_is_shown() -> None:
    """The endpoint and the sentence before a run name what the server refuses, also what calls found out later."""

    def picky(call: Call) -> bytes:
        if call.method == "GET":
            return whole(404)
        if "seed" in call.body or "minItems" in json.dumps(call.body):
            return whole(400, error("unknown: seed, minItems"))
        return stream(event('{"k7":"k7"}', "stop"), DONE)

    async def run() -> None:
        async with Server(picky) as server:
            client = openai(server)
            found = await probe(client)
            assert found is not None
            assert found.left_out == (LIMITS, "seed")
            assert "the server refuses limits in schemas, seed" in sentence("x", found)
            server.answer = lambda call: GOOD if "temperature" not in call.body else whole(400, error("temperature"))
            await chunks_of(client)
            assert client.endpoint is not None
            assert client.endpoint.left_out == (LIMITS, "seed", "temperature")
            await client.aclose()

    asyncio.run(run())


def test_a_bad_moment_costs_no_schema() -> None:
    """A schema that was once taken is not given up for one refusal without words, but for several in a row."""
    times = 0

    def moody(call: Call) -> bytes:
        nonlocal times
        times += 1
        return whole(400, error("Bad Request")) if times > 1 and "response_format" in call.body else GOOD

    _, failed, server = asked(*[moody] * (DOUBTS_MAX + 3), request=REQUEST)
    assert failed is None
    schemas = ["response_format" in call.body for call in server.calls]
    assert schemas == [True, *[True, False] * DOUBTS_MAX, False, False]


@pytest.mark.parametrize(
    "body",
    [error("no", param="messages"), error("maximum context length is 4096 tokens, reduce max_tokens"), error("seed")],
)
def test_a_refusal_of_what_a_call_needs_is_an_error(body: object) -> None:
    """Where nothing that could be left out is named, or room is missing, the refusal is told after one call."""
    status = 403 if body == error("seed") else 400
    chunks, failed, server = asked(whole(status, body), request=REQUEST)
    assert f"HTTP {status}" in str(failed)
    assert (chunks, len(server.calls)) == ([], 1)


@given(st.lists(st.sampled_from(["seed", "temperature", "max_tokens", "minItems", "schema", "", "model"]), min_size=20))
@settings(max_examples=10, deadline=None)
def test_a_server_that_refuses_whatever_is_asked_is_not_asked_for_ever(names: list[str]) -> None:
    """A server that always names something gets no more calls than there are parts."""
    turns = iter(names * 20)
    _, failed, server = asked(lambda call: whole(400, error(next(turns))), request=REQUEST)
    assert failed is not None
    assert len(server.calls) <= 8


def test_a_model_whose_reply_the_server_refuses_is_read_all_the_same() -> None:
    """A 400 about the model's own text hands that text on, so that whole plans in it are kept."""
    body = error("Failed to generate JSON", code="json_validate_failed", failed_generation='{"a1":[],')
    chunks, failed, server = asked(whole(400, body), request=REQUEST)
    assert (text_of(chunks), chunks[-1].finish, chunks[-1].unconstrained, failed) == ('{"a1":[],', "stop", True, None)
    assert len(server.calls) == 1
    failed = refused(whole(400, error("Failed", code="json_validate_failed", failed_generation="")), request=REQUEST)
    assert failed.outcome == "invalid"


def thinker(tokens: int) -> Callable[[Call], bytes]:
    """Answer as a model that thinks for so many tokens, one an event, before it answers in one token."""

    def answer(call: Call) -> bytes:
        limit = min(call.body[name] for name in ("max_tokens", "max_completion_tokens") if name in call.body)
        thought = json.dumps({"choices": [{"delta": {"reasoning_content": "hm "}}]}).encode()
        text = [event("{}"), event(finish="stop")] if limit > tokens else [event(finish="length")]
        usage = {"prompt_tokens": 10, "completion_tokens": min(limit, tokens + 1)}
        return stream(*[b"data: " + thought + b"\n\n"] * min(limit, tokens), *text, event(usage=usage), DONE)

    return answer


def test_thoughts_that_use_up_the_limit_get_more_room() -> None:
    """A call that ended in thoughts is made again with room for them, and later calls keep it; tokens are summed."""
    chunks, failed, server = asked(thinker(600), thinker(600), request=REQUEST)
    assert (text_of(chunks), failed) == ("{}", None)
    assert [call.body["max_tokens"] for call in server.calls] == [7, 7 + THOUGHT_TOKENS[0], 7 + THOUGHT_TOKENS[0]]
    first, _, _ = asked(thinker(600), request=REQUEST)
    assert first[-1].usage == {"prompt_tokens": 20, "completion_tokens": 608}


def test_endless_thoughts_are_reported_as_what_they_are() -> None:
    """Where more room does not help, the sentence says that thinking used it up, and no reply was cut."""
    failed = refused(thinker(10**9), request=REQUEST)
    assert "thinking used up the 8199 tokens of the reply" in str(failed)
    assert failed.outcome == "invalid"


def test_a_model_that_was_only_loaded_is_asked_again() -> None:
    """Ollama answers `load` where the model was not in memory; the second call has the reply."""
    times = 0

    def loading(call: Call) -> bytes:
        nonlocal times
        times += 1
        return stream(line("{}", done=True) if times > 1 else line("", done=True, done_reason="load"))

    chunks, failed, _ = asked(loading, client_of=ollama)
    assert (text_of(chunks), failed, times) == ("{}", None, 2)
    never = stream(line("", done=True, done_reason="load"))
    chunks, failed, server = asked(never, client_of=ollama)
    assert (chunks[-1].finish, failed, len(server.calls)) == ("load", None, 2)


def test_a_model_whose_thoughts_begin_in_the_prompt_is_known_after_one_reply() -> None:
    """Once thoughts have come without their opening, drafts in later replies are not handed on at all."""
    said = ["well</think>{}", 'try {"a1":1} or</think>{}', "{}"]
    chunks, _, _ = asked(*[stream(event(text, "stop"), DONE) for text in said[:2]])
    assert [piece.text for piece in chunks if piece.text] == ["{}"]
    assert not any(piece.voids and piece.text != "{}" for piece in chunks)
    assert text_of(asked(*[stream(event(text, "stop"), DONE) for text in said])[0]) == "{}"


@pytest.mark.parametrize("client_of", [openai, ollama])
def test_a_grammar_for_a_server_that_takes_none_is_not_sent(client_of: Any) -> None:
    """Instead of a reply that nothing holds, the call fails as `unavailable`."""
    _, failed, server = asked(GOOD, request=LlmRequest((), grammar="root ::= x"), client_of=client_of)
    assert isinstance(failed, ClientError)
    assert (failed.outcome, server.calls) == ("unavailable", [])
    assert "takes no grammar" in str(failed)


def test_all_tries_of_a_call_share_its_bound() -> None:
    """A server that refuses slowly, part by part, does not get a new bound for each try."""

    def slow(call: Call) -> list[Any]:
        return [
            0.2,
            whole(400, error(next(name for name in ("seed", "temperature", "x") if name in (*call.body, "x")))),
        ]

    failed = refused(slow, request=LlmRequest((), timeout_s=5, left_s=0.3))
    assert failed.outcome == "timeout"


def test_the_client_shows_neither_host_nor_key() -> None:
    """What a client is called has neither."""
    assert repr(OpenAIClient("m", "http://host/v1")) == "OpenAIClient('openai:m')"
