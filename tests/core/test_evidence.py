"""Evidence: e-values have mean at most 1 under the null, whatever is forecast; intervals cover."""

from collections.abc import Callable
from itertools import product
from math import exp, log

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import betainc, betaln
from scipy.stats import binom

from bestpolicy.core.evidence import bet, by_counts, hedge, log_half, mixture, share_interval
from bestpolicy.core.rng import stream
from bounds import at_most, most_allowed

GRID = np.linspace(0.01, 0.99, 99).tolist()
SHARES = {  # values of y, and their chances so that the mean is m
    "a coin": ((0.0, 1.0), lambda m: (1 - m, m)),
    "a coin with draws": ((0.0, 0.5, 1.0), lambda m: (0.85 - m, 0.3, m - 0.15)),
    "graded": ((0.2, 0.6, 0.9), lambda m: (0.7 - (m - 0.32) / 0.7, 0.3, (m - 0.32) / 0.7)),
}


def worst_mean(factor: Callable[[float, float, float], float], null: str, h: float) -> float:
    """The largest mean of e^factor over forecasts, at the edge of the null E[y] = h."""
    values, chances = SHARES[null]
    pairs = list(zip(values, chances(h), strict=True))
    assert sum(y * w for y, w in pairs) == pytest.approx(h)
    return max(sum(w * exp(factor(y, f, h)) for y, w in pairs) for f in GRID)


@pytest.mark.parametrize("h", [0.5, 0.55, 0.6])
@pytest.mark.parametrize("null", SHARES)
def test_a_bet_is_a_fair_game_at_the_edge_of_the_null(null: str, h: float) -> None:
    assert worst_mean(bet, null, h) <= 1 + 1e-9


@pytest.mark.parametrize("null", SHARES)
def test_a_forecast_that_has_seen_the_answer_is_caught(null: str) -> None:
    def knowing(y: float, f: float, h: float) -> float:
        return bet(y, min(f, 0.9 * y + 0.05), h)

    assert worst_mean(knowing, null, 0.5) > 1.1


def test_a_bet_is_the_likelihood_ratio_for_a_coin() -> None:
    assert bet(1.0, 0.3) == pytest.approx(log(0.3 / 0.5))
    assert bet(0.0, 0.3, 0.55) == pytest.approx(log(0.7 / 0.45))
    assert bet(0.0, 0.7) == 0.0  # foreseen to win: nothing is staked against it
    assert bet(0.5, 0.2) == pytest.approx(0.0)  # a draw says nothing at 1/2


@pytest.mark.parametrize(
    ("s", "lost"), [(0, 0), (1, 0), (0, 1), (3, 8), (8, 3), (40, 60), (7.5, 9.5)]
)
def test_the_mixture_is_the_integral_that_it_claims_to_be(s: float, lost: float) -> None:
    wealth = quad(lambda f: 2 * (f / 0.5) ** s * ((1 - f) / 0.5) ** lost, 0, 0.5, epsabs=1e-13)[0]
    assert mixture(s, lost) == pytest.approx(log(wealth), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("n", [1, 5, 20])
def test_the_mixture_has_mean_one_under_a_fair_coin(n: int) -> None:
    mean = sum(binom.pmf(s, n, 0.5) * exp(mixture(s, n - s)) for s in range(n + 1))
    assert mean == pytest.approx(1.0, abs=1e-9)


def test_the_two_sided_mixture_read_as_one_sided_is_caught() -> None:
    def doubled(s: int, lost: int) -> float:  # the factor 2 of the half prior, without the half
        return log(2) * (s + lost + 1) + float(betaln(s + 1, lost + 1))

    assert sum(binom.pmf(s, 20, 0.5) * exp(doubled(s, 20 - s)) for s in range(21)) > 1.9


@pytest.mark.parametrize(
    ("a", "b"), [(1, 1), (3, 5), (50, 20), (20.5, 50), (900, 1100), (5e3, 5.1e3)]
)
def test_log_half_agrees_with_scipy(a: float, b: float) -> None:
    assert log_half(a, b) == pytest.approx(float(np.log(betainc(a, b, 0.5))), rel=1e-6, abs=1e-12)


def test_log_half_stays_finite_where_the_plain_function_underflows() -> None:
    assert betainc(1e5, 1.0, 0.5) == 0.0
    assert log_half(1e5, 1.0) == pytest.approx(-1e5 * log(2), rel=1e-12)
    assert np.isfinite(mixture(0.0, 1e6))


def test_a_hedge_is_the_average_of_e_values() -> None:
    assert hedge([log(4.0), log(2.0)], [0.25, 0.75]) == pytest.approx(log(2.5))
    assert hedge([1e4, 0.0], [0.5, 0.5]) == pytest.approx(1e4 - log(2))  # no overflow


@pytest.mark.parametrize(("s", "lost"), [(0, 0), (0, 9), (9, 0), (3, 4), (450, 550), (10.5, 3.5)])
def test_an_interval_is_ordered_and_holds_its_value(s: float, lost: float) -> None:
    i = share_interval(s, lost)
    assert 0 <= i.low <= i.value <= i.high <= 1
    mirrored = share_interval(lost, s)
    assert (mirrored.low, mirrored.high) == pytest.approx((1 - i.high, 1 - i.low), abs=1e-9)


def misses(p: float, runs: int, n: int, covers: Callable[[float, float], bool]) -> int:
    """Runs in which some look after an answer misses the truth."""
    count = 0
    for r in range(runs):
        s = np.cumsum(stream(0, "interval", r).random(n) < p)
        looks = range(1, n + 1, 7)
        count += any(not covers(float(s[t - 1]), float(t - s[t - 1])) for t in looks)
    return count


def test_the_confidence_sequence_covers_at_every_look_at_once() -> None:
    def covers(s: float, lost: float) -> bool:
        i = share_interval(s, lost, 0.1)
        return i.low <= 0.3 <= i.high

    runs = 200
    assert at_most(misses(0.3, runs, 150, covers), runs, 0.1)


def test_a_normal_interval_looked_at_often_is_caught() -> None:
    def covers(s: float, lost: float) -> bool:
        n = s + lost
        return abs(s / n - 0.3) <= 1.645 * (s * lost / n**3) ** 0.5 + 1e-12

    runs = 200
    assert not at_most(misses(0.3, runs, 150, covers), runs, 0.1)


def test_the_bound_of_the_tests_is_itself_exact() -> None:
    assert most_allowed(2000, 0.05) == 149  # one in a million, as computed elsewhere


def test_counts_alone_hold_one_fair_game_over_all_rivals() -> None:
    """Three rivals, each beaten half the time, four answers each: the mean of the e-value is 1."""
    mean = 0.0
    for wins in product(range(5), repeat=3):
        chance = np.prod([binom.pmf(w, 4, 0.5) for w in wins])
        won = np.array(wins, float)
        mean += chance * exp(by_counts(won, 4 - won))
    assert mean == pytest.approx(1.0, abs=1e-9)


def test_counts_alone_find_the_rival_that_wins() -> None:
    won, lost = np.array([40.0, 40.0, 10.0]), np.array([40.0, 40.0, 70.0])
    assert by_counts(won, lost) > log(1000)
    assert by_counts(won[:1], lost[:1]) == pytest.approx(mixture(40.0, 40.0))
