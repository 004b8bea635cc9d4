"""A provider that behaves as badly as it is told to, over real loopback HTTP.

    with FakeProvider(["429", "ok"]) as server:
        ... server.url, server.requests, server.answers

A plan says how the n-th request is met: one mode for all, a list whose last one stays, or a
function of n.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from gzip import compress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any, Self

Plan = str | Sequence[str] | Callable[[int], str]
HUGE = 100 * 2**20
CHUNK = 2**18


@dataclass
class Seen:
    """One request, and what became of it."""

    n: int
    mode: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    nonce: str
    sent: int = 0  # bytes of the body that the client let us write
    asked_s: float | None = None  # that we asked it to wait

    @property
    def prompt(self) -> str:
        return str(self.body["messages"][-1]["content"])


def mixture(seed: int, weights: Mapping[str, float]) -> Callable[[int], str]:
    """Every request meets a mode by chance, the same ones for the same seed."""
    modes, shares = list(weights), list(weights.values())
    return lambda n: Random(f"{seed} {n}").choices(modes, shares)[0]


@dataclass
class FakeProvider:
    plan: Plan = "ok"
    elsewhere: str = "http://127.0.0.1:9"  # where redirects lead
    answer: Callable[[dict[str, Any], str], str] = lambda body, nonce: nonce
    retry_after: Callable[[int], Mapping[str, str]] = lambda n: {"Retry-After": "7"}
    piece_s: float = 0.03  # between two pieces of a drip
    requests: list[Seen] = field(default_factory=list)
    answers: set[str] = field(default_factory=set)  # texts that were answered in good order

    def __enter__(self) -> Self:
        owner, self._lock = self, threading.Lock()

        class Bound(Room):
            provider = owner

        self._server = Silent(("127.0.0.1", 0), Bound)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *gone: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def mode(self, n: int) -> str:
        if isinstance(self.plan, str):
            return self.plan
        return self.plan(n) if callable(self.plan) else self.plan[min(n, len(self.plan) - 1)]

    def seen(self, prompt: str) -> list[Seen]:
        """The requests of one prompt, in their order."""
        return [seen for seen in self.requests if seen.prompt == prompt]

    def note(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> Seen:
        with self._lock:
            n = len(self.requests)
            seen = Seen(n, self.mode(n), path, headers, body, f"nonce-{n}-{id(self):x}")
            self.requests.append(seen)
        return seen


class Silent(ThreadingHTTPServer):
    """Prints nothing, and lets a hundred clients knock at once."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are what is being tested."""


