"""What a caller says in few words: models, embeddings and clusters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bestpolicy.core.log import Log
from bestpolicy.core.nouns import ConfigError
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.evaluate import ESTIMATORS, evaluate, evaluate_all
from bestpolicy.offpolicy.marginal import cluster_marginal
from bestpolicy.offpolicy.marginal_models import estimated_marginal, k_means
from bestpolicy.offpolicy.regression import dr
from bestpolicy.offpolicy.reward_models import fitted, predicted
from bestpolicy.offpolicy.rows import Given
from logged import Known, Pieces, known


@pytest.fixture(scope="module")
def one() -> Known:
    made = known(800, seed=6)
    return replace(made, log=replace(made.log, columns={"look": made.embeddings[:, 0]}))


def value(one: Known, name: str, log: Any = None, target: Any = None, **said: Any) -> float:
    target = one.target if target is None else target
    found = evaluate(one.log if log is None else log, target, estimators=[name], **said)
    return found[name].value


def test_dr_needs_no_more_than_the_log_and_the_target(one: Known) -> None:
    found = evaluate(one.log, one.target, estimators=["ips", "snips", "dr"])
    ridge = fitted(one.log, rng=stream(0, "folds"))
    by_hand = dr(one.log, one.target, given=Given(predictions=ridge))
    assert found["dr"].value == pytest.approx(by_hand.value, abs=1e-12)
    assert not any("folds" in warning for warning in found["dr"].warnings)
    assert found["dr"].stderr < found["ips"].stderr


def test_a_model_is_a_word_an_array_an_object_or_fitted_already(one: Known) -> None:
    ridge = value(one, "dr")
    assert value(one, "dr", model="ridge") == ridge
    assert value(one, "dr", model=fitted(one.log, rng=stream(0, "folds"))) == ridge
    assert value(one, "dr", model="boosted") != ridge
    given = value(one, "dr", model=one.predictions)
    assert given == value(one, "dr", given=Given(predictions=predicted(one.predictions)))
    assert given == value(one, "dr", model=predicted(one.predictions))


def test_a_model_that_saw_its_rows_says_so_where_it_is_used(one: Known) -> None:
    model = fitted(one.log, rng=stream(0, "folds"), folds=1)
    found = evaluate(one.log, one.target, estimators=["ips", "dr"], model=model)
    assert any("folds=1" in warning for warning in found["dr"].warnings)
    assert not any("folds=1" in warning for warning in found["ips"].warnings)


def test_a_log_without_contexts_has_a_level_for_each_action(one: Known) -> None:
    bare = replace(one.log, contexts=None)
    assert abs(value(one, "dr", bare) - value(one, "dr")) < 0.1


def test_one_model_serves_many_targets(one: Known) -> None:
    both = evaluate_all(one.log, {"a": one.target, "u": "uniform"}, estimators=["dr"])
    assert both["a"]["dr"].value == value(one, "dr")
    assert both["u"]["dr"].value == value(one, "dr", target="uniform")


LOOKS = np.arange(12) % 3  # of each action


@pytest.mark.parametrize(
    "looks", [LOOKS, np.stack([LOOKS, LOOKS], axis=1), np.array(list("xyz"))[LOOKS]]
)
def test_categories_of_actions_are_weighed_exactly_where_all_chances_are_known(
    looks: Any, one: Known
) -> None:
    exact = value(one, "mips", given=Given(marginal=cluster_marginal(LOOKS)))
    assert value(one, "mips", embeddings=looks) == pytest.approx(exact, abs=1e-12)


def test_with_chances_of_logged_actions_alone_weights_are_learnt(one: Known) -> None:
    chances = one.target[np.arange(800), one.log.actions]
    exact = value(one, "mips", embeddings=LOOKS)
    learnt = evaluate(one.log, chances, estimators=["mips"], embeddings=LOOKS)["mips"]
    assert abs(learnt.value - exact) < 4 * learnt.stderr
    assert any("estimated" in warning for warning in learnt.warnings)
    rows = one.log.actions % 3
    again = estimated_marginal(one.log, chances, rows, rng=stream(0, "folds"))
    assert value(one, "mips", target=chances, given=Given(marginal=again)) == learnt.value


def test_embeddings_are_of_rows_of_actions_or_a_column(one: Known) -> None:
    looks = one.embeddings[:, 0]
    by_row = value(one, "mips", embeddings=looks)
    assert by_row == value(one, "mips", embeddings="look")
    assert by_row == value(one, "mips", log=Pieces(one.log, 800), embeddings="look")
    numbers = stream(1, "looks").normal(size=(12, 2))
    of_actions = value(one, "mips", embeddings=numbers)
    assert of_actions == value(one, "mips", embeddings=numbers[one.log.actions])
    assert of_actions != by_row


def test_weights_are_learnt_without_the_row_that_they_weigh(one: Known) -> None:
    chances = one.target[np.arange(800), one.log.actions]

    def weight(log: Log, folds: int) -> float:
        side = estimated_marginal(log, chances, one.embeddings, rng=stream(0, "f"), folds=folds)
        return float(side.model.at(side.seen(log, np.zeros(800)))[40])

    p = one.log.propensity.copy()
    p[40] *= 0.5
    changed = replace(one.log, propensity=p, propensities=None)
    assert weight(one.log, 2) == weight(changed, 2)
    assert weight(one.log, 1) != weight(changed, 1)


def test_clusters_are_given_or_made_of_embeddings(one: Known) -> None:
    by_number = value(one, "off_cem", clusters=one.clusters)
    assert by_number == value(one, "off_cem", clusters=list(one.clusters))
    centres = 10 * np.eye(3)[LOOKS] + 0.1 * stream(2, "looks").normal(size=(12, 3))
    made = k_means(centres, 3, rng=stream(0, "clusters"))
    assert len({(a, b) for a, b in zip(made, LOOKS, strict=True)}) == 3
    found = value(one, "off_cem", clusters=3, embeddings=centres)
    assert found == pytest.approx(value(one, "off_cem", clusters=LOOKS), abs=1e-12)


def test_clusters_of_a_log_with_few_chances_are_weighed_by_regression(one: Known) -> None:
    bare = replace(one.log, propensities=None)
    found = evaluate(bare, one.target, estimators=["off_cem"], clusters=LOOKS)["off_cem"]
    assert any("estimated" in warning for warning in found.warnings)
    assert abs(found.value - value(one, "off_cem", clusters=LOOKS)) < 4 * found.stderr


def test_as_many_clusters_as_actions_are_the_actions() -> None:
    features = stream(3, "looks").normal(size=(12, 2))
    assert sorted(k_means(features, 12, rng=stream(0, "c"))) == list(range(12))


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("mips", {}, "give embeddings="),
    ("mips", {"embeddings": "hue"}, "no column 'hue'"),
    ("mips", {"embeddings": np.zeros(5)}, "800 rows or 12 actions"),
    ("off_cem", {}, "give clusters="),
    ("off_cem", {"clusters": 3}, "give embeddings="),
    ("off_cem", {"clusters": 13, "embeddings": np.zeros((12, 2))}, "1 to 12 clusters"),
    ("off_cem", {"clusters": np.zeros(12)}, "whole numbers from 0"),
    ("off_cem", {"clusters": np.zeros(5, dtype=int)}, "5 clusters .*12 actions"),
    ("dr", {"model": "rigde"}, "'ridge', 'boosted'"),
    ("dr", {"model": np.zeros((3, 12))}, "every row"),
]


@pytest.mark.parametrize(("name", "said", "says"), WRONG)
def test_what_cannot_be_meant_is_refused_with_what_to_give(
    name: str, said: dict[str, Any], says: str, one: Known
) -> None:
    with pytest.raises(ConfigError, match=says):
        value(one, name, **said)


def test_every_estimator_of_the_list_says_what_it_needs() -> None:
    for name in ("dm", "dr", "switch_dr", "dros"):
        assert ESTIMATORS[name].needs == ("predictions",)
    assert ESTIMATORS["mips"].needs == ("marginal",)
    assert ESTIMATORS["off_cem"].needs == ("predictions", "cluster")
    assert ESTIMATORS["ips"].needs == ()
