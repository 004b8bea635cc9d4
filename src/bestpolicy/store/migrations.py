"""Migrations: the numbered steps that made the schema, taken once by whoever comes first.

The steps run under an exclusive lock; losers wait and read the version again. A file is looked
at before it is touched, so one that is not ours, or too new, stays as it is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

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


def _claim(db: sqlite3.Connection) -> None:
    """Who plays which duel until when: store/claims.py."""
    db.execute(
        "CREATE TABLE claim (study INTEGER NOT NULL, duel INTEGER NOT NULL,"
        " token INTEGER NOT NULL, who TEXT NOT NULL, clock TEXT NOT NULL, until REAL NOT NULL,"
        " lease REAL NOT NULL, checksum INTEGER NOT NULL, PRIMARY KEY (study, duel)) STRICT"
    )
    db.execute("CREATE INDEX claim_token ON claim (study, token)")


def _ledger(db: sqlite3.Connection) -> None:
    """Live units, their feedback and the chances they were drawn with: store/ledger.py."""
    db.execute(
        "CREATE TABLE snapshot (study INTEGER NOT NULL, version INTEGER NOT NULL,"
        " reached INTEGER NOT NULL, told INTEGER NOT NULL, chances TEXT NOT NULL,"
        " checksum INTEGER NOT NULL, PRIMARY KEY (study, version)) STRICT"
    )
    # What is unique may be blanked when a person is deleted, and blanks never clash.
    db.execute(
        "CREATE TABLE assigned (study INTEGER NOT NULL, number INTEGER NOT NULL, unit TEXT,"
        " nth INTEGER NOT NULL, policy INTEGER NOT NULL, snapshot INTEGER NOT NULL,"
        " propensity REAL NOT NULL, counts INTEGER NOT NULL, seconds REAL NOT NULL,"
        " context TEXT NOT NULL, checksum INTEGER NOT NULL, PRIMARY KEY (study, number),"
        " UNIQUE (study, unit, nth)) STRICT"
    )
    db.execute(
        "CREATE TABLE ended (study INTEGER NOT NULL, seq INTEGER NOT NULL,"
        " number INTEGER NOT NULL, key TEXT, body TEXT NOT NULL, reward REAL,"
        " checksum INTEGER NOT NULL, PRIMARY KEY (study, seq), UNIQUE (study, number),"
        " UNIQUE (study, key)) STRICT"
    )
    db.execute(
        "CREATE TABLE decided (study INTEGER NOT NULL, reached INTEGER NOT NULL,"
        " body TEXT NOT NULL, checksum INTEGER NOT NULL, PRIMARY KEY (study, reached)) STRICT"
    )


def _rating(db: sqlite3.Connection) -> None:
    """What people were shown and said, and who was invited: store/ratings.py."""
    db.execute(
        "CREATE TABLE rating (seq INTEGER PRIMARY KEY, study INTEGER NOT NULL, kind TEXT NOT NULL,"
        " view TEXT NOT NULL, rater INTEGER NOT NULL, at REAL NOT NULL, body TEXT NOT NULL,"
        " checksum INTEGER NOT NULL, UNIQUE (study, view, kind)) STRICT"
    )
    db.execute(
        "CREATE TABLE rater (study INTEGER NOT NULL, number INTEGER NOT NULL, key TEXT NOT NULL,"
        " checksum INTEGER NOT NULL, UNIQUE (study, number), UNIQUE (study, key)) STRICT"
    )
    db.execute(
        "CREATE TABLE invite (study INTEGER NOT NULL, code TEXT NOT NULL, until REAL NOT NULL,"
        " checksum INTEGER NOT NULL, UNIQUE (study, code)) STRICT"
    )


MIGRATIONS: tuple[Callable[[Any], None], ...] = (
    _study_and_event,
    _call,
    _claim,
    _ledger,
    _rating,
)


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
