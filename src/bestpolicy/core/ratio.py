"""Sample ratio: whether units got their policies with the chances that were logged.

    M = Π q(A) / p(A),   q_a ∝ p_a (n_a + s) / (e_a + s),   e_a = Σ p_a

q tilts the logged chances by how much more often than foretold each policy came up before, so M is
a test martingale under "A was drawn from p", for chances that change and for who looks all the
time. For two policies at one half it is the Beta(s, s) mixture. s is about how many units a tilt of
two in fifty needs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log

import numpy as np

from bestpolicy.core.nouns import Array

STRENGTH = 1200.0  # units that the prior is worth, over all policies
ALPHA = 0.001  # false alarms over the whole study


@dataclass(slots=True)
class Ratio:
    """The evidence that policies do not come up as often as their chances say."""

    policies: int
    alpha: float = ALPHA
    log_e: float = 0.0
    highest: float = 0.0
    seen: Array = field(init=False)  # (K,) units that got each policy
    foretold: Array = field(init=False)  # (K,) that should have, by their chances

    def __post_init__(self) -> None:
        self.seen, self.foretold = np.zeros(self.policies), np.zeros(self.policies)

    def tell(self, chances: Array, policy: int) -> None:
        """The next unit: the chances that are on record, and what it got."""
        prior = STRENGTH / self.policies
        q = chances * (self.seen + prior) / (self.foretold + prior)
        # A policy that had no chance and came up all the same is proof by itself.
        odds = q[policy] / q.sum() / chances[policy] if chances[policy] > 0 else np.inf
        self.log_e += log(odds) if odds < np.inf else np.inf
        self.highest = max(self.highest, self.log_e)
        self.seen[policy] += 1
        self.foretold += chances

    @property
    def raised(self) -> bool:
        return self.highest >= -log(self.alpha)
