"""The paper exchange as a process: find it, start it, stop it, talk to its own switches.

Knows where the server leaves its address and keys, and that one folder has one server: two
kernel locks say so, one held by whoever starts it, one by the server for its life. Must not
import the server itself (nor aiohttp): every command asks here first, so it has to be cheap.

Readiness comes through a pipe: the starter sleeps until the server listens or dies, and never
polls. The server is a grandchild in a session of its own: it outlives Ctrl-C and its starter.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum, unique
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from trader_cli.clock import Clock, SystemClock
from trader_cli.domain.numbers import to_wire
from trader_cli.errors import NotSent, Rejected, TraderError
from trader_cli.paper.kernel_lock import is_held, locked, wait_released

ENDPOINT_FILE: Final = "endpoint.json"
SERVER_LOCK: Final = "server.lock"
START_LOCK: Final = "start.lock"
LOG_FILE: Final = "server.log"

_START_WITHIN_S: Final = 15.0
_STOP_WITHIN_S: Final = 5.0
_ANSWER_WITHIN_S: Final = 5.0
_POLITE_WITHIN_S: Final = 1.0
_SIGNALS: Final = ((signal.SIGTERM, _POLITE_WITHIN_S), (signal.SIGKILL, _STOP_WITHIN_S))
_LOG_TAIL_BYTES: Final = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperEndpoint:
    """Where the running paper exchange answers; both URLs are origins without a path.

    Its key pair protects nothing but play money and may be shown.
    """

    rest_url: str
    stream_url: str
    api_key: str
    api_secret: str
    pid: int


@unique
class MarketKind(StrEnum):
    """Where prices come from."""

    SYNTHETIC = "synthetic"
    REPLAY = "replay"
    MIRROR = "mirror"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperOptions:
    """What a server is started with; a running one keeps what it has.

    Attributes:
        market: None for the one the account has been trading on, synthetic at first.
        files: what is replayed, in any order.
        symbols: what is mirrored; of a replay, whose data its files are (one at most).
        speed: of a replay, market seconds a second; None for 1, or as before.
        start_ms: market time at which a replay begins; None: a tenth of the way in.
        latency_ms: how long an order is on its way to the matching, market time.
        upstream_url, upstream_stream_url: whom to mirror, origins; None for Binance.
        characters: how synthetic symbols differ from the usual, see `character`.
        seed: the market's, used when there is no state yet; None for the default.
        balance: USDT of a fresh account; None for the default.
        rate_limits: False switches weights and order counts off.
        old_streams: False lets addresses without a category deliver public streams only, as at
            Binance since April 2026.
    """

    seed: int | None = None
    balance: Decimal | None = None
    rate_limits: bool = True
    old_streams: bool = True
    market: MarketKind | None = None
    files: tuple[Path, ...] = ()
    symbols: tuple[str, ...] = ()
    speed: Decimal | None = None
    start_ms: int | None = None
    latency_ms: int = 0
    upstream_url: str | None = None
    upstream_stream_url: str | None = None
    characters: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def arguments(self) -> list[str]:
        """Render as the server's command line."""
        words: list[str] = []
        if self.seed is not None:
            words += ["--seed", str(self.seed)]
        if self.balance is not None:
            words += ["--balance", to_wire(self.balance)]
        if not self.rate_limits:
            words.append("--no-rate-limits")
        if not self.old_streams:
            words.append("--no-old-streams")
        if self.latency_ms:
            words += ["--latency", str(self.latency_ms)]
        if self.characters:
            words += ["--characters", json.dumps(self.characters)]
        return words + self._market_arguments()

    def _market_arguments(self) -> list[str]:
        words: list[str] = []
        if self.speed is not None:
            words += ["--speed", to_wire(self.speed)]
        for option, value in (
            ("--market", self.market),
            ("--from", self.start_ms),
            ("--upstream", self.upstream_url),
            ("--upstream-stream", self.upstream_stream_url),
        ):
            if value is not None:
                words += [option, str(value)]
        for path in self.files:
            words += ["--file", str(path.absolute())]
        for symbol in self.symbols:
            words += ["--symbol", symbol]
        return words


def exchange_dir(home: Path) -> Path:
    """Return the folder of the exchange's state, keys, locks and log."""
    return home / "exchange"


