"""`bestpolicy work`: processes that share one study, die, stop, and lose nothing."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bestpolicy.config import load
from bestpolicy.run import open_study
from bestpolicy.store import SqliteStore
from bestpolicy.store.database import Clock
from laws import question
from llm.fake_provider import FakeProvider
from run import playing

# A judge that takes his time, so that workers die in the midst of a duel.
SLOW = "import time\n\n\ndef judge(row, left, right):\n    time.sleep({s})\n    return 'left'\n"


def study(folder: Path, *, duels: int, seconds: float = 0.02, **more: Any) -> Path:
    """A study of functions that no answers can decide, and that asks so many duels."""
    (folder / "slow.py").write_text(
        SLOW.format(s=seconds)
        + "\n\ndef a(row):\n    return 'a'\n\n\ndef b(row):\n    return 'b'\n"
    )
    path = folder / "study.yaml"
    path.write_text(
        json.dumps(
            {
                "version": 1,
                "inputs": [f"question {i}" for i in range(2 * duels)],
                "policies": [{"id": "a", "call": "slow:a"}, {"id": "b", "call": "slow:b"}],
                "judge": {"call": "slow:judge", "order": "random"},
                "decide": {"confidence": 0.9999},
                "budget": {"comparisons": duels},
                "workers": 2,
            }
            | more
        )
    )
    return path


_started: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def _none_outlives_its_test() -> Iterator[None]:
    yield
    while _started:
        process = _started.pop()
        process.kill()
        process.communicate()


def work(path: Path, lease: float = 60, **more: Any) -> subprocess.Popen[str]:
    _started.append(playing.start("work", path, "--json", "--lease", lease, **more))
    return _started[-1]


def duels(path: Path) -> tuple[int, int]:
    """How many were asked and how many answered, read without any of our code."""
    with sqlite3.connect(f"file:{path.with_suffix('.db')}?mode=ro", uri=True) as db:
        counts = dict(db.execute("SELECT kind, count(*) FROM event GROUP BY kind").fetchall())
    db.close()
    return counts.get("asked", 0), counts.get("told", 0)


def until(path: Path, answered: int) -> None:
    """Wait until so many duels are answered."""
    for _ in range(3000):
        try:
            if duels(path)[1] >= answered:
                return
        except sqlite3.OperationalError:
            pass
        time.sleep(0.02)
    raise AssertionError("the workers do nothing")


def stop(process: subprocess.Popen[str], path: Path) -> None:
    """Stop a worker between two transactions: nobody can take a file's lock from who is stopped."""
    while True:
        process.send_signal(signal.SIGSTOP)
        db = sqlite3.connect(path.with_suffix(".db"), timeout=0.5, isolation_level=None)
        try:
            db.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError:
            process.send_signal(signal.SIGCONT)
            time.sleep(0.01)
        finally:
            db.close()


def test_workers_share_a_study_and_come_to_its_verdict_paying_each_answer_once(
    tmp_path: Path, store_url: str
) -> None:
    with FakeProvider(answer=playing.named) as server:
        path = playing.write(tmp_path, server, workers=4, store=store_url)
        ends = [playing.end(process) for process in [work(path) for _ in range(3)]]
        assert [done.code for done in ends] == [0, 0, 0], ends[0].err
        verdicts = [done.said["verdict"] for done in ends]
        assert {verdict["policy"] for verdict in verdicts} == {"a"}
        told = sum(done.said["worker"]["told"] for done in ends)
        assert told == len(playing.told(path))
        assert max(playing.completed(server).values()) == 1
    replayed = playing.bestpolicy_("replay", path, "--json")
    assert replayed.code == 0, replayed.err
    assert replayed.said["verdict"] == verdicts[0]


def test_what_killed_and_stopped_workers_leave_is_played_by_the_last(tmp_path: Path) -> None:
    path = study(tmp_path, duels=120)
    first = [work(path, lease=1) for _ in range(3)]
    until(path, 10)
    first[0].kill()
    stop(first[1], path)
    until(path, 20)
    first[2].kill()
    last = playing.end(work(path, lease=1))
    assert last.code == 3, last.err
    assert duels(path) == (120, 120)
    os.kill(first[1].pid, signal.SIGCONT)
    late = playing.end(first[1])
    assert late.code == 3, late.err
    assert duels(path) == (120, 120)


