"""Checks: scores of one answer by itself, exact and without a model."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib import import_module
from math import isfinite
from typing import Any, NoReturn

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from bestpolicy.core.nouns import ConfigError
from bestpolicy.llm.prompts import Row, as_text, fill

Check = Callable[[Row, str], float]  # in [0, 1]; higher is better
LONGEST = 20_000  # characters of an answer that a pattern is searched in


def exact(column: str) -> Check:
    """Whether the answer is what the column holds, spaces around it aside."""
    return lambda row, text: float(text.strip() == as_text(row[column]).strip())


def regex(pattern: str) -> Check:
    """Whether the pattern is found in the answer; values that fill its places are only text."""
    return lambda row, text: float(
        re.search(fill(pattern, row, re.escape), text[:LONGEST]) is not None
    )


def json_schema(schema: dict[str, Any]) -> Check:
    """Whether the answer is JSON, and JSON of that schema."""
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise ConfigError(f"is no JSON Schema: {error.message[:200]}") from None
    validator = Draft202012Validator(schema)

    def fits(text: str) -> bool:
        try:
            return validator.is_valid(json.loads(text, parse_constant=_no_constant))
        except (ValueError, RecursionError):
            return False

    return lambda _, text: float(fits(text))


def reasoning_gym(task: str) -> Check:
    """The score of that task's own verifier, for rows that hold a task's question and answer.

    Columns beside them, or a column `metadata` with JSON, are what the verifier is told.
    """
    try:
        gym = import_module("reasoning_gym")
    except ImportError:
        raise ConfigError("needs the library: pip install reasoning-gym") from None
    try:
        score = gym.get_score_answer_fn(task)
    except (ValueError, KeyError):
        raise ConfigError(f"reasoning-gym has no task {task!r}") from None

    def check(row: Row, text: str) -> float:
        said = row.get("metadata", {})
        metadata = json.loads(said) if isinstance(said, str) else said
        entry = {
            "question": row.get("question"),
            "answer": as_text(row.get("answer", "")),
            "metadata": dict(row) | metadata,
        }
        return _share(score(text.strip(), entry), f"reasoning-gym's {task}")

    return check


def scored(function: Callable[[Row, str], Any]) -> Check:
    """A function of one's own: (row, text) to a score in [0, 1], or to true or false."""
    name = getattr(function, "__name__", "the check")
    return lambda row, text: _share(function(row, text), name)


def _share(score: Any, who: str) -> float:
    value = float(score) if isinstance(score, int | float) else float("nan")
    if not (isfinite(value) and 0 <= value <= 1):
        raise ValueError(f"{who} must score in [0, 1], or true or false, saw {score!r:.80}")
    return value


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a JSON number")
