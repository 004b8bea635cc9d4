"""Models behind any server that speaks OpenAI's chat completions.

    prompt ──► at most 5 tries ──► Reply | Failed        usd = Σ of what each try may have cost

Every failed try leaves its reason, and what cannot be believed is no answer. A try may cost money
without answering: one that ended in a time-out, a cut or a broken body is counted at the worst
price; one that the server refused (429, 5xx) or never got is free. The SDK writes the requests;
the tries, the deadline and the reading of answers are ours.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import BoundedSemaphore, Event, Lock

import httpx2
import openai

from bestpolicy.core.nouns import ConfigError
from bestpolicy.core.talk import Failed, Prompt, Reply
from bestpolicy.llm.answers import (
    SECRET,
    SURROGATE,
    Said,
    Veil,
    chosen,
    code,
    complaint,
    in_words,
    plain,
    read,
    schema,
    streamed,
    strict,
    without,
)
from bestpolicy.llm.prices import price_of
from bestpolicy.llm.retries import REAL, Clock, Fault, Pace, asked, pause, refusal
from bestpolicy.llm.terms import Price, Terms
from bestpolicy.llm.transport import EVENTS, Transport
from bestpolicy.llm.tries import Told, Tries

HOME = "https://api.openai.com/v1"
FRAME = 256  # tokens that a server may put around a prompt, some have a whole system message,
TURN = 16  # around every earlier turn,
SCHEMA = 256  # and for a schema
# How servers say that they know no `response_format`.
UNKNOWN = ("response_format", "schema", "structured", "grammar", "unknown", "unrecogni", "extra")


class OpenAIModel:
    """One model of one server. Close it when done."""

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None,
        key: str | None,
        key_name: str,
        terms: Terms,
        clock: Clock = REAL,
    ) -> None:
        self._model, self._terms, self._clock = model, terms, clock
        # Always named, so that no variable of the environment can send the key elsewhere.
        url = _checked_url(base_url or HOME, key)
        self._url = str(url).rstrip("/")
        self._home = url.host == httpx2.URL(HOME).host
        self._key = _checked_key(key, key_name, needed=self._home)
        self._sent = f"the key in {key_name}" if key else f"a call without a key (from {key_name})"
        transport = Transport(
            url, key=self._key, timeout_s=terms.timeout_s, connections=terms.concurrency
        )
        self._http = httpx2.Client(transport=transport, trust_env=False)
        self._client = openai.OpenAI(
            api_key="-",  # the transport has it
            base_url=url,
            max_retries=0,
            http_client=self._http,
        )
        self._room = BoundedSemaphore(terms.concurrency)
        self._pace = Pace(terms.requests_per_minute, clock.now)
        self._knows_schemas, self._counts_streams = True, True
        self._stopped = Event()
        self._calls, self._counting = 0, Lock()

    def __repr__(self) -> str:
        return f"OpenAIModel({self._model!r}, base_url={str(self._client.base_url)!r})"

    @property
    def name(self) -> str:
        return f"openai/{self._model}"

    def complete(self, prompts: Sequence[Prompt]) -> list[Reply | Failed]:
        """One reply per prompt, in their order. What fails is a Failed and nothing is raised.

        Where a server does not say how many tokens it counted, a reply has 0 of them and `usd`
        holds the worst case, as for tries that may have been charged and brought no answer.
        """
        if len(prompts) < 2:
            return [self._call(prompt) for prompt in prompts]
        with ThreadPoolExecutor(min(len(prompts), self._terms.concurrency)) as threads:
            return list(threads.map(self._call, prompts))

    def most_usd(self, prompt: Prompt) -> float | None:
        """The most that one try can cost; None when no price is known.

        No token is shorter than a byte, so the bytes of the prompt bound its tokens, and
        `max_tokens` those of the answer.
        """
        tokens = _most_tokens(prompt)
        price = self._price(tokens)
        return None if price is None else price.of(tokens, prompt.max_tokens)

    def close(self) -> None:
        """Ends pauses at once; tries on their way end by themselves, and are the last."""
        self._stopped.set()
        with self._counting:
            idle = self._calls == 0
        if idle:
            self._client.close()

    def stream(self, prompt: Prompt) -> Iterator[str | Reply | Failed]:
        """As `complete`, while it is written. Once a piece is out no other try follows."""
        with self._calling():
            tries = Tries(self._clock.now)
            for n in range(self._terms.tries):
                if n and not self._rest(pause(prompt, n - 1, tries.fault)):
                    tries.failures.append("the model was closed during a pause")
                    break
                said: list[str] = []
                try:
                    for piece in (pieces := Told(self._pieces(prompt))):
                        said.append(piece)
                        yield piece
                except Exception as error:
                    if self._failed(tries, prompt, error) and not said:
                        continue
                    break
                usd = self._usd(prompt, pieces.tokens)
                yield tries.reply("".join(said), pieces.tokens, usd)
                return
            yield tries.end()

    def _call(self, prompt: Prompt) -> Reply | Failed:
        with self._calling():
            return self._tries(prompt)

    @contextmanager
    def _calling(self) -> Iterator[None]:
        with self._counting:
            self._calls += 1
        try:
            yield
        finally:
            with self._counting:
                self._calls -= 1
                last = self._stopped.is_set() and self._calls == 0
            if last:
                self._client.close()

    def _tries(self, prompt: Prompt) -> Reply | Failed:
        tries = Tries(self._clock.now)
        for n in range(self._terms.tries):
            if n and not self._rest(pause(prompt, n - 1, tries.fault)):
                tries.failures.append("the model was closed during a pause")
                break
            try:
                said = self._try(prompt)
            except Fault as found:
                if self._failed(tries, prompt, found):
                    continue
                break
            usd = self._usd(prompt, said.tokens)
            return tries.reply(without(self._key, said.text), said.tokens, usd)
        return tries.end()

    def _try(self, prompt: Prompt) -> Said:
        with self._room:
            if not self._rest(self._pace.turn()):
                raise Fault("the model was closed", again=False)
            try:
                by_schema = bool(prompt.choices) and self._knows_schemas
                said = read(self._send(self._body(prompt, by_schema=by_schema)))
                return chosen(said, prompt.choices) if prompt.choices else said
            except Fault as fault:
                self._knows_schemas &= not fault.form
                raise
            except Exception as error:
                # Nothing that a server does may end a study.
                odd = f"{type(error).__name__}: {error}"
        raise Fault(odd, again=False, charged=True)

    def _send(self, body: dict[str, object]) -> bytes:
        try:
            return self._client.post(
                "/chat/completions", cast_to=httpx2.Response, body=body
            ).content
        except openai.APIStatusError as error:
            answer = error.response
        raise self._refused(answer, body)

    def _pieces(self, prompt: Prompt) -> Generator[str, None, tuple[int, int] | None]:
        """One try at a stream: the pieces of its text, and the tokens that it counted."""
        body = self._body(prompt, by_schema=False) | {"stream": True}
        if self._counts_streams:
            body["stream_options"] = {"include_usage": True}
        url, veil = f"{self._url}/chat/completions", Veil(self._key)
        with self._room:
            if not self._rest(self._pace.turn()):
                raise Fault("the model was closed", again=False)
            headers = {"accept": EVENTS}
            with self._http.stream("POST", url, json=body, headers=headers) as answer:
                if answer.status_code != 200:
                    answer.read()
                    fault = self._refused(answer, body)
                    self._counts_streams &= not fault.form
                    raise fault
                if answer.headers.get("content-type", "").partition(";")[0].strip() != EVENTS:
                    whole = read(answer.read())
                    yield without(self._key, whole.text)
                    return whole.tokens
                told = Told(streamed(answer.iter_bytes()))
                for piece in told:
                    if shown := veil.over(piece):
                        yield shown
                if rest := veil.rest():
                    yield rest
                return told.tokens

    def _refused(self, answer: httpx2.Response, body: dict[str, object]) -> Fault:
        """What a status other than success comes to."""
        after = asked(answer.headers, self._clock.today())
        try:
            found = strict(answer.content)
        except Fault:
            words = answer.text.strip()
            found = {"message": "" if words.startswith("<") else words}
        status, said = answer.status_code, complaint(found)
        if status in (400, 422):
            if "response_format" in body and _unknown(said):
                told = f"HTTP {status}: {said} (asked in words then)"
                return Fault(told, after=0.0, form=True)
            if "stream_options" in body and "stream_options" in said:
                return Fault(f"HTTP {status}: {said} (left out then)", after=0.0, form=True)
        return refusal(status, said, code=code(found), after=after, key=self._sent)

    def _body(self, prompt: Prompt, *, by_schema: bool) -> dict[str, object]:
        if any(SURROGATE.search(text) for text in _texts(prompt)):
            raise Fault("the prompt holds half a character (a lone surrogate)", again=False)
        words = prompt.choices and not by_schema
        text = in_words(prompt.text, prompt.choices) if words else prompt.text
        messages = [{"role": role, "content": said} for role, said in prompt.before]
        messages.append({"role": "user", "content": text})
        if prompt.system is not None:
            messages.insert(0, {"role": "system", "content": prompt.system})
        body: dict[str, object] = {"model": self._model, "messages": messages}
        # OpenAI has renamed it, and others have not followed.
        body["max_completion_tokens" if self._home else "max_tokens"] = prompt.max_tokens
        if prompt.temperature is not None:
            body["temperature"] = prompt.temperature
        if prompt.drawn:
            body["seed"] = prompt.seed & 0x7FFFFFFF
        if by_schema:
            body["response_format"] = schema(prompt.choices)
        return body

    def _price(self, tokens: int) -> Price | None:
        if self._terms.price is not None:
            return self._terms.price
        return price_of(self._model, "openai", tokens) if self._home else None

    def _failed(self, tries: Tries, prompt: Prompt, error: Exception) -> bool:
        """Take note of a try that failed; whether another may fare better."""
        if not isinstance(error, Fault):  # nothing that a server does may end a study
            error = Fault(f"{type(error).__name__}: {error}", again=False, charged=True)
        usd = self._usd(prompt, error.tokens) if error.charged else 0.0
        return tries.failed(error, usd, plain(error.reason, self._key))

    def _usd(self, prompt: Prompt, tokens: tuple[int, int] | None) -> float:
        """What a try cost; where the server did not say how much it counted, the worst case."""
        if tokens is None:
            return self.most_usd(prompt) or 0.0
        price = self._price(tokens[0])
        return 0.0 if price is None else price.of(*tokens)

    def _rest(self, seconds: float) -> bool:
        """Whether the model is still open after that pause."""
        if seconds > 0:
            (self._clock.sleep or self._stopped.wait)(seconds)
        return not self._stopped.is_set()


def _most_tokens(prompt: Prompt) -> int:
    texts = (*_texts(prompt), *prompt.choices, *prompt.choices)
    size = sum(len(text.encode(errors="surrogatepass")) + 1 for text in texts)
    return size + FRAME + TURN * len(prompt.before) + (SCHEMA if prompt.choices else 0)


def _texts(prompt: Prompt) -> tuple[str, ...]:
    return (prompt.text, prompt.system or "", *(text for _, text in prompt.before))


def _unknown(said: str) -> bool:
    return any(word in said.lower() for word in UNKNOWN)


def _checked_key(key: str | None, name: str, *, needed: bool) -> str | None:
    if not key:
        if needed:
            raise ConfigError(
                f"no key: set {name} in the environment, or name a base_url of your own"
            )
        return None
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise ConfigError(f"{name} holds a blank, a line break or a letter that no key has")
    return key


def _checked_url(text: str, key: str | None) -> httpx2.URL:
    """The address, which everybody may see: it goes to logs and reports."""
    if key and len(key) >= SECRET and key in text:
        raise ConfigError("base_url holds the key: leave it out there")
    try:
        url = httpx2.URL(text)
    except httpx2.InvalidURL as error:
        raise ConfigError(f"base_url is no address: {error}") from None
    if url.userinfo or url.query or url.fragment:
        raise ConfigError(
            "base_url must hold no user, password, query or fragment: a key comes from the "
            "environment (api_key_env)"
        )
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigError(f"base_url must begin with http:// or https:// and a host, saw {text!r}")
    if url.scheme == "http" and url.host == httpx2.URL(HOME).host:
        raise ConfigError(f"base_url: a key to {url.host} goes over https:// only, saw {text!r}")
    return url
