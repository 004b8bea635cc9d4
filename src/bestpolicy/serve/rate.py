"""The page for people: two answers, six keys, and nothing else to learn.

Plain HTML that works by forms alone; a small script of ours shows the next pair at once, which was
sent along with the one before. Texts of models and users go through the template's escaping and
nothing else, are never read as HTML or Markdown, and the page may run no script but ours.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from bestpolicy.report.room import Environment, room
from bestpolicy.serve.house import House
from bestpolicy.serve.pairs import Pairs
from bestpolicy.serve.problems import Problem
from bestpolicy.serve.sessions import Sessions
from bestpolicy.store.ratings import Refused, Said, Side

log = logging.getLogger("bestpolicy.serve")

AHEAD = 2  # the pair on the screen, and the one behind it
LONGEST = 86_400_000  # milliseconds that one answer may be said to have taken
SAYS: dict[str, tuple[Side, bool]] = {
    "1": ("first", False),
    "2": ("second", False),
    "0": ("tie", False),
    "x": ("tie", True),
}
NOTES = {
    "lost": "That pair had gone to somebody else, as it was open for long. Here is another one.",
    "other": "That pair was answered before; the first answer stands.",
    "undone": "That answer was taken back. Here is the pair again.",
    "skipped": "That pair was skipped, and went to somebody else.",
    "unknown": "That pair is not one of yours. Here is one that is.",
    "final": "Your last answer is final by now: it can be taken back for 20 seconds.",
}
# Forms of a page that sends no referrer at all say `Origin: null`.
SAME_ORIGIN = {"Referrer-Policy": "same-origin"}


def templates() -> Environment:
    """The page's room."""
    made = room(Path(__file__).with_name("templates"))
    made.globals["about"] = about
    return made


def about(count: int) -> str:
    """A forecast in round numbers: it knows no better."""
    step = 1 if count < 20 else 5 if count < 100 else 10 if count < 500 else 100
    return f"{max(1, round(count / step)) * step:,}"


def routes(house: House) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    pages = templates()
    pairs = house.pairs
    study = house.opened.study.name
    sessions = Sessions(house.signer, house.opened.ratings, local=house.local, study=study)

    def page(name: str, status: int = 200, **view: Any) -> HTMLResponse:
        question = pairs.question if pairs is not None else "Which answer is better?"
        html = pages.get_template(name).render(question=question, **view)
        return HTMLResponse(html, status, headers=SAME_ORIGIN)

    def stage(pairs: Pairs, rater: int, cookie: str, note: str, *, whole: bool) -> HTMLResponse:
        """What this person has before them now."""
        # A script of ours says by itself how long somebody is there.
        before = pairs.before(rater, AHEAD, watched=not whole)
        return page(
            "rate.html" if whole else "stage.html",
            pairs=before,
            progress=pairs.progress(rater),
            token=sessions.form_token(cookie),
            note=NOTES.get(note, ""),
            trouble=bool(pairs.trouble),
        )

    def stranger(request: Request) -> Response | int:
        """A number for whoever has no session yet, or the page that says what is missing."""
        # A strict cookie stays at home when a link of another site is followed: ask once more
        # from a page of ours before this is taken for a stranger.
        if request.headers.get("sec-fetch-site") == "cross-site":
            return page("again.html")
        return page("stranger.html", 403) if sessions.needs_invitation else sessions.newcomer()

    @router.get("/rate")
    async def rate(request: Request, note: str = "") -> Response:
        def answer() -> Response:
            if pairs is None:
                return page("elsewhere.html", 404)
            rater = sessions.rater(request)
            if rater is not None:
                return stage(pairs, rater, sessions.cookie(request), note, whole=True)
            found = stranger(request)
            if isinstance(found, Response):
                return found
            cookie = sessions.begin(found)
            response = stage(pairs, found, cookie, note, whole=True)
            sessions.put(response, request, cookie)
            return response

        return await run_in_threadpool(answer)

    @router.get("/rate/next")
    async def following(request: Request) -> Response:
        def answer() -> Response:
            mine, rater = known(request)
            return stage(mine, rater, sessions.cookie(request), "", whole=False)

        return await run_in_threadpool(answer)

    def known(request: Request) -> tuple[Pairs, int]:
        rater = sessions.rater(request)
        if pairs is None or rater is None:
            raise Problem(403, "you need an invitation to rate; open /rate again")
        return pairs, rater

    async def done(request: Request, what: str) -> Response:
        """Do it; a script gets what follows, a plain form is led back to the page."""
        fields = await fields_of(request)

        def answer() -> Response:
            mine, rater = known(request)
            if not sessions.is_ours(request, fields):
                raise Problem(403, "this form is not of your session; open /rate again")
            note = act(mine, rater, what, fields)
            if request.headers.get("x-stage") == "1":
                return stage(mine, rater, sessions.cookie(request), note, whole=False)
            return RedirectResponse(f"/rate?note={note}" if note else "/rate", 303)

        return await run_in_threadpool(answer)

    @router.post("/rate/say")
    async def say(request: Request) -> Response:
        return await done(request, "say")

    @router.post("/rate/skip")
    async def skip(request: Request) -> Response:
        return await done(request, "skip")

    @router.post("/rate/undo")
    async def undo(request: Request) -> Response:
        return await done(request, "undo")

    @router.post("/rate/here")
    async def here(request: Request) -> Response:
        """Somebody is looking at the page: their pairs stay theirs."""
        fields = await fields_of(request)

        def answer() -> Response:
            mine, rater = known(request)
            if not sessions.is_ours(request, fields):
                raise Problem(403, "this form is not of your session; open /rate again")
            mine.before(rater, 0, watched=True)
            return Response(status_code=204)

        return await run_in_threadpool(answer)

    @router.get("/rate/join")
    async def invited(code: str = "") -> Response:
        # Looking does not use it up: mail and chat programs look at links by themselves.
        return page("join.html", code=code[:200], refused=False)

    @router.post("/rate/join")
    async def join(request: Request) -> Response:
        fields = await fields_of(request)

        def answer() -> Response:
            rater = sessions.join(fields.get("code", ""))
            if rater is None:
                return page("join.html", 410, code="", refused=True)
            response = RedirectResponse("/rate", 303)
            sessions.put(response, request, sessions.begin(rater))
            return response

        return await run_in_threadpool(answer)

    return router


def act(pairs: Pairs, rater: int, what: str, fields: dict[str, str]) -> str:
    """Do what a form asks; the name of a note for whoever sent it, or nothing."""
    view = fields.get("view", "")[:100]
    try:
        if what == "undo":
            return "" if pairs.undo(rater) else "final"
        if what == "skip":
            pairs.skip(rater, view)
        else:
            pairs.say(rater, view, said_of(fields))
    except Refused as refused:
        return refused.why
    return ""


def said_of(fields: dict[str, str]) -> Said:
    """What a form says; Problem if it says nothing that can be said."""
    word = fields.get("winner", "")
    if word not in SAYS:
        raise Problem(422, f"winner must be one of {', '.join(SAYS)}")
    side, both_bad = SAYS[word]
    ms = fields.get("ms", "0")
    taken = int(ms) if ms.isascii() and ms.isdigit() and len(ms) < 10 else 0
    return Said(side, both_bad, min(taken, LONGEST))


async def fields_of(request: Request) -> dict[str, str]:
    """The fields of a form, as plain forms send them."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Problem(415, "send a form, as the page does")
    try:
        return dict(parse_qsl((await request.body()).decode("ascii"), max_num_fields=20))
    except ValueError:
        raise Problem(422, "that form cannot be read") from None
