"""Decision-service JSON: an event on each line, with the chances of all actions.

    {"_label_cost": -1, "_label_probability": .8, "_label_Action": 2, "_labelIndex": 1,
     "EventId": "…", "Timestamp": "…", "a": [2, 1], "p": [.8, .2], "c": {…}, "pdrop": .5}

`a` are actions, from 1, in the order in which they were ranked; `p` are their chances in that
order: pi_0 whole. Where a share `pdrop` of such events was not kept, a row stands for
1/(1 - pdrop) rows. Events without a label, and those that asked not to be learnt from, are left
out and counted.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from bestpolicy.core.log import BadRow
from bestpolicy.offpolicy.readers.source import Source
from bestpolicy.offpolicy.readers.text import line_of, objects
from bestpolicy.offpolicy.readers.vw import Rows, source

COLUMNS = ("_label_Action", "-_label_cost", "_label_probability", "p", "actions", "1/(1-pdrop)",
           "EventId", "Timestamp", "c")  # fmt: skip
ROLES = {
    "action": "_label_Action",
    "reward": "-_label_cost",
    "propensity": "_label_probability",
    "propensities": "p",
    "count": "actions",
    "weight": "1/(1-pdrop)",
    "base": 1,
}


def dsjson(path: Path) -> Source:
    """A log of events with labels."""
    seen: Counter[str] = Counter()

    def rows() -> Rows:
        seen.clear()
        for row, (line, event) in enumerate(objects(path)):
            if event.get("_label_cost") is None:
                seen["events without a label"] += 1
            elif event.get("_skipLearn"):
                seen["events that asked not to be learnt from (_skipLearn)"] += 1
            else:
                made = _row(event, row, line)
                seen["*rows stand for more than one (pdrop)"] += made["1/(1-pdrop)"] > 1
                yield row, made

    first = next((event for _, event in objects(path) if "_label_cost" in event), {})
    stated = {"id": "EventId", "time": "Timestamp"}
    roles = ROLES | {part: name for part, name in stated.items() if name in first}
    return source(path, rows, seen, line_of(path), roles, COLUMNS)


def _row(event: dict[str, Any], row: int, line: int) -> dict[str, Any]:
    def wrong(name: str, rule: str) -> BadRow:
        return BadRow(row, name, event.get(name), rule, line=line)

    def number(name: str, value: Any, low: float = float("-inf")) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong(name, "a number is meant")
        if not value >= low:
            raise wrong(name, f"a number of {low:g} or more is meant")
        return float(value)

    actions, chances = event.get("a"), event.get("p")
    if not isinstance(actions, list) or sorted(map(repr, actions)) != sorted(
        repr(i + 1) for i in range(len(actions))
    ):
        raise wrong("a", "the actions must be there, each once, numbered from 1")
    if not isinstance(chances, list) or len(chances) != len(actions):
        raise wrong("p", "there must be a chance for each action in 'a'")
    chosen: Any = event.get("_label_Action", actions[0] if actions else None)
    if chosen not in actions or isinstance(chosen, bool):
        raise wrong("_label_Action", "the chosen action must be one of those in 'a'")
    if "_labelIndex" in event and event["_labelIndex"] != chosen - 1:
        raise wrong("_labelIndex", f"it counts from 0 what _label_Action ({chosen}) counts from 1")
    table = [0.0] * len(actions)
    for action, chance in zip(actions, chances, strict=True):
        table[action - 1] = number("p", chance)
    dropped = number("pdrop", event.get("pdrop", 0.0), 0.0)
    if not dropped < 1:
        raise wrong("pdrop", "the share of events not kept is in [0, 1)")
    cost = number("_label_cost", event["_label_cost"])
    chance = number("_label_probability", event.get("_label_probability"))
    last = (event.get("EventId"), event.get("Timestamp"), event.get("c"))
    made = (chosen, 0.0 - cost, chance, table, len(actions), 1 / (1 - dropped), *last)
    return dict(zip(COLUMNS, made, strict=True))
