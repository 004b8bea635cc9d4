"""A page opened in a browser without a window: what its document is after its scripts have run."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIETLY = (
    "--headless",
    "--no-sandbox",  # pages of our own making, and containers have none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--virtual-time-budget=4000",
)


class Opened(NamedTuple):
    document: str
    console: list[str]


def opened(page: str, folder: Path, *options: str) -> Opened:
    """The document and what was written to the console."""
    assert CHROMIUM is not None
    path = folder / "page.html"
    path.write_text(page, encoding="utf-8")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        done = subprocess.run(
            [
                CHROMIUM,
                *QUIETLY,
                f"--user-data-dir={profile}",
                *options,
                "--dump-dom",
                path.as_uri(),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
    return Opened(done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line])
