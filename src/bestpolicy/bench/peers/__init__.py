"""llm-po beside the algorithms of another library, each with its own stop and its own promise.

What a user gets today, not a race on equal terms: the others aim at a policy within epsilon of the
best, with worst-case constants. The table says what each was told, and counts the answers that name
another policy than the winner apart from those that are wrong by the answer's own goal. A run
stopped by time has no answer and is no result.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bestpolicy.bench import figures
from bestpolicy.bench.cells import code_digest
from bestpolicy.bench.llm_po.figure import bars, counted, number, percent
from bestpolicy.bench.llm_po.plays import DELTA, Match, spread, to_the_end
from bestpolicy.bench.peers.environment import (
    LIBRARY,
    VERSION,
    WORKER,
    default_cache,
    made,
    replies,
)
from bestpolicy.core.nouns import Array
from bestpolicy.core.rng import stream
from bestpolicy.worlds.preference import INSTANCES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Row = dict[str, Any]
TRUTHS = ("easy4", "hard8", "mid16")
RUNS, OURS = 20, 200  # of each peer, of llm-po
LIMIT, BUDGET = 25.0, 60.0  # seconds of a run, and after which a cell begins no further run
QUICKER = 0.2  # times as many of both, and of the runs, in the quick form
EPSILON = 0.05


@dataclass(frozen=True, slots=True)
class Peer:
    """An algorithm, what it is told, what it then promises, and what it takes for granted."""

    name: str
    goal: str
    assumes: str
    told: dict[str, float] = field(default_factory=lambda: {"failure_probability": DELTA})
    slack: float = 0.0  # by how much a right answer may lose to another policy

    @property
    def words(self) -> str:
        given = [f"{name} {value:g}" for name, value in self.told.items()]
        return ", ".join(given) or "nothing"


def _near(name: str, option: str, assumes: str) -> Peer:
    told = {"failure_probability": DELTA, option: EPSILON}
    return Peer(name, "within epsilon of the best", assumes, told, EPSILON)


PEERS = (
    Peer("MergeRUCB", "the winner", "a winner"),
    _near("SequentialElimination", "epsilon_upper", "strong transitivity"),
    Peer(
        "KLDivergenceBasedPAC",
        # On these truths that is the winner: no two scores are within epsilon.
        "within epsilon of the best Copeland score",
        "no ties",
        {"failure_probability": DELTA, "epsilon": EPSILON},
    ),
    _near("OptMax", "epsilon_range", "moderate transitivity"),
    _near("PlackettLucePACItem", "epsilon", "Plackett-Luce"),
    _near("KnockoutTournament", "epsilon", "strong transitivity, triangle inequality"),
    Peer(
        "SingleEliminationTop1Select",
        "the winner",
        "an order, strong transitivity, separation 0.01 (its default)",
        {"epsilon": EPSILON},
    ),
    Peer("VerificationBasedCondorcet", "the winner", "a winner"),
)
OURSELVES = (
    Peer("llm-po", "the winner", "a winner", {"delta": DELTA}),
    Peer("llm-po, winner or none", "the winner, or that there is none", "", {"delta": DELTA}),
)


def main(
    quick: bool,
    out: Path,
    *,
    replications: int | None = None,
    cache: Path | None = None,
    seed: int = 0,
    console: Console | None = None,
) -> dict[str, Any]:
    """Play both, print the table, and write `peers.json` and `peers.svg` into `out`."""
    console = console or Console()
    python = made(cache or default_cache(), console)
    out.mkdir(parents=True, exist_ok=True)
    path = out / "peers.json"
    times = QUICKER if quick else 1.0
    runs, mine = (replications or round(times * full) for full in (RUNS, OURS))
    report = _read(path, {"seed": seed, "quick": quick, "runs": runs, "code": _digest()})
    kept = {(row["truth"], row["algorithm"]): row for row in report["rows"]}
    table = [(truth, peer) for truth in TRUTHS for peer in (*OURSELVES, *PEERS)]
    for truth, peer in table:
        if (truth, peer.name) in kept:
            continue
        if peer in OURSELVES:
            played = ours(peer, truth, mine, seed)
        else:
            played = theirs(peer, truth, runs, seed, python, times)
        kept[truth, peer.name] = played
        report["rows"] = [kept[t, p.name] for t, p in table if (t, p.name) in kept]
        _write(path, report)
        console.print(" | ".join(cells(played).values()), highlight=False)
    console.print(_table(report["rows"]))
    figures.save(lambda axes: draw(axes, report["rows"]), out / "peers.svg", console)
    return report


def ours(peer: Peer, truth: str, runs: int, seed: int) -> Row:
    """llm-po's row, played by the same protocol: what was asked for, what came back."""
    found = []
    match = Match(truth, INSTANCES[truth]().p, assume_winner=peer is OURSELVES[0])
    for r in range(runs):
        began = perf_counter()
        verdict, _, order = to_the_end(match, seed, r)
        answer: list[int] | None = [] if verdict.kind == "no-winner" else None
        if verdict.policy is not None:
            answer = [int(order[verdict.policy])]
        seconds = perf_counter() - began
        found.append({"comparisons": verdict.comparisons, "seconds": seconds, "answer": answer})
    return row(peer, truth, "bestpolicy", found)


