"""What was answered in a duel, looked up again in the record of calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bestpolicy.config import StudyFile
from bestpolicy.config.study_file import Policy
from bestpolicy.core.nouns import Comparison
from bestpolicy.core.talk import MAX_TOKENS, Prompt
from bestpolicy.llm.players import key_of
from bestpolicy.llm.prompts import as_text, fill, places
from bestpolicy.store.calls import Calls

BATCH = 256  # duels whose texts are read at once


def texts_of(
    file: StudyFile, calls: Calls, asked: Sequence[Comparison], names: Sequence[str]
) -> Iterator[tuple[str | None, str | None]]:
    """Both answers of each duel; None where a call has none on record."""
    policies = {policy.id: policy for policy in file.policies}
    for first in range(0, len(asked), BATCH):
        batch = asked[first : first + BATCH]
        keys = [
            tuple(_key(file, policies, comparison, names[arm]) for arm in comparison.arms)
            for comparison in batch
        ]
        found = calls.find([key for pair in keys for key in pair])
        for left, right in keys:
            yield (
                found[left].text if left in found else None,
                found[right].text if right in found else None,
            )


def prompt_of(file: StudyFile, comparison: Comparison) -> str:
    """What the duel was about, as one text: what the policies were shown of the input."""
    values = shown_of(file, {} if file.rows is None else file.rows[comparison.context])
    return "\n".join(values.values() if len(values) == 1 else map(": ".join, values.items()))


def shown_of(file: StudyFile, row: Mapping[str, Any]) -> dict[str, str]:
    """What of an input the policies were shown, as texts. The rest may hold the right answer."""
    shown = _shown(file)
    return {k: as_text(v) for k, v in row.items() if shown is None or k in shown}


def _shown(file: StudyFile) -> set[str] | None:
    """The columns that prompts are filled from; None where functions are shown all."""
    texts = (text for policy in file.policies for text in policy.texts)
    return {column for text in texts for column in places(text)} or None


def _key(file: StudyFile, policies: Mapping[str, Policy], comparison: Comparison, name: str) -> str:
    draw = f"duel {comparison.id}: {name}"
    policy = policies.get(name)
    if policy is None or policy.named is None or policy.chooser is not None:
        return draw
    row: Mapping[str, Any] = {} if file.rows is None else file.rows[comparison.context]
    section = policy.section
    prompt = Prompt(
        fill(section.prompt or "", row),
        system=None if section.system is None else fill(section.system, row),
        temperature=section.temperature,
        max_tokens=section.max_tokens or MAX_TOKENS,
    )
    return key_of(policy.named, prompt, draw)
