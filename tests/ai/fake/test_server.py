"""The fake server: legal plans under any schema or grammar, real wire formats, queues, caches, limits and faults."""

import asyncio
import json
import socket
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai.actions import ToolRegistry
from ai.errors import ContractError, ParseError
from ai.fake.draws import Draws
from ai.fake.faults import Fault, drawn, parse_faults
from ai.fake.gbnf import Grammar
from ai.fake.model import Plans, Question, answer
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
USAGE = {"include_usage": True}
MESSAGES = [{"role": "system", "content": PROMPT.system}, {"role": "user", "content": PROMPT.user}]


def body(**more: Any) -> dict[str, Any]:
    return {"model": "fake", "stream": True, "stream_options": USAGE, "messages": MESSAGES, **more}


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
    written = Grammar(grammar).sentence(Draws(seed)).strip()
    assert written[0] + written[-1] == "{}"
    assert 2 <= written.count('"a') <= 3


@pytest.mark.parametrize(
    "grammar",
    ["", 'root ::= "a', "root ::= (x", "root ::= )", "root ::= *", "root ::= x", "root ::= root", "x", "a" * 200_001],
)  # fmt: skip
def test_a_grammar_that_cannot_be_read_is_refused(grammar: str) -> None:
    """Each defect of a grammar is a `ParseError`, and the server answers it with HTTP 400."""
    with pytest.raises(ParseError):
        Grammar(grammar).sentence(Draws(0))


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


@pytest.mark.parametrize(
    ("path", "stream", "connections"),
    [
        ("/v1/chat/completions", True, 20),
        ("/v1/chat/completions", False, 1),
        ("/api/chat", True, 1),
        ("/api/chat", False, 1),
    ],
)
def test_connections_are_kept_as_the_real_servers_keep_them(path: str, *, stream: bool, connections: int) -> None:
    """llama-server closes at once after a streamed reply, Ollama keeps; a pooling client fails with neither."""
    with serving() as server, httpx.Client(trust_env=False) as http:
        replies = [http.post(server.url + path, json=body(stream=stream)) for _ in range(20)]
        assert {reply.status_code for reply in replies} == {200}
        assert server.counts.connections == connections


