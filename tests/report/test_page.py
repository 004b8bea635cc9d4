"""The report is one file that says what is known, says what is not, and runs nobody's text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from html import escape, unescape
from html.parser import HTMLParser
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from bestpolicy.core.nouns import Interval
from bestpolicy.report import page as room
from bestpolicy.report import plots
from bestpolicy.report.dossier import Canary, Command, Dossier, Example, PolicyCost
from bestpolicy.report.page import render
from bestpolicy.report.tables import as_json, in_words
from bestpolicy.study import Study
from report.browser import CHROMIUM, opened
from report.scripted import TICKETS, answer, dossier, elements, play, snapshot, spread

RAN = "document.documentElement.dataset.ran='1'"
PAYLOADS = (
    f"<script>{RAN}</script>",
    f"</script><script>{RAN}</script>",
    f"<img src=x onerror={RAN}>",
    f"<svg/onload={RAN}>",
    f'"><script>{RAN}</script>',
    f"'-({RAN})-'",
    f'" onmouseover="{RAN}" autofocus onfocus="{RAN}" x="',
    f'<iframe srcdoc="<script>top.{RAN}</script>"></iframe>',
    f"javascript:{RAN}",
    f'<a href="javascript:{RAN}">look</a>',
    f"<!--<script>{RAN}</script>",
    f"-->{RAN}<!--",
    f"]]><script>{RAN}</script>",
    f"</title><script>{RAN}</script>",
    f"</style><script>{RAN}</script>",
    f"<style>@import 'x';*{{background:url(javascript:{RAN})}}</style>",
    f"<details open ontoggle={RAN}>",
    f"<body onload={RAN}>",
    f'<meta http-equiv="refresh" content="0;url=javascript:{RAN}">',
    f"\\u003cscript\\u003e{RAN}\\u003c/script\\u003e",
    "{{7*7}}",
    "{% include 'page.css' %}{{ at.__class__ }}",
    "<b>bold</b><br>%{x} $x^2$ &lt;i&gt;",
)

LIBRARY = plots.library()  # no word or element of which is read
HARMLESS = tuple(f"text {chr(97 + n)}" for n in range(len(PAYLOADS)))


class Text(HTMLParser):
    """What a reader sees, and every attribute."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.tags: list[str] = []
        self._hidden = 0
        self.feed(page.replace(LIBRARY, ""))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._hidden += tag in ("script", "style")
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def five() -> Dossier:
    return dossier(play(TICKETS, lean=1.0))


@pytest.fixture(scope="module")
def twenty() -> Dossier:
    return dossier(play(spread(20), most=150))


@pytest.fixture(scope="module")
def hostile() -> Dossier:
    return saying(PAYLOADS)


def saying(texts: Sequence[str]) -> Dossier:
    """A study in which a user has chosen every text that there is to choose."""
    names = [*texts[:6], *texts[-3:]]
    worth = dict(zip(names, (1.5, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0), strict=True))
    made = dossier(play(worth, most=90, name=texts[1], sentinels=0.1), full=False)
    half, second = Interval(0.5, 0.25, 0.75), Interval(1.0, 0.5, 2.0)
    shares = cycle((0.0, 0.5, 1.0, None))
    return replace(
        made,
        basis=replace(made.basis, judge=" ".join(texts), inputs=" ".join(texts), design=texts[0]),
        created=texts[0],
        version=texts[1],
        examples=tuple(
            Example(n, t, texts[0], next(shares), {t: t, "n": n}, t, t, t)
            for n, t in enumerate(texts)
        ),
        chosen=texts[2],
        assumptions=tuple(texts),
        commands=tuple(Command(t, t) for t in texts),
        canaries=tuple(Canary(t, 3, 2) for t in texts),
        costs=tuple(PolicyCost(t, 9, 2, {t: 2}, half, second) for t in texts),
        cost_note=texts[3],
        snapshot=replace(made.snapshot, hash=texts[4], record_hash=texts[5]),
    )


# -- what it says ------------------------------------------------------------------------------


def test_the_sections_come_in_the_order_in_which_they_are_read(five: Dossier) -> None:
    page = render(five)
    ids = ["verdict", "grounds", "evidence", "pairs", "allocation", "cost", "failures", "examples"]
    places = [page.index(f'id="{one}"') for one in [*ids, "judge", "reproduce", "numbers"]]
    assert places == sorted(places)
    assert page.index('id="h-warnings"') < page.index('id="grounds"')


