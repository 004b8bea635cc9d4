"""How often the intervals of off-policy evaluation cover the truth, from many rows to very few.

Fresh logs of a world whose truth is known. `betting` decides and is promised to cover in all cells;
the normal interval of IPS is the broken twin, which is what most tools print.
"""

from __future__ import annotations

import json
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bestpolicy.bench import figures
from bestpolicy.bench.pool import players
from bestpolicy.bench.shares import Share, share
from bestpolicy.core.betting import Purse, between
from bestpolicy.core.log import Log
from bestpolicy.core.nouns import Array, Interval
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.intervals import Clipped, Resamples, student
from bestpolicy.offpolicy.rows import Given, Proof, Rows
from bestpolicy.offpolicy.sequence import sequence
from bestpolicy.offpolicy.targets import Chances
from bestpolicy.offpolicy.uplift import Pairs, uplift
from bestpolicy.offpolicy.weighting import ips, snips
from bestpolicy.worlds.logged import Prompted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ALPHA = 0.05
GAINS, SIZES = (0.3, 1.0, 2.0), (500, 5000)
CHUNK = 50  # replications a task
LOOKS_AT = 500  # rows of the cells in which the sequence is played, which costs most,
LOOKS_EVERY = 4  # and in every how manieth log
PROMISED = ("betting", "sequence, all looks", "uplift, paired", "uplift, apart", "bernstein")
TWIN = "normal, IPS"


@dataclass(frozen=True, slots=True)
class Cell:
    """A target and a number of rows."""

    gain: float
    rows: int


@dataclass(frozen=True, slots=True)
class Result:
    """One interval in one cell."""

    gain: float
    rows: int
    effective: float  # rows, the median of the logs
    interval: str
    missed: Share
    width: float  # mean

    @property
    def covered(self) -> float:
        return 1 - self.missed.value

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {
            "covered": self.covered,
            "covered_interval": [1 - self.missed.high, 1 - self.missed.low],
            "promised": self.interval in PROMISED,
        }


Found = dict[str, tuple[bool, float]]  # by interval: whether it missed, and its width


def main(
    quick: bool,
    out: Path,
    *,
    replications: int | None = None,
    seed: int = 0,
    processes: int = 1,
    console: Console | None = None,
) -> dict[str, Any]:
    """Play all cells, print the table, write `coverage.json` and `coverage.svg` into `out`."""
    console = console or Console()
    runs = replications or (200 if quick else 2000)
    results: list[Result] = []
    for cell in [Cell(gain, rows) for gain in GAINS for rows in SIZES]:
        results += played(cell, runs, seed=seed, processes=processes, console=console)
        own = {r.interval: r for r in results if (r.gain, r.rows) == (cell.gain, cell.rows)}
        console.print(
            f"g {cell.gain:g}, {cell.rows:,} rows: betting {own['betting'].covered:.1%}, "
            f"normal {own[TWIN].covered:.1%}",
            highlight=False,
        )
    report = {
        "quick": quick,
        "seed": seed,
        "replications": runs,
        "truths": [[g, *Prompted(g).truth(), *Prompted(g).logged_truth()] for g in GAINS],
        "rows": [r.as_json() for r in results],
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "coverage.json").write_text(json.dumps(report, indent=1) + "\n")
    console.print(_table(results))
    figures.save(lambda axes: _draw(axes, results), out / "coverage.svg", console, wide=7)
    return report


def played(
    cell: Cell, runs: int, *, seed: int = 0, processes: int = 1, console: Console | None = None
) -> list[Result]:
    """One cell, as often as asked for."""
    tasks = [(first, min(CHUNK, runs - first)) for first in range(0, runs, CHUNK)]
    found: dict[int, list[tuple[float, Found]]] = {}
    with Progress(
        console=console, transient=True, disable=console is None or not console.is_terminal
    ) as progress:
        bar = progress.add_task(f"g {cell.gain:g}, {cell.rows:,} rows", total=runs)

        def landed(first: int, some: list[tuple[float, Found]]) -> None:
            found[first] = some
            progress.advance(bar, len(some))

        if processes == 1:
            for first, count in tasks:
                landed(first, several(cell, first, count, seed))
        else:
            with players(processes) as pool:
                waiting = {pool.submit(several, cell, *task, seed): task[0] for task in tasks}
                for done in as_completed(waiting):
                    landed(waiting[done], done.result())
    return _summed(cell, [one for first in sorted(found) for one in found[first]])


