"""What a trusted structure proves is right at its rate, and a wrong structure is found out."""

from math import exp, log

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import binom

from bestpolicy import designs
from bestpolicy.core.duels import HOLDS, DuelState
from bestpolicy.core.likelihood import (
    MISFIT_SHARE,
    Likelihood,
    Seen,
    ceiling,
    leave_bar,
    nearest,
    totals,
)
from bestpolicy.core.loop import rollout
from bestpolicy.core.nouns import Array, Comparison, Design, Outcome, Rng, World
from bestpolicy.core.rng import stream
from bestpolicy.core.strengths import Structure
from bestpolicy.worlds.preference import INSTANCES, Preference

DELTA = 0.05


def answers(seed: int, n: int, d: int = 3, *, separable: bool = False) -> Seen:
    rng = stream(seed, "test/likelihood")
    z, theta = rng.normal(size=(n, d)), rng.normal(size=d)
    won = (z @ theta > 0) if separable else (rng.random(n) < expit(z @ theta))
    return Seen(z, won.astype(float), np.ones(n))


def log_likelihood(seen: Seen, lam: Array) -> float:
    v = seen.z @ lam
    return float((seen.won * v - seen.n * np.logaddexp(0, v)).sum())


def best_inside(seen: Seen, u: Array) -> float:
    """The largest log likelihood over u λ <= 0 that another optimiser finds."""
    found = minimize(
        lambda lam: -log_likelihood(seen, lam),
        np.zeros(seen.z.shape[1]),
        method="SLSQP",
        constraints={"type": "ineq", "fun": lambda lam: -u @ lam},
        options={"maxiter": 500, "ftol": 1e-12},
    )
    return -float(found.fun)


def on_the_boundary(seen: Seen, start: Array, u: Array) -> float:
    """The broken twin: the maximum where all limits hold with equality."""
    q = np.linalg.svd(u)[2][len(u) :].T
    return ceiling(Seen(seen.z @ q, seen.won, seen.n), q.T @ start)


def bounds_the_maximum(seen: Seen, u: Array, value: float) -> bool:
    return value >= best_inside(seen, u) - 1e-5


@pytest.mark.parametrize("limits", [1, 2])
@pytest.mark.parametrize("seed", range(6))
def test_the_ceiling_is_the_maximum_from_above(seed: int, limits: int) -> None:
    seen = answers(seed, 60)
    u = stream(seed, "test/limits").normal(size=(limits, 3))
    value = ceiling(seen, np.zeros(3), u)
    assert bounds_the_maximum(seen, u, value)
    assert value == pytest.approx(best_inside(seen, u), abs=1e-3)


def test_a_ceiling_from_the_boundary_alone_is_caught() -> None:
    """Where the data already prefer the rival the maximum lies inside."""
    caught = 0
    for seed in range(6):
        seen = answers(seed, 60)
        u = stream(seed, "test/limits").normal(size=(1, 3))
        caught += not bounds_the_maximum(seen, u, on_the_boundary(seen, np.zeros(3), u))
    assert caught >= 2


def test_separable_answers_have_a_finite_ceiling() -> None:
    seen = answers(3, 40, separable=True)
    assert -1e-3 <= ceiling(seen, np.zeros(3)) <= 0
    u = np.eye(3)[:1]
    assert bounds_the_maximum(seen, u, ceiling(seen, np.zeros(3), u))


def test_the_nearest_rival_is_the_best_where_it_is_said_to_be() -> None:
    x = stream(0, "test/nearest").normal(size=(15, 2))
    known = Structure.of(x, 15).strengths(15)
    assert known is not None
    for n in range(30):
        known = known.told(n % 15, (n + 4) % 15, float(n % 3 > 0))
    lead = int(known.rating.argmax())
    rivals = np.array([j for j in range(15) if j != lead])
    near = nearest(known, lead, rivals)
    alone = (known.rating[lead] - known.rating) ** 2 / (2 * known.variances(lead) + 1e-12)
    assert (near.distance >= 0.99 * alone[rivals]).all()  # more limits, farther away
    assert (near.distance > 1.2 * alone[rivals]).any()


