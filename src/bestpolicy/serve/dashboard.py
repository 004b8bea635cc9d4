"""The dashboard: where the study stands, on a page that keeps itself up to date.

    picture ──► at most once a second, when it changed ──► every page that listens

One look serves all listeners, and takes at most a tenth of the time. The stream ends when the
server does. Where tokens are needed, a browser gets a session for one: a cookie that no script
reads, that no other site's page can make a browser send, and that opens nothing but looks.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from bestpolicy.serve.access import LOGIN, SESSION
from bestpolicy.serve.house import House
from bestpolicy.serve.picture import Picture, picture
from bestpolicy.serve.problems import Problem, said
from bestpolicy.serve.signing import Expired, Forged, Signer
from bestpolicy.serve.templates import page

log = logging.getLogger("bestpolicy.serve")
EVERY = 1.0  # seconds between two looks, at least,
SHARE = 10  # and so many times as long as a look takes
BEAT = 15.0  # seconds of silence after which a line says that the server is there
LISTENERS = 50
LASTS = 12 * 3600  # seconds of a session
STREAM: dict[int | str, dict[str, Any]] = {
    200: {"description": "Server-sent events", "content": {"text/event-stream": {}}}
}
BACK = 60.0  # seconds over which a rate is counted


class Watch:
    """The last look, shared by all who listen."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._lock = asyncio.Lock()
        self._last: Picture | None = None
        self._due = 0.0
        self._counts: deque[tuple[float, int]] = deque()
        self.listeners = 0

    async def look(self) -> Picture:
        """Where it stands, at most a moment ago."""
        async with self._lock:
            began = time.monotonic()
            if self._last is None or began >= self._due:
                found = await run_in_threadpool(picture, self._house)
                now = time.monotonic()
                self._due = now + max(EVERY, SHARE * (now - began))
                self._last = found | {"per_minute": self._rate(now, found["counted"])}
            return self._last

    def _rate(self, now: float, counted: int) -> float | None:
        """Answers a minute, over the last one."""
        self._counts.append((now, counted))
        while len(self._counts) > 2 and now - self._counts[1][0] >= BACK:
            self._counts.popleft()
        then, before = self._counts[0]
        if now - then < BACK / 6:
            return None
        return round(60 * (counted - before) / (now - then), 1)


def routes(house: House) -> APIRouter:
    router = APIRouter()
    watch = Watch(house)

    @router.get("/dashboard", include_in_schema=False)
    async def dashboard() -> Response:
        name = house.opened.study.name
        return page("dashboard.html", name=name, local=house.local)

    @router.get(
        "/v1/events",
        summary="Where the study stands, as it changes",
        tags=["status"],
        response_class=StreamingResponse,
        responses=STREAM | said(401, 403, 503),
    )
    async def events(request: Request) -> Response:
        """An event whenever something changed, at most one a second; its data is one JSON
        object, the one that the dashboard shows. The stream ends with the server."""
        if watch.listeners >= LISTENERS:
            raise Problem(503, f"{LISTENERS} pages listen already", headers={"Retry-After": "30"})
        stream = _events(watch, request.app.state.ending)
        return StreamingResponse(
            stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
        )

    @router.get(LOGIN, include_in_schema=False)
    async def ask() -> Response:
        return page("login.html", wrong="")

    @router.post(LOGIN, include_in_schema=False)
    async def login(request: Request) -> Response:
        text = (await request.body()).decode("utf-8", "replace")
        given = parse_qs(text, max_num_fields=4).get("token", [""])[0].strip()
        if not _may_look(house.signer, given):
            wrong = "That is no token of this study that may do what an admin does."
            return page("login.html", 403, wrong=wrong)
        response = RedirectResponse("/dashboard", 303)
        response.set_cookie(
            SESSION,
            house.signer.sign("admin-session", {}, lasts=LASTS),
            max_age=LASTS,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response

    return router


def _may_look(signer: Signer, token: str) -> bool:
    try:
        return "admin" in signer.read("access", token).get("may", [])
    except (Forged, Expired):
        return False


async def _events(watch: Watch, ending: asyncio.Event) -> AsyncIterator[bytes]:
    """What a listener is told, until the server ends."""
    told, spoke = "", time.monotonic()
    watch.listeners += 1
    try:
        yield b"retry: 3000\n\n"
        while not ending.is_set():
            try:
                said = json.dumps(await watch.look(), allow_nan=False)
            except Exception as error:  # of a look; the next one may fare better
                log.error("a look failed: %s", type(error).__name__)
                said = told
            now = time.monotonic()
            if said != told:
                told, spoke = said, now
                yield f"data: {said}\n\n".encode()
            elif now - spoke >= BEAT:
                spoke = now
                yield b": here\n\n"
            try:
                await asyncio.wait_for(ending.wait(), EVERY)
            except TimeoutError:
                continue
        yield b"event: end\ndata: {}\n\n"
    finally:
        watch.listeners -= 1
