"""How many comparisons a known truth costs any design, and where the best one would spend them.

No design that is wrong at most δ of the time needs fewer than T* kl(δ, 1 - δ) comparisons on
average. T* depends on what the design is told: that a winner exists, and perhaps a structure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from rich.bar import Bar
from rich.console import Console
from rich.table import Table

from bestpolicy.bench import figures
from bestpolicy.core.nouns import Array
from bestpolicy.worlds import truth
from bestpolicy.worlds.bound import structured_t_star
from bestpolicy.worlds.preference import INSTANCES, STRUCTURES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GAP = 1e-3  # relative, of the structured requirement; both its ends are proven
MOST = 64  # policies; beyond, the pairs are too many to weigh all, and some would be no bound
SHOWN, DRAWN = 12, 8  # of the largest proportions


class Proportion(NamedTuple):
    policy: int
    against: int
    share: float


@dataclass(frozen=True, eq=False)
class Requirement:
    """T* of one truth under one assumption, in [low, high]; the closed forms have no gap."""

    name: str
    low: float
    high: float
    w: Array | None  # (K, K) optimal shares; None where there are none
    why: str = ""  # it was not computed

    @property
    def proportions(self) -> list[Proportion]:
        """Those above zero, largest first."""
        if self.w is None:
            return []
        rows, columns = np.nonzero(self.w > 1e-9)
        found = [
            Proportion(int(j), int(k), float(self.w[j, k]))
            for j, k in zip(rows, columns, strict=True)
        ]
        return sorted(found, key=lambda one: -one.share)


def requirements(instance: str) -> list[Requirement]:
    """What the instance costs when nothing is known of p, and when its structure is."""
    p = INSTANCES[instance]().p
    assumed = truth.t_star(p)
    free = truth.t_star_none(p) if truth.winner(p) is None else truth.t_star_verify(p)
    found = [
        _closed("a winner assumed", assumed, truth.proportions(p)),
        _closed("winner or none", free, truth.proportions(p, assume_winner=False)),
    ]
    if instance in STRUCTURES:
        found.append(_structured(*STRUCTURES[instance]()))
    return found


def _closed(name: str, t_star: float, w: Array) -> Requirement:
    if t_star < inf:
        return Requirement(name, t_star, t_star, w)
    return Requirement(name, inf, inf, None, "infinite: no number of comparisons can tell")


def _structured(x: Array, theta: Array) -> Requirement:
    kind = "Bradley-Terry" if len(theta) == len(x) else f"{len(theta)} features"
    name = f"a winner and {kind} assumed"
    if len(x) > MOST:
        pairs = len(x) * (len(x) - 1) // 2
        why = f"not computed: {pairs:,} pairs; fewer only bound T* from above"
        return Requirement(name, 0.0, inf, None, why)
    bound = structured_t_star(x, theta, gap=GAP)
    return Requirement(name, bound.low, bound.high, bound.w)


def show(instance: str, found: Sequence[Requirement], delta: float, console: Console) -> None:
    """For people: what each assumption costs, then a table with bars of where to compare."""
    times = truth.divergence(delta)
    console.print(f"{instance}: the fewest comparisons of any design, confidence {1 - delta:g}")
    summary = Table("told", "T*", "comparisons", "proven", box=None, pad_edge=False)
    for one in found:
        if one.w is None:
            summary.add_row(one.name, "-", "-", one.why)
        else:
            proven = _proven(one)
            middle = (one.low + one.high) / 2
            summary.add_row(one.name, f"{middle:,.2f}", f"{middle * times:,.1f}", proven)
    console.print(summary)
    for one in found:
        if one.w is not None:
            console.print(f"\n{one.name}, optimal proportions:")
            console.print(_bars(one.proportions))


def _proven(one: Requirement) -> str:
    if one.low == one.high:
        return "closed form"
    return f"{one.low:,.3f} to {one.high:,.3f}, {100 * (one.high / one.low - 1):.3f} % apart"


def _bars(proportions: Sequence[Proportion]) -> Table:
    table = Table("policies", "share", "", box=None, pad_edge=False)
    shown, rest = proportions[:SHOWN], proportions[SHOWN:]
    for one in shown:
        bar = Bar(shown[0].share, 0, one.share, width=40)
        table.add_row(f"{one.policy} against {one.against}", f"{100 * one.share:.2f} %", bar)
    if rest:
        share = 100 * sum(one.share for one in rest)
        table.add_row(f"{len(rest)} other pairs", f"{share:.2f} %", "")
    return table


def as_json(instance: str, found: Sequence[Requirement], delta: float) -> dict[str, Any]:
    """The same under stable names; null stands for infinite, and for not computed."""
    times = truth.divergence(delta)

    def number(value: float) -> float | None:
        return value if 0 < value < inf else None

    return {
        "instance": instance,
        "delta": delta,
        "divergence": times,
        "requirements": [
            {
                "told": one.name,
                "t_star": [number(one.low), number(one.high)],
                "comparisons": [number(one.low * times), number(one.high * times)],
                "gap": one.high / one.low - 1 if one.w is not None else None,
                "why": one.why or None,
                "proportions": [pair._asdict() for pair in one.proportions],
            }
            for one in found
        ],
    }


def draw(instance: str, found: Sequence[Requirement], path: Path, console: Console) -> None:
    """Bars of the largest proportions, one colour for each assumption, into a file."""
    figures.save(lambda axes: _draw(axes, instance, found), path, console)


def _draw(axes: Axes, instance: str, found: Sequence[Requirement]) -> None:
    known = [one for one in found if one.w is not None]
    pairs = list(dict.fromkeys(_pair(one) for r in known for one in r.proportions[:DRAWN]))
    height = 0.8 / max(len(known), 1)
    for i, requirement in enumerate(known):
        shares = {_pair(one): 100 * one.share for one in requirement.proportions}
        y = np.arange(len(pairs)) + (i - (len(known) - 1) / 2) * height
        axes.barh(y, [shares.get(pair, 0.0) for pair in pairs], height, label=requirement.name)
    axes.set_yticks(range(len(pairs)), [f"{a} against {b}" for a, b in pairs])
    axes.invert_yaxis()
    axes.set_xlabel("share of the comparisons, %")
    axes.set_title(f"{instance}: where the fewest comparisons go")
    if known:
        axes.legend()


def _pair(one: Proportion) -> tuple[int, int]:
    return min(one.policy, one.against), max(one.policy, one.against)
