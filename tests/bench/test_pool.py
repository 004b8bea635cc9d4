"""A bench that is killed leaves nobody playing on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PLAY = """
import os, sys, time
from pathlib import Path
from bestpolicy.bench import pool
if {lone}:
    pool._end_with_parent = print

def play(folder):
    Path(folder, str(os.getpid())).touch()
    time.sleep(60)

if __name__ == "__main__":
    with pool.players(2) as some:
        list(some.map(play, [sys.argv[1]] * 2))
"""


def everybody_ends_with_the_bench(folder: Path, *, lone: bool = False) -> None:
    script, pids = folder / "bench.py", folder / "pids"
    pids.mkdir()
    script.write_text(PLAY.format(lone=lone))
    bench = subprocess.Popen([sys.executable, str(script), str(pids)])
    until = time.monotonic() + 60
    while len(list(pids.iterdir())) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    playing = [int(path.name) for path in pids.iterdir()]
    bench.kill()
    bench.wait()
    try:
        assert len(playing) == 2
        until = time.monotonic() + (2 if lone else 30)
        while any(map(alive, playing)) and time.monotonic() < until:
            time.sleep(0.05)
        assert not any(map(alive, playing))
    finally:
        for pid in filter(alive, playing):
            os.kill(pid, signal.SIGKILL)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for processes in /proc")
def test_everybody_ends_with_the_bench(tmp_path: Path) -> None:
    everybody_ends_with_the_bench(tmp_path)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for processes in /proc")
def test_players_who_do_not_look_are_caught(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        everybody_ends_with_the_bench(tmp_path, lone=True)
