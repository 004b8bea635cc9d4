"""The commands on logs: `logs describe` says what a log can answer, `evaluate` asks it.

Like the other commands they import their rooms when they run, so that help loads nothing heavy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bestpolicy.terminal import DONE, UNDECIDED, json_option, people, print_json

if TYPE_CHECKING:
    from rich.console import Console

    from bestpolicy.report.log_words import Answers

WORSE = 1
ONE = ("action", "reward", "propensity", "logger", "time", "id", "weight")

_FILE = click.argument("file", type=click.Path())
_COLUMNS = (
    click.option("--action", metavar="COLUMN", help="What was done: a prompt's name, a number."),
    click.option("--reward", metavar="COLUMN", help="What it earned."),
    click.option(
        "--propensity", metavar="COLUMN", help="The chance that this action had, in (0, 1]."
    ),
    click.option("--context", metavar="A,B,C", help="What was known before; numbers or words."),
    click.option(
        "--propensities",
        metavar="A,B,C",
        help="The chances of all actions: one column of lists, or ACTION=COLUMN for each.",
    ),
    click.option("--logger", metavar="COLUMN", help="Which of several policies chose."),
    click.option(
        "--loggers",
        metavar="NAME=COLUMN,…",
        help="Of several loggers, the column of each one's chance of what was done, by any of "
        "them; each row is then weighed against their mixture.",
    ),
    click.option("--time", metavar="COLUMN", help="When, for changes over time."),
    click.option("--id", metavar="COLUMN", help="The request, which may come only once."),
    click.option("--weight", metavar="COLUMN", help="How many rows each row stands for."),
    click.option(
        "--bounds",
        type=(float, float),
        default=(0.0, 1.0),
        show_default="0 1",
        metavar="LOW HIGH",
        help="What rewards can never leave; declared, not read off the data.",
    ),
    click.option(
        "--missing", type=float, help="What a unit without feedback counts as (live log)."
    ),
    click.option(
        "--format",
        "kind",
        metavar="NAME",
        help="csv, jsonl, parquet, arrow, vw-cb, vw-cb-adf, vw-dsjson, open-bandit or bestpolicy.  "
        "[default: what the file itself says]",
    ),
    click.option(
        "--guess", is_flag=True, help="Take columns by their usual names; what was taken is shown."
    ),
)
_output = click.option(
    "-o", "--output", type=click.Path(dir_okay=False), help="Write an HTML report into this file."
)


def columns(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which column is what."""
    for option in reversed(_COLUMNS):
        command = option(command)
    return command


@click.group()
def logs() -> None:
    """Ask a log what another policy would have earned, and whether it can tell.

    A log says of each request what was done, with what chance, and what it earned.
    """


@logs.command()
@_FILE
@columns
@_output
@json_option
def describe(file: str, output: str | None, as_json: bool, **said: Any) -> int:
    """Say what a log holds, whether its chances are right, and which policies it can answer for.

    FILE is parquet, Arrow, CSV, JSON lines, VW text or dsjson, an Open Bandit Dataset CSV or our
    own export. Exit codes: 0 described; 2 usage, or a row that no log can hold.
    """
    from bestpolicy import logs as room
    from bestpolicy.report import described

    _writable(output)
    with people(as_json) as console, _progress(console, file) as watch:
        log = room.open_log(file, _said(said), "logs describe")
        found = room.description(file, log, watch=watch)
        page = _page(output, file, lambda made: _pages().render_description(found, made))
    with people(as_json) as console:
        console.print(described.as_text(found))
        if output is not None:
            console.print(page, markup=False)
    if as_json:
        print_json(described.as_json(found))
    return DONE


