"""Each peer does what its paper says, and none of them breaks the promise it makes."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import inf, log

import numpy as np
import pytest

from bestpolicy.bench.cells import is_wrong
from bestpolicy.core.duels import Duels, DuelState
from bestpolicy.core.loop import rollout
from bestpolicy.core.nouns import Array, Comparison, Outcome
from bestpolicy.core.rng import stream
from bestpolicy.designs import knockout, make, rucb, savage
from bestpolicy.worlds import truth
from bestpolicy.worlds.preference import INSTANCES, Preference, shuffled
from bounds import at_most

PEERS = ("uniform", "racing", "rucb", "double-thompson", "savage", "knockout", "paper")
DELTA, RUNS = 0.2, 40


def wrong_verdicts(name: str, instance: str, *, gap: float = 0.0, runs: int = RUNS) -> int:
    wrong = 0
    for run in range(runs):
        world = shuffled(INSTANCES[instance](), stream(9, "peers/policies", run))
        design = make(
            name, policies=world.policies, delta=DELTA, indifference=gap, assume_winner=True
        )
        verdict = rollout(design, world, stream(9, f"peers/{name}", run), budget=3000)
        wrong += is_wrong(verdict, world)
    return wrong


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_is_wrong_no_more_often_than_promised(name: str) -> None:
    assert at_most(wrong_verdicts(name, "easy4"), RUNS, DELTA)


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_finds_the_winner_when_it_may_take_its_time(name: str) -> None:
    world = shuffled(INSTANCES["easy4"](), stream(9, "peers/find"))
    design = make(name, policies=4, delta=1e-6)
    verdict = rollout(design, world, stream(9, f"peers/find/{name}"), budget=20_000)
    assert (verdict.kind, verdict.policy) == ("winner", world.winner)


def told(name: str, world: Preference, n: int, *, assume_winner: bool = True) -> Sequence[Outcome]:
    """The first `n` answers that a design gets which is too careful to stop."""
    design = make(name, policies=world.policies, delta=1e-300, assume_winner=assume_winner)
    seen: list[Outcome] = []
    rng, state = stream(9, f"peers/told/{name}"), design.init()
    for i in range(n):
        seen += world.play([replace(c, id=i) for c in design.ask(state, [None], rng, ())], rng)
        state = design.tell(state, seen[-1:])
    return seen


def counts(outcomes: Sequence[Outcome], K: int) -> Array:
    n = np.zeros((K, K))
    for outcome in outcomes:
        i, j = outcome.comparison.arms
        n[i, j] += 1
        n[j, i] += 1
    return n


def asks_every_pair_alike(name: str) -> bool:
    """No pair of 6 is asked more often than a chance of 1/6 allows."""
    n = counts(told(name, INSTANCES["easy4"](), 1200), 4)
    return all(at_most(int(count), 1200, 1 / 6) for count in n[np.triu_indices(4, 1)])


def test_uniform_asks_every_pair_alike_and_an_adaptive_design_does_not() -> None:
    assert asks_every_pair_alike("uniform")
    assert not asks_every_pair_alike("double-thompson")


def duel_state(K: int, *, assume_winner: bool = True) -> DuelState:
    state = make("uniform", policies=K, assume_winner=assume_winner).init()
    assert isinstance(state, DuelState)
    return state


def pairs_of(design: Duels, state: DuelState, n: int = 60) -> set[frozenset[int]]:
    asked = design.ask(state, [None] * n, stream(9, "peers/pairs"), ())
    return {frozenset(c.arms) for c in asked}


def test_racing_asks_every_pair_of_survivors_and_nobody_else() -> None:
    state = duel_state(5)
    state.certificate.alive[[1, 4]] = False
    racing = make("racing", policies=5, assume_winner=True)
    survivors = {frozenset(pair) for pair in ((0, 2), (0, 3), (2, 3))}
    assert pairs_of(racing, state) == survivors
    assert pairs_of(make("uniform", policies=5), state) != survivors


def test_a_lone_survivor_is_raced_against_whom_it_has_not_yet_beaten() -> None:
    state = duel_state(4, assume_winner=False)
    state.certificate.alive[:] = [True, False, False, False]
    state.certificate.proof[0][2] = inf
    assert pairs_of(make("racing", policies=4), state) == {frozenset({0, 1}), frozenset({0, 3})}


def test_rucb_sets_the_remembered_one_against_whoever_may_beat_it_by_most() -> None:
    u = np.array([[0.5, 0.9, 0.8], [0.6, 0.5, 0.7], [0.55, 0.2, 0.5]])  # 0 and 1 may be best
    pairs = [rucb.pair(u, 0, stream(9, "peers/rucb", i)) for i in range(400)]
    assert set(pairs) == {(0, 1), (1, 0)}
    assert at_most(sum(i == 0 for i, _ in pairs), 400, 0.5)
    assert at_most(sum(i == 1 for i, _ in pairs), 400, 0.5)


def test_rucb_remembers_who_was_last_alone_and_forgets_who_can_no_longer_win() -> None:
    design = make("rucb", policies=2, delta=1e-9, assume_winner=True)

    def after(wins: int, losses: int, state: rucb.RucbState) -> rucb.RucbState:
        outcomes = [Outcome(Comparison((0, 1)), (1.0, 0.0))] * wins
        outcomes += [Outcome(Comparison((0, 1)), (0.0, 1.0))] * losses
        return design.tell(state, outcomes)  # type: ignore[no-any-return]

    start = design.init()
    won = after(30, 0, start)
    assert (start.best, won.best) == (None, 0)
    assert after(0, 90, won).best == 1


@pytest.mark.parametrize("name", ["rucb", "double-thompson"])
def test_regret_minimisers_end_up_playing_the_winner(name: str) -> None:
    late = told(name, INSTANCES["easy4"](), 800)[400:]
    with_winner = sum(0 in o.comparison.arms for o in late)
    assert not at_most(with_winner, len(late), 0.5)


def chance_of_leaving(radius: Callable[[int], float]) -> float:
    """Hoeffding's bound on the chance that a share ever leaves its radius, over all n."""
    n = np.arange(1, 200_000)
    return float((2 * np.exp(-2 * n * np.array([radius(int(i)) for i in n]) ** 2)).sum())


