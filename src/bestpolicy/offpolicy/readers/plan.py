"""Plan: which column of a source plays which part in a log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bestpolicy.core.nouns import ConfigError
from bestpolicy.offpolicy.readers.guess import nearest


@dataclass(frozen=True, slots=True)
class Plan:
    """Names of columns at home, by their part, and what the caller declared."""

    action: str
    reward: str
    propensity: str | None = None  # of several loggers, or where all chances are logged: None
    context: tuple[str, ...] = ()
    propensities: str | tuple[str, ...] | None = None  # of all actions: one column, or one each
    logger: str | None = None
    loggers: Mapping[str, str] | None = None  # name of a logger -> column of its chances
    time: str | None = None
    id: str | None = None
    weight: str | None = None
    count: str | None = None  # how many actions there were to choose from, by number
    base: int | None = None  # the number of the first action, where the format says it
    keep: tuple[str, ...] = ()
    names: tuple[str, ...] | None = None
    bounds: tuple[float, float] = (0.0, 1.0)

    @property
    def columns(self) -> tuple[str, ...]:
        """All that have to be read, each once."""
        wide = self.propensities
        parts = (
            *(self.action, self.reward, self.propensity, self.logger, self.time, self.id),
            *(self.weight, self.count, *self.context, *self.keep),
            *((wide,) if isinstance(wide, str) else wide or ()),
            *(self.loggers or {}).values(),
        )
        return tuple(dict.fromkeys(name for name in parts if name is not None))

    @property
    def called(self) -> dict[str, str]:
        """What the columns of the log are called at home."""
        wide = self.propensities
        named = {
            "actions": self.action,
            "rewards": self.reward,
            "propensity": self.propensity or ", ".join((self.loggers or {}).values()) or wide,
            "contexts": ", ".join(self.context),
            "propensities": wide if isinstance(wide, str) or wide is None else ", ".join(wide),
            "weight": self.weight,
            "times": self.time,
            "loggers": self.logger,
            "ids": self.id,
        }
        return {part: str(name) for part, name in named.items() if name}

    def checked(self, columns: Sequence[str], label: str) -> Plan:
        """This plan, if the source has the columns that it names."""
        for name in self.columns:
            if name not in columns:
                raise ConfigError(f"{label} has no column {name!r}; {nearest(name, columns)}")
        if self.loggers is not None:
            if self.logger is None:
                raise ConfigError("several loggers: say with logger='…' which one chose each row")
            if self.propensities is not None:
                raise ConfigError(
                    "propensities are the chances of one logger; of several, their chances of the "
                    "chosen action are enough: leave propensities out"
                )
        elif self.propensity is None and self.propensities is None:
            raise ConfigError("a log needs the chance of the chosen action: say propensity='…'")
        for name in {self.action, self.reward} & {self.propensity, self.reward, self.action}:
            parts = [self.action, self.reward, self.propensity].count(name)
            if parts > 1:
                raise ConfigError(f"column {name!r} cannot be two of action, reward, propensity")
        return self
