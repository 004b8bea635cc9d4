"""The small server that tests talk to says what the model in it says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlparse

from bestpolicy.core.talk import Failed, Prompt, Reply
from llm.openai_server import serving

WORDS = {
    "type": "json_schema",
    "json_schema": {"schema": {"properties": {"verdict": {"enum": ["left", "right"]}}}},
}


class Repeating:
    """Says what it was asked, or the last choice."""

    name = "repeating"

    def complete(self, prompts: Sequence[Prompt]) -> list[Reply | Failed]:
        return [
            Failed(("too long",))
            if len(p.text) > 50
            else Reply(p.choices[-1] if p.choices else repr((p.text, p.system, p.seed)), 7, 3)
            for p in prompts
        ]

    def most_usd(self, prompt: Prompt) -> float:
        return 0.0

    def close(self) -> None:
        """There is nothing to close."""


def post(url: str, body: object, path: str = "/chat/completions") -> tuple[int, Any]:
    at = urlparse(url)
    connection = HTTPConnection(f"{at.hostname}:{at.port}", timeout=10)
    try:
        connection.request("POST", at.path + path, json.dumps(body))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def turns(text: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": "be brief"}, {"role": "user", "content": text}]


def test_a_request_is_a_prompt_and_its_answer_a_completion() -> None:
    with serving(Repeating()) as url:
        status, said = post(url, {"messages": turns("hello"), "seed": 5, "max_tokens": 3})
        assert status == 200
        assert said["choices"][0]["message"]["content"] == repr(("hello", "be brief", 5))
        assert said["choices"][0]["finish_reason"] == "length"
        assert said["usage"] == {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
        _, said = post(url, {"messages": turns("which?"), "response_format": WORDS})
        assert json.loads(said["choices"][0]["message"]["content"]) == {"verdict": "right"}


def test_what_it_cannot_answer_is_an_error_and_no_text() -> None:
    with serving(Repeating()) as url:
        assert post(url, {"messages": turns("x" * 60)})[0] == 400
        assert post(url, {"messages": []})[0] == 400
        assert post(url, {})[0] == 400
        assert post(url, {"messages": turns("x")}, "/elsewhere")[0] == 404
