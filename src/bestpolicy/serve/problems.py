"""Problems: every error leaves as an RFC 9457 object that says what was wrong and what to do."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from bestpolicy.core.nouns import BestPolicyError, StoreError

log = logging.getLogger("bestpolicy.serve")

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}


# Paths of OpenAI's API, whose clients know another form of error.
OPENAI = ("/v1/chat/", "/v1/models")
INVALID = "invalid_request_error"
KINDS = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


class Problem(Exception):
    """A request that is not met: why, in words for whoever sent it."""

    def __init__(
        self, status: int, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers, self.more = status, detail, headers, more

    def response(self, path: str = "") -> Response:
        if path.startswith(OPENAI):
            told, headers = json.dumps(self.openai()), dict(self.headers or {})
            return Response(told, self.status, headers, "application/json")
        body = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        return Response(
            json.dumps(body | self.more, ensure_ascii=True),
            self.status,
            dict(self.headers or {}),
            "application/problem+json",
        )

    def openai(self) -> dict[str, Any]:
        """The same in the form that OpenAI's clients read."""
        kind = "server_error" if self.status >= 500 else KINDS.get(self.status, INVALID)
        param, code = self.more.get("param"), self.more.get("code")
        return {"error": {"message": self.detail, "type": kind, "param": param, "code": code}}


def said(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What an operation's description says of the problems that it may answer with."""
    content = {"application/problem+json": {"schema": SCHEMA}}
    return {s: {"description": HTTPStatus(s).phrase, "content": content} for s in statuses}


def where(error: BaseException) -> str:
    """The place of a defect, without anything that somebody said."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "an unknown place"
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"


def known(error: BestPolicyError) -> Problem:
    """What an error of ours is to whoever asked."""
    log.error("%s: %s", type(error).__name__, error)
    if isinstance(error, StoreError):
        return Problem(503, "the record cannot be written now; do the same again")
    return Problem(409, str(error)[:500])


def install(app: FastAPI) -> None:
    """Every error of this app becomes a problem object."""

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return error.response(request.url.path)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        # What was sent is not repeated: it may be a secret, or a million characters.
        errors = [
            {"place": ".".join(map(str, e["loc"]))[:200], "message": str(e["msg"])[:300]}
            for e in error.errors()[:20]
        ]
        detail = f"{errors[0]['place']}: {errors[0]['message']}"
        return Problem(422, detail, errors=errors).response(request.url.path)

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        detail = str(error.detail)
        if error.status_code == 404:
            detail = "nothing is at this path; see /docs"
        if error.status_code == 405:
            allowed = (error.headers or {}).get("Allow", "")
            detail = f"{request.method} does nothing here; allowed: {allowed}"
        problem = Problem(error.status_code, detail, headers=error.headers)
        return problem.response(request.url.path)

    async def of_ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, BestPolicyError)
        return known(error).response(request.url.path)

    app.add_exception_handler(Problem, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(BestPolicyError, of_ours)
