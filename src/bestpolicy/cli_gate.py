"""The command `gate`: a candidate against the baseline, for a build that passes or fails.

Like the other commands it imports its rooms when it runs, so that help loads nothing heavy.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bestpolicy.terminal import (
    DONE,
    INTERRUPTED,
    UNDECIDED,
    json_option,
    people,
    print_json,
    stop_on_signal,
)

if TYPE_CHECKING:
    from bestpolicy.study import Study

WORSE = 1
SUMMARY = "GITHUB_STEP_SUMMARY"  # a file that a build server shows as the summary of a step


@click.command()
@click.argument("study", type=click.Path())
@click.option("--baseline", required=True, metavar="ID", help="The policy in use.")
@click.option("--candidate", required=True, metavar="ID", help="The policy that may replace it.")
@click.option(
    "--margin",
    type=float,
    help="How far below one half the candidate's share may be.  [default: 0.05; 0 for superiority]",
)
@click.option(
    "--goal",
    type=click.Choice(["non-inferiority", "superiority"]),
    default="non-inferiority",
    show_default=True,
    help="Prove that it is not worse by more than the margin, or that it is better.",
)
@click.option("--confidence", type=float, help="Between 0.5 and 1.  [default: the study file's]")
@click.option(
    "--comparisons",
    type=click.IntRange(1),
    help="Give up after so many.  [default: the study file's budget, else 2000]",
)
@click.option("--minutes", type=float, help="Give up after so long.")
@click.option("--junit", type=click.Path(dir_okay=False), help="Write JUnit XML into this file.")
@click.option(
    "--markdown", type=click.Path(dir_okay=False), help="Write a Markdown summary into this file."
)
@json_option
def gate(
    study: str,
    baseline: str,
    candidate: str,
    margin: float | None,
    goal: str,
    confidence: float | None,
    comparisons: int | None,
    minutes: float | None,
    junit: str | None,
    markdown: str | None,
    as_json: bool,
) -> int:
    """Prove that a candidate is not worse than the baseline, or better, or worse.

    STUDY is a YAML file with both policies. Exit codes: 0 proven better, or not worse by more than
    the margin; 1 proven worse; 2 usage or a wrong file; 3 neither proven within the budget;
    5 a policy, the judge or the store failed, which says nothing of quality; 130 interrupted.
    Ctrl-C stops after what is in flight; the same command resumes. If GITHUB_STEP_SUMMARY names a
    file, the Markdown summary is added to it.
    """
    import time
    from typing import cast

    from rich.text import Text

    from bestpolicy.config import load
    from bestpolicy.core.nouns import ConfigError
    from bestpolicy.designs.gate import Goal
    from bestpolicy.gate import question_of, run_gate
    from bestpolicy.report import gate as report
    from bestpolicy.report.tables import verdict_json

    began = time.monotonic()
    file = load(study)
    question = question_of(
        file,
        baseline,
        candidate,
        goal=cast("Goal", goal),
        margin=margin,
        confidence=confidence,
    )
    for output in (junit, markdown):
        if output is not None and not Path(output).absolute().parent.is_dir():
            raise click.UsageError(f"cannot write {output}: there is no such folder")

    def write(xml: str, summary: str) -> None:
        for output, text in ((junit, xml), (markdown, summary)):
            if output is not None:
                _write(Path(output), text)
        _add_to_summary(summary)

    with people(as_json) as console, stop_on_signal() as stop, console.status("") as status:

        def watch(at: Study) -> None:
            status.update(Text(f"{question.claim}? {at.verdict().comparisons:,} comparisons"))

        try:
            found = run_gate(
                file, question, comparisons=comparisons, minutes=minutes, stop=stop, watch=watch
            )
        except ConfigError:
            raise
        except Exception as error:
            kind, message = type(error).__name__, str(error)
            xml = report.junit_of_error(question, kind, message, time.monotonic() - began)
            write(xml, report.markdown_of_error(question, message))
            raise
        interrupted = stop.is_set() and not found.verdict.final
        for line in found.lines:
            console.print(Text(line))
        if interrupted:
            message = "interrupted; everything answered is saved, the same command resumes"
            console.print(message)
            xml = report.junit_of_error(question, "interrupted", message, found.seconds)
            write(xml, report.markdown_of_error(question, message))
        else:
            write(report.junit(found), report.markdown(found))
    if as_json:
        print_json(
            {
                "gate": report.as_json(found),
                "verdict": verdict_json(found.verdict),
                "warnings": list(found.warnings),
                "cost": {"calls": found.calls, "seconds": round(found.seconds, 3)},
                "replay": found.record_hash,
            }
        )
    if interrupted:
        return INTERRUPTED
    if found.finding == "worse":
        return WORSE
    return DONE if found.passes else UNDECIDED


def _write(output: Path, text: str) -> None:
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"cannot write {output}: {error.strerror}") from None


def _add_to_summary(text: str) -> None:
    """A summary that cannot be written is no reason to withhold the verdict."""
    if not (place := os.environ.get(SUMMARY)):
        return
    try:
        with Path(place).open("a", encoding="utf-8") as summary:
            summary.write(text)
    except OSError as error:
        click.echo(f"cannot add to {SUMMARY} {place}: {error.strerror}", err=True)
