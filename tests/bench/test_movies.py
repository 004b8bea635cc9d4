"""Movies: the rule of the ratings, the gate, what is valued, and the report that is written."""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from scipy.stats import norm

pytest.importorskip("torch", reason="the extra [local] is not installed")

from bestpolicy.bench import movies
from bestpolicy.bench.movies import generator, learning, ratings, tastes
from bestpolicy.bench.movies.asking import INSTRUCTED, KEYWORDED, Movie
from bestpolicy.bench.movies.making import Size, some_of
from bestpolicy.bench.movies.wording import INSTRUCTIONS, KEYWORDS
from bestpolicy.bench.movies.world import BANK, FRESH, LOGGED, World, gate
from bestpolicy.core.embedder import Points, text_hash
from bestpolicy.core.nouns import ConfigError
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.learners.training import Training
from bestpolicy.offpolicy.reward_nets import Fitting, fit_net

ONE_IN_A_MILLION = float(norm.isf(5e-7))


@pytest.fixture
def bundled() -> Path:
    try:
        return ratings.bundled()
    except ConfigError as error:
        pytest.skip(str(error))


def test_the_rule_leaves_the_counts_of_the_method_note(bundled: Path) -> None:
    left = ratings.read(bundled)
    assert (len(left.people), len(left.names), len(left)) == (421, 384, 29_833)
    kept = left.balanced(stream(0, "test"))
    assert len(kept) == len(set(kept.tolist())) == 19_882
    sides = [np.bincount(left.users[kept][left.liked[kept] == side]) for side in (False, True)]
    assert (sides[0] == sides[1]).all()
    more = ratings.read(bundled, least=5)
    assert (len(more.people), len(more.names)) == (712, 638)
    assert len(more.balanced(stream(0, "test"))) == 29_254
    assert "Fargo" in left.names
    assert "The Godfather" in left.names
    assert left.people.shape[1] == 2 + 21


def test_a_rule_that_is_applied_once_leaves_some_who_do_not_meet_it(bundled: Path) -> None:
    rows = ratings._table(bundled / "ml-100k.inter", "user_id", "item_id", "rating")
    rating = rows["rating"].astype(float)
    said = rating != 4
    user, title = (np.unique(rows[n][said], return_inverse=True)[1] for n in ("user_id", "item_id"))
    liked = rating[said] == 5

    def fewest(kept: np.ndarray) -> int:
        counts = [
            np.bincount(who[kept & side])[np.unique(who[kept])].min()
            for who in (user, title)
            for side in (liked, ~liked)
        ]
        return int(min(counts))

    assert fewest(ratings.enough(user, title, liked, 10)) >= 10
    once = np.ones(len(user), dtype=bool)
    for who in (user, title):
        sides = [np.bincount(who[s], minlength=who.max() + 1) for s in (liked, ~liked)]
        both = np.minimum(*sides)
        once &= both[who] >= 10
    assert fewest(once) < 10


def test_a_larger_folder_of_the_same_layout_is_read_without_users(tmp_path: Path) -> None:
    folder = folder_of_ratings(tmp_path, users=30, titles=40)
    left = ratings.read(folder)
    assert left.people.shape == (30, 0)
    assert left.names[0].startswith("The Film")
    few = left.fewer(10, 5)
    assert (few.people.shape[0], len(few.names)) == (10, 5)
    assert few.users.max() < 10
    assert set(few.names) == {left.names[t] for t in left.most_rated(5)}
    (folder / "x.item").unlink()
    with pytest.raises(ConfigError, match="one file"):
        ratings.read(folder)


def test_titles_are_called_what_one_calls_them() -> None:
    said = [ratings.called(name) for name in ("Godfather, The", "Avventura, L'", "Cook, the Thief")]
    assert said == ["The Godfather", "L'Avventura", "Cook, the Thief"]


def test_there_are_a_hundred_keywords_and_no_two_prompts_are_alike() -> None:
    assert len(set(KEYWORDS)) == len(KEYWORDS) == 100
    assert len(set(INSTRUCTIONS)) == len(INSTRUCTIONS)
    assert some_of(KEYWORDS, 20) == KEYWORDS[::5]
    assert some_of(INSTRUCTIONS, 100) == INSTRUCTIONS
    assert KEYWORDED.template() != replace(KEYWORDED, temperature=0.8).template()
    assert KEYWORDED.template() != INSTRUCTED.template()


def test_the_area_counts_pairs() -> None:
    scores, liked = np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, True, False, True])
    assert tastes.auc(scores, liked) == (1 + 0.5 + 1 + 1) / 4


