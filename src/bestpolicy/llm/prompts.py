"""Prompts with {{column}} places: filled once, without logic, so that users' text is only text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

Row = Mapping[str, Any]
PLACE = re.compile(r"\{\{\s*(.*?)\s*\}\}")


def places(prompt: str) -> list[str]:
    """The columns that a prompt is filled from, each once."""
    return list(dict.fromkeys(PLACE.findall(prompt)))


def fill(prompt: str, row: Row, quoted: Callable[[str], str] = str) -> str:
    """The prompt with each {{column}} replaced by its value.

    What a value contains is only text: `{{...}}` inside it is left as it stands.
    """
    return PLACE.sub(lambda place: quoted(as_text(row[place[1]])), prompt)


def as_text(value: Any) -> str:
    """A value as a prompt shows it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
