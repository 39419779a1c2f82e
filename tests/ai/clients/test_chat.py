"""What each kind of server is asked with, and what a client learns from what a server refuses or how it thinks."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from ai.clients.base import LlmChunk, LlmRequest, Message
from ai.clients.openai import OpenAIClient
from ai.clients.wire.flavours import GENERIC, LLAMA_SERVER, OPENAI, VLLM, Flavour, body
from ai.errors import ClientError

SCHEMA = {"type": "object"}
REQUEST = LlmRequest((Message("user", "go"),), schema=SCHEMA, tokens_max=7)
GRAMMAR = LlmRequest((Message("user", "go"),), schema=SCHEMA, grammar="root ::= x", tokens_max=7)
DONE = b'data: {"choices":[{"delta":{"content":"{}"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


def client_of(
    answer: Callable[[dict[str, Any]], tuple[int, bytes]], url: str = "http://host/v1", flavour: Flavour | None = None
) -> OpenAIClient:
    def respond(request: httpx.Request) -> httpx.Response:
        status, content = answer(json.loads(request.content))
        return httpx.Response(status, stream=httpx.ByteStream(content))

    return OpenAIClient("m", url, flavour=flavour, transport=httpx.MockTransport(respond))


def ask(client: OpenAIClient, request: LlmRequest = REQUEST) -> list[LlmChunk]:
    async def run() -> list[LlmChunk]:
        return [chunk async for chunk in client.stream(request)]

    return asyncio.run(run())


@pytest.mark.parametrize("flavour", [GENERIC, LLAMA_SERVER, VLLM, OPENAI])
def test_every_kind_is_asked_for_a_bounded_reply_under_the_schema(flavour: Flavour) -> None:
    """Whatever the kind, the reply is bounded under each name it reads, and the schema stands where it is enforced."""
    asked = body(flavour, "m", REQUEST, ())
    assert all(asked[name] == 7 for name in flavour.limits)
    assert asked["response_format"]["json_schema"]["schema"] == SCHEMA
    assert "guided_json" not in asked


@pytest.mark.parametrize(
    ("flavour", "place"), [(LLAMA_SERVER, ("grammar",)), (VLLM, ("structured_outputs", "grammar"))]
)
def test_a_grammar_stands_alone_where_the_server_reads_it(flavour: Flavour, place: tuple[str, ...]) -> None:
    """A grammar takes the place of the schema: beside one it would be ignored."""
    asked = found = body(flavour, "m", GRAMMAR, ())
    for name in place:
        found = found[name]
    assert found == "root ::= x"  # type: ignore[comparison-overlap]
    assert "response_format" not in asked


@pytest.mark.parametrize("flavour", [GENERIC, OPENAI])
def test_a_grammar_for_a_server_that_takes_none_is_not_sent(flavour: Flavour) -> None:
    """Instead of a reply that nothing holds, the call fails as `unavailable`."""
    client = client_of(lambda asked: pytest.fail("it was sent"), flavour=flavour)
    with pytest.raises(ClientError, match="takes no grammar") as caught:
        ask(client, GRAMMAR)
    assert caught.value.outcome == "unavailable"
    assert str(caught.value).startswith("openai:m: ")


def test_the_hosted_service_is_known_by_its_name() -> None:
    """OpenAI itself is asked in its own way without a probe."""
    assert client_of(lambda asked: (200, DONE), "https://api.openai.com/v1").flavour is OPENAI
    assert client_of(lambda asked: (200, DONE)).flavour is GENERIC


def test_an_option_that_is_refused_by_name_is_left_out_from_then_on() -> None:
    """A server that names the option it does not take is asked again without it, and never with it again."""
    calls: list[dict[str, Any]] = []

    def answer(asked: dict[str, Any]) -> tuple[int, bytes]:
        calls.append(asked)
        for name in ("temperature", "max_tokens"):
            if name in asked:
                return 400, json.dumps({"error": {"message": f"unsupported {name}", "param": name}}).encode()
        return 200, DONE

    client = client_of(answer)
    for _ in range(2):
        assert ask(client)[-1].finish == "stop"
    assert len(calls) == 4
    assert calls[-1]["max_completion_tokens"] == 7
    assert not {"temperature", "max_tokens"} & set(calls[-1])


@pytest.mark.parametrize("param", ["messages", "model", None, 7])
def test_a_refusal_of_anything_else_is_an_error(param: object) -> None:
    """What a call cannot do without is not left out; the refusal is told after one call."""
    calls = 0

    def answer(asked: dict[str, Any]) -> tuple[int, bytes]:
        nonlocal calls
        calls += 1
        return 400, json.dumps({"error": {"message": "no", "param": param}}).encode()

    with pytest.raises(ClientError, match="HTTP 400: no"):
        ask(client_of(answer))
    assert calls == 1


def test_a_server_that_refuses_whatever_is_asked_is_not_asked_for_ever() -> None:
    """A server that always names some option gets no more calls than there are options."""
    calls = 0

    def answer(asked: dict[str, Any]) -> tuple[int, bytes]:
        nonlocal calls
        calls += 1
        names = ("temperature", "seed", "stream_options", "max_tokens", "max_completion_tokens")
        param = next((name for name in names if name in asked), "model")
        return 400, json.dumps({"error": {"message": "no", "param": param}}).encode()

    with pytest.raises(ClientError):
        ask(client_of(answer))
    assert calls <= 6


def test_a_model_whose_thoughts_begin_in_the_prompt_is_known_after_one_reply() -> None:
    """Once thoughts have come without their opening, the next reply is read as beginning with thoughts."""

    def said(text: str) -> bytes:
        event = {"choices": [{"delta": {"content": text}, "finish_reason": "stop"}]}
        return b"data: " + json.dumps(event).encode() + b"\n\n"

    replies = iter(["well</think>{}", 'try {"a1":1} or</think>{}', "{}"])
    client = client_of(lambda asked: (200, said(next(replies))))
    texts = ["".join(chunk.text for chunk in ask(client, LlmRequest(()))) for _ in range(3)]
    assert texts == ["{}", "{}", "{}"]
