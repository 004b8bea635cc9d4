"""The app: one study over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from bestpolicy import __version__
from bestpolicy.serve import (
    assign,
    dashboard,
    docs,
    duels,
    gateway,
    logged,
    problems,
    rate,
    status,
)
from bestpolicy.serve.access import Access
from bestpolicy.serve.direct import Direct, ways
from bestpolicy.serve.house import House

STATIC = Path(__file__).with_name("static")
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})


def make_app(house: House, *, hosts: frozenset[str] = LOOPBACK) -> FastAPI:
    """The study's API and pages."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with house.traffic:
            yield

    app = FastAPI(
        title=f"bestpolicy: {house.opened.study.name}",
        version=__version__,
        summary="Assign policies, take feedback, let people rate, see where a study stands.",
        docs_url=None,  # its page fetches scripts from elsewhere; ours is in docs.py
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.ending = asyncio.Event()  # set when the server is asked to stop
    problems.install(app)
    often = assign.routes(house)
    app.include_router(often)
    for room in (status, logged, duels, rate, gateway, dashboard, docs):
        app.include_router(room.routes(house))
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    docs.describe(app, local=house.local)
    app.add_middleware(Direct, ways=ways(often))
    app.add_middleware(Access, signer=house.signer, local=house.local, hosts=hosts)
    return app
