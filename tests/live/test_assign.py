"""Assign and feedback over real HTTP: sticky, signed, counted once, on disk before the answer."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path
from typing import Any

import pytest
from lives import SECRET, Hand, house, served

from bestpolicy.core.rng import stream
from bestpolicy.serve.guard import Guard
from bestpolicy.serve.signing import Signer
from bestpolicy.serve.traffic import Traffic


def rows(folder: Path, table: str) -> list[tuple[Any, ...]]:
    """What is on disk, read without any of our code."""
    with sqlite3.connect(f"file:{folder / 'live.db'}?mode=ro", uri=True) as db:
        found = db.execute(f"SELECT * FROM {table}").fetchall()
    db.close()
    return found


def test_a_unit_gets_the_same_policy_whenever_it_comes(tmp_path: Path) -> None:
    with served(tmp_path) as (caller, _):
        code, first = caller.post("/v1/assign", {"unit": "ann"})
        assert code == 200
        assert sorted(first) == ["config", "policy", "propensity", "token"]
        assert first["propensity"] == 0.5
        assert {
            caller.post("/v1/assign", {"unit": "ann", "context": {"n": n}})[1]["policy"]
            for n in range(5)
        } == {first["policy"]}
        both = {caller.post("/v1/assign", {"unit": f"{n}"})[1]["policy"] for n in range(30)}
        assert both == {"red", "green"}
    assert len(rows(tmp_path, "assigned")) == 31
    with served(tmp_path) as (caller, _):  # the server was started anew
        assert caller.post("/v1/assign", {"unit": "ann"})[1]["policy"] == first["policy"]


def test_the_config_is_the_policys_definition_without_its_key(tmp_path: Path) -> None:
    with served(tmp_path) as (caller, _):
        told = {}
        for n in range(30):
            given = caller.post("/v1/assign", {"unit": f"{n}"})[1]
            told[given["policy"]] = given["config"]
    assert told["red"] == {"model": "scripted/echo", "prompt": "Say red", "temperature": 0.5}
    assert sorted(told["green"]) == ["base_url", "model", "prompt"]
    assert "KEY_OF" not in json.dumps(told)
    assert "sk-canary" not in json.dumps(told)


def test_feedback_counts_once_however_often_it_is_sent(tmp_path: Path) -> None:
    with served(tmp_path) as (caller, home):
        token = caller.post("/v1/assign", {"unit": "ann"})[1]["token"]
        told = {"token": token, "reward": 1, "key": "k"}
        assert caller.post("/v1/feedback", told) == (200, {"recorded": True, "counts": True})
        assert caller.post("/v1/feedback", told) == (200, {"recorded": True, "counts": True})
        assert caller.post("/v1/feedback", told | {"reward": 0})[0] == 409
        assert caller.post("/v1/feedback", told | {"key": "k2"})[0] == 409
        assert len(rows(tmp_path, "ended")) == 1
        assert home.traffic.stand().told == 1


def test_forged_and_foreign_tokens_are_refused_all_of_them(tmp_path: Path) -> None:
    """A thousand by name, and every one-character change of a real one."""
    rng = stream(5, "forgeries")
    with served(tmp_path) as (caller, home):
        real = caller.post("/v1/assign", {"unit": "ann"})[1]["token"]
        forged = [Signer(b"another secret", home.traffic.study).sign("assignment", {"u": "x"})]
        forged.append(home.signer.sign("access", {"may": ["feedback"]}))
        forged.append(home.signer.sign("assignment", {"may": ["feedback"]}))
        body, _, mac = real.partition(".")
        told = json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        for change in ({"p": 1 - told["p"]}, {"q": 0.01}, {"n": 5}, {"exp": told["exp"] + 9}):
            text = json.dumps(told | change, sort_keys=True, separators=(",", ":"))
            forged.append(f"{urlsafe_b64encode(text.encode()).rstrip(b'=').decode()}.{mac}")
        for place in range(len(real)):
            other = "A" if real[place] != "A" else "B"
            forged.append(real[:place] + other + real[place + 1 :])
        letters = list("abcdefgXYZ0189-_.")
        forged += ["".join(rng.choice(letters, 40)) for _ in range(300)]
        codes = {
            caller.post("/v1/feedback", {"token": token, "reward": 1, "key": f"{n}"})[0]
            for n, token in enumerate(forged)
        }
        assert codes == {401}
        assert rows(tmp_path, "ended") == []
        assert caller.post("/v1/feedback", {"token": real, "reward": 1, "key": "k"})[0] == 200


def test_without_the_signature_forgeries_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bestpolicy.serve.signing.hmac.compare_digest", lambda *_: True)
    with served(tmp_path) as (caller, home):
        token = Signer(b"another secret", home.traffic.study).sign(
            "assignment", {"u": "invented", "p": 1, "s": 0, "q": 0.5}
        )
        assert caller.post("/v1/feedback", {"token": token, "reward": 1, "key": "k"})[0] == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/assign", b"{}"),
        ("/v1/assign", b""),
        ("/v1/assign", b"[]"),
        ("/v1/assign", b"nonsense"),
        ("/v1/assign", b'{"unit":""}'),
        ("/v1/assign", b'{"unit":7}'),
        ("/v1/assign", b'{"unit":null}'),
        ("/v1/assign", b'{"unit":"' + b"x" * 201 + b'"}'),
        ("/v1/assign", b'{"unit":"a","extra":1}'),
        ("/v1/assign", b'{"unit":"a","context":3}'),
        ("/v1/assign", b'{"unit":"a","context":{"x":NaN}}'),
        ("/v1/assign", b'{"unit":"a","context":{"x":-Infinity}}'),
        ("/v1/assign", b'{"unit":"a","context":{"x":' + b"9" * 6000 + b"}}"),
        ("/v1/assign", b'{"unit":"a","context":{"x":' + b"[" * 9000 + b"]" * 9000 + b"}}"),
        ("/v1/assign", b'{"unit":"\\ud800"}'),
        ("/v1/assign", b'{"unit":"\xff"}'),
        ("/v1/feedback", b'{"token":"T","key":"k"}'),
        ("/v1/feedback", b'{"token":"T","key":"k","reward":1.01}'),
        ("/v1/feedback", b'{"token":"T","key":"k","reward":-0.01}'),
        ("/v1/feedback", b'{"token":"T","key":"k","reward":NaN}'),
        ("/v1/feedback", b'{"token":"T","key":"k","reward":1e999}'),
        ("/v1/feedback", b'{"token":"T","key":"k","reward":true}'),
        ("/v1/feedback", b'{"token":"T","key":"k","reward":"1"}'),
        ("/v1/feedback", b'{"token":"T","key":"","reward":1}'),
        ("/v1/feedback", b'{"token":"T","reward":1}'),
        ("/v1/feedback", b'{"token":"","key":"k","reward":1}'),
    ],
)
def test_a_bad_body_is_refused_in_words_and_nothing_is_kept(
    tmp_path: Path, path: str, body: bytes
) -> None:
    with served(tmp_path) as (caller, _):
        token = caller.post("/v1/assign", {"unit": "ann"})[1]["token"].encode()
        code, problem = caller.send("POST", path, body.replace(b'"T"', b'"' + token + b'"'))
        assert code in (400, 422)
        assert problem["status"] == code
        assert problem["detail"]
        assert len(rows(tmp_path, "assigned")) == 1
        assert rows(tmp_path, "ended") == []


@pytest.mark.parametrize("unit", ["𝕏" * 200, "a\u202eb", "=1+1", "'; DROP TABLE ended;--"])
def test_strange_names_are_names(tmp_path: Path, unit: str) -> None:
    with served(tmp_path) as (caller, _):
        given = caller.post("/v1/assign", {"unit": unit})[1]
        told = {"token": given["token"], "reward": 0.25, "key": unit}
        assert caller.post("/v1/feedback", told)[0] == 200
        assert caller.post("/v1/assign", {"unit": unit})[1]["policy"] == given["policy"]


def test_feedback_after_the_window_is_gone(tmp_path: Path) -> None:
    with served(tmp_path, live="{window_minutes: 0.01}") as (caller, home):  # 0.6 s
        token = caller.post("/v1/assign", {"unit": "ann"})[1]["token"]
        while not home.traffic.books.ledger.ended():
            time.sleep(0.05)
        code, problem = caller.post("/v1/feedback", {"token": token, "reward": 1, "key": "k"})
        assert code == 410
        assert "over" in problem["detail"]
        assert home.traffic.stand().told == 0


def test_nobody_is_named_on_disk_nor_after_deletion_known(tmp_path: Path) -> None:
    unit, mail = "canary@example.org", "canary-of-the-context"
    with served(tmp_path, live="{log_context: true}") as (caller, home):
        given = caller.post("/v1/assign", {"unit": unit, "context": {"note": mail}})[1]
        told = {"token": given["token"], "reward": 0.5, "key": f"order of {unit}"}
        assert caller.post("/v1/feedback", told)[0] == 200
        assert unit.encode() not in b"".join(p.read_bytes() for p in tmp_path.iterdir())
        (name,) = [row[2] for row in rows(tmp_path, "assigned")]
        before = home.traffic.stand()
        forget = json.dumps({"unit": unit}).encode()
        assert caller.send("DELETE", "/v1/unit", forget) == (200, {"rows": 1})
        assert caller.send("DELETE", "/v1/unit", forget) == (200, {"rows": 0})
        (row,) = rows(tmp_path, "assigned")
        assert row[2] is None
        assert row[9] == ""
        assert name not in json.dumps(rows(tmp_path, "ended"))
        code, problem = caller.post("/v1/feedback", told | {"key": "late"})
        assert code == 410
        assert "deleted" in problem["detail"]
        assert home.traffic.stand().verdict == before.verdict
        assert home.traffic.stand().told == 1


def test_contexts_are_kept_only_where_the_study_says_so(tmp_path: Path) -> None:
    for live, kept in (("{}", ""), ("{log_context: true}", '{"a":[1,2]}')):
        folder = tmp_path / str(len(kept))
        folder.mkdir()
        with served(folder, live=live) as (caller, _):
            caller.post("/v1/assign", {"unit": "ann", "context": {"a": [1, 2]}})
        assert [row[9] for row in rows(folder, "assigned")] == [kept]


def test_other_addresses_need_a_token_of_the_right_scope(tmp_path: Path) -> None:
    with served(tmp_path, local=False) as (caller, home):
        may = {
            right: home.signer.sign("access", {"may": [right]})
            for right in ("assign", "feedback", "admin")
        }
        assert caller.post("/v1/assign", {"unit": "a"})[0] == 401
        assert caller.post("/v1/assign", {"unit": "a"}, may["feedback"])[0] == 403
        code, given = caller.post("/v1/assign", {"unit": "a"}, may["assign"])
        assert code == 200
        told = {"token": given["token"], "reward": 1, "key": "k"}
        assert caller.post("/v1/feedback", told, may["assign"])[0] == 403
        assert caller.post("/v1/feedback", told, may["feedback"])[0] == 200
        forget = json.dumps({"unit": "a"}).encode()
        assert caller.send("DELETE", "/v1/unit", forget, may["assign"])[0] == 403
        assert caller.send("DELETE", "/v1/unit", forget, may["admin"])[0] == 200


def test_a_flood_from_one_address_is_told_to_wait(tmp_path: Path) -> None:
    with served(tmp_path, rate=0.5) as (caller, home):
        codes = [caller.post("/v1/assign", {"unit": f"{n}"})[0] for n in range(4)]
        assert codes == [200, 200, 429, 429]
        assert int(caller.headers["retry-after"]) >= 1
        assert home.traffic.stand().units == 2


def test_the_guard_lets_everybody_have_his_own_rate() -> None:
    from types import SimpleNamespace

    from bestpolicy.serve.problems import Problem

    clock = Hand()
    guard = Guard(10.0, clock)

    def passes(address: str) -> bool:
        try:
            guard.check(SimpleNamespace(client=SimpleNamespace(host=address)))  # type: ignore[arg-type]
        except Problem:
            return False
        return True

    assert sum(passes("a") for _ in range(100)) == 40
    assert sum(passes("b") for _ in range(100)) == 40
    clock.now += 1.0
    assert sum(passes("a") for _ in range(100)) == 10
    for n in range(10_000):
        passes(f"{n}")
    assert len(guard._left) <= 4096


def test_many_requests_share_a_commit_and_one_at_a_time_do_not(tmp_path: Path) -> None:
    """Counted as the files' own count of transactions."""

    async def at_once(traffic: Traffic, units: range) -> None:
        async with traffic:
            await asyncio.gather(*(traffic.assign(f"{n}") for n in units))

    async def in_turn(traffic: Traffic, units: range) -> None:
        async with traffic:
            for n in units:
                await traffic.assign(f"{n}")

    commits = {}
    for name, play in (("at once", at_once), ("in turn", in_turn)):
        folder = tmp_path / name
        folder.mkdir()
        with house(folder) as home:
            ledger = home.traffic.books.ledger
            writes, write = 0, ledger._commits.write

            def count(job: Any, write: Any = write) -> None:
                nonlocal writes
                writes += 1
                write(job)

            ledger._commits.write = count  # type: ignore[method-assign]
            asyncio.run(play(home.traffic, range(64)))
            commits[name] = writes
            assert home.traffic.stand().units == 64
    assert commits["at once"] <= 64 / 8
    assert commits["in turn"] >= 64  # the broken twin: a commit for each row


def test_tokens_outlive_a_restart_with_the_same_secret_only(tmp_path: Path) -> None:
    with served(tmp_path) as (caller, _):
        token = caller.post("/v1/assign", {"unit": "ann"})[1]["token"]
    with served(tmp_path) as (caller, _):
        assert caller.post("/v1/feedback", {"token": token, "reward": 1, "key": "k"})[0] == 200
    assert SECRET not in (tmp_path / "live.db").read_bytes()
