"""A test passes only on a proof, and what its functions raise is never taken for a verdict."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bestpolicy as bp
from bounds import at_most

ROWS = [f"question {i}" for i in range(600)]


def longer(row: str, left: str, right: str) -> str:
    return "tie" if len(left) == len(right) else "left" if len(left) > len(right) else "right"


def short(row: str) -> str:
    return row


def long(row: str) -> str:
    return f"{row}, please"


def test_a_candidate_that_is_not_worse_passes_and_says_by_how_much() -> None:
    passed = bp.assert_not_worse(long, short, ROWS, longer)
    assert passed.finding == "not-worse"
    assert passed.share is not None
    assert passed.share.value == 1.0
    same = bp.assert_not_worse(short, short, ROWS, longer, seed=1)
    assert same.share is not None
    assert same.share.low < 0.5 < same.share.high


def test_a_candidate_that_is_worse_fails_and_the_message_says_what_was_proven() -> None:
    with pytest.raises(AssertionError) as caught:
        bp.assert_not_worse(short, long, ROWS, longer)
    first, measured, *_ = str(caught.value).splitlines()
    assert first.startswith("proven: candidate is worse than baseline by more than 0.05")
    assert "share of candidate: 0.0% [0.0%, " in measured


def test_what_ends_undecided_fails_and_says_what_would_be_needed() -> None:
    with pytest.raises(AssertionError, match="the budget of 20 comparisons is spent") as caught:
        bp.assert_not_worse(short, short, ROWS, longer, budget=20)
    assert "more would decide" in str(caught.value)
    with pytest.raises(AssertionError, match="the inputs are used up"):
        bp.assert_not_worse(short, short, ROWS[:30], longer)


def test_the_sides_are_drawn_so_that_a_leaning_judge_proves_nothing() -> None:
    with pytest.raises(AssertionError, match="undecided"):
        bp.assert_not_worse(long, short, ROWS[:200], lambda row, left, right: "left")


def test_what_the_functions_raise_is_never_taken_for_a_verdict() -> None:
    def out_of_order(row: str) -> str:
        raise ConnectionError("no route")

    def asserts(row: str) -> str:
        raise AssertionError("mine")

    with pytest.raises(ConnectionError, match="no route"):
        bp.assert_not_worse(out_of_order, short, ROWS, longer)
    with pytest.raises(bp.BestPolicyError, match="baseline raised AssertionError: mine"):
        bp.assert_not_worse(short, asserts, ROWS, longer)
    with pytest.raises(bp.BestPolicyError, match="candidate must return text, saw None"):
        bp.assert_not_worse(lambda row: None, short, ROWS, longer)  # type: ignore[arg-type, return-value]
    with pytest.raises(bp.ConfigError, match="winner must be"):
        bp.assert_not_worse(short, short, ROWS, lambda row, left, right: "lefft")


def test_what_could_never_pass_is_refused_before_it_is_played() -> None:
    for rows, budget in ((ROWS[:5], 2000), (ROWS, 5)):
        with pytest.raises(bp.ConfigError, match="even if the candidate wins every one"):
            bp.assert_not_worse(short, short, rows, longer, budget=budget)
    with pytest.raises(bp.ConfigError, match=r"did you mean 0\.05"):
        bp.assert_not_worse(short, short, ROWS, longer, margin=5)


def noisy(theta: float, run: int) -> Callable[[Any, str, str], float]:
    """A judge who gives the longer text that share of its answers."""
    coins = random.Random(f"noisy/{run}")

    def judge(row: Any, left: str, right: str) -> float:
        won = coins.random() < theta
        return float(won == (len(left) > len(right)))

    return judge


def passes(assertion: Callable[..., Any], theta: float, runs: int) -> int:
    """How often an assertion passes for a candidate whose mean share is `theta`."""
    passed = 0
    for run in range(runs):
        try:
            assertion(
                long, short, ROWS[:150], noisy(theta, run), confidence=0.8, budget=150, seed=run
            )
        except AssertionError:
            continue
        passed += 1
    return passed


def hasty(candidate: Any, baseline: Any, rows: Any, judge: Any, *, budget: int, **_: Any) -> None:
    """The broken twin: looks at the share after every answer from the fifth on."""
    won = 0.0
    for n, row in enumerate(rows[:budget], 1):
        won += judge(row, candidate(row), baseline(row))
        if n >= 5 and won / n >= 0.5:
            return
    raise AssertionError


@pytest.mark.slow
def test_a_candidate_just_worse_than_allowed_passes_as_rarely_as_promised() -> None:
    assert at_most(passes(bp.assert_not_worse, 0.45, 100), 100, 0.2)
    assert not at_most(passes(hasty, 0.45, 100), 100, 0.2)


@pytest.mark.slow
def test_a_failing_assertion_reads_well_in_a_test_run(tmp_path: Path) -> None:
    (tmp_path / "test_prompts.py").write_text(
        "import bestpolicy as bp\n\n"
        "ROWS = [f'question {i}' for i in range(100)]\n\n\n"
        "def judge(row, left, right):\n"
        "    return 'left' if len(left) > len(right) else 'right'\n\n\n"
        "def test_the_new_prompt_is_not_worse():\n"
        "    bp.assert_not_worse(lambda row: row, lambda row: row + '!', ROWS, judge)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_prompts.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(Path(bp.__file__).parents[1])},
    )
    assert done.returncode == 1
    assert "E       AssertionError: proven: candidate is worse than baseline" in done.stdout
    assert "src/bestpolicy" not in done.stdout  # the test's own line is where it failed
