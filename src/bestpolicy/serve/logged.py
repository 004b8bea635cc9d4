"""For assignment in other processes: the snapshot to draw with, and the log of what was drawn."""

from __future__ import annotations

import json
from enum import Enum
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from bestpolicy.core.nouns import BestPolicyError, StoreError
from bestpolicy.serve.assign import Body, read, takes
from bestpolicy.serve.house import House
from bestpolicy.serve.problems import Problem, said

MOST = 1000  # rows at once


class Row(Body):
    """A unit that was assigned elsewhere, or with a reward what it gave back."""

    unit: str = Field(pattern="^[0-9a-f]{32}$", description="its keyed hash")
    policy: str = Field(min_length=1, max_length=100)
    snapshot: int = Field(ge=0, lt=2**53)
    context: dict[str, Any] | None = None
    reward: float | None = Field(None, ge=0, le=1)
    key: str | None = Field(None, min_length=1, max_length=200)


class LogBody(Body):
    """Rows in the order in which they came to be."""

    rows: Annotated[list[Row], Field(min_length=1, max_length=MOST)]


class PolicyAnswer(BaseModel):
    policy: str
    config: dict[str, Any]


class SnapshotAnswer(BaseModel):
    """All that a process needs to draw by itself; the keys are for those who may assign."""

    study: str
    version: int
    chances: list[float]
    policies: list[PolicyAnswer]
    draw_key: str
    unit_key: str
    log_context: bool
    choice_key: str = Field(description="empty where no policy is a learned one")


class RowAnswer(BaseModel):
    recorded: bool
    why: str = Field("", description="why it is not")


class LogAnswer(BaseModel):
    """What became of each row, in their order."""

    rows: list[RowAnswer]


def routes(house: House) -> APIRouter:
    router = APIRouter()
    traffic = house.traffic
    tags: list[str | Enum] = ["live"]

    @router.get(
        "/v1/snapshot",
        summary="What to draw with in your own process",
        tags=tags,
        response_model=SnapshotAnswer,
        responses=said(401, 403, 409),
    )
    async def snapshot() -> Response:
        """For `bestpolicy.Live`, which draws what this server would draw."""
        if traffic.books.terms.by != "reward":
            raise Problem(409, "units that choose between two answers are assigned by /v1/assign")
        return Response(json.dumps(traffic.told()), media_type="application/json")

    @router.post(
        "/v1/log",
        summary="What was assigned and given back elsewhere",
        tags=tags,
        response_model=LogAnswer,
        responses=said(401, 403, 409, 413, 415, 422, 503),
        openapi_extra=takes(LogBody),
    )
    async def log(request: Request) -> Response:
        """Each row is checked against the draw of its unit and kept once, however often it is
        sent. What is recorded is on disk when this answers."""
        if traffic.books.terms.by != "reward":
            raise Problem(409, "units that choose between two answers are assigned by /v1/assign")
        told = await read(LogBody, request)
        ends = await traffic.logged([row.model_dump() for row in told.rows])
        if any(isinstance(end, StoreError) for end in ends):
            raise Problem(503, "the record cannot be written now; send the same again")
        rows = [
            {"recorded": False, "why": str(end)}
            if isinstance(end, BestPolicyError)
            else {"recorded": True, "why": ""}
            for end in ends
        ]
        return Response(json.dumps({"rows": rows}), media_type="application/json")

    return router
