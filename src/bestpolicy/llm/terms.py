"""Terms: how a model may be used, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite

from bestpolicy.core.nouns import ConfigError


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs, in US dollars per million tokens."""

    input: float
    output: float

    def __post_init__(self) -> None:
        for name, usd in (("input", self.input), ("output", self.output)):
            if not (isfinite(usd) and usd >= 0):
                raise ConfigError(
                    f"price: {name} must be dollars per million tokens, 0 or more, saw {usd!r}"
                )

    def of(self, tokens_in: int, tokens_out: int) -> float:
        return (tokens_in * self.input + tokens_out * self.output) / 1e6


@dataclass(frozen=True, slots=True)
class Terms:
    """How a model may be used."""

    concurrency: int = 16  # tries at the same time
    requests_per_minute: float | None = None  # every try counts
    timeout_s: float = 60.0  # of one try, from connecting to the last byte
    tries: int = 5  # of one call, in all
    price: Price | None = None  # wins over the price list

    def __post_init__(self) -> None:
        for name, value, most in (
            ("concurrency", self.concurrency, inf),
            ("tries", self.tries, 5),
        ):
            if type(value) is not int or not 1 <= value <= most:
                upto = "1 or more" if most == inf else f"1 to {most}"
                raise ConfigError(f"{name} must be a whole number, {upto}, saw {value!r}")
        for name, number in (
            ("requests_per_minute", self.requests_per_minute),
            ("timeout_s", self.timeout_s),
        ):
            if number is not None and not (isfinite(number) and number > 0):
                raise ConfigError(f"{name} must be above 0, saw {number!r}")
