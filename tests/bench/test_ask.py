"""The timing table is written; what it says is for the machine at hand, and no test's business."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from bestpolicy.bench import ask


def test_every_call_is_timed_even_when_a_study_ends_under_way() -> None:
    ms = ask.ask_and_tell(2, 300, design="uniform", structure="free", seed=1)
    assert ms.shape == (300,)
    assert (ms > 0).all()


def test_the_table_of_times_is_written_and_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {(3, "free"): 0.1, (12, "features"): None}
    monkeypatch.setattr(ask, "ROWS", few)
    report = ask.main(True, tmp_path, calls=20, console=Console(quiet=True))
    assert json.loads((tmp_path / "ask.json").read_text()) == report
    assert [row["policies"] for row in report["rows"]] == [3, 12]
    assert all(0 < row["median_ms"] <= row["p95_ms"] <= row["max_ms"] for row in report["rows"])
    assert (tmp_path / "ask.svg").exists()
