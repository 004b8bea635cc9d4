"""A net's gradient is that of finite differences, and Adam takes it downhill."""

from __future__ import annotations

import numpy as np
import pytest

from bestpolicy.core.net import Adam, Net, fitted
from bestpolicy.core.nouns import Array
from bestpolicy.core.rng import stream
from bestpolicy.core.softmax import Softmax, pick


def some_net() -> tuple[Net, Array, Array]:
    rng = stream(1, "tests/net")
    return Net.drawn(rng, 4, 7, 3), rng.normal(size=(20, 4)), rng.normal(size=(20, 3))


def numeric(net: Net, x: Array, slopes: Array, step: float = 1e-6) -> Net:
    """Central differences of Σ slopes * net(x) by every weight."""

    def total(parts: list[Array]) -> float:
        return float((slopes * Net(*parts)(x)).sum())

    found = []
    for at, part in enumerate(net.parts()):
        gradient = np.zeros_like(part)
        for where in np.ndindex(part.shape):
            moved = [p.copy() for p in net.parts()], [p.copy() for p in net.parts()]
            moved[0][at][where] += step
            moved[1][at][where] -= step
            gradient[where] = (total(moved[0]) - total(moved[1])) / (2 * step)
        found.append(gradient)
    return Net(*found)


def differs(one: Net, other: Net) -> float:
    pairs = zip(one.parts(), other.parts(), strict=True)
    return max(float(np.abs(a - b).max()) for a, b in pairs)


def test_the_gradient_is_that_of_finite_differences() -> None:
    net, x, slopes = some_net()
    assert differs(net.back(x, slopes), numeric(net, x, slopes)) < 1e-6


def test_a_mask_taken_after_the_update_is_caught() -> None:
    net, x, slopes = some_net()
    moved, _ = Adam.fresh(net).step(net, net.back(x, slopes), 0.3)
    inner = (slopes @ net.V.T) * (x @ moved.W + moved.b > 0)
    right = net.back(x, slopes)
    twin = Net(x.T @ inner, inner.sum(0), right.V, right.c)
    assert differs(twin, numeric(net, x, slopes)) > 0.1


def test_a_fitted_net_bends_where_a_line_cannot() -> None:
    rng = stream(2, "tests/net")
    x = rng.uniform(-2, 2, size=(2000, 1))
    y = np.abs(x[:, 0])
    net = fitted(x, y, rng, hidden=30, steps=1500, rate=5e-3)
    assert np.sqrt(np.mean((net(x)[:, 0] - y) ** 2)) < 0.1
    line = np.polyfit(x[:, 0], y, 1)
    assert np.sqrt(np.mean((np.polyval(line, x[:, 0]) - y) ** 2)) > 0.4


def test_softmax_chances_sum_to_one_and_are_what_is_drawn() -> None:
    scores = np.array([[0.0, 1.0, -2.0], [800.0, 0.0, 0.0]])
    policy = Softmax(lambda contexts: scores[contexts[:, 0].astype(int)], beta=2.0)
    contexts = np.repeat([[0.0], [1.0]], [20_000, 50], axis=0)
    table = policy.table(contexts)
    np.testing.assert_allclose(table.sum(1), 1)
    np.testing.assert_allclose(table[0, 1] / table[0, 0], np.exp(2))
    actions = policy.sample(contexts, stream(3, "tests/softmax"))
    share = np.bincount(actions[:20_000], minlength=3) / 20_000
    # Five standard errors of a share, for each of three: once in half a million.
    assert np.all(np.abs(share - table[0]) < 5 * np.sqrt(table[0] * (1 - table[0]) / 20_000))
    assert (actions[20_000:] == 0).all()
    np.testing.assert_allclose(
        np.exp(policy.log_prob(contexts[:1], actions[:1])), table[0, actions[0]]
    )


def test_a_draw_at_the_very_end_belongs_to_the_last_action_that_has_a_chance() -> None:
    assert pick(np.array([[0.5, 0.5]]), np.array([[0.0, 0.499, 0.5, 1.0]])).tolist() == [
        [0, 0, 1, 1]
    ]
    assert pick(np.array([[0.0, 1.0]]), np.array([[0.0]])).tolist() == [[1]]


@pytest.mark.parametrize("beta", [0.0, 1e9])
def test_extreme_betas_stay_finite(beta: float) -> None:
    table = Softmax(lambda contexts: np.tile([1.0, 2.0], (len(contexts), 1)), beta).table(
        np.ones((3, 1))
    )
    np.testing.assert_allclose(table[0], [0.5, 0.5] if beta == 0 else [0, 1])
