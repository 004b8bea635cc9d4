"""Rows: a chunk of a log with what is known beside it, and estimators as means over rows.

    V = Σ z_i / Σ u_i,     se² = Σ (z_i - V u_i)² / (Σ u_i)²        (delta method; u = 1: a mean)

An estimator is a function of rows to terms (z, u). One pass over the log serves any number of them,
and what two of them need is computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, update_wrapper
from math import sqrt
from typing import Any, Protocol

import numpy as np
from scipy.stats import norm

from bestpolicy.core.betting import Purse, between
from bestpolicy.core.log import BadRow, Estimate, Log, Logged, Target
from bestpolicy.core.nouns import Array, ConfigError, Interval
from bestpolicy.offpolicy.targets import Column, Tabled, target_of

FEW = 100.0  # effective rows below which no asymptotic interval is worth a claim


class Side(Protocol):
    """Something known beside the log, for each row of a chunk."""

    def __call__(self, rows: Rows) -> Any: ...


@dataclass(frozen=True, slots=True)
class Given:
    """What an estimator may use besides the log; each estimator says which of it it needs."""

    predictions: Side | None = None  # (m, A) Rhat(x_i, .), of a model that has not seen row i;
    pair: Side | None = None  # or only q_i = Rhat(x_i, a_i) and d_i = E_{a~pi} Rhat(x_i, a)
    marginal: Side | None = None  # (m,) w(x_i, e_i), the weight of what the action looks like
    cluster: Side | None = None  # (m,) w(x_i, c(a_i)), the weight of the action's cluster
    kernel: Side | None = None  # (m,) k_i, the weight of sentences near the logged one
    sentences: Side | None = None  # q_i = Rhat(x_i, s_i), d_i = mean of Rhat(x_i, s') under pi
    centre: float | None = None  # b, the mean logged reward, from which kernel weights count


class Rows:
    """A chunk, its target and what was given; each thing is made when it is first asked for."""

    def __init__(self, log: Log, target: Target, given: Given) -> None:
        self.log, self.target, self.given = log, target, given

    @cached_property
    def w(self) -> Array:
        """(m,) pi(a_i | x_i) / p_i."""
        if isinstance(self.target, Tabled):  # checks the whole table, which is asked for once
            return self.table[np.arange(len(self.log)), self.log.actions] / self.log.propensity
        return self.target.chances(self.log) / self.log.propensity

    @cached_property
    def r(self) -> Array:
        """(m,) rewards, bounds taken to 0 and 1."""
        return self.log.scaled()

    @cached_property
    def table(self) -> Array:
        """(m, A) pi(. | x_i)."""
        table = self.target.table(self.log)
        if table is None:
            raise ConfigError(
                f"of the target {self.target.name!r} only the chances of logged actions are known; "
                "this needs those of all actions: give an (n, A) array or a policy"
            )
        return table

    @cached_property
    def q_d(self) -> tuple[Array, Array]:
        """(m,) q_i = Rhat(x_i, a_i) and (m,) d_i = Σ_a pi(a | x_i) Rhat(x_i, a)."""
        if self.given.pair is not None:
            q, d = self.given.pair(self)
        else:
            words = "predictions of the reward"
            every = _present(self.given.predictions, "predictions", words)(self)
            q = every[np.arange(len(self.log)), self.log.actions]
            d = np.einsum("ia,ia->i", self.table, every)
        for predicted in (q, d):
            if not np.isfinite(predicted).all():
                i = int(np.argmin(np.isfinite(predicted)))
                rule = "a predicted reward must be a number"
                raise BadRow(self.log.start + i, "predictions", float(predicted[i]), rule)
        return self.rescaled(q), self.rescaled(d)

    @cached_property
    def marginal(self) -> Array:
        """(m,) w(x_i, e_i)."""
        weights = _present(self.given.marginal, "marginal", "what actions look like")
        made: Array = weights(self)
        return made

    @cached_property
    def cluster(self) -> Array:
        """(m,) w(x_i, c(a_i))."""
        made: Array = _present(self.given.cluster, "cluster", "clusters of actions")(self)
        return made

    @cached_property
    def k(self) -> Array:
        """(m,) k_i, how much likelier the target is to say something like s_i."""
        made: Array = _present(self.given.kernel, "kernel", "sentences and a bank of them")(self)
        return made

    @cached_property
    def sentence_q_d(self) -> tuple[Array, Array]:
        side = _present(self.given.sentences, "sentences", "a model of the reward of sentences")
        q, d = side(self)
        return self.rescaled(q), self.rescaled(d)

    @cached_property
    def centre(self) -> float:
        """b, bounds taken to 0 and 1."""
        if self.given.centre is None:
            raise ConfigError("this estimator needs the mean logged reward: give `centre`")
        return float(self.rescaled(np.array(self.given.centre)))

    def weighed(self, w: Array) -> Array:
        """(m,) w r with the rewards as they were logged, on the scale that has `bounds` at 0 and 1.

        Weights do not average 1 exactly, so that where zero lies matters to IPS and its kin.
        """
        low, high = self.log.bounds
        return w * self.r if low == 0 else w * self.r + low / (high - low) * (w - 1)

    def rescaled(self, rewards: Array) -> Array:
        """Predicted rewards, bounds taken to 0 and 1."""
        low, high = self.log.bounds
        rewards = np.asarray(rewards, dtype=np.float64)  # whatever the model computes in
        return rewards if (low, high) == (0, 1) else (rewards - low) / (high - low)


def value_bets(rows: Rows) -> tuple[Array, Array]:
    """(m,) w r, whose mean is the value in [0, 1], and w (1 - r), for the other end."""
    wr = rows.w * rows.r
    return wr, rows.w - wr


Terms = tuple[Array, Array | float]


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums of terms, enough for a ratio and its delta-method error; they add up."""

    n: float = 0.0
    z: float = 0.0
    u: float = 0.0
    zz: float = 0.0
    zu: float = 0.0
    uu: float = 0.0

    @classmethod
    def of(cls, z: Array, u: Array | float) -> Sums:
        n = float(len(z))
        if isinstance(u, float):
            total = float(z.sum(dtype=np.float64))
            return cls(n, total, n * u, dot(z, z), u * total, n * u * u)
        return cls(n, float(z.sum()), float(u.sum()), dot(z, z), dot(z, u), dot(u, u))

    def __add__(self, other: Sums) -> Sums:
        return Sums(*(getattr(self, s) + getattr(other, s) for s in self.__slots__))

    @property
    def value(self) -> float:
        return self.z / self.u if self.u else float("nan")

    @property
    def stderr(self) -> float:
        if not self.u or self.n < 2:
            return float("inf")
        v = self.value
        spread = max(0.0, self.zz - 2 * v * self.zu + v * v * self.uu)
        return sqrt(spread * self.n / (self.n - 1)) / self.u

    def normal(self, alpha: float) -> Interval:
        """value ± z se: right in the long run only."""
        reach = float(norm.ppf(1 - alpha / 2)) * self.stderr
        return Interval(self.value, self.value - reach, self.value + reach)


