"""A study that is served: in this process without a socket, or by a real server on loopback."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from bestpolicy.config import connect, load
from bestpolicy.run import open_study
from bestpolicy.serve.app import LOOPBACK, make_app
from bestpolicy.serve.house import House
from bestpolicy.serve.listen import Server, address, bound
from bestpolicy.serve.pairs import people_of
from bestpolicy.serve.signing import Signer

SECRET = b"a secret that only tests have"
HOST = "127.0.0.1:8000"
Headers = Sequence[tuple[str, str]]

STUDY: dict[str, Any] = {
    "version": 1,
    "inputs": [f"question {i}" for i in range(50)],
    "policies": [
        {"id": "kind", "model": "scripted/echo", "prompt": "Kindly: {{input}}", "temperature": 0},
        {"id": "terse", "model": "scripted/echo", "prompt": "Briefly: {{input}}"},
    ],
    "judge": {"live": {}},
    "seed": 5,
}


def write(folder: Path, **more: Any) -> Path:
    """A study file; JSON is YAML too."""
    path = folder / "study.yaml"
    path.write_text(json.dumps(STUDY | more))
    return path


@contextmanager
def housed(path: Path, *, local: bool = True) -> Iterator[House]:
    """The house of a served study."""
    file = load(str(path))
    players = connect(file)
    with (
        closing(players),
        open_study(file, to_play=True) as opened,
        people_of(opened, players) as pairs,
    ):
        yield House(opened, players, Signer(SECRET, opened.study.name), local, pairs)


def token(house: House, *may: str, lasts: float = 60) -> str:
    return house.signer.sign("access", {"may": sorted(may)}, lasts=lasts)


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    pieces: list[bytes] = field(default_factory=list)

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


async def call(
    app: FastAPI,
    method: str,
    path: str,
    body: bytes | Any | None = None,
    headers: Headers | Mapping[str, str] = (),
    *,
    query: bytes = b"",
    host: str | None = HOST,
) -> Answer:
    """One request, exactly as it is given."""
    given = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    names = {name.lower() for name, _ in given}
    if body is not None and "content-type" not in names:
        given.append(("content-type", "application/json"))
    if host is not None:
        given.append(("host", host))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(errors="surrogatepass"),
        "query_string": query,
        "root_path": "",
        "headers": [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in given],
        "client": ("127.0.0.1", 9),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }
    sent = [{"type": "http.request", "body": body or b"", "more_body": False}]
    done = asyncio.Event()
    answer = Answer(0, [], b"")

    async def receive() -> Any:
        if sent:
            return sent.pop()
        await done.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = [
                (k.decode("latin-1"), v.decode("latin-1")) for k, v in message["headers"]
            ]
        else:
            answer.pieces.append(message.get("body", b""))
            if not message.get("more_body"):
                done.set()

    await app(scope, receive, send)
    answer.body = b"".join(answer.pieces)
    return answer


def many(house: House, *requests: tuple[Any, ...]) -> list[Answer]:
    """Requests in this process, one after the other."""

    async def run() -> list[Answer]:
        async with house.traffic:
            app = make_app(house)
            return [await call(app, *request) for request in requests]

    return asyncio.run(run())


@contextmanager
def served(house: House, *, hosts: frozenset[str] = LOOPBACK) -> Iterator[str]:
    """The address of a real server, which ends with the block."""
    app = make_app(house, hosts=hosts)
    with closing(bound("127.0.0.1", 0)) as sock, running(app, sock) as url:
        yield url


@contextmanager
def running(app: FastAPI, sock: socket.socket) -> Iterator[str]:
    url = address(sock)
    server = Server(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.005)
        yield url
    finally:
        server.should_exit = True
        thread.join()
