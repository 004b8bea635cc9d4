"""The structured data requirement is proven from both sides, and its oracles agree."""

from functools import cache

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from bestpolicy.core.nouns import Array
from bestpolicy.core.program import regularised_shares
from bestpolicy.core.rng import stream
from bestpolicy.worlds import truth
from bestpolicy.worlds.bound import Bound, structured_t_star
from bestpolicy.worlds.preference import INSTANCES, STRUCTURES

BRACKETS = {"mid16": (151.55, 151.86), "feat32": (50.64, 50.73)}


@cache
def bound_of(name: str) -> Bound:
    return structured_t_star(*STRUCTURES[name]())


def oracle(x: Array, theta: Array, w: Array, j: int) -> float:
    """D_j(w) by a general solver, on the differences and nothing else."""
    best = int((x @ theta).argmax())
    a, b = np.triu_indices(len(x), 1)
    z, u, shares = x[a] - x[b], x[best] - x[j], w[a, b]
    p = expit(z @ theta)
    solved = minimize(
        lambda lam: float(shares @ truth.kl(p, expit(z @ lam))),
        theta - u * (u @ theta) / (u @ u),
        jac=lambda lam: (shares * (expit(z @ lam) - p)) @ z,
        constraints={"type": "ineq", "fun": lambda lam: -lam @ u, "jac": lambda lam: -u},
        method="SLSQP",
        options={"ftol": 1e-15, "maxiter": 500},
    )
    return float(solved.fun)


def star(x: Array, theta: Array) -> Array:
    """The broken twin: everyone against the winner, as is best when nothing is known."""
    w = truth.proportions(expit((x @ theta)[:, None] - x @ theta))
    return np.triu(w + w.T, 1)


def needed(name: str, w: Array) -> float:
    """What shares w need for every rival, by the general solver."""
    x, theta = STRUCTURES[name]()
    best = int((x @ theta).argmax())
    return 1 / min(oracle(x, theta, w, j) for j in range(len(x)) if j != best)


def highest_cost(x: Array, theta: Array, mixture: Array, nearest: Array) -> float:
    """max_ab Σ_j α_j kl(p_ab, μ(λ_j·z_ab)), after checking that each λ_j may be used."""
    best = int((x @ theta).argmax())
    assert mixture.sum() == pytest.approx(1, abs=1e-12)
    assert (mixture >= 0).all()
    assert mixture[best] == 0
    a, b = np.triu_indices(len(x), 1)
    total = np.zeros(len(a))
    for j in np.flatnonzero(mixture):
        assert nearest[j] @ (x[best] - x[j]) <= 1e-12
        total += mixture[j] * truth.kl(
            expit((x[a] - x[b]) @ theta), expit((x[a] - x[b]) @ nearest[j])
        )
    return float(total.max())


@pytest.mark.parametrize("name", BRACKETS)
def test_the_structured_requirement_is_inside_its_bracket_with_a_narrow_gap(name: str) -> None:
    low, high = BRACKETS[name]
    bound = bound_of(name)
    assert low <= bound.low <= bound.value <= bound.high <= high
    assert bound.gap <= 1e-3


@pytest.mark.parametrize("name", BRACKETS)
def test_what_is_handed_back_proves_both_ends(name: str) -> None:
    bound, (x, theta) = bound_of(name), STRUCTURES[name]()
    assert bound.w.sum() == pytest.approx(1, abs=1e-9)
    assert bound.w.min() >= 0
    assert needed(name, bound.w) == pytest.approx(bound.high, rel=1e-6)
    assert 1 / highest_cost(x, theta, bound.mixture, bound.nearest) == pytest.approx(
        bound.low, rel=1e-9
    )


def test_everyone_against_the_winner_needs_far_more_than_the_structured_requirement() -> None:
    twin = needed("mid16", star(*STRUCTURES["mid16"]()))
    assert twin == pytest.approx(199.10, abs=0.01)
    low, high = BRACKETS["mid16"]
    assert not low <= twin <= high


def test_an_even_mixture_of_rivals_proves_a_weaker_end() -> None:
    bound, (x, theta) = bound_of("mid16"), STRUCTURES["mid16"]()
    even = (bound.mixture > 0) / (bound.mixture > 0).sum()
    assert 1 / highest_cost(x, theta, even, bound.nearest) < 0.99 * bound.low


def settles(name: str, w: Array, mixture: Array, nearest: Array) -> bool:
    """KKT: pairs that are used cost alike, the others no more, and rivals that count are alike."""
    x, theta = STRUCTURES[name]()
    a, b = np.triu_indices(len(x), 1)
    z = x[a] - x[b]
    cost = np.array([truth.kl(expit(z @ theta), expit(z @ lam)) for lam in nearest])
    mean, D = mixture @ cost, cost @ w[a, b]
    used, counts = w[a, b] > 1e-3, mixture > 1e-3
    top = mean.max()
    return bool(np.all(mean[used] >= 0.995 * top) and np.all(np.abs(D[counts] / top - 1) <= 0.005))


