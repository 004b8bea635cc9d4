"""The shell around every request: who is let in, what is read, and how the process ends."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from bestpolicy.serve import access, bodies, wire
from bestpolicy.serve.app import make_app
from bestpolicy.serve.problems import Problem
from serve.serving import Answer, call, housed, served, token, write


def ask(path: Path, *request: Any, local: bool = True, **more: Any) -> Answer:
    with housed(path, local=local) as house:
        return asyncio.run(call(make_app(house), *request, **more))


@pytest.mark.parametrize(
    ("headers", "host", "status"),
    [
        ((), "127.0.0.1:8000", 200),
        ((), "LOCALHOST:1", 200),
        ((), "[::1]:8000", 200),
        ((), None, 421),
        ((), "evil.example", 421),
        ((), "127.0.0.1.evil.example", 421),
        ((), "127.0.0.1@evil.example", 421),
        ((("host", "localhost"),), "127.0.0.1:8000", 400),
        ((("origin", "http://127.0.0.1:8000"),), "127.0.0.1:8000", 200),
        ((("origin", "http://127.0.0.1:9999"),), "127.0.0.1:8000", 403),
        ((("origin", "http://evil.example"),), "127.0.0.1:8000", 403),
        ((("origin", "null"),), "127.0.0.1:8000", 403),
        ((("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")), "localhost", 403),
        ((("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")), "localhost", 200),
        ((("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")), "localhost", 200),
    ],
)
def test_a_page_elsewhere_cannot_ask_this_machines_server(
    headers: Any, host: str | None, status: int, tmp_path: Path
) -> None:
    assert ask(write(tmp_path), "GET", "/v1/status", None, headers, host=host).status == status


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("", 415),
    ],
)
def test_a_body_that_a_form_could_send_is_refused(kind: str, status: int, tmp_path: Path) -> None:
    answer = ask(write(tmp_path), "POST", "/v1/assign", {"unit": "a"}, {"content-type": kind})
    assert answer.status == status


def test_a_method_that_is_not_there_is_a_problem_that_says_which_are(tmp_path: Path) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"):
        answer = ask(write(tmp_path), method, "/v1/status", {})
        assert answer.status == 405
        assert answer.header("allow") == "GET"
        assert answer.json["detail"] == f"{method} does nothing here; allowed: GET"
        assert answer.header("content-type") == "application/problem+json"


def test_head_is_get_without_its_body(tmp_path: Path) -> None:
    for path in ("/healthz", "/v1/status", "/docs", "/static/house.css"):
        answer = ask(write(tmp_path), "HEAD", path)
        assert (answer.status, answer.body) == (200, b"")
    assert ask(write(tmp_path), "HEAD", "/v1/events").status == 405  # it would never end


def test_every_answer_has_the_headers_of_safety(tmp_path: Path) -> None:
    for path in ("/docs", "/v1/status", "/nowhere", "/static/house.css", "/dashboard"):
        answer = ask(write(tmp_path), "GET", path)
        for name, _ in access.HEADERS:
            assert answer.header(name.decode()) is not None
        assert answer.header("access-control-allow-origin") is None


RIGHTS = {
    ("POST", "/v1/assign"): "assign",
    ("POST", "/v1/chat/completions"): "assign",
    ("GET", "/v1/models"): "assign",
    ("POST", "/v1/feedback"): "feedback",
    ("GET", "/v1/status"): "admin",
    ("GET", "/v1/report"): "admin",
    ("GET", "/v1/events"): "admin",
    ("DELETE", "/v1/unit"): "admin",
    ("GET", "/nowhere"): "admin",
}


@pytest.mark.parametrize(("request_", "right"), RIGHTS.items(), ids=lambda x: " ".join(x))
def test_a_token_opens_its_own_paths_and_no_others(
    request_: tuple[str, str], right: str, tmp_path: Path
) -> None:
    method, path = request_
    with housed(write(tmp_path), local=False) as house:
        app = make_app(house)

        def status(*may: str, **more: Any) -> int:
            bearer = {"authorization": f"Bearer {token(house, *may, **more)}"}
            body = None if method == "GET" else {}
            return asyncio.run(call(app, method, path, body, bearer)).status

        assert asyncio.run(call(app, method, path, None if method == "GET" else {})).status == 401
        for other in {"assign", "feedback", "rate"} - {right}:
            assert status(other) == 403
        assert status(right, lasts=-1) == 401
        if path != "/v1/events":
            assert status(right) not in (401, 403)
            assert status("admin") not in (401, 403)


def test_what_is_open_needs_no_token(tmp_path: Path) -> None:
    for path in ("/healthz", "/docs", "/openapi.json", "/static/house.css", "/dashboard/login"):
        assert ask(write(tmp_path), "GET", path, local=False).status == 200


def test_the_docs_name_every_operation_and_fetch_nothing(tmp_path: Path) -> None:
    page = ask(write(tmp_path), "GET", "/docs").text
    described = ask(write(tmp_path), "GET", "/openapi.json").json
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            assert f'<span class="method">{method.upper()}</span> <code>{path}</code>' in page
            assert "default" not in operation["responses"]
    assert "http" not in page.replace("http://127.0.0.1:8000/", "")
    assert "<script" not in page


# -- bodies ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[1,]", b"{'a': 1}", b"NaN", b'{"a": NaN}', b'{"a": -Infinity}', b"1e999",
        b'{"a": 1, "a": 2}', b'"\\ud800"', b'{"\\udfff": 1}', b"\xff",
        b"\xef\xbb\xbf{}",
        b"[" * 200_000, b"[" * 33 + b"]" * 33, b"9" * 5000, b"9223372036854775808", b"{}{}",
    ],
    ids=lambda body: repr(body[:20]),
)  # fmt: skip
def test_json_that_two_readers_could_take_in_two_ways_is_refused(body: bytes) -> None:
    with pytest.raises(Problem) as caught:
        bodies.value(body)
    assert caught.value.status == 422


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        None,
        "",
        "é😀",
        "\0",
        -0.0,
        1e308,
        5e-324,
        2**63 - 1,
        -(2**63),
        {"a": {"b": [1, "\\u"]}},
    ],
)
def test_any_other_json_is_read_as_it_is(value: Any) -> None:
    for ascii_ in (True, False):
        told = bodies.value(json.dumps(value, ensure_ascii=ascii_).encode())
        assert json.dumps(told) == json.dumps(value)


def test_a_body_is_read_to_its_cap_and_no_further(tmp_path: Path) -> None:
    fits = b'{"unit": "a", "context": {"t": "' + b"x" * 60_000 + b'"}}'
    assert ask(write(tmp_path), "POST", "/v1/assign", fits).status == 200
    assert ask(write(tmp_path), "POST", "/v1/assign", fits + b" " * 10_000).status == 413
    length = {"content-type": "application/json", "content-length": "99999999999999999999"}
    assert ask(write(tmp_path), "POST", "/v1/assign", b"{}", length).status == 413
    for odd in ("-1", "0x10", "١", ""):
        length["content-length"] = odd.encode().decode("latin-1")
        assert ask(write(tmp_path), "POST", "/v1/assign", b"{}", length).status == 400


# -- the wire ----------------------------------------------------------------------------------


@contextmanager
def raw(url: str) -> Iterator[socket.socket]:
    with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), 20) as sock:
        yield sock


def rest(sock: socket.socket) -> bytes:
    """All that comes until the other end closes."""
    found = b""
    while piece := sock.recv(65536):
        found += piece
    return found


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\nX: "])
def test_a_head_that_does_not_end_is_cut_off(
    sent: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "HEAD_SECONDS", 0.2)
    with housed(write(tmp_path)) as house, served(house) as url, raw(url) as sock:
        sock.sendall(sent)
        assert rest(sock) == b""


def test_a_body_that_does_not_end_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "SECONDS", 0.2)
    head = b"POST /v1/assign HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with housed(write(tmp_path)) as house, served(house) as url, raw(url) as sock:
        sock.sendall(head + b"Content-Length: 20\r\n\r\n{")
        assert rest(sock).startswith(b"HTTP/1.1 408 ")


def test_a_head_without_an_end_is_refused(tmp_path: Path) -> None:
    with housed(write(tmp_path)) as house, served(house) as url, raw(url) as sock:
        try:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 10_000_000)
        except OSError:
            return  # it was cut off while we still wrote
        assert b"400 Bad Request" in rest(sock)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /v1/status HTTP/1.1\r\nHost: a\r\nHost: localhost\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=range(4),
)
def test_a_request_of_two_meanings_is_refused(sent: bytes, tmp_path: Path) -> None:
    with housed(write(tmp_path)) as house, served(house) as url, raw(url) as sock:
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        assert rest(sock).startswith(b"HTTP/1.1 400 ")


def test_an_absolute_target_changes_nothing(tmp_path: Path) -> None:
    with housed(write(tmp_path)) as house, served(house) as url:
        for target, host, status in (
            (f"{url}/healthz", "localhost", b"200"),
            ("http://evil.example/healthz", "localhost", b"200"),
            (f"{url}/healthz", "evil.example", b"421"),
        ):
            with raw(url) as sock:
                head = f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
                sock.sendall(head.encode())
                assert rest(sock).startswith(b"HTTP/1.1 " + status)
