"""The address of a PostgreSQL server: read once, and never shown with its password."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from bestpolicy.core.nouns import ConfigError

SCHEMES = ("postgresql", "postgres")
SCHEMA = "bestpolicy"
NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
LIKE = "postgresql://user@host:5432/database, with ?schema=name for a schema of its own"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is, and in which schema of it the record."""

    url: str = field(repr=False)  # for libpq
    schema: str
    password: str = field(repr=False, default="")

    @property
    def shown(self) -> str:
        """Without what is secret."""
        return shown(self.url) + ("" if self.schema == SCHEMA else f" (schema {self.schema})")

    def masked(self, text: str) -> str:
        """A message of the server's, without the password should it hold it."""
        return text.replace(self.password, "***") if self.password else text


def is_server(url: str) -> bool:
    """Whether this is the address of a PostgreSQL server."""
    return url.partition("://")[0] in SCHEMES


def shown(url: str) -> str:
    """An address without what may be a password, wherever it stands."""
    scheme, slashes, rest = url.partition("://")
    if not slashes:
        return url
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"


def address(url: str) -> Address:
    """The parts of an address; a ConfigError says what one looks like."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # a number, or a ValueError
        given = parse_qsl(parts.query, strict_parsing=bool(parts.query))
    except ValueError:
        raise ConfigError(f"{shown(url)} is no address of a server; write {LIKE}") from None
    schemas = [value for key, value in given if key == "schema"]
    schema = schemas[-1] if schemas else SCHEMA
    if not NAME.fullmatch(schema) or schema.startswith("pg_"):
        raise ConfigError(
            f"{shown(url)}: schema must be a plain name (a-z, 0-9, _), saw {schema!r}"
        )
    rest = urlencode([pair for pair in given if pair[0] != "schema"], quote_via=quote)
    clean = urlunsplit(("postgresql", parts.netloc, parts.path, rest, ""))
    password = next((value for key, value in given if key == "password"), parts.password)
    return Address(clean, schema, password or "")
