"""Ask, play, tell: the one loop that every study and every simulation runs.

    state_n = tell(tell(... tell(init, y_0) ..., y_n-2), y_n-1),   y_i the answer to ask number i

Evidence reads answers in the order in which they were *asked*. A verdict that arrives slowly
because of what it says then cannot bias the certificate, and any order of telling ends in the
same state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bestpolicy.core.nouns import Comparison, Design, Rng, S, Verdict, World


def rollout(
    design: Design[S],
    world: World,
    rng: Rng,
    *,
    budget: int,
    in_flight: int = 1,
    watch: Callable[[S, int], object] | None = None,
) -> Verdict[int]:
    """Play `design` in `world` until its verdict is final or `budget` comparisons are spent."""
    state = design.init()
    asked = 0
    while not (verdict := design.verdict(state)).final and asked < budget:
        n = min(in_flight, budget - asked)
        questions = number(design.ask(state, world.contexts(n, rng), rng, ()), asked, rng)
        asked += len(questions)
        state = design.tell(state, world.play(questions, rng))
        if watch is not None:
            watch(state, asked)
    return verdict


def number(comparisons: Sequence[Comparison], first: int, rng: Rng) -> list[Comparison]:
    """Give each comparison its ask number and show its arms in random order."""
    return [
        Comparison(shown(c.arms, rng), c.context, c.propensity, first + i)
        for i, c in enumerate(comparisons)
    ]


def shown(arms: tuple[int, ...], rng: Rng) -> tuple[int, ...]:
    """The arms in random order; a pair needs one coin only."""
    if len(arms) == 2:
        return arms if rng.random() < 0.5 else arms[::-1]
    return tuple(arms[a] for a in rng.permutation(len(arms)))
