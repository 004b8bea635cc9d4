"""A study whose judge misbehaves says so, and names no winner that it cannot stand for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import binom

from bestpolicy.cli import cli
from bestpolicy.core.nouns import Comparison, ConfigError
from bestpolicy.core.rng import stream
from bestpolicy.inputs import Inputs
from bestpolicy.study import Study
from bestpolicy.worlds.preference import Drifting, Repeating, bradley_terry

NAMES = ("a", "b", "c", "d")
TRUTH = bradley_terry([0.0, -0.3, -0.6, -0.9])


def changing(study: Study, *, after: int, least: int = 0, run: int = 0) -> Study:
    """Told by a judge who lets d win for the first `after` duels."""
    judge, rng = Drifting(TRUTH, after, favour=0.8), stream(5, "changing", run)
    while (duel := study.ask()) and (len(study.outcomes()) < least or not least):
        asked = Comparison((NAMES.index(duel.left), NAMES.index(duel.right)), id=duel.id)
        (answer,) = judge.play([asked], rng)
        assert answer.scores is not None
        study.tell(duel, answer.scores[0])
    return study


def raised(study: Study, about: str) -> tuple[int, ...]:
    (found,) = (doubt.raised for doubt in study.doubts() if doubt.about == about)
    return found


def test_after_a_change_the_evidence_begins_anew_and_the_verdict_is_about_the_judge_of_now() -> (
    None
):
    study = changing(Study(NAMES, confidence=0.999, seed=1, sentinels=0.05), after=120)
    (at,) = raised(study, "drift")
    assert 120 < at < 2000
    verdict = study.verdict()
    assert (verdict.kind, verdict.policy) == ("winner", "a")
    assert f"the first {at:,} answers are set aside" in verdict.reason
    assert verdict.comparisons == len(study.outcomes())
    assert verdict.confidence == 0.999
    assert study.replay() == [(verdict, verdict)]


def test_a_change_is_found_in_nearly_every_study() -> None:
    runs = 30
    found = sum(
        bool(
            raised(
                changing(
                    # So sure that nothing is decided before the judge changes.
                    Study(NAMES, confidence=1 - 1e-12, seed=run, sentinels=0.05, budget=900),
                    after=150,
                    run=run,
                ),
                "drift",
            )
        )
        for run in range(runs)
    )
    assert found >= binom.ppf(1e-6, runs, 0.95)


def test_a_study_that_is_stopped_after_a_change_resumes_to_the_same_end(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"confidence": 0.999, "seed": 1, "sentinels": 0.05}
    whole = changing(Study(NAMES, **settings), after=120)
    url = f"sqlite:///{tmp_path / 'x.db'}"
    judge, rng = Drifting(TRUTH, 120, favour=0.8), stream(5, "changing", 0)
    over = False
    while not over:
        with Study(NAMES, store=url, **settings) as study:
            for _ in range(97):
                if (duel := study.ask()) is None:
                    over = True
                    break
                asked = Comparison((NAMES.index(duel.left), NAMES.index(duel.right)), id=duel.id)
                (answer,) = judge.play([asked], rng)
                assert answer.scores is not None
                study.tell(duel, answer.scores[0])
            verdict, hashed = study.verdict(), study.record_hash()
    assert (verdict, hashed) == (whole.verdict(), whole.record_hash())


def test_sentinels_ask_earlier_pairs_and_leave_a_study_without_them_alone() -> None:
    def pairs(**settings: Any) -> list[frozenset[str]]:
        study = Study(NAMES, seed=2, budget=400, confidence=0.999, **settings)
        rng = stream(6, "sentinels", 0)
        found = []
        while duel := study.ask():
            found.append(frozenset((duel.left, duel.right)))
            study.tell(duel, float(rng.random() < 0.5))
        return found

    assert pairs() == pairs(sentinels=0.0)
    assert pairs() != pairs(sentinels=0.2)


def echoed(study: Study) -> Study:
    """A pair's next five answers are its last one again."""
    said: dict[frozenset[str], list[str]] = {}
    rng = stream(7, "echoed", 0)
    while duel := study.ask():
        pair = frozenset((duel.left, duel.right))
        left = said.setdefault(pair, [])
        if not left:
            left += [str(rng.choice(sorted(pair)))] * 6
        study.tell(duel, "left" if left.pop() == duel.left else "right")
    return study


