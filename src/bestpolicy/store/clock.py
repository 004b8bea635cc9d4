"""The time on one machine: seconds since it was started, and the name of that start.

Nobody sets this clock. The wall clock is set back and forth, and would end leases early or never.
"""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

from bestpolicy.store.database import Database


def boot_clock(_: Database) -> tuple[str, float]:
    """The seconds since this machine was started, sleep included where the system counts it."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return _boot(), time.clock_gettime(time.CLOCK_BOOTTIME)
    return _boot(), time.monotonic()


@cache
def _boot() -> str:
    """The kernel's name for this start; without one, `alive` in claims.py finds most restarts."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "this machine"
