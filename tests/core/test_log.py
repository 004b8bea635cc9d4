"""A log is checked once, when it is made, and the refusal names row, column, value and rule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bestpolicy.core.log import BadRow, Log
from bestpolicy.core.nouns import ConfigError


def log(n: int = 6, **other: Any) -> Log:
    said: dict[str, Any] = {
        "actions": np.arange(n) % 2,
        "rewards": np.arange(n) % 3 / 2,
        "propensity": np.full(n, 0.5),
        "names": ("a", "b"),
        "called": {"propensity": "p", "rewards": "click"},
    }
    return Log(**said | other)


def put(column: np.ndarray[Any, Any], row: int, value: Any) -> np.ndarray[Any, Any]:
    changed = column.copy()
    changed[row] = value
    return changed


BAD = [
    ("propensity", 0.0, "p", "(0, 1]"),
    ("propensity", 1.5, "p", "(0, 1]"),
    ("propensity", -0.1, "p", "(0, 1]"),
    ("propensity", np.nan, "p", "(0, 1]"),
    ("rewards", np.nan, "click", "a number"),
    ("rewards", np.inf, "click", "a number"),
    ("rewards", 1.01, "click", "[0, 1]"),
    ("rewards", -1.0, "click", "[0, 1]"),
    ("actions", 2, "actions", "0 … 1"),
    ("actions", -1, "actions", "0 … 1"),
]


@pytest.mark.parametrize(("column", "value", "called", "rule"), BAD)
def test_a_bad_row_is_refused_with_its_place(
    column: str, value: float, called: str, rule: str
) -> None:
    good = log()
    with pytest.raises(BadRow) as refused:
        replace(good, **{column: put(getattr(good, column), 4, value)})
    assert refused.value.row == 4
    assert refused.value.column == called
    assert rule in str(refused.value)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ([0.5, 0.6], "sum to 1"),
        ([0.4, 0.6], "the one logged for it"),
        ([1.5, -0.5], "in [0, 1]"),
        ([np.nan, 0.5], "in [0, 1]"),
    ],
)
def test_chances_of_all_actions_must_be_chances(row: list[float], says: str) -> None:
    table = np.full((6, 2), 0.5)
    log(propensities=table)
    with pytest.raises(BadRow, match="row 3") as refused:
        log(propensities=put(table, 3, row))
    assert says in str(refused.value)


def test_a_column_of_another_length_is_refused() -> None:
    with pytest.raises(ConfigError, match="'p' has 5 rows"):
        log(propensity=np.full(5, 0.5))


def test_chunks_hold_all_rows_in_order_and_know_their_place() -> None:
    whole = log(10, columns={"target": np.arange(10.0)}, contexts=np.arange(20.0).reshape(10, 2))
    for size in (1, 3, 10, 99):
        parts = list(whole.split(size))
        assert [part.start for part in parts] == list(range(0, 10, size))
        assert np.array_equal(np.concatenate([p.columns["target"] for p in parts]), np.arange(10.0))
        assert np.array_equal(np.concatenate([p.contexts for p in parts]), whole.contexts)  # type: ignore[arg-type]
        assert sum(len(part) for part in parts) == 10


def test_rewards_are_taken_to_the_unit_interval_by_their_declared_bounds() -> None:
    costs = log(rewards=np.array([-2.0, 0, 2, -1, 1, 0]), bounds=(-2, 2))
    assert np.allclose(costs.scaled(), [0, 0.5, 1, 0.25, 0.75, 0.5])
