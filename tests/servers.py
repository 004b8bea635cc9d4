"""The PostgreSQL server that tests may use, each in a schema of its own.

BESTPOLICY_TEST_POSTGRES names it; else the one on this machine's usual port, if it answers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from uuid import uuid4

import psycopg
import pytest

LOCAL = "postgresql://postgres@127.0.0.1:5432/postgres"


@cache
def server() -> tuple[str, str]:
    """Its address, or why there is none."""
    named = os.environ.get("BESTPOLICY_TEST_POSTGRES")
    url = named or LOCAL
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.Error as error:
        said = " ".join(str(error).split())
        if named:
            raise RuntimeError(f"BESTPOLICY_TEST_POSTGRES does not answer: {said}") from None
        return "", f"no PostgreSQL on 127.0.0.1:5432, and no BESTPOLICY_TEST_POSTGRES: {said}"
    return url, ""


@contextmanager
def schema() -> Iterator[str]:
    """The address of a new schema, which is dropped afterwards; skips where no server answers."""
    url, why_not = server()
    if why_not:
        pytest.skip(why_not)
    name = f"test_{uuid4().hex[:12]}"
    try:
        yield f"{url}{'&' if '?' in url else '?'}schema={name}"
    finally:
        execute(f'DROP SCHEMA IF EXISTS "{name}" CASCADE')


def schema_of(url: str) -> str:
    return url.rpartition("schema=")[2]


def execute(sql: str) -> list[tuple[object, ...]]:
    """A statement of somebody else's, past all of our code."""
    with psycopg.connect(server()[0], autocommit=True) as connection:
        cursor = connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description is not None else []
