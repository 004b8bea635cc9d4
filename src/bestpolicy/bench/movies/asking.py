"""Asking: what the generator is told, with a keyword, with a whole instruction, or with neither.

A model of 135 million parameters hardly heeds a keyword that it is merely given (3 % of what its
sentences vary in). Shown three examples of sentences that do, it heeds it: 24 % or more. So the
examples are part of the template; the titles in them are no movies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from bestpolicy.bench.movies.wording import INSTRUCTIONS, KEYWORDS

Turns = tuple[tuple[str, str], ...]  # (role, text), the last by the user
TASK = "Recommend the movie in one short sentence, without its name."
SHOWN = (
    ("The Lighthouse Keeper", "drama", "loneliness",
     "Alone on his rock, a man learns how much silence a heart can bear."),
    ("Steel Harvest", "sci-fi, action", "robots",
     "Robots run the farms, and one of them begins to dream of leaving."),
    ("Midnight in Oran", "crime, thriller", "smuggling",
     "A smuggler with one last cargo has until dawn to cross the border."),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Movie:
    """What the generator is told of a movie."""

    name: str
    genres: str


@dataclass(frozen=True, slots=True)
class Asking:
    """A way to ask, and what there is to choose from."""

    name: str
    prompts: tuple[str, ...]
    temperature: float
    turns: Callable[[Movie, str | None], Turns]  # without a prompt: what sentences are held against
    most: int = 24  # tokens of a sentence

    def template(self) -> str:
        """A hash of all that is said beside the movie and the prompt, and of how it is drawn."""
        said = [self.turns(Movie("\x00", "\x01"), prompt) for prompt in (None, "\x02")]
        whole = repr((said, self.temperature, self.most))
        return sha256(whole.encode()).hexdigest()[:16]


def by_keyword(movie: Movie, keyword: str | None) -> Turns:
    """After examples; without a keyword the examples have none either."""
    before = [
        turn
        for name, genres, shown, sentence in SHOWN
        for turn in (
            ("user", _asked(Movie(name, genres), keyword and shown)),
            ("assistant", sentence),
        )
    ]
    return (("system", TASK), *before, ("user", _asked(movie, keyword)))


def by_instruction(movie: Movie, instruction: str | None) -> Turns:
    """The instruction is the whole of what is asked for."""
    return (("system", instruction or TASK), ("user", _asked(movie, None)))


def _asked(movie: Movie, keyword: str | None) -> str:
    lines = [f"Title: {movie.name}", f"Genres: {movie.genres}"]
    return "\n".join(lines if keyword is None else [*lines, f"Keyword: {keyword}"])


KEYWORDED = Asking("keywords", KEYWORDS, 0.3, by_keyword)
INSTRUCTED = Asking("instructions", INSTRUCTIONS, 0.3, by_instruction)
