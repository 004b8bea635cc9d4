"""A real browser for the pages that people see: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MISSING = (
    "no Chromium is installed (Debian: apt install chromium)"
    if CHROMIUM is None
    else "playwright is not installed"
    if find_spec("playwright") is None
    else ""
)
needs_a_browser = pytest.mark.skipif(bool(MISSING), reason=MISSING or "there is one")
QUIETLY = [
    "--no-sandbox",  # pages of our own making, and containers have none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP: dict[str, Any] = {"viewport": {"width": 1200, "height": 760}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}


@contextmanager
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=CHROMIUM, args=QUIETLY)
        try:
            yield opened
        finally:
            opened.close()


class Watched:
    """A page, and all that it complained about, asked for or let run."""

    def __init__(self, opened: Any, **options: Any) -> None:
        self.context = opened.new_context(**options)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.dialogs: list[str] = []
        self.page.on("console", lambda said: self.complaints.append(said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("dialog", self._dialog)

    def _dialog(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    @property
    def pair(self) -> Any:
        return self.page.locator("article.pair:not([hidden])")

    def texts(self) -> tuple[str, str]:
        first, second = self.pair.locator(".answer .text").all_inner_texts()
        return first, second
