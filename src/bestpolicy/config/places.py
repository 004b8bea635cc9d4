"""A YAML file as plain data in which every value still knows its line and column.

The node tree is read, never YAML's own objects: no tag is ever called, no alias is ever
expanded, and what a reader of the file could overlook is refused instead of interpreted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from bestpolicy.core.nouns import ConfigError

Keys = tuple[str | int, ...]  # the way to a value: ("policies", 2, "prompt")
LARGEST = 1_000_000  # bytes; a study is a page, and inputs have a file of their own
DEEPEST = 50  # levels
_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a file: where, what was seen, what is allowed."""

    line: int
    column: int
    keys: Keys
    message: str

    @property
    def where(self) -> str:
        """The way to the value as people write it: `policies[2].prompt`."""
        words = "".join(f"[{k}]" if isinstance(k, int) else f".{k}" for k in self.keys)
        return words.removeprefix(".")


class FaultyFile(ConfigError):
    """A file that describes no study, with everything that is wrong with it."""

    def __init__(self, path: str, faults: list[Fault]) -> None:
        self.path = path
        self.faults = sorted(faults, key=lambda f: (f.line, f.column))
        super().__init__("\n".join(self._line(f) for f in self.faults))

    def _line(self, fault: Fault) -> str:
        where = f"{fault.where}: " if fault.keys else ""
        return f"{self.path}:{fault.line}:{fault.column}: {where}{fault.message}"


@dataclass(frozen=True, slots=True)
class Page:
    """What a file says and where it says it."""

    path: str  # as the user typed it
    data: Any
    values: Mapping[Keys, tuple[int, int]]
    names: Mapping[Keys, tuple[int, int]]  # where the key itself stands

    @property
    def folder(self) -> Path:
        return Path(self.path).resolve().parent

    def fault(self, keys: Keys, message: str, *, at_name: bool = False) -> Fault:
        """A fault at this value, or at the nearest thing around it that is in the file."""
        places = self.names if at_name and keys in self.names else self.values
        near = keys
        while near not in places:
            near = near[:-1]
        return Fault(*places[near], keys, message)


def read(path: str) -> Page:
    """The file's data and places; FaultyFile when it is not one plain YAML mapping."""
    text = _text(path)
    yaml = YAML(typ="safe", pure=True)
    try:
        _check_depth(path, yaml, text)
        node = yaml.compose(text)
    except MarkedYAMLError as error:
        _refuse_syntax(path, text, error)
    except YAMLError as error:
        _refuse(path, 1, 1, f"not YAML: {str(error).splitlines()[0]}")
    except ValueError as error:  # ruamel lets a few of its own slips through
        _refuse(path, 1, 1, f"not YAML: {error}")
    if node is None:
        _refuse(path, 1, 1, "the file is empty; a study needs version, policies and judge")
    if not isinstance(node, MappingNode):
        _refuse(path, 1, 1, f"a study is a mapping (`key: value` lines), saw a {_kind(node)}")
    walk = _Walk(yaml)
    data = walk.mapping(node, ())
    if walk.faults:
        raise FaultyFile(path, walk.faults)
    return Page(path, data, walk.values, walk.names)


