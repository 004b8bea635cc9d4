"""Live progress: on a terminal, evidence against each rival as bars that grow to the bar; else
a plain line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import isfinite

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bestpolicy.report.snapshot import Snapshot
from bestpolicy.report.tables import in_words, ranking

EVERY = 0.125  # seconds between two drawings,
SHARE = 20  # and at least so many times as long as a drawing takes
LINE = 15.0  # seconds between two plain lines
ROWS = 12


@contextmanager
def live(look: Callable[[], Snapshot], console: Console) -> Iterator[Callable[[], None]]:
    """Draws what `look` sees whenever the caller says that something happened."""
    if not console.is_terminal:
        yield _lines(look, console)
        return
    due = 0.0
    # Transient: the verdict that follows says all of it again.
    with Live(console=console, auto_refresh=False, transient=True) as display:

        def update() -> None:
            nonlocal due
            began = time.monotonic()
            if began >= due:
                display.update(picture(look()), refresh=True)
                due = time.monotonic() + max(EVERY, SHARE * (time.monotonic() - began))

        yield update


def _lines(look: Callable[[], Snapshot], console: Console) -> Callable[[], None]:
    """A line of progress every so often, for logs."""
    due = time.monotonic() + LINE

    def update() -> None:
        nonlocal due
        if time.monotonic() >= due:
            at = look()
            console.print(f"{at.name}: {_clock(at)}; leads: {at.policies[at.standing.leader]}")
            due = time.monotonic() + LINE

    return update


def picture(at: Snapshot) -> RenderableType:
    """Leader, survivors, evidence against each rival, and how long it may still take."""
    standing = at.standing
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("policy", "state", "evidence that it loses", "proof that the leader beats it"):
        table.add_column(column)
    table.add_column("share against its rival", justify="right")
    order = ranking(at)
    for i in order[:ROWS]:
        leads = i == standing.leader
        state = "leads" if leads else "survives" if standing.alive[i] else "out"
        table.add_row(
            Text(at.policies[i], style="bold" if leads else "" if standing.alive[i] else "dim"),
            state,
            _bar(float(standing.evidence[i]), standing.drop_bar),
            "" if leads else _bar(float(standing.proof[i]), standing.proof_bar),
            in_words(at.against(i, at.rival(i))),
        )
    if len(order) > ROWS:
        table.add_row(f"… and {len(order) - ROWS} more")
    health = _judge(at)
    return Group(
        Text(f"{at.name}  {_clock(at)}", style="bold"),
        table,
        *([Text(health, style="dim")] if health else []),
        *[Text(f"warning: {warning}", style="yellow") for warning in at.warnings()[:4]],
    )


def _judge(at: Snapshot) -> str:
    """How the judge does, in a line."""
    judge = at.judge()
    words = [
        f"{name} {in_words(value)}"
        for name, value in (
            ("first shown wins", judge.position),
            ("ties", judge.ties),
            ("both orders agree", judge.agreement),
        )
        if value is not None
    ]
    return "judge: " + " · ".join(words) if words else ""


def _bar(evidence: float, bar: float) -> RenderableType:
    """Log evidence on its way to the bar; less than none is drawn as none."""
    reached = 1.0 if evidence >= bar else max(0.0, evidence / bar)
    return ProgressBar(total=1.0, completed=reached, width=20)


def _clock(at: Snapshot) -> str:
    told, forecast = len(at.outcomes), at.standing.forecast
    words = [f"{told:,} comparisons" + (f" of {at.budget:,}" if at.budget else "")]
    words.append(f"{int(at.standing.alive.sum())} of {len(at.policies)} survive")
    if at.verdict.final:
        words.append("decided")
    elif isfinite(forecast):
        words.append(f"about {forecast:,.0f} more to a decision{_price(at, forecast)}")
    words.append(f"{at.seconds:.0f} s")
    if at.usd:
        words.append(f"${at.usd:.4g}")
    if at.tokens:
        words.append(f"{at.tokens:,} tokens")
    return " · ".join(words)


def _price(at: Snapshot, more: float) -> str:
    """What the comparisons to come take, at the price and pace of those so far."""
    new = len(at.outcomes) - at.before
    if new < 10:
        return ""
    words = [f"{more * at.seconds / new / 60:,.1f} min"]
    if at.usd and at.outcomes:
        words.append(f"${more * at.usd / len(at.outcomes):.3g}")
    return f" ({', '.join(words)})"
