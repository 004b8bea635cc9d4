"""A record on a PostgreSQL server, shared by any number of machines.

    BEGIN ──► the schema's lock ──► jobs ──► COMMIT, on disk

Whoever writes holds one advisory lock until the commit is seen, so that numbers come in the order
of commits: a reader that goes on from the last number it knows skips nothing, and two writers never
wait for each other in a ring. When a connection is lost in the midst of a commit, the server is
asked what became of that very transaction; nothing is written twice and nothing is guessed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

import psycopg
from psycopg import errors

from bestpolicy.core.nouns import Settings, StoreError
from bestpolicy.store import file
from bestpolicy.store.address import Address, address
from bestpolicy.store.database import Damaged, Database, Lost, Unwell
from bestpolicy.store.lasting import LastingStore
from bestpolicy.store.server_schema import is_newest, migrate, version

PATIENCE = 30.0  # seconds to wait for another writer's lock
IDLE = 5.0  # seconds in which a writer must go on, or its transaction is ended
RETURN = 10.0  # seconds to wait for a server that was there a moment ago
LOCK = 0x62706F6C  # "bpol"; the second key is the schema's
# A writer that is stopped in the midst of a transaction must not stop everybody else for ever.
SESSION = f"""
SET client_encoding = 'UTF8'; SET synchronous_commit = on; SET extra_float_digits = 1;
SET standard_conforming_strings = on; SET lock_timeout = '{PATIENCE:.0f}s';
SET idle_in_transaction_session_timeout = '{IDLE:.0f}s'
"""
NUL, ESCAPE = "\x00", "\ue000"  # PostgreSQL's text has no NUL: a character for private use says it

END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_xid::text = %s"

NOTHING = "nothing of this call was recorded"
UNKNOWN = (
    "the connection was lost in the midst of a commit, and whether it was recorded is not known: "
    "do the same again, which counts once"
)
DAMAGED = "the record is damaged and was left as it is; restore a backup, or name another schema"
REMEDIES: tuple[tuple[type[psycopg.Error], str], ...] = (
    (errors.DiskFull, f"{NOTHING}; make room on the server's disk, then do the same again"),
    (errors.ReadOnlySqlTransaction, f"{NOTHING}; name the primary server, which can be written to"),
    (errors.InsufficientPrivilege, f"{NOTHING}; the user needs the right to use this schema"),
    (errors.LockNotAvailable, f"{NOTHING}; another process has held the lock for {PATIENCE:.0f} s"),
    (errors.UntranslatableCharacter, f"{NOTHING}; the database must be encoded in UTF8"),
    (errors.QueryCanceled, f"{NOTHING}; the server broke it off: do the same again"),
    (errors.IntegrityError, f"{NOTHING}; {DAMAGED}"),
    (errors.UndefinedTable, DAMAGED),
)
# What a connection is refused with, in the server's words, as these errors carry no code.
REFUSALS = (
    ("password", "give the right one in the address, in PGPASSWORD or in ~/.pgpass"),
    ("role", "name a user that the server knows"),
    ("database", "make it first: createdb"),
    ("too many", "the server takes no more connections: try again later, or raise its limit"),
    ("", "see that the server runs and that host and port are right"),
)


class Server:
    """A connection to a server, which is made again when it is lost. It is its own `Database`."""

    ballast: Path | None = None

    def __init__(self, where: Address) -> None:
        self.place = where.shown
        self._where = where
        self._inside = self._closed = False  # inside a transaction, closed by us
        self._lock = (LOCK, crc32(where.schema.encode()) - 2**31)
        self._connection = self._connected()

    @property
    def db(self) -> Database:
        return self

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Found:
        """Do it; alone it may be done again after a lost connection, as only reading is alone."""
        try:
            return self._executed(sql, values)
        except psycopg.Error as error:
            if self._inside or not self._is_lost():
                raise self._plain(error) from error
        self._connect_again()
        try:
            return self._executed(sql, values)
        except psycopg.Error as error:
            raise self._plain(error) from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        number = self._begin()
        try:
            yield
            self._commit(number)
        finally:
            if self._inside:
                self._inside = False
                with suppress(psycopg.Error):
                    self._connection.execute("ROLLBACK")

    @contextmanager
    def plainly(self) -> Iterator[None]:
        try:
            yield
        except Damaged as error:
            raise StoreError(f"{self.place}: {error}; {DAMAGED}") from error
        except psycopg.Error as error:
            raise self._plain(error) from error
        except ValueError as error:
            raise StoreError(f"{self.place}: a row cannot be read ({error}); {DAMAGED}") from error

    def is_full(self, error: StoreError) -> bool:
        return isinstance(error.__cause__, errors.DiskFull)

    def close(self) -> None:
        self._closed = True
        self._connection.close()

    def _executed(self, sql: str, values: Sequence[Any]) -> Found:
        escaped = [_escape(v) if isinstance(v, str) else v for v in values]
        return Found(self._connection.execute(_translated(sql), escaped))

    def _begin(self) -> int:
        """Begin to write, alone; the transaction's number, by which the server knows it."""
        begin = (
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;"
            f" SELECT pg_advisory_xact_lock({self._lock[0]}, {self._lock[1]});"
            " SELECT txid_current()"
        )
        for last in (False, True):
            try:
                cursor = self._connection.execute(begin.encode())
                break
            except psycopg.Error as error:
                if last or not self._is_lost():
                    with suppress(psycopg.Error):
                        self._connection.execute("ROLLBACK")
                    raise self._plain(error) from error
                self._connect_again()
        self._inside = True
        while cursor.nextset():
            pass
        (number,) = cursor.fetchone() or (0,)
        return int(number)

    def _commit(self, number: int) -> None:
        try:
            self._connection.execute("COMMIT")
        except psycopg.Error as error:
            if not self._is_lost():
                raise self._plain(error) from error
            self._inside = False
            if not self._was_committed(number):
                raise Lost(f"{self.place}: {_said(error)}; {NOTHING}; do the same again") from error
        self._inside = False

    def _was_committed(self, number: int) -> bool:
        """What became of a transaction whose end was not heard."""
        end = time.monotonic() + RETURN
        try:
            while True:
                self._connect_again()
                found = self._connection.execute("SELECT txid_status(%s)", (number,)).fetchone()
                if found is not None and found[0] != "in progress":
                    return bool(found[0] == "committed")
                # The server has not noticed that nobody is there, and holds the lock for nobody.
                self._connection.execute(END, (str(number % 2**32),))
                if time.monotonic() > end:
                    raise StoreError(f"{self.place}: {UNKNOWN}")
                time.sleep(0.05)
        except (psycopg.Error, Unwell) as error:
            raise StoreError(f"{self.place}: {UNKNOWN}") from error

    def _is_lost(self) -> bool:
        return self._connection.closed or self._connection.broken

    def _connect_again(self) -> None:
        if self._closed:
            raise Unwell(f"{self.place} is closed; open the study again")
        if not self._is_lost():
            return
        end = time.monotonic() + RETURN
        while True:
            try:
                self._connection = self._connected()
                return
            except StoreError:
                if time.monotonic() > end:
                    raise
            time.sleep(0.1)

    def _connected(self) -> psycopg.Connection[tuple[Any, ...]]:
        where = self._where
        try:
            connection = psycopg.connect(where.url, autocommit=True, **_timeout(where.url))
        except psycopg.ProgrammingError as error:
            raise Unwell(f"{self.place}: {where.masked(_said(error))}") from None
        except psycopg.Error as error:
            said = where.masked(_said(error))
            remedy = next(remedy for word, remedy in REFUSALS if word in said)
            raise Unwell(f"cannot open {self.place}: {said}; {remedy}") from None
        try:
            connection.execute(SESSION.encode())
            connection.execute(f'SET search_path = "{where.schema}"'.encode())
            (encoding,) = connection.execute("SHOW server_encoding").fetchone() or ("",)
        except psycopg.Error as error:
            connection.close()
            raise self._plain(error) from error
        if encoding != "UTF8":
            connection.close()
            raise Unwell(
                f"{self.place}: the database is encoded in {encoding}, which cannot hold every "
                "text: make one with createdb --encoding UTF8 --template template0"
            )
        return connection

    def _plain(self, error: psycopg.Error) -> StoreError:
        remedy = next((remedy for kind, remedy in REMEDIES if isinstance(error, kind)), NOTHING)
        kind = Unwell
        if self._is_lost():
            kind, remedy = Lost, f"the connection was lost; {NOTHING}; do the same again"
        raised = kind(f"{self.place}: {self._where.masked(_said(error))}; {remedy}")
        raised.__cause__ = error
        return raised


