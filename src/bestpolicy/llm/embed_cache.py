"""Cached: points kept in a file under (what made them, the text's hash).

Embedding again calls no model; other weights have another hash and find nothing. Several processes
may share the file: a point is the same whoever writes it first.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from bestpolicy.core.embedder import Embedder, Points, text_hash
from bestpolicy.core.nouns import ConfigError, StoreError

AT_ONCE = 500  # texts that are looked up together
PART = 4096  # texts that are embedded before their points are on disk
PATIENCE = 30.0  # seconds to wait for another process's lock
TABLE = """CREATE TABLE IF NOT EXISTS point (
    made_by TEXT NOT NULL, text TEXT NOT NULL, coordinates BLOB NOT NULL,
    PRIMARY KEY (made_by, text)) WITHOUT ROWID"""


class Cached:
    """An embedder that asks another one for texts that are new to the file."""

    def __init__(self, asked: Embedder, path: Path) -> None:
        self.name, self.hash, self.width = asked.name, asked.hash, asked.width
        self._asked, self._path = asked, path
        if not path.parent.is_dir():
            raise ConfigError(f"cannot keep points in {path}: there is no folder {path.parent}")
        with self._open() as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute(TABLE)

    def embed(self, texts: Sequence[str]) -> Points:
        keys = [text_hash(text) for text in texts]
        by_key = dict(zip(keys, texts, strict=True))
        with self._open() as db:
            known = self._known(db, list(by_key))
            new = [key for key in by_key if key not in known]
            for part in range(0, len(new), PART):
                some = new[part : part + PART]
                points = self._asked.embed([by_key[key] for key in some])
                rows = zip(some, points.astype("<f4"), strict=True)
                with db:
                    db.executemany(
                        "INSERT OR IGNORE INTO point VALUES (?, ?, ?)",
                        [(self.hash, key, point.tobytes()) for key, point in rows],
                    )
                known.update(zip(some, points, strict=True))
        made = np.empty((len(keys), self.width), dtype=np.float32)
        for i, key in enumerate(keys):
            made[i] = known[key]
        return made

    def _known(self, db: sqlite3.Connection, keys: Sequence[str]) -> dict[str, Points]:
        found: dict[str, Points] = {}
        for part in range(0, len(keys), AT_ONCE):
            some = keys[part : part + AT_ONCE]
            marks = ", ".join("?" * len(some))
            rows = db.execute(
                f"SELECT text, coordinates FROM point WHERE made_by = ? AND text IN ({marks})",
                (self.hash, *some),
            )
            for key, coordinates in rows:
                if len(coordinates) != 4 * self.width:
                    raise StoreError(
                        f"{self._path}: a point of {self.name} has {len(coordinates)} bytes where "
                        f"{4 * self.width} were written; the file is damaged: delete it, it is "
                        "only a cache"
                    )
                found[key] = np.frombuffer(coordinates, dtype="<f4")
        return found

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
                f"{self._path}: {error}; it is only a cache: delete it, or name another file"
            ) from error
