"""Models of the reward: what they may have seen, what a ridge solves, and what they say of it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from bestpolicy.core.log import Log
from bestpolicy.core.nouns import Array, ConfigError
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy import boosted, ridge
from bestpolicy.offpolicy.folds import Folds, Moments, Seen
from bestpolicy.offpolicy.reward_models import Fitted, fitted
from bestpolicy.offpolicy.reward_models import drawn as drawn_pair
from bestpolicy.offpolicy.ridge import Ridge
from bestpolicy.offpolicy.rows import Given, Rows
from bestpolicy.offpolicy.targets import target_of
from bounds import at_most
from logged import Known, Pieces, drawn, known


@dataclass
class Least:
    """Least squares with fit and predict, as others write such things."""

    seen: int = 0

    def fit(self, x: Array, y: Array) -> Least:
        self.seen = len(y)
        self.line = np.linalg.lstsq(x.T @ x + np.eye(x.shape[1]), x.T @ y, rcond=None)[0]
        return self

    def predict(self, x: Array) -> Array:
        return np.asarray(x @ self.line)


def rows_of(log: Log, target: Any) -> Rows:
    return Rows(log, target_of(target, log), Given())


def predictions(model: Fitted, one: Known, log: Log | None = None) -> Array:
    return model(rows_of(log or one.log, one.target))


@pytest.fixture(scope="module")
def one() -> Known:
    return known(600, seed=3)


def other_reward(log: Log, row: int) -> Log:
    rewards = log.rewards.copy()
    rewards[row] = 1 - rewards[row]
    return replace(log, rewards=rewards)


KINDS = pytest.mark.parametrize(
    "kind", ["ridge", "boosted", Least()], ids=["ridge", "trees", "own"]
)


@KINDS
@pytest.mark.parametrize("row", [0, 311])
def test_the_reward_of_a_row_does_not_change_what_its_model_says(
    kind: Any, row: int, one: Known
) -> None:
    def said(log: Log, folds: int) -> Array:
        model = fitted(log, kind, rng=stream(0, "folds"), folds=folds)
        return predictions(model, one, log)

    changed = other_reward(one.log, row)
    assert np.array_equal(said(one.log, 2)[row], said(changed, 2)[row])
    assert not np.array_equal(said(one.log, 2), said(changed, 2))  # of other rows it does
    assert not np.array_equal(said(one.log, 1)[row], said(changed, 1)[row])  # in-sample


@KINDS
def test_a_model_says_the_same_one_by_one_and_at_once(kind: Any, one: Known) -> None:
    model, rows = fitted(one.log, kind, rng=stream(0, "f")), rows_of(one.log, one.target)
    every, (q, d) = model(rows), model.pair(rows)
    assert q == pytest.approx(every[np.arange(600), one.log.actions], abs=1e-10)
    assert d == pytest.approx((every * one.target).sum(axis=1), abs=1e-10)


@KINDS
def test_a_model_of_pieces_is_the_model_of_the_whole(kind: Any, one: Known) -> None:
    whole = predictions(fitted(one.log, kind, rng=stream(0, "f")), one)
    pieces = fitted(Pieces(one.log, 77), kind, rng=stream(0, "f"))
    assert predictions(pieces, one) == pytest.approx(whole, abs=1e-8)
    assert pieces.fit.slope == pytest.approx(
        fitted(one.log, kind, rng=stream(0, "f")).fit.slope, abs=1e-8
    )


@KINDS
def test_how_good_a_model_is_is_measured_on_rows_that_it_has_not_seen(
    kind: Any, one: Known
) -> None:
    model = fitted(one.log, kind, rng=stream(0, "f"))
    q, r = model.pair(rows_of(one.log, one.target))[0], one.log.rewards
    slope = np.cov(r, q)[0, 1] / np.var(q, ddof=1)
    assert model.fit.slope == pytest.approx(slope, abs=1e-8)
    left = 1 - np.sum((r - q) ** 2) / np.sum((r - r.mean()) ** 2)
    assert (model.fit.r2, model.fit.folds) == (pytest.approx(left, abs=1e-8), 2)
    assert not model.warnings
    assert "folds=1" in fitted(one.log, kind, rng=stream(0, "f"), folds=1).warnings[0]


def test_folds_are_even_and_follow_the_number_of_the_row() -> None:
    folds = Folds.of(3, stream(0, "f"))
    whole = Seen(np.zeros((600, 0)), np.zeros(600, dtype=np.intp), np.zeros(600))
    part = replace(whole, cell=whole.cell[:50], start=200)
    assert np.array_equal(folds.halves(part), folds.halves(whole)[200:250])
    assert np.bincount(folds.halves(whole)).tolist() == [100] * 6
    assert np.bincount(folds.folds(whole)).tolist() == [200] * 3


def lopsided(folds: Array) -> bool:
    """Whether some place of a log that repeats every 2 … 8 rows keeps to one fold."""
    places = [folds[at::every] for every in range(2, 9) for at in range(every)]
    counts = [(int(place.sum()), len(place)) for place in places]
    return not all(at_most(max(ones, n - ones), n, 0.5) for ones, n in counts)


def test_a_log_that_repeats_itself_has_every_place_in_both_folds() -> None:
    rows = Seen(np.zeros((8000, 0)), np.zeros(8000, dtype=np.intp), np.zeros(8000))
    assert not lopsided(Folds.of(2, stream(1, "f")).folds(rows))
    assert lopsided(np.arange(8000) % 2)


def by_solving(
    one: Known, learn: Array, penalty: float, features: Array | None, *, own: bool = True
) -> Array:
    """(A, d + 1) the ridge's lines as one large system: shared, features, own."""
    log = one.log
    assert log.contexts is not None
    x = log.contexts - log.contexts.mean(axis=0)
    inside = x[learn]
    x = (x - inside.mean(axis=0)) / inside.std(axis=0)
    z = np.column_stack([np.ones(len(x)), x])
    p, actions = z.shape[1], len(log.names)
    f = np.zeros((actions, 0)) if features is None else features
    f = (f - f.mean(axis=0)) / f.std(axis=0)
    g = np.column_stack([np.ones(actions), f])

    def columns(z: Array, a: int) -> Array:
        shared = np.concatenate([g[a, j] * z for j in range(g.shape[1])])
        each = np.zeros((actions, p))
        each[a, : p if own else 1] = z[: p if own else 1]
        return np.concatenate([shared, each.ravel()])

    wide = np.stack([columns(z[i], log.actions[i]) for i in np.flatnonzero(learn)])
    weight = np.full(wide.shape[1], penalty)
    weight[:p] = [1e-9, *[1.0] * (p - 1)]
    line = np.linalg.solve(wide.T @ wide + np.diag(weight), wide.T @ log.rewards[learn])
    return np.stack([[columns(row, a) @ line for a in range(actions)] for row in z])


