"""Racing: every pair of survivors alike, until the certificate drops one of them.

    P(pair = {i, j}) = 2 / (S (S-1)),   S policies not yet proven to lose to somebody

A lone survivor that must also be proven to beat everyone is asked against the rivals whose defeat
is still open. With an indifference zone, a survivor is asked against whoever it is not yet proven
close to.
Source: Maron and Moore 1994, "Hoeffding races"; for duels, the beat-the-mean family of Yue and
Joachims 2011.
"""

from __future__ import annotations

from math import inf

import numpy as np

from bestpolicy.core.certificate import Ledger
from bestpolicy.core.duels import Duels, DuelState
from bestpolicy.core.nouns import Rng
from bestpolicy.designs import uniform


def design(policies: int, ledger: Ledger) -> Duels:
    return Duels(policies, ledger, pair)


def pair(state: DuelState, ledger: Ledger, rng: Rng) -> tuple[int, int]:
    c, survivors = state.certificate, state.survivors
    if c.close:
        survivors = np.array([i for i in survivors if c.close[i].min() < inf], np.intp)
        goals = c.close
    else:
        goals = c.proof
    if survivors.size == 0:  # decided: whatever is asked now changes nothing
        return uniform.pair(state, ledger, rng)
    i = int(rng.choice(survivors))
    if c.close or survivors.size == 1:
        open_rivals = goals[i] < inf if goals else np.arange(state.policies) != i
        return i, int(rng.choice(np.flatnonzero(open_rivals)))
    return i, int(rng.choice(survivors[survivors != i]))
