"""The framing of answers: what our decoder gives is what h11 gives, for any bytes in any pieces."""

from __future__ import annotations

from itertools import pairwise

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ai.clients.wire.http1 import HEAD_BYTES_MAX, SIZE_BYTES_MAX, Chunked, Exchange

HEADS = {
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "both": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n",
    "close": b"HTTP/1.1 200 OK\r\n\r\n",
    "old": b"HTTP/1.0 200 OK\r\n\r\n",
    "early": b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n",
    "none": b"HTTP/1.1 204 No Content\r\n\r\n",
    "error": b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\nRetry-After: 1\r\n\r\n",
}
REQUEST = [(b"Host", b"h"), (b"Content-Length", b"2"), (b"Connection", b"close")]
MARKS = st.sampled_from(
    [b"\r\n", b"\r", b"\n", b"0", b"3", b"a", b";x=y", b" ", b"-1", b"+2", b"0x4", b"f" * 17, b"abc"]
)
CUTS = st.lists(st.integers(0, 400), max_size=12)


def chunk(data: bytes, extension: bytes = b"") -> bytes:
    return b"%x%b\r\n%b\r\n" % (len(data), extension, data) if data else b""


CHUNKS = st.lists(st.builds(chunk, st.binary(max_size=40), st.sampled_from([b"", b";a", b';a="b"']))).map(b"".join)
HOSTILE = st.lists(st.one_of(MARKS, st.binary(max_size=6), CHUNKS), max_size=12).map(b"".join)


def cut(body: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(place, len(body)) for place in cuts), len(body)]
    return [body[a:b] for a, b in pairwise(edges) if a < b]


def ours(pieces: list[bytes]) -> tuple[bytes, str]:
    """Read an answer with our decoder: its body, and whether it was whole, cut off or broken."""
    exchange = Exchange("POST", b"/", REQUEST, b"{}")
    data = b""
    try:
        for piece in pieces:
            data += exchange.feed(piece) if exchange.body is None else exchange.body.feed(piece)
            if exchange.body is not None and exchange.body.done:
                return data, "broken" if exchange.body.broken else "whole"
    except h11.RemoteProtocolError:
        return data, "broken"
    if exchange.body is None:
        return data, "cut"
    exchange.body.feed(b"")
    return data, "whole" if exchange.body.done else "cut"


def theirs(pieces: list[bytes]) -> tuple[bytes, str]:
    """Read an answer with h11 alone."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES_MAX)
    connection.send(h11.Request(method="POST", target="/", headers=REQUEST))
    connection.send(h11.Data(data=b"{}"))
    connection.send(h11.EndOfMessage())
    data = b""
    for piece in [*pieces, b""]:
        try:
            connection.receive_data(piece)
            while (event := connection.next_event()) is not h11.NEED_DATA:
                if isinstance(event, h11.Data):
                    data += bytes(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    return data, "whole"
                elif isinstance(event, h11.ConnectionClosed):
                    return data, "cut"
        except h11.RemoteProtocolError:
            return data, "broken" if piece else "cut"
    return data, "cut"


@given(st.sampled_from(["chunked", "both", "error"]), CHUNKS, CUTS)
def test_chunks_are_decoded_as_h11_does(head: str, body: bytes, cuts: list[int]) -> None:
    """A valid body in chunks gives the same bytes and the same end as h11, however it is split."""
    wire = HEADS[head] + body + b"0\r\n\r\n"
    assert ours(cut(wire, cuts)) == theirs([wire])


@given(st.sampled_from(sorted(HEADS)), HOSTILE, CUTS)
@example("chunked", b"3\r\nabcd\r\n0\r\n\r\n", [])
@example("chunked", b"-1\r\n\r\n", [])
@example("chunked", b"ffffffffffffffff\r\nabc", [])
def test_hostile_bytes_end_as_with_h11(head: str, body: bytes, cuts: list[int]) -> None:
    """Whatever a server sends, what is given out is what h11 gives, and never more than that where it is broken."""
    wire = HEADS[head] + body
    data, end = ours(cut(wire, cuts))
    good, known = theirs([wire])
    assert good.startswith(data) if end == "broken" else data == good
    # Trailers are not read: with its last chunk a body is whole. What h11 finds broken may also lack its end.
    assert end in (known, "whole") or {end, known} == {"broken", "cut"}


@given(HOSTILE, CUTS)
def test_any_split_of_hostile_bytes_ends_alike(body: bytes, cuts: list[int]) -> None:
    """How an answer was split decides nothing: neither the bytes given out nor how it ends."""
    wire = HEADS["chunked"] + body
    assert ours(cut(wire, cuts)) == ours([wire])


@pytest.mark.parametrize(
    "line", [b"x" * 4096, b"\r\n", b"3;" + b"x" * SIZE_BYTES_MAX, b"1" * 17 + b"\r\n", b"\n3\r\nabc"]
)
def test_a_chunk_without_a_size_is_given_up_at_once(line: bytes) -> None:
    """What cannot become a chunk's size ends the body as broken, before any more of it is kept."""
    body = Chunked()
    assert body.feed(b"2\r\nok\r\n" + line) == b"ok"
    assert (body.done, body.broken) == (True, True)


def test_a_head_without_end_is_given_up_at_its_limit() -> None:
    """A head is read up to its limit and no further."""
    exchange = Exchange("GET", b"/", REQUEST[:1], b"")
    exchange.feed(b"HTTP/1.1 200 OK\r\n")
    for _ in range(HEAD_BYTES_MAX // 9 - 2):
        exchange.feed(b"x: yyyy\r\n")
    with pytest.raises(h11.RemoteProtocolError):
        exchange.feed(b"x: yyyy\r\n" * 3)


def test_headers_are_sent_as_given_and_none_can_be_smuggled() -> None:
    """The request goes out with its headers and its content, and a line end in a header is refused."""
    sent = Exchange("POST", b"/v1", REQUEST, b"{}").sent
    assert sent == b"POST /v1 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    with pytest.raises(h11.LocalProtocolError):
        Exchange("POST", b"/v1", [*REQUEST, (b"x", b"y\r\nz: 1")], b"{}")
