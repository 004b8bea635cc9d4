"""Generator: a small model on this machine writes every sentence, once.

    cells (movie, prompt, draw) ──chunks──► sentences ──► a file

A chunk is always written by itself, with one thread, and each sentence has its own chance, so that
what is in a chunk does not depend on what was written before: a run that was cut off ends as one
that was not. What a chunk holds is part of its key, since the company of a prompt can change the
last digits of its chances.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from bestpolicy.bench.movies.asking import Asking, Movie, Turns
from bestpolicy.bench.movies.kept import Kept
from bestpolicy.bench.pool import players
from bestpolicy.core.rng import stream
from bestpolicy.llm.embed import fingerprint
from bestpolicy.llm.local import ends_of
from bestpolicy.llm.local_batch import Batch, Row, one_thread
from bestpolicy.llm.weights import find, load

CHUNK = 200  # sentences that are written together
WAY = "movies, one sentence, float32, format 1"
Cell = tuple[Movie, str, int]  # movie, prompt ("" for none), number of the draw
Chunk = tuple[Cell, ...]
Watch = Callable[[int, int], object]  # sentences that are there, of how many


@dataclass(frozen=True)
class Generator:
    """A frozen model, asked in one way."""

    folder: Path
    asking: Asking
    seed: int = 0

    @cached_property
    def hash(self) -> str:
        """Another one as soon as any weight, the template or the sampling is another."""
        way = f"{WAY}, {self.asking.template()}, {self.seed}"
        return fingerprint(way, *weights_of(self.folder))

    def key(self, chunk: Chunk) -> str:
        return sha256(f"{self.hash}\n{chunk!r}".encode()).hexdigest()[:32]

    def write(self, chunk: Chunk) -> list[str]:
        """What it says in these cells."""
        one_thread()
        model, tokenizer = _loaded(self.folder)
        batch, rows = Batch(model, ends_of(model, tokenizer)), []
        for movie, prompt, draw in chunk:
            ids = _tokens(tokenizer, self.asking.turns(movie, prompt or None))
            rng = stream(self.seed, f"bench/movies/said/{movie.name}/{prompt}", draw)
            rows.append(Row(ids, self.asking.temperature, self.asking.most, rng))
        batch.admit(rows)
        while batch.rows:
            batch.step()
        return [one_line(tokenizer.decode(row.written, skip_special_tokens=True)) for row in rows]


def generator(name: str, asking: Asking, say: Callable[[str], object]) -> Generator:
    """Of `local/smollm2` or `local/FOLDER`."""
    return Generator(find(name, Path(), say), asking)


def weights_of(folder: Path) -> list[Path]:
    """The files that decide what a model says."""
    names = ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
    others = [path for name in names if (path := folder / name).is_file()]
    return [*sorted(folder.glob("*.safetensors")), *others]


def chunks(movies: Sequence[Movie], prompts: Sequence[str], draws: int) -> list[Chunk]:
    """All cells; as many whole movies go together as fit."""
    together = max(1, CHUNK // (len(prompts) * draws))
    made = []
    for first in range(0, len(movies), together):
        some = movies[first : first + together]
        cells = [(m, prompt, draw) for m in some for draw in range(draws) for prompt in prompts]
        made += [tuple(cells[at : at + CHUNK]) for at in range(0, len(cells), CHUNK)]
    return made


def said(
    generator: Generator,
    wanted: Sequence[Chunk],
    kept: Kept,
    *,
    processes: int = 1,
    watch: Watch | None = None,
) -> dict[Cell, str]:
    """What is said in all these cells; what the file lacks is written now, chunk by chunk."""
    keys = [generator.key(chunk) for chunk in wanted]
    found = [kept.of(key) for key in keys]
    todo = [at for at, texts in enumerate(found) if not texts]
    total, there = sum(map(len, wanted)), sum(map(len, found))
    for at, texts in _written(generator, [(at, wanted[at]) for at in todo], processes):
        kept.keep(keys[at], texts)
        found[at] = texts
        there += len(texts)
        if watch is not None:
            watch(there, total)
    return {
        cell: text
        for chunk, texts in zip(wanted, found, strict=True)
        for cell, text in zip(chunk, texts, strict=True)
    }


def _written(
    generator: Generator, todo: Sequence[tuple[int, Chunk]], processes: int
) -> Iterator[tuple[int, list[str]]]:
    """Chunk by chunk, as they are done."""
    if processes <= 1 or len(todo) <= 1:
        yield from ((at, generator.write(chunk)) for at, chunk in todo)
        return
    with players(min(processes, len(todo))) as pool:
        numbers: dict[Future[list[str]], int] = {
            pool.submit(generator.write, chunk): at for at, chunk in todo
        }
        waiting = set(numbers)
        try:
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from ((numbers[future], future.result()) for future in done)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def one_line(text: str) -> str:
    """The first line that says anything: what follows it is another attempt, or a comment."""
    lines = [line.strip() for line in text.splitlines()]
    return next((line for line in lines if line), "")


@lru_cache(maxsize=1)
def _loaded(folder: Path) -> tuple[Any, Any]:
    return load(folder)


def _tokens(tokenizer: Any, turns: Turns) -> tuple[int, ...]:
    if tokenizer.chat_template is None:
        return tuple(tokenizer.encode("\n\n".join(text for _, text in turns) + "\n"))
    text = tokenizer.apply_chat_template(
        [{"role": role, "content": text} for role, text in turns],
        tokenize=False,
        add_generation_prompt=True,
    )
    return tuple(tokenizer.encode(text, add_special_tokens=False))
