"""The dict that the Open Bandit Pipeline hands around: `bandit_feedback`.

    n_rounds, n_actions, action, reward, pscore, context (n, d), position, pi_b (n, A, len) …

Only the chances of logged actions are needed, so its dense (n, A, len) array of chances is never
made; where it is given, as pi_b, each row's own position of it is the log's propensities. Where
several positions were logged, the position is part of the context.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bestpolicy.core.log import Log
from bestpolicy.core.nouns import Array, ConfigError

NEEDED = ("action", "reward", "pscore", "n_actions")
USED = {*NEEDED, "n_rounds", "context", "position", "pi_b", "action_context"}
CALLED = {"actions": "action", "rewards": "reward", "propensity": "pscore",
          "contexts": "context", "propensities": "pi_b"}  # fmt: skip


def is_feedback(source: Any) -> bool:
    """Whether this is such a dict."""
    return isinstance(source, Mapping) and {"action", "reward", "pscore", "n_rounds"} <= set(source)


def feedback_log(source: Mapping[str, Any], bounds: tuple[float, float]) -> Log:
    """The log that it holds."""
    for name in NEEDED:
        if source.get(name) is None:
            raise ConfigError(f"bandit_feedback has no {name!r}: it is needed to weigh rows")
    n, notes = len(source["action"]), ["a bandit_feedback dict of the Open Bandit Pipeline"]
    position = _position(source, n)
    contexts = source.get("context")
    if contexts is not None:
        contexts = _numbers(contexts, "context").reshape(n, -1) if n else None
    if position is not None:
        notes.append("position is the last column of the context")
        last = position[:, None].astype(np.float64)
        contexts = last if contexts is None else np.hstack([contexts, last])
    columns = {
        name: value
        for name, value in source.items()
        if name not in USED and isinstance(value, np.ndarray) and len(value) == n
    }
    if not n:
        raise ConfigError("bandit_feedback holds no rows")
    actions = _numbers(source["action"], "action")
    return Log(
        np.where(actions == np.floor(actions), actions, -1).astype(np.intp),
        _numbers(source["reward"], "reward"),
        _numbers(source["pscore"], "pscore"),
        tuple(map(str, range(int(source["n_actions"])))),
        bounds,
        contexts,
        _pi_b(source.get("pi_b"), position, n),
        columns=columns,
        called=CALLED,
        notes=tuple(notes),
    )


def _position(source: Mapping[str, Any], n: int) -> Any:
    found = source.get("position")
    if found is None:
        return None
    position = np.asarray(found)
    if position.shape != (n,) or position.dtype.kind not in "iu":
        raise ConfigError(f"position must be a whole number for each of {n} rows")
    return position if n and position.min() != position.max() else None


def _pi_b(found: Any, position: Any, n: int) -> Array | None:
    if found is None:
        return None
    chances = _numbers(found, "pi_b")
    if chances.ndim == 2:
        return chances
    if chances.ndim != 3 or len(chances) != n:
        raise ConfigError(f"pi_b must be (n, A, len) chances of {n} rows; saw {chances.shape}")
    if chances.shape[2] == 1:
        return np.ascontiguousarray(chances[:, :, 0])
    if position is None or position.min() < 0 or position.max() >= chances.shape[2]:
        raise ConfigError(f"pi_b has {chances.shape[2]} positions, and position does not say which")
    return np.ascontiguousarray(chances[np.arange(n), :, position])


def _numbers(values: Any, name: str) -> Array:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{name!r} of bandit_feedback must be numbers: {error}") from error