def theirs(peer: Peer, truth: str, runs: int, seed: int, python: Path, patience: float) -> Row:
    """A peer's row: every run meets its own numbering of the policies."""
    orders = [order_of(truth, seed, r) for r in range(runs)]
    todo = [
        job(peer, truth, order, seed, r) | {"limit": LIMIT * patience}
        for r, order in enumerate(orders)
    ]
    found = []
    for reply, order in zip(replies(python, todo, budget=BUDGET * patience), orders, strict=False):
        answer = reply["answer"]
        named = None if answer is None else [int(order[i]) for i in answer]
        found.append(reply | {"answer": named})
    return row(peer, truth, f"{LIBRARY} {VERSION}", found)


def order_of(truth: str, seed: int, r: int) -> NDArray[np.intp]:
    """Which policy of the truth each number is, in run r; llm-po meets the same."""
    return stream(seed, f"bench/policies/{truth}", r).permutation(INSTANCES[truth]().policies)


def job(peer: Peer, truth: str, order: NDArray[np.intp], seed: int, r: int) -> dict[str, Any]:
    p = INSTANCES[truth]().p[np.ix_(order, order)]
    own = int(stream(seed, f"bench/peers/{peer.name}/{truth}", r).integers(2**31))
    return {"algorithm": peer.name, "told": peer.told, "p": p.tolist(), "seed": own}


def row(peer: Peer, truth: str, by: str, found: Sequence[Row]) -> Row:
    """What the runs came to. Only runs with an answer are results; the others are counted."""
    p = INSTANCES[truth]().p
    done = [run for run in found if run["answer"] is not None]
    others = sum(run["answer"] != [0] for run in done)  # policy 0 wins all of these truths
    wrong = sum(not is_right(run["answer"], p, peer.slack) for run in done)
    errors = [run["error"] for run in found if run.get("error")]
    return {
        "truth": truth,
        "algorithm": peer.name,
        "by": by,
        "goal": peer.goal,
        "told": peer.words,
        "assumes": peer.assumes,
        "runs": len(found),
        "finished": len(done),
        "stopped": sum(bool(run.get("stopped")) for run in found),
        "error": errors[0] if errors else "",
        "comparisons": spread([run["comparisons"] for run in done]) if len(done) > 1 else None,
        "seconds": round(float(np.mean([run["seconds"] for run in found])), 3),
        "others": counted(others, len(done), DELTA) if done else None,
        "wrong": counted(wrong, len(done), DELTA) if done else None,
    }


def is_right(answer: Sequence[int], p: Array, slack: float) -> bool:
    """Whether nothing that was named loses to anybody by more than the goal allows."""
    return bool(answer) and bool((p[list(answer)] >= 0.5 - slack - 1e-9).all())


def cells(row: Row) -> dict[str, str]:
    spent = row["comparisons"]
    plain = [None if row[k] is None else row[k] | {"passes": True} for k in ("others", "wrong")]
    others, wrong = ("" if share is None else percent(share) for share in plain)
    unfinished = f"{row['stopped']} of {row['runs']}" if row["stopped"] else ""
    if row["error"]:
        unfinished = f"{unfinished} failed: {row['error']}".strip()
    return {
        "truth": row["truth"],
        "algorithm": row["algorithm"],
        "promises": row["goal"],
        "told": row["told"],
        "takes for granted": row["assumes"],
        "comparisons [95 %]": "no result" if spent is None else number(spent),
        "not the winner % [95 %]": others,
        "wrong by its own goal % [95 %]": wrong,
        "results": str(row["finished"]),
        "stopped by time": unfinished,
        "seconds": f"{row['seconds']:.2f}",
    }


def draw(axes: Axes, rows: Sequence[Row]) -> None:
    names = list(dict.fromkeys(row["algorithm"] for row in rows))
    for i, truth in enumerate(TRUTHS):
        own = [row for row in rows if row["truth"] == truth and row["comparisons"] is not None]
        spent = [row["comparisons"] for row in own]
        y = [names.index(row["algorithm"]) + 0.2 * (i - 1) for row in own]
        means = [value["mean"] for value in spent]
        axes.errorbar(means, y, xerr=bars(spent), fmt="o", markersize=4, label=truth, color=f"C{i}")
        failed = [row["wrong"]["share"] > DELTA for row in own]
        axes.plot(
            [m for m, bad in zip(means, failed, strict=True) if bad],
            [at for at, bad in zip(y, failed, strict=True) if bad],
            "x",
            color="black",
            label="wrong in over 5 %" if i == 0 else None,
        )
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("mean comparisons of the runs that ended by themselves")
    axes.legend(fontsize=7)


def _table(rows: Sequence[Row]) -> Table:
    table = Table(title="Each with its own stop", box=SIMPLE_HEAD, title_justify="left")
    for column in cells(rows[0]):
        table.add_column(column)
    for line in rows:
        table.add_row(*cells(line).values())
    return table


def _digest() -> str:
    own = b"".join(path.read_bytes() for path in (Path(__file__), WORKER))
    return sha256(code_digest().encode() + own).hexdigest()[:16]


def _read(path: Path, told: dict[str, Any]) -> dict[str, Any]:
    """The report so far, where it was played in this very way; else an empty one."""
    if path.exists():
        report: dict[str, Any] = json.loads(path.read_text())
        if {name: report.get(name) for name in told} == told:
            return report
    return {**told, "library": f"{LIBRARY} {VERSION}", "rows": []}


def _write(path: Path, report: dict[str, Any]) -> None:
    beside = path.with_suffix(".json.new")
    beside.write_text(json.dumps(report, indent=1) + "\n")
    beside.replace(path)
