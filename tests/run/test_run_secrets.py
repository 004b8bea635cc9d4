"""A key in the environment goes to its server and is found nowhere else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from llm.fake_provider import FakeProvider, Room, completion
from run.playing import MODEL, bestpolicy_, policy, write

pytestmark = pytest.mark.slow  # starts every command there is

KEY = "sk-canary-9f8e7d6c5b4a3210"
DEBUG = "import logging\nlogging.basicConfig(level=logging.DEBUG)\n"
DEFECT = """\
from bestpolicy.study import Study


def tell(self, *arguments, **options):
    raise RuntimeError("a defect")


Study.tell = tell
"""
SPOKEN = """\
from bestpolicy.llm import openai
openai.plain = lambda text, key: text[:300]
openai.without = lambda key, text: text
"""
# Tries pause as ever, only not for long: what is looked for is in what they say.
SOON = """\
from bestpolicy.llm import retries
retries.FIRST = retries.LAST = retries.LONGEST = 0.02
"""
AGAIN = ("echo-error", "echo-late", "echo-broken", "echo-header", "429-odd")


def echo(body: Any, nonce: str) -> str:
    return f"{body['messages'][-1]['content'][0]} says your key is {KEY} or {KEY[:4]} {nonce}"


def echoed_header(room: Room) -> None:
    """The key in the headers and the body of an error."""
    room.error(500, f"key {room.key()}", {"X-Key": room.key(), "Retry-After": room.key()})


def no_key_comes_out(folder: Path, twin: str = "") -> None:
    from llm import fake_provider

    fake_provider.MODES.setdefault("echo-header", echoed_header)
    fake_provider.MODES.setdefault(
        "echo-choice", lambda room: room.reply(200, completion(f"{room.key()} is better"))
    )
    said: list[str] = []

    def noted(*arguments: object, prelude: str = "") -> None:
        done = bestpolicy_(*arguments, twin=SOON + twin + prelude, CANARY_KEY=KEY)
        said.extend((done.out, done.err))

    with FakeProvider(answer=echo) as server:
        path = write(
            folder,
            server,
            policies=[policy(name, server, api_key_env="CANARY_KEY") for name in "ab"],
            judge={"llm": {"model": MODEL, "base_url": server.url, "api_key_env": "CANARY_KEY"}},
            decide={"confidence": 1 - 1e-6},
            budget={"comparisons": 60},
            workers=4,
        )
        for mode in ("wrong-key", "forbidden"):
            server.plan = mode
            noted("run", path)
        server.plan = lambda n: AGAIN[n % len(AGAIN)]
        noted("run", path, "--json", prelude=DEBUG)
        server.plan = lambda n: ("ok", "echo-choice")[n % 2]
        noted("check", path)
        noted("check", path, "--json", prelude=DEBUG)
        # A judge who answers at all, so that answers are told.
        judged = json.loads(path.read_text()) | {"judge": {"call": "judging:judge"}, "name": "two"}
        path.write_text(json.dumps(judged))
        server.plan = lambda n: ("ok", "ok", "echo-error", "echo-header", "ok")[n % 5]
        noted("run", path, prelude=DEFECT + DEBUG)
        noted("run", path, prelude=DEBUG)
        assert "comparisons" in said[-2]
        assert "says your key is [key]" in str(said) or twin
        for command in ("status", "replay", "export"):
            noted(command, path)
            noted(command, path, "--json")
        for name in ("r.parquet", "r.csv", "r.jsonl"):
            noted("export", path, "-o", folder / name)
        noted("export", path, "--format", "trl-dpo")
        noted("report", path, "-o", folder / "report.html")
        noted("report", path, "-o", folder / "report.html", "--json")
        assert any("Traceback" in text and "a defect" in text for text in said)
        assert any("DEBUG" in text for text in said)
        assert all(s.headers["authorization"] == f"Bearer {KEY}" for s in server.requests)
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert {file.suffix for file in files} >= {".db", ".html", ".parquet", ".csv", ".jsonl"}
    for text in [*said, *(file.read_bytes().decode("latin-1") for file in files)]:
        assert not re.search(KEY[:12], text)


def test_no_key_comes_out_of_any_command_file_or_log(tmp_path: Path) -> None:
    no_key_comes_out(tmp_path)


def test_a_key_that_comes_out_is_caught(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"re\.Match"):
        no_key_comes_out(tmp_path, SPOKEN)
