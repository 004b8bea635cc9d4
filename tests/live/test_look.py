"""A live study for those who look at it: status, replay, export; and run, which must not."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from bestpolicy import evaluate, read_log
from bestpolicy.core.rng import stream
from live.lives import served

Command = Callable[..., tuple[int, Any, str]]
EARNS = {"red": 0.85, "green": 0.15}


@pytest.fixture
def answered(tmp_path: Path) -> Path:
    """A study that live traffic has decided, over HTTP."""
    rng = stream(11, "rewards")
    with served(tmp_path, live="{log_context: true}") as (caller, home):
        for n in range(150):
            told = {"unit": f"ann{n}@example.org", "context": {"n": n}}
            _, given = caller.post("/v1/assign", told)
            reward = float(rng.random() < EARNS[given["policy"]])
            sent = {"token": given["token"], "reward": reward, "key": f"k{n}"}
            assert caller.post("/v1/feedback", sent)[0] == 200
        caller.post("/v1/assign", {"unit": "who never answers"})
        home.traffic.books.turn()
        assert home.traffic.stand().verdict.kind == "winner"
    return tmp_path / "live.yaml"


def test_status_says_what_each_policy_earned_with_its_interval(
    answered: Path, command: Command
) -> None:
    code, found, err = command("status", answered, "--json")
    assert code == 0
    assert found["verdict"]["policy"] == "red"
    by_id = {policy["id"]: policy for policy in found["policies"]}
    for policy, mean in EARNS.items():
        low, high = by_id[policy]["mean_reward_interval"]
        assert low < mean < high
    assert by_id["red"]["chance"] == 1
    assert found["progress"]["units"] == 151
    assert found["warnings"] == []
    assert "mean reward" in err


def test_replay_is_the_same_to_the_bit_and_says_so_when_it_is_not(
    answered: Path, command: Command
) -> None:
    code, found, _ = command("replay", answered, "--json")
    assert (code, found["same"], len(found["replayed"])) == (0, True, 1)
    with closing(sqlite3.connect(answered.with_suffix(".db"))) as db:
        from bestpolicy.store import file

        # A record that somebody made right again after he had changed it: one reward, one checksum.
        row = list(db.execute("SELECT * FROM ended ORDER BY seq LIMIT 1").fetchone())
        row[5] = 1.0 - row[5]
        db.execute(
            "UPDATE ended SET reward = ?, checksum = ? WHERE seq = 0",
            (row[5], file.checksum(*row[:-1])),
        )
        db.commit()
    code, again, _ = command("replay", answered, "--json")
    assert again["replay"] != found["replay"]
    assert code in (0, 1)  # one reward of many need not move a verdict, but it moves the hash


def test_the_log_has_every_unit_with_the_chance_of_its_draw(
    answered: Path, command: Command, tmp_path: Path
) -> None:
    code, _, _ = command("export", answered, "--format", "log", "-o", tmp_path / "log.parquet")
    assert code == 0
    rows = pyarrow.parquet.read_table(tmp_path / "log.parquet").to_pylist()
    assert [row["number"] for row in rows] == list(range(151))
    assert {row["policy"] for row in rows} == {"red", "green"}
    for row in rows:
        chances = json.loads(row["chances"])
        assert row["propensity"] == chances[row["policy"]] > 0
        assert sum(chances.values()) == pytest.approx(1)
    assert [row["reward"] is None for row in rows] == [False] * 150 + [True]
    assert json.loads(rows[3]["context"]) == {"n": 3}
    assert "example.org" not in json.dumps(rows)  # people are keyed hashes
    for name in ("log.csv", "log.jsonl"):
        assert command("export", answered, "--format", "log", "-o", tmp_path / name)[0] == 0
        assert len((tmp_path / name).read_text().splitlines()) in (151, 152)


def test_the_logged_chances_give_every_policy_its_mean_without_bias(
    answered: Path, command: Command, tmp_path: Path
) -> None:
    """Σ reward / propensity over a policy's units, over all units: what `evaluate` will do."""
    command("export", answered, "--format", "log", "-o", tmp_path / "log.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    rows = [row for row in rows if row["reward"] is not None]
    for policy, mean in EARNS.items():
        weighed = [(row["policy"] == policy) * row["reward"] / row["propensity"] for row in rows]
        even = [json.loads(row["chances"])[policy] > 0 for row in rows]
        # Units drawn when a policy had no chance say nothing of it.
        value = sum(weighed) / sum(even)
        assert abs(value - mean) < 0.3


def test_the_log_is_read_back_without_the_unit_that_still_waits(
    answered: Path, command: Command, tmp_path: Path
) -> None:
    for name in ("log.parquet", "log.csv", "log.jsonl"):
        command("export", answered, "--format", "log", "-o", tmp_path / name)
        log = read_log(tmp_path / name)
        assert (len(log), log.names) == (150, ("green", "red"))
        assert "left out: 1 units from the first on that waits for feedback" in log.notes
        low, high = (evaluate(log, "always:red")["ips"].low, evaluate(log, "logging")["ips"].value)
        assert low < EARNS["red"]
        assert EARNS["green"] < high < EARNS["red"]


def test_a_study_that_traffic_answers_cannot_be_run(answered: Path, command: Command) -> None:
    code, _, err = command("run", answered)
    assert code == 2
    assert "bestpolicy serve" in err


def test_the_report_is_one_page_that_fetches_nothing_and_hides_nothing(
    answered: Path, command: Command, tmp_path: Path
) -> None:
    code, _, _ = command("report", answered, "-o", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert code == 0
    assert "red" in page
    assert "What each policy earns" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "example.org" not in page
