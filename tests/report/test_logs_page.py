"""The report on a log: one file that fetches nothing, runs nobody's text and hides what it must."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bestpolicy.core.log import Log
from bestpolicy.core.rng import stream
from bestpolicy.offpolicy.describe import describe
from bestpolicy.offpolicy.evaluate import evaluate_all
from bestpolicy.offpolicy.targets import always, uniform
from bestpolicy.report import drawing
from bestpolicy.report import logs as room
from bestpolicy.report.described import Described
from bestpolicy.report.log_tables import as_json
from bestpolicy.report.log_words import About, Answers
from bestpolicy.report.logs import Made, render, render_description
from report.browser import CHROMIUM, opened
from report.scripted import elements
from report.seen import Text
from report.test_page_safety import HARMLESS, PAYLOADS, anatomy, loads, ran, width_on_a_phone

Texts = Sequence[str]
WIDE = ("w" * 300, "v" * 300, *(f"action {i} {'x' * 90}" for i in range(20)))
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


def log(names: Texts, *, rare: float = 0.001) -> Log:
    """Rows of so many actions, of which the last was hardly ever tried."""
    rng, n, many = stream(0, "page"), 3000, len(names)
    p = np.r_[np.full(many - 1, (1 - rare) / (many - 1)), rare]
    actions = rng.choice(many, n, p=p)
    rewards = (rng.random(n) < 0.2 + 0.3 * (actions == 0)).astype(float)
    times = np.arange(n) * 60.0
    return Log(actions, rewards, p[actions], tuple(names), times=times)


def about(made: Log, texts: Texts) -> About:
    parts = dict(zip(("action", "reward", "propensity"), texts, strict=False))
    few = (texts[0], len(made), len(made.names), made.bounds, texts[1])
    return About(*few, parts, True, tuple(texts))


def made_by(texts: Texts) -> Made:
    return Made(texts[0], texts[1], texts[2])


def asked(texts: Texts) -> Answers:
    """A log in which a user has chosen every text that there is to choose."""
    rows = log(texts)
    targets = {texts[0]: always(texts[0], rows.names), texts[1]: uniform()}
    targets |= {texts[2]: always(texts[-1], rows.names)}
    found = evaluate_all(rows, targets, estimators=["ips", "snips"])
    return Answers(about(rows, texts), tuple(found.values()), 0.95)


def pages(texts: Texts) -> list[str]:
    """Of an evaluation and of a description."""
    rows, made = log(texts), made_by(texts)
    described = Described(about(rows, texts), describe(rows))
    return [render(asked(texts), made), render_description(described, made)]


@pytest.fixture(scope="module")
def hostile() -> list[str]:
    return pages(PAYLOADS)


@pytest.fixture(scope="module")
def harmless() -> list[str]:
    return pages(HARMLESS)


def test_the_files_load_nothing_and_their_policy_forbids_it(harmless: list[str]) -> None:
    for page in harmless:
        assert loads(page) == []
        policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
        assert policy is not None
        assert "default-src 'none'" in policy[1]
        assert page.startswith("<!DOCTYPE html>")
        assert len(page.encode()) < 6 * 2**20


def test_every_text_of_a_user_is_shown_as_it_is(hostile: list[str], harmless: list[str]) -> None:
    for page, plain in zip(hostile, harmless, strict=True):
        words = "".join(Text(page).words)
        for payload in PAYLOADS:
            assert payload in words
        assert anatomy(page) == anatomy(plain)


def test_the_check_of_the_anatomy_can_fail(
    harmless: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(room.ROOM.filters, "seen", room._raw)  # users' texts pass for our own
    for page, plain in zip(pages(PAYLOADS), harmless, strict=True):
        assert anatomy(page) != anatomy(plain)


def test_what_stands_in_scripts_cannot_end_them(hostile: list[str]) -> None:
    for page in hostile:
        bodies = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)
        assert len(bodies) >= 4
        for body in bodies:
            assert not re.search("[<>&]", body)
            json.loads(body)


def test_the_object_of_json_is_in_the_page_as_it_is(harmless: list[str]) -> None:
    told = elements(harmless[0], "report")
    assert told == json.loads(json.dumps(as_json(asked(HARMLESS))))


def test_the_verdict_is_said_first_and_the_sections_are_in_order(harmless: list[str]) -> None:
    text = Text(harmless[0]).text
    assert text.index("better than the policy that logged") < text.index("Read this first")
    ids = ["verdict", "uplift", "values", "log", "pictures", "grounds", "numbers"]
    places = [harmless[0].index(f'id="{one}"') for one in ids]
    assert places == sorted(places)
    assert "so that all of them hold together with 95%" in text


def test_where_the_log_stops_neither_text_nor_figure_holds_a_number(harmless: list[str]) -> None:
    assert hidden(harmless[0])


def hidden(page: str) -> bool:
    """Whether of the third target, which the log cannot answer, only what holds at every n is
    drawn and told."""
    rows = re.findall(r"<tr><th scope=\"row\">ips</th>.*?</tr>", page)
    told = elements(page, "report")["evaluation"]["targets"][2]
    assert told["verdict"] == "stop"
    # A dot with whiskers is drawn for an estimate that may be read.
    drawn = elements(page, "fig-values-3")["data"]
    uplifts = elements(page, "fig-uplift")["data"]
    dots = [len(one["x"]) for one in uplifts if "error_x" in one]
    return (
        not any("error_x" in one for one in drawn)
        and dots == [2]
        and rows[2].count("not shown") == 2
    )


def test_a_page_that_shows_a_number_in_spite_of_a_stop_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room.words, "speaks", lambda evaluation: True)
    assert not hidden(render(asked(HARMLESS), made_by(HARMLESS)))


def test_every_colour_of_a_figure_has_its_dark_twin(harmless: list[str]) -> None:
    colours = {
        colour
        for page in harmless
        for figure in re.findall(r'id="fig-[^"]*">(.*?)</script>', page)
        for colour in re.findall(r"rgb\([\d, ]+\)", figure)
    }
    assert colours <= set(drawing.DARK)
    assert len(colours) > 3


@pytest.mark.slow
@needs_chromium
def test_in_a_browser_no_text_runs_and_every_figure_is_drawn(
    hostile: list[str], tmp_path: Path
) -> None:
    for page in hostile:
        document, console = opened(page, tmp_path)
        assert not ran(document)
        assert console == []
        figures = re.findall(r'data-figure="([\w-]+)"', page)
        assert len(figures) >= 2
        for figure in figures:
            box = document[document.index(f'data-figure="{figure}"') :]
            assert "main-svg" in box[: box.index("</figure>")]


@pytest.mark.slow
@needs_chromium
def test_the_pages_are_no_wider_than_a_phone(tmp_path: Path) -> None:
    for page in pages(WIDE):
        assert width_on_a_phone(page, tmp_path) <= 360
