"""The bench of learners: what is played, what is kept, what is promised of it."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bestpolicy.bench import offline_prompts as bench
from bestpolicy.bench.offline_prompts import goals, show
from bestpolicy.bench.offline_prompts.cost import costs
from bestpolicy.bench.offline_prompts.grids import (
    GRIDS,
    LONG,
    MODELS,
    PUBLISHED,
    Cell,
    Fit,
    Play,
    key,
    plays,
    tasks,
)
from bestpolicy.bench.offline_prompts.kept import Kept
from bestpolicy.bench.offline_prompts.reference import reference
from bestpolicy.core.nouns import ConfigError

TINY = Cell(5, 120)


def tiny(quick: bool) -> list[Play]:
    return [Play("prompts", TINY, Fit(method), 2) for method in ("is", "online")]


def test_grids_hold_what_the_note_lists_and_quick_ones_are_few() -> None:
    every = plays(list(GRIDS), False, None)
    assert {p.cell.prompts for p in every if p.grid == "prompts"} == {10, 50, 100, 500, 1000}
    assert {p.cell.rows for p in every if p.fit == Fit("dso")} >= {500, 1000, 2000, 4000, 8000}
    assert {p.cell.sigma for p in every} == {0.0, 1.0, 2.0, 3.0}
    kernels = {(p.fit.kernel, p.fit.tau, p.fit.density) for p in every if p.grid == "kernels"}
    assert len(kernels) >= 2 * 4 * 3
    assert any(not p.cell.compat for p in every)
    assert all(p.seeds >= 10 for p in every if (p.grid, p.fit) == ("prompts", Fit("cf-dr-dso")))
    few = [fit for _, _, fits in tasks(plays(list(GRIDS), True, None), 0, {}) for fit in fits]
    assert len(few) < 250


def test_the_published_point_is_found_in_every_grid_that_has_it() -> None:
    assert reference(Cell(), PUBLISHED) == 0.458
    assert reference(Cell(10), Fit("is")) == 0.789
    assert reference(Cell(rows=2000), LONG[1]) == 0.191
    assert reference(Cell(sigma=3.0), Fit("online")) == 0.679
    assert reference(Cell(), Fit("dso-published", "uniform", 2.0)) == 0.43
    for cell, fit in (
        (Cell(compat=False), Fit("is")),
        (Cell(10, 2000), Fit("is")),
        (Cell(), Fit("cf-dr-dso")),
        (Cell(), Fit("dr")),  # a net that is stopped early is none of theirs
        (Cell(), Fit("dso-published", density="exact")),
        (Cell(10), Fit("dso-published")),
        (Cell(), Fit("is", shift=1.0)),
    ):
        assert reference(cell, fit) is None


def test_what_is_finished_is_not_learnt_again_and_a_cut_line_is(tmp_path: Path) -> None:
    kept, lines = Kept.within(tmp_path / "new"), tiny(False)
    assert len(tasks(lines, 7, kept.read())) == 2
    kept.add({key(TINY, 7, Fit("is")): {"optimality": 0.5, "cpu_s": 1.0}})
    with kept.path.open("a") as file:
        file.write('{"fit": "cut')
    kept.add({key(TINY, 8, Fit("is")): {"optimality": 0.6, "cpu_s": 1.0}})
    assert len(kept.read()) == 2
    left = tasks(lines, 7, kept.read())
    assert left == [(TINY, 7, [Fit("online")]), (TINY, 8, [Fit("online")])]


def test_it_plays_writes_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "GRIDS", {"prompts": tiny})
    monkeypatch.setattr("bestpolicy.bench.offline_prompts.grids.GRIDS", {"prompts": tiny})
    monkeypatch.setattr("bestpolicy.bench.offline_prompts.cost.SIZES", (10, 20))
    learnt: list[int] = []

    def played(cell: Cell, seed: int, fits: list[Fit]) -> list[dict[str, float]]:
        learnt.append(seed)
        if len(learnt) == 2:
            raise KeyboardInterrupt
        return [{"optimality": 0.1 * seed, "cpu_s": 1.0} for _ in fits]

    monkeypatch.setattr(bench, "played", played)
    console = Console(file=StringIO(), width=200)

    def once() -> dict[str, Any]:
        return bench.main(
            False, tmp_path / "out", processes=1, cache=tmp_path, seed=1, console=console
        )

    with pytest.raises(KeyboardInterrupt):
        once()
    report = once()
    assert learnt == [1, 2, 2]  # world 1 was kept
    assert [row["worlds"] for row in report["rows"]] == [[0.1, 0.2]] * 2
    assert json.loads((tmp_path / "out" / "offline-prompts.json").read_text()) == report
    assert (tmp_path / "out" / "offline-prompts-prompts.svg").is_file()
    with pytest.raises(ConfigError, match="no grid is called 'prompt'"):
        bench.main(True, tmp_path, instances=["prompt"], cache=tmp_path)


@pytest.mark.slow
def test_one_world_is_played_for_real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [Play("prompts", Cell(4, 100), Fit("is"), 1)]
    for place in ("", ".grids"):
        name = f"bestpolicy.bench.offline_prompts{place}.GRIDS"
        monkeypatch.setattr(name, {"prompts": lambda quick: lines})
    monkeypatch.setattr("bestpolicy.bench.offline_prompts.cost.SIZES", (10, 20))
    report = bench.main(True, tmp_path, processes=1, cache=tmp_path, console=Console(quiet=True))
    assert -1 < report["rows"][0]["optimality"] <= 1.001


def test_goals_are_missed_by_those_who_fall_short_and_twins_must() -> None:
    def said(level: float, twin: float) -> dict[str, goals.Goal]:
        worlds: dict[tuple[Cell, Fit], dict[int, float]] = {
            (Cell(), Fit("cf-dr-dso")): {1: level, 2: level + 0.02},
            (MODELS, Fit("dso")): {1: 0.5, 2: 0.52},
            (MODELS, Fit("cf-dr-dso", model="linear", folds=1)): {1: twin, 2: twin},
        }
        return {goal.says: goal for goal in goals.goals(worlds, {})}

    good, bad = said(0.65, 0.4), said(0.5, 0.6)
    assert [goal.passes for goal in good.values()] == [True, False]
    assert [goal.passes for goal in bad.values()] == [False, True]
    assert [goal.twin for goal in good.values()] == [False, True]
    report = {"goals": [vars_of(goal) for goal in bad.values()]}
    assert [line[-1] for line in show.goals(report).lines] == ["MISSED", "twin: NOT caught"]


def vars_of(goal: goals.Goal) -> dict[str, Any]:
    return {name: getattr(goal, name) for name in goal.__slots__}


def test_a_part_that_grows_with_prompts_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: the output layer, which does grow, taken for the sentences' part."""
    module = "bestpolicy.bench.offline_prompts.cost"
    monkeypatch.setattr(f"{module}.SIZES", (100, 2000))
    monkeypatch.setattr(f"{module}.ROUNDS", 3)
    from bestpolicy.bench.offline_prompts import cost

    parts = cost._parts
    monkeypatch.setattr(
        cost,
        "_parts",
        lambda size, seed: dict.fromkeys(parts(size, seed), parts(size, seed)["output"]),
    )
    assert not costs()[1]["passes"]
