"""Assignment in your own process: no I/O on the way, and nothing lost while the server is down.

    live = bestpolicy.Live("http://127.0.0.1:8000", default="a")
    given = live.assign(user_id)        # given.policy, given.config
    live.feedback(given, 1.0)

A thread of its own fetches snapshots, writes what was assigned and what came back into a local log,
and sends that when the server answers. The draw is the server's own function of unit and snapshot,
so both come to the same policy and the server can check it. Units leave this process, and reach
the log, as keyed hashes only.
"""

from __future__ import annotations

import atexit
import json
import os
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from bestpolicy.core.nouns import ConfigError
from bestpolicy.live.draw import disguise, drawn, place
from bestpolicy.live.known import Known
from bestpolicy.live.spool import Spool

if TYPE_CHECKING:
    import httpx2

KNOWN = 50_000  # units that are remembered
PART = 500  # rows that are sent at once
TICK = 0.2  # seconds between looks at what is to be written and sent
REFRESH = 15.0  # seconds between snapshots
SLOWEST = 5.0  # seconds that one request may take
REST = 2.0  # seconds until a server that failed is tried again
URL, TOKEN, LOG = "BESTPOLICY_URL", "BESTPOLICY_TOKEN", "BESTPOLICY_LOG"


@dataclass(frozen=True, slots=True)
class Given:
    """What a unit was given. `propensity` is None for a default, which no chance has chosen."""

    policy: str
    config: Mapping[str, Any]
    propensity: float | None
    name: str = field(repr=False)  # the unit's keyed hash
    snapshot: int | None
    at: float | None = None  # of a learned policy: where to `choose` the unit's prompt


@dataclass(frozen=True, slots=True)
class Health:
    """How the client fares; `error` is what went wrong last, if it has not been mended."""

    snapshot: int | None
    sent: int
    waiting: int  # rows not sent yet
    refused: int  # that the server would not take
    defaults: int  # units that got the default policy, as no snapshot was known
    error: str


