"""Tastes: the simulator of the reward, learnt from ratings.

    score(u, s) = sigmoid(net(v_u, who u is, emb(s)))        fitted to likes, s a movie's sentence
    R(u, m, s)  = 10 (score(u, s) - score(u, s_m))           s_m said of movie m without a prompt

v_u comes from a factorisation of the same ratings. A fifth of them is held out of both and says
how well tastes are told apart: the AUC, the chance that a liked title scores above a disliked one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bestpolicy.core.log import Ints
from bestpolicy.core.net import Net, descend
from bestpolicy.core.nouns import Array, Rng

Floats = NDArray[Any]
WIDTH, RIDGE, ROUNDS = 20, 5.0, 15  # of the factorisation
STEPS, BATCH, RATE, HIDDEN, DECAY = 3000, 128, 1e-3, 100, 1e-2  # of the net
HELD_OUT = 0.2
TIMES = 10.0  # of the reward


@dataclass(frozen=True, slots=True)
class Rows:
    """Balanced ratings: who, which title, and whether it was liked."""

    users: Ints
    titles: Ints
    liked: NDArray[np.bool_]

    def at(self, rows: Ints) -> Rows:
        return Rows(self.users[rows], self.titles[rows], self.liked[rows])

    def __len__(self) -> int:
        return len(self.users)


@dataclass(frozen=True, slots=True)
class Simulator:
    """Scores of sentences by user."""

    net: Net
    people: Floats  # (U, p) v_u beside age, gender and occupation
    centre: Floats  # (e,) of embeddings
    scale: float  # by which they are divided
    auc: float  # of held-out ratings, by the sentences it learnt titles from
    auc_anew: float  # the same of a net that learnt from half the sentences, by the other half

    def scores(self, users: Ints, sentences: Floats) -> Floats:
        """(m, …) of these users and all (…, e) sentences."""
        width = self.people.shape[1]
        W = self.net.W.astype(np.float32)
        of_user = self.people[users].astype(np.float32) @ W[:width] + self.net.b.astype(np.float32)
        flat = ((sentences - self.centre) / self.scale).reshape(-1, sentences.shape[-1])
        of_said = flat.astype(np.float32) @ W[width:]
        V, made = self.net.V[:, 0].astype(np.float32), np.empty((len(users), len(flat)), np.float32)
        for i, own in enumerate(of_user):
            made[i] = np.maximum(own + of_said, 0) @ V
        made += np.float32(self.net.c[0])
        return (1 / (1 + np.exp(-made))).reshape(len(users), *sentences.shape[:-1])

    def rewards(self, users: Ints, sentences: Floats, without: Floats) -> Floats:
        """(m, T, …) of (T, …, e) sentences, against the mean of (T, S, e) without a prompt."""
        plain = self.scores(users, without).mean(axis=2)
        score = self.scores(users, sentences)
        rest = (1,) * (score.ndim - 2)
        made: Floats = np.float32(TIMES) * (score - plain.reshape(*plain.shape, *rest))
        return made


def simulator(rows: Rows, known: Floats, without: Floats, rng: Rng) -> Simulator:
    """Fitted to these ratings: `known` (U, k) of users, `without` (T, S, e) said of each title."""
    order = rng.permutation(len(rows))
    cut = round(HELD_OUT * len(rows))
    held, seen = rows.at(order[:cut]), rows.at(order[cut:])
    tastes = factors(seen, len(known), len(without), rng)
    people = np.hstack([tastes / tastes.std(), known])
    flat = without.reshape(-1, without.shape[-1]).astype(np.float64)
    centre, scale = flat.mean(axis=0), float(flat.std(axis=0).mean())
    points = (without - centre) / scale

    def fitted(draws: Ints) -> Net:
        return _fitted(seen, people, points[:, draws], rng)

    def area(net: Net, draws: Ints) -> float:
        found = []
        for draw in draws:
            inputs = np.hstack([people[held.users], points[held.titles, draw]])
            found.append(auc(net(inputs)[:, 0], held.liked))
        return float(np.mean(found))

    every = np.arange(without.shape[1])
    half = len(every) // 2
    net = fitted(every)
    anew = area(fitted(every[:half]), every[half:]) if half else float("nan")
    return Simulator(net, people, centre, scale, area(net, every), anew)


def factors(rows: Rows, users: int, titles: int, rng: Rng) -> Floats:
    """(U, WIDTH) tastes: alternating ridge regressions of ±1 on products of user and title."""
    t = np.where(rows.liked, 1.0, -1.0)
    mine, theirs = rng.normal(0, 0.1, (users, WIDTH)), rng.normal(0, 0.1, (titles, WIDTH))
    by_user, by_title = _grouped(rows.users, users), _grouped(rows.titles, titles)
    ridge = RIDGE * np.eye(WIDTH)
    for _ in range(ROUNDS):
        for made, given, groups, other in (
            (mine, theirs, by_user, rows.titles),
            (theirs, mine, by_title, rows.users),
        ):
            for i, own in enumerate(groups):
                X = given[other[own]]
                made[i] = np.linalg.solve(X.T @ X + ridge, X.T @ t[own])
    return np.asarray(mine)


def auc(scores: Floats, liked: NDArray[np.bool_]) -> float:
    """The chance that a liked one scores above a disliked one, ties by half."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[place]
    n, m = int(liked.sum()), int((~liked).sum())
    return float((rank[liked].sum() - n * (n + 1) / 2) / (n * m))


def _fitted(rows: Rows, people: Floats, points: Floats, rng: Rng) -> Net:
    """Logistic, by Adam on batches; a row's title is shown by one of its sentences at random."""
    picked = rng.integers(len(rows), size=(STEPS, BATCH))
    draws = rng.integers(points.shape[1], size=(STEPS, BATCH))
    y = rows.liked.astype(np.float64)

    def slope(net: Net, step: int) -> Net:
        some = picked[step]
        x = np.hstack([people[rows.users[some]], points[rows.titles[some], draws[step]]])
        off = 1 / (1 + np.exp(-net(x)[:, 0])) - y[some]
        g = net.back(x, off[:, None] / BATCH)
        return Net(g.W + DECAY * net.W, g.b, g.V + DECAY * net.V, g.c)

    inputs = people.shape[1] + points.shape[-1]
    return descend(Net.drawn(rng, inputs, HIDDEN), slope, STEPS, rate=RATE)


def _grouped(of: Ints, count: int) -> list[Ints]:
    order = np.argsort(of, kind="stable")
    return np.split(order, np.searchsorted(of[order], np.arange(1, count)))


def whitened(points: Array, fit_on: Array, width: int) -> Array:
    """The first principal coordinates of `fit_on`, each of variance one there: (…, width)."""
    flat = fit_on.reshape(-1, fit_on.shape[-1]).astype(np.float64)
    centre = flat.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov((flat - centre).T))
    axes = vectors[:, ::-1][:, :width]
    spread = np.sqrt(np.maximum(values[::-1][:width], 1e-12))
    # The sign of an axis is free; the largest entry is made positive.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    made: Array = (points - centre) @ axes / spread
    return made
