"""Forms of DSO: summed over prompts, self-normalised, with a baseline; and what supports them.

The small world of test_learners: every sum is known.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from test_learners import (
    DENSITY,
    MODEL,
    PLACES,
    REWARD,
    SAYS,
    SHARES,
    K,
    Played,
    climbed,
    near,
    off,
    plain_dso,
    smooth,
)

from bestpolicy.bench.known import Known
from bestpolicy.bench.offline_prompts.grids import Cell
from bestpolicy.bench.offline_prompts.play import place
from bestpolicy.core.softmax import drawn
from bestpolicy.offpolicy.density import logged
from bestpolicy.offpolicy.kernel import gaussian
from bestpolicy.offpolicy.learners.over_prompts import dso_summed
from bestpolicy.offpolicy.learners.self_normalised import self_normalised_dso
from bestpolicy.offpolicy.learners.sentences import doubly_robust_dso, dso, weights
from bestpolicy.offpolicy.learners.support import Heard, quantiles, supports
from bestpolicy.offpolicy.learners.training import Slope, scored

C = np.einsum("xs,st,xs->xt", SHARES, K, 1 / DENSITY)  # c(x, s')
BAR = np.einsum("xas,st->xat", SAYS, K)  # Kbar(x, a, s)


def summed(at: Played, bar: Any = BAR) -> Slope:
    def closeness(rows: Any) -> Any:
        return bar[at.x[rows], :, at.s[rows]]

    return dso_summed(at.r - at.r.mean(), at.density, closeness, most=np.inf)


def test_dso_summed_over_prompts_climbs_what_dso_climbs_with_less_chance() -> None:
    at = Played(1)
    truth = climbed(smooth(REWARD - (SHARES * REWARD).sum() / 2))
    exact, by_chance = (at.mean_slope(slope, 2) for slope in (summed(at), plain_dso(at, draws=1)))
    assert off(exact, truth) < 6
    assert (exact[1] < by_chance[1]).all()


def test_sums_over_the_other_contexts_prompts_climb_something_else() -> None:
    at = Played(1)
    truth = climbed(smooth(REWARD - (SHARES * REWARD).sum() / 2))
    assert off(at.mean_slope(summed(at, BAR[::-1]), 2), truth) > 6


def self_normalised(at: Played, worth: Any) -> Slope:
    def support(rows: Any, said: Any) -> Any:
        return C[at.x[rows][:, None], np.searchsorted(PLACES, said[..., 0])]

    return self_normalised_dso(
        *(at.sentences, worth, at.density, at.speaker, near, support), most=np.inf, least=0.0
    )


@pytest.mark.parametrize("shift", [0.0, 1.0, -1.0])
def test_self_normalised_dso_climbs_a_mean_of_rewards_whatever_their_zero(shift: float) -> None:
    at = Played(13, shift=shift)
    found = at.mean_slope(self_normalised(at, at.r), 2)
    assert off(found, climbed(smooth(REWARD) / C)) < 6


def test_without_its_division_a_constant_moves_dso() -> None:
    """The twin: c taken for 1."""
    at = Played(13, shift=-1.0)
    slope = dso(at.sentences, at.r, at.density, at.speaker, near, most=np.inf)
    assert off(at.mean_slope(slope, 2), climbed(smooth(REWARD) / C)) > 6


def test_the_baseline_leaves_the_mean_slope_alone_and_lowers_its_variance() -> None:
    at = Played(15)
    worth = at.r + 1  # a baseline pays where values have a mean
    truth = climbed(smooth(REWARD + 1))

    def with_(baseline: Any) -> Slope:
        def slope(rows: Any, chances: Any, rng: Any) -> Any:
            actions = drawn(chances, 4, rng)
            said = at.speaker(rows, actions, rng)
            k = weights(rows, said, at.sentences, at.density, near, np.inf)
            value = k * worth[rows, None]
            return scored(chances, actions, baseline(value) / 4)

        return slope

    def shipped(baseline: bool) -> Slope:
        return dso(
            *(at.sentences, worth, at.density, at.speaker, near),
            draws=4,
            most=np.inf,
            baseline=baseline,
        )

    left_out, none = (at.mean_slope(shipped(on), 2) for on in (True, False))
    assert off(left_out, truth) < 6
    assert off(none, truth) < 6
    # 60,000 rows know a standard error to half a percent.
    assert (left_out[1] < 0.95 * none[1]).all()
    # The twin: a baseline that includes the draw's own value.
    twin = at.mean_slope(with_(lambda v: v - v.mean(axis=1, keepdims=True)), 2)
    assert off(twin, truth) > 6


def test_a_residual_by_prompt_in_place_of_the_sentence_climbs_something_else() -> None:
    """The twin of CF-DR-DSO: Rhat(x, a_i) taken off r_i where Rhat(x, s_i) is meant."""
    at = Played(3)
    by_prompt = np.einsum("xas,xs->xa", SAYS, MODEL)

    def climb(own: Any) -> Any:
        def foreseen(rows: Any, said: Any) -> Any:
            logged = said.shape[1] == 1
            return own[rows][:, None] if logged else at.foreseen(MODEL)(rows, said)

        slope = doubly_robust_dso(
            *(at.sentences, at.r, at.density, at.speaker, near, foreseen), shrink=1.0, most=np.inf
        )
        return off(at.mean_slope(slope, 4), climbed(MODEL + smooth(REWARD - MODEL)))

    assert climb(MODEL[at.x, at.s]) < 6
    assert climb(by_prompt[at.x, at.a]) > 6


def test_the_mean_of_c_under_the_logging_policy_is_one() -> None:
    assert np.allclose((SHARES * C).sum(axis=1), 1)
    at = place(Cell(12, 400), 3)
    c = supports(at.log, at.source, gaussian(5.0), rows=100)
    means = c.mean(axis=1)
    assert abs(means.mean() - 1) < 6 * means.std(ddof=1) / len(means) ** 0.5


def test_a_density_in_other_units_moves_the_mean_of_c() -> None:
    """The twin: Euclidean distance where the kernel's is meant, in the density alone."""
    at = place(Cell(12, 400), 3)

    class Other(Known):
        def closeness(self, log: Any, kernel: Any) -> Any:
            return Known.closeness(self, log, gaussian(kernel.width * 5))

    c = supports(at.log, Other(at.source.world, 3), gaussian(5.0), rows=100)
    means = c.mean(axis=1)
    assert abs(means.mean() - 1) > 6 * means.std(ddof=1) / len(means) ** 0.5


