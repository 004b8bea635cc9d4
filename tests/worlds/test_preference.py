"""A known truth is played as it was written down, by every kind of judge."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from bestpolicy.core.nouns import Array, Comparison, ConfigError, Outcome, Rng
from bestpolicy.core.rng import stream
from bestpolicy.worlds.preference import (
    INSTANCES,
    Answer,
    Drifting,
    Failing,
    Preference,
    Repeating,
    bradley_terry,
    coin,
    drawing,
    first_shown_favoured,
    graded,
    shuffled,
    tied,
)

ONE_IN_A_MILLION = 1e-6


def share_fits(wins: int, n: int, p: float) -> bool:
    """Whether a count is one that a share of p gives, but for once in a million."""
    low, high = binom.ppf([ONE_IN_A_MILLION / 2, 1 - ONE_IN_A_MILLION / 2], n, p)
    return bool(low <= wins <= high)


def plays_its_matrix(world: Preference, play: Callable[[Comparison, Rng], Outcome]) -> bool:
    rng, n = stream(3, "tests/preference/matrix"), 2000
    return all(
        share_fits(
            sum(play(Comparison((i, j)), rng).scores == (1.0, 0.0) for _ in range(n)),
            n,
            float(world.p[i, j]),
        )
        for i, j in ((0, 1), (1, 0), (0, 3), (3, 2))
    )


def test_each_side_wins_as_often_as_the_matrix_says() -> None:
    world = INSTANCES["easy4"]()
    assert plays_its_matrix(world, lambda c, rng: world.play([c], rng)[0])


def test_a_judge_who_swaps_the_sides_is_caught() -> None:
    world = INSTANCES["easy4"]()

    def swapped(c: Comparison, rng: Rng) -> Outcome:
        return world.play([replace(c, arms=c.arms[::-1])], rng)[0]

    assert not plays_its_matrix(world, swapped)


def test_a_batch_is_the_same_comparisons_one_by_one() -> None:
    world = INSTANCES["hard8"]()
    questions = [Comparison((i, (i + 1) % 8), id=i) for i in range(8)]
    rng = stream(3, "tests/preference/batch")
    one_by_one = [world.play([c], rng)[0] for c in questions]
    assert world.play(questions, stream(3, "tests/preference/batch")) == one_by_one


def draws_only(p: Array, rng: Rng) -> Array:
    return np.where(p > 0.5, drawing(0.3)(p, rng), coin(p, rng))


def keeps_its_mean(answer: Answer, mean: Callable[[Array], Array]) -> bool:
    """Hoeffding at one in a million for each mean share."""
    n = 20_000
    p = np.repeat([0.1, 0.5, 0.9], n)
    y = answer(p, stream(3, "tests/preference/answers"))
    bound = np.sqrt(np.log(2 / ONE_IN_A_MILLION) / (2 * n))
    inside = bool(np.all((y >= 0) & (y <= 1)))
    return inside and bool(np.all(np.abs((y - mean(p)).reshape(3, n).mean(axis=1)) < bound))


def test_answers_keep_the_mean_that_they_promise() -> None:
    assert keeps_its_mean(coin, lambda p: p)
    assert keeps_its_mean(graded(4.0), lambda p: p)
    assert keeps_its_mean(drawing(0.3), lambda p: 0.15 + 0.7 * p)


def test_a_judge_who_only_draws_when_the_first_shown_is_better_is_caught() -> None:
    assert not keeps_its_mean(draws_only, lambda p: 0.15 + 0.7 * p)


def test_draws_and_grades_come_as_shares_that_sum_to_one() -> None:
    rng = stream(3, "tests/preference/shares")
    for answer in (drawing(0.5), graded(3.0)):
        world = replace(INSTANCES["easy4"](), answer=answer)
        outcomes = world.play([Comparison((0, 2))] * 200, rng)
        shares = {outcome.scores for outcome in outcomes}
        assert all(s is not None and sum(s) == pytest.approx(1) for s in shares)
        assert any(s is not None and 0 < s[0] < 1 for s in shares)


def names_the_better(order: Callable[[Rng], tuple[int, int]]) -> bool:
    """Policy 0 is better by s = .2; the first shown is favoured by b = .6."""
    world = Preference(bradley_terry([0.2, 0.0]).p, first_shown_favoured(0.6))
    rng, n = stream(3, "tests/preference/position"), 40_000
    outcomes = world.play([Comparison(order(rng)) for _ in range(n)], rng)
    wins = sum(o.scores is not None and o.scores[o.comparison.arms.index(0)] == 1 for o in outcomes)
    return wins > binom.ppf(1 - ONE_IN_A_MILLION, n, 0.5)


def test_a_random_order_keeps_the_winner_under_position_bias() -> None:
    assert names_the_better(lambda rng: (0, 1) if rng.random() < 0.5 else (1, 0))


def test_a_fixed_order_loses_the_winner_under_position_bias() -> None:
    assert not names_the_better(lambda rng: (1, 0))


def test_a_drifting_judge_favours_the_worst_policy_first_and_the_truth_afterwards() -> None:
    world = Drifting(INSTANCES["hard8"](), 2000)
    rng = stream(3, "tests/preference/drift")
    early, late = (
        world.play([Comparison((7, 0), id=i) for i in range(start, start + 2000)], rng)
        for start in (0, 2000)
    )
    assert share_fits(sum(o.scores == (1.0, 0.0) for o in early), 2000, 0.7)
    assert share_fits(sum(o.scores == (1.0, 0.0) for o in late), 2000, float(world.world.p[7, 0]))


def test_a_repeating_judge_never_changes_its_mind_about_one_input() -> None:
    p = INSTANCES["easy4"]().p
    world = Repeating.drawn(p, 50, stream(3, "tests/preference/file"))
    rng = stream(3, "tests/preference/repeating")
    contexts = world.contexts(500, rng)
    there = world.play([Comparison((0, 1), context=c) for c in contexts], rng)
    back = world.play([Comparison((1, 0), context=c) for c in contexts], rng)
    again = world.play([Comparison((0, 1), context=c) for c in contexts], rng)
    assert there == again
    assert len(set(contexts)) > 25
    for o, mirror in zip(there, back, strict=True):
        assert o.scores is not None
        assert o.scores[::-1] == mirror.scores


def test_a_file_of_inputs_is_drawn_from_the_matrix() -> None:
    p = INSTANCES["easy4"]().p
    verdicts = Repeating.drawn(p, 2000, stream(3, "tests/preference/file")).verdicts
    assert np.allclose(verdicts + np.swapaxes(verdicts, 1, 2), 1)
    for i, j in ((0, 1), (1, 0), (2, 3)):
        assert share_fits(int(verdicts[:, i, j].sum()), 2000, float(p[i, j]))


def test_a_failing_judge_loses_only_the_answers_it_was_told_to_lose() -> None:
    def only_losses_of_zero(outcome: Outcome) -> float:
        assert outcome.scores is not None
        return 0.5 * (1 - outcome.scores[outcome.comparison.arms.index(0)])

    world = Failing(tied(2), only_losses_of_zero)
    outcomes = world.play([Comparison((0, 1))] * 4000, stream(3, "tests/preference/failing"))
    assert share_fits(sum(o.scores is None for o in outcomes), 4000, 0.25)
    assert share_fits(sum(o.scores == (1.0, 0.0) for o in outcomes), 4000, 0.5)


def test_shuffling_gives_every_number_to_the_winner_equally_often() -> None:
    world, n = INSTANCES["easy4"](), 4000
    winners = [shuffled(world, stream(s, "tests/preference/shuffled")).winner for s in range(n)]
    assert all(share_fits(winners.count(k), n, 0.25) for k in range(4))
    assert not share_fits([world.winner for _ in range(n)].count(0), n, 0.25)


def test_shuffling_keeps_the_truth() -> None:
    world = INSTANCES["cyc8"]()
    other = shuffled(world, stream(3, "tests/preference/keeps"))
    assert np.allclose(np.sort(other.p, axis=None), np.sort(world.p, axis=None))
    assert other.winner is not None
    assert np.allclose(np.delete(other.p[other.winner], other.winner), 0.56)


def test_the_feature_instances_are_the_published_ones() -> None:
    assert INSTANCES["feat32"]().p[0, 1] == pytest.approx(0.5866737, abs=5e-8)
    assert INSTANCES["feat1000"]().p[0, 1] == pytest.approx(0.5222105, abs=5e-8)


def test_the_rest_of_the_instances_are_as_described() -> None:
    cyc8, nonborda8, none = (INSTANCES[n]().p for n in ("cyc8", "nonborda8", "nowinner6"))
    assert [int(j) for j in np.flatnonzero(cyc8[7] == 0.85)] == [1, 2, 3]
    assert np.all(cyc8[0, 1:] == 0.56)
    assert np.all((cyc8 == 0.85).sum(axis=1)[1:] == 3)
    assert nonborda8[1].mean() > nonborda8[0].mean()
    assert INSTANCES["nonborda8"]().winner == 0
    assert (none[0, 1], none[1, 2], none[2, 0]) == (0.65, 0.65, 0.65)
    assert INSTANCES["nowinner6"]().winner is None


@pytest.mark.parametrize(
    ("p", "says"),
    [
        ([[0.5, 0.6]], "square"),
        ([[0.5]], "two policies"),
        ([[0.5, 0.6], [0.6, 0.5]], "p_ij \\+ p_ji = 1"),
        ([[0.5, 1.2], [-0.2, 0.5]], "in \\[0, 1\\]"),
        ([[0.5, np.nan], [np.nan, 0.5]], "give shares"),
    ],
)
def test_a_matrix_that_no_judge_could_have_is_refused(p: list[list[float]], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Preference(np.array(p))
