"""A record in memory: it keeps every promise of a store but survival."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

from bestpolicy.core.nouns import Comparison, Outcome, StoreError, Verdict
from bestpolicy.core.roster import Change
from bestpolicy.store.rows import Event, Key, key, may_join


class MemoryStore:
    """The append-only record of one study, as long as the process lives."""

    def __init__(self) -> None:
        self._events: list[tuple[int, Event]] = []
        self._held: dict[Key, Event] = {}
        self._lock = Lock()
        self._closed = False

    def asked(self, comparisons: Sequence[Comparison]) -> None:
        self._append(comparisons)

    def told(self, outcomes: Sequence[Outcome]) -> None:
        self._append(outcomes)

    def announce(self, verdict: Verdict[int]) -> None:
        self._append((verdict,))

    def changed(self, changes: Sequence[Change]) -> None:
        self._append(changes)

    def history(self, after: int = 0) -> list[tuple[int, Event]]:
        return self._events[after:]

    def close(self) -> None:
        self._closed = True

    def _append(self, events: Sequence[Event]) -> None:
        with self._lock:
            if self._closed:
                raise StoreError("this record is closed: open the study again to write to it")
            news: dict[Key, Event] = {}
            for event in events:
                name = key(event)
                question = self._held.get(("asked", name[1])) if name[0] == "told" else None
                asked = question if isinstance(question, Comparison) else None
                held = self._held.get(name) or news.get(name)
                if may_join(event, held, asked, ours=True):
                    news[name] = event
            # All of a call or none of it, as in a transaction.
            self._held.update(news)
            for event in news.values():
                self._events.append((len(self._events) + 1, event))
