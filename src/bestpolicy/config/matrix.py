"""Policies as the file lists them, a matrix written out into every combination."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from math import prod
from pathlib import PurePosixPath
from typing import Any

from pydantic import ValidationError

from bestpolicy.config.faults import near, show
from bestpolicy.config.places import Fault, Keys, Page
from bestpolicy.config.schema import PolicyEntry
from bestpolicy.llm.models import model_fault

MOST = 2000  # policies in one study
CROSSED = (
    "model",
    "prompt",
    "system",
    "temperature",
    "max_tokens",
    "adapter",
)  # what a matrix may vary

LEARNED = {"learned", "prompts"}  # which go together


@dataclass(frozen=True, slots=True)
class Entry:
    """One policy of the file and the place that speaks of it."""

    id: str
    keys: Keys
    section: PolicyEntry
    picked: Mapping[str, int] = field(default_factory=dict)  # which value of each matrix list

    def place(self, name: str) -> Keys:
        """Where the file says this key of the policy."""
        if name in self.picked:
            return (*self.keys, "matrix", name, self.picked[name])
        return (*self.keys, name)


def entries(
    page: Page, sections: list[PolicyEntry], *, played: bool
) -> tuple[list[Entry], list[Fault]]:
    """Every policy with its id, and what is wrong with them. Where the answers were recorded
    elsewhere, and nothing is `played`, a policy may be an id alone."""
    found: list[Entry] = []
    faults: list[Fault] = []
    for i, section in enumerate(sections):
        keys: Keys = ("policies", i)
        before = len(faults)
        faults += _shape(page, keys, section, played)
        if len(faults) > before:
            continue
        if section.matrix is None:
            found.append(_plain(keys, section))
        else:
            size = prod(len(values) for values in section.matrix.values())
            if size > MOST:
                place = (*keys, "matrix")
                faults.append(page.fault(place, f"makes {size:,} policies, at most {MOST:,}"))
                continue
            made = list(_crossed(page, keys, section))
            found += [entry for entry in made if isinstance(entry, Entry)]
            faults += [fault for fault in made if isinstance(fault, Fault)]
    if len(found) > MOST:
        faults.append(page.fault(("policies",), f"{len(found):,} policies, at most {MOST:,}"))
    return found, faults + _duplicates(page, found) + [f for e in found for f in _model(page, e)]


def _shape(page: Page, keys: Keys, section: PolicyEntry, played: bool) -> Iterator[Fault]:
    given = {name for name, value in section if value is not None}
    crossed = set(section.matrix or ())
    for name in sorted(crossed):
        if name not in CROSSED:
            message = (
                f"a matrix has no such key; allowed: {', '.join(CROSSED)}{near(name, CROSSED)}"
            )
            yield page.fault((*keys, "matrix", name), message, at_name=True)
        if name in given:
            yield page.fault((*keys, name), "is in the matrix too; say it once")
    kinds = given | crossed
    if "call" in kinds:
        for name in sorted(kinds - {"id", "call"}):
            yield page.fault(
                (*keys, name), "does not go with `call`; a function has only an id", at_name=True
            )
    elif not played and kinds == {"id"}:
        return
    elif kinds & LEARNED:
        for name in sorted(kinds & {"prompt", "matrix"}):
            message = "does not go with `learned`, a policy that chooses among its `prompts`"
            yield page.fault((*keys, name), message, at_name=True)
        if lacking := sorted({"model", *LEARNED} - kinds):
            message = "a learned policy has `learned`, `prompts` and `model`"
            yield page.fault(keys, f"needs {' and '.join(lacking)}; {message}")
    elif not {"model", "prompt"} <= kinds and crossed <= set(CROSSED):
        missing = " and ".join(sorted({"model", "prompt"} - kinds))
        yield page.fault(keys, f"needs {missing}; a policy has `call`, or `model` and `prompt`")


def _plain(keys: Keys, section: PolicyEntry) -> Entry:
    named = section.id or (section.call or "").rpartition(":")[2]
    return Entry(named, keys, section)


def _crossed(page: Page, keys: Keys, section: PolicyEntry) -> Iterator[Entry | Fault]:
    matrix = section.matrix or {}
    common = {n: v for n, v in section if v is not None and n not in ("id", "matrix")}
    varied = [name for name in matrix if len(matrix[name]) > 1]
    for choice in product(*(range(len(values)) for values in matrix.values())):
        picked = dict(zip(matrix, choice, strict=True))
        values = {name: matrix[name][i] for name, i in picked.items()}
        try:
            one = PolicyEntry.model_validate(common | values)
        except ValidationError as error:
            wrong = error.errors(include_url=False)[0]
            name = str(wrong["loc"][0])
            allowed = PolicyEntry.model_fields[name].description
            place = (*keys, "matrix", name, picked[name])
            yield page.fault(place, f"must be {allowed}, saw {show(wrong['input'])}")
            continue
        words = [_word(name, values[name], picked[name]) for name in varied or list(matrix)]
        yield Entry("/".join([*([section.id] if section.id else []), *words]), keys, one, picked)


def _word(name: str, value: Any, index: int) -> str:
    if name in ("prompt", "system"):
        return PurePosixPath(value).stem if value.startswith("file://") else f"{name}{index + 1}"
    return str(value).rpartition("/")[2] if isinstance(value, str) else f"{value:g}"


def _duplicates(page: Page, found: list[Entry]) -> list[Fault]:
    faults: list[Fault] = []
    first: dict[str, Keys] = {}
    for entry in found:
        place = (*entry.keys, "id")
        if not entry.id:
            faults.append(
                page.fault(place, "is required for a policy with a prompt: give it a name")
            )
        elif entry.id in first:
            line = page.fault(first[entry.id], "").line
            faults.append(
                page.fault(
                    place, f"{entry.id!r} is taken by the policy on line {line}; give another id"
                )
            )
        first.setdefault(entry.id, entry.keys)
    return faults


def _model(page: Page, entry: Entry) -> list[Fault]:
    section = entry.section
    if section.model is None:
        return []
    place = entry.place("model")
    faults = []
    if (wrong := model_fault(section.model, page.folder)) is not None:
        faults.append(page.fault(place, wrong))
    for name, home in (("base_url", "openai/"), ("api_key_env", "openai/"), ("adapter", "local/")):
        if getattr(section, name) is not None and not section.model.startswith(home):
            message = f"goes with a model of {home}, saw {section.model!r}"
            faults.append(page.fault(entry.place(name), message, at_name=True))
    return faults
