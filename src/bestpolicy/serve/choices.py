"""Choices: which prompt a unit gets of a learned policy, by what is known of the unit.

    x = blake2b(key, [study, unit and policy]) in [0, 1),   prompt = where x falls in its chances

The same unit with the same context gets the same prompt, and how it was drawn tells nothing of how
its policy was. What the policies need is asked of every unit, so that no refusal depends on whom a
unit is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bestpolicy.config import StudyFile
from bestpolicy.config.study_file import Policy
from bestpolicy.core.nouns import ConfigError
from bestpolicy.live.draw import choice
from bestpolicy.offpolicy.learned import wanted

FAR = "a learned policy has no chances for numbers as large as these"


class Choices:
    """The learned policies of one study, of which there may be none."""

    def __init__(self, file: StudyFile, key: bytes, study: str) -> None:
        self._learned: dict[str, Policy] = {
            policy.id: policy for policy in file.policies if policy.chooser is not None
        }
        self._key = key
        self._study = study

    def __len__(self) -> int:
        return len(self._learned)

    def wrong(self, context: Mapping[str, Any] | None) -> str | None:
        """Why some policy could not choose, if it could not; without a word of what was sent."""
        for policy in self._learned.values():
            assert policy.chooser is not None
            if (one := policy.chooser.unreadable(context or {})) is not None:
                return f"a learned policy of this study chooses by {wanted(one)}"
            try:
                policy.chooser.of_row(context or {})
            except ConfigError:
                return FAR
        return None

    def at(self, policy: str, unit: str) -> float | None:
        """Where the draw of a unit, by its keyed hash, falls; None where nothing is chosen."""
        return choice(self._key, self._study, policy, unit) if policy in self._learned else None

    def of(
        self, policy: str, unit: str, context: Mapping[str, Any] | None
    ) -> dict[str, Any] | None:
        """What the policy chooses for this unit; None where it is no learned one."""
        at = self.at(policy, unit)
        if at is None:
            return None
        learned = self._learned[policy]
        assert learned.chooser is not None
        name, chance = learned.chooser.choose(context or {}, at)
        return {"id": name, "prompt": learned.prompts[name], "chance": chance}