class Live:
    """A served study, assigned from here. Any thread may use it.

    - `default`: the policy of units that come before any snapshot was ever seen.
    - `token`: an access token that may assign and feedback; none is needed on the same machine.
    - `log`: the folder of the local log, which outlives this process.
    """

    def __init__(
        self,
        url: str,
        *,
        default: str | None = None,
        token: str | None = None,
        log: str | Path | None = None,
        wait: float = 2.0,
    ) -> None:
        self._url = _checked(url)
        self._default = default
        self._token = token if token is not None else os.environ.get(TOKEN)
        self._folder = _folder(self._url, log)
        self._units: OrderedDict[str, Given] = OrderedDict()
        self._lock = threading.Lock()
        self._queue: deque[dict[str, Any]] = deque()
        self._sent = self._refused = self._defaults = 0
        self._error = ""
        self._known = self._cached()
        self._begin()
        self._first.wait(wait)
        if self._known is None and default is None:
            self.close()
            raise ConfigError(
                f"{self._url} gave no snapshot ({self._error or 'no answer yet'}), none is kept "
                "from before and there is no default: start the server, or name a default policy"
            )
        atexit.register(self.close)

    def assign(self, unit: str, context: Mapping[str, Any] | None = None) -> Given:
        """The policy of this unit, the same one whenever it comes; nothing is waited for."""
        _check_unit(unit)
        if os.getpid() != self._pid:  # a child of the process that made this: threads stay behind
            self._begin()
        known = self._known
        if known is None:
            self._defaults += 1
            assert self._default is not None
            return Given(self._default, {}, None, "", None)
        name = disguise(known.unit_key, known.study, unit)
        with self._lock:
            given = self._units.get(name)
            if given is not None and known.chances[known.policies.index(given.policy)] > 0:
                self._units.move_to_end(name)
                return given
            policy = drawn(place(known.draw_key, known.study, name), known.chances)
            given = self._units[name] = Given(
                known.policies[policy],
                known.configs[policy],
                known.chances[policy],
                name,
                known.version,
                known.at(policy, name),
            )
            if len(self._units) > KNOWN:
                self._units.popitem(last=False)
        row = _row(given)
        if context is not None and known.log_context:
            row["context"] = dict(context)
        self._queue.append(row)
        return given

    def feedback(self, given: Given, reward: float, *, key: str | None = None) -> None:
        """What this unit gave back, in [0, 1]; it is written down and sent soon. Of a default
        nothing is kept, as no chance has chosen it."""
        value = float(reward)
        if not 0 <= value <= 1:
            raise ConfigError(f"a reward must be in [0, 1], saw {reward!r}")
        if given.snapshot is None:
            return
        self._queue.append(_row(given) | {"reward": value, "key": key or given.name})

    def health(self) -> Health:
        known = self._known
        waiting = len(self._queue) + self._spool.waiting
        return Health(
            None if known is None else known.version,
            self._sent,
            waiting,
            self._refused,
            self._defaults,
            self._error,
        )

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until all is sent; False if some is left, which is kept and sent later."""
        end = time.monotonic() + timeout
        self._wake.set()
        while self.health().waiting and time.monotonic() < end:
            time.sleep(0.01)
            self._wake.set()
        return not self.health().waiting

    def close(self) -> None:
        """Write down what is left, send it if the server answers, and stop."""
        if self._ending.is_set() or os.getpid() != self._pid:
            return
        self._ending.set()
        self._wake.set()
        self._thread.join(2 * SLOWEST)
        atexit.unregister(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._queue.clear()  # a parent sends its own
        self._spool = Spool(self._folder)
        self._wake, self._ending, self._first = (threading.Event() for _ in range(3))
        self._thread = threading.Thread(target=self._work, name="bestpolicy live", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        import httpx2

        headers = {} if self._token is None else {"Authorization": f"Bearer {self._token}"}
        fetched, tried = float("-inf"), float("-inf")
        with httpx2.Client(
            base_url=self._url, headers=headers, timeout=SLOWEST, trust_env=False
        ) as client:
            while True:
                ending = self._ending.is_set()
                self._write_down()
                now = time.monotonic()
                if not self._error or now - tried >= REST or ending:
                    tried = now
                    try:
                        if now - fetched >= REFRESH and not ending:
                            self._fetch(client)
                            fetched = now
                        self._send(client)
                        self._error = ""
                    except Exception as error:  # the server is elsewhere: anything may go wrong
                        self._error = f"{type(error).__name__}: {error}"[:300]
                    self._first.set()
                if ending:
                    self._spool.close()
                    return
                self._wake.wait(TICK)
                self._wake.clear()

    def _write_down(self) -> None:
        rows = [self._queue.popleft() for _ in range(len(self._queue))]
        try:
            self._spool.add(rows)
        except OSError as error:
            self._queue.extendleft(reversed(rows))
            self._error = f"the local log cannot be written: {error}"

    def _fetch(self, client: httpx2.Client) -> None:
        answer = client.get("/v1/snapshot")
        _check(answer)
        known = Known.of(answer.json())
        if self._known is not None and self._known.study != known.study:
            raise ConfigError(f"this is study {known.study!r}, and was {self._known.study!r}")
        self._known = known
        self._keep(answer.text)

    def _send(self, client: httpx2.Client) -> None:
        while rows := self._spool.next(PART):
            answer = client.post("/v1/log", json={"rows": rows})
            _check(answer)
            ends = answer.json()["rows"]
            self._sent += sum(end["recorded"] for end in ends)
            self._refused += sum(not end["recorded"] for end in ends)
            self._spool.sent(len(rows))

    def _cached(self) -> Known | None:
        with suppress(OSError, ValueError, KeyError, TypeError):
            return Known.of(json.loads((self._folder / "snapshot.json").read_text()))
        return None

    def _keep(self, text: str) -> None:
        with suppress(OSError):
            path = self._folder / f"snapshot.{os.getpid()}.new"
            path.touch(0o600)  # it holds the keys of the draw
            path.write_text(text)
            path.replace(self._folder / "snapshot.json")


def assign(unit: str, context: Mapping[str, Any] | None = None) -> Given:
    """The policy of a unit of the study that BESTPOLICY_URL serves, without I/O: see `Live`."""
    return _ours().assign(unit, context)


def feedback(given: Given, reward: float, *, key: str | None = None) -> None:
    """What a unit gave back, in [0, 1]: see `Live`."""
    _ours().feedback(given, reward, key=key)


_only: dict[str, Live] = {}
_making = threading.Lock()


def _ours() -> Live:
    url = os.environ.get(URL, "")
    live = _only.get(url)
    if live is None:
        if not url:
            raise ConfigError(
                f"{URL} must hold the address of a served study, such as http://127.0.0.1:8000; "
                "or make a bestpolicy.Live of your own"
            )
        with _making:
            live = _only.get(url) or Live(url, default=os.environ.get("BESTPOLICY_DEFAULT"))
            _only[url] = live
    return live


def _check_unit(unit: object) -> None:
    if not (isinstance(unit, str) and 0 < len(unit) <= 200):
        raise ConfigError(f"a unit must be a text of 1 to 200 characters, saw {unit!r:.60}")


def _row(given: Given) -> dict[str, Any]:
    return {"unit": given.name, "policy": given.policy, "snapshot": given.snapshot}


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise ConfigError(f"url must be http://HOST:PORT or https://HOST, saw {url!r:.80}")
    return url.rstrip("/")


def _folder(url: str, log: str | Path | None) -> Path:
    told = log if log is not None else os.environ.get(LOG)
    place = urlsplit(url).netloc.replace(":", "-").replace("[", "").replace("]", "")
    home = Path.home() / ".local" / "state" / "bestpolicy" / "live" / place
    folder = Path(told) if told else home
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _check(answer: httpx2.Response) -> None:
    if answer.status_code != 200:
        raise ConfigError(f"the server said {answer.status_code}: {answer.text[:200]}")
