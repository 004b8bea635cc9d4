"""What a file says of its judge, checks and constraints, held against what can be had."""

from __future__ import annotations

import json
import re

from bestpolicy.config.faults import near
from bestpolicy.config.places import Fault, Keys, Page
from bestpolicy.config.schema import CheckJudge, StudySection
from bestpolicy.config.sources import SourceFault, is_finite, read_rows, read_text
from bestpolicy.llm.models import model_fault
from bestpolicy.llm.prompts import places

JUDGES = ("llm", "call", "check", "human", "live", "replay")
WINNERS = ("left", "right", "tie")
CHECKS = ("exact", "regex", "json_schema", "reasoning_gym", "call")


def strangers(text: str, known: set[str] | None) -> list[str]:
    """The columns that a text names and the inputs do not have, each as a sentence."""
    if known is None:
        return []
    allowed = ", ".join(sorted(known)) if known else "none, as the study has no inputs"
    return [
        f"no column {column!r} in inputs; columns: {allowed}{near(column, known)}"
        for column in places(text)
        if column not in known
    ]


def judge(page: Page, section: StudySection) -> list[Fault]:
    """Exactly one kind of judge, and one that can be had."""
    given = [kind for kind in JUDGES if getattr(section.judge, kind) is not None]
    if len(given) != 1:
        seen = " and ".join(given) if given else "none of them"
        return [page.fault(("judge",), f"must have exactly one of {', '.join(JUDGES)}, saw {seen}")]
    faults = []
    if (llm := section.judge.llm) is not None:
        wrong = model_fault(llm.model, page.folder)
        if wrong is not None:
            faults.append(page.fault(("judge", "llm", "model"), wrong))
        elif llm.base_url is not None and not llm.model.startswith("openai/"):
            message = f"goes with a model of openai/, saw {llm.model!r}"
            faults.append(page.fault(("judge", "llm", "base_url"), message, at_name=True))
    if section.judge.canaries and given[0] not in ("llm", "call"):
        message = f"are for judges who read (llm, call); {given[0]} cannot be talked into anything"
        faults.append(page.fault(("judge", "canaries"), message, at_name=True))
    return faults


# What a study says to duels, and rewards of live traffic could not obey.
FOR_DUELS = {
    "design": ("name", "structure", "trust_structure", "interactions"),
    "decide": ("assume_winner", "reuse_inputs", "cluster", "sentinels", "reserve"),
    "budget": ("comparisons", "minutes"),
}


def live(page: Page, section: StudySection) -> list[Fault]:
    """Nothing that a study decided by rewards would have to ignore."""
    if section.judge.live is None or section.judge.live.by != "reward":
        return []
    message = "does not go with judge.live by reward, where units are drawn and no duels are asked"
    faults = [
        page.fault((part, name), message, at_name=True)
        for part, names in FOR_DUELS.items()
        for name in names
        if name in getattr(section, part).model_fields_set
    ]
    if section.constraints:
        faults.append(page.fault(("constraints",), message, at_name=True))
    return faults


def checks(
    page: Page, section: StudySection, known: set[str] | None
) -> tuple[StudySection, list[Fault]]:
    """The checks of the judge and of the constraints, their schemas read from their files."""
    asked, faults = section.judge, list[Fault]()
    if asked.check is not None:
        check, faults = _check(page, ("judge", "check"), asked.check, known)
        section = section.model_copy(update={"judge": asked.model_copy(update={"check": check})})
    limits = []
    for i, constraint in enumerate(section.constraints):
        if constraint.check is not None:
            check, more = _check(page, ("constraints", i, "check"), constraint.check, known)
            constraint, faults = constraint.model_copy(update={"check": check}), faults + more
        limits.append(constraint)
    return section.model_copy(update={"constraints": limits}), faults


def gold(page: Page, section: StudySection) -> tuple[StudySection, list[Fault]]:
    """The pairs whose better answer is known, read from their file and held against the rules."""
    human = section.judge.human
    if human is None or human.gold is None:
        return section, []
    keys: Keys = ("judge", "human", "gold")
    named = f"{human.gold} " if isinstance(human.gold, str) else ""
    try:
        given = human.gold
        rows = list(read_rows(given, page.folder)) if isinstance(given, str) else given
    except SourceFault as error:
        return section, [page.fault(keys, str(error))]
    faults = []
    for number, row in enumerate(rows, start=1):
        texts = [row.get(side) for side in ("left", "right")]
        wrong = ""
        if not all(isinstance(text, str) for text in texts):
            wrong = "needs left and right, two texts"
        elif row.get("winner") not in WINNERS:
            wrong = f"winner must be one of {', '.join(WINNERS)}, saw {row.get('winner')!r:.40}"
        elif not is_finite(row):
            wrong = "holds a number that JSON cannot say"
        if wrong:
            faults.append(page.fault(keys, f"{named}row {number}: {wrong}"))
    plain = [dict(row) for row in rows]
    judge = section.judge.model_copy(update={"human": human.model_copy(update={"gold": plain})})
    return section.model_copy(update={"judge": judge}), faults[:5]


def _check(
    page: Page, keys: Keys, check: CheckJudge, known: set[str] | None
) -> tuple[CheckJudge, list[Fault]]:
    given = [kind for kind in CHECKS if getattr(check, kind) is not None]
    if len(given) != 1:
        seen = " and ".join(given) if given else "none of them"
        return check, [
            page.fault(keys, f"must have exactly one of {', '.join(CHECKS)}, saw {seen}")
        ]
    place = (*keys, given[0])
    wrong: list[str] = []
    if check.exact is not None:
        wrong = strangers("{{" + check.exact + "}}", known)
    if check.regex is not None:
        wrong = strangers(check.regex, known)
        try:
            re.compile(re.sub(r"\{\{.*?\}\}", "x", check.regex))
        except re.error as error:
            wrong = [f"is no regular expression: {error}"]
    if isinstance(check.json_schema, str):
        try:
            schema = json.loads(read_text(check.json_schema.removeprefix("file://"), page.folder))
            if not isinstance(schema, dict):
                raise ValueError("it must be an object")
            check = check.model_copy(update={"json_schema": schema})
        except SourceFault as error:
            wrong = [str(error)]
        except (ValueError, RecursionError) as error:
            wrong = [f"{check.json_schema} holds no JSON Schema: {error}"]
    return check, [page.fault(place, message) for message in wrong]


def constraints(page: Page, section: StudySection) -> list[Fault]:
    faults = []
    for i, constraint in enumerate(section.constraints):
        keys: Keys = ("constraints", i)
        rate = constraint.metric == "failure_rate"
        if rate and constraint.max >= 1:
            message = f"is a rate, below 1, saw {constraint.max:g}"
            faults.append(page.fault((*keys, "max"), message))
        if not rate and constraint.check is not None:
            message = "goes with metric: failure_rate"
            faults.append(page.fault((*keys, "check"), message, at_name=True))
    design = section.design
    fixed = design.structure in ("features", "auto") or design.trust_structure
    if section.constraints and (fixed or design.name in ("savage", "knockout")):
        message = (
            "a policy that breaks one has to leave, which this design cannot have: choose "
            "structure: free or bradley-terry without trust_structure, and design: llm-po"
        )
        faults.append(page.fault(("constraints",), message))
    if section.constraints and not section.decide.reserve:
        message = "needs decide.reserve above 0, which policies that leave are paid from"
        faults.append(page.fault(("constraints",), message))
    return faults
