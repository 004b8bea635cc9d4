"""What a study may be set to: checked once, here, and trusted from then on."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from bestpolicy import designs
from bestpolicy.core.nouns import Array, ConfigError, Design
from bestpolicy.core.roster import Roster
from bestpolicy.core.shares import nearest
from bestpolicy.core.strengths import Structure
from bestpolicy.inputs import Inputs
from bestpolicy.study.reading import SPARE, Make

STRUCTURES = ("free", "bradley-terry", "features", "auto")
RESERVE = 0.02  # of the error budget, for policies that join or leave
BUDGETS = ("comparisons", "minutes", "usd")


@dataclass(frozen=True, slots=True)
class Budget:
    """When to stop asking. It is no part of what is claimed, so it may change between openings."""

    comparisons: int | None = None
    minutes: float | None = None
    usd: float | None = None
    # A clock that is never set back; it counts from the opening.
    opened: float = field(default_factory=time.monotonic)

    def room(self, asked: int, wanted: int, paid: float) -> int:
        """How many of the wanted duels may still be asked."""
        if self.spent(asked, paid) is not None:
            return 0
        return wanted if self.comparisons is None else min(wanted, self.comparisons - asked)

    def spent(self, asked: int, paid: float) -> str | None:
        """What is spent, in words, or None; `paid` is what the answers told have cost."""
        if self.usd is not None and paid >= self.usd:
            return f"the budget of ${self.usd:g} is spent"
        if self.comparisons is not None and asked >= self.comparisons:
            return f"the budget of {self.comparisons} comparisons is spent"
        if self.minutes is not None and time.monotonic() - self.opened >= 60 * self.minutes:
            return f"the budget of {self.minutes:g} minutes is spent"
        return None


def policy_names(policies: object) -> tuple[str, ...]:
    """At least two different names."""
    if isinstance(policies, str) or not isinstance(policies, Sequence):
        raise ConfigError(f"policies must be a list of names, saw {policies!r:.80}")
    for i, name in enumerate(policies):
        if not isinstance(name, str) or not name.strip():
            raise ConfigError(
                f"policies: number {i} must be a name that is not empty, saw {name!r}"
            )
        if name in policies[:i]:
            raise ConfigError(
                f"policies: {name!r} is there as number {policies.index(name)} and as number {i}: "
                "give each policy a name of its own"
            )
    if len(policies) < 2:
        raise ConfigError(f"policies: at least two are needed to compare, saw {list(policies)}")
    return tuple(policies)


def inputs_of(inputs: object, reuse: bool, cluster: object) -> Inputs | None:
    """The rows that duels are about, if they are about any."""
    if inputs is None:
        if cluster is not None:
            raise ConfigError("cluster names a column of the inputs, and there are none")
        return None
    column = None if cluster is None else text("cluster", cluster)
    return Inputs(inputs, reuse=reuse, cluster=column)


def structure_of(
    structure: object, features: object, trust: object, policies: int, indifference: float
) -> Structure | None:
    """How the policies' shares hang together; None when nothing is assumed."""
    if structure not in STRUCTURES:
        raise ConfigError(
            f"structure must be one of {', '.join(STRUCTURES)}, saw {structure!r}"
            f"{nearest(structure, STRUCTURES)}"
        )
    trusted = claim("trust_structure", trust)
    if trusted and structure == "free":
        raise ConfigError(
            'trust_structure needs a structure to trust, and structure="free" assumes none: choose '
            "bradley-terry, features or auto, or leave trust_structure out"
        )
    if trusted and indifference > 0:
        raise ConfigError(
            "trust_structure: what a structure proves knows no indifference zone: set indifference "
            "to 0, or leave trust_structure out"
        )
    if features is not None and structure not in ("features", "auto"):
        raise ConfigError(
            f"features are given and structure={structure!r} uses none: choose "
            'structure="features", or leave features out'
        )
    if features is None and structure == "features":
        raise ConfigError(
            f'structure="features" needs features, a ({policies}, d) array with one row per policy'
        )
    if structure == "free":
        return None
    return Structure.of(cast("Array | None", features), policies, trust=trusted)


