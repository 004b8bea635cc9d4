"""The table of misbehaving judges is played, written and drawn, and tells a guard from none."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from bestpolicy.bench import faults, judges


def test_the_table_is_written_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some = [line for line in judges.lines() if line.judge.startswith("every verdict")]
    monkeypatch.setattr(judges, "lines", lambda: some)
    monkeypatch.setattr(judges, "_all", lambda *_: [[judges._once(n, 0, 0)] for n in range(2)])
    console = Console(record=True, width=200, file=StringIO())
    report = judges.main(True, tmp_path, replications=1, console=console)
    assert json.loads((tmp_path / "judges.json").read_text()) == report
    assert (tmp_path / "judges.svg").exists()
    assert "one duel, one outcome OFF" in console.export_text()


def test_every_line_says_what_it_plays_and_each_guard_is_switched_off_somewhere() -> None:
    lines = judges.lines()
    off = {line.guard for line in lines if not line.guarded}
    assert off == {line.guard for line in lines if line.guard}


def test_copies_told_as_new_answers_are_wrong_more_often_than_promised() -> None:
    """The twin: without one outcome per duel, most studies of copied verdicts go wrong."""
    (line,) = [line for line in judges.lines() if line.play is faults.told_as_new]
    place = judges.lines().index(line)
    runs = [judges._once(place, 0, r) for r in range(30)]
    assert not judges._row(line, runs)["wrong"]["passes"]


def test_a_missed_aim_is_marked() -> None:
    (line, *_) = [line for line in judges.lines() if line.at_least]
    run = faults.Run(100, "winner", wrong=False, raised=False)
    assert "missed" in judges.cells(judges._row(line, [run]))["raised % [95 %]"]
    assert (
        "missed"
        not in judges.cells(judges._row(line, [run._replace(raised=True)]))["raised % [95 %]"]
    )
    wrong = judges.cells(judges._row(replace(line, at_least=None), [run._replace(wrong=True)] * 50))
    assert "BROKEN" in wrong["wrong % [95 %]"]
