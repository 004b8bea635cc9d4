"""People rate in a real browser: by keyboard, by touch, in the dark, and with a screen reader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bestpolicy.serve.sessions import invite
from serve.browsing import DESKTOP, PHONE, Watched, browser, needs_a_browser
from serve.people import Served, better, one_pair, served, write

pytestmark = [needs_a_browser, pytest.mark.filterwarnings("ignore::ResourceWarning")]

KEYS = {"first": "1", "second": "2", "tie": "0"}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as opened:
        yield opened


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Served]:
    with served(write(tmp_path, policies=6)) as at:
        yield at


def opened(chromium: Any, at: Served, **options: Any) -> Watched:
    """The page with its first pair on it."""
    seen = Watched(chromium, **options)
    seen.page.goto(f"{at.url}/rate")
    seen.pair.wait_for()
    return seen


def next_pair(seen: Watched, act: Callable[[], object]) -> None:
    """Do something, and wait for another pair or the end."""
    before = seen.pair.get_attribute("data-view")
    seen.page.wait_for_timeout(260)  # a second tap at once is taken for a slip
    act()
    seen.page.wait_for_function(
        "before => { const pair = document.querySelector('article.pair:not([hidden])');"
        " return pair ? pair.dataset.view !== before"
        " : document.querySelector('.notice[data-over=\"1\"]:not([hidden])') }",
        arg=before,
    )


def rate_to_the_end(seen: Watched, say: Callable[[str], object]) -> int:
    """Answer as somebody who knows, until the thank-you; how many pairs it took."""
    for n in range(600):
        if not seen.pair.count():
            assert seen.page.locator(".notice").inner_text().startswith("Thank you")
            return n
        word = KEYS[better(*seen.texts())]
        next_pair(seen, lambda word=word: say(word))
    raise AssertionError("the study never ended")


def settles_at_once(tmp_path: Path) -> Any:
    return served(write(tmp_path, policies=6), settles=0.0)


def test_six_policies_are_rated_by_keyboard_from_the_start_to_the_thank_you(
    chromium: Any, tmp_path: Path
) -> None:
    with settles_at_once(tmp_path) as at:
        seen = opened(chromium, at, **DESKTOP)
        answered = rate_to_the_end(seen, seen.page.keyboard.press)
        verdict = at.opened.study.verdict()
        assert (verdict.kind, verdict.policy) == ("winner", "policy-5")
        assert f"You answered {answered} pairs" in seen.page.locator(".notice").inner_text()
        assert not seen.complaints
        assert all(url.startswith((at.url, "data:")) for url in seen.requests)
        assert "policy-" not in seen.page.content()


def test_six_policies_are_rated_by_touch_on_a_screen_of_390_pixels(
    chromium: Any, tmp_path: Path
) -> None:
    with settles_at_once(tmp_path) as at:
        seen = opened(chromium, at, **PHONE)

        def tap(word: str) -> None:
            seen.pair.locator(f'[data-key="{word}"]').tap()

        rate_to_the_end(seen, tap)
        assert at.opened.study.verdict().policy == "policy-5"
        assert not seen.complaints


LONG = """

def long(row):
    return "unbroken" * 200 + " " + "a word and another " * 400


def code(row):
    return "x = [" + ", ".join(str(i) for i in range(500)) + "]\\\\n" * 3
