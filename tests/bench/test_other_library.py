"""What the peers answer is counted by what they promised, and the worker speaks the protocol."""

from __future__ import annotations

import json
import subprocess
import sys
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from bestpolicy.bench import peers
from bestpolicy.bench.peers import PEERS, TRUTHS, Peer, environment, is_right, job, order_of, row
from bestpolicy.bench.peers.worker import played, restore
from bestpolicy.core.nouns import BestPolicyError
from bestpolicy.worlds.preference import INSTANCES

CACHE = environment.default_cache()
EASY4 = INSTANCES["easy4"]().p


class Feedback:
    """The other library's base class, as far as the protocol uses it."""

    def __init__(self, arms: list[int]) -> None:
        self.arms = arms


class AskAll:
    """Asks every pair once and names who won most."""

    def __init__(self, feedback: Any, rounds: int = 1) -> None:
        self.feedback, self.rounds = feedback, rounds
        self.wins = np.zeros(len(feedback.arms))

    def run(self) -> None:
        for i in self.feedback.arms:
            for j in self.feedback.arms:
                if i != j:
                    self.wins[i] += self.feedback.duel_repeatedly(i, j, self.rounds)

    def get_condorcet_winner(self) -> int:
        return int(self.wins.argmax())


class Endless(AskAll):
    def run(self) -> None:
        while True:
            self.feedback.duel(0, 1)


class Broken(AskAll):
    def run(self) -> None:
        raise ValueError("no such arm")


ALGORITHMS = SimpleNamespace(AskAll=AskAll, Endless=Endless, Broken=Broken)


def ask(algorithm: str, limit: float = 5.0, **told: Any) -> dict[str, Any]:
    asked = {"algorithm": algorithm, "told": told, "p": EASY4.tolist(), "seed": 3, "limit": limit}
    return played(asked, ALGORITHMS, Feedback, np)


def test_every_comparison_is_counted_also_those_asked_at_once() -> None:
    found = ask("AskAll", rounds=200)
    assert found["comparisons"] == 12 * 200
    assert found["answer"] == [0]
    assert not found["stopped"]
    assert ask("AskAll", rounds=200)["answer"] == found["answer"]


def test_a_run_out_of_time_has_no_answer() -> None:
    found = ask("Endless", limit=0.05)
    assert found["stopped"]
    assert found["answer"] is None
    assert found["comparisons"] > 0


def test_a_peer_that_fails_is_said_to_fail() -> None:
    found = ask("Broken")
    assert found["answer"] is None
    assert found["error"] == "ValueError: no such arm"


def test_names_that_numpy_removed_are_put_back_and_others_left_alone() -> None:
    old = SimpleNamespace(bool=str)
    restore(old)
    assert (old.float, old.int, old.bool) == (float, int, str)


def test_an_answer_is_judged_by_its_own_goal() -> None:
    hard8 = INSTANCES["hard8"]().p
    assert is_right([0], hard8, 0.0)
    assert not is_right([1], hard8, 0.0)
    assert is_right([1], hard8, 0.05)  # it loses to policy 0 by a little less
    assert not is_right([0, 2], hard8, 0.05)
    assert not is_right([], hard8, 0.05)


def results(*answers: Any) -> dict[str, Any]:
    runs = [
        {"comparisons": 100 + i, "seconds": 1.0, "answer": a, "stopped": a is None, "error": ""}
        for i, a in enumerate(answers)
    ]
    return row(Peer("X", "the winner", ""), "easy4", "x 1.0", runs)


def test_a_run_stopped_by_time_is_shown_and_never_counted() -> None:
    found = results([0], [0], [1], None)
    assert (found["runs"], found["finished"], found["stopped"]) == (4, 3, 1)
    assert found["comparisons"]["mean"] == 101
    assert (found["wrong"]["count"], found["wrong"]["n"]) == (1, 3)
    assert peers.cells(found)["stopped by time"] == "1 of 4"
    nothing = peers.cells(results(None, None))
    assert nothing["comparisons [95 %]"] == "no result"
    assert nothing["wrong by its own goal % [95 %]"] == ""


