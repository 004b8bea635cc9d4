"""Where what can be made again is kept."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """$BESTPOLICY_CACHE, else $XDG_CACHE_HOME/bestpolicy, else ~/.cache/bestpolicy."""
    if own := os.environ.get("BESTPOLICY_CACHE"):
        return Path(own)
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "bestpolicy"
    return Path.home() / ".cache" / "bestpolicy"
