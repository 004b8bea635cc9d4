"""Duels for programs that ask people, or are the judge themselves: one at a time, under a token.

What is sent holds the input and two texts, and never a policy's name. An answer goes to the study
at once; sending it again changes nothing.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from bestpolicy.serve.house import House
from bestpolicy.serve.pairs import Pairs
from bestpolicy.serve.problems import Problem, said
from bestpolicy.serve.sessions import key_of
from bestpolicy.store.ratings import Refused, Said, Side

SAYS: dict[str, tuple[Side, bool]] = {
    "left": ("first", False),
    "right": ("second", False),
    "tie": ("tie", False),
    "both_bad": ("tie", True),
}
STATUS = {"unknown": 404, "other": 409, "lost": 409, "skipped": 409, "undone": 409}


class Shown(BaseModel):
    """Two answers to one input. `id` names this pair and is needed to answer it."""

    id: str
    input: dict[str, str] | None = Field(description="what the policies were shown of the input")
    left: str
    right: str


class Answer(BaseModel):
    """Which of the two is better."""

    model_config = ConfigDict(extra="forbid", strict=True)
    winner: Literal["left", "right", "tie", "both_bad"]


class Kept(BaseModel):
    """The answer, as it is on record."""

    id: str
    winner: Literal["left", "right", "tie", "both_bad"]


def routes(house: House) -> APIRouter:
    router = APIRouter(tags=["duel"])

    def whom(request: Request) -> tuple[Pairs, int]:
        if house.pairs is None:
            raise Problem(404, "this study is not judged by people: see judge.human in its file")
        # Access has read the token, where one is needed; it stands for whoever holds it.
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        mine = token.strip() if kind.lower() == "bearer" and not house.local else "this machine"
        return house.pairs, house.pairs.number_of(key_of(mine))

    @router.get(
        "/v1/duel",
        summary="Two answers to compare",
        response_model=Shown,
        responses=said(401, 403, 404, 410, 503)
        | {204: {"description": "Nothing is ready now; ask again in a few seconds"}},
    )
    async def ask(request: Request) -> Response | Shown:
        if request.headers.get("sec-fetch-site") == "cross-site":
            raise Problem(403, "pages of other sites cannot take duels")

        def answer() -> Response | Shown:
            pairs, rater = whom(request)
            pair = pairs.another(rater)
            if pair is not None:
                row = dict(pair.row) or None
                return Shown(id=pair.view.id, input=row, left=pair.first, right=pair.second)
            if pairs.over:
                raise Problem(410, "this study needs no more answers; thank you")
            return Response(status_code=204, headers={"Retry-After": "2"})

        return await run_in_threadpool(answer)

    @router.post(
        "/v1/duel/{id}",
        summary="Say which answer is better",
        responses=said(401, 403, 404, 409, 413, 415, 422, 503),
    )
    async def tell(
        id: Annotated[str, Path(max_length=100)],  # noqa: A002  the contract's name
        body: Answer,
        request: Request,
    ) -> Kept:
        def answer() -> Kept:
            pairs, rater = whom(request)
            side, both_bad = SAYS[body.winner]
            try:
                pairs.say(rater, id, Said(side, both_bad), final=True)
            except Refused as refused:
                raise Problem(STATUS[refused.why], str(refused)) from None
            return Kept(id=id, winner=body.winner)

        return await run_in_threadpool(answer)

    return router
