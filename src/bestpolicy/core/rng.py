"""Named random streams: every use of chance has a seed, a name and a step of its own.

    state of the generator = blake2b(seed / name / step)

No generator is ever stored. A resumed study builds the stream of its next step afresh and so
draws what it would have drawn without the interruption.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISeedSequence

from bestpolicy.core.nouns import Rng


def stream(seed: int, name: str, step: int = 0) -> Rng:
    """A fresh generator, independent of every other (seed, name, step)."""
    digest = blake2b(f"{seed}/{name}/{step}".encode(), digest_size=32).digest()
    words: Any = _Words(digest)  # the stubs of numpy know no seed sequence but its own
    return np.random.Generator(np.random.PCG64(words))


class _Words(ISeedSequence):
    """Hands a hash to the generator as it is: mixing it once more would cost five times as much."""

    def __init__(self, digest: bytes) -> None:
        self.digest = digest

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> Any:
        return np.frombuffer(self.digest, dtype=dtype, count=n_words)
