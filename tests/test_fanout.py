"""Fan-out over Ray: the same results to the bit, and clear words when it cannot be had."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bestpolicy.core.nouns import ConfigError
from bestpolicy.fanout import engine

pytest.importorskip("ray", reason="Ray is not installed: pip install 'bestpolicy[ray]'")
pytestmark = pytest.mark.slow  # a cluster takes seconds to start

STUDY = """\
version: 1
inputs: [apples, pears, plums, figs, dates, limes, kiwis, melons]
policies:
  - {id: long, model: scripted/echo, prompt: "Tell me all there is to know about {{input}}, please"}
  - {id: short, model: scripted/echo, prompt: "{{input}}?"}
  - {id: middle, model: scripted/echo, prompt: "What about {{input}}?"}
judge: {llm: {model: scripted/longer, question: "Which says more?"}}
decide: {reuse_inputs: true}
seed: 5
"""


PATHS = os.pathsep.join(filter(None, sys.path))
OURS = {k: v for k, v in os.environ.items() if not k.startswith("RAY_AUTH")} | {"PYTHONPATH": PATHS}


def said(*arguments: str, environment: Mapping[str, str] = OURS) -> str:
    """What a process prints that has a cluster to itself; one that hangs is ended."""
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        env=dict(environment),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def far(what: str) -> Any:
    return json.loads(said("-c", f"import far; far.main({what!r})"))


def test_tasks_that_name_their_chance_give_the_same_to_the_bit() -> None:
    for what in ("draw", "studies"):
        here, there = far(what)
        assert here == there


def test_a_task_with_chance_of_its_own_is_caught() -> None:
    here, there = far("careless")
    assert here != there


def test_a_task_that_raises_raises_here() -> None:
    assert far("error").startswith("True ")


def test_a_run_whose_models_are_asked_on_ray_comes_to_the_same_record(tmp_path: Path) -> None:
    hashes = []
    for name in ("processes", "ray"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "study.yaml").write_text(STUDY)
        run = ("run", str(folder / "study.yaml"), "--executor", name, "--json")
        found = json.loads(said("-m", "bestpolicy", *run))
        assert found["verdict"]["policy"] == "long"
        hashes.append(found["replay"])
    assert hashes[0] == hashes[1]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A cluster that was started by somebody else, who told us its token."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a-token-of-this-test-alone-1234567890")
    with socket.socket() as free, socket.socket() as other:
        free.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        port, client = free.getsockname()[1], other.getsockname()[1]
    script = Path(sys.executable).with_name("ray")
    quiet = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    head = subprocess.Popen(
        [
            *(str(script), "start", "--head", "--block", "--include-dashboard=false"),
            *("--num-cpus=1", f"--port={port}", f"--ray-client-server-port={client}"),
            "--node-ip-address=127.0.0.1",
        ],
        env=quiet,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if head.poll() is not None or not probe.connect_ex(("127.0.0.1", client)):
                    break
            time.sleep(0.1)
        yield f"ray://127.0.0.1:{client}"
    finally:
        head.terminate()
        head.wait(30)


def test_a_cluster_at_an_address_gives_the_same(cluster: str) -> None:
    """And one of our own beside it has nothing to do with it, nor with its token."""
    theirs = OURS | {key: os.environ[key] for key in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")}
    simulate = ("-m", "bestpolicy", "simulate", "easy4", "--reps", "4", "--json", "--executor")
    found = [
        said(*simulate, name, environment=environment)
        for name, environment in (("processes", OURS), (cluster, theirs), ("ray", OURS))
    ]
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("name", ["rai", "ray:/x", "http://127.0.0.1:1"])
def test_an_engine_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="--executor must be"), engine(name):
        pass


def test_a_cluster_that_does_not_answer_is_said_so() -> None:
    with pytest.raises(ConfigError, match="no Ray cluster answers"), engine("ray://127.0.0.1:9"):
        pass
