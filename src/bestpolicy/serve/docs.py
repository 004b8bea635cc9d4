"""The docs: what the server says of itself, for programs (/openapi.json) and for people (/docs).

FastAPI's own page runs scripts that it fetches from elsewhere. This one is made from the same
description, is plain HTML, and fetches nothing.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse

from bestpolicy.serve.access import BODIED, RIGHTS, needed
from bestpolicy.serve.house import House
from bestpolicy.serve.problems import said
from bestpolicy.serve.templates import page

MAY = {
    "assign": "assign units to policies, and call the gateway",
    "feedback": "tell what came of an assignment",
    "rate": "answer duels",
    "admin": "all of these, and look at everything",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that a request may or must say."""

    name: str
    place: str
    kind: str
    needed: bool
    about: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that the server does, as the page shows it."""

    id: str
    method: str
    path: str
    right: str
    summary: str
    about: str
    fields: tuple[Field, ...]
    answers: tuple[tuple[str, str, str], ...]  # status, what it means, media types
    example: str


def routes(house: House) -> APIRouter:
    router = APIRouter()

    @router.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        described = request.app.openapi()
        base = f"{request.url.scheme}://{request.headers['host']}"
        groups: dict[str, list[Operation]] = {}
        for tag, operation in operations(described, base, local=house.local):
            groups.setdefault(tag, []).append(operation)
        return page(
            "docs.html",
            title=described["info"]["title"],
            version=described["info"]["version"],
            groups=groups,
            rights=[(right, MAY[right]) for right in RIGHTS],
            local=house.local,
        )

    return router


def describe(app: FastAPI, *, local: bool) -> None:
    """Have the description say what the checks before every operation may answer."""
    plain = app.openapi

    def whole() -> dict[str, Any]:
        if app.openapi_schema is None:
            described = plain()
            for path, methods in described["paths"].items():
                for method, operation in methods.items():
                    _tell(operation, path, method.upper(), local=local)
            parts = described.setdefault("components", {})
            for unused in ("HTTPValidationError", "ValidationError"):
                parts.get("schemas", {}).pop(unused, None)
            if not local:
                bearer = {"type": "http", "scheme": "bearer", "description": "`bestpolicy token`"}
                parts["securitySchemes"] = {"bearer": bearer}
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = whole  # type: ignore[method-assign]


def _tell(operation: dict[str, Any], path: str, method: str, *, local: bool) -> None:
    responses, right = operation["responses"], needed(path)
    checks = [400, 403, 421]
    if method in BODIED:
        checks += [408, 413, 415, 422]
    elif operation.get("parameters"):
        checks.append(422)
    if right != "open" and not local:
        checks.append(401)
        operation["security"] = [{"bearer": [right]}]
    ours = said(*checks)
    if "HTTPValidationError" in json.dumps(responses.get("422", {})):
        del responses["422"]  # FastAPI's own form, which no problem of ours has
    for status, response in ours.items():
        responses.setdefault(str(status), response)
    for content in operation.get("requestBody", {}).get("content", {}).values():
        schema = content.get("schema", {})
        content["schema"] = _inlined(schema, schema.get("$defs", {}))


def _inlined(value: Any, parts: dict[str, Any]) -> Any:
    """A schema with its parts where they are named: a `$ref` would look for them elsewhere."""
    if isinstance(value, list):
        return [_inlined(inner, parts) for inner in value]
    if not isinstance(value, dict):
        return value
    if value.get("$ref", "").startswith("#/$defs/"):
        return _inlined(parts[value["$ref"].rpartition("/")[2]], parts)
    return {key: _inlined(inner, parts) for key, inner in value.items() if key != "$defs"}


def operations(
    described: Mapping[str, Any], base: str, *, local: bool
) -> Iterator[tuple[str, Operation]]:
    """Every operation, under the group that it belongs to."""
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            body = _body(described, operation)
            yield (
                (operation.get("tags") or ["other"])[0],
                Operation(
                    id=f"{method}{path}".replace("/", "-").replace("{", "").replace("}", ""),
                    method=method.upper(),
                    path=path,
                    right=needed(path),
                    summary=operation.get("summary", ""),
                    about=operation.get("description", ""),
                    fields=(*_parameters(described, operation), *_fields(described, body)),
                    answers=tuple(
                        (status, told.get("description", ""), ", ".join(told.get("content", {})))
                        for status, told in sorted(operation["responses"].items())
                    ),
                    example=_curl(base, path, method, body, described, local=local),
                ),
            )


def _body(described: Mapping[str, Any], operation: Mapping[str, Any]) -> dict[str, Any] | None:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    return None if content is None else _whole(described, content["schema"])


def _parameters(described: Mapping[str, Any], operation: Mapping[str, Any]) -> Iterator[Field]:
    for told in operation.get("parameters", ()):
        schema = _whole(described, told["schema"])
        about = told.get("description") or schema.get("description", "")
        needs = bool(told.get("required"))
        yield Field(told["name"], told["in"], _kind(described, schema), needs, about)


def _fields(
    described: Mapping[str, Any], schema: Mapping[str, Any] | None, above: str = "", deep: int = 0
) -> Iterator[Field]:
    """The fields of a body, those of inner objects below them."""
    if schema is None:
        return
    for name, told in schema.get("properties", {}).items():
        inner = _whole(described, told)
        about = told.get("description") or inner.get("description", "")
        needs = name in schema.get("required", ())
        yield Field(above + name, "body", _kind(described, inner), needs, about)
        if deep < 2:
            items = inner.get("items")
            below = inner if items is None else _whole(described, items)
            mark = f"{above}{name}{'' if items is None else '[]'}."
            yield from _fields(described, below, mark, deep + 1)


def _whole(described: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema with what it refers to."""
    if "$ref" not in schema:
        return dict(schema)
    name = schema["$ref"].rpartition("/")[2]
    found = described["components"]["schemas"][name]
    return {**found, **{key: value for key, value in schema.items() if key != "$ref"}}