def test_a_judge_who_repeats_himself_gets_no_verdict() -> None:
    study = echoed(Study(NAMES[:2], confidence=0.9999999999, seed=1, budget=3000))
    (at,) = raised(study, "repeats")
    assert at < 600
    verdict = study.verdict()
    assert verdict.kind == "undecided"
    assert verdict.policy is None
    assert verdict.survivors == NAMES[:2]
    assert "repeat each other" in verdict.reason
    assert study.ask() is None


def turned(seed: int, **settings: Any) -> Study:
    """A judge who says of all turns of a conversation what he says of one."""
    rng = stream(seed, "turned", 0)
    judge = Repeating.drawn(np.array([[0.5, 0.52], [0.48, 0.5]]), 8, rng)
    rows = [{"conversation": c, "turn": t} for c in range(8) for t in range(40)]
    study = Study(["a", "b"], inputs=rows, assume_winner=True, seed=seed, **settings)
    while duel := study.ask():
        arms = ("ab".index(duel.left), "ab".index(duel.right))
        (answer,) = judge.play([Comparison(arms, duel.input["conversation"])], rng)
        assert answer.scores is not None
        study.tell(duel, answer.scores[0])
    return study


def a_wrong_winner_is_rare(runs: int = 60, **settings: Any) -> None:
    wrong = sum(turned(seed, **settings).verdict().policy == "b" for seed in range(runs))
    assert wrong <= binom.ppf(1 - 1e-6, runs, 0.05)


def test_turns_of_one_conversation_count_once() -> None:
    a_wrong_winner_is_rare(cluster="conversation")
    study = turned(0, cluster="conversation")
    assert len(study.outcomes()) == 8
    assert "has met all 8" in study.verdict().reason


def test_counting_every_turn_is_caught() -> None:
    with pytest.raises(AssertionError):
        a_wrong_winner_is_rare()


def test_rows_that_are_the_same_are_one_input() -> None:
    study = Study(["a", "b"], inputs=["x", "y", "x", "x"], confidence=0.999)
    assert len(study.ask(9)) == 2
    assert {duel.input for duel in study.in_flight()} == {"x", "y"}


def test_a_cluster_is_part_of_what_a_study_is() -> None:
    rows = [{"c": i // 2, "t": i} for i in range(8)]
    plain, clustered = (Inputs(rows, reuse=False, cluster=c) for c in (None, "c"))
    assert plain.digest != clustered.digest
    assert (plain.different, clustered.different) == (8, 4)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"cluster": "who"}, "there are none"),
        ({"cluster": "who", "inputs": ["x"]}, "it is a text"),
        ({"cluster": "who", "inputs": [{"how": 1}]}, "it has how"),
        ({"cluster": "how", "inputs": [{"how": 1}], "reuse_inputs": True}, "leave cluster out"),
        ({"sentinels": 0.5}, r"sentinels must be in \[0, 0.5\)"),
        ({"sentinels": 5}, r"did you mean 0.05"),
    ],
)
def test_what_cannot_be_meant_is_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Study(NAMES, **settings)


def test_a_report_gives_shares_of_the_judge_as_he_is_now(study: Any) -> None:
    path = study()
    path.write_text(path.read_text().replace("confidence: 0.9", "confidence: 0.9999"))
    with Study.from_yaml(path) as opened:
        rng = stream(9, "turned over", 0)
        while duel := opened.ask():
            early = len(opened.outcomes()) < 100
            p = 0.8 if (duel.left < duel.right) == early else 0.2
            opened.tell(duel, float(rng.random() < p))
        since, best = opened.since, opened.verdict().policy
    assert since > 100
    assert best == "poor"
    told = json.loads(CliRunner().invoke(cli, ["status", str(path), "--json"]).stdout)
    assert told["judge"]["doubts"]["drift"]["raised_after"] == [since]
    assert any("the judge has changed" in warning for warning in told["warnings"])
    # Over all answers this interval would reach far higher.
    assert all(row["share_against_rival_interval"][0] < 0.4 for row in told["policies"][:2])
