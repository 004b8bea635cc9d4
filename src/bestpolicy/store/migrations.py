"""Migrations: the numbered steps that made the schema, taken once by whoever comes first.

The steps run under an exclusive lock; losers wait and read the version again. A file is looked
at before it is touched, so one that is not ours, or too new, stays as it is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from bestpolicy.core.nouns import StoreError

MARK = 0x62706F6C  # "bpol" in the file's header, so that no other program's tables are mistaken


def _study_and_event(db: sqlite3.Connection) -> None:
    db.execute(
        "CREATE TABLE study (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
        " settings TEXT NOT NULL, created TEXT NOT NULL, checksum INTEGER NOT NULL) STRICT"
    )
    db.execute(
        "CREATE TABLE event (seq INTEGER PRIMARY KEY, study INTEGER NOT NULL,"
        " kind TEXT NOT NULL, duel INTEGER NOT NULL, body TEXT NOT NULL,"
        " checksum INTEGER NOT NULL, UNIQUE (study, kind, duel)) STRICT"
    )


def _call(db: sqlite3.Connection) -> None:
    db.execute(
        "CREATE TABLE call (seq INTEGER PRIMARY KEY, study INTEGER NOT NULL, key TEXT NOT NULL,"
        " state TEXT NOT NULL, settles INTEGER NOT NULL, duel INTEGER NOT NULL,"
        " role TEXT NOT NULL, who TEXT NOT NULL, usd REAL NOT NULL, seconds REAL NOT NULL,"
        " tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL, text TEXT NOT NULL,"
        " failures TEXT NOT NULL, checksum INTEGER NOT NULL) STRICT"
    )
    db.execute("CREATE INDEX call_key ON call (study, key)")


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (_study_and_event, _call)


def version(db: sqlite3.Connection, path: str) -> int:
    """The schema's number, 0 for an empty file; a StoreError for a file that is no record.

    Read it inside a transaction: the three looks must see one moment.
    """
    (found,) = db.execute("PRAGMA user_version").fetchone()
    (mark,) = db.execute("PRAGMA application_id").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if mark != MARK and (mark or found or tables):
        raise StoreError(
            f"{path} is a database of something else ({tables} tables and indices, header mark "
            f"{mark:#x}); it was left as it is: name another file"
        )
    if not 0 <= found <= len(MIGRATIONS):
        raise StoreError(
            f"{path} has schema {found}, and this version of bestpolicy knows up to "
            f"{len(MIGRATIONS)}; it was left as it is: open it with a newer bestpolicy"
        )
    return int(found)


def migrate(db: sqlite3.Connection, path: str) -> None:
    """Take the steps that are missing, all or none of them, while nobody else can."""
    db.execute("BEGIN EXCLUSIVE")
    try:
        # Read under the lock: somebody else may have migrated while we waited for it.
        for step in MIGRATIONS[version(db, path) :]:
            step(db)
        db.execute(f"PRAGMA application_id = {MARK}")
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")
