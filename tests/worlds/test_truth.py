"""The data requirements equal the published table and a linear program."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import linprog

from bestpolicy.core.nouns import Array
from bestpolicy.core.rng import stream
from bestpolicy.worlds import truth
from bestpolicy.worlds.preference import INSTANCES

T_STAR = {
    "easy4": 24.8179901186,
    "hard8": 280.1941079188,
    "mid16": 199.1024910587,
    "easy32": 158.6078408777,
    "cyc8": 25.8839275515,
    "nonborda8": 211.7961169337,
    "feat32": 144.9043763988,
    "feat1000": 3082.2650564,
}
T_STAR_VERIFY = T_STAR | {"cyc8": 969.8809958311, "nonborda8": 1397.6611967016}
SMALL = [name for name in T_STAR if name != "feat1000"]


def by_linear_program(p: Array, kind: str) -> float:
    """T = 1 / max_w min_q Σ w kl(p, q), the adversary's choices written out as rows.

    The variables are one share per unordered pair and the value v of the game.
    """
    k, best = len(p), truth.winner(p)
    pairs = [(i, j) for i in range(k) for j in range(i + 1, k)]

    def cost_of(flipped: list[tuple[int, int]]) -> list[float]:
        lost = {tuple(sorted(pair)) for pair in flipped}
        return [-float(truth.kl(p[pair], 0.5)) if pair in lost else 0.0 for pair in pairs]

    def made_winner(j: int) -> list[float]:
        return cost_of([(j, other) for other in range(k) if p[j, other] < 0.5])

    rows = [[*made_winner(j), 1.0] for j in range(k) if j != best or kind == "none"]
    if kind == "verify":
        assert best is not None
        rows += [[*cost_of([(best, j)]), 1.0] for j in range(k) if j != best]
    solved = linprog(
        c=[0.0] * len(pairs) + [-1.0],
        A_ub=rows,
        b_ub=[0.0] * len(rows),
        A_eq=[[1.0] * len(pairs) + [0.0]],
        b_eq=[1.0],
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    assert solved.success
    return float(-1 / solved.fun)


def everyone_against_the_winner(p: Array) -> float:
    """The broken twin: b(j) = i* for all j."""
    return truth.t_star_verify(p)


def agrees_with_the_table(requirement: Callable[[Array], float]) -> bool:
    return all(
        requirement(INSTANCES[name]().p) == pytest.approx(t, rel=1e-6) for name, t in T_STAR.items()
    )


def test_the_data_requirement_of_every_instance_equals_the_table() -> None:
    assert agrees_with_the_table(truth.t_star)


def test_testing_everyone_against_the_winner_is_not_the_data_requirement() -> None:
    assert not agrees_with_the_table(everyone_against_the_winner)


def test_verifying_a_winner_costs_what_the_table_says() -> None:
    for name, t in T_STAR_VERIFY.items():
        assert truth.t_star_verify(INSTANCES[name]().p) == pytest.approx(t, rel=1e-6)


def test_refuting_every_policy_costs_what_the_table_says() -> None:
    assert truth.t_star_none(INSTANCES["nowinner6"]().p) == pytest.approx(79.4001709872, rel=1e-6)


@pytest.mark.parametrize("name", SMALL)
def test_the_closed_form_solves_the_linear_program(name: str) -> None:
    p = INSTANCES[name]().p
    assert by_linear_program(p, "winner") == pytest.approx(truth.t_star(p), rel=1e-8)
    assert by_linear_program(p, "verify") == pytest.approx(truth.t_star_verify(p), rel=1e-8)


def test_the_linear_program_agrees_that_there_is_no_winner() -> None:
    p = INSTANCES["nowinner6"]().p
    assert by_linear_program(p, "none") == pytest.approx(truth.t_star_none(p), rel=1e-8)


def test_the_closed_form_solves_the_linear_program_on_matrices_nobody_chose() -> None:
    for step in range(10):
        rng = stream(2, "tests/truth/random", step)
        upper = np.triu(rng.uniform(0.05, 0.95, (5, 5)), 1)
        upper[0, 1:] = rng.uniform(0.55, 0.95, 4)
        p = upper + np.tril(1 - upper.T, -1) + 0.5 * np.eye(5)
        assert by_linear_program(p, "winner") == pytest.approx(truth.t_star(p), rel=1e-8)
        assert by_linear_program(p, "verify") == pytest.approx(truth.t_star_verify(p), rel=1e-8)


def information_of(w: Array, p: Array) -> float:
    """The weakest refutation, per comparison, at the shares w."""
    best = truth.winner(p)
    return float(np.delete(((w + w.T) * truth.defeats(p)).sum(axis=1), best).min())


@pytest.mark.parametrize("name", SMALL)
def test_the_optimal_shares_reach_the_data_requirement_and_even_ones_do_not(name: str) -> None:
    p = INSTANCES[name]().p
    w = truth.proportions(p)
    even = np.triu(np.full_like(w, 2 / (len(p) * (len(p) - 1))), 1)  # every pair alike
    assert w.sum() == pytest.approx(1)
    assert information_of(w, p) == pytest.approx(1 / truth.t_star(p), rel=1e-9)
    assert information_of(even, p) < 0.99 / truth.t_star(p)


def test_the_shares_that_verify_a_winner_are_the_terms_of_its_requirement() -> None:
    p = INSTANCES["cyc8"]().p
    w = truth.proportions(p, assume_winner=False)
    assert w.sum() == pytest.approx(1)
    assert np.all(w[:, 1:] == 0)  # all against the winner, policy 0
    reached = (w * truth.defeats(p)).sum(axis=1)[1:].min()
    assert reached == pytest.approx(1 / truth.t_star_verify(p), rel=1e-9)
    assumed = truth.proportions(p)
    assert (assumed[:, 0] * truth.defeats(p)[:, 0]).min() < reached  # the broken twin


def test_the_shares_that_refute_everybody_are_the_terms_of_its_requirement() -> None:
    p = INSTANCES["nowinner6"]().p
    w = truth.proportions(p, assume_winner=False)
    assert w.sum() == pytest.approx(1)
    reached = (w * truth.defeats(p)).sum(axis=1).min()
    assert reached == pytest.approx(1 / truth.t_star_none(p), rel=1e-9)
    assert np.isnan(truth.proportions(np.full((3, 3), 0.5), assume_winner=False)).all()


def test_a_question_that_has_no_answer_costs_infinitely_many_comparisons() -> None:
    winner, none = INSTANCES["easy4"]().p, INSTANCES["nowinner6"]().p
    assert truth.t_star_none(winner) == np.inf
    assert truth.t_star(none) == truth.t_star_verify(none) == np.inf
    assert truth.t_star(np.full((3, 3), 0.5)) == np.inf
    assert np.isnan(truth.proportions(none)).all()


def test_the_floor_is_the_requirement_times_the_divergence_of_the_error() -> None:
    p = INSTANCES["cyc8"]().p
    assert truth.floor(p, 0.05, assume_winner=True) == pytest.approx(
        truth.t_star(p) * float(truth.kl(0.05, 0.95))
    )
    assert truth.floor(p, 0.05, assume_winner=False) == pytest.approx(2570, abs=1)
    assert truth.floor(p, 1e-64, assume_winner=True) == pytest.approx(
        truth.t_star(p) * 64 * np.log(10)
    )


def test_divergence_is_zero_at_home_and_infinite_where_the_impossible_happened() -> None:
    assert truth.kl(0.3, 0.3) == 0
    assert truth.kl(0.0, 0.5) == pytest.approx(np.log(2))
    assert truth.kl(0.5, 0.0) == np.inf
    assert truth.kl(0.05, 0.95) == pytest.approx(2.649995, abs=1e-6)
