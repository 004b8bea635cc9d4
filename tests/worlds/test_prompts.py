"""The world of prompts is what its page says, and its truths are those of its draws."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from bestpolicy.core.nouns import Array, ConfigError
from bestpolicy.core.rng import stream
from bestpolicy.worlds.prompt_maps import MAPS
from bestpolicy.worlds.prompts import D, PromptWorld, prompt_world

SURE = 5.5  # standard errors: a normal mean is further off less than once in ten million


def mean_of(world: PromptWorld, n: int = 20_000) -> tuple[Array, Array, Array]:
    """One context and prompt, and the mean of many sentences to it."""
    rng = stream(1, "tests/prompts")
    x = world.contexts(1, rng)
    said = world.sentences(np.repeat(x, n, axis=0), np.full(n, 3), rng)
    return x, world.prompts[3], said.mean(0)


def is_doubled(world: PromptWorld) -> bool:
    """Whether sentences have mean 2 (qM + 5 sin eN)."""
    x, e, mean = mean_of(world)
    written = 2 * (x[0, D:] @ world.M + 5 * np.sin(e @ world.N))
    return bool(np.abs(mean - written).max() < SURE / np.sqrt(20_000))


def test_the_compat_world_keeps_the_published_quirks() -> None:
    world = prompt_world(5, actions=10, compat=True)
    assert is_doubled(world)
    np.testing.assert_array_equal(world.Q, world.M)
    np.testing.assert_array_equal(world.R, world.N)
    assert world.noise == 1


def test_the_default_world_has_none_of_them() -> None:
    world = prompt_world(5, actions=10)
    assert not is_doubled(world)
    x, e, mean = mean_of(world)
    written = x[0, D:] @ world.M + 5 * np.sin(e @ world.N)
    assert np.abs(mean - written).max() < SURE / np.sqrt(20_000)
    assert not np.allclose(world.Q, world.M)
    assert not np.allclose(world.R, world.N)
    assert world.noise == 0


def quadrature(world: PromptWorld, x: Array, said: Array, action: int, width: float) -> float:
    """E K(s, s') by Gauss and Hermite's rule over s' and over what is added to both embeddings."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    weights = weights / weights.sum()
    mean, total = world.mean_sentence(x, np.array([action]))[0], 1.0
    for d in range(D):
        own = 0.0
        steps = product(range(40), range(40)) if world.noise else ((i, None) for i in range(40))
        for i, j in steps:
            at = mean[d] + world.spread[d] * nodes[i]
            added = 0.0 if j is None else np.sqrt(2) * world.noise * nodes[j]
            mass = weights[i] * (1.0 if j is None else weights[j])
            own += mass * np.exp(-((said[0, d] - at + added) ** 2) / (2 * width**2))
        total *= own
    return total


@pytest.mark.parametrize("compat", [False, True])
def test_the_chance_of_landing_near_a_sentence_equals_quadrature(compat: bool) -> None:
    world = prompt_world(2, actions=4, compat=compat)
    world = replace(world, spread=np.array([1.0, 1.0, 0.7, 1.0, 1.3]))
    rng = stream(2, "tests/prompts/near")
    x = world.contexts(1, rng)
    said = world.sentences(x, np.array([1]), rng)
    known = world.closeness(x, said, width=1.0 * D)  # tau = 1 in d / dim
    for action in range(4):
        assert known[0, action] == pytest.approx(quadrature(world, x, said, action, D), rel=1e-6)
    # The broken twin reads tau in Euclidean distance.
    assert world.closeness(x, said, width=1.0)[0, 1] < known[0, 1] / 2


def test_values_are_what_draws_average_to() -> None:
    world = prompt_world(3, actions=20)
    rng = stream(3, "tests/prompts/value")
    policy = world.towards_reward(2.0)
    n = 100_000
    x = world.contexts(n, rng)
    actions = policy.sample(x, rng)
    r = world.rewards(x, world.sentences(x, actions, rng), rng)
    exact = world.value(policy.table, n=100_000)
    table, expected = policy.table(x), world.expected(x)
    # Both means have errors: of draws, and of the contexts that values are averaged over.
    spread = np.hypot(r.std(), np.einsum("na,na->n", table, expected).std()) / np.sqrt(n)
    assert abs(r.mean() - exact) < SURE * spread
    assert abs(r.mean() - world.value(world.uniform().table, n=100_000)) > SURE * spread


def test_expected_rewards_are_the_reward_of_the_mean_sentence() -> None:
    world = prompt_world(4, actions=6, reward_dims=2)
    x = world.contexts(5, stream(4, "tests/prompts"))
    for a in range(6):
        mean = world.mean_sentence(x, np.full(5, a))
        np.testing.assert_allclose(world.expected(x)[:, a], world.mean_reward(x, mean))
    u, q = x[:, :D], x[:, D:]
    taste = (u @ world.Q + q @ world.R)[:, :2]
    np.testing.assert_allclose(world.mean_reward(x, mean), (taste * mean[:, :2]).sum(1) / 250)
    chances = world.towards_reward(1.0).table(x)
    each = np.stack([world.mean_sentence(x, np.full(5, a)) for a in range(6)], axis=1)
    np.testing.assert_allclose(world.mean_under(x, chances), np.einsum("na,nad->nd", chances, each))


def test_confounded_dimensions_hear_neither_query_nor_prompt() -> None:
    world = prompt_world(5, actions=3, confounded=2, scale=3.0)
    rng = stream(5, "tests/prompts")
    x = world.contexts(4000, rng)
    said = world.sentences(x, rng.integers(3, size=4000), rng)
    assert np.abs(said[:, 3:].std(0) / 3 - 1).max() < SURE / np.sqrt(2 * 4000)
    assert np.abs(np.corrcoef(said[:, 4], x[:, 7])[0, 1]) < SURE / np.sqrt(4000)
    assert said[:, 0].std() > 2


def test_optimality_is_one_of_the_best_policy_and_nothing_of_the_uniform_one() -> None:
    world = prompt_world(6, actions=30)
    assert world.optimality(world.best().table) == pytest.approx(1)
    assert world.optimality(world.uniform().table) == pytest.approx(0)
    assert 0.5 < world.optimality(world.towards_reward(10).table) < 1


def test_the_logging_policy_has_learnt_little() -> None:
    world = prompt_world(7, actions=30, compat=True)
    policy = world.logging(stream(7, "tests/prompts/logging"), steps=1000)
    assert 0 < world.optimality(policy.table) < 0.2
    sharp = world.logging(stream(7, "tests/prompts/logging"), beta=20, steps=1000)
    assert world.optimality(sharp.table) > world.optimality(policy.table)


def test_a_log_is_complete_and_the_same_for_the_same_stream() -> None:
    world = prompt_world(8, actions=12)
    logs = [world.log(300, stream(8, "log"), world.uniform()) for _ in range(2)]
    for name in ("actions", "rewards", "propensity", "contexts", "propensities"):
        np.testing.assert_array_equal(getattr(logs[0], name), getattr(logs[1], name))
    said = logs[0].columns["sentence_emb"]
    assert said.shape == (300, D)
    assert logs[0].contexts is not None
    off = logs[0].rewards - world.mean_reward(logs[0].contexts, said)
    assert np.abs(off.std() - 1) < SURE / np.sqrt(600)
    picked, drawn = world.draws(logs[0].contexts, np.eye(12)[logs[0].actions], 7, stream(8, "d"))
    assert (picked == logs[0].actions[:, None]).all()
    near = world.mean_sentence(logs[0].contexts, logs[0].actions)[:, None]
    assert np.abs((drawn - near).mean()) < SURE / np.sqrt(300 * 7 * D)


def test_maps_are_those_of_the_page() -> None:
    t = np.array([[0.0, 1.0, -6.0, 2.0]])
    rng = stream(9, "tests/maps")
    assert MAPS["linear"](t, rng).tolist() == t.tolist()
    np.testing.assert_allclose(MAPS["trigonometric"](t, rng), 5 * np.sin(t))
    np.testing.assert_allclose(MAPS["sigmoid"](t, rng)[0, :2], [2.5, 5 / (1 + np.exp(-1))])
    np.testing.assert_allclose(MAPS["power"](t, rng)[0], [0, 192**0.2 / 4, 0, 105**0.2 / 2])
    np.testing.assert_allclose(MAPS["exponential"](t, rng)[0, 1], 25 / (1 + np.exp(1) + np.exp(-1)))
    assert np.abs(MAPS["rational"](rng.normal(size=(500, 5)), rng)).max() <= 5
    for bend in MAPS:
        world = prompt_world(1, actions=50, bend=bend)
        assert np.isfinite(world.value(world.best().table, n=500))


def test_worlds_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="no map is called 'cubic'; there are trigonometric"):
        prompt_world(1, bend="cubic")
    with pytest.raises(ConfigError, match="saw 6, 5, 1000"):
        prompt_world(1, confounded=6)
