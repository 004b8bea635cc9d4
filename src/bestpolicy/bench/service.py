"""A/A tests through the real service: how often a winner is named where there is none.

Both policies of each study get the same rewards. Units are assigned over HTTP, give feedback over
HTTP, and whatever the server announces by the end is read from its ledger. Chances move with the
evidence and the evidence is looked at after every unit, so that this is peeking at its most.
A run fails above the 99.9 % quantile of the binomial law at the promised rate.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from scipy.stats import binom

from bestpolicy.bench import wire
from bestpolicy.config import load
from bestpolicy.core.rng import stream
from bestpolicy.store import LastingStore
from bestpolicy.study import Study

STUDIES = 2000
AT_ONCE = 20  # studies that one server has
BLOCK, LINES = 30, 10  # units of a study that are under way together, and its connections
UNITS = 200  # of each study
RATE = 0.5  # of reward, whatever the policy
PROMISED = 0.05
TWIN = "rows counted twice"


def main(
    quick: bool,
    out: Path,
    *,
    replications: int | None = None,
    store: str | None = None,
    seed: int = 0,
    console: Console | None = None,
) -> dict[str, Any]:
    """Play the studies, print how many named a winner, write `service.json` into `out`."""
    console = console or Console()
    studies = replications or (200 if quick else STUDIES)
    rows = []
    for twin, number in (("", studies), (TWIN, min(studies, 1000))):
        wrong = play(number, twin=twin, store=store, seed=seed)
        most = most_allowed(number)
        rows.append(
            {"server": twin or "as it is", "studies": number, "wrong": wrong, "most": most}
            | {"share": wrong / number, "kept": wrong <= most}
        )
        console.print(
            f"{twin or 'as it is'}: {wrong} of {number:,} A/A studies name a winner "
            f"({100 * wrong / number:.1f} %), at most {most} may"
        )
    kind = "" if store is None else f"-{store.partition(':')[0]}"
    report: dict[str, Any] = {"quick": quick, "store": kind[1:] or "sqlite", "units": UNITS}
    report |= {"promised": PROMISED, "rows": rows}
    out.mkdir(parents=True, exist_ok=True)
    (out / f"service{kind}.json").write_text(json.dumps(report, indent=1) + "\n")
    return report


def most_allowed(studies: int, level: float = 0.999) -> int:
    """The largest count that the promise explains, but for one case in a thousand."""
    return int(binom.ppf(level, studies, PROMISED))


def play(
    studies: int, *, twin: str = "", store: str | None = None, seed: int = 0, units: int = UNITS
) -> int:
    """How many of so many studies name a winner, though there is none."""
    wrong = 0
    for first in range(0, studies, AT_ONCE):
        numbers = range(first, min(first + AT_ONCE, studies))
        with tempfile.TemporaryDirectory() as folder:
            # A file is new each time; a database keeps the studies of earlier runs.
            label = f"{seed}" if store is None else secrets.token_hex(4)
            files = [
                wire.study(Path(folder), f"aa-{label}-{n}", confidence=1 - PROMISED, store=store)
                for n in numbers
            ]
            with wire.Server(files, twin) as server:
                asyncio.run(_together(server.port, numbers, seed, units))
            wrong += sum(map(_names_a_winner, files))
    return wrong


async def _together(port: int, numbers: range, seed: int, units: int) -> None:
    await asyncio.gather(*(_one(port, at, n, seed, units) for at, n in enumerate(numbers)))


async def _one(port: int, at: int, number: int, seed: int, units: int) -> None:
    """All units of one study, some at a time."""
    rng = stream(seed, "A/A", number)
    rewards = (rng.random(units) < RATE).astype(float).tolist()
    tokens: list[str] = [""] * units
    for first in range(0, units, BLOCK):
        block = range(first, min(first + BLOCK, units))

        def take(n: int, answer: Any, first: int = first) -> None:
            tokens[first + n] = answer["token"]

        # The name of the study is in the key of its draws, so that each draws anew.
        assigns = [(f"/{at}/v1/assign", {"unit": f"unit {n}"}) for n in block]
        await wire.crowd(port, LINES, assigns, take)
        told = [
            (f"/{at}/v1/feedback", {"token": tokens[n], "key": f"{n}", "reward": rewards[n]})
            for n in block
        ]
        await wire.crowd(port, LINES, told, lambda *_: None)


def _names_a_winner(file: Path) -> bool:
    with Study(**load(str(file)).settings()) as study:
        assert isinstance(study.store, LastingStore)
        return any(verdict.kind == "winner" for _, verdict in study.store.ledger().decided())
