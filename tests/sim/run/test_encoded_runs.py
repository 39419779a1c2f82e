"""Runs whose plans are written in each encoding: the same run, and its replay is read as it was written."""

import pytest

from ai.clients.scripted import ScriptedClient
from ai.llm.encodings import ENCODINGS
from ai.llm_types import Endpoint
from sim.replay.reader import Replay, read
from sim.replay.verify import verify
from sim.run.planning_service import ModelOptions
from tests.sim.replay.recordings import SCRIPT, record, scenario
from tests.support.recording import rechain


def recorded(encoding: str | None, endpoint: Endpoint | None = None) -> bytes:
    client = ScriptedClient([*SCRIPT, {"agent": 5, "text": "Scan 3; Wait 0.5" if encoding == "line" else "[]"}])
    client.endpoint = endpoint  # type: ignore[attr-defined]
    return record(scenario(), client=client, model=ModelOptions(encoding=encoding))


def replay(data: bytes) -> Replay:
    return read(data)


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda encoding: encoding.name)
def test_a_run_in_any_encoding_is_recorded_and_verifies(encoding) -> None:
    """Every call names its encoding and prompt version, and the replay parses the texts again in that encoding."""
    data = recorded(encoding.name)
    shards = [shard for tick in replay(data).ticks for shard in tick.shards]
    assert {shard["encoding"] for shard in shards} == {encoding.name}
    assert all(shard["prompt_version"] for shard in shards)
    assert verify(data).verdict == "match"


def test_an_endpoint_that_takes_a_grammar_is_asked_for_lines() -> None:
    """Without a choice, lines are asked for where a grammar is taken, and named JSON everywhere else."""

    def used(endpoint: Endpoint | None) -> set[str]:
        ticks = replay(recorded(None, endpoint)).ticks
        return {shard["encoding"] for tick in ticks for shard in tick.shards}

    assert used(None) == used(Endpoint(reachable=True, grammar=False)) == {"named"}
    assert used(Endpoint(reachable=True, grammar=True)) == {"line"}


def test_an_encoding_from_elsewhere_is_inconclusive() -> None:
    """A replay in an encoding that is not known here is no difference; the verdict names it."""
    lines = recorded("line").replace(b'"encoding":"line"', b'"encoding":"morse"').splitlines(keepends=True)
    verdict = verify(b"".join(rechain(lines)))
    assert verdict.verdict == "inconclusive"
    assert "unknown encoding 'morse'" in str(verdict)