def test_tastes_are_learnt_from_likes_and_not_from_shuffled_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tastes, "STEPS", 400)
    rng = stream(0, "tests/movies/tastes")
    users, titles = rng.integers(60, size=4000), rng.integers(30, size=4000)
    of_user, of_title = rng.normal(size=(60, 3)), rng.normal(size=(30, 3))
    liked = (of_user[users] * of_title[titles]).sum(1) > 0
    without = of_title[:, None] + rng.normal(0, 0.1, (30, 2, 3))

    def found(said: np.ndarray) -> float:
        rows = tastes.Rows(users, titles, said)
        return tastes.simulator(rows, np.zeros((60, 0)), without, stream(1, "tests/movies")).auc

    assert found(liked) > 0.75
    held = 4000 * tastes.HELD_OUT
    # The variance of the rank sum under chance; two draws of a title are all but the same.
    far = ONE_IN_A_MILLION * (1 / (3 * held)) ** 0.5
    assert abs(found(rng.permutation(liked)) - 0.5) < far


def test_the_gate_closes_when_rewards_are_shuffled_and_a_careless_one_does_not() -> None:
    at = world(gain=1.0)
    assert gate(at).opens
    rng = stream(3, "tests/movies/shuffled")
    shuffled = replace(at, worth=rng.permuted(at.worth, axis=2))
    assert not gate(shuffled).opens
    careless = shuffled.worth[..., :1].repeat(at.worth.shape[3], axis=3)
    assert gate(replace(shuffled, worth=careless)).opens, "picked and valued by the same draw"
    assert not gate(replace(at, auc=0.55)).opens


def test_the_value_is_what_many_draws_of_the_policy_earn_in_the_bank() -> None:
    at, rng = world(), stream(5, "tests/movies/value")
    users, others = at.split(rng)
    assert not set(users) & set(others)
    policy = at.logging(users, rng)
    u, t = rng.choice(others, 40_000), rng.integers(len(at.movies), size=40_000)
    a = policy.sample(at.contexts(u, t), rng)
    r = at.worth[u, t, a, rng.choice(BANK, 40_000)]
    far = ONE_IN_A_MILLION * r.std() / len(r) ** 0.5
    assert abs(at.value(policy.table, others) - r.mean()) < far
    assert abs(at.value(policy.table, others, (FRESH,)) - at.value(policy.table, others)) > 1e-6
    assert at.value(policy.table, others) < at.best(others)


def test_a_log_shows_what_the_bank_does_not_hold() -> None:
    at, rng = world(), stream(6, "tests/movies/log")
    users, _ = at.split(rng)
    log = at.log(300, users, at.logging(users, rng), rng)
    assert at.bank().for_log(log).draw.max() < LOGGED
    where = [at.movies.index(name) for name in log.columns["query_id"]]
    assert (log.columns["sentence"] == at.texts[where, log.actions, LOGGED]).all()


def test_claims_are_only_of_intervals_that_leave_zero_out() -> None:
    found = [
        {
            "best": 1.0,
            "worth": {
                name: {"bank": gain + 0.01 * (seed % 2), "fresh": 0.0}
                for name, gain in {"uniform": 0.0, **dict.fromkeys(learning.METHODS, 0.3)}.items()
            },
        }
        for seed in range(5)
    ]
    for seed, one in enumerate(found):
        one["worth"]["is"]["bank"] = (-1.0) ** seed
        one["worth"]["potec"]["bank"] = -0.5
    lines, apart = learning.table(found), learning.differences(found)
    said = "\n".join(learning.claims(lines, apart))
    assert "better than a random prompt: regression, dr, dso, sdm, cf-dr-dso" in said
    assert "not told apart from a random prompt: is" in said
    assert "WORSE than a random prompt: potec" in said
    ahead = "ahead under the bank, which they know, all at once at 95%: "
    assert f"{ahead}dso of potec, sdm of potec, cf-dr-dso of potec" in said
    assert "under the bank, which they know, nothing is claimed of 9 of 12" in said
    assert "on fresh sentences, nothing is claimed of 12 of 12 differences" in said


