"""Each reader: a small log of ours, read to the exact columns that it means."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from logs import FORMS, GOOD, MAP

import bestpolicy
from bestpolicy.core.log import BadRow, Log
from bestpolicy.core.nouns import ConfigError
from bestpolicy.offpolicy.readers import LogFile, guess_columns, read_log, vw

LOGS = Path(__file__).parent / "logs"


def whole(log: Any) -> Log:
    return log.load() if isinstance(log, LogFile) else log


def same(found: Any, **wanted: Any) -> None:
    """These columns are exactly those, and the rest is not there."""
    log = whole(found)
    for name in ("actions", "rewards", "propensity", "contexts", "propensities", "weight",
                 "times", "loggers"):  # fmt: skip
        seen, meant = getattr(log, name), wanted.get(name)
        if meant is None:
            assert seen is None, name
        else:
            np.testing.assert_array_equal(seen, meant, err_msg=name)


@pytest.mark.parametrize("form", FORMS)
def test_the_same_log_in_any_form_is_the_same(form: str, tmp_path: Path) -> None:
    given = FORMS[form](tmp_path, GOOD)
    log = read_log(
        *(given,),
        **MAP,
        id="request",
        context=("age",),
        time="when",
        weight="often",
        propensities="all",
        names=("cold", "plain", "warm"),
        keep=("request",),
    )
    assert isinstance(log, LogFile) == isinstance(given, Path)
    assert (len(log), log.names, log.bounds) == (4, ("cold", "plain", "warm"), (0.0, 1.0))
    same(
        log,
        actions=[2, 0, 2, 1],
        rewards=[1.0, 0.0, 0.5, 1.0],
        propensity=[0.5, 0.25, 0.5, 0.25],
        contexts=[[30.0], [41.0], [22.5], [60.0]],
        propensities=GOOD["all"],
        weight=[1.0, 2.0, 1.0, 4.0],
        times=[10.0, 20.0, 30.0, 40.0],
    )
    assert whole(log).columns["request"].tolist() == ["q1", "q2", "q3", "q4"]


def test_a_file_is_read_in_chunks_as_often_as_it_is_asked_for(tmp_path: Path) -> None:
    n = 150_000
    columns = {"a": np.arange(n) % 3, "r": np.ones(n), "p": np.full(n, 0.5), "q": np.full(n, 0.25)}
    pq.write_table(pa.table(columns), path := tmp_path / "log.parquet", row_group_size=40_000)
    log = read_log(path, action="a", reward="r", propensity="p")
    assert isinstance(log, LogFile)
    for _ in range(2):
        parts = list(log.chunks())
        assert [part.start for part in parts] == np.cumsum([0, *map(len, parts)])[:-1].tolist()
        assert sum(map(len, parts)) == len(log) == n
        assert max(map(len, parts)) <= 1 << 16
    (found,) = bestpolicy.evaluate(log, "column:q", estimators=["ips"]).values()
    assert found.value == 0.5
    with pytest.raises(ConfigError, match="no column 'pp'; did you mean 'p'"):
        bestpolicy.evaluate(log, "column:pp")


def test_a_log_in_open_bandit_columns_is_recognised() -> None:
    log = read_log(LOGS / "open_bandit.csv")
    same(
        log,
        actions=[1, 0, 2, 1],
        rewards=[0, 1, 0, 0],
        propensity=[0.5, 1e-6, 0.25, 0.5],
        contexts=[[2, 0, 1], [1, 1, 0], [3, 0, 1], [2, 0, 1]],
        times=[1767225600.5, 1767225601.0, 1767225602.0, 1767225601.0],
    )
    assert log.names == ("0", "1", "2")
    assert (
        "times go backwards at 1 of 4 rows: rows are taken in the order of the source" in log.notes
    )
    assert "user_feature_0: 2 texts coded as numbers in rising order" in log.notes


def vw_log_is_right(found: Any) -> None:
    same(found, actions=[0, 2, 1], rewards=[1.0, 0.0, 0.25], propensity=[0.5, 0.25, 1.0])


def test_cb_text_negates_costs_counts_from_one_and_leaves_out_what_has_no_label() -> None:
    log = read_log(LOGS / "cb.vw", keep=("features",))
    vw_log_is_right(log)
    assert log.names == ("1", "2", "3", "4")
    assert "cost is read as reward = -cost: what costs -1 earned 1" in log.notes
    assert "left out: 1 lines without a label" in log.notes
    assert "actions are numbered from 1: 4 of them, 1 … 4" in log.notes
    assert whole(log).columns["features"].tolist() == ["user:1 old", "new", "user:2"]


def test_cost_read_as_reward_would_not_pass_that_check(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = vw._row

    def upside_down(action: int, cost: float, *rest: Any) -> dict[str, Any]:
        return honest(action, -cost, *rest)

    monkeypatch.setattr(vw, "_row", upside_down)
    with pytest.raises((AssertionError, BadRow)):
        vw_log_is_right(read_log(LOGS / "cb.vw", bounds=(-1.0, 1.0)))


def test_cb_adf_text_takes_the_labelled_line_for_the_action() -> None:
    log = read_log(LOGS / "adf.txt")
    same(log, actions=[1, 0], rewards=[1.0, 0.0], propensity=[0.75, 0.5])
    assert log.names == ("0", "1", "2")
    assert "left out: 1 examples without a label" in log.notes


def test_decision_service_json_has_all_chances_and_weighs_what_was_dropped() -> None:
    log = read_log(LOGS / "events.dsjson")
    same(
        log,
        actions=[1, 2],
        rewards=[1.0, 0.0],
        propensity=[0.75, 0.25],
        propensities=[[0.25, 0.75, 0.0], [0.5, 0.25, 0.25]],
        weight=[2.0, 1.0],
        times=[1767225600.25, 1767225601.0],
    )
    assert log.names == ("1", "2", "3")
    for note in (
        "left out: 1 events without a label",
        "left out: 1 events that asked not to be learnt from (_skipLearn)",
        "1 rows stand for more than one (pdrop)",
        "actions are numbered from 1: 3 of them, 1 … 3",
    ):
        assert note in log.notes


LIVE: dict[str, list[Any]] = {
    "number": [0, 1, 2, 3, 4, 5],
    "unit": ["u0", "u1", None, "u3", "u4", "u5"],
    "policy": ["plain", "kind", "kind", "plain", "plain", "kind"],
    "propensity": [0.5, 0.5, 0.5, 0.25, 0.25, 0.75],
    "reward": [1.0, 0.5, None, 1.0, None, 1.0],
    "ended": [True, True, True, True, False, True],
    "counts": [True, True, True, False, True, True],
    "at": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
    "context": [None] * 6,
    "chances": ['{"plain": 0.5, "kind": 0.5}'] * 3 + ['{"plain": 0.25, "kind": 0.75}'] * 3,
}


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl"])
def test_our_own_log_is_read_as_the_live_study_means_it(form: str, tmp_path: Path) -> None:
    path = FORMS[form](tmp_path, LIVE)
    log = read_log(path)
    two = {"propensity": [0.5, 0.5], "propensities": [[0.5, 0.5]] * 2, "times": [1.0, 2.0]}
    same(log, actions=[1, 0], rewards=[1.0, 0.5], **two)
    assert log.names == ("kind", "plain")
    for note in (
        "left out: 2 units from the first on that waits for feedback",
        "left out: 1 units moved away from a policy proven worse",
        "left out: 1 units whose time passed without feedback",
    ):
        assert note in log.notes
    log = read_log(path, missing=0.0)
    assert whole(log).rewards.tolist() == [1.0, 0.5, 0.0]
    assert "1 units without feedback count as 0" in log.notes


def test_a_policy_without_a_chance_in_our_own_log_is_refused(tmp_path: Path) -> None:
    chances = ['{"plain": 0.5, "kind": 0.5}', '{"plain": 0.5, "rude": 0.5}', *LIVE["chances"][2:]]
    with pytest.raises(BadRow, match=r"row 1 .*'(chances|policy)'"):
        read_log(FORMS["jsonl"](tmp_path, LIVE | {"chances": chances}))


def test_a_feedback_dict_of_the_open_bandit_pipeline_is_taken_as_it_is() -> None:
    feedback = {
        "n_rounds": 2,
        "n_actions": 3,
        "action": np.array([2, 0]),
        "reward": np.array([1, 0]),
        "pscore": np.array([0.5, 0.25]),
        "context": np.array([[1.0], [2.0]]),
        "position": np.zeros(2, int),
        "action_context": np.eye(3),
        "pi_b": np.array([[[0.25], [0.25], [0.5]], [[0.25], [0.5], [0.25]]]),
        "expected_reward": np.full((2, 3), 0.5),
    }
    log = read_log(feedback)
    tabled = np.array([[0.25, 0.25, 0.5], [0.25, 0.5, 0.25]])
    basic = {"actions": [2, 0], "rewards": [1.0, 0.0], "propensity": [0.5, 0.25]}
    same(log, **basic, contexts=[[1.0], [2.0]], propensities=tabled)
    assert whole(log).columns["expected_reward"].shape == (2, 3)
    several = {"position": np.array([1, 0]), "pi_b": np.stack([tabled[::-1], tabled], axis=2)}
    several["pi_b"][1, :, 0] = tabled[1]
    log = read_log(feedback | several)
    same(log, **basic, contexts=[[1.0, 1.0], [2.0, 0.0]], propensities=tabled)


def test_guesses_name_the_columns_that_people_usually_mean() -> None:
    assert guess_columns(["user", "Prompt ID", "clicked", "pscore", "request_id", "ts"]) == {
        "action": "Prompt ID",
        "reward": "clicked",
        "propensity": "pscore",
        "id": "request_id",
        "time": "ts",
    }
    assert guess_columns(["x", "z"]) == {}


def test_golden_logs_are_small_and_ours() -> None:
    assert sum(path.stat().st_size for path in LOGS.iterdir()) < 5000
    assert json.loads((LOGS / "events.dsjson").read_text().splitlines()[0])["EventId"] == "e1"


def test_actions_and_chances_come_in_many_forms() -> None:
    basic = {"r": [1, 0, 1], "p": [0.5, 0.25, 0.25]}
    said = {"action": "a", "reward": "r", "propensity": "p"}

    def found(a: Any, **rest: Any) -> tuple[list[int], tuple[str, ...], str]:
        columns = {k: v for k, v in rest.items() if not isinstance(v, str)}
        log = read_log(basic | {"a": a} | columns, **said,
                       **{k: v for k, v in rest.items() if isinstance(v, str)})  # fmt: skip
        return whole(log).actions.tolist(), log.names, "; ".join(log.notes)

    assert found([0, 2, 1])[:2] == ([0, 2, 1], ("0", "1", "2"))
    assert found([1, 2, 4])[:2] == ([0, 1, 3], ("1", "2", "3", "4"))
    assert "1 were never logged" in found([1, 2, 4])[2]
    assert found([500, 7, 31])[:2] == ([2, 0, 1], ("7", "31", "500"))
    assert found(["10", "b", "9"])[1] == ("10", "9", "b")
    assert found([True, False, True])[:2] == ([1, 0, 1], ("false", "true"))
    assert found(pd.Series(["x", "y", "x"], dtype="category"))[0] == [0, 1, 0]
    assert found(np.array([1.0, 2.0, 2.0]))[1] == ("1", "2")
    table = [[0.5, 0.25, 0.25], [0.5, 0.25, 0.25], [0.5, 0.25, 0.25]]
    assert found([1, 2, 3], all=table, propensities="all")[:2] == ([0, 1, 2], ("1", "2", "3"))
    assert found([0, 1, 2], all=table, propensities="all")[1] == ("0", "1", "2")
    # Number 1 alone is at home in both counts: its chance tells which.
    assert found([1, 2, 2], all=table, propensities="all")[0] == [0, 1, 1]
    maps = [{"u": 0.5, "v": 0.5}, {"u": 0.25, "w": 0.75}, {"v": 0.75, "u": 0.25}]
    assert found(["u", "u", "u"], all=maps, propensities="all")[:2] == ([0, 0, 0], ("u", "v", "w"))


def test_chances_that_fit_two_counts_of_actions_are_refused() -> None:
    even = {"a": [1, 2, 1], "r": [1, 0, 1], "p": [1 / 3] * 3, "all": [[1 / 3] * 3] * 3}
    said = {"action": "a", "reward": "r", "propensity": "p", "propensities": "all"}
    with pytest.raises(ConfigError, match="from 0 or from 1"):
        read_log(even, **said)
    assert whole(read_log(even, **said, names=("0", "1", "2"))).actions.tolist() == [1, 2, 1]


def test_rows_of_several_loggers_are_weighted_by_their_mixture(tmp_path: Path) -> None:
    columns = {
        "a": ["x", "y", "x", "x"],
        "r": [1, 0, 1, 1],
        "who": ["old", "old", "old", "new"],
        "p": [0.5, 0.5, 0.5, 0.75],
        "old": [0.5, 0.5, 0.5, 0.5],
        "new": [0.75, 0.0, 0.75, 0.75],
    }
    said: dict[str, Any] = {"action": "a", "reward": "r", "logger": "who"}
    for form in ("parquet", "csv", "dict"):
        given = FORMS[form](tmp_path, columns)
        log = read_log(given, **said, loggers={"old": "old", "new": "new"})
        mixed = [0.5625, 0.375, 0.5625, 0.5625]
        same(
            log, actions=[0, 1, 0, 0], rewards=[1, 0, 1, 1], propensity=mixed, loggers=[0, 0, 0, 1]
        )
        assert any("weighted by the mixture" in note for note in log.notes)
        log = read_log(given, **said, propensity="p")
        assert whole(log).propensity.tolist() == columns["p"]
        assert any("its own logger's chance alone" in note for note in log.notes)
    for wrong, rule in (
        ({"new": [0.75, 0.0, 0.75, 0.0]}, "row 3 .*'new': 0 where the chance of what this"),
        ({"who": ["old", "old", "odl", "new"]}, "row 2 .*did you mean 'old'"),
        ({"old": [0.5, 0.5, 1.5, 0.5]}, "row 2 .*'old': 1.5"),
    ):
        with pytest.raises(BadRow, match=rule):
            read_log(columns | wrong, **said, loggers={"old": "old", "new": "new"})


def test_a_chance_logged_for_all_needs_no_column_for_the_chosen_one(tmp_path: Path) -> None:
    columns = {"a": ["x", "y"], "r": [1, 0], "x": [0.75, 0.5], "y": [0.25, 0.5]}
    log = read_log(columns, action="a", reward="r", propensities={"y": "y", "x": "x"})
    table = [[0.25, 0.75], [0.5, 0.5]]
    same(log, actions=[1, 0], rewards=[1, 0], propensity=[0.75, 0.5], propensities=table)


def test_dictionary_columns_and_decimals_of_parquet_are_read(tmp_path: Path) -> None:
    table = pa.table(
        {
            "a": pa.array(["x", "y", "x"]).dictionary_encode(),
            "r": pa.array([True, False, True]),
            "p": pa.array([0.5, 0.25, 0.5]).cast(pa.decimal128(5, 3)),
            "t": pa.array([1, 2, 3], pa.timestamp("ms", tz="UTC")),
            "e": pa.array([[1.0, 2.0]] * 3, pa.list_(pa.float32())),
        }
    )
    pq.write_table(table, path := tmp_path / "typed.parquet")
    log = read_log(path, action="a", reward="r", propensity="p", time="t", context="e")
    basic = {"actions": [0, 1, 0], "rewards": [1, 0, 1], "propensity": [0.5, 0.25, 0.5]}
    same(log, **basic, times=[0.001, 0.002, 0.003], contexts=[[1, 2]] * 3)
