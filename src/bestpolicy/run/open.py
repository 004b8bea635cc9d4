"""A study of a file, opened where its record ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from bestpolicy.config import StudyFile
from bestpolicy.core.nouns import StoreError
from bestpolicy.store import LastingStore, open_store
from bestpolicy.store.calls import Calls
from bestpolicy.store.claims import Claims
from bestpolicy.store.ratings import Ratings
from bestpolicy.study import Study

ROOM = 1 << 20  # bytes, and for each worker:
ROOM_EACH = 1 << 17  # what two answers, a verdict and the pages around them may take


@dataclass(frozen=True, slots=True)
class Opened:
    """A study, its file and its calls."""

    file: StudyFile
    study: Study
    calls: Calls
    claims: Claims
    ratings: Ratings
    before: int = 0  # answers that were there already

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.study.close()


def open_study(file: StudyFile, *, to_play: bool = False) -> Opened:
    """The study of this file, resumed where its record ends."""
    return opened(Study(**file.settings()), file, to_play=to_play)


def opened(study: Study, file: StudyFile, *, to_play: bool) -> Opened:
    """A study with its calls; it is closed if it cannot be played.

    What the answers depend on is kept beside the record under a name of its own: a study whose
    prompts or judge were changed half-way would mix the answers of two studies.
    """
    try:
        beside = f"{study.name}: policies and judge"
        open_store(file.store, beside, file.definition).close()
        store = study.store
        if not isinstance(store, LastingStore):
            raise StoreError(f"{file.record}: a run needs a record on disk")
        if to_play:
            store.lay_ballast(ROOM + ROOM_EACH * file.section.workers)
        before = len(study.outcomes())
        return Opened(file, study, store.calls(), store.claims(), store.ratings(), before)
    except BaseException:
        study.close()
        raise
