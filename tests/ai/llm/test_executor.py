"""The batch executor: each agent's plan stands alone, whatever the cut, the order of arrival and the faults."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai.actions import Action
from ai.clients.resilience import CircuitBreaker, ResilientClient, RetryPolicy
from ai.errors import ClientError, ContractError
from ai.llm.context_window import TOKENS_MAX
from ai.llm.encodings import ENCODINGS
from ai.llm.encodings.base import Encoding
from ai.llm.executor import BatchInferenceExecutor, BatchRequest, BatchResponse, CallBegun, CallEnd
from ai.llm.prompt import PromptRequest
from ai.llm_types import LlmChunk, LlmRequest
from ai.observation import ObservationBatch
from ai.planners.base import Asking, Deadline
from ai.plans import Outcome
from tests.ai.llm.village import MARKET, PEOPLE, Buy, Sleep, Tip, Villager, market, villager

STOP = LlmChunk(finish="stop", usage={"prompt_tokens": 100, "completion_tokens": 7})


def plan(agent: int) -> str:
    return json.dumps({"steps": [{"act": "Sleep", "hours": agent % 12 + 1}]})


@dataclass
class Client:
    """Answers each slot with `reply(agent)` (None leaves it out), one chunk a slot, then `last`; counts its calls."""

    reply: Callable[[int], str | None] = plan
    last: Sequence[LlmChunk | Exception] = (STOP,)
    pauses: Callable[[int], int] = lambda agent: 0
    label: str = "test"
    calls: list[tuple[int, ...]] = field(default_factory=list)
    requests: list[LlmRequest] = field(default_factory=list)
    open: int = 0
    open_most: int = 0

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        self.calls.append(tuple(request.slots.values()))
        self.requests.append(request)
        self.open += 1
        self.open_most = max(self.open_most, self.open)
        try:
            yield LlmChunk("{")
            for slot, agent in request.slots.items():
                for _ in range(self.pauses(agent)):
                    await asyncio.sleep(0)
                text = self.reply(agent)
                if text is not None:
                    yield LlmChunk(f'{"" if slot == "a1" else ","}"{slot}":{text}')
            yield LlmChunk("}")
            for chunk in self.last:
                if isinstance(chunk, Exception):
                    raise chunk
                yield chunk
        finally:
            self.open -= 1


def batch(*keys: int) -> ObservationBatch[Villager]:
    return market(*[villager()] * len(keys), keys=keys)


def execute(
    client: object, *keys: int, k: int = 2, m: int = 2, deadline: float | None = None, **options: object
) -> BatchResponse:
    async def run() -> BatchResponse:
        executor = BatchInferenceExecutor(shard_size=k, in_flight=m)
        options["asking"] = Asking(deadline=Deadline(deadline))
        try:
            return await executor.execute(client, BatchRequest(batch(*keys), MARKET, "tier"), **options)  # type: ignore[arg-type]
        finally:
            await executor.aclose()

    return asyncio.run(run())


def outcomes(response: BatchResponse) -> list[str]:
    return [Outcome(int(code)).label for code in response.outcome]


def test_every_agent_gets_its_own_plan() -> None:
    """All agents of all shards get the plans written for them, with texts, shards and usage in key order."""
    client = Client()
    response = execute(client, 3, 8, 21, 22, 40)
    assert list(response.plans) == [3, 8, 21, 22, 40]
    assert response.plans[21] == (MARKET.encode(Sleep(10)),)
    assert response.texts == {key: plan(key) for key in (3, 8, 21, 22, 40)}
    assert outcomes(response) == ["ok"] * 5
    assert response.errors == {}
    assert client.calls == [(3, 8), (21, 22), (40,)]
    usage = dict(STOP.usage or {})
    same = {
        "tier": "tier",
        "finish": "stop",
        "prompt_version": PromptRequest(batch(3), MARKET).version,
        "encoding": "named",
        "usage": usage,
    }
    assert response.shards == [
        {"agents": [3, 8], "k": 2, **same},
        {"agents": [21, 22], "k": 2, **same},
        {"agents": [40, 40], "k": 1, **same},
    ]
    assert (response.usage.calls, response.usage.agents) == (3, 5)
    assert (response.usage.prompt_tokens, response.usage.completion_tokens) == (300, 21)


def test_no_agents_mean_no_call() -> None:
    """An empty batch gives an empty response and never reaches the client."""
    client = Client()
    response = execute(client)
    assert (client.calls, response.plans, response.shards, response.usage.calls) == ([], {}, [], 0)


@given(
    st.lists(st.integers(0, 500), min_size=1, max_size=12, unique=True).map(sorted),
    st.integers(1, 12),
    st.integers(1, 4),
    st.integers(0, 1000),
)
@settings(deadline=None, max_examples=60)
def test_plans_do_not_depend_on_the_cut_or_the_order_of_arrival(keys: list[int], k: int, m: int, mix: int) -> None:
    """Any shard size, number in flight and order of arrival give every agent the same outcome, plan and text."""
    bad = {0: None, 1: '{"steps":[]}', 2: "[1,2]"}

    def reply(agent: int) -> str | None:
        return bad.get(agent % 7, plan(agent))

    whole = execute(Client(reply), *keys, k=len(keys), m=1)
    cut = execute(Client(reply, pauses=lambda agent: (agent * 31 + mix) % 9), *keys, k=k, m=m)
    assert list(cut.plans.items()) == list(whole.plans.items())
    assert outcomes(cut) == outcomes(whole)
    assert (cut.texts, cut.errors) == (whole.texts, whole.errors)
    assert len(cut.shards) == -(-len(keys) // k)
    assert [
        key for first, last in (shard["agents"] for shard in cut.shards) for key in keys if first <= key <= last
    ] == keys


def test_no_more_calls_run_at_once_than_allowed() -> None:
    """The number of open streams never passes `in_flight`, and reaches it when there is work."""
    client = Client(pauses=lambda agent: 3)
    execute(client, *range(20), k=2, m=3)
    assert client.open_most == 3


def test_plans_are_announced_as_they_close() -> None:
    """`on_plan` hears of each good plan once, when its object closes and before the reply ends."""
    heard: list[tuple[int, tuple[Action, ...], int]] = []
    client = Client(lambda agent: plan(agent) if agent != 2 else "{}")
    execute(client, 1, 2, 3, k=3, on_plan=lambda agent, steps: heard.append((agent, steps, client.open)))
    assert heard == [(1, (Sleep(2),), 1), (3, (Sleep(4),), 1)]


def test_one_bad_plan_costs_its_agent_alone() -> None:
    """A refused, a missing and a good plan in one reply each get their own outcome and reason."""
    response = execute(Client({1: plan(1), 2: '{"steps":[{"act":"Fly"}]}', 3: None}.get), 1, 2, 3, k=3)
    assert outcomes(response) == ["ok", "invalid", "missing"]
    assert "Fly" in response.errors[2]
    assert sorted(response.texts) == [1, 2]
    assert response.usage.errors == {"invalid": 1, "missing": 1}


@pytest.mark.parametrize("outcome", ["timeout", "transport", "rate_limited", "cut"])
def test_a_fault_costs_only_the_plans_that_were_not_closed(outcome: str) -> None:
    """When a call fails half way, its closed plans stay, the others get the fault's outcome, other shards go on."""

    class Faulty(Client):
        async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
            async for chunk in Client.stream(self, request):
                if 2 in request.slots.values() and '"a2"' in chunk.text:
                    raise ClientError("the line broke", outcome=outcome)
                yield chunk

    response = execute(Faulty(), 1, 2, 3, 4)
    assert outcomes(response) == ["ok", outcome, "ok", "ok"]
    assert response.errors == {2: "the line broke"}
    assert [shard["finish"] for shard in response.shards] == [outcome, "stop"]
    assert (response.shards[0]["usage"], response.usage.prompt_tokens) == (None, 100)


