"""Assign and feedback over HTTP: the two requests that live traffic consists of."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bestpolicy.live.intake import Conflict, TooLate
from bestpolicy.live.matches import Side
from bestpolicy.serve.guard import Guard
from bestpolicy.serve.house import House
from bestpolicy.serve.problems import Problem, said
from bestpolicy.serve.signing import Forged
from bestpolicy.store.rows import canonical

Unit = Annotated[str, Field(min_length=1, max_length=200, description="who is assigned")]
M = TypeVar("M", bound=BaseModel)


class Body(BaseModel):
    """A body with these fields and no others."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class AssignBody(Body):
    """A unit that needs a policy: a user, a conversation, an order."""

    unit: Unit
    context: dict[str, Any] | None = Field(None, description="what is known of the unit")


class FeedbackBody(Body):
    """What a unit gave back: a reward, or of two policies the winner."""

    token: str = Field(min_length=1, max_length=4096, description="the assignment's")
    key: str = Field(min_length=1, max_length=200, description="yours; a retry repeats it")
    reward: float | None = Field(None, ge=0, le=1, description="from 0 to 1")
    winner: Side | None = Field(None, description="of the two that were assigned")

    @model_validator(mode="after")
    def one_of_them(self) -> FeedbackBody:
        if (self.reward is None) == (self.winner is None):
            raise ValueError("give a reward or a winner, and not both")
        return self


class UnitBody(Body):
    """Somebody who is to be forgotten."""

    unit: Unit


class AssignAnswer(BaseModel):
    """The policy of a unit, and what to send with its feedback."""

    policy: str = Field(description="its id")
    config: dict[str, Any] = Field(
        description="as the study file defines it; of a learned policy with `chosen`: id, prompt, "
        "chance"
    )
    propensity: float = Field(gt=0, le=1, description="the chance with which it was drawn")
    token: str


class Contender(BaseModel):
    """One of two policies."""

    policy: str
    config: dict[str, Any]


class MatchAnswer(BaseModel):
    """Two policies of which the unit is to say which does better."""

    left: Contender
    right: Contender
    propensity: float | None = Field(description="the chance of this pair, where it has one")
    token: str


class FeedbackAnswer(BaseModel):
    """The feedback is on disk."""

    recorded: bool
    counts: bool = Field(description="whether it is evidence; each unit is once")


class ForgetAnswer(BaseModel):
    """The unit's name and context are gone; policy, chance and reward stay."""

    rows: int = Field(ge=0, description="how many were blanked")


def routes(house: House) -> APIRouter:
    router = APIRouter()
    traffic, guard = house.traffic, Guard(house.rate)
    tags: list[str | Enum] = ["live"]

    @router.post(
        "/v1/assign",
        summary="The policy of a unit",
        tags=tags,
        response_model=MatchAnswer if traffic.by_winner else AssignAnswer,
        responses=said(401, 403, 409, 413, 415, 422, 429, 503),
        openapi_extra=takes(AssignBody),
    )
    async def assign(request: Request) -> Response:
        """The same unit gets the same policy whenever it comes. Send the token back with what
        the unit gave back; it is good for the study's feedback window. A learned policy chooses
        a prompt by the context, which is in the config as `chosen`; where a study has one, every
        unit needs the context that it chooses by."""
        guard.check(request)
        told = await read(AssignBody, request)
        _check_json(told.context)
        if (wrong := traffic.wrong(told.context)) is not None:
            raise Problem(422, f"body.context: {wrong}")
        if traffic.by_winner:
            try:
                match = await traffic.match(told.unit, told.context)
                return Response(match, media_type="application/json")
            except Conflict as refusal:
                raise Problem(409, str(refusal)) from None
        given = await traffic.assign(told.unit, told.context)
        return Response(given.text, media_type="application/json")

    @router.post(
        "/v1/feedback",
        summary="What a unit gave back",
        tags=tags,
        response_model=FeedbackAnswer,
        responses=said(401, 403, 409, 410, 413, 415, 422, 429, 503),
        openapi_extra=takes(FeedbackBody),
    )
    async def feedback(request: Request) -> Response:
        """It is on disk when this answers. Repeat a request whose answer was lost, with the same
        key: it counts once. Late and out of order is fine, as long as the window lasts."""
        guard.check(request)
        told = await read(FeedbackBody, request)
        try:
            if told.winner is not None and traffic.by_winner:
                receipt = await traffic.winner(told.token, told.winner, told.key)
            elif told.reward is not None and not traffic.by_winner:
                receipt = await traffic.feedback(told.token, told.reward, told.key)
            else:
                wanted = "a winner" if traffic.by_winner else "a reward"
                raise Problem(422, f"body: units of this study give back {wanted}")
        except Forged:
            raise Problem(401, "that token is not of an assignment of this study") from None
        except Conflict as refusal:
            raise Problem(409, str(refusal)) from None
        except TooLate as refusal:
            raise Problem(410, str(refusal)) from None
        counts = "true" if receipt.counts else "false"
        return Response(f'{{"recorded":true,"counts":{counts}}}', media_type="application/json")

    @router.delete(
        "/v1/unit",
        summary="Forget a unit",
        tags=tags,
        response_model=ForgetAnswer,
        responses=said(401, 403, 413, 415, 422, 503),
        openapi_extra=takes(UnitBody),
    )
    async def forget(request: Request) -> Response:
        """Blanks the unit and its context. What it was given and gave back stays, without a
        name, so that the verdict can be computed again."""
        told = await read(UnitBody, request)
        rows = await traffic.forget(told.unit)
        return Response(f'{{"rows":{rows}}}', media_type="application/json")

    return router


async def read(model: type[M], request: Request) -> M:
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        # What was sent is not repeated: it may be a secret, or a million characters.
        errors = [
            {"place": ".".join(["body", *map(str, e["loc"])])[:200], "message": e["msg"][:300]}
            for e in error.errors(include_url=False, include_context=False, include_input=False)
        ][:20]
        first = errors[0]
        raise Problem(422, f"{first['place']}: {first['message']}", errors=errors) from None


def _check_json(context: Any) -> None:
    """JSON has no NaN, and no number that Python would rather not write."""
    if context is None:
        return
    try:
        canonical(context)
    except ValueError:
        raise Problem(422, "body.context: must be JSON with finite numbers") from None


def takes(model: type[BaseModel]) -> dict[str, Any]:
    """What an operation's description says of its body, with what it refers to put in place."""
    schema = model.model_json_schema()
    known = schema.pop("$defs", {})

    def whole(told: Any) -> Any:
        if isinstance(told, list):
            return [whole(one) for one in told]
        if not isinstance(told, dict):
            return told
        if "$ref" in told:
            return whole(known[told["$ref"].rpartition("/")[2]])
        return {key: whole(value) for key, value in told.items()}

    content = {"application/json": {"schema": whole(schema)}}
    return {"requestBody": {"required": True, "content": content}}
