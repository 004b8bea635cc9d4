"""Guess: which column plays which part, from the names that people usually give them.

A guess is shown and never used unless the caller says so: a log read by the wrong column gives
numbers that look right.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from bestpolicy.core.nouns import ConfigError

NEEDED = ("action", "reward", "propensity")
USUAL: Mapping[str, tuple[str, ...]] = {
    "action": (
        *("action", "prompt_id", "arm", "arm_id", "policy", "variant", "variant_id", "item_id"),
        *("treatment", "action_id", "chosen_action", "choice", "prompt", "model", "a"),
    ),
    "reward": (
        *("reward", "click", "clicked", "is_click", "conversion", "converted", "outcome", "score"),
        *("thumbs_up", "accepted", "rating", "success", "r", "y"),
    ),
    "propensity": (
        *("propensity", "propensity_score", "pscore", "p", "prob", "probability", "chance", "p0"),
        *("action_prob", "action_probability", "action_choice_prob", "logging_prob", "pi_0", "pi0"),
    ),
    "time": ("ts", "timestamp", "time", "at", "created_at", "logged_at", "datetime"),
    "id": ("request_id", "event_id", "eventid", "impression_id", "requestid", "uuid"),
    "logger": ("logger", "logger_id", "logging_policy"),
    "weight": ("weight", "sample_weight"),
    "propensities": ("propensities", "chances", "action_probs", "probabilities", "probs"),
}


def guess_columns(names: Iterable[str]) -> dict[str, str]:
    """What each column would be taken for: part -> column, of the parts that were recognised."""
    plain: dict[str, str] = {}
    for name in names:
        plain.setdefault(_plain(name), name)
    found: dict[str, str] = {}
    for part, usual in USUAL.items():
        known = (plain[_plain(word)] for word in usual if _plain(word) in plain)
        free = [name for name in known if name not in found.values()]
        if free:
            found[part] = free[0]
    return found


def shown(columns: Mapping[str, str]) -> str:
    """A mapping as people write it: action = prompt_id, reward = click."""
    return ", ".join(f"{part} = {name}" for part, name in columns.items())


def nearest(name: str, names: Iterable[str]) -> str:
    """What to say to someone who named what is not there."""
    known = list(names)
    low = {_plain(one): one for one in known}
    near = get_close_matches(_plain(name), low, 1)
    few = ", ".join(known[:12]) + (f" and {len(known) - 12} more" if len(known) > 12 else "")
    return f"did you mean {low[near[0]]!r}?" if near else f"it has {few}"


class Unsaid(ConfigError):
    """Nobody said which column plays a part that a log cannot do without."""

    def __init__(self, part: str, names: Iterable[str]) -> None:
        known = list(names)
        guess = {p: name for p, name in guess_columns(known).items() if p in NEEDED}
        self.part, self.guess, self.near = part, guess, nearest(part, known)
        self.lacks = tuple(p for p in NEEDED if p not in guess)
        if not self.lacks:
            words = ", ".join(f"{p}={name!r}" for p, name in guess.items())
            hint = f"if {shown(guess)} is right, say {words}, or guess=True"
        elif guess:
            hint = f"by their names {shown(guess)}; say the rest: {part}='…'. {self.near}"
        else:
            hint = f"say which: {part}='…'. {self.near}"
        super().__init__(f"no column was said to be the {part} of this log; {hint}")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", str(name).lower())
