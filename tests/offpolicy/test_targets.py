"""A target is numbers, a policy, a function or a word; whatever it is, its chances are checked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bestpolicy.core.log import BadRow, Log
from bestpolicy.core.nouns import ConfigError
from bestpolicy.offpolicy.evaluate import evaluate
from bestpolicy.offpolicy.targets import target_of

PI = np.array([[0.2, 0.8], [1.0, 0.0], [0.5, 0.5]])
LOG = Log(
    np.array([1, 0, 1]),
    np.array([1.0, 0.0, 1.0]),
    np.array([0.5, 0.5, 0.25]),
    ("a", "b"),
    contexts=np.eye(3),
    propensities=np.array([[0.5, 0.5], [0.5, 0.5], [0.75, 0.25]]),
    columns={"new_p": np.array([0.8, 1.0, 0.5])},
)


class Softmax:
    """A policy as a learner gives it."""

    def log_prob(self, contexts: Any, actions: Any) -> Any:
        with np.errstate(divide="ignore"):
            return np.log(PI[contexts.argmax(axis=1), actions])


@pytest.mark.parametrize(
    "said",
    [PI, PI[np.arange(3), LOG.actions], Softmax(), lambda x: PI[x.argmax(axis=1)], "column:new_p"],
    ids=["table", "chances", "policy", "function", "column"],
)
def test_however_it_is_said_a_target_has_the_same_chances(said: Any) -> None:
    target = target_of(said, LOG)
    assert np.allclose(target.chances(LOG), [0.8, 1.0, 0.5])
    parts = [target.chances(part) for part in LOG.split(2)]
    assert np.allclose(np.concatenate(parts), [0.8, 1.0, 0.5])


def test_words() -> None:
    assert np.allclose(target_of("uniform", LOG).chances(LOG), 0.5)
    assert np.allclose(target_of("always:b", LOG).chances(LOG), [1, 0, 1])
    assert np.allclose(target_of("b", LOG).chances(LOG), [1, 0, 1])
    assert np.allclose(target_of("logging", LOG).chances(LOG), LOG.propensity)
    with pytest.raises(ConfigError, match="no action of the log is called 'c'; it has a, b"):
        target_of("c", LOG)


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (np.array([0.8, 1.2, 0.5]), "row 1"),
        (np.array([0.8, np.nan, 0.5]), "row 1"),
        (PI * 1.01, "sum to 1"),
        (np.array([[0.2, 0.8], [1.5, -0.5], [0.5, 0.5]]), "row 1"),
    ],
)
def test_chances_that_cannot_be_are_refused(said: Any, says: str) -> None:
    with pytest.raises(BadRow, match=says):
        evaluate(LOG, said)


@pytest.mark.parametrize("said", [np.ones(4), np.ones((2, 3, 1)), ["x", "y", "z"], 3.0])
def test_what_is_no_target_is_refused(said: Any) -> None:
    with pytest.raises(ConfigError):
        evaluate(LOG, said)
