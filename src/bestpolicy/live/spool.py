"""The spool: rows on their way to the server, in a file that outlives the process.

Each process writes a file of its own, which it holds locked. A file that nobody holds was left by
a process that has ended; whoever finds it sends it on. Rows are forgotten once the server has them:
sending one twice does no harm, since rows are keyed.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4


class Spool:
    """Rows that are not sent yet. One thread adds, takes and forgets."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / f"rows-{uuid4().hex}.jsonl"
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._rows: deque[dict[str, Any]] = deque()
        self._adopt()

    @property
    def waiting(self) -> int:
        return len(self._rows)

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        """Keep these; they are on disk when this returns."""
        if not rows:
            return
        text = "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows).encode()
        size = os.fstat(self._file).st_size
        try:
            written = 0
            while written < len(text):
                written += os.write(self._file, text[written:])
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, size)  # half a row is none
            raise
        self._rows.extend(rows)

    def next(self, most: int) -> list[dict[str, Any]]:
        """The oldest rows that are not sent yet."""
        return [self._rows[i] for i in range(min(most, len(self._rows)))]

    def sent(self, many: int) -> None:
        """Forget as many of the oldest: the server has them."""
        for _ in range(many):
            self._rows.popleft()
        if not self._rows:
            os.ftruncate(self._file, 0)

    def close(self) -> None:
        if not self._rows:
            with suppress(OSError):
                self._path.unlink()
        os.close(self._file)

    def _adopt(self) -> None:
        """Take over what processes that have ended left behind."""
        for path in sorted(self._folder.glob("rows-*.jsonl")):
            if path == self._path:
                continue
            try:
                left = os.open(path, os.O_RDWR)
            except OSError:
                continue
            try:
                fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self.add(_rows(path))
                path.unlink(missing_ok=True)
            except OSError:
                continue  # somebody holds it
            finally:
                os.close(left)


def _rows(path: Path) -> list[dict[str, Any]]:
    """The whole rows of a file; a last one that a crash cut off was never acknowledged."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        with suppress(ValueError):
            row = json.loads(line)
            if isinstance(row, dict):
                rows.append(row)
    return rows
