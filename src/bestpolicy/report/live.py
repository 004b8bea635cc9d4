"""Live progress on a terminal: evidence against each rival, as bars that grow to the bar."""

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

EVERY = 0.125  # seconds between two drawings
ROWS = 12


@contextmanager
def live(look: Callable[[], Snapshot], console: Console) -> Iterator[Callable[[], None]]:
    """Draws what `look` sees whenever the caller says that something happened."""
    if not console.is_terminal:
        yield lambda: None
        return
    drawn = 0.0
    # Transient: the verdict that follows says all of it again.
    with Live(console=console, auto_refresh=False, transient=True) as display:

        def update() -> None:
            nonlocal drawn
            if time.monotonic() - drawn >= EVERY:
                display.update(picture(look()), refresh=True)
                drawn = time.monotonic()

        yield update


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
    return Group(Text(f"{at.name}  {_clock(at)}", style="bold"), table)


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
        words.append(f"about {forecast:,.0f} more to a decision")
    words.append(f"{at.seconds:.0f} s")
    return " · ".join(words)
