"""Many calls at once, to a server of every temper."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from bestpolicy.core.talk import Prompt, Reply
from bestpolicy.llm import openai as room
from bestpolicy.llm.answers import Said
from llm.asking import KEY, Sleeps, opened, reasons
from llm.fake_provider import FakeProvider, mixture

MIXTURE = {
    "ok": 10.0,
    **dict.fromkeys(["429", "500", "503", "html", "broken-json", "nan", "empty", "no-choices"], 1),
    **dict.fromkeys(["null", "cut", "cut-chunks", "hang-up", "echo-error", "deep", "parts"], 1),
    **dict.fromkeys(["400", "redirect", "filter", "gzip", "not-http"], 0.3),
    **dict.fromkeys(["drip", "drip-head", "huge"], 0.05),
}


def many_calls_are_survived(calls: int, seed: int = 1) -> None:
    """1,000 calls from 16 threads to a server of every temper."""
    sleeps = Sleeps()
    # Every wait is of another length, so that each can be found again.
    waits: Callable[[int], dict[str, str]] = lambda n: {"retry-after-ms": f"{9000 + n}"}  # noqa: E731
    prompts = [Prompt(f"call {i}", seed=i) for i in range(calls)]
    with (
        FakeProvider() as other,
        FakeProvider(
            mixture(seed, MIXTURE), elsewhere=other.url, retry_after=waits, piece_s=0.05
        ) as server,
        opened(server, sleeps=sleeps, timeout_s=1.0) as model,
        ThreadPoolExecutor(16) as threads,
    ):
        results = [
            done[0] for done in threads.map(lambda prompt: model.complete([prompt]), prompts)
        ]
        assert not other.requests
    asked: Counter[float] = Counter()
    for prompt, result in zip(prompts, results, strict=True):
        seen = server.seen(prompt.text)
        # A crowded machine may let a try end before the server has taken note of it.
        assert len(seen) <= len(result.failures) + isinstance(result, Reply) <= 5
        assert all(result.failures)
        assert KEY not in reasons(result)
        if isinstance(result, Reply):
            assert result.text in server.answers
        heard = [reason for reason in result.failures[:4] if reason.startswith("HTTP 429")]
        asked.update([request.asked_s for request in seen if request.asked_s][: len(heard)])
    texts = [result.text for result in results if isinstance(result, Reply)]
    assert len(set(texts)) == len(texts) > calls / 3
    assert asked
    assert not asked - Counter(sleeps.slept)
    tries = sum(len(result.failures) + isinstance(result, Reply) for result in results)
    assert len(sleeps.slept) == tries - calls


def test_many_calls_to_a_server_of_every_temper_are_survived() -> None:
    many_calls_are_survived(120)


@pytest.mark.slow
def test_a_thousand_calls_to_a_server_of_every_temper_are_survived() -> None:
    many_calls_are_survived(1000)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("read", lambda body: Said("", None)),
        ("pause", lambda prompt, n, fault: 0.0),
        ("asked", lambda headers, today: None),
    ],
)
def test_calls_that_believe_or_disobey_are_caught(
    name: str, wrong: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, name, wrong)
    with pytest.raises(AssertionError):
        many_calls_are_survived(60)
