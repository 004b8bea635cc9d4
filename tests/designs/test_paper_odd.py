"""Odd descriptions, lost answers and indifference: paper with a structure takes them all."""

import numpy as np
import pytest

from bestpolicy import designs
from bestpolicy.core.loop import number
from bestpolicy.core.nouns import Array, Outcome
from bestpolicy.core.rng import stream
from bestpolicy.core.strengths import Structure


def described(kind: str) -> Array | None:
    rng = stream(13, f"tests/odd/{kind}")
    x = rng.normal(size=(6, 2))
    match kind:
        case "twins":
            x[1] = x[0]
        case "all but two alike":
            x[1:] = x[1]
        case "collinear":
            x = np.column_stack([x, x @ [1.0, 2.0]])
        case "wide":
            x = rng.normal(size=(6, 12))
        case "far":
            x[0] *= 1000
        case _:
            return None
    return x


@pytest.mark.parametrize("trust", [False, True])
@pytest.mark.parametrize(
    "kind", ["twins", "all but two alike", "collinear", "wide", "far", "strengths"]
)
@pytest.mark.parametrize(("assume_winner", "indifference"), [(True, 0.0), (False, 0.1)])
def test_no_description_and_no_judge_breaks_it(
    kind: str, trust: bool, assume_winner: bool, indifference: float
) -> None:
    if trust and indifference:
        indifference = 0.0
    design = designs.make(
        "paper",
        policies=6,
        delta=0.05,
        indifference=indifference,
        assume_winner=assume_winner,
        structure=Structure.of(described(kind), 6, trust=trust),
    )
    for judge in ("fair", "left is always better", "the lower number is better"):
        state, rng = design.init(), stream(13, f"tests/odd/{kind}/{judge}")
        for i in range(160):
            (question,) = number(design.ask(state, [None], rng, ()), i, rng)
            a, b = question.arms
            won = {"fair": float(rng.integers(2)), "left is always better": 1.0}.get(
                judge, float(a < b)
            )
            lost = rng.random() < 0.1
            state = design.tell(state, [Outcome(question, None if lost else (won, 1 - won))])
        standing = design.standing(state)
        assert standing.habit is not None
        assert np.isfinite(standing.habit.value)
        assert standing.habit.value >= 0
        w = state.plan.w
        assert w.sum() == pytest.approx(1)
        assert (w >= 0).all()
