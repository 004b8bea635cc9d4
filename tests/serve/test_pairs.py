"""What people say reaches the study once, for the right policy, and never before it is final."""

from __future__ import annotations

import json
import time
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from scipy.stats import binom

from bestpolicy import __version__
from bestpolicy.report.page import render
from bestpolicy.report.raters import raters
from bestpolicy.report.tables import as_json
from bestpolicy.run import snapshot
from bestpolicy.run.report import dossier
from bestpolicy.serve import deck
from bestpolicy.serve import pairs as at_pairs
from bestpolicy.serve.ready import Ready
from bestpolicy.store.ratings import Refused, Said
from serve.people import better, one_pair, pairs_of, until, write

MILLION = 1e-6


def answer(pairs: Any, rater: int, **more: Any) -> bool:
    """One answer by somebody who knows; False when nobody need be asked any more."""
    pair = one_pair(pairs, rater)
    if pair is None:
        return False
    pairs.say(rater, pair.view.id, Said(better(pair.first, pair.second)), **more)
    return True


def rate_to_the_end(path: Path, raters: int = 1) -> Any:
    """People answer until the verdict; what came of it."""
    with pairs_of(path, settles=0.0) as (pairs, opened):
        for n in range(2000):
            if not answer(pairs, 1 + n % raters):
                break
        pairs.close()  # what was said last is told now
        return opened.study.verdict(), list(opened.ratings.seen()), opened.study.outcomes()


def test_people_find_the_best_policy_whatever_side_it_stands_on(
    tmp_path: Path, store_url: str
) -> None:
    verdict, seen, outcomes = rate_to_the_end(write(tmp_path, store=store_url), raters=2)
    assert verdict.kind == "winner"
    assert verdict.policy == "policy-2"
    assert {one.view.turned for one in seen} == {True, False}
    told = [o for o in outcomes if o.scores is not None]
    assert len({o.comparison.id for o in told}) == len(told)


def test_a_page_that_forgets_the_side_finds_no_best_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = at_pairs.winner
    monkeypatch.setattr(at_pairs, "winner", lambda side, turned: honest(side, False))
    verdict, _, _ = rate_to_the_end(write(tmp_path, budget=60))
    assert (verdict.kind, verdict.policy) != ("winner", "policy-2")


def fair(heads: int, n: int) -> bool:
    return bool(binom.cdf(min(heads, n - heads), n, 0.5) * 2 > MILLION)


def test_either_side_comes_first_as_often_as_the_other() -> None:
    assert fair(sum(deck.coin() for _ in range(2000)), 2000)
    assert not fair(2000, 2000)  # the twin that never turns


def test_an_answer_is_told_at_the_next_one_and_not_before(tmp_path: Path) -> None:
    with pairs_of(write(tmp_path)) as (pairs, opened):
        answer(pairs, 1)
        assert not opened.study.outcomes()
        answer(pairs, 1)
        assert len(opened.study.outcomes()) == 1


def test_an_answer_settles_by_itself_after_a_while(tmp_path: Path) -> None:
    with pairs_of(write(tmp_path), settles=0.1) as (pairs, opened):
        answer(pairs, 1)
        until(lambda: opened.study.outcomes())
        assert not pairs.undo(1)


def test_the_last_answer_can_be_taken_back_and_given_again(tmp_path: Path) -> None:
    with pairs_of(write(tmp_path)) as (pairs, opened):
        first = one_pair(pairs, 1)
        pairs.say(1, first.view.id, Said("tie", both_bad=True))
        one_pair(pairs, 1)
        assert pairs.undo(1)
        again = one_pair(pairs, 1)
        assert (again.first, again.second) == (first.first, first.second)
        assert not pairs.undo(1)
        pairs.say(1, again.view.id, Said("first"))
        answer(pairs, 1)
        (outcome,) = opened.study.outcomes()
        assert outcome.scores == ((0.0, 1.0) if first.view.turned else (1.0, 0.0))
        with pytest.raises(Refused, match="taken back"):
            pairs.say(1, first.view.id, Said("tie", both_bad=True))


def test_both_bad_is_a_tie_that_says_so(tmp_path: Path) -> None:
    with pairs_of(write(tmp_path)) as (pairs, opened):
        pairs.say(1, one_pair(pairs, 1).view.id, Said("tie", both_bad=True, ms=1200), final=True)
        (outcome,) = opened.study.outcomes()
        assert outcome.scores == (0.5, 0.5)
        told = json.loads(outcome.feedback)["people"]
        assert told["both_bad"]
        assert told["ms"] == 1200
        assert told["rater"] == 1


