"""What estimators expect: every row that a small world can write, as often as it would write it."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from bestpolicy.core.log import BadRow, Estimate, Log
from bestpolicy.core.nouns import Array, ConfigError
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.marginal import cluster_marginal, mips, off_cem, true_marginal
from bestpolicy.offpolicy.marginal_models import estimated_marginal
from bestpolicy.offpolicy.regression import dm, dr, switch_dr
from bestpolicy.offpolicy.reward_models import predicted
from bestpolicy.offpolicy.ridge import Ridge
from bestpolicy.offpolicy.rows import Given
from bestpolicy.offpolicy.weighting import balanced, clipped_ips, ips, mixture, snips

X, A, E = 3, 4, 3
RNG = stream(7, "a small world")
P_X = np.array([0.5, 0.3, 0.2])
PI_0, PI = RNG.dirichlet(np.ones(A), size=X), RNG.dirichlet(np.ones(A), size=X)
P_E_A = RNG.dirichlet(np.ones(E), size=A)
BY_LOOK, BY_ACTION = RNG.random((X, E)), RNG.random((X, A))
CLUSTERS = np.array([0, 0, 1, 1])
EVERY = np.array(list(product(range(X), range(A), range(E), (0.0, 1.0))))
XS, AS, ES = (EVERY[:, column].astype(np.intp) for column in range(3))
WRONG = RNG.random((X, A))  # predictions of nothing


def every_row(mean: Array, chances: Array = PI_0, shown: Array = PI_0) -> Log:
    """The log of all rows with mean(x, a, e) rewards, weighted by their chance; 0 has no row."""
    of_r = np.where(EVERY[:, 3] == 1, mean[XS, AS, ES], 1 - mean[XS, AS, ES])
    chance = P_X[XS] * chances[XS, AS] * P_E_A[AS, ES] * of_r
    return Log(
        *(AS, EVERY[:, 3], shown[XS, AS], tuple("abcd")),
        contexts=np.eye(X)[XS][:, 1:],
        propensities=shown[XS],
        weight=chance / chance.min(),
    )


def value(mean: Array, pi: Array = PI) -> float:
    return float(np.einsum("x,xa,ae,xae->", P_X, pi, P_E_A, mean))


ACTS = np.broadcast_to(BY_ACTION[:, :, None], (X, A, E))
LOOKS = np.broadcast_to(BY_LOOK[:, None, :], (X, A, E))
EITHER = (ACTS + LOOKS) / 2


def guess(table: Array) -> Given:
    return Given(predictions=predicted(table[XS]))


def test_ips_and_dr_with_a_wrong_model_are_unbiased() -> None:
    log = every_row(EITHER)
    assert ips(log, PI[XS]).value == pytest.approx(value(EITHER), abs=1e-12)
    made = dr(log, PI[XS], given=guess(WRONG))
    assert made.value == pytest.approx(value(EITHER), abs=1e-12)


def test_the_wrong_model_alone_and_cut_weights_are_biased() -> None:
    log, truth = every_row(EITHER), value(EITHER)
    beside = guess(WRONG)
    cut = switch_dr(log, PI[XS], given=beside, most=1.0)
    for found in (dm(log, PI[XS], given=beside), cut, clipped_ips(log, PI[XS], most=1.0)):
        assert abs(found.value - truth) > 0.01


def test_dr_with_the_right_model_needs_no_right_propensities() -> None:
    log = every_row(EITHER, shown=np.full((X, A), 1 / A))
    right = np.einsum("ae,xae->xa", P_E_A, EITHER)
    assert dr(log, PI[XS], given=guess(right)).value == pytest.approx(value(EITHER), abs=1e-12)
    assert abs(ips(log, PI[XS]).value - value(EITHER)) > 0.01


def test_all_forms_expect_the_plain_mean_of_the_logging_policy() -> None:
    log = every_row(EITHER)
    weights = true_marginal(P_E_A, ES)
    beside = replace(guess(WRONG), marginal=weights, cluster=cluster_marginal(CLUSTERS))
    for one in (ips, snips, clipped_ips, dr, switch_dr, mips, off_cem):
        found = one(log, PI_0[XS], given=beside).value
        assert found == pytest.approx(value(EITHER, PI_0), abs=1e-12), one.name


def by_look(mean: Array, look: Array = P_E_A) -> Estimate:
    return mips(every_row(mean), PI[XS], given=Given(marginal=true_marginal(look, ES)))


def test_mips_is_unbiased_where_the_reward_goes_through_what_is_shown() -> None:
    assert by_look(LOOKS).value == pytest.approx(value(LOOKS), abs=1e-12)


def test_mips_is_biased_where_it_does_not_or_where_the_looks_are_wrong() -> None:
    assert abs(by_look(ACTS).value - value(ACTS)) > 0.003
    assert abs(by_look(LOOKS, P_E_A[::-1]).value - value(LOOKS)) > 0.003


def test_mips_is_tamer_than_ips() -> None:
    assert by_look(LOOKS).stderr < ips(every_row(LOOKS), PI[XS]).stderr


def inside(model: Array) -> Estimate:
    beside = replace(guess(model), cluster=cluster_marginal(CLUSTERS))
    return off_cem(every_row(ACTS), PI[XS], given=beside)


def test_off_cem_is_unbiased_where_the_model_knows_differences_inside_clusters() -> None:
    of_cluster = RNG.random((X, 2))[:, CLUSTERS]
    assert inside(BY_ACTION + of_cluster).value == pytest.approx(value(ACTS), abs=1e-12)


def test_off_cem_is_biased_where_it_does_not() -> None:
    assert abs(inside(WRONG).value - value(ACTS)) > 0.003


def learnt(look: Array | list[int], *, contexts: bool = True) -> Array:
    """Weights by regression on (x, e), on every row that there is."""
    log = every_row(LOOKS)
    log = log if contexts else replace(log, contexts=None)
    chances = PI[XS, AS]
    side = estimated_marginal(
        *(log, chances, np.asarray(look), Ridge((1e-7,))), rng=stream(1, "w"), folds=1
    )
    return np.asarray(side.model.at(side.seen(log, np.zeros(len(log)))))


DENSE = (PI @ P_E_A / (PI_0 @ P_E_A))[XS, ES]


def test_regressing_weights_on_context_and_look_gives_the_weights_of_the_look() -> None:
    assert learnt(ES) == pytest.approx(DENSE, abs=1e-6)


def test_numbers_for_looks_do_as_well_as_names() -> None:
    assert learnt(np.eye(E)[ES][:, 1:]) == pytest.approx(DENSE, abs=1e-6)


def test_regressing_weights_on_the_look_alone_does_not() -> None:
    assert np.abs(learnt(ES, contexts=False) - DENSE).max() > 0.05


def test_two_looks_are_one_look_for_each_pair() -> None:
    pairs = np.stack([ES, AS // 2], axis=1)
    alone = np.unique(pairs, axis=0, return_inverse=True)[1].reshape(-1)
    assert learnt(pairs) == pytest.approx(learnt(alone), abs=1e-9)


def test_a_look_that_could_not_be_shown_is_refused() -> None:
    never = np.array(P_E_A)
    never[:, 0], never[:, 1] = 0.0, P_E_A[:, 0] + P_E_A[:, 1]
    with pytest.raises(BadRow, match="a chance under the logging policy"):
        by_look(LOOKS, never)


HALF = np.array([[0.7, 0.3, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0], [0.6, 0.4, 0.0, 0.0]])
SHARES = np.array([0.25, 0.75])


def two_loggers() -> Log:
    """Each row by either logger; the first never shows c and d."""
    both = np.stack([HALF, PI_0])
    rows = np.array(list(product(range(2), range(len(EVERY)))))
    who, i = rows[:, 0], rows[:, 1]
    mean = np.where(EVERY[i, 3] == 1, EITHER[XS[i], AS[i], ES[i]], 1 - EITHER[XS[i], AS[i], ES[i]])
    own = both[who, XS[i], AS[i]]
    chance = SHARES[who] * P_X[XS[i]] * own * P_E_A[AS[i], ES[i]] * mean
    kept = chance > 0
    who, i, chance, own = who[kept], i[kept], chance[kept], own[kept]
    return Log(
        *(AS[i], EVERY[i, 3], own, tuple("abcd")),
        loggers=who,
        weight=chance / chance.min(),
        columns={"x": XS[i]},
    )


def chances_of(log: Log) -> Array:
    return np.stack([HALF[log.columns["x"], log.actions], PI_0[log.columns["x"], log.actions]], 1)


def test_balanced_weights_are_unbiased_where_one_logger_lacks_support() -> None:
    log = two_loggers()
    made = balanced(log, chances_of(log))
    pi = PI[log.columns["x"], log.actions]
    assert made.propensity == pytest.approx(mixture(chances_of(log), SHARES))
    assert ips(made, pi).value == pytest.approx(value(EITHER), abs=1e-12)
    assert "2 loggers" in made.notes[-1]


def test_each_row_weighed_by_its_own_logger_is_biased_there() -> None:
    log = two_loggers()
    assert ips(log, PI[log.columns["x"], log.actions]).value < value(EITHER) - 0.01


@pytest.mark.parametrize("wrong", ["own", "range", "shape", "nobody"])
def test_chances_of_loggers_that_cannot_be_are_refused(wrong: str) -> None:
    log = two_loggers()
    chances = chances_of(log)
    if wrong == "own":
        chances[5, log.loggers[5]] /= 2  # type: ignore[index]
    elif wrong == "range":
        chances[5] = 1.5
    elif wrong == "shape":
        chances = chances[:, :1]
    else:
        log = replace(log, loggers=None)
    says = {"own": "row 5 .*own logger", "range": "row 5 ", "shape": "under each logger"}
    with pytest.raises(ConfigError, match=says.get(wrong, "column `loggers`")):
        balanced(log, chances)
