"""The table of structures is played, written and drawn, and a wrong structure is refused in it."""

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from bestpolicy.bench import structure
from bestpolicy.bench.cells import Cell, play


def test_the_table_is_written_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        structure,
        "TOLD",
        (
            ("easy4", "features", 20, 900, 100.0, None),
            ("hard8", "auto", 20, 900, None, None),
        ),
    )
    monkeypatch.setattr(structure, "WIDE", ("easy4", "bradley-terry", 20, 900, None, 200.0))
    monkeypatch.setattr(structure, "TRACKED", (("easy4", "bradley-terry", 20, 900, 70.0),))
    monkeypatch.setattr(structure, "MISFITS", (("cyc8", 900, True),))
    console = Console(record=True, width=150, file=StringIO())
    report = structure.main(True, tmp_path, replications=2, processes=1, console=console)
    assert json.loads((tmp_path / "structure.json").read_text()) == report
    told = [(row["told"], row["trusted"], row["target"]) for row in report["rows"]]
    allowed = structure.SLOWER * report["rows"][3]["mean"]
    assert told == [
        ("free", False, None),
        ("features", False, 100.0),
        ("features", True, None),
        ("free", False, None),
        ("auto", False, pytest.approx(allowed)),
        ("auto", True, None),
        ("bradley-terry", True, 200.0),
        ("bradley-terry", False, None),
    ]
    assert [row["habitual_stop"] is None for row in report["rows"]] == [True] * 7 + [False]
    assert report["rows"][-1]["habitual_stop"]["certified"] is False
    assert "easy4, paper, bradley-terry: GLR, not certified" in console.export_text()
    assert report["misfit"][0]["fired"] == 2
    assert (tmp_path / "structure.svg").exists()


def test_features_are_renumbered_with_their_policies() -> None:
    """Were they not, the structure would be wrong and the winner found no sooner than by chance."""
    cell = Cell("feat32", "llm-po", True, 0.05, 2000, 3, 0.0, "features", True)
    runs = play(cell, 0, 3, seed=0)
    assert [run.kind for run in runs] == ["winner"] * 3
    assert sum(run.comparisons for run in runs) < 3 * 1200
