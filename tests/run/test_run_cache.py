"""What is asked twice is paid once, where nothing is drawn and only there."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Lock, current_thread
from typing import Any

import pytest

from bestpolicy.core.talk import Failed, Prompt, Reply
from bestpolicy.run.desk import Desk, PlayError, Wanted, Work
from bestpolicy.store import SqliteStore
from bestpolicy.store.calls import Ask
from llm.fake_provider import FakeProvider
from run.playing import MODEL, named, play, policy, told, write

DRAWS_SHARED = """\
from bestpolicy.core.talk import Prompt
Prompt.drawn = property(lambda self: False)
"""
NAME_ONLY = """\
from bestpolicy.llm.named import Named
Named.__str__ = lambda self: self.name
"""


def asked(folder: Path, temperature: float | None, twin: str = "") -> Counter[str]:
    """How often the server saw each prompt, in a study that meets inputs again and again."""
    more = {} if temperature is None else {"temperature": temperature}
    with FakeProvider(answer=named) as server:
        path = write(
            folder,
            server,
            inputs=[f"question {i}" for i in range(6)],
            policies=[policy(name, server, **more) for name in "abc"],
            decide={"confidence": 1 - 1e-6, "reuse_inputs": True},
            budget={"comparisons": 60},
            workers=6,
        )
        done = play(path, twin=twin)
        assert done.code in (0, 3), done.err
        assert all(answered for answered, *_ in told(path))
        return Counter(seen.prompt for seen in server.requests)


@pytest.mark.slow
def test_an_answer_that_is_not_drawn_is_asked_for_once_and_a_drawn_one_every_time(
    tmp_path: Path,
) -> None:
    seen = asked(tmp_path, 0.0)
    assert len(seen) > 12
    assert set(seen.values()) == {1}
    for name, temperature in (("warm", 0.7), ("unset", None)):
        (tmp_path / name).mkdir()
        assert asked(tmp_path / name, temperature).total() >= 100


@pytest.mark.slow
def test_draws_that_are_shared_are_caught(tmp_path: Path) -> None:
    assert asked(tmp_path, 0.7, DRAWS_SHARED).total() <= 18


def two_servers(folder: Path, twin: str = "") -> tuple[int, int]:
    def from_(name: str) -> Callable[[Any, str], str]:
        return lambda body, nonce: f"{name} {nonce}"

    with FakeProvider(answer=from_("a")) as one, FakeProvider(answer=from_("b")) as two:
        policies = [
            {"id": name, "model": MODEL, "base_url": server.url, "prompt": "same: {{input}}"}
            | {"temperature": 0}
            for name, server in (("a", one), ("b", two))
        ]
        path = write(folder, one, policies=policies, workers=4, budget={"comparisons": 40})
        done = play(path, twin=twin)
        assert done.code in (0, 3), done.err
        for _, left, right in told(path):
            assert left is not None
            assert right is not None
            assert {left[0], right[0]} == {"a", "b"}
        return len(one.requests), len(two.requests)


@pytest.mark.slow
def test_servers_with_the_same_model_name_share_no_answers(tmp_path: Path) -> None:
    one, two = two_servers(tmp_path)
    assert one == two > 0


@pytest.mark.slow
def test_models_told_apart_by_name_alone_are_caught(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        two_servers(tmp_path, NAME_ONLY)


class Counted:
    """A model that answers at once, and counts."""

    name = "counted"

    def __init__(self, text: str = "fine") -> None:
        self.asked: Counter[str] = Counter()
        self.text = text
        self._lock = Lock()

    def complete(self, prompts: Sequence[Prompt]) -> list[Reply | Failed]:
        with self._lock:
            self.asked.update(prompt.text for prompt in prompts)
        return [Reply(self.text) for _ in prompts]

    def most_usd(self, prompt: Prompt) -> float | None:
        return 0.0

    def close(self) -> None:
        pass


class Dawdles(Desk):
    """Every other thread takes a moment before it stands in line."""

    def _claim(self, wanted: Sequence[Wanted | Work]) -> Any:
        if current_thread().name.endswith(("1", "3", "5")):
            time.sleep(0.01)
        return super()._claim(wanted)


class LooksFirst(Dawdles):
    """Looks whether an answer is known, and only then stands in line for it."""

    def answers(self, wanted: Sequence[Wanted | Work]) -> tuple[list[Reply | Failed], float]:
        if known := self._calls.find([want.ask.key for want in wanted]):
            return list(known.values()), 0.0
        mine, theirs = self._claim(wanted)
        ends = self._made(mine) if mine else {}
        self._release(mine, ends, None)
        return [*ends.values(), *(future.result() for future in theirs.values())], 0.0


def crowded(folder: Path, kind: type[Desk]) -> int:
    """The most that one question was asked when many want it at the same moment."""
    store = SqliteStore(str(folder / "x.db"), "study", {})
    desk, model, workers = kind(store.calls(), None), Counted(), 12
    barrier = Barrier(workers)

    def want(_: int) -> None:
        for number in range(10):
            barrier.wait()
            key = f"question {number}"
            (end,), _usd = desk.answers([Wanted(Ask(key, 0, "policy", "a"), model, Prompt(key))])
            assert end == Reply("fine")

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(want, range(workers)))
    desk.close()
    store.close()
    return max(model.asked.values())


def test_a_question_that_many_ask_at_once_is_paid_once(tmp_path: Path) -> None:
    assert crowded(tmp_path, Dawdles) == 1


def test_a_desk_that_looks_before_it_stands_in_line_is_caught(tmp_path: Path) -> None:
    assert crowded(tmp_path, LooksFirst) > 1


def test_half_a_character_is_kept_as_a_question_mark_whoever_wrote_it(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "x.db"), "study", {})
    desk, calls = Desk(store.calls(), None), store.calls()
    model = Counted("half \ud83d here")
    by_function = Work(Ask("f", 0, "policy", "f"), lambda: "half \ud83d here")
    by_model = Wanted(Ask("m", 0, "policy", "m"), model, Prompt("x"))
    ends, _ = desk.answers([by_function, by_model])
    assert [end.text for end in ends if isinstance(end, Reply)] == ["half ? here"] * 2
    assert {key: reply.text for key, reply in calls.find(["f", "m"]).items()} == {
        "f": "half ? here",
        "m": "half ? here",
    }
    desk.close()
    store.close()


def test_one_that_raises_takes_nothing_from_those_asked_with_it(tmp_path: Path) -> None:
    def raises() -> str:
        raise PlayError("no")

    store = SqliteStore(str(tmp_path / "x.db"), "study", {})
    desk = Desk(store.calls(), None)
    paid = Wanted(Ask("paid", 0, "policy", "m", 0.01), Counted(), Prompt("x"))
    with pytest.raises(PlayError):
        desk.answers([Work(Ask("free", 0, "policy", "f"), raises), paid])
    assert store.calls().find(["paid"])["paid"].text == "fine"
    assert store.calls().spent() == 0.0
    desk.close()
    store.close()
