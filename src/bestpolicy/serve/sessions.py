"""Sessions: who is rating, without a name or an address.

    invitation ──used up once──► a number ──signed cookie──► every later visit

On this machine alone nobody needs an invitation until the first is made; each browser is then a
person. Every form carries a token that only the session's own pages hold, so that no other site
can answer in somebody's name.
"""

from __future__ import annotations

import hmac
import secrets
import time
from hashlib import sha256
from typing import Any
from zlib import crc32

from starlette.requests import Request
from starlette.responses import Response

from bestpolicy.serve.signing import Expired, Forged, Signer
from bestpolicy.store.ratings import Ratings

LASTS = 90 * 86400  # seconds
DAY = 86400


class Sessions:
    """The people of one served study."""

    def __init__(self, signer: Signer, ratings: Ratings, *, local: bool, study: str) -> None:
        self._signer = signer
        self._ratings = ratings
        self._local = local
        # Cookies know no ports: two studies on one machine must not share one.
        self._cookie = f"rater-{crc32(study.encode()):08x}"

    def rater(self, request: Request) -> int | None:
        """The number of whoever asks; None for a stranger."""
        try:
            fields = self._signer.read("session", request.cookies.get(self._cookie, ""))
        except (Forged, Expired):
            return None
        return int(fields["rater"])

    @property
    def needs_invitation(self) -> bool:
        return not self._local or self._ratings.invited()

    def newcomer(self) -> int:
        """A number for a browser that nobody knows yet."""
        return self._ratings.rater(f"browser {secrets.token_hex(16)}")

    def join(self, code: str) -> int | None:
        """The number that an invitation gives, once; None if it is used, over or none."""
        return self._ratings.join(hash_of(code), time.time())

    def begin(self, rater: int) -> str:
        """A new session, as its cookie says it."""
        return self._signer.sign("session", {"rater": rater}, lasts=LASTS)

    def put(self, response: Response, request: Request, cookie: str) -> None:
        """Have the browser keep it."""
        response.set_cookie(
            self._cookie,
            cookie,
            max_age=LASTS,
            path="/rate",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )

    def cookie(self, request: Request) -> str:
        return request.cookies.get(self._cookie, "")

    def form_token(self, cookie: str) -> str:
        """What this session's forms carry."""
        return hmac.digest(self._signer.key("form"), cookie.encode(), "sha256").hex()

    def is_ours(self, request: Request, fields: dict[str, str]) -> bool:
        """Whether a form was made by a page of this session."""
        token = fields.get("token", "").encode("utf-8", "replace")
        return hmac.compare_digest(token, self.form_token(self.cookie(request)).encode())


def invite(ratings: Ratings, many: int, days: float) -> list[str]:
    """Codes of new invitations. Only their hashes are kept: who reads the record cannot join."""
    codes = [secrets.token_urlsafe(18) for _ in range(many)]
    ratings.invite([hash_of(code) for code in codes], time.time() + DAY * days)
    return codes


def hash_of(code: str) -> str:
    return sha256(code.encode("utf-8", "replace")).hexdigest()


def key_of(access: dict[str, Any] | str) -> str:
    """What stands for the holder of an access token in the record."""
    return f"token {sha256(str(access).encode()).hexdigest()}"