@pytest.mark.parametrize(
    ("last", "outcome", "finish"),
    [
        ((LlmChunk(finish="length"),), "cut", "length"),
        ((LlmChunk(finish="content_filter"),), "cut", "content_filter"),
        ((), "cut", "cut"),
        ((LlmChunk(" " * 64), STOP), "cut", "cut"),
        ((STOP,), "missing", "stop"),
    ],
)
def test_the_way_a_reply_ends_says_what_became_of_the_missing(
    last: tuple[LlmChunk, ...], outcome: str, finish: str
) -> None:
    """A reply that was cut, looped or never ended is `cut` for whoever is missing; a complete one is `missing`."""
    response = execute(Client({1: plan(1)}.get, last), 1, 2)
    assert outcomes(response) == ["ok", outcome]
    assert response.shards[0]["finish"] == finish


def test_a_reply_without_any_plan_leaves_everyone_missing() -> None:
    """A complete reply in which nothing can be read is not a fault of the transport: each plan is missing."""
    assert outcomes(execute(Client({}.get), 1, 2)) == ["missing", "missing"]


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda encoding: encoding.name)
def test_agents_that_can_use_no_verb_are_not_asked(encoding: Encoding) -> None:
    """A schema without any verb would be refused for all; those agents go on to the next tier, the others are asked."""
    known = market(villager(), villager(people=(PEOPLE[9],)), villager(), keys=(3, 5, 7))
    client = Client(lambda agent: '[{"act":"Talk","to":9,"what":"Hello"}]')
    talking = MARKET.offering(["Talk"])
    for who, expected in ((known, ["refused", "ok", "refused"]), (known.take(slice(0, 1)), ["refused"])):
        request = BatchRequest(who, talking, "tier", encoding=encoding)
        response = asyncio.run(BatchInferenceExecutor(2, 2).execute(client, request))
        assert outcomes(response) == expected
        assert response.errors[3] == "none of the verbs offered is possible for it"
    assert client.calls == [(5,)]


