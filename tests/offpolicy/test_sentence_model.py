"""A model of sentences has not seen what it predicts, and its means are means over the bank."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bestpolicy.core.log import Log
from bestpolicy.core.nouns import Array, ConfigError
from bestpolicy.core.rng import stream
from bestpolicy.llm.embed import embedder
from bestpolicy.offpolicy import sentence_model as module
from bestpolicy.offpolicy.bank import Bank, embedded
from bestpolicy.offpolicy.bank_file import read_bank
from bestpolicy.offpolicy.density import Summed, embeddings
from bestpolicy.offpolicy.evaluate import evaluate
from bestpolicy.offpolicy.kernel import dr_kernel, gaussian
from bestpolicy.offpolicy.kernel_lines import median_distance
from bestpolicy.offpolicy.rows import Given, Rows
from bestpolicy.offpolicy.sentence_model import (
    SentenceModel,
    beside,
    features,
    fold_of,
    sentence_model,
)
from bestpolicy.offpolicy.targets import target_of
from offpolicy.sentences import bank_log, random_bank


def setting(n: int = 300) -> tuple[Log, Bank, Array]:
    bank = random_bank(3, 4)
    pi = stream(1, "tests/sentence model").dirichlet(np.ones(4), size=n)
    return bank_log(n, bank), bank, pi


def own(model: SentenceModel, log: Log) -> Array:
    return model.predicted(log, embeddings(log))


def moves(log: Log, bank: Bank, folds_of_prediction: int) -> float:
    """By how much row 7's prediction moves with its own reward, predicted by the fold that is so
    many on from its own."""
    found = []
    for reward in (0.0, 1.0):
        rewards = log.rewards.copy()
        rewards[7] = reward
        model = sentence_model(replace(log, rewards=rewards), bank)
        turned = replace(model, thetas=np.roll(model.thetas, -folds_of_prediction, axis=0))
        found.append(float(own(turned, log)[7]))
    return abs(found[1] - found[0])


def test_a_rows_reward_does_not_move_its_own_prediction() -> None:
    log, bank, _ = setting()
    assert moves(log, bank, 0) == 0
    assert moves(log, bank, 1) > 1e-4  # the broken twin predicts with what has seen the row


def test_a_reward_that_has_the_models_form_is_found() -> None:
    log, bank, pi = setting(600)
    phi = features(log, embeddings(log), products=True)
    theta = stream(2, "tests/sentence model").normal(size=phi.shape[1])
    exact = replace(log, rewards=phi @ theta, bounds=(-100.0, 100.0))
    model = sentence_model(exact, bank)
    np.testing.assert_allclose(own(model, exact), exact.rewards, atol=1e-3)
    additive = sentence_model(exact, bank, products=False)
    assert np.abs(own(additive, exact) - exact.rewards).max() > 1
    # Then DR-kernel is right whatever the kernel: its residual is nothing.
    values = [
        dr_kernel(
            exact, pi, given=Given(kernel=Summed(bank, gaussian(width)), sentences=model)
        ).value
        for width in (0.1, 10.0)
    ]
    assert values[0] == pytest.approx(values[1], abs=1e-3)


def test_the_mean_under_the_target_is_that_of_predictions_for_the_banks_sentences() -> None:
    log, bank, pi = setting(40)
    model = sentence_model(log, bank)
    q, d = model(Rows(log, target_of(pi, log), Given()))
    np.testing.assert_allclose(q, own(model, log))
    for i in range(40):
        one = log.at(slice(i, i + 1))
        query, slow = str(log.columns["query_id"][i]), 0.0
        for a, name in enumerate(bank.names):
            said = bank.emb[bank.draws_of(query, name)]
            slow += pi[i, a] * np.mean(
                [model.predicted(one, s[None].astype(float))[0] for s in said]
            )
        assert d[i] == pytest.approx(slow)


def test_pure_noise_is_believed_little() -> None:
    log, bank, _ = setting(400)
    noise = replace(log, rewards=stream(3, "tests/noise").random(400))
    q = own(sentence_model(noise, bank), noise)
    assert q.std() < 0.1 * noise.rewards.std()
    assert q.mean() == pytest.approx(noise.rewards.mean(), abs=0.05)


def test_chunks_give_the_model_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    log, bank, _ = setting()
    whole = sentence_model(log, bank)
    monkeypatch.setattr(Log, "chunks", lambda log: log.split(37))
    np.testing.assert_allclose(sentence_model(log, bank).thetas, whole.thetas, rtol=1e-6, atol=1e-9)
    assert fold_of(log.at(slice(3, 6)), 2).tolist() == [1, 0, 1]


def test_wide_embeddings_get_no_products(monkeypatch: pytest.MonkeyPatch) -> None:
    log, bank, _ = setting()
    assert sentence_model(log, bank).thetas.shape == (2, 3 * 5)
    monkeypatch.setattr(module, "MOST", 14)
    model = sentence_model(log, bank)
    assert not model.products
    assert model.thetas.shape == (2, 1 + 2 + 4)
    bare = replace(log, contexts=None)
    assert sentence_model(bare, bank).thetas.shape == (2, 1 + 4)


def test_constant_columns_and_few_rows_are_borne() -> None:
    log, bank, _ = setting(8)
    assert log.contexts is not None
    flat = replace(log, contexts=np.ones((8, 2)))
    assert np.isfinite(own(sentence_model(flat, bank), flat)).all()
    with pytest.raises(ConfigError, match="2 folds of 2 rows at least; saw 1 folds"):
        sentence_model(log, bank, folds=1)


def test_all_that_kernel_estimators_need_comes_in_one_piece() -> None:
    log, bank, pi = setting()
    given = beside(log, bank, Summed(bank, gaussian(0.7)))
    assert given.centre == pytest.approx(log.rewards.mean())
    assert np.isfinite(dr_kernel(log, pi, given=given).value)
    heavy = replace(log, weight=np.where(log.rewards > 0.5, 3.0, 1.0))
    weighted = float(np.average(log.rewards, weights=heavy.weight))
    assert beside(heavy, bank, Summed(bank, gaussian(0.7)), model=False).centre == pytest.approx(
        weighted
    )


def test_texts_become_a_value_by_few_words(tmp_path: Path) -> None:
    rng, tones = stream(4, "tests/sentence model"), ("kind", "curt", "funny")
    said = {"kind": "Of course, happily", "curt": "No", "funny": "Ask my cat about it"}
    rows = [
        {"query_id": f"q{q}", "prompt_id": tone, "draw": i, "text": f"{said[tone]}, {q} times {i}."}
        for q in range(4)
        for tone in tones
        for i in range(2)
    ]
    path = tmp_path / "bank.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    queries, actions = rng.integers(4, size=400), rng.integers(3, size=400)
    shown = enumerate(zip(queries, actions, strict=True), start=2)
    texts = [f"{said[tones[a]]}, {q} times {i % 2}." for i, (q, a) in shown]
    log = Log(
        actions,
        (rng.random(400) < np.array([0.8, 0.2, 0.5])[actions]).astype(float),
        np.full(400, 1 / 3),
        tones,
        propensities=np.full((400, 3), 1 / 3),
        columns={
            "query_id": np.array([f"q{q}" for q in queries]),
            "sentence": np.array(texts),
            "draw": 2 + np.arange(400),
        },
    )
    wordllama = embedder("wordllama", tmp_path / "points.db")
    log = embedded(log, wordllama)
    bank = read_bank(path, log.names, wordllama).for_log(log)
    kernel = gaussian(0.5 * median_distance(log, bank))
    given = beside(log, bank, Summed(bank, kernel))
    found = evaluate(log, "kind", estimators=["ips", "dr_kernel"], given=given)
    # The standard error of a share of 133 rows is .035.
    assert found["dr_kernel"].value == pytest.approx(0.8, abs=5 * 0.035)
    # Of the logging policy it differs from the plain mean by how evenly prompts were drawn.
    own = dr_kernel(log, "logging", given=given).value
    assert own == pytest.approx(log.rewards.mean(), abs=5 * 0.25 / 20)
