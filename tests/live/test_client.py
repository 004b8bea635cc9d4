"""Assignment in one's own process: the server's draw, no I/O, nothing lost while it is down."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from scipy.stats import binom

from bestpolicy import ConfigError, Live
from bestpolicy.live import client as room
from bestpolicy.store import SqliteStore

STUDY = """\
version: 1
policies:
  - {id: red, model: scripted/echo, prompt: "Say red"}
  - {id: green, model: scripted/echo, prompt: "Say green", temperature: 0.5}
judge: {live: {}}
"""
SECRET = "a secret that outlives the server"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server(folder: Path, port: int) -> Iterator[str]:
    """`bestpolicy serve` as users start it."""
    path = folder / "study.yaml"
    path.write_text(STUDY)
    process = subprocess.Popen(
        [sys.executable, "-m", "bestpolicy", "serve", str(path), "--port", str(port)],
        env={**os.environ, "BESTPOLICY_SECRET": SECRET},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            assert process.poll() is None, process.communicate()[1]
            try:
                httpx2.get(f"{url}/healthz", trust_env=False)
                break
            except httpx2.TransportError:
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.communicate(timeout=20)


def ledger(folder: Path) -> tuple[list[Any], list[Any]]:
    """The rows on disk: assigned, and how they ended."""
    with closing(SqliteStore(str(folder / "study.db"), "study", settings(folder))) as store:
        read = store.ledger()
        return read.assigned(), read.ended()


def settings(folder: Path) -> dict[str, Any]:
    import sqlite3

    with closing(sqlite3.connect(folder / "study.db")) as db:
        (text,) = db.execute("SELECT settings FROM study WHERE name = 'study'").fetchone()
    return dict(json.loads(text))


def test_a_client_draws_what_the_server_would_and_both_keep_one_row(tmp_path: Path) -> None:
    with server(tmp_path, free_port()) as url, Live(url, log=tmp_path / "log") as live:
        given = {f"user {i}": live.assign(f"user {i}") for i in range(60)}
        assert all(live.assign(unit) == kept for unit, kept in given.items())
        for kept in given.values():
            live.feedback(kept, 0.25)
        assert live.flush()
        theirs = {
            unit: httpx2.post(f"{url}/v1/assign", json={"unit": unit}, trust_env=False).json()
            for unit in given
        }
        assert {u: a["policy"] for u, a in theirs.items()} == {
            u: g.policy for u, g in given.items()
        }
        assert {u: a["config"] for u, a in theirs.items()} == {
            u: g.config for u, g in given.items()
        }
        assert live.health().refused == 0
    assigned, ended = ledger(tmp_path)
    assert len(assigned) == len(ended) == 60
    assert all(row.counts for row in assigned)
    assert {end.reward for end in ended} == {0.25}
    red = sum(g.policy == "red" for g in given.values())
    assert binom.ppf(1e-6, 60, 0.5) <= red <= binom.ppf(1 - 1e-6, 60, 0.5)


def test_what_happens_while_the_server_is_down_is_sent_later_and_once(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    with server(tmp_path, port) as url:
        live = Live(url, log=log)
        live.feedback(live.assign("before"), 1.0)
        assert live.flush()
    given = [live.assign(f"user {i}") for i in range(30)]  # nobody answers now
    for one in given:
        live.feedback(one, 0.5)
    assert not live.flush(0.5)
    assert live.health().error
    live.close()  # as the process would, at its end
    kept = "".join(path.read_text() for path in log.glob("rows-*.jsonl"))
    assert "user" not in kept  # people are keyed hashes
    assert len(kept.splitlines()) == 60
    # Another process, later, without the server at first: the snapshot is known from before.
    with Live(url, log=log, wait=0.1) as again:
        assert [again.assign(f"user {i}").policy for i in range(30)] == [g.policy for g in given]
        with server(tmp_path, port):
            assert again.flush(20)
            assert again.health().refused == 0
    assigned, ended = ledger(tmp_path)
    assert len(assigned) == len(ended) == 31
    assert not list(log.glob("rows-*.jsonl"))


def test_without_any_snapshot_units_get_the_default_and_nothing_is_claimed(tmp_path: Path) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    with Live(nobody, default="red", log=tmp_path, wait=0.2) as live:
        given = live.assign("somebody")
        assert (given.policy, given.propensity) == ("red", None)
        live.feedback(given, 1.0)
        assert live.health().defaults == 1
        assert live.health().waiting == 0
    with pytest.raises(ConfigError, match="no default"):
        Live(nobody, log=tmp_path, wait=0.2)


def test_assigning_waits_for_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with server(tmp_path, free_port()) as url, Live(url, log=tmp_path / "log") as live:

        def touched(*_: object, **__: object) -> None:
            raise AssertionError("something was read or written on the way")

        import builtins

        live._ending.set()  # the thread, which may do what it likes, is at rest
        live._wake.set()
        live._thread.join()
        with monkeypatch.context() as patched:
            for place, name in (
                (builtins, "open"),
                (os, "open"),
                (os, "write"),
                (os, "fsync"),
                (socket, "create_connection"),
                (time, "sleep"),
            ):
                patched.setattr(place, name, touched)
            live.feedback(live.assign("quick"), 1.0)
        assert len(live._queue) == 2


def test_rows_that_nobody_can_have_drawn_are_refused(tmp_path: Path) -> None:
    with server(tmp_path, free_port()) as url, Live(url, log=tmp_path / "log") as live:
        rows, wrong = [], 0
        for i in range(40):
            given = live.assign(f"user {i}")
            other = "green" if given.policy == "red" else "red"
            rows.append({"unit": given.name, "policy": other, "snapshot": 0, "reward": 1.0})
        live._ending.set()
        live._thread.join()
        rows += [{"unit": "0" * 32, "policy": "blue", "snapshot": 0}]
        rows += [{"unit": "0" * 32, "policy": p, "snapshot": 9} for p in ("red", "green")]
        answer = httpx2.post(f"{url}/v1/log", json={"rows": rows}, trust_env=False)
        assert answer.status_code == 200
        wrong = sum(not row["recorded"] for row in answer.json()["rows"])
        assert wrong == len(rows)
        broken = httpx2.post(f"{url}/v1/log", json={"rows": [{"unit": "x"}]}, trust_env=False)
        assert broken.status_code == 422
    assert not ledger(tmp_path)[1]


def test_a_child_of_a_forked_process_sends_its_own_rows(tmp_path: Path) -> None:
    code = """
