"""T14: a hundred texts of models and users that would like to run, in a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment
from markupsafe import Markup

from bestpolicy.report.text import seen as shown_as
from bestpolicy.serve import rate
from serve.browsing import Watched, browser, needs_a_browser
from serve.people import Served, served, until, write
from serve.test_rate_page import fields
from serve.xss import payloads

pytestmark = [needs_a_browser, pytest.mark.filterwarnings("ignore::ResourceWarning")]

STIR = """() => document.querySelectorAll('.text *').forEach((e) => {
  for (const kind of ['mouseover', 'pointerover']) e.dispatchEvent(new MouseEvent(kind));
  if (e.focus) e.focus();
  if (e.click) e.click();
})"""
ANSWERS = """\
import json
from pathlib import Path

TEXTS = json.loads(Path(__file__).with_name("texts.json").read_text())


def one(row):
    return TEXTS[TEXTS.index(row["input"]) + 2]


def other(row):
    return TEXTS[TEXTS.index(row["input"]) + 3]
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as opened:
        yield opened


def hostile(folder: Path) -> Path:
    """A study whose inputs and answers are the corpus, four texts to a pair."""
    texts = payloads()
    path = write(folder, policies=2)
    rows = [{"input": texts[i], "more": texts[i + 1]} for i in range(0, len(texts), 4)]
    (folder / "inputs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "texts.json").write_text(json.dumps(texts))
    (folder / "answers.py").write_text(ANSWERS)
    text = re.sub(r"inputs: .*", "inputs: inputs.jsonl", path.read_text())
    path.write_text(
        text.replace("answers:silver", "answers:one").replace("answers:gold", "answers:other")
    )
    return path


class Score:
    """Which texts ran, or asked another host for something."""

    def __init__(self, chromium: Any, at: Served, *, by_keyboard: bool = False) -> None:
        self.watched = Watched(chromium)
        self.hits: set[int] = set()
        self.seen: list[str] = []
        page = self.watched.page
        page.expose_function("hit", lambda n: self.hits.add(int(n)))

        def elsewhere(route: Any) -> None:
            found = re.search(
                r"hit\((\d+)\)", route.request.url.replace("%28", "(").replace("%29", ")")
            )
            self.hits.add(int(found.group(1)) if found else -1)
            route.abort()

        page.route(re.compile(r"evil\.example"), elsewhere)
        for number in range(len(payloads()) // 4):
            if number == 0 or not by_keyboard:
                until(lambda: at.pairs._ready.waiting() or at.pairs._ready.dry)
                page.goto(f"{at.url}/rate", wait_until="commit")
            page.wait_for_timeout(120)
            if by_keyboard:
                self.watched.pair.wait_for()
            self.seen += page.locator("article.pair:not([hidden]) .text").all_inner_texts()
            page.evaluate(STIR)
            page.wait_for_timeout(270 if by_keyboard else 30)
            if by_keyboard:
                page.keyboard.press("0")
            else:
                self._answer(at)

    def _answer(self, at: Served) -> None:
        """Beside the browser, whose page may be past using in the twin."""
        cookies = {c["name"]: c["value"] for c in self.watched.context.cookies()}
        with at.client(cookies=cookies) as client:
            form = fields(client.get("/rate").text) | {"winner": "0"}
            client.post("/rate/say", data=form)

    @property
    def total(self) -> int:
        return len(self.hits) + len(self.watched.dialogs)


def test_there_are_a_hundred_texts_and_they_differ() -> None:
    assert len(payloads()) == len(set(payloads())) == 100


@pytest.mark.parametrize("by_keyboard", [False, True], ids=["page by page", "by keyboard"])
def test_none_of_a_hundred_hostile_texts_runs_and_each_is_shown_as_it_is(
    chromium: Any, tmp_path: Path, by_keyboard: bool
) -> None:
    with served(hostile(tmp_path), settles=0.0) as at:
        score = Score(chromium, at, by_keyboard=by_keyboard)
    assert score.hits == set()
    assert score.watched.dialogs == []
    assert all(url.startswith((at.url, "data:,")) for url in score.watched.requests)
    shown = {" ".join(text.split()) for text in score.seen}
    missing = [p for p in payloads() if " ".join(shown_as(p).split()) not in shown]
    assert missing == []


def no_policy(app: Any) -> Any:
    """The same app without its headers of safety."""

    async def bare(scope: Any, receive: Any, send: Any) -> None:
        async def stripped(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    h for h in message["headers"] if h[0] != b"content-security-policy"
                ]
            await send(message)

        await app(scope, receive, stripped)

    return bare


def test_a_page_that_takes_texts_for_html_and_has_no_policy_lets_them_run(
    chromium: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = rate.templates

    def careless() -> Environment:
        room = honest()
        room.filters["seen"] = Markup
        return room

    monkeypatch.setattr(rate, "templates", careless)
    with served(hostile(tmp_path), settles=0.0, wrap=no_policy) as at:
        score = Score(chromium, at)
    print(f"{len(score.hits)} of 100 ran")
    assert score.total > 20


def test_the_policy_alone_stops_what_the_template_lets_through(
    chromium: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = rate.templates

    def careless() -> Environment:
        room = honest()
        room.filters["seen"] = Markup
        return room

    monkeypatch.setattr(rate, "templates", careless)
    with served(hostile(tmp_path), settles=0.0) as at:
        score = Score(chromium, at)
    # A page of another host may still be led to; no text runs.
    assert {n for n in score.hits if "evil.example" not in payloads()[n]} == set()
