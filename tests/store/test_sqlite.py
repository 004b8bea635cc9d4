"""A SQLite record under bad luck: damage, full disks, foreign files, other versions."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest

from bestpolicy.core.nouns import ConfigError, Outcome, Store, StoreError
from bestpolicy.core.rng import stream
from bestpolicy.store import SqliteStore, calls, file, lasting, open_store
from bestpolicy.store.migrations import MARK, MIGRATIONS
from laws import answer, events, finding, question, refusal

SETTINGS = {"policies": ["a", "b"], "confidence": 0.95, "seed": 7}


def opened(path: Path, name: str = "study", **settings: object) -> SqliteStore:
    return SqliteStore(str(path), name, {**SETTINGS, **settings})


def filled(path: Path, duels: int = 500) -> None:
    store = opened(path)
    store.asked([question(i) for i in range(duels)])
    store.told([answer(i, i / duels) for i in range(duels)])
    store.announce(finding(duels))
    store.close()


def read_back(path: Path) -> list[object]:
    store = opened(path)
    try:
        return list(store.history())
    finally:
        store.close()


def refuses_or_reads_the_truth(
    spoil: Callable[[bytearray, int], None], folder: Path, read: Callable[[Path], list[object]]
) -> int:
    """How many of 150 spoilt copies are refused; none may be read as something else."""
    whole = folder / "whole.db"
    filled(whole)
    truth, content = read(whole), whole.read_bytes()
    refused = 0
    for i in range(150):
        spoilt = bytearray(content)
        spoil(spoilt, i)
        copy = folder / "copy.db"
        copy.write_bytes(spoilt)
        try:
            found = read(copy)
        except StoreError:
            assert copy.read_bytes() == spoilt
            refused += 1
        else:
            assert found == truth
        for rest in folder.glob("copy.db*"):
            rest.unlink()
    return refused


def flip_a_bit(content: bytearray, i: int) -> None:
    rng = stream(5, "flip", i)
    # Where rows are: a page of this file is mostly text, its end above all.
    content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))


def cut_short(content: bytearray, i: int) -> None:
    del content[int(stream(5, "cut", i).integers(1, len(content))) :]


def test_a_flipped_bit_is_refused_or_does_no_harm(tmp_path: Path) -> None:
    # Much of a small file is room that nothing stands in yet.
    assert refuses_or_reads_the_truth(flip_a_bit, tmp_path, read_back) > 50


def test_a_file_cut_short_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    assert refuses_or_reads_the_truth(cut_short, tmp_path, read_back) == 150


def test_a_reader_without_checksums_believes_a_flipped_bit(tmp_path: Path) -> None:
    def trusting(path: Path) -> list[object]:
        try:
            db = sqlite3.connect(path)
            try:
                return db.execute("SELECT kind, duel, body FROM event ORDER BY seq").fetchall()
            finally:
                db.close()
        except sqlite3.Error as error:
            raise StoreError(f"{path}: {error}") from error

    with pytest.raises(AssertionError):
        refuses_or_reads_the_truth(flip_a_bit, tmp_path, trusting)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("CREATE TABLE customer (id); INSERT INTO customer VALUES (1)", "something else"),
        (f"PRAGMA application_id = {MARK}; PRAGMA user_version = 99", "newer bestpolicy"),
    ],
)
def test_a_database_of_others_or_of_the_future_is_left_as_it_is(
    script: str, expected: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.db"
    db = sqlite3.connect(path)
    db.executescript(script)
    db.close()
    before = path.read_bytes()
    assert expected in refusal(StoreError, lambda: opened(path).close())
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["x.db"]


@pytest.mark.parametrize("content", [b"name,score\n" * 200, b"\x00" * 5000, b"SQLite format 3"])
def test_a_file_that_is_no_database_is_left_as_it_is(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "notes.csv"
    path.write_bytes(content)
    assert "notes.csv" in refusal(StoreError, lambda: opened(path).close())
    assert path.read_bytes() == content


def test_a_place_where_no_file_can_be_is_refused_in_plain_words(tmp_path: Path) -> None:
    assert "make it first" in refusal(StoreError, lambda: opened(tmp_path / "no" / "x.db").close())
    assert "read and written" in refusal(StoreError, lambda: opened(tmp_path).close())


def test_a_schema_half_made_is_not_made_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(db: sqlite3.Connection) -> None:
        db.execute("CREATE TABLE half (x)")
        raise RuntimeError("the power went")

    with monkeypatch.context() as patched:
        patched.setattr("bestpolicy.store.migrations.MIGRATIONS", (*MIGRATIONS, broken))
        with pytest.raises(RuntimeError):
            opened(tmp_path / "x.db")
    filled(tmp_path / "x.db", 2)
    assert len(read_back(tmp_path / "x.db")) == 5


def test_a_schema_of_yesterday_is_brought_up_with_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(tmp_path / "x.db", 3)
    before = read_back(tmp_path / "x.db")

    def index(db: sqlite3.Connection) -> None:
        db.execute("CREATE INDEX by_kind ON event (kind)")

    steps = (*MIGRATIONS, index)
    monkeypatch.setattr("bestpolicy.store.migrations.MIGRATIONS", steps)
    monkeypatch.setattr("bestpolicy.store.file.MIGRATIONS", steps)
    assert read_back(tmp_path / "x.db") == before
    monkeypatch.undo()
    assert "newer" in refusal(StoreError, lambda: opened(tmp_path / "x.db").close())


def test_other_settings_are_refused_by_name_with_both_values(tmp_path: Path) -> None:
    opened(tmp_path / "x.db").close()
    said = refusal(StoreError, lambda: opened(tmp_path / "x.db", seed=8, confidence=0.9).close())
    assert "confidence: stored 0.95, given 0.9" in said
    assert "seed: stored 7, given 8" in said
    assert "policies" not in said
    opened(tmp_path / "x.db").close()


def test_studies_of_one_file_do_not_mix(tmp_path: Path) -> None:
    one, two = opened(tmp_path / "x.db"), opened(tmp_path / "x.db", "other", seed=8)
    one.asked([question(0)])
    two.asked([question(0, 1, 0)])
    two.told([Outcome(question(0, 1, 0), None)])
    assert events(one) == [question(0)]
    assert len(events(two)) == 2
    one.close()
    two.close()


def test_what_json_cannot_say_is_refused(tmp_path: Path) -> None:
    store = opened(tmp_path / "x.db")
    store.asked([question(0)])
    refusal(StoreError, lambda: store.told([Outcome(question(0), (float("nan"), 0.0))]))
    assert events(store) == [question(0)]
    store.close()


def full(store: SqliteStore) -> None:
    (pages,) = store._commits.db.execute("PRAGMA page_count").fetchone()
    store._commits.db.execute(f"PRAGMA max_page_count = {pages}")


def read_only(store: SqliteStore) -> None:
    store._commits.db.execute("PRAGMA query_only = ON")


def well(store: SqliteStore) -> None:
    store._commits.db.execute("PRAGMA max_page_count = 1000000")
    store._commits.db.execute("PRAGMA query_only = OFF")


def loses_nothing_when_it_cannot_write(store: Store, spoil: Callable[[], None]) -> None:
    """Tell until it is refused twice; then all that was acknowledged is there, and only that."""
    store.asked([question(i) for i in range(400)])
    acknowledged = []
    spoil()
    refused = 0
    for i in range(400):
        try:
            store.told([answer(i)])
        except StoreError:
            refused += 1
        else:
            acknowledged.append(answer(i))
        if refused == 2:
            break
    assert refused == 2
    assert events(store)[400:] == acknowledged


@pytest.mark.parametrize(("spoil", "remedy"), [(full, "make room"), (read_only, "writable")])
def test_a_write_that_fails_acknowledges_nothing_and_a_later_one_works(
    spoil: Callable[[SqliteStore], None], remedy: str, tmp_path: Path
) -> None:
    store = opened(tmp_path / "x.db")
    loses_nothing_when_it_cannot_write(store, lambda: spoil(store))
    said = refusal(StoreError, lambda: store.told([answer(399)]))
    assert remedy in said
    assert "nothing of this call was recorded" in said
    well(store)
    store.told([answer(399)])
    assert answer(399) in events(store)
    store.close()


def test_a_store_that_swallows_write_errors_is_caught(tmp_path: Path) -> None:
    class Swallowing(SqliteStore):
        def told(self, outcomes: object) -> None:
            with suppress(StoreError):
                super().told(outcomes)  # type: ignore[arg-type]

    store = Swallowing(str(tmp_path / "x.db"), "study", SETTINGS)
    with pytest.raises(AssertionError):
        loses_nothing_when_it_cannot_write(store, lambda: full(store))
    store.close()


def test_callers_who_wait_together_share_one_commit(tmp_path: Path) -> None:
    store = opened(tmp_path / "x.db")
    store.asked([question(i) for i in range(8)])
    statements: list[str] = []
    store._commits.db.set_trace_callback(statements.append)
    threads = [Thread(target=store.told, args=([answer(i)],)) for i in range(8)]
    with store._commits.lock:
        for thread in threads:
            thread.start()
        while len(store._commits._waiting) < 8:
            time.sleep(0.001)
    for thread in threads:
        thread.join()
    store._commits.db.set_trace_callback(None)
    assert statements.count("COMMIT") == 1
    assert len(events(store)) == 16
    store.close()


def test_a_caller_whose_leader_was_interrupted_is_not_acknowledged_in_vain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(tmp_path / "x.db")
    store.asked([question(0)])
    with monkeypatch.context() as patched:

        def interrupted(*fields: object) -> int:
            raise KeyboardInterrupt

        patched.setattr(file, "checksum", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.told([answer(0)])
    assert events(store) == [question(0)]
    store.told([answer(0)])
    assert events(store) == [question(0), answer(0)]
    store.close()


def test_a_copy_of_the_file_is_a_copy_of_the_study(tmp_path: Path) -> None:
    filled(tmp_path / "x.db", 5)
    shutil.copy(tmp_path / "x.db", tmp_path / "y.db")
    assert read_back(tmp_path / "y.db") == read_back(tmp_path / "x.db")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("mysql://me:secret@host/db", "postgresql://user@host"),
        ("postgresql://me:secret@host:many/db", "?schema=name"),
        ("postgresql://me:secret@host/db?schema=a;drop", "plain name"),
        ("sqlit:///x.db", "did you mean 'sqlite:///x.db'"),
        ("x.db", "did you mean 'sqlite:///x.db'"),
        ("sqlite://x.db", "names no file"),
        ("sqlite:///:memory:", "store=None"),
        (Path("x.db"), "store=None"),
    ],
)
def test_an_address_of_no_store_says_which_stores_there_are(
    address: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        open_store(address, "study", {})
    assert expected in str(caught.value)
    assert "secret" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("query", [lasting.SINCE, calls.SINCE, calls.EACH])
def test_reading_on_costs_what_is_new_and_not_what_is_there(query: str, tmp_path: Path) -> None:
    store = opened(tmp_path / "x.db")
    plan = f"EXPLAIN QUERY PLAN {query}"

    def sorts(text: str) -> bool:
        values = tuple(range(text.count("?")))
        return any("TEMP B-TREE" in row[3] for row in store._commits.db.execute(text, values))

    assert not sorts(plan)
    assert sorts(plan.replace("+", "").replace("seq > ?", "seq + 0 > ?"))  # the twin
    store.close()
