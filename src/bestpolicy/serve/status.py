"""Where the study stands, as JSON and as the report's page."""

from __future__ import annotations

import json

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool

from bestpolicy import __version__
from bestpolicy.live import look as live
from bestpolicy.live.report import report as live_report
from bestpolicy.report.page import render
from bestpolicy.report.tables import as_json
from bestpolicy.run import constraints, snapshot
from bestpolicy.run.report import dossier
from bestpolicy.serve.house import House
from bestpolicy.serve.problems import said

# The report is one file that carries its own scripts and styles, and may fetch nothing.
SELF_CONTAINED = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def routes(house: House) -> APIRouter:
    router = APIRouter()

    @router.get("/healthz", summary="Whether the server answers", tags=["status"])
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @router.get(
        "/v1/status", summary="Where the study stands", tags=["status"], responses=said(401, 403)
    )
    async def status() -> Response:
        def look() -> str:
            if live.is_live(house.file):
                return json.dumps(live.as_json(live.look(house.opened.study, house.file)))
            at = snapshot(house.opened, kept=constraints(house.opened, None))
            return json.dumps(as_json(at), allow_nan=False)

        return Response(await run_in_threadpool(look), media_type="application/json")

    @router.get(
        "/v1/report",
        summary="The report, one HTML page",
        tags=["status"],
        response_class=HTMLResponse,
        responses=said(401, 403),
    )
    async def report() -> Response:
        def write() -> str:
            if live.is_live(house.file):
                at_live = live.look(house.opened.study, house.file)
                return live_report(at_live, house.file, __version__)
            at = snapshot(house.opened, kept=constraints(house.opened, None))
            return render(dossier(house.opened, at, __version__))

        headers = {"Content-Security-Policy": SELF_CONTAINED}
        return HTMLResponse(await run_in_threadpool(write), headers=headers)

    return router
