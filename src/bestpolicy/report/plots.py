"""The report's figures, as JSON for plotly: numbers and shapes here, colours by name of a palette.

Every colour is a light one that `DARK` maps to its dark twin in the browser, so that one figure is
readable in both. Names are a user's: plotly reads some HTML in labels, so that they are escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import isfinite
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.offline import get_plotlyjs

from bestpolicy.core.nouns import Array, Interval
from bestpolicy.report.allocation import Spent
from bestpolicy.report.dossier import Trail
from bestpolicy.report.text import safe_json, shortened

# Told apart by the colour-blind too (Okabe and Ito), darkened for white paper; each with its twin.
INK, QUIET, RULE = "rgb(28, 32, 38)", "rgb(92, 99, 110)", "rgb(226, 229, 233)"
COLOURS = (
    "rgb(0, 98, 168)",
    "rgb(196, 78, 0)",
    "rgb(0, 128, 96)",
    "rgb(168, 72, 134)",
    "rgb(150, 110, 0)",
    "rgb(64, 120, 150)",
)
DARK = {
    INK: "rgb(232, 234, 238)",
    QUIET: "rgb(160, 167, 178)",
    RULE: "rgb(52, 57, 66)",
    COLOURS[0]: "rgb(96, 176, 240)",
    COLOURS[1]: "rgb(255, 146, 84)",
    COLOURS[2]: "rgb(70, 204, 164)",
    COLOURS[3]: "rgb(232, 150, 202)",
    COLOURS[4]: "rgb(226, 186, 70)",
    COLOURS[5]: "rgb(140, 190, 214)",
    "rgb(255, 255, 255)": "rgb(30, 33, 39)",
}
PAPER = "rgb(255, 255, 255)"
DASHES = ("solid", "dot")
MOST = 12  # lines in one figure
ROW = 46  # pixels of a labelled row
DOLLAR = "&#36;"  # two plain ones in a label are taken for a formula
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


def library() -> str:
    """All of plotly.js: a file that is mailed must not fetch anything."""
    return str(get_plotlyjs())


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
        label = _label(names[line.policy])
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
    figure.update_layout(_layout(height=340, left=34, bottom=44))
    height = f": {bar:.2f}" if bars.min() == bar else ""
    figure.add_annotation(_note(at_bar + height, float(bars[0])))
    figure.update_xaxes(
        title={"text": "answers", "standoff": 8}, rangemode="tozero", tickformat=","
    )
    figure.update_yaxes(range=[low - room, high + 2 * room], zeroline=True, zerolinecolor=RULE)
    return _json(figure)


def spending(pairs: Sequence[Spent], names: Sequence[str]) -> str:
    """The share of comparisons that each pair had, beside the one it should have had."""
    labels = [f"{names[one.loser]} against {names[one.rival]}" for one in pairs]
    figure, top = _rows(labels)
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
        dots = _dots(best, [y for y, _ in rows], COLOURS[1], symbol, said)
        figure.add_trace(dots if symbol == "diamond-open" else _whiskered(dots, best))
    widest = max([one.used for one in pairs] + [b.value for _, b in known])
    figure.update_xaxes(range=[0, min(100.0, 160 * widest) or 1], ticksuffix="%", nticks=7)
    return _json(figure)


def means(values: Sequence[tuple[str, Interval]], *, prefix: str = "", suffix: str = "") -> str:
    """One dot and its interval for each policy."""
    figure, top = _rows([name for name, _ in values])
    said = (
        f"{prefix}%{{x:.4~g}}{suffix} "
        f"[{prefix}%{{customdata[0]:.4~g}}{suffix}, {prefix}%{{customdata[1]:.4~g}}{suffix}]"
    )
    intervals = [interval for _, interval in values]
    dots = _dots(intervals, top, COLOURS[0], "circle", said)
    figure.add_trace(_whiskered(dots, intervals))
    most = max(interval.high for interval in intervals)
    figure.update_xaxes(range=[0, 1.06 * most or 1], tickprefix=prefix, ticksuffix=suffix, nticks=5)
    return _json(figure)


def _rows(labels: Sequence[str]) -> tuple[go.Figure, list[float]]:
    """An empty figure with a label above each row, and the rows' heights."""
    figure, top = go.Figure(), [float(len(labels) - i) for i in range(len(labels))]
    for label, y in zip(labels, top, strict=True):
        figure.add_annotation(_note(_label(label, 44), y + 0.2))
    figure.update_layout(_layout(height=ROW * len(labels) + 44, left=14, bottom=30))
    figure.update_yaxes(range=[0.55, len(labels) + 0.72], showticklabels=False, showgrid=False)
    figure.update_xaxes(zeroline=True, zerolinecolor=RULE)
    return figure, top


def _dots(
    values: Sequence[Interval], y: Sequence[float], colour: str, symbol: str, said: str
) -> go.Scatter:
    return go.Scatter(
        x=[v.value for v in values],
        y=list(y),
        mode="markers",
        marker={
            "color": colour,
            "size": 10,
            "symbol": symbol,
            "line": {"color": colour, "width": 1.5},
        },
        customdata=[[v.low, v.high] for v in values],
        hovertemplate=f"{said}<extra></extra>",
    )


def _whiskered(dots: go.Scatter, values: Sequence[Interval]) -> go.Scatter:
    return dots.update(
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [v.high - v.value for v in values],
            "arrayminus": [v.value - v.low for v in values],
            "color": dots.marker.color,
            "thickness": 1.4,
            "width": 3,
        }
    )


def _note(text: str, y: float) -> dict[str, Any]:
    """A text that stands on a height, at the left."""
    return {
        "text": text,
        "x": 0,
        "xref": "paper",
        "y": y,
        "xanchor": "left",
        "yanchor": "bottom",
        "showarrow": False,
        "font": {"size": 12, "color": INK},
    }


def _layout(*, height: int, left: int, bottom: int) -> dict[str, Any]:
    axis = {
        "gridcolor": RULE,
        "zeroline": False,
        "fixedrange": True,  # a finger that scrolls the page must not zoom the figure
        "automargin": False,
        "tickfont": {"color": QUIET, "size": 12},
        "title": {"font": {"color": QUIET, "size": 12}},
    }
    return {
        "template": "none",
        "height": height,
        "margin": {"l": left, "r": 12, "t": 8, "b": bottom},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "color": INK, "size": 13},
        "showlegend": False,
        "dragmode": False,
        "hovermode": "closest",
        "hoverlabel": {
            "bgcolor": PAPER,
            "bordercolor": QUIET,
            "align": "left",
            "font": {"color": INK, "size": 13},
        },
        "xaxis": axis,
        "yaxis": axis,
    }


def _label(name: str, most: int = 40) -> str:
    return escape(shortened(name, most), quote=False).replace("$", DOLLAR)


def _json(figure: go.Figure) -> str:
    drawn = figure.to_dict()
    return safe_json({"data": drawn["data"], "layout": drawn["layout"]})
