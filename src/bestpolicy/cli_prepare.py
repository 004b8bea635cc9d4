"""The commands before a study: `init` writes one, `check` looks at it without a record."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import click

from bestpolicy.terminal import DONE, FAILED, json_option, people, print_json


@click.command()
@click.option(
    "--prompts",
    multiple=True,
    type=click.Path(),
    help="A prompt's file, with {{column}} places; say it for each, or list them after it.",
)
@click.option("--data", type=click.Path(), help="The inputs: a csv, jsonl or parquet file.")
@click.argument("more", nargs=-1, type=click.Path())
@json_option
def init(prompts: tuple[str, ...], data: str | None, more: tuple[str, ...], as_json: bool) -> int:
    """Write a study.yaml that runs, and its JSON Schema for editors.

    With prompts and data, a study of those: bestpolicy init --prompts a.txt b.txt --data f.csv.
    Without, an example with two prompts and sixty sums. Nothing that is there is overwritten.
    """
    from pathlib import Path

    from bestpolicy.prepare import begin

    begun = begin(Path(), [*prompts, *more], data)
    with people(as_json) as console:
        for path in begun.files:
            console.print(f"wrote {path}", markup=False)
        for note in begun.notes:
            console.print(f"note: {note}", markup=False)
        console.print("next: bestpolicy check study.yaml, then bestpolicy run study.yaml")
    if as_json:
        print_json({"init": {"files": [str(path) for path in begun.files], "notes": begun.notes}})
    return DONE


@click.command()
@click.argument("study", type=click.Path())
@click.option(
    "--canaries",
    type=click.IntRange(0, 1000),
    default=10,
    show_default=True,
    help="Pairs of each kind whose right answer is known, put before the judge.",
)
@click.option(
    "--samples",
    type=click.IntRange(1, 1000),
    default=2,
    show_default=True,
    help="Calls per policy; more of them make the forecast surer where a check judges.",
)
@json_option
def check(study: str, canaries: int, samples: int, as_json: bool) -> int:
    """Look at a study before it runs: two calls per policy, the judge, the cost.

    Nothing is recorded. Exit code 5 says that a policy or the judge gave no answer.
    """
    from bestpolicy.config import connect, load
    from bestpolicy.probe import probe
    from bestpolicy.report.probed import as_json as probe_json
    from bestpolicy.report.probed import as_text

    file = load(study)
    with people(as_json) as console, closing(connect(file)) as players:
        status: Any = console.status("") if console.is_terminal else None

        def watch(doing: str) -> None:
            if status is not None:
                status.update(doing)

        if status is not None:
            status.start()
        try:
            found = probe(file, players, samples=samples, canaries=canaries, watch=watch)
        finally:
            if status is not None:
                status.stop()
        console.print(as_text(file.name, found))
    if as_json:
        print_json({"check": probe_json(file.name, found)})
    return FAILED if found.failures else DONE
