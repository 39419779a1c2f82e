"""The start-up probe: what it finds out about servers that are there, lie, lack the model, or are down."""

import asyncio

import pytest

from ai.clients import client_from_spec
from ai.clients.ollama import CONTEXT
from ai.clients.openai import VLLM
from ai.fake.faults import Fault
from ai.fake.model import Plans
from ai.fake.server import FakeServer, FakeSettings, serving
from ai.llm.probe import probe, sentence
from ai.llm_types import Endpoint, LlmClient
from ai.testing import MockBatchLlm
from tests.ai.clients.servers import DONE, Call, Server, event, openai, stream, whole
from tests.ai.llm.village import MARKET


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
    """A call that is refused says so over either interface, and the sentence names the models that there are."""
    with serving() as server:
        openai, ollama = (probed(client_from_spec(spec)) for spec in specs(server, "other"))
    assert openai.model_present is ollama.model_present is False
    assert "this server has 'fake'" in sentence("x", openai)
    assert "it has fake:latest" in sentence("x", ollama)


def test_a_stand_in_that_wants_plans_by_rules_says_so() -> None:
    """Over either interface; other servers never get them."""
    for plans in Plans:
        with serving(FakeSettings(plans=plans)) as server:
            found = [probed(client_from_spec(spec)).wants_rules for spec in specs(server)]
        assert found == [plans is Plans.RULES] * 2


def test_a_refused_key_is_a_finding() -> None:
    """A server that wants another key is reachable, and the finding says what to do."""
    with serving(FakeSettings(faults={Fault.KEY: 1.0})) as server:
        endpoint = probed(client_from_spec(specs(server)[0]))
    assert endpoint.reachable
    assert "OPENAI_API_KEY" in endpoint.detail


GOOD = stream(event('{"k7":"k7"}', "stop"), DONE)


def found(listed: object, *, chat: bytes = GOOD, status: int = 200, model: str = "m") -> Endpoint:
    """Probe a server with this list of models that answers chats so."""

    def answer(call: Call) -> bytes:
        if call.method == "POST":
            return chat
        return whole(status, listed) if call.path == "/v1/models" else whole(404)

    async def run() -> Endpoint:
        async with Server(answer) as server:
            client = openai(server)
            client.model = model
            endpoint = await probe(client)
            assert endpoint is not None
            await client.aclose()
            return endpoint

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("model", "listed"),
    [
        ("m", ["m"]),
        ("gemini", ["models/gemini"]),
        ("llama3.2", ["llama3.2:latest", "qwen3:4b"]),
        ("x/grok:nitro", ["x/grok"]),
        ("openai/gpt", ["openai/*"]),
        ("hidden", ["other"]),
    ],
)
def test_a_list_of_models_never_proves_that_one_is_missing(model: str, listed: list[str]) -> None:
    """Lists use other names than calls do, or lack some; a call that works says that the model is there."""
    endpoint = found({"data": [{"id": name} for name in listed]}, model=model)
    assert (endpoint.model_present, endpoint.schema, endpoint.detail) == (True, "enforced", "")
    gone = found({"data": [{"id": name} for name in listed]}, model=model, chat=whole(404, {"error": "no such model"}))
    assert gone.model_present is False


@pytest.mark.parametrize(
    ("status", "listed"),
    [(403, {"error": "no scope"}), (401, b""), (500, b"oops"), (501, b""), (400, b""), (200, b"<html>"),
     (200, [{"id": "m"}]), (200, {"data": ["m"]}), (200, {"data": []}), (200, {"data": None}), (200, 7),
     (302, b"")],
)  # fmt: skip
def test_a_list_of_models_that_cannot_be_read_decides_nothing(status: int, listed: object) -> None:
    """Whatever becomes of the question about models, the tiny calls tell what the server does."""
    endpoint = found(listed, status=status)
    assert (endpoint.reachable, endpoint.model_present, endpoint.schema) == (True, True, "enforced")


def test_vllm_is_told_by_its_list_of_models() -> None:
    """vLLM tells the context there, but not how many calls it runs at once; those worth making count as its slots."""
    endpoint = found({"data": [{"id": "m", "owned_by": "vllm", "max_model_len": 4096}]})
    assert (endpoint.flavour, endpoint.context, endpoint.slots) == ("vllm", 4096, VLLM.slots)
    absurd = found({"data": [{"id": "m", "owned_by": "vllm", "max_model_len": 10**30}]})
    assert absurd.context is None


def test_a_schema_that_is_refused_is_reported_before_the_run() -> None:
    """The tiny schema has the words that real ones have; one without words for it is asked for without a schema."""
    endpoint = found({}, chat=whole(400, {"error": "json_schema is not supported"}))
    assert "json_schema is not supported" in endpoint.detail

    async def run() -> Endpoint | None:
        def answer(call: Call) -> bytes:
            if call.method == "GET":
                return whole(404)
            return whole(400, {"error": "schemas?"}) if "response_format" in call.body else GOOD

        async with Server(answer) as server:
            client = openai(server)
            endpoint = await probe(client)
            await client.aclose()
            return endpoint

    endpoint = asyncio.run(run()) or endpoint
    assert (endpoint.left_out, endpoint.schema) == (("schemas",), "ignored")
    assert "schemas are REFUSED and left out" in sentence("x", endpoint)


def test_a_model_that_thinks_first_is_given_time_to_answer() -> None:
    """A tiny reply that ends in prose at its limit is asked for once more with room, which shows where thoughts end."""
    limits: list[int] = []

    def answer(call: Call) -> bytes:
        if call.method == "GET":
            return whole(404)
        limits.append(call.body["max_tokens"])
        if limits[-1] < 100:
            return stream(event("Okay, so", "length"), DONE)
        return stream(event('Okay, so {"k7"} it is.</think>{"k7":"k7"}', "stop"), DONE)

    async def run() -> Endpoint | None:
        async with Server(answer) as server:
            client = openai(server)
            endpoint = await probe(client)
            await client.aclose()
            return endpoint

    endpoint = asyncio.run(run())
    assert endpoint is not None
    assert (endpoint.schema, limits) == ("enforced", [32, 512])


def test_a_client_without_a_server_has_nothing_to_probe() -> None:
    """A scripted or mock client is passed over."""
    assert asyncio.run(probe(MockBatchLlm.for_agents(1, MARKET))) is None