def test_delta_is_spent_once() -> None:
    assert exp(-leave_bar(DELTA)) + MISFIT_SHARE * DELTA == pytest.approx(DELTA)


def test_an_answer_lost_for_good_counts_as_the_worst() -> None:
    known = Likelihood.blank(3, 3, trusted=True)
    lost = known.told(None, 0.8, 0.3)
    for y in (0.0, 0.5, 1.0):
        assert lost.said <= known.told(y, 0.8, 0.3).said
        assert lost.foretold <= known.told(y, 0.8, 0.3).foretold


def wrong_winners(runs: int) -> int:
    """Of studies in which two policies are as good as equal, how many name the worse."""
    p = expit(np.subtract.outer([0.02, 0.0, -1.0], [0.02, 0.0, -1.0]))
    wrong = 0
    for r in range(runs):
        design = designs.make(
            "racing", policies=3, delta=DELTA, structure=Structure.of(None, 3, trust=True)
        )
        verdict = rollout(design, Preference(p), stream(r, "test/trusted"), budget=150)
        wrong += verdict.kind == "winner" and verdict.policy != 0
    return wrong


def test_a_trusted_structure_that_holds_keeps_the_promise() -> None:
    assert wrong_winners(100) <= binom.ppf(1 - 1e-6, 100, DELTA)


def test_forecasts_that_have_seen_the_answer_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Likelihood.told

    def seeing(known: Likelihood, y: float, said: float, foretold: float) -> Likelihood:
        return honest(known, y, 0.8 * said + 0.2 * y, foretold)

    monkeypatch.setattr(Likelihood, "told", seeing)
    assert wrong_winners(100) > binom.ppf(1 - 1e-6, 100, DELTA)


def last_state(design: Design[DuelState], world: World, rng: Rng, budget: int) -> DuelState:
    states = [design.init()]
    rollout(design, world, rng, budget=budget, watch=lambda state, _: states.append(state))
    return states[-1]


def found_out(instance: str, runs: int, budget: int) -> int:
    """In how many runs of uniformly asked pairs trust in Bradley-Terry was withdrawn."""
    world, fired = INSTANCES[instance](), 0
    for r in range(runs):
        made = designs.make(
            "uniform",
            policies=world.policies,
            delta=1e-9,  # nothing is decided before the end
            structure=Structure.of(None, world.policies),
        )
        known = last_state(made, world, stream(r, f"test/misfit/{instance}"), budget).likelihood
        assert known is not None
        fired += known.misfit >= -log(MISFIT_SHARE * DELTA)
    return fired


def test_a_circle_is_no_bradley_terry_world_and_a_ladder_is() -> None:
    assert found_out("cyc8", 3, 900) == 3
    assert found_out("mid16", 3, 900) == 0


def test_trust_is_withdrawn_when_the_structure_does_not_hold() -> None:
    world = INSTANCES["cyc8"]()
    design = designs.make(
        "uniform", policies=8, delta=DELTA, structure=Structure.of(None, 8, trust=True)
    )
    given: list[str] = []
    rollout(
        design,
        world,
        stream(0, "test/withdrawn"),
        budget=900,
        watch=lambda state, _: given.append(design.verdict(state).given),
    )
    assert given[0] == HOLDS
    assert given[-1] == ""


def test_totals_count_each_pair_once() -> None:
    design = designs.make("uniform", policies=5, structure=Structure.of(None, 5))
    world = Preference(np.full((5, 5), 0.5))
    state = last_state(design, world, stream(0, "totals"), 80)
    seen = totals(state.record, state.beliefs.played, None)
    assert seen.n.sum() == 80
    assert len(seen.n) == len(np.unique(np.abs(seen.z), axis=0))


def test_a_study_whose_first_answers_are_all_lost_goes_on() -> None:
    design = designs.make("llm-po", policies=4, structure=Structure.of(None, 4))
    state = design.tell(design.init(), [Outcome(Comparison((0, 1)), None)] * 12)
    assert state.told == 12