def test_the_verdict_is_the_first_thing_said_and_claims_what_was_proven(five: Dossier) -> None:
    text = Text(render(five)).text
    assert five.snapshot.verdict.kind == "winner"
    first = "The winner is kind-and-brief. Wrong at most 0.05 of the time, whenever you look."
    assert first in text[text.index("bestpolicy report") :][:200]
    assert "at most 5 in 100 ever name a wrong winner" in text


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("undecided", "not a finding that they are equal"),
        ("equivalent", "None of them loses"),
        ("no-winner", "nobody to name"),
        ("infeasible", "Nothing is claimed"),
    ],
)
def test_every_verdict_is_explained(five: Dossier, kind: Any, says: str) -> None:
    verdict = replace(five.snapshot.verdict, kind=kind, given="the structure holds")
    text = Text(render(replace(five, snapshot=replace(five.snapshot, verdict=verdict)))).text
    assert says.lower() in text.lower()
    assert "The winner is" not in text
    assert "if the structure holds" in text


def test_warnings_stand_before_what_the_verdict_rests_on(five: Dossier) -> None:
    warnings = five.snapshot.warnings()
    assert any("favours a position" in warning for warning in warnings)
    text = Text(render(five)).text
    for warning in warnings:
        assert text.index(warning) < text.index("What it rests on Judge")
    calm = replace(five.snapshot, outcomes=(), doubts=())
    assert "No warnings" in Text(render(replace(five, snapshot=calm))).text


def test_the_object_of_json_is_in_the_page_as_it_is(five: Dossier) -> None:
    told = elements(render(five), "report")
    assert told.items() >= json.loads(json.dumps(as_json(five.snapshot))).items()
    assert len(told["pairs"]) == len(five.snapshot.pairs)


def test_every_pair_is_shown_with_its_interval_and_count(five: Dossier) -> None:
    at, text = five.snapshot, Text(render(five)).text
    for (a, b), pair in at.pairs.items():
        share = at.against(a, b)
        assert share is not None
        low, high = f"{100 * share.low:.1f}", f"{100 * share.high:.1f}"
        cell = rf"{100 * share.value:.1f}( ✓)? {low}–{high} n {pair.n:,}"
        assert re.search(cell, text), cell


