"""A schema of a PostgreSQL server: looked at before it is touched, and made by whoever comes first.

The steps are those of SQLite (migrations.py), said in PostgreSQL's words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bestpolicy.core.nouns import StoreError
from bestpolicy.store.database import Damaged, Home, Rows
from bestpolicy.store.migrations import MIGRATIONS


def is_newest(server: Home, schema: str) -> bool:
    """Whether no step is missing."""
    return version(server, schema) == len(MIGRATIONS)


def version(server: Home, schema: str) -> int:
    """The schema's number, 0 if it is empty; a StoreError if it is no record of ours."""
    looks = (
        "SELECT to_regclass(?) IS NOT NULL, (SELECT count(*) FROM pg_class c JOIN pg_namespace n"
        " ON n.oid = c.relnamespace WHERE n.nspname = ?)"
    )
    ours, tables = server.db.execute(looks, (f'"{schema}".bestpolicy_schema', schema)).fetchone()
    if not ours:
        if tables:
            raise StoreError(
                f"{server.place}: the schema {schema} holds something else ({tables} tables and "
                "indices); it was left as it is: name another with ?schema=name"
            )
        return 0
    row = server.db.execute("SELECT version FROM bestpolicy_schema").fetchone()
    if row is None:
        raise Damaged("the schema has no number")
    (found,) = row
    if found > len(MIGRATIONS):
        raise StoreError(
            f"{server.place} has schema {found}, and this version of bestpolicy knows up to "
            f"{len(MIGRATIONS)}; it was left as it is: open it with a newer bestpolicy"
        )
    return int(found)


def migrate(server: Home, schema: str) -> None:
    """Take the steps that are missing, all or none of them, while nobody else can."""
    with server.transaction():
        # Looked at under the lock: somebody else may have migrated while we waited for it.
        there = server.db.execute(
            "SELECT 1 FROM pg_namespace WHERE nspname = ?", (schema,)
        ).fetchone()
        if there is None:
            server.db.execute(f'CREATE SCHEMA "{schema}"')
        if not (found := version(server, schema)):
            server.db.execute("CREATE TABLE bestpolicy_schema (version BIGINT NOT NULL)")
            server.db.execute("INSERT INTO bestpolicy_schema VALUES (0)")
        for step in MIGRATIONS[found:]:
            step(_Builder(server))
        server.db.execute("UPDATE bestpolicy_schema SET version = ?", (len(MIGRATIONS),))


class _Builder:
    """Says SQLite's definitions in PostgreSQL's words: the same widths, the same order of texts."""

    def __init__(self, server: Home) -> None:
        self._server = server

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Rows:
        words = (("INTEGER", "BIGINT"), (" REAL", " DOUBLE PRECISION"), (" STRICT", ""))
        for ours, theirs in (*words, (" TEXT", ' TEXT COLLATE "C"')):
            sql = sql.replace(ours, theirs)
        return self._server.db.execute(sql, values)