def test_the_same_answer_counts_once_and_another_one_is_refused(tmp_path: Path) -> None:
    with pairs_of(write(tmp_path)) as (pairs, opened):
        view = one_pair(pairs, 1).view.id
        for _ in range(3):
            pairs.say(1, view, Said("first"), final=True)
        with pytest.raises(Refused) as refused:
            pairs.say(1, view, Said("second"), final=True)
        assert refused.value.why == "other"
        with pytest.raises(Refused) as refused:
            pairs.say(2, view, Said("first"))
        assert refused.value.why == "unknown"
        assert len(opened.study.outcomes()) == 1


def test_no_two_people_hold_the_same_duel(tmp_path: Path) -> None:
    with pairs_of(write(tmp_path, policies=6, workers=3), settles=0.0) as (pairs, opened):
        threads = [
            Thread(target=lambda r=r: [answer(pairs, r) for _ in range(15)]) for r in range(1, 5)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        duels = [one.view.duel for one in opened.ratings.seen()]
        assert len(duels) == 60
        assert len(set(duels)) == 60


def test_a_pair_left_open_goes_to_somebody_else_and_the_late_answer_is_refused(
    tmp_path: Path, store_url: str
) -> None:
    with pairs_of(write(tmp_path, store=store_url), lease=0.6) as (pairs, opened):
        slow = one_pair(pairs, 1)
        time.sleep(0.7)
        met = set()
        end = time.monotonic() + 20
        while slow.view.duel not in met and time.monotonic() < end:
            met.add(one_pair(pairs, 2).view.duel)
            answer(pairs, 2, final=True)
        assert slow.view.duel in met
        with pytest.raises(Refused) as refused:
            pairs.say(1, slow.view.id, Said("first"))
        assert refused.value.why == "lost"
        told = [o.comparison.id for o in opened.study.outcomes()]
        assert told.count(slow.view.duel) == 1


def test_a_late_answer_counts_as_long_as_nobody_else_has_the_pair(tmp_path: Path) -> None:
    with pairs_of(write(tmp_path), lease=0.3) as (pairs, opened):
        slow = one_pair(pairs, 1)
        with pairs._ready._change:  # nothing is asked meanwhile
            time.sleep(0.4)
            assert pairs._deck.keeps(slow.view)
        pairs.say(1, slow.view.id, Said("first"), final=True)
        assert slow.view.duel in {o.comparison.id for o in opened.study.outcomes()}


def test_what_one_skips_another_is_shown(tmp_path: Path) -> None:
    with pairs_of(write(tmp_path)) as (pairs, _opened):
        one_pair(pairs, 2)
        skipped = one_pair(pairs, 1)
        pairs.skip(1, skipped.view.id)
        assert one_pair(pairs, 1).view.duel != skipped.view.duel
        answer(pairs, 2)
        assert one_pair(pairs, 2).view.duel == skipped.view.duel
        with pytest.raises(Refused) as refused:
            pairs.say(1, skipped.view.id, Said("first"))
        assert refused.value.why == "skipped"


def test_what_everybody_who_is_here_skips_is_given_up(tmp_path: Path) -> None:
    with pairs_of(write(tmp_path)) as (pairs, opened):
        skipped = one_pair(pairs, 1)
        pairs.skip(1, skipped.view.id)
        pairs.skip(1, skipped.view.id)
        (outcome,) = opened.study.outcomes()
        assert outcome.comparison.id == skipped.view.duel
        assert outcome.scores is None


def test_a_person_who_comes_back_sees_the_same_pair(tmp_path: Path) -> None:
    path = write(tmp_path)
    with pairs_of(path) as (pairs, _):
        first = [pair.view for pair in (one_pair(pairs, 1, 2), *pairs.before(1, 2)[1:])]
        assert [pair.view for pair in pairs.before(1, 2)] == first
    with pairs_of(path) as (pairs, opened):
        again = pairs.before(1, 1)
        assert [pair.view for pair in again] == first[:1]
        pairs.say(1, first[0].id, Said("first"), final=True)
        assert len(opened.study.outcomes()) == 1


def answered_behind(path: Path) -> int:
    """How many answers one person may give while another holds an earlier pair."""
    with pairs_of(path, settles=0.0) as (pairs, opened):
        held = one_pair(pairs, 1)
        for count in range(60):
            before = time.monotonic()
            while not (mine := pairs.before(2, 1)) and time.monotonic() < before + 1.5:
                time.sleep(0.01)
            if not mine:
                assert not pairs.over
                pairs.say(1, held.view.id, Said(better(held.first, held.second)), final=True)
                assert one_pair(pairs, 2) is not None
                return count
            pairs.say(2, mine[0].view.id, Said(better(mine[0].first, mine[0].second)))
        assert opened.study.verdict().comparisons == 0
        return 60


def test_answers_do_not_run_far_ahead_of_a_pair_that_somebody_holds(tmp_path: Path) -> None:
    path = write(tmp_path, policies=6, human="{queue: 2, overlap: 0}")
    assert 4 <= answered_behind(path) <= 4 * 2 + 2


def test_without_a_look_at_what_waits_answers_run_far_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ready, "_is_far_ahead", lambda _: False)
    assert answered_behind(write(tmp_path, policies=6, human="{queue: 2, overlap: 0}")) == 60


