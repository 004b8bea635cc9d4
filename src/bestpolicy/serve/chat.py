"""Chats: what an OpenAI client asks, and what a policy makes of it.

    messages ──► earlier turns + the last message + metadata ──► the policy's own prompt

The last message of the user fills the column that the study's prompts name, `metadata` the others,
and earlier turns go along as they are. A policy's system prompt takes the place of the request's.
How the model draws is the policy's to say: a request that says it too is refused, since it would
change what is compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bestpolicy.config import StudyFile
from bestpolicy.config.choosing import Choosing
from bestpolicy.core.talk import Prompt
from bestpolicy.llm.players import Prompted
from bestpolicy.llm.prompts import Row, places
from bestpolicy.serve.problems import Problem

# What changes nothing may be said; any other value of these, and any other name, is refused.
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "temperature": (),
    "top_p": (1,),
    "seed": (),
    "stop": (),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "response_format": ({"type": "text"},),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "parallel_tool_calls": (True, False),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "modalities": (["text"],),
    "audio": (),
    "prediction": (),
    "reasoning_effort": (),
    "verbosity": (),
    "web_search_options": (),
    "store": (False,),
    "service_tier": ("auto", "default"),
}
DRAWS = ("temperature", "top_p", "seed", "stop", "reasoning_effort", "verbosity", "logit_bias")


class Part(BaseModel):
    """A piece of a message."""

    model_config = ConfigDict(extra="allow", strict=True)
    type: str = Field(description="text; nothing else is supported")
    text: str = ""


class Message(BaseModel):
    """One turn."""

    model_config = ConfigDict(extra="allow", strict=True)
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Part]

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content)


class StreamOptions(BaseModel):
    """What a stream has besides the answer."""

    model_config = ConfigDict(extra="allow", strict=True)
    include_usage: bool | None = None


class ChatBody(BaseModel):
    """What is understood of OpenAI's request."""

    model_config = ConfigDict(extra="allow", strict=True)
    model: str = Field(min_length=1, max_length=300, description="study/NAME")
    messages: list[Message] = Field(min_length=1, max_length=1000)
    user: str | None = Field(
        None, max_length=200, description="the unit, which keeps its policy; or the header X-Unit"
    )
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1, description="may only lower the policy's own")
    max_completion_tokens: int | None = Field(None, ge=1, description="the same")
    metadata: dict[str, str] | None = Field(None, description="further columns of the prompts")


@dataclass(frozen=True, slots=True)
class Chat:
    """What is to be answered, by whichever policy."""

    row: Row  # what prompts are filled from
    system: str | None
    before: tuple[tuple[str, str], ...]
    most: int | None  # tokens of the answer
    unit: str | None
    stream: bool
    usage: bool

    def prompt(self, policy: Prompted, seed: int, at: float | None = None) -> Prompt:
        """What this policy's model is asked; a learned one draws its prompt `at` that number."""
        if isinstance(policy, Choosing) and at is not None:
            own = policy.ask_at(self.row, seed, at)
        else:
            own = policy.ask(self.row, seed)
        most = own.max_tokens if self.most is None else min(own.max_tokens, self.most)
        system = self.system if own.system is None else own.system
        return replace(own, system=system, before=self.before, max_tokens=most)


class Columns:
    """The columns from which a study's prompts are filled; the same for all of its policies, so
    that no refusal depends on whom a unit is given."""

    def __init__(self, file: StudyFile) -> None:
        named: dict[str, None] = {}
        for policy in file.policies:
            for text in policy.texts:
                named |= dict.fromkeys(places(text))
        self.prompted = any(policy.named is not None for policy in file.policies)
        self.names = tuple(named)
        if not self.prompted:
            columns = file.rows[0] if file.rows else {"input": ""}
            self.names = ("input",) if "input" in columns else tuple(columns)

    def row(self, message: str, metadata: Mapping[str, str]) -> dict[str, Any]:
        """What the prompts are filled from."""
        lacking = [name for name in self.names if name not in metadata]
        own = "input" if "input" in lacking or not lacking else lacking[0]
        if len(lacking) > 1:
            needed = ", ".join(self.names)
            raise _wrong(
                f"the prompts of this study are filled from {needed}: the last message is for "
                f"{own if own == 'input' else 'one of them'}, give the others in metadata",
                "metadata",
            )
        return {own: message, **metadata}


def read(body: bytes, name: str, columns: Columns, unit: str | None) -> Chat:
    """What the body asks; a Problem for what is not understood or not supported."""
    told = _body(body)
    if told.model != name:
        raise Problem(
            404,
            f"there is one model here, {name}; the request names another one",
            param="model",
            code="model_not_found",
        )
    _check(told)
    if columns.prompted and not columns.names:
        raise _wrong("no prompt of this study has a {{column}} that a message could fill", "model")
    turns = [message for message in told.messages if message.role in ("user", "assistant")]
    if not turns or turns[-1].role != "user":
        raise _wrong("the last message must be the user's", "messages")
    *before, last = turns
    row = columns.row(last.text, told.metadata or {})
    row.setdefault("messages", [{"role": m.role, "content": m.text} for m in told.messages])
    systems = [m.text for m in told.messages if m.role in ("system", "developer")]
    limits = [n for n in (told.max_tokens, told.max_completion_tokens) if n is not None]
    return Chat(
        row=row,
        system="\n\n".join(systems) if systems else None,
        before=tuple((str(m.role), m.text) for m in before),
        most=min(limits, default=None),
        unit=unit or told.user or None,
        stream=bool(told.stream),
        usage=bool(told.stream_options and told.stream_options.include_usage),
    )


def _body(body: bytes) -> ChatBody:
    try:
        return ChatBody.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        # Which of a union's members did not fit is nobody's concern.
        place = ".".join(str(part) for part in first["loc"] if part not in ("str", "list[Part]"))
        raise _wrong(f"{place[:100]}: {first['msg'][:200]}", place[:100]) from None


def _check(told: ChatBody) -> None:
    """Refuse what would be passed over."""
    for name, value in (told.model_extra or {}).items():
        if value is None or any(value == neutral for neutral in NEUTRAL.get(name, ())):
            continue
        if name in DRAWS:
            what = "is the policy's to say: leave it out"
        elif name in NEUTRAL:
            what = "is not supported with this value: leave it out"
        else:
            what = "is not supported: leave it out"
        raise _wrong(f"{name[:100]} {what}", name[:100], code="unsupported_parameter")
    for number, message in enumerate(told.messages):
        parts: Sequence[Part] = () if isinstance(message.content, str) else message.content
        for part in parts:
            if part.type != "text":
                raise _wrong(
                    "only text is supported, no images, sounds or files",
                    f"messages.{number}.content",
                    code="unsupported_value",
                )
        extra = {key for key, value in (message.model_extra or {}).items() if value}
        if unknown := extra - {"name"}:
            raise _wrong(
                f"{min(unknown)[:100]} in a message is not supported",
                f"messages.{number}",
                code="unsupported_parameter",
            )


def _wrong(detail: str, param: str, *, code: str = "invalid_value") -> Problem:
    return Problem(400, detail, param=param, code=code)
