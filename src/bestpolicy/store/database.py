"""What a job of the store may ask of a database, whichever it is: SQL, with `?` for each value.

SQLite's own connection is one already; store/postgres.py makes the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from bestpolicy.core.nouns import StoreError


class Damaged(Exception):
    """A row is not what was written: it fails its checksum."""


class Unwell(StoreError):
    """The database itself failed: this is no refusal, and nothing of the transaction stands."""


class Lost(Unwell):
    """The connection was lost, and nothing of the transaction stands: it may be done again."""


class Rows(Protocol):
    """What a statement has found."""

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


class Database(Protocol):
    """Statements that SQLite and PostgreSQL both understand."""

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Rows: ...


class Home(Protocol):
    """Where a record lives: a file, or a server's schema."""

    @property
    def place(self) -> str:
        """As messages name it, without a password."""

    @property
    def db(self) -> Database: ...

    @property
    def ballast(self) -> Path | None:
        """Where room on the disk can be set aside."""

    def transaction(self) -> AbstractContextManager[None]:
        """All of it or nothing, while nobody else writes."""

    def plainly(self) -> AbstractContextManager[None]:
        """Whatever the database says comes out as a StoreError that tells what to do."""

    def is_full(self, error: StoreError) -> bool:
        """Whether this says that the disk has no room."""

    def close(self) -> None: ...


Job = Callable[[Database], None]  # refuses by a StoreError before it writes anything

# The clock's name and the seconds on it. Times on clocks of other names tell nothing.
Clock = Callable[[Database], tuple[str, float]]