def test_every_run_meets_its_own_numbering_and_the_answer_is_read_back() -> None:
    peer, order = PEERS[0], order_of("mid16", 3, 1)
    asked = job(peer, "mid16", order, 3, 1)
    p, winner = np.array(asked["p"]), int(np.flatnonzero(order == 0)[0])
    assert (np.delete(p[winner], winner) > 0.5).all()
    assert (order_of("mid16", 3, 2) != order).any()
    assert json.loads(json.dumps(asked)) == asked


def test_a_peer_that_always_names_the_first_is_wrong_unless_policies_are_shuffled() -> None:
    named = [[int(order_of("easy4", 3, r)[0])] for r in range(40)]
    assert results(*named)["wrong"]["low"] > 0.3
    assert results(*[[0]] * 40)["wrong"]["count"] == 0  # the broken twin: the winner is always 0


def test_an_environment_that_cannot_be_made_is_refused_plainly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BestPolicyError, match=r"environment of duelpy 1\.0\.0 could not be made"):
        environment.made(tmp_path / "file", Console(quiet=True))
    monkeypatch.setattr(environment, "VERSION", "0.0.0.no")
    monkeypatch.setattr(
        environment, "_do", lambda command: (_ for _ in ()).throw(environment.NoPeersError("no"))
    )
    with pytest.raises(BestPolicyError):
        peers.main(True, tmp_path, cache=tmp_path / "cache", console=Console(quiet=True))
    assert not (tmp_path / "peers.json").exists()


def test_a_worker_that_cannot_start_says_why() -> None:
    asked = job(PEERS[0], "easy4", order_of("easy4", 3, 0), 3, 0) | {"limit": 5.0}
    with pytest.raises(BestPolicyError, match="No module named 'duelpy'"):
        list(environment.replies(Path(sys.executable), [asked], budget=5.0))


def test_a_worker_that_is_deaf_is_stopped_and_another_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf = tmp_path / "worker.py"
    deaf.write_text(
        "import json, sys, time\n"
        "for line in sys.stdin:\n"
        "    if json.loads(line)['seed'] == 1:\n"
        "        time.sleep(60)\n"
        "    print(json.dumps({'answer': [0]}), flush=True)\n"
    )
    monkeypatch.setattr(environment, "WORKER", deaf)
    jobs = [{"seed": seed, "limit": 0.5} for seed in (0, 1, 2)]
    found = list(environment.replies(Path(sys.executable), jobs, budget=30, grace=1.0))
    assert [reply["answer"] for reply in found] == [[0], None, [0]]
    assert found[1]["stopped"]
    found = list(environment.replies(Path(sys.executable), jobs, budget=0, grace=1.0))
    assert len(found) == 1  # no time for another


def test_the_worker_needs_nothing_of_ours() -> None:
    code = f"import runpy, sys; runpy.run_path({str(environment.WORKER)!r}); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"bestpolicy", "numpy"} & set(done.stdout.split())


@pytest.mark.slow
@pytest.mark.skipif(
    not environment.is_ready(CACHE),
    reason="the peers' environment is absent: `bestpolicy bench peers --quick` makes it",
)
def test_the_peers_answer_where_they_are_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "TRUTHS", TRUTHS[:1])
    monkeypatch.setattr(peers, "PEERS", PEERS[:2])
    console = Console(record=True, width=250, file=StringIO())
    report = peers.main(True, tmp_path, replications=2, console=console)
    assert json.loads((tmp_path / "peers.json").read_text()) == report
    assert [line["algorithm"] for line in report["rows"]] == [
        "llm-po", "llm-po, winner or none", "MergeRUCB", "SequentialElimination",
    ]  # fmt: skip
    assert all(line["finished"] == 2 for line in report["rows"])
    assert (tmp_path / "peers.svg").exists()
    assert "within epsilon of the best" in console.export_text()
    again = peers.main(True, tmp_path, replications=2, console=Console(quiet=True))
    assert again == report  # seconds and all: what is there is not played again
