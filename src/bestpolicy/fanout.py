"""Fan-out: where tasks and model calls run, in processes of this machine or on a Ray cluster.

Every task names its own stream of chance, so that results are the same to the bit wherever it
runs. Ray schedules; this module only hands work over and takes futures back.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import replace
from itertools import count
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bestpolicy.core.nouns import ConfigError
from bestpolicy.core.talk import Failed, Model, Prompt, Reply
from bestpolicy.llm.models import make
from bestpolicy.llm.named import Named
from bestpolicy.llm.terms import Terms

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")
HERE = "processes"
NEEDS = "--executor {0} needs Ray, which is not installed: pip install 'bestpolicy[ray]'"
_engine: ContextVar[str] = ContextVar("engine", default=HERE)


def elsewhere() -> bool:
    """Whether tasks are to leave this process even where one process would do."""
    return _engine.get() != HERE


@contextmanager
def engine(name: str) -> Iterator[None]:
    """Everything inside runs there: `processes`, `ray` (started here) or `ray://HOST:PORT`."""
    if name == HERE:
        yield
        return
    token = _engine.set(name)
    try:
        with _connected(name):
            yield
    finally:
        _engine.reset(token)


class RayExecutor(Executor):
    """The standard library's executor, with Ray behind it."""

    def __init__(self) -> None:
        self._ray = ray = _ray()
        # A task that its machine lost is played again: it names its own chance.
        self._task = ray.remote(max_retries=3)(_call)
        self._waiting: set[Any] = set()

    def submit(self, fn: Callable[..., T], /, *args: Any, **named: Any) -> Future[T]:
        made = self._task.remote(fn, args, named)
        self._waiting.add(made)
        future: Future[T] = made.future()
        future.add_done_callback(lambda _: self._waiting.discard(made))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        for made in list(self._waiting):
            if cancel_futures:
                with suppress(Exception):
                    self._ray.cancel(made)
            elif wait:
                with suppress(Exception):  # whoever asked for it hears of it by its future
                    self._ray.get(made)


class RayModel:
    """A model that is asked on the nodes of a cluster, one actor on each, in turn."""

    def __init__(self, named: Named, folder: Path, terms: Terms) -> None:
        self.name = named.name
        self._ray = ray = _ray()
        nodes = [node for node in ray.nodes() if node["Alive"]]
        each = max(1, len(nodes))
        pace = terms.requests_per_minute
        part = replace(
            terms,
            concurrency=ceil(terms.concurrency / each),
            requests_per_minute=None if pace is None else pace / each,
        )
        host = ray.remote(_Host).options(
            max_concurrency=max(2, part.concurrency),
            num_cpus=0,
            scheduling_strategy="SPREAD",
            max_restarts=3,
        )
        self._hosts = [host.remote(named, str(folder), part) for _ in range(each)]
        self._turn = count()
        try:
            ray.get([host.ready.remote() for host in self._hosts])
        except ray.exceptions.RayActorError as error:
            self.close()
            raise ConfigError(f"{named.name} cannot be made on the cluster: {error}") from None

    def complete(self, prompts: Sequence[Prompt]) -> list[Reply | Failed]:
        host = self._hosts[next(self._turn) % len(self._hosts)]
        answers: list[Reply | Failed] = self._ray.get(host.complete.remote(list(prompts)))
        return answers

    def most_usd(self, prompt: Prompt) -> float | None:
        most: float | None = self._ray.get(self._hosts[0].most_usd.remote(prompt))
        return most

    def close(self) -> None:
        for host in self._hosts:
            with suppress(Exception):
                self._ray.kill(host)


def made(named: Named, folder: Path, terms: Terms, environment: Mapping[str, str]) -> Model:
    """The model of that name, here or on the cluster. Keys are read where it runs."""
    if elsewhere():
        return RayModel(named, folder, terms)
    return make(named, folder, terms, environment)


class _Host:
    """What runs on a node: the model itself."""

    def __init__(self, named: Named, folder: str, terms: Terms) -> None:
        self._model = make(named, Path(folder), terms, os.environ)

    def ready(self) -> None:
        """Something to wait for: whoever can say it has been made."""

    def complete(self, prompts: Sequence[Prompt]) -> list[Reply | Failed]:
        return self._model.complete(prompts)

    def most_usd(self, prompt: Prompt) -> float | None:
        return self._model.most_usd(prompt)


def _check_answers(name: str) -> None:
    """Ray itself would try for half a minute."""
    host, _, port = name.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except ValueError:
        raise ConfigError(f"--executor {name!r} must be ray://HOST:PORT") from None
    except OSError as error:
        raise ConfigError(f"no Ray cluster answers at {name}: {error.strerror or error}") from None


def _ray() -> Any:
    """Ray, loaded when it is first wanted: its types are not ours to follow."""
    from importlib import import_module

    return import_module("ray")


def _call(fn: Callable[..., T], args: Sequence[Any], named: Mapping[str, Any]) -> T:
    return fn(*args, **named)


@contextmanager
def _connected(name: str) -> Iterator[None]:
    """A cluster to hand work to: one that is started here and ends with us, or one that is up."""
    if name != "ray" and not name.startswith("ray://"):
        raise ConfigError(f"--executor must be {HERE}, ray or ray://HOST:PORT, saw {name!r}")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    # Workers are told what they need; this folder is not shipped to them.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    try:
        ray = _ray()
    except ImportError:
        raise ConfigError(NEEDS.format(name)) from None
    if name != "ray":
        _check_answers(name)
    started: dict[str, Any] = (
        {"address": "local", "include_dashboard": False} if name == "ray" else {"address": name}
    )
    try:
        ray.init(**started, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ValueError, ImportError) as error:
        said = str(error).strip().partition("\n")[0][:300]
        raise ConfigError(f"no Ray cluster answers at {name}: {said}") from None
    try:
        yield
    finally:
        ray.shutdown()