"""


@pytest.mark.parametrize("screen", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nothing_is_wider_than_the_screen_and_every_button_can_be_hit(
    chromium: Any, tmp_path: Path, screen: dict[str, Any]
) -> None:
    path = write(tmp_path, policies=2, functions=LONG.replace("\\\\n", "\\n"))
    path.write_text(
        path.read_text()
        .replace("answers:silver", "answers:long")
        .replace("answers:gold", "answers:code")
    )
    with served(path) as at:
        seen = opened(chromium, at, **screen)
        width = "[document.documentElement.scrollWidth, innerWidth]"
        wide, most = seen.page.evaluate(width)
        assert wide <= most
        boxes = [b.bounding_box() for b in seen.pair.locator("button").all()]
        assert len(boxes) == 6
        for box in boxes:
            assert box["height"] >= 44
            assert box["width"] >= 44
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= most
            # The answer is longer than the screen, and its buttons stay in reach.
            assert box["y"] + box["height"] <= screen["viewport"]["height"]
        answers = [a.bounding_box() for a in seen.pair.locator(".answer").all()]
        assert (answers[0]["y"] == answers[1]["y"]) == (most > 700)


def test_the_next_pair_is_there_before_the_answer_has_arrived(chromium: Any, here: Served) -> None:
    seen = opened(chromium, here, **DESKTOP)
    seen.page.wait_for_function("() => document.querySelectorAll('article.pair').length > 1")
    seen.page.route("**/rate/say", lambda route: None)  # it never arrives
    before = seen.pair.get_attribute("data-view")
    seen.page.wait_for_timeout(260)
    seen.page.keyboard.press("1")
    assert seen.pair.get_attribute("data-view") != before


def test_an_answer_that_finds_no_connection_is_sent_again(chromium: Any, here: Served) -> None:
    seen = opened(chromium, here, **DESKTOP)
    failing = [True, True]

    def unreliable(route: Any) -> None:
        if failing:
            failing.pop()
            route.abort()
        else:
            route.continue_()

    seen.page.route("**/rate/say", unreliable)
    next_pair(seen, lambda: seen.page.keyboard.press("1"))
    seen.page.wait_for_function(
        "() => document.getElementById('progress').innerText.startsWith('1 ')"
    )
    assert not failing
    assert sum(one.state == "said" for one in here.opened.ratings.seen()) == 1


def test_undo_brings_the_last_pair_back_as_it_stood(chromium: Any, here: Served) -> None:
    seen = opened(chromium, here, **DESKTOP)
    before = seen.texts()
    assert seen.pair.locator('[data-key="u"]').is_disabled()
    next_pair(seen, lambda: seen.page.keyboard.press("x"))
    next_pair(seen, lambda: seen.page.keyboard.press("u"))
    assert seen.texts() == before
    states = [one.state for one in here.opened.ratings.seen()]
    assert states.count("undone") == 1
    assert "said" not in states


def test_a_page_says_that_somebody_is_there_and_a_form_of_another_does_not(
    chromium: Any, here: Served
) -> None:
    seen = opened(chromium, here, **DESKTOP)
    seen.page.wait_for_timeout(200)
    assert f"{here.url}/rate/here" in seen.requests
    assert not seen.complaints
    with here.client() as client:
        client.get("/rate")
        assert client.post("/rate/here", data={"token": "no"}).status_code == 403


def test_skip_shows_another_pair_and_counts_nothing(chromium: Any, here: Served) -> None:
    seen = opened(chromium, here, **DESKTOP)
    next_pair(seen, lambda: seen.page.keyboard.press("s"))
    assert seen.page.locator("#progress").inner_text().startswith("0 answered")


@pytest.mark.parametrize("key", ["Control+1", "Alt+2", "Meta+x", "3", "Enter", "a"])
def test_other_keys_say_nothing(chromium: Any, here: Served, key: str) -> None:
    seen = opened(chromium, here, **DESKTOP)
    before = seen.pair.get_attribute("data-view")
    seen.page.wait_for_timeout(260)
    seen.page.keyboard.press(key)
    seen.page.wait_for_timeout(100)
    assert seen.pair.get_attribute("data-view") == before


def test_keys_say_nothing_while_somebody_types(chromium: Any, here: Served) -> None:
    seen = opened(chromium, here, **DESKTOP)
    before = seen.pair.get_attribute("data-view")
    seen.page.evaluate("document.body.append(document.createElement('textarea'))")
    seen.page.locator("textarea").press("1")
    seen.page.wait_for_timeout(100)
    assert seen.pair.get_attribute("data-view") == before


def test_without_scripts_forms_do_the_same(chromium: Any, here: Served) -> None:
    seen = opened(chromium, here, java_script_enabled=False, **DESKTOP)
    before = seen.pair.get_attribute("data-view")
    seen.pair.locator('[data-key="1"]').click()
    assert seen.pair.get_attribute("data-view") != before
    assert seen.page.locator("#progress").inner_text().startswith("1 answered")


def test_a_screen_reader_finds_its_way(chromium: Any, here: Served) -> None:
    seen = opened(chromium, here, **DESKTOP)
    page = seen.page
    assert page.get_by_role("main").count() == 1
    assert page.get_by_role("heading", level=1).inner_text() == "Which answer is better?"
    for region in ("What was asked", "Answer 1", "Answer 2"):
        assert page.get_by_role("region", name=region, exact=True).count() == 1
    for button in ("Answer 1", "Answer 2", "Tie", "Both bad", "Skip", "Undo"):
        assert page.get_by_role("button", name=button, exact=True).count() == 1
    assert page.get_by_role("status").count() == 1
    next_pair(seen, lambda: page.keyboard.press("1"))
    assert page.get_by_role("status").inner_text().startswith("Saved.")
    focused = "document.activeElement.getAttribute('aria-label')"
    assert page.evaluate(focused) == "Two answers to compare"


def test_the_keyboard_alone_reaches_every_button_and_shows_where_it_is(
    chromium: Any, here: Served
) -> None:
    seen = opened(chromium, here, **DESKTOP)
    names = []
    for _ in range(8):
        seen.page.keyboard.press("Tab")
        names.append(seen.page.evaluate("document.activeElement.dataset.key || ''"))
        if not names[-1]:
            continue
        outline = seen.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none"
    assert [name for name in names if name][:5] == ["1", "0", "x", "2", "s"]


CONTRASTS = """() => {
  const rgb = (text) => (text.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map(
    (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4
  ).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = rgb(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const e of document.querySelectorAll("h1, h2, p, button:not(:disabled), span")) {
    if (!e.innerText || !e.innerText.trim() || !e.checkVisibility()) continue;
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(ground(e))];
    found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.innerText.slice(0, 30)]);
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_contrast_enough(chromium: Any, here: Served, scheme: str) -> None:
    seen = opened(chromium, here, color_scheme=scheme, **DESKTOP)
    found = seen.page.evaluate(CONTRASTS)
    assert len(found) > 8
    assert all(contrast >= 4.5 for contrast, _ in found), found
    ground = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(19, 22, 25)") == (scheme == "dark")


def test_pale_text_is_caught(chromium: Any, here: Served) -> None:
    seen = opened(chromium, here, **DESKTOP)
    seen.page.evaluate("document.querySelector('h1').style.color = '#999'")
    assert any(contrast < 4.5 for contrast, _ in seen.page.evaluate(CONTRASTS))


def test_a_page_that_waits_looks_again_by_itself(chromium: Any, here: Served) -> None:
    ready = here.pairs._ready
    held = [one_pair(here.pairs, 7)]
    wanted, ready._wanted = ready._wanted, lambda: 0  # nothing more is made
    while ready.take(lambda _: True):
        pass
    seen = Watched(chromium, **DESKTOP)
    seen.page.goto(f"{here.url}/rate")
    assert "Nothing to rate right now" in seen.page.locator(".notice").inner_text()
    ready._wanted = wanted
    seen.pair.wait_for(timeout=15_000)
    assert held
    assert not seen.complaints


def test_an_invited_person_joins_by_one_button_and_rates(chromium: Any, tmp_path: Path) -> None:
    with served(write(tmp_path), local=False) as at:
        (code,) = invite(at.opened.ratings, 1, days=1)
        seen = Watched(chromium, **PHONE)
        seen.page.goto(f"{at.url}/rate")
        assert "You need an invitation" in seen.page.content()
        seen.page.goto(f"{at.url}/rate/join?code={code}")
        seen.page.get_by_role("button", name="Join").tap()
        seen.pair.wait_for(timeout=15_000)
        assert seen.page.url == f"{at.url}/rate"
        next_pair(seen, lambda: seen.pair.locator('[data-key="1"]').tap())
