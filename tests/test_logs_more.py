"""Logs on the command line: sentences, and several loggers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., tuple[int, Any, str]]
COLUMNS = ("--action", "prompt_id", "--reward", "click", "--propensity", "p")


@pytest.fixture
def small(tmp_path: Path) -> Callable[..., Path]:
    """Writes a log of a few rows, each a line under this header."""

    def write(*rows: str, header: str) -> Path:
        path = tmp_path / "log.csv"
        path.write_text("\n".join([header, *rows]) + "\n")
        return path

    return write


def stops(target: Any) -> list[str]:
    """What is said to be amiss with sentences."""
    of = ("variogram", "kernel")
    return [
        line["name"]
        for line in target["diagnosis"]["lines"]
        if line["verdict"] == "stop" and line["name"].startswith(of)
    ]


def test_a_bank_of_sentences_is_embedded_once_and_asked(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BESTPOLICY_CACHE", str(tmp_path / "cache"))
    says = {"kind": "You will love the {}, number {}", "short": "{} in stock, {} left"}
    queries, log, bank = ("red shoes", "blue hat"), [], []
    for i in range(300):
        prompt, query = ("short" if i % 3 == 0 else "kind"), queries[i % 2]
        chances = {"kind": 0.7, "short": 0.3}
        said = {"query_id": query, "prompt_id": prompt, "p": chances[prompt], "ps": chances}
        text = says[prompt].format(query, i % 4)
        log.append(said | {"sentence": text, "click": int(i % 5 < (3 if prompt == "kind" else 1))})
    for query in queries:
        for prompt, form in says.items():
            for draw in range(4):
                row = {"query_id": query, "prompt_id": prompt, "draw": draw}
                bank.append(row | {"text": form.format(query, draw)})
    for name, rows in (("log", log), ("bank", bank)):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    asked = (
        *(str(tmp_path / "log.jsonl"), *COLUMNS, "--propensities", "ps", "--target", "kind"),
        *("--bank", str(tmp_path / "bank.jsonl"), "--embedder", "wordllama", "--json"),
    )
    code, found, said = command("evaluate", *asked)
    assert code in (0, 1, 3), said
    (target,) = found["evaluation"]["targets"]
    assert target["estimates"]["dr_kernel"]["claims"] == (not stops(target))
    assert "kernel-density" in json.dumps(target)
    assert (tmp_path / "cache" / "embeddings.db").is_file()


def test_several_loggers_are_weighed_against_their_mixture(
    small: Callable[..., Path], command: Command
) -> None:
    """Only together do they support the target: `new` never says a, `old` never says b."""
    rows = [f"a,{i % 2},old,1,0" for i in range(400)] + [
        f"b,{i % 4 > 0:d},new,0,1" for i in range(400)
    ]
    path = small(*rows, header="prompt_id,click,who,p_old,p_new")
    columns = ("--action", "prompt_id", "--reward", "click", "--logger", "who")
    asked = (*columns, "--loggers", "old=p_old,new=p_new", "--target", "always:b", "--json")
    code, found, said = command("evaluate", path, *asked)
    assert code == 0, said
    (target,) = found["evaluation"]["targets"]
    assert target["estimates"]["ips"]["value"] == pytest.approx(0.75)
    code, _, said = command("evaluate", path, *columns, "--loggers", "p_old", "--target", "b")
    assert code == 2
    assert "NAME=COLUMN" in said
