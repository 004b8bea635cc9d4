"""Live duels over real HTTP: each unit plays one, says who won once, and the study counts it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from lives import served

from bestpolicy.live.intake import Conflict, Receipt, TooLate
from bestpolicy.live.matches import Matches
from bestpolicy.study import Study


@contextmanager
def playing(url: str, lease: float = 60.0) -> Iterator[tuple[Study, Matches]]:
    with Study(["red", "green"], store=url, seed=1) as study:
        yield study, Matches(study, study.store.ledger(), lease)  # type: ignore[attr-defined]


def test_a_unit_plays_one_duel_and_its_winner_counts_once(tmp_path: Path) -> None:
    with served(tmp_path, live="{by: winner}") as (caller, home):
        code, match = caller.post("/v1/assign", {"unit": "ann"})
        assert code == 200
        assert sorted(match) == ["left", "propensity", "right", "token"]
        assert {match["left"]["policy"], match["right"]["policy"]} == {"red", "green"}
        assert "prompt" in match["left"]["config"]
        again = caller.post("/v1/assign", {"unit": "ann"})[1]
        assert (again["left"], again["right"]) == (match["left"], match["right"])
        told = {"token": match["token"], "winner": "left", "key": "k"}
        assert caller.post("/v1/feedback", told) == (200, {"recorded": True, "counts": True})
        assert caller.post("/v1/feedback", told) == (200, {"recorded": True, "counts": True})
        assert caller.post("/v1/feedback", told | {"winner": "right"})[0] == 409
        assert caller.post("/v1/feedback", told | {"key": "k2"})[0] == 409
        later = caller.post("/v1/assign", {"unit": "ann"})[1]
        assert later["left"] == match["left"]
        late = {"token": later["token"], "winner": "tie", "key": "k3"}
        assert caller.post("/v1/feedback", late)[0] == 409  # one actor counts once
        study = home.opened.study
        assert study.tallies()[match["left"]["policy"]].wins == 1
        assert study.verdict().comparisons == 1


def test_rewards_and_winners_are_not_taken_for_each_other(tmp_path: Path) -> None:
    kinds = {"{by: winner}": ("reward", 1), "{}": ("winner", "left")}
    for number, (live, (field, value)) in enumerate(kinds.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        with served(folder, live=live) as (caller, _):
            token = caller.post("/v1/assign", {"unit": "ann"})[1]["token"]
            told: dict[str, Any] = {"token": token, "key": "k"}
            assert caller.post("/v1/feedback", told | {field: value})[0] == 422
            both = told | {"reward": 1, "winner": "left"}
            assert caller.post("/v1/feedback", both)[0] == 422


def test_tokens_of_one_kind_of_study_are_forged_in_the_other(tmp_path: Path) -> None:
    with served(tmp_path, live="{by: winner}") as (caller, home):
        token = home.signer.sign("assignment", {"u": "ann", "d": 0, "t": 1})
        told = {"token": token, "winner": "left", "key": "k"}
        assert caller.post("/v1/feedback", told)[0] == 401


def test_units_play_different_duels_at_once(store_url: str) -> None:
    with playing(store_url) as (study, matches):
        found = [matches.assign(f"unit {n}") for n in range(6)]
        assert [match.claim.duel for match in found] == list(range(6))
        assert matches.assign("unit 2") == found[2]
        for n in (3, 0, 5):
            receipt = matches.feedback(f"unit {n}", found[n].claim, f"k{n}", "body", "tie")
            assert receipt == Receipt(n, counts=True)
        assert len(study.outcomes()) == 3


def test_a_duel_whose_time_is_over_goes_to_somebody_else_and_counts_once(store_url: str) -> None:
    import time

    with playing(store_url, lease=0.2) as (study, matches):
        slow = matches.assign("slow")
        time.sleep(0.3)
        quick = matches.assign("quick")
        assert quick.claim.duel == slow.claim.duel
        with pytest.raises(TooLate):
            matches.feedback("slow", slow.claim, "k1", "b", "left")
        matches.feedback("quick", quick.claim, "k2", "b", "right")
        with pytest.raises((Conflict, TooLate)):
            matches.feedback("slow", slow.claim, "k1", "b", "left")
        assert [outcome.scores for outcome in study.outcomes()] == [(0.0, 1.0)]


def test_a_late_answer_is_taken_while_nobody_else_plays_the_duel(store_url: str) -> None:
    import time

    with playing(store_url, lease=0.1) as (study, matches):
        match = matches.assign("slow")
        time.sleep(0.2)
        assert matches.feedback("slow", match.claim, "k", "b", "left").counts
        assert len(study.outcomes()) == 1


def test_live_duels_outlive_a_restart(store_url: str) -> None:
    with playing(store_url) as (_, matches):
        match = matches.assign("ann")
        done = matches.assign("bob")
        receipt = matches.feedback("bob", done.claim, "k", "body", "left")
    with playing(store_url) as (study, matches):
        assert matches.assign("ann").claim.duel == match.claim.duel
        assert matches.feedback("bob", done.claim, "k", "body", "left") == receipt
        with pytest.raises(Conflict):
            matches.feedback("bob", done.claim, "k", "another body", "left")
        assert matches.feedback("ann", match.claim, "k2", "body", "right").counts
        assert len(study.outcomes()) == 2


def test_a_match_without_the_unit_on_record_counts_one_actor_twice(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broken twin of one actor, one count."""
    from bestpolicy.store.ledger import Page

    add = Page.add
    monkeypatch.setattr(Page, "add", lambda page, rows, ends: add(page, rows, ends[:1]))
    with playing(store_url) as (study, matches):
        for n in range(2):
            match = matches.assign("greedy")
            matches.feedback("greedy", match.claim, f"k{n}", "body", "left")
        assert len(study.outcomes()) == 2


def test_deleting_a_unit_leaves_its_duel_without_its_name(store_url: str) -> None:
    with playing(store_url) as (study, matches):
        match = matches.assign("ann")
        matches.feedback("ann", match.claim, "k", "body", "left")
        ledger = study.store.ledger()  # type: ignore[attr-defined]
        assert ledger.write(lambda page: page.forget("ann")) == 1
        assert ledger.write(lambda page: page.forget("ann")) == 0
        assert [(end.key, end.body) for end in ledger.ended()] == [(None, ""), (None, "")]
        assert len(study.outcomes()) == 1


def test_when_the_study_is_decided_the_answer_says_for_whom(tmp_path: Path) -> None:
    with served(tmp_path, live="{by: winner}") as (caller, _):
        for n in range(100):
            code, match = caller.post("/v1/assign", {"unit": f"{n}"})
            if code != 200:
                break
            side = "left" if match["left"]["policy"] == "green" else "right"
            told = {"token": match["token"], "winner": side, "key": f"{n}"}
            assert caller.post("/v1/feedback", told)[0] == 200
        assert code == 409
        assert "green" in json.dumps(match)
