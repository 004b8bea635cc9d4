"""The bank of the movies, by the real model: written once, again for another, and after a stop."""

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the extra [local] is not installed")

from bestpolicy.bench.movies import generator
from bestpolicy.bench.movies.asking import KEYWORDED, Movie
from bestpolicy.bench.movies.generator import Chunk, Generator, chunks, said
from bestpolicy.bench.movies.kept import Kept
from bestpolicy.core.nouns import ConfigError

MOVIES = tuple(
    Movie(name, genres)
    for name, genres in (
        ("Fargo", "crime, drama"),
        ("Alien", "horror, sci-fi"),
        ("Toy Story", "animation, children"),
        ("Casablanca", "drama, romance, war"),
    )
)
PROMPTS, DRAWS = KEYWORDED.prompts[::25], 2


@pytest.fixture(scope="module")
def frozen() -> Generator:
    try:
        return generator.generator("local/smollm2", KEYWORDED, print)
    except ConfigError as error:
        pytest.skip(str(error))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> list[Chunk]:
    """32 cells in four chunks of one movie each."""
    monkeypatch.setattr(generator, "CHUNK", 8)
    return chunks(MOVIES, PROMPTS, DRAWS)


@pytest.mark.slow
def test_a_run_that_was_cut_off_ends_as_one_that_was_not(
    frozen: Generator, small: list[Chunk], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = said(frozen, small, Kept(tmp_path / "whole.db"))
    assert len(whole) == len(MOVIES) * len(PROMPTS) * DRAWS
    assert all(whole.values())

    def cut(there: int, total: int) -> None:
        raise KeyboardInterrupt

    kept = Kept(tmp_path / "cut.db")
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            said(frozen, small, kept, watch=cut)
    progress: list[int] = []
    assert said(frozen, small, kept, watch=lambda there, total: progress.append(there)) == whole
    assert progress == [24, 32], "what was there is not written again"

    def never(self: Generator, chunk: Chunk) -> list[str]:
        raise AssertionError("the generator was asked again")

    monkeypatch.setattr(Generator, "write", never)
    assert said(frozen, small, kept) == whole


class Counting(Generator):
    """Says which of its kind it is, and counts."""

    asked = 0

    def write(self, chunk: Chunk) -> list[str]:
        type(self).asked += 1
        return [f"{self.asking.temperature} {cell}" for cell in chunk]


def test_other_weights_and_another_template_find_nothing_and_a_key_without_them_would(
    tmp_path: Path, small: list[Chunk], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Kept(tmp_path / "kept.db")
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
        (tmp_path / name / "model.safetensors").write_text(name)
    one = Counting(tmp_path / "one", KEYWORDED)
    first = said(one, small, kept)
    assert Counting.asked == len(small)
    assert said(Counting(tmp_path / "one", KEYWORDED), small, kept) == first
    assert Counting.asked == len(small)
    said(Counting(tmp_path / "other", KEYWORDED), small, kept)
    assert Counting.asked == 2 * len(small)
    hotter = replace(KEYWORDED, temperature=0.8)
    assert said(Counting(tmp_path / "one", hotter), small, kept) != first
    assert Counting.asked == 3 * len(small)

    monkeypatch.setattr(Counting, "key", lambda self, chunk: f"{len(chunk)} {chunk[0]}")
    stale = said(one, small, kept)
    assert said(Counting(tmp_path / "one", hotter), small, kept) == stale


def test_the_order_in_which_chunks_are_written_does_not_matter_to_what_they_hold() -> None:
    listed = chunks(MOVIES, PROMPTS, DRAWS)
    assert listed[0][0] == (MOVIES[0], PROMPTS[0], 0)
    assert sum(map(len, chunks(MOVIES * 100, PROMPTS, 3))) == 400 * 4 * 3
    assert max(map(len, chunks(MOVIES * 100, PROMPTS, 3))) <= generator.CHUNK
