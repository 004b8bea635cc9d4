"""Kill -9 under load: whether what a server has acknowledged is there when it is started again.

24 clients assign units and give feedback, retry whatever went unanswered, and repeat old requests
now and then. The server is killed at random moments and started again. In the end the ledger is
held against what the clients were told: acknowledged and not there is lost, there twice is doubled.
A kill tells of processes that die. Power loss is another matter: the page cache outlives a process.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import tempfile
from base64 import urlsafe_b64decode
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from bestpolicy.bench import wire
from bestpolicy.config import load
from bestpolicy.core.nouns import Rng
from bestpolicy.core.rng import stream
from bestpolicy.store import LastingStore
from bestpolicy.store.ledger import Ledger
from bestpolicy.study import Study

CLIENTS = 24
KILLS = 500
SAY = 50  # kills between two lines that say how far it is
AGAIN = 0.1  # chance that a client repeats an old request
LIVES = (0.05, 0.4)  # seconds from a start to the kill


@dataclass(slots=True)
class Told:
    """What the clients were told, and what they saw."""

    assigned: dict[str, tuple[int, str]] = field(default_factory=dict)  # unit: policy, token
    rewards: dict[str, float] = field(default_factory=dict)  # of feedback that was acknowledged
    retries: int = 0
    wrong: Counter[str] = field(default_factory=Counter)  # answers that should not have come
    over: bool = False


def main(
    quick: bool,
    out: Path,
    *,
    replications: int | None = None,
    store: str | None = None,
    seed: int = 0,
    console: Console | None = None,
) -> dict[str, Any]:
    """Play the kills, print what became of the rows, write `kills.json` into `out`."""
    console = console or Console()
    kills = replications or (20 if quick else KILLS)
    rows = []
    for twin, number in (("", kills), ("answer first", min(kills, 25))):
        if twin and store:
            continue  # the twin is one of SQLite
        found = play(number, store=store, twin=twin, seed=seed, console=console)
        rows.append(found)
        console.print(
            f"{found['server']}: {number} kills, {found['acknowledged']:,} acknowledged, "
            f"{found['lost']} lost, {found['doubled']} doubled, {found['retries']:,} retried, "
            f"{found['wrong']} wrong answers"
        )
    kind = "" if store is None else f"-{store.partition(':')[0]}"
    report = {"quick": quick, "store": kind[1:] or "sqlite", "clients": CLIENTS, "rows": rows}
    out.mkdir(parents=True, exist_ok=True)
    (out / f"kills{kind}.json").write_text(json.dumps(report, indent=1) + "\n")
    return report


def play(
    kills: int,
    *,
    store: str | None = None,
    twin: str = "",
    seed: int = 0,
    folder: Path | None = None,
    console: Console | None = None,
) -> dict[str, Any]:
    """Kill a server so many times, and count."""
    with tempfile.TemporaryDirectory() as temporary:
        name = f"kills-{secrets.token_hex(6)}"  # a database keeps the studies of earlier runs
        # Nobody is to be proven worse here: a unit that moves would look doubled.
        file = wire.study(folder or Path(temporary), name, confidence=0.999999, store=store)
        with wire.Server([file], twin) as server:
            told = asyncio.run(_load(server, kills, seed, console))
        with Study(**load(str(file)).settings()) as study:
            assert isinstance(study.store, LastingStore)
            counts = _compare(told, study.store.ledger())
    return {"server": twin or "as it is", "kills": kills} | counts


async def _load(server: wire.Server, kills: int, seed: int, console: Console | None) -> Told:
    told, rng = Told(), stream(seed, "kills")
    clients = [
        asyncio.create_task(_client(server.port, n, told, stream(seed, "client", n)))
        for n in range(CLIENTS)
    ]
    loop = asyncio.get_running_loop()
    for n in range(1, kills + 1):
        if console is not None and n % SAY == 0:
            console.print(f"kill {n} of {kills}, {len(told.rewards):,} acknowledged so far")
        await asyncio.sleep(float(rng.uniform(*LIVES)))
        await loop.run_in_executor(None, server.kill)
        await loop.run_in_executor(None, server.start)
    told.over = True
    await asyncio.gather(*clients)
    return told


async def _client(port: int, number: int, told: Told, rng: Rng) -> None:
    line, n = wire.Line(port), 0
    while not told.over:
        n += 1
        unit = f"{number}-{n}"
        given = json.loads((await _sure(line, "/0/v1/assign", {"unit": unit}, told, 200))[1])
        told.assigned[unit] = (("a", "b").index(given["policy"]), given["token"])
        reward = (0.25, 0.5, 0.75)[int(rng.integers(3))]
        feedback = {"token": given["token"], "key": f"key of {unit}", "reward": reward}
        await _sure(line, "/0/v1/feedback", feedback, told, 200)
        told.rewards[unit] = reward
        if rng.random() < AGAIN:
            old = f"{number}-{rng.integers(1, n + 1)}"
            feedback = {
                "token": told.assigned[old][1],
                "key": f"key of {old}",
                "reward": told.rewards[old],
            }
            await _sure(line, "/0/v1/feedback", feedback, told, 200)
            await _sure(line, "/0/v1/feedback", feedback | {"reward": 1.0}, told, 409)
            await _sure(line, "/0/v1/feedback", feedback | {"key": "another"}, told, 409)
    await line.close()


async def _sure(
    line: wire.Line, path: str, body: Any, told: Told, expected: int
) -> tuple[int, bytes]:
    """Send it until it is answered."""
    while True:
        try:
            status, answer = await line.post(path, body)
        except (OSError, EOFError, asyncio.LimitOverrunError):
            told.retries += 1
            await asyncio.sleep(0.01)
            continue
        if status == 503:  # said to be tried again
            told.retries += 1
            continue
        if status != expected:
            told.wrong[f"{status} for {expected}"] += 1
        return status, answer


def _compare(told: Told, ledger: Ledger) -> dict[str, Any]:
    """What the clients were told beside what is on disk."""
    rows = list(_all(ledger.assigned))
    ends = list(_all(ledger.ended))
    held: dict[str, list[Any]] = {}
    for row in rows:
        held.setdefault(str(row.unit), []).append(row)
    rewards: dict[int, list[float | None]] = {}
    for end in ends:
        rewards.setdefault(end.number, []).append(end.reward)
    lost = doubled = 0
    for unit, (policy, token) in told.assigned.items():
        of_unit = held.get(_unit(token), [])
        lost += not any(row.policy == policy for row in of_unit)
        doubled += max(len(of_unit) - 1, 0)
        if unit in told.rewards:
            found = [value for row in of_unit for value in rewards.get(row.number, ())]
            lost += told.rewards[unit] not in found
            doubled += max(len(found) - 1, 0)
    # Each client may have had one more request under way that was stored and never answered.
    doubled += max(len(ends) - len(told.rewards) - CLIENTS, 0)
    return {
        "acknowledged": len(told.assigned) + len(told.rewards),
        "lost": lost,
        "doubled": doubled,
        "retries": told.retries,
        "wrong": sum(told.wrong.values()),
        "stored": len(rows) + len(ends),
    }


def _all(read: Any) -> Any:
    after = -1
    while page := read(after):
        yield from page
        after = getattr(page[-1], "seq", page[-1].number)


def _unit(token: str) -> str:
    body = token.partition(".")[0]
    return str(json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))["u"])
