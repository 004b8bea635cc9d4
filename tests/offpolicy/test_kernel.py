"""Kernel weights and what they estimate, in worlds where every expectation can be had."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bestpolicy.bench.sentences import Known, prompt_pair
from bestpolicy.core.log import Log
from bestpolicy.core.nouns import Array, ConfigError
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.density import Sampled, Shared, Summed, nearness, ratio
from bestpolicy.offpolicy.evaluate import evaluate
from bestpolicy.offpolicy.kernel import dr_kernel, gaussian, kernel_is, squares, uniform
from bestpolicy.offpolicy.kernel_lines import counts
from bestpolicy.offpolicy.regression import dr
from bestpolicy.offpolicy.rows import Given, Rows, Side
from bestpolicy.offpolicy.sentence_model import sentence_model
from bestpolicy.offpolicy.targets import target_of
from bestpolicy.offpolicy.weighting import ips
from bestpolicy.worlds.prompts import D, prompt_world
from offpolicy.sentences import (
    EIGHTHS,
    P0,
    SAID,
    WORTH,
    Finite,
    P,
    bank_log,
    chance,
    every_row,
    finite_log,
    random_bank,
)

KERNELS = (gaussian(0.8), gaussian(0.1), uniform(1.2), gaussian(100.0))


def table(n: int, chances: Array = P) -> Array:
    return np.tile(chances, (n, 1))


def weights(log: Log, target: Any, side: Side) -> Array:
    made: Array = side(Rows(log, target_of(target, log), Given()))
    return made


def test_kernels_fall_with_distance_from_one() -> None:
    at = np.array([0.0, 0.9, 1.1, 4.0]) ** 2
    np.testing.assert_allclose(gaussian(1.0)(at), np.exp(-at / 2))
    assert uniform(1.0)(at).tolist() == [1, 1, 0, 0]
    assert gaussian(3.0)(9 * at).tolist() == gaussian(1.0)(at).tolist()
    with pytest.raises(ConfigError, match="positive number, saw 0"):
        gaussian(0.0)


def test_squares_are_squared_distances() -> None:
    rng = stream(1, "tests/kernel")
    a, b = rng.normal(size=(6, 3)), rng.normal(size=(4, 3))
    slow = [[((x - y) ** 2).sum() for y in b] for x in a]
    np.testing.assert_allclose(squares(a, b), slow)
    np.testing.assert_allclose(squares(a[:, None], np.stack([b] * 6))[:, 0], slow)


@pytest.mark.parametrize("kernel", KERNELS)
def test_counts_average_to_one_under_the_logging_policy_and_weights_to_counts(kernel: Any) -> None:
    each = finite_log(np.zeros(5, dtype=np.intp), np.arange(5))
    k = weights(each, table(5), Summed(Finite(), kernel))
    # Draws of pi_0 in their true shares: 32 of them stand for all.
    p0 = chance(P0)
    drawn = np.repeat(np.arange(5), np.rint(32 * p0).astype(int))
    near = kernel(squares(SAID, SAID))
    c = counts(near[np.ix_(drawn, drawn)][None], near[drawn][None])[0]
    assert p0 @ c == pytest.approx(1)
    assert p0 @ k == pytest.approx(chance(P) @ c)
    # The broken twin divides by the density at s' and not at s: its c is 1 everywhere.
    twin = (near[drawn] / near[drawn].mean(0)).mean(0)
    if kernel.width == 0.8:
        assert p0 @ k != pytest.approx(chance(P) @ twin, rel=1e-3)


@pytest.mark.parametrize("kernel", KERNELS[:3])
def test_dr_kernel_is_unbiased_where_the_model_is_right_whatever_the_kernel(kernel: Any) -> None:
    log, truth = every_row(), float(chance(P) @ WORTH)
    d = np.full(len(log), truth)

    def right(rows: Rows) -> tuple[Array, Array]:
        return WORTH[rows.log.columns["said"]], d

    def of_prompts(rows: Rows) -> tuple[Array, Array]:
        return (EIGHTHS / 8 @ WORTH)[rows.log.actions], d

    def wrong_density(rows: Rows) -> Array:
        return 3.7 * weights(rows.log, table(len(rows.log)), Summed(Finite(), kernel))

    for side in (Summed(Finite(), kernel), wrong_density):
        given = Given(kernel=side, sentences=right)
        assert dr_kernel(log, table(len(log)), given=given).value == pytest.approx(truth)
        # The broken twin holds the reward against the prompt's mean and not the sentence's.
        twin = Given(kernel=side, sentences=of_prompts)
        assert abs(dr_kernel(log, table(len(log)), given=twin).value - truth) > 0.01


def test_a_sharp_kernel_and_the_exact_density_need_no_model() -> None:
    log, truth = every_row(), float(chance(P) @ WORTH)
    given = Given(kernel=Summed(Finite(), gaussian(1e-3)), centre=0.4)
    assert kernel_is(log, table(len(log)), given=given).value == pytest.approx(truth)
    wide = Given(kernel=Summed(Finite(), gaussian(2.0)), centre=0.4)
    assert abs(kernel_is(log, table(len(log)), given=wide).value - truth) > 0.04


class Apart:
    """The broken twin of shared draws: other ones above than below."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared

    def __call__(self, rows: Rows) -> Array:
        source = self.shared.source
        _, below = nearness(source, self.shared.kernel, rows.log, self.shared.count)
        _, above = nearness(
            replace(source, seed=1),
            self.shared.kernel,
            rows.log,
            self.shared.count,
        )
        return ratio(above.sum(1), below.sum(1))


