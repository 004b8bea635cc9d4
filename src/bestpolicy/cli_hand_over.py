"""The commands that hand a study over: its raw record, and its report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from bestpolicy.terminal import DONE, json_option, people, print_json

study_argument = click.argument("study", type=click.Path())
FORMATS = ("csv", "jsonl", "parquet", "trl-dpo", "log")


@click.command()
@study_argument
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False), help="A .csv, .jsonl or .parquet file."
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(FORMATS),
    help="Default: by file name. trl-dpo writes prompt, chosen, rejected as JSON lines; log writes "
    "live traffic with its chances, in the form that the file's name says.",
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

    live = kind == "log"
    kind = format_of(output) if live or kind is None else kind
    if kind == "parquet" and output is None:
        raise click.UsageError("parquet is no text: name a file with --output")
    with people(as_json) as console, stored(study) as opened:
        if live:
            return _export_log(opened, output, kind, as_json, console)
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


def _export_log(opened: Any, output: str | None, kind: str, as_json: bool, console: Any) -> int:
    """Every unit, what it got and gave back, as what learns from logs reads it."""
    from bestpolicy.live.look import LOGGED, log_rows
    from bestpolicy.report.raw import parquet, written

    rows = list(log_rows(opened.study))
    if output is not None:
        _write(output, parquet(rows) if kind == "parquet" else written(rows, kind, LOGGED).encode())
        console.print(f"{len(rows):,} units written to {output}", markup=False)
    if as_json:
        about: dict[str, Any] = {"file": output, "format": "log", "rows": len(rows)}
        print_json({"export": about if output is not None else about | {"units": rows}})
    elif output is None:
        click.echo(written(rows, kind, LOGGED), nl=False)
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
    from bestpolicy.live import look as live
    from bestpolicy.live.report import report as live_report
    from bestpolicy.report.page import render
    from bestpolicy.report.tables import as_json as report_json
    from bestpolicy.report.tables import headline
    from bestpolicy.run import constraints, snapshot
    from bestpolicy.run.report import dossier

    with people(as_json) as console, stored(study) as opened:
        if live.is_live(opened.file):
            traffic = live.look(opened.study, opened.file)
            verdict, found = traffic.verdict, live.as_json(traffic)
            text = live_report(traffic, opened.file, __version__)
        else:
            at = snapshot(opened, kept=constraints(opened, None))
            verdict, found = at.verdict, report_json(at)
            text = render(dossier(opened, at, __version__))
        page = text.encode()
        _write(output, page)
        console.print(f"{opened.study.name}: {headline(verdict)}", markup=False)
        console.print(f"report written to {output} ({len(page) / 1e6:.2g} MB)", markup=False)
    if as_json:
        print_json(found | {"report": {"file": output, "bytes": len(page)}})
    return DONE


@contextmanager
def stored(study: str) -> Iterator[Any]:
    """The study of this file, which must have been run before."""
    from bestpolicy.config import load
    from bestpolicy.core.nouns import ConfigError
    from bestpolicy.run import open_study
    from bestpolicy.store import has_study
    from bestpolicy.store.address import is_server

    file = load(study)
    if not has_study(file.store, file.name):
        what = f"nothing in {file.record}" if is_server(file.store) else f"no file {file.record}"
        how = "serve" if file.judge_kind in ("human", "live") else "run"
        raise ConfigError(
            f"{study}: nothing recorded yet, {what}; start with: bestpolicy {how} {study}"
        )
    with open_study(file) as opened:
        yield opened


def _write(output: str, content: bytes) -> None:
    from pathlib import Path

    try:
        Path(output).write_bytes(content)
    except OSError as error:
        raise click.UsageError(f"cannot write {output}: {error.strerror}") from None
