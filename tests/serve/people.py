"""A study that people judge, its server in this process, and somebody who answers."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import httpx2
import uvicorn

from bestpolicy.config import calls, connect, load
from bestpolicy.run import open_study
from bestpolicy.run.open import Opened
from bestpolicy.serve.app import make_app
from bestpolicy.serve.house import House
from bestpolicy.serve.pairs import Pairs
from bestpolicy.serve.signing import Signer

STUDY = """\
version: 1
name: replies
inputs: [{inputs}]
policies:
{policies}
judge: {{human: {human}}}
decide: {{confidence: 0.9, {decide}}}
budget: {{comparisons: {budget}}}
seed: 3
workers: {workers}
"""
WORTH = ("mud", "clay", "sand", "stone", "silver", "gold")  # from bad to good


def write(
    folder: Path,
    *,
    policies: int = 3,
    human: str = "{overlap: 0}",
    budget: int = 400,
    workers: int = 1,
    functions: str = "",
    decide: str = "reserve: 0.02",
    store: str = "",
) -> Path:
    """A study of functions whose answers name their worth, the last the best."""
    names = WORTH[-policies:]
    lines = [f'  - {{id: "policy-{i}", call: "answers:{name}"}}' for i, name in enumerate(names)]
    code = "".join(
        f'def {name}(row):\n    return f"{name} for " + row["input"]\n\n\n' for name in names
    )
    path = folder / "study.yaml"
    path.write_text(
        STUDY.format(
            inputs=", ".join(f"question {i}" for i in range(60)),
            policies="\n".join(lines),
            human=human,
            budget=budget,
            workers=workers,
            decide=decide,
        )
        + (f"store: {store}\n" if store else "")
    )
    (folder / "answers.py").write_text(code + functions)
    return path


def better(first: str, second: str) -> str:
    """What somebody says who knows what each is worth."""
    a, b = (WORTH.index(text.split()[0]) for text in (first, second))
    return "first" if a > b else "second" if b > a else "tie"


@contextmanager
def pairs_of(path: Path, **options: Any) -> Iterator[tuple[Pairs, Opened]]:
    """The people's part of a study at work, without a server."""
    import sys

    calls._beside.clear()
    sys.modules.pop("answers", None)
    before = list(sys.path)
    file = load(str(path))
    players = connect(file)
    try:
        with open_study(file, to_play=True) as opened:
            pairs = Pairs(opened, players, **options)
            pairs.start()
            try:
                yield pairs, opened
            finally:
                pairs.close()
    finally:
        players.close()
        sys.path[:] = before
        sys.modules.pop("answers", None)


@dataclass
class Served:
    url: str
    pairs: Pairs
    opened: Opened
    signer: Signer

    def client(self, **options: Any) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, timeout=20, trust_env=False, **options)


@contextmanager
def served(
    path: Path,
    *,
    local: bool = True,
    wrap: Callable[[Any], Any] = lambda app: app,
    **options: Any,
) -> Iterator[Served]:
    """The study over HTTP on a port of its own."""
    with pairs_of(path, **options) as (pairs, opened):
        signer = Signer(b"a secret of the tests", opened.study.name)
        players = pairs._ready._table._players
        app = wrap(make_app(House(opened, players, signer, local, pairs)))
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2)
        server = uvicorn.Server(config)
        thread = Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            until(lambda: server.started)
            yield Served(f"http://127.0.0.1:{listener.getsockname()[1]}", pairs, opened, signer)
        finally:
            server.should_exit = True
            thread.join()
            listener.close()


def until(true: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait for something to become true; an AssertionError if it does not."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def one_pair(pairs: Pairs, rater: int, many: int = 1) -> Any:
    """The next pair of this person, as soon as one is ready."""
    end = time.monotonic() + 30
    while True:
        before = pairs.before(rater, many)
        if before:
            return before[0]
        if pairs.over:
            return None
        assert time.monotonic() < end, "no pair was ever ready"
        time.sleep(0.01)
