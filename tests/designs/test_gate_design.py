"""The gate makes false claims as rarely as promised, and needs few comparisons for true ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bestpolicy.core.nouns import Array, Comparison, Outcome
from bestpolicy.core.rng import stream
from bestpolicy.designs.gate import STAKES, WEIGHTS, Finding, Gate, GateState, finding, staked
from bounds import at_most
from laws import DESIGN_LAWS, Maker

GATES = [
    Gate(margin, goal) for goal in ("non-inferiority", "superiority") for margin in (0.0, 0.05, 0.1)
]
RUNS, LOOKS, DELTA = 2000, 120, 0.1
SHARES = st.lists(st.none() | st.floats(0, 1), max_size=40)


def told(gate: Gate, shares: list[float | None]) -> GateState:
    """The state after these shares of the candidate, which is shown on either side in turn."""
    outcomes = [
        Outcome(Comparison((1, 0), id=i), None if y is None else (y, 1 - y))
        if i % 2
        else Outcome(Comparison((0, 1), id=i), None if y is None else (1 - y, y))
        for i, y in enumerate(shares)
    ]
    return gate.tell(gate.init(), outcomes)


def answers(theta: float, ties: float, name: str, n: int = LOOKS) -> Iterator[list[float | None]]:
    """Runs of shares with that mean, of which that part are ties."""
    for run in range(RUNS):
        rng = stream(0, f"gate/{name}/{theta}/{ties}", run)
        won = rng.random(n) < (theta - ties / 2) / (1 - ties)
        yield np.where(rng.random(n) < ties, 0.5, won).tolist()


@pytest.mark.parametrize("law", DESIGN_LAWS[:-1])
@pytest.mark.parametrize("gate", GATES, ids=lambda gate: f"{gate.goal}-{gate.margin}")
def test_the_gate_keeps_the_laws_of_designs(gate: Gate, law: Callable[[Maker], None]) -> None:
    law(lambda K: gate)


def test_the_weights_share_out_a_capital_of_one_and_no_stake_can_lose_all() -> None:
    assert sum(WEIGHTS) == pytest.approx(1)
    assert max(STAKES) < 1
    assert np.isfinite(staked((0.0,) * len(STAKES), 0.0, 0.45)).all()


@pytest.mark.parametrize("h", [0.1, 0.45, 0.5, 0.55])
@pytest.mark.parametrize(
    ("values", "chances"),
    [
        ((0.0, 1.0), lambda h: (1 - h, h)),
        ((0.0, 0.5, 1.0), lambda h: (0.95 - h, 0.1, h - 0.05)),
        ((0.0, 0.3, 0.9), lambda h: (1 - 0.06 - (h - 0.018) / 0.9, 0.06, (h - 0.018) / 0.9)),
    ],
)
def test_every_stake_is_a_fair_game_at_the_edge_of_its_null(
    h: float, values: tuple[float, ...], chances: Callable[[float], tuple[float, ...]]
) -> None:
    weights = chances(h)
    assert sum(w * y for w, y in zip(weights, values, strict=True)) == pytest.approx(h)
    zero = (0.0,) * len(STAKES)
    for s in range(len(STAKES)):
        mean = sum(w * exp(staked(zero, y, h)[s]) for w, y in zip(weights, values, strict=True))
        assert mean == pytest.approx(1)


@pytest.mark.parametrize(
    ("gate", "theta", "ties", "false"),
    [
        # At this share "not worse" becomes true and "worse" false: either is as hard as it gets.
        (Gate(0.05, "non-inferiority", 1 - DELTA), 0.45, 0.0, ("not-worse",)),
        (Gate(0.05, "non-inferiority", 1 - DELTA), 0.45, 0.6, ("worse",)),
        (Gate(0.0, "superiority", 1 - DELTA), 0.5, 0.0, ("better", "worse")),
    ],
)
@pytest.mark.slow
def test_false_claims_are_as_rare_as_promised_at_the_edge_of_the_null(
    gate: Gate, theta: float, ties: float, false: tuple[Finding, ...]
) -> None:
    found = [told(gate, shares).found for shares in answers(theta, ties, gate.goal)]
    assert at_most(sum(f in false for f in found), RUNS, DELTA)


def peeked_z_test(shares: list[float | None]) -> bool:
    """The broken twin: a test made for one look, looked at after every answer from the tenth on."""
    y = np.array(shares, float)
    n = np.arange(1, len(y) + 1)
    z = (np.cumsum(y) - n / 2) / np.sqrt(n / 4)
    return bool((z[9:] > 1.2816).any())  # the normal's 90 % point


def test_a_z_test_that_is_peeked_at_fails_the_same_check() -> None:
    false = sum(peeked_z_test(shares) for shares in answers(0.5, 0.0, "superiority"))
    assert not at_most(false, RUNS, DELTA)


def highest(shares: Array, h: float) -> float:
    """The highest log evidence on the way that the mean is above h."""
    steps = np.log1p(np.outer(shares - h, STAKES) / h)
    return float(np.logaddexp.reduce(steps.cumsum(0) + np.log(WEIGHTS), axis=1).max())


def test_two_claims_that_each_have_all_of_the_error_fail_for_equal_policies() -> None:
    """The other twin: superiority without sharing delta out, on two policies that are the same."""
    whole, shared = 0, 0
    for answered in answers(0.5, 0.0, "shared", 600):
        y = np.array(answered, float)
        good, bad = highest(y, 0.5), highest(1 - y, 0.5)
        bars = Gate(0.0, "superiority", 1 - DELTA).bars
        whole += max(good, bad) >= log(1 / DELTA)
        shared += good >= bars[0] or bad >= bars[1]
    assert not at_most(whole, RUNS, DELTA)
    assert at_most(shared, RUNS, DELTA)


@pytest.mark.parametrize(
    ("gate", "share", "found", "kind", "policy"),
    [
        (Gate(0.05, "superiority"), 1.0, "better", "winner", 1),
        (Gate(0.05), 1.0, "not-worse", "equivalent", 1),
        (Gate(0.05), 0.5, "not-worse", "equivalent", 1),
        (Gate(0.05), 0.1, "worse", "winner", 0),
        (Gate(0.0, "superiority"), 0.5, "undecided", "undecided", None),
        (Gate(0.05), None, "undecided", "undecided", None),
    ],
)
def test_a_verdict_says_what_was_found(
    gate: Gate, share: float | None, found: Finding, kind: str, policy: int | None
) -> None:
    state = told(gate, [share] * 80)
    verdict = gate.verdict(state)
    assert (state.found, finding(verdict)) == (found, found)
    assert (verdict.kind, verdict.policy) == (kind, policy)
    assert verdict.final == (found != "undecided")
    if policy is not None:
        assert verdict.survivors == (policy,)


@given(SHARES)
def test_claims_are_nested_and_a_wider_margin_is_easier(shares: list[float | None]) -> None:
    better = Gate(0.05, "superiority")
    narrow, wide = Gate(0.05), Gate(0.1)
    good = [gate.evidence(told(gate, shares))[0] for gate in (better, narrow, wide)]
    bad = [gate.evidence(told(gate, shares))[1] for gate in (wide, narrow)]
    assert good == sorted(good)
    assert bad == sorted(bad)


@given(SHARES)
def test_an_answer_that_never_comes_can_only_lower_a_claim(shares: list[float | None]) -> None:
    gate = Gate(0.05)
    for filled in (0.0, 0.5, 1.0):
        known = gate.evidence(told(gate, [filled if y is None else y for y in shares]))
        lost = gate.evidence(told(gate, shares))
        assert all(a <= b + 1e-9 for a, b in zip(lost, known, strict=True))


@given(SHARES)
def test_the_order_of_answers_leaves_no_trace_in_the_evidence(shares: list[float | None]) -> None:
    gate = Gate(0.05)
    forth, back = (gate.evidence(told(gate, s)) for s in (shares, shares[::-1]))
    assert forth == pytest.approx(back)


def test_what_was_proven_once_stays_proven() -> None:
    gate = Gate(0.05)
    assert told(gate, [1.0] * 30 + [0.0] * 300).found == "not-worse"


def test_ties_alone_prove_that_the_candidate_is_not_worse() -> None:
    gate = Gate(0.05)
    assert told(gate, [0.5] * 70).found == "not-worse"
    assert told(Gate(0.0), [0.5] * 500).found == "undecided"  # no margin, and no tie says enough


def test_the_fewest_comparisons_are_those_that_a_perfect_candidate_takes() -> None:
    for gate in GATES:
        n = gate.fewest()
        assert told(gate, [1.0] * n).found == gate.aim
        assert told(gate, [1.0] * (n - 1)).found == "undecided"


def test_a_gate_needs_at_most_half_more_than_a_test_that_knows_the_share() -> None:
    """Wald's test of 0.6 against 0.45 takes log(1/delta) / kl on average, and none takes less."""
    gate, n = Gate(0.05), []
    for shares in list(answers(0.6, 0.0, "price", 600))[:200]:
        state = gate.init()
        while state.found == "undecided":
            state = gate._told(state, shares[state.told])
        n.append(state.told)
    kl = 0.6 * log(0.6 / 0.45) + 0.4 * log(0.4 / 0.55)
    assert np.mean(n) < 1.5 * log(20) / kl


def test_the_standing_tells_who_leads_and_how_far_it_is() -> None:
    gate = Gate(0.05)
    fresh = gate.standing(gate.init())
    assert fresh.forecast == float("inf")
    ahead = gate.standing(told(gate, [1.0, 0.0, 1.0] * 8))
    assert ahead.leader == 1
    assert ahead.evidence[0] > 0 > ahead.evidence[1]
    assert 0 < ahead.forecast < 100
    behind = gate.standing(told(gate, [0.0, 0.0, 1.0] * 8))
    assert behind.leader == 0
    assert behind.rival.tolist() == [-1, 0]
    done = gate.standing(told(gate, [0.0] * 40))
    assert done.forecast == 0
    assert done.alive.tolist() == [True, False]
