"""What all figures are drawn with: colours with their dark twins, axes, rows, dots and whiskers.

Every colour is a light one that `DARK` maps to its dark twin in the browser, so that one figure is
readable in both. Names are a user's: plotly reads some HTML in labels, so that they are escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from bestpolicy.core.nouns import Interval
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
    "rgb(254, 254, 254)": "rgb(22, 24, 29)",
}
PAPER = "rgb(255, 255, 255)"
BEHIND = "rgb(254, 254, 254)"  # labels that stand on a line: the page's own colour
ROW = 46  # pixels of a labelled row
DOLLAR = "&#36;"  # two plain ones in a label are taken for a formula


def library() -> str:
    """All of plotly.js: a file that is mailed must not fetch anything."""
    return str(get_plotlyjs())


def rows_of(labels: Sequence[str]) -> tuple[go.Figure, list[float]]:
    """An empty figure with a label above each row, and the rows' heights."""
    figure, top = go.Figure(), [float(len(labels) - i) for i in range(len(labels))]
    for label, y in zip(labels, top, strict=True):
        figure.add_annotation(note(label_of(label, 44), y + 0.2))
    figure.update_layout(layout(height=ROW * len(labels) + 44, left=14, bottom=30))
    figure.update_yaxes(range=[0.55, len(labels) + 0.72], showticklabels=False, showgrid=False)
    figure.update_xaxes(zeroline=True, zerolinecolor=RULE)
    return figure, top


def dots_of(
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


def whiskered(dots: go.Scatter, values: Sequence[Interval]) -> go.Scatter:
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


def note(text: str, y: float) -> dict[str, Any]:
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


def layout(*, height: int, left: int, bottom: int) -> dict[str, Any]:
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


def label_of(name: str, most: int = 40) -> str:
    return escape(shortened(name, most), quote=False).replace("$", DOLLAR)


def as_figure(figure: go.Figure) -> str:
    drawn = figure.to_dict()
    return safe_json({"data": drawn["data"], "layout": drawn["layout"]})