def test_a_system_that_cannot_hold_bytes_back_sends_them_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without that the connection ends a moment after its last bytes."""
    monkeypatch.delattr(socket, "TCP_CORK", raising=False)
    with serving() as server:
        assert text(openai(server)) == text(openai(server))


def test_a_lapsed_connection_hangs_up_on_the_next_call() -> None:
    """The reply is good; who sends a second call on its connection gets no answer."""
    with serving(FakeSettings(faults={Fault.LAPSE: 1.0})) as server, httpx.Client(trust_env=False) as http:
        url = f"{server.openai_url}/chat/completions"
        assert text(http.post(url, json=body()))
        with pytest.raises(httpx.RemoteProtocolError):
            http.post(url, json=body())


def test_usage_comes_only_where_it_is_asked_for() -> None:
    """Without the option every event of a stream has a choice, and the timings stand beside the finish."""
    with serving() as server:
        plain = events(openai(server, stream_options=None))
        assert all(event["choices"] and "usage" not in event for event in plain)
        assert plain[-1]["timings"]["predicted_n"] == 44
        assert events(openai(server))[-1]["usage"]["completion_tokens"] == 44


def test_what_a_call_may_leave_out_or_write_otherwise_is_taken() -> None:
    """Nulls, content in parts, tools that were called, a body in chunks, an expected 100, HEAD: as real servers do."""
    parts = [{"type": "text", "text": PROMPT.system}, {"type": "text", "text": PROMPT.user}]
    said = [{"role": "user", "content": parts}, {"role": "assistant", "content": None, "tool_calls": []}]
    with serving() as server:
        url = f"{server.openai_url}/chat/completions"
        assert openai(server, max_tokens=None, max_completion_tokens=None, stop=None, n=None).status_code == 200
        assert openai(server, messages=said).status_code == 200
        assert openai(server, messages=MESSAGES * 100).status_code == 400  # too long for the context, not too many
        whole = json.dumps(body()).encode()
        pieces = (whole[start : start + 100] for start in range(0, len(whole), 100))
        assert text(httpx.post(url, content=pieces, trust_env=False)) == text(openai(server))
        assert httpx.post(url, content=whole, headers={"Expect": "100-continue"}, trust_env=False).status_code == 200
        assert httpx.head(f"{server.url}/health", trust_env=False).content == b""
        negative = body(options={"num_predict": -1})
        assert httpx.post(f"{server.url}/api/chat", json=negative, trust_env=False).status_code == 200


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"n": 2}, "one reply"),
        ({"logprobs": True}, "logprobs"),
        ({"tools": [{}], "tool_choice": "required"}, "tools"),
        ({"audio": {"voice": "x"}}, "text only"),
        ({"stream": "yes"}, "stream"),
        ({"stop": [7]}, "stop"),
        ({"response_format": {"type": "xml"}}, "response_format"),
        ({"max_tokens": 0}, "limit"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}, "text only"),
        ({"messages": [{"role": "user", "content": 7}]}, "text"),
        ({"messages": ["hi"]}, "object"),
        ({"model": "other"}, "does not exist"),
    ],
)
def test_what_is_not_supported_is_refused_in_one_sentence(more: dict[str, Any], word: str) -> None:
    """What would change the answer is never passed over: the error names it."""
    with serving() as server:
        refused = openai(server, **more)
    assert refused.status_code == (404 if "model" in more else 400)
    assert word in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "more", "status"),
    [
        ("/api/chat", {"model": "other"}, 404),
        ("/api/chat", {"format": "xml"}, 400),
        ("/api/chat", {"options": {"num_predict": "many"}}, 400),
        ("/api/chat", {"messages": [{"role": "user", "content": "x", "images": ["aGk="]}]}, 400),
        ("/api/generate", {"prompt": "x", "suffix": "y"}, 400),
        ("/api/embed", {}, 404),
        ("/api/show", {"model": "other"}, 404),
    ],
)
def test_errors_of_ollamas_interface_have_its_shape(path: str, more: dict[str, Any], status: int) -> None:
    """One object with the error as a text."""
    with serving() as server:
        refused = httpx.post(server.url + path, json=body(**more), trust_env=False)
    assert (refused.status_code, list(refused.json())) == (status, ["error"])
    assert isinstance(refused.json()["error"], str)


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.RESET, Fault.ERROR, Fault.GARBAGE, Fault.STALL])
def test_a_fault_spoils_a_whole_reply_too(fault: Fault) -> None:
    """A caller that does not stream gets half a body, a reset, an error, garbage or silence."""
    with serving(FakeSettings(faults={fault: 1.0})) as server:
        url = f"{server.openai_url}/chat/completions"
        errors = {Fault.CUT: httpx.RemoteProtocolError, Fault.RESET: httpx.ReadError, Fault.STALL: httpx.ReadTimeout}
        with pytest.raises(errors[fault]) if fault in errors else nullcontext():
            reply = httpx.post(url, json=body(stream=False), trust_env=False, timeout=0.5)
        if fault not in errors:
            assert reply.status_code == (500 if fault is Fault.ERROR else 200)
            assert (b"the slot was lost" if fault is Fault.ERROR else b"not a stream") in reply.content


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda encoding: encoding.name)
def test_a_plan_has_as_many_tokens_as_was_said_and_its_length_follows(encoding: Encoding) -> None:
    """Each plan is cut into so many tokens, and plans of more tokens are longer texts of more steps."""
    prompt = PromptRequest(BATCH, REGISTRY, encoding).prompt()
    question = Question((("system", prompt.system), ("user", prompt.user)), prompt.schema, prompt.grammar)
    replies = {n: answer(question, seed=3, plan_tokens=n) for n in (4, 12, 30)}
    assert [len(reply) for reply in replies.values()] == [n * len(BATCH) for n in replies]
    lengths = [len("".join(reply)) for reply in replies.values()]
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[-1]


def test_a_prompt_without_agents_gets_a_sentence_and_stops_where_it_is_told() -> None:
    """A chat about something else is answered with words; no text at which the reply has to stop is in it."""
    chat = [{"role": "user", "content": "Say hi"}]
    with serving() as server:
        said = text(openai(server, messages=chat))
        assert text(openai(server, messages=chat, stop=["model", "prompt"])) == said.partition("model")[0]
    assert said.startswith("This is a stand-in")


def test_the_plans_of_the_callers_rules_are_given_back_where_the_server_wants_them() -> None:
    """A server set to rules answers with what the call brings, in as many tokens as plans have; another does not."""
    reply = '{"a1":{"steps":[{"act":"Sleep","hours":7}]},"a2":{"steps":[{"act":"Sleep","hours":7}]}}'
    with serving(FakeSettings(plans=Plans.RULES, plan_tokens=9)) as server, serving() as other:
        assert text(openai(server, stand_in=reply)) == reply
        assert server.counts.completion_tokens == 18
        assert text(openai(other, stand_in=reply)) != reply
        assert text(openai(server)) != reply


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
