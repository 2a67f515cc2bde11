"""The folder one paper exchange lives in: its lock, its keys, its port, the note of where it is.

Knows `TRADER_HOME/exchange/` as the server sees it; `process.py` is the same folder as commands
see it. Must not know what the exchange does. Every file is 0600, written whole or not at all.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import string
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final

from trader_cli.clock import SystemClock
from trader_cli.errors import NotSent
from trader_cli.paper.kernel_lock import open_lock, wait_for_lock
from trader_cli.paper.process import (
    ENDPOINT_FILE,
    SERVER_LOCK,
    PaperEndpoint,
    exchange_dir,
    recorded_endpoint,
)
from trader_cli.paper.protocol.auth import KeyPair

KEYS_FILE: Final = "keys.json"
HOST: Final = "127.0.0.1"
_KEY_LENGTH: Final = 64
_KEY_LETTERS: Final = string.ascii_letters + string.digits
_LOCK_WITHIN_S: Final = 5.0


class Premises:
    """The folder, held for this process's life."""

    def __init__(self, home: Path) -> None:
        """Take the folder, making it if need be.

        Raises:
            NotSent: another server holds it.
        """
        self.home = home
        self.directory = exchange_dir(home)
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Never closed: the kernel frees the lock when the process ends, however it ends.
        self._lock = open_lock(self.directory / SERVER_LOCK)
        self._take()

    def keys(self) -> KeyPair:
        """Return the exchange's own key pair, made once and kept."""
        path = self.directory / KEYS_FILE
        with contextlib.suppress(FileNotFoundError, ValueError, KeyError):
            values = json.loads(path.read_text())
            return KeyPair(api_key=values["api_key"], api_secret=values["api_secret"])
        pair = KeyPair(api_key=new_key(), api_secret=new_key())
        write_private(path, {"api_key": pair.api_key, "api_secret": pair.api_secret})
        return pair

    def listener(self) -> socket.socket:
        """Return a loopback socket on the recorded port, on a fresh one if that is taken."""
        recorded = recorded_endpoint(self.home)
        preferred = None if recorded is None else _port_of(recorded.rest_url)
        return bind_loopback(preferred)

    def announce(self, port: int, keys: KeyPair) -> PaperEndpoint:
        """Write down where the exchange answers from now on."""
        endpoint = PaperEndpoint(
            rest_url=f"http://{HOST}:{port}",
            stream_url=f"ws://{HOST}:{port}",
            api_key=keys.api_key,
            api_secret=keys.api_secret,
            pid=os.getpid(),
        )
        write_private(self.directory / ENDPOINT_FILE, asdict(endpoint))
        return endpoint

    def leave(self) -> None:
        """Free the folder; the note stays, so that the port is kept."""
        os.close(self._lock)

    def _take(self) -> None:
        """Lock the folder and sign the lock; a command that only looks holds it an instant."""
        clock = SystemClock()
        if not wait_for_lock(self._lock, clock, clock.monotonic() + _LOCK_WITHIN_S):
            os.close(self._lock)
            raise NotSent(
                f"another paper exchange runs in {self.directory} and does not answer",
                advice="run `trader paper stop`",
            )
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, str(os.getpid()).encode(), 0)


def new_key() -> str:
    """Return 64 random letters and digits, as the exchange's keys are."""
    return "".join(secrets.choice(_KEY_LETTERS) for _ in range(_KEY_LENGTH))


def write_private(path: Path, values: Mapping[str, object]) -> None:
    """Write a small JSON file that only its owner may read, whole or not at all."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(values, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def bind_loopback(preferred: int | None) -> socket.socket:
    """Return a loopback socket bound to `preferred`, or to any free port if that is taken.

    Raises:
        NotSent: there is no free port at all.
    """
    for port in (preferred, 0):
        if port is None:
            continue
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            listener.close()
        else:
            return listener
    raise NotSent(f"no free port on {HOST}")


def _port_of(origin: str) -> int | None:
    tail = origin.rpartition(":")[2]
    return int(tail) if tail.isdecimal() else None