import os, sys
from bestpolicy import Live
live = Live(sys.argv[1], log=sys.argv[2])
live.assign("parent")
child = os.fork()
live.feedback(live.assign("child" if child == 0 else "parent again"), 1.0)
assert live.flush(10)
live.close()
os._exit(0) if child == 0 else os.waitpid(child, 0)
"""
    with server(tmp_path, free_port()) as url:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code, url, str(tmp_path / "log")],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
    assigned, ended = ledger(tmp_path)
    assert len(assigned) == 3
    assert len(ended) == 2


def test_the_functions_of_the_front_door_take_the_address_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import bestpolicy

    monkeypatch.setattr(room, "_only", {})
    monkeypatch.delenv(room.URL, raising=False)
    with pytest.raises(ConfigError, match="BESTPOLICY_URL"):
        bestpolicy.assign("somebody")
    with server(tmp_path, free_port()) as url:
        monkeypatch.setenv(room.URL, url)
        monkeypatch.setenv(room.LOG, str(tmp_path / "log"))
        given = bestpolicy.assign("somebody")
        bestpolicy.feedback(given, 1.0)
        assert room._only[url].flush()
        room._only[url].close()
    assert len(ledger(tmp_path)[1]) == 1


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://x", "http://me:key@host", "http://"])
def test_an_address_that_is_none_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="url must be"):
        Live(url, default="red", log=tmp_path)


@pytest.mark.parametrize("reward", [-0.1, 1.1, np.nan, np.inf])
def test_a_reward_out_of_bounds_is_refused_where_it_is_given(reward: float, tmp_path: Path) -> None:
    with (
        Live(f"http://127.0.0.1:{free_port()}", default="red", log=tmp_path, wait=0) as live,
        pytest.raises(ConfigError, match="reward must be in"),
    ):
        live.feedback(live.assign("somebody"), reward)
