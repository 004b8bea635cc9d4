"""Templates: the pages of the server, each filled with values and with no logic of anybody's.

A page loads scripts and styles from /static alone; whatever a study or a stranger has said goes
through the template's escaping.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse

from bestpolicy.report.room import room

ROOM = room(Path(__file__).with_name("pages"))


def page(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page of ours, filled."""
    return HTMLResponse(ROOM.get_template(template).render(values), status)
