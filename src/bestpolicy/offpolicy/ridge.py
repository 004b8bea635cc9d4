"""Ridge: a line of the contexts for each cell, drawn towards the line of all cells.

    y ≈ z·θ_c,  z = (1, x),  θ_c = θ + B f_c + u_c,  f_c the features of the cell, if there are any
    min Σ (y - z·θ_c)² + λ Σ_c |u_c|² + λ |B|² + |θ but its first|²          x and f standardised

Enough for it are S_c = Σ z z' and b_c = Σ z y of each cell and fold: one pass over a log of any
length serves all folds and every λ. With P_c = λ (S_c + λ)^-1 the u_c drop out,

    u_c = (S_c + λ)^-1 (b_c - S_c η_c),  η_c = θ + B f_c,  Σ_c (g g') ⊗ P_c S_c = Σ_c g ⊗ P_c b_c

with g = (1, f_c). λ is what predicts each half of the learning rows best from the other half. Where
S_c is too much to keep (many cells and wide contexts), cells differ by their intercepts alone.
Sources: Hoerl & Kennard 1970; Robinson 1991 (lines drawn towards a common one).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bestpolicy.core.log import CELLS, Ints
from bestpolicy.core.nouns import Array, ConfigError
from bestpolicy.offpolicy.folds import Fit, Folds, Moments, Seen, Source

PENALTIES = (1.0, 10.0, 100.0, 1e3, 1e4, 1e5)
WIDEST = 2048  # unknowns that all cells share
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Ridge:
    """The penalties to choose among."""

    penalties: tuple[float, ...] = PENALTIES


@dataclass(frozen=True, slots=True)
class Lines:
    """A line for each cell, of each fold."""

    theta: Array  # (F, C, 1 + d)
    centre: Array  # (d,) taken off x
    folds: Folds
    fit: Fit

    def at(self, seen: Seen) -> Array:
        own = self.theta[self.folds.folds(seen), seen.cell]
        made: Array = np.einsum("ij,ij->i", _z(seen, self.centre), own)
        return made

    def every(self, seen: Seen) -> Array:
        z, fold = _z(seen, self.centre), self.folds.folds(seen)
        if self.folds.count == 1:
            whole: Array = z @ self.theta[0].T
            return whole
        made = np.empty((len(seen), self.theta.shape[1]))
        for f, theta in enumerate(self.theta):
            made[fold == f] = z[fold == f] @ theta.T
        return made

    def under(self, seen: Seen, table: Array) -> Array:
        count, cells, p = self.theta.shape
        lines = (table @ self.theta.transpose(1, 0, 2).reshape(cells, -1)).reshape(-1, count, p)
        own = lines[np.arange(len(seen)), self.folds.folds(seen)]
        made: Array = np.einsum("ij,ij->i", _z(seen, self.centre), own)
        return made


def ridge(
    source: Source,
    cells: int,
    folds: Folds,
    *,
    features: Array | None = None,
    penalties: tuple[float, ...] = PENALTIES,
) -> Lines:
    """Lines learnt in one pass."""
    sums, centre = _summed(source, cells, folds, _design(cells, features))
    number = np.arange(2 * folds.count)
    thetas, moments = [], Moments()
    for fold in range(folds.count):
        own = number // 2 == fold
        learn = ~own if folds.count > 1 else own
        halves = [learn & (number % 2 == half) for half in (0, 1)]
        theta = sums.solve(learn, _best(sums, halves, penalties))
        thetas.append(theta)
        moments += sums.moments(own, theta)
    return Lines(np.stack(thetas), centre, folds, moments.fit(folds.count))


def _best(sums: Full | Levels, halves: list[Bools], penalties: tuple[float, ...]) -> float:
    def error(penalty: float) -> float:
        a, b = halves
        there = sums.moments(b, sums.solve(a, penalty)).squares
        return there + sums.moments(a, sums.solve(b, penalty)).squares

    return penalties[0] if len(penalties) == 1 else min(penalties, key=error)


def _summed(source: Source, cells: int, folds: Folds, design: Array) -> tuple[Full | Levels, Array]:
    sums: Full | Levels | None = None
    centre = np.zeros(0)
    for seen in source():
        if sums is None:
            # Far from 0, sums of squares would forget how little x varies.
            centre = seen.x.mean(axis=0) if len(seen) else np.zeros(seen.x.shape[1])
            p, parts = 1 + len(centre), 2 * folds.count
            sums = _room(parts, cells, p, design)
        o = np.ones(len(seen)) if seen.often is None else seen.often
        sums.add(
            _z(seen, centre), np.asarray(seen.y, dtype=np.float64), seen.cell, folds.halves(seen), o
        )
    if sums is None:
        raise ConfigError("there are no rows to learn from: the log is empty")
    return sums, centre


def _room(parts: int, cells: int, p: int, design: Array) -> Full | Levels:
    k = design.shape[1]
    if cells * p * p <= CELLS and k * p <= WIDEST:
        return Full(parts, cells, p, design)
    if k > 1:
        raise ConfigError(
            f"{cells} actions with {k - 1} features each and contexts of {p - 1} numbers are too "
            f"wide for a ridge: project contexts or features so that (1 + contexts) x (1 + "
            f"features) is at most {WIDEST} and actions x (1 + contexts)² at most {CELLS}, or "
            "leave the features out"
        )
    if p > WIDEST:
        raise ConfigError(
            f"contexts of {p - 1} numbers are too wide for a ridge: project them to at most "
            f"{WIDEST - 1}"
        )
    return Levels(parts, cells, p)


class Full:
    """S_c, b_c and Σ y² of each part."""

    def __init__(self, parts: int, cells: int, p: int, design: Array) -> None:
        self.zz, self.zy = np.zeros((parts, cells, p, p)), np.zeros((parts, cells, p))
        self.yy, self.design = np.zeros(parts), design

    def add(self, z: Array, y: Array, cell: Ints, part: Ints, often: Array) -> None:
        cells = self.zz.shape[1]
        for (at, c), rows in _groups(part * cells + cell, cells):
            some = z[rows]
            stand = some * often[rows, None]
            self.zz[at, c] += stand.T @ some
            self.zy[at, c] += y[rows] @ stand
        self.yy += np.bincount(part, often * y * y, len(self.yy))

    def solve(self, among: Bools, penalty: float) -> Array:
        """(C, p) the lines that these parts ask for."""
        S, b = self.zz[among].sum(axis=0), self.zy[among].sum(axis=0)
        T = _standard(S.sum(axis=0))
        S, b = T @ S @ T.T, b @ T.T
        cells, p = b.shape
        k = self.design.shape[1]
        solved = np.linalg.solve(S + penalty * np.eye(p), np.concatenate([S, b[..., None]], axis=2))
        own, level = solved[..., :p], solved[..., p]
        pairs = (self.design[:, :, None] * self.design[:, None, :]).reshape(cells, -1)
        left = penalty * (pairs.T @ own.reshape(cells, -1)).reshape(k, k, p, p)
        right = penalty * (self.design.T @ level).ravel()
        wide = left.transpose(0, 2, 1, 3).reshape(k * p, k * p)
        shrink = np.full(k * p, penalty)
        shrink[:p] = _gently(p)
        eta = self.design @ np.linalg.solve(wide + np.diag(shrink), right).reshape(k, p)
        theta = eta + level - np.einsum("cij,cj->ci", own, eta)
        made: Array = theta @ T
        return made

    def moments(self, among: Bools, theta: Array) -> Moments:
        """Of the predictions of these lines on these parts."""
        S, b = self.zz[among].sum(axis=0), self.zy[among].sum(axis=0)
        q = float(np.sum(theta * S[:, 0]))
        qq = float(np.einsum("ci,cij,cj->", theta, S, theta, optimize=True))
        n, r = float(S[:, 0, 0].sum()), float(b[:, 0].sum())
        return Moments(n, q, r, qq, float(np.sum(theta * b)), float(self.yy[among].sum()))


class Levels:
    """Σ z z' and Σ z y of all cells together, Σ z and Σ y of each."""

    def __init__(self, parts: int, cells: int, p: int) -> None:
        self.zz, self.zy = np.zeros((parts, p, p)), np.zeros((parts, p))
        self.z, self.y, self.yy = (
            np.zeros((parts, cells, p)),
            np.zeros((parts, cells)),
            np.zeros(parts),
        )

    def add(self, z: Array, y: Array, cell: Ints, part: Ints, often: Array) -> None:
        cells = self.y.shape[1]
        for (at, _), rows in _groups(part, 1):
            stand = z[rows] * often[rows, None]
            self.zz[at] += stand.T @ z[rows]
            self.zy[at] += y[rows] @ stand
        for (at, c), rows in _groups(part * cells + cell, cells):
            self.z[at, c] += often[rows] @ z[rows]
            self.y[at, c] += often[rows] @ y[rows]
        self.yy += np.bincount(part, often * y * y, len(self.yy))

    def solve(self, among: Bools, penalty: float) -> Array:
        S, b, s, t = (some[among].sum(axis=0) for some in (self.zz, self.zy, self.z, self.y))
        T = _standard(S)
        S, b, s = T @ S @ T.T, T @ b, s @ T.T
        kept = 1 / (s[:, 0] + penalty)
        left = S - s.T @ (s * kept[:, None])
        theta = np.linalg.solve(left + np.diag(_gently(len(b))), b - s.T @ (t * kept))
        lines = np.tile(theta, (len(t), 1))
        lines[:, 0] += (t - s @ theta) * kept
        made: Array = lines @ T
        return made

    def moments(self, among: Bools, theta: Array) -> Moments:
        S, b, s, t = (some[among].sum(axis=0) for some in (self.zz, self.zy, self.z, self.y))
        line, up = theta[0], theta[:, 0] - theta[0, 0]  # cells differ by their levels alone
        qq = line @ S @ line + 2 * up @ s @ line + up**2 @ s[:, 0]
        n, q, r = float(S[0, 0]), float(np.sum(theta * s)), float(b[0])
        return Moments(n, q, r, float(qq), float(line @ b + up @ t), float(self.yy[among].sum()))


