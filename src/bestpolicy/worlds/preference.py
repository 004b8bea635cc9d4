"""Policies compared by a judge who follows a known matrix p of mean win shares.

    P(i is preferred to j) = p_ij = 1 - p_ji;   Bradley-Terry: p_ij = μ(u_i - u_j), μ logistic

The instances of the published tables are named in `INSTANCES`. An `Answer` says how a judge turns
a mean share into a verdict; a world that wraps another one says how a judge misbehaves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from bestpolicy.core.nouns import Array, Comparison, ConfigError, Context, Outcome, Rng, World
from bestpolicy.worlds import truth

Answer = Callable[[Array, Rng], Array]  # (n,) mean shares of the first shown -> (n,) shares


def coin(p: Array, rng: Rng) -> Array:
    """One side wins outright, the first shown with chance p."""
    return (rng.random(p.shape) < p).astype(float)


def drawing(share: float) -> Answer:
    """A draw with chance `share`, else a coin: mean shares shrink towards 1/2, the order stays."""

    def answer(p: Array, rng: Rng) -> Array:
        return np.where(rng.random(p.shape) < share, 0.5, coin(p, rng))

    return answer


def graded(concentration: float) -> Answer:
    """A share y ~ Beta(c p, c (1 - p)), whose mean is p; p strictly between 0 and 1."""

    def answer(p: Array, rng: Rng) -> Array:
        return rng.beta(concentration * p, concentration * (1 - p))

    return answer


def first_shown_favoured(b: float, then: Answer = coin) -> Answer:
    """The first shown wins with chance μ(s + b) instead of μ(s)."""

    def answer(p: Array, rng: Rng) -> Array:
        return then(expit(logit(p) + b), rng)

    return answer


@dataclass(frozen=True, eq=False)
class Preference:
    """A judge whose verdicts are independent given the pair."""

    p: Array  # (K, K) p_ij; p_ij + p_ji = 1
    answer: Answer = coin
    rows: tuple[tuple[float, ...], ...] = field(init=False, repr=False)  # p, quick to index

    def __post_init__(self) -> None:
        p = np.array(self.p, float)
        if p.ndim != 2 or p.shape[0] != p.shape[1] or len(p) < 2:
            raise ConfigError(
                f"a preference matrix must be square, two policies at least: saw shape {p.shape}"
            )
        if not (np.all((p >= 0) & (p <= 1)) and np.allclose(p + p.T, 1, rtol=0, atol=1e-9)):
            raise ConfigError(
                "a preference matrix needs p_ij in [0, 1] and p_ij + p_ji = 1: saw "
                f"values from {p.min()} to {p.max()} and sums up to "
                f"{np.abs(p + p.T - 1).max()} from 1; give shares, not counts"
            )
        p.setflags(write=False)
        object.__setattr__(self, "p", p)
        object.__setattr__(self, "rows", tuple(map(tuple, p.tolist())))

    @property
    def policies(self) -> int:
        return len(self.rows)

    @property
    def winner(self) -> int | None:
        return truth.winner(self.p)

    def contexts(self, n: int, rng: Rng) -> Sequence[Context]:
        return [None] * n

    def play(self, comparisons: Sequence[Comparison], rng: Rng) -> list[Outcome]:
        if len(comparisons) == 1 and self.answer is coin:  # the path of every long simulation
            (comparison,) = comparisons
            left, right = comparison.arms
            won = rng.random() < self.rows[left][right]
            return [Outcome(comparison, (1.0, 0.0) if won else (0.0, 1.0))]
        return _outcomes(comparisons, self.answer(_means(self.rows, comparisons), rng))


@dataclass(frozen=True, eq=False)
class Drifting:
    """A judge who, for the first `n` ask numbers, lets the worst policy win 70:30.

    Worst means least preferred on average. Not exchangeable: the promise does not cover it.
    """

    world: Preference
    n: int
    favour: float = 0.7

    def contexts(self, n: int, rng: Rng) -> Sequence[Context]:
        return self.world.contexts(n, rng)

    def play(self, comparisons: Sequence[Comparison], rng: Rng) -> list[Outcome]:
        p = np.array(self.world.p)
        worst = int(p.mean(axis=1).argmin())
        p[worst, :], p[:, worst] = self.favour, 1 - self.favour
        p[worst, worst] = 0.5
        early = replace(self.world, p=p)
        return [(early if c.id < self.n else self.world).play([c], rng)[0] for c in comparisons]


@dataclass(frozen=True, eq=False)
class Repeating:
    """A judge who answers the same pair on the same input the same way, every time.

    Inputs are drawn with replacement, so the truth is `verdicts.mean(axis=0)`: that of this file.
    """

    verdicts: Array  # (inputs, K, K) the share of i against j on each input

    @classmethod
    def drawn(cls, p: Array, inputs: int, rng: Rng) -> Repeating:
        """A file of inputs, on each of which every pair's verdict is one coin with chance p_ij."""
        upper = np.triu(rng.random((inputs, *p.shape)) < p, 1).astype(float)
        lower = np.tril(1 - np.swapaxes(upper, 1, 2), -1)
        return cls(upper + lower + 0.5 * np.eye(len(p)))

    def contexts(self, n: int, rng: Rng) -> Sequence[Context]:
        return [int(i) for i in rng.integers(len(self.verdicts), size=n)]

    def play(
        self,
        comparisons: Sequence[Comparison],
        rng: Rng,
    ) -> list[Outcome]:
        shares = np.array([self.verdicts[c.context, *c.arms] for c in comparisons])
        return _outcomes(comparisons, shares)