class Found:
    """The rows that a statement has found."""

    def __init__(self, cursor: psycopg.Cursor[tuple[Any, ...]]) -> None:
        rows = cursor.fetchall() if cursor.description is not None else []
        self._rows = iter([_row(row) for row in rows])

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        return list(self._rows)

    def __iter__(self) -> Iterator[Any]:
        return self._rows


class PostgresStore(LastingStore):
    """The record of one study on a server."""

    def __init__(self, url: str, name: str, settings: Settings) -> None:
        server = opened(address(url))
        super().__init__(server, name, settings, server_clock)


def opened(where: Address) -> Server:
    """A server with the newest schema."""
    server = Server(where)
    try:
        with server.plainly():
            if not is_newest(server, where.schema):
                migrate(server, where.schema)
            file.check_rows(server)
    except BaseException:
        server.close()
        raise
    return server


def has_study(url: str, name: str) -> bool:
    """Whether the record of that study has been begun; nothing is made."""
    where = address(url)
    server = Server(where)
    try:
        with server.plainly():
            if not version(server, where.schema):
                return False
            row = server.execute("SELECT 1 FROM study WHERE name = ?", (name,)).fetchone()
            return row is not None
    finally:
        server.close()


def server_clock(db: Database) -> tuple[str, float]:
    """The server's time, which is the same for all machines."""
    (seconds,) = db.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
    return "server", seconds


@cache
def _translated(sql: str) -> bytes:
    return sql.replace("%", "%%").replace("?", "%s").encode()


def _escape(text: str) -> str:
    if NUL in text or ESCAPE in text:
        return text.replace(ESCAPE, f"{ESCAPE}e").replace(NUL, f"{ESCAPE}0")
    return text


def _row(row: tuple[Any, ...]) -> tuple[Any, ...]:
    if any(isinstance(value, str) and ESCAPE in value for value in row):
        return tuple(_unescape(value) if isinstance(value, str) else value for value in row)
    return row


def _unescape(text: str) -> str:
    return text.replace(f"{ESCAPE}0", NUL).replace(f"{ESCAPE}e", ESCAPE)


def _timeout(url: str) -> dict[str, Any]:
    return {} if "connect_timeout" in url else {"connect_timeout": 10}


def _said(error: psycopg.Error) -> str:
    return " ".join(str(error).split()) or type(error).__name__
