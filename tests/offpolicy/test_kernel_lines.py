"""Lines that say whether a kernel can carry an answer, and the width that SLOPE picks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bestpolicy.bench.sentences import Known
from bestpolicy.core.log import Estimate, Log
from bestpolicy.core.nouns import ConfigError, Interval
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.bandwidth import curve, slope
from bestpolicy.offpolicy.density import Sampled, Summed
from bestpolicy.offpolicy.kernel import gaussian, kernel_is
from bestpolicy.offpolicy.kernel_lines import (
    contrast,
    density,
    effective,
    kernel_lines,
    median_distance,
    support,
    variogram,
)
from bestpolicy.offpolicy.rows import Given
from bestpolicy.offpolicy.targets import always, target_of
from bestpolicy.worlds.prompts import D, PromptWorld, prompt_world
from offpolicy.sentences import bank_log, random_bank


def setting(n: int = 1200, sigma: float = 0.2) -> tuple[PromptWorld, Log, Known]:
    world = prompt_world(3, actions=15, sigma=sigma)
    return world, world.log(n, stream(1, "tests/lines"), world.uniform()), Known(world)


def test_a_flat_kernel_is_caught_by_its_contrast() -> None:
    bank = random_bank(3, 6, d=384)
    unit = bank.emb / np.linalg.norm(bank.emb, axis=1, keepdims=True)
    bank = replace(bank, emb=unit.astype(np.float32))
    log = bank_log(100, random_bank(3, 6, d=384))
    # tau = 1 in d / dim, as the scripts have it: 384 on a sphere whose points are 2 apart at most.
    flat = contrast(log, bank, gaussian(1.0 * 384))
    assert flat.verdict == "stop"
    assert flat.value == 1.0
    assert not flat.binds
    good = contrast(log, bank, gaussian(0.7 * median_distance(log, bank)))
    assert good.verdict == "ok"


@pytest.mark.parametrize(
    ("mean", "verdict"),
    [(1.0, "ok"), (1.06, "warn"), (0.94, "warn"), (1.33, "stop"), (0.5, "stop")],
)
def test_weights_of_the_logging_policy_itself_must_have_mean_one(mean: float, verdict: str) -> None:
    assert density(np.full(10, mean)).verdict == verdict


@pytest.mark.parametrize(("rows", "verdict"), [(600, "ok"), (300, "warn"), (99, "stop")])
def test_few_effective_rows_are_said(rows: int, verdict: str) -> None:
    k = np.concatenate([np.ones(rows), np.zeros(50)])
    line = effective(k)
    assert (line.verdict, line.value) == (verdict, rows)
    assert effective(np.zeros(5)).value == 0


def test_the_variogram_tells_an_embedding_that_carries_reward_from_one_that_does_not() -> None:
    _, log, _ = setting()
    # Where everybody has the same taste nearness of sentences is nearness of rewards.
    said = log.columns["sentence_emb"]
    log = replace(log, rewards=np.tanh(said[:, 0] / 3), contexts=None)
    assert variogram(log).verdict == "ok"
    mixed = stream(2, "tests/lines").permutation(said)
    lost = variogram(replace(log, columns={"sentence_emb": mixed}))
    assert lost.verdict == "stop"
    assert lost.value == pytest.approx(1, abs=0.1)
    assert "another embedding" in lost.advice
    same = replace(log, rewards=np.zeros(len(log)))
    assert variogram(same).verdict == "unchecked"


def test_what_the_context_explains_is_not_the_embeddings() -> None:
    _, log, _ = setting()
    assert log.contexts is not None
    x = log.contexts[:, 0]
    noise = stream(3, "tests/lines").normal(size=len(log))
    # Rewards of the context alone: residuals carry nothing, though raw rewards would.
    assert variogram(replace(log, rewards=x + 0.5 * noise)).verdict == "stop"


def test_support_is_of_sentences_and_not_of_prompts() -> None:
    world, _, _ = setting()
    never = np.zeros(15)
    never[:7] = 1 / 7

    def half(contexts: np.ndarray) -> np.ndarray:
        return np.tile(never, (len(contexts), 1))

    # Prompt 14 is never logged; said alike by prompt 0, or like nothing else.
    for shift, verdict in ((0.0, "ok"), (40.0, "stop")):
        moves = world.moves.copy()
        moves[14] = moves[0] + shift
        other = replace(world, moves=moves)
        log = other.log(200, stream(4, "tests/lines"), Halved(half))
        target = always("prompt 14", log.names)
        kernel = gaussian(0.7 * median_distance(log, Known(other)))
        assert support(log, target, Known(other), kernel).verdict == verdict


class Halved:
    """A policy of which only the chances are known."""

    def __init__(self, table: object) -> None:
        self.table = table


def test_all_lines_of_a_good_setting_are_well_and_named_once() -> None:
    world, log, source = setting(2000)
    kernel = gaussian(0.5 * median_distance(log, source))
    lines = kernel_lines(
        log, target_of(world.towards_reward(1.0).table, log), source, kernel, Summed(source, kernel)
    )
    assert [line.name for line in lines] == [
        "effective-rows-of-sentences",
        "kernel-density",
        "kernel-contrast",
        "variogram",
        "kernel-support",
    ]
    assert [line.verdict for line in lines if line.name != "variogram"] == ["ok"] * 4
    assert lines[1].value == pytest.approx(1, abs=1e-12)
    assert not any(line.binds for line in lines)


def test_a_density_from_few_draws_is_caught() -> None:
    _, log, source = setting(800)
    kernel = gaussian(0.25 * median_distance(log, source))
    lines = kernel_lines(log, "logging", source, kernel, Sampled(source, kernel, 10))
    assert lines[1].verdict == "stop"


def test_chances_of_logged_prompts_alone_do_not_tell_support() -> None:
    _, log, source = setting(50)
    with pytest.raises(ConfigError, match="must be known for all prompts"):
        support(log, target_of(log.propensity, log), source, gaussian(1.0 * D))


def one(low: float, high: float) -> Estimate:
    middle = (low + high) / 2
    return Estimate(middle, 0.1, 10, low, high, asymptotic=Interval(middle, low, high))


@pytest.mark.parametrize(
    ("intervals", "chosen"),
    [
        ([(0, 4), (1, 3), (2, 2.5), (2.2, 2.4)], 3),
        ([(0, 4), (1, 3), (3.5, 3.9), (1, 3)], 1),
        # Each meets the one before it, and yet no value is in all.
        ([(0, 2), (1, 3), (2.5, 4), (3.5, 5)], 1),
        ([(0, 1)], 0),
        ([(0, 1), (2, 3)], 0),
    ],
)
def test_slope_takes_the_widest_that_agrees_with_all_narrower_ones(
    intervals: list[tuple[float, float]], chosen: int
) -> None:
    assert slope([one(*ends) for ends in intervals]) == chosen


def test_slope_stops_before_a_kernel_that_is_pulled_towards_the_log() -> None:
    world, log, source = setting(4000)
    target = world.towards_reward(8.0)
    centre = float(log.rewards.mean())
    found = curve(
        *(log, target.table, source, kernel_is),
        lambda kernel: Given(kernel=Summed(source, kernel), centre=centre),
        kernel=gaussian,
        taus=(0.1, 0.3, 1.0, 4.0),
    )
    truth = world.value(target.table)
    errors = [abs(estimate.value - truth) for estimate in found.estimates]
    assert found.tau < 4.0
    assert abs(found.estimate.value - truth) < errors[-1] / 2
    assert found.unit == pytest.approx(median_distance(log, source))
    with pytest.raises(ConfigError, match="ascending"):
        curve(
            log, target.table, source, kernel_is, lambda _: Given(), kernel=gaussian, taus=(1, 0.1)
        )


def test_a_generator_that_says_one_thing_has_no_median_distance() -> None:
    bank = random_bank(2, 3)
    bank = replace(bank, emb=np.zeros_like(bank.emb))
    with pytest.raises(ConfigError, match="the generator says one thing"):
        median_distance(bank_log(20, bank), bank)
