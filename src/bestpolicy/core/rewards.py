"""Rewards: what live units, each given one policy by chance, prove about the best mean.

    X_ij = (R - c) 1[A=i] / p_i - (R - c) 1[A=j] / p_j        E[X_ij | past] = mu_i - mu_j
    W_ij = Π (1 + lambda X_ij)                                null: i is no better than j

Units are read in the order of their assignment. The chances p were fixed before A was drawn, and
the centre c and the stakes lambda come from earlier units, so W_ij is a non-negative
supermartingale whatever rule chose p, and also when all means drift, as long as i stays no better
than j (Waudby-Smith et al. 2022, arXiv 2210.10768). A unit that never answered is left out.

The verdict follows core/certificate.py. **Drop** j when the mean of W_ij over i reaches its bar:
the null is that j is best. **Winner** i when A_ij reaches its bar for every j not dropped, the
capital 1 being shared over the possible winners. A wrong winner i needs a proof against one fixed
better policy, or that this one was dropped; where two are best, either of them may have been: so

    P(wrong) <= a_win + 2 a_drop <= delta

**Equivalent** when all who are left are within the indifference of each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, log

import numpy as np
from numpy.typing import NDArray

from bestpolicy.core.certificate import AT_START, CASH_DELAY, CASH_FLOW, Ledger
from bestpolicy.core.evidence import MOST_STAKED, share_interval
from bestpolicy.core.nouns import Array, Interval, Standing, Verdict

EFFECTS = np.geomspace(0.003, 0.6, 8)  # differences of means, each with a stake that suits it
LEAST_SPREAD = 1e-4  # of rewards around their centre; equal rewards must not promise a sure thing
DOUBT = 4.0  # squared standard errors that blur a gap when traffic is shared out


@dataclass(slots=True)
class Rewards:
    """The evidence of one live study. `tell` reads one unit; nothing else writes."""

    policies: int
    confidence: float = 0.95
    indifference: float = 0.0  # means this close are as good as equal
    explore: float = 0.1  # the share of traffic that all who are left have in equal parts
    told: int = 0
    _ledger: Ledger = field(init=False)
    _drop: float = field(init=False)  # the bar of log evidence at which a policy leaves
    _n: Array = field(init=False)  # (K,) units with a reward
    _sum: Array = field(init=False)  # (K,) of rewards
    _squares: Array = field(init=False)  # (K,) of squared rewards
    _wealth: Array = field(init=False)  # (K, K, effects) log W_ij of each effect
    _pair: Array = field(init=False)  # (K, K) log of their mean
    _proof: Array = field(init=False)  # (K, K) log A_ij; inf once proven
    _near: Array = field(init=False)  # (K, K) log C_ij: j is not better than i by the indifference
    _alive: NDArray[np.bool_] = field(init=False)
    _won: int = field(init=False, default=-1)
    _mean: Array = field(init=False)  # (K,) shrunk towards the mean of all by one unit each
    _drawn: Array | None = field(init=False, default=None)  # the chances of the last unit,
    _inverse: Array = field(init=False)  # and 1 / p of each; 0 for who had no chance
    _open: Array = field(init=False)  # 1 for who had one

    def __post_init__(self) -> None:
        K = self.policies
        self._ledger = Ledger.of(1 - self.confidence, indifference=self.indifference)
        self._drop = self._ledger.drop + log(2)  # two policies may be best, each dropped wrongly
        self._n, self._sum, self._squares = np.zeros(K), np.zeros(K), np.zeros(K)
        self._wealth = np.zeros((K, K, len(EFFECTS)))
        self._pair = np.zeros((K, K))
        self._proof = np.full((K, K), log(AT_START / K))
        self._near = np.full((K, K), -log(K))
        for square in (self._proof, self._near):
            np.fill_diagonal(square, inf)
        np.fill_diagonal(self._pair, -inf)  # nobody speaks against himself
        self._alive = np.ones(K, np.bool_)
        self._learn()

    def tell(self, policy: int, chances: Array, reward: float | None) -> None:
        """Read the next unit: its policy, the chances it was drawn with, and what it gave back."""
        if reward is None:
            return
        over = self._over()
        if not over:
            self._bet(policy, chances, reward)
        self._n[policy] += 1
        self._sum[policy] += reward
        self._squares[policy] += reward**2
        self._learn()
        if over:  # estimates go on, the verdict stands
            return
        self.told += 1
        self._hand_out()
        self._decide()

    def verdict(self) -> Verdict[int]:
        left = tuple(np.flatnonzero(self._alive).tolist())
        if self._won >= 0:
            reason = "its mean reward is higher than every rival's"
            return Verdict("winner", self._won, self.confidence, (self._won,), self.told, reason)
        if self._level():
            reason = f"their mean rewards differ by at most {self.indifference:g}"
            return Verdict("equivalent", left[0], self.confidence, left, self.told, reason)
        return Verdict("undecided", None, self.confidence, left, self.told, "")

    def standing(self) -> Standing:
        leader = self._leader()
        return Standing(
            leader=leader,
            alive=self._alive.copy(),
            evidence=self._evidence(),
            proof=self._proof[leader].copy(),
            drop_bar=self._drop,
            proof_bar=self._ledger.win,
            rival=self._pair.argmax(axis=0),  # row i speaks for i, so column j is against j
            forecast=self._forecast(leader),
        )

    def estimates(self) -> list[Interval]:
        """Each policy's mean reward, which its interval covers at every moment."""
        alpha = 1 - self.confidence
        pairs = zip(self._sum.tolist(), self._n.tolist(), strict=True)
        return [share_interval(total, n - total, alpha) for total, n in pairs]

    def allocation(self) -> Array:
        """Chances for the units to come: none for who is out, most where a proof is still slow.

        What is not for exploring is shared so that the leader's proofs against all grow alike:
        p_j ∝ v_j / gap_j², p_leader = sqrt(v_leader Σ p_j² / v_j) (Glynn & Juneja 2004).
        """
        if self._won >= 0:
            return np.asarray(np.eye(self.policies)[self._won])
        alive = self._alive
        q, leader = np.zeros(self.policies), self._leader()
        mean, spread = self._mean, self._spreads()
        open_ = alive & (self._proof[leader] < inf)
        rivals = open_ & (np.arange(self.policies) != leader)
        if rivals.any():
            blur = DOUBT * (spread / (self._n + 1) + spread[leader] / (self._n[leader] + 1))
            q[rivals] = (spread / ((mean[leader] - mean) ** 2 + blur))[rivals]
            q[leader] = np.sqrt(spread[leader] * (q[rivals] ** 2 / spread[rivals]).sum())
        else:
            q[alive] = 1.0
        even = alive / alive.sum()
        return np.asarray((1 - self.explore) * q / q.sum() + self.explore * even)

    def _bet(self, a: int, chances: Array, reward: float) -> None:
        """Bets of a against everyone, and of everyone against a; other pairs learn nothing."""
        if chances is not self._drawn:
            had = chances > 0
            self._drawn, self._open = chances, had.astype(np.float64)
            self._inverse = np.divide(1.0, chances, out=np.zeros(self.policies), where=had)
        inverse, mine = self._inverse, self._inverse[a]
        c = (self._mean[a] + self._mean) / 2
        x = (reward - c) * (mine * self._open)  # X_aj; who had no chance is left alone
        x[a] = 0.0
        square = self._spread_of(a, c) * mine + self._spread_of(slice(None), c) * inverse
        # What a bet of a on itself can cost, and one of somebody else.
        most = np.maximum([c * mine, c * inverse], [(1 - c) * inverse, (1 - c) * mine])
        gain = np.array([x, -x])
        stakes = np.minimum(EFFECTS / square[:, None], MOST_STAKED / most[:, :, None])
        grown = np.log1p(stakes * gain[:, :, None])
        self._wealth[a] += grown[0]
        self._wealth[:, a] += grown[1]
        for row, wealth in ((a, self._wealth[a]), ((slice(None), a), self._wealth[:, a])):
            pair = _log_mean(wealth)
            change = pair - self._pair[row]
            change[a], pair[a] = 0.0, -inf
            self._proof[row] += change
            self._pair[row] = pair
        if self.indifference:
            # A pair that gets one unit in so many has to differ by as much more in each.
            zone, units = self.indifference, self._open / (chances[a] + chances)
            units[a] = 0.0
            stake = np.minimum(zone / square, MOST_STAKED / most)
            near = np.log1p(stake * (gain + zone * units))
            self._near[a] += near[0]
            self._near[:, a] += near[1]

    def _hand_out(self) -> None:
        """Capital for the possible winners flows to whoever leads, a little with every unit."""
        before, now = (
            (1 - AT_START) * (1 + t / CASH_DELAY) ** -CASH_FLOW for t in (self.told - 1, self.told)
        )
        row = self._proof[self._leader()]
        np.logaddexp(row, log(before - now), out=row, where=row < inf)

    def _decide(self) -> None:
        self._proof[self._proof >= self._ledger.win] = inf
        self._near[self._near >= self._ledger.close] = inf
        self._alive &= self._evidence() < self._drop
        beaten = (self._proof == inf) | ~self._alive
        complete = np.flatnonzero(beaten.all(axis=1) & self._alive)
        if len(complete):
            self._won = int(complete[0])
            self._alive = np.arange(self.policies) == self._won

    def _evidence(self) -> Array:
        """(K,) log of the mean of W_ij over i, against "j is best"."""
        top = self._pair.max(axis=0)
        rest = np.exp(self._pair - top).sum(axis=0)
        return np.asarray(top + np.log(rest / (self.policies - 1)))

    def _over(self) -> bool:
        return self._won >= 0 or self._level()

    def _level(self) -> bool:
        near = self._near[np.ix_(self._alive, self._alive)]
        return bool(self.indifference and (near == inf).all())

    def _leader(self) -> int:
        return int(np.where(self._alive, self._mean, -inf).argmax())

    def _learn(self) -> None:
        overall = (self._sum.sum() + 0.5) / (self._n.sum() + 1)
        self._mean = (self._sum + overall) / (self._n + 1)

    def _spreads(self) -> Array:
        """(K,) variances, never quite 0."""
        return self._spread_of(slice(None), self._mean)

    def _spread_of(self, who: int | slice, c: Array) -> Array:
        """E[(R - c)²] of these policies, from a quarter (the most there is) at the start."""
        n, total, squares = self._n[who], self._sum[who], self._squares[who]
        around = squares - 2 * c * total + c**2 * n
        return np.maximum((around + c * (1 - c)) / (n + 1), LEAST_SPREAD)

    def _forecast(self, leader: int) -> float:
        """Units to go if the means are what they look like and traffic stays as it is."""
        if self._over():
            return 0.0
        p, mean, spread = self.allocation(), self._mean, self._spreads()
        slowest = 0.0
        for j in np.flatnonzero(self._alive & (self._proof[leader] < inf)):
            gap = mean[leader] - mean[j]
            if gap <= 0 or not p[j]:
                return inf
            growth = gap**2 / (2 * (spread[leader] / p[leader] + spread[j] / p[j]))
            slowest = max(slowest, (self._ledger.win - self._proof[leader, j]) / growth)
        return float(slowest)


def _log_mean(wealth: Array) -> Array:
    """Log of the mean of exp over the last axis."""
    top = wealth.max(axis=-1)
    return np.asarray(top + np.log(np.exp(wealth - top[:, None]).mean(axis=-1)))
