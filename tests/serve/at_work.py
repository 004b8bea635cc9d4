"""A server that a test may kill: `python at_work.py study.yaml`, which prints its address.

With `hasty` it is the broken twin: answers are acknowledged first and written a moment later.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from threading import Thread
from typing import Any

from bestpolicy.store.ratings import Ratings
from serve.people import served


def hasty(said: Any) -> Any:
    def later(*args: Any, **options: Any) -> None:
        def write() -> None:
            time.sleep(0.3)
            said(*args, **options)

        Thread(target=write, daemon=True).start()

    return later


if __name__ == "__main__":
    if "hasty" in sys.argv:
        Ratings.said = hasty(Ratings.said)  # type: ignore[method-assign]
    with served(Path(sys.argv[1])) as at:
        print(at.url, flush=True)
        while True:
            time.sleep(60)
