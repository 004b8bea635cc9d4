"""The certificate: what the answers so far prove about which policy is best, for any asking rule.

p_jk is the mean share of j against k. Three kinds of running e-processes, all products of `bet`:

    E_j    against "j loses to nobody" (p_jk >= 1/2 for all k): every bet against j, pooled
    A_ij   against "j does not lose to i" (p_ji >= 1/2): bets on the pair only, for a winner i
    C_ij   against "j beats i by the indifference" (p_ji >= 1/2 + eps): bets on the pair only

**Drop** j when E_j >= 1/a_drop. If some policy loses to nobody, the only drop that can harm a
verdict is its own, one null, so there is no union bound over policies.
**Winner** i when A_ij >= 1/a_win for every j. The capital 1 is shared out over the possible
winners: a little to each at the start, the rest from a cash box that flows to whoever leads. If
each wrong winner i fails to beat some rival φ(i), then cash + Σ_i A_iφ(i) is one supermartingale
that starts at 1 at most, so Ville's bound holds for all wrong winners together at level a_win.
**Equivalent** S when C_ij >= 1/a_close for every survivor i and every j, capital 1/K each.
The levels that a mode uses add up to delta: `Ledger` is the only place where it is spent.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erf, inf, log, sqrt

import numpy as np
from numpy.typing import NDArray

from bestpolicy.core.evidence import bet
from bestpolicy.core.nouns import Array, Kind, Verdict

AT_START = 0.1  # share of the capital for winners that is handed out before any answer
CASH_FLOW, CASH_DELAY = 2.0, 100.0  # cash after t answers is about (1 + t/delay)^-flow


@dataclass(frozen=True, slots=True)
class Ledger:
    """How delta is spent: the bars, in log wealth, of each kind of claim. inf: never made."""

    delta: float
    drop: float
    win: float
    close: float
    indifference: float
    confidence: float  # that is promised; 1 - delta, less what is kept for other errors

    @classmethod
    def of(
        cls,
        delta: float,
        *,
        indifference: float = 0.0,
        assume_winner: bool = False,
        spare: float = 0.0,
    ) -> Ledger:
        """`spare` is the share of delta that is left to errors outside of the certificate."""
        promised, delta = 1 - delta, (1 - spare) * delta
        eps = indifference > 0
        if assume_winner:  # the last survivor wins, so a drop is all that can go wrong
            drop, win, close = (0.5, 0.0, 0.5) if eps else (1.0, 0.0, 0.0)
        else:
            drop, win, close = (0.1, 0.5, 0.4) if eps else (0.1, 0.9, 0.0)
        return cls(
            delta,
            _bar(drop * delta),
            _bar(win * delta),
            _bar(close * delta),
            indifference,
            promised,
        )

    @property
    def assume_winner(self) -> bool:
        return self.win == inf


@dataclass(slots=True)
class Certificate:
    """The e-processes. Only `read` writes, and only to a copy that nobody else holds."""

    evidence: Array  # (K,) log E_j
    alive: NDArray[np.bool_]  # (K,) E_j has never reached its bar
    proof: list[Array]  # row i, (K,): log A_ij; inf once proven, and at i itself
    cash: float  # log capital not yet handed out
    close: list[Array]  # row i, (K,): log C_ij; inf once proven, and at i itself
    beats_all: NDArray[np.bool_]  # (K,) row i of `proof` is complete
    close_to_all: NDArray[np.bool_]  # (K,) row i of `close` is complete

    @classmethod
    def blank(cls, policies: int, ledger: Ledger, capital: Array | None = None) -> Certificate:
        """`capital` is the log of what each policy's claims begin with; 0 but for latecomers."""
        K = policies
        start = _rows(K, log(AT_START / K)) if ledger.win < inf else []
        close = _rows(K, -log(K)) if ledger.close < inf else []
        cash = log(1 - AT_START)
        nobody = np.zeros(K, dtype=np.bool_)
        evidence = np.zeros(K)
        if capital is not None:
            evidence = capital.copy()
            for rows, half in ((start, log(0.5)), (close, -log(K))):
                for i, row in enumerate(rows):
                    least = np.minimum(capital[i], capital)
                    row[(least < 0) & (row < inf)] = (least + half)[(least < 0) & (row < inf)]
        return cls(evidence, ~nobody, start, cash, close, nobody.copy(), nobody.copy())

    def copy(self) -> Certificate:
        """A copy whose rows are shared: `read` replaces a row, it never writes into one."""
        return Certificate(
            self.evidence.copy(),
            self.alive.copy(),
            self.proof.copy(),
            self.cash,
            self.close.copy(),
            self.beats_all.copy(),
            self.close_to_all.copy(),
        )


