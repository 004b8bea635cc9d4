"""Ties say nothing of who wins when somebody does, and cost nothing but themselves."""

from __future__ import annotations

import pytest

from bestpolicy import Study
from bestpolicy.core import duels
from bestpolicy.core.evidence import bet
from bestpolicy.core.forecast import Beliefs, Views, learn, views
from bestpolicy.core.rng import stream


def to_a_verdict(ties: float, seed: int) -> int:
    """Comparisons until the better of three is proven, where so many of the answers are ties."""
    rng = stream(seed, "ties")
    with Study(["a", "b", "c"], seed=seed, budget=5000) as study:
        while duel := study.ask():
            better = min(duel.left, duel.right)
            won = rng.random() < 0.75
            said = duel.left if (better == duel.left) == won else duel.right
            tie = rng.random() < ties
            study.tell(duel, "tie" if tie else "left" if said == duel.left else "right")
        assert study.verdict().policy == "a"
        return study.verdict().comparisons


def decided_needed(ties: float) -> float:
    return (1 - ties) * sum(to_a_verdict(ties, seed) for seed in range(8)) / 8


@pytest.mark.slow
def test_with_many_ties_a_proof_takes_no_more_decided_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without = decided_needed(0.0)
    assert decided_needed(0.75) < 1.35 * without

    def halves(b: Beliefs, x: int, k: int, won: float, lost: float) -> Views:
        """The twin: each tie is a win and a loss, so that a pair that ties looks even."""
        return views(b, x, k, *(n + 1.5 * (won + lost) for n in (won, lost)))

    def as_both(b: Beliefs, x: int, k: int, y: float, q: Views) -> None:
        for said in (1.0, 0.0) if y == 0.5 else (y,):
            learn(b, x, k, said, q)

    monkeypatch.setattr(duels, "views", halves)
    monkeypatch.setattr(duels, "learn", as_both)
    assert decided_needed(0.75) > 1.35 * without


@pytest.mark.parametrize("h", [0.5, 0.52, 0.6, 0.9])
@pytest.mark.parametrize("ties", [0.0, 0.3, 0.95])
@pytest.mark.parametrize("f", [0.005, 0.3, 0.495])
def test_a_bet_is_fair_under_its_null_whatever_ties_were_foretold(
    h: float, ties: float, f: float
) -> None:
    """Wealth is linear in y, so that fair at E[y] = h means: h-weighted ends give 1; never ruin."""
    from math import exp

    won, lost = exp(bet(1.0, f, h, ties)), exp(bet(0.0, f, h, ties))
    assert won > 0
    assert h * won + (1 - h) * lost == pytest.approx(1)
    assert bet(h, f, h, ties) == pytest.approx(0)
