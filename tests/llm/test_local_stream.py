"""A local model says its answer while it writes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the extra [local] is not installed")

from bestpolicy.core.talk import Failed, Prompt, Reply
from bestpolicy.llm import local
from bestpolicy.llm.local import LocalModel, local_model
from llm import tiny_model


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalModel]:
    monkeypatch.setattr(local, "GLANCE", 0.001)
    made = local_model(f"local/{tiny_model.write(tmp_path / 'tiny')}")
    yield made
    made.close()


def test_the_pieces_of_a_stream_make_up_the_answer(model: LocalModel) -> None:
    prompt = Prompt("question", temperature=0.8, max_tokens=120, seed=3)
    *pieces, end = model.stream(prompt)
    assert isinstance(end, Reply)
    assert "".join(map(str, pieces)) == end.text
    assert len(pieces) > 1
    (again,) = model.complete([prompt])
    assert isinstance(again, Reply)
    assert again.text == end.text


def test_earlier_turns_are_part_of_what_is_read(model: LocalModel) -> None:
    alone = Prompt("and now?", temperature=0, max_tokens=20)
    after = Prompt("and now?", temperature=0, max_tokens=20, before=(("assistant", "abc"),))
    one, two = model.complete([alone, after])
    assert isinstance(one, Reply)
    assert isinstance(two, Reply)
    assert two.tokens_in > one.tokens_in + len("abc")


def test_a_closed_model_says_so(model: LocalModel) -> None:
    model.close()
    assert [type(end) for end in model.stream(Prompt("question"))] == [Failed]