def test_ctrl_c_finishes_what_is_in_flight_and_lets_the_rest_go(tmp_path: Path) -> None:
    path = study(tmp_path, duels=1000)
    process = work(path)
    until(path, 5)
    process.send_signal(signal.SIGINT)
    done = playing.end(process)
    assert done.code == 130, done.err
    asked, told = duels(path)
    assert asked == told
    with open_study(load(str(path))) as opened:
        assert opened.claims.held() == []


def test_run_refuses_a_study_that_others_play_and_says_how_to_join(tmp_path: Path) -> None:
    path = study(tmp_path, duels=1000, seconds=0.1)
    process = work(path)
    until(path, 1)
    refused = playing.play(path)
    process.send_signal(signal.SIGINT)
    assert playing.end(process).code == 130
    assert refused.code == 2
    assert "bestpolicy work" in refused.said["error"]["message"]


def test_a_judge_of_flesh_and_blood_is_no_work_for_a_worker(tmp_path: Path) -> None:
    path = study(tmp_path, duels=20, judge={"human": {}})
    done = playing.end(work(path))
    assert done.code == 2
    assert "bestpolicy serve" in done.said["error"]["message"]


def test_workers_whose_judge_fails_let_go_of_what_they_hold(tmp_path: Path) -> None:
    path = study(tmp_path, duels=20)
    (tmp_path / "slow.py").write_text(
        (tmp_path / "slow.py").read_text().replace("return 'left'", "raise RuntimeError('down')")
    )
    done = playing.end(work(path))
    assert done.code == 5
    assert "down" in done.said["error"]["message"]
    with open_study(load(str(path))) as opened:
        assert opened.claims.held() == []
        assert opened.study.in_flight()


CAP = 120 * playing.CHARGED
UNPRICED = """
from bestpolicy.store.calls import Calls
Calls.reserve = lambda self, asks, cap: None if cap and self.spent() >= cap else [0] * len(asks)
"""


def keeps_to_the_cap(folder: Path, twin: str = "") -> None:
    """Four workers with eight duels each in hand never spend more than the budget."""
    with FakeProvider(answer=playing.named) as server:
        path = playing.write(folder, server, workers=8, budget={"usd": CAP}, seed=9)
        ends = [playing.end(process) for process in [work(path, twin=twin) for _ in range(4)]]
        assert {done.code for done in ends} <= {0, 3}, ends[0].err
        assert playing.recorded_usd(playing.calls(path)) > 0
        assert playing.charged(server) <= CAP + 1e-12


def test_workers_together_keep_to_the_budget_of_dollars(tmp_path: Path) -> None:
    keeps_to_the_cap(tmp_path)


def test_workers_that_charge_after_the_call_are_caught(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        keeps_to_the_cap(tmp_path, UNPRICED)


def keeps_its_lease(clock: Clock | None, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease lasts as long as it was given for, whatever is done to the wall clock."""
    store = SqliteStore(f"{folder}/x.db", "study", {}, clock=clock)
    store.asked([question(0)])
    claims = store.claims()
    claims.take([0], "ann", 60)
    now, real = [0.0], time.time
    monkeypatch.setattr(time, "time", lambda: real() + now[0])
    for jump in (3600, -3600, 86400, -86400, 1):
        now[0] += jump
        (hold,) = claims.held()
        assert 0 < hold.seconds <= 60
        assert claims.take([0], "bob", 60) == []
    store.close()


def test_no_jump_of_the_wall_clock_ends_a_lease_or_draws_it_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeps_its_lease(None, tmp_path, monkeypatch)


def test_a_lease_on_the_wall_clock_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises((AssertionError, ValueError)):
        keeps_its_lease(lambda _: ("wall", time.time()), tmp_path, monkeypatch)
