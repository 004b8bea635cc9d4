"""Every malformed log is refused with the row and the reason, and none yields a number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from logs import FORMS, GOOD, HEADED, LINED, MAP, changed

from bestpolicy.core.log import BadRow
from bestpolicy.core.nouns import BestPolicyError
from bestpolicy.offpolicy.evaluate import evaluate
from bestpolicy.offpolicy.readers import read_log, shape

NAN, INF = float("nan"), float("inf")
SAID: dict[str, Any] = MAP | {"id": "request", "context": ("age",), "time": "when"}
SAID |= {"weight": "often", "propensities": "all", "names": ("cold", "plain", "warm")}
CELLS: dict[str, tuple[str, int, Any, str]] = {  # column, row, value, what the rule says
    "a chance of nothing": ("p", 1, 0.0, "chance must be in (0, 1]"),
    "a chance below nothing": ("p", 3, -0.25, "chance must be in (0, 1]"),
    "a chance above one": ("p", 0, 1.5, "chance must be in (0, 1]"),
    "a chance that is no number": ("p", 2, NAN, "chance must be"),
    "a chance without end": ("p", 1, INF, "chance must be in (0, 1]"),
    "a chance that is not there": ("p", 2, None, "chance must be"),
    "a chance that is not the logged one": ("all", 3, [0.25, 0.5, 0.25], "the one logged for it"),
    "a reward above its bounds": ("click", 2, 2.0, "declared to be in [0, 1]"),
    "a reward below its bounds": ("click", 0, -1.0, "declared to be in [0, 1]"),
    "a reward that is no number": ("click", 3, NAN, "a reward must be a number"),
    "a reward without end": ("click", 1, -INF, "a reward must be a number"),
    "a reward that is not there": ("click", 3, None, "a reward must be a number"),
    "an action that is not there": ("prompt", 2, None, "must be named"),
    "an action that nobody knows": ("prompt", 3, "wram", "did you mean 'warm'?"),
    "a request that was logged twice": ("request", 3, "q2", "row 1 has it too"),
    "a request without an id": ("request", 1, None, "must have an id"),
    "a context that is no number": ("age", 1, NAN, "context must be"),
    "a context that is not there": ("age", 3, None, "context must be"),
    "a context without end": ("age", 2, INF, "context must be"),
    "a time that is not there": ("when", 2, None, "a time must be"),
    "a row that stands for less than itself": ("often", 1, 0.5, "stands for at least itself"),
    "a row that stands for nobody knows what": ("often", 3, NAN, "stands for at least itself"),
    "chances that do not sum to one": ("all", 2, [0.25, 0.125, 0.5], "must sum to 1"),
    "chances below nothing": ("all", 0, [-0.25, 0.75, 0.5], "must be in [0, 1]"),
    "chances of fewer actions": ("all", 3, [0.5, 0.5], "there must be 3 chances"),
    "chances that are not there": ("all", 1, None, "the chances of all actions"),
}
WORDS: dict[str, tuple[str, int, Any, str]] = {  # where a column may hold values of two kinds
    "a word for a chance": ("p", 1, "high", "must be"),
    "a word for a reward": ("click", 2, "yes", "must be"),
    "a word for a time": ("when", 3, "noon", "must be"),
    "a word for a context": ("age", 3, "old", "must be"),
    "a word for a weight": ("often", 2, "twice", "number"),
    "a word for all chances": ("all", 3, "even", "the chances of all actions"),
}


def fault(source: Any, **said: Any) -> BestPolicyError | None:
    """What is wrong with a log, or None where it yields a number."""
    try:
        evaluate(read_log(source, **said), "uniform")["ips"]
    except BestPolicyError as error:
        return error
    return None


def test_the_good_log_yields_a_number_in_every_form(tmp_path: Path) -> None:
    for write in FORMS.values():
        assert fault(write(tmp_path, GOOD), **SAID) is None


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl", "dict", "polars"])
@pytest.mark.parametrize("case", CELLS)
def test_a_bad_cell_is_refused_with_row_column_value_and_rule(
    form: str, case: str, tmp_path: Path
) -> None:
    column, row, value, rule = CELLS[case]
    error = fault(FORMS[form](tmp_path, changed(column, row, value)), **SAID)
    refused_at(error, form, column, row, rule)
    assert isinstance(error, BadRow)
    if isinstance(value, float) and value == value and column != "all":
        assert f"{value:g}" in str(error)


@pytest.mark.parametrize("form", ["csv", "jsonl", "dict", "pandas"])
@pytest.mark.parametrize("case", WORDS)
def test_a_word_where_a_number_is_meant_is_refused(form: str, case: str, tmp_path: Path) -> None:
    column, row, value, rule = WORDS[case]
    error = fault(FORMS[form](tmp_path, changed(column, row, value)), **SAID)
    refused_at(error, form, column, row, rule if form == "csv" else "must stay so")
    assert repr(value) in str(error)


def refused_at(error: Any, form: str, column: str, row: int, rule: str) -> None:
    assert isinstance(error, BadRow), error
    assert error.row == row
    assert error.column == column
    assert rule in str(error)
    assert error.line == (HEADED[form] + row if form in LINED else None)


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        ({"action": "promt"}, "no column 'promt'; did you mean 'prompt'?"),
        ({"reward": "clicks"}, "did you mean 'click'?"),
        ({"keep": ("sentence",)}, "no column 'sentence'"),
        ({"id": "request id"}, "did you mean 'request'?"),
        ({"reward": "p"}, "cannot be two of"),
        ({"reward": "request"}, "a reward must be a number"),
        ({"propensity": "request"}, "a chance must be"),
        ({"bounds": (1.0, 1.0)}, "low < high"),
        ({"bounds": (0.0, INF)}, "low < high"),
        ({"names": ("cold", "plain")}, "there must be 2 chances"),
        ({"propensities": "age"}, "the chances of all actions"),
        ({"missing": 0.0}, "is none such"),
        ({"loggers": {"old": "p"}}, "which one chose each row"),
    ],
)
def test_a_wrong_word_about_a_good_log_is_refused(
    said: dict[str, Any], rule: str, tmp_path: Path
) -> None:
    for form in ("parquet", "csv", "dict"):
        assert rule in str(fault(FORMS[form](tmp_path, GOOD), **SAID | said))


def test_a_guess_is_shown_and_not_used_unless_it_is_allowed(tmp_path: Path) -> None:
    path = FORMS["csv"](tmp_path, {name: GOOD[name] for name in ("prompt", "click", "p")})
    error = str(fault(path))
    assert "action = prompt, reward = click, propensity = p" in error
    assert "guess=True" in error
    log = read_log(path, guess=True)
    assert "columns: action = prompt, reward = click, propensity = p (guessed)" in log.notes
    assert fault(path, guess=True) is None


def test_a_silent_floor_on_chances_would_not_pass_these_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = shape.numbers

    def floored(of: Any, *rest: Any, **options: Any) -> Any:
        found = honest(of, *rest, **options)
        return found.clip(1e-6) if of.name == "p" else found

    path = FORMS["csv"](tmp_path, changed("p", 1, 0.0))
    assert isinstance(fault(path, **MAP), BadRow)
    monkeypatch.setattr(shape, "numbers", floored)
    assert fault(path, **MAP) is None
