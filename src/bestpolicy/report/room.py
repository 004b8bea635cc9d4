"""The room that pages are made in: templates of ours, filled with values, no logic of anybody's.

Whatever a study or a stranger has said goes through the template's escaping; a value that is
missing is a defect and no blank.
"""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bestpolicy.report.text import seen

__all__ = ["Environment", "room"]


def room(folder: Path) -> Environment:
    """The templates of one folder. Only those are ever loaded, by their names."""
    made = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["seen"] = seen
    return made
