"""The start-up probe: what it finds out about servers that are there, lie, lack the model, or are down."""

import asyncio

import httpx
import pytest

from ai.clients import client_from_spec
from ai.clients.base import Endpoint, LlmClient
from ai.clients.ollama import CONTEXT
from ai.clients.openai import OpenAIClient
from ai.clients.wire.flavours import VLLM
from ai.fake.faults import Fault
from ai.fake.server import FakeServer, FakeSettings, serving
from ai.probe import probe, sentence
from ai.testing import MockBatchLlm


def probed(client: LlmClient) -> Endpoint:
    async def run() -> Endpoint | None:
        try:
            return await probe(client)
        finally:
            await client.aclose()  # type: ignore[attr-defined]

    endpoint = asyncio.run(run())
    assert endpoint is not None
    assert endpoint == client.endpoint  # type: ignore[attr-defined]
    return endpoint


def specs(server: FakeServer, model: str = "fake") -> tuple[str, str]:
    return f"openai:{model}@{server.openai_url}", f"ollama:{model}@{server.url}"


def test_a_server_that_keeps_its_word_is_found_out_whole() -> None:
    """Slots, context, kind of server, and that schema and grammar are really enforced."""
    with serving(FakeSettings(slots=3, context=4096)) as server:
        openai, ollama = (probed(client_from_spec(spec)) for spec in specs(server))
    assert openai == Endpoint(True, True, "enforced", True, 3, 4096, "llama-server")
    assert ollama == Endpoint(True, True, "enforced", False, None, 4096, "ollama")
    assert sentence("openai:fake", openai) == (
        "openai:fake: llama-server, 3 calls at once, 4,096 tokens of context, schemas are enforced, grammars are taken"
    )


def test_the_context_of_an_ollama_is_the_one_that_calls_ask_for() -> None:
    """A model with a longer context still has only the room that the client asks for."""
    with serving(FakeSettings(context=100_000)) as server:
        assert probed(client_from_spec(specs(server)[1])).context == CONTEXT


def test_a_server_that_ignores_schemas_is_found_out() -> None:
    """A 200 whose text the schema did not force is `ignored`, and a person is told."""
    with serving(FakeSettings(faults={Fault.WRONG: 1.0})) as server:
        endpoints = [probed(client_from_spec(spec)) for spec in specs(server)]
    assert [(endpoint.schema, endpoint.grammar) for endpoint in endpoints] == [("ignored", False)] * 2
    assert "IGNORED" in sentence("x", endpoints[0])


def test_a_server_that_is_down_is_a_finding() -> None:
    """Nothing listens: not reachable, and a sentence that says so without the host."""
    with serving() as server:
        down = specs(server)
    for spec in down:
        endpoint = probed(client_from_spec(spec))
        assert not endpoint.reachable
        assert "is the server running" in sentence("x", endpoint)
        assert "127.0.0.1" not in endpoint.detail


def test_a_model_that_is_not_there_is_a_finding() -> None:
    """Ollama says which models it has; llama-server answers under any name."""
    with serving() as server:
        openai, ollama = (probed(client_from_spec(spec)) for spec in specs(server, "other"))
    assert openai.model_present is True
    assert ollama.model_present is False
    assert "it has fake:latest" in sentence("x", ollama)


def test_a_refused_key_is_a_finding() -> None:
    """A server that wants another key is reachable, and the finding says what to do."""
    with serving(FakeSettings(faults={Fault.KEY: 1.0})) as server:
        endpoint = probed(client_from_spec(specs(server)[0]))
    assert endpoint.reachable
    assert "OPENAI_API_KEY" in endpoint.detail


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        ({"data": [{"id": "m", "owned_by": "vllm", "max_model_len": 4096}]}, ("vllm", True, 4096)),
        ({"data": [{"id": "n", "owned_by": "someone"}]}, ("generic", False, None)),
        ({"data": []}, ("generic", None, None)),
        ({"data": 7}, ("generic", None, None)),
        ([], ("generic", None, None)),
        (None, ("generic", None, None)),
    ],
)
def test_the_kind_of_server_is_told_by_its_list_of_models(
    models: object, expected: tuple[str, bool | None, int | None]
) -> None:
    """vLLM is known by its list of models and tells the context there; a server without such a list is generic.

    vLLM does not tell how many calls it runs at the same time; those that are worth making count as its slots.
    """

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/models" and models is not None:
            return httpx.Response(200, stream=httpx.ByteStream(httpx.Response(200, json=models).content))
        return httpx.Response(404, stream=httpx.ByteStream(b"{}"))

    async def run() -> Endpoint:
        client = OpenAIClient("m", "http://host/v1", transport=httpx.MockTransport(answer))
        endpoint = await client.look(timeout_s=1)
        assert client.takes_grammar == (endpoint.flavour == VLLM.name)
        await client.aclose()
        return endpoint

    endpoint = asyncio.run(run())
    assert (endpoint.flavour, endpoint.model_present, endpoint.context) == expected
    assert endpoint.slots == (VLLM.slots if endpoint.flavour == VLLM.name else None)


def test_a_client_without_a_server_has_nothing_to_probe() -> None:
    """A scripted or mock client is passed over."""
    assert asyncio.run(probe(MockBatchLlm.for_agents(1))) is None