@dataclass(frozen=True, slots=True)
class Proof:
    """What holds at every n: purses of w r and w (1 - r), and the effective number of rows.

    Rows that stand for more than themselves, some more than others, prove nothing at finite n.
    """

    up: Purse = field(default_factory=Purse)
    down: Purse = field(default_factory=Purse)
    w: float = 0.0
    ww: float = 0.0
    often: tuple[float, float] = (1.0, 1.0)  # the least and most that a row stands for

    @classmethod
    def of(cls, rows: Rows) -> Proof:
        w, often = rows.w, rows.log.weight
        up, down = value_bets(rows)
        purses = Purse.of(up), Purse.of(down)
        if often is None:
            return cls(*purses, float(w.sum()), dot(w, w))
        w = often * w
        return cls(*purses, float(w.sum()), dot(w, w), (float(often.min()), float(often.max())))

    def __add__(self, other: Proof) -> Proof:
        often = self.often
        if self.up.n and other.up.n:
            often = min(often[0], other.often[0]), max(often[1], other.often[1])
        elif other.up.n:
            often = other.often
        up, down = self.up + other.up, self.down + other.down
        return Proof(up, down, self.w + other.w, self.ww + other.ww, often)

    @property
    def uneven(self) -> bool:
        """Whether some rows stand for more than others."""
        return self.often[0] != self.often[1]

    @property
    def effective(self) -> float:
        """(Σ w)² / Σ w²: rows of the target's own that this log is worth."""
        return self.w**2 / self.ww if self.ww else 0.0

    def interval(self, alpha: float) -> Interval:
        """The value of the target in [0, 1], by betting."""
        if self.uneven:
            return Interval(self.up.mean, 0.0, 1.0)
        return between(self.up, self.down, alpha)


