"""Answers: what a server's body says, read so that nothing broken can pass for a text.

JSON is strict here: NaN, infinities and numbers that overflow are faults, as are bodies of another
shape, empty texts and halves of characters. Of a choice only the very words count: nobody guesses
what a sentence may have meant.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, NoReturn
from unicodedata import category
from urllib.parse import quote

from bestpolicy.llm.retries import Fault

LONGEST = 300  # characters of a reason,
FAR = 8000  # and of what it is made of: a body may be megabytes
SECRET = 8  # characters from which a key is one: local servers take words such as EMPTY
MOST_TOKENS = 10**9  # that anybody can have used for one answer
SURROGATE = re.compile("[\ud800-\udfff]")
ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")


@dataclass(frozen=True, slots=True)
class Said:
    """A text that a server answered, and the tokens it counted: (in, out), or None."""

    text: str
    tokens: tuple[int, int] | None


def strict(body: bytes | str) -> Any:
    """The JSON value, where it is one."""
    if not body.strip():
        raise Fault("the body is empty", charged=True)
    try:
        return json.loads(body, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        found = "HTML" if body.lstrip()[:1] in (b"<", "<") else f"no JSON: {error}"
    raise Fault(f"the body is {found}", charged=True)


def streamed(chunks: Iterable[bytes]) -> Generator[str, None, tuple[int, int] | None]:
    """The text of a chat completion piece by piece, and at last the tokens that were counted."""
    tokens: tuple[int, int] | None = None
    finish, some = None, False

    def fault(reason: str, *, again: bool = True) -> Fault:
        return Fault(reason, again=again, charged=True, tokens=tokens)

    for line in _lines(chunks):
        if not line.startswith(b"data:"):
            continue
        said = line[5:].strip()
        if said == b"[DONE]":
            break
        event = strict(said)
        tokens = _tokens(event) or tokens
        if (error := complaint(event)) and "choices" not in event:
            raise fault(f"an error in the stream: {error}")
        choice = _only(_of(event, "choices"))
        delta = _of(choice, "delta")
        finish = _of(choice, "finish_reason") or finish
        refused, text = _of(delta, "refusal"), _of(delta, "content")
        if isinstance(refused, str) and refused:
            raise fault(f"the model refused: {refused}", again=False)
        if text is not None and not isinstance(text, str):
            raise fault(f"the answer's content is no text but {type(text).__name__}")
        if text:
            if SURROGATE.search(text):
                raise fault("the answer's text holds half a character (a lone surrogate)")
            some = some or bool(text.strip())
            yield text
    if finish == "content_filter":
        raise fault("the server's content filter held the answer back", again=False)
    if finish is None:
        raise fault("the stream was cut off before the answer was whole")
    if not some and finish == "length":
        raise fault("all tokens were used up before any text: raise max_tokens", again=False)
    if not some:
        raise fault("the answer's text is empty")
    return tokens


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    yield rest


def read(body: bytes) -> Said:
    """The text of a chat completion."""
    answer = strict(body)
    tokens = _tokens(answer)

    def fault(reason: str, *, again: bool = True) -> Fault:
        return Fault(reason, again=again, charged=True, tokens=tokens)

    if (error := complaint(answer)) and "choices" not in answer:
        raise fault(f"an error with status 200: {error}")
    choice = _only(_of(answer, "choices"))
    message, finish = _of(choice, "message"), _of(choice, "finish_reason")
    refused, text = _of(message, "refusal"), _of(message, "content")
    if isinstance(refused, str) and refused:
        raise fault(f"the model refused: {refused}", again=False)
    if finish == "content_filter":
        raise fault("the server's content filter held the answer back", again=False)
    if finish == "length" and not text:
        raise fault("all tokens were used up before any text: raise max_tokens", again=False)
    if not isinstance(choice, Mapping) or not isinstance(message, Mapping):
        raise fault("the answer holds no choices with a message")
    if text is None or (isinstance(text, str) and not text.strip()):
        raise fault("the answer's text is empty")
    if not isinstance(text, str):
        raise fault(f"the answer's content is no text but {type(text).__name__}")
    if SURROGATE.search(text):
        raise fault("the answer's text holds half a character (a lone surrogate)")
    return Said(text, tokens)


def complaint(answer: Any) -> str:
    """What an error body says in words, in the places where servers put it."""
    error = _of(answer, "error") or _of(answer, "detail") or _of(answer, "message")
    said = _of(error, "message") or error
    return said if isinstance(said, str) else json.dumps(said) if said else ""


def code(answer: Any) -> str:
    """The short word that stands for an error, where there is one."""
    error = _of(answer, "error")
    return str(_of(error, "code") or _of(error, "type") or "")


def schema(choices: Sequence[str]) -> dict[str, object]:
    """A `response_format` that leaves nothing but the choices."""
    shape = {
        "type": "object",
        "properties": {"answer": {"type": "string", "enum": list(choices)}},
        "required": ["answer"],
        "additionalProperties": False,
    }
    return {
        "type": "json_schema",
        "json_schema": {"name": "answer", "strict": True, "schema": shape},
    }


def in_words(text: str, choices: Sequence[str]) -> str:
    """The same wish, for servers that know no schemas."""
    return "\n".join([text, "", "Answer with one of these and nothing else:", *choices])


def chosen(said: Said, choices: Sequence[str]) -> Said:
    """The choice that was made: the word itself or {"answer": the word}."""
    word: object = said.text.strip()
    if word not in choices and said.text.lstrip().startswith("{"):
        try:
            pairs = json.loads(said.text, object_pairs_hook=tuple)
        except (ValueError, RecursionError):
            pairs = ()
        # As pairs, so that two answers in one object are seen to be two.
        word = pairs[0][1] if len(pairs) == 1 and pairs[0][0] == "answer" else None
    if not isinstance(word, str) or word not in choices:
        raise Fault(
            f"the answer is none of {', '.join(choices)}: {said.text}",
            charged=True,
            tokens=said.tokens,
            # A schema allows no free text: a server that sends some has passed over it.
            form=not said.text.lstrip().startswith("{"),
        )
    return Said(word, said.tokens)


def without(key: str | None, text: str) -> str:
    """The text with `[key]` where the key stood, also as it stands in an address."""
    if key is None or len(key) < SECRET:
        return text
    return text.replace(key, "[key]").replace(quote(key, safe=""), "[key]")


class Veil:
    """`without`, for a text that comes in pieces, between any two of which a key may lie."""

    def __init__(self, key: str | None) -> None:
        forms = () if key is None or len(key) < SECRET else {key, quote(key, safe="")}
        self._key, self._forms, self._held = key, forms, ""

    def over(self, piece: str) -> str:
        """What may be shown now; what may be the beginning of a key waits for the next piece."""
        text = without(self._key, self._held + piece)
        most = max((_begun(text, form) for form in self._forms), default=0)
        self._held = text[len(text) - most :]
        return text[: len(text) - most]

    def rest(self) -> str:
        """What waited, when no more comes."""
        held, self._held = self._held, ""
        return held


def _begun(text: str, key: str) -> int:
    """How much of a key's beginning stands at the text's end."""
    sizes = range(min(len(key) - 1, len(text)), 0, -1)
    return next((n for n in sizes if text.endswith(key[:n])), 0)


def plain(text: str, key: str | None) -> str:
    """A reason as it may be shown: one short line, no secrets, nothing that moves a cursor."""
    near = without(key, text)[:FAR]  # before every cutting: half a key is still a secret
    line = " ".join(ANSI.sub("", near).split())
    line = without(key, "".join(letter for letter in line if category(letter)[0] != "C"))
    if key is not None and len(text) > FAR:
        line = line[: -len(key)]  # the half of one that something invisible has kept apart
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def _tokens(answer: Any) -> tuple[int, int] | None:
    usage = _of(answer, "usage")
    counts = (_of(usage, "prompt_tokens"), _of(usage, "completion_tokens"))
    if all(type(count) is int and 0 <= count <= MOST_TOKENS for count in counts):
        return counts
    return None


def _of(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None


def _only(choices: Any) -> Any:
    return choices[0] if isinstance(choices, list) and choices else None


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text:.20} is no finite number")
    return number
