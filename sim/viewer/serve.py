"""A server of one page on loopback, for the person at this machine alone.

Its address holds a token that cannot be guessed, and it answers only requests that name this machine as their host, so
neither another user's program nor a web page in the same browser can read a run. It answers GET alone and changes
nothing.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hmac import compare_digest
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from sim.errors import SimError

HOST: Final = "127.0.0.1"
TIMEOUT_S: Final = 30.0
"""Seconds after which a connection that says nothing is closed."""
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

Asked = Mapping[str, str]
"""The parameters of a request, each once."""


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that goes on: server-sent events, the data of several at a time."""

    events: Iterator[list[str]]


Answer = str | dict[str, Any] | list[Any] | Stream
Routes = Mapping[str, Callable[[Asked], Answer]]
"""Answers by the last part of the address: a page as text, data for JSON, or a stream."""


def server_of(routes: Routes, *, port: int = 0, threads: bool = False) -> tuple[HTTPServer, str]:
    """Return a server that listens already, and the address that a person opens.

    Args:
        routes: the answers by name; the empty name is the page.
        port: where it listens; 0 takes a free one.
        threads: whether requests are answered side by side. Without threads all answers are made in the thread that
            serves.

    Raises:
        OSError: the port is taken.
    """
    token = secrets.token_urlsafe(16)
    kind = type("Handler", (_Handler,), {"routes": routes, "token": token})
    server = (_Threads if threads else _Server)((HOST, port), kind)
    return server, f"http://{HOST}:{server.server_port}/{token}/"


class _Server(HTTPServer):
    allow_reuse_address = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that has gone."""


class _Threads(_Server, ThreadingHTTPServer):
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    routes: Routes
    token: str
    timeout = TIMEOUT_S
    server_version, sys_version = "tickweave", ""

    def do_GET(self) -> None:
        """Answer a request that has the token and names this machine."""
        assert isinstance(self.server, HTTPServer)
        port = self.server.server_port
        if self.headers.get("Host") not in (f"{HOST}:{port}", f"localhost:{port}"):
            self._say(403, "text/plain", b"this server answers its own machine alone")
            return
        address = urlsplit(self.path)
        parts = address.path.split("/")
        known = len(parts) == 3 and compare_digest(parts[1].encode(), self.token.encode())
        answer = self.routes.get(parts[2]) if known else None
        if answer is None:
            self._say(404, "text/plain", b"there is nothing here")
            return
        try:
            found = answer({name: values[-1] for name, values in parse_qs(address.query, max_num_fields=10).items()})
        except (SimError, ValueError, LookupError) as error:
            found = {"error": str(error)}
        if isinstance(found, Stream):
            self._stream(found)
        elif isinstance(found, str):
            self._say(200, "text/html; charset=utf-8", found.encode())
        else:
            self._say(200, "application/json", json.dumps(found).encode())

    def _say(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        for name, value in {**_HEADERS, "Content-Type": kind, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, stream: Stream) -> None:
        self.send_response(200)
        for name, value in {**_HEADERS, "Content-Type": "text/event-stream"}.items():
            self.send_header(name, value)
        self.end_headers()
        for events in stream.events:
            self.wfile.write("".join(f"data: {event}\n\n" for event in events).encode())
            self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Log nothing: addresses hold the token."""
