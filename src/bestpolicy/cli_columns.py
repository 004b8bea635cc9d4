"""What commands that read logs share: the options that name columns, progress, and reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

ONE = ("action", "reward", "propensity", "logger", "time", "id", "weight")


FILE = click.argument("file", type=click.Path())
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
output_option = click.option(
    "-o", "--output", type=click.Path(dir_okay=False), help="Write an HTML report into this file."
)


def columns(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which column is what."""
    for option in reversed(_COLUMNS):
        command = option(command)
    return command


def said_columns(given: dict[str, Any]) -> dict[str, Any]:
    """The columns as the reader takes them."""
    said: dict[str, Any] = {part: given[part] for part in ONE}
    said |= {"bounds": given["bounds"], "missing": given["missing"], "format": given["kind"]}
    wide = listed(given["propensities"])
    if any("=" in one for one in wide):
        said["propensities"] = dict(_pair("--propensities", "ACTION", one) for one in wide)
    elif wide:
        said["propensities"] = wide[0] if len(wide) == 1 else wide
    if loggers := listed(given["loggers"]):
        said["loggers"] = dict(_pair("--loggers", "NAME", one) for one in loggers)
    return said | {"context": listed(given["context"]), "guess": given["guess"]}


def _pair(option: str, what: str, word: str) -> tuple[str, str]:
    name, sign, column = word.partition("=")
    if not sign:
        raise click.UsageError(f"{option} takes {what}=COLUMN for each, saw {word!r}")
    return name, column


def listed(words: str | None) -> list[str]:
    return [word.strip() for word in words.split(",") if word.strip()] if words else []


@contextmanager
def progress(console: Console, file: str) -> Iterator[Callable[[str], None]]:
    """Words on how far it has come: in place on a terminal, else a line now and then."""
    from rich.text import Text

    from bestpolicy.logs import EVERY, LINE, paced

    name = Path(file).name
    if not console.is_terminal:
        yield paced(lambda words: console.print(f"{name}: {words}", markup=False), LINE)
        return
    with console.status(Text(f"{name}: reading")) as status:
        yield paced(lambda words: status.update(Text(f"{name}: {words}")), EVERY)


def writable(output: str | None) -> None:
    if output is not None and not Path(output).absolute().parent.is_dir():
        raise click.UsageError(f"cannot write {output}: there is no such folder")


def pages() -> Any:
    from bestpolicy.report import logs as pages

    return pages


def page(output: str | None, file: str, render: Callable[[Any], str]) -> str:
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
    content = render(pages().Made(__version__, created, command)).encode()
    try:
        Path(output).write_bytes(content)
    except OSError as error:
        raise click.UsageError(f"cannot write {output}: {error.strerror}") from None
    return f"report written to {output} ({len(content) / 1e6:.2g} MB)"
