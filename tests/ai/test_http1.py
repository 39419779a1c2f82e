"""Heads and framing of answers: what our reader gives is what h11 gives, for any bytes in any pieces."""

from __future__ import annotations

from itertools import pairwise

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ai.clients.wire.http1 import HEAD_BYTES_MAX, SIZE_BYTES_MAX, AnswerHead, Chunked, request_head
from ai.errors import ClientError

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


PARTS = [b"Content-Length: ", b"Transfer-Encoding: ", b"chunked", b"7", b",", b"\r\n", b"\n", b":", b" ", b"\t", b"x"]
CHUNKS = st.lists(st.builds(chunk, st.binary(max_size=40), st.sampled_from([b"", b";a", b';a="b"']))).map(b"".join)
HOSTILE = st.lists(st.one_of(MARKS, st.binary(max_size=6), CHUNKS), max_size=12).map(b"".join)


def cut(body: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(place, len(body)) for place in cuts), len(body)]
    return [body[a:b] for a, b in pairwise(edges) if a < b]


def ours(pieces: list[bytes]) -> tuple[bytes, str]:
    """Read an answer with our decoder: its body, and whether it was whole, cut off or broken."""
    head = AnswerHead()
    data = b""
    try:
        for piece in pieces:
            data += b"".join(head.feed(piece) if head.body is None else head.body.feed(piece))
            if head.body is not None and head.body.done:
                return data, "broken" if head.body.broken else "whole"
    except ClientError:
        return data, "broken"
    if head.body is None:
        return data, "cut"
    head.body.feed(b"")
    return data, "whole" if head.body.done else "cut"


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
    assert body.feed(b"2\r\nok\r\n" + line) == [b"ok"]
    assert (body.done, body.broken) == (True, True)


def test_a_head_without_end_is_given_up_at_its_limit() -> None:
    """A head is read up to its limit and no further, and so are heads that only announce another."""
    for announced in (b"", HEADS["early"][: -len(HEADS["length"])] * 100):
        head = AnswerHead()
        head.feed(announced + b"HTTP/1.1 200 OK\r\n")
        for _ in range((HEAD_BYTES_MAX - len(announced)) // 9 - 2):
            head.feed(b"x: yyyy\r\n")
        with pytest.raises(ClientError, match="no HTTP"):
            head.feed(b"x: yyyy\r\n" * 3)


@given(st.lists(st.one_of(st.sampled_from(PARTS), st.binary(max_size=3)), max_size=8).map(b"".join), CUTS)
@example(b"Content-Length: 1\r\nContent-Length: 2\r\n", [])
@example(b"Content-Length: 1, 1\r\n", [])
@example(b"Transfer-Encoding: gzip\r\n", [])
@example(b"x: y\r\n z\r\n", [])
@example(b"x : y\r\n", [])
def test_a_head_is_taken_only_as_h11_takes_it(fields: bytes, cuts: list[int]) -> None:
    """Whatever stands among the headers, an answer that is accepted is what h11 reads: status, body and end."""
    wire = b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n1\r\na\r\n0\r\n\r\n"
    data, end = ours(cut(wire, cuts))
    good, known = theirs([wire])
    assert end == "broken" or (data, end) == (good, known) or (good.startswith(data) and end == "whole")
    assert end == "broken" or known != "broken"


@pytest.mark.parametrize("fields", [b"", b"Server: x\r\n", b"X:\r\n", b"a: \xff\xfe \t b\r\n", b"Content-Length: 3\n"])
def test_plain_heads_are_taken(fields: bytes) -> None:
    """Headers without a value, with bytes beyond ASCII or with bare line ends are no reason to refuse an answer."""
    wire = b"HTTP/1.1 200 OK\r\n" + fields + b"\r\nabc"
    assert ours([wire]) == theirs([wire]) == (b"abc", "whole")


@pytest.mark.parametrize(
    "start", [b"SSH-2.0", b"HTTP/2", b"<html>", b"\x15\x03\x01", b"HTTP/1.1 99 x\r\n\r\n", b"HTTP/1.1 101 x\r\n\r\n"]
)
def test_what_is_no_http_is_refused_at_its_first_bytes(start: bytes) -> None:
    """Another protocol is refused as soon as it shows, without waiting for the end of a head."""
    with pytest.raises(ClientError, match="no HTTP"):
        AnswerHead().feed(start)


def test_headers_are_sent_as_given_and_none_can_be_smuggled() -> None:
    """The request goes out with its headers, and a line end in any part of its head is refused."""
    assert request_head("POST", "/v1", {"Host": "h", "X": "y z"}) == b"POST /v1 HTTP/1.1\r\nHost: h\r\nX: y z"
    for head in (("GET", "/", {"x": "y\r\nz: 1"}), ("GET", "/ HTTP/1.1\r\nx: y", {}), ("GET", "/", {"x\n": "y"})):
        with pytest.raises(ValueError, match="visible"):
            request_head(*head)