def several(cell: Cell, first: int, count: int, seed: int) -> list[tuple[float, Found]]:
    """Replications `first` to `first + count - 1`."""
    world = Prompted(cell.gain)
    truths = world.truth()[0], world.logged_truth()[0]
    made = []
    for r in range(first, first + count):
        log, pi = world.log(cell.rows, stream(seed, f"bench/coverage/{cell.gain:g}/{cell.rows}", r))
        made.append(once(log, pi, *truths, looks=cell.rows <= LOOKS_AT and r % LOOKS_EVERY == 0))
    return made


def once(
    log: Log, pi: Array, value: float, logged: float, *, looks: bool = False
) -> tuple[float, Found]:
    """Effective rows of one log, and what became of each interval."""
    rows = Rows(log, Chances(pi), Given())
    proof, clipped = Proof.of(rows), Clipped(sqrt(len(log))).plus(rows)
    resamples = {one: Resamples(ALPHA) for one in (ips, snips)}
    for one, each in resamples.items():
        each.see(*one.each(rows), 0)
    plain, own = ips.terms(rows), snips.terms(rows)
    made = {
        "betting": proof.interval(ALPHA),
        "bernstein": clipped.interval(ALPHA),
        TWIN: plain.normal(ALPHA),
        "bootstrap, IPS": resamples[ips].interval(plain.value),
        "delta, SNIPS": own.normal(ALPHA),
        "student, SNIPS": student(own, proof.effective, ALPHA),
        "bootstrap, SNIPS": resamples[snips].interval(own.value),
    }
    found = {name: _against(interval, value) for name, interval in made.items()}
    if looks:
        every = [interval for _, interval in sequence(log, pi, alpha=ALPHA)]
        missed = any(_against(interval, value)[0] for interval in every)
        found["sequence, all looks"] = missed, every[-1].high - every[-1].low
    paired, apart = _gains(rows, proof)
    for name, interval in paired.items():
        found[name] = _against(interval, value - logged)
    found["uplift, apart"] = _against(apart, value - logged)
    return proof.effective, found


def _gains(rows: Rows, proof: Proof) -> tuple[dict[str, Interval], Interval]:
    """The uplift paired, by both intervals, and from an interval of each policy."""
    gain = uplift(Pairs.of(rows), (0.0, 1.0), ALPHA)
    paired = {
        "uplift, paired": Interval(gain.value, gain.low, gain.high),
        "uplift, delta": gain.asymptotic,
    }
    target = proof.interval(ALPHA / 2)
    logged = between(Purse.of(rows.r), Purse.of(1 - rows.r), ALPHA / 2)
    return paired, Interval(gain.value, target.low - logged.high, target.high - logged.low)


def _against(interval: Interval, truth: float) -> tuple[bool, float]:
    return not interval.low <= truth <= interval.high, interval.high - interval.low


def _summed(cell: Cell, found: list[tuple[float, Found]]) -> list[Result]:
    effective = float(np.median([rows for rows, _ in found]))
    made = []
    for name in found[0][1]:
        own = [each[name] for _, each in found if name in each]
        missed = share(sum(miss for miss, _ in own), len(own), promised=ALPHA)
        width = float(np.mean([wide for _, wide in own]))
        made.append(Result(cell.gain, cell.rows, effective, name, missed, width))
    return made


def _table(results: list[Result]) -> Table:
    table = Table(title="Coverage of 95 % intervals / mean width")
    table.add_column("interval")
    cells = list(dict.fromkeys((r.gain, r.rows, r.effective) for r in results))
    for gain, rows, effective in cells:
        table.add_column(f"g {gain:g}, {rows:,}\nworth {effective:.0f}", justify="right")
    names = list(dict.fromkeys(r.interval for r in results))
    for name in names:
        own = {(r.gain, r.rows): r for r in results if r.interval == name}
        said = [own.get((gain, rows)) for gain, rows, _ in cells]
        table.add_row(name, *(f"{r.covered:.1%} / {r.width:.2f}" if r else "" for r in said))
    return table


def _draw(axes: Axes, results: list[Result]) -> None:
    names = [n for n in dict.fromkeys(r.interval for r in results) if "uplift" not in n]
    for k, name in enumerate(names):
        own = sorted((r for r in results if r.interval == name), key=lambda r: r.effective)
        x = [r.effective for r in own]
        style = "-" if name in PROMISED else "--"
        axes.plot(x, [r.covered for r in own], f"o{style}", color=f"C{k}", markersize=3, label=name)
        axes.vlines(
            x, [1 - r.missed.high for r in own], [1 - r.missed.low for r in own], color=f"C{k}"
        )
    axes.axhline(1 - ALPHA, color="black", linewidth=0.8, linestyle=":")
    axes.set_xscale("log")
    axes.set_xlabel("effective rows of the log, median")
    axes.set_ylabel("share of logs whose interval covers the truth")
    axes.legend(fontsize=7, frameon=False)
