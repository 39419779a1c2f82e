"""The Ollama client: framing of its lines, what it asks for, faults by outcome, and timings in one unit."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.clients import client_from_spec
from ai.clients.ollama import CONTEXT, NdjsonReader, OllamaClient
from ai.clients.reply import Reply
from ai.errors import ClientError, ContractError
from ai.llm_types import LlmChunk, LlmRequest, Message
from tests.ai.clients.servers import asked, line, ollama, refused, stream, text_of, whole

REQUEST = LlmRequest(
    (Message("system", "rules"), Message("user", "agents")),
    schema={"type": "object"},
    tokens_max=77,
    seed=2**40 + 5,
    timeout_s=5,
)
LAST = {
    "done": True,
    "done_reason": "stop",
    "total_duration": 4_883_583_458,
    "load_duration": 1_334_875,
    "prompt_eval_count": 26,
    "prompt_eval_duration": 342_546_000,
    "eval_count": 282,
    "eval_duration": 4_535_599_000,
}


def read(pieces: Sequence[bytes]) -> tuple[str, LlmChunk]:
    reader = NdjsonReader(Reply(LlmRequest(()), clock=lambda: 0.0))
    text = "".join(reader.feed(piece).text for piece in pieces)
    last = reader.close()
    return text + last.text, last


BODY = line("{") + line("caf\u00e9 \u2028\u0085 \U0001f600") + line("}") + line("", **LAST)


def test_every_split_in_two_gives_the_same_text() -> None:
    """A stream cut once at any byte, inside characters too, gives the text and end of the whole."""
    whole = read([BODY])
    assert whole[0] == "{caf\u00e9 \u2028\u0085 \U0001f600}"
    for cut in range(len(BODY)):
        assert read([BODY[:cut], BODY[cut:]]) == whole


@given(st.lists(st.integers(0, len(BODY)), max_size=20))
def test_any_split_of_the_bytes_gives_the_same_text(cuts: list[int]) -> None:
    """A stream cut anywhere gives the text and end of the whole."""
    edges = [0, *sorted(cuts), len(BODY)]
    assert read([BODY[a:b] for a, b in pairwise(edges)]) == read([BODY])


def test_counts_and_durations_are_told_in_common_names() -> None:
    """Tokens come under the names all clients use, durations in milliseconds; the rest of the total was the queue."""
    last = read([BODY])[1]
    assert last.usage == {"prompt_tokens": 26, "completion_tokens": 282}
    assert last.timings is not None
    assert {name: round(value, 3) for name, value in last.timings.items()} == {
        "prompt_ms": 342.546, "predicted_ms": 4535.599, "load_ms": 1.335, "queue_ms": 4.104,
    }  # fmt: skip


def test_what_a_server_leaves_out_stays_unknown() -> None:
    """Without counts and durations there is None; a cached prompt without its count is not zero tokens."""
    last = read([line("{}", done=True, done_reason="stop")])[1]
    assert (last.usage, last.timings) == (None, None)
    last = read([line("{}", done=True, eval_count=3)])[1]
    assert last.usage == {"completion_tokens": 3}


def test_either_sign_of_the_end_is_enough_and_none_is_a_cut() -> None:
    """`done` or `done_reason` ends a reply; a stream that just stops was cut off."""
    assert read([line("{}", done=True)])[1].finish == "stop"
    assert read([line("{}", done_reason="length")])[1].finish == "length"
    assert read([line("{}", done=True).rstrip(b"\n")])[1].finish == "stop"
    with pytest.raises(ClientError, match="before the reply was complete") as caught:
        read([line("{}")])
    assert caught.value.outcome == "cut"


@pytest.mark.parametrize(
    ("wire", "outcome", "reason"),
    [
        (stream(line("{"), b'{"error":"the runner has died"}\n'), "transport", "the runner has died"),
        (stream(b'{\n"error": "the runner\\nhas died"\n}'), "transport", "the runner has died"),
        (stream(b"<html>\n"), "transport", "not JSON"),
        (stream(b"[" * 100_000 + b"\n"), "transport", "not JSON"),
        (stream(b"x" * 300_000), "cut", "longer than"),
        (whole(404, {"error": 'model "m" not found, try pulling it first'}), "transport", "try pulling it first"),
        (
            whole(503, {"error": "server busy, please try again.  maximum pending requests exceeded"}),
            "transport",
            "busy",
        ),
    ],
)
def test_each_fault_is_a_client_error_by_outcome(wire: bytes, outcome: str, reason: str) -> None:
    """Errors before and inside a stream, and answers that are none, are `ClientError`s with the server's words."""
    error = refused(wire, client_of=ollama)
    assert error.outcome == outcome
    assert reason in str(error)
    assert str(error).startswith("ollama:m: ")


