"""One HTTP call and its answer, whoever makes it: ourselves (`gather`), or the HTTP library (`proxied`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from ai.clients.base import always

CONNECT_S: Final = 5.0
"""Longest wait for a connection, seconds."""


@dataclass(frozen=True, slots=True)
class Call:
    """What is sent, and how long it may take.

    `path` stands after the server's URL; `content` is JSON. `key` goes into its header and nowhere else. `silence_s` is
    how long nothing may come, seconds; `left_s` are the seconds until nobody waits for the answer any more, None for no
    end. `hurried` says whether anybody waits for parts of it.
    """

    method: str
    path: str
    content: bytes
    key: str | None
    silence_s: float
    left_s: float | None = None
    hurried: Callable[[], bool] = always

    @property
    def connect_s(self) -> float:
        """How long connecting may take, seconds."""
        return min(CONNECT_S, self.silence_s)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the request, but for those that follow from the URL and the content's length.

        The connection is to be closed: llama-server closes it after a streamed reply while its header promises to keep
        it, and the next call on it would race with that.
        """
        headers = {"Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close", "User-Agent": "tickweave"}
        if self.content:
            headers["Content-Type"] = "application/json"
        if self.key is not None:
            headers["Authorization"] = f"Bearer {self.key}"
        return headers


class Answer(Protocol):
    """The answer to a call, once its head has come; `retry_after` is the header of that name."""

    status: int
    retry_after: str | None

    async def read(self) -> list[bytes] | None:
        """Return what has come of the body since the last time, possibly nothing; None after its end.

        It comes in the pieces in which the server wrote it, as far as that is known. A server that hangs up in the
        middle just ends it: whoever reads a body knows whether it was whole.

        Raises:
            ClientError: silence for too long, a broken connection, or a broken framing.
        """
        ...

    async def aclose(self) -> None:
        """End the call; a second time does nothing."""
        ...


class Caller(Protocol):
    """Makes calls to one server."""

    async def send(self, call: Call) -> Answer:
        """Send a call and return its answer once the head has come.

        Raises:
            ClientError: no connection, no answer in time, none at all (`hung_up`), or one that is no HTTP.
        """
        ...

    async def aclose(self) -> None:
        """Close what is kept between calls."""
        ...


NO_CONNECTION: Final = "no connection; is the server running at that URL?"
UNTRUSTED: Final = "the server's certificate is not trusted ({}); SSL_CERT_FILE may name a file with its authority"
HUNG_UP: Final = "the server hung up before it answered"
NOTHING_IN_TIME: Final = "no answer within the time allowed"
BROKEN: Final = "the connection broke in the middle of the answer"
"""What callers say when a call fails, so that both say the same."""