@dataclass(frozen=True, eq=False)
class Failing:
    """A judge who sometimes does not answer, with a chance that may depend on the verdict."""

    world: World
    chance: Callable[[Outcome], float]

    def contexts(self, n: int, rng: Rng) -> Sequence[Context]:
        return self.world.contexts(n, rng)

    def play(self, comparisons: Sequence[Comparison], rng: Rng) -> list[Outcome]:
        answers = self.world.play(comparisons, rng)
        lost = rng.random(len(answers))
        return [
            replace(a, scores=None) if u < self.chance(a) else a
            for a, u in zip(answers, lost, strict=True)
        ]


def shuffled(world: Preference, rng: Rng) -> Preference:
    """The same world with its policies renumbered, so that no number is worth knowing."""
    return renumbered(world, rng.permutation(world.policies))


def renumbered(world: Preference, order: NDArray[np.intp]) -> Preference:
    """The same world, its policy order[i] now number i."""
    return replace(world, p=world.p[np.ix_(order, order)])


def bradley_terry(u: ArrayLike) -> Preference:
    """p_ij = μ(u_i - u_j)."""
    strengths = np.asarray(u, float)
    return Preference(expit(strengths[:, None] - strengths[None, :]))


def feature_model(seed: int, policies: int, d: int = 3, norm: float = 1.5) -> tuple[Array, Array]:
    """x (K, d) and θ (d,), both normal, θ scaled to `norm`, policies best first."""
    rng = np.random.default_rng(seed)  # the published recipe, not a named stream
    x = rng.normal(size=(policies, d))
    theta = rng.normal(size=d)
    theta = theta * norm / np.linalg.norm(theta)
    return x[np.argsort(x @ theta)[::-1]], theta


def features(seed: int, policies: int, d: int = 3, norm: float = 1.5) -> Preference:
    """p_ij = μ(θ·(x_i - x_j)), x and θ those of `feature_model`."""
    x, theta = feature_model(seed, policies, d, norm)
    return bradley_terry(x @ theta)


def cyclic(
    followers: int = 7, *, share: float = 0.56, reach: int = 3, beat: float = 0.85
) -> Preference:
    """Policy 0 wins narrowly; each other one beats the next `reach` in a circle, decisively."""
    p = np.full((followers + 1, followers + 1), 0.5)
    p[0, 1:] = share
    for a in range(followers):
        for step in range(1, reach + 1):
            p[1 + a, 1 + (a + step) % followers] = beat
    return _mirrored(p)


def winner_not_favourite(policies: int = 8) -> Preference:
    """Policy 0 beats everyone by little, policy 1 beats everyone else by much (best by Borda)."""
    p = np.array(bradley_terry(-0.2 * np.arange(policies)).p)
    p[1, 2:] = 0.95
    p[0, 1:] = 0.55
    return _mirrored(np.triu(p, 1) + np.tril(np.full_like(p, 0.5)))


def top_cycle(gap: float = 1.5, beat: float = 0.65) -> Preference:
    """Three good policies that beat each other in a circle, and three bad ones: no winner."""
    p = np.array(bradley_terry([0, 0, 0, -gap, -gap, -gap]).p)
    for i, j in ((0, 1), (1, 2), (2, 0)):
        p[i, j], p[j, i] = beat, 1 - beat
    return Preference(p)


def tied(policies: int) -> Preference:
    """Nobody is better than anybody: an A/A test."""
    return Preference(np.full((policies, policies), 0.5))


INSTANCES: dict[str, Callable[[], Preference]] = {
    "easy4": lambda: bradley_terry([0, -0.85, -1.1, -1.4]),
    "hard8": lambda: bradley_terry([0, -0.2, -0.5, -0.7, -0.9, -1.1, -1.3, -1.5]),
    "mid16": lambda: bradley_terry([0, *(-(0.4 + 0.1 * k) for k in range(15))]),
    "easy32": lambda: bradley_terry([0, *(-(0.85 + 0.05 * k) for k in range(31))]),
    "cyc8": cyclic,
    "nonborda8": winner_not_favourite,
    "feat32": lambda: features(7, 32),
    "feat1000": lambda: features(11, 1000),
    "nowinner6": top_cycle,
    "tied2": lambda: tied(2),
    "tied5": lambda: tied(5),
}

# What a rule may be told of an instance: x, and the θ it does not know. Bradley-Terry is x = 1.
STRUCTURES: dict[str, Callable[[], tuple[Array, Array]]] = {
    "easy4": lambda: _strengths("easy4"),
    "hard8": lambda: _strengths("hard8"),
    "mid16": lambda: _strengths("mid16"),
    "easy32": lambda: _strengths("easy32"),
    "feat32": lambda: feature_model(7, 32),
    "feat1000": lambda: feature_model(11, 1000),
}


def _strengths(instance: str) -> tuple[Array, Array]:
    p = INSTANCES[instance]().p
    return np.eye(len(p)), np.asarray(logit(p[:, 0]))


def _mirrored(p: Array) -> Preference:
    """Fill in p_ji = 1 - p_ij wherever only p_ij was given."""
    given = p != 0.5
    return Preference(np.where(given, p, np.where(given.T, 1 - p.T, 0.5)))


def _means(rows: Sequence[Sequence[float]], comparisons: Sequence[Comparison]) -> Array:
    return np.array([rows[c.arms[0]][c.arms[1]] for c in comparisons], float)


def _outcomes(comparisons: Sequence[Comparison], shares: Array) -> list[Outcome]:
    return [Outcome(c, (y, 1 - y)) for c, y in zip(comparisons, shares.tolist(), strict=True)]
