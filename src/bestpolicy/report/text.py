"""Other people's text, made fit for a page: every character is seen and none does anything."""

from __future__ import annotations

import json
from typing import Any

# A browser drops or acts on these; their pictures can be seen. Line breaks and tabs may stay.
_SEEN = {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\n\t"} | {
    0x7F: "␡",
    **dict.fromkeys((*range(55296, 57344), *range(128, 160)), "�"),
    # Marks that turn the reading direction, and could make a text look like another one.
    **dict.fromkeys((*range(8234, 8239), *range(8294, 8298)), "�"),
}


def seen(text: str) -> str:
    """The text with a picture for each character that would not show."""
    return text.replace("\r\n", "\n").translate(_SEEN)


def shortened(text: str, most: int) -> str:
    """At most so many characters, the middle left out: names tend to differ at their ends."""
    text = seen(" ".join(text.split()))
    if len(text) <= most:
        return text
    return f"{text[: most - most // 2 - 1]}…{text[len(text) - most // 2 :]}"


def cut(text: str, most: int) -> tuple[str, int]:
    """The beginning of a text, and how many characters are left out."""
    return (seen(text), 0) if len(text) <= most else (seen(text[:most]), len(text) - most)


def safe_json(value: Any) -> str:
    """JSON that may stand in a script element: it holds no <, > or &, so it cannot end one."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
