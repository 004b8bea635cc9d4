"""A PostgreSQL record under bad luck: lost connections, foreign schemas, no server at all."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import servers
from bestpolicy.core.nouns import ConfigError, Outcome, StoreError
from bestpolicy.core.talk import Reply
from bestpolicy.store import LastingStore, open_store, server_schema
from bestpolicy.store.calls import Ask
from bestpolicy.store.database import Database
from bestpolicy.store.migrations import MIGRATIONS
from bestpolicy.store.postgres import PostgresStore, Server, _escape, _unescape
from laws import answer, events, finding, question, refusal
from store.cut import Cut


def opened(url: str, name: str = "study", **more: object) -> PostgresStore:
    return PostgresStore(url, name, {"seed": 1} | more)


@pytest.fixture
def store(postgres: str) -> Iterator[PostgresStore]:
    store = opened(postgres)
    store.asked([question(i) for i in range(5)])
    yield store
    store.close()


def lose(store: LastingStore) -> None:
    """The server ends the store's connection, as when it is started anew."""
    (pid,) = store._commits.db.execute("SELECT pg_backend_pid()").fetchone()
    servers.execute(f"SELECT pg_terminate_backend({pid})")


def test_a_connection_lost_between_two_calls_is_made_again(store: PostgresStore) -> None:
    lose(store)
    assert len(events(store)) == 5
    lose(store)
    store.told([answer(0)])
    lose(store)
    store.told([answer(0)])
    assert events(store)[5:] == [answer(0)]


def test_a_connection_lost_in_the_midst_of_a_job_does_the_whole_again_once(
    store: PostgresStore,
) -> None:
    rounds = []

    def job(db: Database) -> None:
        rounds.append(1)
        db.execute("INSERT INTO study VALUES (?, 'noted', '{}', '', 0)", (40 + len(rounds),))
        if len(rounds) == 1:
            lose(store)
            db.execute("SELECT 1")

    store._commits.write(job)
    found = store._commits.db.execute("SELECT id FROM study WHERE name = 'noted'").fetchall()
    assert found == [(42,)]


def settles_once(url: str, *, forward: bool) -> None:
    """A call settled over a connection that is cut at its commit is there exactly once."""
    where = urlsplit(url)
    with Cut(str(where.hostname), where.port or 5432) as cut:
        store = opened(url.replace(f"@{where.netloc.rpartition('@')[2]}", f"@127.0.0.1:{cut.port}"))
        try:
            ask = Ask("key", 0, "policy", "a", 0.5)
            numbers = store.calls().reserve([ask], None)
            assert numbers is not None
            cut.at(b"COMMIT\0", forward=forward)
            store.calls().settle([ask], [Reply("said", usd=0.25)], numbers)
            assert cut.cuts == 1
            assert store.calls().spent() == 0.25
            rows = store._commits.db.execute("SELECT state FROM call ORDER BY seq").fetchall()
            assert [state for (state,) in rows] == ["reserved", "answered"]
        finally:
            store.close()


@pytest.mark.parametrize("forward", [True, False], ids=["committed", "never-arrived"])
def test_a_commit_whose_end_was_not_heard_is_looked_up_and_counts_once(
    forward: bool, postgres: str
) -> None:
    settles_once(postgres, forward=forward)


