"""What the live tests share: a small ledger, a clock that is set by hand, a server that answers."""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from bestpolicy.config import connect, load
from bestpolicy.live.books import Books
from bestpolicy.live.draw import disguise, place
from bestpolicy.live.intake import Arrival, Claim, Feedback
from bestpolicy.live.terms import Terms
from bestpolicy.run import open_study
from bestpolicy.serve.app import make_app
from bestpolicy.serve.house import House
from bestpolicy.serve.signing import Signer
from bestpolicy.store import open_store
from bestpolicy.store.ledger import Assigned

SECRET = b"a secret of the tests"
STUDY = """\
version: 1
policies:
  - {{id: red, model: scripted/echo, prompt: "Say red", temperature: 0.5}}
  - id: green
    model: openai/gpt-5-mini
    prompt: "Say green"
    base_url: http://127.0.0.1:9/v1
    api_key_env: KEY_OF_THE_LIVE_TESTS
judge: {{live: {live}}}
decide: {{confidence: 0.9}}
"""


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Desk:
    """Books with their store, as a test speaks to them."""

    def __init__(self, place: str | Path, books_class: type[Books] = Books, **terms: Any) -> None:
        self.clock, self.wall = Hand(), Hand()
        url = place if isinstance(place, str) else f"sqlite:///{place}"
        self.store: Any = open_store(url, "live", {})
        told = {"policies": 2} | terms
        self.books = books_class(
            self.store.ledger(), Terms(**told), clock=self.clock, wall=self.wall
        )

    def assign(self, unit: str) -> Assigned:
        row = self.settle(Arrival(hashed(unit), place(b"k", "live", unit)))
        assert isinstance(row, Assigned)
        return row

    def feedback(self, row: Assigned | Claim, reward: float, key: str) -> Any:
        told = claim(row) if isinstance(row, Assigned) else row
        return self.settle(Feedback(told, key, f"{reward} for {told.unit}", reward))

    def settle(self, request: Any) -> Any:
        (settled,) = self.books.settle([request])
        return settled


def hashed(unit: str) -> str:
    return disguise(b"k", "live", unit)


def claim(row: Assigned, *, numbered: bool = True, fresh: bool = True) -> Claim:
    number = row.number if numbered else None
    return Claim(str(row.unit), row.policy, row.snapshot, row.propensity, number, fresh)


@contextmanager
def serving(app: FastAPI) -> Iterator[int]:
    """The port on which a real server answers."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.005)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def house(
    folder: Path, *, live: str = "{}", local: bool = True, rate: float = 5000.0
) -> Iterator[House]:
    """A served study of two policies."""
    os.environ["KEY_OF_THE_LIVE_TESTS"] = "sk-canary"
    (folder / "live.yaml").write_text(STUDY.format(live=live))
    file = load(str(folder / "live.yaml"))
    players = connect(file)
    with open_study(file) as opened:
        try:
            yield House(opened, players, Signer(SECRET, opened.study.name), local, rate=rate)
        finally:
            players.close()


class Caller:
    """One connection to a server."""

    def __init__(self, port: int) -> None:
        self.line = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        self.headers: Mapping[str, str] = {}

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self.line.close()

    def send(self, method: str, path: str, body: bytes | None, token: str = "") -> tuple[int, Any]:
        headers = {"Content-Type": "application/json"}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        self.line.request(method, path, body, headers)
        answer = self.line.getresponse()
        self.headers = dict(answer.getheaders())
        return answer.status, json.loads(answer.read())

    def post(self, path: str, told: Any, token: str = "") -> tuple[int, Any]:
        return self.send("POST", path, json.dumps(told).encode(), token)


@contextmanager
def served(folder: Path, **options: Any) -> Iterator[tuple[Caller, House]]:
    """A caller who is connected to a served study."""
    with house(folder, **options) as home, serving(make_app(home)) as port, Caller(port) as caller:
        yield caller, home
