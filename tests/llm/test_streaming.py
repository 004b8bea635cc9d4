"""Streams: an answer comes while it is written, and a broken one is never taken for a whole one."""

from __future__ import annotations

from typing import Any

import pytest

from bestpolicy.core.talk import Failed, Prompt, Reply, Streaming
from bestpolicy.llm import openai as room
from bestpolicy.llm.answers import Veil, without
from llm.asking import KEY, opened
from llm.fake_provider import FakeProvider


def streamed(server: FakeProvider, **options: Any) -> tuple[list[str], Reply | Failed]:
    """The pieces, and how it ended."""
    with opened(server, **options) as model:
        assert isinstance(model, Streaming)
        *pieces, end = model.stream(Prompt("hello", before=(("assistant", "hi"),)))
    assert isinstance(end, Reply | Failed)
    return [str(piece) for piece in pieces], end


def say(text: str) -> Any:
    return lambda body, nonce: text


def test_the_pieces_make_up_the_reply_and_its_tokens_are_counted() -> None:
    with FakeProvider("ok", answer=say("one two  three\nfour")) as server:
        pieces, end = streamed(server)
        (seen,) = server.requests
    assert pieces == ["one ", "two  ", "three\n", "four"]
    assert isinstance(end, Reply)
    assert end.text == "one two  three\nfour"
    assert (end.tokens_in, end.tokens_out) == (7, 5)
    assert end.usd == pytest.approx((7 * 1.0 + 5 * 10.0) / 1e6)
    assert [turn["role"] for turn in seen.body["messages"]] == ["assistant", "user"]
    assert seen.headers["accept"] == "text/event-stream"


@pytest.mark.parametrize(
    ("mode", "reason", "pieces"),
    [
        ("cut", "cut off", 2),
        ("error-200", "upstream is gone", 1),
        ("empty", "empty", 0),
        ("length", "raise max_tokens", 0),
        ("surrogate", "half a character", 0),
        ("refusal", "I cannot", 0),
        ("500", "HTTP 500", 0),
        ("wrong-key", "was refused", 0),
        ("html", "HTML", 0),
        ("hang-up", "cut off", 0),
    ],
)
def test_what_breaks_is_a_failure_and_no_answer(mode: str, reason: str, pieces: int) -> None:
    with FakeProvider(mode) as server:
        said, end = streamed(server)
    assert isinstance(end, Failed)
    assert reason in end.reason
    assert len(said) == pieces
    # Another try after the first piece would say the beginning twice.
    assert not (pieces and len(server.requests) > 1)


def test_a_try_that_failed_before_the_first_piece_is_tried_again() -> None:
    with FakeProvider(["503", "429", "ok"], answer=say("fine")) as server:
        pieces, end = streamed(server)
    assert pieces == ["fine"]
    assert isinstance(end, Reply)
    assert len(end.failures) == 2


def test_a_server_that_does_not_stream_is_heard_out() -> None:
    with FakeProvider("cookie", answer=say("all at once")) as server:
        pieces, end = streamed(server)
    assert pieces == ["all at once"]
    assert isinstance(end, Reply)


def test_a_server_that_counts_no_streams_is_asked_without_and_paid_at_the_worst() -> None:
    with FakeProvider("no-form", answer=say("fine")) as server, opened(server) as model:
        *_, end = model.stream(Prompt("hello", max_tokens=10))
        assert isinstance(end, Reply)
        assert end.failures[0].endswith("(left out then)")
        list(model.stream(Prompt("hello")))
        assert ["stream_options" in seen.body for seen in server.requests] == [True, False, False]
    with FakeProvider("no-usage") as server, opened(server) as model:
        *_, end = model.stream(Prompt("hello", max_tokens=10))
        assert isinstance(end, Reply)
        assert end.usd == model.most_usd(Prompt("hello", max_tokens=10))


def test_a_slow_stream_ends_in_time() -> None:
    with FakeProvider("drip") as server:
        _, end = streamed(server, timeout_s=0.3)
    assert isinstance(end, Failed)
    assert end.reason == "no whole answer within 0.3 s"


def no_key_comes_out() -> None:
    with FakeProvider("echo-answer") as server:
        pieces, end = streamed(server)
    assert isinstance(end, Reply)
    assert KEY not in end.text
    assert end.text == "your key: [key]!"
    assert "".join(pieces) == end.text


def test_a_key_that_comes_letter_by_letter_does_not_come_out() -> None:
    no_key_comes_out()


def test_a_key_that_comes_out_letter_by_letter_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    class Piecewise(Veil):
        def over(self, piece: str) -> str:
            return without(KEY, piece)

    monkeypatch.setattr(room, "Veil", Piecewise)
    with pytest.raises(AssertionError):
        no_key_comes_out()


def test_a_veil_shows_all_that_is_no_key() -> None:
    for text in ("sk-canary", "sk-canary-0123456789abcde", "a sk-", "", KEY + KEY, KEY[:5] + KEY):
        veil = Veil(KEY)
        shown = "".join([*map(veil.over, text), veil.rest()])
        assert shown == without(KEY, text)
