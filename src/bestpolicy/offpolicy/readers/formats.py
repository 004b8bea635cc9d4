"""Formats: which one a file is in, by its name and its first bytes, and what opens it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bestpolicy.core.nouns import ConfigError
from bestpolicy.offpolicy.readers import columnar, dsjson, live_log, text, vw
from bestpolicy.offpolicy.readers.guess import nearest
from bestpolicy.offpolicy.readers.source import Source, readable

HEAD = 1 << 16  # bytes looked at
OPENS: Mapping[str, Callable[[Path], Source]] = {
    "parquet": columnar.parquet,
    "arrow": columnar.arrow,
    "csv": text.comma_separated,
    "jsonl": text.json_lines,
    "vw-cb": vw.cb,
    "vw-cb-adf": vw.cb_adf,
    "vw-dsjson": dsjson.dsjson,
}
# These are tables that say by their columns what they are.
OPEN_BANDIT = "open-bandit"
LIVE = "bestpolicy"
FORMATS = (*OPENS, OPEN_BANDIT, LIVE)
ENDINGS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".arrows": "arrow",
    ".dsjson": "vw-dsjson",
    ".vw": "vw",
}
OBD_COLUMNS = frozenset({"item_id", "position", "click", "propensity_score"})
OBD_ROLES: dict[str, Any] = {
    "action": "item_id",
    "reward": "click",
    "propensity": "propensity_score",
}
OBD_USER = tuple(f"user_feature_{i}" for i in range(4))
EVENT = re.compile(rb'"(_label_cost|_labelIndex|_label_probability|_label_Action)"')
NUMBERED = re.compile(rb"[1-9][0-9]*:")
LABEL = re.compile(rb"^(\d+(:[^:|,\s]+:[^:|,\s]+)?\s+)*('?\S*)?\|")


def opened(path: Path, said: str | None, missing: float | None) -> Source:
    """The file as rows of columns."""
    if said is not None and said not in FORMATS:
        raise ConfigError(f"no format is called {said!r}; {nearest(said, FORMATS)}")
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is not there"
        raise ConfigError(f"{path} {what}: give the file that holds the log")
    if not path.stat().st_size:
        raise ConfigError(f"{path.name} is empty: a log has rows")
    with readable(path.name):
        found = said if said is not None and said in OPENS else format_of(path)
        source = OPENS[found](path)
        return _recognised(source, said, missing)


def format_of(path: Path) -> str:
    """What a file is written in."""
    ending = Path(path.name.removesuffix(".gz")).suffix.lower()
    named = ENDINGS.get(ending)
    with text.unzipped(path) as file:
        head = file.read(HEAD)
    if head[:4] == b"PAR1":
        return "parquet"
    if head[:6] == b"ARROW1":
        return "arrow"
    if named in ("parquet", "arrow", "vw-dsjson"):
        return named
    start = head.lstrip()
    if named == "jsonl" or (named is None and start[:1] == b"{"):
        return "vw-dsjson" if EVENT.search(head) else "jsonl"
    if named == "csv":
        return named
    first = start.partition(b"\n")[0]
    if named == "vw" or LABEL.match(first) or first.startswith(b"shared"):
        return _vw(start)
    return "csv"


def _vw(head: bytes) -> str:
    """Examples of several lines have a shared line, or a label that numbers nobody; if nothing is
    labelled yet, an empty line between them."""
    lines = [line.strip() for line in head.splitlines()]
    if any(line.startswith(b"shared") for line in lines):
        return "vw-cb-adf"
    if any(NUMBERED.match(line) for line in lines):
        return "vw-cb"
    loose = b"" in lines[:-1] or any(line.startswith(b"0:") for line in lines)
    return "vw-cb-adf" if loose else "vw-cb"


def table(given: Any) -> Source:
    """What is at hand as rows of columns: a frame, or a dict of columns."""
    if isinstance(given, Mapping):
        return columnar.columns_of(given)
    if hasattr(given, "__arrow_c_stream__"):
        return columnar.frame(given)
    raise ConfigError(
        f"a log is read from a file, a frame or a dict of columns; saw {type(given).__name__}"
    )


def recognised(source: Source, missing: float | None) -> Source:
    """A table whose columns say what it is, read as what it is."""
    return _recognised(source, None, missing)


def _recognised(source: Source, said: str | None, missing: float | None) -> Source:
    columns = set(source.columns)
    for name, wanted in ((OPEN_BANDIT, OBD_COLUMNS), (LIVE, live_log.COLUMNS)):
        if said == name and not wanted <= columns:
            lacks = ", ".join(sorted(wanted - columns))
            raise ConfigError(f"{source.label} is no {name} log: it lacks {lacks}")
    if source.roles or (said is not None and said not in (OPEN_BANDIT, LIVE)):
        return source
    if columns >= live_log.COLUMNS:
        return live_log.live_log(source, missing)
    if columns >= OBD_COLUMNS:
        context = tuple(name for name in ("position", *OBD_USER) if name in columns)
        time = {"time": "timestamp"} if "timestamp" in columns else {}
        return replace(source, roles=OBD_ROLES | {"context": context} | time)
    return source
