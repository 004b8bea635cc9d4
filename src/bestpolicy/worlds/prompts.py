"""Prompts: a world of users, queries, prompts and sentences in which every value is known.

    x = (u, q) ~ N(0, L Lᵀ),  L (10, 10) from U[-1, 1]      a user and a query, 5 numbers each
    s = q M + f(e_a N) + N(0, I),  e_a ~ N(0, I)            the sentence to prompt a
    r ~ N(R(x, s), sigma²),  R(x, s) = (u Q + q R) . s / 250

R is linear in s, so that E[R | x, a] = R(x, E[s | q, a]) and V(pi) needs no draws of sentences. The
chance of landing near a sentence is known too: with K = exp(-|s - s'|² / 2 width²)

    E[K(s, s') | q, a] = Π_d sqrt(v / V_d) exp(-(s_d - mu_d)² / 2 V_d),  v = width²,
    V_d = v + var(s'_d) + 2 noise²      noise: of what is added to both embeddings within K

and the chance of landing within a distance is that of a noncentral chi-square.

`compat` keeps what published code does besides: the noise of s is drawn around the mean and then
added to it, so that s = 2 (q M + f) + N(0, I); all matrices come from one seed, so that Q = M and
R = N; N(0, 1) is added to both embeddings within the kernel.
Source: the synthetic benchmark of arXiv 2504.02646.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import chndtr

from bestpolicy.core.log import Ints, Log, rows_of
from bestpolicy.core.net import Net, fitted
from bestpolicy.core.nouns import Array, ConfigError, Rng
from bestpolicy.core.rng import stream
from bestpolicy.core.softmax import Softmax, pick
from bestpolicy.worlds.prompt_maps import MAPS

D = 5  # numbers of a user, a query, a prompt, a sentence
SCALE = (D + D) * D * D
BOUNDS = (-50.0, 50.0)  # far beyond what rewards reach: a declared bound must hold
TRUTH = 20_000  # contexts over which true values are averaged
LOGGED_ROWS = 10_000  # uniform rows from which the logging policy learns
HIDDEN = 100
LADDER = 1e-3  # steps of a table that is read between its lines: wrong by less than 1e-6


@dataclass(frozen=True, slots=True)
class PromptWorld:
    """One world. Prompts are numbered, sentences are their own embeddings."""

    mixing: Array  # (2D, 2D) L
    prompts: Array  # (A, D) e_a
    moves: Array  # (A, D) f(e_a N)
    M: Array
    N: Array
    Q: Array
    R: Array
    steer: Array  # (D,) 0 where neither query nor prompt moves the sentence
    spread: Array  # (D,) sd of the sentence around its mean
    counts: Array  # (D,) 0 where the reward does not look
    sigma: float = 1.0  # sd of a reward around R(x, s)
    times: float = 1.0  # by which the sentence's mean is multiplied: 2 in compat
    noise: float = 0.0  # sd of what a kernel adds to both embeddings: 1 in compat
    seed: int = 0  # of the contexts over which values are averaged

    @property
    def actions(self) -> int:
        return len(self.prompts)

    def contexts(self, n: int, rng: Rng) -> Array:
        """(n, 2D) users beside their queries."""
        return rng.normal(size=(n, 2 * D)) @ self.mixing.T

    def mean_sentence(self, contexts: Array, actions: Ints) -> Array:
        """(n, D) mu(q, a)."""
        return self._base(contexts) + self._shifts(actions)

    def mean_under(self, contexts: Array, chances: Array) -> Array:
        """(n, D) E[s' | q] over prompts by these (n, A) chances."""
        return self._base(contexts) + chances @ self._shifts()

    def sentences(self, contexts: Array, actions: Ints, rng: Rng) -> Array:
        """(n, D) what the generator says to these prompts."""
        mean = self.mean_sentence(contexts, actions)
        return mean + self.spread * rng.normal(size=mean.shape)

    def draws(self, contexts: Array, chances: Array, count: int, rng: Rng) -> tuple[Ints, Array]:
        """(n, count) prompts by these (n, A) chances, and (n, count, D) sentences to them."""
        picked = pick(chances, rng.random((len(contexts), count)))
        mean = self._base(contexts)[:, None] + self._shifts(picked)
        return picked, mean + self.spread * rng.normal(size=mean.shape)

    def mean_reward(self, contexts: Array, sentences: Array) -> Array:
        """(n,) R(x, s)."""
        made: Array = np.einsum("nd,nd->n", self._taste(contexts), sentences)
        return made

    def rewards(self, contexts: Array, sentences: Array, rng: Rng) -> Array:
        noise = self.sigma * rng.normal(size=len(contexts))
        return self.mean_reward(contexts, sentences) + noise

    def expected(self, contexts: Array) -> Array:
        """(n, A) E[R | x, a]."""
        taste = self._taste(contexts)
        base = np.einsum("nd,nd->n", taste, self._base(contexts))
        made: Array = taste @ self._shifts().T + base[:, None]
        return made

    def closeness(self, contexts: Array, sentences: Array, width: float) -> Array:
        """(n, A) E[K(s_i, s') | q_i, a], K Gaussian of this width."""
        wide = width**2 + self.spread**2 + 2 * self.noise**2
        off, shifts = (sentences - self._base(contexts)) / wide**0.5, self._shifts() / wide**0.5
        far = (off**2).sum(1)[:, None] - 2 * off @ shifts.T + (shifts**2).sum(1)
        made: Array = np.exp(-far / 2) * np.prod(width / wide**0.5)
        return made

    def within(self, contexts: Array, sentences: Array, width: float) -> Array:
        """(n, A) P(|s_i - s'| <= width | q_i, a): the uniform kernel's nearness."""
        variance = self.spread**2 + 2 * self.noise**2
        if (variance != variance[0]).any():
            raise ConfigError(
                "the uniform kernel is summed only where all numbers of a sentence vary alike; "
                f"saw spreads {', '.join(f'{s:g}' for s in self.spread)}: draw, or a Gaussian one"
            )
        scale = variance[0] ** 0.5
        off, shifts = (sentences - self._base(contexts)) / scale, self._shifts() / scale
        far = (off**2).sum(1)[:, None] - 2 * off @ shifts.T + (shifts**2).sum(1)
        np.sqrt(np.maximum(far, 0, out=far), out=far)
        # |s_i - s'|² / variance is a noncentral chi-square: read off a table by |s_i - mu|.
        table = np.linspace(0, far.max(), max(2, int(far.max() / LADDER) + 2))
        made: Array = np.interp(far, table, chndtr((width / scale) ** 2, D, table**2))
        return made

    def uniform(self) -> Softmax:
        return Softmax(lambda contexts: np.zeros((len(contexts), self.actions)))

    def best(self) -> Softmax:
        """All but certain to take the prompt with the highest expected reward."""
        return self.towards_reward(1e9)

    def towards_reward(self, beta: float) -> Softmax:
        """softmax(beta E[R | x, a])."""
        return Softmax(self.expected, beta)

    def logging(self, rng: Rng, beta: float = 1.0, *, steps: int = 3000) -> Softmax:
        """softmax(beta Rhat_0), Rhat_0 a net on (x, e_a) fitted to rows of uniform prompts."""
        contexts = self.contexts(LOGGED_ROWS, rng)
        actions = rng.integers(self.actions, size=LOGGED_ROWS)
        r = self.rewards(contexts, self.sentences(contexts, actions, rng), rng)
        net = fitted(np.hstack([contexts, self.prompts[actions]]), r, rng, steps=steps)
        return Softmax(Believed(net, self.prompts), beta)

    def log(self, n: int, rng: Rng, policy: Softmax) -> Log:
        """n rows by this policy; the sentence's embedding is the column `sentence_emb`."""
        contexts = self.contexts(n, rng)
        chances = policy.table(contexts)
        actions = pick(chances, rng.random((n, 1)))[:, 0]
        said = self.sentences(contexts, actions, rng)
        return Log(
            actions,
            self.rewards(contexts, said, rng),
            chances[np.arange(n), actions],
            tuple(f"prompt {a}" for a in range(self.actions)),
            BOUNDS,
            contexts,
            chances,
            columns={"sentence_emb": said},
        )

    def value(self, policy: Callable[[Array], Array], n: int = TRUTH) -> float:
        """V(pi) of a function from contexts to (n, A) chances: sums over prompts and sentences are
        exact, contexts are the same for every policy."""
        contexts = self.contexts(n, stream(self.seed, "worlds/prompts/truth"))
        total, part = 0.0, rows_of(self.actions)
        for first in range(0, n, part):
            some = contexts[first : first + part]
            total += float(np.einsum("na,na->", policy(some), self.expected(some)))
        return total / n

    def optimality(self, policy: Callable[[Array], Array]) -> float:
        """(V(pi) - V(uniform)) / (V(best) - V(uniform))."""
        least, most = self.value(self.uniform().table), self.value(self.best().table)
        return (self.value(policy) - least) / (most - least)

    def _taste(self, contexts: Array) -> Array:
        u, q = contexts[:, :D], contexts[:, D:]
        made: Array = (u @ self.Q + q @ self.R) * (self.counts / SCALE)
        return made

    def _base(self, contexts: Array) -> Array:
        made: Array = (contexts[:, D:] @ self.M) * (self.times * self.steer)
        return made

    def _shifts(self, actions: Ints | slice = slice(None)) -> Array:
        moved: Array = self.moves[actions] * (self.times * self.steer)
        return moved


@dataclass(frozen=True, slots=True)
class Believed:
    """A net's rewards of every prompt, its first layer computed once for contexts and prompts."""

    net: Net
    prompts: Array  # (A, D)

    def __call__(self, contexts: Array) -> Array:
        # Single precision halves the time, and beliefs are not that exact.
        W, V = self.net.W.astype(np.float32), self.net.V[:, 0].astype(np.float32)
        of_x = (contexts @ W[: -self.prompts.shape[1]] + self.net.b).astype(np.float32)
        of_a = (self.prompts @ W[-self.prompts.shape[1] :]).astype(np.float32)
        made = np.empty((len(contexts), len(self.prompts)))
        for i, own in enumerate(of_x):
            made[i] = np.maximum(own + of_a, 0) @ V
        made += self.net.c[0]
        return made


def prompt_world(
    seed: int,
    *,
    actions: int = 1000,
    bend: str = "trigonometric",
    sigma: float = 1.0,
    compat: bool = False,
    confounded: int = 0,
    scale: float = 1.0,
    reward_dims: int = D,
) -> PromptWorld:
    """The world of this seed. The last `confounded` numbers of a sentence are N(0, scale²) whatever
    was asked; the reward looks at the first `reward_dims`."""
    if bend not in MAPS:
        raise ConfigError(f"no map is called {bend!r}; there are {', '.join(MAPS)}")
    if not (0 <= confounded <= D and 1 <= reward_dims <= D and actions >= 1):
        raise ConfigError(
            f"confounded must be 0 … {D}, reward_dims 1 … {D}, actions 1 or more; "
            f"saw {confounded}, {reward_dims}, {actions}"
        )
    rng = stream(seed, "worlds/prompts")
    mixing = rng.uniform(-1, 1, size=(2 * D, 2 * D))
    M, N, Q, R = rng.normal(size=(4, D, D))
    prompts = rng.normal(size=(actions, D))
    moves = MAPS[bend](prompts @ N, rng)
    free = np.arange(D) >= D - confounded
    world = PromptWorld(
        *(mixing, prompts, moves, M, N, Q, R),
        sigma=sigma,
        steer=np.where(free, 0.0, 1.0),
        spread=np.where(free, scale, 1.0),
        counts=np.where(np.arange(D) < reward_dims, 1.0, 0.0),
        seed=seed,
    )
    return replace(world, Q=M, R=N, times=2.0, noise=1.0) if compat else world
