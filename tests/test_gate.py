"""A build passes only on a proof: exit codes, JUnit, Markdown, and the assertion for tests."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest

import bestpolicy as bp
from bestpolicy.core.nouns import Interval, Verdict
from bestpolicy.report import gate as report
from bestpolicy.report.gate import GateQuestion, GateReport
from bounds import at_most
from conftest import answers

Study = Callable[..., Path]
Command = Callable[..., tuple[int, Any, str]]
ALWAYS_TIE = "def judge(row, left, right):\n    return 'tie'"
ALWAYS_LEFT = "def judge(row, left, right):\n    return 'left'"
BREAKS = "def judge(row, left, right):\n    raise OSError('no <route> to \\x07 host')"
ROWS = [f"question {i}" for i in range(600)]


@pytest.fixture
def gate(study: Study, command: Command, tmp_path: Path) -> Callable[..., tuple[int, Any, str]]:
    """Runs `gate` on the small study: baseline, candidate, options; `judge=` replaces the judge."""

    def run(baseline: str, candidate: str, *options: object, **written: Any) -> Any:
        path = study(**written)
        policies = ("--baseline", baseline, "--candidate", candidate)
        outputs = ("--junit", tmp_path / "gate.xml", "--markdown", tmp_path / "gate.md")
        return command("gate", path, *policies, *outputs, *options)

    return run


@pytest.fixture
def suite(tmp_path: Path) -> Callable[[], Xml.Element]:
    return lambda: Xml.parse(tmp_path / "gate.xml").getroot()


@pytest.mark.parametrize(
    ("baseline", "candidate", "options", "code", "found"),
    [
        ("fair", "good", (), 0, "not-worse"),
        ("fair", "good", ("--goal", "superiority"), 0, "better"),
        ("good", "fair", (), 1, "worse"),
        ("good", "fair", ("--goal", "superiority"), 1, "worse"),
        ("fair", "good", ("--comparisons", 7, "--confidence", 0.95), 3, "undecided"),
    ],
)
def test_the_exit_code_and_every_output_say_what_was_proven(
    baseline: str,
    candidate: str,
    options: tuple[object, ...],
    code: int,
    found: str,
    gate: Command,
    suite: Callable[[], Xml.Element],
    tmp_path: Path,
) -> None:
    left, told, _ = gate(
        baseline, candidate, *options, "--json", judge=ALWAYS_TIE if code == 3 else ""
    )
    assert left == code
    assert told["gate"]["finding"] == found
    assert told["gate"]["passes"] == (code == 0)
    low, high = told["gate"]["share_interval"]
    assert low <= told["gate"]["share"] <= high
    assert told["replay"].startswith("sha256:")
    case = suite().find("testcase")
    assert case is not None
    assert suite().get("tests") == "1"
    assert [child.tag for child in case] == (["failure"] if code else ["system-out"])
    assert [child.get("type") for child in case.iter("failure")] == {
        1: ["proven-worse"],
        3: ["undecided"],
    }.get(code, [])
    summary = (tmp_path / "gate.md").read_text()
    assert told["replay"] in summary
    assert f"{told['gate']['share']:.1%}" in summary


def test_a_failing_judge_is_an_error_and_never_a_failure(
    gate: Command, suite: Callable[[], Xml.Element], tmp_path: Path
) -> None:
    code, told, _ = gate("good", "fair", "--json", judge=BREAKS)
    assert code == 5
    assert told["error"]["kind"] == "play"
    assert (suite().get("failures"), suite().get("errors")) == ("0", "1")
    error = suite().find("testcase/error")
    assert error is not None
    assert "no <route> to  host" in str(error.get("message"))
    assert "nothing of quality" in (tmp_path / "gate.md").read_text()


@pytest.mark.parametrize(
    ("policies", "options", "said"),
    [
        (("fiar", "good"), (), "baseline: there is no policy 'fiar'.*did you mean \"fair\""),
        (("fair", "goood"), (), 'candidate: there is no policy.*did you mean "good"'),
        (("fair", "fair"), (), "both 'fair'"),
        (("fair", "good"), ("--margin", 5), "did you mean 0.05"),
        (("fair", "good"), ("--confidence", 95), "did you mean 0.95"),
        (("fair", "good"), ("--comparisons", 3), "3 comparisons are too few"),
        (("fair", "good"), ("--goal", "superiorty"), "superiority"),
    ],
)
def test_what_cannot_be_asked_exits_2_and_writes_nothing(
    policies: tuple[str, str], options: tuple[object, ...], said: str, gate: Command, tmp_path: Path
) -> None:
    code, _, complaint = gate(*policies, *options)
    assert code == 2
    assert re.search(said, complaint)
    assert not list(tmp_path.glob("gate.*"))
    assert not list(tmp_path.glob("*.db"))


def test_a_report_that_has_nowhere_to_go_is_refused_before_anything_is_played(
    study: Study, command: Command, tmp_path: Path
) -> None:
    code, _, complaint = command(
        "gate", study(), "--baseline", "fair", "--candidate", "good", "--junit", "no/where.xml"
    )
    assert code == 2
    assert "no such folder" in complaint
    assert not list(tmp_path.glob("*.db"))


def test_the_summary_of_a_build_server_is_added_to(
    gate: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = tmp_path / "summary"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    gate("fair", "good")
    assert summary.read_text() == "before\n" + (tmp_path / "gate.md").read_text()
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    code, _, complaint = gate("fair", "good")
    assert code == 0  # a verdict is not withheld for it
    assert "cannot add to GITHUB_STEP_SUMMARY" in complaint


def test_a_gate_that_was_played_is_not_played_again_and_says_so(gate: Command) -> None:
    _, first, _ = gate("fair", "good", "--json")
    _, again, _ = gate("fair", "good", "--json", judge=BREAKS)
    assert again["gate"] == first["gate"]
    assert again["replay"] == first["replay"]
    assert again["cost"]["calls"] == 0
    assert "nothing was played" in again["warnings"][0]


def test_another_margin_goal_input_or_prompt_is_another_gate(
    gate: Command, study: Study, command: Command
) -> None:
    hashes = set()
    for options in ((), ("--margin", 0.1), ("--goal", "superiority"), ("--confidence", 0.8)):
        _, told, _ = gate("fair", "good", *options, "--json")
        assert told["cost"]["calls"] > 0
        hashes.add(told["replay"])
    assert len(hashes) == 4
    path = study()
    was = path.read_text()
    for changed in (
        was.replace("question 13,", "another question,"),
        was.replace("players:fair", "players:poor"),
        was.replace("players:judge", "players:judge2"),
    ):
        path.write_text(changed)
        with (path.parent / "players.py").open("a") as players:
            players.write("judge2 = judge\n")
        _, told, _ = command("gate", path, "--baseline", "fair", "--candidate", "good", "--json")
        assert told["cost"]["calls"] > 0


def test_an_undecided_gate_goes_on_from_where_it_was(gate: Command, study: Study) -> None:
    code, first, _ = gate("poor", "fair", "--json", "--comparisons", 6)
    assert code == 3
    assert first["gate"]["comparisons"] == 6
    code, again, _ = gate("poor", "fair", "--json")
    assert code == 0
    assert again["cost"]["calls"] == 3 * (again["gate"]["comparisons"] - 6)
    assert len(answers(study().with_suffix(".db"))) >= 6


def test_used_up_inputs_are_said(study: Study, command: Command) -> None:
    path = study(judge=ALWAYS_TIE)
    path.write_text(re.sub(r", question \d\d+", "", path.read_text()))
    policies = ("--baseline", "fair", "--candidate", "good")
    code, told, _ = command("gate", path, *policies, "--json")
    assert code == 3
    assert "the pair to compare next has met all 10" in told["verdict"]["reason"]
    code, said, _ = command("gate", path, *policies)
    assert code == 3
    assert "more would decide" in said


def test_a_judge_who_leans_to_a_side_is_told_of_and_proves_nothing_better(gate: Command) -> None:
    code, told, _ = gate(
        "fair", "good", "--goal", "superiority", "--comparisons", 80, "--json", judge=ALWAYS_LEFT
    )
    assert code == 3
    assert "favours a position" in told["warnings"][0]


HOSTILE = "a|b`<i>*_[x](y)\x00\x1b]]>&\"'\n# \ud800é"


def reported(finding: Any, name: str = HOSTILE) -> GateReport:
    question = GateQuestion(name, name, f"{name}2", 0.05, "non-inferiority", 0.95)
    verdict = Verdict("undecided", None, 0.95, (name, f"{name}2"), 12, name)
    interval = Interval(0.5, 0.25, 0.75)
    return GateReport(
        question, verdict, finding, interval, 12, 1, 1e9, (name,), "sha256:0", 36, 1.5
    )


@pytest.mark.parametrize("finding", ["better", "not-worse", "worse", "undecided"])
def test_names_cannot_break_out_of_the_reports(finding: Any) -> None:
    at = reported(finding)
    case = Xml.fromstring(report.junit(at)).find("testcase")
    assert case is not None
    kept = "a|b`<i>*_[x](y)]]>&\"'\n# é"  # all but what no XML can hold
    assert case.get("classname") == kept
    for line in report.markdown(at).splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) == 3
    assert "<i>" not in report.markdown(at)
    report.markdown(at).encode()


def test_an_error_report_holds_whatever_was_raised() -> None:
    question = reported("worse").question
    suite = Xml.fromstring(report.junit_of_error(question, "PlayError", HOSTILE, 0.5))
    assert (suite.get("errors"), suite.get("failures")) == ("1", "0")
    assert HOSTILE not in report.markdown_of_error(question, HOSTILE)


# -- in a test -----------------------------------------------------------------------------------


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