def numbers_of(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from numbers_of(one)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield float(value)
    elif isinstance(value, str):
        yield from (float(n.replace(",", "")) for n in re.findall(NUMBER, value))


NUMBER = r"(?<![\w.])\d[\d,]*(?:\.\d+)?"
# Of the explanations: odds and their logarithms, one half, and the false alarms of a doubt.
CONSTANTS = {"0", "1", "2.3", "4.6", "6.9", "10", "50", "100", "1,000"}


def strangers(page: str) -> list[str]:
    """Numbers of the tables and sentences that no number of the page's data rounds to."""
    known = set(numbers_of([elements(page, "report"), elements(page, "fig-evidence")]))
    text = Text(page[: page.index('id="examples"')] + page[page.index('id="judge"') :]).text
    found = []
    for token in re.findall(NUMBER, text):
        digits = len(token.partition(".")[2])
        value = float(token.replace(",", ""))
        near = 0.5001 * 10**-digits
        if token not in CONSTANTS and not any(
            min(abs(x - value), abs(100 * x - value), abs(100 * x + 50 - value)) <= near
            or (x and abs(value / x - 1) < 6e-4 and digits > 2)  # significant digits, of money
            for x in map(abs, known)
        ):
            found.append(token)
    return found


def in_letters(made: Dossier) -> Dossier:
    """Without the numbers that are a user's own words."""
    basis = replace(made.basis, judge="a model", inputs="rows of a table")
    costs = tuple(replace(cost, reasons={"timed out": cost.failed}) for cost in made.costs)
    at = replace(made.snapshot, hash="sha", record_hash="sha")
    return replace(
        made, basis=basis, costs=costs, cost_note="", created="now", version="this", snapshot=at
    )


def test_every_number_shown_is_in_the_data(five: Dossier) -> None:
    page = render(in_letters(five))
    assert strangers(page) == []


def test_the_check_of_numbers_can_fail(five: Dossier) -> None:
    page = render(in_letters(five))
    share = in_words(five.snapshot.against(0, 1)).split("%")[0]
    assert strangers(page.replace(f"{share}%", "77.7777%"))
    assert strangers(page.replace("</h1>", " 87654</h1>")) == ["87654"]


def test_every_share_has_its_interval(five: Dossier) -> None:
    text = Text(render(five)).text
    explained = ("95%", "50%", "5%", "100%")
    for found in re.finditer(r"(\d+(?:\.\d+)?%)( \[)?", text):
        before = text[max(0, found.start() - 40) : found.start()]
        inside = re.search(r"\[[^\]]*$", before) is not None
        used = re.search(r"against [\w-]+ [\d,]+ $", before) is not None  # n of all: a count
        assert found[2] or inside or used or found[1] in explained, text[found.start() - 60 :][:90]


# -- many policies, and missing parts -------------------------------------------------------------


def test_many_policies_are_shown_in_part_and_the_rest_is_said(twenty: Dossier) -> None:
    page = render(twenty)
    text = Text(page).text
    assert "8 more policies, with more evidence against them, are not drawn" in text
    assert "8 more policies are left out" in text
    lines = [t for t in elements(page, "fig-evidence")["data"] if t["mode"] == "lines"]
    assert len(lines) == 12 + 1
    assert page.count('<tr><th scope="row">') >= 12
    for policy in twenty.snapshot.policies:
        assert policy in text


def test_what_is_missing_is_said_and_leaves_no_empty_box() -> None:
    for study in (play(TICKETS, most=30), Study(["a", "b"])):
        bare = replace(dossier(study, full=False), trail=None)
        page = render(bare)
        text = Text(page).text
        for sentence in (
            "How the evidence came to be is not drawn",
            "no log of calls was kept, as the policies",
            "Not known: no log of calls was kept.",
            "None: nothing has been answered yet, or the texts were not kept.",
            "None: the judge was not asked questions whose answer is known.",
            "No command lines",
        ):
            assert sentence in text
        assert ("Nothing has been compared yet" in text) == (not study.outcomes())
        held = set(re.findall(r'data-figure="([\w-]+)"', page))
        assert held == set(re.findall(r'json" id="(fig-[\w-]+)"', page))
        assert not re.search(r"<tbody>\s*</tbody>|<ul>\s*</ul>|<dl[^>]*>\s*</dl>", page)


def test_costs_without_prices_and_examples_without_texts_say_so(five: Dossier) -> None:
    costs = tuple(replace(cost, usd=None) for cost in five.costs)
    silent = tuple(replace(one, left_text=None, row=None, said="") for one in five.examples)
    page = render(replace(five, costs=costs, examples=silent))
    text = Text(page).text
    assert "No price is known" in text
    assert "Cost per call" not in text
    assert "Seconds per call" in text
    assert text.count("The text of this answer was not kept.") == len(silent)


def test_a_study_with_guests_and_a_changed_judge_is_told() -> None:
    study = play({"a": 1.0, "b": 0.0, "c": 0.3}, most=30)
    study.add("d")
    study.retire("b")
    answer(study, {"a": 1.0, "c": 0.3, "d": 0.5}, most=20)
    made = dossier(study)
    assert made.trail is not None
    text = Text(render(replace(made, trail=replace(made.trail, resets=(20,))))).text
    assert "d joined at duel 30" in text
    assert "b left at duel 30" in text
    assert "the judge was found changed" in text
    assert "not there" in text


# -- one file, and nobody's text runs ----------------------------------------------------------


def test_the_file_loads_nothing_and_its_policy_forbids_it(five: Dossier) -> None:
    page = render(five)
    assert loads(page) == []
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    for rule in (
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "script-src 'unsafe-inline'",
        "img-src data:",
    ):
        assert rule in policy[1]
    assert page.startswith("<!DOCTYPE html>")


def loads(page: str) -> list[tuple[str, str, str]]:
    """Attributes and styles that would fetch something."""
    seen = Text(page)
    found = [
        one
        for one in seen.attributes
        if one[1] in ("src", "srcset", "href", "data", "action", "poster", "xlink:href")
        and not one[2].startswith(("#", "data:,"))
    ]
    styles = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    return found + [("style", "", url) for s in styles for url in re.findall(r"url\(|@import", s)]


@pytest.mark.parametrize(
    "line", ['<script src="https://x/y.js"></script>', "<style>a{b:url(x)}</style>", "<img src=x>"]
)
def test_the_check_for_loads_can_fail(line: str) -> None:
    assert loads(f"<p>{line}</p>")


def test_the_file_can_be_mailed(twenty: Dossier) -> None:
    assert len(render(twenty).encode()) < 6 * 2**20


def test_the_same_dossier_gives_the_same_page(five: Dossier) -> None:
    assert render(five) == render(five)


def test_every_text_of_a_user_is_shown_as_it_is(hostile: Dossier) -> None:
    page = render(hostile)
    words = "".join(Text(page).words)
    for payload in PAYLOADS:
        assert payload in words
    assert anatomy(page) == anatomy(render(saying(HARMLESS)))


def test_the_check_of_the_anatomy_can_fail(
    hostile: Dossier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "seen", room._raw)  # users' texts pass for our own
    assert anatomy(render(hostile)) != anatomy(render(saying(HARMLESS)))


def anatomy(page: str) -> tuple[list[str], list[tuple[str, str]]]:
    """Elements and their attributes, which no text of a user may add to."""
    seen = Text(page)
    return seen.tags, [(tag, name) for tag, name, _ in seen.attributes]


def test_figures_hold_names_that_neither_end_the_script_nor_mean_anything(
    hostile: Dossier,
) -> None:
    page = render(hostile)
    for body in re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL):
        assert not re.search("[<>&]", body)
        json.loads(body)
    labels = [a["text"] for a in elements(page, "fig-allocation")["layout"]["annotations"]]
    assert labels
    assert not any("<" in label or ">" in label for label in labels)


