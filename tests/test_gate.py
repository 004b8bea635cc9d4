"""A build passes only on a proof: exit codes, JUnit, Markdown, and a record of its own."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest

from bestpolicy.core.nouns import Interval, Verdict
from bestpolicy.report import gate as report
from bestpolicy.report.gate import GateQuestion, GateReport
from conftest import answers

Study = Callable[..., Path]
Command = Callable[..., tuple[int, Any, str]]
ALWAYS_TIE = "def judge(row, left, right):\n    return 'tie'"
ALWAYS_LEFT = "def judge(row, left, right):\n    return 'left'"
BREAKS = "def judge(row, left, right):\n    raise OSError('no <route> to \\x07 host')"


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


def test_an_interrupted_gate_is_an_error_and_resumes(
    gate: Command, suite: Callable[[], Xml.Element]
) -> None:
    interrupts = (
        "import os, signal\ncalls = []\ndef judge(row, left, right):\n    calls.append(row)\n"
        "    if len(calls) == 3:\n        os.kill(os.getpid(), signal.SIGINT)\n    return 'tie'\n"
    )
    code, told, _ = gate("fair", "good", "--json", judge=interrupts)
    assert code == 130
    assert told["gate"]["finding"] == "undecided"
    assert (suite().get("failures"), suite().get("errors")) == ("0", "1")
    code, again, _ = gate("fair", "good", "--json", judge=ALWAYS_TIE)
    assert code == 0
    assert again["cost"]["calls"] == 3 * (
        again["gate"]["comparisons"] - told["gate"]["comparisons"]
    )


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
