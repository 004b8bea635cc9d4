"""How a command speaks and leaves: text, JSON, signals, complaints, exit codes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any, TextIO

import click

if TYPE_CHECKING:
    from threading import Event

    from rich.console import Console

    from bestpolicy.core.nouns import Verdict

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object; text goes to standard error."
)
executor_option = click.option(
    "--executor",
    default="processes",
    show_default=True,
    metavar="ENGINE",
    help="processes, ray (a cluster of this machine) or ray://HOST:PORT.",
)
DONE, DIFFERS, USAGE, UNDECIDED, INFEASIBLE, FAILED, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130


def refuse(error: Exception, as_json: bool) -> int:
    """Say what went wrong; the exit code that belongs to it."""
    from bestpolicy.config import FaultyFile
    from bestpolicy.core.nouns import BestPolicyError, ConfigError, StoreError

    match error:
        case FaultyFile():
            faults = [
                {"line": f.line, "column": f.column, "path": f.where, "message": f.message}
                for f in error.faults
            ]
            extra = {"file": error.path, "faults": faults}
            return complain("config", str(error), USAGE, as_json, extra=extra)
        case ConfigError():
            return complain("config", str(error), USAGE, as_json)
        case BestPolicyError():
            kind = "store" if isinstance(error, StoreError) else "play"
            return complain(kind, str(error), FAILED, as_json)
        case _:
            # A defect of ours: never let Python's own exit code 1 pass for a verdict.
            import traceback

            traceback.print_exception(error)
            message = f"a defect in bestpolicy: {type(error).__name__}: {error}"
            return complain("defect", message, FAILED, as_json)


def exit_code(verdict: Verdict[str], *, stopped: bool) -> int:
    """What a run's verdict leaves with."""
    if verdict.final:
        return INFEASIBLE if verdict.kind == "infeasible" else DONE
    return INTERRUPTED if stopped else UNDECIDED


def complain(
    kind: str,
    message: str,
    code: int,
    as_json: bool,
    *,
    hint: str = "",
    extra: dict[str, Any] | None = None,
) -> int:
    """An error as text on standard error, and as the one JSON object if that was asked for."""
    click.echo(f"{message}{hint}", err=True)
    if as_json:
        about = {"kind": kind, "message": message, "exit": code}
        print_json({"error": about | (extra or {})})
    return code


def print_json(value: dict[str, Any], out: TextIO | None = None) -> None:
    """The one object on standard output; `out` where that is lent to people."""
    click.echo(json.dumps(value, allow_nan=False, ensure_ascii=False), file=out)


@contextmanager
def people(as_json: bool) -> Iterator[Console]:
    """A console for people. What a study's own functions print must not get between the JSON."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else 120  # a pipe has no width; do not fold at 80
    if as_json:
        with redirect_stdout(sys.stderr):
            yield Console(stderr=True, width=width, highlight=False)
    else:
        yield Console(width=width, highlight=False)


@contextmanager
def stop_on_signal() -> Iterator[Event]:
    """An event that the first Ctrl-C sets; the second one leaves at once, which is safe too:
    whatever was acknowledged is on disk."""
    import signal
    from threading import Event

    stop = Event()

    def asked(*_: object) -> None:
        if stop.is_set():
            os._exit(INTERRUPTED)
        stop.set()
        click.echo("stopping after what is in flight; again to stop at once", err=True)

    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, asked) for number in signals}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def known(what: str, seen: str, names: Collection[str]) -> None:
    """Refuse a name that is not there, and say which is near."""
    from difflib import get_close_matches

    if seen not in names:
        near = get_close_matches(seen, list(names), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise click.UsageError(f"no {what} {seen!r}; there are {', '.join(names)}{hint}")