@dataclass(slots=True)
class _Walk:
    """One pass over the nodes; every fault is kept so that all are told at once."""

    yaml: YAML
    values: dict[Keys, tuple[int, int]] = field(default_factory=dict)
    names: dict[Keys, tuple[int, int]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)

    def value(self, node: Node, keys: Keys) -> Any:
        self.values[keys] = _place(node)
        if id(node) in self.seen or node.anchor:
            return self.blame(node, keys, "anchors and aliases (&x, *x) are not read; write it out")
        self.seen.add(id(node))
        if isinstance(node, MappingNode):
            return self.mapping(node, keys)
        if isinstance(node, SequenceNode):
            if node.tag != f"{_TAG}seq":
                return self.tag(node, keys)
            return [self.value(child, (*keys, i)) for i, child in enumerate(node.value)]
        return self.scalar(node, keys)

    def mapping(self, node: MappingNode, keys: Keys) -> dict[str, Any]:
        self.values[keys] = _place(node)
        if node.tag != f"{_TAG}map":
            self.tag(node, keys)
        return dict(self.entries(node, keys))

    def entries(self, node: MappingNode, keys: Keys) -> Iterator[tuple[str, Any]]:
        for name, child in node.value:
            if name.tag == f"{_TAG}merge":
                self.blame(name, keys, "merge keys (<<) are not read; write the keys out")
            elif not isinstance(name, ScalarNode) or name.tag != f"{_TAG}str":
                seen = name.value if isinstance(name, ScalarNode) else f"a {_kind(name)}"
                self.blame(name, keys, f"a key must be a word, saw {seen}; put it in quotes")
            elif (inner := (*keys, name.value)) in self.names:
                line = self.names[inner][0]
                self.blame(name, inner, f"said twice, first on line {line}; keep one")
            else:
                self.names[inner] = _place(name)
                yield name.value, self.value(child, inner)

    def scalar(self, node: Node, keys: Keys) -> Any:
        kind = str(node.tag).removeprefix(_TAG)
        if kind == "null" and not node.value and keys in self.names:
            self.values[keys] = self.names[keys]  # `key:` alone; the nothing stands elsewhere
        if kind in ("str", "timestamp"):
            return node.value
        if kind not in ("int", "float", "bool", "null"):
            return self.tag(node, keys)
        try:
            return self.yaml.constructor.construct_object(node)
        except (ValueError, YAMLError, KeyError):
            return self.blame(node, keys, f"not a number that can be read: {node.value[:40]!r}")

    def tag(self, node: Node, keys: Keys) -> None:
        self.blame(node, keys, f"tags are not read, saw {_short(str(node.tag))}; remove the tag")

    def blame(self, node: Node, keys: Keys, message: str) -> None:
        self.faults.append(Fault(*_place(node), keys, message))


def _text(path: str) -> str:
    try:
        raw = Path(path).read_bytes()
    except FileNotFoundError:
        _refuse(path, 1, 1, "no such file; give the path of a study's YAML file")
    except OSError as error:
        _refuse(path, 1, 1, f"cannot be read: {error.strerror}")
    if len(raw) > LARGEST:
        _refuse(
            path, 1, 1, f"{len(raw):,} bytes, at most {LARGEST:,}; put inputs in a csv or jsonl"
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        column = error.start - (before.rfind(b"\n") + 1) + 1
        seen = f"byte 0x{raw[error.start]:02x}"
        _refuse(path, before.count(b"\n") + 1, column, f"not UTF-8: {seen}; save it as UTF-8")


def _check_depth(path: str, yaml: YAML, text: str) -> None:
    """Refuse deep nesting while it is only a stream of events: composing it would recurse."""
    depth = 0
    for event in yaml.parse(text):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > DEEPEST:
            mark = event.start_mark
            message = f"nested more than {DEEPEST} levels deep; no study needs that"
            _refuse(path, mark.line + 1, mark.column + 1, message)


def _refuse_syntax(path: str, text: str, error: MarkedYAMLError) -> NoReturn:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    lines = text.splitlines() or [""]
    here = lines[min(line, len(lines) - 1)]
    if "\t" in here[: column + 1]:
        message = "a tab cannot indent YAML; use spaces"
    elif "another document" in str(error.problem):
        message = "a second document (---) begins here; a file holds one study"
    else:
        context = f" {error.context}" if error.context else ""
        if error.context_mark is not None and error.context_mark.line != line:
            context += f" begun on line {error.context_mark.line + 1}"
        message = f"not YAML: {error.problem}{context}; saw {_short(here.strip())!r}"
        if "expected ':'" in str(error.problem):
            message += "; is there a space after each colon?"
    _refuse(path, line + 1, column + 1, message)


def _refuse(path: str, line: int, column: int, message: str) -> NoReturn:
    raise FaultyFile(path, [Fault(line, column, (), message)])


def _place(node: Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _kind(node: Node) -> str:
    return {"MappingNode": "mapping", "SequenceNode": "list"}.get(type(node).__name__, "value")


def _short(text: str, most: int = 60) -> str:
    text = text.replace(_TAG, "!!")
    return text if len(text) <= most else text[: most - 1] + "…"
