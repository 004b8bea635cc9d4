"""Group commit without a second thread: whoever takes the lock commits for everybody who waits.

One transaction and one sync for all, and only then is anybody acknowledged. A lone caller pays for
no hand-over, and a crowd shares its syncs. When the disk is full, the ballast that lies beside the
file is let go, so that what is under way can still be written; no further call is begun then.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from bestpolicy.core.nouns import StoreError
from bestpolicy.store.database import Database, Home, Job, Lost, Unwell

TIMES = 3  # a batch is begun anew when the connection is lost


@dataclass(slots=True, eq=False)
class _Call:
    """One caller's job, which is done as a whole or not at all."""

    job: Job
    done: bool = False
    error: StoreError | None = None


class Commits:
    """The one writer of a record in this process."""

    def __init__(self, home: Home) -> None:
        self.lock = Lock()  # whoever reads holds it too
        self.db = home.db
        self._home = home
        self._waiting: deque[_Call] = deque()
        self._ballast: Path | None = None
        self._full = False

    def write(self, job: Job) -> None:
        """Do it, and return when it is on disk."""
        call = _Call(job)
        self._waiting.append(call)
        with self.lock:
            if not call.done:
                calls = [self._waiting.popleft() for _ in range(len(self._waiting))]
                # A leader that was interrupted may have taken this call away undone.
                self._commit(calls if call in calls else [*calls, call])
        if call.error is not None:
            raise call.error

    @contextmanager
    def reading(self) -> Iterator[Database]:
        """The database, for reading alone; nobody of this process writes meanwhile."""
        with self.lock, self._home.plainly():
            yield self.db

    def lay_ballast(self, size: int) -> None:
        """Set room on the disk aside, for what is under way when the disk is full."""
        path = self._home.ballast
        if path is None:
            return
        try:
            with path.open("wb") as ballast:
                os.posix_fallocate(ballast.fileno(), 0, size)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise StoreError(
                f"{self._home.place}: {error.strerror}: a run keeps {size:,} bytes free beside it, "
                "so that answers under way can be written; make room, then do the same again"
            ) from None
        self._ballast = path

    def check_room(self) -> None:
        """A StoreError once the ballast is gone: the room that is left is for what is under way."""
        if self._full:
            raise StoreError(
                f"{self._home.place}: the disk is full; what was under way is written, and nothing "
                "more is asked; make room, then the same command goes on"
            )

    def close(self) -> None:
        with self.lock:
            self._home.close()
            self._drop_ballast()

    def _commit(self, calls: list[_Call]) -> None:
        """Write all jobs in one transaction; a refused one leaves its neighbours alone."""
        try:
            try:
                self._transact_whole(calls)
            except StoreError as error:
                full = self._home.is_full(error)
                self._full = self._full or full
                if not (full and self._drop_ballast()):
                    raise
                self._transact_whole(calls)
        except StoreError as error:
            for call in calls:
                call.error = call.error or error
        except BaseException:
            for call in calls:
                call.error = StoreError("the writer was interrupted: write the same again")
            raise
        finally:
            for call in calls:
                call.done = True

    def _transact_whole(self, calls: list[_Call]) -> None:
        """The same, as often as the connection is lost before anything of it stands."""
        for _ in range(TIMES):
            try:
                return self._transact(calls)
            except Lost as error:
                lost = error
        raise lost

    def _transact(self, calls: list[_Call]) -> None:
        with self._home.plainly(), self._home.transaction():
            for call in calls:
                call.error = None
                try:
                    call.job(self.db)
                except Unwell:
                    raise
                except StoreError as refusal:
                    call.error = refusal

    def _drop_ballast(self) -> bool:
        ballast, self._ballast = self._ballast, None
        if ballast is None:
            return False
        with suppress(OSError):
            ballast.unlink()
        return True
