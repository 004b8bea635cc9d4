"""Making: the world of one way to ask, from nothing on disk but packages.

ratings ──► sentences (written once, kept in a file) ──► points ──► tastes ──► rewards
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bestpolicy.bench.movies.asking import Asking, Movie
from bestpolicy.bench.movies.generator import Cell, Chunk, Generator, chunks, generator, said
from bestpolicy.bench.movies.kept import Kept
from bestpolicy.bench.movies.ratings import Ratings
from bestpolicy.bench.movies.tastes import Rows, simulator, whitened
from bestpolicy.bench.movies.world import BANK, DRAWS, World
from bestpolicy.core.embedder import Embedder
from bestpolicy.core.nouns import ConfigError
from bestpolicy.core.rng import stream

POINTS, SILENT = 20, 2  # coordinates of a point; sentences of each movie without a prompt
Floats = NDArray[Any]
Say = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Size:
    """How much of it: movies and prompts, rows of a log, and logs."""

    movies: int
    prompts: int
    rows: int
    seeds: int


FULL, QUICK = Size(40, 100, 4000, 10), Size(20, 20, 2000, 5)


@dataclass(frozen=True, slots=True)
class Maker:
    """What a world is made with."""

    ratings: Ratings
    model: str  # local/smollm2 or local/FOLDER
    embedder: Embedder
    kept: Kept
    size: Size
    processes: int = 1
    say: Say = print

    def world(self, asking: Asking, *, seed: int = 0) -> World:
        """Everything there is to know of this way to ask."""
        frozen = generator(self.model, asking, self.say)
        prompts = some_of(asking.prompts, self.size.prompts)
        told, rng = self.told, stream(seed, "bench/movies/world")
        rows = self.ratings.balanced(rng)
        shown = self.shown
        plain = self._said(
            frozen, chunks(list(dict.fromkeys(told)), ("",), SILENT), "without a prompt"
        )
        spoken = self._said(frozen, chunks(shown, prompts, DRAWS), f"by {asking.name}")
        texts = np.array(
            [[[spoken[m, p, d] for d in range(DRAWS)] for p in prompts] for m in shown]
        )
        raw = self._points(texts)
        without = self._points(np.array([[plain[m, "", d] for d in range(SILENT)] for m in told]))
        every = Rows(self.ratings.users, self.ratings.titles, self.ratings.liked)
        tastes = simulator(every.at(rows), self.ratings.people, without, rng)
        own = np.array([told.index(movie) for movie in shown])
        names = self._points(np.array([f"{m.name}: {m.genres}" for m in told]))
        like, bank = self._points(np.array(prompts)), raw[:, :, list(BANK)]
        return World(
            tuple(movie.name for movie in shown),
            prompts,
            like=whitened(like, like, _width(like)),
            people=tastes.people,
            titles=whitened(names[own], names, _width(names)),
            texts=texts,
            points=whitened(raw, bank, _width(bank)),
            worth=tastes.rewards(np.arange(len(self.ratings.people)), raw, without[own]),
            auc=tastes.auc,
            auc_anew=tastes.auc_anew,
            made_by=frozen.hash,
        )

    @property
    def told(self) -> list[Movie]:
        """All that are rated."""
        return [Movie(*one) for one in zip(self.ratings.names, self.ratings.genres, strict=True)]

    @property
    def shown(self) -> list[Movie]:
        """Those that have most ratings."""
        told = self.told
        found = _distinct([told[t] for t in self.ratings.most_rated(len(told))])
        if len(found) < self.size.movies:
            raise ConfigError(
                f"{self.size.movies} movies are wanted, and the ratings are of {len(found)}"
            )
        return found[: self.size.movies]

    def _said(self, frozen: Generator, wanted: Sequence[Chunk], what: str) -> dict[Cell, str]:
        begun, first = monotonic(), -1

        def watch(there: int, total: int) -> None:
            nonlocal first
            first = there if first < 0 else first
            rate = (there - first) / max(monotonic() - begun, 1e-9)
            left = f", {(total - there) / rate / 60:.0f} minutes left" if rate > 0 else ""
            self.say(f"{there:,} of {total:,} sentences {what}{left}")

        return said(frozen, wanted, self.kept, processes=self.processes, watch=watch)

    def _points(self, texts: NDArray[np.str_]) -> Floats:
        """A point for each text, in the same shape."""
        flat, where = np.unique(texts.ravel(), return_inverse=True)
        points = self.embedder.embed(flat.tolist())[where]
        made: Floats = points.reshape(*texts.shape, -1).astype(np.float64)
        return made


def some_of(prompts: Sequence[str], count: int) -> tuple[str, ...]:
    """So many of them, evenly spread; all if there are fewer."""
    step = len(prompts) / min(count, len(prompts))
    return tuple(prompts[int(i * step)] for i in range(min(count, len(prompts))))


def _width(points: Floats) -> int:
    """Coordinates to keep; fewer where there are hardly more points than that."""
    return int(min(POINTS, points[..., 0].size // 2))


def _distinct(movies: Sequence[Movie]) -> list[Movie]:
    """The first of each name."""
    found: dict[str, Movie] = {}
    for movie in movies:
        found.setdefault(movie.name, movie)
    return list(found.values())
