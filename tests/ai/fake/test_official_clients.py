"""The official clients of OpenAI and Ollama against the fake server, as people use them: nothing of ours in between."""

import asyncio
from collections.abc import Iterator
from typing import Any

import ollama
import openai
import pytest
from pydantic import BaseModel

from ai.fake.model import TALK
from ai.fake.server import FakeServer, FakeSettings, serving

HI: Any = [{"role": "user", "content": "Say hi"}]
CALLS = 20
"""Calls on one client object."""


class Answer(BaseModel):
    """What is asked for under a schema."""

    count: int
    name: str


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serving(FakeSettings(slots=8)) as running:
        yield running


@pytest.fixture
def of_openai(server: FakeServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.openai_url, api_key="k", max_retries=0, timeout=10) as client:
        yield client


@pytest.fixture
def of_ollama(server: FakeServer) -> Iterator[ollama.Client]:
    client = ollama.Client(host=server.url, timeout=10)
    yield client
    client.close()


def test_openai_takes_whole_replies(of_openai: openai.OpenAI) -> None:
    """Twenty calls that do not stream, on one client: text, finish and usage."""
    for _ in range(CALLS):
        reply = of_openai.chat.completions.create(model="fake", messages=HI)
        assert (reply.choices[0].message.content, reply.choices[0].finish_reason) == (TALK, "stop")
        assert reply.usage is not None
        assert reply.usage.completion_tokens == 22


def test_openai_streams(of_openai: openai.OpenAI) -> None:
    """Twenty streams read to their end on one client; every event has a choice, and no two replies share an id."""
    ids = set()
    for _ in range(CALLS):
        events = list(of_openai.chat.completions.create(model="fake", messages=HI, stream=True))
        assert "".join(event.choices[0].delta.content or "" for event in events) == TALK
        ids |= {event.id for event in events}
    assert len(ids) == CALLS


def test_openai_streams_with_usage_and_to_many_at_once(server: FakeServer) -> None:
    """The asynchronous client, ten streams at once, twice; usage comes last, in an event without a choice."""

    async def run() -> None:
        async with openai.AsyncOpenAI(base_url=server.openai_url, api_key="k", max_retries=0, timeout=10) as client:

            async def one() -> int:
                options: Any = {"include_usage": True}
                create = client.chat.completions.create
                stream = await create(model="fake", messages=HI, stream=True, stream_options=options)
                last = [event async for event in stream][-1]
                assert last.usage is not None
                return last.usage.completion_tokens

            for _ in range(2):
                assert await asyncio.gather(*(one() for _ in range(10))) == [22] * 10

    asyncio.run(run())


def test_openai_reads_what_a_schema_holds(of_openai: openai.OpenAI) -> None:
    """Structured output, whole and streamed, becomes the object that was asked for."""
    whole = of_openai.chat.completions.parse(model="fake", messages=HI, response_format=Answer)
    assert isinstance(whole.choices[0].message.parsed, Answer)
    with of_openai.chat.completions.stream(model="fake", messages=HI, response_format=Answer) as stream:
        for _ in stream:
            pass
        assert isinstance(stream.get_final_completion().choices[0].message.parsed, Answer)


def test_openai_knows_the_models_and_the_errors(of_openai: openai.OpenAI) -> None:
    """Models are listed and looked up; a wrong model, a long prompt and what is not done are errors of their kinds."""
    assert [model.id for model in of_openai.models.list()] == ["fake"]
    assert of_openai.models.retrieve("fake").id == "fake"
    create = of_openai.chat.completions.create
    with pytest.raises(openai.NotFoundError) as missing:
        create(model="other", messages=HI)
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError, match="context size"):
        create(model="fake", messages=[{"role": "user", "content": "x " * 40_000}])
    with pytest.raises(openai.BadRequestError, match="one reply a call"):
        create(model="fake", messages=HI, n=2)
    with pytest.raises(openai.NotFoundError):
        of_openai.embeddings.create(model="fake", input="x")


def test_ollama_takes_whole_replies_and_streams(of_ollama: ollama.Client, server: FakeServer) -> None:
    """Twenty calls of each kind on one client and one connection: chats and prompts, whole and streamed."""
    for _ in range(CALLS):
        assert of_ollama.chat(model="fake", messages=HI).message.content == TALK
        assert "".join(each.message.content or "" for each in of_ollama.chat("fake", HI, stream=True)) == TALK
        assert of_ollama.generate(model="fake", prompt="Say hi").response == TALK
        *_, last = of_ollama.generate(model="fake", prompt="Say hi", stream=True)
        assert (last.done_reason, last.eval_count) == ("stop", 22)
    assert server.counts.connections == 1


def test_ollama_knows_the_models_and_the_errors(of_ollama: ollama.Client) -> None:
    """Models are listed, shown and running; formats hold; a wrong model and what is not there are 404 in words."""
    assert [model.model for model in of_ollama.list().models] == ["fake:latest"]
    assert of_ollama.show("fake").capabilities == ["completion"]
    assert [model.model for model in of_ollama.ps().models] == ["fake:latest"]
    held = of_ollama.chat("fake", HI, format=Answer.model_json_schema()).message.content
    assert Answer.model_validate_json(held or "")
    assert of_ollama.chat("fake", [], options={"num_predict": -1}).done_reason == "load"
    with pytest.raises(ollama.ResponseError, match="not found, try pulling it first"):
        of_ollama.chat("other", HI)
    with pytest.raises(ollama.ResponseError, match="has no /api/embed") as missing:
        of_ollama.embed("fake", "x")
    assert missing.value.status_code == 404