@logs.command()
@_FILE
@columns
@click.option(
    "--target",
    "targets",
    multiple=True,
    required=True,
    metavar="TARGET",
    help="The policy asked about: uniform, logging, an action's name or always:NAME, column:NAME "
    "(its chances of the logged actions) or call:module:function (of contexts, to the chances "
    "of all actions). Say it again for each of several.",
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
@_output
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

    _writable(output)
    if not 0.5 < confidence < 1:
        raise click.UsageError(f"--confidence must be between 0.5 and 1, saw {confidence:g}")
    more = [*(["dm", "dr"] if model else []), *(["dr_kernel"] if bank else [])]
    asked = _listed(estimators) or ["ips", "snips", *more]
    keep = [*room.columns_of(targets), *([embeddings] if embeddings else [])]
    keep += room.OF_BANKS if bank else []
    with people(as_json) as console, _progress(console, file) as watch:
        meant = room.targets_of(targets, file)
        log = room.open_log(file, _said(said), _again(targets), keep=keep)
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
        page = _page(output, file, lambda made: _pages().render(found, made))
    with people(as_json) as console:
        console.print(tables.as_text(found))
        if output is not None:
            console.print(page, markup=False)
    if as_json:
        print_json(tables.as_json(found))
    return _code(found)


def _code(found: Answers) -> int:
    """What the answers leave with."""
    verdicts = {one.verdict for one in found.evaluations}
    if "better" in verdicts:
        return DONE
    return WORSE if verdicts == {"worse"} else UNDECIDED


def _said(given: dict[str, Any]) -> dict[str, Any]:
    """The columns as the reader takes them."""
    said: dict[str, Any] = {part: given[part] for part in ONE}
    said |= {"bounds": given["bounds"], "missing": given["missing"], "format": given["kind"]}
    wide = _listed(given["propensities"])
    if any("=" in one for one in wide):
        said["propensities"] = dict(_pair("--propensities", "ACTION", one) for one in wide)
    elif wide:
        said["propensities"] = wide[0] if len(wide) == 1 else wide
    if loggers := _listed(given["loggers"]):
        said["loggers"] = dict(_pair("--loggers", "NAME", one) for one in loggers)
    return said | {"context": _listed(given["context"]), "guess": given["guess"]}


def _pair(option: str, what: str, word: str) -> tuple[str, str]:
    name, sign, column = word.partition("=")
    if not sign:
        raise click.UsageError(f"{option} takes {what}=COLUMN for each, saw {word!r}")
    return name, column


def _listed(words: str | None) -> list[str]:
    return [word.strip() for word in words.split(",") if word.strip()] if words else []


def _again(targets: tuple[str, ...]) -> str:
    """The command with its targets, as it would be typed again."""
    from shlex import quote

    return " ".join(["evaluate", *(f"--target {quote(word)}" for word in targets)])


@contextmanager
def _progress(console: Console, file: str) -> Iterator[Callable[[str], None]]:
    """Words on how far it has come: in place on a terminal, else a line now and then."""
    from rich.text import Text

    from bestpolicy.logs import EVERY, LINE, paced

    name = Path(file).name
    if not console.is_terminal:
        yield paced(lambda words: console.print(f"{name}: {words}", markup=False), LINE)
        return
    with console.status(Text(f"{name}: reading")) as status:
        yield paced(lambda words: status.update(Text(f"{name}: {words}")), EVERY)


def _writable(output: str | None) -> None:
    if output is not None and not Path(output).absolute().parent.is_dir():
        raise click.UsageError(f"cannot write {output}: there is no such folder")


def _pages() -> Any:
    from bestpolicy.report import logs as pages

    return pages


def _page(output: str | None, file: str, render: Callable[[Any], str]) -> str:
    """Write the report, if one was asked for; what to say of it."""
    if output is None:
        return ""
    import shlex
    import sys
    from datetime import UTC, datetime

    from bestpolicy import __version__

    arguments = sys.argv[1:] if Path(sys.argv[0]).stem in ("bestpolicy", "__main__") else [file]
    command = f"bestpolicy {shlex.join(arguments)}"
    created = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    content = render(_pages().Made(__version__, created, command)).encode()
    try:
        Path(output).write_bytes(content)
    except OSError as error:
        raise click.UsageError(f"cannot write {output}: {error.strerror}") from None
    return f"report written to {output} ({len(content) / 1e6:.2g} MB)"
