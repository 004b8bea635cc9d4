"""Who may rate, and that nobody else's page can do it for them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from threading import Barrier, Thread

import pytest

from bestpolicy.serve import sessions
from bestpolicy.serve.house import House
from bestpolicy.serve.sessions import Sessions, invite
from serve.people import Served, better, served, until, write


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Served]:
    with served(write(tmp_path)) as served_:
        until(served_.pairs._ready.waiting)
        yield served_


def fields(page: str) -> dict[str, str]:
    """The hidden fields of the first pair's form."""
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page)
    return {name: unescape(value) for name, value in reversed(found)}


def texts(page: str) -> list[str]:
    return re.findall(r'<p class="text" dir="auto">(\w+ for [^<]*)</p>', page)[:2]


def test_forms_alone_are_enough_to_rate_from_the_start_to_the_thank_you(tmp_path: Path) -> None:
    with served(write(tmp_path), settles=0.0) as at, at.client(follow_redirects=True) as client:
        for _ in range(400):
            page = client.get("/rate").text
            if "Thank you" in page:
                break
            if "<article" not in page:
                continue
            word = {"first": "1", "second": "2", "tie": "0"}[better(*texts(page))]
            assert client.post("/rate/say", data=fields(page) | {"winner": word}).status_code == 200
        assert "Thank you" in page
        assert at.opened.study.verdict().policy == "policy-2"


def test_no_page_and_no_answer_of_the_api_names_a_policy(here: Served) -> None:
    with here.client() as client:
        said = [client.get(path).text for path in ("/rate", "/rate/next", "/v1/duel")]
    assert all("policy-" not in text for text in said)
    assert any(len(texts(text)) == 2 for text in said)


def test_a_cookie_stays_with_this_site_and_away_from_scripts(here: Served) -> None:
    with here.client() as client:
        cookie = client.get("/rate").headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert "Path=/rate" in cookie


def test_no_other_page_may_frame_this_one(here: Served) -> None:
    with here.client() as client:
        headers = client.get("/rate").headers
    assert headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]


def forged(at: Served) -> int:
    """What comes of an answer that another site's page sends with this person's cookie."""
    with at.client() as client:
        page = client.get("/rate").text
        form = fields(page) | {"winner": "1", "token": "0" * 64}
        return client.post("/rate/say", data=form).status_code


def test_a_form_without_the_sessions_token_is_refused(here: Served) -> None:
    assert forged(here) == 403
    assert all(one.state == "open" for one in here.opened.ratings.seen())


def test_a_server_that_does_not_look_at_the_token_takes_it(
    here: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sessions, "is_ours", lambda *_: True)
    assert forged(here) == 303
    assert any(one.state == "said" for one in here.opened.ratings.seen())


def test_another_sessions_token_is_no_token(here: Served) -> None:
    with here.client() as mine, here.client() as yours:
        page = mine.get("/rate").text
        until(here.pairs._ready.waiting)
        other = fields(yours.get("/rate").text)["token"]
        form = fields(page) | {"winner": "1", "token": other}
        assert mine.post("/rate/say", data=form).status_code == 403


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "null"])
def test_a_form_from_another_origin_is_refused(here: Served, origin: str) -> None:
    with here.client() as client:
        form = fields(client.get("/rate").text) | {"winner": "1"}
        assert client.post("/rate/say", data=form, headers={"Origin": origin}).status_code == 403
        assert client.post("/rate/say", data=form, headers={"Origin": here.url}).status_code == 303


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"winner=3", "application/x-www-form-urlencoded", 422),
        (b"\xff\xfe", "application/x-www-form-urlencoded", 422),
        (b"a&" * 30_000, "application/x-www-form-urlencoded", 422),
        (b"a" * 70_000, "application/x-www-form-urlencoded", 413),
        (b"{}", "application/json", 415),
        (b"", "multipart/form-data; boundary=x", 415),
    ],
)
def test_what_is_no_form_of_ours_is_refused_in_words(
    here: Served, body: bytes, kind: str, status: int
) -> None:
    with here.client() as client:
        page = client.get("/rate").text
        if body == b"winner=3":
            body = f"winner=3&token={fields(page)['token']}&view=x".encode()
        reply = client.post("/rate/say", content=body, headers={"Content-Type": kind})
    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"


