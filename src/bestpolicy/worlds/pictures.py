"""Pictures: a world in which prompts make images, viewers have a taste, and every value is known.

    x = (v, q)     a viewer, four numbers ~ N(0, I), and which of three motifs was asked for
    y ~ p(y|q, a)  24 x 24 RGB: the motif in the style a (colours, grain, turn, contrast, mirrored)
                   at a random phase and place, in random light, with noise on every pixel
    z(y)           brightness, colourfulness, orientation, symmetry, measured from the pixels
    r ~ Bernoulli(R(x, y)),  R = 0.05 + 0.9 exp(-d² / 2), d² the mean over k of
                   ((z_k(y) - ideal_k(v)) / 0.8)², measures in standard deviations

The renderer is the frozen generator: it sees motif and style, never the viewer. The embedding is
the low frequencies of the cosine transform, their signs dropped since phases are random, and the
main directions of these; it knows nothing of tastes. True values are means over many pictures of
each motif and style. A procedural world: it says nothing about any model that makes images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.fft import dctn

from bestpolicy.core.log import Ints, Log
from bestpolicy.core.nouns import Array, ConfigError, Rng
from bestpolicy.core.rng import stream
from bestpolicy.core.softmax import Softmax, pick

SIDE, LOW, KEPT = 24, 8, 12  # pixels a side; frequencies a side; directions of the embedding
VIEWER, MOTIFS = 4, ("stripes", "rings", "checks")
MEASURES = ("brightness", "colourfulness", "orientation", "symmetry")
REACH = 0.8  # of a taste, in standard deviations of the measures among all pictures
POOL = 50  # pictures of each motif and style behind true values
LOOKED_AT = 2000  # pictures that fix the embedding's directions and the measures' scales
CONTEXTS = 1000  # viewers over which true values are averaged


@dataclass(frozen=True)
class PictureWorld:
    """One world: styles are numbered, contexts are viewers beside one column for each motif."""

    styles: Array  # (A, 10) what a style is: see `recipes`
    ideals: Array  # (VIEWER, 4) how a viewer's numbers move what he likes best
    seed: int = 0

    @property
    def actions(self) -> int:
        return len(self.styles)

    def contexts(self, n: int, rng: Rng) -> Array:
        """(n, 7) viewers, and 1 for the motif asked for."""
        asked = np.eye(len(MOTIFS))[rng.integers(len(MOTIFS), size=n)]
        return np.hstack([rng.normal(size=(n, VIEWER)), asked])

    def sample(self, contexts: Array, actions: Ints, rng: Rng) -> Array:
        """(m, 24, 24, 3) pictures, values in [0, 1]."""
        return rendered(motif_of(contexts), self.styles[actions], rng)

    def embed(self, things: Array) -> Array:
        """(m, 12) the main directions of what frequencies there are."""
        centre, directions, _, _ = self._seen
        return (frequencies(things) - centre) @ directions

    def mean_reward(self, contexts: Array, things: Array) -> Array:
        """(m,) R(x, y)."""
        return liked(self._scaled(things), self.ideal(contexts))

    def ideal(self, contexts: Array) -> Array:
        """(n, 4) the measures each viewer likes best, in standard deviations from their mean."""
        made: Array = 1.5 * np.tanh(contexts[:, :VIEWER] @ self.ideals)
        return made

    def expected(self, contexts: Array) -> Array:
        """(n, A) E[R | x, a]: means over the pool."""
        made, ideal = np.empty((len(contexts), self.actions)), self.ideal(contexts)
        for q, pool in enumerate(self._pool):
            for i in np.flatnonzero(motif_of(contexts) == q):
                made[i] = liked(pool, ideal[i]).mean(axis=1)
        return made

    def logging(self, beta: float = 0.5) -> Softmax:
        """Near uniform: styles are a little more often shown to some viewers than to others."""
        rng = stream(self.seed, "worlds/pictures/logging")
        slopes = rng.normal(size=(VIEWER + len(MOTIFS), self.actions)) / 2
        return Softmax(lambda contexts: contexts @ slopes, beta)

    def best(self) -> Softmax:
        """All but certain to take the style that the viewer likes best on average."""
        return Softmax(self.expected, 1e9)

    def log(self, n: int, rng: Rng) -> Log:
        """n rows of the logging policy; `query_id` is the motif, `sentence_emb` the picture's."""
        contexts = self.contexts(n, rng)
        chances = self.logging().table(contexts)
        actions = pick(chances, rng.random((n, 1)))[:, 0]
        shown = self.sample(contexts, actions, rng)
        clicked = rng.random(n) < self.mean_reward(contexts, shown)
        return Log(
            actions,
            clicked.astype(np.float64),
            chances[np.arange(n), actions],
            tuple(f"style {a}" for a in range(self.actions)),
            contexts=contexts,
            propensities=chances,
            columns={
                "query_id": np.array(MOTIFS)[motif_of(contexts)],
                "sentence_emb": self.embed(shown),
            },
        )

    def value(self, policy: Callable[[Array], Array]) -> float:
        """V(pi) of a function from contexts to (n, A) chances, over the same viewers for all."""
        return float(np.einsum("na,na->n", policy(self._asked), self._truth).mean())

    @cached_property
    def bounds(self) -> tuple[float, float]:
        """Values of a style drawn at random, and of the best for each viewer."""
        return float(self._truth.mean()), float(self._truth.max(axis=1).mean())

    def optimality(self, policy: Callable[[Array], Array]) -> float:
        """(V(pi) - V(uniform)) / (V(best) - V(uniform))."""
        least, most = self.bounds
        return (self.value(policy) - least) / (most - least)

    @cached_property
    def _asked(self) -> Array:
        return self.contexts(CONTEXTS, stream(self.seed, "worlds/pictures/truth"))

    @cached_property
    def _truth(self) -> Array:
        return self.expected(self._asked)

    @cached_property
    def _pool(self) -> list[Array]:
        """(A, POOL, 4) measures of pictures of each style, for each motif."""
        pools = []
        for q in range(len(MOTIFS)):
            made = np.empty((self.actions, POOL, len(MEASURES)))
            for a in range(self.actions):
                rng = stream(self.seed, f"worlds/pictures/pool/{q}", a)
                styles = np.repeat(self.styles[a : a + 1], POOL, axis=0)
                made[a] = self._scaled(rendered(np.full(POOL, q), styles, rng))
            pools.append(made)
        return pools

    @cached_property
    def _seen(self) -> tuple[Array, Array, Array, Array]:
        """Centre and directions of the embedding, mean and spread of the measures."""
        rng = stream(self.seed, "worlds/pictures/look")
        actions = rng.integers(self.actions, size=LOOKED_AT)
        pictures = self.sample(self.contexts(LOOKED_AT, rng), actions, rng)
        found, z = frequencies(pictures), measured(pictures)
        centre = found.mean(axis=0)
        directions = np.linalg.svd(found - centre, full_matrices=False)[2][:KEPT].T
        return centre, directions, z.mean(axis=0), z.std(axis=0)

    def _scaled(self, things: Array) -> Array:
        _, _, mean, spread = self._seen
        made: Array = (measured(things) - mean) / spread
        return made


