"""From a YAML file to a study: everything that is only text is read and checked, no code runs.

What passed here is trusted by `connect`, which imports functions and makes models.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from bestpolicy import designs
from bestpolicy.config import judging, matrix
from bestpolicy.config.faults import from_pydantic, near
from bestpolicy.config.features import features
from bestpolicy.config.judging import JUDGES, strangers
from bestpolicy.config.learned import with_learned
from bestpolicy.config.places import Fault, FaultyFile, Keys, Page, read
from bestpolicy.config.schema import PolicyEntry, StudySection
from bestpolicy.config.sources import SourceFault, columns, is_finite, read_rows, read_text
from bestpolicy.core.nouns import Array, ConfigError
from bestpolicy.core.strengths import Structure
from bestpolicy.llm.named import Named
from bestpolicy.llm.prompts import Row
from bestpolicy.store.address import address, is_server, shown

if TYPE_CHECKING:
    from bestpolicy.offpolicy.learned import LearnedPolicy


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy as the file describes it, prompts read and matrix written out."""

    id: str
    keys: Keys
    section: PolicyEntry  # of a learned one with its file's hash, and its prompts' texts
    chooser: LearnedPolicy | None = field(default=None, compare=False, repr=False)

    @property
    def prompts(self) -> Mapping[str, str]:
        """What a learned policy chooses among: texts by their ids."""
        told = self.section.prompts
        return told if isinstance(told, dict) else {}

    @property
    def texts(self) -> tuple[str, ...]:
        """All that is filled from a row."""
        return (self.section.prompt or "", *self.prompts.values(), self.section.system or "")

    @property
    def definition(self) -> dict[str, Any]:
        """What makes this policy itself: another definition is another policy."""
        left_out = {"id", "matrix", "api_key_env"}
        return self.section.model_dump(exclude=left_out, exclude_none=True)

    @property
    def named(self) -> Named | None:
        """The model that answers for it, if one does."""
        section = self.section
        if section.model is None:
            return None
        return Named(section.model, section.base_url, section.api_key_env, section.adapter)


