"""Studies whose judge is a coin of known bias, and the dossiers of what came of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bestpolicy.core.nouns import Interval
from bestpolicy.core.rng import stream
from bestpolicy.report.dossier import (
    Basis,
    Canary,
    Command,
    Dossier,
    PolicyCost,
    choose,
    example,
)
from bestpolicy.report.length import Sized, length
from bestpolicy.report.snapshot import Pair, Snapshot
from bestpolicy.report.tables import ranking
from bestpolicy.study import Study
from bestpolicy.study.trail import trail

ROWS = [
    {
        "customer": f"Customer {i}",
        "question": f"My order {1000 + i} has not come yet. What can I do, and until when?",
    }
    for i in range(4000)
]


def play(
    strengths: Mapping[str, float],
    *,
    most: int = 100_000,
    lean: float = 0.0,
    ties: float = 0.1,
    **options: Any,
) -> Study:
    """A study of these policies, answered by a judge who leans towards what is shown first."""
    study = Study(list(strengths), **{"inputs": ROWS, "seed": 7, **options})
    answer(study, strengths, most=most, lean=lean, ties=ties)
    return study


def answer(
    study: Study,
    strengths: Mapping[str, float],
    *,
    most: int = 100_000,
    lean: float = 0.0,
    ties: float = 0.1,
) -> None:
    rng = stream(study.seed, "scripted", len(study.outcomes()))
    for _ in range(most):
        if (duel := study.ask()) is None:
            return
        p = 1 / (1 + np.exp(strengths[duel.right] - strengths[duel.left] - lean))
        share = 0.5 if rng.random() < ties else float(rng.random() < p)
        study.tell(duel, share, feedback="The clearer one, and it names a date.")


def snapshot(study: Study, *, order: str = "random") -> Snapshot:
    """What `run` makes for a study of a file."""
    pairs: dict[tuple[int, int], Pair] = {}
    for outcome in study.outcomes():
        if outcome.comparison.id < study.since:
            continue
        a, b = outcome.comparison.arms
        for key, side in (((a, b), 0), ((b, a), 1)):
            share = None if outcome.scores is None else outcome.scores[side]
            pairs[key] = pairs.get(key, Pair()).plus(share)
    return Snapshot(
        name=study.name,
        hash=study.hash,
        seed=study.seed,
        policies=study.policies,
        confidence=study.settings["confidence"],
        verdict=study.verdict(),
        standing=study.standing(),
        tallies=tuple(study.tallies().values()),
        pairs=pairs,
        outcomes=tuple(study.outcomes()),
        doubts=tuple(study.doubts()),
        changes=tuple(study.changes()),
        order=order,
        budget=None,
        in_flight=len(study.in_flight()),
        record_hash=study.record_hash(),
        calls=None,
        seconds=0.0,
    )


def dossier(study: Study, *, full: bool = True, texts: Sequence[str] = ()) -> Dossier:
    """Everything there is to say of a study; without `full`, only what the record tells."""
    at = snapshot(study)
    basis = Basis.of(
        study.settings,
        judge="openai/gpt-5-mini, asked “Which reply would the customer prefer?”",
        inputs="4,000 rows of tickets.csv, columns customer and question",
    )
    bare = Dossier(at, basis, "on 21 November 2026, 20:14 UTC", "0.1.0", trail(study))
    return filled(bare, study.since, texts or SAYS) if full else bare


def filled(bare: Dossier, since: int, texts: Sequence[str]) -> Dossier:
    """With costs, examples, canaries and commands as a log of calls would give them."""
    at = bare.snapshot
    examples = []
    for outcome in choose(at, since=since):
        left, right = outcome.comparison.arms
        told = example(outcome, at.policies)
        row = None if outcome.comparison.context is None else ROWS[outcome.comparison.context]
        text = (texts[left % len(texts)], texts[right % len(texts)])
        examples.append(replace(told, row=row, left_text=text[0], right_text=text[1]))
    costs = tuple(
        PolicyCost(
            name,
            2 * tally.comparisons,
            failed=(failed := i * 3 % 7),
            reasons={"HTTP 429: rate limit reached": failed - 1, "timed out after 60 s": 1}
            if failed > 1
            else {"timed out after 60 s": failed}
            if failed
            else {},
            usd=Interval(u := 0.0011 + 0.0004 * (i % 5), 0.93 * u, 1.09 * u),
            latency=Interval(s := 0.8 + 0.45 * (i % 4), 0.9 * s, 1.14 * s),
            tokens_in=310 * tally.comparisons,
            tokens_out=96 * tally.comparisons,
        )
        for i, (name, tally) in enumerate(zip(at.policies, at.tallies, strict=True))
    )
    rivals = [(i, rival) for i in ranking(at) if (rival := at.rival(i)) is not None]
    told = length(sizes(at), at.policies, rivals, at.confidence, left_out=1_234)
    return replace(
        bare,
        snapshot=replace(at, length=told),
        examples=tuple(examples),
        costs=costs,
        cost_note="Means per call that answered; 95% intervals that hold at every moment, for "
        "calls that cost at most twice what any did.",
        canaries=(
            Canary("a good reply against an empty one", 40, 40),
            Canary("a reply against itself with an insult added", 40, 38),
        ),
        commands=(
            Command("bestpolicy replay tickets.yaml", "computes every announced verdict again"),
            Command("bestpolicy export tickets.yaml -o tickets.jsonl", "writes the raw record"),
            Command("bestpolicy run tickets.yaml", "plays the study, or goes on with it"),
        ),
    )


def sizes(at: Snapshot) -> list[Sized]:
    """Answers whose lengths have nothing to do with who wins."""
    rng = stream(5, "lengths")
    return [
        Sized((o.comparison.arms[0], o.comparison.arms[1]), o.scores[0], float(rng.normal(0, 0.4)))
        for o in at.outcomes
        if o.scores is not None
    ]


SAYS = (
    """Hello,

I am sorry for the wait. Your parcel left our house on Tuesday and should be with you by Friday. \
If it is not, answer this mail and we will send another one at no cost.

Kind regards""",
    "Your order is on its way.",
    "Please check the tracking page. Delivery times are estimates and can not be guaranteed.",
    "Waiting is unpleasant. You may cancel until Friday, 18:00, or return it within 30 days.",
    "We have received your message and will be in touch.",
)
TICKETS = {
    "kind-and-brief": 0.0,
    "kind-and-long": -0.35,
    "plain": -0.7,
    "formal": -1.1,
    "one-line": -1.9,
}


def spread(k: int) -> dict[str, float]:
    """As many policies as a matrix of prompts, models and temperatures gives."""
    models, prompts = ("gpt-5-mini", "smollm2", "haiku", "local-7b"), ("p1", "p2", "p3", "p4", "p5")
    names = [f"{prompt}/{model}" for model in models for prompt in prompts][:k]
    return {name: -0.13 * i for i, name in enumerate(names)}


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'study.db'}"


def elements(page: str, which: str) -> Any:
    """What a script element of the page holds, as a program would read it."""
    return json.loads(page.split(f'id="{which}">')[1].split("</script>")[0])


@cache
def of_five() -> Dossier:
    """A decided study, whose judge leans."""
    return dossier(play(TICKETS, lean=1.0))


@cache
def of_twenty() -> Dossier:
    """An undecided study of more policies than are drawn."""
    return dossier(play(spread(20), most=150))
