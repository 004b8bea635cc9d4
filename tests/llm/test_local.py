"""Local models: what a prompt gets does not depend on who else asks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

pytest.importorskip("torch", reason="the extra [local] is not installed")

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from bestpolicy.core.nouns import ConfigError
from bestpolicy.core.talk import Failed, Prompt, Reply
from bestpolicy.llm import local_batch
from bestpolicy.llm.local import LocalModel, local_model
from bestpolicy.llm.local_batch import Batch
from bestpolicy.llm.local_prefix import Prefixes
from llm import tiny_model

HEAD = "Answer the following question with care, and in one word if you can: "
ABC = "acegikmoqsuwy"
MIXED = [
    Prompt(
        (HEAD if i % 3 else "") + f"question {i}" * (1 + i % 4),
        system="Be brief." if i % 5 == 0 else None,
        temperature=(0.0, 0.7, None)[i % 3],
        max_tokens=3 + 5 * (i % 4),
        seed=i,
    )
    for i in range(40)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model.write(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def model(folder: Path) -> Iterator[LocalModel]:
    made = local_model(f"local/{folder}")
    yield made
    made.close()


def texts(model: LocalModel, prompts: Sequence[Prompt]) -> list[str]:
    answers = model.complete(prompts)
    assert all(isinstance(answer, Reply) for answer in answers), answers
    return [answer.text for answer in answers if isinstance(answer, Reply)]


def alone(model: LocalModel, prompts: Sequence[Prompt]) -> list[str]:
    return [texts(model, [prompt])[0] for prompt in prompts]


# -- texts -------------------------------------------------------------------------------------


def test_greedy_texts_are_those_of_transformers(model: LocalModel, folder: Path) -> None:
    reference: Any = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    for prompt in MIXED[0:40:6]:
        assert prompt.temperature == 0.0
        turns = [{"role": "system", "content": prompt.system}] if prompt.system else []
        ids = tokenizer.apply_chat_template(
            [*turns, {"role": "user", "content": prompt.text}],
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
        )
        out = reference.generate(**ids, max_new_tokens=prompt.max_tokens, do_sample=False)
        written = out[0, ids["input_ids"].shape[1] :]
        (answer,) = model.complete([prompt])
        assert isinstance(answer, Reply)
        assert answer.text == tokenizer.decode(written, skip_special_tokens=True)
        assert (answer.tokens_in, answer.tokens_out) == (ids["input_ids"].shape[1], len(written))


def test_a_prompt_alone_gets_the_same_text_whatever_was_asked_before(model: LocalModel) -> None:
    first = alone(model, MIXED[:8])
    texts(model, MIXED)
    assert alone(model, MIXED[:8]) == first


def test_company_changes_no_text(model: LocalModel) -> None:
    expected = alone(model, MIXED)
    assert texts(model, MIXED) == expected
    assert texts(model, MIXED[::-1]) == expected[::-1]


def test_the_check_of_company_finds_a_beginning_that_is_kept_wrongly(
    model: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shifted(*arguments: Any) -> Iterator[Any]:
        for keys, values in stacked(*arguments):
            yield keys.roll(1, -2), values.roll(1, -2)

    stacked = local_batch._stacked
    expected = alone(model, MIXED)
    monkeypatch.setattr(local_batch, "_stacked", shifted)
    texts(model, MIXED)
    assert texts(model, MIXED) != expected


def test_many_threads_at_once_get_their_own_answers(model: LocalModel) -> None:
    expected, found = alone(model, MIXED), dict[int, str]()

    def ask(i: int) -> None:
        for j in range(i, len(MIXED), 8):
            (found[j],) = texts(model, [MIXED[j]])

    threads = [Thread(target=ask, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[i] for i in range(len(MIXED))] == expected


# -- chances -----------------------------------------------------------------------------------


def chances(folder: Path, text: str) -> np.ndarray[Any, Any]:
    """Of the first token, by transformers."""
    reference: Any = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer.encode(f"[user]{text}{tiny_model.END}[assistant]", return_tensors="pt")
    with torch.inference_mode():
        logits: np.ndarray[Any, Any] = reference(ids).logits[0, -1].double().numpy()
    return logits


@pytest.mark.parametrize("temperature", [None, 0.5, 2.0])
def test_tokens_are_drawn_with_the_models_chances(
    model: LocalModel, folder: Path, temperature: float | None
) -> None:
    n = 600
    seen = texts(
        model,
        [Prompt("hello", temperature=temperature, max_tokens=1, seed=i) for i in range(n)],
    )
    inside = []
    for heat in (temperature or 1.0, 3.0 * (temperature or 1.0)):
        p = np.exp(chances(folder, "hello") / heat)
        p /= p.sum()
        best = AutoTokenizer.from_pretrained(folder).decode([int(p.argmax())])
        low, high = binom.ppf([5e-7, 1 - 5e-7], n, p.max())
        inside.append(low <= seen.count(best) <= high)
    assert inside == [True, False]  # the second is another temperature, which the check must find


def test_choices_are_weighed_as_the_model_weighs_them(model: LocalModel, folder: Path) -> None:
    words = ("left", "right", "tie")
    reference: Any = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    found, expected = [], []
    for i in range(12):
        text = f"{HEAD}which is better, {i} or {i * i}?"
        sums = []
        for word in words:
            start = tokenizer.encode(f"[user]{text}{tiny_model.END}[assistant]")
            ids = torch.tensor([start + tokenizer.encode(word)])
            with torch.inference_mode():
                logs = reference(ids).logits[0].double().log_softmax(-1)
            at = range(len(start), ids.shape[1])
            sums.append(sum(float(logs[j - 1, ids[0, j]]) for j in at))
        expected.append(words[int(np.argmax(sums))])
        found.append(Prompt(text, temperature=0.0, choices=words))
    assert texts(model, found) == expected
    assert alone(model, found) == expected


def test_a_choice_that_begins_another_can_lose_to_it(model: LocalModel) -> None:
    asked = [Prompt(f"{i}?", temperature=0.0, choices=(a, a + "b")) for i in range(40) for a in ABC]
    assert {len(text) for text in texts(model, asked)} == {1, 2}


# -- what goes wrong ---------------------------------------------------------------------------


def test_a_prompt_beyond_the_context_fails_and_the_others_do_not(model: LocalModel) -> None:
    good, bad = model.complete([MIXED[0], Prompt("long " * 100)])
    assert isinstance(good, Reply)
    assert isinstance(bad, Failed)
    assert not bad.fatal
    assert "reads at most 399" in bad.reason


def test_an_answer_stops_where_the_context_ends(model: LocalModel) -> None:
    (answer,) = model.complete([Prompt("x" * 370, temperature=0.0, max_tokens=100)])
    assert isinstance(answer, Reply)
    assert answer.tokens_in + answer.tokens_out <= 400


@pytest.mark.parametrize("where", ["admit", "step"])
def test_what_goes_wrong_in_writing_fails_those_prompts_and_not_the_next(
    model: LocalModel, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    expected = alone(model, MIXED[:4])

    def breaks(self: Batch, *_: object) -> None:
        raise MemoryError("no room\nat all")

    with monkeypatch.context() as broken:
        broken.setattr(Batch, where, breaks)
        answers = model.complete(MIXED[:4])
    assert [answer.failures for answer in answers if isinstance(answer, Failed)] == [
        ("MemoryError: no room",)
    ] * 4
    assert texts(model, MIXED[:4]) == expected


def test_closing_tells_those_who_wait_and_those_who_come_later(folder: Path) -> None:
    model = local_model(f"local/{folder}")
    answers: list[Reply | Failed] = []
    long = [Prompt(f"{i}", max_tokens=300, seed=i) for i in range(200)]
    thread = Thread(target=lambda: answers.extend(model.complete(long)))
    thread.start()
    model.close()
    thread.join(10)
    assert len(answers) == len(long)
    (late,) = model.complete([MIXED[0]])
    assert isinstance(late, Failed)
    assert late.fatal
    model.close()


def test_a_name_without_a_folder_is_told_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no config\.json.*local/smollm2"):
        local_model("local/nowhere", beside=tmp_path)
    with pytest.raises(ConfigError, match="local/PATH, saw 'smollm2'"):
        local_model("smollm2")


# -- beginnings --------------------------------------------------------------------------------


def test_a_beginning_is_computed_when_enough_prompts_share_it() -> None:
    prefixes = Prefixes[str]()
    prompts = [(*range(30), 100 + i, 200 + i) for i in range(6)]
    made = []
    for beginning in prefixes.worth(prompts):
        prefixes.keep(beginning, "kept")
        made.append(beginning)
    assert made == [tuple(range(30))]
    assert prefixes.longest((*range(30), 7)) == tuple(range(30))
    assert prefixes.longest(tuple(range(30))) == ()  # something must be left to read
    assert list(prefixes.worth(prompts)) == []
    assert prefixes.use(tuple(range(30))) == "kept"


def test_what_was_not_used_for_longest_is_forgotten() -> None:
    prefixes = Prefixes[int]()
    for i in range(10):
        prefixes.keep((i,) * 1000, i)
        prefixes.use((0,) * 1000)
    assert [prefixes.longest((i,) * 1001) != () for i in range(10)] == [True] + [False] * 6 + [
        True
    ] * 3


# -- the bundled model -------------------------------------------------------------------------


@pytest.mark.slow
def test_the_bundled_model_knows_a_capital_and_counts_alike_in_company() -> None:
    model = local_model("local/smollm2")
    try:
        asked = [
            Prompt(f"What is the capital of {land}?", temperature=0.0, max_tokens=8)
            for land in ("France", "Italy", "Japan", "Spain", "Egypt", "Peru")
        ]
        answers = texts(model, asked)
        assert "Paris" in answers[0]
        assert alone(model, asked) == answers
    finally:
        model.close()
