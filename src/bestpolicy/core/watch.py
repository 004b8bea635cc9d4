"""Watch: whether the record looks like answers that a certificate may count.

The certificate asks one thing of the judge: that answers to the same pair are alike, whatever was
asked, said or waited for before. Three doubts are tested by universal inference while the study
runs, each with alternatives a and their forecasts f_a of who wins a pair,

    E = Σ_a π_a Σ_c ½ Π_pairs (1 - c + c E_a,pair)
    E_a,pair = Π_s f_a(y_s) / max_q q^won (1 - q)^lost

    drift     f begins anew at ask number τ: ratings and pair records know nothing of before
    repeats   with chance ρ an answer is the pair's last one again
    lateness  an answer told after later ones leans by β towards the favourite

If the answers to each pair are independent with a chance of its own, the maximum is at least its
likelihood, so E is an e-process for any asking rule: P(E >= 1 / FALSE_ALARM, ever) <= FALSE_ALARM
for each doubt (Ville 1939). The mixture over c lets pairs that changed speak without paying for
those that did not. Draws say nothing here, and graded shares count by their side.
Sources: Wasserman, Ramdas & Balakrishnan 2020 (universal inference).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from bestpolicy.core.logistic import entropy
from bestpolicy.core.nouns import Array

DOUBTS = ("drift", "repeats", "lateness")
FALSE_ALARM = 0.01  # the chance that a doubt is ever raised about a judge who deserves none
BLOCK = 8  # answers read at once; their forecasts are made before any of them is seen
CHANGED = np.array([0.03, 0.3])[:, None]  # c: share of the pairs that an alternative holds for
AGAIN = np.array([0.2, 0.5, 0.9])  # ρ
LEANS = np.array([-1.5, -0.7, 0.7, 1.5])  # β
REPEATS = slice(1, 1 + len(AGAIN))
LATENESS = slice(REPEATS.stop, REPEATS.stop + len(LEANS))
DRIFT = slice(LATENESS.stop, None)
OPENS, WIDENS = 25, 1.15  # a new τ after so many answers, or that many times as many
SHRINK = 5.0  # comparisons that a rating is worth beside the pair's own record
SURE = 0.02  # forecasts keep this far from 0 and 1
FEW = 3.0  # a pair with fewer answers cannot show a change


@dataclass(frozen=True, slots=True)
class Doubt:
    """What the record says against counting its answers as separate and alike."""

    about: str  # drift, repeats or lateness
    evidence: float  # log E, at its highest
    raised: tuple[int, ...]  # after how many answers it reached 1 / FALSE_ALARM


class Watch:
    """Reads answers in ask order and doubts. A function of the answers alone."""

    def __init__(self, policies: int) -> None:
        self.read = 0  # answers, those without a side included
        self.highest = dict.fromkeys(DOUBTS, 0.0)  # log E, ever
        self.alarms: dict[str, int] = {}  # doubt -> answers read when it was raised
        self._waiting: list[tuple[int, int, bool, bool]] = []
        self._opens = OPENS
        self._late = 1.0  # late answers so far, and one for none
        self._row: dict[tuple[int, int], int] = {}
        self._pairs = np.zeros((0, 2), np.intp)
        self._last = np.zeros(0)  # (P,) whether the pair's first policy won last; 1/2 at first
        self._best = np.zeros(0)  # (P,) log of the greatest likelihood
        width = DRIFT.start
        self._said = np.zeros((0, width))  # (P, A) log of the product of forecasts
        # Column 0 knows all answers; those of the drift only what came since τ.
        self._won = np.zeros((0, 1))  # (P, 1 + T)
        self._met = np.zeros((0, 1))
        self._rating = np.zeros((policies, 1))  # (K, 1 + T)
        self._played = np.zeros((policies, 1))
        self._total = np.zeros((len(CHANGED), width))  # (C, A) log of the products over pairs

    @property
    def policies(self) -> int:
        return len(self._rating)

    def knows(self, policies: int) -> None:
        """There are that many policies from now on, if they are more."""
        more = np.zeros((max(policies - self.policies, 0), self._rating.shape[1]))
        self._rating = np.concatenate([self._rating, more])
        self._played = np.concatenate([self._played, more])

    def told(self, i: int, k: int, y: float | None, *, late: bool = False) -> None:
        """The next answer in ask order: i's share against k; None never comes."""
        self.read += 1
        if y is None or y == 0.5:
            return
        first = min(i, k)
        self._waiting.append((first, max(i, k), (y > 0.5) == (i == first), late))
        if len(self._waiting) == BLOCK:
            self._look()
            self._waiting.clear()

    def doubts(self) -> Mapping[str, float]:
        """Log evidence for each doubt as it stands."""
        totals = self._total
        return {
            "drift": _mixed(totals[:, DRIFT], _harmonic(totals.shape[1] - DRIFT.start)),
            "repeats": _mixed(totals[:, REPEATS], np.full(len(AGAIN), 1 / len(AGAIN))),
            "lateness": _mixed(totals[:, LATENESS], np.full(len(LEANS), 1 / len(LEANS))),
        }

    def suspect(self) -> tuple[tuple[int, int], float] | None:
        """The pair whose answer would tell most of a change, and log evidence by it alone."""
        if self._won.shape[1] == 1:
            return None
        b = int(self._total[:, DRIFT].max(axis=0).argmax()) + 1
        since, before = self._met[:, b], self._met[:, 0] - self._met[:, b]
        was = (self._won[:, 0] - self._won[:, b] + 1) / (before + 2)
        now = self._forecast(np.arange(len(self._pairs)))[:, b]
        worth = np.where(before >= FEW, ((was - now) * before / (before + since + 1)) ** 2, -1.0)
        if not len(worth) or worth.max() < 0:
            return None
        row = int(worth.argmax())
        i, k = self._pairs[row]
        return (int(i), int(k)), float(self._said[row, LATENESS.stop - 1 + b] - self._best[row])

    def _look(self) -> None:
        """Foretell the answers that wait, then learn from them."""
        if self.read >= self._opens:
            self._open()
        places = [self._row_of(i, k) for i, k, _, _ in self._waiting]
        rows = np.array(places)
        i, k = self._pairs[rows].T
        y = np.array([float(won) for _, _, won, _ in self._waiting])
        late = np.array([float(late) for _, _, _, late in self._waiting])
        last = np.empty(len(rows))
        for n, row in enumerate(places):
            last[n], self._last[row] = self._last[row], y[n]

        q = self._forecast(rows)  # (B, 1 + T)
        plain = q[:, :1]
        again = np.where(last[:, None] == 0.5, plain, plain + AGAIN * (last[:, None] - plain))
        usual = self._late / (self.read + 2)
        leaning = (late - usual)[:, None] * np.where(plain > 0.5, 1.0, -1.0) * LEANS
        leant = _within(1 / (1 + (1 / plain - 1) * np.exp(-leaning)))
        f = np.concatenate([plain, again, leant, q[:, 1:]], axis=1)
        gain = np.log(np.where(y[:, None] > 0.5, f, 1 - f))

        some, each = _grouped(places)
        self._total -= self._products(some)
        self._said[some] += each @ gain
        self._won[some] += (each @ y)[:, None]
        self._met[some] += each.sum(axis=1)[:, None]
        won, met = self._won[some, 0], self._met[some, 0]
        self._best[some] = -met * entropy(won / met)
        self._total += self._products(some)

        gap = self._rating[i] - self._rating[k]
        surprise = y[:, None] - 1 / (1 + np.exp(-gap))
        who, each = _grouped(i.tolist() + k.tolist())
        self._played[who] += each.sum(axis=1)[:, None]
        step = each @ np.concatenate([surprise, -surprise])
        self._rating[who] += step / (1 + self._played[who] / 4)
        self._late += float(late.sum())
        if self._total.max() <= 0:
            return
        for doubt, evidence in self.doubts().items():
            self.highest[doubt] = max(self.highest[doubt], evidence)
            if evidence >= -log(FALSE_ALARM):
                self.alarms.setdefault(doubt, self.read)

    def _forecast(self, rows: NDArray[np.intp]) -> Array:
        """(B, 1 + T) that the first of each pair wins, by all answers and by those since each τ."""
        i, k = self._pairs[rows].T
        gap = self._rating[i] - self._rating[k]
        spread = 1 / (1 + self._played[i] / 4) + 1 / (1 + self._played[k] / 4)
        centre = 1 / (1 + np.exp(-gap / np.sqrt(1 + np.pi / 8 * spread)))
        q: Array = (self._won[rows] + SHRINK * centre) / (self._met[rows] + SHRINK)
        new = self._met[rows] == self._met[rows, :1]  # nothing from before τ to forget
        return _within(np.where(new, q[:, :1], q))

    def _products(self, rows: NDArray[np.intp]) -> Array:
        """(C, A) what these pairs add to the logs of the products."""
        odds = np.expm1(np.minimum(self._said[rows] - self._best[rows, None], 300.0))
        added: Array = np.log1p(CHANGED[:, :, None] * odds).sum(axis=1)
        return added

    def _open(self) -> None:
        """A drift that begins now becomes possible."""
        self._opens = max(self.read + OPENS, int(WIDENS * self.read))
        self._said = np.column_stack([self._said, self._said[:, 0]])
        self._won, self._met, self._rating, self._played = (
            np.column_stack([table, np.zeros(len(table))])
            for table in (self._won, self._met, self._rating, self._played)
        )
        fresh = self._products(np.arange(len(self._pairs)))[:, :1]
        self._total = np.column_stack([self._total, fresh])

    def _row_of(self, i: int, k: int) -> int:
        row = self._row.setdefault((i, k), len(self._row))
        if row == len(self._pairs):  # rows without answers add nothing, so room is made for more
            more = max(16, row)
            self._last, self._best, self._pairs, self._said, self._won, self._met = (
                np.concatenate([table, np.zeros((more, *table.shape[1:]), table.dtype)])
                for table in (
                    self._last,
                    self._best,
                    self._pairs,
                    self._said,
                    self._won,
                    self._met,
                )
            )
            self._last[row:] = 0.5
        self._pairs[row] = i, k
        return row


def _mixed(totals: Array, weights: Array) -> float:
    """Log of the mixture over the c and over the alternatives, of (C, A) logs."""
    if not totals.shape[1]:
        return 0.0
    top = float(totals.max())
    return top + log(float((np.exp(totals - top) * weights).sum()) / len(CHANGED))


def _harmonic(n: int) -> Array:
    """1/2, 1/6, 1/12, …: a prior for as many τ as will ever be."""
    at = np.arange(1, n + 1)
    return np.asarray(1 / (at * (at + 1.0)))


def _grouped(of: list[int]) -> tuple[NDArray[np.intp], Array]:
    """The different numbers, and (U, B) which of them each place holds."""
    some = np.array(list(dict.fromkeys(of)))
    return some, (some[:, None] == np.array(of)).astype(float)


def _within(q: Array) -> Array:
    return np.minimum(np.maximum(q, SURE), 1 - SURE)
