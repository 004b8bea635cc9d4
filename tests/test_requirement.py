"""`bestpolicy simulate --bound` prints what a truth costs, and plays nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bestpolicy.cli import outcome
from bestpolicy.worlds import truth
from bestpolicy.worlds.preference import INSTANCES

DELTA = 1 - 0.95


def told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert outcome(["simulate", *arguments, "--bound", "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)["bound"]
    return found


def test_a_truth_costs_what_the_closed_forms_say(capsys: pytest.CaptureFixture[str]) -> None:
    p = INSTANCES["cyc8"]().p
    found = told(["cyc8"], capsys)
    assumed, free = found["requirements"]
    assert assumed["t_star"] == [truth.t_star(p)] * 2
    assert free["t_star"] == [truth.t_star_verify(p)] * 2
    assert free["comparisons"][0] == pytest.approx(truth.floor(p, DELTA, assume_winner=False))
    for one in (assumed, free):
        shares = [pair["share"] for pair in one["proportions"]]
        assert sum(shares) == pytest.approx(1)
        assert shares == sorted(shares, reverse=True)
    assert {pair["against"] for pair in free["proportions"]} == {0}
    assert {pair["against"] for pair in assumed["proportions"]} != {0}


def test_a_structure_is_told_between_two_ends_with_its_gap(
    capsys: pytest.CaptureFixture[str],
) -> None:
    structured = told(["easy4"], capsys)["requirements"][2]
    low, high = structured["t_star"]
    assert "Bradley-Terry" in structured["told"]
    assert low < high < truth.t_star(INSTANCES["easy4"]().p)
    assert structured["gap"] == pytest.approx(high / low - 1)
    assert structured["gap"] < 1e-3


def test_what_is_infinite_or_not_computed_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assumed, free = told(["nowinner6"], capsys)["requirements"]
    assert assumed["t_star"] == [None, None]
    assert "infinite" in assumed["why"]
    assert free["t_star"][0] == pytest.approx(79.4001709872)
    unknown = told(["feat1000"], capsys)["requirements"][2]
    assert unknown["t_star"] == [None, None]
    assert "not computed: 499,500 pairs" in unknown["why"]


def test_people_see_figures_and_bars(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(["simulate", "easy4", "--bound"]) == 0
    text = capsys.readouterr().out
    for word in ("24.82", "65.8", "1 against 0", "48.68 %", "█", "closed form", "% apart"):
        assert word in text


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_a_figure_is_drawn_when_asked_for(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / f"bound.{kind}"
    assert outcome(["simulate", "cyc8", "--bound", "--plot", str(path)]) == 0
    assert path.stat().st_size > 1000
    if kind == "svg":
        assert "<svg" in path.read_text()


def test_a_figure_of_another_kind_is_refused(tmp_path: Path) -> None:
    assert outcome(["simulate", "cyc8", "--bound", "--plot", str(tmp_path / "bound.doc")]) == 2
