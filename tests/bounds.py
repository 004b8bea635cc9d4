"""The one statistical bound of the tests: an exact promise fails it less than once in a million."""

from scipy.stats import binom


def most_allowed(runs: int, rate: float) -> int:
    """The largest count that a chance of at most `rate` explains, but for one case in a million."""
    return int(binom.ppf(1 - 1e-6, runs, rate))


def at_most(count: int, runs: int, rate: float) -> bool:
    return count <= most_allowed(runs, rate)
