"""The columns that every library is timed on, and the gauge of one call's time and memory.

Needs numpy alone, so that the worker of the other libraries runs this very file: the columns come
from a seed, and both sides work on the same numbers.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

SIZE, KINDS, CHUNK = 5, 10, 50_000  # length of a context; what actions look like; rows at once
SWITCH = 5.0  # the largest weight that switching DR keeps
SHORT = 1.0  # seconds below which a call is repeated
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
TABLES = ("pi_0", "pi", "predictions")  # (n, actions), the large ones


def columns(n: int, actions: int, seed: int, tables: tuple[str, ...] = TABLES) -> dict[str, Any]:
    """A log of n rows, what is known beside it, and those (n, actions) tables that are wanted.

    Chunks are drawn from streams of their own, so that what is left out changes nothing else.
    """
    of_world = np.random.default_rng([seed, 0])
    logging, target, worth = of_world.normal(size=(3, SIZE, actions))
    looks = softmax(2 * of_world.normal(size=(actions, KINDS)))  # p(e | a)
    made: dict[str, Any] = {name: np.empty(n) for name in ("r", "p", "chances")}
    made |= {name: np.empty((n, actions)) for name in tables}
    made |= {"a": np.empty(n, np.int64), "e": np.empty(n, np.int64), "x": np.empty((n, SIZE))}
    for k, first in enumerate(range(0, n, CHUNK)):
        some = slice(first, min(n, first + CHUNK))
        rng = np.random.default_rng([seed, 1, k])
        x = rng.normal(size=(some.stop - first, SIZE))
        pi_0, pi = softmax(0.5 * x @ logging), softmax(0.5 * x @ (0.7 * logging + 0.7 * target))
        reward = 1 / (1 + np.exp(-(1.5 + 0.3 * x @ worth)))
        every, a = np.arange(len(x)), pick(pi_0, rng)
        made["x"][some], made["a"][some] = x, a
        made["p"][some], made["chances"][some] = pi_0[every, a], pi[every, a]
        made["r"][some] = rng.random(len(x)) < reward[every, a]
        made["e"][some] = pick(looks[a], rng)
        beside = {"pi_0": pi_0, "pi": pi, "predictions": 0.8 * reward + 0.2 * rng.random((1, 1))}
        for name in tables:
            made[name][some] = beside[name]
    return made | {"looks": looks}


def softmax(scores: Any) -> Any:
    """Chances that grow with the scores, row by row."""
    chances = np.exp(scores - scores.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    return chances


def pick(chances: Any, rng: Any) -> Any:
    """One of each row's columns, by its chances."""
    below = chances.cumsum(axis=1) < rng.random((len(chances), 1))
    return np.minimum(below.sum(axis=1), chances.shape[1] - 1)


def gauged(call: Callable[[], Any]) -> dict[str, Any]:
    """What a call answers or how it fails, its processor time, and the memory it adds.

    The memory is of the first call; the time is the median of three where they are short.
    """
    forget_the_peak()
    before, begun = memory("VmRSS"), process_time()
    try:
        said: dict[str, Any] = {"values": call()}
    except Exception as error:  # how another library fails is a finding
        said = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:160]}
    spent, peak = [process_time() - begun], memory("VmHWM")
    while "values" in said and len(spent) < 3 and spent[0] < SHORT:
        begun = process_time()
        call()
        spent.append(process_time() - begun)
    return said | {
        "cpu_s": round(sorted(spent)[len(spent) // 2], 4),
        "added_mb": round(peak - before, 1),
        "process_mb": round(peak, 1),
    }


def forget_the_peak() -> None:
    """From here on the kernel counts this process's largest memory anew; freed memory goes back
    first, so that none of it hides what the call takes."""
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        RESET.write_text("5")
    except OSError:
        return


def memory(name: str) -> float:
    """Resident memory of this process in MB, now (VmRSS) or at most (VmHWM)."""
    if not STATUS.exists():
        return float("nan")
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return float(line.split()[1]) / 1024
