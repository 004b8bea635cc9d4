"""The dashboard shows where the study stands, keeps up, and lets nobody in who may not look."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from bestpolicy.serve import dashboard as room
from bestpolicy.serve.access import SESSION
from bestpolicy.serve.app import make_app
from bestpolicy.serve.house import House
from bestpolicy.serve.picture import picture
from report.browser import CHROMIUM
from serve.serving import Answer, call, housed, served, token, write

RAN = "document.documentElement.dataset.ran='1'"
NAMES = (f"<img src=x onerror={RAN}>", f"</script><script>{RAN}</script>", "{{7*7}}")


def hostile(folder: Path) -> Path:
    policies = [{"id": name, "model": "scripted/echo", "prompt": "{{input}}"} for name in NAMES]
    return write(folder, policies=policies, name=f"<svg onload={RAN}>")


def get(
    house: House, path: str, headers: Any = (), method: str = "GET", body: Any = None
) -> Answer:
    return asyncio.run(call(make_app(house), method, path, body, headers))


async def reward(house: House, units: int, offset: int = 0) -> None:
    for n in range(offset, offset + units):
        given = await house.traffic.assign(f"unit {n}")
        await house.traffic.feedback(given.token, float(given.policy == "kind"), f"key {n}")


@contextmanager
def stream(url: str, headers: Any = None) -> Iterator[http.client.HTTPResponse]:
    wire = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    wire.request("GET", "/v1/events", headers=headers or {})
    answer = wire.getresponse()
    try:
        yield answer
    finally:
        answer.close()
        wire.close()


def data(answer: http.client.HTTPResponse) -> Iterator[Any]:
    """The data of each event, until the stream ends."""
    for line in answer:
        if line.startswith(b"data: "):
            yield json.loads(line[6:])


def post(url: str, path: str, body: Any) -> Any:
    wire = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    wire.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    try:
        return json.load(wire.getresponse())
    finally:
        wire.close()


def test_an_event_comes_when_something_changed_and_only_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "EVERY", 0.02)
    monkeypatch.setattr(room, "BEAT", 0.1)
    with housed(write(tmp_path)) as house, served(house) as url, stream(url) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = data(answer)
        assert next(events)["counted"] == 0
        # Silence is broken by a line that is no event.
        assert next(line for line in answer if line.startswith(b":")) == b": here\n"
        given = post(url, "/v1/assign", {"unit": "anna"})
        post(url, "/v1/feedback", {"token": given["token"], "key": "k", "reward": 1})
        assert any(event["counted"] == 1 for event in events)


def test_the_stream_ends_with_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "EVERY", 0.02)
    with housed(write(tmp_path)) as house:
        with served(house) as url:
            streams = [stream(url) for _ in range(3)]
            answers = [one.__enter__() for one in streams]
            heads = [next(data(answer)) for answer in answers]
        assert len(heads) == 3
        for one, answer in zip(streams, answers, strict=True):
            assert b"event: end" in answer.read()
            one.__exit__(None, None, None)


def test_a_crowd_of_listeners_is_turned_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "LISTENERS", 1)
    with housed(write(tmp_path)) as house, served(house) as url, stream(url) as first:
        next(data(first))
        with stream(url) as second:
            assert second.status == 503


def test_the_picture_of_a_live_study_says_what_its_fold_says(tmp_path: Path) -> None:
    async def one(house: House) -> None:
        async with house.traffic:
            await reward(house, 60)

    with housed(write(tmp_path)) as house:
        asyncio.run(one(house))
        stand, told = house.traffic.stand(), picture(house)
    assert told["kind"] == "live"
    assert told["counted"] == 60
    assert told["policies"][0]["id"] == "kind"
    assert told["policies"][0]["leads"]
    assert told["policies"][0]["mean"] == 1.0
    assert sum(one["traffic"] for one in told["policies"]) == pytest.approx(1)
    assert 0 < told["policies"][1]["proof"] <= 1
    assert told["decided"] == stand.verdict.final
    json.dumps(told, allow_nan=False)


def test_the_picture_of_duels_says_what_status_says(study: Any, command: Any) -> None:
    path = study(budget=300)
    code, out, _ = command("run", path, "--json")
    with housed(path) as house:
        told = picture(house)
    assert told["kind"] == "duels"
    assert told["counted"] == out["verdict"]["comparisons"]
    assert told["decided"] == (code == 0)
    shares = {one["id"]: one["share_against_rival"] for one in out["policies"]}
    assert {one["id"]: one["mean"] for one in told["policies"]} == pytest.approx(shares, abs=1e-5)


def test_the_picture_of_a_study_that_people_answer_counts_them(tmp_path: Path) -> None:
    with housed(write(tmp_path, judge={"human": {}})) as house:
        facts = dict(picture(house)["facts"])
    assert facts["people answered"] == "0"
    assert facts["before people"] == "0"


def test_missing_feedback_is_said(tmp_path: Path) -> None:
    async def silent(house: House) -> None:
        async with house.traffic:
            for n in range(100):
                given = await house.traffic.assign(f"unit {n}")
                if n % 2:
                    await house.traffic.feedback(given.token, 1.0, f"key {n}")
            while house.traffic.stand().read < 100:
                await asyncio.sleep(0.05)

    with housed(write(tmp_path, judge={"live": {"window_minutes": 0.01}})) as house:
        asyncio.run(silent(house))
        (warning,) = picture(house)["warnings"]
    assert warning.startswith("50% of the units gave no feedback")


def test_only_an_admin_looks_and_a_browser_gets_a_session(tmp_path: Path) -> None:
    with housed(write(tmp_path), local=False) as house:
        assert get(house, "/dashboard").status == 303
        assert get(house, "/dashboard").header("location") == "/dashboard/login"
        assert get(house, "/dashboard/login").status == 200
        assert get(house, "/v1/events").status == 401
        form = (("content-type", "application/x-www-form-urlencoded"),)
        for weak in ("", "x", token(house, "rate"), token(house, "admin", lasts=-1)):
            body = f"token={weak}".encode()
            assert get(house, "/dashboard/login", form, "POST", body).status == 403
        body = f"token={token(house, 'admin')}".encode()
        answer = get(house, "/dashboard/login", form, "POST", body)
        assert answer.status == 303
        cookie = answer.header("set-cookie") or ""
        assert {"HttpOnly", "SameSite=strict"} <= {part.strip() for part in cookie.split(";")}
        session = (("cookie", cookie.partition(";")[0]),)
        assert get(house, "/dashboard", session).status == 200
        assert get(house, "/v1/status", session).status == 200
        # It opens looks of an admin and nothing else.
        assert get(house, "/v1/unit", session, "DELETE", {"unit": "a"}).status == 401
        assert get(house, "/v1/assign", session, "POST", {"unit": "a"}).status == 401
        for false in ("", "x", house.signer.sign("access", {"may": ["admin"]})):
            assert get(house, "/v1/status", (("cookie", f"{SESSION}={false}"),)).status == 401


def test_a_login_of_another_origin_is_refused(tmp_path: Path) -> None:
    form = (
        ("content-type", "application/x-www-form-urlencoded"),
        ("origin", "http://evil.example"),
    )
    with housed(write(tmp_path), local=False) as house:
        body = f"token={token(house, 'admin')}".encode()
        assert get(house, "/dashboard/login", form, "POST", body).status == 403


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_the_page_shows_names_as_texts_fits_a_phone_and_reads_as_a_table(tmp_path: Path) -> None:
    sync = pytest.importorskip("playwright.sync_api")
    with (
        housed(hostile(tmp_path)) as house,
        served(house) as url,
        sync.sync_playwright() as play,
        play.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        ) as browser,
    ):
        page = browser.new_page(viewport={"width": 390, "height": 844})
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        for path in ("/docs", "/dashboard"):
            page.goto(url + path)
        page.wait_for_selector("#rows [role=row]")
        shown = page.locator("[role=rowheader] .id").all_text_contents()
        assert sorted(shown) == sorted(NAMES)
        assert page.locator("[role=columnheader]").count() == 5
        assert page.evaluate("document.documentElement.dataset.ran") is None
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert complaints == []
        assert all(one.startswith((url, "data:")) for one in asked)
        given = post(url, "/v1/assign", {"unit": "anna"})
        post(url, "/v1/feedback", {"token": given["token"], "key": "k", "reward": 1})
        counted = page.locator("#facts div").filter(has_text="counted").locator("dd")
        sync.expect(counted).to_have_text("1")
