"""The report is one file that fetches nothing and runs nobody's text."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from html import escape, unescape
from itertools import cycle
from pathlib import Path

import pytest

from bestpolicy.core.nouns import Interval
from bestpolicy.report import page as room
from bestpolicy.report.dossier import Canary, Command, Dossier, Example, PolicyCost
from bestpolicy.report.length import Against, Length
from bestpolicy.report.page import render
from bestpolicy.report.text import shortened
from report.browser import CHROMIUM, opened
from report.scripted import dossier, elements, of_five, of_twenty, play
from report.seen import Text

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
HARMLESS = tuple(f"text {chr(97 + n)}" for n in range(len(PAYLOADS)))


@pytest.fixture
def five() -> Dossier:
    return of_five()


@pytest.fixture
def twenty() -> Dossier:
    return of_twenty()


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
        snapshot=replace(
            made.snapshot,
            hash=texts[4],
            record_hash=texts[5],
            length=Length(half, 9, 0, tuple(Against(t, texts[0], 9, half, half) for t in texts)),
        ),
    )


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
    monkeypatch.setitem(room.ROOM.filters, "seen", room._raw)  # users' texts pass for our own
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
        assert shortened(payload, 44) in drawn
    assert escape("{{7*7}}") in document


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("where", ["a policy", "a figure"])
def test_a_page_that_does_not_escape_is_seen_to_run(
    hostile: Dossier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    if where == "a policy":
        monkeypatch.setitem(room.ROOM.filters, "seen", room._raw)
    else:
        monkeypatch.setattr(room, "safe_json", json.dumps)
    document, _ = opened(render(hostile), tmp_path)
    assert ran(document)


@pytest.mark.slow
@needs_chromium
def test_errors_on_the_console_would_be_seen(tmp_path: Path) -> None:
    assert opened("<script>console.error('no')</script>", tmp_path).console


@pytest.mark.slow
@needs_chromium
def test_the_page_is_no_wider_than_a_phone(
    twenty: Dossier, hostile: Dossier, tmp_path: Path
) -> None:
    long = replace(
        hostile.examples[0], left="w" * 300, left_text="w" * 900, row={"w" * 90: "w" * 90}
    )
    unbroken = replace(hostile, examples=(long,), commands=(Command("w" * 300, "w" * 300),))
    for made in (twenty, unbroken):
        assert width_on_a_phone(render(made), tmp_path) <= 360
    wide = render(twenty).replace("<main>", '<main><div style="width: 400px">x</div>')
    assert width_on_a_phone(wide, tmp_path) > 360


def width_on_a_phone(page: str, folder: Path) -> int:
    """Of the document, in a frame of 360 pixels."""
    tell = "<script>parent.postMessage(document.documentElement.scrollWidth, '*')</script></body>"
    (folder / "framed.html").write_text(page.replace("</body>", tell), encoding="utf-8")
    frame = (
        "<script>onmessage = (e) => { document.body.dataset.wide = e.data }</script>"
        '<iframe src="framed.html" width="360" height="800" style="border: 0"></iframe>'
    )
    found = re.search(r'data-wide="(\d+)"', opened(f"<body>{frame}</body>", folder).document)
    assert found is not None
    return int(found[1])


def ran(document: str) -> bool:
    return re.search(r"<html[^>]*data-ran", document) is not None
