"""What a bench plays in: processes, which end with it however it ends, or a cluster."""

from __future__ import annotations

import os
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from threading import Thread

from bestpolicy.fanout import RayExecutor, elsewhere

__all__ = ["elsewhere", "players"]


def players(processes: int) -> Executor:
    """That many fresh processes, or the cluster that `engine` has connected to."""
    if elsewhere():
        return RayExecutor()
    return ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=_end_with_parent
    )


def _end_with_parent() -> None:
    """A bench that is killed cannot tell its processes, which would play on for nobody."""
    Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
