"""Runs algorithms of duelpy, in an environment of its own: jobs in, results out, a JSON line each.

    in   {"algorithm", "told": options, "p": matrix, "seed", "limit": seconds}
    out  {"comparisons", "seconds", "answer": [policies] or null, "stopped", "error"}

Started as a script by bench/peers and never imported there, so it needs nothing of bestpolicy.
A run out of time is stopped at its next duel and has no answer.
"""

from __future__ import annotations

import json
import sys
from time import perf_counter
from typing import Any

ANSWERS = ("get_condorcet_winner", "get_copeland_winner", "get_approximate_condorcet_winners")


class OutOfTime(BaseException):
    """Not an Exception, so that no algorithm takes it for one of its own."""


def main() -> None:
    import numpy as np

    restore(np)
    from duelpy import algorithms  # type: ignore[import-not-found]
    from duelpy.feedback import FeedbackMechanism  # type: ignore[import-not-found]

    for line in sys.stdin:
        print(json.dumps(played(json.loads(line), algorithms, FeedbackMechanism, np)), flush=True)


def restore(numpy: Any) -> None:
    """Names that NumPy removed and duelpy 1.0.0 still writes when it is imported."""
    for name, meant in (("float", float), ("int", int), ("bool", bool), ("object", object)):
        if name not in vars(numpy):
            setattr(numpy, name, meant)


def played(job: dict[str, Any], algorithms: Any, feedback: type, numpy: Any) -> dict[str, Any]:
    """One run of one algorithm on one preference matrix, every comparison counted."""
    numpy.random.seed(job["seed"])  # some algorithms draw from the global state
    rng = numpy.random.RandomState(job["seed"])
    p, until = numpy.array(job["p"]), perf_counter() + job["limit"]
    spent = 0

    class Counted(feedback):  # type: ignore[misc]
        def duel(self, arm_i_index: int, arm_j_index: int) -> bool:
            return bool(self.duel_repeatedly(arm_i_index, arm_j_index, 1))

        def duel_repeatedly(self, arm_i_index: int, arm_j_index: int, duel_count: int) -> int:
            nonlocal spent
            if perf_counter() > until:
                raise OutOfTime
            spent += int(duel_count)
            return int(rng.binomial(duel_count, p[arm_i_index, arm_j_index]))

    answer, stopped, error = None, False, ""
    began = perf_counter()
    try:
        algorithm = getattr(algorithms, job["algorithm"])(
            Counted(list(range(len(p)))), **job["told"]
        )
        algorithm.run()
        found = next(getattr(algorithm, name)() for name in ANSWERS if hasattr(algorithm, name))
        several = isinstance(found, (list, tuple, set, frozenset))
        answer = None if found is None else sorted(map(int, found if several else [found]))
    except OutOfTime:
        stopped = True
    except Exception as wrong:  # whatever a peer does, the table goes on and says so
        error = f"{type(wrong).__name__}: {wrong}"
    seconds = round(perf_counter() - began, 3)
    return {
        "comparisons": spent,
        "seconds": seconds,
        "answer": answer,
        "stopped": stopped,
        "error": error,
    }


if __name__ == "__main__":
    main()
