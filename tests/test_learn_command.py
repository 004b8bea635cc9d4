"""`bestpolicy learn`: a policy written whole, or nothing; what it says in text, JSON and a page."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from bestpolicy.cli import cli, outcome
from bestpolicy.offpolicy.policy_file import read_policy

MAP = ("--action", "prompt", "--reward", "click", "--propensity", "p", "--context", "who")
QUICK = ("--steps", "100", "--id", "id")


def write(folder: Path, *, sure: bool = False, first: int = 0, n: int = 600) -> str:
    """Clicks on warmth by who is new, on brevity by who is not."""
    rng = np.random.default_rng(first)
    rows = []
    for i in range(n):
        who, warm = ("new", "old")[int(rng.integers(2))], bool(rng.integers(2)) or sure
        clicks = rng.random() < (0.8 if (who == "new") == warm else 0.1)
        row: dict[str, Any] = {"id": f"r{first + i}", "who": who, "click": int(clicks)}
        row |= {"prompt": "warm" if warm else "brief", "p": 1.0 if sure else 0.5}
        rows.append(row)
    if sure:
        rows[0] |= {"prompt": "brief"}
    path = folder / f"log{first}.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = outcome([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_policy_is_written_and_valued_on_rows_that_it_has_not_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, policy, page = write(tmp_path), str(tmp_path / "p.npz"), tmp_path / "learn.html"
    code, told = said(capsys, "learn", log, *MAP, *QUICK, "-o", policy, "--report", str(page))
    learned = told["learned"]
    assert code == 0
    assert (learned["rows"], learned["held_out"], learned["policy"]) == (420, 180, policy)
    assert {one["method"] for one in learned["candidates"]} == {"dr", "is", "regression"}
    assert read_policy(policy).of_row({"who": "new"})[1] > 0.7  # names in rising order
    assert read_policy(policy).of_row({"who": "old"})[0] > 0.7
    data = re.search(
        r'<script type="application/json" id="report">(.*?)</script>', page.read_text()
    )
    assert data is not None
    assert json.loads(data.group(1))["learned"]["gain"] == learned["gain"]
    new = write(tmp_path, first=1000)
    target = ("--target", f"learned:{policy}")
    code, told = said(capsys, "evaluate", new, *MAP, "--id", "id", *target)
    assert code == 0
    assert told["evaluation"]["targets"][0]["verdict"] == "better"
    # On rows that it learnt from it is not valued, and without their ids nobody can tell.
    assert outcome(["evaluate", log, *MAP, "--id", "id", *target]) == 2
    assert "the policy learnt from this row" in capsys.readouterr().err
    assert outcome(["evaluate", new, *MAP, *target]) == 2
    assert "read it with id=" in capsys.readouterr().err


def test_the_words_say_what_the_json_says(tmp_path: Path) -> None:
    log, policy = write(tmp_path), str(tmp_path / "p.npz")
    done = CliRunner().invoke(cli, ["learn", log, *MAP, *QUICK, "--method", "is", "-o", policy])
    assert done.exit_code == 0, done.output
    words = " ".join(done.output.split())
    assert "420 rows to learn from, 180 held out" in words
    assert "handed over" in words
    assert f"policy written to {policy}" in words


def test_a_log_that_never_tried_another_prompt_is_refused_and_nothing_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, policy = write(tmp_path, sure=True), tmp_path / "p.npz"
    code, told = said(capsys, "learn", log, *MAP, *QUICK, "-o", str(policy))
    assert code == 3
    assert told["learned"] is None
    assert "one prompt had all the chance" in told["refused"]
    assert not policy.exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--method", "dso"), "dso compares sentences: give bank="),
        (("--method", "dos"), "did you mean 'dso'"),
        (("--held-out", "2"), "held_out must be a share"),
        (("--confidence", "3"), "--confidence must be between 0.5 and 1"),
        (("-o", "no/such/folder.npz"), "there is no such folder"),
        (("--bank", "nowhere.jsonl"), "query_id"),
        (("--action", "prmpt"), "no column 'prmpt'"),
    ],
)
def test_wrong_words_are_told_and_nothing_is_written(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    more: tuple[str, ...],
    words: str,
) -> None:
    log = write(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert outcome(["learn", log, *MAP, *QUICK, *more]) == 2
    assert words in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["log0.jsonl"]
