"""An A/A test survives every look, and the z-test that is looked at 40 times does not."""

from bestpolicy.bench.cells import Cell, play
from bestpolicy.bench.peeking import z_tests
from bestpolicy.bench.shares import Share, share

RUNS, ANSWERS, ALARM = 120, 300, 1e-6


def ever_named(policies: int) -> Share:
    cell = Cell(f"tied{policies}", "llm-po", False, 0.05, ANSWERS, RUNS)
    wrong = sum(run.wrong for run in play(cell, 0, RUNS, seed=6))
    return share(wrong, RUNS, promised=0.05, alarm=ALARM)


def test_no_policy_is_named_more_often_than_promised_when_all_are_tied() -> None:
    assert ever_named(2).passes
    assert ever_named(5).passes


def test_a_z_test_looked_at_forty_times_names_one_far_too_often() -> None:
    for policies in (2, 5):
        named = z_tests(policies, RUNS, ANSWERS, seed=6)
        assert not share(named.count, RUNS, promised=0.05, alarm=ALARM).passes
