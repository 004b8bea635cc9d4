"""The certificate: it spends delta exactly, shares one capital, and takes a lost answer badly."""

from dataclasses import replace
from itertools import product
from math import exp, inf, log

import numpy as np
import pytest

from bestpolicy.core import certificate as proof
from bestpolicy.core.certificate import Certificate, Ledger, back, read
from bestpolicy.core.duels import Duels
from bestpolicy.core.loop import rollout
from bestpolicy.core.nouns import Comparison, Outcome, Rng, Verdict
from bestpolicy.core.rng import stream
from bestpolicy.designs import llm_po, make
from bestpolicy.worlds.preference import INSTANCES, Preference, bradley_terry, drawing, shuffled
from bounds import at_most

MODES = list(product((False, True), (0.0, 0.05)))


def spent(ledger: Ledger) -> float:
    """The chance of error that all bars of a ledger allow together."""
    return sum(exp(-bar) for bar in (ledger.drop, ledger.win, ledger.close))


@pytest.mark.parametrize(("assume", "eps"), MODES)
def test_every_mode_spends_exactly_delta(assume: bool, eps: float) -> None:
    ledger = Ledger.of(0.05, indifference=eps, assume_winner=assume)
    assert spent(ledger) == pytest.approx(0.05)


def test_paying_each_claim_in_full_is_caught() -> None:
    ledger = Ledger.of(0.05)
    assert spent(replace(ledger, drop=-log(0.05), win=-log(0.05))) > 0.09


def test_a_ledger_works_where_one_minus_delta_rounds_to_one() -> None:
    assert Ledger.of(1e-64, assume_winner=True).drop == pytest.approx(64 * log(10))


def capital(c: Certificate, rivals: tuple[int, ...]) -> float:
    """All the money there is, when claim i is held to what it has proven about rivals[i]."""
    return exp(c.cash) + sum(exp(c.proof[i][j]) for i, j in enumerate(rivals))


def played(seed: int, K: int = 4, n: int = 40) -> tuple[Certificate, Ledger]:
    ledger, rng = Ledger.of(1e-9), stream(seed, "certificate")
    c = Certificate.blank(K, ledger)
    for t in range(n):
        back(c, int(rng.integers(K)), float(rng.normal(1, 1)), t)
        x, k = rng.permutation(K)[:2].tolist()
        read(c, ledger, x, k, float(rng.integers(2)), float(rng.uniform(0.05, 0.95)))
    return c, ledger


ONE_RIVAL_EACH = [r for r in product(range(4), repeat=4) if all(i != j for i, j in enumerate(r))]


@pytest.mark.parametrize("seed", range(5))
def test_backing_a_leader_moves_money_and_makes_none(seed: int) -> None:
    c, _ = played(seed)
    for rivals in ONE_RIVAL_EACH:
        after = c.copy()
        back(after, 2, 1.5, 60)
        assert capital(after, rivals) == pytest.approx(capital(c, rivals), rel=1e-12)
        assert after.cash < c.cash


