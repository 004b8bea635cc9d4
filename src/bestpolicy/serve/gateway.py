"""The gateway: OpenAI's chat completions, answered by the policies of the study.

A client changes its base URL and names the model `study/NAME`. Its unit is assigned a policy, that
policy's model answers, and the header X-Bestpolicy-Token goes with the feedback. Which policy it
was is not said: whoever judges the answer must not know.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import AsyncIterator
from enum import Enum
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from bestpolicy.core.talk import Failed
from bestpolicy.serve.chat import Chat, ChatBody, Columns, read
from bestpolicy.serve.guard import Guard
from bestpolicy.serve.house import House
from bestpolicy.serve.problems import Problem
from bestpolicy.serve.spoken import ONCE, Speakers, Told, Whole

TOKEN = "X-Bestpolicy-Token"
BOTH = "in this study a unit chooses between two answers, which /v1/assign gives; a chat gets one"
UNIT = 200  # characters of a unit's name
ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
COMPLETION = {
    "type": "object",
    "required": ["id", "object", "created", "model", "choices", "usage"],
    "properties": {
        "id": {"type": "string"},
        "object": {"const": "chat.completion"},
        "created": {"type": "integer"},
        "model": {"type": "string"},
        "choices": {"type": "array", "items": {"type": "object"}, "minItems": 1},
        "usage": {"type": "object"},
    },
}
MODEL = {
    "type": "object",
    "required": ["id", "object", "created", "owned_by"],
    "properties": {
        "id": {"type": "string"},
        "object": {"const": "model"},
        "created": {"type": "integer"},
        "owned_by": {"type": "string"},
    },
}
MODELS = {
    "type": "object",
    "required": ["object", "data"],
    "properties": {"object": {"const": "list"}, "data": {"type": "array", "items": MODEL}},
}
TAGS: list[str | Enum] = ["gateway"]


def routes(house: House) -> APIRouter:
    router = APIRouter()
    name = f"study/{house.opened.study.name}"
    columns, speakers, guard = Columns(house.file), Speakers(house), Guard(house.rate)
    began = int(time.time())
    model = {"id": name, "object": "model", "created": began, "owned_by": "bestpolicy"}

    @router.get(
        "/v1/models", summary="The models of the gateway", tags=TAGS, responses=_says(MODELS)
    )
    async def models() -> Response:
        """There is one: the study, as `study/NAME`."""
        return _json({"object": "list", "data": [model]})

    @router.get(
        "/v1/models/{model_id:path}",
        summary="One model of the gateway",
        tags=TAGS,
        responses=_says(MODEL, 404),
    )
    async def one(model_id: str) -> Response:
        if model_id != name:
            raise Problem(404, f"there is one model here, {name}", code="model_not_found")
        return _json(model)

    @router.post(
        "/v1/chat/completions",
        summary="An answer of the unit's policy, for OpenAI's clients",
        tags=TAGS,
        responses=_streams(_says(COMPLETION, 404, 409, 429, 502, 503)),
        openapi_extra=_takes(name),
    )
    async def completions(request: Request) -> Response:
        """The last message of the user fills the column that the study's prompts name, `metadata`
        the others and what a learned policy chooses by; earlier turns go along. A policy's system
        prompt takes the place of the request's, and `max_tokens` may only lower the policy's.

        The unit is the header X-Unit, or `user`; without either every request is a unit of its
        own. Send the header X-Bestpolicy-Token of the answer to /v1/feedback with what the answer
        was worth. With `stream` the answer comes as server-sent events."""
        guard.check(request)
        if house.traffic.by_winner:
            raise Problem(409, BOTH, headers=ONCE, code="two_answers")
        unit = request.headers.get("x-unit")
        if unit is not None and not 0 < len(unit) <= UNIT:
            raise Problem(400, f"X-Unit must have 1 to {UNIT} characters", code="invalid_value")
        chat = read(await request.body(), name, columns, unit)
        if (wrong := house.traffic.wrong(chat.row)) is not None:
            detail = f"{wrong}: give it in metadata"
            raise Problem(400, detail, param="metadata", code="invalid_value")
        who = chat.unit or f"request {secrets.token_hex(16)}"
        given = await house.traffic.assign(who, chosen=False)
        said = speakers.say(given.policy, chat, given.at)
        answer = Answer(name, chat)
        headers = {TOKEN: given.token}
        if chat.stream:
            # The first piece decides whether this is a stream or a failure.
            first = await anext(said)
            _check(first, headers)
            events = answer.events(first, said)
            return StreamingResponse(events, 200, headers, "text/event-stream")
        pieces: list[str] = []
        async for what in said:
            _check(what, headers)
            if isinstance(what, str):
                pieces.append(what)
            elif isinstance(what, Whole):
                return _json(answer.whole("".join(pieces), what), headers)
        raise Problem(503, UNANSWERED, headers=ONCE | headers, code="no_answer")

    return router


class Answer:
    """One answer in OpenAI's form."""

    def __init__(self, name: str, chat: Chat) -> None:
        self._chat = chat
        self._id = f"chatcmpl-{secrets.token_hex(12)}"
        self._head = {"created": int(time.time()), "model": name, "system_fingerprint": None}

    def whole(self, text: str, reply: Whole) -> dict[str, Any]:
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {
            "index": 0,
            "message": message,
            "finish_reason": "length" if reply.cut else "stop",
            "logprobs": None,
        }
        about = {"id": self._id, "object": "chat.completion", **self._head}
        return about | {"choices": [choice], "usage": _usage(reply)}

    async def events(self, first: Told, rest: AsyncIterator[Told]) -> AsyncIterator[bytes]:
        """The same as a stream. What breaks half-way ends it with an error, and never as if the
        answer were whole."""
        yield self._event({"role": "assistant", "content": "", "refusal": None})
        what: Told | None = first
        while what is not None:
            if isinstance(what, str):
                yield self._event({"content": what})
            elif isinstance(what, Whole):
                yield self._event({}, "length" if what.cut else "stop")
                if self._chat.usage:
                    yield _line(self._about() | {"choices": [], "usage": _usage(what)})
            else:
                problem = what if isinstance(what, Problem) else _failed(what, {})
                yield _line(problem.openai())
                return
            what = await anext(rest, None)
        yield b"data: [DONE]\n\n"

    def _about(self) -> dict[str, Any]:
        return {"id": self._id, "object": "chat.completion.chunk", **self._head}

    def _event(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        usage = {"usage": None} if self._chat.usage else {}
        return _line(self._about() | {"choices": [choice]} | usage)


UNANSWERED = "the model behind this study did not answer"


def _check(what: Told, headers: dict[str, str]) -> None:
    """Raise what is no answer. The unit keeps its assignment, whose feedback never comes."""
    if isinstance(what, Problem):
        what.headers = {**(what.headers or {}), **headers}
        raise what
    if isinstance(what, Failed):
        raise _failed(what, headers)


def _failed(failed: Failed, headers: dict[str, str]) -> Problem:
    # Why is in the record and for the study's owner: a provider's words may name the model.
    tries = len(failed.failures)
    detail = f"{UNANSWERED} in {tries} {'try' if tries == 1 else 'tries'}; no answer was made up"
    status = 502 if failed.fatal else 503
    return Problem(status, detail, headers=ONCE | headers, code="no_answer")


def _usage(reply: Whole) -> dict[str, int]:
    return {
        "prompt_tokens": reply.tokens_in,
        "completion_tokens": reply.tokens_out,
        "total_tokens": reply.tokens_in + reply.tokens_out,
    }


def _line(value: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()


def _json(value: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(value), 200, headers, "application/json")


def _says(schema: dict[str, Any], *statuses: int) -> dict[int | str, dict[str, Any]]:
    """What an operation answers with, and its errors in OpenAI's form."""
    told: dict[int | str, dict[str, Any]] = {
        200: {"description": "OK", "content": {"application/json": {"schema": schema}}}
    }
    error = {"description": "An error", "content": {"application/json": {"schema": ERROR}}}
    checks = (400, 401, 403, 408, 413, 415, 421, 422)
    return told | dict.fromkeys((*checks, *statuses), error)


def _streams(told: dict[int | str, dict[str, Any]]) -> dict[int | str, dict[str, Any]]:
    """The same, with an answer that may also come in pieces."""
    pieces = {"text/event-stream": {"schema": {"type": "string"}}}
    ok = told[200]
    return told | {200: ok | {"content": ok["content"] | pieces}}


def _takes(name: str) -> dict[str, Any]:
    schema = ChatBody.model_json_schema()
    sample = {"model": name, "user": "anna", "messages": [{"role": "user", "content": "Hello!"}]}
    schema["examples"] = [sample]
    schema["properties"]["model"]["enum"] = [name]
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
