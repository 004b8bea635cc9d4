"""What a generator makes is a bank, or made anew: either way what its chances say.

The generator says one of two numbers, near 0 or near a + q, with chances that depend on the prompt.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from bestpolicy.core.log import Log
from bestpolicy.core.nouns import ConfigError
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.density import Source
from bestpolicy.offpolicy.generator import Fresh, Generator, banked
from bestpolicy.offpolicy.kernel import gaussian

HIGH = np.array([0.2, 0.5, 0.9])  # the chance of the higher number
EACH = 4000


@dataclass(frozen=True)
class Coins:
    """A thing is a string; it lies where it says."""

    def sample(self, contexts: Any, actions: Any, rng: Any) -> Any:
        high = rng.random(len(actions)) < HIGH[actions]
        return [
            f"{h * (1 + a + q):.0f}" for h, a, q in zip(high, actions, contexts[:, 0], strict=True)
        ]

    def embed(self, things: Any) -> Any:
        return np.array([[float(thing), 1.0] for thing in things])


def asked(queries: tuple[int, ...] = (0, 1, 0)) -> Log:
    n = len(queries)
    x = np.array(queries, dtype=np.float64)[:, None]
    return Log(
        np.zeros(n, dtype=np.intp),
        np.zeros(n),
        np.full(n, 1 / 3),
        ("a", "b", "c"),
        contexts=x,
        propensities=np.full((n, 3), 1 / 3),
        columns={
            "query_id": np.array([f"q{q}" for q in queries]),
            "sentence_emb": np.array([[q + 1.0, 1.0] for q in queries]),
        },
    )


def truth(queries: tuple[int, ...], width: float) -> Any:
    """(m, A) Kbar(x_i, a, s_i)."""
    kernel, rows = gaussian(width), []
    for q in queries:
        own = q + 1.0
        far = [np.array([(own - 0) ** 2, (own - (1 + a + q)) ** 2]) for a in range(3)]
        rows.append([[1 - HIGH[a], HIGH[a]] @ kernel(far[a]) for a in range(3)])
    return np.array(rows)


def sources(log: Log) -> list[Source]:
    made: Generator = Coins()
    return [banked(made, log, draws=EACH), Fresh(made, each=EACH)]


@pytest.mark.parametrize("place", [0, 1], ids=["banked", "fresh"])
def test_closeness_and_means_are_those_of_the_generators_chances(place: int) -> None:
    log = asked()
    source = sources(log)[place]
    reach = 6 * 0.5 / EACH**0.5  # of a mean of numbers in [0, 1]
    found = source.closeness(log, gaussian(1.5))
    assert np.abs(found - truth((0, 1, 0), 1.5)).max() < reach
    chances = np.array([[1.0, 0, 0], [0, 0.5, 0.5], [0, 0, 1.0]])
    mean = source.mean(log, chances)
    assert np.abs(mean[:, 0] - [0.2, 0.5 * 0.5 * 3 + 0.5 * 0.9 * 4, 0.9 * 3]).max() < 4 * reach
    assert np.allclose(mean[:, 1], 1)


@pytest.mark.parametrize("place", [0, 1], ids=["banked", "fresh"])
def test_what_is_said_is_drawn_by_row_and_prompt(place: int) -> None:
    log = asked()
    say = sources(log)[place].speaker(log)
    rows, actions = np.array([1, 2]), np.tile([[0, 2]], (2, 1)).repeat(EACH, axis=1)
    said = say(rows, actions, stream(1, "tests/generator"))
    assert said.shape == (2, 2 * EACH, 2)
    for i, q in enumerate((1, 0)):
        for a in (0, 2):
            own = said[i, actions[i] == a, 0]
            assert set(own) == {0.0, 1.0 + a + q}
            assert abs((own > 0).mean() - HIGH[a]) < 2 * 6 * 0.5 / EACH**0.5


def test_another_rows_context_says_something_else() -> None:
    """The twin: were rows mixed up, the higher number would be another."""
    log = asked()
    say = Fresh(Coins()).speaker(log)
    here, there = (
        say(np.array([i]), np.full((1, 50), 2), stream(1, "tests/generator")).max() for i in (0, 1)
    )
    assert (here, there) == (3, 4)


def test_draws_come_from_the_rows_number_whatever_the_chunk() -> None:
    log = asked((0, 1, 0, 1, 1))
    chances, source = np.full((5, 3), 1 / 3), Fresh(Coins())
    prompts, said = source.draws(log, chances, 20, "density")
    parts = [source.draws(part, chances[: len(part)], 20, "density") for part in log.split(2)]
    assert np.array_equal(prompts, np.concatenate([p for p, _ in parts]))
    assert np.array_equal(said, np.concatenate([s for _, s in parts]))
    assert not np.array_equal(said, source.draws(log, chances, 20, "another purpose")[1])


def test_a_bank_holds_so_many_things_of_each_query_and_prompt_and_the_seed_says_which() -> None:
    log = asked()
    bank = banked(Coins(), log, draws=5)
    assert bank.queries == ("q0", "q1")
    assert len(bank) == 2 * 3 * 5
    assert np.array_equal(bank.emb, banked(Coins(), log, draws=5).emb)
    assert not np.array_equal(bank.emb, banked(Coins(), log, draws=5, seed=1).emb)
    assert set(bank.emb[bank.draws_of("q1", "c"), 0]) <= {0.0, 4.0}


def test_a_bank_wants_queries_and_points_that_are_points() -> None:
    log = asked()
    bare = replace(log, columns={"sentence_emb": log.columns["sentence_emb"]})
    with pytest.raises(ConfigError, match="query_id"):
        banked(Coins(), bare)
    with pytest.raises(ConfigError, match="draws=0"):
        banked(Coins(), log, draws=0)

    @dataclass(frozen=True)
    class Odd(Coins):
        shape: str = "flat"

        def embed(self, things: Any) -> Any:
            points = Coins().embed(things)
            return points[:, 0] if self.shape == "flat" else points * np.nan

    with pytest.raises(ConfigError, match="a row of numbers"):
        banked(Odd(), log)
    with pytest.raises(ConfigError, match="finite"):
        banked(Odd("nan"), log)
