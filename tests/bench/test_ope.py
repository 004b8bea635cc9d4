"""The bench of off-policy evaluation sees what is biased, what under-covers, and what costs."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from bestpolicy.bench import ope
from bestpolicy.bench.ope import accuracy, cost, files, gauge, ours, worker
from bestpolicy.bench.ope.accuracy import BETTING, TWIN, Cell
from bestpolicy.bench.peers import environment

QUIET = Console(quiet=True)
HOME = environment.default_cache() / cost.HOME


@pytest.fixture(scope="module")
def rows() -> dict[str, dict[str, Any]]:
    """A hundred rows a log, worth five, and many logs."""
    cell = Cell("poor", 2.0, 100, 0.0)
    played = accuracy.play(cell, 0, 200, seed=7)
    made = accuracy.summary(cell, cell.world(7).truth(), played)
    return {row["estimator"]: row for row in made}


def test_every_registered_estimator_is_played_or_named_as_absent(
    rows: dict[str, dict[str, Any]],
) -> None:
    known = set(accuracy.ESTIMATORS)
    assert set(rows) | set(accuracy.absent()) == known | {BETTING, TWIN, accuracy.ESTIMATED}
    assert {"ips", "snips", "dm", "dr", "switch_dr", "dros", "mips", "off_cem"} <= set(rows)


def test_what_is_promised_holds_and_both_broken_twins_are_caught(
    rows: dict[str, dict[str, Any]],
) -> None:
    said = {check["check"]: check["holds"] for check in accuracy.checks(list(rows.values()))}
    assert len(said) == 6
    assert all(said.values()), said
    assert rows[TWIN]["biased"]
    assert not rows["ips"]["covers"]
    assert rows[BETTING]["covers"]


def test_a_check_that_fails_is_said_to_fail(rows: dict[str, dict[str, Any]]) -> None:
    broken = [rows["ips"] | {"biased": True}, rows[TWIN] | {"biased": False}]
    holds = {c["check"]: c["holds"] for c in accuracy.checks(broken)}
    assert not holds["ips is unbiased"]
    assert not holds["twin: w clipped at 1 is called biased"]
    assert ope.check_cells(accuracy.checks(broken)[0])["holds"] == "NO"


def test_bias_spread_and_coverage_are_of_the_replications() -> None:
    names, cell = accuracy.names(), Cell("good", 0.3, 5000, 0.0)
    played = np.zeros((4, len(names), 4))
    played[:, :, 0] = np.array([0.4, 0.6, 0.5, 0.9])[:, None]
    played[:, :, 1], played[:, :, 2] = played[:, :, 0] - 0.15, played[:, :, 0] + 0.15
    row = accuracy.summary(cell, (0.5, 0.0), played)[0]
    assert row["bias"] == pytest.approx(0.1)
    assert row["sd"] == pytest.approx(np.std([0.4, 0.6, 0.5, 0.9], ddof=1))
    assert row["rmse"] ** 2 == pytest.approx(row["bias"] ** 2 + row["sd"] ** 2)
    assert row["coverage"] == 0.75
    assert row["gap"] == pytest.approx(0.75 - 0.92)


def test_replications_do_not_depend_on_how_they_are_shared_out() -> None:
    cell = Cell("poor", 2.0, 60, 0.5)
    whole = accuracy.play(cell, 0, 4, seed=1)
    parts = [accuracy.play(cell, first, 2, seed=1) for first in (0, 2)]
    assert (whole == np.concatenate(parts)).all()


def test_memory_that_a_call_gave_back_is_counted_and_a_failure_is_a_finding() -> None:
    nothing = gauge.gauged(lambda: [1.0])
    if np.isnan(nothing["added_mb"]):
        pytest.skip("this system does not say how much memory a process has")
    large = gauge.gauged(lambda: [float(np.ones(10_000_000).sum())])
    assert nothing["added_mb"] < 8
    assert large["added_mb"] > 70
    failed = gauge.gauged(lambda: {}["no"])
    assert failed["error"].startswith("KeyError")
    assert "values" not in failed


def test_columns_are_the_same_whichever_tables_are_wanted() -> None:
    few, all_of = gauge.columns(300, 7, 5, ()), gauge.columns(300, 7, 5)
    assert all((few[name] == all_of[name]).all() for name in few)
    every = np.arange(300)
    assert (all_of["pi_0"][every, all_of["a"]] == all_of["p"]).all()
    assert (all_of["pi"][every, all_of["a"]] == all_of["chances"]).all()
    assert (gauge.columns(300, 7, 6, ())["r"] != few["r"]).any()


def test_ours_are_the_textbook_values() -> None:
    c = gauge.columns(2000, 10, 5)
    asked = {"n": 2000, "actions": 10, "seed": 5}
    found = {case: ours.played(asked | {"case": case})["values"] for case in ours.CASES}
    every, w = np.arange(2000), c["chances"] / c["p"]
    d, q = (c["pi"] * c["predictions"]).sum(axis=1), c["predictions"][every, c["a"]]
    kept = w * (w <= gauge.SWITCH)
    marginal = (c["pi"] @ c["looks"])[every, c["e"]] / (c["pi_0"] @ c["looks"])[every, c["e"]]
    ips = (w * c["r"]).mean()
    assert found["IPS and SNIPS"][:2] == pytest.approx([ips, ips / w.mean()], rel=1e-12)
    assert found["DR"] == pytest.approx([(d + w * (c["r"] - q)).mean()], rel=1e-12)
    assert found["Switch-DR"] == pytest.approx([(d + kept * (c["r"] - q)).mean()], rel=1e-12)
    assert found["MIPS"] == pytest.approx([(marginal * c["r"]).mean()], rel=1e-12)
    assert found["evaluate, everything"] == found["DR"]


def test_a_file_holds_the_rows_that_all_else_is_timed_on(tmp_path: Path) -> None:
    files.write(tmp_path / "log.parquet", 2000, 10, 5)
    asked = {"case": "IPS and SNIPS", "n": 2000, "actions": 10, "seed": 5}
    for valued in files.CASES.values():
        assert valued(str(tmp_path / "log.parquet")) == pytest.approx(
            ours.played(asked)["values"][:2], rel=1e-12
        )


def test_values_agree_to_rounding_or_are_said_not_to() -> None:
    mine = {"case": "IPS and SNIPS", "library": "bestpolicy", "n": 10, "values": [0.5, 0.6]}
    theirs = {"case": "obp SNIPS", "library": "obp", "n": 10}
    same = cost.agreement([mine, theirs | {"values": [0.6 * (1 + 1e-14)]}])
    apart = cost.agreement([mine, theirs | {"values": [0.6 * (1 + 1e-9)]}])
    assert same[0]["same"]
    assert not apart[0]["same"]
    assert ope.agreement_cells(apart[0])["within 1e-12"] == "NO"
    assert not cost.agreement([mine, theirs | {"error": "it failed"}])


def test_a_goal_is_reached_only_by_a_figure_below_it() -> None:
    goal = cost.Goal(cpu_s=0.4, added_mb=100)
    assert str(goal) == "<= 0.4 CPU s, <= 100 MB added"
    assert goal.reached_by({"cpu_s": 0.4, "added_mb": 3.0})
    assert not goal.reached_by({"cpu_s": 0.1, "added_mb": 101.0})
    assert not goal.reached_by({"error": "killed"})


def test_without_the_other_libraries_their_references_stand_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def few(path: Path, n: int, actions: int, seed: int) -> None:
        write(path, 300, actions, seed)

    def here(asked: dict[str, Any]) -> dict[str, Any]:
        return ours.played(asked | {"n": 300})

    write = files.write
    monkeypatch.setattr(files, "write", few)
    monkeypatch.setattr(cost, "_ours", here)
    monkeypatch.setattr(accuracy, "CELLS", (Cell("poor", 2.0, 60, 0.5),))
    (tmp_path / "cache").write_text("in the way")
    heard = Console(record=True, width=250, file=StringIO())
    report = ope.main(
        True, tmp_path, replications=3, processes=1, cache=tmp_path / "cache", console=heard
    )
    assert json.loads((tmp_path / "ope.json").read_text()) == report
    assert "could not be made" in report["cost"]["missing"]
    assert "only the reference figures of other libraries are shown" in heard.export_text()
    alone = [row for row in report["cost"]["rows"] if row["library"] != "bestpolicy"]
    assert {"obp DR", "vw-estimators IPS"} <= {row["case"] for row in alone}
    assert all("cpu_s" not in row and row["reference"] for row in alone)
    assert (tmp_path / "ope.svg").exists()


def test_a_library_that_fails_or_dies_is_shown_to() -> None:
    died = cost._answer([sys.executable, "-c", "raise SystemExit('no memory')"], {}, {})
    assert died == {"error": "no memory"}
    line = cost._row("obp MIPS", 10, "obp", died)
    assert ope.cost_cells(line)["CPU s"] == "fails"
    assert "no memory" in cost._line(line)


def test_the_worker_needs_nothing_of_ours() -> None:
    code = f"import runpy, sys; runpy.run_path({str(worker.__file__)!r}); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"bestpolicy", "numpy", "obp"} & set(done.stdout.split())
    assert "columns" in runpy.run_path(str(gauge.__file__))


@pytest.mark.slow
@pytest.mark.skipif(
    not (HOME / environment.READY).exists(),
    reason="the other libraries are absent: `bestpolicy bench ope --quick` installs them",
)
def test_the_other_libraries_find_the_same_numbers() -> None:
    python, _ = cost.environment(environment.default_cache(), QUIET)
    assert python is not None
    asked = {"n": 2000, "actions": 10, "seed": 5}
    found = [
        {"case": case, "library": "bestpolicy", "n": 2000, **ours.played(asked | {"case": case})}
        for case in ("IPS and SNIPS", "DR", "Switch-DR", "MIPS")
    ]
    for case in cost.PAIRS:
        found.append({"case": case, "library": "", "n": 2000})
        found[-1] |= cost._theirs(python, asked | {"case": case})
    agreed = cost.agreement(found)
    assert len(agreed) == len(cost.PAIRS)
    assert all(line["same"] for line in agreed), agreed
    crash = cost._theirs(python, asked | {"case": "obp MIPS, estimated"})
    assert "TypeError" in crash["error"]
