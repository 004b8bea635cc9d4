"""The likelihood ratio of a structured model is what a general solver says, and never more."""

from typing import NamedTuple

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from bestpolicy.core.glr import bar, glr
from bestpolicy.core.likelihood import Seen, refitted
from bestpolicy.core.logistic import mu
from bestpolicy.core.nouns import Array
from bestpolicy.core.program import brought_level
from bestpolicy.core.rng import stream
from bestpolicy.core.strengths import Strengths, Structure

SLACK = 1e-6


class Told(NamedTuple):
    known: Strengths
    seen: Seen
    x: Array


def told(K: int, d: int | None, answers: int, seed: int) -> Told:
    """Answers about random pairs of random policies; Bradley-Terry where d is None."""
    rng = stream(seed, f"test/glr/{K}/{d}/{answers}")
    known = Structure.of(None if d is None else rng.normal(size=(K, d)), K).strengths(K)
    assert known is not None
    x = np.eye(K) if known.x is None else known.x
    theta, won = rng.normal(size=x.shape[1]), np.zeros((K, K))
    for _ in range(answers):
        i, j = rng.choice(K, 2, replace=False)
        y = float(rng.random() < expit((x[i] - x[j]) @ theta))
        won[i, j] += y
        won[j, i] += 1 - y
        known = known.told(int(i), int(j), y)
    a, b = np.nonzero(np.triu(won + won.T, 1))
    return Told(known, Seen(x[a] - x[b], won[a, b], won[a, b] + won[b, a]), x)


def oracle(at: Told) -> float:
    """Z by a general solver, rival by rival."""
    z, won, n = at.seen

    def loss(lam: Array) -> float:
        return float(n @ np.logaddexp(0, z @ lam) - won @ (z @ lam))

    def slope(lam: Array) -> Array:
        return np.asarray((n * expit(z @ lam) - won) @ z)

    top = minimize(loss, at.known.mean, jac=slope, options={"gtol": 1e-9})
    best = int((at.x @ top.x).argmax())
    found = []
    for u in at.x[best] - np.delete(at.x, best, axis=0):
        level = minimize(
            loss,
            top.x - u * (u @ top.x) / (u @ u),
            jac=slope,
            constraints={
                "type": "ineq",
                "fun": lambda lam, u=u: -lam @ u,
                "jac": lambda lam, u=u: -u,
            },
            method="SLSQP",
            options={"ftol": 1e-14, "maxiter": 500},
        )
        found.append(level.fun - top.fun)
    return float(min(found))


def boundary(at: Told) -> float:
    """The broken twin: the likelihood at a λ on the boundary that nothing has polished."""
    z, won, n = at.seen
    fit = refitted(at.known, at.seen, 1e4)
    u = at.x[fit.rating.argmax()] - np.delete(at.x, fit.rating.argmax(), axis=0)
    q = mu(z @ fit.mean)
    V = 1e-9 * np.eye(z.shape[1])
    V[: len(V)] += (z.T * (n * q * (1 - q))) @ z
    b = np.linalg.solve(V, u.T).T
    lam = fit.mean - b * ((u @ fit.mean) / (u * b).sum(axis=1))[:, None]

    def likelihood(v: Array) -> Array:
        return np.asarray(won * v - n * np.logaddexp(0, v)).sum(axis=-1)

    return float((likelihood(z @ fit.mean) - likelihood(lam @ z.T)).min())


CASES = [(6, 2, 40), (6, 2, 200), (12, 3, 100), (5, None, 60), (5, None, 400)]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seed", range(3))
def test_the_ratio_is_never_above_the_exact_one_and_near_it(
    case: tuple[int, int | None, int], seed: int
) -> None:
    at = told(*case, seed)
    exact = oracle(at)
    assert exact - 1e-6 * (1 + exact) <= glr(at.known, at.seen)[0] <= exact + SLACK


@pytest.mark.parametrize("seed", range(6))
def test_where_the_maximum_is_at_infinity_the_ratio_is_below_the_exact_one(seed: int) -> None:
    at = told(6, 2, 8, seed)
    assert 0 <= glr(at.known, at.seen)[0] <= oracle(at) + SLACK


def test_a_ratio_from_the_boundary_alone_is_caught() -> None:
    found = [told(*case, seed) for case in CASES for seed in range(3)]
    assert any(boundary(at) > oracle(at) + SLACK for at in found)


def test_answers_that_leave_a_rival_free_say_nothing() -> None:
    at = told(5, None, 400, 0)
    some = (at.seen.z[:, 4] == 0) & (at.seen.n > 0)
    assert glr(at.known, Seen(*(part[some] for part in at.seen)))[0] == 0.0
    none = Seen(np.zeros((0, 5)), np.zeros(0), np.zeros(0))
    assert glr(at.known, none)[0] == 0.0


def test_the_customary_bar_grows_with_the_logarithm_of_the_logarithm() -> None:
    assert bar(1, 0.05) == pytest.approx(np.log(20))
    assert bar(100, 0.05) == pytest.approx(np.log((1 + np.log(100)) / 0.05))


def test_a_lambda_brought_level_makes_the_rival_as_good() -> None:
    at = told(6, 2, 200, 0)
    u = at.x[0] - at.x[1:]
    lam, _ = brought_level(at.seen.z, at.seen.n, u, at.known.mean)
    assert np.abs((lam * u).sum(axis=1)).max() < 1e-12
