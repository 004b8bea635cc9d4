"""A finite world of prompts and sentences, in which every expectation is a sum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bestpolicy.core.log import Ints, Log
from bestpolicy.core.nouns import Array, Rng
from bestpolicy.core.rng import stream
from bestpolicy.core.softmax import drawn
from bestpolicy.offpolicy.bank import Bank, bank_of
from bestpolicy.offpolicy.density import Speaker, embeddings
from bestpolicy.offpolicy.kernel import Kernel, squares

EIGHTHS = np.array([[6, 1, 1, 0, 0], [1, 3, 2, 2, 0], [0, 1, 1, 2, 4]])  # p(s | a) of 5 sentences
SAID = np.array([[0.0, 0.0], [1.0, 0.2], [0.4, 1.0], [2.0, 1.5], [3.0, 0.1]])  # emb(s)
WORTH = np.array([0.9, 0.1, 0.6, 0.3, 0.8])  # R(s)
P0, P = np.array([0.5, 0.25, 0.25]), np.array([0.125, 0.25, 0.625])
NAMES = ("a", "b", "c")


@dataclass(frozen=True)
class Finite:
    """The generator of that world, exactly."""

    def closeness(self, log: Log, kernel: Kernel) -> Array:
        return kernel(squares(embeddings(log), SAID)) @ (EIGHTHS / 8).T

    def mean(self, log: Log, chances: Array) -> Array:
        return chances @ (EIGHTHS / 8) @ SAID

    def draws(self, log: Log, chances: Array, count: int, purpose: str) -> tuple[Ints, Array]:
        rng = stream(0, f"tests/sentences/{purpose}", log.start)
        prompts = drawn(chances, count, rng)
        said = drawn((EIGHTHS / 8)[prompts.ravel()], 1, rng).reshape(prompts.shape)
        return prompts, SAID[said]

    def speaker(self, log: Log) -> Speaker:
        def say(rows: Ints, actions: Ints, rng: Rng) -> Array:
            return SAID[drawn((EIGHTHS / 8)[actions.ravel()], 1, rng).reshape(actions.shape)]

        return say


def chance(of_prompt: Array) -> Array:
    """(5,) the chance of each sentence under these chances of prompts."""
    made: Array = of_prompt @ (EIGHTHS / 8)
    return made


def every_row() -> Log:
    """Each prompt and sentence, as often as the logging policy brings them in 32 rows."""
    often = np.rint(32 * P0[:, None] * EIGHTHS / 8).astype(int)
    assert often.sum() == 32
    a, s = (np.repeat(at.ravel(), often.ravel()) for at in np.indices(often.shape))
    return finite_log(a, s)


def finite_log(a: Ints, s: Ints) -> Log:
    """Rows of these prompts and sentences, with their mean rewards."""
    return Log(
        a,
        WORTH[s],
        P0[a],
        NAMES,
        contexts=np.ones((len(a), 1)),
        propensities=np.tile(P0, (len(a), 1)),
        columns={"sentence_emb": SAID[s], "said": s},
    )


def random_bank(queries: int, prompts: int, most: int = 3, d: int = 4, seed: int = 0) -> Bank:
    """A bank of normal points, 1 … `most` draws of each prompt."""
    rng = stream(seed, "tests/bank")
    rows: list[tuple[str, str, int]] = [
        (f"q{q}", f"p{a}", i)
        for q in range(queries)
        for a in range(prompts)
        for i in range(int(rng.integers(1, most + 1)))
    ]
    order = rng.permutation(len(rows))
    columns: dict[str, Any] = {
        "query_id": np.array([rows[i][0] for i in order]),
        "prompt_id": np.array([rows[i][1] for i in order]),
        "draw": np.array([rows[i][2] for i in order]),
        "text": np.array([" ".join(map(str, rows[i])) for i in order]),
        "emb": rng.normal(size=(len(rows), d)) + [[int(rows[i][1][1:])] * d for i in order],
    }
    return bank_of(columns, tuple(f"p{a}" for a in range(prompts)))


def bank_log(n: int, bank: Bank, *, seed: int = 0) -> Log:
    """Rows whose queries and prompts the bank knows, and whose sentences it does not."""
    rng = stream(seed, "tests/bank/log")
    A, d = len(bank.names), bank.emb.shape[1]
    propensities = rng.dirichlet(np.full(A, 2.0), size=n)
    a = np.array([rng.choice(A, p=p) for p in propensities])
    said = rng.normal(size=(n, d)) + a[:, None]
    queries = np.array(bank.queries)[rng.integers(len(bank.queries), size=n)]
    contexts = rng.normal(size=(n, 2))
    r = 1 / (1 + np.exp(-(said @ np.linspace(-1, 1, d) + contexts[:, 0])))
    return Log(
        a,
        r,
        propensities[np.arange(n), a],
        bank.names,
        contexts=contexts,
        propensities=propensities,
        columns={"query_id": queries, "sentence_emb": said, "draw": np.full(n, 99)},
    )
