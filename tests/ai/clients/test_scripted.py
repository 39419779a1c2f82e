"""The scripted client: answers by agent, alike for any split, and refuses a bad script with its place."""

import asyncio
from pathlib import Path

import pytest

from ai.clients import client_from_spec, discover
from ai.clients.scripted import ScriptedClient
from ai.clients.scripts import SCRIPT_BYTES_MAX, SCRIPT_LINES_MAX
from ai.errors import ClientError, ContractError
from ai.llm_types import LlmClient, LlmRequest


def ask(client: LlmClient, *agents: int, tier: str = "simplified_llm") -> str:
    async def run() -> str:
        slots = {f"a{position}": agent for position, agent in enumerate(agents, 1)}
        chunks = [chunk async for chunk in client.stream(LlmRequest((), tier=tier, slots=slots))]
        assert [chunk.finish for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
        assert (chunks[-1].finish, chunks[-1].usage) == ("stop", None)
        return "".join(chunk.text for chunk in chunks)

    return asyncio.run(run())


def test_each_agent_gets_its_own_line_and_others_the_general_one() -> None:
    """A line for an agent answers for it alone; the line for everyone answers for the rest; the others are left out."""
    client = ScriptedClient([{"agent": 3, "steps": []}, {"agent": "*", "text": "7"}])
    assert ask(client, 1, 3) == '{"a1":7,"a2":{"steps":[]}}'
    assert ask(ScriptedClient([{"agent": 3, "text": "7"}]), 1, 3, 4) == '{"a2":7}'


def test_lines_of_an_agent_take_turns_whatever_the_split() -> None:
    """An agent's lines come in turn by its own calls, so asking agents together or apart gives them the same plans."""
    lines = [{"agent": "*", "text": "1"}, {"agent": "*", "text": "2"}, {"agent": 5, "text": "3"}]
    together, apart = ScriptedClient(lines), ScriptedClient(lines)
    for expected in ('{"a1":1,"a2":3}', '{"a1":2,"a2":3}', '{"a1":1,"a2":3}'):
        assert ask(together, 4, 5) == expected
        second, first = ask(apart, 5), ask(apart, 4)
        assert [first, second.replace("a1", "a2")] == [expected.split(",")[0] + "}", "{" + expected.split(",")[1]]


def test_a_line_with_a_tier_counts_in_that_tier_only() -> None:
    """A tier's line is not seen by calls of another tier."""
    client = ScriptedClient([{"agent": 1, "tier": "full_llm", "text": "1"}, {"agent": "*", "text": "2"}])
    assert ask(client, 1) == '{"a1":2}'
    assert ask(client, 1, tier="full_llm") == '{"a1":1}'


def test_a_scripted_error_fails_the_call_that_asks_for_its_agent() -> None:
    """The call with that agent raises `ClientError` with the outcome; other calls go on."""
    client = ScriptedClient([{"agent": "*", "text": "1"}, {"agent": 4, "error": "timeout"}])
    with pytest.raises(ClientError) as caught:
        ask(client, 3, 4)
    assert caught.value.outcome == "timeout"
    assert ask(client, 3) == '{"a1":1}'


def test_a_script_file_is_read_by_spec(tmp_path: Path) -> None:
    """`scripted:FILE` answers from the file, and its label names no path."""
    script = tmp_path / "script.jsonl"
    script.write_text('{"agent": 1, "steps": [{"act": "Wait"}]}\n\n{"agent": "*", "steps": []}\n', "utf-8")
    client = client_from_spec(f"scripted:{script}")
    assert client.label == "scripted"
    assert ask(client, 1, 2) == '{"a1":{"steps":[{"act":"Wait"}]},"a2":{"steps":[]}}'


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "must be an object"),
        ('{"agent": "x", "steps": []}', "agent"),
        ('{"agent": true, "steps": []}', "agent"),
        ('{"agent": [], "steps": []}', "agent"),
        ('{"agent": -1, "steps": []}', "agent"),
        ('{"agent": 1}', "exactly one"),
        ('{"agent": 1, "steps": [], "text": ""}', "exactly one"),
        ('{"agent": 1, "steps": {}}', "steps"),
        ('{"agent": 1, "text": 7}', "text"),
        ('{"agent": 1, "error": "oops"}', "error: Input should be 'timeout'"),
        ('{"agent": 1, "error": []}', "error: Input should be 'timeout'"),
        ('{"agent": 1, "tier": 7, "steps": []}', "tier"),
        ('{"agent": 1, "plan": []}', "plan: Extra inputs"),
    ],
)
def test_a_bad_script_is_refused_with_file_line_and_reason(tmp_path: Path, line: str, reason: str) -> None:
    """Each defect of a script file is a `ContractError` that names the file, the line and what is wrong."""
    script = tmp_path / "bad.jsonl"
    script.write_text(f'{{"agent": 1, "steps": []}}\n{line}\n', "utf-8")
    with pytest.raises(ContractError) as caught:
        client_from_spec(f"scripted:{script}")
    assert f"{script}, line 2: " in str(caught.value)
    assert reason in str(caught.value)


def test_scripts_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    """A missing, unreadable or oversized script is a `ContractError` of one sentence."""
    big, long, binary = tmp_path / "big", tmp_path / "long", tmp_path / "binary"
    with big.open("wb") as file:
        file.truncate(SCRIPT_BYTES_MAX + 1)
    long.write_text("\n" * SCRIPT_LINES_MAX, "utf-8")
    binary.write_bytes(b"\xff\xfe")
    for spec in (f"{big}", f"{long}", f"{binary}", f"{tmp_path}", f"{tmp_path / 'none'}", "a\0b", ""):
        with pytest.raises(ContractError) as caught:
            client_from_spec(f"scripted:{spec}")
        assert "\n" not in str(caught.value)
    with pytest.raises(ContractError, match="at most"):
        ScriptedClient({"agent": 1, "text": ""} for _ in range(SCRIPT_LINES_MAX + 1))


def test_clients_are_found_by_scheme_in_name_order() -> None:
    """The folder's clients are found by their scheme, and an unknown scheme names the known ones."""
    schemes = list(discover())
    assert schemes == sorted(schemes)
    assert {"openai", "scripted"} <= set(schemes)
    with pytest.raises(ContractError, match=r"openai:.*scripted:"):
        client_from_spec("gopher:model")


def test_a_malformed_client_module_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module with a scheme and no factory, or with a taken scheme, is an error; one with neither is not a client."""
    import ai.clients.openai
    import ai.clients.scripted

    monkeypatch.setattr(ai.clients.scripted, "SCHEME", "openai")
    with pytest.raises(ContractError, match=r"scripted\.py claims the scheme 'openai', which openai\.py"):
        discover()
    monkeypatch.delattr(ai.clients.openai, "from_spec")
    with pytest.raises(ContractError, match=r"openai\.py must define SCHEME"):
        discover()
    monkeypatch.setattr(ai.clients.scripted, "SCHEME", "scripted")
    monkeypatch.delattr(ai.clients.openai, "SCHEME")
    assert "openai" not in discover()
