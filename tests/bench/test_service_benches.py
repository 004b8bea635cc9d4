"""The benches of the live service, on small numbers: what they count, and the twins they catch."""

from __future__ import annotations

import os

import pytest

from bestpolicy.bench import kills, serve

KILLS = int(os.environ.get("LIVE_KILLS", "4"))


@pytest.mark.slow
def test_a_server_that_is_killed_under_load_loses_and_doubles_nothing(store_url: str) -> None:
    """`LIVE_KILLS=500` for as many as the promise R1 asks for."""
    found = kills.play(KILLS, store=None if store_url.startswith("sqlite") else store_url)
    assert found["acknowledged"] > 10 * KILLS
    assert (found["lost"], found["doubled"], found["wrong"]) == (0, 0, 0)


@pytest.mark.slow
def test_a_server_that_answers_before_it_commits_is_caught() -> None:
    assert kills.play(4, twin="answer first")["lost"] > 0


@pytest.mark.slow
def test_requests_that_come_together_share_commits_and_a_server_that_does_not_is_caught() -> None:
    ours = serve.broken(serve.play(400))
    twin = serve.broken(serve.play(400, twin="a commit a row"))
    commits = {"rows a commit of assign", "rows a commit of feedback"}
    assert not commits & set(ours)
    assert commits <= set(twin)
