"""The faulty client: what its script says happens, at that place, and nothing else."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.clients import client_from_spec
from ai.clients.faulty import Fault, FaultyClient, from_spec, load_faults
from ai.errors import ClientError, ContractError
from ai.llm_types import LlmChunk, LlmRequest
from sim.testing import faults
from tests.ai.virtual_time import clock, run

REPLY = '{"a1":{"steps":[{"act":"Wait","duration":1}]}}'
REQUEST = LlmRequest((), timeout_s=10.0)


class Whole:
    """A client that answers one text in pieces of a few characters."""

    label = "whole"

    def __init__(self, piece: int = 7) -> None:
        self.piece = piece
        self.open = 0

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        self.open += 1
        try:
            for start in range(0, len(REPLY), self.piece):
                yield LlmChunk(REPLY[start : start + self.piece])
            yield LlmChunk(finish="stop", usage={"prompt_tokens": 1, "completion_tokens": 2})
        finally:
            self.open -= 1


async def heard(client: FaultyClient) -> tuple[str, str]:
    """Return the text that came, and how the call ended."""
    text, end = "", "nothing"
    try:
        async for chunk in client.stream(REQUEST):
            text += chunk.text
            end = chunk.finish or end
    except ClientError as error:
        end = error.outcome
    return text, end


def spoilt(*script: Fault, piece: int = 7) -> FaultyClient:
    return FaultyClient(Whole(piece), script)


@given(st.integers(1, 60), st.integers(0, 60), st.sampled_from(["transport", "cut", "timeout"]))
def test_a_reply_breaks_at_exactly_the_character_named(piece: int, after: int, outcome: str) -> None:
    """However the reply is cut into pieces, so many characters come and then the fault."""
    assert run(heard(spoilt(Fault(outcome=outcome, after=after), piece=piece))) == (REPLY[:after], outcome)


@given(st.integers(1, 60), st.integers(0, 60), st.text(max_size=9), st.none() | st.sampled_from(["length", "odd"]))
def test_text_is_written_at_its_place(piece: int, after: int, text: str, finish: str | None) -> None:
    """A text stands where it should; then the reply goes on to its own end, or ends as the script says."""
    rest = REPLY[after:] if finish is None else ""
    expected = (REPLY[:after] + text + rest, finish or "stop")
    assert run(heard(spoilt(Fault(text=text, after=after, finish=finish), piece=piece))) == expected


def test_faults_come_in_turn_and_then_end() -> None:
    """Each call takes the next fault; beyond the script nothing goes wrong."""
    client = spoilt(Fault(outcome="transport"), Fault(), Fault(outcome="cut"))

    async def calls() -> list[str]:
        return [(await heard(client))[1] for _ in range(5)]

    assert run(calls()) == ["transport", "stop", "cut", "stop", "stop"]


def test_a_silence_ends_as_a_read_timeout_does() -> None:
    """A short silence passes; one as long as the request allows ends the call at that moment."""

    async def timed(fault: Fault) -> tuple[str, float]:
        return (await heard(spoilt(fault)))[1], clock()

    assert run(timed(Fault(wait_s=9.0))) == ("stop", 9.0)
    assert run(timed(Fault(wait_s=3600.0, after=3))) == ("timeout", 10.0)


@given(faults())
def test_every_fault_closes_the_client_inside(fault: Fault) -> None:
    """Whatever happens, and when nobody reads on, the stream inside is closed."""
    inner = Whole()

    async def story() -> None:
        await heard(FaultyClient(inner, [fault]))
        stream = FaultyClient(inner, [fault]).stream(REQUEST)
        with contextlib.suppress(ClientError):
            await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]

    run(story())
    assert inner.open == 0


def test_a_file_of_faults_spoils_any_client(tmp_path: Path) -> None:
    """`faulty:FILE:SPEC` reads one fault a line and wraps the client that the spec names."""
    script, replies = tmp_path / "faults.jsonl", tmp_path / "replies.jsonl"
    script.write_text('{"outcome": "rate_limited", "retry_after_s": 2}\n\n{"wait_s": 1, "text": "x"}\n')
    replies.write_text('{"agent": "*", "steps": [{"act": "Wait", "duration": 1}]}\n')
    assert load_faults(script) == (Fault(outcome="rate_limited", retry_after_s=2), Fault(wait_s=1, text="x"))
    client = client_from_spec(f"faulty:{script}:scripted:{replies}")
    assert (client.label, asyncio.run(heard(client))) == ("scripted", ("", "rate_limited"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("[]", "must be an object"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"outcome": "ok"}', "outcome: Input should be"),
        ('{"outcome": 3}', "outcome: Input should be"),
        ('{"after": -1}', "after: Input should be greater"),
        ('{"after": true}', "after: Input should be a valid integer"),
        ('{"wait_s": 1e9}', "wait_s: Input should be less"),
        ('{"wait_s": NaN}', "wait_s: Input should be"),
        ('{"retry_after_s": Infinity}', "retry_after_s: Input should be a finite number"),
        ('{"colour": "red"}', "colour: Extra inputs are not permitted"),
    ],
)
def test_a_bad_line_is_named(line: str, sentence: str, tmp_path: Path) -> None:
    """A malformed script is one sentence with file and line."""
    script = tmp_path / "faults.jsonl"
    script.write_text(f"{{}}\n{line}\n")
    with pytest.raises(ContractError, match=f"faults.jsonl, line 2: .*{sentence}"):
        load_faults(script)


@pytest.mark.parametrize("rest", ["", "faults.jsonl", ":scripted:x", "nowhere.jsonl:scripted:x", "nowhere:oracle:x"])
def test_a_bad_spec_is_refused(rest: str) -> None:
    """A spec without a file, a client or a readable script is an error with a sentence."""
    with pytest.raises(ContractError):
        from_spec(rest)
