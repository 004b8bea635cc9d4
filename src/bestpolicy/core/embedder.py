"""Embedder: texts as points, near each other where the texts mean the same.

embed(texts) ──► (n, d) float32
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float32]


class Embedder(Protocol):
    """Whatever makes points of texts, the same point for the same text every time."""

    @property
    def name(self) -> str: ...

    @property
    def hash(self) -> str:
        """What is another as soon as any weight, or the way they are used, is another."""

    @property
    def width(self) -> int:
        """Coordinates of a point."""

    def embed(self, texts: Sequence[str]) -> Points:
        """(n, width), a point for each text in their order."""


def text_hash(text: str) -> str:
    """The name of a text, the same everywhere."""
    return sha256(text.encode()).hexdigest()
