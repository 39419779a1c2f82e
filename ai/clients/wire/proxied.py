"""Calls by the HTTP library, which knows proxies and their rules; replies come as it reads them.

It has no limit of connections: a slot that is lost in its pool would block later calls.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from ai.clients.wire.call import BROKEN, HUNG_UP, NO_CONNECTION, NOTHING_IN_TIME, Call
from ai.errors import ClientError


class ProxiedCaller:
    """Makes calls to the server at `url`; `tls` is the context for https, `transport` stands in for the network."""

    def __init__(self, url: str, tls: ssl.SSLContext, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._url = url
        limits = httpx.Limits(max_connections=None)
        self._http = httpx.AsyncClient(transport=transport, trust_env=transport is None, limits=limits, verify=tls)

    async def send(self, call: Call) -> ProxiedAnswer:
        """Send a call and return its answer once the head has come.

        Raises:
            ClientError: as `Caller.send`.
        """
        timeout = httpx.Timeout(call.silence_s, connect=call.connect_s)
        request = self._http.build_request(
            call.method, self._url + call.path, headers=call.headers, content=call.content or None, timeout=timeout
        )
        with _told():
            try:
                response = await self._http.send(request, stream=True)
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                raise ClientError(HUNG_UP, hung_up=True) from None
        return ProxiedAnswer(response)

    async def aclose(self) -> None:
        """Close what is kept between calls."""
        await self._http.aclose()


class ProxiedAnswer:
    """One answer, in the pieces in which the library gives it."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.retry_after: str | None = response.headers.get("retry-after")
        self._response = response
        self._pieces = response.aiter_raw()

    async def read(self) -> list[bytes] | None:
        """Return what comes next of the body; None after its end.

        Raises:
            ClientError: as `Answer.read`.
        """
        with _told():
            try:
                return [await anext(self._pieces)]
            except StopAsyncIteration:
                return None
            except httpx.RemoteProtocolError:
                return None  # it hung up in the middle
            except httpx.ReadError:
                raise ClientError(BROKEN) from None

    async def aclose(self) -> None:
        """Close the iterator, and with it the response."""
        await self._pieces.aclose()  # type: ignore[attr-defined] # the library's type hides that it is a generator
        await self._response.aclose()


@contextmanager
def _told() -> Iterator[None]:
    """Turn the library's faults into ours, without its own text: that may name the host."""
    try:
        yield
    except httpx.TimeoutException:
        raise ClientError(NOTHING_IN_TIME, outcome="timeout") from None
    except httpx.HTTPError:
        raise ClientError(NO_CONNECTION) from None
