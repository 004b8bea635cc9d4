"""Answers that never come: the others still decide, and a lost one helps nobody."""

from __future__ import annotations

import pytest

from bestpolicy import Study


@pytest.mark.parametrize("every", [3, 5])
def test_answers_that_agree_decide_also_when_many_never_come(every: int) -> None:
    """Each lost answer counts as the worst for every bet, so that bets have to be smaller."""
    with Study(["best", "good", "poor"], seed=3, budget=1500) as study:
        while duel := study.ask():
            if duel.id % every == 1:
                study.abandon(duel)
            else:
                order = ["best", "good", "poor"]
                left = order.index(duel.left) < order.index(duel.right)
                study.tell(duel, "left" if left else "right")
        assert study.verdict().policy == "best"