@dataclass(frozen=True, slots=True)
class StudyFile:
    """A study as its file describes it; everything in it has been checked, no code has run."""

    page: Page
    section: StudySection
    name: str
    policies: tuple[Policy, ...]
    rows: tuple[Row, ...] | None
    store: str

    @property
    def record(self) -> str:
        """Where the record is, as messages say it."""
        return shown(self.store) if is_server(self.store) else Path(self.store).name

    @property
    def definition(self) -> dict[str, Any]:
        """What the answers depend on besides the study's own settings."""
        policies = {policy.id: policy.definition for policy in self.policies}
        judge = self.section.judge.model_dump(
            exclude={
                "canaries": True,
                "human": {"queue", "gold", "gold_share", "overlap"},
                "live": {"window_minutes", "log_context"},
                "llm": {"api_key_env"},
            },
            exclude_none=True,
        )
        limits = [limit.model_dump(exclude_none=True) for limit in self.section.constraints]
        return {"policies": policies, "judge": judge} | ({"constraints": limits} if limits else {})

    @property
    def judge_kind(self) -> str:
        return next(kind for kind in JUDGES if getattr(self.section.judge, kind) is not None)

    @property
    def features(self) -> Array | None:
        """What the policies are made of, where the design is to use it and all are described."""
        if self.section.design.structure not in ("features", "auto"):
            return None
        if any(policy.section.call or policy.section.learned for policy in self.policies):
            return None
        described = [policy.definition for policy in self.policies]
        return features(described, interactions=self.section.design.interactions)

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that `Study` takes."""
        section = self.section
        budget = section.budget.model_dump(exclude_none=True)
        return {
            "policies": [policy.id for policy in self.policies],
            "confidence": section.decide.confidence,
            "structure": section.design.structure,
            "features": self.features,
            "trust_structure": section.design.trust_structure,
            "indifference": section.decide.indifference,
            "assume_winner": section.decide.assume_winner,
            "reuse_inputs": section.decide.reuse_inputs,
            "cluster": section.decide.cluster,
            "sentinels": section.decide.sentinels,
            "reserve": section.decide.reserve,
            "design": section.design.name,
            "budget": budget or None,
            "inputs": self.rows,
            "store": self.store,
            "seed": section.seed,
            "name": self.name,
        }


def load(path: str) -> StudyFile:
    """The study that this file describes; FaultyFile lists everything that is wrong with it."""
    page = read(path)
    try:
        section = StudySection.model_validate(_plain_budget(page.data))
    except ValidationError as error:
        raise FaultyFile(path, from_pydantic(page, error)) from None
    played = section.judge.replay is None
    found, faults = matrix.entries(page, list(section.policies), played=played)
    faults += judging.judge(page, section) + judging.live(page, section)
    rows, row_faults = _rows(page, section)
    faults += row_faults
    # Live traffic brings columns of its own.
    anything = rows is None and section.judge.live is not None
    known = None if row_faults or anything else columns(rows or ())
    policies = []
    for entry in found:
        policy, prompt_faults = _with_prompt(page, entry, known)
        if entry.section.learned is not None:
            section_, chooser, more = with_learned(page, entry, policy.section, known, rows)
            policy = replace(policy, section=section_, chooser=chooser)
            prompt_faults += more
        policies.append(policy)
        faults += prompt_faults
    if len(found) == 1 and not faults:
        message = "one policy alone has nothing to be compared with; give at least two"
        faults.append(page.fault(("policies",), message))
    allowed, seen = designs.names(), section.design.name
    if seen not in allowed:
        message = f"must be one of {', '.join(allowed)}, saw {seen!r}{near(seen, allowed)}"
        faults.append(page.fault(("design", "name"), message))
    store, store_faults = _store(page, section)
    faults += store_faults
    faults += _cluster(page, section, rows)
    section, more = judging.checks(page, section, known)
    faults += more + judging.constraints(page, section)
    section, more = judging.gold(page, section)
    faults += more
    if not faults:
        faults += _impossible(page, section, len(policies), rows)
    if faults:
        raise FaultyFile(path, _once(faults))
    name = section.name or Path(path).stem
    file = StudyFile(page, section, name, tuple(policies), rows, store)
    if faults := _structure(file):
        raise FaultyFile(path, faults)
    return file


def _plain_budget(data: dict[str, Any]) -> dict[str, Any]:
    """`budget: 2000` is short for `budget: {comparisons: 2000}`."""
    budget = data.get("budget")
    if isinstance(budget, int) and not isinstance(budget, bool):
        return data | {"budget": {"comparisons": budget}}
    return data


def _rows(page: Page, section: StudySection) -> tuple[tuple[Row, ...] | None, list[Fault]]:
    if section.inputs is None:
        return None, []
    if isinstance(section.inputs, str):
        try:
            return read_rows(section.inputs, page.folder), []
        except SourceFault as error:
            return None, [page.fault(("inputs",), str(error))]
    if not section.inputs:
        return None, [page.fault(("inputs",), "must have at least one input, saw an empty list")]
    rows = [{"input": row} if isinstance(row, str) else row for row in section.inputs]
    for i, row in enumerate(rows):
        if not is_finite(row):
            message = f"must hold finite numbers, saw {row!r:.60}"
            return None, [page.fault(("inputs", i), message)]
    return tuple(rows), []


def _with_prompt(
    page: Page, entry: matrix.Entry, known: set[str] | None
) -> tuple[Policy, list[Fault]]:
    """The policy with its texts read from their files."""
    section, faults = entry.section, list[Fault]()
    for name in ("prompt", "system"):
        text, where, place = getattr(section, name), "", entry.place(name)
        if text is None:
            continue
        if text.startswith("file://"):
            where = f"in {text.removeprefix('file://')}: "
            try:
                text = read_text(text.removeprefix("file://"), page.folder)
            except SourceFault as error:
                faults.append(page.fault(place, str(error)))
                continue
            section = section.model_copy(update={name: text})
        faults += [page.fault(place, where + wrong) for wrong in strangers(text, known)]
    return Policy(entry.id, entry.keys, section), faults


def _store(page: Page, section: StudySection) -> tuple[str, list[Fault]]:
    beside = f"sqlite:///{page.folder / Path(page.path).stem}.db"
    store = section.store
    if store is None:
        return beside, []
    if is_server(store):
        try:
            address(store)
        except ConfigError as error:
            return beside, [page.fault(("store",), str(error))]
        return store, []
    if not store.startswith("sqlite:///") or store == "sqlite:///":
        hint = "" if "://" in store else f"; did you mean 'sqlite:///{store}'?"
        message = f"must be sqlite:///path or postgresql://…, saw {shown(store)!r}{hint}"
        return beside, [page.fault(("store",), message)]
    database = page.folder / store.removeprefix("sqlite:///")
    if database.is_dir() or not database.parent.is_dir():
        message = f"must be a file in a folder that exists, saw {store!r}"
        return beside, [page.fault(("store",), message)]
    return f"sqlite:///{database}", []


def _structure(file: StudyFile) -> list[Fault]:
    """What the design section says of structure, and cannot be."""
    design, fault = file.section.design, file.page.fault
    if design.structure == "free" and design.trust_structure:
        message = "needs a structure to trust; allowed beside it: bradley-terry, features, auto"
        return [fault(("design", "trust_structure"), message)]
    if design.interactions and file.features is None:
        message = (
            "needs structure: features (or auto), and policies that are described by model, "
            "prompt, temperature or max_tokens"
        )
        return [fault(("design", "interactions"), message)]
    if design.structure == "features" and file.features is None:
        message = (
            "needs policies that are described by model, prompt, temperature or max_tokens and "
            "differ in them, which functions and learned policies are not; choose bradley-terry or "
            "auto"
        )
        return [fault(("design", "structure"), message)]
    if design.trust_structure and file.section.decide.indifference > 0:
        message = "does not go with decide.indifference, a zone that a structure cannot prove"
        return [fault(("design", "trust_structure"), message)]
    if design.structure == "free":
        return []
    try:
        structure = Structure.of(file.features, len(file.policies), trust=design.trust_structure)
        designs.make(design.name, policies=len(file.policies), structure=structure)
    except ConfigError as error:
        return [fault(("design",), str(error))]
    return []


def _cluster(page: Page, section: StudySection, rows: tuple[Row, ...] | None) -> list[Fault]:
    column = section.decide.cluster
    if column is None:
        return []
    place = ("decide", "cluster")
    if section.decide.reuse_inputs:
        message = "does not go with reuse_inputs, which draws rows independently"
        return [page.fault(place, message)]
    known = columns(rows or ())
    if column in known:
        return []
    allowed = ", ".join(sorted(known)) if known else "none, as the study has no inputs"
    message = f"no column {column!r} in inputs; columns: {allowed}{near(column, known)}"
    return [page.fault(place, message)]


def _impossible(
    page: Page, section: StudySection, policies: int, rows: tuple[Row, ...] | None
) -> list[Fault]:
    """Budgets that no answers whatever could turn into a verdict.

    Each of K - 1 policies must be refuted, and one answer multiplies the evidence against one
    of them by at most 1 / (1/2 - indifference).
    """
    decide = section.decide
    if section.design.trust_structure:  # one answer may then tell of all policies
        return []
    if section.judge.live is not None and section.judge.live.by == "reward":  # no duels are asked
        return []
    per_answer = -math.log(0.5 - decide.indifference)
    least = (policies - 1) * math.ceil(-math.log(1 - decide.confidence) / per_answer - 1e-9)
    wanted = f"even unanimous answers need {least} to prove anything among {policies} policies"
    wanted += f" at confidence {decide.confidence:g}"
    budget = section.budget.comparisons
    if budget is not None and budget < least:
        return [page.fault(("budget", "comparisons"), f"must be more, saw {budget}: {wanted}")]
    if rows is None or decide.reuse_inputs:
        return []
    most = len(rows) * policies * (policies - 1) // 2
    if most >= least:
        return []
    message = (
        f"{len(rows)} inputs give {most} comparisons when each pair meets each input once; "
        f"{wanted}; give more inputs, or set decide.reuse_inputs: true"
    )
    return [page.fault(("inputs",), message)]


def _once(faults: list[Fault]) -> list[Fault]:
    """Without the repeats that a matrix makes of one place."""
    return list({(f.line, f.column, f.message): f for f in faults}.values())
