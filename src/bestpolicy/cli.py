"""The command line: one function per command, which imports its room when it runs.

Standard output carries what was asked for and nothing else. With `--json` that is exactly one
object, errors included, and everything meant for people goes to standard error.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import closing
from typing import Any, NoReturn

import click

from bestpolicy import __version__
from bestpolicy.cli_gate import gate
from bestpolicy.cli_hand_over import export, report, stored
from bestpolicy.cli_learn import learn
from bestpolicy.cli_live import invite, serve, token, work
from bestpolicy.cli_logs import evaluate, logs
from bestpolicy.cli_measure import bench, simulate
from bestpolicy.cli_prepare import check, init
from bestpolicy.terminal import (
    DIFFERS,
    DONE,
    INTERRUPTED,
    USAGE,
    complain,
    executor_option,
    exit_code,
    json_option,
    people,
    print_json,
    refuse,
    stop_on_signal,
)

study_argument = click.argument("study", type=click.Path())


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 90})
@click.version_option(__version__, "--version", message="%(prog)s %(version)s")
def cli() -> None:
    """Find the best policy of an LLM application from comparisons, and prove it.

    Exit codes: 0 done, or proven better or not worse; 1 proven worse, or a replay differs; 2 usage
    or a wrong file; 3 undecided within the budget; 4 every policy breaks a constraint; 5 a policy,
    the judge or the store failed; 130 interrupted, state saved.
    """


@cli.command()
@study_argument
@executor_option
@json_option
def run(study: str, executor: str, as_json: bool) -> int:
    """Run a study, or resume it, and print its verdict.

    STUDY is a YAML file. Ctrl-C stops after what is in flight; the same command resumes.
    """
    import time

    from bestpolicy.config import connect, load
    from bestpolicy.fanout import engine, made
    from bestpolicy.report.live import live
    from bestpolicy.report.tables import as_json as report_json
    from bestpolicy.report.tables import as_text
    from bestpolicy.run import constraints, open_study, play, snapshot

    began = time.monotonic()
    file = load(study)
    if file.section.judge.live is not None:
        raise click.UsageError(
            f"{study} is answered by live traffic, which nobody can play: bestpolicy serve {study}"
        )
    with people(as_json) as console, stop_on_signal() as stop, engine(executor):
        players = connect(file, made=made)
        with closing(players), open_study(file, to_play=True) as opened:

            def look() -> Any:
                return snapshot(opened, seconds=time.monotonic() - began, passing=True)

            with live(look, console) as update:
                played = play(opened, players, stop=stop, watch=update)
            kept = constraints(opened, players)
            seconds = time.monotonic() - began
            at = snapshot(opened, kept=kept, played=played, seconds=seconds)
        console.print(as_text(at))
        if stop.is_set() and not at.verdict.final:
            console.print("interrupted; everything answered is saved, the same command resumes")
    if as_json:
        print_json(report_json(at))
    return exit_code(at.verdict, stopped=stop.is_set())


@cli.command()
@study_argument
@json_option
def status(study: str, as_json: bool) -> int:
    """Print where a study stands, without playing it or importing its functions."""
    from bestpolicy.live import look as live
    from bestpolicy.report.tables import as_json as report_json
    from bestpolicy.report.tables import as_text
    from bestpolicy.run import constraints, snapshot

    with people(as_json) as console, stored(study) as opened:
        if live.is_live(opened.file):
            traffic = live.look(opened.study, opened.file)
            console.print(live.as_text(traffic))
            found = live.as_json(traffic)
        else:
            at = snapshot(opened, kept=constraints(opened, None))
            console.print(as_text(at))
            found = report_json(at)
    if as_json:
        print_json(found)
    return DONE


@cli.command()
@study_argument
@json_option
def replay(study: str, as_json: bool) -> int:
    """Recompute every announced verdict from the record alone.

    The same verdict to the bit, or exit 1. For live traffic the chances that units were drawn with
    are computed again too.
    """
    from bestpolicy.live import look as live
    from bestpolicy.report.tables import as_json as report_json
    from bestpolicy.report.tables import headline, verdict_json
    from bestpolicy.run import snapshot

    with people(as_json) as console, stored(study) as opened:
        if live.is_live(opened.file):
            at: Any = live.look(opened.study, opened.file)
            told = live.replayed(opened.study, opened.file)
            names = opened.study.policies
            pairs = [(live.named(a, names), live.named(b, names)) for a, b in told.verdicts]
            same, found = told.same, live.as_json(at)
            console.print(f"{len(told.snapshots):,} snapshots that units were drawn with")
        else:
            at = snapshot(opened)
            pairs = opened.study.replay()
            same, found = all(announced == again for announced, again in pairs), report_json(at)
        for announced, again in pairs:
            console.print(f"announced:  {headline(announced)}, {announced.comparisons} comparisons")
            console.print(f"recomputed: {headline(again)}, {again.comparisons} comparisons")
        if not pairs:
            console.print("no verdict has been announced yet; the record so far says:")
            console.print(headline(at.verdict))
        if pairs or not same:
            console.print(
                "the same to the bit" if same else "NOT the same: the record or the code changed"
            )
        console.print(at.record_hash)
    if as_json:
        replayed = [
            {"announced": verdict_json(a), "recomputed": verdict_json(b), "same": a == b}
            for a, b in pairs
        ]
        print_json(found | {"same": same, "replayed": replayed})
    return DONE if same else DIFFERS


cli.add_command(report)
cli.add_command(export)
cli.add_command(init)
cli.add_command(check)
cli.add_command(simulate)
cli.add_command(bench)
cli.add_command(gate)
cli.add_command(serve)
cli.add_command(token)
cli.add_command(invite)
cli.add_command(work)
cli.add_command(logs)
cli.add_command(evaluate)
cli.add_command(learn)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and leave with its exit code."""
    sys.exit(outcome(sys.argv[1:] if arguments is None else arguments))


def outcome(arguments: Sequence[str]) -> int:
    """A command's exit code. Whatever goes wrong is said in one place, and as JSON if asked."""
    as_json = "--json" in arguments
    try:
        code = cli.main(list(arguments), prog_name="bestpolicy", standalone_mode=False)
        return int(code or 0)
    except click.ClickException as error:
        hint = "" if as_json else f"\nTry `{_path(error)} --help`."
        return complain("usage", error.format_message(), USAGE, as_json, hint=hint)
    except (KeyboardInterrupt, click.Abort):
        return complain("interrupted", "interrupted", INTERRUPTED, as_json)
    except BrokenPipeError:
        # Whoever read our output has read enough; the interpreter's own flush must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:
        return refuse(error, as_json)


def _path(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    return context.command_path if context else "bestpolicy"


if __name__ == "__main__":
    main()