def read(
    c: Certificate,
    ledger: Ledger,
    x: int,
    k: int,
    y: float | None,
    f: float,
    ties: float = 0.0,
) -> None:
    """Bet on one answer: y is x's share against k, f its forecast should it be decided, `ties` the
    forecast share of ties; y is None for an answer that is lost for good.

    A lost answer counts as the worst that it could have said for each bet, which only lowers it.
    """
    loser, rival, share, forecast = (x, k, y, f) if f < 0.5 else (k, x, _other(y), 1 - f)
    gain = bet(1.0 if share is None else share, forecast)
    c.evidence[loser] += gain
    if c.alive[loser] and c.evidence[loser] >= ledger.drop:
        c.alive[loser] = False
    if c.proof:
        _raise(c.proof, c.beats_all, rival, loser, gain, ledger.win)
    if c.close:
        h = 0.5 + ledger.indifference
        for a, b, s, g in ((x, k, y, f), (k, x, _other(y), 1 - f)):
            gain = bet(1.0 if s is None else s, g, h, ties)
            _raise(c.close, c.close_to_all, b, a, gain, ledger.close)


def back(
    c: Certificate, leader: int, lead: float, told: int, there: NDArray[np.bool_] | None = None
) -> None:
    """Hand cash to the leader's claim, the more the surer its lead (in sd); before y is seen.
    Its claims over policies that are not `there` yet get nothing."""
    faith = erf(lead / sqrt(2)) if lead > 0 else 0.0
    share = faith * min(1.0, CASH_FLOW / (told + CASH_DELAY))
    if not c.proof or share <= 0.0:
        return
    backed = np.logaddexp(c.proof[leader], c.cash + log(share))
    c.proof[leader] = backed if there is None else np.where(there, backed, c.proof[leader])
    c.cash += log(1 - share)


def verdict(c: Certificate, ledger: Ledger, comparisons: int) -> Verdict[int]:
    """What is proven. At most one of the final kinds is ever reached first."""
    alive = np.flatnonzero(c.alive)
    survivors = tuple(alive.tolist())

    def say(kind: Kind, policy: int | None, who: tuple[int, ...], reason: str) -> Verdict[int]:
        return Verdict(kind, policy, ledger.confidence, who, comparisons, reason)

    if c.proof and c.beats_all.any():
        i = int(c.beats_all.argmax())
        return say("winner", i, (i,), "it beats every rival")
    if not survivors:
        top = tuple(np.flatnonzero(c.evidence <= c.evidence.min() + ledger.drop).tolist())
        return say("no-winner", None, top, "every policy loses to some other policy")
    if len(survivors) == 1 and ledger.assume_winner:
        return say("winner", survivors[0], survivors, "every rival loses to some policy")
    if c.close and c.close_to_all[alive].all():
        reason = f"no survivor loses to anybody by more than {ledger.indifference:g}"
        return say("equivalent", survivors[0], survivors, reason)
    if len(survivors) == 1:
        reason = "every rival has lost to some policy; that this one beats them all is not proven"
    else:
        reason = f"{len(survivors)} policies may still be the best"
    return say("undecided", None, survivors, reason)


def _raise(
    rows: list[Array], complete: NDArray[np.bool_], i: int, j: int, gain: float, bar: float
) -> None:
    """Multiply entry (i, j) in a fresh row; once it reaches its bar it stays proven."""
    rows[i] = row = rows[i].copy()
    wealth = row.item(j) + gain
    if wealth < bar:
        row[j] = wealth
    else:
        row[j] = inf
        complete[i] = row.min() == inf


def _rows(K: int, start: float) -> list[Array]:
    rows = list(np.full((K, K), start))
    for i, row in enumerate(rows):
        row[i] = inf
    return rows


def _bar(level: float) -> float:
    return -log(level) if level > 0 else inf


def _other(y: float | None) -> float | None:
    return None if y is None else 1 - y
