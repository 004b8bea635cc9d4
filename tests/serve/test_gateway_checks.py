"""The checks before the gateway: who is refused is told so in the form that his client reads."""

from __future__ import annotations

import json
from pathlib import Path

import openai
import pytest

from serve import serving
from serve.serving import housed, served, write
from serve.test_gateway import HELLO, ask


def test_errors_of_the_checks_before_have_openais_form(tmp_path: Path) -> None:
    path = write(tmp_path)
    for body, headers, status in (
        (b"{", (), 422),
        (b'{"model": NaN}', (), 422),
        (b"x" * 2**21, (), 413),
        (b"{}", (("content-type", "text/plain"),), 415),
        (b"{}", (("origin", "http://evil.example"),), 403),
    ):
        answer = ask(path, body, headers)
        assert answer.status == status
        assert set(json.loads(answer.body)["error"]) == {"message", "type", "param", "code"}


def test_who_lacks_a_token_is_told_so_in_openais_form(tmp_path: Path) -> None:
    with housed(write(tmp_path), local=False) as house, served(house) as url:
        for key, error in (
            ("none", openai.AuthenticationError),
            (serving.token(house, "feedback"), openai.PermissionDeniedError),
        ):
            with (
                openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) as client,
                pytest.raises(error),
            ):
                client.chat.completions.create(model="study/study", messages=HELLO)
        may = serving.token(house, "assign")
        with openai.OpenAI(base_url=f"{url}/v1", api_key=may, max_retries=0) as client:
            client.chat.completions.create(model="study/study", messages=HELLO)
