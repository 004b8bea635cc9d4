"""A world of prompts as a source of sentences: what a bank estimates, it knows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bestpolicy.core.log import Ints, Log
from bestpolicy.core.nouns import Array, ConfigError, Rng
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.density import EMBEDDING, Speaker
from bestpolicy.offpolicy.kernel import Kernel
from bestpolicy.worlds.prompts import PromptWorld


@dataclass(frozen=True, slots=True)
class Known:
    """The frozen generator of a world, its chances known."""

    world: PromptWorld
    seed: int = 0

    def closeness(self, log: Log, kernel: Kernel) -> Array:
        ways = {"gaussian": self.world.closeness, "uniform": self.world.within}
        if kernel.name not in ways:
            raise ConfigError(
                f"no world knows its nearness by the kernel {kernel.name!r}: take one of "
                f"{', '.join(ways)}, or a density by draws"
            )
        return ways[kernel.name](contexts(log), log.columns[EMBEDDING], kernel.width)

    def mean(self, log: Log, chances: Array) -> Array:
        return self.world.mean_under(contexts(log), chances)

    def draws(self, log: Log, chances: Array, count: int, purpose: str) -> tuple[Ints, Array]:
        rng = stream(self.seed, f"bench/sentences/{purpose}", log.start)
        return self.world.draws(contexts(log), chances, count, rng)

    def speaker(self, log: Log) -> Speaker:
        x = contexts(log)

        def say(rows: Ints, actions: Ints, rng: Rng) -> Array:
            each = np.repeat(x[rows], actions.shape[1], axis=0)
            said = self.world.sentences(each, actions.ravel(), rng)
            return said.reshape(*actions.shape, -1)

        return say


def contexts(log: Log) -> Array:
    assert log.contexts is not None
    return log.contexts
