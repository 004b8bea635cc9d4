"""Streams: the same name gives the same draws, any other name gives others."""

import numpy as np

from bestpolicy.core.rng import stream


def test_a_stream_is_its_seed_name_and_step() -> None:
    assert np.array_equal(stream(7, "ask", 3).random(5), stream(7, "ask", 3).random(5))


def test_streams_that_differ_in_anything_share_no_draw() -> None:
    keys = [(s, n, i) for s in (0, 1, 10) for n in ("a", "b", "0/a", "a/1") for i in (0, 1, 11)]
    draws = {float(stream(*key).random()) for key in keys}
    assert len(draws) == len(keys)


def test_neighbouring_steps_are_uncorrelated() -> None:
    x = np.array([stream(0, "x", i).random(2) for i in range(4000)])
    for pairs in ((x[:-1, 0], x[1:, 0]), (x[:, 0], x[:, 1])):
        assert abs(np.corrcoef(*pairs)[0, 1]) < 5 / np.sqrt(len(x))


def test_the_first_draw_never_changes_between_releases() -> None:
    assert stream(0, "ask").integers(10**9) == 158037319  # a record replays only if this holds
