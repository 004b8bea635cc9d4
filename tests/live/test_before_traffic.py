"""What the commands say of a study that waits for live traffic."""

from __future__ import annotations

from pathlib import Path

import pytest

from bestpolicy.cli import outcome

STUDY = """\
version: 1
name: waiting
policies:
  - {id: a, model: scripted/echo, prompt: "one {{question}}"}
  - {id: b, model: scripted/echo, prompt: "two"}
judge: {live: {by: reward}}
"""


@pytest.fixture
def study(tmp_path: Path) -> str:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    return str(path)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("check", "'question', which live traffic will bring"),
        ("status", "start with: bestpolicy serve"),
        ("work", "live traffic answers this study"),
        ("run", "live traffic, which nobody can play"),
    ],
)
def test_before_any_traffic_each_command_says_what_to_do(
    command: str, says: str, study: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outcome([command, study]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert says in said
    assert "defect" not in said
