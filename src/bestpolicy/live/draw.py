"""The draw: which policy a unit gets, a function of the unit and a snapshot and of nothing else.

    x = blake2b(key, [study, unit]) in [0, 1),   policy = where x falls in the cumulative chances

No state and no I/O: whoever holds the key and the snapshot draws the same, in any process, and a
unit that comes again meets the same policy. Without the key nobody can choose a unit's name so as
to get a policy. People are named by a keyed hash alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from bestpolicy.store.rows import canonical


def place(key: bytes, study: str, name: str) -> float:
    """x of a unit by its keyed hash, uniform in [0, 1) over units."""
    told = blake2b(canonical([study, name]).encode(), key=key, digest_size=8).digest()
    return (int.from_bytes(told) >> 11) * 2.0**-53


def choice(key: bytes, study: str, policy: str, name: str) -> float:
    """Where a unit's prompt is drawn, if its policy is a learned one: uniform over units, and with
    a key of its own independent of the draw of the policy."""
    return place(key, study, f"{name} {policy}")


def drawn(x: float, chances: Sequence[float]) -> int:
    """The policy that x falls to; one of chance 0 is never drawn."""
    total, last = 0.0, 0
    for policy, chance in enumerate(chances):
        if chance > 0:
            total, last = total + chance, policy
            if x < total:
                return policy
    return last  # the chances add up to a rounding error less than 1


def disguise(key: bytes, study: str, name: str) -> str:
    """What is kept in place of a unit's name, or of a key: nobody reads it back without the key."""
    return blake2b(canonical([study, name]).encode(), key=key, digest_size=16).hexdigest()
