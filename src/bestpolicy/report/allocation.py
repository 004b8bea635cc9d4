"""Where the comparisons went, beside where the fewest would have gone.

To refute j by its rival b(j) costs c_j = 1 / kl(p_jb(j), 1/2) times log(1/δ) comparisons, so the
best shares are w_j = c_j / Σ c (worlds/truth.py, T*). b(j) is the leader, as a winner has to beat
every rival itself; where a winner is assumed, or nobody wins, it is whoever beats j most clearly.

c is taken at the shares seen, so w is an estimate. If every interval [l_j, h_j] of p_jb(j) covers,

    c(l_j) / (c(l_j) + Σ_others c(h))  <=  w_j  <=  c(h_j) / (c(h_j) + Σ_others c(l))

It is the optimum of a study that is told no structure, and in the limit of a high confidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from bestpolicy.core.nouns import Interval
from bestpolicy.report.dossier import Basis
from bestpolicy.report.snapshot import Pair, Snapshot
from bestpolicy.worlds.truth import kl


@dataclass(frozen=True, slots=True)
class Spent:
    """What one pair took; `loser` is the one to be refuted."""

    loser: int
    rival: int
    n: int  # comparisons of the two, those never answered included
    used: float  # n as a share of all
    best: Interval | None  # the optimal share, estimated; None where there is no estimate


@dataclass(frozen=True, slots=True)
class Allocation:
    """Every pair that was compared or should have been, those that matter most first."""

    pairs: tuple[Spent, ...]
    total: int
    why_not: str = ""  # there is no optimum to show


def allocation(at: Snapshot, basis: Basis) -> Allocation:
    """The shares used, and the optimal ones as far as the answers can tell."""
    met = {(a, b): pair.n + pair.lost for (a, b), pair in at.pairs.items() if a < b}
    total = sum(met.values())
    found = _rivals(at, basis)
    best = {} if isinstance(found, str) else _optimal(at, found)
    # The loser goes first: by the optimum if it says, else by the shares.
    said = {(min(pair), max(pair)): pair for pair in best}
    pairs = []
    for key in {**met, **dict.fromkeys(said)}:
        loser, rival = said.get(key) or _loser_first(at, key)
        n = met.get(key, 0)
        used = n / total if total else 0.0
        pairs.append(Spent(loser, rival, n, used, best.get((loser, rival))))
    pairs.sort(key=lambda one: (-max(one.used, one.best.value if one.best else 0.0), one.loser))
    return Allocation(tuple(pairs), total, found if isinstance(found, str) else "")


def _rivals(at: Snapshot, basis: Basis) -> dict[int, int] | str:
    """By whom each policy is refuted at least cost, or why that cannot be said."""
    kind, name = at.verdict.kind, at.policies
    if basis.trust_structure:
        return "the proof may rest on the structure, whose optimum is another one"
    if kind == "equivalent":
        return "equivalence has been proven, and the optimum known here is that of finding a winner"
    leader = at.standing.leader
    here = [i for i in range(len(name)) if name[i] not in at.left]
    rivals: dict[int, int] = {}
    for j in here:
        if j == leader and kind != "no-winner":
            continue
        rival: int | None = leader
        if kind == "no-winner" or basis.assume_winner:
            met = {k: share.high for k in here if (share := at.against(j, k)) is not None}
            rival = min(met, key=lambda k: met[k], default=None)
        share = at.against(j, rival)
        if share is None or rival is None or share.value >= 0.5:
            seen = "has not met" if share is None else "does not lose to"
            whom = "any rival" if rival is None else name[rival]
            return (
                f"at the shares seen so far {name[j]} {seen} {whom}, so no shares would refute it"
            )
        rivals[j] = rival
    return rivals


def _optimal(at: Snapshot, rivals: dict[int, int]) -> dict[tuple[int, int], Interval]:
    shares = {pair: at.against(*pair) for pair in rivals.items()}
    cost = {
        pair: Interval(_cost(share.value), _cost(share.low), _cost(share.high))
        for pair, share in shares.items()
        if share is not None
    }
    value = sum(c.value for c in cost.values())
    best = {}
    for pair, c in cost.items():
        others = [other for key, other in cost.items() if key != pair]
        most, least = sum(o.high for o in others), sum(o.low for o in others)
        low = c.low / (c.low + most)
        high = 1.0 if c.high == inf else c.high / (c.high + least)
        best[pair] = Interval(c.value / value, low, high)
    return best


def _cost(p: float) -> float:
    """c of a share; nothing refutes whoever wins half."""
    return 1 / float(kl(p, 0.5)) if p < 0.5 else inf


def _loser_first(at: Snapshot, pair: tuple[int, int]) -> tuple[int, int]:
    seen = at.pairs.get(pair, Pair())
    return pair if seen.share <= seen.n / 2 else pair[::-1]
