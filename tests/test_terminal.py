"""What only a real process shows: signals, and a terminal that somebody watches."""

from __future__ import annotations

import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conftest import answers

Study = Callable[..., Path]
Command = Callable[..., tuple[int, Any, str]]


def spawn(path: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bestpolicy", "run", str(path), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    give_up = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < give_up
        time.sleep(0.02)


SLOW = """\
quick = judge


def judge(*about):
    import time
    time.sleep(0.02)
    return quick(*about)
"""


def test_ctrl_c_saves_the_state_and_the_same_command_resumes(
    study: Study, command: Command
) -> None:
    whole = command("run", study(), "--json")[1]
    record = study(judge=SLOW).with_suffix(".db")
    for part in record.parent.glob("*.db*"):
        part.unlink()
    process = spawn(study(judge=SLOW), "--json")
    wait_for(lambda: record.exists() and bool(_told(record)), process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert json.loads(out)["verdict"]["kind"] == "undecided"
    assert 0 < len(answers(record)) < whole["verdict"]["comparisons"]
    resumed = command("run", study(), "--json")[1]
    assert resumed["verdict"] == whole["verdict"]
    assert resumed["replay"] == whole["replay"]


def _told(record: Path) -> dict[int, float]:
    try:
        return answers(record)
    except sqlite3.OperationalError:  # not written yet
        return {}


def test_a_terminal_sees_live_progress(study: Study) -> None:
    path = study(judge=SLOW)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "bestpolicy", "run", str(path)],
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "120", "LINES": "40"},
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        seen += piece
    os.close(ours)
    assert process.wait(timeout=60) == 0
    text = seen.decode()
    assert "evidence that it loses" in text
    assert "leads" in text
    assert "the winner is good" in text
