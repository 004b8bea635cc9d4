"""The table plays what it says, the same however many processes play it."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bestpolicy.bench import TABLES, dueling, figures
from bestpolicy.bench.cells import Cell, Run, is_wrong, play, play_all, summary
from bestpolicy.bench.reference import DELTAS, LADDER
from bestpolicy.core.nouns import ConfigError, Kind, Verdict
from bestpolicy.core.rng import stream
from bestpolicy.worlds.preference import INSTANCES, shuffled

EASY4 = Cell("easy4", "llm-po", True, 0.05, 2000, 24)


def quiet() -> Console:
    return Console(quiet=True)


def verdict(kind: Kind, policy: int | None) -> Verdict[int]:
    return Verdict(kind, policy, 0.95, (), 10, "")


def test_only_a_claim_that_is_not_so_is_wrong() -> None:
    winner, none = INSTANCES["easy4"](), INSTANCES["nowinner6"]()
    assert not is_wrong(verdict("winner", 0), winner)
    assert is_wrong(verdict("winner", 1), winner)
    assert is_wrong(verdict("no-winner", None), winner)
    assert not is_wrong(verdict("no-winner", None), none)
    assert is_wrong(verdict("winner", 0), none)
    assert not is_wrong(verdict("undecided", None), winner)


def test_whoever_always_names_number_zero_is_wrong_three_times_in_four() -> None:
    worlds = [shuffled(INSTANCES["easy4"](), stream(5, "tests/cells", r)) for r in range(400)]
    wrong = [Run(1, "winner", is_wrong(verdict("winner", 0), world)) for world in worlds]
    assert not summary(EASY4, wrong).wrong.passes
    assert 240 < sum(run.wrong for run in wrong) < 350  # binomial(400, 3/4), one in a million


def test_two_processes_play_the_same_table_as_one() -> None:
    one = play_all([EASY4], seed=5, processes=1, console=quiet())
    two = play_all([EASY4], seed=5, processes=2, console=quiet())
    assert one == two


def test_replications_are_the_same_in_pieces_and_at_once() -> None:
    assert play(EASY4, 0, 6, seed=5) == play(EASY4, 0, 2, seed=5) + play(EASY4, 2, 4, seed=5)
    assert len(set(play(EASY4, 0, 6, seed=5))) > 1


def test_an_unfinished_run_counts_at_its_cap_and_claims_nothing() -> None:
    cell = Cell("hard8", "llm-po", True, 0.05, 10, 2)
    result = summary(cell, play(cell, 0, 2, seed=5))
    assert (result.mean, result.cut, result.wrong.count) == (10, 1.0, 0)


def test_the_table_is_written_printed_and_drawn(tmp_path: Path) -> None:
    console = Console(record=True, width=160, quiet=False, file=(tmp_path / "text").open("w"))
    report = dueling.main(
        True,
        tmp_path,
        instances=["easy4"],
        methods=["llm-po"],
        replications=10,
        ladder=False,
        processes=1,
        console=console,
    )
    console.file.close()
    assert json.loads((tmp_path / "dueling.json").read_text()) == report
    (cell,) = report["rows"]
    assert cell["floor"] == pytest.approx(65.77, abs=0.01)
    assert cell["ratio"] == pytest.approx(cell["mean"] / cell["floor"], rel=1e-3)
    assert "easy4" in console.export_text()
    assert (tmp_path / "dueling.svg").stat().st_size > 1000


def test_a_table_that_was_broken_off_resumes_and_one_of_other_code_is_played_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def table(methods: list[str], replications: int = 4) -> tuple[list[Any], str]:
        played: list[Cell] = []
        console = Console(record=True, width=160, file=StringIO())

        def counted(cells: list[Cell], **options: Any) -> Any:
            played.extend(cells)
            return play_all(cells, **options)

        monkeypatch.setattr(dueling, "play_all", counted)
        report = dueling.main(
            True,
            tmp_path,
            instances=["easy4"],
            methods=methods,
            replications=replications,
            ladder=False,
            processes=1,
            console=console,
        )
        assert json.loads((tmp_path / "dueling.json").read_text()) == report
        return report["rows"], " ".join(cell.design for cell in played)

    first, played = table(["racing"])
    assert played == "racing"
    both, played = table(["racing", "llm-po"])
    assert played == "llm-po"
    assert [row["method"] for row in both] == ["llm-po", "racing"]
    assert both[1] == first[0]
    assert table(["racing"], 3)[1] == ""  # more replications are there already
    assert table(["racing"], 5)[1] == "racing"
    monkeypatch.setattr(dueling, "code_digest", lambda: "other code")
    assert table(["llm-po"])[1] == "llm-po"


def test_the_full_table_has_every_method_on_every_instance() -> None:
    cells = dueling.cells(False)
    assert {c.replications for c in cells if c.design == "llm-po"} == {2000}
    assert min(c.replications for c in cells) >= 20
    nobody = [method for method in dueling.METHODS if method.endswith(dueling.OR_NONE)]
    assert len(cells) == len(dueling.METHODS) * len(dueling.WITH_WINNER) + len(nobody)
    assert not any(c.assume_winner for c in cells if c.instance == "nowinner6")
    quick = dueling.cells(True)
    assert {c.replications for c in quick if c.design == "llm-po"} == {400}
    assert min(c.replications for c in quick) >= 10
    assert len(dueling.ladder_cells(True)) == len(LADDER) * len(DELTAS)


def test_a_name_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match="no instance 'easy5'; there are easy4"):
        dueling.cells(True, instances=["easy5"])
    with pytest.raises(ConfigError, match="no method 'ucb'"):
        dueling.cells(True, methods=["ucb"])


def test_without_matplotlib_a_sentence_stands_in_for_the_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "find_spec", lambda name: None)
    console = Console(record=True, file=(tmp_path / "text").open("w"))
    figures.save(lambda axes: None, tmp_path / "x.svg", console)
    console.file.close()
    assert "install the extra `plots`" in console.export_text()
    assert not (tmp_path / "x.svg").exists()


def test_every_table_in_the_register_exists() -> None:
    import importlib

    for name in TABLES:
        assert callable(importlib.import_module(f"bestpolicy.bench.{name.replace('-', '_')}").main)
