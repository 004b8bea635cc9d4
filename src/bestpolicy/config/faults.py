"""From findings to sentences: place, what was seen, what is allowed, the nearest right word."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bestpolicy.config.places import Fault, Keys, Page
from bestpolicy.config.schema import StudySection

EACH = "*"  # stands for whatever name a mapping of sections has


def _sections(model: type[BaseModel], at: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Every section by the way to it, lists left out."""
    found: dict[tuple[str, ...], Any] = {at: model}
    for name, field in model.model_fields.items():
        for inner in _models(field.annotation):
            each = (EACH,) if get_origin(field.annotation) is dict else ()
            found |= _sections(inner, (*at, name, *each))
    return found


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


SECTIONS: dict[tuple[str, ...], type[BaseModel]] = _sections(StudySection)
INNER: dict[tuple[str, ...], str] = {  # what an item of a list, or a named section, may be
    (
        "policies",
    ): "a mapping with `call`, or `model` and `prompt`, or `model`, `learned` and `prompts`",
    ("inputs",): "a text, or a mapping of columns to values",
    ("constraints",): "a mapping with `metric` and `max`",
    ("models", EACH): "a mapping of price, requests_per_minute, concurrency, timeout_s",
}


def near(seen: object, allowed: Iterable[str]) -> str:
    """`; did you mean "right"?`, or nothing when no allowed word is near."""
    words = {word.lower(): word for word in allowed}
    found = get_close_matches(str(seen).lower(), words, n=1, cutoff=0.6)
    return f"; did you mean {words[found[0]]!r}?" if found else ""


def show(value: object, most: int = 60) -> str:
    """A value as its YAML would write it, cut to a line."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    text = repr(value)
    return text if len(text) <= most else text[:most] + "…"


def from_pydantic(page: Page, error: ValidationError) -> list[Fault]:
    """One fault per place: what several branches of a union say about a value is said once."""
    faults: dict[Keys, Fault] = {}
    for found in error.errors(include_url=False):
        fault = _fault(page, found)
        faults.setdefault(fault.keys, fault)
    return [
        fault
        for keys, fault in faults.items()
        # A list is not wrong besides its items.
        if not any(other[: len(keys)] == keys and other != keys for other in faults)
    ]


def _fault(page: Page, found: ErrorDetails) -> Fault:
    keys = _in_file(page, found["loc"])
    if found["type"] == "extra_forbidden":
        return page.fault(keys, _unknown(keys), at_name=True)
    if found["type"] == "missing":
        return page.fault(keys, f"is required: {_allowed(keys)}")
    seen = found["input"]
    return page.fault(keys, f"must be {_allowed(keys)}, saw {show(seen)}{_hint(keys, seen)}")


def _in_file(page: Page, loc: tuple[str | int, ...]) -> Keys:
    """The part of pydantic's location that is in the file; it also names union branches.

    A missing or unknown key is one step beyond what the file has.
    """
    keys: Keys = ()
    for step in loc:
        if (*keys, step) in page.values:
            keys = (*keys, step)
        elif isinstance(step, str) and step in _fields(keys):
            return (*keys, step)
    return keys


def _general(keys: Keys) -> tuple[str, ...]:
    words = tuple(key for key in keys if isinstance(key, str))
    return (*words[:1], EACH, *words[2:]) if words[:1] == ("models",) and words[1:] else words


def _fields(keys: Keys) -> list[str]:
    model = SECTIONS.get(_general(keys))
    if model is None or (len(keys) == 1 and keys[0] in ("policies", "constraints")):
        return []
    return list(model.model_fields)


def _allowed(keys: Keys) -> str:
    """The description of the nearest described field around this value."""
    general = _general(keys)
    if general in INNER and (len(keys) > len(general) or EACH in general):
        return INNER[general]
    if general[:2] == ("policies", "matrix") and len(general) > 2:
        return "a list with at least one value"
    while general:
        field = SECTIONS.get(general[:-1], StudySection).model_fields.get(general[-1])
        if field is not None and field.description:
            return field.description
        general = general[:-1]
    return "a mapping"


def _unknown(keys: Keys) -> str:
    name = str(keys[-1])
    fields = _fields(keys[:-1])
    hint = near(name, fields)
    if not hint:
        homes = sorted((s for s, m in SECTIONS.items() if name in m.model_fields), key=len)
        hint = f"; it belongs under {'.'.join(homes[0]) or 'the top level'}" if homes else ""
    return f"unknown key; allowed: {', '.join(fields)}{hint}"


def _hint(keys: Keys, seen: Any) -> str:
    name = keys[-1] if keys else ""
    if isinstance(seen, str):
        if name == "structure":
            return near(seen, ("free", "bradley-terry", "features", "auto"))
        if name == "order":
            return near(seen, ("both", "random"))
        if name == "metric":
            return near(seen, ("cost_usd", "latency_s", "failure_rate"))
        if seen.lower() in ("yes", "on", "y", "true"):
            return "; did you mean true?"
        if seen.lower() in ("no", "off", "n", "false"):
            return "; did you mean false?"
        if _is_number(seen):
            return f"; did you mean {seen} without quotes?"
        if name == "call" and "." in seen and ":" not in seen:
            return f"; did you mean {':'.join(seen.rsplit('.', 1))!r}?"
    if isinstance(seen, int | float) and not isinstance(seen, bool):
        if name == "confidence" and 50 < seen < 100:
            return f"; did you mean {seen / 100:g}?"
        if name == "confidence" and 0 < seen < 0.5:
            return f"; did you mean {1 - seen:g}?"
        if name == "indifference" and 1 <= seen < 50:
            return f"; did you mean {seen / 100:g}?"
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
