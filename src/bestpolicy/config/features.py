"""Features of policies that a file describes: what they are made of, as numbers.

A key whose values are all numbers is one column; any other key is one column per value but the
first. Keys that do not vary tell nothing and are left out; what is unset in some policies is a
value of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from bestpolicy.core.nouns import Array


def features(described: Sequence[Mapping[str, Any]], *, interactions: bool = False) -> Array | None:
    """(K, d) for K policies, each a mapping of what it is made of; None when nothing varies.

    `interactions` adds the products of the columns of any two keys: a prompt may then do better
    at one temperature than at another.
    """
    factors: list[list[list[float]]] = []
    for key in dict.fromkeys(key for policy in described for key in policy):
        values = [policy.get(key) for policy in described]
        distinct = list(dict.fromkeys(values))
        if len(distinct) == 1:
            continue
        if all(isinstance(value, int | float) for value in distinct):
            factors.append([[float(policy[key]) for policy in described]])
        else:
            factors.append([[float(value == one) for value in values] for one in distinct[1:]])
    columns = [column for factor in factors for column in factor]
    if interactions:
        columns += [
            product
            for one, other in combinations(factors, 2)
            for a in one
            for b in other
            if len(set(product := [u * v for u, v in zip(a, b, strict=True)])) > 1
        ]
    return np.array(columns).T if columns else None
