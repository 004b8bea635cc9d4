"""The wire: one request, one answer, in a time and of a size that no server can stretch.

A time-out per read lets a server that sends a byte a second hold its caller for ever. Here one
deadline covers a whole try, from connecting to the last byte: whatever waits, waits for what is
left of it. (Looking up a host's name is the system's, which knows no deadline.) A body is read up
to a cap and not one chunk further. No compression is asked for, and none is taken.

The key is written on the envelope here, at the last moment and for one origin only: whatever is
above never holds it, in no exception either. Of the headers nothing passes that is not named
below, so that no setting of the environment, cookie or description of this machine goes out.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from ipaddress import IPv6Address, ip_address
from typing import Any

import httpcore2
import httpx2

from bestpolicy.llm.retries import Fault

CAP = 8 * 2**20  # bytes of a body
PIECE = 2**14  # bytes written before looking at the clock again
OUT = ("content-type", "content-length", "transfer-encoding")
IN = ("retry-after", "retry-after-ms")
EVENTS = "text/event-stream"  # who accepts this gets the body piece by piece


# Headers that come back may hold the key, and whoever logs at DEBUG would read them.
logging.getLogger("httpcore2.http11").addFilter(
    lambda record: not record.getMessage().startswith("receive_response")
)


class Try(threading.local):
    """What a thread's try has left, and whether the server has had anything of it."""

    ends = float("inf")
    sent = False

    def begin(self, seconds: float) -> None:
        self.ends, self.sent = time.monotonic() + seconds, False

    def left(self) -> float:
        left = self.ends - time.monotonic()
        if left <= 0:
            raise httpcore2.ReadTimeout
        return left


class Wire(httpcore2.NetworkStream):
    """A connection on which everything ends with the try."""

    def __init__(self, inner: httpcore2.NetworkStream, current: Try) -> None:
        self._inner = inner
        self._try = current

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._try.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for at in range(0, len(buffer), PIECE):
            left = self._try.left()
            self._try.sent = True
            self._inner.write(buffer[at : at + PIECE], left)

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        left = self._try.left()
        return Wire(self._inner.start_tls(ssl_context, server_hostname, left), self._try)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)

    def close(self) -> None:
        self._inner.close()


class Wires(httpcore2.SyncBackend):
    """Connects, though never to where a machine keeps its own secrets."""

    def __init__(self, current: Try) -> None:
        self._try = current

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        left = self._try.left()
        inner = super().connect_tcp(host, port, left, local_address, socket_options)
        # The address that was reached and not the name: what a name means may change in between.
        reached = inner.get_extra_info("server_addr")[0]
        if is_link_local(reached):
            inner.close()
            raise Fault(f"{host} is at {reached}, a link-local address: refused", again=False)
        return Wire(inner, self._try)


class Transport(httpx2.BaseTransport):
    """Speaks with one origin, with one key. Whatever goes wrong comes out as a Fault."""

    def __init__(
        self, url: httpx2.URL, *, key: str | None, timeout_s: float, connections: int
    ) -> None:
        self._origin = _origin(url)
        self._key = key
        self._timeout = timeout_s
        self._try = Try()
        self._pool = httpcore2.ConnectionPool(
            ssl_context=httpx2.create_ssl_context() if url.scheme == "https" else None,
            max_connections=connections,
            network_backend=Wires(self._try),
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if _origin(request.url) != self._origin:
            raise Fault(f"nothing is sent to {request.url.host}: the key is another's", again=False)
        self._try.begin(self._timeout)
        with self._faults(request.url):
            return self._exchange(request)

    @contextmanager
    def _faults(self, url: httpx2.URL) -> Iterator[None]:
        """Whatever breaks on the way is a Fault."""
        try:
            yield
            return
        except httpcore2.TimeoutException:
            what = f"no whole answer within {self._timeout:g} s"
        except httpcore2.ConnectError as error:
            what = f"cannot connect to {url.host}:{_port(url)}: {error}"
        except httpcore2.RemoteProtocolError as error:
            what = f"the answer was cut off, or is no HTTP: {error}"
        except (httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as error:
            what = f"the connection broke: {str(error) or type(error).__name__}"
        raise Fault(what, charged=self._try.sent)

    def _exchange(self, request: httpx2.Request) -> httpx2.Response:
        streams = request.headers.get("accept") == EVENTS
        answer = self._pool.handle_request(
            httpcore2.Request(
                request.method,
                str(request.url),
                headers=self._letterhead(request, EVENTS if streams else "application/json"),
                content=request.stream,
                extensions={"timeout": {"pool": self._timeout}},
            )
        )
        try:
            headers = httpx2.Headers(answer.headers)
            kept = self._kept(headers)
            if streams and answer.status == 200 and _encoding(headers) == "identity":
                kept["content-type"] = headers.get("content-type", "")
                pieces = Pieces(answer, lambda: self._faults(request.url))
                return httpx2.Response(200, headers=kept, stream=pieces)
            body = _body(answer, headers)
        except BaseException:
            answer.close()
            raise
        answer.close()
        return httpx2.Response(answer.status, headers=kept, content=body)

    def _kept(self, headers: httpx2.Headers) -> dict[str, str]:
        return {
            name: text
            for name in IN
            if (text := headers.get(name, "")).isascii()
            and text
            and (self._key is None or self._key not in text)
        }

    def _letterhead(self, request: httpx2.Request, accept: str) -> dict[bytes | str, bytes | str]:
        headers: dict[bytes | str, bytes | str]
        headers = {name: request.headers[name] for name in OUT if name in request.headers}
        headers["host"] = request.headers["host"]
        headers["accept"] = accept
        headers["accept-encoding"] = "identity"
        headers["user-agent"] = "bestpolicy"
        if self._key is not None:
            headers["authorization"] = f"Bearer {self._key}"
        return headers

    def close(self) -> None:
        self._pool.close()


class Pieces(httpx2.SyncByteStream):
    """A body as it comes, within the same deadline and cap as one that is read at once.

    It is read in the thread that asked: the deadline is that thread's.
    """

    def __init__(
        self, answer: httpcore2.Response, faults: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._answer = answer
        self._faults = faults

    def __iter__(self) -> Iterator[bytes]:
        with self._faults():
            yield from capped(self._answer.iter_stream())

    def close(self) -> None:
        self._answer.close()


def _encoding(headers: httpx2.Headers) -> str:
    found: str = headers.get("content-encoding", "identity")
    return found


def _body(answer: httpcore2.Response, headers: httpx2.Headers) -> bytes:
    try:
        if _encoding(headers) != "identity":
            raise Fault("the body is compressed, which nobody asked for", charged=True)
        return b"".join(capped(answer.iter_stream()))
    except Fault:
        if answer.status < 400:
            raise
        return b""  # that it is an error matters more than what it says


def capped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks, as long as they stay below the cap together."""
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > CAP:
            raise Fault(f"the body is larger than {CAP >> 20} MB", charged=True)
        yield chunk


def is_link_local(address: str) -> bool:
    """Whether a cloud machine's credentials may be served there."""
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return ip.is_link_local


def _origin(url: httpx2.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, _port(url)


def _port(url: httpx2.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)
