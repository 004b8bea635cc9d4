"""Pictures are measured as they are drawn, and the world's values are means over them."""

from __future__ import annotations

import numpy as np
import pytest

from bestpolicy.core.nouns import ConfigError
from bestpolicy.core.rng import stream
from bestpolicy.worlds import pictures
from bestpolicy.worlds.pictures import (
    POOL,
    SIDE,
    frequencies,
    measured,
    motif_of,
    picture_world,
    rendered,
)


def style(**how: float) -> np.ndarray:
    """Black and white stripes, upright, two and a half cycles, unless said otherwise."""
    plain = {"red": 0.0, "white": 1.0, "cycles": 2.5, "turn": 0.0, "contrast": 1.0, "mirrored": 0.0}
    at = plain | how
    ground = [at["red"], 0.0, 0.0]
    return np.array([[*ground, *[at["white"]] * 3, *(at[k] for k in list(plain)[2:])]])


def shown(motif: int = 0, **how: float) -> np.ndarray:
    styles = np.repeat(style(**how), 50, axis=0)
    return rendered(np.full(50, motif), styles, stream(1, "tests/pictures"))


def test_pictures_are_pictures() -> None:
    world = picture_world(0, styles=5)
    x = world.contexts(30, stream(0, "tests/pictures"))
    assert set(motif_of(x)) == {0, 1, 2}
    made = world.sample(x, np.arange(30) % 5, stream(1, "tests/pictures"))
    assert made.shape == (30, SIDE, SIDE, 3)
    assert made.min() >= 0
    assert made.max() <= 1
    assert world.embed(made).shape == (30, pictures.KEPT)


def test_measures_say_what_the_eye_would() -> None:
    brightness, colour, turn, mirror = measured(shown()).T
    assert turn.mean() > 0.8  # upright stripes change from left to right
    assert measured(shown(turn=np.pi / 2))[:, 2].mean() < -0.8
    assert np.abs(measured(shown(motif=1))[:, 2]).mean() < 0.3  # rings turn nowhere
    assert measured(shown(mirrored=1.0))[:, 3].mean() > 0.9
    assert mirror.std() > 0.3  # a phase makes some symmetrical and some not
    dark = measured(shown(white=0.3))
    assert dark[:, 0].mean() < brightness.mean() / 2
    assert measured(shown(red=1.0))[:, 1].mean() > colour.mean() + 0.1


def test_the_embedding_forgets_phases_and_keeps_colours() -> None:
    """Pictures of one style are nearer each other than those of two styles."""
    world = picture_world(2, styles=40)
    rng, actions = stream(2, "tests/pictures"), np.repeat(np.arange(40), 20)
    x = np.repeat(world.contexts(1, rng), 800, axis=0)
    points = world.embed(world.sample(x, actions, rng)).reshape(40, 20, -1)
    within = points.var(axis=1).sum(axis=1).mean()
    assert within < 0.2 * points.reshape(800, -1).var(axis=0).sum()


def test_signs_of_frequencies_would_not_forget_phases(monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: with their signs, two pictures of one style are as far as their phases."""
    plain = frequencies(shown()).std(axis=0).sum()
    monkeypatch.setattr(np, "abs", lambda found, out=None: found)
    assert frequencies(shown()).std(axis=0).sum() > 1.5 * plain


def test_values_are_means_over_fresh_pictures() -> None:
    world = picture_world(1, styles=4)
    rng = stream(1, "tests/pictures")
    x = world.contexts(6, rng)
    found = world.expected(x)
    for i in range(6):
        for a in range(4):
            asked = np.repeat(x[i : i + 1], 400, axis=0)
            worth = world.mean_reward(asked, world.sample(asked, np.full(400, a), rng))
            error = worth.std() * (1 / 400 + 1 / POOL) ** 0.5
            assert abs(worth.mean() - found[i, a]) < 6 * error + 1e-3
    assert not np.allclose(found, np.roll(found, 1, axis=1), atol=0.02)


def test_the_best_policy_is_best_and_the_logging_policy_near_uniform() -> None:
    world = picture_world(3, styles=12)
    assert world.optimality(world.best().table) == pytest.approx(1, abs=1e-6)
    assert abs(world.optimality(world.logging().table)) < 0.15
    chances = world.logging().table(world.contexts(200, stream(0, "tests/pictures")))
    alike = np.exp(-(chances * np.log(chances)).sum(axis=1))  # as many styles of equal chance
    assert alike.mean() > 0.7 * 12


def test_a_log_has_clicks_as_often_as_the_world_says() -> None:
    world = picture_world(4, styles=6)
    log = world.log(3000, stream(4, "tests/pictures"))
    assert log.contexts is not None
    said = world.expected(log.contexts)[np.arange(3000), log.actions]
    off = log.rewards - said
    assert abs(off.mean()) < 6 * 0.5 / 3000**0.5
    assert set(log.columns["query_id"]) == set(pictures.MOTIFS)


def test_one_style_is_no_choice() -> None:
    with pytest.raises(ConfigError, match="2 styles"):
        picture_world(0, styles=1)
