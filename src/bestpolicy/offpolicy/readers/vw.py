"""Text logs of Vowpal Wabbit: a line a row (cb), or a line an action (cb_adf).

    cb       action:cost:chance | features           actions are numbered from 1
    cb_adf   shared | features                        an example: lines up to an empty one, the
             | features of the first action           chosen one labelled 0:cost:chance
             0:cost:chance | features of the second

Their costs are rewards with the sign turned. Lines without a label say nothing and are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bestpolicy.core.log import BadRow
from bestpolicy.offpolicy.readers.source import Part, Source, counted, stamp
from bestpolicy.offpolicy.readers.text import line_of, part_of, unzipped, written_lines

Rows = Iterator[tuple[int, dict[str, Any]]]  # number of a row that counts, and what it says
NEGATED = "cost is read as reward = -cost: what costs -1 earned 1"
ROLES = {"action": "action", "reward": "-cost", "propensity": "probability", "count": "actions"}
COLUMNS = ("action", "-cost", "probability", "actions", "features")


def cb(path: Path) -> Source:
    """One line a row, `action:cost:chance | features`."""
    seen: Counter[str] = Counter()

    def rows() -> Rows:
        seen.clear()
        for row, (line, raw) in enumerate(written_lines(path)):
            label, features = _halves(raw, row, line)
            chosen, others = _labels(label, row, line)
            if len(chosen) > 1:
                raise _wrong(row, line, label, "one action alone is labelled, the chosen one")
            for number in [*others, *(action for action, _, _ in chosen)]:
                if number < 1:
                    rule = "actions of this format are numbered from 1"
                    raise BadRow(row, "action", number, rule, line=line)
            if not chosen:
                seen["lines without a label"] += 1
                continue
            action, cost, chance = chosen[0]
            yield row, _row(action, cost, chance, max([action, *others]), features)

    return source(path, rows, seen, line_of(path), ROLES | {"base": 1}, COLUMNS)


def cb_adf(path: Path) -> Source:
    """Examples of several lines, each action with features of its own."""
    seen: Counter[str] = Counter()

    def rows() -> Rows:
        seen.clear()
        for row, example in enumerate(_examples(path)):
            found: list[tuple[int, int, float, float]] = []
            shared, texts = "", list[str]()
            for line, raw in example:
                label, features = _halves(raw, row, line)
                if label.split()[:1] == ["shared"]:
                    shared = features
                    continue
                chosen, _ = _labels(label, row, line)
                found += [(len(texts), line, cost, chance) for _, cost, chance in chosen]
                texts.append(features)
            if len(found) > 1:
                said = f"lines {found[0][1]} and {found[1][1]}"
                rule = "one action of an example is labelled, the chosen one"
                raise _wrong(row, found[1][1], said, rule)
            if not texts:
                raise _wrong(row, example[0][0], shared, "an example has a line for each action")
            if not found:
                seen["examples without a label"] += 1
                continue
            at, _, cost, chance = found[0]
            yield row, _row(at, cost, chance, len(texts), f"{shared} | {texts[at]}".strip(" |"))

    def line(row: int) -> int | None:
        for i, example in enumerate(_examples(path)):
            if i == row:
                labelled = (n for n, raw in example if b":" in raw.partition(b"|")[0])
                return next(labelled, example[0][0])
        return None

    return source(path, rows, seen, line, ROLES | {"base": 0}, COLUMNS)


def source(
    path: Path,
    rows: Callable[[], Rows],
    seen: Counter[str],
    line: Callable[[int], int | None],
    roles: dict[str, Any],
    columns: Sequence[str],
) -> Source:
    """A source of rows some of which were passed over and counted in `seen`."""

    def stream(names: Sequence[str], most: int) -> Iterator[Part]:
        numbers: list[int] = []
        some: list[dict[str, Any]] = []
        for number, row in rows():
            numbers.append(number)
            some.append(row)
            if len(some) == most:
                yield part_of(some, names, numbers)
                numbers, some = [], []
        if some:
            yield part_of(some, names, numbers)

    def said() -> tuple[str, ...]:
        return (NEGATED, *counted(seen))

    return Source(path.name, tuple(columns), stream, line, roles=roles, said=said,
                  path=path, stamp=stamp(path))  # fmt: skip


def _row(action: int, cost: float, chance: float, count: int, features: str) -> dict[str, Any]:
    return dict(zip(COLUMNS, (action, 0.0 - cost, chance, count, features), strict=True))


def _examples(path: Path) -> Iterator[list[tuple[int, bytes]]]:
    example: list[tuple[int, bytes]] = []
    with unzipped(path) as file:
        for number, raw in enumerate(file, 1):
            if not raw.isspace():
                example.append((number, raw))
            elif example:
                yield example
                example = []
    if example:
        yield example


def _halves(raw: bytes, row: int, line: int) -> tuple[str, str]:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise BadRow(row, "", raw, "text must be UTF-8", line=line) from error
    label, bar, features = text.partition("|")
    if not bar:
        raise _wrong(row, line, text.rstrip(), "a line has a | before its features")
    return label.rstrip() if label.endswith((" ", "\t")) else _untagged(label), features.strip()


def _untagged(label: str) -> str:
    """A label without the tag that touches the bar."""
    kept, _, tag = label.rpartition(" ")
    return label if ":" in tag or tag.isdigit() or tag == "shared" else kept


def _labels(text: str, row: int, line: int) -> tuple[list[tuple[int, float, float]], list[int]]:
    """What was chosen, at what cost, by what chance; and what else could have been."""
    chosen, others = [], []
    for token in text.split():
        if token.startswith("'"):
            continue
        fields = token.split(":")
        try:
            if len(fields) == 1:
                others.append(int(fields[0]))
            else:
                action, cost, chance = fields
                chosen.append((int(action), float(cost), float(chance)))
        except ValueError as error:
            raise _wrong(
                row, line, token, "a label is action:cost:chance, three numbers"
            ) from error
    return chosen, others


def _wrong(row: int, line: int, value: object, rule: str) -> BadRow:
    return BadRow(row, "label", value, rule, line=line)
