"""An environment of its own for another library, made once and kept; and its worker.

The other library's requirements never meet ours: it is installed into a virtual environment in a
cache folder, and spoken to by JSON lines (peers/worker.py).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from threading import Event, Timer
from time import monotonic
from typing import IO, Any

from rich.console import Console

from bestpolicy.core.nouns import BestPolicyError

LIBRARY, VERSION = "duelpy", "1.0.0"
WORKER = Path(__file__).with_name("worker.py")
GRACE = (
    30.0  # seconds beyond its limit that a run may take to notice it, start of the worker included
)
STOPPED = {"comparisons": 0, "answer": None, "stopped": True, "error": ""}
PATIENCE = 600.0  # seconds for an installation
READY = ".ready"  # in the folder of an environment that is whole


class NoPeersError(BestPolicyError):
    """The peers cannot be played here."""


def default_cache() -> Path:
    kept = os.environ.get("XDG_CACHE_HOME")
    return (Path(kept) if kept else Path.home() / ".cache") / "bestpolicy" / "peers"


def interpreter(cache: Path) -> Path:
    """Where the environment's Python is, whether it was made or not."""
    return _python(cache / f"{LIBRARY}-{VERSION}")


def is_ready(cache: Path) -> bool:
    return _mark(cache).exists()


def made(cache: Path, console: Console) -> Path:
    """The environment's Python; the first time this installs it, which needs the network."""
    named = f"{LIBRARY} {VERSION}"
    return built(_mark(cache).parent, [[f"{LIBRARY}=={VERSION}"]], named, console)


def built(home: Path, installs: Sequence[Sequence[str]], named: str, console: Console) -> Path:
    """The Python of an environment into which pip has installed all this, one after the other."""
    python, mark = _python(home), home / READY
    if mark.exists():
        return python
    console.print(f"installing {named} into {home}, once")
    try:
        _do([sys.executable, "-m", "venv", "--clear", str(home)])
        for install in installs:
            _do([str(python), "-m", "pip", "install", "--quiet", *install])
    except NoPeersError as error:
        raise NoPeersError(
            f"the environment of {named} could not be made: {error}; it is installed by pip once, "
            "which needs the network, or give --cache a folder that has it"
        ) from None
    mark.touch()
    return python


def replies(
    python: Path, jobs: Iterable[dict[str, Any]], *, budget: float, grace: float = GRACE
) -> Iterator[dict[str, Any]]:
    """The worker's answer to each job; no job begins after `budget` seconds.

    A worker that is deaf beyond its limit is killed, which stops that run, and another one goes on.
    """
    until = monotonic() + budget
    with TemporaryFile("w+") as said:
        worker: subprocess.Popen[str] | None = None
        try:
            for job in jobs:
                worker = worker or _started(python, said)
                late = Event()
                line = _answer(worker, job, grace, late)
                if not line and not late.is_set():
                    said.seek(0)
                    why = [*said.read().strip().splitlines(), "it ended without a word"][-2:][0]
                    raise NoPeersError(f"the worker of {LIBRARY} {VERSION} failed: {why}")
                if not line:
                    _end(worker)
                    worker = None
                yield json.loads(line) if line else STOPPED | {"seconds": job["limit"] + grace}
                if monotonic() > until:
                    return
        finally:
            if worker is not None:
                _end(worker)


def _started(python: Path, said: IO[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(python), "-W", "ignore", str(WORKER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
        text=True,
    )


def _answer(worker: subprocess.Popen[str], job: dict[str, Any], grace: float, late: Event) -> str:
    """A line, or nothing when the worker died or was killed for being late."""
    assert worker.stdin is not None
    assert worker.stdout is not None

    def kill() -> None:
        late.set()
        worker.kill()

    timer = Timer(job["limit"] + grace, kill)
    timer.start()
    try:
        worker.stdin.write(json.dumps(job) + "\n")
        worker.stdin.flush()
        return worker.stdout.readline()
    except BrokenPipeError:
        return ""
    finally:
        timer.cancel()


def _end(worker: subprocess.Popen[str]) -> None:
    worker.kill()
    with suppress(BrokenPipeError):
        worker.communicate()


def _python(home: Path) -> Path:
    return home / (Path("Scripts", "python.exe") if os.name == "nt" else Path("bin", "python"))


def _mark(cache: Path) -> Path:
    return interpreter(cache).parents[1] / READY


def _do(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        said = (done.stderr or done.stdout).strip().splitlines()
        why = said[-1] if said else f"exit code {done.returncode}"
        failed = done.returncode != 0
    except (OSError, subprocess.TimeoutExpired) as error:
        failed, why = True, str(error)
    if failed:
        raise NoPeersError(why)