def _kind(described: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    if several := schema.get("anyOf") or schema.get("oneOf"):
        kinds = [_kind(described, _whole(described, one)) for one in several]
        return " or ".join(dict.fromkeys(kinds))
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " or ".join(json.dumps(word) for word in schema["enum"])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_kind(described, _whole(described, schema.get('items', {})))}"
    limits = [
        f"{words} {schema[key]:,}"
        for key, words in (
            ("minimum", "at least"),
            ("maximum", "at most"),
            ("maxLength", "up to"),
        )
        if key in schema
    ]
    return ", ".join([str(kind), *limits])


def _curl(
    base: str,
    path: str,
    method: str,
    body: Mapping[str, Any] | None,
    described: Mapping[str, Any],
    *,
    local: bool,
) -> str:
    """A command that may be pasted."""
    words = ["curl", "-s"]
    if method != "get":
        words += ["-X", method.upper()]
    words.append(shlex.quote(base + path))
    if needed(path) != "open" and not local:
        words.append('-H "Authorization: Bearer $TOKEN"')
    if body is not None:
        told = body.get("examples", [None])[0] or _sample(described, body)
        words.append("-H 'Content-Type: application/json'")
        words.append(f"-d {shlex.quote(json.dumps(told))}")
    lines = [" ".join(words[:2])]
    for word in words[2:]:
        lines[-1] += f" {word}" if len(lines[-1]) + len(word) < 88 else ""
        if not lines[-1].endswith(word):
            lines[-1] += " \\"
            lines.append(f"  {word}")
    return "\n".join(lines)


def _sample(described: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:
    """A value that the schema might allow."""
    schema = _whole(described, schema)
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    if "const" in schema:
        return schema["const"]
    if several := schema.get("anyOf") or schema.get("oneOf"):
        return _sample(described, several[0])
    match schema.get("type"):
        case "object":
            needs = schema.get("required", ())
            inner = schema.get("properties", {})
            return {name: _sample(described, inner[name]) for name in needs if name in inner}
        case "array":
            return [_sample(described, schema.get("items", {}))]
        case "number" | "integer":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case _:
            return "…"
