"""`bestpolicy check`: what a study would ask, looked at before it asks, and without a record.

A few calls per policy show that every model answers and what an answer takes. Pairs whose right
answer is known show what the judge is worth. What a verdict will cost is foreseen by playing
studies like this one (foresee.py) at what an answer takes:

    tokens of a policy   read and written in the samples, + what other inputs are longer by
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from bestpolicy.config import Players, StudyFile
from bestpolicy.core.evidence import share_interval
from bestpolicy.core.nouns import Array, ConfigError
from bestpolicy.core.rng import stream
from bestpolicy.core.talk import Failed, Reply
from bestpolicy.foresee import Course, Met, courses
from bestpolicy.llm.canaries import KINDS, canary, fared
from bestpolicy.llm.checks import Check
from bestpolicy.llm.judges import CheckJudge, FunctionJudge, LlmJudge
from bestpolicy.llm.players import Called, Player, Prompted, length
from bestpolicy.report.probed import Bench, Forecast, Probe, Probed, Range, Sample

ROWS = 400  # inputs over which prompts are measured


def probe(
    file: StudyFile,
    players: Players,
    *,
    samples: int,
    canaries: int,
    watch: Callable[[str], object],
) -> Probe:
    """Ask each policy a few times, and the judge what he should know."""
    rng = stream(file.section.seed, "check")
    rows: Sequence[Any] = file.rows or [{}]
    _check_rows(file, players)
    drawn = [rows[i] for i in rng.choice(len(rows), min(samples, len(rows)), replace=False)]
    found = []
    for policy in file.policies:
        if (player := players.answers.get(policy.id)) is None:
            continue
        watch(f"asking {policy.id}")
        found.append(_policy(policy.id, player, drawn, rows))
    judge = _judge(file, players, found, canaries, watch)
    inputs = None if file.rows is None else len(rows)
    made = Probe(found, judge, inputs)
    if found and not made.failures and all(policy.samples for policy in found):
        fresh = [not policy.cached for policy in found]
        check = players.judge.check if isinstance(players.judge, CheckJudge) else None
        made.forecast = _forecast(made, courses(file, _met(found, check), fresh, watch))
    return made


def _check_rows(file: StudyFile, players: Players) -> None:
    """Refuse to try prompts whose columns only live traffic will bring."""
    if file.rows is not None:
        return
    for name, player in players.answers.items():
        if isinstance(player, Prompted) and player.columns:
            raise ConfigError(
                f"policy {name!r} needs the column {player.columns[0]!r}, which live traffic will "
                "bring: to try it before, give a few typical rows as `inputs:`"
            )


def _forecast(at: Probe, courses: Sequence[Course]) -> Forecast:
    """What studies like this one took, at the price of these answers and this judge."""
    tokens = np.array([policy.tokens for policy in at.policies])
    took = np.array([course.answers @ tokens for course in courses])
    many = np.array([float(course.comparisons) for course in courses])
    took += many * at.judge.tokens
    usd = None
    if at.judge.usd is not None and all(policy.usd is not None for policy in at.policies):
        each = np.array([policy.usd for policy in at.policies], float)
        usd = _range(np.array([c.answers @ each for c in courses]) + many * at.judge.usd)
    return Forecast(
        len(courses),
        sum(course.decided for course in courses),
        _range(many),
        _range(np.array([course.answers.sum() for course in courses])),
        _range(took),
        usd,
    )


def _range(values: Array) -> Range:
    low, middle, high = np.quantile(values, [0.1, 0.5, 0.9]).tolist()
    return Range(middle, low, high)


def _met(found: Sequence[Probed], check: Check | None) -> Met:
    """Who won on the inputs that all answered, where a check can say so for nothing."""
    won, ties, pairs = np.zeros((len(found), len(found))), 0.0, 0.0
    if check is None:
        return Met(won)
    for i, one in enumerate(found):
        for j, other in enumerate(found[:i]):
            for a, b in zip(one.samples, other.samples, strict=False):
                first, second = check(a.row, a.text), check(b.row, b.text)
                pairs, ties = pairs + 1, ties + (first == second)
                won[i, j] += first > second
                won[j, i] += second > first
    return Met(won, ties, pairs)


def _policy(name: str, player: Player, drawn: Sequence[Any], rows: Sequence[Any]) -> Probed:
    made = Probed(name)
    if isinstance(player, Called):
        for row in drawn:
            try:
                text = player.function(row)
                made.samples.append(Sample(row, str(text), 0, 0, 0.0, 0.0))
            except (Exception, SystemExit) as error:  # a user's function may raise anything
                made.failures.append(f"raised {type(error).__name__}: {error}"[:300])
        return made
    prompts = [player.ask(row, seed) for seed, row in enumerate(drawn)]
    made.cached = not (player.chooses or prompts[0].drawn)
    shown = []
    for row, prompt, end in zip(drawn, prompts, player.model.complete(prompts), strict=True):
        if isinstance(end, Failed):
            made.failures.append(end.reason)
        else:
            shown.append(length(prompt))
            made.samples.append(
                Sample(row, end.text, end.tokens_in, end.tokens_out, end.usd, end.seconds)
            )
    _average(made, player, rows, shown)
    return made


def _average(made: Probed, player: Prompted, rows: Sequence[Any], shown: Sequence[int]) -> None:
    """What one answer takes over all inputs: prompts are measured, answers are as sampled, of
    which each model was `shown` so many characters."""
    if not made.samples:
        return
    usual = sum(player.length(row) for row in rows[:ROWS]) / len(rows[:ROWS])
    longer = usual - sum(shown) / len(shown)
    read = sum(s.tokens_in for s in made.samples) / len(made.samples)
    written = sum(s.tokens_out for s in made.samples) / len(made.samples)
    # A row's own text: about four characters make a token in most languages and vocabularies.
    made.tokens = max(0.0, read + longer / 4) + written
    known = player.model.most_usd(player.ask(made.samples[0].row, 0)) is not None
    made.usd = sum(s.usd for s in made.samples) / len(made.samples) if known else None


def _judge(
    file: StudyFile,
    players: Players,
    found: Sequence[Probed],
    canaries: int,
    watch: Callable[[str], object],
) -> Bench:
    bench = Bench(file.judge_kind)
    judge = players.judge
    answers = [(s.row, s.text) for p in found for s in p.samples]
    if not isinstance(judge, LlmJudge | FunctionJudge | CheckJudge) or not answers:
        return bench
    seen: list[Reply] = []
    known = True
    if isinstance(judge, LlmJudge):
        prompt = judge.ask(answers[0][0], answers[0][1], answers[0][1], 0)
        known = judge.model.most_usd(prompt) is not None

    def share(row: Any, first: str, second: str) -> float | None:
        try:
            return _share(judge, row, first, second, seen, bench)
        except (Exception, SystemExit) as error:
            bench.failures.append(f"raised {type(error).__name__}: {error}"[:300])
            return None

    _orders(found, share, bench, watch)
    if not isinstance(judge, CheckJudge) and not bench.failures:
        for kind in KINDS:
            watch(f"putting {canaries} {kind} canaries before the judge")
            shares = []
            for number in range(canaries):
                row, text = answers[number % len(answers)]
                put = canary(kind, text, number)
                one, other = share(row, put, text), share(row, text, put)
                if one is None or other is None:
                    break
                shares.append((one + 1 - other) / 2)
            if shares:
                bench.canaries.append(fared(kind, shares))
    if seen:
        looks = 2 if file.section.judge.order == "both" else 1
        bench.tokens = looks * sum(s.tokens_in + s.tokens_out for s in seen) / len(seen)
        bench.usd = looks * sum(s.usd for s in seen) / len(seen) if known else None
    return bench


def _orders(
    found: Sequence[Probed],
    share: Callable[[Any, str, str], float | None],
    bench: Bench,
    watch: Callable[[str], object],
) -> None:
    """Pairs of different answers to the same input, in both orders."""
    watch("asking the judge in both orders")
    agree = first = 0.0
    for one, other in pairwise(found):
        for a, b in zip(one.samples, other.samples, strict=False):
            if a.text == b.text or a.row is not b.row:
                continue
            there, back = share(a.row, a.text, b.text), share(a.row, b.text, a.text)
            if there is None or back is None:
                return
            bench.pairs += 1
            agree += (there > 0.5) - (there < 0.5) == (back < 0.5) - (back > 0.5)
            first += (there + back) / 2
    if bench.pairs:
        n = bench.pairs
        bench.agreement = share_interval(agree, n - agree)
        bench.first = share_interval(first, n - first)


def _share(
    judge: LlmJudge | FunctionJudge | CheckJudge,
    row: Any,
    first: str,
    second: str,
    seen: list[Reply],
    bench: Bench,
) -> float | None:
    if not isinstance(judge, LlmJudge):
        return judge.share(row, first, second)
    (end,) = judge.model.complete([judge.ask(row, first, second, 0)])
    if isinstance(end, Failed):
        bench.failures.append(end.reason)
        return None
    seen.append(end)
    return judge.read(end.text)
