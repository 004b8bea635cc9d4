"""A record in one SQLite file, shared by the processes of one machine.

`synchronous=FULL` makes each commit wait for the disk, so power loss takes nothing either, provided
that the disk honours sync.
"""

from __future__ import annotations

from bestpolicy.core.nouns import Settings
from bestpolicy.store.clock import boot_clock
from bestpolicy.store.database import Clock
from bestpolicy.store.file import File
from bestpolicy.store.lasting import LastingStore


class SqliteStore(LastingStore):
    """The record of one study in a SQLite file."""

    def __init__(
        self, path: str, name: str, settings: Settings, *, clock: Clock | None = None
    ) -> None:
        super().__init__(File(path), name, settings, clock or boot_clock)
