"""A real server in a process of its own, and a client that keeps many connections to it busy.

The server is asked by a signal how much processor time it has used and how many transactions its
ledgers have written, so that neither is guessed from outside. Pressure is Linux's own figure for
how much of the last ten seconds somebody waited for a core.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

CALM = 10.0  # % of pressure above which rates and latencies say nothing
STUDY = """\
version: 1
name: {name}
policies:
  - {{id: a, model: scripted/echo, prompt: "Be brief", temperature: 0.1}}
  - {{id: b, model: scripted/echo, prompt: "Be brief", temperature: 0.9}}
judge: {{live: {live}}}
decide: {{confidence: {confidence}}}
{store}
"""
# Broken twins of what is measured: a commit for each row, a busy loop in each request, answers
# that are given before the commit, and rows that the evidence counts twice.
TWINS = ("", "a commit a row", "1 ms busy", "answer first", "rows counted twice")
# Everything is imported once; each line on its input is then a server, which is quick to start.
SERVER = """
import json, os, queue, resource, signal, sys, threading, time, traceback
import uvicorn
from bestpolicy.config import connect, load
from bestpolicy.core.rewards import Rewards
from bestpolicy.run import open_study
from bestpolicy.serve import traffic
from bestpolicy.serve.app import make_app
from bestpolicy.serve.house import House
from bestpolicy.serve.signing import Signer
from bestpolicy.store.ledger import Ledger, Page

commits = 0
write = Ledger.write

def counted(self, work):
    global commits
    commits += 1
    return write(self, work)

def busy(method):
    async def slow(*args):
        end = time.thread_time() + 0.001
        while time.thread_time() < end:
            pass
        return await method(*args)
    return slow

def hasty(self, work):
    with self._commits.reading() as db:
        db.execute("SAVEPOINT dry")
        said = work(Page(db, self._study))
        db.execute("ROLLBACK TO dry")
        db.execute("RELEASE dry")
    later.put((self, work))
    return said

later = queue.SimpleQueue()

def write_on():
    while True:
        time.sleep(0.02)
        write(*later.get())

def tell(*_):
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps([used.ru_utime + used.ru_stime, commits]), flush=True)

def serve(twin, port, files):
    Ledger.write = counted
    if twin == "a commit a row":
        traffic.BATCH = 1
    if twin == "1 ms busy":
        traffic.Traffic.assign = busy(traffic.Traffic.assign)
        traffic.Traffic.feedback = busy(traffic.Traffic.feedback)
    if twin == "rows counted twice":
        once = Rewards.tell
        Rewards.tell = lambda *told: (once(*told), once(*told))
    houses = []
    for path in files:
        file = load(path)
        opened = open_study(file)
        signer = Signer(b"the secret of a bench", opened.study.name)
        houses.append(House(opened, connect(file), signer, True, rate=1e6))
    apps = [make_app(house) for house in houses]
    if twin == "answer first":
        Ledger.write = hasty
        threading.Thread(target=write_on, daemon=True).start()

    async def several(scope, receive, send):
        # Study n is under /n, as far as the server is concerned.
        _, n, rest = scope["path"].split("/", 2)
        await apps[int(n)](dict(scope, path="/" + rest), receive, send)

    class Server(uvicorn.Server):
        async def startup(self, sockets=None):
            await super().startup(sockets)
            port = self.servers[0].sockets[0].getsockname()[1]
            print(json.dumps({"port": port}), flush=True)

        async def shutdown(self, sockets=None):
            await super().shutdown(sockets)
            for house in houses:
                await house.traffic.__aexit__()

    signal.signal(signal.SIGUSR1, tell)
    config = uvicorn.Config(
        several, host="127.0.0.1", port=port, log_level="error", access_log=False, lifespan="off",
        server_header=False, date_header=False, timeout_graceful_shutdown=8,
    )
    Server(config).run()
    for house in houses:
        house.opened.study.close()

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
child = 0
for line in sys.stdin:
    child = os.fork()
    if not child:
        sys.stdin.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        try:
            serve(*json.loads(line))
        except BaseException:
            traceback.print_exc()
            print(json.dumps({"port": 0}), flush=True)
        os._exit(0)
    print(json.dumps({"child": child}), flush=True)