def test_a_single_plan_without_a_name_is_taken_when_one_agent_was_asked() -> None:
    """A shard of one agent accepts a bare plan; a shard of two does not."""

    class Bare(Client):
        async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
            yield LlmChunk(plan(1))
            yield STOP

    heard: list[int] = []
    response = execute(Bare(), 5, k=1, on_plan=lambda agent, steps: heard.append(agent))
    assert response.plans == {5: (MARKET.encode(Sleep(2)),)}
    assert (response.texts, heard) == ({5: plan(1)}, [5])
    assert outcomes(execute(Bare(), 5, 6)) == ["missing", "missing"]


def test_duplicates_and_strangers_are_recorded() -> None:
    """The first plan of an agent wins; later ones and plans for others are noted in the shard's record."""
    extra = f'{plan(1)},"a1":{{"steps":[{{"act":"Sell"}}]}},"a9":{{}}'
    response = execute(Client({1: extra, 2: plan(2)}.get), 1, 2)
    assert response.plans[1] == (MARKET.encode(Sleep(2)),)
    assert (response.shards[0]["duplicates"], response.shards[0]["unknown"]) == ([1], 1)


def test_a_call_that_nobody_made_is_not_counted() -> None:
    """Once the breaker is open nothing is sent: usage counts the calls that were made, errors all agents."""
    made = 0

    class Down:
        label = "down"

        async def stream(self, _request: LlmRequest) -> AsyncIterator[LlmChunk]:
            nonlocal made
            made += 1
            raise ClientError("nobody listens")
            yield

    breaker = CircuitBreaker(failures_max=2)
    client = ResilientClient(Down(), policy=RetryPolicy(retries=0), breaker=breaker)
    response = execute(client, 1, 2, 3, 4, 5, k=1, m=1)
    assert (response.usage.calls, response.usage.agents) == (made, made) == (2, 2)
    assert response.usage.errors == {"transport": 2, "breaker_open": 3}


def test_a_passed_deadline_means_no_call() -> None:
    """When the deadline has passed before the batch starts, everyone times out and the client is not asked."""
    client = Client()
    response = execute(client, 1, 2, deadline=5.0, clock=lambda: 5.0)
    assert outcomes(response) == ["timeout", "timeout"]
    assert (client.calls, response.usage.calls, response.shards[0]["finish"]) == ([], 0, "timeout")


def test_the_deadline_keeps_what_closed_before_it() -> None:
    """Plans that closed before the deadline stay, later ones time out, and the stream is closed, not cancelled."""
    now = 0.0

    def reply(agent: int) -> str:
        nonlocal now
        now += 1.0
        return plan(agent)

    client = Client(reply)
    response = execute(client, 1, 2, 3, 4, 5, k=3, m=1, deadline=2.5, clock=lambda: now)
    assert outcomes(response) == ["ok", "ok", "timeout", "timeout", "timeout"]
    assert client.calls == [(1, 2, 3)]
    assert client.open == 0
    assert [shard["finish"] for shard in response.shards] == ["timeout", "timeout"]


