"""The ledger: what is written comes back, what was changed is found out, who is deleted is gone."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest

import servers
from bestpolicy.core.nouns import StoreError, Verdict
from bestpolicy.store import LastingStore, open_store
from bestpolicy.store.ledger import Assigned, Ended, Ledger, Snapshot

SNAPSHOT = Snapshot(0, 0, 0, (0.25, 0.75))


def row(number: int, **differs: object) -> Assigned:
    held = Assigned(number, f"unit {number}", 0, number % 2, 0, 0.25, True, 1.5, '{"a":1}')
    return replace(held, **differs)  # type: ignore[arg-type]


def opened(url: str, name: str = "live") -> LastingStore:
    store = open_store(url, name, {})
    assert isinstance(store, LastingStore)
    return store


def change(url: str, sql: str) -> None:
    """A statement of somebody else's, past all of our code."""
    table = sql.split()[1]
    if url.startswith("postgresql"):
        servers.execute(sql.replace(table, f"{servers.schema_of(url)}.{table}", 1))
        return
    with sqlite3.connect(url.removeprefix("sqlite:///")) as db:
        db.execute(sql)
    db.close()


def ledger(url: str, rows: int = 4) -> tuple[LastingStore, Ledger]:
    store = opened(url)
    kept = store.ledger()
    ends = [Ended(0, 1, "key", "body", 0.5), Ended(1, 0, None, "", None)]
    kept.write(lambda page: page.take(SNAPSHOT))
    kept.write(lambda page: page.add([row(n) for n in range(rows)], ends))
    return store, kept


def test_what_is_written_comes_back_as_it_was(store_url: str) -> None:
    store, kept = ledger(store_url, rows=1203)  # more than one statement takes
    verdict = Verdict("winner", 1, 0.95, (1,), 700, "because")
    kept.write(lambda page: page.decide(900, verdict))
    store.close()
    store = opened(store_url)
    kept = store.ledger()
    assert kept.snapshots() == [SNAPSHOT]
    assert kept.assigned(most=5000) == [row(n) for n in range(1203)]
    assert kept.assigned(after=1200) == [row(1201), row(1202)]
    assert kept.ended() == [Ended(0, 1, "key", "body", 0.5), Ended(1, 0, None, "", None)]
    assert kept.decided() == [(900, verdict)]
    assert kept.write(lambda page: (page.number, page.seq)) == (1203, 2)
    store.close()


def test_studies_that_share_a_file_do_not_meet(store_url: str) -> None:
    store, _ = ledger(store_url)
    other = opened(store_url, "another")
    beside = other.ledger()
    assert beside.assigned() == []
    assert beside.ended() == []
    assert beside.snapshots() == []
    assert beside.write(lambda page: (page.number, page.units(["unit 1"]))) == (0, {})
    store.close()
    other.close()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE assigned SET policy = 1 - policy WHERE number = 2",
        "UPDATE assigned SET propensity = 0.5 WHERE number = 3",
        "UPDATE assigned SET counts = 0 WHERE number = 1",
        "UPDATE ended SET reward = 1.0 WHERE seq = 0",
        "UPDATE ended SET reward = 0.0 WHERE seq = 1",
        "UPDATE snapshot SET chances = '[0.75,0.25]'",
    ],
)
def test_a_row_that_was_changed_is_not_believed(store_url: str, sql: str) -> None:
    store, kept = ledger(store_url)
    change(store_url, sql)
    with pytest.raises(StoreError, match="is not what was written"):
        _ = kept.snapshots(), kept.assigned(), kept.ended()
    store.close()


def test_without_checksums_a_changed_row_would_be_believed(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bestpolicy.store.ledger.checksum", lambda *_: 0)
    store, kept = ledger(store_url)
    change(store_url, "UPDATE assigned SET policy = 1 - policy WHERE number = 2")
    assert kept.assigned()[2].policy == 1
    store.close()


def test_a_unit_cannot_have_two_first_rows_nor_two_ends(store_url: str) -> None:
    store, kept = ledger(store_url)
    for twice in (
        ([row(9, unit="unit 1")], []),
        ([], [Ended(9, 1, "other key", "", 1.0)]),
        ([], [Ended(9, 2, "key", "", 1.0)]),
    ):
        with pytest.raises(StoreError):
            kept.write(lambda page, twice=twice: page.add(*twice))
    assert len(kept.assigned()) == 4
    assert len(kept.ended()) == 2
    store.close()


def test_deleting_a_unit_leaves_policy_chance_and_reward_and_nothing_else(store_url: str) -> None:
    store, kept = ledger(store_url)
    second = row(4, unit="unit 1", nth=1)
    kept.write(lambda page: page.add([second], []))
    assert kept.write(lambda page: page.forget("unit 1")) == 2
    assert kept.write(lambda page: page.forget("unit 1")) == 0
    rows, ends = kept.assigned(), kept.ended()
    assert rows[1] == row(1, unit=None, context="")
    assert rows[4] == replace(second, unit=None, context="")
    assert ends[0] == Ended(0, 1, None, "", 0.5)
    assert [r.unit for r in rows] == ["unit 0", None, "unit 2", "unit 3", None]
    store.close()