def maker(design: object, settings: Mapping[str, Any], assumed: Structure | None) -> Make:
    """What makes the study's design for whoever is compared."""

    def make(roster: Roster, joined: tuple[int, ...]) -> Design[Any]:
        policies = len(roster.policies)
        if not isinstance(design, str):
            if assumed is not None:
                raise ConfigError(
                    f"structure={settings['structure']!r} goes with a design by name: a Design of "
                    "your own brings its own, so leave structure out"
                )
            return of_size(cast("Design[Any]", design), policies)
        described = assumed is not None and (assumed.trust or assumed.features is not None)
        if described and roster != Roster.whole(policies):
            raise ConfigError(
                "policies join or leave only where no features describe them and no proof rests "
                "on a structure: begin a new study"
            )
        ours = 1 - SPARE - settings.get("reserve", RESERVE)
        made = designs.make(
            design,
            policies=policies,
            confidence=settings["confidence"],
            indifference=settings["indifference"],
            assume_winner=settings["assume_winner"],
            structure=assumed,
            spare=1 - ours * roster.level,
        )
        return designs.seated(made, joined, roster.capital) if any(roster.joined) else made

    return make


def share_between(setting: str, value: Any, low: float, high: float, *, low_counts: bool) -> float:
    """A number in (low, high), or in [low, high) when low itself counts."""
    number = float(value) if _is_number(value) else float("nan")
    if low < number < high or (number == low and low_counts):
        return number
    percent = low < number / 100 < high
    raise ConfigError(
        f"{setting} must be in {'[' if low_counts else '('}{low:g}, {high:g}), saw {value!r}"
        + (f"; did you mean {number / 100:g}?" if percent else "")
    )


def text(setting: str, value: object) -> str:
    """A text that says something."""
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{setting} must be a text that is not empty, saw {value!r}")
    return value


def claim(setting: str, value: object) -> bool:
    """True or False, and nothing that merely passes for one."""
    if not isinstance(value, bool):
        raise ConfigError(f"{setting} must be True or False, saw {value!r}")
    return value


def whole(setting: str, value: object, low: int) -> int:
    """A whole number from `low` up."""
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise ConfigError(f"{setting} must be a whole number from {low} up, saw {value!r}")
    return value


def budget_of(budget: object) -> Budget:
    """A number of comparisons, or a mapping of limits of which the first to be met ends it."""
    if budget is None:
        return Budget()
    if not isinstance(budget, Mapping):
        return Budget(whole("budget", budget, 1))
    for limit in budget:
        if limit not in BUDGETS:
            raise ConfigError(
                f"budget: {limit!r} is no limit; comparisons, minutes and usd are"
                f"{nearest(limit, BUDGETS)}"
            )
    comparisons, minutes = budget.get("comparisons"), budget.get("minutes")
    if minutes is not None and not (_is_number(minutes) and 0 < minutes < float("inf")):
        raise ConfigError(f"budget: minutes must be a finite number above 0, saw {minutes!r}")
    usd = budget.get("usd")
    if usd is not None and not (_is_number(usd) and 0 < usd < float("inf")):
        raise ConfigError(f"budget: usd must be a finite number above 0, saw {usd!r}")
    return Budget(
        None if comparisons is None else whole("budget: comparisons", comparisons, 1), minutes, usd
    )


def of_size(design: Design[Any], policies: int) -> Design[Any]:
    """The design, made for as many policies as there are."""
    if design.policies != policies:
        raise ConfigError(
            f"design: made for {design.policies} policies, and there are {policies}: "
            f"make it with policies={policies}"
        )
    return design


def _is_number(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    try:
        return bool(float(value) == value)
    except (TypeError, ValueError, OverflowError):
        return False
