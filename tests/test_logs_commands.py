"""Logs on the command line: described, asked, refused; and no number where the log has none."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from math import isfinite
from pathlib import Path
from typing import Any

import pytest

from bestpolicy.offpolicy import evaluate as evaluating
from bestpolicy.report import log_tables

Command = Callable[..., tuple[int, Any, str]]
EXAMPLE = Path(__file__).parents[1] / "examples" / "clicks" / "make.py"
COLUMNS = ("--action", "prompt_id", "--reward", "click", "--propensity", "p")
STANDS = "poem"  # the prompt that the log hardly ever showed


@pytest.fixture(scope="session")
def clicks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The guide's log."""
    folder = tmp_path_factory.mktemp("clicks")
    runpy.run_path(str(EXAMPLE))["main"](folder)
    return folder / "clicks.csv"


@pytest.fixture
def small(tmp_path: Path) -> Callable[..., Path]:
    """Writes a log of a few rows, each a line under the usual header."""

    def write(*rows: str, header: str = "prompt_id,click,p") -> Path:
        path = tmp_path / "log.csv"
        path.write_text("\n".join([header, *rows]) + "\n")
        return path

    return write


def numbers(value: Any) -> Iterator[float]:
    """Every number of an object."""
    for one in value.values() if isinstance(value, dict) else value:
        if isinstance(one, dict | list):
            yield from numbers(one)
        elif isinstance(one, int | float) and not isinstance(one, bool):
            yield float(one)


@pytest.mark.parametrize(
    ("target", "code", "says"),
    [
        ("column:new_p", 0, "better"),
        ("column:worse_p", 1, "worse"),
        ("always:expert", 3, "undecided"),
        (STANDS, 3, "stop"),
    ],
)
def test_the_exit_code_says_what_the_log_says(
    target: str, code: int, says: str, clicks: Path, tmp_path: Path, command: Command
) -> None:
    # The new policy with its devices mixed up: as far from the log, and worse.
    of, (header, *lines) = runpy.run_path(str(EXAMPLE)), clicks.read_text().splitlines()
    rows = [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines]
    places = [(row["device"] == "phone", of["PROMPTS"].index(row["prompt_id"])) for row in rows]
    worse = [of["NEW"][int(phone), prompt] for phone, prompt in places]
    log = tmp_path / "clicks.csv"
    told = [f"{line},{p:g}" for line, p in zip(lines, worse, strict=True)]
    log.write_text("\n".join([f"{header},worse_p", *told]))
    found, answer, _ = command("evaluate", log, *COLUMNS, "--target", target, "--json")
    assert found == code
    assert answer["evaluation"]["targets"][0]["verdict"] == says


def test_the_verdict_is_said_first_and_in_one_sentence(clicks: Path, command: Command) -> None:
    code, text, _ = command("evaluate", clicks, *COLUMNS, "--target", "column:new_p")
    assert code == 0
    first, said, verdict = text.splitlines()[:3]
    assert "20,000 rows" in first
    assert "action = prompt_id" in said
    assert verdict.startswith("new_p is better than the policy that logged: +0.0")
    assert text.index("uplift per row") < text.index("value by") < text.index("mean weight")


def test_where_the_log_stops_no_headline_number_is_shown(clicks: Path, command: Command) -> None:
    _, text, _ = command("evaluate", clicks, *COLUMNS, "--target", STANDS)
    _, told, _ = command("evaluate", clicks, *COLUMNS, "--target", STANDS, "--json")
    assert hides(text, told)
    (target,) = told["evaluation"]["targets"]
    low, high = target["estimates"]["ips"]["interval"]
    assert 0 < low < high < 1  # what holds at every n is still told


def hides(text: str, told: dict[str, Any]) -> bool:
    """Whether a stopped target's value is told by neither output."""
    (target,) = told["evaluation"]["targets"]
    shown = [target["uplift"], *target["estimates"].values()]
    quiet = all(one["value"] is None and one["asymptotic_interval"] is None for one in shown)
    rows = [line for line in text.splitlines() if line.split()[:1] in (["ips"], ["snips"])]
    return quiet and len(rows) == 2 and all(row.count("not shown") == 2 for row in rows)


def test_a_report_that_shows_a_number_in_spite_of_a_stop_is_caught(
    clicks: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_tables.words, "speaks", lambda evaluation: True)
    _, text, _ = command("evaluate", clicks, *COLUMNS, "--target", STANDS)
    _, told, _ = command("evaluate", clicks, *COLUMNS, "--target", STANDS, "--json")
    assert not hides(text, told)


