"""Laws of learning from sentences, where the truth is known: what a wrong model may cost, what a
right one is worth, and what the number of prompts costs. The bench plays them in full.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bestpolicy.bench.known import Known
from bestpolicy.bench.offline_prompts.goals import MARGIN
from bestpolicy.bench.offline_prompts.grids import Cell, Fit
from bestpolicy.bench.offline_prompts.play import material, place, played
from bestpolicy.core.nouns import ConfigError
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.learners.methods import METHODS, learnt
from bestpolicy.offpolicy.learners.training import Training
from bestpolicy.offpolicy.reward_nets import Fitting, fit_net

SMALL = Cell(6, 200)
STEPS = Training(steps=60)


def hasty(inputs: Any, rewards: Any, rng: Any) -> Any:
    return fit_net(inputs, rewards, rng, Fitting(steps=40, held=0.0))


class Counting(Known):
    """A source that counts the sentences it says and the pairs that are compared."""

    def __init__(self, known: Known) -> None:
        super().__init__(known.world, known.seed)
        object.__setattr__(self, "counts", {"said": 0, "compared": 0})

    def speaker(self, log: Any) -> Any:
        say = Known.speaker(self, log)

        def counted(rows: Any, actions: Any, rng: Any) -> Any:
            self.counts["said"] += actions.size
            return say(rows, actions, rng)

        return counted

    def closeness(self, log: Any, kernel: Any) -> Any:
        self.counts["compared"] += len(log) * self.world.actions
        return Known.closeness(self, log, kernel)


def work(method: str, prompts: int) -> dict[str, int]:
    """Sentences drawn and pairs compared in ten steps, reward models and densities apart."""
    at = place(Cell(prompts, 64), 1)
    source = Counting(at.source)
    own = material(at, Fit(method), Training(steps=10, batch=32))
    density = np.full(64, 0.1)
    own = replace(own, source=source, fit=hasty, density_of=lambda _: density)
    kernel = own.kernel
    assert kernel is not None

    def counted(squares: Any) -> Any:
        source.counts["compared"] += squares.size
        return kernel(squares)

    _ = own.of_sentences, own.density
    counts = replace(own, kernel=replace(kernel, shape=lambda z: counted(z * kernel.width**2)))
    learnt(counts, method)
    return dict(source.counts)


@pytest.mark.parametrize("method", ["dso", "cf-dr-dso", "sdm"])
def test_a_step_says_and_compares_as_much_for_ten_prompts_as_for_a_thousand(method: str) -> None:
    assert work(method, 10) == work(method, 1000)


def test_a_sum_over_prompts_compares_more_for_more_prompts() -> None:
    """The twin: DSO with its sum done exactly, whose table grows."""
    assert work("dso-summed", 1000)["compared"] > 10 * work("dso-summed", 10)["compared"]


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_learns_the_same_policy_and_another_another(method: str) -> None:
    at = place(SMALL, 2)
    x = at.world.contexts(20, stream(1, "tests/contexts"))

    def table(seed: int) -> Any:
        own = replace(material(at, Fit(method), STEPS), seed=seed, fit=hasty)
        return learnt(own, method).table(x)

    one = table(1)
    assert np.array_equal(one, table(1))
    assert not np.array_equal(one, table(2))
    assert np.allclose(one.sum(axis=1), 1)


def test_what_a_method_lacks_is_named() -> None:
    own = material(place(SMALL, 2), Fit("dso"), STEPS)
    with pytest.raises(ConfigError, match="bank"):
        learnt(replace(own, source=None), "dso-self")
    with pytest.raises(ConfigError, match="kernel"):
        learnt(replace(own, kernel=None), "dso-summed")
    with pytest.raises(ConfigError, match="did you mean 'dso-self'"):
        learnt(own, "dso-slef")


SHORT = Training(steps=1000)
WORLDS = range(40, 43)


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """Optimality by fit, in three worlds of 100 prompts."""
    fits = {
        "dso": Fit("dso", density="exact"),
        "wrong": Fit("cf-dr-dso", model="linear", density="exact"),
        "exact": Fit("cf-dr-dso", model="exact", density="exact"),
        "direct": Fit("regression", model="net-long", folds=2),
        "raw - 1": Fit("dso-published", density="exact", shift=-1.0),
        "dso - 1": Fit("dso", density="exact", shift=-1.0),
    }
    cell, made = Cell(100, 2000), {name: [] for name in fits}
    for seed in WORLDS:
        for name, one in zip(fits, played(cell, seed, list(fits.values()), SHORT), strict=True):
            made[name].append(one["optimality"])
    return {name: np.array(values) for name, values in made.items()}


def falls_short(one: Any, other: Any) -> bool:
    """By more than the margin, beyond three standard errors of the paired gap."""
    gap = one - other
    return bool(gap.mean() + 3 * gap.std(ddof=1) / len(gap) ** 0.5 < -MARGIN)


@pytest.mark.slow
def test_models_cost_little_where_they_are_wrong_and_pay_where_they_are_right(
    found: dict[str, Any],
) -> None:
    print({name: values.round(2).tolist() for name, values in found.items()})
    assert not falls_short(found["wrong"], found["dso"])
    assert not falls_short(found["exact"], found["direct"])
    assert found["exact"].mean() > found["direct"].mean()
    assert np.allclose(found["dso - 1"], found["dso"], atol=0.02)


@pytest.mark.slow
def test_rewards_that_are_moved_make_an_uncentred_learner_fall_short(found: dict[str, Any]) -> None:
    """The twin."""
    assert falls_short(found["raw - 1"], found["dso"])


@pytest.mark.slow
def test_a_model_of_pure_noise_is_believed_only_by_who_has_seen_the_row() -> None:
    """One fold is the twin: what it learnt of a row's noise comes back as foresight."""
    at = place(Cell(20, 600), 5)
    noise = stream(5, "tests/shuffled").permutation(at.log.rewards)
    shuffled = replace(at, log=replace(at.log, rewards=noise))

    def shrink(folds: int) -> float:
        return material(shuffled, Fit("cf-dr-dso", model="net-long", folds=folds)).shrink

    assert shrink(5) < 0.3
    assert shrink(1) > 0.7
