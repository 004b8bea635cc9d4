"""kill -9 while people rate: what was acknowledged is there, and it is there once."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from bestpolicy.core.rng import stream
from serve.people import better, pairs_of, until, write
from serve.test_rate_page import fields, texts

WINNER = {"first": "1", "second": "2", "tie": "0"}


@contextmanager
def life(path: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server of its own process, killed at the end whatever it is doing."""
    code = Path(__file__).with_name("at_work.py")
    process = subprocess.Popen(
        [sys.executable, str(code), str(path), *options],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]


def killed(path: Path, kills: int, *options: str) -> dict[str, str]:
    """What was acknowledged in so many lives, each ended right after an answer."""
    rng = stream(5, "rate kills", kills)
    acknowledged: dict[str, str] = {}
    cookies: dict[str, str] = {}
    for _ in range(kills):
        with life(path, *options) as (process, url):
            client = httpx2.Client(base_url=url, timeout=20, trust_env=False, cookies=cookies)
            with client:
                for _ in range(int(rng.integers(1, 6))):
                    page = page_of(client)
                    form = fields(page) | {"winner": WINNER[better(*texts(page))]}
                    if client.post("/rate/say", data=form).status_code == 303:
                        acknowledged[form["view"]] = form["winner"]
                process.kill()
                cookies = dict(client.cookies)
    return acknowledged


def page_of(client: httpx2.Client) -> str:
    """The page, as soon as there is a pair on it."""
    while "<article" not in (page := client.get("/rate").text):
        time.sleep(0.02)
    return page


def nothing_is_lost(path: Path, acknowledged: dict[str, str]) -> None:
    """Every acknowledged answer is in the study's record, once and as it was given."""
    with pairs_of(path) as (_, opened):
        seen = {one.view.id: one for one in opened.ratings.seen()}
        outcomes = {o.comparison.id: o for o in opened.study.outcomes()}
        kept = {name for name, one in seen.items() if one.state == "settled"}
        assert set(acknowledged) <= kept, "something acknowledged is lost"
        settled = [one.view.duel for one in seen.values() if one.state == "settled"]
        assert len(settled) == len(set(settled))
        assert set(settled) == set(outcomes)
        for name, word in acknowledged.items():
            view = seen[name].view
            left = (word == "1") != view.turned
            assert outcomes[view.duel].scores == ((1.0, 0.0) if left else (0.0, 1.0))


def survives(folder: Path, kills: int, *options: str, store: str = "") -> None:
    path = write(folder, policies=6, store=store)
    acknowledged = killed(path, kills, *options)
    assert acknowledged
    nothing_is_lost(path, acknowledged)


def test_no_answer_is_lost_or_counted_twice_by_a_kill(tmp_path: Path, store_url: str) -> None:
    survives(tmp_path, 3, store=store_url)


@pytest.mark.slow
def test_no_answer_is_lost_or_counted_twice_by_many_kills(tmp_path: Path) -> None:
    survives(tmp_path, 15)


def test_an_answer_acknowledged_before_it_is_written_is_lost(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="something acknowledged is lost"):
        survives(tmp_path, 2, "hasty")


def test_a_server_that_is_asked_to_stop_does_not_wait_for_a_model_that_hangs(
    tmp_path: Path,
) -> None:
    path = write(tmp_path)
    slow = "import time\nfrom pathlib import Path\n\n" + path.with_name("answers.py").read_text()
    begun = tmp_path / "begun"
    hangs = f"Path({str(begun)!r}).touch() or time.sleep(600) or f"
    path.with_name("answers.py").write_text(slow.replace("return f", f"return {hangs}"))
    port = free_port()
    command = [sys.executable, "-m", "bestpolicy", "serve", str(path), "--port", str(port)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    try:
        until(begun.exists)
        until(lambda: answers_on(port))
        process.terminate()
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()


def answers_on(port: int) -> bool:
    """Whether requests are answered; a socket that listens may not have anybody behind it yet."""
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).status_code == 200
    except httpx2.TransportError:
        return False


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
