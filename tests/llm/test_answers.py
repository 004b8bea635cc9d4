"""Reading what a server says: any bytes at all are an answer in good order, or a fault."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bestpolicy.core.talk import Prompt
from bestpolicy.llm import answers
from bestpolicy.llm.answers import Said, chosen, complaint, plain, read
from bestpolicy.llm.retries import Fault, Pace, asked, pause, refusal

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
NAMES = st.sampled_from(
    ["choices", "message", "content", "refusal", "finish_reason", "usage", "error", "detail"]
) | st.sampled_from(["prompt_tokens", "completion_tokens", "code", "answer"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
BODIES = st.binary(max_size=60) | VALUES.map(lambda value: json.dumps(value).encode())
SHAPED = st.fixed_dictionaries(
    {
        "choices": st.lists(
            st.fixed_dictionaries(
                {"message": st.fixed_dictionaries({"content": SCALARS}), "finish_reason": SCALARS}
            ),
            max_size=2,
        ),
        "usage": VALUES,
    }
).map(lambda value: json.dumps(value).encode())


def any_body_is_an_answer_or_a_fault(body: bytes) -> None:
    said, fault = None, None
    try:
        said = read(body)
    except Fault as found:
        fault = found
    if said is None:
        assert fault is not None
        assert fault.charged
        assert 0 < len(plain(fault.reason, None)) <= 300
        return
    whole = json.loads(body)
    assert said.text == whole["choices"][0]["message"]["content"]
    assert said.text.strip()
    said.text.encode()
    assert said.tokens is None or all(count >= 0 for count in said.tokens)


@settings(max_examples=100, deadline=None)
@given(BODIES | SHAPED)
def test_any_body_is_an_answer_or_a_fault(body: bytes) -> None:
    any_body_is_an_answer_or_a_fault(body)


def test_a_reader_that_takes_whatever_python_takes_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(answers, "strict", json.loads)
    with pytest.raises(ValueError):
        any_body_is_an_answer_or_a_fault(b"<html>")


@settings(max_examples=100, deadline=None)
@given(st.text() | VALUES.map(json.dumps))
def test_any_text_is_a_choice_or_a_fault(text: str) -> None:
    try:
        assert chosen(Said(text, None), ("a", "b")).text in ("a", "b")
    except Fault:
        assert text.strip() not in ("a", "b")


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms"]), st.text() | VALUES))
def test_no_wait_is_longer_than_a_minute_whatever_is_asked(headers: dict[str, Any]) -> None:
    seconds = asked({name: str(value) for name, value in headers.items()}, today=1e9)
    assert seconds is None or 0 < seconds <= 60


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("Sun, 09 Sep 2001 01:46:50 GMT", 10.0),
        ("Sun, 09 Sep 2001 01:46:50 -0000", 10.0),
        ("Sun, 09 Sep 2001 01:46:30 GMT", None),
        ("Sun, 09 Sep 9999 01:46:30 GMT", 60.0),
        ("0", None),
        ("-5", None),
        ("nan", None),
        ("inf", None),
        ("0.25", 0.25),
        ("soon", None),
    ],
)
def test_a_wait_is_seconds_or_a_date(said: str, seconds: float | None) -> None:
    assert asked({"retry-after": said}, today=1e9) == seconds


def test_pauses_grow_and_are_the_same_for_the_same_prompt() -> None:
    fault = Fault("x")
    pauses = [pause(Prompt("a", seed=1), n, fault) for n in range(9)]
    assert pauses == [pause(Prompt("a", seed=1), n, fault) for n in range(9)]
    for n, seconds in enumerate(pauses):
        most = min(8.0, 0.5 * 2**n)
        assert most / 2 <= seconds <= most
    assert len({pause(Prompt(f"{i}"), 0, fault) for i in range(50)}) == 50


def test_turns_are_even_whoever_comes_when() -> None:
    now = 100.0
    pace = Pace(60, lambda: now)
    assert [pace.turn() for _ in range(3)] == [0.0, 1.0, 2.0]
    now = 102.5
    assert pace.turn() == 0.5
    now = 200.0
    assert [pace.turn() for _ in range(2)] == [0.0, 1.0]
    assert [Pace(None, lambda: now).turn() for _ in range(3)] == [0.0] * 3


@pytest.mark.parametrize("status", [*range(300, 420), *range(500, 520), 599, 999])
def test_no_refusal_is_charged_and_what_is_lost_is_not_tried_again(status: int) -> None:
    fault = refusal(status, "the model", code="", after=None, key="it")
    assert not fault.charged
    assert fault.reason.startswith(f"HTTP {status}")
    assert fault.again == (status in (408, 409) or status >= 500)
    assert fault.fatal == (status in (401, 403, 404))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"error": {"message": "m"}}, "m"),
        ({"error": "m"}, "m"),
        ({"detail": [{"msg": "m"}]}, '[{"msg": "m"}]'),
        ({"message": "m"}, "m"),
        ({"object": "error", "message": "m"}, "m"),
        ([], ""),
        (None, ""),
        ("m", ""),
    ],
)
def test_servers_put_their_complaints_in_many_places(body: Any, says: str) -> None:
    assert complaint(body) == says