def test_nothing_is_over_before_what_was_told_last_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pairs_of(write(tmp_path, policies=6), settles=0.0) as (pairs, _):
        one_pair(pairs, 1)
        monkeypatch.setattr(Ready, "_is_far_ahead", lambda _: True)
        until(lambda: pairs.before(1, 20) and pairs._ready.dry and not pairs._ready.busy)
        held = pairs.before(1, 20)
        assert not pairs._ready.waiting()
        for pair in held[:-1]:
            pairs.say(1, pair.view.id, Said("first"), final=True)
        until(lambda: pairs._ready.dry and not pairs._ready.busy)
        monkeypatch.setattr(Ready, "_claimed", lambda _: None)
        pairs.say(1, held[-1].view.id, Said("first"), final=True)
        assert not pairs.over


def test_equal_texts_tie_and_nobody_is_asked(tmp_path: Path) -> None:
    path = write(tmp_path, budget=40)
    text = path.with_name("answers.py").read_text()
    path.with_name("answers.py").write_text(text.replace("silver for", "gold for"))
    with pairs_of(path, settles=0.0) as (pairs, opened):
        while (pair := one_pair(pairs, 1)) is not None:
            assert pair.first != pair.second
            answer(pairs, 1)
        ties = [o for o in opened.study.outcomes() if "same_text" in o.feedback]
        assert ties
        assert all(o.scores == (0.5, 0.5) for o in ties)


def test_a_policy_that_raises_is_named_and_the_page_goes_on_waiting(tmp_path: Path) -> None:
    path = write(tmp_path)
    text = path.with_name("answers.py").read_text()
    broken = text.replace('return f"stone for', 'raise OSError("no") or f"stone for')
    path.with_name("answers.py").write_text(broken)
    with pairs_of(path) as (pairs, _):
        until(lambda: pairs.trouble)
        assert "policy-0" in pairs.trouble
        pairs.before(1, 1)


GOLD = "{{gold: [{}], gold_share: 0.5, overlap: 0.5}}".format(
    ", ".join(
        f'{{input: "easy {i}", left: "gold {i}", right: "mud {i}", winner: left}}'
        for i in range(20)
    )
)


def test_gold_and_second_opinions_are_kept_and_never_enter_the_verdict(tmp_path: Path) -> None:
    verdict, seen, outcomes = rate_to_the_end(write(tmp_path, human=GOLD), raters=2)
    kinds = [one.view.kind for one in seen if one.state == "settled"]
    # Half of some twenty duels: that there is none has a chance below one in a million.
    assert kinds.count("gold") > 0
    assert kinds.count("again") > 0
    assert len(outcomes) == kinds.count("duel")
    assert verdict.policy == "policy-2"
    found = raters(seen, 0.95)
    assert found is not None
    for one in found.people:
        assert one.accuracy is not None
        assert one.right == one.gold
        assert one.accuracy.low < 1.0 == one.accuracy.high
    assert found.agreement is not None
    assert found.agreement.value == 1.0


def test_status_and_report_show_people_as_numbers_with_intervals(tmp_path: Path) -> None:
    with pairs_of(write(tmp_path, human=GOLD), settles=0.0) as (pairs, opened):
        for n in range(40):
            answer(pairs, 1 + n % 2)
        pairs.close()
        at = snapshot(opened)
        told = as_json(at)["people"]
        page = render(dossier(opened, at, __version__))
    assert [one["rater"] for one in told["raters"]] == ["rater 1", "rater 2"]
    numbers = [name for name in told if f"{name}_interval" in told]
    assert len(numbers) == 4
    for name in numbers:
        low, high = told[f"{name}_interval"]
        assert low <= told[name] <= high
        assert low < high
    assert "rater 2" in page
    assert "Two people say the same" in page


@pytest.mark.parametrize("human", ["{gold: nothing.csv}", "{gold: [{left: a, right: b}]}"])
def test_gold_that_cannot_be_read_is_refused_with_its_place(tmp_path: Path, human: str) -> None:
    from bestpolicy.config import load
    from bestpolicy.core.nouns import ConfigError

    with pytest.raises(ConfigError, match=r"judge\.human\.gold"):
        load(str(write(tmp_path, human=human)))
