"""A wire that breaks when it is told to: between a client and a server, at a word."""

from __future__ import annotations

import socket
from contextlib import suppress
from threading import Thread
from types import TracebackType
from typing import Self


class Cut:
    """Passes everything on, until the client says the word for which it waits."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.cuts = 0
        self._word: bytes | None = None
        self._forward = False
        self._ends: list[socket.socket] = []
        Thread(target=self._accept, daemon=True).start()

    def at(self, word: bytes, *, forward: bool) -> None:
        """Break at this word: once the server has answered it, or before it has heard it."""
        self._word, self._forward = word, forward

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listening.close()
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            self._ends += [client, server]
            Thread(target=self._up, args=(client, server), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        back = Thread(target=self._down, args=(server, client), daemon=True)
        back.start()
        try:
            while data := client.recv(65536):
                if self._word is not None and self._word in data:
                    self._word = None
                    self.cuts += 1
                    if self._forward:
                        # The answer goes nowhere.
                        client.shutdown(socket.SHUT_WR)
                        server.sendall(data)
                        server.shutdown(socket.SHUT_WR)
                        back.join(5)
                    break
                server.sendall(data)
        except OSError:
            pass
        # The server is not told: to it the client has merely fallen silent.
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)

    def _down(self, server: socket.socket, client: socket.socket) -> None:
        try:
            while data := server.recv(65536):
                client.sendall(data)
        except OSError:
            pass
