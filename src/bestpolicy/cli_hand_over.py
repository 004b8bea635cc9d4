"""The commands that hand a study over: its raw record, and its report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from bestpolicy.terminal import DONE, json_option, people, print_json

study_argument = click.argument("study", type=click.Path())
FORMATS = ("csv", "jsonl", "parquet", "trl-dpo")


@click.command()
@study_argument
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False), help="A .csv, .jsonl or .parquet file."
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(FORMATS),
    help="Default: by file name. trl-dpo writes prompt, chosen, rejected as JSON lines.",
)
@click.option(
    "--open", "still_open", is_flag=True, help="The duels that wait for an answer instead."
)
@json_option
def export(
    study: str, output: str | None, kind: str | None, still_open: bool, as_json: bool
) -> int:
    """Write the raw record, a line per duel in ask order.

    It goes to standard output, or to the file of --output.
    """
    from bestpolicy.core.nouns import Outcome
    from bestpolicy.report.raw import format_of, parquet, preferences, raw_rows, written
    from bestpolicy.run.texts import prompt_of, texts_of

    kind = kind or format_of(output)
    if kind == "parquet" and output is None:
        raise click.UsageError("parquet is no text: name a file with --output")
    with people(as_json) as console, stored(study) as opened:
        outcomes, names = opened.study.outcomes(), opened.study.policies
        if still_open:
            waiting = opened.study.in_flight()
            outcomes = [Outcome(opened.study.question(duel), None) for duel in waiting]
        asked = [outcome.comparison for outcome in outcomes]
        rows = raw_rows(outcomes, names)
        texts = list(texts_of(opened.file, opened.calls, asked, names))
        if kind == "trl-dpo":
            prompts = [prompt_of(opened.file, comparison) for comparison in asked]
            rows = preferences(rows, prompts, texts)
        else:
            for row, (left, right) in zip(rows, texts, strict=True):
                row["left_text"], row["right_text"] = left, right
        if output is not None:
            _write(output, parquet(rows) if kind == "parquet" else written(rows, kind).encode())
            many = "preference pairs" if kind == "trl-dpo" else "duels"
            console.print(f"{len(rows):,} {many} written to {output}", markup=False)
    if as_json:
        about: dict[str, Any] = {"file": output, "format": kind, "rows": len(rows)}
        print_json({"export": about if output is not None else about | {"duels": rows}})
    elif output is None:
        click.echo(written(rows, kind), nl=False)
    return DONE


@click.command()
@study_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False),
    default="report.html",
    show_default=True,
    help="The file to write; one that is there is replaced.",
)
@json_option
def report(study: str, output: str, as_json: bool) -> int:
    """Write one HTML file that says it all, to mail or to print.

    It needs nothing else: figures, texts and numbers are inside.
    """
    from bestpolicy import __version__
    from bestpolicy.report.page import render
    from bestpolicy.report.tables import as_json as report_json
    from bestpolicy.report.tables import headline
    from bestpolicy.run import constraints, snapshot
    from bestpolicy.run.report import dossier

    with people(as_json) as console, stored(study) as opened:
        at = snapshot(opened, kept=constraints(opened, None))
        page = render(dossier(opened, at, __version__)).encode()
        _write(output, page)
        console.print(f"{at.name}: {headline(at.verdict)}", markup=False)
        console.print(f"report written to {output} ({len(page) / 1e6:.1f} MB)", markup=False)
    if as_json:
        print_json(report_json(at) | {"report": {"file": output, "bytes": len(page)}})
    return DONE


@contextmanager
def stored(study: str) -> Iterator[Any]:
    """The study of this file, which must have been run before."""
    from bestpolicy.config import load
    from bestpolicy.core.nouns import ConfigError
    from bestpolicy.run import open_study

    file = load(study)
    if not file.database.exists():
        raise ConfigError(
            f"{study}: nothing recorded yet, no file {file.database.name}; "
            f"start with: bestpolicy run {study}"
        )
    with open_study(file) as opened:
        yield opened


def _write(output: str, content: bytes) -> None:
    from pathlib import Path

    try:
        Path(output).write_bytes(content)
    except OSError as error:
        raise click.UsageError(f"cannot write {output}: {error.strerror}") from None