FEATURES = stream(4, "features").normal(size=(12, 2))


@pytest.mark.parametrize("features", [None, FEATURES], ids=["alone", "features"])
@pytest.mark.parametrize("penalty", [0.5, 30.0])
def test_a_ridge_solves_its_equations(penalty: float, features: Array | None, one: Known) -> None:
    model = fitted(
        *(one.log, Ridge((penalty,))), rng=stream(0, "f"), folds=1, action_features=features
    )
    every = np.ones(600, dtype=bool)
    solved = by_solving(one, every, penalty, features)
    assert predictions(model, one) == pytest.approx(solved, abs=1e-8)


def test_a_ridge_of_wide_contexts_has_levels_of_its_own(
    one: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ridge, "CELLS", 100)
    model = fitted(one.log, Ridge((3.0,)), rng=stream(0, "f"), folds=1)
    solved = by_solving(one, np.ones(600, dtype=bool), 3.0, None, own=False)
    assert predictions(model, one) == pytest.approx(solved, abs=1e-8)
    crossed = fitted(one.log, rng=stream(0, "f"))
    q, r = crossed.pair(rows_of(one.log, one.target))[0], one.log.rewards
    assert crossed.fit.slope == pytest.approx(Moments.of(q, r).fit(2).slope, abs=1e-8)
    with pytest.raises(ConfigError, match="too wide"):
        fitted(one.log, rng=stream(0, "f"), action_features=FEATURES)


def test_a_row_that_stands_for_three_is_three_rows(one: Known) -> None:
    often = 1.0 + stream(5, "often").integers(3, size=600)
    many, rows = replace(one.log, weight=often), np.repeat(np.arange(600), often.astype(int))
    assert one.log.contexts is not None
    long = Log(
        *(one.log.actions[rows], one.log.rewards[rows], one.log.propensity[rows], one.log.names),
        contexts=one.log.contexts[rows],
    )
    short = fitted(many, Ridge((5.0,)), rng=stream(0, "f"), folds=1)
    whole = fitted(long, Ridge((5.0,)), rng=stream(0, "f"), folds=1)
    assert predictions(short, one) == pytest.approx(predictions(whole, one), abs=1e-8)


