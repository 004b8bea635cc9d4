"""The append-only record of a study: in memory, in a SQLite file, or on a PostgreSQL server."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from types import ModuleType

from bestpolicy.core.nouns import ConfigError, Settings, Store
from bestpolicy.store.address import is_server, shown
from bestpolicy.store.lasting import LastingStore
from bestpolicy.store.memory import MemoryStore
from bestpolicy.store.rows import AlreadyAsked
from bestpolicy.store.sqlite import SqliteStore

__all__ = ["AlreadyAsked", "LastingStore", "MemoryStore", "SqliteStore", "has_study", "open_store"]

HAS = (
    "this version has store=None (in memory), sqlite:///file.db and "
    "postgresql://user@host:5432/database"
)


def open_store(url: str | None, study_name: str, settings: Settings) -> Store:
    """The record of the study of that name, made if it is new."""
    if url is None:
        return MemoryStore()
    if not isinstance(url, str):
        raise ConfigError(f"store must be an address or None, saw {url!r}; {HAS}")
    if is_server(url):
        store: Store = _postgres().PostgresStore(url, study_name, settings)
        return store
    return SqliteStore(_file(url), study_name, settings)


def has_study(url: str, study_name: str) -> bool:
    """Whether the record of that study has been begun; nothing is made."""
    if is_server(url):
        return bool(_postgres().has_study(url, study_name))
    return Path(_file(url)).exists()


def _file(url: str) -> str:
    scheme, slashes, rest = url.partition("://")
    if not slashes:
        raise ConfigError(f"store {url!r} is no address; {HAS}: did you mean 'sqlite:///{url}'?")
    if scheme != "sqlite":
        near = get_close_matches(scheme, ["sqlite", "postgresql"])
        hint = f": did you mean '{shown(f'{near[0]}://{rest}')}'?" if near else ""
        raise ConfigError(f"no store answers to {scheme}:// in {shown(url)!r}; {HAS}{hint}")
    path = rest.removeprefix("/")
    if path == rest or not path or path == ":memory:":
        raise ConfigError(
            f"store {url!r} names no file; {HAS}, with four slashes for an absolute path"
        )
    return path


def _postgres() -> ModuleType:
    try:
        from bestpolicy.store import postgres
    except ImportError as error:
        raise ConfigError(
            f"a store on PostgreSQL needs {error.name}, which is not installed: "
            "pip install 'bestpolicy[postgres]'"
        ) from None
    return postgres
