"""Learned policies of a study file: what `bestpolicy learn` has written, and its prompts' texts.

A policy file holds numbers only, and nothing in it is ever run. A study keeps its hash and the
texts, not the names of the files: another policy under the same name is another policy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

from bestpolicy.config.faults import near
from bestpolicy.config.judging import strangers
from bestpolicy.config.matrix import Entry
from bestpolicy.config.places import Fault, Page
from bestpolicy.config.schema import PolicyEntry
from bestpolicy.config.sources import SourceFault, read_bytes, read_rows, read_text
from bestpolicy.core.nouns import ConfigError
from bestpolicy.llm.prompts import Row

if TYPE_CHECKING:
    from bestpolicy.offpolicy.learned import LearnedPolicy

FILE = "file://"


def with_learned(
    page: Page,
    entry: Entry,
    section: PolicyEntry,
    known: set[str] | None,
    rows: Sequence[Row] | None,
) -> tuple[PolicyEntry, LearnedPolicy | None, list[Fault]]:
    """The entry with its file's hash and its texts in their names' place, the policy, and what is
    wrong with either. `known` are the columns of the study's `rows`."""
    name, place = section.learned or "", entry.place("learned")
    try:
        content = read_bytes(name, page.folder)
        policy = _policy(page, name)
    except (SourceFault, ConfigError) as error:
        return section, None, [page.fault(place, str(error))]
    try:
        texts = _texts(page, section)
    except SourceFault as error:
        return section, policy, [page.fault(entry.place("prompts"), str(error))]
    faults = [page.fault(entry.place("prompts"), wrong) for wrong in _lacking(policy, texts, known)]
    if rows is None and known is not None:  # nothing will bring any either
        if policy.features:
            wrong = (
                f"chooses by {policy.features[0].name!r}, and the study has no inputs: give some"
            )
            faults.append(page.fault(place, wrong))
    elif unread := _unreadable(policy, rows or ()):
        faults.append(page.fault(place, unread))
    # Texts that the policy cannot choose are nothing of it.
    kept = {one: texts[one] for one in policy.names if one in texts}
    told = {"learned": f"sha256:{sha256(content).hexdigest()}", "prompts": kept}
    return section.model_copy(update=told), policy, faults


def _policy(page: Page, name: str) -> LearnedPolicy:
    # Loaded here: most studies have no learned policy.
    from bestpolicy.offpolicy.policy_file import read_policy

    path = page.folder / name
    try:
        return read_policy(path)
    except ConfigError as error:
        raise ConfigError(str(error).replace(str(path), name)) from None


def _texts(page: Page, section: PolicyEntry) -> dict[str, str]:
    """The texts of the prompts, by their ids."""
    named = section.prompts
    if isinstance(named, dict):
        return {
            one: read_text(text.removeprefix(FILE), page.folder) if text.startswith(FILE) else text
            for one, text in named.items()
        }
    name = (named or "").removeprefix(FILE)
    texts: dict[str, str] = {}
    for number, row in enumerate(read_rows(name, page.folder), start=1):
        for column in ("id", "prompt"):
            if column not in row:
                raise SourceFault(f"{name} row {number}: no column {column!r}; it needs id, prompt")
        one, text = str(row["id"]), row["prompt"]
        if not isinstance(text, str):
            raise SourceFault(f"{name} row {number}: prompt must be a text, saw {text!r:.40}")
        if one in texts:
            raise SourceFault(f"{name} row {number}: the prompt {one!r} is there twice")
        texts[one] = text
    return texts


def _lacking(policy: LearnedPolicy, texts: dict[str, str], known: set[str] | None) -> Iterator[str]:
    missing = [one for one in policy.names if one not in texts]
    if missing:
        many = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
        yield f"no text for the prompt {missing[0]!r}{many}{near(missing[0], texts)}"
    for one in policy.names:
        yield from (f"prompt {one!r}: {wrong}" for wrong in strangers(texts.get(one, ""), known))


def _unreadable(policy: LearnedPolicy, rows: Sequence[Row]) -> str | None:
    """Why it cannot choose for one of these rows, if it cannot."""
    for number, row in enumerate(rows, start=1):
        try:
            policy.of_row(row)
        except ConfigError as error:
            return f"inputs row {number}: {error}; give every input what the policy chooses by"
    return None
