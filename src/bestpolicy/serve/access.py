"""Access: who may do what, checked before a request reaches anybody.

On this machine alone (a loopback address) everything is open to whoever sits there, but not to web
pages that are open in their browser: the Host must be ours, so must the Origin, and a body must be
JSON, which no other page can send. On any other address every path needs a token of its scope, or
for looking at what an admin may see, the session that an admin's browser got for such a token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Literal

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bestpolicy.serve import bodies
from bestpolicy.serve.problems import Problem, log, where
from bestpolicy.serve.signing import Expired, Forged, Signer

LOGIN = "/dashboard/login"
SESSION = "bestpolicy_admin"  # a cookie
Right = Literal["assign", "feedback", "rate", "admin", "open"]
RIGHTS: tuple[Right, ...] = ("assign", "feedback", "rate", "admin")
# By the first part of the path that is listed; what is not listed needs "admin".
NEEDS: dict[str, Right] = {
    "/v1/assign": "assign",
    "/v1/snapshot": "assign",
    "/v1/log": "assign",
    "/v1/chat/completions": "assign",
    "/v1/models": "assign",
    "/v1/feedback": "feedback",
    "/v1/duel": "rate",
    "/rate": "open",  # the page has sessions of its own, from invitations
    "/static": "open",
    "/healthz": "open",
    "/docs": "open",  # what any server of this version says of itself
    "/openapi.json": "open",
    LOGIN: "open",
}
# Paths whose bodies are a form's: /rate guards them by tokens of its own, the login by the Origin.
FORMS = ("/rate", LOGIN)
ENDLESS = ("/v1/events",)  # a HEAD of these would never end
MOST = {"/v1/chat/completions": 1024 * 1024, "/v1/log": 1024 * 1024}
BODIED = ("POST", "PUT", "PATCH", "DELETE")
JSON = "application/json"
# Of these two readers could take two different ones.
ONCE = {"host", "origin", "authorization", "content-type", "content-length", "content-encoding"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


class Access:
    """Wraps an app: refuses what is not allowed, caps bodies, and adds the headers of safety."""

    def __init__(self, app: ASGIApp, *, signer: Signer, local: bool, hosts: frozenset[str]) -> None:
        self._app = app
        self._signer = signer
        self._local = local
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        path, method, begun = scope["path"], scope["method"], False

        async def guarded(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                given = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(header for header in HEADERS if header[0] not in given),
                ]
            elif method == "HEAD":
                message = {**message, "body": b""}
            await send(message)

        try:
            headers = _headers(scope)
            self._check(method, path, headers)
            if method in BODIED:
                most = next((n for prefix, n in MOST.items() if _below(path, prefix)), bodies.MOST)
                length, kind = headers.get("content-length"), _kind(headers)
                receive = bodies.again(await bodies.whole(receive, length, most, kind), receive)
        except Problem as problem:
            response = problem.response(path)
            if problem.status == 401 and path == "/dashboard":
                response = RedirectResponse(LOGIN, 303)
            await response(scope, receive, guarded)
            return
        if method == "HEAD" and path not in ENDLESS:
            scope = {**scope, "method": "GET"}
        try:
            await self._app(scope, receive, guarded)
        except asyncio.CancelledError:  # the server ends, and waits no longer
            if not begun:
                over = Problem(503, "the server has been stopped", headers={"Retry-After": "5"})
                await over.response(path)(scope, receive, guarded)
        except Exception as error:
            # Neither its words nor its traceback: either may hold what somebody sent.
            log.error("a defect: %s in %s", type(error).__name__, where(error))
            if not begun:
                defect = Problem(500, "a defect in bestpolicy; nothing was recorded")
                await defect.response(path)(scope, receive, guarded)

    def _check(self, method: str, path: str, headers: Mapping[str, str]) -> None:
        host = headers.get("host", "")
        if _name(host) not in self._hosts:
            raise Problem(421, "this server does not answer to that Host; see serve --allow-host")
        if "origin" in headers and headers["origin"].partition("://")[2] != host:
            raise Problem(403, "requests from pages of another origin are refused")
        # What a page elsewhere may do is to link here; a link asks for nothing to be done.
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and (
            headers.get("sec-fetch-mode", "navigate") != "navigate" or method != "GET"
        ):
            raise Problem(403, "requests from pages of another origin are refused")
        right = needed(path)
        if method in BODIED:
            if not any(_below(path, form) for form in FORMS) and _kind(headers) != JSON:
                raise Problem(415, "send JSON, with Content-Type: application/json")
            if headers.get("content-encoding", "identity") != "identity":
                raise Problem(415, "compressed bodies are refused")
        if not self._local and right != "open":
            if "authorization" not in headers and right == "admin" and method in ("GET", "HEAD"):
                self._check_session(headers.get("cookie", ""))
            else:
                self._check_token(right, headers.get("authorization", ""))

    def _check_session(self, header: str) -> None:
        """Cookies open nothing but looks: no page elsewhere can make a browser do more."""
        try:
            cookie = SimpleCookie(header).get(SESSION)
            self._signer.read("admin-session", "" if cookie is None else cookie.value)
        except (CookieError, Forged, Expired):
            self._check_token("admin", "")

    def _check_token(self, right: Right, header: str) -> None:
        kind, _, token = header.partition(" ")
        if kind.lower() != "bearer" or not token:
            raise Problem(
                401,
                "an access token is needed: Authorization: Bearer …, see `bestpolicy token`",
                headers={"WWW-Authenticate": "Bearer"},
            )
        try:
            may: list[Any] = self._signer.read("access", token.strip()).get("may", [])
        except Forged:
            raise Problem(
                401,
                "that access token is not one of this study",
                headers={"WWW-Authenticate": "Bearer"},
            ) from None
        except Expired:
            raise Problem(
                401, "that access token has expired", headers={"WWW-Authenticate": "Bearer"}
            ) from None
        if right not in may and "admin" not in may:
            raise Problem(403, f"that access token may {', '.join(map(str, may))}, not {right}")


def needed(path: str) -> Right:
    """The right that a path asks for."""
    for prefix, right in NEEDS.items():
        if _below(path, prefix):
            return right
    return "admin"


def _below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}/")


def _headers(scope: Scope) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1")
        if key in found and key in ONCE:
            raise Problem(400, f"the header {key} was sent twice")
        found[key] = value.decode("latin-1")
    return found


def _kind(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _name(host: str) -> str:
    """The host without its port."""
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    return host.partition(":")[0].lower()
