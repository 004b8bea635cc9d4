"""With a structure, paper plans by the max-min program, tracks its plan, and proves by no habit."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from bestpolicy import designs
from bestpolicy.core.logistic import mu
from bestpolicy.core.loop import number, rollout
from bestpolicy.core.nouns import Array, Comparison, ConfigError, Outcome, Rng
from bestpolicy.core.program import (
    Game,
    brought_level,
    even,
    game_of,
    planned_shares,
    regularised_shares,
    weakest,
)
from bestpolicy.core.rng import stream
from bestpolicy.core.strengths import Structure
from bestpolicy.designs.paper import EXPLORED, FADE, FIRST_PART, SELDOM, Paper, PaperState, Plan
from bestpolicy.worlds import truth
from bestpolicy.worlds.preference import INSTANCES, STRUCTURES, cyclic

T_STAR = {"mid16": 151.60, "feat32": 50.657}  # worlds/bound.py
LATE = 1000  # answers


def paper(K: int, *, delta: float = 1e-300, assume_winner: bool = True, x: Array | None = None,
          trust: bool = False) -> Paper:  # fmt: skip
    made = designs.make(
        "paper",
        policies=K,
        delta=delta,
        assume_winner=assume_winner,
        structure=Structure.of(x, K, trust=trust),
    )
    assert isinstance(made, Paper)
    return made


def worth(name: str, w: Array) -> float:
    """How much of 1/T* shares w bring, by the certified lower bound of min_j D_j(w)."""
    x, theta = STRUCTURES[name]()
    game, basis, _ = game_of(x, theta)
    shares = w[np.triu_indices(len(x), 1)]
    lam, _ = brought_level(game.z, shares * game.p * (1 - game.p), game.u, basis.T @ theta)
    return float(weakest(game, shares, lam).floor.min()) * T_STAR[name]


def planned(name: str) -> Array:
    """What the design asks for late, had it found the truth."""
    x, theta = STRUCTURES[name]()
    plan = Plan.blank(len(x))
    for _ in range(8):
        part = FIRST_PART * (SELDOM / LATE) ** FADE
        plan = plan.turned(LATE, planned_shares(x, theta, part, plan.w))
    return plan.w


@pytest.mark.parametrize("name", T_STAR)
def test_the_plan_at_the_truth_is_nearly_the_best_of_all_plans(name: str) -> None:
    w = planned(name)
    assert w.sum() == pytest.approx(1)
    assert w[np.triu_indices(len(w), 1)].min() >= EXPLORED / len(w) ** 2
    assert 0.9 <= worth(name, w) <= 1 + 1e-6


def test_everyone_against_the_leader_is_no_such_plan() -> None:
    x, theta = STRUCTURES["mid16"]()
    star = truth.proportions(expit((x @ theta)[:, None] - x @ theta))
    assert worth("mid16", np.triu(star + star.T, 1)) < 0.8


def test_a_plan_gets_better_as_its_smoothing_falls() -> None:
    x, theta = STRUCTURES["feat32"]()
    parts = (1.0, 0.3, 0.05)
    found = []
    for part in parts:
        w = even(len(x))
        for _ in range(10):
            w = planned_shares(x, theta, part, w)
        found.append(worth("feat32", w))
    assert found == sorted(found)
    assert found[-1] > 0.99


def test_tied_leaders_are_asked_about_like_all_others() -> None:
    x, theta = np.eye(4), np.array([1.0, 1.0, 0.0, -1.0])
    assert np.array_equal(planned_shares(x, theta, 0.1, even(4)), even(4))


def lags(follow: bool, answers: int = 600) -> tuple[float, float]:
    """The least and largest lag of a pair on hard8; `follow`: track, or else draw from w."""
    world, rng = INSTANCES["hard8"](), stream(12, "tests/paper/lags")
    design = paper(8)
    state, seen = design.init(), []
    for i in range(answers):
        assert state.plan is not None
        asked = design.ask(state, [None], rng, ())
        if not follow:
            drawn = rng.choice(64, p=state.plan.w.ravel())
            asked = [Comparison(divmod(int(drawn), 8))]
        state = design.tell(state, world.play(number(asked, i, rng), rng))
        lag = state.plan.lag(state.duels.told)[np.triu_indices(8, 1)]
        seen += [lag.min(), lag.max()]
    return min(seen), max(seen)


def test_counts_track_the_targets_and_drawing_from_them_does_not() -> None:
    """A pair asked was furthest behind, so never more than one question ahead."""
    low, high = lags(follow=True)
    assert low > -1
    assert high < 4
    assert lags(follow=False)[0] < -4


def test_questions_in_flight_count_as_asked() -> None:
    design = paper(8)
    state, rng = design.init(), stream(12, "tests/paper/flight")
    batch = [c.arms for c in design.ask(state, [None] * 28, rng, ())]
    assert len(set(batch)) == 28
    rest = design.ask(state, [None] * 14, rng, [Comparison(arms) for arms in batch[:14]])
    assert {c.arms for c in rest} == set(batch[14:])


def test_a_pair_whose_answers_never_come_does_not_keep_the_others_waiting() -> None:
    design = paper(4)
    state, rng = design.init(), stream(12, "tests/paper/lost")
    for i in range(300):
        questions = number(design.ask(state, [None], rng, ()), i, rng)
        lost = set(questions[0].arms) == {0, 1}
        state = design.tell(state, [Outcome(questions[0], None if lost else (0.5, 0.5))])
    assert state.plan is not None
    assert state.plan.asked[0, 1] <= 150


def after(design: Paper, answers: int, rng: Rng, name: str = "hard8") -> PaperState:
    world, state = INSTANCES[name](), design.init()
    for i in range(answers):
        asked = number(design.ask(state, [None], rng, ()), i, rng)
        state = design.tell(state, world.play(asked, rng))
    return state


def test_once_the_custom_would_stop_every_question_but_a_few_has_the_leader() -> None:
    design = paper(4, delta=1e-9)
    state = after(design, 600, stream(12, "tests/paper/proving"), "easy4")
    assert state.stopped is not None
    assert state.plan is not None
    w = state.plan.w
    assert w[0].sum() == pytest.approx(1 - EXPLORED / 2)
    before = after(design, 60, stream(12, "tests/paper/proving"), "easy4")
    assert before.stopped is None
    assert before.plan is not None
    assert before.plan.w[0].sum() < 0.9


def test_a_refuted_structure_is_followed_no_longer() -> None:
    """Whose answers go in a circle has no strengths: the rule is then the one without structure."""
    world, rng = cyclic(), stream(12, "tests/paper/circle")
    design = paper(8, delta=0.05, assume_winner=False)
    state = design.init()
    for i in range(900):
        pair = tuple(int(a) for a in rng.choice(8, 2, replace=False))
        outcome = world.play([Comparison(pair, id=i)], rng)
        state = design.tell(state, outcome)
    assert not design._holds(state.duels)
    alike = [
        d.ask(s, [None] * 3, stream(12, "tests/paper/alike"), ())
        for d, s in ((design, state), (design.duels, state.duels))
    ]
    assert alike[0] == alike[1]
    assert design._holds(replace(state.duels, likelihood=design.init().duels.likelihood))


def test_the_customary_stop_is_shown_and_decides_nothing() -> None:
    world, design = INSTANCES["easy4"](), paper(4, delta=1e-4)
    open_at_the_stop = []

    def look(state: PaperState, told: int) -> None:
        if state.stopped is not None and state.stopped[0] == told:
            open_at_the_stop.append(not design.verdict(state).final)

    for run in range(6):
        rng = stream(12, "tests/paper/habit", run)
        assert rollout(design, world, rng, budget=3000, watch=look).kind == "winner"
    assert any(open_at_the_stop)


def test_one_free_number_is_enough_to_plan_by() -> None:
    x = np.arange(12.0)[:, None]
    world = replace(INSTANCES["easy4"](), p=expit((x - x.T) / 3))
    design = paper(12, delta=0.05, assume_winner=False, x=x)
    verdict = rollout(design, world, stream(12, "tests/paper/line"), budget=4000)
    assert (verdict.kind, verdict.policy) == ("winner", 11)


@pytest.mark.parametrize(("K", "d"), [(200, None), (60, None), (300, 3)])
def test_too_many_pairs_to_plan_over_are_refused_with_a_way_out(K: int, d: int | None) -> None:
    x = None if d is None else stream(12, "tests/paper/wide").normal(size=(K, d))
    with pytest.raises(ConfigError, match="llm-po"):
        paper(K, x=x)


def test_any_strengths_have_a_plan() -> None:
    """Near ties, certain wins, one policy far from all: no step of the program may break."""
    rng = stream(12, "tests/paper/any")
    w = even(6)
    for scale in (1e-7, 1e-3, 1.0, 10.0, 60.0):
        for _ in range(3):
            w = planned_shares(np.eye(6), scale * rng.normal(size=6), 0.2, w)
            assert np.isfinite(w).all()
            assert w.sum() == pytest.approx(1)


def test_the_cost_of_a_pair_is_its_divergence() -> None:
    s = np.array([-3.0, 0.2, 8.0])
    game = Game(s[:, None], mu(s), np.logaddexp(0, s) - mu(s) * s, np.ones((1, 1)))
    lam = np.array([[0.5]])
    assert game.cost(lam)[0] == pytest.approx(truth.kl(expit(s), expit(0.5 * s)), abs=1e-12)


def test_a_plan_made_again_and_again_becomes_the_program_s_own_solution() -> None:
    x, theta = STRUCTURES["hard8"]()
    game, basis, _ = game_of(x, theta)
    weight = game.p * (1 - game.p) / len(game.p)
    gamma = 0.2 * brought_level(game.z, weight, game.u, basis.T @ theta)[1]
    exact = regularised_shares(x, theta, gamma=gamma, eta=gamma)
    w = even(8)
    first = planned_shares(x, theta, 0.2, w)
    for _ in range(8):
        w = planned_shares(x, theta, 0.2, w)
    assert np.abs(w - exact).sum() < 0.01
    assert np.abs(first - exact).sum() > 0.1