def test_on_any_other_address_a_stranger_is_told_to_find_an_invitation(tmp_path: Path) -> None:
    with served(write(tmp_path), local=False) as at, at.client() as client:
        page = client.get("/rate")
        assert page.status_code == 403
        assert "You need an invitation" in page.text
        assert client.get("/rate/next").status_code == 403
        assert client.post("/rate/say", data={"winner": "1"}).status_code == 403
        assert client.get("/v1/duel").status_code == 401


def test_an_invitation_survives_being_looked_at_and_lets_one_browser_in(tmp_path: Path) -> None:
    with served(write(tmp_path), local=False) as at:
        (code,) = invite(at.opened.ratings, 1, days=1)
        with at.client() as client, at.client() as late:
            for _ in range(3):
                page = client.get(f"/rate/join?code={code}")
                assert "Join" in page.text
            reply = client.post("/rate/join", data={"code": code})
            assert (reply.status_code, reply.headers["location"]) == (303, "/rate")
            assert client.get("/rate").status_code == 200
            assert late.post("/rate/join", data={"code": code}).status_code == 410
            assert late.get("/rate").status_code == 403


def test_an_invitation_that_many_send_at_once_lets_one_in(tmp_path: Path) -> None:
    with served(write(tmp_path), local=False) as at:
        (code,) = invite(at.opened.ratings, 1, days=1)
        start, found = Barrier(6), list[int]()

        def guest() -> None:
            with at.client() as client:
                start.wait()
                found.append(client.post("/rate/join", data={"code": code}).status_code)

        threads = [Thread(target=guest) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found) == [303, 410, 410, 410, 410, 410]


def test_from_the_first_invitation_on_this_machine_needs_one_too(here: Served) -> None:
    invite(here.opened.ratings, 1, days=1)
    with here.client() as client:
        assert client.get("/rate").status_code == 403


def test_a_link_from_another_site_does_not_make_a_known_person_a_stranger(here: Served) -> None:
    with here.client() as client:
        client.get("/rate")
        # A strict cookie stays at home here: the page asks once more by itself.
        cookies, client.cookies = client.cookies, None  # type: ignore[assignment]
        page = client.get(
            "/rate", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
        )
        assert "set-cookie" not in page.headers
        assert 'url=/rate"' in page.text
        assert len(cookies) == 1


def test_a_session_outlives_the_server_when_the_secret_does(tmp_path: Path) -> None:
    path = write(tmp_path)
    with served(path) as at, at.client() as client:
        client.get("/rate")
        cookies = dict(client.cookies)
    with served(path) as at, at.client(cookies=cookies) as client:
        until(at.pairs._ready.waiting)
        page = client.get("/rate")
        assert "set-cookie" not in page.headers
        assert client.post("/rate/say", data=fields(page.text) | {"winner": "0"}).status_code == 303
        assert {one.view.rater for one in at.opened.ratings.seen()} == {1}


def test_a_cookie_that_was_changed_is_a_strangers(tmp_path: Path) -> None:
    with served(write(tmp_path), local=False) as at:
        name = Sessions(at.signer, at.opened.ratings, local=False, study="replies")._cookie
        value = at.signer.sign("session", {"rater": 1})
        for cookie, status in ((value, 200), (value[:-2] + "xx", 403), ("", 403)):
            with at.client(cookies={name: cookie}) as client:
                assert client.get("/rate").status_code == status


def test_the_record_holds_no_code_by_which_somebody_could_join(here: Served) -> None:
    (code,) = invite(here.opened.ratings, 1, days=1)
    stored = Path(here.opened.file.store.removeprefix("sqlite:///"))
    written = b"".join(p.read_bytes() for p in stored.parent.glob(f"{stored.name}*"))
    assert sessions.hash_of(code).encode() in written
    assert code.encode() not in written


def test_a_study_that_people_do_not_judge_says_so(here: Served) -> None:
    from starlette.requests import Request

    from bestpolicy.serve import rate

    players = here.pairs._ready._table._players
    house = House(here.opened, players, here.signer, local=True)
    (page,) = [r for r in rate.routes(house).routes if getattr(r, "path", "") == "/rate"]
    request = Request({"type": "http", "headers": [], "method": "GET", "path": "/rate"})
    reply = asyncio.run(page.endpoint(request))  # type: ignore[attr-defined]
    assert reply.status_code == 404
    assert b"not judged by people" in reply.body
