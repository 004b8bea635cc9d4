"""Bodies: read whole, up to a cap and a deadline, and JSON of one meaning only.

Python's own reader takes NaN, lets the last of two equal keys win, and goes as deep as its stack.
What passes here is a JSON value that every program reads alike and every store can keep: finite
numbers, each key once, no half of a character, at most so deep.
"""

from __future__ import annotations

import asyncio
import json
import re
from math import isfinite
from typing import Any, NoReturn

from starlette.types import Message, Receive

from bestpolicy.serve.problems import Problem

MOST = 64 * 1024  # bytes, where nothing else is said
SECONDS = 15.0  # for a whole body
DEEPEST = 32
LARGE = "a number in the body is too large: no store could keep it"
LARGEST = 2**63  # what a column of integers holds
HALF = re.compile("[\ud800-\udfff]")
LEAVE = {"Connection": "close"}  # what is left of the body is not read


async def whole(receive: Receive, length: str | None, most: int, kind: str) -> bytes:
    """The body, or the Problem that it is."""
    long = Problem(413, f"a body of more than {most:,} bytes is refused", headers=LEAVE)
    if length is not None:
        if not (length.isascii() and length.isdigit()):
            raise Problem(400, "Content-Length must be a whole number", headers=LEAVE)
        if len(length) > 18 or int(length) > most:
            raise long
    body = bytearray()
    try:
        async with asyncio.timeout(SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Problem(400, "the client left before its body was whole")
                body += message.get("body", b"")
                if len(body) > most:
                    raise long
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        raise Problem(408, f"the body was not whole within {SECONDS:g} s", headers=LEAVE) from None
    if kind == "application/json" and body:
        value(bytes(body))
    return bytes(body)


def again(body: bytes, receive: Receive) -> Receive:
    """A body that was read, for whoever reads next."""
    told = False

    async def replay() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def value(body: bytes) -> Any:
    """What this JSON says, where it says one thing."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise Problem(422, f"the body must be UTF-8: byte {error.start} is not") from None
    if text.startswith("\ufeff"):
        raise Problem(422, "the body must be JSON, without a byte order mark")
    try:
        found = json.loads(
            text,
            parse_constant=_no_number,
            parse_float=_finite,
            parse_int=_whole,
            object_pairs_hook=_once,
        )
    except RecursionError:
        raise Problem(422, f"the body nests deeper than {DEEPEST}") from None
    except json.JSONDecodeError as error:
        raise Problem(422, f"the body must be JSON: {error.msg} at character {error.pos}") from None
    except ValueError as error:  # of a number with thousands of digits
        raise Problem(422, f"the body must be JSON: {str(error)[:100]}") from None
    _check(found, text)
    return found


def _check(found: Any, text: str) -> None:
    """What only the whole value shows."""
    # A walk is only due where something could be found.
    deep = text.count("[") + text.count("{") > DEEPEST
    if not (deep or "\\u" in text):
        return
    level, depth = [found], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise Problem(422, f"the body nests deeper than {DEEPEST}")
        inner: list[Any] = []
        for one in level:
            if isinstance(one, str) and HALF.search(one):
                raise Problem(422, "text must not hold half a character (a lone surrogate)")
            if isinstance(one, dict):
                inner += one.keys()
                inner += one.values()
            elif isinstance(one, list):
                inner += one
        level = inner


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Problem(422, "the body names a key twice in one object")
    return found


def _no_number(_: str) -> NoReturn:
    raise Problem(422, "a number in JSON is finite, and this body has one that is not")


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise Problem(422, LARGE)
    return number


def _whole(text: str) -> int:
    if len(text) > 20 or not -LARGEST <= (number := int(text)) < LARGEST:
        raise Problem(422, LARGE)
    return number
