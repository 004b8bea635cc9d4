"""A run that is stopped, killed or out of disk goes on where it was; nothing is paid twice."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from llm.fake_provider import FakeProvider
from run.playing import Done, calls, completed, draw, end, named, play, settled, start, told, write

pytestmark = pytest.mark.slow  # every one of them starts a command several times

# An answer is kept when the judge has spoken, and not before.
KEPT_LATE = """\
from bestpolicy.run.desk import Desk
from bestpolicy.study import Study
from bestpolicy.store.calls import Calls

waiting, settle, tell = [], Calls.settle, Study.tell


def late(self, *row):
    waiting.append((self, row))
    return {}


def told(self, *arguments, **options):
    while waiting:
        calls, row = waiting.pop()
        settle(calls, *row)
    return tell(self, *arguments, **options)


Calls.settle, Study.tell = late, told
"""


def slow(body: Any, nonce: str) -> str:
    """As a provider that takes a moment, and says the same whenever it is asked the same."""
    time.sleep(0.004)
    return settled(body, nonce)


def stopped(path: Path, server: FakeProvider, number: int, after: int, twin: str = "") -> Done:
    """A run that gets this signal once the server was asked so many times more."""
    process = start("run", path, "--json", twin=twin)
    due = len(server.requests) + after
    while len(server.requests) < due and process.poll() is None:
        time.sleep(0.001)
    process.send_signal(number)
    return end(process)


def study(folder: Path, server: FakeProvider, workers: int, **more: Any) -> Path:
    folder.mkdir(exist_ok=True)
    return write(folder, server, **{"workers": workers, "budget": {"comparisons": 80}, **more})


def paid_twice(server: FakeProvider) -> int:
    return sum(n - 1 for n in completed(server).values())


def verdict(done: Done) -> tuple[Any, Any]:
    return done.said["verdict"], done.said["replay"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_asked_to_stop_pays_nothing_twice_and_ends_as_if_it_had_not(
    tmp_path: Path, number: int
) -> None:
    stops_well(tmp_path, number)


def stops_well(folder: Path, number: int, twin: str = "") -> None:
    with FakeProvider(answer=slow) as server:
        whole = play(study(folder / "whole", server, 1))
        seen = len(server.requests)
    with FakeProvider(answer=slow) as server:
        path = study(folder / "cut", server, 1)
        stops = 0
        while (done := stopped(path, server, number, seen // 4, twin)).code == 130:
            stops += 1
            assert "the same command resumes" in done.err
            assert not any(row["state"] == "reserved" for row in unsettled(path))
        assert stops >= 2
        assert paid_twice(server) == 0
    assert verdict(done) == verdict(whole)


def unsettled(path: Path) -> list[dict[str, Any]]:
    rows = calls(path)
    closed = {row["settles"] for row in rows}
    return [row for row in rows if row["state"] == "reserved" and row["seq"] not in closed]


def test_many_workers_that_are_asked_to_stop_pay_nothing_twice(tmp_path: Path) -> None:
    with FakeProvider(answer=slow) as server:
        path = study(tmp_path, server, 8)
        while (done := stopped(path, server, signal.SIGINT, 60)).code == 130:
            assert not unsettled(path)
        assert done.code in (0, 3), done.err
        assert paid_twice(server) == 0
        assert all(answered for answered, *_ in told(path))


def test_asked_twice_a_run_leaves_at_once_and_resumes(tmp_path: Path) -> None:
    def slower(body: Any, nonce: str) -> str:
        time.sleep(5 if len(server.requests) == 30 else 0.004)
        return settled(body, nonce)

    with FakeProvider(answer=slower) as server:
        path = study(tmp_path, server, 1, models={})
        process = start("run", path, "--json")
        while len(server.requests) < 30:
            time.sleep(0.01)
        began = len(server.requests)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        assert end(process).code == 130
        assert len(server.requests) <= began + 1
        done = play(path)
        assert done.code in (0, 3)
        assert paid_twice(server) <= 2


def survives_kills(folder: Path, kills: int, workers: int, *, twin: str = "") -> None:
    """Killed so many times at random points, it comes to the end; what was kept is never asked
    again, and only what was in flight at a kill may be."""
    rng = Random(f"{kills} {workers}")
    with FakeProvider(answer=slow) as server:
        whole = play(study(folder / "whole", server, workers))
        seen = len(server.requests)
    with FakeProvider(answer=slow) as server:
        done, killed = None, 0
        path = study(folder / "cut", server, workers)
        while done is None or done.code == -signal.SIGKILL:
            after = rng.randint(0, 2 * seen // kills) if killed < kills else 10 * seen
            kept = {row["key"] for row in calls(path) if row["state"] == "answered"}
            done = stopped(path, server, signal.SIGKILL, after, twin)
            killed += done.code == -signal.SIGKILL
            assert kept <= {row["key"] for row in calls(path) if row["state"] == "answered"}
        assert done.code in (0, 3), done.err
        assert killed >= kills // 2
        assert paid_twice(server) <= 2 * workers * killed
        # What has reached the record has been served for the last time.
        assert len({draw(seen) for seen in server.requests}) == len(completed(server))
        kept_once = [row["key"] for row in calls(path) if row["state"] == "answered"]
        assert len(kept_once) == len(set(kept_once))
    if workers == 1:
        assert verdict(done) == verdict(whole)


def test_a_run_killed_at_4_random_points_comes_to_the_same_end(tmp_path: Path) -> None:
    survives_kills(tmp_path, 4, 1)


@pytest.mark.parametrize("workers", [1, 8])
def test_a_run_killed_at_8_random_points_comes_to_the_same_end(
    tmp_path: Path, workers: int
) -> None:
    survives_kills(tmp_path, 8, workers)


def nothing_kept_is_asked_again(folder: Path, twin: str = "") -> None:
    """A judge who takes his time, and a kill while he does."""
    with FakeProvider(answer=slow) as server:
        path = study(folder, server, 4, judge={"call": "thinking:judge"})
        (folder / "thinking.py").write_text(
            "import time\n\n\ndef judge(row, left, right):\n    time.sleep(0.3)\n    return 'tie'\n"
        )
        for _ in range(3):
            process = start("run", path, "--json", twin=twin)
            before = len(server.requests)
            while len(server.requests) < before + 8:
                time.sleep(0.005)
            time.sleep(0.15)  # the judge is at it, all answers are in
            process.kill()
            end(process)
        assert paid_twice(server) == 0


def test_an_answer_that_waits_for_its_judge_is_not_paid_again(tmp_path: Path) -> None:
    nothing_kept_is_asked_again(tmp_path)


def test_answers_that_are_kept_after_judging_are_caught(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        nothing_kept_is_asked_again(tmp_path, KEPT_LATE)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(disk)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


# Nobody sets room aside, so that what is under way at the end of the disk is lost.
NO_BALLAST = """\
from bestpolicy.store.commits import Commits
Commits.lay_ballast = lambda self, size: None
"""
# The room set aside is used for new calls too.
GOES_ON = """\
from bestpolicy.store.commits import Commits
Commits.check_room = lambda self: None
"""


def nothing_lost(path: Path, server: FakeProvider) -> None:
    paid, kept = completed(server).total(), sum(row["state"] == "answered" for row in calls(path))
    assert kept == paid, f"{paid} answers were paid and {kept} kept"
    assert not unsettled(path)


def outlives_a_full_disk(disk: Path, twin: str = "") -> None:
    def long(body: Any, nonce: str) -> str:
        time.sleep(0.01)
        return named(body, nonce) + " x" * 4000

    with FakeProvider(answer=long) as server:
        path = write(
            disk,
            server,
            judge={"call": "judging:judge", "order": "random"},
            decide={"confidence": 1 - 1e-9},
            budget={"comparisons": 500},
            workers=8,
        )
        first = play(path, twin=twin)
        assert first.code == 5, first.err
        assert "make room" in first.said["error"]["message"]
        assert "Traceback" not in first.err
        nothing_lost(path, server)
        again = play(path)  # there is hardly any room
        assert again.code == 5
        nothing_lost(path, server)
        os.sync()
        subprocess.run(["mount", "-o", "remount,size=60m", str(disk)], check=True)
        last = play(path)
        assert last.code in (0, 3), last.err
        assert paid_twice(server) == 0
        assert all(answered for answered, *_ in told(path))


def test_a_disk_that_fills_up_loses_no_answer_and_the_run_resumes(small_disk: Path) -> None:
    outlives_a_full_disk(small_disk)


@pytest.mark.parametrize("twin", [NO_BALLAST, GOES_ON], ids=["no ballast", "goes on"])
def test_answers_lost_to_a_full_disk_are_caught(small_disk: Path, twin: str) -> None:
    with pytest.raises(AssertionError, match="answers were paid"):
        outlives_a_full_disk(small_disk, twin)