@pytest.mark.parametrize(("guess", "forward"), [(False, True), (True, False)])
def test_a_store_that_guesses_the_end_of_a_commit_is_caught(
    guess: bool, forward: bool, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def guessed(server: Server, number: int) -> bool:
        server._connect_again()
        return guess

    monkeypatch.setattr(Server, "_was_committed", guessed)
    with pytest.raises(AssertionError):
        settles_once(postgres, forward=forward)


TEXTS = st.text(st.sampled_from("\x00\ue000e0aä😀")) | st.text(st.characters(codec="utf-8"))


@given(TEXTS)
@settings(max_examples=500, deadline=None)
def test_every_text_can_be_escaped_and_is_what_it_was(text: str) -> None:
    escaped = _escape(text)
    assert "\x00" not in escaped
    assert _unescape(escaped) == text


def test_what_is_hostile_is_stored_exactly(store: PostgresStore, postgres: str) -> None:
    texts = [
        "",
        "\x00",
        "a\x00b\ue000",
        "\ue0000\ue000e",
        "'; DROP TABLE event; --",
        "%s ? %",
        "😀",
    ]
    numbers = [-0.0, 5e-324, 1.7976931348623157e308, 0.1 + 0.2, math.pi, 1e-300]
    calls = store.calls()
    for i, text in enumerate(texts):
        ask = Ask(f"key {text}", i, "policy", f"who {text}")
        calls.settle([ask], [Reply(text, usd=abs(numbers[i % 6]), failures=(text,))], [0])
    store.told([Outcome(question(0), (0.1 + 0.2, 1 - (0.1 + 0.2)), 5e-324, "\x00\ue000")])
    again = opened(postgres)
    for i, text in enumerate(texts):
        kept = again.calls().find([f"key {text}"])[f"key {text}"]
        assert (kept.text, kept.failures) == (text, (text,))
        assert kept.usd.hex() == abs(numbers[i % 6]).hex()
    assert events(again) == events(store)
    accounts = again.calls().accounts()
    assert {who for _, who in accounts} == {f"who {text}" for text in texts}
    again.close()
    refusal(StoreError, lambda: calls.settle([Ask("k", 0, "policy", "\ud800")], [Reply("")], [0]))
    store.told([answer(1)])


def test_a_row_that_is_not_what_was_written_is_refused(store: PostgresStore, postgres: str) -> None:
    store.told([answer(0)])
    servers.execute(
        f"UPDATE {servers.schema_of(postgres)}.event SET body = replace(body, '0.0', '0.1')"
        " WHERE kind = 'told'"
    )
    assert "not what was written" in refusal(StoreError, store.history)
    servers.execute(f"DELETE FROM {servers.schema_of(postgres)}.event WHERE seq = 3")
    said = refusal(StoreError, lambda: opened(postgres).close())
    assert "6 events were numbered and 5 are there" in said


def test_a_schema_of_others_or_of_the_future_is_left_as_it_is(postgres: str) -> None:
    name = servers.schema_of(postgres)
    servers.execute(f"CREATE SCHEMA {name}")
    servers.execute(f"CREATE TABLE {name}.customer (id int)")
    assert "something else" in refusal(StoreError, lambda: opened(postgres).close())
    servers.execute(f"DROP TABLE {name}.customer")
    opened(postgres).close()
    servers.execute(f"UPDATE {name}.bestpolicy_schema SET version = 99")
    assert "newer bestpolicy" in refusal(StoreError, lambda: opened(postgres).close())


def test_a_schema_half_made_is_not_made_at_all(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(db: Any) -> None:
        db.execute("CREATE TABLE half (x INTEGER)")
        raise RuntimeError("the power went")

    with monkeypatch.context() as patched:
        patched.setattr(server_schema, "MIGRATIONS", (*MIGRATIONS, broken))
        with pytest.raises(RuntimeError):
            opened(postgres)
    found = servers.execute(
        f"SELECT 1 FROM pg_namespace WHERE nspname = '{servers.schema_of(postgres)}'"
    )
    assert found == []
    opened(postgres).close()


def test_a_schema_of_yesterday_is_brought_up_with_its_rows(
    store: PostgresStore, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = store.history()

    def index(db: Any) -> None:
        db.execute("CREATE INDEX by_kind ON event (kind)")

    monkeypatch.setattr(server_schema, "MIGRATIONS", (*MIGRATIONS, index))
    again = opened(postgres)
    assert again.history() == before
    again.close()


def test_studies_of_one_schema_do_not_mix(store: PostgresStore, postgres: str) -> None:
    other = opened(postgres, "other", seed=8)
    other.asked([question(0, 1, 0)])
    other.announce(finding(0))
    assert len(events(other)) == 2
    assert len(events(store)) == 5
    assert "seed: stored 1, given 9" in refusal(StoreError, lambda: opened(postgres, seed=9))
    other.close()


BAD = [
    ("postgresql://me:s3cret@127.0.0.1:9/x", "see that the server runs"),
    ("postgresql://postgres:s3cret@127.0.0.1:5432/nope_no_such", "createdb"),
    ("postgresql://nobody_such:s3cret@127.0.0.1:5432/postgres", "user"),
    ("postgresql://127.0.0.1:9/x?user=me&password=s3cret", "see that the server runs"),
    ("postgresql://127.0.0.1:9/x?sslmode=s3cret&password=s3cret", "sslmode"),
    ("postgresql://me:s3cret@127.0.0.1/x?no_such_option=1", "no_such_option"),
    ("postgresql://me:no/s3cret@127.0.0.1/x", "is no address"),
]


@pytest.mark.parametrize(("url", "remedy"), BAD)
def test_what_cannot_be_opened_says_what_to_do_and_never_the_password(
    url: str, remedy: str, tmp_path: Path, postgres: str
) -> None:
    url = url.replace("127.0.0.1:5432", urlsplit(postgres).netloc.rpartition("@")[2])
    with pytest.raises((StoreError, ConfigError)) as caught:
        open_store(url, "study", {})
    assert remedy in str(caught.value)
    told = "".join(traceback.format_exception(caught.value)).replace(url, "")
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in told
    for command in ("run", "status", "work"):
        (tmp_path / "study.yaml").write_text(
            "version: 1\npolicies: [{id: a, call: 'm:f'}, {id: b, call: 'm:f'}]\n"
            f"judge: {{call: 'm:j'}}\nbudget: 10\nstore: '{url}'\n"
        )
        (tmp_path / "m.py").write_text("def f(row): return ''\ndef j(row, a, b): return 'tie'\n")
        if command != "work" and url != BAD[0][0]:
            continue  # a process of its own for each is dear
        done = subprocess.run(
            [sys.executable, "-m", "bestpolicy", command, str(tmp_path / "study.yaml"), "--json"],
            capture_output=True,
            text=True,
            env={"PYTHONPATH": os.pathsep.join(sys.path), "PATH": ""},
        )
        assert done.returncode in (2, 5), done.stderr
        assert "s3cret" not in done.stdout + done.stderr


def test_a_user_without_rights_is_told_so(postgres: str) -> None:
    role = f"weak_{servers.schema_of(postgres)}"
    servers.execute(f"CREATE ROLE {role} LOGIN")
    try:
        said = refusal(StoreError, lambda: opened(postgres.replace("postgres@", f"{role}@")))
        assert "permission denied" in said
        assert "the right to use this schema" in said
    finally:
        servers.execute(f"DROP ROLE {role}")


def test_without_psycopg_the_error_prints_the_command() -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from bestpolicy.store import open_store\n"
        "open_store('postgresql://127.0.0.1/x', 'study', {})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": os.pathsep.join(sys.path), "PATH": ""},
    )
    assert "ConfigError" in done.stderr
    assert "pip install 'bestpolicy[postgres]'" in done.stderr
