"""Uniform: every pair alike, whatever the answers say.

    P(pair = {i, j}) = 2 / (K (K-1))

The yardstick that every adaptive rule has to beat. Nothing is eliminated from the asking; only
the certificate stops it.
"""

from __future__ import annotations

from bestpolicy.core.certificate import Ledger
from bestpolicy.core.duels import Duels, DuelState
from bestpolicy.core.nouns import Rng


def design(policies: int, ledger: Ledger) -> Duels:
    return Duels(policies, ledger, pair)


def pair(state: DuelState, ledger: Ledger, rng: Rng) -> tuple[int, int]:  # noqa: ARG001
    i = int(rng.integers(state.policies))
    return i, (i + 1 + int(rng.integers(state.policies - 1))) % state.policies