def test_several_targets_share_the_error_and_it_is_said(clicks: Path, command: Command) -> None:
    targets = ("--target", "column:new_p", "--target", "expert")
    code, told, _ = command("evaluate", clicks, *COLUMNS, *targets, "--json")
    assert code == 0  # one of them is better
    assert told["evaluation"]["confidence_of_each"] == pytest.approx(0.975)
    one = command("evaluate", clicks, *COLUMNS, *targets[:2], "--json")[1]
    narrow, wide = (t["evaluation"]["targets"][0]["uplift"]["interval"] for t in (one, told))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]
    assert "all of them hold together with 95%" in " ".join(
        command("evaluate", clicks, *COLUMNS, *targets)[1].split()
    )


def test_json_has_stable_names_and_finite_numbers(clicks: Path, command: Command) -> None:
    _, told, _ = command("evaluate", clicks, *COLUMNS, "--target", "uniform", "--json")
    found = told["evaluation"]
    assert set(found) == {"log", "confidence", "candidates", "confidence_of_each", "targets"}
    (target,) = found["targets"]
    assert set(target) == {
        *(
            "target",
            "verdict",
            "sentence",
            "reasons",
            "advice",
            "logged",
            "uplift",
            "looks",
            "estimates",
        ),
        "diagnosis",
    }
    assert set(target["estimates"]["ips"]) == {
        *("value", "stderr", "interval", "asymptotic_interval", "effective_rows", "rows"),
        *("claims", "warnings"),
    }
    assert set(target["diagnosis"]["lines"][0]) == {"name", "verdict", "value", "said", "advice"}
    assert all(isfinite(number) for number in numbers(told))
    assert found["log"]["columns"] == {"action": "prompt_id", "reward": "click", "propensity": "p"}


def test_describe_says_what_is_out_of_reach(clicks: Path, command: Command) -> None:
    code, text, _ = command("logs", "describe", clicks, *COLUMNS)
    assert code == 0
    assert "can answer for 3 of 4 actions taken alone" in text
    assert "poem (69)" in text
    told = command("logs", "describe", clicks, *COLUMNS, "--json")[1]["description"]
    assert {one["name"]: one["verdict"] for one in told["actions"]} == {
        **dict.fromkeys(("terse", "friendly", "expert"), "ok"),
        STANDS: "stop",
    }
    assert all(isfinite(number) for number in numbers(told))


def test_without_columns_the_guess_is_shown_as_what_to_type(clicks: Path, command: Command) -> None:
    code, _, complaint = command("evaluate", clicks, "--target", "uniform")
    assert code == 2
    typed = complaint.splitlines()[1].split()
    assert typed[:2] == ["bestpolicy", "evaluate"]
    assert "--guess" in complaint
    code, told, _ = command(*typed[1:], "--json")
    assert told["evaluation"]["log"]["guessed"] is False
    assert code == 3


def test_a_guess_is_used_when_it_is_asked_for_and_always_shown(
    clicks: Path, command: Command
) -> None:
    _, text, _ = command("logs", "describe", clicks, "--guess")
    assert "guessed: action = prompt_id, reward = click, propensity = p" in text
    told = command("logs", "describe", clicks, "--guess", "--json")[1]
    assert told["description"]["log"]["guessed"] is True


@pytest.mark.parametrize(
    ("rows", "options", "says"),
    [
        (("a,1,0.5", "b,0,0"), (), "row 1"),
        (("a,1,0.5", "b,7,0.5"), (), "'click'"),
        (("a,1,0.5",), ("--target", "colum:x"), "no action of the log is called 'colum:x'"),
        (("a,1,0.5",), ("--target", "column:"), "names nothing"),
        (("a,1,0.5",), ("--target", "a", "--target", "a"), "asked about already"),
        (("a,1,0.5",), ("--target", "column:q"), "no column 'q'"),
        (("a,1,0.5",), ("--target", "call:nobody:f"), "no module 'nobody' beside the log"),
        (("a,1,0.5",), ("--target", "logging"), "not of all"),
        (("a,1,0.5",), ("--target", "a", "--estimators", "snps"), "did you mean 'snips'"),
        (("a,1,0.5",), ("--target", "a", "--confidence", "95"), "between 0.5 and 1"),
        (("a,1,0.5",), ("--target", "a", "-o", "no/where.html"), "no such folder"),
        (("a,1,0.5",), ("--target", "a", "--propensities", "a=p,b"), "ACTION=COLUMN"),
        (("a,1,0.5",), (), "Missing option '--target'"),
    ],
)
def test_what_is_wrong_is_refused_with_what_was_seen(
    rows: tuple[str, ...],
    options: tuple[str, ...],
    says: str,
    small: Callable[..., Path],
    command: Command,
) -> None:
    wanted = options or (() if says.startswith("Missing") else ("--target", "uniform"))
    code, told, complaint = command("evaluate", small(*rows), *COLUMNS, *wanted, "--json")
    assert code == 2
    assert says in complaint
    assert says in told["error"]["message"]


