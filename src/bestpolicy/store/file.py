"""One SQLite file: opened, looked over, and spoken of in plain words."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from zlib import crc32

from bestpolicy.core.nouns import StoreError
from bestpolicy.store.database import Damaged, Database
from bestpolicy.store.migrations import MIGRATIONS, migrate, version
from bestpolicy.store.rows import canonical

PATIENCE = 30.0  # seconds to wait for another process's lock
# A deferred transaction that reads, then writes, fails at once when somebody wrote in between,
# whatever the timeout.
BEGIN = "BEGIN IMMEDIATE"

DAMAGED = "the file is damaged and was left as it is; restore a copy, or name a new file"
NOTHING = "nothing of this call was recorded"
REMEDIES = {
    sqlite3.SQLITE_FULL: f"{NOTHING}; make room on the disk, then do the same again",
    sqlite3.SQLITE_IOERR: f"{NOTHING}; see to the disk, then do the same again",
    sqlite3.SQLITE_READONLY: f"{NOTHING}; make the file and its folder writable",
    sqlite3.SQLITE_BUSY: f"{NOTHING}; another process has held the file for {PATIENCE:.0f} s",
    sqlite3.SQLITE_CANTOPEN: "name a file that may be read and written, in a folder that may too",
    sqlite3.SQLITE_NOTADB: "it holds something else and was left as it is; name another file",
}


class File:
    """A record's file, open."""

    def __init__(self, path: str) -> None:
        self.place = path
        self.db = connect(path)
        self.ballast = Path(f"{path}-ballast")

    def transaction(self) -> AbstractContextManager[None]:
        return transaction(self.db)

    def plainly(self) -> AbstractContextManager[None]:
        return plainly(self.place)

    def is_full(self, error: StoreError) -> bool:
        code = getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF
        return code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)

    def close(self) -> None:
        self.db.close()


def connect(path: str) -> sqlite3.Connection:
    """An open database of the newest schema. Nothing is written to a file that is refused."""
    folder = Path(path).parent
    if not folder.is_dir():
        raise StoreError(f"cannot open {path}: there is no folder {folder}; make it first")
    with plainly(path):
        db = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
        try:
            with transaction(db, "BEGIN"):
                found = version(db, path)
            if found:
                _check_whole(db)
            _keep_a_log(db)
            db.execute("PRAGMA synchronous = FULL")
            if found < len(MIGRATIONS):
                migrate(db, path)
        except BaseException:
            db.close()
            raise
    return db


def checksum(*fields: int | float | str) -> int:
    """What a row's other columns must add up to."""
    # A bit that flips inside a row is invisible to SQLite; a changed share must not be believed.
    return crc32(canonical(fields).encode())


@contextmanager
def transaction(db: sqlite3.Connection, begin: str = "") -> Iterator[None]:
    """All of it or nothing."""
    db.execute(begin or BEGIN)
    try:
        yield
        db.execute("COMMIT")
    finally:
        # SQLite rolls back by itself after some errors, a full disk among them.
        if db.in_transaction:
            db.execute("ROLLBACK")


@contextmanager
def plainly(path: str) -> Iterator[None]:
    """Whatever SQLite says comes out as a StoreError that tells what to do."""
    try:
        yield
    except sqlite3.ProgrammingError as error:
        raise StoreError(f"{path}: {error}; open the study again") from error
    except Damaged as error:
        raise StoreError(f"{path}: {error}; {DAMAGED}") from error
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        raise StoreError(f"{path}: {error}; {REMEDIES.get(code, DAMAGED)}") from error
    except ValueError as error:
        raise StoreError(f"{path}: a row cannot be read ({error}); {DAMAGED}") from error


def _check_whole(db: sqlite3.Connection) -> None:
    (found,) = db.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise Damaged(found)
    check_rows(db)


def check_rows(db: Database) -> None:
    """That no event is missing, and that each study is what was written."""
    count, last = db.execute("SELECT count(*), coalesce(max(seq), 0) FROM event").fetchone()
    if count != last:
        raise Damaged(f"{last} events were numbered and {count} are there")
    for *row, stored in db.execute("SELECT id, name, settings, created, checksum FROM study"):
        if stored != checksum(*row):
            raise Damaged(f"study {row[0]} is not what was written")


def _keep_a_log(db: sqlite3.Connection) -> None:
    """Switch to write-ahead logging, in which readers and the writer do not wait for each other."""
    end = time.monotonic() + PATIENCE
    while db.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # SQLite does not wait by itself when two connections switch at once.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.002)
