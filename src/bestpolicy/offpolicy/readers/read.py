"""Read a log, whatever it is written in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from bestpolicy.core.log import Log
from bestpolicy.core.nouns import ConfigError
from bestpolicy.offpolicy.readers.bandit_feedback import feedback_log, is_feedback
from bestpolicy.offpolicy.readers.formats import opened, recognised, table
from bestpolicy.offpolicy.readers.guess import NEEDED, Unsaid, guess_columns, shown
from bestpolicy.offpolicy.readers.live_log import needs
from bestpolicy.offpolicy.readers.logfile import LogFile
from bestpolicy.offpolicy.readers.plan import Plan
from bestpolicy.offpolicy.readers.scan import scanned
from bestpolicy.offpolicy.readers.source import Source


def read_log(
    source: Any,
    *,
    action: str | None = None,
    reward: str | None = None,
    propensity: str | None = None,
    context: str | Sequence[str] = (),
    propensities: str | Sequence[str] | Mapping[str, str] | None = None,
    logger: str | None = None,
    loggers: Mapping[str, str] | None = None,
    time: str | None = None,
    id: str | None = None,  # noqa: A002
    weight: str | None = None,
    keep: Sequence[str] = (),
    names: Sequence[str] | None = None,
    bounds: tuple[float, float] = (0.0, 1.0),
    missing: float | None = None,
    format: str | None = None,  # noqa: A002
    guess: bool = False,
) -> Log | LogFile:
    """A log from a file, which then stays there and is read in chunks, or from a frame, a dict of
    columns or the dict of the Open Bandit Pipeline, which is taken as it is.

    Parts of the log are named by their columns. `propensities` are the chances of all actions: one
    column of lists or mappings, or a column each, with {action: column} by name. Of several
    loggers, `logger` says who chose and `loggers` {name: column} what chance each would have given.
    `keep` columns are at hand beside the log. `names` are the actions in the order of a target's
    columns, where the log may lack some. Rewards are declared to stay in `bounds`. `missing` is
    what a unit without feedback counts as, in the log of a live study.
    """
    if is_feedback(source) and action is None and reward is None and propensity is None:
        return feedback_log(source, bounds)
    on_disk = isinstance(source, str | PathLike)
    rows = opened(Path(source), format, missing) if on_disk else recognised(table(source), missing)
    needs(missing, rows)
    said: dict[str, Any] = {
        "action": action,
        "reward": reward,
        "propensity": propensity,
        "logger": logger,
        "time": time,
        "id": id,
        "weight": weight,
        "propensities": propensities,
        "context": (context,) if isinstance(context, str) else tuple(context),
    }
    parts = dict(rows.roles) | {part: name for part, name in said.items() if name}
    notes = _guessed(
        parts, rows, whole=propensities is not None or loggers is not None, guess=guess
    )
    if isinstance(propensities, Mapping):
        names = tuple(propensities) if names is None else names
        parts["propensities"] = tuple(propensities[name] for name in names)
    elif propensities is not None and not isinstance(propensities, str):
        parts["propensities"] = tuple(propensities)
    plan = Plan(
        **parts,
        loggers=loggers,
        keep=tuple(keep),
        names=None if names is None else tuple(str(name) for name in names),
        bounds=(float(bounds[0]), float(bounds[1])),
    ).checked(rows.columns, rows.label)
    log = scanned(rows, plan, (*notes, *_declared(plan)))
    if on_disk:
        return log
    return log.load() if plan.id is None else log.keeping(plan.id).load()


def _guessed(parts: dict[str, Any], rows: Source, *, whole: bool, guess: bool) -> tuple[str, ...]:
    """Fill in what nobody said, if guesses are allowed, and say which columns are read."""
    lacks = [part for part in NEEDED if part not in parts]
    if whole and "propensity" in lacks:
        lacks.remove("propensity")
    found: dict[str, str] = {}
    if lacks and guess:
        free = [name for name in rows.columns if name not in parts.values()]
        found = {p: n for p, n in guess_columns(free).items() if p in lacks or p in ("time", "id")}
        found = {part: name for part, name in found.items() if part not in parts}
        lacks = [part for part in lacks if part not in found]
    if lacks:
        raise Unsaid(lacks[0], rows.columns)
    parts |= found
    told = shown({p: n for p, n in parts.items() if p in NEEDED and p not in found})
    made = shown(found) + " (guessed)" if found else ""
    return ("columns: " + "; ".join(one for one in (told, made) if one),)


def _declared(plan: Plan) -> tuple[str, ...]:
    low, high = plan.bounds
    if not low < high:
        raise ConfigError(f"reward bounds must be two numbers, low < high; saw ({low:g}, {high:g})")
    return (
        () if plan.bounds == (0.0, 1.0) else (f"rewards are declared to be in [{low:g}, {high:g}]",)
    )
