"""The coverage table: what it writes, and that its promise and its twin are told apart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

from bestpolicy.bench import coverage
from bestpolicy.bench.coverage import GAINS, PROMISED, SIZES, TWIN

RECORD = Path(__file__).parents[2] / "docs" / "bench" / "coverage.json"


def test_a_small_run_writes_all_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "SIZES", (100, 200))
    with (tmp_path / "text").open("w") as file:
        report = coverage.main(True, tmp_path, replications=4, console=Console(file=file))
    assert json.loads((tmp_path / "coverage.json").read_text())["rows"] == report["rows"]
    cells = {(row["gain"], row["rows"]) for row in report["rows"]}
    assert len(cells) == len(GAINS) * 2
    assert "Coverage" in (tmp_path / "text").read_text()


def test_the_record_keeps_the_promise_in_every_cell_and_the_twin_breaks_it() -> None:
    rows = json.loads(RECORD.read_text())["rows"]
    assert {(row["gain"], row["rows"]) for row in rows} == {(g, n) for g in GAINS for n in SIZES}
    for row in rows:
        if row["interval"] in PROMISED:
            assert row["missed"]["passes"], row
            assert row["covered"] >= 0.9335
    twins = [row for row in rows if row["interval"] == TWIN]
    assert not any(row["missed"]["passes"] for row in twins)
    assert min(row["covered"] for row in twins) < 0.8
