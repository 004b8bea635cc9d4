"""A simulated customer: likes some kinds of reply more, is noisy, and leans to the first shown."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from hashlib import blake2b

LIKING = {"Thank": 1.0, "Answer as numbered": 0.5, "Answer in one": 0.1, "Answer as a formal": -0.3}
LEANING = 0.15  # towards whatever is shown first


def customer(row: Mapping[str, str], left: str, right: str) -> str:
    """ "left" with chance 1 / (1 + exp(right's liking - left's - LEANING)); the same every time."""
    time.sleep(0.04)  # as if somebody had to read
    chance = 1 / (1 + math.exp(liking(right) - liking(left) - LEANING))
    coin = blake2b(f"{row['id']}|{left}|{right}".encode(), digest_size=8).digest()
    return "left" if int.from_bytes(coin, "big") / 2**64 < chance else "right"


def canned_reply(row: Mapping[str, str]) -> str:
    """What the help desk sends today."""
    return f"We have received your message about {row['product']} and will be in touch."


def liking(text: str) -> float:
    return next((u for start, u in LIKING.items() if text.startswith(start)), -0.7)
