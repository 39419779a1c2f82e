"""Event streams: the rules of the WHATWG standard, the same for any split, and the two departures for JSON."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.clients.sse import LINE_BYTES_MAX, Event, Events, Lines
from ai.errors import ClientError

CUTS = st.lists(st.integers(0, 10_000), max_size=12)
WORDS = st.text(st.characters(blacklist_characters="\r\n", blacklist_categories=["Cs"]), max_size=6)
FIELDS = st.sampled_from(["data", "event", "id", "retry", "", "Data", "other"])


def cut(body: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(body) + 1) for place in cuts), len(body)]
    return [body[a:b] for a, b in pairwise(edges)]


def events(*pieces: bytes) -> list[Event]:
    stream = Events()
    return [*(event for piece in pieces for event in stream.feed(piece)), *stream.close()]


def by_the_standard(text: str) -> list[Event]:
    """Interpret a decoded stream as the standard writes it, except that the last event needs no blank line."""
    found, kind, data = [], "", ""
    for line in [*text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n"), ""]:
        if not line:
            if data:
                found.append(Event(kind or "message", data.removesuffix("\n")))
            kind, data = "", ""
        elif not line.startswith(":"):
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            kind = value if field == "event" else kind
            data += value + "\n" if field == "data" else ""
    return found


@given(
    st.lists(st.tuples(FIELDS, st.sampled_from([":", ": ", ":  ", ""]), WORDS, st.sampled_from(["\n", "\n\n"]))),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
    CUTS,
)
def test_any_stream_is_read_as_the_standard_says(
    lines: list[tuple[str, str, str, str]],
    end: str,
    bom: bool,  # noqa: FBT001
    cuts: list[int],
) -> None:
    """Drawn fields, line ends and splits give the events that the standard's own algorithm gives."""
    text = "".join(f"{field}{colon}{word}{stop}" for field, colon, word, stop in lines).replace("\n", end)
    body = ("\ufeff" * bom + text).encode()
    assert events(*cut(body, cuts)) == by_the_standard("\ufeff" * bom + text)


@pytest.mark.parametrize(
    ("body", "data"),
    [
        (b"data: one\rdata: two\r\rdata: three\r\r", ["one\ntwo", "three"]),
        (b"\xef\xbb\xbfdata: one\n\n", ["one"]),
        (b"data\n\ndata: one\n\n", ["", "one"]),
        (b": comment\n\nretry: 3000\n\nid: 7\n\n", []),
        (b"data: \xff\xe2\x80\xa8\n\n", ["\ufffd\u2028"]),
        (b"data:{}\ndata:{}\ndata: [DONE]\ndata:[", ["{}", "{}", "[DONE]", "["]),
        (b'data: {\ndata:  "a": {}\ndata: }\n\n', ['{\n "a": {}\n}']),
    ],
)
def test_streams_that_servers_write(body: bytes, data: list[str]) -> None:
    """CR alone, a byte order mark, several data lines, fields without a colon, and events without blank lines."""
    assert [event.data for event in events(body)] == data
    assert events(*(body[n : n + 1] for n in range(len(body)))) == events(body)


@given(st.lists(st.dictionaries(WORDS, WORDS | st.integers())), st.sampled_from(["\n", "\n\n"]), st.booleans(), CUTS)
def test_events_of_json_come_whole_however_their_lines_end(
    values: list[dict[str, object]],
    end: str,
    pretty: bool,  # noqa: FBT001
    cuts: list[int],
) -> None:
    """Events of JSON objects, on one line or on several, with or without blank lines between them, are told apart."""
    texts = [json.dumps(value, indent=1 if pretty else None, ensure_ascii=False) for value in values]
    body = "".join("".join(f"data: {part}\n" for part in text.split("\n")) + end[1:] for text in texts).encode()
    assert [json.loads(event.data) for event in events(*cut(body, cuts))] == values


@given(st.lists(st.binary(max_size=8)), CUTS)
def test_lines_are_the_same_for_any_split(lines: list[bytes], cuts: list[int]) -> None:
    """Only whole lines are handed on, ended by CR, LF or both, wherever the bytes were split."""
    whole = [part.replace(b"\n", b"").replace(b"\r", b"").removeprefix(b"\xef\xbb\xbf") for part in lines]
    reader = Lines()
    found = [part for piece in cut(b"".join(part + b"\r\n" for part in whole), cuts) for part in reader.feed(piece)]
    assert found == whole
    assert reader.rest == b""


@pytest.mark.parametrize("size", [64, 4096, LINE_BYTES_MAX + 1])
def test_a_line_without_end_is_refused(size: int) -> None:
    """However the bytes come, a line is given up at its limit and not at the end of the reply."""
    reader = Lines()
    for _ in range(LINE_BYTES_MAX // size):
        reader.feed(b"x" * size)
    with pytest.raises(ClientError, match="a line of the reply") as caught:
        reader.feed(b"x" * size)
    assert caught.value.outcome == "cut"


def test_an_event_without_end_is_refused() -> None:
    """Many short data lines are bounded together."""
    with pytest.raises(ClientError, match="an event of the reply") as caught:
        events(b"data: x\n" * LINE_BYTES_MAX)
    assert caught.value.outcome == "cut"
