"""The figures of a log's report, as JSON for plotly: intervals, weights, drift, support."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite, log2

import plotly.graph_objects as go

from bestpolicy.core.nouns import Interval
from bestpolicy.offpolicy.pictures import Action, Bin, Part
from bestpolicy.report.drawing import (
    BEHIND,
    COLOURS,
    INK,
    ROW,
    RULE,
    as_figure,
    dots_of,
    label_of,
    layout,
    rows_of,
    whiskered,
)

MOST = 12  # rows in one figure
WIDE = 9  # pixels of the interval that holds at every n
BAR = 0.2  # octaves
NARROW = 3  # octaves, below which a little more is shown at both sides


@dataclass(frozen=True, slots=True)
class Row:
    """A number between two pairs of ends; one that the log cannot carry has the wide ends alone."""

    label: str
    low: float  # at every n
    high: float
    usual: Interval | None  # in the long run, around the number
    value: float | None = None  # the number alone, where no such interval is given


def intervals(rows: Sequence[Row], *, zero: float, said: str) -> str:
    """Each row as a broad bar (at every n) under a dot with whiskers (in the long run), with a line
    at what nothing gained would be."""
    shown = rows[:MOST]
    figure, top = rows_of([row.label for row in shown])
    for row, y in zip(shown, top, strict=True):
        figure.add_scatter(
            x=[row.low, row.high],
            y=[y, y],
            mode="lines",
            line={"color": COLOURS[5], "width": WIDE},
            opacity=0.45,
            hovertemplate=f"at every n: [{row.low:.4g}, {row.high:.4g}]<extra></extra>",
        )
    alone = [(row.value, y) for row, y in zip(shown, top, strict=True) if row.value is not None]
    figure.add_scatter(
        x=[value for value, _ in alone],
        y=[y for _, y in alone],
        mode="markers",
        marker={"color": COLOURS[0], "size": 9},
        hovertemplate="%{x:.4~g}<extra></extra>",
    )
    known = [(row.usual, y) for row, y in zip(shown, top, strict=True) if row.usual is not None]
    if known:
        values = [usual for usual, _ in known]
        text = "%{x:.4~g}, in the long run [%{customdata[0]:.4~g}, %{customdata[1]:.4~g}]"
        dots = dots_of(values, [y for _, y in known], COLOURS[0], "circle", text)
        figure.add_trace(whiskered(dots, values))
    figure.add_vline(x=zero, line={"color": INK, "width": 1.2, "dash": "dot"})
    figure.update_annotations(bgcolor=BEHIND)  # the line must not strike a label out
    ends = [zero, *(row.low for row in shown), *(row.high for row in shown)]
    ends += [end for usual, _ in known for end in (usual.low, usual.high)]
    finite = [end for end in ends if isfinite(end)]
    room = 0.05 * (max(finite) - min(finite)) or 1.0
    figure.update_layout(margin={"b": 48}, height=ROW * len(shown) + 64)
    figure.update_xaxes(
        range=[min(finite) - room, max(finite) + room],
        zeroline=False,
        nticks=6,
        title={"text": label_of(said, 60), "standoff": 8},
    )
    return as_figure(figure)


def weights(bins: Sequence[Bin], rows: float) -> str:
    """How often a weight of each size came, and how much of the sum of weights it makes."""
    figure = go.Figure()
    middle = [log2(one.low * one.high) / 2 for one in bins]
    parts = (
        ("of the rows", [100 * one.rows / rows for one in bins], COLOURS[0], -0.5),
        ("of all weight", [100 * one.share for one in bins], COLOURS[1], 0.5),
    )
    for name, shares, colour, side in parts:
        figure.add_bar(
            x=[at + side * BAR for at in middle],
            y=shares,
            width=BAR,
            marker={"color": colour},
            customdata=[[one.low, one.high] for one in bins],
            hovertemplate="weights %{customdata[0]:.3~g} to %{customdata[1]:.3~g}: %{y:.2f}% "
            f"{name}<extra></extra>",
        )
    first, last = floor(min(middle)), ceil(max(middle))
    first, last = (first - 1, last + 1) if last - first < NARROW else (first, last)
    at = range(first, last + 1, max(1, -(-(last - first) // 8)))
    figure.update_layout(layout(height=280, left=42, bottom=46), barmode="overlay")
    figure.update_xaxes(
        range=[first - 0.4, last + 0.4],
        tickvals=list(at),
        ticktext=[f"{2.0**power:,.3g}" for power in at],
        title={"text": "weight"},
    )
    figure.update_yaxes(ticksuffix="%", rangemode="tozero")
    return as_figure(figure)


def drift(parts: Sequence[Part], values: Sequence[Interval], expected: float | None) -> str:
    """A mean in each stretch of the log, with the line that it should keep to."""
    figure = go.Figure()
    names = [_stretch(part) for part in parts]
    dots = go.Scatter(
        x=list(range(1, len(parts) + 1)),
        y=[value.value for value in values],
        mode="markers",
        marker={"color": COLOURS[0], "size": 8},
        customdata=[[n, v.low, v.high] for n, v in zip(names, values, strict=True)],
        hovertemplate="%{customdata[0]}: %{y:.4~g} "
        "[%{customdata[1]:.4~g}, %{customdata[2]:.4~g}]<extra></extra>",
    )
    figure.add_trace(whiskered_up(dots, values))
    if expected is not None:
        figure.add_hline(y=expected, line={"color": INK, "width": 1.2, "dash": "dash"})
    figure.update_layout(layout(height=240, left=48, bottom=44))
    figure.update_xaxes(
        title={"text": "tenths of the log, in order"},
        tickvals=list(range(1, len(parts) + 1)),
        showgrid=False,
    )
    figure.update_yaxes(nticks=5, gridcolor=RULE)
    return as_figure(figure)


def looks(found: Sequence[tuple[int, Interval]], said: str) -> str:
    """An interval as it was at each look, and the line of no difference."""
    figure = go.Figure()
    rows = [seen for seen, _ in found]
    for side, fill in (("high", None), ("low", "tonexty")):
        edge = go.Scatter(
            x=rows,
            y=[getattr(look, side) for _, look in found],
            mode="lines",
            line={"color": COLOURS[0], "width": 1.4},
            fill=fill,
            hovertemplate="after %{x:,} rows: %{y:+.4~g}<extra></extra>",
        )
        figure.add_trace(edge)
    figure.add_hline(y=0, line={"color": INK, "width": 1.2, "dash": "dot"})
    figure.update_layout(layout(height=240, left=48, bottom=44))
    figure.update_xaxes(title={"text": f"rows seen; {said} per row"}, showgrid=False)
    figure.update_yaxes(nticks=5, gridcolor=RULE)
    return as_figure(figure)


def choices(tried: Sequence[tuple[float, Interval]], settled: float | None, said: str) -> str:
    """The value that each choice led to, with the one that was settled on."""
    figure = go.Figure()
    x = list(range(len(tried)))
    colours = [COLOURS[0] if choice == settled else COLOURS[5] for choice, _ in tried]
    dots = go.Scatter(
        x=x,
        y=[value.value for _, value in tried],
        mode="markers",
        marker={"color": colours, "size": [11 if c == settled else 8 for c, _ in tried]},
        hovertemplate="%{y:.4~g}<extra></extra>",
    )
    figure.add_trace(whiskered_up(dots, [value for _, value in tried]))
    figure.update_layout(layout(height=240, left=48, bottom=44))
    ticks = [f"{choice:.2g}" for choice, _ in tried]
    figure.update_xaxes(title={"text": said}, tickvals=x, ticktext=ticks, showgrid=False)
    figure.update_yaxes(nticks=5, gridcolor=RULE)
    return as_figure(figure)


def whiskered_up(dots: go.Scatter, values: Sequence[Interval]) -> go.Scatter:
    """Dots with their intervals, which stand upright."""
    dots.error_y = {
        "type": "data",
        "symmetric": False,
        "array": [v.high - v.value for v in values],
        "arrayminus": [v.value - v.low for v in values],
        "color": COLOURS[0],
        "thickness": 1.4,
        "width": 3,
    }
    return dots


def support(actions: Sequence[Action]) -> str:
    """How often each action was logged, beside how often the target would take it."""
    shown = actions[:MOST]
    figure, top = rows_of([one.name for one in shown])
    figure.add_bar(
        x=[100 * one.share for one in shown],
        y=top,
        orientation="h",
        width=0.24,
        marker={"color": COLOURS[0]},
        hovertemplate="logged: %{x:.2f}%<extra></extra>",
    )
    wanted = [(y - 0.25, one.target) for y, one in zip(top, shown, strict=True)]
    known = [(y, 100 * share) for y, share in wanted if share is not None]
    figure.add_scatter(
        x=[share for _, share in known],
        y=[y for y, _ in known],
        mode="markers",
        marker={"color": COLOURS[1], "size": 10, "symbol": "diamond"},
        hovertemplate="the target would: %{x:.2f}%<extra></extra>",
    )
    most = max([100 * one.share for one in shown] + [share for _, share in known])
    figure.update_xaxes(range=[0, min(104.0, 1.08 * most) or 1], ticksuffix="%", nticks=7)
    return as_figure(figure)


def wanted_most(actions: Sequence[Action]) -> list[Action]:
    """Those first that the target wants most beyond what was logged."""

    def lacks(one: Action) -> float:
        return (one.target if one.target is not None else 0.0) - one.share

    return sorted(actions, key=lambda one: (-abs(lacks(one)), -one.share))


def _stretch(part: Part) -> str:
    """When it was, where that is known."""
    from datetime import UTC, datetime

    if part.since is None:
        return f"tenth {label_of(part.name)}"
    try:
        return f"from {datetime.fromtimestamp(part.since, UTC):%Y-%m-%d %H:%M}"
    except (OverflowError, ValueError, OSError):  # seconds of a clock of their own
        return f"from {part.since:g} s"