def test_characters_that_do_not_show_get_a_picture(five: Dossier) -> None:
    odd = "a\x00b\x1b[31m\u202egnp.exe\ud800 <\u2066>"
    example = replace(five.examples[0], left=odd, left_text=odd, said=odd)
    page = render(replace(five, examples=(example,), commands=(Command(odd, odd),)))
    page.encode("utf-8")
    assert "a␀b␛[31m�gnp.exe� &lt;�&gt;" in page
    for character in ("\x00", "\x1b", "\u202e", "\u2066"):
        assert character not in page


def test_long_texts_are_cut_and_say_by_how_much(five: Dossier) -> None:
    example = replace(five.examples[0], left_text="x" * 5000)
    text = Text(render(replace(five, examples=(example,)))).text
    assert "… and 3,500 more characters" in text
    assert "x" * 1501 not in text


# -- in a browser --------------------------------------------------------------------------------


needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@pytest.mark.slow
@needs_chromium
def test_in_a_browser_no_text_runs_and_every_figure_is_drawn(
    hostile: Dossier, tmp_path: Path
) -> None:
    page = render(hostile)
    document, console = opened(page, tmp_path)
    assert not ran(document)
    assert console == []
    for figure in re.findall(r'data-figure="([\w-]+)"', page):
        box = document[document.index(f'data-figure="{figure}"') :]
        assert "main-svg" in box[: box.index("</figure>")]
    # Names stand in the figures as they are.
    drawn = unescape(document[document.index('data-figure="fig-cost-1"') :])
    for payload in PAYLOADS[:3]:
        assert plots.shortened(payload, 44) in drawn
    assert escape("{{7*7}}") in document


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("where", ["a policy", "a figure"])
def test_a_page_that_does_not_escape_is_seen_to_run(
    hostile: Dossier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    if where == "a policy":
        monkeypatch.setattr(room, "seen", room._raw)
    else:
        monkeypatch.setattr(room, "safe_json", json.dumps)
    document, _ = opened(render(hostile), tmp_path)
    assert ran(document)


@pytest.mark.slow
@needs_chromium
def test_errors_on_the_console_would_be_seen(tmp_path: Path) -> None:
    assert opened("<script>console.error('no')</script>", tmp_path).console


def ran(document: str) -> bool:
    return re.search(r"<html[^>]*data-ran", document) is not None


def test_a_snapshot_alone_makes_a_page() -> None:
    study = Study(["a", "b"])
    made = replace(dossier(study, full=False), snapshot=snapshot(study))
    assert "Undecided" in render(made)
