"""LLM-PO finds the leader, spends where a rival is weakest, and keeps its promise on the way."""

from dataclasses import replace

import numpy as np
import pytest

from bestpolicy.core.certificate import Ledger
from bestpolicy.core.duels import DuelState, lead, scores
from bestpolicy.core.forecast import Beliefs, forecast, learn, views
from bestpolicy.core.loop import rollout
from bestpolicy.core.nouns import Comparison, Outcome, Rng
from bestpolicy.core.rng import stream
from bestpolicy.designs import llm_po, make
from bestpolicy.worlds.preference import (
    INSTANCES,
    Preference,
    bradley_terry,
    first_shown_favoured,
    shuffled,
)
from bounds import at_most


def mean_comparisons(name: str, instance: str, runs: int, **mode: bool) -> float:
    spent = []
    for run in range(runs):
        world = shuffled(INSTANCES[instance](), stream(1, instance, run))
        design = make(name, policies=world.policies, **mode)
        spent.append(rollout(design, world, stream(1, name, run), budget=20_000).comparisons)
    return float(np.mean(spent))


def test_the_default_needs_under_half_of_asking_survivors_at_random() -> None:
    ours = mean_comparisons("llm-po", "easy32", 12, assume_winner=True)
    assert ours < mean_comparisons("racing", "easy32", 4, assume_winner=True) / 2


def test_assuming_a_winner_is_faster() -> None:
    slow = mean_comparisons("llm-po", "cyc8", 6)
    assert mean_comparisons("llm-po", "cyc8", 6, assume_winner=True) < slow / 2


def test_asking_only_the_leader_is_caught_in_a_cycle(monkeypatch: pytest.MonkeyPatch) -> None:
    """b(j) = i* for all j: the star costs 970 nats a bar in cyc8, the weakest spots cost 26."""
    ours = mean_comparisons("llm-po", "cyc8", 6, assume_winner=True)
    monkeypatch.setattr(llm_po, "weakest_spot", lambda _state, _j, leader, _rng: leader)
    assert mean_comparisons("llm-po", "cyc8", 6, assume_winner=True) > 3 * ours


BIASED = replace(bradley_terry([0.0, -0.8]), answer=first_shown_favoured(1.6))


class FixedOrder(Preference):
    """Shows the worse policy first, always."""

    def play(self, comparisons: list[Comparison], rng: Rng) -> list[Outcome]:  # type: ignore[override]
        return super().play([replace(c, arms=(1, 0)) for c in comparisons], rng)


def wrong_winners(world: Preference, runs: int) -> int:
    design = make("llm-po", policies=2, confidence=0.9)
    verdicts = [rollout(design, world, stream(2, "bias", r), budget=600) for r in range(runs)]
    return sum(v.kind == "winner" and v.policy == 1 for v in verdicts)


def test_the_winner_survives_a_judge_who_prefers_the_first_shown() -> None:
    assert at_most(wrong_winners(BIASED, 60), 60, 0.1)


def test_a_fixed_order_names_the_worse_policy() -> None:
    assert not at_most(wrong_winners(FixedOrder(BIASED.p, BIASED.answer), 60), 60, 0.1)


def state_after(n: int, K: int = 5, gap: float = 0.5) -> DuelState:
    design = make("llm-po", policies=K, delta=1e-9)
    world, rng = bradley_terry(-gap * np.arange(K)), stream(4, "state")
    state = design.init()
    for i in range(n):
        (c,) = design.ask(state, [None], rng, ())
        state = design.tell(state, world.play([replace(c, id=i)], rng))
    return state


def test_the_record_is_what_was_told() -> None:
    state = state_after(60)
    wins = state.wins()
    assert wins.sum() == 60
    assert np.array_equal(wins.T, np.array([row[1] for row in state.record]))
    assert not any(row[2].any() for row in state.record)
    assert np.array_equal(wins.sum(axis=1), state.beliefs.shares)
    assert np.array_equal((wins + wins.T).sum(axis=1), state.beliefs.played)


def test_a_forecast_and_its_mirror_image_add_up_to_one() -> None:
    b = state_after(80).beliefs
    for x, k in [(0, 1), (2, 4), (3, 0)]:
        if b.played[x] == b.played[k]:
            b.played[x] += 1  # between equals the rival forecaster looks at the second
        there = forecast(b, x, k, views(b, x, k, 7.0, 4.0))
        assert there + forecast(b, k, x, views(b, k, x, 4.0, 7.0)) == pytest.approx(1)


def test_forecasters_that_foretell_better_gain_weight() -> None:
    """On a pair whose record contradicts the ratings, the forecast leaves the ratings behind."""
    b = Beliefs.blank(3)
    b.rating[:] = (2.0, 0.0, -2.0)
    won = lost = 0.0
    for _ in range(60):
        learn(b, 2, 0, 1.0, views(b, 2, 0, won, lost))
        b.rating[:] = (2.0, 0.0, -2.0)
        won += 1
    assert forecast(b, 2, 0, views(b, 2, 0, won, lost)) > 0.9


def test_a_tie_moves_nothing_but_the_count() -> None:
    b = Beliefs.blank(2).copy()
    b.rating[:] = (1.0, 0.0)
    learn(b, 0, 1, 0.5, views(b, 0, 1, 0.0, 0.0))
    assert b.rating.tolist() == [1.0, 0.0]
    assert b.spread.tolist() == [1.0, 1.0]
    assert b.played.tolist() == [1.0, 1.0]
    assert b.decided.tolist() == [0.0, 0.0]


def test_the_leader_is_the_survivor_with_the_best_rating_and_no_evidence_against_it() -> None:
    state = state_after(200)
    b, c = state.beliefs, state.certificate
    leader = int(scores(b, c, c.alive).argmin())
    assert leader == 0
    assert lead(b, leader, c.alive) > 0
    c.alive[:] = [True, False, False, False, False]
    assert lead(b, 0, c.alive) == np.inf


def test_a_rival_that_is_refuted_is_not_asked_again() -> None:
    state = state_after(0)
    state.certificate.proof[2][:] = np.inf
    state.certificate.proof[2][4] = 0.0
    state.beliefs.rating[2] = 9.0
    pairs = {llm_po.pair(state, Ledger.of(0.05), stream(0, "pairs", i)) for i in range(20)}
    assert pairs == {(2, 4)}


def test_standing_forecasts_less_as_evidence_grows() -> None:
    design = make("llm-po", policies=5, delta=1e-9)
    early, late = (design.standing(state_after(n, gap=2.0)) for n in (60, 180))
    assert 0 < late.forecast < early.forecast < np.inf
    assert late.leader == 0
    assert late.rival[4] >= 0
    assert late.proof[0] == np.inf