def test_contexts_far_from_zero_are_learnt_as_well(one: Known) -> None:
    assert one.log.contexts is not None
    late = replace(one.log, contexts=1.7e9 + 1e3 * one.log.contexts)
    here = predictions(fitted(one.log, rng=stream(0, "f")), one)
    there = predictions(fitted(late, rng=stream(0, "f")), one, late)
    assert there == pytest.approx(here, abs=1e-4)


def test_a_context_that_never_changes_and_an_action_never_logged_do_no_harm(one: Known) -> None:
    names = (*one.log.names, "never")
    flat = replace(one.log, contexts=np.ones((600, 3)), names=names, propensities=None)
    model = fitted(flat, rng=stream(0, "f"))
    said = model(rows_of(flat, "uniform"))
    assert np.isfinite(said).all()
    assert 0.3 < said[:, -1].mean() < 0.7


def test_noise_gets_no_slope_and_the_truth_gets_one() -> None:
    log = known(6000, seed=9).log
    assert log.contexts is not None
    x = stream(2, "x").normal(size=6000)
    line = np.clip(0.5 + 0.2 * x, 0, 1)
    told = (stream(2, "r").random(6000) < line).astype(float)
    right = replace(log, rewards=told, contexts=x[:, None])
    shuffled = replace(right, rewards=stream(3, "r").permutation(told))
    fit, noise = (fitted(some, rng=stream(0, "f")).fit for some in (right, shuffled))
    assert abs(fit.slope - 1) < 0.2
    assert fit.r2 > 0.1
    assert noise.r2 < 0.003


class Chooser:
    """A policy that can be sampled, and says nothing else."""

    def __init__(self, table: Array) -> None:
        self.table = table

    def sample(self, contexts: Array, rng: np.random.Generator) -> Any:
        return drawn(self.table, rng)


def test_draws_from_a_policy_expect_the_sum_over_its_actions(one: Known) -> None:
    model, rows = fitted(one.log, rng=stream(0, "f")), rows_of(one.log, one.target)
    side = drawn_pair(model, Chooser(one.target), draws=400, rng=stream(0, "draws"))
    (q, d), (exact_q, exact_d) = side(rows), model.pair(rows)
    assert np.array_equal(q, exact_q)
    every = model(rows)
    spread = (one.target * every**2).sum(axis=1) - exact_d**2
    error = np.sqrt(spread.sum() / 400) / 600
    assert abs((d - exact_d).mean()) < 5 * error
    assert np.array_equal(side(rows)[1], d)  # the same draws in every pass
    assert abs((every.mean(axis=1) - exact_d).mean()) > 5 * error  # draws from another policy


def test_trees_tell_255_actions_apart_and_say_so() -> None:
    names = tuple(map(str, range(256)))
    log = Log(np.zeros(8, dtype=np.intp), np.ones(8), np.ones(8), names)
    with pytest.raises(ConfigError, match=r"at most 255 .*model='ridge'"):
        fitted(log, "boosted", rng=stream(0, "f"))


def test_trees_without_scikit_learn_say_what_to_install(
    one: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    with pytest.raises(ConfigError, match=r"pip install 'bestpolicy\[logs\]'"):
        fitted(one.log, "boosted", rng=stream(0, "f"))


def test_a_log_too_long_to_gather_is_refused_with_what_takes_it(
    one: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boosted, "GATHERED", 1600)
    with pytest.raises(ConfigError, match=r"at most 100 of 16 numbers each.*model='ridge'"):
        fitted(Pieces(one.log, 50), Least(), rng=stream(0, "f"))


@pytest.mark.parametrize("kind", ["rigde", 3, object()])
def test_what_is_no_model_is_refused(kind: Any, one: Known) -> None:
    with pytest.raises(ConfigError, match="'ridge', 'boosted'"):
        fitted(one.log, kind, rng=stream(0, "f"))


def test_a_classifier_is_asked_for_chances(one: Known) -> None:
    from sklearn.linear_model import LogisticRegression

    model = fitted(one.log, LogisticRegression(), rng=stream(0, "f"))
    said = predictions(model, one)
    assert ((said > 0) & (said < 1)).all()
    assert len(np.unique(said)) > 600
