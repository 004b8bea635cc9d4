"""Studies that are really run: a process of their own, a file on disk, a provider over HTTP."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bestpolicy
from bestpolicy.config import load
from bestpolicy.run import open_study
from bestpolicy.run.texts import texts_of
from llm.fake_provider import FakeProvider, Seen

SRC = Path(bestpolicy.__file__).parents[1]
MODEL = "openai/x"
PRICE = {"input": 1.0, "output": 10.0}  # dollars per million tokens
CHARGED = (7 * 1.0 + 5 * 10.0) / 1e6  # for one answer of the fake provider
# In these modes a server has worked, and may want money for it.
FREE = {"429", "429-date", "429-odd", "no-quota", "400", "408", "422", "500", "503", "wrong-key"}

# `a` is best and `c` worst; the same answers always get the same verdict.
JUDGING = """\
from hashlib import blake2b


def judge(row, left, right):
    names = sorted([left[0], right[0]])
    coin = blake2b(f"{row['input']} {names}".encode(), digest_size=1).digest()[0] / 256
    best = names[0] if coin < 0.5 + 0.15 * (ord(names[1]) - ord(names[0])) else names[1]
    return "tie" if left[0] == right[0] else "left" if left[0] == best else "right"


def strict(row, text):
    return text.startswith("a")


def raises(row, text):
    raise RuntimeError("odd text")
"""


def named(body: Mapping[str, Any], nonce: str) -> str:
    """The policy's name, and a text that is never served twice."""
    return f"{body['messages'][-1]['content'][0]} {nonce}"


def settled(body: Mapping[str, Any], nonce: str) -> str:
    """The policy's name, and a text that depends on nothing but the question."""
    return f"{body['messages'][-1]['content']} {body.get('seed')}"


def policy(name: str, server: FakeProvider, **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "model": MODEL,
        "base_url": server.url,
        "prompt": f"{name}: {{{{input}}}}",
        "max_tokens": 16,
    } | more


def write(folder: Path, server: FakeProvider, **more: Any) -> Path:
    """A study of three policies behind this server, judged by a function; JSON is YAML too."""
    study: dict[str, Any] = {
        "version": 1,
        "inputs": [f"question {i}" for i in range(400)],
        "policies": [policy(name, server) for name in "abc"],
        "judge": {"call": "judging:judge", "order": "random"},
        "models": {MODEL: {"timeout_s": 0.5, "concurrency": 32, "price": PRICE}},
        "decide": {"confidence": 0.95},
        "budget": {"comparisons": 1000},
        "seed": 3,
    }
    (folder / "judging.py").write_text(JUDGING)
    path = folder / "study.yaml"
    path.write_text(json.dumps(study | more, indent=1))
    return path


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> dict[str, Any]:
        return json.loads(self.out)  # type: ignore[no-any-return]


def start(*arguments: object, twin: str = "", **environment: str) -> subprocess.Popen[str]:
    """A command in a process of its own; `twin` is code that breaks something first."""
    how = ["-m", "bestpolicy"]
    if twin:
        how = ["-c", f"{twin}\nfrom bestpolicy.cli import main\nmain()\n"]
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI", "COV"))}
    return subprocess.Popen(
        [sys.executable, *how, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=kept | {"PYTHONPATH": str(SRC)} | environment,
    )


def end(process: subprocess.Popen[str]) -> Done:
    out, err = process.communicate(timeout=240)
    return Done(process.returncode, out, err)


def bestpolicy_(*arguments: object, twin: str = "", **environment: str) -> Done:
    return end(start(*arguments, twin=twin, **environment))


def play(path: Path, *, twin: str = "", **environment: str) -> Done:
    """`bestpolicy run --json`, to its end."""
    return bestpolicy_("run", path, "--json", twin=twin, **environment)


def calls(path: Path) -> list[dict[str, Any]]:
    """The table of calls, read without any of our code."""
    database = path.with_suffix(".db")
    if not database.exists():
        return []
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as db:
        db.row_factory = sqlite3.Row
        rows = [dict(row) for row in db.execute("SELECT * FROM call ORDER BY seq")]
    db.close()
    return rows


def told(path: Path) -> list[tuple[bool, str | None, str | None]]:
    """Every outcome: whether it has an answer, and the two texts that were compared."""
    file = load(str(path))
    with open_study(file) as opened:
        outcomes = opened.study.outcomes()
        asked = [outcome.comparison for outcome in outcomes]
        texts = list(texts_of(file, opened.calls, asked, opened.study.policies))
    return [(o.scores is not None, *pair) for o, pair in zip(outcomes, texts, strict=True)]


def completed(server: FakeProvider) -> Counter[tuple[str, int | None]]:
    """How many times each draw was answered in good order."""
    return Counter(draw(seen) for seen in server.requests if seen.mode == "ok" and seen.sent)


def draw(seen: Seen) -> tuple[str, int | None]:
    return seen.prompt, seen.body.get("seed")


def charged(server: FakeProvider) -> float:
    """What the server may want, were every try that it worked for an answer's worth."""
    return CHARGED * sum(seen.mode not in FREE for seen in server.requests)


def recorded_usd(rows: list[dict[str, Any]]) -> float:
    """What the record says was spent: settled calls, and reservations that nothing settles."""
    closed = {row["settles"] for row in rows}
    return float(
        sum(row["usd"] for row in rows if row["state"] != "reserved" or row["seq"] not in closed)
    )
