"""The wire: what a server cannot make us do, however long or large its answer is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpcore2
import httpx2
import pytest

from bestpolicy.core.talk import Failed, Prompt, Reply
from bestpolicy.llm import transport as wire
from bestpolicy.llm.retries import Fault
from bestpolicy.llm.transport import CAP, Transport, capped, is_link_local
from llm.asking import KEY, ask, opened
from llm.fake_provider import HUGE, FakeProvider

SLACK = 16 * 2**20  # what the buffers of both ends may hold besides


def a_huge_body_is_not_read_past_the_cap() -> None:
    with FakeProvider("huge") as server:
        result = ask(server, tries=1)
        (seen,) = server.requests
    assert isinstance(result, Failed)
    assert result.failures == ("the body is larger than 8 MB",)
    assert seen.sent < CAP + SLACK


def test_a_huge_body_is_not_read_past_the_cap() -> None:
    a_huge_body_is_not_read_past_the_cap()


@pytest.mark.slow
def test_a_wire_without_a_cap_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "CAP", HUGE * 2)
    with pytest.raises(AssertionError):
        a_huge_body_is_not_read_past_the_cap()


def test_not_one_chunk_is_taken_after_the_cap() -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"a" * 2**20

    with pytest.raises(Fault, match="larger than 8 MB"):
        list(capped(endless()))
    assert taken == 9
    assert b"".join(capped([b"a" * CAP])) == b"a" * CAP


def a_drip_ends_in_time(mode: str) -> None:
    with FakeProvider(mode) as server:
        result = ask(server, tries=1, timeout_s=0.3)
        (seen,) = server.requests
    assert isinstance(result, Failed)
    assert result.failures == ("no whole answer within 0.3 s",)
    assert result.usd > 0
    assert seen.nonce not in repr(result)


@pytest.mark.parametrize("mode", ["drip", "drip-head"])
def test_a_drip_ends_in_time(mode: str) -> None:
    a_drip_ends_in_time(mode)


@pytest.mark.parametrize("mode", ["drip", "drip-head"])
def test_a_wire_that_only_times_each_read_is_caught(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire.Try, "left", lambda self: 0.3)
    with pytest.raises(AssertionError):
        a_drip_ends_in_time(mode)


def test_a_try_after_a_drip_has_all_its_time() -> None:
    with FakeProvider(["drip", "ok"]) as server:
        result = ask(server, timeout_s=0.3)
    assert isinstance(result, Reply)
    assert result.failures[0] == "no whole answer within 0.3 s"


def redirects_are_not_followed() -> None:
    with FakeProvider() as other, FakeProvider("redirect", elsewhere=other.url) as server:
        result = ask(server)
    assert not other.requests
    assert isinstance(result, Failed)
    assert len(server.requests) == 1


def test_redirects_are_not_followed() -> None:
    redirects_are_not_followed()


def test_a_client_that_would_follow_a_redirect_is_held_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    follow(monkeypatch)
    redirects_are_not_followed()


def test_following_redirects_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    follow(monkeypatch)
    monkeypatch.setattr(wire, "_origin", lambda url: None)
    with pytest.raises(AssertionError):
        redirects_are_not_followed()


def follow(monkeypatch: pytest.MonkeyPatch) -> None:
    made = httpx2.Client.__init__

    def following(self: httpx2.Client, **options: Any) -> None:
        made(self, **options, follow_redirects=True)

    monkeypatch.setattr(httpx2.Client, "__init__", following)
    monkeypatch.setattr(wire, "IN", ("location",))


def test_a_key_goes_to_its_own_origin_only() -> None:
    with FakeProvider() as own, FakeProvider() as other:
        line = Transport(httpx2.URL(own.url), key=KEY, timeout_s=5.0, connections=1)
        with httpx2.Client(transport=line, trust_env=False) as client:
            with pytest.raises(Fault, match="the key is another's") as caught:
                client.post(f"{other.url}/chat/completions", json={})
            assert not other.requests
        assert KEY not in repr(line) + str(caught.value)


def test_only_named_headers_go_out_and_no_cookie_comes_back() -> None:
    with FakeProvider("cookie") as server, opened(server) as model:
        model.complete([Prompt("a")])
        model.complete([Prompt("b")])
        for seen in server.requests:
            assert seen.headers.keys() == {
                *("host", "content-type", "content-length", "accept", "accept-encoding"),
                *("user-agent", "authorization"),
            }
            assert seen.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("address", "refused"),
    [
        ("169.254.169.254", True),
        ("::ffff:169.254.169.254", True),
        ("fe80::1%eth0", True),
        ("127.0.0.1", False),
        ("::1", False),
        ("10.0.0.7", False),
        ("192.0.2.1", False),
    ],
)
def test_link_local_addresses_are_refused(address: str, refused: bool) -> None:
    assert is_link_local(address) == refused


def test_the_address_that_was_reached_counts_and_not_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wire, "is_link_local", lambda address: address == "127.0.0.1")
    with FakeProvider() as server:
        result = ask(server.url.replace("127.0.0.1", "localhost"))
    assert isinstance(result, Failed)
    assert result.failures == ("localhost is at 127.0.0.1, a link-local address: refused",)
    assert not server.requests
    assert result.usd == 0.0


def test_a_large_request_is_written_in_pieces_and_arrives_whole() -> None:
    with FakeProvider(
        answer=lambda body, nonce: str(len(body["messages"][0]["content"]))
    ) as server:
        assert ask(server, "a" * 3_000_000).text == "3000000"


def test_connections_are_kept_and_used_again() -> None:
    opens: list[str] = []
    made = httpcore2.SyncBackend.connect_tcp

    def counted(self: httpcore2.SyncBackend, host: str, *rest: object) -> httpcore2.NetworkStream:
        opens.append(host)
        return made(self, host, *rest)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch, FakeProvider() as server, opened(server) as model:
        patch.setattr(httpcore2.SyncBackend, "connect_tcp", counted)
        for i in range(5):
            model.complete([Prompt(f"{i}")])
    assert len(server.requests) == 5
    assert len(opens) == 1
