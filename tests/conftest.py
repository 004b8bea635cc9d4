"""What several tests share: a small study file, and how to run a command."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import servers

STUDY = """\
version: 1
inputs: [{inputs}]
policies:
  - {{id: good, call: "players:good"}}
  - {{id: fair, call: "players:fair"}}
  - {{id: poor, call: "players:poor"}}
judge: {{call: "players:judge", order: {order}}}
decide: {{confidence: 0.9}}
budget: {{comparisons: {budget}}}
seed: 3
workers: {workers}
"""

# The judge likes `good` best and is noisy, yet the same every time it is asked.
PLAYERS = """\
from hashlib import blake2b

WORTH = {"good": 0.9, "fair": 0.5, "poor": 0.1}


def good(row):
    return "good"


def fair(row):
    return "fair"


def poor(row):
    return "poor"


def judge(row, left, right):
    coin = blake2b(f"{row['input']} {sorted([left, right])}".encode(), digest_size=1).digest()[0]
    best, other = sorted([left, right], key=WORTH.get, reverse=True)
    winner = best if coin / 256 < 0.5 + (WORTH[best] - WORTH[other]) / 2 else other
    return "left" if winner == left else "right"
"""


@pytest.fixture
def study(tmp_path: Path) -> Callable[..., Path]:
    """Writes a study file and its functions; `study(judge=...)` replaces the judge."""

    def write(
        *, judge: str = "", budget: int = 2000, order: str = "random", workers: int = 1
    ) -> Path:
        inputs = ", ".join(f"question {i}" for i in range(700))
        text = STUDY.format(inputs=inputs, budget=budget, order=order, workers=workers)
        (tmp_path / "study.yaml").write_text(text)
        (tmp_path / "players.py").write_text(f"{PLAYERS}\n\n{judge}\n")
        return tmp_path / "study.yaml"

    return write


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., tuple[int, Any, str]]]:
    """Runs a command in this process: its exit code, its JSON object or text, its complaints."""
    import sys

    from bestpolicy.cli import outcome
    from bestpolicy.config import calls

    def run(*arguments: object) -> tuple[int, Any, str]:
        calls._beside.clear()  # a file that has changed since is read again
        sys.modules.pop("players", None)
        code = outcome([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, json.loads(out) if "--json" in arguments else out, err

    path = list(sys.path)
    yield run
    sys.path[:] = path
    sys.modules.pop("players", None)


@pytest.fixture
def postgres() -> Iterator[str]:
    """The address of a schema of its own; skipped where no server answers."""
    with servers.schema() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty record, on each of the stores that last."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/x.db"
    return str(request.getfixturevalue("postgres"))


def answers(record: Path) -> dict[int, float]:
    """What is on disk, read without any of our code."""
    with sqlite3.connect(f"file:{record}?mode=ro", uri=True) as database:
        rows = database.execute("SELECT duel, body FROM event WHERE kind = 'told'").fetchall()
    return {duel: json.loads(body)["scores"] for duel, body in rows}
