"""Every estimator is its formula: plain loops, another library's figures, limits, and pieces."""

from __future__ import annotations

import json
from dataclasses import replace
from math import inf, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bestpolicy.core.log import BadRow, Log
from bestpolicy.core.nouns import Array, ConfigError
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.evaluate import ESTIMATORS, evaluate
from bestpolicy.offpolicy.marginal import cluster_marginal, mips, off_cem, true_marginal
from bestpolicy.offpolicy.regression import dm, dr, dros, switch_dr
from bestpolicy.offpolicy.reward_models import predicted, predicted_pair
from bestpolicy.offpolicy.rows import Estimator, Given, Sums
from bestpolicy.offpolicy.weighting import balanced, clipped_ips, ips, snips
from logged import Known, Pieces, known

OPTIONS: dict[Estimator, dict[str, float]] = {
    ips: {},
    snips: {},
    clipped_ips: {"most": 2.0},
    dm: {},
    dr: {},
    mips: {},
    off_cem: {},
    switch_dr: {"most": 1.5},
    dros: {"lam": 7.0},
}
EVERY = pytest.mark.parametrize("estimator", OPTIONS, ids=lambda one: one.name)


def given(one: Known) -> Given:
    return Given(
        predictions=predicted(one.predictions),
        marginal=true_marginal(one.p_e_a, one.embeddings),
        cluster=cluster_marginal(one.clusters),
    )


def by_hand(name: str, one: Known) -> tuple[float, float]:
    """The value and its standard error by plain loops over rows and actions."""
    z, u = [], []
    log, actions = one.log, range(one.target.shape[1])
    assert log.propensities is not None
    for i in range(len(log)):
        a, r, c = log.actions[i], log.rewards[i], one.clusters[log.actions[i]]
        w = one.target[i, a] / log.propensity[i]
        q, d = one.predictions[i, a], sum(one.target[i, b] * one.predictions[i, b] for b in actions)
        look = [one.p_e_a[b, one.embeddings[i, 0], 0] for b in actions]
        look = [look[b] * one.p_e_a[b, one.embeddings[i, 1], 1] for b in actions]
        seen = sum(one.target[i, b] * look[b] for b in actions)
        seen /= sum(log.propensities[i, b] * look[b] for b in actions)
        same = [b for b in actions if one.clusters[b] == c]
        near = sum(one.target[i, b] for b in same) / sum(log.propensities[i, b] for b in same)
        terms = {
            "ips": (w * r, 1.0),
            "snips": (w * r, w),
            "clipped_ips": (min(w, 2.0) * r, 1.0),
            "dm": (d, 1.0),
            "dr": (d + w * (r - q), 1.0),
            "switch_dr": (d + (w * (r - q) if w <= 1.5 else 0.0), 1.0),
            "dros": (d + 7 * w / (w * w + 7) * (r - q), 1.0),
            "mips": (seen * r, 1.0),
            "off_cem": (d + near * (r - q), 1.0),
        }[name]
        z.append(terms[0])
        u.append(terms[1])
    value, n = sum(z) / sum(u), len(z)
    off = sum((z[i] - value * u[i]) ** 2 for i in range(n))
    return value, sqrt(off * n / (n - 1)) / sum(u)


@pytest.fixture(scope="module")
def small() -> Known:
    return known(300, seed=5)


@EVERY
def test_an_estimator_is_what_plain_loops_make_of_its_formula(
    estimator: Estimator, small: Known
) -> None:
    made = estimator(small.log, small.target, given=given(small), **OPTIONS[estimator])
    value, error = by_hand(estimator.name, small)
    assert made.value == pytest.approx(value, abs=1e-10)
    assert made.stderr == pytest.approx(error, abs=1e-10)


def test_the_comparison_with_plain_loops_tells_estimators_apart(small: Known) -> None:
    values = [by_hand(one.name, small)[0] for one in OPTIONS]
    assert min(np.diff(np.sort(values))) > 1e-6