@pytest.mark.parametrize("name", BRACKETS)
def test_the_optimum_meets_its_conditions(name: str) -> None:
    bound = bound_of(name)
    assert settles(name, bound.w, bound.mixture, bound.nearest)


def test_everyone_against_the_winner_does_not_meet_them() -> None:
    bound = bound_of("mid16")
    assert not settles("mid16", star(*STRUCTURES["mid16"]()), bound.mixture, bound.nearest)


def test_three_policies_agree_with_a_search_over_all_shares() -> None:
    for u in ([0.0, -0.5, -0.8], [0.0, -0.3, -2.0]):
        x, theta = np.eye(3), np.array(u)
        bound = structured_t_star(x, theta, gap=1e-5)

        def information(w: Array, x: Array = x, theta: Array = theta) -> float:
            return min(oracle(x, theta, w, j) for j in (1, 2))

        def shares(v: Array) -> Array:
            w = np.zeros((3, 3))
            w[np.triu_indices(3, 1)] = [v[0], v[1], 1 - v[0] - v[1]]
            return w

        steps = np.linspace(0, 1, 26)
        grid = [(a, b) for a in steps for b in steps if a + b <= 1 and a + b > 0]
        values = [information(shares(np.array(v))) for v in grid]
        found = minimize(
            lambda v: -information(shares(v)) if min(*v, 1 - sum(v)) >= 0 else 1.0,
            grid[int(np.argmax(values))],
            method="Nelder-Mead",
            options={"xatol": 1e-7, "fatol": 1e-12},
        )
        assert -1 / found.fun == pytest.approx(bound.value, rel=1e-4)
        assert 1 / information(star(x, theta)) > 1.001 * bound.high


def test_two_policies_have_one_pair_and_its_closed_form() -> None:
    """T* = 1 / kl(p, 1/2) with or without structure."""
    bound = structured_t_star(np.eye(2), np.array([0.7, 0.0]))
    assert bound.value == pytest.approx(1 / float(truth.kl(expit(0.7), 0.5)), rel=1e-9)
    assert bound.w[0, 1] == pytest.approx(1)


def test_a_structure_costs_no_more_than_none() -> None:
    for name in ("easy4", "hard8", *BRACKETS):
        assert bound_of(name).high <= truth.t_star(INSTANCES[name]().p) * (1 + 1e-9)


def test_features_that_say_nothing_new_change_nothing() -> None:
    """x is used through differences: a shift, a rotation and an idle column are free."""
    x, theta = STRUCTURES["hard8"]()
    turn = np.linalg.qr(stream(5, "tests/bound/turn").normal(size=(8, 8)))[0]
    other = np.column_stack([x @ turn + 3.0, np.ones(8)])
    again = structured_t_star(other, np.append(turn.T @ theta, 5.0))
    assert again.value == pytest.approx(bound_of("hard8").value, rel=1e-3)


def test_tied_best_policies_cannot_be_told_apart() -> None:
    tied = structured_t_star(np.eye(3), np.array([0.0, 0.0, -1.0]))
    assert tied.low == tied.high == tied.value == np.inf
    assert np.isnan(tied.w).all()


def test_certain_wins_and_near_ties_still_have_two_proven_ends() -> None:
    for u in ([0.0, -12.0, -25.0], [0.0, -0.01, -3.0]):
        bound = structured_t_star(np.eye(3), np.array(u))
        assert 0 < bound.low <= bound.high < np.inf
        assert bound.gap < 0.005


def test_regularised_shares_move_little_when_theta_does() -> None:
    x, theta = STRUCTURES["easy4"]()
    value = 1 / bound_of("easy4").value
    options = {"gamma": 0.02 * value, "eta": 0.02 * value}
    w, near = (regularised_shares(x, t, **options) for t in (theta, theta + 1e-5 * np.arange(4)))
    assert w.sum() == pytest.approx(1)
    assert np.abs(w - near).max() < 1e-3
    loss = options["gamma"] * np.log(3) + options["eta"] * np.log(6)
    assert 1 / needed("easy4", w) >= 1 / bound_of("easy4").low - loss - 1e-9


def test_the_unregularised_shares_jump() -> None:
    """The broken twin: two rivals of equal strength swap places and the closed form's w jumps."""
    near = [truth.proportions(INSTANCES["cyc8"]().p + s * _tilt()) for s in (1e-9, -1e-9)]
    assert np.abs(near[0] - near[1]).max() > 0.05


def _tilt() -> Array:
    tilt = np.zeros((8, 8))
    tilt[2, 1], tilt[1, 2] = -1.0, 1.0
    return tilt
