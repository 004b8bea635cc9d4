"""The server's process: how it begins, what it says, and how it ends."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import bestpolicy
from bestpolicy.core.nouns import ConfigError
from bestpolicy.serve.listen import address, bound
from llm.fake_provider import FakeProvider
from serve.serving import housed, write

JSON = {"Content-Type": "application/json"}
SRC = Path(bestpolicy.__file__).parents[1]


def test_a_port_that_somebody_has_is_refused_with_a_remedy(tmp_path: Path, command: Any) -> None:
    with closing(bound("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match="--port"):
            bound("127.0.0.1", port)
        code, out, _ = command("serve", write(tmp_path), "--port", str(port), "--json")
    assert code == 2
    assert out["error"]["kind"] == "config"
    assert not (tmp_path / "study.db").exists()


def test_a_name_for_others_needs_a_secret_on_this_machine_too(
    tmp_path: Path, command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BESTPOLICY_SECRET", raising=False)
    options = ("--port", "0", "--allow-host", "study.example.org", "--json")
    code, out, _ = command("serve", write(tmp_path), *options)
    assert code == 2
    assert "BESTPOLICY_SECRET must hold a secret" in out["error"]["message"]


@pytest.mark.slow
def test_behind_a_server_that_passes_requests_on_tokens_are_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = {"BESTPOLICY_SECRET": "a secret of the tests of processes"}
    with process(write(tmp_path), "--allow-host", "study.example.org", environment=secret) as (
        started,
        url,
    ):
        wire = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
        with closing(wire):
            for host, status in (("study.example.org", 401), ("127.0.0.1", 401), ("evil", 421)):
                wire.request("GET", "/v1/status", headers={"Host": host})
                answer = wire.getresponse()
                answer.read()
                assert answer.status == status
        assert started.poll() is None


def test_an_address_of_a_socket_may_be_pasted() -> None:
    with closing(bound("127.0.0.1", 0)) as sock:
        assert address(sock) == f"http://127.0.0.1:{sock.getsockname()[1]}"


Started = tuple[subprocess.Popen[str], str]
STOPS = int(os.environ.get("BESTPOLICY_STOPS", "2"))  # R17 says 100
LINGERS = """
from bestpolicy.serve import spoken
kept = spoken.Thread
spoken.Thread = lambda **more: kept(**{**more, "daemon": False})
"""


@contextmanager
def process(
    path: Path,
    *options: str,
    twin: str = "",
    environment: Mapping[str, str] | None = None,
) -> Iterator[Started]:
    """`bestpolicy serve` in a process of its own, and its address."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI", "BESTPOLICY"))}
    how = (
        ["-c", f"{twin}\nfrom bestpolicy.cli import main\nmain()\n"]
        if twin
        else ["-m", "bestpolicy"]
    )
    started = subprocess.Popen(
        [sys.executable, *how, "serve", str(path), "--port", "0", "--json", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=kept | {"PYTHONPATH": str(SRC)} | dict(environment or {}),
    )
    try:
        assert started.stdout is not None
        line = started.stdout.readline()
        assert line, started.communicate()[1]
        yield started, json.loads(line)["serve"]["url"]
    finally:
        started.kill()
        started.communicate()


def knock(url: str, path: str, body: Any = None) -> http.client.HTTPConnection:
    """A request whose answer nobody has read yet."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    while True:
        try:
            connection.connect()
            break
        except ConnectionRefusedError:
            continue
    headers = {} if body is None else {"Content-Type": "application/json"}
    told = None if body is None else json.dumps(body)
    connection.request("GET" if body is None else "POST", path, told, headers)
    return connection


def leaves_in_time(folder: Path, number: signal.Signals, *, twin: str = "") -> None:
    """Stop a server that streams, waits for a slow provider, and has just answered."""
    with FakeProvider("drip", piece_s=5.0) as slow:
        policies = [
            {"id": name, "model": "openai/x", "base_url": slow.url, "prompt": "{{input}}"}
            for name in "ab"
        ]
        path = write(folder, policies=policies, models={"openai/x": {"timeout_s": 600}})
        with process(path, twin=twin) as (started, url):
            listening = knock(url, "/v1/events")
            listening.getresponse().fp.readline()
            asked = {"model": "study/study", "messages": [{"role": "user", "content": "hi"}]}
            waiting = knock(url, "/v1/chat/completions", asked)
            given = knock(url, "/v1/assign", {"unit": "anna"})
            told = json.load(given.getresponse())
            idle = knock(url, "/healthz")
            idle.getresponse().read()
            while not slow.requests:
                time.sleep(0.01)
            started.send_signal(number)
            try:
                out, err = started.communicate(timeout=10)  # R17's number
            finally:
                for connection in (listening, given, idle):
                    connection.close()
            assert started.returncode == 0, err
            assert out == ""
            assert "Traceback" not in err
            assert waiting.getresponse().status == 503
            waiting.close()
    # What was acknowledged is there, and the record was closed in good order.
    with housed(path) as house:
        assert house.traffic.stand().units == 2
        assert told["policy"] in house.traffic.policies
    assert not (folder / "study.db-ballast").exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_r17_a_server_that_is_asked_to_stop_leaves_in_time_whatever_is_open(
    number: signal.Signals, tmp_path: Path
) -> None:
    leaves_in_time(tmp_path, number)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_r17_a_server_that_waits_for_its_slowest_call_is_caught(tmp_path: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        leaves_in_time(tmp_path, signal.SIGTERM, twin=LINGERS)


@pytest.mark.slow
def test_r17_under_load_nothing_that_was_acknowledged_is_lost(tmp_path: Path) -> None:
    path, acknowledged = write(tmp_path), set[str]()
    for stop in range(STOPS):
        with process(path) as (started, url):

            def hammer(who: int, stop: int = stop, url: str = url) -> None:
                with suppress(OSError, http.client.HTTPException, ValueError):
                    wire = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
                    with closing(wire):
                        for n in count():
                            unit = f"{stop} {who} {n}"
                            body = json.dumps({"unit": unit})
                            wire.request("POST", "/v1/assign", body, JSON)
                            if (answer := wire.getresponse()).status == 200 and answer.read():
                                acknowledged.add(unit)
                            else:
                                return

            threads = [threading.Thread(target=hammer, args=(who,)) for who in range(8)]
            before = len(acknowledged)
            for thread in threads:
                thread.start()
            while len(acknowledged) < before + 100:
                time.sleep(0.01)
            started.terminate()
            _, err = started.communicate(timeout=10)
            for thread in threads:
                thread.join()
            assert started.returncode == 0, err
    with housed(path) as house:
        assert house.traffic.stand().units >= len(acknowledged) >= 100 * STOPS
