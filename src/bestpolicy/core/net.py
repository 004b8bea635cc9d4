"""Net: one hidden layer, its gradient by hand, and Adam.

    net(x) = relu(x W + b) V + c

Small enough for numpy: 15-100-1 trains at thousands of steps a second.
Source of the optimiser: Kingma and Ba 2015, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from bestpolicy.core.nouns import Array, Rng

FIRST, SECOND, TINY = 0.9, 0.999, 1e-8  # Adam's decays of the two moments, and what keeps it finite


@dataclass(frozen=True, slots=True)
class Net:
    """Weights, or a gradient by them."""

    W: Array  # (d, h)
    b: Array  # (h,)
    V: Array  # (h, k)
    c: Array  # (k,)

    @classmethod
    def drawn(
        cls, rng: Rng, inputs: int, hidden: int, outputs: int = 1, *, single: bool = False
    ) -> Net:
        """Uniform within 1 / sqrt(inputs of the layer), biases too; `single` precision is faster
        where outputs are many."""
        kind = np.float32 if single else np.float64

        def layer(rows: int, columns: int) -> tuple[Array, Array]:
            reach = rows**-0.5
            made: Array = rng.uniform(-reach, reach, (rows + 1, columns))
            made = made.astype(kind)
            return made[:-1], made[-1]

        return cls(*layer(inputs, hidden), *layer(hidden, outputs))

    def __call__(self, x: Array) -> Array:
        """(n, k) of (n, d)."""
        made: Array = np.maximum(x @ self.W + self.b, 0) @ self.V + self.c
        return made

    def back(self, x: Array, slopes: Array) -> Net:
        """The gradient of Σ slopes * net(x) by the weights; slopes are (n, k)."""
        before = x @ self.W + self.b
        inner = (slopes @ self.V.T) * (before > 0)
        return Net(x.T @ inner, inner.sum(0), np.maximum(before, 0).T @ slopes, slopes.sum(0))

    def parts(self) -> tuple[Array, ...]:
        return self.W, self.b, self.V, self.c


@dataclass(frozen=True, slots=True)
class Adam:
    """The running moments of a net's gradients."""

    mean: Net
    square: Net
    steps: int = 0

    @classmethod
    def fresh(cls, net: Net) -> Adam:
        nothing = Net(*(np.zeros_like(part) for part in net.parts()))
        return cls(nothing, nothing)

    def step(self, net: Net, gradient: Net, rate: float) -> tuple[Net, Adam]:
        """The net after one step down this gradient."""
        t = self.steps + 1
        mean, square, moved = [], [], []
        old = zip(self.mean.parts(), self.square.parts(), net.parts(), strict=True)
        for (m, s, part), g in zip(old, gradient.parts(), strict=True):
            # In place, since a wide output layer is as slow as its memory.
            spare: Array = np.multiply(g, 1 - FIRST)
            m = np.multiply(m, FIRST)
            m += spare
            np.multiply(g, 1 - SECOND, out=spare)
            spare *= g
            s = np.multiply(s, SECOND)
            s += spare
            np.divide(s, 1 - SECOND**t, out=spare)
            np.sqrt(spare, out=spare)
            spare += TINY
            step: Array = np.divide(m, 1 - FIRST**t)
            step *= rate
            step /= spare
            moved.append(np.subtract(part, step, out=step))
            mean.append(m)
            square.append(s)
        return Net(*moved), Adam(Net(*mean), Net(*square), t)


def descend(net: Net, slope: Callable[[Net, int], Net], steps: int, *, rate: float = 1e-3) -> Net:
    """The net after so many steps of Adam down `slope(net, step)`."""
    last = net
    for _, after in descent(net, slope, steps, rate=rate):
        last = after
    return last


def descent(
    net: Net, slope: Callable[[Net, int], Net], steps: int, *, rate: float = 1e-3
) -> Iterator[tuple[int, Net]]:
    """The same, and how many steps were taken, after each of them."""
    adam = Adam.fresh(net)
    for step in range(steps):
        net, adam = adam.step(net, slope(net, step), rate)
        yield step + 1, net


def fitted(
    x: Array,
    y: Array,
    rng: Rng,
    *,
    hidden: int = 100,
    steps: int = 2000,
    batch: int = 128,
    rate: float = 1e-3,
) -> Net:
    """A net of one output, by least squares on rows drawn with replacement."""
    for _, net in fitting(x, y, rng, hidden=hidden, steps=steps, batch=batch, rate=rate):
        last = net
    return last


def fitting(
    x: Array,
    y: Array,
    rng: Rng,
    *,
    hidden: int = 100,
    steps: int = 2000,
    batch: int = 128,
    rate: float = 1e-3,
) -> Iterator[tuple[int, Net]]:
    """The same net after each of its steps, of which there are some."""
    rows = rng.integers(len(x), size=(steps, batch))

    def slope(net: Net, step: int) -> Net:
        some = rows[step]
        off = net(x[some])[:, 0] - y[some]
        return net.back(x[some], (2 / batch) * off[:, None])

    return descent(Net.drawn(rng, x.shape[1], hidden), slope, steps, rate=rate)
