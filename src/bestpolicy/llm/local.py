"""Local models: answers written on this machine, by one thread for all who ask.

    complete ──► waiting ──► batch ──► Reply | Failed

Threads that ask leave their prompts in a queue and wait. The writing thread lets them join its
batch and adds one token to every answer at a time. A prompt that is alone gives the same text for
the same seed, always. In company the last digits of its chances may differ, and where two tokens
are as likely to that digit, so may its text.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Condition, Event, Thread
from typing import Any

import numpy as np
import torch

from bestpolicy.core.nouns import ConfigError
from bestpolicy.core.rng import stream
from bestpolicy.core.talk import Failed, Prompt, Reply
from bestpolicy.llm.local_batch import Batch, Row
from bestpolicy.llm.weights import find, load

LINGER = 0.02  # seconds that the first prompt waits for company
PATIENCE = 0.5  # seconds after which a prompt joins, however few wait with it
ROOM = 16_384  # tokens that a batch may hold, answers included, unless one prompt needs more
GLANCE = 0.05  # seconds between two looks at what is being written
THREADS = 8
CLOSED = "the model was closed"


@dataclass(slots=True, eq=False)
class _Job:
    prompt: Prompt
    asked: float = field(default_factory=time.monotonic)
    answered: Event = field(default_factory=Event)
    answer: Reply | Failed | None = None
    row: Row | None = None

    @property
    def waited(self) -> float:
        return time.monotonic() - self.asked

    def close(self, answer: Reply | Failed) -> None:
        self.answer = answer
        self.answered.set()

    def fail(self, reason: str, *, fatal: bool = False) -> None:
        self.close(Failed((reason,), fatal=fatal, seconds=self.waited))


class LocalModel:
    """A causal language model in this process. `name` is what a study file calls it."""

    def __init__(self, name: str, model: Any, tokenizer: Any, *, most: int = 32) -> None:
        self.name = name
        self._tokenizer = tokenizer
        self._most = most  # answers in one batch
        self._context = int(getattr(model.config, "max_position_embeddings", 2**31))
        self._batch = Batch(model, ends_of(model, tokenizer))
        self._waiting: deque[_Job] = deque()
        self._writing: list[_Job] = []
        self._news = Condition()
        self._closed = False
        # A small model's products are too small for more.
        torch.set_num_threads(min(torch.get_num_threads(), THREADS))
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def complete(self, prompts: Sequence[Prompt]) -> list[Reply | Failed]:
        """One reply per prompt, in their order."""
        jobs = [_Job(prompt) for prompt in prompts]
        with self._news:
            if self._closed:
                return [Failed((CLOSED,), fatal=True) for _ in jobs]
            self._waiting += jobs
            self._news.notify_all()
        answers = []
        for job in jobs:
            job.answered.wait()
            assert job.answer is not None
            answers.append(job.answer)
        return answers

    def stream(self, prompt: Prompt) -> Iterator[str | Reply | Failed]:
        """The answer while it is written; its pieces end where a character does."""
        job = _Job(prompt)
        with self._news:
            if self._closed:
                yield Failed((CLOSED,), fatal=True)
                return
            self._waiting.append(job)
            self._news.notify_all()
        shown = ""
        while not job.answered.wait(GLANCE):
            written = [] if job.row is None else list(job.row.written)
            text = self._tokenizer.decode(written, skip_special_tokens=True)
            if text.startswith(shown) and not text.endswith("\ufffd") and text != shown:
                yield text[len(shown) :]
                shown = text
        assert job.answer is not None
        if isinstance(job.answer, Reply) and job.answer.text.startswith(shown):
            yield job.answer.text[len(shown) :]
        yield job.answer

    def most_usd(self, prompt: Prompt) -> float:
        return 0.0

    def close(self) -> None:
        """End the thread; whoever still waits is told so."""
        with self._news:
            self._closed = True
            self._news.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while self._wait():
            self._guarded(self._writing, self._let_join)
            if self._batch.rows:
                self._guarded(self._writing, self._batch.step)
            self._hand_over()
        for job in [*self._writing, *self._waiting]:
            job.fail(CLOSED, fatal=True)

    def _wait(self) -> bool:
        """Sleep until there is something to write; False when closed."""
        with self._news:
            while not (self._closed or self._waiting or self._writing):
                self._news.wait()
            if not self._writing and not self._closed:
                self._news.wait_for(self._enough, LINGER)
            return not self._closed

    def _enough(self) -> bool:
        return self._closed or len(self._waiting) >= self._most

    def _let_join(self) -> None:
        """Prompts join when they are as many as those at work, or have waited long enough."""
        with self._news:
            late = bool(self._waiting) and self._waiting[0].waited > PATIENCE
            if not late and len(self._waiting) < min(len(self._writing), self._most // 2):
                return
            jobs = [self._waiting.popleft() for _ in range(self._fitting())]
        alone = len(jobs) == 1 and not self._writing
        for job in jobs:
            self._guarded([job], lambda job=job: self._prepare(job, alone))  # type: ignore[misc]
        ready = [job for job in jobs if job.row is not None]
        self._writing += ready
        if ready:
            self._batch.admit([job.row for job in ready if job.row is not None])

    def _fitting(self) -> int:
        """How many of those that wait have room in the batch."""
        rows = self._batch.rows
        longest = max([len(row.prompt) + row.limit for row in rows], default=0)
        for n, job in enumerate(self._waiting):
            # Tokens are mostly longer than a character; this is about memory and may be rough.
            said = sum(len(text) for _, text in _said(job.prompt))
            most = min(said + 64 + job.prompt.max_tokens, self._context)
            longest = max(longest, most)
            count = len(rows) + n + 1
            if count > self._most or (count > 1 and count * longest > ROOM):
                return n
        return len(self._waiting)

    def _prepare(self, job: _Job, alone: bool) -> None:
        """Make the row that answers this prompt; choices and refusals are answered at once."""
        prompt = job.prompt
        ids = self._tokens(prompt)
        if len(ids) >= self._context:
            return job.fail(
                f"the prompt has {len(ids):,} tokens, and {self.name} reads at most "
                f"{self._context - 1:,}: shorten it"
            )
        heat = 1.0 if prompt.temperature is None else prompt.temperature
        rng = stream(prompt.seed, "answer")
        if not prompt.choices:
            job.row = Row(ids, heat, min(prompt.max_tokens, self._context - len(ids)), rng)
            return None
        words = [tuple(self._encode(word)) for word in prompt.choices]
        if any(a != b and b[: len(a)] == a for a in words for b in words):
            # Of a word and its own beginning, the latter is never less likely unless it must end.
            words = [(*word, self._tokenizer.eos_token_id) for word in words]
        weights = np.array(self._batch.weigh(ids, words, alone=alone))
        if heat > 0:
            weights = weights / heat - np.log(-np.log(rng.random(len(words))))
        word = int(weights.argmax())
        job.close(Reply(prompt.choices[word], len(ids), len(words[word]), seconds=job.waited))
        return None

    def _tokens(self, prompt: Prompt) -> tuple[int, ...]:
        if self._tokenizer.chat_template is None:
            return tuple(self._tokenizer.encode("\n\n".join(text for _, text in _said(prompt))))
        text = self._tokenizer.apply_chat_template(
            [{"role": role, "content": said} for role, said in _said(prompt)],
            tokenize=False,
            add_generation_prompt=True,
        )
        return tuple(self._encode(text))

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids

    def _hand_over(self) -> None:
        """Answer those whose rows are done."""
        for job in self._writing:
            if job.row is not None and job.row.done and not job.answered.is_set():
                text = self._tokenizer.decode(job.row.written, skip_special_tokens=True)
                tokens = (len(job.row.prompt), len(job.row.written))
                job.close(Reply(text, *tokens, seconds=job.waited))
        self._writing = [job for job in self._writing if not job.answered.is_set()]

    def _guarded(self, jobs: list[_Job], act: Callable[[], None]) -> None:
        """Do this; if it goes wrong those jobs fail, and the thread lives on."""
        try:
            act()
        except Exception as error:
            first = str(error).partition("\n")[0]
            for job in self._writing if jobs is self._writing else jobs:
                job.fail(f"{type(error).__name__}: {first}")
            if jobs is self._writing:
                self._batch.clear()


def local_model(
    name: str,
    *,
    beside: Path = Path(),
    adapter: str | None = None,
    say: Callable[[str], object] = print,
) -> LocalModel:
    """`local/smollm2`, or `local/PATH` with the path beside the study file."""
    if not name.startswith("local/") or name == "local/":
        raise ConfigError(f"a local model is local/smollm2 or local/PATH, saw {name!r}")
    folder = find(name, beside, say)
    lora = None if adapter is None else beside / Path(adapter).expanduser()
    return LocalModel(name, *load(folder, lora))


def _said(prompt: Prompt) -> list[tuple[str, str]]:
    """Who says what, in order."""
    opening = [] if prompt.system is None else [("system", prompt.system)]
    return [*opening, *prompt.before, ("user", prompt.text)]


def ends_of(model: Any, tokenizer: Any) -> frozenset[int]:
    """Tokens after which an answer is over."""
    ends = model.generation_config.eos_token_id
    listed = ends if isinstance(ends, list) else [ends]
    return frozenset(end for end in [*listed, tokenizer.eos_token_id] if end is not None)