def test_a_silent_stream_does_not_hold_the_batch_past_its_deadline() -> None:
    """A stream that never yields again is left behind at the deadline; `aclose` ends it, with no warning."""

    class Silent(Client):
        closed = False

        async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
            try:
                if 3 in request.slots.values():
                    yield LlmChunk(f'{{"a1":{plan(3)}')
                    await asyncio.Event().wait()
                async for chunk in Client.stream(self, request):
                    yield chunk
            finally:
                self.closed = True

    async def run(client: Silent) -> BatchResponse:
        executor = BatchInferenceExecutor(2, 2)
        clock = asyncio.get_running_loop().time
        request = BatchRequest(batch(1, 2, 3, 4), MARKET, "tier")
        told: list[CallBegun | CallEnd] = []
        asking = Asking(deadline=Deadline(clock() + 0.05), on_call=told.append)
        response = await executor.execute(client, request, clock=clock, asking=asking)
        ends = [each.record["finish"] for each in told if isinstance(each, CallEnd)]
        assert (len(told), ends) == (4, ["stop", "timeout"])  # a call that is left behind is told of as well, once
        pending = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert len(pending) == 1
        pending[0].cancel()
        await executor.aclose()
        assert client.closed
        return response

    response = asyncio.run(run(Silent()))
    assert outcomes(response) == ["ok", "ok", "ok", "timeout"]


def test_a_late_reader_closes_itself_at_its_next_chunk() -> None:
    """A reader that was left behind takes nothing more: it closes its stream when the next chunk arrives."""

    async def run() -> tuple[BatchResponse, Client, list[int]]:
        gate = asyncio.Event()

        class Slow(Client):
            async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
                async for chunk in Client.stream(self, request):
                    yield chunk
                    if '"a1"' in chunk.text:
                        await gate.wait()

        client, heard = Slow(), []
        executor = BatchInferenceExecutor(2, 2)
        clock = asyncio.get_running_loop().time
        response = await executor.execute(
            client,
            BatchRequest(batch(1, 2), MARKET, "tier"),
            asking=Asking(deadline=Deadline(clock() + 0.02)),
            clock=clock,
            on_plan=lambda agent, steps: heard.append(agent),
        )
        gate.set()
        await executor.aclose()
        return response, client, heard

    response, client, heard = asyncio.run(run())
    assert outcomes(response) == ["ok", "timeout"]
    assert heard == [1]
    assert client.open == 0


def test_aclose_cancels_readers_that_do_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that ignores its deadline for longer than the drain time is cancelled when the executor closes."""
    monkeypatch.setattr("ai.llm.executor.DRAIN_S", 0.01)

    class Hung(Client):
        async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
            await asyncio.Event().wait()
            yield STOP

    async def run() -> int:
        executor = BatchInferenceExecutor()
        clock = asyncio.get_running_loop().time
        request = BatchRequest(batch(1), MARKET, "tier")
        response = await executor.execute(
            Hung(), request, clock=clock, asking=Asking(deadline=Deadline(clock() + 0.01))
        )
        assert outcomes(response) == ["timeout"]
        await executor.aclose()
        return len(asyncio.all_tasks())

    assert asyncio.run(run()) == 1


def test_the_call_is_told_how_long_it_may_be_silent() -> None:
    """A call's timeout follows the time left, so a reader that is left behind ends soon after; tokens are bounded."""
    client = Client()
    execute(client, 1, deadline=2.0, clock=lambda: 0.0)
    execute(client, *range(60), k=60)
    assert [request.timeout_s for request in client.requests] == [2.0, 60.0, 60.0, 60.0]
    assert [request.left_s for request in client.requests[:2]] == [2.0, None]
    assert max(request.tokens_max for request in client.requests) <= TOKENS_MAX
    assert [message.role for message in client.requests[0].messages] == ["system", "user"]
    assert client.requests[0].slots == {"a1": 1}


