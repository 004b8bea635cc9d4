"""The commands on logs: `logs describe` says what a log can answer, `evaluate` asks it.

Like the other commands they import their rooms when they run, so that help loads nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bestpolicy.cli_columns import (
    FILE,
    columns,
    listed,
    output_option,
    page,
    pages,
    progress,
    said_columns,
    writable,
)
from bestpolicy.terminal import DONE, UNDECIDED, json_option, people, print_json

if TYPE_CHECKING:
    from bestpolicy.report.log_words import Answers

WORSE = 1


@click.group()
def logs() -> None:
    """Ask a log what another policy would have earned, and whether it can tell.

    A log says of each request what was done, with what chance, and what it earned.
    """


@logs.command()
@FILE
@columns
@output_option
@json_option
def describe(file: str, output: str | None, as_json: bool, **said: Any) -> int:
    """Say what a log holds, whether its chances are right, and which policies it can answer for.

    FILE is parquet, Arrow, CSV, JSON lines, VW text or dsjson, an Open Bandit Dataset CSV or our
    own export. Exit codes: 0 described; 2 usage, or a row that no log can hold.
    """
    from bestpolicy import logs as room
    from bestpolicy.report import described

    writable(output)
    with people(as_json) as console, progress(console, file) as watch:
        log = room.open_log(file, said_columns(said), "logs describe")
        found = room.description(file, log, watch=watch)
        made = page(output, file, lambda about: pages().render_description(found, about))
    with people(as_json) as console:
        console.print(described.as_text(found))
        if output is not None:
            console.print(made, markup=False)
    if as_json:
        print_json(described.as_json(found))
    return DONE


@logs.command()
@FILE
@columns
@click.option(
    "--target",
    "targets",
    multiple=True,
    required=True,
    metavar="TARGET",
    help="The policy asked about: uniform, logging, an action's name or always:NAME, column:NAME "
    "(its chances of the logged actions) call:module:function (of contexts, to the chances "
    "of all actions) or learned:FILE (what `bestpolicy learn` wrote). Say it again for each of "
    "several.",
)
@click.option(
    "--estimators",
    metavar="A,B,C",
    help="ips, snips, clipped_ips, dm, dr, switch_dr, dros, mips, off_cem, kernel_is, dr_kernel.  "
    "[default: ips,snips; with --model also dm,dr; with --bank also dr_kernel]",
)
@click.option(
    "--model",
    type=click.Choice(["ridge", "boosted"]),
    help="Of the reward, for estimators that need one.  [default: ridge]",
)
@click.option("--embeddings", metavar="COLUMN", help="What actions look like, for mips.")
@click.option(
    "--bank",
    type=click.Path(),
    help="Sentences of the generator to each query and prompt, parquet or JSON lines, for "
    "kernel_is and dr_kernel; the log then has columns query_id and sentence.",
)
@click.option(
    "--embedder",
    type=click.Choice(["minilm", "wordllama"]),
    default="minilm",
    show_default=True,
    help="Of sentences: the one that hears better, or the fast one.",
)
@click.option(
    "--daily",
    is_flag=True,
    help="You look at this log as it grows: bet so that the answer holds at every look, after each "
    "day of --time or each 64th of the rows.",
)
@click.option("--tau", type=float, help="Width of the kernel.  [default: found by SLOPE]")
@click.option(
    "--confidence", type=float, default=0.95, show_default=True, help="Between 0.5 and 1."
)
@output_option
@json_option
def evaluate(
    file: str,
    targets: tuple[str, ...],
    estimators: str | None,
    model: str | None,
    embeddings: str | None,
    bank: str | None,
    embedder: str,
    tau: float | None,
    daily: bool,
    confidence: float,
    output: str | None,
    as_json: bool,
    **said: Any,
) -> int:
    """Say what another policy would have earned, and whether the log can tell.

    FILE is read as by `bestpolicy logs describe`. Exit codes: 0 a target is better than the policy
    that logged; 1 all are worse; 2 usage, or a row that no log can hold; 3 undecided, or the log
    cannot answer.
    """
    from bestpolicy import logs as room
    from bestpolicy.report import log_tables as tables

    writable(output)
    if not 0.5 < confidence < 1:
        raise click.UsageError(f"--confidence must be between 0.5 and 1, saw {confidence:g}")
    more = [*(["dm", "dr"] if model else []), *(["dr_kernel"] if bank else [])]
    asked = listed(estimators) or ["ips", "snips", *more]
    keep = [*room.columns_of(targets), *([embeddings] if embeddings else [])]
    keep += room.OF_BANKS if bank else []
    with people(as_json) as console, progress(console, file) as watch:
        meant = room.targets_of(targets, file)
        log = room.open_log(
            file, said_columns(said), _again(targets), keep=keep, ids=room.has_learned(targets)
        )
        sentences = None
        if bank is not None:
            watch("embedding sentences")
            log, sentences = room.beside(log, bank, embedder)
        found = room.answers(
            *(file, log, meant),
            confidence=confidence,
            watch=watch,
            estimators=[name.replace("-", "_") for name in asked],
            asked=room.Asked(model, embeddings, bank=sentences, tau=tau),
            daily=daily,
        )
        made = page(output, file, lambda about: pages().render(found, about))
    with people(as_json) as console:
        console.print(tables.as_text(found))
        if output is not None:
            console.print(made, markup=False)
    if as_json:
        print_json(tables.as_json(found))
    return _code(found)


def _code(found: Answers) -> int:
    """What the answers leave with."""
    verdicts = {one.verdict for one in found.evaluations}
    if "better" in verdicts:
        return DONE
    return WORSE if verdicts == {"worse"} else UNDECIDED


def _again(targets: tuple[str, ...]) -> str:
    """The command with its targets, as it would be typed again."""
    from shlex import quote

    return " ".join(["evaluate", *(f"--target {quote(word)}" for word in targets)])