def test_savage_spends_no_more_than_delta_over_all_pairs_and_times() -> None:
    pairs, delta = 28, 0.05
    assert chance_of_leaving(lambda n: savage.radius(n, 8, delta)) <= delta / pairs
    # The broken twin: the same level at every n, as if nobody looked twice.
    fixed = log(2 * pairs / delta)
    assert chance_of_leaving(lambda n: (fixed / (2 * n)) ** 0.5) > delta / pairs


def test_savage_leaves_a_decided_pair_alone_and_counts_lost_answers_against_either_side() -> None:
    design = make("savage", policies=3, delta=0.05, assume_winner=False)
    win = Outcome(Comparison((0, 1)), (1.0, 0.0))
    state = design.tell(design.init(), [win] * 40)
    assert design.verdict(state).survivors == (0, 2)
    assert pairs_of(design, state) == {frozenset({0, 2}), frozenset({1, 2})}
    lost = design.tell(design.init(), [replace(win, scores=None)] * 20 + [win] * 40)
    assert design.verdict(lost).survivors == (0, 1, 2)


def test_knockout_told_the_gap_needs_less_and_keeps_its_promise() -> None:
    gap = truth.gap(INSTANCES["cyc8"]().p)
    assert at_most(wrong_verdicts("knockout", "cyc8", gap=gap), RUNS, DELTA)
    match = knockout.Match(0, 1, won=130.0, lost=100.0)
    assert knockout.decided(match, 0.2, log(0.05)) == 0
    assert knockout.decided(match, 0.0, log(0.05)) is None


def test_knockout_told_a_gap_that_is_not_there_is_caught() -> None:
    assert not at_most(wrong_verdicts("knockout", "cyc8", gap=0.4), RUNS, DELTA)


def test_answers_that_never_come_decide_no_match() -> None:
    match = knockout.Match(0, 1, won=10.0, lost=0.0, unanswered=0)
    assert knockout.decided(match, 0.3, log(0.05)) == 0
    assert knockout.decided(replace(match, unanswered=10), 0.3, log(0.05)) is None


def test_knockout_ignores_an_answer_about_policies_that_are_not_matched() -> None:
    design = make("knockout", policies=4, assume_winner=True)
    state = design.tell(design.init(), [Outcome(Comparison((0, 1)), (1.0, 0.0))])
    other = design.tell(state, [Outcome(Comparison((1, 2)), (1.0, 0.0))])
    assert (other.playing, other.waiting) == (state.playing, state.waiting)
    assert other.duels.told == 2


def distance_to_optimal(outcomes: Sequence[Outcome], p: Array) -> float:
    """Total variation between the shares asked and the optimal ones."""
    w = truth.proportions(p)
    n = counts(outcomes, len(p))
    return float(np.abs(np.triu(n / len(outcomes) - (w + w.T), 1)).sum() / 2)


def test_tracking_comes_near_the_optimal_proportions_and_uniform_asking_does_not() -> None:
    world = INSTANCES["easy4"]()
    assert distance_to_optimal(told("paper", world, 3000), world.p) < 0.15
    assert distance_to_optimal(told("uniform", world, 3000), world.p) > 0.3


def test_tracking_asks_every_pair_once_before_any_twice() -> None:
    outcomes = told("paper", INSTANCES["hard8"](), 28)
    assert np.array_equal(counts(outcomes, 8), 1 - np.eye(8))


def test_tracking_asks_only_against_the_leader_when_it_has_to_be_verified() -> None:
    late = told("paper", INSTANCES["cyc8"](), 2500, assume_winner=False)[1500:]
    assumed = told("paper", INSTANCES["cyc8"](), 2500)[1500:]
    assert sum(0 in o.comparison.arms for o in late) > 0.5 * len(late)
    assert sum(0 in o.comparison.arms for o in assumed) < 0.5 * len(assumed)


def test_the_customary_stop_is_the_runner_up_s_log_likelihood_ratio() -> None:
    design = make("paper", policies=3, delta=0.05, assume_winner=True)
    outcomes = [Outcome(Comparison((0, 1)), (1.0, 0.0))] * 8
    outcomes += [Outcome(Comparison((0, 2)), (1.0, 0.0))] * 5
    outcomes += [Outcome(Comparison((1, 2)), (0.5, 0.5))] * 5
    state = design.tell(design.init(), outcomes)
    habit = design.standing(state).habit
    assert habit is not None
    assert habit.value == pytest.approx(5 * log(2))
    assert habit.bar == pytest.approx(log((1 + log(18)) / 0.05))
