"""Known: a snapshot as the server gave it, with all that one needs to draw as the server does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bestpolicy.live.draw import choice


@dataclass(frozen=True, slots=True)
class Known:
    """A snapshot as the server gave it."""

    study: str
    version: int
    chances: tuple[float, ...]
    policies: tuple[str, ...]
    configs: tuple[Mapping[str, Any], ...]
    draw_key: bytes
    unit_key: bytes
    log_context: bool
    choice_key: bytes
    learned: tuple[bool, ...]  # which policies choose a prompt

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Known:
        return cls(
            told["study"],
            told["version"],
            tuple(told["chances"]),
            tuple(policy["policy"] for policy in told["policies"]),
            tuple(policy["config"] for policy in told["policies"]),
            bytes.fromhex(told["draw_key"]),
            bytes.fromhex(told["unit_key"]),
            told["log_context"],
            bytes.fromhex(told.get("choice_key", "")),
            tuple("learned" in policy["config"] for policy in told["policies"]),
        )

    def at(self, policy: int, name: str) -> float | None:
        """Where a learned policy draws this unit's prompt, as the server would."""
        if not (self.learned[policy] and self.choice_key):
            return None
        return choice(self.choice_key, self.study, self.policies[policy], name)
