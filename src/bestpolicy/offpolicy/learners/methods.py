"""Methods by name: material in, policy out.

of prompts     regression, is, dr, potec
of sentences   dso, dso-summed, dso-self, dso-published, sdm, cf-dr-dso: these need what prompts
               say, and all but sdm a kernel
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bestpolicy.core.nouns import Array, ConfigError
from bestpolicy.offpolicy.learners.material import Material
from bestpolicy.offpolicy.learners.over_prompts import dso_summed
from bestpolicy.offpolicy.learners.potec import Foreseeing, TwoStages, clusters_of, first_stage
from bestpolicy.offpolicy.learners.self_normalised import self_normalised_dso
from bestpolicy.offpolicy.learners.sentences import doubly_robust_dso, dso, sentence_direct
from bestpolicy.offpolicy.learners.training import Slope, trained
from bestpolicy.offpolicy.learners.weighted import doubly_robust, importance, regression

Floats = NDArray[Any]
CLUSTERS = 10


class Learnt(Protocol):
    """A policy whose chances are known in any context."""

    def table(self, contexts: Array) -> Array:
        """(m, A) pi(. | x)."""


Method = Callable[[Material], Learnt]


def by_slope(slope: Callable[[Material], Slope]) -> Method:
    """The method that climbs a slope by all prompts' logits."""

    def learn(at: Material) -> Learnt:
        rng, actions = at.rng("policy"), len(at.log.names)
        return trained(at.x, actions, slope(at), rng, training=at.training, watch=at.watch)

    return learn


def _importance(at: Material) -> Slope:
    return importance(at.log.actions, at.centred, at.log.propensity)


def _doubly_robust(at: Material) -> Slope:
    return doubly_robust(at.log.actions, at.centred, at.log.propensity, at.predicted)


def _dso(at: Material, **how: Any) -> Slope:
    return dso(at.said, at.centred, at.density, at.speaker, at.near, **how)


def _summed(at: Material) -> Slope:
    return dso_summed(at.centred, at.density, at.closeness)


def _self_normalised(at: Material) -> Slope:
    return self_normalised_dso(*(at.said, at.centred, at.density, at.speaker, at.near, at.support))


def _published(at: Material) -> Slope:
    """One draw, no baseline, rewards as they are."""
    return dso(
        *(at.said, at.log.rewards, at.density, at.speaker, at.near),
        draws=1,
        most=200.0,
        baseline=False,
    )


def _cross_fitted(at: Material) -> Slope:
    return doubly_robust_dso(
        *(at.said, at.centred, at.density, at.speaker, at.near, at.foreseen), shrink=at.shrink
    )


def potec(at: Material, *, clusters: int = CLUSTERS) -> Learnt:
    """Clusters of prompts that are alike; a log that says nothing of them has each by itself."""
    if at.prompts is None:
        cluster = np.arange(len(at.log.names))
    else:
        cluster = clusters_of(at.prompts, min(clusters, len(at.prompts)), at.rng("clusters"))
    own = cluster[at.log.actions]
    chance = np.where(cluster[None, :] == own[:, None], at.propensities, 0.0).sum(axis=1)
    slope = first_stage(at.log.actions, at.centred, chance, at.predicted, cluster)
    first = trained(
        *(at.x, int(cluster.max()) + 1, slope, at.rng("policy")),
        training=at.training,
        watch=at.watch,
    )
    return TwoStages(first, Foreseeing(at.of_prompts, at.alike), cluster)


OF_SENTENCES = ("dso", "dso-summed", "dso-self", "dso-published", "sdm", "cf-dr-dso")
METHODS: Mapping[str, Method] = {
    "regression": by_slope(lambda at: regression(at.predicted)),
    "is": by_slope(_importance),
    "dr": by_slope(_doubly_robust),
    "potec": potec,
    "dso": by_slope(_dso),
    "dso-summed": by_slope(_summed),
    "dso-self": by_slope(_self_normalised),
    "dso-published": by_slope(_published),
    "sdm": by_slope(lambda at: sentence_direct(at.speaker, at.foreseen)),
    "cf-dr-dso": by_slope(_cross_fitted),
}


def learnt(at: Material, method: str) -> Learnt:
    """What the method of this name learns."""
    if method not in METHODS:
        near = get_close_matches(method, METHODS, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(METHODS)}"
        raise ConfigError(f"no method is called {method!r}; {hint}")
    return METHODS[method](at)