class Room(BaseHTTPRequestHandler):
    provider: FakeProvider
    protocol_version = "HTTP/1.1"
    # Headers and body in one packet: else each answer waits for a delayed acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Prints nothing."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.seen = self.provider.note(self.path, headers, body)
        self.seen.mode = self.seen.mode or "ok"
        try:
            modes = MODES | STREAMS if body.get("stream") else MODES
            modes[self.seen.mode](self)
        except OSError:
            self.close_connection = True

    # -- ways to answer --------------------------------------------------------------------

    def reply(
        self, status: int, body: bytes, headers: Mapping[str, str] | None = None, length: int = 0
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length or len(body)))
        self.end_headers()
        self.write(body)
        if length:
            self.close_connection = True

    def error(
        self, status: int, message: str, headers: Mapping[str, str] | None = None, code: str = ""
    ) -> None:
        error = {"message": message, "type": "error", "code": code or None}
        self.reply(status, json.dumps({"error": error}).encode(), headers)

    def write(self, body: bytes) -> None:
        self.wfile.write(body)
        self.wfile.flush()
        self.seen.sent += len(body)

    def wait(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        if "retry-after-ms" in headers:
            self.seen.asked_s = float(headers["retry-after-ms"]) / 1000
        elif "Retry-After" in headers and headers["Retry-After"].isdigit():
            self.seen.asked_s = float(headers["Retry-After"])
        return headers

    def text(self) -> str:
        """An answer in good order, of which we take note."""
        text = self.provider.answer(self.seen.body, self.seen.nonce)
        self.provider.answers.add(text)
        return text

    def key(self) -> str:
        return self.seen.headers.get("authorization", "").removeprefix("Bearer ")

    def huge(self) -> None:
        head, tail = completion("@").split(b"@")
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        # A small buffer, so that what is written is nearly what is read.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, CHUNK)
        for chunk in (head, *[b"a" * CHUNK] * (HUGE // CHUNK), tail):
            self.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        self.write(b"0\r\n\r\n")

    def drip(self, *, head: bool = False) -> None:
        """An answer in good order, in forty pieces."""
        body = completion(self.seen.nonce)
        top = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n" % len(body)
        whole = (top + b"X-Slow: " + b"x" * 40 + b"\r\n\r\n" if head else top + b"\r\n") + body
        step = len(whole) // 40 + 1
        for at in range(0, len(whole), step):
            self.write(whole[at : at + step])
            time.sleep(self.provider.piece_s)

    def events(self, *events: Any, done: bool = True, wait: bool = False) -> None:
        """A stream of server-sent events; strings are pieces of the answer."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in events:
            line = b"data: " + json.dumps(delta(event) if type(event) is str else event).encode()
            self.write(b"%x\r\n%s\r\n" % (len(line) + 2, line + b"\n\n"))
            if wait:
                time.sleep(self.provider.piece_s)
        if done:
            self.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
        self.close_connection = not done

    def said(self) -> list[Any]:
        """An answer in good order, as events."""
        return [*re.findall(r"\S+\s*|\s+", self.text()), delta(None, "stop"), COUNTED]

    def cut_chunks(self) -> None:
        body = completion(self.seen.nonce)
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.write(b"%x\r\n%s\r\n" % (len(body), body))
        self.close_connection = True


def completion(
    content: Any, finish: str = "stop", refusal: str | None = None, usage: Any = None
) -> bytes:
    message = {"role": "assistant", "content": content, "refusal": refusal}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    counted = {"prompt_tokens": 7, "completion_tokens": 5} if usage is None else usage
    return json.dumps({"object": "chat.completion", "choices": [choice], "usage": counted}).encode()


def delta(content: str | None, finish: str | None = None) -> dict[str, Any]:
    said = {} if content is None else {"content": content}
    choice = {"index": 0, "delta": said, "finish_reason": finish}
    return {"object": "chat.completion.chunk", "choices": [choice]}


COUNTED = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5}}


def numbered(room: Room, number: str) -> bytes:
    """An answer in good order, but for one number."""
    return completion(room.seen.nonce).replace(b'"index": 0', b'"index": ' + number.encode())


def refuse_form(room: Room) -> None:
    if "response_format" in room.seen.body:
        room.error(400, "Unknown parameter: 'response_format'")
    else:
        room.reply(200, completion(room.text()))


# Whatever a server that is overloaded, broken, badly set up or hostile may do.
MODES: dict[str, Callable[[Room], None]] = {
    "ok": lambda room: room.reply(200, completion(room.text())),
    "429": lambda room: room.error(
        429, "slow down", room.wait(room.provider.retry_after(room.seen.n))
    ),
    "429-date": lambda room: room.error(
        429, "slow down", {"Retry-After": formatdate(time.time() + 20, usegmt=True)}
    ),
    "429-odd": lambda room: room.error(429, "slow down", {"Retry-After": "\xff\xfe"}),
    "no-quota": lambda room: room.error(429, "no money left", code="insufficient_quota"),
    "400": lambda room: room.error(400, "context too long"),
    "408": lambda room: room.error(408, "too slow"),
    "422": lambda room: room.error(422, "temperature must be below 2"),
    "500": lambda room: room.error(500, "oh no"),
    "503": lambda room: room.reply(503, b"<html>overloaded</html>"),
    "html": lambda room: room.reply(200, b"<!doctype html><h1>Sign in</h1>"),
    "broken-json": lambda room: room.reply(200, completion(room.seen.nonce)[:-9]),
    "nan": lambda room: room.reply(200, numbered(room, "NaN")),
    "overflow": lambda room: room.reply(200, numbered(room, "1e999")),
    "deep": lambda room: room.reply(200, b"[" * 200_000),
    "not-utf8": lambda room: room.reply(
        200, completion(room.seen.nonce).replace(b"nonce", b"\xff")
    ),
    "empty": lambda room: room.reply(200, b""),
    "list": lambda room: room.reply(200, b"[]"),
    "error-200": lambda room: room.error(200, "upstream is gone"),
    "no-choices": lambda room: room.reply(200, b'{"choices": []}'),
    "null": lambda room: room.reply(200, completion(None)),
    "blank": lambda room: room.reply(200, completion(" \n")),
    "parts": lambda room: room.reply(200, completion([{"type": "text", "text": "hi"}])),
    "surrogate": lambda room: room.reply(200, completion("\ud83d")),
    "length": lambda room: room.reply(200, completion("", "length")),
    "filter": lambda room: room.reply(200, completion("half a sen", "content_filter")),
    "refusal": lambda room: room.reply(200, completion(None, refusal="I cannot help with that")),
    "no-usage": lambda room: room.reply(200, completion(room.text(), usage={})),
    "odd-usage": lambda room: room.reply(
        200, completion(room.text(), usage={"prompt_tokens": -1, "completion_tokens": True})
    ),
    "huge": Room.huge,
    "gzip": lambda room: room.reply(
        200, compress(completion("a" * 2**20)), {"Content-Encoding": "gzip"}
    ),
    "gzip-503": lambda room: room.reply(503, compress(b"x"), {"Content-Encoding": "gzip"}),
    "drip": Room.drip,
    "drip-head": lambda room: room.drip(head=True),
    "cut": lambda room: room.reply(200, body := completion(room.seen.nonce), length=len(body) + 9),
    "cut-chunks": Room.cut_chunks,
    "hang-up": lambda room: setattr(room, "close_connection", True),
    "not-http": lambda room: room.write(b"220 mail.example ESMTP\r\n\r\n"),
    "long-head": lambda room: room.write(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000),
    "redirect": lambda room: room.reply(307, b"", {"Location": f"{room.provider.elsewhere}/v1"}),
    "cookie": lambda room: room.reply(200, completion(room.text()), {"Set-Cookie": "a=b; Path=/"}),
    "wrong-key": lambda room: room.error(401, f"Incorrect API key provided: {room.key()}"),
    "forbidden": lambda room: room.error(403, "not yours"),
    "no-model": lambda room: room.error(
        404, "The model `m` does not exist", code="model_not_found"
    ),
    "no-path": lambda room: room.error(404, "Not Found"),
    "echo-error": lambda room: room.error(
        500, f"bad\x1b[31m header\r\nAuthorization: Bearer {room.key()}\n" + "x" * 400
    ),
    "echo-late": lambda room: room.error(500, "x" * 250 + f" Bearer {room.key()}"),
    "echo-broken": lambda room: room.error(500, room.key()[:5] + "\x1b[1m" + room.key()[5:]),
    "echo-answer": lambda room: room.reply(200, completion(f"your key is {room.key()}")),
    "no-form": refuse_form,
}


# The same, for whoever wants a stream.
STREAMS: dict[str, Callable[[Room], None]] = {
    "ok": lambda room: room.events(*room.said()),
    "no-usage": lambda room: room.events(*room.said()[:-1]),
    "drip": lambda room: room.events(*["a "] * 40, delta(None, "stop"), wait=True),
    "cut": lambda room: room.events("half a ", "sen", done=False),
    "error-200": lambda room: room.events("half ", {"error": {"message": "upstream is gone"}}),
    "empty": lambda room: room.events(delta(None, "stop")),
    "length": lambda room: room.events(delta(None, "length")),
    "surrogate": lambda room: room.events("\ud83d", delta(None, "stop")),
    "refusal": lambda room: room.events({"choices": [{"delta": {"refusal": "I cannot"}}]}),
    "echo-answer": lambda room: room.events("your key: ", *room.key(), "!", delta(None, "stop")),
    "no-form": lambda room: (
        room.error(400, "Unknown parameter: 'stream_options'")
        if "stream_options" in room.seen.body
        else room.events(*room.said())
    ),
}