def test_every_estimator_has_its_name_in_the_list() -> None:
    assert {one.name for one in OPTIONS} <= set(ESTIMATORS)


@EVERY
def test_another_scale_of_rewards_is_another_scale_of_values(
    estimator: Estimator, small: Known
) -> None:
    log, options = small.log, OPTIONS[estimator]
    wide = replace(log, rewards=5 * log.rewards - 2, bounds=(-2, 3))
    beside = replace(given(small), predictions=predicted(5 * small.predictions - 2))
    one = estimator(log, small.target, given=given(small), **options)
    other = estimator(wide, small.target, given=beside, **options)
    if estimator.name in ("ips", "clipped_ips", "mips"):  # weights do not average 1: zero matters
        ones = replace(log, rewards=np.ones(len(log)))
        drift = estimator(ones, small.target, given=given(small), **options).value
        assert other.value == pytest.approx(5 * one.value - 2 * drift)
        return
    assert other.value == pytest.approx(5 * one.value - 2)
    assert other.stderr == pytest.approx(5 * one.stderr)


@EVERY
@pytest.mark.parametrize("rows", [1, 7, 64, 299])
def test_pieces_of_any_size_make_the_whole(estimator: Estimator, rows: int, small: Known) -> None:
    options = OPTIONS[estimator]
    whole = estimator(small.log, small.target, given=given(small), **options)
    parts = estimator(Pieces(small.log, rows), small.target, given=given(small), **options)
    assert parts.value == pytest.approx(whole.value, abs=1e-12)
    assert parts.stderr == pytest.approx(whole.stderr, abs=1e-12)
    assert (parts.low, parts.high) == pytest.approx((whole.low, whole.high), abs=1e-7)


def test_the_mean_of_the_pieces_means_is_not_the_whole(small: Known) -> None:
    w = small.target[np.arange(300), small.log.actions] / small.log.propensity
    pieces = [Sums.of((w * small.log.rewards)[s], 1.0) for s in (slice(64), slice(64, None))]
    assert sum(pieces, Sums()).value == pytest.approx(ips(small.log, small.target).value)
    means = np.mean([piece.value for piece in pieces])
    assert abs(means - ips(small.log, small.target).value) > 1e-3


@EVERY
def test_the_order_of_rows_does_not_matter(estimator: Estimator, small: Known) -> None:
    order, log = stream(1, "order").permutation(300), small.log
    assert log.propensities is not None
    assert log.contexts is not None
    turned = replace(
        small,
        log=Log(
            *(log.actions[order], log.rewards[order], log.propensity[order], log.names),
            propensities=log.propensities[order],
        ),
        target=small.target[order],
        predictions=small.predictions[order],
        embeddings=small.embeddings[order],
    )
    one = estimator(log, small.target, given=given(small), **OPTIONS[estimator])
    other = estimator(turned.log, turned.target, given=given(turned), **OPTIONS[estimator])
    assert other.value == pytest.approx(one.value, abs=1e-12)


FIGURES = json.loads((Path(__file__).parent / "obp_figures.json").read_text())


@pytest.mark.parametrize("seed", [int(seed) for seed in FIGURES])
def test_figures_of_open_bandit_pipeline_come_out_again(seed: int) -> None:
    one = known(seed=seed)
    beside, mixed = given(one), balanced(one.log, one.loggers)
    asked: dict[str, tuple[Estimator, Log, dict[str, float]]] = {
        name: (ESTIMATORS[name], one.log, {}) for name in ("ips", "snips", "dm", "dr", "mips")
    }
    asked["clipped_ips 10"] = clipped_ips, one.log, {"most": 10.0}
    asked["switch_dr 3"] = switch_dr, one.log, {"most": 3.0}
    asked["dros 20"] = dros, one.log, {"lam": 20.0}
    asked["balanced ips"], asked["balanced dr"] = (ips, mixed, {}), (dr, mixed, {})
    ours = {
        name: estimator(log, one.target, given=beside, **options).value
        for name, (estimator, log, options) in asked.items()
    }
    assert ours == pytest.approx(FIGURES[str(seed)], abs=1e-12)


