"""Abuse of tokens: forged, replayed, or by the thousand (T5, T6, T7 of the threat model)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bestpolicy.core.nouns import BestPolicyError
from bestpolicy.serve import signing
from bestpolicy.serve.house import House
from bestpolicy.serve.signing import Expired, Forged, Signer
from serve.serving import housed, many, write

MANY = 10_000
RNG = Random("abuse")
Folder = Path


def forgeries(real: str, signer: Signer) -> Iterator[str]:
    """Whatever somebody who has one token, and no key, may send in place of another."""
    body, _, mac = real.partition(".")
    said = json.loads(signing._bytes(body))
    ours = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for place in range(len(real)):  # every letter, by every other
        for letter in "AZaz09-_.= \n\0é":
            if real[place] != letter:
                yield real[:place] + letter + real[place + 1 :]
    for place in range(len(real) + 1):
        yield real[:place]
        yield real[:place] + RNG.choice(ours) + real[place:]
    for name, value in ((n, v) for n in said for v in (0, 1, 2, -1, None, "", [], 1e308, True)):
        if said[name] != value:
            yield f"{signing._text(json.dumps(said | {name: value}).encode())}.{mac}"
    for other in ("access", "admin-session", "invitation", "Assignment", "assignment\0", ""):
        yield signer.sign(other, said)
    for study, secret in (("other", b"a secret that only tests have"), ("study", b"another")):
        yield Signer(secret, study).sign("assignment", said)
    for mac_ in (
        "",
        "AA",
        mac[::-1],
        mac.lower(),
        signing._text(b"\0" * 32),
        "none",
        f"{mac}.{mac}",
    ):
        yield f"{body}.{mac_}"
    yield from (f"{body}=.{mac}", f"{body}.{mac}=", f" {real}", f"{real}\n", f"{body}..{mac}")
    for header in ({"alg": "none"}, {"alg": "HS256"}):  # what passes elsewhere for a token
        yield f"{signing._text(json.dumps(header).encode())}.{body}."
        yield f"{signing._text(json.dumps(header).encode())}.{body}.{mac}"
    while True:
        yield (
            "".join(RNG.choices(ours, k=RNG.randrange(1, 80)))
            + "."
            + "".join(RNG.choices(ours, k=43))
        )


def accepted(signer: Signer, real: str) -> int:
    """How many of the forgeries are believed."""
    found = 0
    seen = {real}
    for forged in forgeries(real, signer):
        if len(seen) > MANY:
            return found
        if forged in seen:
            continue
        seen.add(forged)
        try:
            signer.read("assignment", forged)
        except (Forged, Expired):
            continue
        found += 1
    return found


def test_t05_of_ten_thousand_forged_tokens_none_is_believed() -> None:
    signer = Signer(b"a secret that only tests have", "study")
    real = signer.sign("assignment", {"u": "0" * 32, "p": 0, "s": 1, "q": 0.5, "n": 7}, lasts=60)
    assert signer.read("assignment", real)["n"] == 7
    assert accepted(signer, real) == 0


def test_t05_without_the_seal_forgeries_are_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    signer = Signer(b"a secret that only tests have", "study")
    real = signer.sign("assignment", {"u": "0" * 32, "p": 0, "s": 1, "q": 0.5, "n": 7}, lasts=60)
    monkeypatch.setattr(signing.hmac, "compare_digest", lambda a, b: True)
    with pytest.raises((AssertionError, ValueError)):
        assert accepted(signer, real) == 0


def test_t05_an_expired_access_token_is_none() -> None:
    now = [0.0]
    signer = Signer(b"a secret that only tests have", "study", clock=lambda: now[0])
    made = signer.sign("access", {"may": ["admin"]}, lasts=10)
    now[0] = 10.0
    with pytest.raises(Expired):
        signer.read("access", made)


def extra_counts(folder: Folder) -> int:
    """What ten thousand replays of a hundred rewards add to them."""

    async def run(house: House) -> int:
        async with house.traffic:
            given = [await house.traffic.assign(f"unit {n}") for n in range(100)]
            real = [(one.token, 1.0, f"key {n}") for n, one in enumerate(given)]
            for one in real:
                await house.traffic.feedback(*one)
            before = house.traffic.stand()
            replays = []
            for n in range(MANY):
                told, reward, key = real[n % 100]
                kind = n // 100 % 4
                key = (key, key, f"{key} again {n}", f"key {(n + 1) % 100}")[kind]
                replays.append((told, (reward, 0.0, 1.0, 1.0)[kind], key))
            RNG.shuffle(replays)
            for start in range(0, MANY, 500):
                batch = [house.traffic.feedback(*one) for one in replays[start : start + 500]]
                ends = await asyncio.gather(*batch, return_exceptions=True)
                assert all(
                    not isinstance(e, Exception) or isinstance(e, BestPolicyError) for e in ends
                )
            after = house.traffic.stand()
            assert [s.mean for s in before.shares] == [s.mean for s in after.shares]
            return after.told - before.told

    with housed(write(folder)) as house:
        return asyncio.run(run(house))


def test_t06_ten_thousand_replays_add_nothing(tmp_path: Folder) -> None:
    assert extra_counts(tmp_path) == 0


def test_t06_units_that_may_speak_again_are_caught(
    tmp_path: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bestpolicy.live.fold import Fold

    kept = Fold.learn

    def doubled(self: Fold, snapshots: Any, assigned: Any, ended: Any) -> None:
        kept(self, snapshots, assigned, ended)
        self.told += len(list(ended))  # every row that came is one more answer

    monkeypatch.setattr(Fold, "learn", doubled)

    async def forgetful(house: House) -> int:
        async with house.traffic:
            one = await house.traffic.assign("anna")
            await house.traffic.feedback(one.token, 1.0, "k")
            told = house.traffic.stand().told
            return told - 1

    with housed(write(tmp_path)) as house:
        assert asyncio.run(forgetful(house)) > 0


def answered(folder: Folder, rate: float) -> int:
    """How many of 300 requests at once are let through."""
    with housed(write(folder)) as house:
        object.__setattr__(house, "rate", rate)
        flood = [("POST", "/v1/assign", {"unit": f"invented {n}"}) for n in range(300)]
        answers = many(house, *flood)
    for answer in answers:
        assert answer.status in (200, 429)
        assert answer.status == 200 or int(answer.header("retry-after") or "") >= 1
    return sum(answer.status == 200 for answer in answers)


def test_t07_a_flood_is_told_to_wait(tmp_path: Folder) -> None:
    assert answered(tmp_path, 1.0) < 100


def test_t07_without_a_rate_a_flood_gets_through(tmp_path: Folder) -> None:
    assert answered(tmp_path, 1e6) == 300


def test_t07_one_unit_counts_once_however_often_it_comes(tmp_path: Folder) -> None:
    with housed(write(tmp_path)) as house:
        many(house, *[("POST", "/v1/assign", {"unit": "anna"})] * 50)
        assert house.traffic.stand().units == 1