@pytest.mark.parametrize("payload", [b"7", b"[]", b"{}", b'{"message":7}', b'{"message":{"content":7}}', b"", b" "])
def test_lines_of_another_shape_are_passed_over(payload: bytes) -> None:
    """A line that is JSON but not a piece of a reply changes nothing."""
    assert read([payload + b"\n" + BODY])[0] == read([BODY])[0]


def test_the_request_streams_bounds_constrains_and_does_not_think() -> None:
    """Every call carries schema, limits, seed and context, keeps the model loaded, and lets no prompt be clipped."""
    chunks, _, server = asked(stream(BODY), request=REQUEST, client_of=ollama)
    assert text_of(chunks) == read([BODY])[0]
    assert (server.calls[0].method, server.calls[0].path) == ("POST", "/api/chat")
    assert server.calls[0].body == {
        "model": "m",
        "messages": [{"role": "system", "content": "rules"}, {"role": "user", "content": "agents"}],
        "stream": True,
        "think": False,
        "keep_alive": "30m",
        "truncate": False,
        "shift": False,
        "format": {"type": "object"},
        "options": {"num_ctx": CONTEXT, "num_predict": 77, "temperature": 0.0, "seed": 5},
    }
    assert "authorization" not in server.calls[0].headers


@pytest.mark.parametrize("option", ["format", "think", "shift"])
def test_an_option_that_is_refused_is_left_out_from_then_on(option: str) -> None:
    """A server that names what it does not take is asked again without it, and never with it again."""
    words = {"format": "invalid JSON schema in format"}.get(option, f'json: unknown field "{option}"')
    _, error, server = asked(
        *[lambda call: whole(400, {"error": words}) if option in call.body else stream(BODY)] * 2,
        request=REQUEST,
        client_of=ollama,
    )
    assert error is None
    assert [option in call.body for call in server.calls] == [True, False, False]


def test_thoughts_are_kept_apart() -> None:
    """What the model thinks, in its own field or in the text, is not part of the reply."""
    apart = b'{"message":{"content":"","thinking":"hm"},"done":false}\n'
    chunks, _, _ = asked(stream(apart, line("<think>well</think>{}"), line("", done=True)), client_of=ollama)
    assert text_of(chunks) == "{}"
    assert "".join(chunk.thinking for chunk in chunks) == "hmwell"


def test_the_spec_names_model_and_root() -> None:
    """`ollama:MODEL[@URL]`: the model may hold a colon, the URL is the server's root, and neither shows a host."""
    client = client_from_spec("ollama:qwen3:4b@http://host:11434/")
    assert client.label == "ollama:qwen3:4b"
    assert "host" not in repr(client)
    for spec in ("", "@http://host", "m@host", "m@http://user:secret@host", "m@http://host?key=secret"):
        with pytest.raises(ContractError) as caught:
            client_from_spec(f"ollama:{spec}")
        assert "secret" not in str(caught.value)
    with pytest.raises(ContractError):
        OllamaClient("m", context=0)