def test_shrinkage_and_switch_reach_dm_and_dr_in_their_limits(small: Known) -> None:
    def value(estimator: Estimator, **options: float) -> float:
        return estimator(small.log, small.target, given=given(small), **options).value

    assert value(dros, lam=0.0) == value(switch_dr, most=0.0) == value(dm)
    assert value(dros, lam=inf) == value(switch_dr, most=inf) == value(dr)
    assert value(dros, lam=1e-9) == pytest.approx(value(dm), abs=1e-7)
    assert value(dros, lam=1e12) == pytest.approx(value(dr), abs=1e-7)
    assert abs(value(dm) - value(dr)) > 0.001


@pytest.mark.parametrize(("estimator", "option"), [(switch_dr, "most"), (dros, "lam")])
@pytest.mark.parametrize("bound", [-1.0, float("nan")])
def test_a_bound_below_0_is_refused(
    estimator: Estimator, option: str, bound: float, small: Known
) -> None:
    with pytest.raises(ConfigError, match="0 or more"):
        estimator(small.log, small.target, given=given(small), **{option: bound})


@pytest.mark.parametrize("estimator", [ips, snips, clipped_ips, mips], ids=lambda one: one.name)
def test_of_the_logging_policy_all_weights_give_the_plain_mean(
    estimator: Estimator, small: Known
) -> None:
    pi_0 = small.log.propensities
    made = estimator(small.log, pi_0, given=given(small))
    assert made.value == pytest.approx(small.log.rewards.mean(), abs=1e-12)


def test_weights_clipped_at_1_miss_the_value_of_another_policy(small: Known) -> None:
    cut, whole = clipped_ips(small.log, small.target, most=1.0), ips(small.log, small.target)
    assert cut.value < whole.value - 0.1


def test_a_pair_of_predictions_stands_for_all_of_them(small: Known) -> None:
    q = small.predictions[np.arange(300), small.log.actions]
    d = (small.target * small.predictions).sum(axis=1)
    chances = small.target[np.arange(300), small.log.actions]
    pair = Given(pair=predicted_pair(q, d))
    whole = dr(small.log, small.target, given=given(small))
    assert dr(small.log, chances, given=pair).value == pytest.approx(whole.value, abs=1e-12)


@pytest.mark.parametrize("estimator", [dm, dr, switch_dr, dros], ids=lambda one: one.name)
def test_chances_of_logged_actions_alone_are_refused_with_what_to_give(
    estimator: Estimator, small: Known
) -> None:
    chances = small.target[np.arange(300), small.log.actions]
    with pytest.raises(ConfigError, match=r"give an \(n, A\) array or a policy"):
        evaluate(small.log, chances, estimators=[estimator.name])


def test_single_precision_is_enough(small: Known) -> None:
    target = small.target.astype(np.float32)
    beside = Given(predictions=predicted(small.predictions.astype(np.float32)))
    exact = dr(small.log, small.target, given=given(small)).value
    assert dr(small.log, target, given=beside).value == pytest.approx(exact, abs=1e-5)


def spoilt(values: Array, to: float) -> Array:
    made = values.copy()
    made[17, 3] = to
    return made


@pytest.mark.parametrize("what", ["nan", "short", "names"])
def test_wrong_predictions_are_refused(what: str, small: Known) -> None:
    wrong: dict[str, tuple[Any, str]] = {
        "nan": (spoilt(small.predictions, np.nan), "row 17 .*must be a number"),
        "short": (small.predictions[:200], "every row"),
        "names": (small.predictions[:, :5], "each of the 12 actions"),
    }
    values, says = wrong[what]
    with pytest.raises(ConfigError, match=says):
        dm(small.log, small.target, given=Given(predictions=predicted(values)))


def test_a_table_of_chances_is_refused_at_the_row_that_is_wrong(small: Known) -> None:
    for to in (np.nan, -0.2, 0.9):
        with pytest.raises(BadRow, match="row 17 "):
            ips(small.log, spoilt(small.target, to))
