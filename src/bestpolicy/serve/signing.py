"""Signed tokens: what the server said once, and believes when it hears it again.

    base64url(canonical JSON) . base64url(HMAC-SHA-256(purpose key, JSON))

Each purpose (an assignment, an access, an invitation) has a key of its own, derived from one
secret and the study's name, so that a token for one thing is worth nothing for another.
"""

from __future__ import annotations

import binascii
import hmac
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import Any

from bestpolicy.store.rows import canonical

MOST = 4096  # characters of a token; no token of ours is as long


class Forged(Exception):
    """Not a token of this study, or not for this purpose."""


class Expired(Exception):
    """A token of ours whose time is over; `fields` is what it said."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        super().__init__()
        self.fields = fields


class Signer:
    """Signs on behalf of one study."""

    def __init__(self, secret: bytes, study: str, clock: Callable[[], float] = time.time) -> None:
        self._root = hmac.digest(secret, b"bestpolicy\0" + study.encode(), "sha256")
        self._keys: dict[str, bytes] = {}
        self._clock = clock

    def key(self, purpose: str) -> bytes:
        """The key of one purpose."""
        if purpose not in self._keys:
            self._keys[purpose] = hmac.digest(self._root, purpose.encode(), "sha256")
        return self._keys[purpose]

    def sign(self, purpose: str, fields: Mapping[str, Any], *, lasts: float | None = None) -> str:
        """A token that says these fields, for so many seconds or for ever."""
        told = dict(fields) if lasts is None else {**fields, "exp": int(self._clock() + lasts)}
        body = canonical(told).encode()
        return f"{_text(body)}.{_text(hmac.digest(self.key(purpose), body, 'sha256'))}"

    def read(self, purpose: str, token: str) -> dict[str, Any]:
        """What the token says; Forged or Expired if it is not to be believed."""
        if len(token) > MOST:
            raise Forged
        text, dot, mac = token.partition(".")
        try:
            body, seen = _bytes(text), _bytes(mac)
        except (ValueError, binascii.Error):
            raise Forged from None
        if not dot or not hmac.compare_digest(hmac.digest(self.key(purpose), body, "sha256"), seen):
            raise Forged
        fields: dict[str, Any] = json.loads(body)
        if self._clock() >= fields.get("exp", float("inf")):
            raise Expired(fields)
        return fields


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    data = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    # One token has one spelling: stray characters and spare bits are no decoration.
    if _text(data) != text:
        raise ValueError
    return data
