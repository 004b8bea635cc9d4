"""The short way: requests that come by the thousand go to their function without a search for it.

Looking through the routes and solving parameters takes as much of the processor as all the rest of
an assignment. These paths are described and checked as all others are, behind the same `Access`;
only the way to the function is short.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from bestpolicy.core.nouns import BestPolicyError
from bestpolicy.serve.problems import Problem, known

Way = Callable[[Request], Awaitable[Response]]
OFTEN = ("/v1/assign", "/v1/feedback")


class Direct:
    """Wraps an app: calls the functions of some paths, and leaves the others to it."""

    def __init__(self, app: ASGIApp, *, ways: Mapping[tuple[str, str], Way]) -> None:
        self._app = app
        self._ways = ways

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        way = None
        if scope["type"] == "http":
            way = self._ways.get((scope["method"], scope["path"]))
        if way is None:
            await self._app(scope, receive, send)
            return
        try:
            response = await way(Request(scope, receive))
        except Problem as problem:
            response = problem.response(scope["path"])
        except BestPolicyError as error:
            response = known(error).response(scope["path"])
        await response(scope, receive, send)


def ways(router: APIRouter) -> dict[tuple[str, str], Way]:
    """The functions of the paths that are asked often."""
    return {
        (method, route.path): route.endpoint
        for route in router.routes
        if isinstance(route, APIRoute) and route.path in OFTEN
        for method in route.methods or ()
    }
