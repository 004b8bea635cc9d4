"""A bank holds each query's sentences to every prompt, and refuses what would spoil densities."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bestpolicy.core.embedder import Points, text_hash
from bestpolicy.core.log import BadRow
from bestpolicy.core.nouns import ConfigError
from bestpolicy.offpolicy.bank import embedded
from bestpolicy.offpolicy.bank_file import read_bank, write_bank
from bestpolicy.offpolicy.kernel import gaussian
from offpolicy.sentences import bank_log, random_bank

NAMES = ("short", "long")
ROWS: list[dict[str, Any]] = [
    {"query_id": q, "prompt_id": p, "draw": i, "text": f"{p} answer {i % 2} to {q}"}
    for q in (7, 8)
    for p in NAMES
    for i in range(3)
]


class Lengths:
    """An embedder of two numbers that remembers what it was asked."""

    name, hash, width = "lengths", "1", 2

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> Points:
        self.asked += texts
        return np.array([[len(t), t.count("a")] for t in texts], dtype=np.float32)


def written(rows: list[dict[str, Any]], folder: Path, kind: str = "jsonl") -> Path:
    path = folder / f"bank.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_file_without_points_is_embedded_each_text_once(kind: str, tmp_path: Path) -> None:
    lengths = Lengths()
    bank = read_bank(written(ROWS[::-1], tmp_path, kind), NAMES, lengths)
    assert len(bank) == 12
    assert len(lengths.asked) == len(set(lengths.asked)) == 8
    here = bank.draws_of("8", "long")
    assert bank.draw[here].tolist() == [0, 1, 2]
    assert bank.texts[here].tolist() == [
        "long answer 0 to 8",
        "long answer 1 to 8",
        "long answer 0 to 8",
    ]
    assert bank.emb[here].tolist() == [[18, 1]] * 3
    with pytest.raises(ConfigError, match="no sentence to 'middling'"):
        bank.draws_of("8", "middling")


def test_what_was_written_is_read_again_without_an_embedder(tmp_path: Path) -> None:
    rows = [{**row, "model_hash": "abc"} for row in ROWS]
    bank = read_bank(written(rows, tmp_path), NAMES, Lengths())
    write_bank(bank, tmp_path / "again.parquet")
    again = read_bank(tmp_path / "again.parquet", NAMES)
    np.testing.assert_array_equal(again.emb, bank.emb)
    np.testing.assert_array_equal(again.first, bank.first)
    assert (again.texts == bank.texts).all()
    assert again.queries == bank.queries
    assert again.made_by == "abc"


def spoiled(change: dict[str, Any], row: int = 4) -> list[dict[str, Any]]:
    rows = [dict(one) for one in ROWS]
    rows[row] |= change
    return rows


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (spoiled({"text": None}), r"row 4 .* column 'text'"),
        (spoiled({"text": 5}), r"row 4 .* column 'text': 5 where a sentence is text"),
        (spoiled({"draw": "first"}), r"row 4 .* 'first' where a draw is numbered"),
        (spoiled({"draw": True}), r"row 4 .* True where a draw is numbered"),
        (spoiled({"draw": 0}), r"row 4 .* column 'draw': 0 where this query and prompt have"),
        (spoiled({"prompt_id": "middling"}), r"row 4 .* 'middling' where the log has no prompt"),
        (spoiled({"text_hash": "0"}), r"row 4 .* must be the sha256"),
        (spoiled({"query_id": 9}), "no sentence to prompt 'short' in query '9'"),
        ([{**row, "model_hash": str(i // 6)} for i, row in enumerate(ROWS)], "frozen generator"),
        ([{**row, "emb": [1.0, 2.0][: 2 - (i == 5)]} for i, row in enumerate(ROWS)],
         r"row 5 .* '1 numbers' where the first point has 2"),
        ([{**row, "emb": [1.0, None if i == 5 else 2.0]} for i, row in enumerate(ROWS)],
         r"row 5 .* must be finite"),
        ([{**row, "emb": None if i == 5 else [1.0]} for i, row in enumerate(ROWS)],
         r"row 5 .* None where the first point has 1"),
        ([], "at least one sentence"),
        (ROWS, "no column 'emb': name an embedder"),
    ],
)  # fmt: skip
def test_what_spoils_a_bank_is_refused_with_its_row(
    rows: list[dict[str, Any]], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=said):
        read_bank(written(rows, tmp_path), NAMES, None if rows == ROWS else Lengths())


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no file"):
        read_bank(tmp_path / "bank.jsonl", NAMES)
    for name, text, said in (
        ("bank.jsonl", "{}\n[1]\n", r"row 1 .* one JSON object"),
        ("bank.csv", "a,b", "saw '.csv'"),
        ("bank.parquet", "a,b", "is not parquet"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(ConfigError, match=said):
            read_bank(tmp_path / name, NAMES)


def test_a_text_hash_that_is_right_is_taken(tmp_path: Path) -> None:
    rows = [{**row, "text_hash": text_hash(row["text"])} for row in ROWS]
    assert len(read_bank(written(rows, tmp_path), NAMES, Lengths())) == 12


def test_closeness_and_means_are_those_of_loops() -> None:
    bank, kernel = random_bank(4, 3), gaussian(0.8)
    log = bank_log(30, bank)
    near = bank.closeness(log, kernel)
    pi = np.full((30, 3), [0.2, 0.3, 0.5])
    mean = bank.mean(log, pi)
    for i in range(30):
        query, total = str(log.columns["query_id"][i]), np.zeros(4)
        for a, name in enumerate(bank.names):
            said = bank.emb[bank.draws_of(query, name)].astype(float)
            far = ((said - log.columns["sentence_emb"][i]) ** 2).sum(1)
            assert near[i, a] == pytest.approx(np.exp(-far / (2 * 0.8**2)).mean())
            total += pi[i, a] * said.mean(0)
        np.testing.assert_allclose(mean[i], total)


def test_draws_come_from_the_rows_own_query_by_the_chances_given() -> None:
    bank = random_bank(4, 3)
    log = bank_log(50, bank)
    pi = np.full((50, 3), [0.7, 0.3, 0.0])
    prompts, said = bank.draws(log, pi, 200, "test")
    # 10,000 draws: five standard errors.
    assert abs((prompts == 0).mean() - 0.7) < 5 * np.sqrt(0.21 / 10_000)
    assert not (prompts == 2).any()
    for i in range(50):
        of_query = str(log.columns["query_id"][i])
        for a in (0, 1):
            own = bank.emb[bank.draws_of(of_query, bank.names[a])]
            drawn = said[i, prompts[i] == a]
            assert set(map(tuple, drawn)) == set(map(tuple, own.astype(float)))
    again = bank.draws(log.at(slice(10, 20)), pi[10:20], 200, "test")[1]
    np.testing.assert_array_equal(again, said[10:20])
    assert (replace(bank, seed=1).draws(log, pi, 200, "test")[0] != prompts).any()


def test_a_bank_with_the_logs_own_sentences_is_refused() -> None:
    bank = random_bank(3, 4)
    log = bank_log(20, bank)
    assert bank.for_log(log) is bank
    draws = log.columns["draw"].copy()
    there = bank.draws_of(str(log.columns["query_id"][6]), bank.names[log.actions[6]])
    draws[6] = bank.draw[there][0]
    own = replace(log, columns={**log.columns, "draw": draws})
    with pytest.raises(BadRow, match=r"row 6 .* the bank has this very draw; leave out"):
        bank.for_log(own)
    strange = log.columns["query_id"].copy()
    strange[3] = "q9"
    with pytest.raises(BadRow, match=r"row 3 .* 'q9' where the bank has no sentence of this query"):
        bank.for_log(replace(log, columns={**log.columns, "query_id": strange}))
    with pytest.raises(ConfigError, match="no column 'query_id'"):
        bank.for_log(replace(log, columns={}))
    with pytest.raises(ConfigError, match="only one of them has 'p3'"):
        bank.for_log(replace(log, names=("p0", "p1", "p2", "p9")))
    with pytest.raises(ConfigError, match="their order differs"):
        bank.for_log(replace(log, names=("p1", "p0", "p2", "p3")))


def test_a_logged_sentence_among_its_neighbours_would_weigh_less() -> None:
    """What the refusal is for: with row i's own sentence in the bank its density is too large."""
    bank = random_bank(1, 3, most=2)
    log = bank_log(1, bank)
    near = bank.closeness(log, gaussian(0.5))
    at = bank.draws_of("q0", bank.names[log.actions[0]]).start
    emb = bank.emb.copy()
    emb[at] = log.columns["sentence_emb"][0]
    spoilt = replace(bank, emb=emb).closeness(log, gaussian(0.5))
    assert spoilt[0, log.actions[0]] > 2 * near[0, log.actions[0]]


def test_logged_sentences_are_embedded_each_text_once() -> None:
    bank = random_bank(2, 2)
    log = bank_log(6, bank)
    texts = np.array(["a", "bb", "a", "aa", "bb", "a"])
    lengths = Lengths()
    made = embedded(replace(log, columns={**log.columns, "sentence": texts}), lengths)
    assert sorted(lengths.asked) == ["a", "aa", "bb"]
    assert made.columns["sentence_emb"].tolist() == [[1, 1], [2, 0], [1, 1], [2, 2], [2, 0], [1, 1]]
    with pytest.raises(ConfigError, match="no column 'sentence' to embed"):
        embedded(log, lengths)