def test_a_function_beside_the_log_may_be_the_target(
    small: Callable[..., Path], command: Command
) -> None:
    rows = [f"{'ab'[i % 2]},{i % 2},0.5,{i % 3}" for i in range(400)]
    log = small(*rows, header="prompt_id,click,p,hour")
    (log.parent / "players.py").write_text(
        "import numpy as np\n\n\ndef mostly_b(contexts):\n"
        "    return np.tile([0.2, 0.8], (len(contexts), 1))\n\n\n"
        "def breaks(contexts):\n    raise OSError('no such day')\n\n\n"
        "def odd(contexts):\n    return np.full((len(contexts), 2), 0.6)\n"
    )
    asked = (*COLUMNS, "--context", "hour", "--estimators", "ips,dr", "--json")
    code, told, _ = command("evaluate", log, *asked, "--target", "call:players:mostly_b")
    assert code == 0
    assert told["evaluation"]["targets"][0]["target"] == "players:mostly_b"
    assert told["evaluation"]["targets"][0]["estimates"]["ips"]["value"] == pytest.approx(0.8)
    for name, says in (("breaks", "raised OSError: no such day"), ("odd", "sum to 1")):
        code, _, complaint = command("evaluate", log, *asked, "--target", f"call:players:{name}")
        assert code == 2
        assert says in complaint
    code, _, complaint = command("evaluate", log, *COLUMNS, "--target", "call:players:mostly_b")
    assert code == 2
    assert "--context" in complaint


def test_a_model_is_refused_for_a_target_known_on_logged_actions_alone(
    clicks: Path, command: Command
) -> None:
    code, _, complaint = command(
        "evaluate", clicks, *COLUMNS, "--target", "column:new_p", "--estimators", "ips,switch-dr"
    )
    assert code == 2
    assert "switch_dr need" in complaint


def test_a_long_file_says_how_far_it_has_come(
    clicks: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bestpolicy.logs.LINE", 0.0)
    _, text, complaint = command("evaluate", clicks, *COLUMNS, "--target", "uniform", "--json")
    assert "clicks.csv: 20,000 of 20,000 rows" in complaint
    assert text["evaluation"]["candidates"] == 1


def test_a_log_too_large_to_keep_is_read_from_its_file_and_says_the_same(
    clicks: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("evaluate", clicks, *COLUMNS, "--target", "column:new_p", "--json")
    whole = command(*asked)[1]
    monkeypatch.setattr("bestpolicy.logs.MOST_CELLS", 1)
    assert command(*asked)[1] == whole


def test_both_commands_write_a_report(clicks: Path, tmp_path: Path, command: Command) -> None:
    page = tmp_path / "report.html"
    _, text, _ = command("logs", "describe", clicks, *COLUMNS, "-o", page)
    assert f"report written to {page}" in " ".join(text.split())
    assert "can answer for 3 of 4 actions" in page.read_text()
    command("evaluate", clicks, *COLUMNS, "--target", "uniform", "-o", page)
    assert "Undecided: uniform may be better or worse" in page.read_text()


def test_evaluate_stands_under_logs_too(clicks: Path, command: Command) -> None:
    asked = ("evaluate", clicks, *COLUMNS, "--target", "uniform", "--json")
    assert command("logs", *asked) == command(*asked)


@pytest.mark.parametrize(
    "words", [["logs", "--help"], ["logs", "describe", "-h"], ["evaluate", "-h"]]
)
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    code = f"from bestpolicy.cli import outcome; assert outcome({words}) == 0\n"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}import sys, json; print(json.dumps(list(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(Path(evaluating.__file__).parents[2]), "PATH": ""},
    )
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert not {"numpy", "pyarrow", "scipy", "rich", "plotly", "jinja2"} & set(loaded)
