"""The JSON Schema of a study file, from which editors complete and check as one types."""

from __future__ import annotations

from typing import Any

from bestpolicy.config.judging import CHECKS, JUDGES
from bestpolicy.config.schema import StudySection

LINE = "# yaml-language-server: $schema="  # the first line of a file names its schema so


def schema() -> dict[str, Any]:
    """What a study file may say, for editors."""
    found = StudySection.model_json_schema()
    found["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    found["title"] = "A bestpolicy study"
    parts, top = found["$defs"], found["properties"]
    # `budget: 2000` is short for `budget: {comparisons: 2000}`.
    top["budget"] = {
        "description": top["budget"].get("description"),
        "anyOf": [{"type": "integer", "minimum": 1}, {"$ref": "#/$defs/BudgetSection"}],
    }
    parts["JudgeSection"]["oneOf"] = [{"required": [kind]} for kind in JUDGES]
    parts["CheckJudge"]["oneOf"] = [{"required": [kind]} for kind in CHECKS]
    for part in (found, *parts.values()):
        for field in part.get("properties", {}).values():
            _without_nothing(field)
    return found


def _without_nothing(field: dict[str, Any]) -> None:
    """What may be left out may not be said to be null."""
    kinds = [kind for kind in field.get("anyOf", []) if kind != {"type": "null"}]
    if "anyOf" not in field or len(kinds) == len(field["anyOf"]):
        return
    del field["anyOf"]
    field.pop("default", None)
    if len(kinds) == 1:
        field |= kinds[0]
    else:
        field["anyOf"] = kinds
