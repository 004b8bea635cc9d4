"""F2: hostile values are refused or stored exactly, and none reaches an estimate.

BESTPOLICY_VALUES=10000 python -m pytest tests/serve/test_hostile.py
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count
from math import isfinite
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bestpolicy.serve import bodies
from bestpolicy.serve.app import make_app
from bestpolicy.serve.house import House
from serve.serving import Answer, call, housed, write

VALUES = int(os.environ.get("BESTPOLICY_VALUES", "150"))
ENTRIES = {  # "\x01" is where the value goes
    "unit": ("POST", "/v1/assign", {"unit": "\x01"}),
    "context": ("POST", "/v1/assign", {"unit": "u", "context": {"x": "\x01"}}),
    "reward": ("POST", "/v1/feedback", {"token": "t", "key": "k", "reward": "\x01"}),
    "key": ("POST", "/v1/feedback", {"token": "t", "key": "\x01", "reward": 1}),
    "token": ("POST", "/v1/feedback", {"token": "\x01", "key": "k", "reward": 1}),
    "forget": ("DELETE", "/v1/unit", {"unit": "\x01"}),
    "message": (
        "POST",
        "/v1/chat/completions",
        {"model": "study/study", "messages": [{"role": "user", "content": "\x01"}]},
    ),
    "most": (
        "POST",
        "/v1/chat/completions",
        {
            "model": "study/study",
            "messages": [{"role": "user", "content": "hi"}],
            "max_tokens": "\x01",
        },
    ),
    "anything": ("POST", "/v1/assign", "\x01"),
}
ODD = (
    "NaN", "Infinity", "-Infinity", "-0", "-0.0", "0", "1", "1e308", "-1e308", "1e999", "5e-324",
    "0.1", "1e-400", "9" * 30, "9" * 5000, "9223372036854775807", "9223372036854775808", '""',
    '"\\ud800"', '"\\udc00\\ud800"', '"\\ud83d\\ude00"', '"\\u0000"', '"a\\u0000b"', '"\\u202e"',
    "true", "null", "[]", "{}", "[" * 40 + "]" * 40, "[" * 5000, '{"a":1,"a":2}', '{"":{"":""}}',
    "nan", "'x'",
    '"' + "x" * 5000 + '"', '"' + "é" * 300 + '"', "\ufeff1", "1 2", "/**/1", "+1", "01",
    "1.", ".5", "\x0b1",
    '{"__proto__": {"x": 1}}', '{"__class__": "x"}', '"=cmd|\' /C calc\'!A0"', '"\\u001b[2J"',
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
).map(json.dumps)


def python_takes(text: str) -> Any:
    """Python's own reading, or nothing."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


@contextmanager
def asked(folder: Path) -> Iterator[tuple[House, Callable[..., Answer]]]:
    """A study that keeps contexts, and how to ask it, over and over."""
    with housed(write(folder, judge={"live": {"log_context": True}})) as house:
        app: FastAPI = make_app(house)
        house_ = house
        with asyncio.Runner() as runner:
            runner.run(house_.traffic.__aenter__())
            yield house, lambda *request: runner.run(call(app, *request))
            runner.run(house_.traffic.__aexit__())


def holds(folder: Path, entry: str, values: int) -> None:
    """Send values to one place of one body. Nothing is a 5xx, what is taken is kept to the bit, and
    every number of the study stays finite."""
    method, path, body = ENTRIES[entry]
    sent: dict[str, Any] = {}
    numbers = count()
    with asked(folder) as (house, ask):
        token = ask("POST", "/v1/assign", {"unit": "somebody"}).json["token"]

        @settings(
            max_examples=values,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(value=st.sampled_from(ODD) | JSON)
        def send(value: str) -> None:
            # What is ours first: a value may hold the same words.
            text = json.dumps(body).replace('"t"', json.dumps(token))
            if entry == "context":
                text = text.replace('"u"', f'"unit {next(numbers)}"')
            text = text.replace('"\\u0001"', value, 1)
            answer = ask(method, path, text.encode("utf-8", "surrogatepass"))
            assert answer.status < 500, (value[:80], answer.text)
            assert answer.json is not None
            if answer.status != 200:
                assert answer.status in (400, 401, 404, 409, 410, 413, 422), answer.text
            elif entry == "context":
                sent[json.dumps(json.loads(value), sort_keys=True)] = value

        for value in ODD:
            send.hypothesis.inner_test(value)  # type: ignore[attr-defined]
        send()
        stand = house.traffic.stand()
        assert all(isfinite(s.mean.value) and 0 <= s.mean.value <= 1 for s in stand.shares)
    if entry == "context":
        with closing(sqlite3.connect(folder / "study.db")) as db:
            rows = [json.loads(row[0])["x"] for row in db.execute(CONTEXTS) if row[0]]
        assert len(sent) > 20
        assert {json.dumps(row, sort_keys=True) for row in rows} == set(sent)


CONTEXTS = "SELECT context FROM assigned"


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_hostile_value_is_refused_or_kept_to_the_bit(entry: str, tmp_path: Path) -> None:
    holds(tmp_path, entry, VALUES)


def test_pythons_own_reader_of_json_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pydantic import BaseModel

    from bestpolicy.serve import assign

    monkeypatch.setattr(bodies, "value", json.loads)
    monkeypatch.setattr(assign, "_check_json", lambda context: None)
    monkeypatch.setattr(
        BaseModel,
        "model_validate_json",
        classmethod(lambda cls, body: cls.model_validate(json.loads(body))),
    )
    with pytest.raises(AssertionError):
        holds(tmp_path, "context", 50)


@pytest.mark.parametrize("entry", ["unit", "context", "message"])
def test_ten_megabytes_are_refused_before_they_are_read(entry: str, tmp_path: Path) -> None:
    method, path, body = ENTRIES[entry]
    text = json.dumps(body).replace('"\\u0001"', f'"{"x" * 10_000_000}"')
    with asked(tmp_path) as (_, ask):
        assert ask(method, path, text.encode()).status == 413