def ensure_running(
    home: Path, clock: Clock | None = None, options: PaperOptions | None = None
) -> PaperEndpoint:
    """Return the running exchange of `home`, starting it if there is none.

    Two callers at once get the same one.

    Raises:
        NotSent: it cannot be started, or does not answer in time; the message says why.
    """
    endpoint = running(home)
    if endpoint is not None:
        return endpoint
    timer = clock or SystemClock()
    deadline = timer.monotonic() + _START_WITHIN_S
    directory = exchange_dir(home)
    _make_directory(directory)
    with locked(directory / START_LOCK, timer, deadline) as ours:
        if not ours:
            raise _not_started(directory, "another command has been starting it for too long")
        endpoint = running(home)  # another command may have started it meanwhile
        if endpoint is not None:
            return endpoint
        _start(home, options or PaperOptions(), timer, deadline)
    endpoint = running(home)
    if endpoint is None:
        raise _not_started(directory, "it said it was ready but does not answer")
    return endpoint


def running(home: Path) -> PaperEndpoint | None:
    """Return the exchange of `home` if it answers now, else None."""
    endpoint = recorded_endpoint(home)
    # The lock is asked first: a stranger may listen on the recorded port and never answer.
    if endpoint is None or not is_held(exchange_dir(home) / SERVER_LOCK):
        return None
    try:
        answer = _call(endpoint, "GET", "/paper/status", {})
    except TraderError:
        return None
    return endpoint if answer.get("pid") == endpoint.pid else None


def status(home: Path) -> dict[str, Any] | None:
    """Return what `paper status` shows of the running exchange, None if none runs."""
    endpoint = running(home)
    return None if endpoint is None else _call(endpoint, "GET", "/paper/status", {})


def stop(home: Path, clock: Clock | None = None) -> bool:
    """End the exchange of `home` and wait until it is gone; False if none was running.

    A server that does not answer is ended by signal.
    """
    timer = clock or SystemClock()
    directory = exchange_dir(home)
    lock = directory / SERVER_LOCK
    if not is_held(lock):
        return False
    if _ask_to_stop(home) and wait_released(lock, timer, _STOP_WITHIN_S):
        return True
    for number, patience_s in _SIGNALS:
        _signal_holder(lock, number)
        if wait_released(lock, timer, patience_s):
            return True
    raise NotSent(
        f"the paper exchange of {directory} does not end",
        advice=f"look at {directory / LOG_FILE}",
    )


def reset(home: Path, balance: Decimal | None = None) -> None:
    """Start the account anew; keys, port and market stay. `balance` None: the default.

    Raises:
        NotSent: no exchange is running. Rejected: it refused.
    """
    values = {} if balance is None else {"balance": to_wire(balance)}
    _call(_needed(home), "POST", "/paper/reset", values)


def price(home: Path, symbol: str, new_price: Decimal | None = None) -> dict[str, Any]:
    """Return a symbol's prices, after letting the market jump to `new_price` if one is given.

    Raises:
        NotSent: no exchange is running. Rejected: unknown symbol or impossible price.
    """
    values = {"symbol": symbol}
    if new_price is None:
        return _call(_needed(home), "GET", "/paper/price", values)
    return _call(_needed(home), "POST", "/paper/price", values | {"price": to_wire(new_price)})


def arm_fault(home: Path, values: dict[str, str]) -> dict[str, Any]:
    """Let the running exchange fail as `values` say: kind, path, times and so on.

    Raises:
        NotSent: no exchange is running. Rejected: it refused the wish.
    """
    return _call(_needed(home), "POST", "/paper/fault", values)


def faults(home: Path) -> dict[str, Any]:
    """Return what is armed at the running exchange, and every kind there is.

    Raises:
        NotSent: no exchange is running.
    """
    return _call(_needed(home), "GET", "/paper/fault", {})


def clear_faults(home: Path, number: int | None = None) -> dict[str, Any]:
    """Disarm one failure of the running exchange, or all.

    Raises:
        NotSent: no exchange is running.
    """
    values = {} if number is None else {"number": str(number)}
    return _call(_needed(home), "DELETE", "/paper/fault", values)


def recorded_endpoint(home: Path) -> PaperEndpoint | None:
    """Return what the last server wrote down, whether it still runs or not."""
    try:
        text = (exchange_dir(home) / ENDPOINT_FILE).read_text()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        values = json.loads(text)
        return PaperEndpoint(
            rest_url=str(values["rest_url"]),
            stream_url=str(values["stream_url"]),
            api_key=str(values["api_key"]),
            api_secret=str(values["api_secret"]),
            pid=int(values["pid"]),
        )
    except (ValueError, KeyError, TypeError):
        return None  # a damaged note is rewritten by the next start