# A bench that was killed cannot tell its server, which would answer on for nobody.
if child:
    try:
        os.kill(child, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""


class Server:
    """Servers of some studies, one after the other; study n answers under /n."""

    def __init__(self, files: Sequence[Path], twin: str = "") -> None:
        assert twin in TWINS
        self._files = [str(path) for path in files]
        self._twin = twin
        self.port = 0
        self._server = 0
        self._mother = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._mother.kill()
        self._mother.wait()
        for pipe in (self._mother.stdin, self._mother.stdout):
            assert pipe is not None
            pipe.close()

    def start(self) -> None:
        """Begin to answer, on the same port as before."""
        assert self._mother.stdin is not None
        self._mother.stdin.write(json.dumps([self._twin, self.port, self._files]) + "\n")
        self._mother.stdin.flush()
        said = json.loads(self._line()) | json.loads(self._line())
        if not said["port"]:
            raise RuntimeError("the server did not start; what it said is above")
        self._server, self.port = said["child"], said["port"]

    def kill(self) -> None:
        """End it at once, whatever it is doing."""
        os.kill(self._server, signal.SIGKILL)
        self._wait()

    def stop(self) -> None:
        """End it once it has answered."""
        if self._alive():
            os.kill(self._server, signal.SIGTERM)
            self._wait()

    def used(self) -> tuple[float, int]:
        """Seconds of processor time, and transactions, since it was started."""
        os.kill(self._server, signal.SIGUSR1)
        seconds, commits = json.loads(self._line())
        return float(seconds), int(commits)

    def _line(self) -> str:
        assert self._mother.stdout is not None
        if not (said := self._mother.stdout.readline()):
            raise RuntimeError("the server did not start; what it said is above")
        return said

    def _wait(self) -> None:
        while self._alive():
            time.sleep(0.002)

    def _alive(self) -> bool:
        return Path(f"/proc/{self._server}").exists()


def study(
    folder: Path, name: str, *, live: str = "{}", confidence: float = 0.95, store: str | None = None
) -> Path:
    """A study file of two policies that live traffic decides."""
    path = folder / f"{name}.yaml"
    kept = f"store: {store}" if store else ""
    path.write_text(STUDY.format(name=name, live=live, confidence=confidence, store=kept))
    return path


class Line:
    """One connection that stays open."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def post(self, path: str, told: Any) -> tuple[int, bytes]:
        """Status and body; an OSError or EOFError when the server went away."""
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        assert self._reader is not None
        body = json.dumps(told).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        try:
            self._writer.write(head.encode() + body)
            answer = await self._reader.readuntil(b"\r\n\r\n")
            lower = answer.lower()
            at = lower.index(b"content-length:") + 15
            length = int(lower[at : lower.index(b"\r\n", at)])
            return int(answer[9:12]), await self._reader.readexactly(length)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            with suppress(Exception):
                await self._writer.wait_closed()
        self._reader = self._writer = None


async def crowd(
    port: int, lines: int, requests: Sequence[tuple[str, Any]], take: Callable[[int, Any], None]
) -> list[float]:
    """Send these on so many connections at once; seconds that each one took."""
    todo, took = iter(range(len(requests))), [0.0] * len(requests)

    async def one() -> None:
        line = Line(port)
        for n in todo:
            begun = time.perf_counter()
            status, body = await line.post(*requests[n])
            took[n] = time.perf_counter() - begun
            if status != 200:
                raise RuntimeError(f"{requests[n][0]} answered {status}: {body[:300]!r}")
            take(n, json.loads(body))
        await line.close()

    await asyncio.gather(*(one() for _ in range(lines)))
    return took


def pressure() -> float | None:
    """% of the last ten seconds in which somebody waited for a core; None where nobody knows."""
    try:
        line = Path("/proc/pressure/cpu").read_text().splitlines()[0]
        return float(line.partition("avg10=")[2].split()[0])
    except (OSError, IndexError, ValueError):
        return None
