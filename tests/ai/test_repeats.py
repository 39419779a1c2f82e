"""Events read by what they repeat give what they give when each is decoded."""

import json
from itertools import accumulate, pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ai.clients.base import LlmChunk, LlmRequest
from ai.clients.ollama import NdjsonReader
from ai.clients.openai import SseReader
from ai.clients.wire.reply import Reply
from ai.errors import ClientError

TEXTS = st.one_of(
    st.text(max_size=6), st.sampled_from(["\ud83d", "\ude00", '"', "\\", "\\u00", '","role":"', "\u2028"])
)
ONE_QUOTE = b"\x02"
"""Stands for nothing, with one quote around it instead of two."""
ODD = st.sampled_from(
    [
        b'"',
        b"\\",
        b'\\"',
        b"\xc3",
        b"\xa9",
        b"\\ud83d",
        b"\\x",
        b'","content":"no',
        b"\x01",
        b"\n",
        ONE_QUOTE,
        b'"}}],"usage":{"a":"',
    ]
)
CONTENTS = st.one_of(TEXTS.map(lambda text: json.dumps(text)[1:-1].encode()), ODD)
REFUSES = 2
"""The number that an event tells whose text is not content, though the name of its field is as long."""
EVENTS = st.tuples(CONTENTS, st.sampled_from([0, 0, 1, REFUSES]), st.sampled_from([0, 0, 1, 2, 3, 40]))
"""What an event says, a number that it tells besides, and how many of its last bytes are lost."""


def sse(content: bytes, number: int, place: int) -> bytes:
    told = number % REFUSES
    return b'data: {"id":"x","choices":[{"index":0,"delta":{"content":"%b"}}],"created":%d}\n\n' % (content, told)


def ndjson(content: bytes, number: int, place: int) -> bytes:
    told = number % REFUSES * place
    return b'{"created_at":"T%d","message":{"role":"assistant","content":"%b"},"done":false}\n' % (told, content)


SHAPES = {SseReader: (sse, b"data: [DONE]\n\n"), NdjsonReader: (ndjson, b'{"done":true}\n')}


def read(kind: type[SseReader] | type[NdjsonReader], feeds: list[list[bytes]], *, learns: bool) -> tuple[str, object]:
    reader = kind(Reply(LlmRequest(()), clock=lambda: 0.0), lambda error: ClientError(str(error)))
    if not learns:
        reader._repeats._left = 0
    text = "".join(reader.feed(pieces).text for pieces in feeds)
    last: LlmChunk | str
    try:
        last = reader.close()
    except ClientError as error:
        last = str(error)
    return text, last


@pytest.mark.parametrize("kind", [SseReader, NdjsonReader])
@given(
    st.lists(EVENTS, max_size=12),
    st.lists(st.integers(0, 900), max_size=6),
    st.booleans(),
    st.lists(st.integers(0, 12), max_size=4),
)
@example([(b"a", 0, 0)] * 3, [], True, [])
@example([(b"a", 0, 0)] * 2 + [(b"a\nb", 0, 0)], [], True, [])
@example([(b"a", 0, 0)] * 2 + [(b'"', 0, 0)], [], True, [])
@example([(b"a", 0, 0)] * 2 + [(ONE_QUOTE, 0, 0)], [], True, [])
@example([(b"a", 0, 0)] * 2 + [(b"a", 0, 1)], [], True, [])
@example([(b"a", 0, 40)] + [(b"a", 0, 0)] * 3, [], True, [2])
@example([(b"a", 0, 0)] * 2 + [(b"a", REFUSES, 0)], [], True, [])
@example([(b"a", 1, 0)] * 4, [], True, [])
def test_repeated_events_give_what_decoded_ones_give(
    kind: type[SseReader] | type[NdjsonReader],
    told: list[tuple[bytes, int, int]],
    cuts: list[int],
    apart: bool,  # noqa: FBT001 - drawn
    together: list[int],
) -> None:
    """Text, end and fault of a stream are the same whether its events are decoded or recognised.

    For any split into pieces, above all that in which each event is one, and however many are read at once.
    """
    event, end = SHAPES[kind]
    events = [event(b"{", 0, 0)]  # an answer has begun: what is told of it is given out at once
    for place, (content, number, lost) in enumerate(told):
        whole = event(content, number, place).replace(b'"%b"' % ONE_QUOTE, b'"')
        whole = whole.replace(b"content", b"refusal") if number == REFUSES else whole
        events.append(whole[: len(whole) - lost])
    events.append(end)
    wire = b"".join(events)
    edges = sorted({0, len(wire), *cuts, *(accumulate(map(len, events)) if apart else ())} & {*range(len(wire) + 1)})
    pieces = [wire[a:b] for a, b in pairwise(edges)]
    reads = [0, *sorted(together), len(pieces)]
    assert read(kind, [pieces[a:b] for a, b in pairwise(reads)], learns=True) == read(kind, [[wire]], learns=False)
