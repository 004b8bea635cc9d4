"""`bestpolicy learn`: a log in, a policy out, or the reason why there is none."""

from __future__ import annotations

from typing import Any

import click

from bestpolicy.cli_columns import FILE, columns, page, progress, said_columns, writable
from bestpolicy.terminal import DONE, UNDECIDED, json_option, people, print_json

METHODS = "auto, cf-dr-dso, dso, dso-summed, dso-self, sdm, dr, is, regression or potec"


@click.command()
@FILE
@columns
@click.option(
    "--bank",
    type=click.Path(),
    help="Sentences of the generator to each query and prompt, parquet or JSON lines; the log then "
    "has columns query_id and sentence, and all chances (--propensities).",
)
@click.option(
    "--embedder",
    type=click.Choice(["minilm", "wordllama"]),
    default="minilm",
    show_default=True,
    help="Of sentences: the one that hears better, or the fast one.",
)
@click.option(
    "--method",
    default="auto",
    show_default=True,
    metavar="NAME",
    help=f"{METHODS}.",
)
@click.option(
    "--tau",
    type=click.FloatRange(0, min_open=True),
    help="Width of the kernel, in median distances.  [default: found by value]",
)
@click.option(
    "--held-out",
    type=float,
    default=0.3,
    show_default=True,
    help="Share of the rows that only value what was learnt.",
)
@click.option(
    "--steps", type=click.IntRange(1), default=2000, show_default=True, help="Of each candidate."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option(
    "--confidence", type=float, default=0.95, show_default=True, help="Between 0.5 and 1."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False),
    default="policy.npz",
    show_default=True,
    help="Write the policy into this file.",
)
@click.option(
    "--report", type=click.Path(dir_okay=False), help="Write an HTML report into this file."
)
@json_option
def learn(
    file: str,
    bank: str | None,
    embedder: str,
    method: str,
    tau: float | None,
    held_out: float,
    steps: int,
    seed: int,
    confidence: float,
    output: str,
    report: str | None,
    as_json: bool,
    **said: Any,
) -> int:
    """Learn from a log which prompt to take in which context, and say what that is worth.

    FILE is read as by `bestpolicy logs describe`. Three candidates learn from 70 % of the rows; the
    rest say which is best and what it earns. A study takes the policy as `learned: FILE`, and
    `bestpolicy evaluate --target learned:FILE` values it on rows that it has not seen.

    Exit codes: 0 a policy was written; 2 usage, or a row that no log can hold; 3 refused, as the
    log cannot carry a policy: nothing is written.
    """
    from bestpolicy import logs as room
    from bestpolicy.offpolicy.learn import Unsupported
    from bestpolicy.report import learned as words

    writable(output)
    writable(report)
    if not 0.5 < confidence < 1:
        raise click.UsageError(f"--confidence must be between 0.5 and 1, saw {confidence:g}")
    keep = list(room.OF_BANKS) if bank else []
    with people(as_json) as console, progress(console, file) as watch:
        log = room.open_log(file, said_columns(said), "learn", keep=keep, ids=True)
        sentences = None
        if bank is not None:
            watch("embedding sentences")
            log, sentences = room.beside(log, bank, embedder)
        refusal = ""
        try:
            about, found = room.lesson(
                *(file, log),
                watch=watch,
                method=method,
                bank=sentences,
                tau=tau,
                held_out=held_out,
                steps=steps,
                seed=seed,
                confidence=confidence,
            )
        except Unsupported as error:
            refusal = str(error)
            console.print(f"refused: {refusal}", style="bold red", markup=False)
        else:
            found.save(output)
            lesson = words.Lesson(about, found, output)
            made = page(report, file, lambda who: _render(lesson, who))
    if refusal:
        if as_json:
            print_json({"learned": None, "refused": refusal})
        return UNDECIDED
    with people(as_json) as console:
        console.print(words.as_text(lesson))
        console.print(f"policy written to {output}", markup=False)
        if report is not None:
            console.print(made, markup=False)
    if as_json:
        print_json(words.as_json(lesson))
    return DONE


def _render(lesson: Any, who: Any) -> str:
    from bestpolicy.report.lesson import render_lesson

    return render_lesson(lesson, who)