class Estimator:
    """A function of rows to terms, as a function of a log and a target to an estimate."""

    def __init__(
        self, terms: Callable[..., Terms], needs: tuple[str, ...] = (), caveat: str = ""
    ) -> None:
        self._terms, self.name, self.needs = terms, terms.__name__, needs
        self.caveat = caveat  # what its standard error leaves out
        update_wrapper(self, terms)

    def terms(self, rows: Rows, **options: Any) -> Sums:
        """The sums of these rows' terms, each row as often as it stands for."""
        return Sums.of(*self.each(rows, **options))

    def each(self, rows: Rows, **options: Any) -> Terms:
        """These rows' terms, one by one."""
        z, u = self._terms(rows, **options)
        often = rows.log.weight
        return (z, u) if often is None else (often * z, often * u)

    def warnings(self, given: Given) -> tuple[str, ...]:
        """What is always to be said of it, and what the sides it leans on say of themselves."""
        sides = [getattr(given, need) for need in self.needs]
        said = tuple(word for side in sides for word in getattr(side, "warnings", ()))
        return (self.caveat, *said) if self.caveat else said

    def __call__(
        self,
        log: Logged,
        target: Any,
        *,
        alpha: float = 0.05,
        given: Given | None = None,
        **options: Any,
    ) -> Estimate:
        given, proof, sums = given or Given(), Proof(), Sums()
        for rows in parts(log, target_of(target, log), given):
            proof, sums = proof + Proof.of(rows), sums + self.terms(rows, **options)
        made = estimate(sums, proof, log.bounds, alpha)
        return made.warned(*self.warnings(given))


def estimator(terms: Callable[..., Terms]) -> Estimator:
    """A function from rows to (z, u) with rewards in [0, 1], made an estimator."""
    return Estimator(terms)


def needing(*sides: str, caveat: str = "") -> Callable[[Callable[..., Terms]], Estimator]:
    """The same, of an estimator that needs these fields of `Given`."""
    return lambda terms: Estimator(terms, sides, caveat)


def parts(log: Logged, target: Target, given: Given) -> Iterator[Rows]:
    """The log's rows, few at a time, with the column that the target is, if it is one."""
    if not len(log):
        raise ConfigError("the log has no rows: there is nothing to learn from")
    if isinstance(target, Column):
        log = log.keeping(target.column)
    for chunk in log.chunks():
        yield Rows(chunk, target, given)


def estimate(
    sums: Sums,
    proof: Proof,
    bounds: tuple[float, float],
    alpha: float,
    others: Mapping[str, Interval] | None = None,
    effective: float | None = None,
) -> Estimate:
    """Terms folded, back on the scale of the rewards; `others` are intervals made already, and
    `effective` rows those of the estimator's own weights, where these are not the prompts'."""
    low, high = bounds
    others = others or {}
    reach = high - low

    def back(interval: Interval) -> Interval:
        return Interval(*(low + reach * x for x in (interval.value, interval.low, interval.high)))

    usual = back(sums.normal(alpha))
    sure = back(others["betting"] if "betting" in others else proof.interval(alpha))
    warnings: tuple[str, ...] = ()
    effective = proof.effective if effective is None else effective
    if few := effective < FEW:
        worth = f"the log is worth {effective:.0f} rows of the target's own"
        warnings = (f"{worth}, fewer than {FEW:.0f}: nothing is claimed",)
    if proof.uneven:
        warnings += ("rows stand for different numbers of rows: no interval holds at finite n",)
    return Estimate(
        usual.value,
        reach * sums.stderr,
        int(sums.n),
        sure.low,
        sure.high,
        warnings,
        usual,
        not (few or proof.uneven),
        effective,
        {name: back(interval) for name, interval in others.items()},
    )


def dot(a: Array, b: Array) -> float:
    """Σ a b. BLAS would start threads for it, which cost more than they bring."""
    return float(np.einsum("i,i->", a, b))


def _present(side: Side | None, name: str, words: str) -> Side:
    if side is None:
        raise ConfigError(f"this estimator needs {words}: give `{name}`")
    return side