def picture_world(seed: int, *, styles: int = 60) -> PictureWorld:
    """The world of this seed."""
    if styles < 2:
        raise ConfigError(f"a choice needs 2 styles or more; saw styles={styles}")
    rng = stream(seed, "worlds/pictures")
    return PictureWorld(recipes(styles, rng), rng.normal(size=(VIEWER, len(MEASURES))) / 2, seed)


def recipes(styles: int, rng: Rng) -> Array:
    """(A, 10) two colours, cycles across the picture, turn, contrast, mirrored or not."""
    colours = rng.random((styles, 6)) * rng.uniform(0.3, 1, size=(styles, 1))
    cycles, turn = rng.uniform(0.7, 3, styles), rng.uniform(0, np.pi, styles)
    contrast, mirrored = rng.uniform(0.4, 1, styles), rng.integers(2, size=styles)
    return np.column_stack([colours, cycles, turn, contrast, mirrored])


def motif_of(contexts: Array) -> Ints:
    """(n,) which motif was asked for."""
    return np.asarray(contexts[:, VIEWER:].argmax(axis=1), dtype=np.intp)


def rendered(motif: Ints, styles: Array, rng: Rng) -> Array:
    """(m, 24, 24, 3) a picture of each motif in each style."""
    m, at = len(motif), np.linspace(-1, 1, SIDE)
    cycles, turn, contrast, mirrored = (styles[:, 6 + k, None, None] for k in range(4))
    phases = rng.uniform(0, 2 * np.pi, size=(2, m, 1, 1))
    place = rng.uniform(-0.4, 0.4, size=(2, m, 1, 1))
    turn = turn + 0.1 * rng.normal(size=(m, 1, 1))
    u = np.where(mirrored > 0, np.abs(at[None, None, :]), at[None, None, :] - place[0])
    v = at[None, :, None] - place[1]
    along, across = np.cos(turn) * u + np.sin(turn) * v, np.cos(turn) * v - np.sin(turn) * u
    one, other = (np.pi * cycles * t + p for t, p in zip((along, across), phases, strict=True))
    rings = np.sin(np.pi * cycles * np.hypot(u, v) + phases[0])
    motifs = (np.sin(one), rings, np.sign(np.sin(one)) * np.sign(np.sin(other)))
    made = np.choose(motif[:, None, None], [np.broadcast_to(t, (m, SIDE, SIDE)) for t in motifs])
    mix = (0.5 + 0.5 * contrast * made)[..., None]
    ground, figure = (styles[:, None, None, k : k + 3] for k in (0, 3))
    light = 1 + 0.12 * rng.normal(size=(m, 1, 1, 1))
    noise = 0.04 * rng.normal(size=(m, SIDE, SIDE, 3))
    pictures: Array = np.clip(light * (ground + (figure - ground) * mix) + noise, 0, 1)
    return pictures


def frequencies(pictures: Array) -> Array:
    """(m, 192) the low frequencies of each colour, all but the means without their signs."""
    found = dctn(pictures, axes=(1, 2), norm="ortho")[:, :LOW, :LOW].copy()
    means = found[:, 0, 0].copy()
    np.abs(found, out=found)
    found[:, 0, 0] = means
    made: Array = found.reshape(len(pictures), -1) / SIDE
    return made


def measured(pictures: Array) -> Array:
    """(m, 4) brightness, colourfulness, orientation in [-1, 1] and symmetry in [-1, 1]."""
    grey = pictures.mean(axis=3)
    colourful = (pictures.max(axis=3) - pictures.min(axis=3)).mean(axis=(1, 2))
    down, right = (np.square(np.diff(grey, axis=k)).mean(axis=(1, 2)) for k in (1, 2))
    off = grey - grey.mean(axis=(1, 2), keepdims=True)
    power = (off**2).mean(axis=(1, 2))
    alike = (off * off[:, :, ::-1]).mean(axis=(1, 2)) / power
    return np.stack(
        [grey.mean(axis=(1, 2)), colourful, (right - down) / (right + down), alike], axis=1
    )


def liked(measures: Array, ideal: Array) -> Array:
    """R of (…, 4) measures for whom likes this best."""
    off = (((measures - ideal) / REACH) ** 2).mean(axis=-1)
    made: Array = 0.05 + 0.9 * np.exp(-off / 2)
    return made
