"""Small learned policies whose chances are known: a table of them by the word of one column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bestpolicy.core.log import Feature
from bestpolicy.core.net import Net
from bestpolicy.core.softmax import Softmax
from bestpolicy.offpolicy.learned import LearnedPolicy
from bestpolicy.offpolicy.learners.training import Scored
from bestpolicy.offpolicy.policy_file import write_policy

NAMES = ("warm", "cold", "plain")
BY_TIER = {"gold": (0.7, 0.2, 0.1), "free": (0.1, 0.3, 0.6)}
TEXTS = {name: f"{name} to {{{{input}}}}" for name in NAMES}


def by_word(
    chances: Mapping[str, Sequence[float]] = BY_TIER,
    column: str = "tier",
    names: Sequence[str] = NAMES,
) -> LearnedPolicy:
    """A policy with these chances of `names` for each word of `column`."""
    table = np.log(np.array(list(chances.values())))
    k, n = table.shape
    net = Net(np.eye(k), np.zeros(k), table, np.zeros(n))
    core = Softmax(Scored(net, np.zeros(k), np.ones(k)))
    return LearnedPolicy(tuple(names), (Feature(column, tuple(chances)),), core, "table")


def by_number(column: str = "id", names: Sequence[str] = NAMES[:2]) -> LearnedPolicy:
    """A policy of a number: the larger it is, the more it prefers the first of two."""
    net = Net(np.array([[10.0]]), np.zeros(1), np.array([[0.1, 0.0]]), np.zeros(2))
    core = Softmax(Scored(net, np.zeros(1), np.ones(1)))
    return LearnedPolicy(tuple(names), (Feature(column),), core, "slope")


def kept(folder: Path, policy: LearnedPolicy | None = None, name: str = "policy.npz") -> str:
    """The name of the file in that folder which holds the policy."""
    write_policy(policy or by_word(), folder / name)
    return name
