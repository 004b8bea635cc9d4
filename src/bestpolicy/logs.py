"""Logs: what the words of a command line mean, made a log, targets and answers.

    FILE + columns ──► Logged        uniform | logging | ACTION | always:ACTION | column:NAME |
    words          ──► targets       call:module:function, of contexts, found beside the file |
                                     learned:FILE, which `learn` has written
    both           ──► Answers

A log that fits is read once and kept; a larger one stays in its file and is read once a target.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bestpolicy.config.calls import CallFault, resolve
from bestpolicy.core.log import Log, Logged
from bestpolicy.core.nouns import Array, ConfigError
from bestpolicy.llm.embed import embedder as named
from bestpolicy.llm.home import cache_folder
from bestpolicy.offpolicy.bank import QUERY, TEXT, Bank, embedded
from bestpolicy.offpolicy.bank_file import read_bank
from bestpolicy.offpolicy.describe import describe
from bestpolicy.offpolicy.evaluate import ESTIMATORS, evaluate_all
from bestpolicy.offpolicy.learn import Learned, learn
from bestpolicy.offpolicy.policy_file import read_policy
from bestpolicy.offpolicy.readers import LogFile, read_log
from bestpolicy.offpolicy.readers.guess import Unsaid
from bestpolicy.offpolicy.sides import Asked as Asked
from bestpolicy.offpolicy.targets import Tabled
from bestpolicy.report.described import Described
from bestpolicy.report.log_words import About, Answers

MOST_CELLS = 8_000_000  # of a log that is kept in memory: 64 MB, and as much while it is read
EVERY, LINE = 0.1, 15.0  # seconds between two looks on a terminal, and between two plain lines
PARTS = {  # of a log, as the options name them
    "actions": "action",
    "rewards": "reward",
    "propensity": "propensity",
    "contexts": "context",
    "propensities": "propensities",
    "loggers": "logger",
    "times": "time",
    "weight": "weight",
    "ids": "id",
}
OF_BANKS = (QUERY, TEXT)  # columns of a log that is held against a bank
Watch = Callable[[str], None]  # told in words how far it has come


@dataclass(frozen=True)
class Watched:
    """A log that says how far it has been read."""

    log: Logged
    watch: Watch

    @property
    def names(self) -> tuple[str, ...]:
        return self.log.names

    @property
    def bounds(self) -> tuple[float, float]:
        return self.log.bounds

    @property
    def notes(self) -> tuple[str, ...]:
        return self.log.notes

    def __len__(self) -> int:
        return len(self.log)

    def keeping(self, *columns: str) -> Watched:
        return replace(self, log=self.log.keeping(*columns))

    def chunks(self) -> Iterator[Log]:
        for chunk in self.log.chunks():
            yield chunk
            self.watch(f"{chunk.start + len(chunk):,} of {len(self):,} rows")


def open_log(
    file: str,
    said: Mapping[str, Any],
    command: str,
    *,
    keep: Sequence[str] = (),
    ids: bool = False,  # of requests are needed at hand
) -> Logged:
    """The log of a file; columns that nobody named are shown as the options that would."""
    try:
        log = read_log(file, keep=keep, **said)
    except Unsaid as error:
        raise ConfigError(f"{file}: {spoken(error, file, command)}") from None
    if ids and isinstance(log, LogFile) and log.plan.id is not None:
        log = log.keeping(log.plan.id)
    wide = len(log.names) if said.get("propensities") else 0
    width = 4 + len(keep) + len(said.get("context") or ()) + wide
    if len(log) * width > MOST_CELLS or not hasattr(log, "load"):
        return log
    made: Logged = log.load()
    return made


def spoken(error: Unsaid, file: str, command: str) -> str:
    """Which part is missing, and the guess as what would have to be typed."""
    from shlex import quote

    missing = f"no column was said to be the {error.part} of this log"
    if not error.guess:
        return f"{missing}; say which with --{error.part} NAME. {error.near}"
    options = [f"--{part} {quote(column)}" for part, column in error.guess.items()]
    lacks = [f"--{part} NAME" for part in error.lacks]
    typed = f"bestpolicy {command} {quote(file)} {' '.join([*options, *lacks])}"
    if lacks:
        return f"{missing}; by their names the others would be\n  {typed}\n{error.near}"
    return f"{missing}; if this guess is right, say so, or use it with --guess:\n  {typed}"


def beside(log: Logged, bank: str, embedder_name: str) -> tuple[Logged, Bank]:
    """The log with a point for each of its sentences, and the bank that it is held against.

    Points are kept by text: whoever asks again embeds what is new."""
    home = cache_folder()
    home.mkdir(parents=True, exist_ok=True)
    embedder = named(embedder_name, home / "embeddings.db")
    whole = log.load() if isinstance(log, LogFile) else log
    assert isinstance(whole, Log)
    made = embedded(whole, embedder)
    return made, read_bank(bank, made.names, embedder).for_log(made)


def about(file: str, log: Logged) -> About:
    """What is said of a log, whatever it is asked."""
    called: Mapping[str, str] = getattr(log, "called", None) or log.plan.called  # type: ignore[attr-defined]
    notes = [note for note in log.notes if not note.startswith("columns: ")]
    return About(
        Path(file).name,
        len(log),
        len(log.names),
        log.bounds,
        called.get("rewards", "reward"),
        {PARTS.get(part, part): name for part, name in called.items()},
        any(note.startswith("columns: ") and "(guessed)" in note for note in log.notes),
        tuple(notes),
    )


def columns_of(words: Sequence[str]) -> list[str]:
    """The columns that targets are read from."""
    return [word.removeprefix("column:") for word in words if word.startswith("column:")]


def targets_of(words: Sequence[str], file: str) -> dict[str, Any]:
    """What each word means, by the name that it goes by in answers."""
    targets: dict[str, Any] = {}
    for word in words:
        kind, _, rest = word.partition(":")
        known = {"column": rest, "call": rest, "always": f"always {rest}", "learned": rest}
        name = known.get(kind, word)
        if not name or (kind in known and not rest):
            raise ConfigError(f"--target {word!r} names nothing after {kind}:")
        if name in targets:
            raise ConfigError(f"--target {word!r}: {name!r} was asked about already")
        if kind == "call":
            targets[name] = _called(rest, Path(file).absolute().parent)
        else:
            targets[name] = read_policy(rest) if kind == "learned" else word
    return targets


def has_learned(words: Sequence[str]) -> bool:
    """Whether a target is a policy that must not be valued on rows it has seen."""
    return any(word.startswith("learned:") for word in words)


def _called(name: str, folder: Path) -> Tabled:
    """A function of contexts that gives the chances of all actions."""
    try:
        function = resolve(name, folder, ("contexts",), home="the log")
    except CallFault as fault:
        raise ConfigError(f"--target call:{name}: {fault}") from None

    def make(log: Log) -> Array:
        if log.contexts is None:
            raise ConfigError(f"--target call:{name} needs contexts: name them with --context")
        try:
            return np.asarray(function(log.contexts), dtype=np.float64)
        except Exception as error:
            raise ConfigError(
                f"--target call:{name} raised {type(error).__name__}: {error}"[:300]
            ) from error

    return Tabled(make, name)


def answers(
    file: str,
    log: Logged,
    targets: Mapping[str, Any],
    *,
    confidence: float,
    watch: Watch,
    **options: Any,
) -> Answers:
    """What the log says of each target."""
    _answerable(targets, options.get("estimators", ()))
    found = evaluate_all(Watched(log, watch), targets, confidence=confidence, **options)
    return Answers(about(file, log), tuple(found.values()), confidence)


def _answerable(targets: Mapping[str, Any], estimators: Sequence[str]) -> None:
    """Refuse a model of the reward for a target that is known on logged actions alone."""
    modelled = [
        name
        for name in estimators
        if name in ESTIMATORS and "predictions" in ESTIMATORS[name].needs
    ]
    for word in targets.values() if modelled else ():
        if isinstance(word, str) and word.startswith("column:"):
            raise ConfigError(
                f"{' and '.join(modelled)} need the chances of all actions, and {word} has those "
                "of logged actions alone; leave them out, or give the target as "
                "call:module:function"
            )


def lesson(file: str, log: Logged, *, watch: Watch, **options: Any) -> tuple[About, Learned]:
    """What is learnt from the log."""
    return about(file, log), learn(log, watch=watch, **options)


def description(file: str, log: Logged, *, watch: Watch) -> Described:
    """What the log holds and can answer."""
    return Described(about(file, log), describe(Watched(log, watch)))


def paced(show: Watch, every: float) -> Watch:
    """The same, only so often: a terminal sees it move, a file gets a line now and then."""
    due = time.monotonic() + every

    def watch(words: str) -> None:
        nonlocal due
        if time.monotonic() >= due:
            show(words)
            due = time.monotonic() + every

    return watch
