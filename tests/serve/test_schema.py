"""F1: whatever is sent, no 5xx comes back, and nothing that the API's description does not say.

BESTPOLICY_CASES=20000 python -m pytest tests/serve/test_schema.py -k description
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

from bestpolicy.serve.app import make_app
from bestpolicy.serve.listen import bound
from choosers import TEXTS, kept
from serve.serving import housed, running, token, write

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

from schemathesis import GenerationMode  # noqa: E402
from schemathesis.checks import CHECKS, load_all_checks  # noqa: E402

CASES = int(os.environ.get("BESTPOLICY_CASES", "300"))
ENDLESS = "/v1/events"
load_all_checks()
HOLD = [
    CHECKS.get_one(name)
    for name in (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "unsupported_method",
    )
]


def holds(app: FastAPI, bearer: str | None, cases: int) -> Counter[int]:
    """Send so many cases, half of them as the description allows and half not; every answer is one
    that it describes. How often each status came."""
    statuses: Counter[int] = Counter()
    headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
    schema = schemathesis.openapi.from_dict(app.openapi())
    operations = [found.ok() for found in schema.get_all_operations()]
    operations = [one for one in operations if one.path != ENDLESS]
    # Of an operation that takes nothing there is one case.
    takers = [
        one for one in operations if {"requestBody", "parameters"} & one.definition.raw.keys()
    ]
    each = max(1, cases // (2 * len(takers)))
    with closing(bound("127.0.0.1", 0)) as sock, running(app, sock) as url:
        for operation in operations:
            for mode in GenerationMode:

                @settings(
                    max_examples=each,
                    deadline=None,
                    database=None,
                    derandomize=True,
                    suppress_health_check=list(HealthCheck),
                    phases=[Phase.generate],
                )
                @given(case=operation.as_strategy(generation_mode=mode))
                def send(case: Any) -> None:
                    answer = case.call(base_url=url, headers=headers, timeout=60)
                    statuses[answer.status_code] += 1
                    case.validate_response(answer, checks=HOLD)

                # Of an operation that takes nothing there is nothing wrong to send.
                with suppress(Unsatisfiable):
                    send()
    return statuses


@contextmanager
def api(folder: Path, *, local: bool, judge: str = "live") -> Iterator[tuple[FastAPI, str | None]]:
    with housed(write(folder, judge={judge: {}}), local=local) as house:
        yield make_app(house), None if local else token(house, "admin", lasts=10**5)


@pytest.mark.slow
@pytest.mark.parametrize("judge", ["live", "human"])
@pytest.mark.parametrize("local", [True, False], ids=["open", "with tokens"])
def test_every_answer_is_one_that_the_description_says(
    local: bool, judge: str, tmp_path: Path
) -> None:
    with api(tmp_path, local=local, judge=judge) as (app, bearer):
        statuses = holds(app, bearer, CASES // 3)  # a little more than is asked for in all
    print(sum(statuses.values()), "cases:", dict(sorted(statuses.items())))
    assert statuses[200] > 0
    assert sum(statuses[code] for code in (400, 422)) > 0


@pytest.mark.slow
def test_a_study_with_a_learned_policy_holds_it_too(tmp_path: Path) -> None:
    rows = [{"input": f"{i}", "tier": "gold"} for i in range(50)]
    with housed(write(tmp_path, policies=both(tmp_path), inputs=rows)) as house:
        statuses = holds(make_app(house), None, CASES // 3)
    assert statuses[200] > 0
    assert statuses[422] > 0


def both(folder: Path) -> list[dict[str, Any]]:
    learned = {"learned": kept(folder), "prompts": TEXTS, "model": "scripted/echo"}
    fixed = {"model": "scripted/echo", "prompt": "plain to {{input}}"}
    return [learned | {"id": "learned"}, fixed | {"id": "fixed"}]


@pytest.mark.slow
def test_a_route_that_checks_nothing_is_caught(tmp_path: Path) -> None:
    with api(tmp_path, local=True) as (app, _):

        @app.post(
            "/v1/careless",
            openapi_extra={
                "requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}}
            },
        )
        async def careless(request: Request) -> dict[str, float]:
            told = await request.json()
            return {"half": told["number"] / 2}

        app.openapi_schema = None
        with pytest.raises(BaseException, match=r"[Ss]erver error"):
            holds(app, None, 200)