def test_kernel_is_of_the_logging_policy_is_the_plain_mean_identically() -> None:
    bank = random_bank(3, 5)
    log = bank_log(200, bank)
    mean = float(log.rewards.mean())

    def value(side: Side, b: float) -> float:
        return kernel_is(log, "logging", given=Given(kernel=side), b=b).value

    for b in (0.0, mean, -3.0):
        assert value(Shared(bank, gaussian(0.5), 30), b) == pytest.approx(mean, abs=1e-12)
        assert value(Summed(bank, gaussian(0.5)), b) == pytest.approx(mean, abs=1e-12)
    assert abs(value(Apart(Shared(bank, gaussian(0.5), 30)), 0.0) - mean) > 0.01
    k = weights(log, "logging", Apart(Shared(bank, gaussian(0.5), 30)))
    assert k.mean() > 1.05  # 1/D bends


def test_shared_weights_never_exceed_the_largest_ratio_of_chances() -> None:
    bank = random_bank(3, 5)
    log = bank_log(200, bank)
    pi = stream(4, "tests/kernel").dirichlet(np.ones(5), size=200)
    assert log.propensities is not None
    k = weights(log, pi, Shared(bank, gaussian(0.2), 50))
    assert (k <= (pi / log.propensities).max(axis=1) + 1e-12).all()


def test_centred_kernel_is_moves_with_the_rewards_and_the_public_form_does_not() -> None:
    bank, h = random_bank(3, 5), 0.25
    log = bank_log(300, bank)
    pi = stream(5, "tests/kernel").dirichlet(np.ones(5), size=300)
    moved = replace(log, rewards=log.rewards + h, bounds=(-1.0, 2.0))

    def value(log: Log, centre: float) -> float:
        given = Given(kernel=Summed(bank, gaussian(0.7)), centre=centre)
        return kernel_is(log, pi, given=given).value

    one, other = (value(some, float(some.rewards.mean())) for some in (log, moved))
    assert other - one == pytest.approx(h, abs=1e-12)
    public = [kernel_is(x, pi, given=Given(kernel=Summed(bank, gaussian(0.7))), b=0.0, most=200.0)
              for x in (log, moved)]  # fmt: skip
    assert abs(public[1].value - public[0].value - h) > 1e-3


def test_clipped_weights_are_no_larger_than_said() -> None:
    log = every_row()
    side = Summed(Finite(), gaussian(0.1))
    k = weights(log, table(len(log)), side)
    assert k.max() > 1.5
    given = Given(kernel=side, centre=0.3)
    written = 0.3 + np.mean(np.minimum(k, 1.5) * (log.rewards - 0.3))
    assert kernel_is(log, table(len(log)), given=given, most=1.5).value == pytest.approx(written)


def test_the_exact_density_gives_the_logging_policy_weights_of_mean_one() -> None:
    world = prompt_world(3, actions=20)
    policy = world.towards_reward(1.0)
    log = world.log(6000, stream(6, "tests/kernel"), policy)
    assert log.contexts is not None
    kernel = gaussian(1.0 * D)  # tau = 1 in d / dim
    _, said = world.draws(log.contexts, log.propensities, 1, stream(7, "tests/kernel"))
    near = kernel(squares(log.columns["sentence_emb"][:, None], said)[:, 0, 0])

    def off(width: float) -> float:
        """By how many standard errors the mean of K / D is not 1."""
        exact = world.closeness(log.contexts, log.columns["sentence_emb"], width)
        k = near / np.einsum("ia,ia->i", log.propensities, exact)
        return float(abs(k.mean() - 1) / (k.std() / np.sqrt(len(k))))

    assert off(kernel.width) < 5.5
    assert off(1.0) > 20  # the broken twin: Euclidean d where d / dim is meant


def test_sampled_densities_tend_to_the_exact_one() -> None:
    world = prompt_world(4, actions=20)
    log = world.log(300, stream(8, "tests/kernel"), world.uniform())
    source, kernel = Known(world), gaussian(1.0 * D)
    near = source.closeness(log, kernel)
    assert log.propensities is not None
    exact = np.einsum("ia,ia->i", log.propensities, near)
    errors = [
        float(np.median(np.abs(np.log(Sampled(source, kernel, m).density(log) / exact))))
        for m in (30, 300, 3000)
    ]
    # Errors fall by the root of ten each time.
    assert errors[0] > 2 * errors[1] > 4 * errors[2]
    assert errors[2] < 0.1
    few = weights(log, "logging", Sampled(source, kernel, 30)).mean()
    many = weights(log, "logging", Sampled(source, kernel, 3000)).mean()
    assert few > many > 0.97
    assert many < 1.03