@pytest.mark.slow
def test_a_closed_gate_tries_whole_instructions_and_an_open_one_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def write(self: generator.Generator, chunk: generator.Chunk) -> list[str]:
        # Keywords do nothing here; an instruction is heard and repeated.
        told.append(self.asking.name)
        heard = self.asking is INSTRUCTED
        return [p if heard and p else f"{m.name} {p} {d}" for m, p, d in chunk]

    monkeypatch.setattr(generator.Generator, "write", write)
    monkeypatch.setattr(generator.Generator, "hash", property(lambda self: self.asking.template()))
    monkeypatch.setattr(movies, "embedder", lambda name, path: Letters())
    monkeypatch.setattr(movies, "QUICK", Size(6, 8, 200, 2))
    monkeypatch.setattr(movies, "players", lambda processes: Here())
    monkeypatch.setattr(learning, "TRAINING", Training(steps=20))
    monkeypatch.setattr(learning, "FIT", partial(fit_net, how=Fitting(steps=20)))
    monkeypatch.setattr(tastes, "STEPS", 300)
    folder = folder_of_ratings(tmp_path, users=60, titles=40)
    console = Console(record=True, width=200, file=StringIO())
    options = {
        "model": f"local/{model_folder(tmp_path)}",
        "data": folder,
        "cache": tmp_path / "kept",
    }
    report = movies.main(True, tmp_path, processes=1, console=console, **options)
    assert json.loads((tmp_path / "movies.json").read_text()) == report
    assert [(g["asking"], g["opens"]) for g in report["gates"]] == [
        ("keywords", False),
        ("instructions", True),
    ]
    assert [row["method"] for row in report["rows"]] == ["uniform", "logging", *learning.METHODS]
    printed = console.export_text()
    assert "gate of keywords" in printed
    assert "CLOSED" in printed
    assert report["claims"][0] in printed
    told.clear()
    again = movies.main(True, tmp_path, processes=1, console=console, **options)
    assert not told, "nothing is written twice"
    assert again["rows"] == report["rows"]
    assert report["sentences_written"] > again["sentences_written"] == 0


class Here:
    """Plays in this process, as a pool of none."""

    def __enter__(self) -> "Here":
        return self

    def __exit__(self, *_: object) -> None: ...

    def submit(self, fn, *args):
        made = fn(*args)
        return type("Done", (), {"result": lambda _: made})()


class Letters:
    """Points that are the same for the same text, and otherwise by chance."""

    name, hash, width = "letters", "letters", 24

    def embed(self, texts: Sequence[str]) -> Points:
        made = [stream(int(text_hash(text)[:8], 16), "letters").normal(size=24) for text in texts]
        return np.array(made, dtype=np.float32)


def world(*, gain: float = 0.5) -> World:
    """40 users, 12 movies, 6 prompts; users differ in which prompt they like."""
    rng = stream(0, "tests/movies/world")
    people, like = rng.normal(size=(40, 4)), rng.normal(size=(6, 4))
    taste = (people @ like.T)[:, None, :, None]
    noise = rng.normal(0, 0.5, size=(40, 12, 6, 4))
    points = rng.normal(size=(12, 6, 4, 5)) + like.sum(1)[None, :, None, None]
    return World(
        tuple(f"movie {t}" for t in range(12)),
        tuple(f"prompt {a}" for a in range(6)),
        like,
        people,
        rng.normal(size=(12, 3)),
        np.array([[[f"{t} {a} {d}" for d in range(4)] for a in range(6)] for t in range(12)]),
        points,
        gain * taste + noise,
        0.7,
        0.6,
    )


def folder_of_ratings(place: Path, *, users: int, titles: int) -> Path:
    """Everybody has rated everything and likes half of it, what lies on their side; an unneeded
    column, and 4s between."""
    folder = place / "ratings"
    folder.mkdir()
    angle = 2 * np.pi * (np.arange(users)[:, None] / users - np.arange(titles) / titles)
    liked = np.cos(angle + 0.1) > 0
    rows = [
        f"{score}\t{when}\t{u}\t{t}"
        for u in range(users)
        for t in range(titles)
        for when, score in enumerate((5 if liked[u, t] else 2, 4))
    ]
    head = "rating:float\ttimestamp:float\tuser_id:token\titem_id:token"
    (folder / "x.inter").write_text("\n".join([head, *rows]) + "\n")
    items = [f"{t}\tFilm number {t}, The\t1999\tDrama Film-Noir" for t in range(titles)]
    head = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq"
    (folder / "x.item").write_text("\n".join([head, *items]) + "\n")
    return folder


def model_folder(place: Path) -> Path:
    """A folder that looks like a model's."""
    folder = place / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    return folder


def test_a_movie_is_told_with_its_genres_and_examples_have_a_keyword_only_with_one() -> None:
    movie = Movie("Fargo", "crime, drama")
    plain, keyed = (KEYWORDED.turns(movie, prompt) for prompt in (None, "snow"))
    assert "Keyword" not in str(plain)
    assert str(keyed).count("Keyword: ") == 4
    assert keyed[-1] == ("user", "Title: Fargo\nGenres: crime, drama\nKeyword: snow")
    assert INSTRUCTED.turns(movie, "Sing.")[0] == ("system", "Sing.")
