"""A small server that speaks OpenAI's chat completions and answers with a local model.

    python tests/llm/openai_server.py 8123

It listens on 127.0.0.1 only. One user turn, after one system turn if there is any.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from bestpolicy.core.talk import MAX_TOKENS, Failed, Model, Prompt


@contextmanager
def serving(model: Model, port: int = 0) -> Iterator[str]:
    """The base URL under which this model answers, until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", port), _speaking_for(model))
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def asked(body: Mapping[str, Any]) -> Prompt:
    """The prompt in a request's body; a ValueError says what is wrong with it."""
    turns = [(turn["role"], turn["content"]) for turn in body["messages"]]
    system = turns.pop(0)[1] if turns and turns[0][0] == "system" else None
    if len(turns) != 1 or turns[0][0] != "user":
        raise ValueError(f"messages must be system? user, saw {[role for role, _ in turns]}")
    temperature = body.get("temperature")
    return Prompt(
        turns[0][1],
        system,
        None if temperature is None else float(temperature),
        int(body.get("max_completion_tokens") or body.get("max_tokens") or MAX_TOKENS),
        int(body.get("seed") or 0),
        _choices(body.get("response_format")),
    )


def _choices(form: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The words of the one property that has an enum."""
    if form is None or form["type"] != "json_schema":
        return ()
    properties = form["json_schema"]["schema"]["properties"]
    return tuple(next((p["enum"] for p in properties.values() if "enum" in p), ()))


def _property(form: Mapping[str, Any]) -> str:
    properties = form["json_schema"]["schema"]["properties"]
    return next(name for name, value in properties.items() if "enum" in value)


def _speaking_for(model: Model) -> type[BaseHTTPRequestHandler]:
    class Speaking(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length", 0)))
            if self.path != "/v1/chat/completions":
                return self._send(404, _error(f"there is no {self.path}"))
            try:
                body = json.loads(raw)
                prompt = asked(body)
            except (KeyError, TypeError, ValueError) as error:
                return self._send(400, _error(f"{type(error).__name__}: {error}"))
            (answer,) = model.complete([prompt])
            if isinstance(answer, Failed):
                return self._send(400, _error(answer.reason))
            text = answer.text
            if prompt.choices:
                text = json.dumps({_property(body["response_format"]): text})
            # A model that was cut says so; how many tokens it wrote tells.
            cut = not prompt.choices and answer.tokens_out >= prompt.max_tokens
            return self._send(
                200,
                {
                    "id": "chatcmpl-local",
                    "object": "chat.completion",
                    "created": 0,
                    "model": body.get("model", model.name),
                    "choices": [
                        {
                            "index": 0,
                            "message": {"role": "assistant", "content": text},
                            "finish_reason": "length" if cut else "stop",
                        }
                    ],
                    "usage": {
                        "prompt_tokens": answer.tokens_in,
                        "completion_tokens": answer.tokens_out,
                        "total_tokens": answer.tokens_in + answer.tokens_out,
                    },
                },
            )

        def _send(self, status: int, body: Mapping[str, Any]) -> None:
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: Any) -> None:
            """Nothing is printed for a request."""

    return Speaking


def _error(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error"}}


if __name__ == "__main__":
    from bestpolicy.llm.local import local_model

    local = local_model("local/smollm2")
    with serving(local, int(sys.argv[1])) as url:
        print(f"{local.name} answers at {url}; end with Ctrl-C", flush=True)
        with suppress(KeyboardInterrupt):
            Event().wait()
    local.close()
