"""A run whose judge reads lengths, beside one whose judge reads what is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bestpolicy.config import load
from bestpolicy.run import lengths, open_study, snapshot

Command = Callable[..., tuple[int, Any, str]]

# `wordy` is mostly the longer one; `good` says the better thing, at lengths that tell nothing.
PLAYERS = """\
from hashlib import blake2b


def size(who, row):
    return blake2b(f"{who} {row['input']}".encode(), digest_size=1).digest()[0] // 4


def brief(row):
    return "fair " + "b" * size("brief", row)


def wordy(row):
    return "fair " + "w" * (size("wordy", row) + 25)


def good(row):
    return "good " + "w" * size("good", row)


def longer(row, left, right):
    return "tie" if len(left) == len(right) else "left" if len(left) > len(right) else "right"


def reads(row, left, right):
    coin = blake2b(f"{row['input']} {sorted([left, right])}".encode(), digest_size=1).digest()[0]
    best, other = sorted([left, right], key=lambda text: (text[:4] != "good", text))
    winner = best if coin < 180 else other
    return "left" if winner == left else "right"


def check(row, text):
    return "w" in text
"""
STUDY = """\
version: 1
inputs: [{inputs}]
policies:
  - {{id: {better}, call: "players:{better}"}}
  - {{id: brief, call: "players:brief"}}
judge: {judge}
decide: {{confidence: 0.95}}
budget: {{comparisons: 400}}
seed: 3
"""


def written(folder: Path, better: str, judge: str) -> Path:
    inputs = ", ".join(f"question {i}" for i in range(400))
    (folder / "players.py").write_text(PLAYERS)
    path = folder / "study.yaml"
    path.write_text(STUDY.format(inputs=inputs, better=better, judge=judge))
    return path


def test_a_run_says_raw_and_adjusted_what_length_won(tmp_path: Path, command: Command) -> None:
    path = written(tmp_path, "wordy", '{call: "players:longer", canaries: 0.9}')
    code, told, _ = command("run", path, "--json")
    assert (code, told["verdict"]["policy"]) == (0, "wordy")
    assert told["judge"]["canaries"]["padded"]["raised"]
    found = told["judge"]["length"]
    assert found["longer_wins"] == 1.0
    assert found["longer_wins_interval"][0] > 0.5
    assert (found["leader"]["policy"], found["leader"]["rival"]) == ("wordy", "brief")
    assert found["leader"]["share"] > 0.5
    assert found["leader"]["share_at_equal_length_interval"][0] <= 0.5
    assert any("the judge prefers padding" in warning for warning in told["warnings"])
    assert any("at equal length wordy is not seen to lead" in w for w in told["warnings"])
    _, _, _ = command("report", path, "-o", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "Length of the answers" in page
    assert "with filler behind it, beside itself" in page


def test_with_canaries_off_and_a_judge_who_reads_nothing_is_said(
    tmp_path: Path, command: Command
) -> None:
    # The twin of the alarm: the same judge without canaries is not seen to like padding.
    path = written(tmp_path, "wordy", '{call: "players:longer"}')
    _, told, _ = command("run", path, "--json")
    assert told["judge"]["canaries"] == {}
    assert not any("padding" in warning for warning in told["warnings"])
    # The twin of the length: whose lead is in what it says keeps it at equal length.
    (other := tmp_path / "other").mkdir()
    path = written(other, "good", '{call: "players:reads", canaries: 0.9}')
    code, told, _ = command("run", path, "--json")
    assert (code, told["verdict"]["policy"]) == (0, "good")
    assert told["judge"]["length"]["leader"]["share_at_equal_length_interval"][0] > 0.5
    assert not any("at equal length" in warning for warning in told["warnings"])


def test_a_passing_look_reads_no_texts_and_no_look_reads_more_than_the_latest(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, "wordy", '{call: "players:longer"}')
    command("run", path, "--json")
    with open_study(load(str(path))) as opened:
        assert snapshot(opened, passing=True).length is None
        full = snapshot(opened).length
        assert full is not None
        monkeypatch.setattr(lengths, "MOST", 20)
        least = snapshot(opened).length
        assert least is not None
        assert full.left_out == 0
        assert least.left_out == len(opened.study.outcomes()) - 20
        assert sum(one.n for one in least.against) == 40  # each comparison from both sides


def test_to_a_check_lengths_are_nothing(tmp_path: Path, command: Command) -> None:
    path = written(tmp_path, "wordy", '{check: {call: "players:check"}}')
    _, told, _ = command("run", path, "--json")
    assert told["judge"]["length"] is None
