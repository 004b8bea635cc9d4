"""A learned policy reads contexts as the log did, is kept in a file, and knows its rows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bestpolicy.core.log import BadRow, Feature, Log
from bestpolicy.core.nouns import ConfigError
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.evaluate import evaluate
from bestpolicy.offpolicy.learned import LearnedPolicy, features_of, written_out
from bestpolicy.offpolicy.learners.material import Material
from bestpolicy.offpolicy.learners.methods import learnt
from bestpolicy.offpolicy.learners.training import Training
from bestpolicy.offpolicy.policy_file import read_policy, write_policy
from bestpolicy.offpolicy.readers import read_log
from bestpolicy.offpolicy.rows_seen import RowsSeen

WORDS = ("new", "old", "rare")
FEATURES = (Feature("who", WORDS), Feature("visits"), Feature("point", width=2))
N = 300


def a_log(seed: int = 0, *, ids: bool = True) -> Log:
    """Who is new clicks on the first prompt, the others on the second."""
    rng = stream(seed, "tests/learned")
    who, a = rng.integers(3, size=N), rng.integers(2, size=N)
    x = np.column_stack([who, rng.integers(5, size=N), rng.normal(size=(N, 2))])
    r = (rng.random(N) < np.where((who == 0) == (a == 0), 0.8, 0.1)).astype(float)
    columns: dict[str, Any] = {"id": np.array([f"{seed}/{i}" for i in range(N)])} if ids else {}
    return Log(
        *(a, r, np.full(N, 0.5), ("warm", "brisk")),
        contexts=x,
        propensities=np.full((N, 2), 0.5),
        columns=columns,
        called={"ids": "id"} if ids else {},
        features=FEATURES,
    )


def a_policy(log: Log, method: str = "is", **more: Any) -> LearnedPolicy:
    x = written_out(log.contexts, FEATURES)
    at = Material(
        replace(log, contexts=x, features=()), training=Training(steps=150, rate=1e-2), **more
    )
    return LearnedPolicy(log.names, FEATURES, learnt(at, method), method, RowsSeen.of(log))


def test_words_are_written_out_and_numbers_stay() -> None:
    x = np.array([[2.0, 4.0, 0.1, 0.2]])
    assert written_out(x, FEATURES).tolist() == [[0, 0, 1, 4, 0.1, 0.2]]
    with pytest.raises(ConfigError, match="contexts of 4 numbers"):
        written_out(x[:, :3], FEATURES)


def test_a_row_of_named_values_is_read_as_the_log_was() -> None:
    log = a_log()
    policy = a_policy(log)
    assert log.contexts is not None
    table = policy.table(log.contexts)
    for i in range(20):
        who, visits, *point = log.contexts[i].tolist()
        row = {"who": WORDS[int(who)], "visits": str(visits), "point": point, "more": 1}
        assert np.allclose(policy.of_row(row), table[i])
    # What a rank in place of the word would say differs: the twin.
    ranks = replace(policy, features=(Feature("who"), *FEATURES[1:]))
    with pytest.raises(ValueError, match="operands could not be broadcast"):
        ranks.of_row({"who": 2, "visits": 1, "point": [0, 0]})


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"whom": "new", "visits": 1, "point": [0, 0]}, "'who', which is missing; did you mean"),
        ({"who": "nobody", "visits": 1, "point": [0, 0]}, "'who' as new, old, rare; saw 'nobody'"),
        ({"who": "new", "visits": "many", "point": [0, 0]}, "a number in 'visits'; saw 'many'"),
        ({"who": "new", "visits": float("nan"), "point": [0, 0]}, "a number in 'visits'"),
        ({"who": "new", "visits": 1, "point": [0]}, "a list of 2 numbers in 'point'"),
    ],
)
def test_a_row_that_cannot_be_read_is_refused(row: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        a_policy(a_log()).of_row(row)


def test_choices_come_as_often_as_their_chances() -> None:
    policy = a_policy(a_log())
    row = {"who": "new", "visits": 1, "point": [0, 0]}
    chances = policy.of_row(row)
    at = (np.arange(1000) + 0.5) / 1000
    chosen = [policy.choose(row, u) for u in at]
    share = np.mean([name == "warm" for name, _ in chosen])
    assert abs(share - chances[0]) <= 1 / 1000
    assert {round(chance, 12) for name, chance in chosen if name == "warm"} == {
        round(float(chances[0]), 12)
    }


@pytest.mark.parametrize("method", ["is", "potec"])
def test_a_file_keeps_the_policy_to_the_bit(tmp_path: Path, method: str) -> None:
    log = a_log()
    policy = replace(a_policy(log, method), about={"rows": N})
    write_policy(policy, tmp_path / "p.npz")
    again = read_policy(tmp_path / "p.npz")
    assert log.contexts is not None
    assert np.array_equal(again.table(log.contexts), policy.table(log.contexts))
    assert (again.names, again.features, again.method) == (policy.names, FEATURES, method)
    assert again.about == {"rows": N}
    assert np.array_equal(again.seen.marks, policy.seen.marks)
    assert [path.name for path in tmp_path.iterdir()] == ["p.npz"]


def test_what_is_no_policy_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.npz"
    with pytest.raises(ConfigError, match="there is no file"):
        read_policy(path)
    path.write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(ConfigError, match="is not a policy"):
        read_policy(path)
    np.savez(
        path, about=np.array([1, 2], dtype=object), allow_pickle=True
    )  # a pickle, which is never loaded
    with pytest.raises(ConfigError, match="is not a policy"):
        read_policy(path)
    with pytest.raises(ConfigError, match="cannot write"):
        write_policy(a_policy(a_log()), tmp_path / "nowhere" / "p.npz")


def test_files_with_any_byte_changed_are_refused_or_the_same(tmp_path: Path) -> None:
    log, path = a_log(), tmp_path / "p.npz"
    policy = a_policy(log)
    write_policy(policy, path)
    whole, rng = path.read_bytes(), stream(1, "tests/learned/damage")
    assert log.contexts is not None
    table = policy.table(log.contexts)
    refused = 0
    for _ in range(200):
        broken = bytearray(whole)
        broken[int(rng.integers(len(broken)))] ^= 1 << int(rng.integers(8))
        path.write_bytes(broken)
        try:
            again = read_policy(path)
        except ConfigError:
            refused += 1
        else:
            assert np.array_equal(again.table(log.contexts), table)
    assert refused > 100


def test_a_newer_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "p.npz"
    write_policy(a_policy(a_log()), path)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    about = json.loads(arrays["about"].tobytes()) | {"version": 2}
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
    np.savez(path, **arrays)
    with pytest.raises(ConfigError, match="written by a newer bestpolicy"):
        read_policy(path)


@pytest.mark.parametrize("ids", [True, False])
def test_no_policy_is_valued_on_rows_that_it_learnt_from(ids: bool) -> None:
    log, other = a_log(ids=ids), a_log(1, ids=ids)
    policy = a_policy(log)
    one = log.picked(np.array([17]))
    mixed = replace(
        other,
        **{
            name: np.concatenate([getattr(other, name), getattr(one, name)])
            for name in ("actions", "rewards", "propensity", "contexts", "propensities")
        },
        columns={n: np.concatenate([other.columns[n], one.columns[n]]) for n in other.columns},
    )
    assert evaluate(other, policy)["ips"].n == N
    with pytest.raises(BadRow, match="the policy learnt from") as refused:
        evaluate(mixed, policy)
    assert refused.value.row == N
    # The twin: a policy that has lost what it saw.
    assert evaluate(mixed, replace(policy, seen=RowsSeen()))["ips"].n == N + 1


def test_rows_are_known_by_their_ids_whatever_became_of_their_values() -> None:
    log = a_log()
    policy = a_policy(log)
    with pytest.raises(BadRow, match="'0/0' where the policy learnt from this row"):
        evaluate(replace(log, rewards=1 - log.rewards), policy)
    with pytest.raises(ConfigError, match="this log has none at hand: read it with id="):
        evaluate(replace(a_log(1), columns={}), policy)


def test_other_prompts_and_other_contexts_are_refused() -> None:
    policy = a_policy(a_log())
    with pytest.raises(ConfigError, match="among warm, brisk, and the log has brisk, warm"):
        evaluate(replace(a_log(1), names=("brisk", "warm")), policy)
    words = (Feature("who", ("new", "old")), *FEATURES[1:])
    with pytest.raises(ConfigError, match="reads the contexts who, visits, point"):
        evaluate(replace(a_log(1), features=words), policy)


def test_readers_say_what_contexts_are_made_of(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    rows = [
        {"id": i, "a": "xy"[i % 2], "r": i % 2, "p": 0.5, "who": WORDS[i % 3], "v": [i, 2.0]}
        for i in range(6)
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    said: Any = {"action": "a", "reward": "r", "propensity": "p", "context": ["who", "v"]}
    for log in (read_log(path, id="id", **said).load(), read_log(rows_of(rows), id="id", **said)):
        assert features_of(log) == (Feature("who", WORDS), Feature("v", width=2))
    many = [row | {"who": f"text {i}"} for i, row in enumerate(rows * 40)]
    path.write_text("\n".join(map(json.dumps, many)))
    with pytest.raises(ConfigError, match="240 different texts"):
        features_of(read_log(path, **said).load())


def rows_of(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}
