"""Figures for the docs; without matplotlib (the extra `plots`) a sentence says so instead."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def save(draw: Callable[[Axes], None], path: Path, console: Console, *, wide: float = 9) -> None:
    """Draw on fresh axes and write them as SVG, the same bytes for the same figures."""
    if find_spec("matplotlib") is None:
        console.print(f"{path.name} was not drawn: it needs matplotlib; install the extra `plots`")
        return
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "bestpolicy", "font.size": 9}):
        figure = Figure(figsize=(wide, 4.2), layout="constrained")
        draw(figure.add_subplot())
        figure.savefig(path, metadata={"Date": None})
    console.print(f"figure: {path}")
