"""GET /v1/duel and POST /v1/duel/{id}: programs that ask people, or are the judge themselves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serve.people import Served, better, served, until, write

WORDS = {"first": "left", "second": "right", "tie": "tie"}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Served]:
    with served(write(tmp_path)) as served_:
        until(served_.pairs._ready.waiting)
        yield served_


def asked(client: Any) -> Any:
    """A duel as soon as one is ready; None when no more are needed."""
    while (reply := client.get("/v1/duel")).status_code == 204:
        assert reply.headers["retry-after"]
    return reply.json() if reply.status_code == 200 else None


def test_a_program_rates_from_the_start_to_the_verdict(here: Served) -> None:
    with here.client() as client:
        while (duel := asked(client)) is not None:
            assert set(duel) == {"id", "input", "left", "right"}
            said = {"winner": WORDS[better(duel["left"], duel["right"])]}
            reply = client.post(f"/v1/duel/{duel['id']}", json=said)
            assert reply.json() == {"id": duel["id"], **said}
        assert client.get("/v1/duel").status_code == 410
    assert here.opened.study.verdict().policy == "policy-2"


def test_the_same_answer_again_is_the_same_and_another_one_is_refused(here: Served) -> None:
    with here.client() as client:
        place = f"/v1/duel/{asked(client)['id']}"
        for _ in range(3):
            assert client.post(place, json={"winner": "both_bad"}).status_code == 200
        for other in ("left", "tie"):
            assert client.post(place, json={"winner": other}).status_code == 409
    (outcome,) = here.opened.study.outcomes()
    assert outcome.scores == (0.5, 0.5)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"winner": "first"}, 422),
        ({"winner": "left", "why": "x"}, 422),
        ({}, 422),
        ([], 422),
        ({"winner": 1}, 422),
        ({"winner": None}, 422),
    ],
)
def test_what_is_no_answer_is_refused(here: Served, body: Any, status: int) -> None:
    with here.client() as client:
        reply = client.post(f"/v1/duel/{asked(client)['id']}", json=body)
        assert reply.status_code == status
        assert not here.opened.study.outcomes()


def test_a_duel_that_nobody_was_shown_is_unknown(here: Served) -> None:
    with here.client() as client:
        for name in ("0", "nothing", "%00", "x" * 100):
            assert client.post(f"/v1/duel/{name}", json={"winner": "left"}).status_code == 404


def test_each_question_is_a_new_duel_up_to_a_limit(here: Served) -> None:
    with here.client() as client:
        ids = {asked(client)["id"] for _ in range(30)}
    assert 10 < len(ids) <= 20


def test_a_lease_that_ran_out_and_was_taken_over_is_a_conflict(tmp_path: Path) -> None:
    with served(write(tmp_path), local=False, lease=0.5) as at:
        tokens = [at.signer.sign("access", {"may": ["rate"], "n": n}) for n in (1, 2)]
        slow, quick = (at.client(headers={"Authorization": f"Bearer {t}"}) for t in tokens)
        with slow, quick:
            late = asked(slow)
            time.sleep(0.6)
            seen = at.opened.ratings.find(late["id"])
            assert seen is not None

            def taken() -> bool:
                duel = asked(quick)
                mine = at.opened.ratings.find(duel["id"])
                assert mine is not None
                quick.post(f"/v1/duel/{duel['id']}", json={"winner": "left"})
                return mine.view.duel == seen.view.duel

            until(taken)
            reply = slow.post(f"/v1/duel/{late['id']}", json={"winner": "left"})
            assert reply.status_code == 409
            assert "somebody else" in reply.json()["detail"]


@pytest.mark.parametrize(("may", "status"), [("rate", 200), ("admin", 200), ("assign", 403)])
def test_the_scope_rate_is_needed_elsewhere(tmp_path: Path, may: str, status: int) -> None:
    with served(write(tmp_path), local=False) as at:
        until(at.pairs._ready.waiting)
        token = at.signer.sign("access", {"may": [may]})
        with at.client(headers={"Authorization": f"Bearer {token}"}) as client:
            assert client.get("/v1/duel").status_code == status


def test_two_tokens_are_two_people_under_numbers(tmp_path: Path) -> None:
    with served(write(tmp_path), local=False) as at:
        for n in (1, 2, 1):
            token = at.signer.sign("access", {"may": ["rate"], "n": n})
            with at.client(headers={"Authorization": f"Bearer {token}"}) as client:
                asked(client)
        assert [one.view.rater for one in at.opened.ratings.seen()] == [1, 2, 1]
