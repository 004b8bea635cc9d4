"""Learners climb what they say they climb: slopes against finite differences of the exact aim.

The world is small enough for every sum: 2 contexts, 3 prompts, 4 sentences on a line.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bestpolicy.core.rng import stream
from bestpolicy.core.softmax import drawn, softmax
from bestpolicy.offpolicy.learners.sentences import (
    alone,
    doubly_robust_dso,
    dso,
    sentence_direct,
)
from bestpolicy.offpolicy.learners.training import Slope, expected, scored
from bestpolicy.offpolicy.learners.weighted import doubly_robust, importance, regression

N = 60_000  # rows
PLACES = np.array([0.0, 0.4, 1.0, 1.5])  # of the sentences
SAYS = np.array(  # (x, a, s) what prompts say
    [
        [[0.7, 0.1, 0.1, 0.1], [0.1, 0.6, 0.2, 0.1], [0.1, 0.1, 0.3, 0.5]],
        [[0.4, 0.3, 0.2, 0.1], [0.0, 0.5, 0.5, 0.0], [0.2, 0.0, 0.1, 0.7]],
    ]
)
REWARD = np.array([[0.1, 0.9, 0.3, 0.4], [0.8, 0.2, 0.5, 0.1]])  # (x, s)
LOGGING = np.array([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6]])  # (x, a)
LOGITS = np.array([[0.3, -0.2, 0.1], [-0.5, 0.4, 0.2]])
WIDTH = 0.5
K = np.exp(-((PLACES[:, None] - PLACES) ** 2) / (2 * WIDTH**2))  # (s, s')
SHARES = np.einsum("xa,xas->xs", LOGGING, SAYS)  # of sentences in the log
DENSITY = np.einsum("xs,st->xt", SHARES, K)  # pi_0(phi(s) | x)


def near(s: Any, other: Any) -> Any:
    return np.exp(-((s - other) ** 2).sum(-1) / (2 * WIDTH**2))


class Played:
    """Rows of that world."""

    def __init__(self, seed: int, shift: float = 0.0, noise: float = 0.3) -> None:
        rng = stream(seed, "small world")
        self.x = rng.integers(2, size=N)
        self.a = drawn(LOGGING[self.x], 1, rng)[:, 0]
        self.s = drawn(SAYS[self.x, self.a], 1, rng)[:, 0]
        self.r = REWARD[self.x, self.s] + noise * rng.normal(size=N) + shift
        self.sentences = PLACES[self.s][:, None]
        self.density = DENSITY[self.x, self.s]
        self.propensity = LOGGING[self.x, self.a]

    def speaker(self, rows: Any, actions: Any, rng: Any) -> Any:
        chances = SAYS[self.x[rows][:, None], actions]
        said = drawn(chances.reshape(-1, 4), 1, rng)[:, 0].reshape(actions.shape)
        return PLACES[said][..., None]

    def foreseen(self, model: Any) -> Any:
        def say(rows: Any, said: Any) -> Any:
            return model[self.x[rows][:, None], np.searchsorted(PLACES, said[..., 0])]

        return say

    def mean_slope(self, slope: Slope, seed: int) -> tuple[Any, Any]:
        """(x, a) the mean slope by the logits of each context, and its standard error."""
        rows, chances = np.arange(N), softmax(LOGITS)[self.x]
        found = slope(rows, chances, stream(seed, "slopes"))
        by = [np.where((self.x == x)[:, None], found, 0.0) for x in range(2)]
        error = [part.std(axis=0) / np.sqrt(N) for part in by]
        return np.array([part.mean(axis=0) for part in by]), np.array(error)


def climbed(aim: Any) -> Any:
    """(x, a) finite differences of Σ_x ½ Σ_a pi(a | x) Σ_s p(s | x, a) aim(x, s)."""
    worth = np.einsum("xas,xs->xa", SAYS, aim)
    slopes = np.empty((2, 3))
    for x in range(2):
        for a in range(3):
            up, down = LOGITS.copy(), LOGITS.copy()
            up[x, a] += 1e-5
            down[x, a] -= 1e-5
            change = (softmax(up) * worth).sum() - (softmax(down) * worth).sum()
            slopes[x, a] = change / 2e-5 / 2
    return slopes


def smooth(values: Any) -> Any:
    """(x, s') E_{s ~ pi_0} K(s, s') / D(s) values(s): what a kernel makes of a reward."""
    made: Any = np.einsum("xs,st,xs,xs->xt", SHARES, K, 1 / DENSITY, values)
    return made


def off(found: tuple[Any, Any], truth: Any) -> float:
    """The largest distance in standard errors; six happen once in a hundred million."""
    slopes, error = found
    return float((np.abs(slopes - truth) / error).max())


def plain_dso(at: Played, **how: Any) -> Slope:
    worth = at.r - at.r.mean()
    return dso(at.sentences, worth, at.density, at.speaker, near, most=np.inf, **how)


MODEL = np.array([[0.4, 0.2, 0.6, 0.1], [0.3, 0.3, 0.9, 0.5]])  # a wrong one


@pytest.mark.parametrize(("draws", "baseline"), [(1, False), (2, True), (8, True)])
def test_dso_climbs_the_smoothed_reward_with_or_without_a_baseline(
    draws: int, baseline: bool
) -> None:
    at = Played(1)
    found = at.mean_slope(plain_dso(at, draws=draws, baseline=baseline), 2)
    assert off(found, climbed(smooth(REWARD - (SHARES * REWARD).sum() / 2))) < 6


def test_the_score_of_the_logged_prompt_climbs_something_else() -> None:
    """The twin: what was logged in place of what is drawn again."""
    at = Played(1)
    worth = at.r - at.r.mean()

    def slope(rows: Any, chances: Any, rng: Any) -> Any:
        actions = drawn(chances, 1, rng)
        k = near(at.sentences[rows, None], at.speaker(rows, actions, rng))
        value = k / at.density[rows, None] * worth[rows, None]
        return scored(chances, at.a[rows, None], value)

    truth = climbed(smooth(REWARD - (SHARES * REWARD).sum() / 2))
    assert off(at.mean_slope(slope, 2), truth) > 6


@pytest.mark.parametrize("shrink", [0.0, 0.4, 1.0])
def test_cf_dr_dso_climbs_the_model_and_the_smoothed_rest(shrink: float) -> None:
    at = Played(3)
    slope = doubly_robust_dso(
        *(at.sentences, at.r, at.density, at.speaker, near, at.foreseen(MODEL)),
        shrink=shrink,
        most=np.inf,
    )
    mean = at.r.mean()
    seen = mean + shrink * (MODEL - mean)
    assert off(at.mean_slope(slope, 4), climbed(seen + smooth(REWARD - seen))) < 6


def test_a_correction_of_the_wrong_sign_climbs_something_else() -> None:
    at = Played(3)
    slope = doubly_robust_dso(
        *(at.sentences, at.r, at.density, at.speaker, near, at.foreseen(MODEL)),
        shrink=1.0,
        most=np.inf,
    )
    assert off(at.mean_slope(slope, 4), climbed(MODEL - smooth(REWARD - MODEL))) > 6


def test_cf_dr_dso_with_the_true_rewards_climbs_the_truth_whatever_the_kernel() -> None:
    at = Played(5)
    for width in (0.1, 3.0):

        def wide(s: Any, other: Any, width: float = width) -> Any:
            return np.exp(-((s - other) ** 2).sum(-1) / (2 * width**2))

        slope = doubly_robust_dso(
            *(at.sentences, at.r, np.full(N, 0.3), at.speaker, wide, at.foreseen(REWARD)),
            shrink=1.0,
            most=np.inf,
        )
        assert off(at.mean_slope(slope, 6), climbed(REWARD)) < 6


def test_the_sentence_level_direct_method_climbs_its_model() -> None:
    at = Played(7)
    found = at.mean_slope(sentence_direct(at.speaker, at.foreseen(MODEL)), 8)
    assert off(found, climbed(MODEL)) < 6


def test_prompt_level_methods_climb_the_value() -> None:
    at = Played(9)
    by_prompt = np.einsum("xas,xs->xa", SAYS, REWARD)
    wrong = by_prompt[:, ::-1]
    truth = climbed(REWARD)
    assert off(at.mean_slope(importance(at.a, at.r, at.propensity), 1), truth) < 6
    for model in (by_prompt, wrong):

        def say(rows: Any, model: Any = model) -> Any:
            return model[at.x[rows]]

        assert off(at.mean_slope(doubly_robust(at.a, at.r, at.propensity, say), 1), truth) < 6
    slopes, _ = at.mean_slope(regression(lambda rows: by_prompt[at.x[rows]]), 1)
    assert np.allclose(slopes, truth, atol=0.01)  # contexts come as they were drawn


def test_a_constant_added_to_all_rewards_moves_no_centred_learner() -> None:
    one, other = Played(11), Played(11, shift=-1.0)
    for make in (plain_dso, lambda at: _doubly(at)):
        rows, chances = np.arange(500), softmax(LOGITS)[one.x[:500]]
        before = make(one)(rows, chances, stream(1, "draws"))
        after = make(other)(rows, chances, stream(1, "draws"))
        assert np.allclose(before, after, atol=1e-9)


def _doubly(at: Played) -> Slope:
    model = MODEL + (at.r.mean() - MODEL.mean())  # a model moves with the rewards
    return doubly_robust_dso(
        *(at.sentences, at.r, at.density, at.speaker, near, at.foreseen(model)), shrink=0.7
    )


def test_plain_dso_is_moved_by_a_constant() -> None:
    """The twin: r in place of r - b."""
    made = []
    for shift in (0.0, -1.0):
        at = Played(11, shift=shift)
        slope = dso(at.sentences, at.r, at.density, at.speaker, near, most=np.inf)
        found, error = at.mean_slope(slope, 1)
        made.append(found)
    assert float((np.abs(made[0] - made[1]) / error).max()) > 6


def test_the_baseline_leaves_out_each_draws_own_value() -> None:
    value = stream(1, "values").normal(size=(50, 8))
    left_out = np.array([[np.delete(row, j).mean() for j in range(8)] for row in value])
    assert np.allclose(alone(value), value - left_out)
    assert np.array_equal(alone(value[:, :1]), value[:, :1])


def test_slopes_of_expectations_equal_finite_differences() -> None:
    worth = stream(2, "worth").normal(size=(2, 3))
    found = expected(softmax(LOGITS), worth)
    for x in range(2):
        for a in range(3):
            up = LOGITS.copy()
            up[x, a] += 1e-6
            change = ((softmax(up) - softmax(LOGITS)) * worth).sum() / 1e-6
            assert found[x, a] == pytest.approx(change, abs=1e-5)


def test_draws_come_as_often_as_their_chances() -> None:
    chances = softmax(np.repeat(LOGITS, 20_000, axis=0))
    actions = drawn(chances, 5, stream(3, "draws"))
    for x in range(2):
        share = np.bincount(actions[x * 20_000 : (x + 1) * 20_000].ravel(), minlength=3) / 100_000
        assert (np.abs(share - softmax(LOGITS)[x]) < 6 * np.sqrt(0.25 / 100_000)).all()
