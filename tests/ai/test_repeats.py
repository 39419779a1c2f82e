"""Events read by what they repeat give what they give when each is decoded."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.clients.base import LlmChunk, LlmRequest
from ai.clients.ollama import NdjsonReader
from ai.clients.openai import SseReader
from ai.clients.wire.reply import Reply
from ai.errors import ClientError

TEXTS = st.one_of(
    st.text(max_size=6), st.sampled_from(["\ud83d", "\ude00", '"', "\\", "\\u00", '","role":"', "\u2028"])
)
ODD = st.sampled_from(
    [b'"', b"\\", b'\\"', b"\xc3", b"\xa9", b"\\ud83d", b"\\x", b'","content":"no', b"\x01", b'"}}],"usage":{"a":"']
)


def sse(content: bytes, number: int) -> bytes:
    return b'data: {"id":"x","choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":null}],"n":1}\n\n' % content


def ndjson(content: bytes, number: int) -> bytes:
    return b'{"created_at":"T%d","message":{"role":"assistant","content":"%b"},"done":false}\n' % (number, content)


SHAPES = {SseReader: (sse, b"data: [DONE]\n\n"), NdjsonReader: (ndjson, b'{"done":true}\n')}


def read(
    kind: type[SseReader] | type[NdjsonReader], wire: bytes, cuts: list[int], *, learns: bool
) -> tuple[str, object]:
    reader = kind(Reply(LlmRequest(()), clock=lambda: 0.0), lambda error: ClientError(str(error)))
    if not learns:
        reader._repeats._left = 0
    edges = [0, *sorted(min(cut, len(wire)) for cut in cuts), len(wire)]
    text = "".join(reader.feed(wire[a:b]).text for a, b in pairwise(edges))
    last: LlmChunk | str
    try:
        last = reader.close()
    except ClientError as error:
        last = str(error)
    return text, last


@pytest.mark.parametrize("kind", [SseReader, NdjsonReader])
@given(
    st.lists(st.one_of(TEXTS.map(lambda text: json.dumps(text)[1:-1].encode()), ODD), max_size=12),
    st.lists(st.integers(0, 900), max_size=6),
)
def test_repeated_events_give_what_decoded_ones_give(
    kind: type[SseReader] | type[NdjsonReader], contents: list[bytes], cuts: list[int]
) -> None:
    """Text, end and fault of a stream are the same whether its events are decoded or recognised, for any split."""
    event, end = SHAPES[kind]
    wire = b"".join(event(content, number) for number, content in enumerate(contents)) + end
    assert read(kind, wire, cuts, learns=True) == read(kind, wire, [], learns=False)