def test_backing_from_a_cash_box_that_never_empties_is_caught() -> None:
    c, _ = played(0)
    after = c.copy()
    back(after, 2, 1.5, 60)
    after.cash = c.cash
    assert capital(after, (1, 2, 3, 0)) > capital(c, (1, 2, 3, 0)) * (1 + 1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_all_wrong_winners_together_play_one_fair_game(seed: int) -> None:
    """No answer that lets each wrong winner's rival win half the time makes money on average."""
    c, ledger = played(seed)
    for rivals in ONE_RIVAL_EACH:
        for (x, k), f in product([(0, 1), (2, 0), (3, 2)], (0.1, 0.45, 0.5, 0.8)):
            mean = 0.0
            for y in (0.0, 1.0):
                after = c.copy()
                read(after, ledger, x, k, y, f)
                mean += capital(after, rivals) / 2
            assert mean <= capital(c, rivals) * (1 + 1e-12)


def test_the_capital_starts_at_one() -> None:
    c = Certificate.blank(7, Ledger.of(0.05, indifference=0.1))
    assert exp(c.cash) + sum(exp(row[i - 1]) for i, row in enumerate(c.proof)) == pytest.approx(1)
    assert sum(exp(row[i - 1]) for i, row in enumerate(c.close)) == pytest.approx(1)


@pytest.mark.parametrize("f", [0.1, 0.4, 0.5, 0.7])
def test_a_lost_answer_is_read_as_the_worst_that_it_could_have_said(f: float) -> None:
    ledger = Ledger.of(1e-6, indifference=0.05)
    c = Certificate.blank(3, ledger)

    def after(y: float | None) -> list[float]:
        d = c.copy()
        read(d, ledger, 0, 1, y, f)
        return [*d.evidence, *np.concatenate(d.proof), *np.concatenate(d.close)]

    lost, said = after(None), [after(y) for y in (0.0, 0.3, 1.0)]
    assert all(a <= min(b) + 1e-12 for a, b in zip(lost, zip(*said, strict=True), strict=True))
    assert all(
        a == pytest.approx(min(b)) for a, b in zip(lost, zip(*said, strict=True), strict=True)
    )


def test_reading_leaves_older_copies_alone() -> None:
    c, ledger = played(1)
    older = c.copy()
    before = [row.copy() for row in older.proof], older.evidence.copy(), older.cash
    for y in (0.0, 1.0, 1.0):
        back(c, 1, 2.0, 9)
        read(c, ledger, 1, 3, y, 0.3)
    assert all(np.array_equal(a, b) for a, b in zip(before[0], older.proof, strict=True))
    assert np.array_equal(before[1], older.evidence)
    assert before[2] == older.cash


# -- verdicts of whole runs --------------------------------------------------------------------

RUNS, DELTA = 300, 0.2


def named(world: Preference, run: int, *, budget: int, **mode: object) -> Verdict[int]:
    design = make("llm-po", policies=world.policies, delta=DELTA, **mode)  # type: ignore[arg-type]
    return rollout(design, world, stream(3, "verdicts", run), budget=budget)


TIED = Preference(np.full((2, 2), 0.5))


def test_two_tied_policies_get_a_winner_as_rarely_as_promised() -> None:
    wrong = sum(named(TIED, r, budget=150).kind == "winner" for r in range(RUNS))
    assert at_most(wrong, RUNS, DELTA)


def test_a_forecast_made_after_the_answer_names_winners_among_the_tied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = proof.read

    def late(
        c: Certificate, ledger: Ledger, x: int, k: int, y: float | None, f: float, ties: float
    ) -> None:  # the answer has already moved it
        honest(c, ledger, x, k, y, f if y is None else (9 * f + y) / 10, ties)

    monkeypatch.setattr(proof, "read", late)
    wrong = sum(named(TIED, r, budget=150).kind == "winner" for r in range(RUNS))
    assert not at_most(wrong, RUNS, DELTA)


def test_a_rival_that_ties_with_the_best_keeps_it_from_being_crowned() -> None:
    p = bradley_terry([0.0, 0.0, -2.0])
    wrong = sum(named(p, r, budget=200).kind == "winner" for r in range(RUNS))
    assert at_most(wrong, RUNS, DELTA)


def test_a_cycle_gets_no_winner() -> None:
    kinds = []
    for run in range(40):
        world = shuffled(INSTANCES["nowinner6"](), stream(0, "cycle", run))
        verdict = named(world, run, budget=5000)
        kinds.append(verdict.kind)
        assert (verdict.policy is None) == (verdict.kind == "no-winner")
        assert len(verdict.survivors) >= 1
    assert set(kinds) <= {"no-winner", "winner"}
    assert at_most(kinds.count("winner"), len(kinds), DELTA)


def test_the_last_survivor_of_a_cycle_is_no_winner_unless_one_was_assumed() -> None:
    world = INSTANCES["nowinner6"]()
    kinds = [named(world, run, budget=5000, assume_winner=True).kind for run in range(10)]
    assert kinds == ["winner"] * 10  # what the default must not do


def test_only_draws_prove_nothing() -> None:
    world = Preference(np.full((3, 3), 0.5), answer=drawing(1.0))
    verdict = named(world, 0, budget=400)
    assert verdict.kind == "undecided"
    assert verdict.survivors == (0, 1, 2)


def test_only_draws_are_equivalence_within_an_indifference_zone() -> None:
    world = Preference(np.full((3, 3), 0.5), answer=drawing(1.0))
    for assume in (False, True):
        verdict = named(world, 0, budget=4000, indifference=0.1, assume_winner=assume)
        assert verdict.kind == "equivalent"
        assert verdict.survivors == (0, 1, 2)


def test_a_draw_told_as_a_win_for_the_first_shown_is_caught() -> None:
    class Unfair(Duels):
        def tell(self, state, outcomes):  # type: ignore[no-untyped-def]
            return super().tell(state, [replace(o, scores=(1.0, 0.0)) for o in outcomes])

    class FixedOrder(Preference):
        def play(self, comparisons: list[Comparison], rng: Rng) -> list[Outcome]:  # type: ignore[override]
            low_first = [replace(c, arms=tuple(sorted(c.arms))) for c in comparisons]
            return super().play(low_first, rng)

    world = FixedOrder(np.full((3, 3), 0.5), answer=drawing(1.0))
    design = Unfair(3, Ledger.of(DELTA), llm_po.pair)
    assert rollout(design, world, stream(0, "unfair"), budget=400).kind == "winner"


def beyond(world: Preference, verdict: Verdict[int], eps: float) -> bool:
    """Whether a survivor that was called equivalent loses by more than the indifference."""
    return verdict.kind == "equivalent" and bool(
        (world.p[list(verdict.survivors)] < 0.5 - eps).any()
    )


def test_equivalence_is_claimed_as_rarely_as_promised_just_outside_the_zone() -> None:
    world = bradley_terry([0.0, -0.42])  # p = 0.6035, the zone ends at 0.6
    wrong = sum(
        beyond(world, named(world, r, budget=300, indifference=0.1), 0.1) for r in range(RUNS)
    )
    assert at_most(wrong, RUNS, DELTA)


class Silent(Preference):
    """Answers only when the higher number wins."""

    def play(self, comparisons: list[Comparison], rng: Rng) -> list[Outcome]:  # type: ignore[override]
        return [
            o
            if o.scores and (o.scores[0] > 0.5) == (o.comparison.arms[0] > o.comparison.arms[1])
            else replace(o, scores=None)
            for o in super().play(comparisons, rng)
        ]


class Skipping(Duels):
    """Leaves out the calls that failed, as if they had never been made."""

    def tell(self, state, outcomes):  # type: ignore[no-untyped-def]
        return super().tell(state, [o for o in outcomes if o.scores is not None])


def winners_of_a_silent_judge(design: type[Duels], runs: int) -> int:
    world = Silent(np.full((2, 2), 0.5))
    made = design(2, Ledger.of(DELTA), llm_po.pair)
    return sum(
        rollout(made, world, stream(5, "silent", r), budget=120).kind == "winner"
        for r in range(runs)
    )


def test_calls_that_fail_only_when_one_side_would_lose_do_no_harm() -> None:
    assert at_most(winners_of_a_silent_judge(Duels, 100), 100, DELTA)


def test_skipping_failed_calls_is_caught() -> None:
    assert not at_most(winners_of_a_silent_judge(Skipping, 100), 100, DELTA)


def test_inf_is_only_ever_a_proven_entry() -> None:
    c, ledger = played(2)
    for i, row in enumerate(c.proof):
        assert row[i] == inf
        assert np.isfinite(np.delete(row, i)).all()
    assert not c.beats_all.any()
    assert ledger.assume_winner is False
