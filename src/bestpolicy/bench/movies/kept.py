"""Kept: what a generator has said, in a file, under what made it.

    key = hash of the weights, the template, how sentences are drawn, and the chunk they are in

What was said under another key is not found. Chunks are kept whole or not at all, so that a run
that was cut off goes on where it stopped.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bestpolicy.core.nouns import StoreError

PATIENCE = 30.0  # seconds to wait for another process's lock
TABLE = """CREATE TABLE IF NOT EXISTS said (
    made_by TEXT NOT NULL, place INTEGER NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (made_by, place)) WITHOUT ROWID"""


class Kept:
    """Sentences in a file, which is made when it is not there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.written = 0  # sentences that were not there before
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as db:
            db.execute(TABLE)

    def of(self, key: str) -> list[str]:
        """What was said under this key, in order; nothing if nothing was."""
        with self._open() as db:
            rows = db.execute("SELECT text FROM said WHERE made_by = ? ORDER BY place", (key,))
            return [text for (text,) in rows]

    def keep(self, key: str, texts: Sequence[str]) -> None:
        """All of these or, if the machine stops, none; what is there already stays."""
        with self._open() as db, db:
            rows = [(key, place, text) for place, text in enumerate(texts)]
            self.written += len(rows)
            db.executemany("INSERT OR IGNORE INTO said VALUES (?, ?, ?)", rows)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            db = sqlite3.connect(self._path, timeout=PATIENCE)
            try:
                yield db
            finally:
                db.close()
        except sqlite3.Error as error:
            raise StoreError(
                f"{self._path}: {error}; it is only a cache: delete it, or name another folder"
            ) from error
