"""The server's process: where it listens, and how it starts and ends."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import sys
from ipaddress import ip_address

import uvicorn
from fastapi import FastAPI

from bestpolicy.core.nouns import ConfigError
from bestpolicy.serve.wire import Wire

SECRET = "BESTPOLICY_SECRET"
SHORTEST = 16  # characters of a secret
LEAVES = 5  # seconds that requests in flight have when the server is asked to stop
CROWD = 800  # connections at once; a process may mostly have 1,024 files open


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def secret_of(host: str) -> tuple[bytes, bool]:
    """What tokens are signed with, and whether it outlives this process."""
    told = os.environ.get(SECRET, "")
    if not told and is_loopback(host):
        return secrets.token_bytes(32), False
    if len(told) < SHORTEST:
        seen = "it is not set" if not told else f"it has {len(told)} characters"
        raise ConfigError(
            f"{SECRET} must hold a secret of {SHORTEST} characters or more, and {seen}: tokens "
            "are signed with it. Make one with: python3 -c 'import secrets; "
            "print(secrets.token_urlsafe(32))'"
        )
    return told.encode(), True


def leave(code: int, *, at_once: bool) -> None:
    """End the process now if a model's call still hangs: Python would wait for it. Everything
    that was acknowledged is on disk, and what the call had reserved counts as spent."""
    if at_once:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def bound(host: str, port: int) -> socket.socket:
    """A socket that nobody else has; port 0 is any that is free."""
    bare = host.strip("[]")
    family = socket.AF_INET6 if ":" in bare else socket.AF_INET
    try:
        return socket.create_server((bare, port), family=family, backlog=2048)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; another program may have "
            "the port: name another one with --port, or end that program"
        ) from None


def address(sock: socket.socket) -> str:
    """Where a socket is reached."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(uvicorn.Server):
    """Tells the app first that it ends, so that streams without an end end too."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=Wire,
                ws="none",
                log_level="critical",  # what went wrong is told by access.py, in words of ours
                access_log=False,  # paths and addresses are nobody's business by default
                server_header=False,
                date_header=False,
                limit_concurrency=CROWD,
                timeout_graceful_shutdown=LEAVES,
                timeout_keep_alive=30,
            )
        )
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.ending.set()
        await super().shutdown(sockets)


def listen(app: FastAPI, sock: socket.socket) -> None:
    """Answer requests until SIGINT or SIGTERM; whoever is being answered has some seconds."""
    # When it has ended, uvicorn sends itself the signal again: the record would not be closed.
    before = {
        number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        Server(app).run(sockets=[sock])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
