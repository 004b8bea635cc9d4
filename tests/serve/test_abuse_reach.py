"""What a request must not reach: other servers and other files (T10, T15 of the threat model)."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from llm.fake_provider import FakeProvider
from serve.serving import housed, many, token, write
from serve.test_gateway import HELLO, policies

Folder = Path


@contextmanager
def trap() -> Iterator[tuple[int, list[bytes]]]:
    """A port of this machine that nobody has reason to knock at, and who did."""
    hits: list[bytes] = []
    with closing(socket.create_server(("127.0.0.1", 0))) as sock:
        sock.settimeout(0.05)
        over = threading.Event()

        def listen() -> None:
            while not over.is_set():
                try:
                    caller, _ = sock.accept()
                except TimeoutError:
                    continue
                hits.append(b"knock")
                caller.close()

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield sock.getsockname()[1], hits
        finally:
            over.set()
            thread.join()


def tricks(port: int) -> list[tuple[str, str, Any, Any]]:
    """Fifty requests that would have the server call an address of the sender's choice."""
    urls = [
        f"http://127.0.0.1:{port}/x", f"//127.0.0.1:{port}", f"http://localhost:{port}@example.org/",
        f"http://[::ffff:127.0.0.1]:{port}/", f"http://0x7f000001:{port}/", f"http://2130706433:{port}",
        f"gopher://127.0.0.1:{port}/_GET", "file:///etc/passwd", f"http://127.1:{port}/v1",
        f"http://example.org#@127.0.0.1:{port}/",
    ]  # fmt: skip
    chat: dict[str, Any] = {"model": "study/study", "messages": HELLO}
    made: list[tuple[str, str, Any, Any]] = []
    for url in urls:
        path = "/v1/chat/completions"
        image = [{"type": "image_url", "image_url": {"url": url}}]
        made += [
            ("POST", path, chat | {"base_url": url, "api_base": url, "api_key": "sk-x"}, ()),
            ("POST", path, chat | {"model": url}, ()),
            ("POST", path, chat | {"messages": [{"role": "user", "content": image}]}, ()),
            ("POST", path, chat | {"metadata": {"base_url": url, "model": url}, "user": url},
             (("x-base-url", url), ("x-forwarded-host", url), ("openai-base-url", url))),
            ("POST", "/v1/assign", {"unit": url, "context": {"base_url": url, "config": url}}, ()),
        ]  # fmt: skip
    return made


def test_t10_no_url_of_a_request_is_ever_called(tmp_path: Folder) -> None:
    with trap() as (port, hits), FakeProvider() as server:
        path = write(tmp_path, policies=policies(server))
        with housed(path) as house:
            corpus = tricks(port)
            assert len(corpus) == 50
            answers = many(house, *corpus)
        assert {answer.status for answer in answers} <= {200, 400, 404}
        # Those that were answered were answered by the study's own server, and told it nothing.
        for seen in server.requests:
            assert seen.headers["host"] == server.url.split("/")[2]
            assert not [name for name in seen.headers if name.startswith(("x-", "openai-"))]
            assert set(seen.body) <= {
                "model",
                "messages",
                "max_tokens",
                "seed",
                "stream",
                "stream_options",
            }
        assert hits == []


def test_t10_a_gateway_that_calls_what_it_is_told_is_caught(
    tmp_path: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bestpolicy.serve import gateway

    kept = gateway.read

    def obliging(body: bytes, *rest: Any) -> Any:
        if url := json.loads(body).get("base_url"):
            try:
                wire = http.client.HTTPConnection(url.split("/")[2], timeout=1)
                wire.connect()
                wire.close()
            except (OSError, IndexError, http.client.InvalidURL):
                pass
        return kept(body, *rest)

    monkeypatch.setattr(gateway, "read", obliging)
    with trap() as (port, hits), housed(write(tmp_path)) as house:
        many(house, *tricks(port))
    assert hits


TRAVERSALS = tuple(
    prefix + middle * depth + target
    for prefix in ("/static/", "/", "/v1/models/", "/static//")
    for middle in ("../", "..\\", "%2e%2e/", "..%2f", "%252e%252e%252f", "....//", "..;/", "\0../")
    for depth in (1, 3, 8)
    for target in ("app.py", "etc/passwd", "study.yaml", "study.db")
)


def files_read(folder: Folder) -> int:
    """How many of these paths bring out a file that is not the server's to give."""
    from urllib.parse import unquote

    secret = "a prompt that is nobody's business"
    own = [{"id": n, "model": "scripted/echo", "prompt": f"{secret} {{{{input}}}}"} for n in "ab"]
    with housed(write(folder, policies=own)) as house:
        asked = [("GET", path) for one in TRAVERSALS for path in {one, unquote(one)}]
        answers = many(house, *asked)
    bad = (b"root:", b"def make_app", secret.encode(), b"SQLite format")
    assert not {answer.status for answer in answers} - {200, 404, 400}
    return sum(any(text in answer.body for text in bad) for answer in answers)


def test_t15_no_path_leads_out_of_the_servers_own_files(tmp_path: Folder) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert files_read(tmp_path) == 0
    assert {p.name for p in tmp_path.rglob("*")} - {p.name for p in before} <= {
        "study.yaml", "study.db", "study.db-wal", "study.db-shm",
    }  # fmt: skip


def test_t15_a_server_that_joins_paths_is_caught(
    tmp_path: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    from starlette.staticfiles import StaticFiles

    def careless(self: StaticFiles, path: str) -> tuple[str, os.stat_result | None]:
        full = os.path.join(str(self.directory), path)  # noqa: PTH118
        try:
            return full, Path(full).stat()
        except (OSError, ValueError):
            return "", None

    monkeypatch.setattr(StaticFiles, "lookup_path", careless)
    assert files_read(tmp_path) > 0


def test_t15_what_is_packed_is_not_unpacked(tmp_path: Folder) -> None:
    from gzip import compress

    bomb = compress(b'{"unit": "' + b"a" * 10_000_000 + b'"}')
    assert len(bomb) < 20_000
    kinds = ("gzip", "deflate", "br", "identity, gzip")
    with housed(write(tmp_path)) as house:
        sent = [("POST", "/v1/assign", bomb, (("content-encoding", kind),)) for kind in kinds]
        assert [answer.status for answer in many(house, *sent)] == [415] * 4


def test_t15_names_that_move_a_cursor_are_escaped_in_answers(tmp_path: Folder) -> None:
    with housed(write(tmp_path)) as house:
        odd = "\x1b[2J\x1b]0;owned\x07\r\n"
        for answer in many(
            house, ("POST", "/v1/assign", {"unit": "a", odd: 1}), ("GET", f"/{odd}")
        ):
            assert answer.status in (404, 422)
            assert b"\x1b" not in answer.body
            assert all("\x1b" not in value and "\r" not in value for _, value in answer.headers)


def test_a_token_for_rating_is_none_for_looking(tmp_path: Folder) -> None:
    with housed(write(tmp_path), local=False) as house:
        bearer = (("authorization", f"Bearer {token(house, 'rate')}"),)
        (answer,) = many(house, ("GET", "/v1/report", None, bearer))
    assert answer.status == 403
