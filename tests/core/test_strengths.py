"""What one pass keeps is what all answers say, and a structure that cannot be used is refused."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from bestpolicy.core.likelihood import Seen, refitted
from bestpolicy.core.nouns import Array, ConfigError
from bestpolicy.core.rng import stream
from bestpolicy.core.strengths import WIDEST, Strengths, Structure

X = stream(0, "test/strengths").normal(size=(12, 3))


def told(answers: int, x: Array | None = X) -> tuple[Strengths, Seen]:
    """A posterior after that many answers about random pairs, and the answers."""
    rng = stream(1, "test/strengths/answers", answers)
    known = Structure.of(x, 12).strengths(12)
    assert known is not None
    own = np.eye(12) if known.x is None else known.x
    theta = rng.normal(size=own.shape[1])
    z, won = np.empty((answers, own.shape[1])), np.empty(answers)
    for n in range(answers):
        i, j = rng.choice(12, 2, replace=False)
        z[n] = own[i] - own[j]
        won[n] = rng.random() < expit(z[n] @ theta)
        known = known.told(i, j, won[n])
    return known, Seen(z, won, np.ones(answers))


def posterior_mode(seen: Seen) -> Array:
    def loss(theta: Array) -> float:
        v = seen.z @ theta
        return float((np.logaddexp(0, v) - seen.won * v).sum() + theta @ theta / 2)

    return np.asarray(minimize(loss, np.zeros(seen.z.shape[1]), tol=1e-12).x)


@pytest.mark.parametrize("x", [X, None])
def test_one_answer_moves_the_mean_to_the_exact_maximum(x: Array | None) -> None:
    known, seen = told(1, x)
    assert np.allclose(known.mean, posterior_mode(seen), atol=1e-4)


@pytest.mark.parametrize("x", [X, None])
def test_a_refit_finds_the_maximum_that_another_optimiser_finds(x: Array | None) -> None:
    known, seen = told(300, x)
    again = refitted(known, seen)
    mode = posterior_mode(seen)
    assert np.allclose(again.mean, mode, atol=2e-3)
    assert not np.allclose(known.mean, mode, atol=2e-3)  # one pass alone is only near
    assert np.allclose(known.mean, mode, atol=0.5)


@pytest.mark.parametrize("x", [X, None])
def test_chances_are_complements_and_ratings_follow_the_mean(x: Array | None) -> None:
    known, _ = told(50, x)
    chances = known.chances(4)
    assert chances[4] == pytest.approx(0.5)
    for j in range(12):
        assert known.chance(4, j) == pytest.approx(chances[j])
        assert known.chance(j, 4) == pytest.approx(1 - chances[j])
    own = np.eye(12) if known.x is None else known.x
    assert np.allclose(known.rating, own @ known.mean)
    assert known.variances(4)[4] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("features", "said"),
    [
        (np.ones((3, 2)), r"saw shape \(3, 2\)"),
        (np.full((12, 1), np.nan), "NaN"),
        (np.ones((12, 1)), "column 0 is the same"),
        (stream(2, "wide").normal(size=(12, WIDEST + 1)), "at most"),
    ],
)
def test_features_that_say_nothing_are_refused(features: Array, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Structure.of(features, 12)


def test_what_would_prove_nothing_may_not_be_trusted() -> None:
    assert Structure.of(None, WIDEST + 1).strengths(WIDEST + 1) is None
    with pytest.raises(ConfigError, match="leave trust_structure out"):
        Structure.of(None, WIDEST + 1, trust=True)
