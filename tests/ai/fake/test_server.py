"""The fake server: legal plans under any schema or grammar, real wire formats, queues, caches, limits and faults."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai.actions import ToolRegistry
from ai.errors import ContractError, ParseError
from ai.fake.draws import Draws
from ai.fake.faults import Fault, drawn, parse_faults
from ai.fake.gbnf import sentence
from ai.fake.model import Question, answer
from ai.fake.server import FakeServer, FakeSettings, serving
from ai.legality import refusals
from ai.llm.encodings import ENCODINGS
from ai.llm.encodings.base import Encoding
from ai.llm.prompt import Detail, PromptRequest, slots_of
from ai.observation import Cell, ObservationBatch
from ai.plans import PlanBatch, Refusal
from tests.ai.llm.village import FORAGING, MARKET, PEOPLE, Bush, forager, foragers, market, villager

DOMAINS: list[tuple[ToolRegistry, ObservationBatch[Any]]] = [
    (MARKET, market(villager(people=(PEOPLE[5],)), villager())),
    (FORAGING, foragers(forager(bushes=(Bush(id=3, pos=Cell(1, 1), berries=2),)), forager())),
]
REGISTRY, BATCH = DOMAINS[0]
PROMPT = PromptRequest(BATCH, REGISTRY).prompt()
MESSAGES = [{"role": "system", "content": PROMPT.system}, {"role": "user", "content": PROMPT.user}]


def body(**more: Any) -> dict[str, Any]:
    return {"model": "fake", "stream": True, "messages": MESSAGES, **more}


def openai(server: FakeServer, **more: Any) -> httpx.Response:
    return httpx.post(f"{server.openai_url}/chat/completions", json=body(**more), trust_env=False)


def events(response: httpx.Response) -> list[Mapping[str, Any]]:
    lines = [line.removeprefix("data: ") for line in response.text.split("\n") if line]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


def text(response: httpx.Response) -> str:
    deltas = [event["choices"][0]["delta"] for event in events(response) if event["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda encoding: encoding.name)
@pytest.mark.parametrize("enforce", [True, False])
@given(domain=st.sampled_from(DOMAINS), seed=st.integers(0, 2**32))
@settings(deadline=None, max_examples=40)
def test_whatever_a_prompt_asks_for_every_plan_is_legal(
    encoding: Encoding, domain: tuple[ToolRegistry, ObservationBatch[Any]], seed: int, *, enforce: bool
) -> None:
    """In every encoding, held to the schema or grammar or not, each slot gets a plan that its agent may carry out."""
    registry, batch = domain
    prompt = PromptRequest(batch, registry, encoding, Detail.FULL).prompt()
    schema, grammar = (prompt.schema, prompt.grammar) if enforce else (None, None)
    question = Question((("system", prompt.system), ("user", prompt.user)), schema, grammar, 4096)
    reply = "".join(answer(question, seed=seed, plan_tokens=20))
    scanner = encoding.scanner(slots_of(batch.keys))
    found = dict(scanner.feed(reply) + scanner.close())
    steps = [encoding.parse(found[key], registry) for key in batch.keys.tolist()]
    plans = PlanBatch.from_steps(batch.keys, steps, registry)
    assert set(refusals(batch, plans, registry).tolist()) == {Refusal.ACCEPTED.value}


@given(st.integers(0, 2**32))
def test_a_sentence_follows_its_grammar(seed: int) -> None:
    """A drawn sentence has the form of the grammar: texts, classes, groups, alternatives and repetitions."""
    grammar = 'root ::= "{" pair ("," pair){1,2} "}" "\\n"? # end\npair ::= "\\"a" [1-9] "\\":" ("x" | n)\nn ::= [^x]+'
    written = sentence(grammar, Draws(seed)).strip()
    assert written[0] + written[-1] == "{}"
    assert 2 <= written.count('"a') <= 3


@pytest.mark.parametrize(
    "grammar",
    ["", 'root ::= "a', "root ::= (x", "root ::= )", "root ::= *", "root ::= x", "root ::= root", "x", "a" * 200_001],
)  # fmt: skip
def test_a_grammar_that_cannot_be_read_is_refused(grammar: str) -> None:
    """Each defect of a grammar is a `ParseError`, and the server answers it with HTTP 400."""
    with pytest.raises(ParseError):
        sentence(grammar, Draws(0))


def test_both_interfaces_answer_the_slots_of_a_prompt() -> None:
    """Without a schema the slots are answered by the example, over either interface, each plan in so many tokens."""
    with serving(FakeSettings(plan_tokens=5)) as server:
        reply = openai(server)
        lines = httpx.post(f"{server.url}/api/chat", json=body(), trust_env=False).text.splitlines()
    chat = [json.loads(line) for line in lines]
    assert text(reply) == "".join(line["message"]["content"] for line in chat)
    assert {slot: plan["steps"][1]["hours"] for slot, plan in json.loads(text(reply)).items()} == {"a1": 3, "a2": 3}
    assert events(reply)[-1]["usage"]["completion_tokens"] == 10 == chat[-1]["eval_count"]
    assert (chat[-1]["done"], chat[-1]["done_reason"]) == (True, "stop")
    assert server.counts.answered == server.counts.calls == 2


def test_the_answer_depends_on_prompt_and_seed_alone() -> None:
    """The same prompt gives the same reply again, in any slot; another seed gives another one."""
    schema = {"type": "json_schema", "json_schema": {"schema": PROMPT.schema}}
    replies = []
    for seed in (1, 1, 2):
        with serving(FakeSettings(seed=seed)) as server:
            replies += [text(openai(server, response_format=schema)) for _ in range(2)]
    assert replies[0] == replies[1] == replies[2] == replies[3] != replies[4]


def test_a_limit_of_tokens_or_context_cuts_or_refuses() -> None:
    """A reply stops at its token limit with `length`; a prompt that does not fit is HTTP 400 with the room there is."""
    with serving(FakeSettings(context=12)) as server:
        refused = openai(server)
    assert refused.status_code == 400
    assert refused.json()["error"]["n_ctx"] == 12
    with serving() as server:
        reply = openai(server, max_tokens=3)
        assert openai(server, grammar="root ::= (").status_code == 400
        assert openai(server, messages=7).status_code == 400
    assert [event["choices"][0]["finish_reason"] for event in events(reply) if event["choices"]][-1] == "length"
    assert events(reply)[-1]["usage"]["completion_tokens"] == 3


def test_a_slots_cache_keeps_the_prompt_it_read_last() -> None:
    """The second call with the same prompt finds all but its last token in the cache, and that is reported."""
    with serving() as server:
        first, second = openai(server), openai(server)
    cached = [events(reply)[-1]["usage"]["prompt_tokens_details"]["cached_tokens"] for reply in (first, second)]
    assert cached == [0, events(second)[-1]["usage"]["prompt_tokens"] - 1]
    assert server.counts.cached_tokens == cached[1]


def test_more_calls_than_slots_wait_their_turn() -> None:
    """No more calls run at once than there are slots, and all of them are answered."""

    async def run() -> FakeServer:
        async with FakeServer(FakeSettings(slots=2, latency_s=0.01)) as server, httpx.AsyncClient() as http:
            url = f"{server.openai_url}/chat/completions"
            headers = {"Connection": "close"}
            replies = await asyncio.gather(*(http.post(url, json=body(), headers=headers) for _ in range(7)))
            assert {reply.status_code for reply in replies} == {200}
            return server

    server = asyncio.run(run())
    assert (server.counts.running_max, server.counts.answered) == (2, 7)


def test_a_caller_that_leaves_frees_its_slot() -> None:
    """A reader that hangs up in the middle of a stalled reply costs the next caller nothing."""

    async def run() -> None:
        async with FakeServer(FakeSettings(slots=1, faults={Fault.STALL: 1.0})) as server, httpx.AsyncClient() as http:
            for _ in range(3):
                url = f"{server.openai_url}/chat/completions"
                async with http.stream("POST", url, json=body()) as reply:
                    await anext(reply.aiter_raw())
            assert server.counts.faults == {"stall": 3}

    asyncio.run(asyncio.wait_for(run(), 20))


def test_a_connection_kept_after_a_stream_is_dead_although_the_header_promises_it() -> None:
    """As with llama-server: who sends a second call on the connection of a streamed reply gets no answer."""
    with serving() as server, httpx.Client(trust_env=False) as http:
        url = f"{server.openai_url}/chat/completions"
        first = http.post(url, json=body())
        assert first.headers["keep-alive"] == "timeout=5, max=100"
        with pytest.raises(httpx.RemoteProtocolError):
            http.post(url, json=body())
        assert [http.post(url, json=body(), headers={"Connection": "close"}).status_code for _ in range(9)] == [200] * 9


@pytest.mark.parametrize("request_bytes", [b"\r\n\r\n", b"GET\r\n\r\n", b"x" * 70_000, b"POST / HTTP/1.1\r\n"])
def test_what_is_no_request_ends_the_connection(request_bytes: bytes) -> None:
    """Bytes that are no HTTP request end their connection and nothing else."""

    async def run() -> None:
        async with FakeServer() as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(request_bytes)
            writer.write_eof()
            await reader.read()
            writer.close()
            await asyncio.sleep(0.01)
            assert server.connections == 0

    asyncio.run(run())


def test_faults_take_their_share_and_repeat_with_the_seed() -> None:
    """A share is a share of calls, drawn by seed and call number; without a share nothing is spoiled."""
    shares = parse_faults("429=0.25, cut=0.25")
    calls = [drawn(shares, 3, call) for call in range(4000)]
    assert calls == [drawn(shares, 3, call) for call in range(4000)]
    for fault, share in ((Fault.RATE_LIMIT, 0.25), (Fault.CUT, 0.25), (None, 0.5)):
        assert abs(calls.count(fault) / 4000 - share) < 0.05
    assert drawn({}, 3, 0) is None
    for wrong in ("", "flood=1", "cut", "cut=x", "cut=2", "cut=-1", "cut=nan", "cut=0.6,reset=0.6"):
        with pytest.raises(ContractError):
            parse_faults(wrong)
    for setting in (
        {"latency_s": -1.0},
        {"latency_s": float("nan")},
        {"tokens_per_s": float("inf")},
        {"slots": 0},
    ):
        with pytest.raises(ContractError):
            FakeSettings(**setting)  # type: ignore[arg-type]