@pytest.mark.parametrize(
    "error",
    [ContractError("odd"), ZeroDivisionError(), ConnectionResetError("gone"), ClientError("", outcome="nonsense")],
)
def test_whatever_a_client_raises_ends_its_own_call_alone(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """An exception of a foreign client is the outcome of its call and names the client; other calls go on."""

    class Broken(Client):
        async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
            if 2 in request.slots.values():
                yield LlmChunk(f'{{"a1":{plan(1)}')
                raise error
            async for chunk in Client.stream(self, request):
                yield chunk

    response = execute(Broken(label="odd one"), 1, 2, 3, 4)
    assert outcomes(response) == ["ok", "transport", "ok", "ok"]
    if not isinstance(error, ClientError):
        assert response.errors[2].startswith(f"the client odd one raised {type(error).__name__}")
        assert "odd one" in caplog.text


@pytest.mark.parametrize("client", [object(), type("Odd", (), {"stream": lambda self, request: 7, "label": "odd"})()])
def test_a_client_that_is_none_at_all_is_named(client: object) -> None:
    """An object without a stream that can be read leaves every agent without a plan, and the reason says which."""
    response = execute(client, 1, 2)
    assert outcomes(response) == ["transport", "transport"]
    assert str(getattr(client, "label", client)) in response.errors[1]


def test_listeners_hear_of_plans_and_calls_and_cannot_stop_them(caplog: pytest.LogCaptureFixture) -> None:
    """`on_call` hears of each call as it begins and ends; a listener that raises is a warning that names it."""
    heard: list[tuple[tuple[int, ...], str]] = []

    def on_call(call: CallBegun | CallEnd) -> None:
        heard.append((call.agents, "") if isinstance(call, CallBegun) else (call.planned, call.record["finish"]))
        raise RuntimeError("the listener is broken")

    def on_plan(agent: int, steps: tuple[Action, ...]) -> None:
        raise RuntimeError("this one too")

    async def run() -> BatchResponse:
        executor = BatchInferenceExecutor(2, 1)
        client = Client(lambda agent: plan(agent) if agent != 2 else "{}")
        request = BatchRequest(batch(1, 2, 3), MARKET, "tier")
        return await executor.execute(client, request, on_plan=on_plan, asking=Asking(on_call=on_call))

    assert outcomes(asyncio.run(run())) == ["ok", "invalid", "ok"]
    assert heard == [((1, 2), ""), ((1,), "stop"), ((3,), ""), ((3,), "stop")]
    assert "on_call" in caplog.text
    assert "on_plan" in caplog.text


@pytest.mark.parametrize("count", [-1, 2**70, 1.5, True, None, "7"])
def test_counts_that_cannot_be_believed_are_not_counted(count: object) -> None:
    """A number of tokens that no reply has is left out; the others of the same reply are kept."""
    usage = {"prompt_tokens": count, "completion_tokens": 7}
    response = execute(Client(last=(LlmChunk(finish="stop", usage=usage),)), 1)  # type: ignore[arg-type]
    assert (response.usage.prompt_tokens, response.usage.completion_tokens) == (None, 7)
    assert response.shards[0]["usage"] == {"completion_tokens": 7}


def test_what_stood_before_a_closing_mark_of_thoughts_is_forgotten() -> None:
    """A chunk that voids what came before it drops the drafts that were read in it, and the answer counts."""

    class Thinker(Client):
        async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
            yield LlmChunk(f'{{"a1":{plan(7)},"a2":{plan(7)}}} or rather ')
            yield LlmChunk(f'{{"a1":{plan(1)}}}', voids=True)
            yield STOP

    response = execute(Thinker(), 1, 2)
    assert outcomes(response) == ["ok", "missing"]
    assert response.texts == {1: plan(1)}


def test_a_cancelled_batch_leaves_no_reader_behind() -> None:
    """When the caller gives up, readers stop at their next chunk."""

    async def run() -> Client:
        client = Client(pauses=lambda agent: 5)
        executor = BatchInferenceExecutor(1, 4)
        task = asyncio.create_task(executor.execute(client, BatchRequest(batch(1, 2, 3), MARKET, "tier")))
        for _ in range(3):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await executor.aclose()
        assert len(asyncio.all_tasks()) == 1
        return client

    assert asyncio.run(run()).open == 0


def test_sizes_must_be_positive() -> None:
    """A shard size or a number in flight below one is refused at construction."""
    for sizes in ((0, 1), (1, 0)):
        with pytest.raises(ContractError):
            BatchInferenceExecutor(*sizes)


def test_steps_of_several_verbs_come_through() -> None:
    """What the parser reads is what the response holds, step by step."""
    text = '{"steps":[{"act":"Buy","good":"fish","count":4},{"act":"Tip","coins":0.5}]}'
    plans = execute(Client({1: text}.get), 1).plans
    assert plans == {1: (MARKET.encode(Buy("fish", 4)), MARKET.encode(Tip(0.5)))}
