"""What no study takes: each refusal says what was wrong, what was seen, and what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bestpolicy
from bestpolicy.core.nouns import ConfigError, Outcome, StoreError
from bestpolicy.core.shares import share
from bestpolicy.duel import Duel
from bestpolicy.study import Study
from test_study import tiny
from tiny import Tiny


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"policies": ["a"]}, "at least two"),
        ({"policies": "ab"}, "list of names"),
        ({"policies": ["a", "b", "a"]}, "'a' is there as number 0 and as number 2"),
        ({"policies": ["a", ""]}, "number 1 must be a name"),
        ({"policies": ["a", 3]}, "number 1 must be a name"),
        ({"confidence": 95}, "did you mean 0.95?"),
        ({"confidence": 0.5}, r"\(0.5, 1\)"),
        ({"confidence": float("nan")}, "saw nan"),
        ({"confidence": "high"}, "saw 'high'"),
        ({"indifference": 0.5}, r"\[0, 0.5\)"),
        ({"indifference": -0.1}, "saw -0.1"),
        ({"assume_winner": 1}, "True or False"),
        ({"structure": "bradley-tery"}, 'did you mean "bradley-terry"?'),
        ({"structure": "features"}, "needs features"),
        ({"structure": "auto"}, "brings its own"),
        ({"structure": "auto", "features": [[1.0]]}, r"must be a \(2, d\) array"),
        ({"structure": "auto", "trust_structure": 1}, "True or False"),
        (
            {"structure": "bradley-terry", "trust_structure": True, "indifference": 0.1},
            "no indifference zone",
        ),
        ({"structure": "bradley-terry", "design": "savage"}, "can use no structure"),
        ({"features": [[1.0], [2.0]]}, "leave features out"),
        ({"trust_structure": True}, "leave trust_structure out"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"seed": 0.5}, "seed must be a whole number"),
        ({"name": " "}, "name must be"),
        ({"budget": 0}, "budget must be a whole number from 1"),
        ({"budget": True}, "budget must be a whole number"),
        ({"budget": {"comparisons": -3}}, "comparisons must be a whole number"),
        ({"budget": {"minutes": float("inf")}}, "minutes must be a finite number"),
        ({"budget": {"minuets": 3}}, 'did you mean "minutes"?'),
        ({"budget": {"usd": 0}}, "finite number above 0"),
        ({"inputs": []}, "at least one row"),
        ({"inputs": "file.csv"}, "must be a list"),
        ({"inputs": ["a", 7]}, "row 1 must be"),
        ({"inputs": [{"a": float("nan")}]}, "row 0 holds more than JSON"),
        ({"design": Tiny(4)}, "made for 4 policies, and there are 2"),
    ],
)
def test_a_setting_that_no_study_can_have_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Study(**{"policies": ["a", "b"], "design": Tiny(2), **options})


@pytest.mark.parametrize(
    ("winner", "said"),
    [
        ("lft", 'did you mean "left"?'),
        ("LEFT", 'did you mean "left"?'),
        ("banana", "saw 'banana'$"),
        (1.5, "saw 1.5"),
        (-0.0001, "saw -0.0001"),
        (float("nan"), "saw nan"),
        (True, "saw True"),
        (None, "saw None"),
        ([], "empty list"),
        (["left", "rihgt"], 'did you mean "right"?'),
    ],
)
def test_an_answer_that_means_nothing_is_refused(winner: Any, said: str) -> None:
    study = tiny()
    duel = study.ask()
    with pytest.raises(ConfigError, match=said):
        study.tell(duel, winner)
    assert study.outcomes() == []


def test_a_duel_that_was_never_asked_is_refused() -> None:
    study = tiny()
    duel = study.ask()
    with pytest.raises(StoreError, match="duel 7 is not in study"):
        study.tell(7, "left")
    with pytest.raises(ConfigError, match="whole number"):
        study.tell("0", "left")
    with pytest.raises(StoreError, match="asked Duel"):
        study.tell(Duel(0, duel.right, duel.left, duel.input), "left")
    for n in (0, -1, True, 1.5):
        with pytest.raises(ConfigError, match="whole number"):
            study.ask(n)
    for cost in (-1.0, float("nan")):
        with pytest.raises(ConfigError, match="cost"):
            study.tell(duel, "left", cost=cost)


def test_shares_of_any_float_kind_are_taken_as_they_are() -> None:
    assert share(np.float64(0.25)) == share(np.float32(0.25)) == 0.25
    assert share(np.array([0.0, 1.0])) == 0.5
    assert share(1) == 1.0


# -- the package -------------------------------------------------------------------------------


def test_the_package_is_light_to_import_and_names_at_most_20_things() -> None:
    code = "import bestpolicy, sys; print(sorted({'numpy', 'torch', 'scipy'} & set(sys.modules)))"
    home = str(Path(bestpolicy.__file__).parents[1])
    said = subprocess.check_output(
        [sys.executable, "-c", code], text=True, env={**os.environ, "PYTHONPATH": home}
    )
    assert said.strip() == "[]"
    assert len(bestpolicy.__all__) <= 20
    assert set(bestpolicy.__all__) <= set(dir(bestpolicy))
    assert all(getattr(bestpolicy, name).__name__ == name for name in bestpolicy.__all__)
    assert bestpolicy.Outcome is Outcome
    with pytest.raises(AttributeError, match="Stduy"):
        bestpolicy.Stduy  # noqa: B018