def test_where_nothing_is_near_a_weight_is_nothing() -> None:
    log = finite_log(np.zeros(1, dtype=np.intp), np.zeros(1, dtype=np.intp))
    far = replace(log, columns={**log.columns, "sentence_emb": np.array([[50.0, 0.0]])})
    for kernel in (uniform(1.0), gaussian(0.5)):
        assert weights(far, table(1), Summed(Finite(), kernel)).tolist() == [0]


def test_rows_in_another_order_have_the_same_value() -> None:
    bank = random_bank(3, 4)
    log = bank_log(150, bank)
    pi = stream(9, "tests/kernel").dirichlet(np.ones(4), size=150)
    order = stream(10, "tests/kernel").permutation(150)
    columns = {name: column[order] for name, column in log.columns.items()}
    assert log.contexts is not None
    assert log.propensities is not None
    mixed = Log(
        *(log.actions[order], log.rewards[order], log.propensity[order], log.names),
        contexts=log.contexts[order],
        propensities=log.propensities[order],
        columns=columns,
    )
    given = Given(kernel=Summed(bank, gaussian(0.7)), centre=float(log.rewards.mean()))
    one = kernel_is(log, pi, given=given).value
    assert kernel_is(mixed, pi[order], given=given).value == pytest.approx(one, abs=1e-12)


@pytest.mark.parametrize("side", [Summed, Sampled, Shared])
def test_pieces_have_the_weights_of_the_whole(side: Callable[..., Side]) -> None:
    bank = random_bank(3, 4)
    log = bank_log(40, bank)
    pi = np.tile([0.1, 0.2, 0.3, 0.4], (40, 1))
    made = side(bank, gaussian(0.7))
    whole = weights(log, pi, made)
    asked = target_of(pi, log)
    pieces = [made(Rows(part, asked, Given())) for part in log.split(7)]
    np.testing.assert_allclose(np.concatenate(pieces), whole, rtol=1e-12)


def test_what_is_missing_is_named() -> None:
    log = every_row()
    with pytest.raises(ConfigError, match="give `kernel`"):
        kernel_is(log, table(len(log)), given=Given(centre=0.0))
    with pytest.raises(ConfigError, match="give `centre`"):
        kernel_is(log, table(len(log)), given=Given(kernel=Summed(Finite(), gaussian(1.0))))
    given = Given(kernel=Summed(Finite(), gaussian(1.0)), centre=0.0)
    with pytest.raises(ConfigError, match="give `sentences`"):
        dr_kernel(log, table(len(log)), given=given)
    with pytest.raises(ConfigError, match="those of all actions: give an"):
        kernel_is(log, log.propensity, given=given)
    with pytest.raises(ConfigError, match="ones only: give `propensities`"):
        kernel_is(replace(log, propensities=None), table(len(log)), given=given)
    with pytest.raises(ConfigError, match="no column 'sentence_emb': embed its sentences"):
        kernel_is(replace(log, columns={}), table(len(log)), given=given)


def test_both_are_estimators_by_name() -> None:
    log = every_row()
    side = Summed(Finite(), gaussian(0.5))
    given = Given(
        kernel=side, sentences=lambda rows: (rows.log.rewards, rows.log.rewards), centre=0.5
    )
    found = evaluate(log, table(len(log)), estimators=["kernel_is", "dr_kernel"], given=given)
    assert found["dr_kernel"].value == pytest.approx(log.rewards.mean())
    assert found["kernel_is"].stderr > 0


@pytest.mark.slow
def test_looking_at_sentences_errs_less_than_weighing_prompts() -> None:
    world = prompt_world(0, actions=100, compat=True)
    policy = world.logging(stream(11, "tests/kernel"))
    target = world.towards_reward(5.0)
    truth, errors = world.value(target.table, 100_000), []
    for number in range(40):
        log = world.log(2000, stream(12, "tests/kernel", number), policy)
        asked, source = target_of(target.table, log), Known(world)
        given = Given(
            kernel=Summed(source, gaussian(D)),
            sentences=sentence_model(log, source),
            pair=prompt_pair(world, log),
        )
        each = (ips, dr, dr_kernel)
        found = (one(log, asked, given=given).value for one in each)
        errors.append([value - truth for value in found])
    by_ips, of_prompts, of_sentences = np.sqrt(np.mean(np.square(errors), axis=0))
    assert of_sentences <= 0.8 * by_ips
    # The same check fails for a model of prompts.
    assert of_prompts > 0.8 * by_ips
