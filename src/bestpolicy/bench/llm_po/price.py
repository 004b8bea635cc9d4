"""What two promises cost: that there may be no winner, and that the stop is a proof.

    winner or none    comparisons of "is there a winner, and which" over those of "which"
    proof             comparisons of the certificate over those of the habitual stop, same runs

The habit is the generalised likelihood ratio of designs/paper.py against log((1 + log t) / delta):
no theorem covers it, so its wrong answers are counted beside ours. A run that the certificate ends
before the habit does counts as that long for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from bestpolicy.bench.llm_po.figure import Figure, Row, bars, counted, number, percent
from bestpolicy.bench.llm_po.plays import (
    DELTA,
    Match,
    Plays,
    is_mistaken,
    once,
    quotient,
    spread,
)
from bestpolicy.core.glr import bar
from bestpolicy.core.loop import number as numbered
from bestpolicy.core.nouns import Verdict
from bestpolicy.core.rng import stream
from bestpolicy.designs import paper
from bestpolicy.worlds.preference import INSTANCES, cyclic

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CAP = 20_000
EVERY = 4  # answers between two looks at the habit's stop
# Replications: the dear ones get fewer.
OR_NONE = {"easy4": 200, "hard8": 80, "mid16": 80, "cyc8": 40, "nonborda8": 24, "feat32": 60}
PROOF = {"llm-po": 200, "paper": 24}
EDGE = "cyc8, winner tied"


class Twice(NamedTuple):
    """One run, stopped in two ways."""

    proven: int
    wrong: bool
    habit: int
    habit_wrong: bool
    habit_last: bool  # the certificate was there first


def rows(plays: Plays) -> list[Row]:
    return [*_or_none(plays), *_proof(plays)]


def _or_none(plays: Plays) -> list[Row]:
    found = []
    for name, full in OR_NONE.items():
        p, runs = INSTANCES[name]().p, plays.runs(full)
        matches = [Match(name, p), Match(name, p, assume_winner=False)]
        assumed, free = plays.each(once, matches, runs)
        spent = [[run.comparisons for run in played] for played in (assumed, free)]
        found.append(
            {
                "price": "winner or none",
                "truth": name,
                "design": "llm-po",
                "without": spread(spent[0]),
                "with": spread(spent[1]),
                "ratio": quotient(spent[1], spent[0]),
                "wrong_without": counted(sum(run.wrong for run in assumed), runs, DELTA),
                "wrong_with": counted(sum(run.wrong for run in free), runs, DELTA),
                "habit_last": None,
            }
        )
    return found


def _proof(plays: Plays) -> list[Row]:
    found = []
    truths = {name: INSTANCES[name]().p for name in ("hard8", "mid16", "cyc8", "nonborda8")}
    for design, full in PROOF.items():
        for name, p in (truths | {EDGE: cyclic(share=0.5).p}).items():
            runs = plays.runs(full)
            (played,) = plays.each(twice, [Match(name, p, design, cap=CAP)], runs)
            spent = [[run.habit for run in played], [run.proven for run in played]]
            found.append(
                {
                    "price": "proof",
                    "truth": name,
                    "design": design,
                    "without": spread(spent[0]),
                    "with": spread(spent[1]),
                    "ratio": quotient(spent[1], spent[0], paired=True),
                    "wrong_without": counted(sum(run.habit_wrong for run in played), runs, DELTA),
                    "wrong_with": counted(sum(run.wrong for run in played), runs, DELTA),
                    "habit_last": sum(run.habit_last for run in played) / runs,
                }
            )
    return found


def twice(match: Match, seed: int, r: int) -> Twice:
    """Play until the certificate's verdict, and note where the habit would have stopped."""
    design, world, order = match.begin(seed, r)
    rng = stream(seed, f"bench/llm-po/price/{match.streams}", r)
    state, asked, habit = design.init(), 0, None
    while not (verdict := design.verdict(state)).final and asked < match.cap:
        questions = numbered(design.ask(state, world.contexts(1, rng), rng, ()), asked, rng)
        asked += len(questions)
        state = design.tell(state, world.play(questions, rng))
        if habit is None and asked % EVERY == 0:
            ratio, leader = paper.glr(state.duels if isinstance(state, paper.PaperState) else state)
            if ratio < bar(asked, match.delta):
                continue
            named: Verdict[int] = Verdict("winner", leader, 1 - match.delta, (), asked, "")
            habit = asked, is_mistaken(named, match, order)
    wrong = is_mistaken(verdict, match, order)
    stop, habit_wrong = habit or (asked, wrong)
    return Twice(asked, wrong, stop, habit_wrong, habit is None)


def says(found: Sequence[Row]) -> str:
    parts = []
    for price in ("winner or none", "proof"):
        ratios = [row["ratio"]["mean"] for row in found if row["price"] == price]
        parts.append(f"{price} costs {min(ratios):.2f} to {max(ratios):.2f} times")
    worst = max(
        (row for row in found if row["price"] == "proof"),
        key=lambda row: row["wrong_without"]["share"],
    )
    return (
        f"In comparisons, {' and '.join(parts)} what going without it does; stopped by habit, "
        f"{worst['design']} is wrong in {100 * worst['wrong_without']['share']:.1f} % of runs on "
        f"{worst['truth']}, by the certificate in {100 * worst['wrong_with']['share']:.1f} % of "
        "the same runs."
    )


def cells(row: Row) -> dict[str, str]:
    first = "" if row["habit_last"] is None else f"{row['habit_last']:.0%}"
    return {
        "price of": row["price"],
        "truth": row["truth"],
        "design": row["design"],
        "without [95 %]": number(row["without"]),
        "with [95 %]": number(row["with"]),
        "ratio [95 %]": number(row["ratio"], 2),
        "wrong % without": percent(row["wrong_without"]),
        "wrong % with": percent(row["wrong_with"]),
        "certificate first": first,
        "runs": f"{row['wrong_with']['n']:,}",
    }


def draw(axes: Axes, found: Sequence[Row]) -> None:
    labels = [
        f"{row['truth']}" + ("" if row["price"] != "proof" else f"\n{row['design']}")
        for row in found
    ]
    for price, color in (("winner or none", "C0"), ("proof", "C1")):
        at = [i for i, row in enumerate(found) if row["price"] == price]
        ratios = [found[i]["ratio"] for i in at]
        axes.errorbar(
            at,
            [ratio["mean"] for ratio in ratios],
            yerr=bars(ratios),
            fmt="o",
            markersize=4,
            color=color,
            label=f"price of {price}",
        )
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xticks(range(len(found)), labels, rotation=90, fontsize=6)
    axes.set_yscale("log")
    axes.set_ylabel("comparisons with over without")
    axes.legend(fontsize=7)


FIGURE = Figure("price", "What two promises cost", rows, says, cells, draw)
