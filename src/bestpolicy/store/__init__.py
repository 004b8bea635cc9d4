"""The append-only record of a study: in memory, or in a SQLite file."""

from __future__ import annotations

from difflib import get_close_matches

from bestpolicy.core.nouns import ConfigError, Settings, Store
from bestpolicy.store.memory import MemoryStore
from bestpolicy.store.rows import AlreadyAsked
from bestpolicy.store.sqlite import SqliteStore

__all__ = ["AlreadyAsked", "MemoryStore", "SqliteStore", "open_store"]

HAS = "this version has store=None (in memory) and sqlite:///file.db"


def open_store(url: str | None, study_name: str, settings: Settings) -> Store:
    """The record of the study of that name, made if it is new."""
    if url is None:
        return MemoryStore()
    if not isinstance(url, str):
        raise ConfigError(f"store must be an address or None, saw {url!r}; {HAS}")
    scheme, slashes, rest = url.partition("://")
    if not slashes:
        raise ConfigError(f"store {url!r} is no address; {HAS}: did you mean 'sqlite:///{url}'?")
    if scheme != "sqlite":
        near = get_close_matches(scheme, ["sqlite"])
        hint = f": did you mean 'sqlite://{rest}'?" if near else ""
        raise ConfigError(f"no store answers to {scheme}:// in {_safe(url)!r}; {HAS}{hint}")
    path = rest.removeprefix("/")
    if path == rest or not path or path == ":memory:":
        raise ConfigError(
            f"store {url!r} names no file; {HAS}, with four slashes for an absolute path"
        )
    return SqliteStore(path, study_name, settings)


def _safe(url: str) -> str:
    """The address without what may be a password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
