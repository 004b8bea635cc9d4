"""World: users, movies, what the generator says to each prompt, and what it is worth to them.

    x = (v_u, who u is, emb(title)),  a ~ pi_0,  s one of the sentences kept for logs
    r = R(u, m, s) + N(0, .05²) within ±10,   pi_0 = softmax(.2 Rhat_0)

Of the sentences of a movie and prompt some make the bank, which learners know and which is the
truth; one is for logs, and one is fresh: nobody learns from it.
    V(pi) = mean over test users and movies of Σ_a pi(a | x) mean over the bank R(u, m, s)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bestpolicy.core.log import Ints, Log
from bestpolicy.core.nouns import Array, Rng
from bestpolicy.core.softmax import Softmax, pick
from bestpolicy.offpolicy.bank import Bank, bank_of
from bestpolicy.offpolicy.reward_nets import Standardised, fit_net

Floats = NDArray[Any]
BANK, LOGGED, FRESH, DRAWS = (0, 1), 2, 3, 4  # what each draw of a cell is for
NOISE, BETA, BOUNDS = 0.05, 0.2, (-10.0, 10.0)
UNIFORM = 2000  # rows that the logging policy's beliefs come from


@dataclass(frozen=True)
class World:
    """All that is known, and the truth."""

    movies: tuple[str, ...]  # (T,)
    prompts: tuple[str, ...]  # (A,)
    like: Floats  # (A, p) what prompts are like
    people: Floats  # (U, d)
    titles: Floats  # (T, e)
    texts: NDArray[np.str_]  # (T, A, DRAWS)
    points: Floats  # (T, A, DRAWS, D)
    worth: Floats  # (U, T, A, DRAWS) R, before noise
    auc: float
    auc_anew: float
    made_by: str = ""

    def contexts(self, users: Ints, movies: Ints) -> Array:
        return np.hstack([self.people[users], self.titles[movies]])

    def bank(self) -> Bank:
        """What learners know of the generator."""
        t, a, d = (
            axis.ravel()
            for axis in np.meshgrid(
                *(np.arange(len(self.movies)), np.arange(len(self.prompts)), np.array(BANK)),
                indexing="ij",
            )
        )
        columns: dict[str, NDArray[Any]] = {
            "query_id": np.array(self.movies)[t],
            "prompt_id": np.array(self.prompts)[a],
            "draw": d,
            "text": self.texts[t, a, d],
            "emb": self.points[t, a, d],
        }
        return bank_of(columns, self.prompts, made_by=self.made_by)

    def split(self, rng: Rng) -> tuple[Ints, Ints]:
        """Users that logs are of, and users that policies are valued on."""
        order = rng.permutation(len(self.people))
        half = len(order) // 2
        return order[:half], order[half:]

    def logging(self, users: Ints, rng: Rng) -> Softmax:
        """softmax(.2 Rhat_0), Rhat_0 a net on (x, what the prompt is like) of uniform rows."""
        u, t = self._drawn(users, UNIFORM, rng)
        a = rng.integers(len(self.prompts), size=UNIFORM)
        r = self._rewards(u, t, a, rng)
        net = fit_net(np.hstack([self.contexts(u, t), self.like[a]]), r, rng)
        return Softmax(Believed(net, self.like), BETA)

    def log(self, n: int, users: Ints, policy: Softmax, rng: Rng) -> Log:
        """n rows; movies and users are drawn independently."""
        u, t = self._drawn(users, n, rng)
        x = self.contexts(u, t)
        chances = policy.table(x)
        a = pick(chances, rng.random((n, 1)))[:, 0]
        return Log(
            a,
            self._rewards(u, t, a, rng),
            chances[np.arange(n), a],
            self.prompts,
            BOUNDS,
            x,
            chances,
            columns={
                "query_id": np.array(self.movies)[t],
                "draw": np.full(n, LOGGED),
                "sentence": self.texts[t, a, LOGGED],
                "sentence_emb": self.points[t, a, LOGGED],
            },
        )

    def value(self, policy: Any, users: Ints, draws: tuple[int, ...] = BANK) -> float:
        """V of a function from contexts to (m, A) chances: exact over these users, all movies, all
        prompts and these draws."""
        u, t = (axis.ravel() for axis in np.meshgrid(users, np.arange(len(self.movies))))
        chances = policy(self.contexts(u, t))
        return float((chances * self._mean(draws)[u, t]).sum(axis=1).mean())

    def best(self, users: Ints) -> float:
        """V of the prompt that is best under the bank, for each user and movie."""
        return float(self._mean(BANK)[users].max(axis=2).mean())

    def uniform(self, contexts: Array) -> Array:
        return np.full((len(contexts), len(self.prompts)), 1 / len(self.prompts))

    def _mean(self, draws: tuple[int, ...]) -> Floats:
        made: Floats = self.worth[..., list(draws)].mean(axis=3)
        return made

    def _drawn(self, users: Ints, n: int, rng: Rng) -> tuple[Ints, Ints]:
        return rng.choice(users, size=n), rng.integers(len(self.movies), size=n)

    def _rewards(self, u: Ints, t: Ints, a: Ints, rng: Rng) -> Array:
        r = self.worth[u, t, a, LOGGED] + rng.normal(0, NOISE, len(u))
        return np.asarray(np.clip(r, *BOUNDS))


@dataclass(frozen=True, slots=True)
class Believed:
    """A fitted net's rewards of every prompt."""

    net: Standardised
    prompts: Floats

    def __call__(self, contexts: Array) -> Array:
        made = np.empty((len(contexts), len(self.prompts)))
        for a, one in enumerate(self.prompts):
            beside = np.broadcast_to(one, (len(contexts), len(one)))
            made[:, a] = self.net(np.hstack([contexts, beside]))
        return made


@dataclass(frozen=True, slots=True)
class Gate:
    """Whether prompts matter enough, and tastes are known well enough, for the table to count."""

    gain: float  # of the best prompt over a random one,
    stderr: float  # over movies
    auc: float

    @property
    def opens(self) -> bool:
        return self.gain > MANY * self.stderr and self.auc > LEAST_AUC


MANY, LEAST_AUC = 5.0, 0.6


def gate(world: World) -> Gate:
    """The best prompt of each user and movie is picked by one draw and valued by another, in both
    directions: picked and valued by the same, the best of many is good whatever prompts do."""
    gains = []
    for picks, values in (BANK, BANK[::-1]):
        worth = world.worth[..., values]
        best = world.worth[..., picks].argmax(axis=2)
        picked = np.take_along_axis(worth, best[..., None], axis=2)[..., 0]
        gains.append((picked - worth.mean(axis=2)).mean(axis=0))
    by_movie = np.mean(gains, axis=0)
    stderr = float(by_movie.std(ddof=1) / len(by_movie) ** 0.5)
    return Gate(float(by_movie.mean()), stderr, world.auc)