def test_quantiles_of_c_fall_where_a_policy_says_what_was_not_logged() -> None:
    at = place(Cell(12, 400), 3)
    own = quantiles(at.log, at.source, gaussian(5.0))
    assert list(own) == [0.01, 0.1, 0.5, 0.9, 0.99]
    assert list(own.values()) == sorted(own.values())
    chances = logged(at.log)
    rare = (np.arange(12) == chances.argmin(axis=1)[:, None]).astype(float)
    table = np.where(rare > 0, 1e-6 * chances, chances)
    table /= table.sum(axis=1, keepdims=True)
    own_chance = table[np.arange(len(table)), at.log.actions]
    thin = replace(at.log, propensities=table, propensity=own_chance)
    assert quantiles(thin, at.source, gaussian(5.0), rare)[0.5] < own[0.5]


def test_what_learners_hear_of_c_is_near_the_truth_kept_or_drawn_anew() -> None:
    at = place(Cell(12, 60), 3)
    rows, kernel = np.arange(60), gaussian(8.0)
    _, said = at.source.draws(at.log, logged(at.log), 20, "look")
    heard = Heard(at.log, at.source, kernel, among=400)
    kept = heard(rows, said)
    heard._kept = None
    anew = heard(rows, said)
    # 400 draws know a mean of 1 to a few percent, and 1/D bends by as much.
    assert abs(np.median(kept / anew) - 1) < 0.1
    assert abs(kept.mean() - 1) < 0.1
