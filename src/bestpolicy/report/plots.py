"""The figures of a study's report, as JSON for plotly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from bestpolicy.core.nouns import Array, Interval
from bestpolicy.report.allocation import Spent
from bestpolicy.report.dossier import Trail
from bestpolicy.report.drawing import (
    COLOURS,
    DARK,
    INK,
    QUIET,
    RULE,
    as_figure,
    dots_of,
    label_of,
    layout,
    note,
    rows_of,
    whiskered,
)

DASHES = ("solid", "dot")
MOST = 12  # lines in one figure
OPEN = 0.95  # a range of a share that is wider says nothing


@dataclass(frozen=True, slots=True)
class Line:
    """How one policy is drawn."""

    policy: int
    colour: str
    dash: str
    width: float

    @property
    def dark(self) -> str:
        return DARK[self.colour]


def lines(ranking: Sequence[int]) -> list[Line]:
    """Colours first, then dashes, for as many as can be told apart."""
    n = len(COLOURS)
    return [
        Line(i, COLOURS[at % n], DASHES[at // n], 1.7 if at else 3.0)
        for at, i in enumerate(ranking[:MOST])
    ]


def evidence(trail: Trail, shown: Sequence[Line], names: Sequence[str]) -> str:
    """Log evidence against each policy over the answers; a line ends where the policy leaves."""
    climbs = [(line, *_until_out(trail, line.policy)) for line in shown]
    return _climb(trail, climbs, trail.bar, names, "a policy leaves here", "is out by")


def leaves_below(trail: Trail, shown: Sequence[Line]) -> bool:
    """Whether a policy leaves at a moment when this evidence is below the bar."""
    ends = [_until_out(trail, line.policy) for line in shown]
    return any(bool((out & (y < trail.bar)).any()) for y, out in ends)


def _until_out(trail: Trail, policy: int) -> tuple[Array, NDArray[np.bool_]]:
    """Evidence while the policy is in, nan after; and the moments when it leaves."""
    alive = trail.alive[:, policy]
    before = np.concatenate([[True], alive[:-1]])
    y = np.where(alive | before, trail.evidence[:, policy], np.nan)
    return y, before & ~alive & np.isfinite(y)


def proof(trail: Trail, shown: Sequence[Line], names: Sequence[str], leader: int) -> str:
    """Log proof that the last leader beats each rival, at the moments when it led."""
    climbs = []
    led = trail.leader == leader
    for line in shown:
        if line.policy == leader:
            continue
        y = np.where(led, trail.proof[:, line.policy], np.nan)
        done = np.isinf(y)
        first = done & ~np.concatenate([[False], done[:-1]])
        climbs.append((line, np.where(done, np.where(first, trail.proof_bar, np.nan), y), first))
    return _climb(trail, climbs, trail.proof_bar, names, "proven here", "is proven beaten by")


def _climb(
    trail: Trail,
    climbs: Sequence[tuple[Line, Array, NDArray[np.bool_]]],
    bars: Array,
    names: Sequence[str],
    at_bar: str,
    at_end: str,
) -> str:
    """Lines on their way to a bar, a cross where one arrives."""
    figure, bar = go.Figure(), float(bars.max())
    finite = np.concatenate([[0.0], *[y[np.isfinite(y)] for _, y, _ in climbs]])
    low, high = max(float(finite.min()), -0.6 * bar), min(max(float(finite.max()), bar), 1.6 * bar)
    for line, y, ends in reversed(climbs):
        label = label_of(names[line.policy])
        figure.add_scatter(
            x=trail.at.tolist(),
            y=[round(value, 4) if isfinite(value) else None for value in y.tolist()],
            mode="lines",
            line={"color": line.colour, "width": line.width, "dash": line.dash},
            meta=label,
            hovertemplate="%{meta}<br>after %{x:,} answers: %{y:.2f}<extra></extra>",
        )
        if ends.any():
            figure.add_scatter(
                x=trail.at[ends].tolist(),
                y=np.minimum(y[ends], high).tolist(),
                mode="markers",
                marker={"color": line.colour, "size": 9, "symbol": "x"},
                meta=label,
                hovertemplate=f"%{{meta}} {at_end} %{{x:,}} answers<extra></extra>",
            )
    figure.add_scatter(
        x=trail.at.tolist(),
        y=bars.tolist(),
        mode="lines",
        line={"color": INK, "width": 1.2, "dash": "dash", "shape": "hv"},
        hovertemplate=f"{at_bar}: %{{y:.2f}}<extra></extra>",
    )
    for at in trail.resets:
        figure.add_vline(x=at, line={"color": QUIET, "width": 1, "dash": "dot"})
    room = 0.06 * (high - low)
    figure.update_layout(layout(height=340, left=34, bottom=44))
    height = f": {bar:.2f}" if bars.min() == bar else ""
    figure.add_annotation(note(at_bar + height, float(bars[0])))
    figure.update_xaxes(
        title={"text": "answers", "standoff": 8}, rangemode="tozero", tickformat=","
    )
    figure.update_yaxes(range=[low - room, high + 2 * room], zeroline=True, zerolinecolor=RULE)
    return as_figure(figure)


def spending(pairs: Sequence[Spent], names: Sequence[str]) -> str:
    """The share of comparisons that each pair had, beside the one it should have had."""
    labels = [f"{names[one.loser]} against {names[one.rival]}" for one in pairs]
    figure, top = rows_of(labels)
    figure.add_bar(
        x=[100 * one.used for one in pairs],
        y=top,
        orientation="h",
        width=0.24,
        marker={"color": COLOURS[0]},
        hovertemplate="used: %{x:.1f}%<extra></extra>",
    )
    # Below the bar, as a range may be as wide as the figure; one that says nothing is not drawn.
    known = [
        (y - 0.25, one.best) for y, one in zip(top, pairs, strict=True) if one.best is not None
    ]
    said = "optimal at the shares seen: %{x:.1f}% [%{customdata[0]:.1f}%, %{customdata[1]:.1f}%]"
    for symbol, rows in (
        ("diamond", [(y, b) for y, b in known if b.high - b.low < OPEN]),
        ("diamond-open", [(y, b) for y, b in known if b.high - b.low >= OPEN]),
    ):
        best = [Interval(100 * b.value, 100 * b.low, 100 * b.high) for _, b in rows]
        dots = dots_of(best, [y for y, _ in rows], COLOURS[1], symbol, said)
        figure.add_trace(dots if symbol == "diamond-open" else whiskered(dots, best))
    widest = max([one.used for one in pairs] + [b.value for _, b in known])
    figure.update_xaxes(range=[0, min(100.0, 160 * widest) or 1], ticksuffix="%", nticks=7)
    return as_figure(figure)


def means(values: Sequence[tuple[str, Interval]], *, prefix: str = "", suffix: str = "") -> str:
    """One dot and its interval for each policy."""
    figure, top = rows_of([name for name, _ in values])
    said = (
        f"{prefix}%{{x:.4~g}}{suffix} "
        f"[{prefix}%{{customdata[0]:.4~g}}{suffix}, {prefix}%{{customdata[1]:.4~g}}{suffix}]"
    )
    intervals = [interval for _, interval in values]
    dots = dots_of(intervals, top, COLOURS[0], "circle", said)
    figure.add_trace(whiskered(dots, intervals))
    most = max(interval.high for interval in intervals)
    figure.update_xaxes(range=[0, 1.06 * most or 1], tickprefix=prefix, ticksuffix=suffix, nticks=5)
    return as_figure(figure)
