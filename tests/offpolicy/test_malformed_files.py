"""Files that are cut off, damaged or wrongly written are refused; where a row is at fault, with its
line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from logs import FORMS, GOOD, MAP
from test_malformed_logs import fault

from bestpolicy.core.log import BadRow
from bestpolicy.offpolicy.readers import read_log

HEAD = "prompt,click,p\n"
LINES: dict[str, tuple[str, str, int, int, str]] = {  # file name, text, row, line, rule
    "a line cut off": ("a.csv", HEAD + "a,1,.5\na,0", 1, 3, "has 3 fields"),
    "a line with too much": ("a.csv", HEAD + "a,1,.5\n\na,0,.5,9\nb,1,1\n", 1, 4, "has 3 fields"),
    "a decimal comma": ("a.csv", HEAD + "a,1,.5\na,0,0,5\n", 1, 3, "has 3 fields"),
    "a decimal comma in quotes": ("a.csv", HEAD + 'a,1,.5\na,0,"0,5"\n', 1, 3, "a chance must"),
    "a line broken in a cell": ("a.csv", HEAD + '"a\nb",1,.5\na,no,.5\n', 1, 4, "a reward must"),
    "a chance in per cent": ("a.csv", HEAD + "a,1,.5\nb,1,50%\n", 1, 3, "a chance must"),
    "a space too much": ("a.csv", HEAD + "a,1, .5\n", 0, 2, "a chance must"),
    "an empty cell": ("a.csv", HEAD + "a,1,.5\na,,.5\n", 1, 3, "a reward must"),
    "NA": ("a.csv", HEAD + "a,1,.5\na,NA,.5\n", 1, 3, "a reward must"),
    "tabs": ("a.tsv", "prompt\tclick\tp\na\t1\t.5\na\t0\t0\n", 1, 3, "(0, 1]"),
    "json cut off": ("a.jsonl", '{"prompt":"a","click":1,"p":.5}\n', 0, 1, "JSON object"),
    "json without an end": (
        *("a.jsonl", '{"prompt":"a","click":1,"p":0.5}\n{"prompt":"a","cli', 1, 2),
        "JSON object",
    ),
    "a list for a row": ("a.jsonl", '{"prompt":"a","click":1,"p":1}\n[1]\n', 1, 2, "JSON object"),
    "json NaN": ("a.jsonl", '{"prompt":"a","click":NaN,"p":1}\n', 0, 1, "a reward must"),
    "json of another kind": (
        *("a.jsonl", '{"prompt":"a","click":1,"p":1}\n\n{"prompt":"a","click":"1","p":1}\n', 1, 3),
        "must stay so",
    ),
    "json numbers as texts": ("a.jsonl", '{"prompt":"a","click":1,"p":"0.5"}\n', 0, 1, "a chance"),
    "a key left out": (
        *("a.jsonl", '{"prompt":"a","click":1,"p":1}\n{"prompt":"b","p":1}\n', 1, 2),
        "a reward must",
    ),
    "a mapping for an action": (
        *("a.jsonl", '{"prompt":{"id":3},"click":1,"p":1}\n', 0, 1),
        "an action must",
    ),
    "cb without a bar": ("a.vw", "1:-1:.5 | x\n1:0:.5\n", 1, 2, "a | before"),
    "cb action 0": ("a.vw", "1:-1:.5 | x\n0:0:.5 | x\n", 1, 2, "numbered from 1"),
    "cb without a chance": ("a.vw", "1:-1:.5 | x\n\n2:0 | x\n", 1, 3, "action:cost:chance"),
    "cb with a word": ("a.vw", "1:-1:.5 | x\n2:free:.5 | x\n", 1, 2, "action:cost:chance"),
    "cb with two labels": ("a.vw", "1:-1:.5 2:0:.5 | x\n", 0, 1, "one action alone"),
    "cb chance of nothing": ("a.vw", "1:-1:.5 | x\n2:-1:0 | x\n", 1, 2, "(0, 1]"),
    "cb chance above one": ("a.vw", "1:-1:1.5 | x\n2:-1:1 | x\n", 0, 1, "(0, 1]"),
    "cb chance that is no number": ("a.vw", "1:-1:nan | x\n", 0, 1, "(0, 1]"),
    "cb cost that is a loss": ("a.vw", "1:-1:.5 | x\n| x\n1:1:.5 | x\n", 2, 3, "declared"),
    "adf with two labels": ("a.txt", "shared | u\n0:-1:.5 | a\n0:0:.5 | b\n", 0, 3, "one action"),
    "adf without actions": ("a.txt", "shared | u\n0:-1:.5 | a\n\nshared | u\n", 1, 4, "each act"),
    "adf chance of nothing": (
        *("a.txt", "shared | u\n0:-1:1 | a\n\nshared | u\n| a\n0:-1:0 | b\n", 1, 6),
        "(0, 1]",
    ),
    "adf with a word": ("a.txt", "shared | u\n0:-1:high | a\n", 0, 2, "action:cost:chance"),
}
EVENT: dict[str, Any] = {
    "_label_cost": -1.0,
    "_label_probability": 0.75,
    "_label_Action": 2,
    "_labelIndex": 1,
    "EventId": "e1",
    "a": [2, 1],
    "p": [0.75, 0.25],
    "c": {"x": 1},
}
EVENTS: dict[str, tuple[dict[str, Any], str, str]] = {  # what is said instead, column, rule
    "no sum of one": ({"p": [0.75, 0.5]}, "p", "sum to 1"),
    "another chance": ({"_label_probability": 0.25}, "p", "the one logged for it"),
    "no chance": ({"_label_probability": None}, "_label_probability", "a number is meant"),
    "a chance too few": ({"p": [1.0]}, "p", "a chance for each action"),
    "a chance below nothing": ({"p": [1.25, -0.25]}, "p", "in [0, 1]"),
    "a word for a chance": ({"p": ["high", 0.25]}, "p", "a number is meant"),
    "an action twice": ({"a": [2, 2]}, "a", "each once"),
    "actions from 0": ({"a": [1, 0]}, "a", "numbered from 1"),
    "no actions": ({"a": None}, "a", "must be there"),
    "an action that is not there": ({"_label_Action": 3}, "_label_Action", "one of those in 'a'"),
    "another index": ({"_labelIndex": 2}, "_labelIndex", "counts from 0"),
    "all dropped": ({"pdrop": 1.0}, "pdrop", "[0, 1)"),
    "less than nothing dropped": ({"pdrop": -0.5}, "pdrop", "0 or more"),
    "a word for a cost": ({"_label_cost": "dear"}, "_label_cost", "a number is meant"),
    "a loss": ({"_label_cost": 1.0}, "-_label_cost", "declared to be in"),
    "an event twice": ({"EventId": "e1"}, "EventId", "row 0 has it too"),
    "an event without id": ({"EventId": None}, "EventId", "must have an id"),
}


@pytest.mark.parametrize("case", LINES)
def test_a_bad_line_is_refused_with_its_number_and_the_rule(case: str, tmp_path: Path) -> None:
    name, text, row, line, rule = LINES[case]
    (path := tmp_path / name).write_text(text)
    mapped = {} if name in ("a.vw", "a.txt") else MAP
    error = fault(path, **mapped)
    assert isinstance(error, BadRow), error
    assert (error.row, error.line) == (row, line)
    assert rule in str(error)


@pytest.mark.parametrize("case", EVENTS)
def test_a_bad_event_is_refused_with_its_line_and_the_rule(case: str, tmp_path: Path) -> None:
    other, column, rule = EVENTS[case]
    events = [EVENT, {"RewardValue": 1}, EVENT | {"EventId": "e2"} | other]
    (path := tmp_path / "log.dsjson").write_text("".join(json.dumps(e) + "\n" for e in events))
    error = fault(path)
    assert isinstance(error, BadRow), error
    assert (error.row, error.line, error.column) == (2, 3, column)
    assert rule in str(error)


def test_text_that_is_no_utf8_is_refused_with_its_line(tmp_path: Path) -> None:
    for name, text in (
        ("a.csv", "prompt,click,p\nwarm,1,.5\nwärm,1,.5\n"),
        ("a.jsonl", '{"prompt":"warm","click":1,"p":1}\n{"prompt":"wärm","click":1,"p":1}\n'),
        ("a.vw", "1:0:.5 | warm\n1:0:.5 | wärm\n"),
    ):
        (path := tmp_path / name).write_bytes(text.encode("latin-1"))
        error = fault(path, **({} if name == "a.vw" else MAP))
        assert isinstance(error, BadRow), error
        assert error.row == 1
        assert "UTF-8" in str(error)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    whole = FORMS["parquet"](tmp_path, GOOD).read_bytes()
    feather = FORMS["arrow"](tmp_path, GOOD).read_bytes()
    zipped = gzip.compress(FORMS["csv"](tmp_path, GOOD).read_bytes())
    for name, data in {
        "cut.parquet": whole[: len(whole) // 2],
        "head.parquet": whole[:8],
        "words.parquet": b"prompt,click,p\na,1,.5\n",
        "torn.parquet": whole[:40] + bytes(60) + whole[100:],
        "cut.arrow": feather[: len(feather) // 2],
        "words.arrow": b"prompt,click,p\na,1,.5\n",
        "cut.csv.gz": zipped[: len(zipped) // 2],
        "words.csv.gz": b"prompt,click,p\na,1,.5\n",
        "empty.csv": b"",
        "blank.csv": b"\n\n",
        "names.csv": b"prompt,click,p\n",
        "twice.csv": b"prompt,click,p,p\na,1,.5,.5\n",
        "empty.jsonl": b"\n",
        "array.json": b'[{"prompt":"a","click":1,"p":1}]\n',
        "zeros.csv": bytes(500),
        "noise.parquet": b"PAR1" + bytes(range(256)) + b"PAR1",
    }.items():
        (path := tmp_path / name).write_bytes(data)
        assert fault(path, **MAP) is not None, name


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    (tmp_path / "unlabelled.vw").write_text("| x\n| y\n")
    for source, said, rule in (
        (tmp_path / "gone.csv", MAP, "is not there"),
        (tmp_path, MAP, "is a folder"),
        (FORMS["csv"](tmp_path, GOOD), MAP | {"format": "cvs"}, "did you mean 'csv'?"),
        (FORMS["csv"](tmp_path, GOOD), MAP | {"format": "parquet"}, "cannot be read"),
        (FORMS["csv"](tmp_path, GOOD), {"format": "open-bandit"}, "it lacks"),
        (FORMS["csv"](tmp_path, GOOD), {"format": "bestpolicy"}, "it lacks"),
        (tmp_path / "unlabelled.vw", {}, "2 lines without a label"),
        (7, {}, "saw int"),
        ([1, 2], {}, "saw list"),
        ({"prompt": [], "click": [], "p": []}, MAP, "no rows"),
        ({"prompt": ["a"], "click": [1, 0], "p": [1.0]}, MAP, "has 2 rows where"),
        ({"prompt": np.zeros((2, 2, 2)), "click": [1, 0], "p": [1.0, 1.0]}, MAP, "3 dimensions"),
        (pa.table({"prompt": ["a"], "click": [{"x": 1}], "p": [1.0]}), MAP, "a reward must be"),
        (pa.table({"prompt": [1.5], "click": [1], "p": [1.0]}), MAP, "a whole number or a name"),
        (pa.table({"prompt": [b"\xff"], "click": [1], "p": [1.0]}), MAP, "UTF-8"),
    ):
        assert rule in str(fault(source, **said))


def test_a_file_that_changes_under_its_reader_is_not_read_on(tmp_path: Path) -> None:
    log = read_log(path := FORMS["csv"](tmp_path, GOOD), **MAP)
    path.write_text(path.read_text() + "\n")
    with pytest.raises(Exception, match="has changed since"):
        next(iter(log.chunks()))


FEEDBACK = {
    "n_rounds": 2,
    "n_actions": 2,
    "action": np.array([0, 1]),
    "reward": np.array([1, 0]),
    "pscore": np.array([0.5, 0.25]),
    "context": np.eye(2),
    "position": None,
}


@pytest.mark.parametrize(
    ("other", "rule"),
    [
        ({"pscore": np.array([0.5, 0.0])}, "row 1 (counted from 0), column 'pscore': 0"),
        ({"pscore": None}, "no 'pscore'"),
        ({"reward": np.array([1.0, 1.5])}, "row 1 (counted from 0), column 'reward': 1.5"),
        ({"action": np.array([0, 2])}, "row 1 (counted from 0), column 'action'"),
        ({"action": np.array([0.5, 1])}, "row 0 (counted from 0), column 'action'"),
        ({"context": np.array([[1.0], [np.nan]])}, "row 1 (counted from 0), column 'context'"),
        ({"pi_b": np.full((2, 2, 1), 0.5)}, "row 1 (counted from 0), column 'pi_b': 0.5"),
        ({"pi_b": np.full((2, 2, 3), 0.5)}, "3 positions"),
        ({"pi_b": np.full((3, 2, 1), 0.5)}, "(n, A, len)"),
        ({"reward": np.array(["yes", "no"])}, "must be numbers"),
        ({"reward": np.array([1.0])}, "has 1 rows"),
        ({"position": np.array([0.5, 1.0])}, "position must be"),
        ({"n_actions": 1}, "in 0 … 0"),
    ],
)
def test_a_wrong_feedback_dict_is_refused(other: dict[str, Any], rule: str) -> None:
    assert fault(FEEDBACK) is None
    assert rule in str(fault(FEEDBACK | other))