def _z(seen: Seen, centre: Array) -> Array:
    z = np.empty((len(seen), 1 + len(centre)))
    z[:, 0] = 1
    np.subtract(seen.x, centre, out=z[:, 1:])
    return z


def _groups(group: Ints, cells: int) -> Iterator[tuple[tuple[int, int], Ints]]:
    """The rows of each group that has any, and the group's part and cell."""
    order = np.argsort(group, kind="stable")
    firsts = np.flatnonzero(np.diff(group[order], prepend=-1))
    for rows in np.split(order, firsts[1:]):
        if len(rows):
            yield divmod(int(group[rows[0]]), cells), rows


def _standard(S: Array) -> Array:
    """What takes z to (1, x with mean 0 and variance 1); columns that never vary go to 0."""
    n = max(S[0, 0], 1e-300)
    mean, square = S[0, 1:] / n, np.diag(S)[1:] / n
    varied = square - mean**2
    scale = np.where(varied > 1e-12 * square, 1 / np.sqrt(np.maximum(varied, 1e-300)), 0.0)
    T = np.diag(np.concatenate([[1.0], scale]))
    T[1:, 0] = -mean * scale
    return T


def _gently(p: int) -> Array:
    """The penalty on the line of all cells: none to speak of on its level."""
    return np.concatenate([[1e-9], np.ones(p - 1)])


def _design(cells: int, features: Array | None) -> Array:
    """(C, k) g_c = (1, f_c), standardised over cells."""
    if features is None:
        return np.ones((cells, 1))
    f = np.asarray(features, dtype=np.float64).reshape(len(features), -1)
    if len(f) != cells or not np.isfinite(f).all():
        raise ConfigError(
            f"features of actions must be numbers, a row for each of {cells}; saw {f.shape}"
        )
    spread = f.std(axis=0)
    f = (f - f.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return np.column_stack([np.ones(cells), f])