def _start(home: Path, options: PaperOptions, clock: Clock, deadline: float) -> None:
    directory = exchange_dir(home)
    ready, ready_for_child = os.pipe()
    log = os.open(directory / LOG_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        command = [
            *(sys.executable, "-P", "-m", "trader_cli.paper", "--home", str(home.absolute())),
            *("--detach", "--ready-fd", str(ready_for_child)),
            *options.arguments(),
        ]
        try:
            _run_detached(command, log, ready_for_child)
        except (OSError, subprocess.SubprocessError) as error:
            raise _not_started(directory, str(error)) from error
        finally:
            os.close(ready_for_child)
        _await_ready(directory, ready, max(0.0, deadline - clock.monotonic()))
    finally:
        os.close(log)
        os.close(ready)


def _run_detached(command: Sequence[str], log: int, ready_fd: int) -> None:
    subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=(ready_fd,),
        env=_server_environment(),
        start_new_session=True,
        check=True,
        timeout=_START_WITHIN_S,
    )


def _server_environment() -> dict[str, str]:
    """Keep real keys out of the server, and let it find this very package."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("BINANCE_")
    }
    package_parent = str(Path(__file__).resolve().parents[2])
    paths = [package_parent, *filter(None, [environment.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    return environment


def _await_ready(directory: Path, ready: int, timeout_s: float) -> None:
    """Wait for one byte; end of file means the server died."""
    readable, _, _ = select.select([ready], [], [], timeout_s)
    if not readable:
        raise _not_started(directory, f"it did not listen within {_START_WITHIN_S:.0f} s")
    if not os.read(ready, 1):
        raise _not_started(directory, "it ended at once")


def _not_started(directory: Path, reason: str) -> NotSent:
    return NotSent(
        f"the paper exchange could not be started: {reason}{_log_tail(directory / LOG_FILE)}",
        advice=f"look at {directory / LOG_FILE}, or try `trader paper serve`",
    )


def _log_tail(path: Path) -> str:
    try:
        tail = path.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace").strip()
    except OSError:
        return ""
    return f" (its log ends: {tail.splitlines()[-1]})" if tail else ""


def _ask_to_stop(home: Path) -> bool:
    """Return True if the server heard us; one that hangs or is just starting does not."""
    endpoint = recorded_endpoint(home)
    if endpoint is None:
        return False
    try:
        _call(endpoint, "POST", "/paper/stop", {}, timeout_s=_POLITE_WITHIN_S)
    except TraderError:
        return False
    return True


def _signal_holder(lock: Path, number: signal.Signals) -> None:
    """Signal whoever signed the lock it holds; a note elsewhere may name a pid long reused."""
    signature = lock.read_text()
    if signature.isdecimal() and is_held(lock):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(signature), number)


def _needed(home: Path) -> PaperEndpoint:
    endpoint = running(home)
    if endpoint is None:
        raise NotSent("the paper exchange is not running", advice="run `trader paper start`")
    return endpoint


def _call(
    endpoint: PaperEndpoint,
    method: str,
    path: str,
    values: dict[str, str],
    *,
    timeout_s: float = _ANSWER_WITHIN_S,
) -> dict[str, Any]:
    """Ask one of the exchange's own switches.

    Raises:
        NotSent: nobody answers there. Rejected: it refused.
    """
    host, _, port = endpoint.rest_url.rpartition("/")[2].partition(":")
    connection = http.client.HTTPConnection(host, int(port or 0), timeout=timeout_s)
    target = f"{path}?{urlencode(values)}" if values else path
    try:
        connection.request(method, target, headers={"X-MBX-APIKEY": endpoint.api_key})
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise NotSent(f"the paper exchange does not answer: {error}") from error
    finally:
        connection.close()
    return _answer(response.status, body)


def _answer(status: int, body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError as error:
        raise NotSent("something else answers at the paper exchange's port") from error
    if not isinstance(answer, dict):
        raise NotSent("something else answers at the paper exchange's port")
    if status != http.HTTPStatus.OK:
        raise Rejected(str(answer.get("msg", f"HTTP {status}")), code=answer.get("code"))
    return answer


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise NotSent(
            f"cannot create {directory}: {error.strerror}",
            advice="set TRADER_HOME to a folder you can write to",
        ) from error
