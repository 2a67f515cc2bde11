"""`trader run` as a process that tests end as they like, and an independent look at its account."""

from __future__ import annotations

import hashlib
import hmac
import json
import signal
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.support.trader_process import TRADER, Trader

SYMBOL = "BTCUSDT"
_POLL_S = 0.02


def until(condition: Callable[[], object], *, within_s: float, what: str) -> None:
    """Wait for another process; there is no event for what it does."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, f"not within {within_s} s: {what}"
        time.sleep(_POLL_S)


class Engine:
    """A `trader run --json` in the background.

    Attributes:
        events: what it has printed so far, oldest first.
        said: its stderr so far.
    """

    def __init__(self, trader: Trader, bridge: Path, *words: str) -> None:
        self.events: list[dict[str, Any]] = []
        self.said: list[str] = []
        self._process = subprocess.Popen(
            [TRADER, "run", "--bridge", str(bridge), "--json", *words],
            cwd=trader.root,
            env=trader.environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._readers = [
            threading.Thread(target=self._read_events, daemon=True),
            threading.Thread(target=self._read_words, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def reports(self, event: str) -> list[dict[str, Any]]:
        return [row for row in self.events if row["event"] == event]

    def wait(self, event: str, *, count: int = 1, within_s: float = 15) -> dict[str, Any]:
        """Wait until the event was reported `count` times and return the last one."""

        def come() -> bool:
            assert self._process.poll() is None, (self.events, self.said)
            return len(self.reports(event)) >= count

        try:
            until(come, within_s=within_s, what=event)
        except AssertionError as error:
            raise AssertionError(f"{error}; last told: {self.events[-6:]}") from error
        return self.reports(event)[-1]

    def send(self, name: signal.Signals) -> None:
        self._process.send_signal(name)

    def end(self, within_s: float = 25) -> int:
        """Wait for the end and return the exit code."""
        code = self._process.wait(timeout=within_s)
        for reader in self._readers:
            reader.join(timeout=5)
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()
        return code

    def kill_9(self) -> None:
        """End it where it stands."""
        if self._process.poll() is None:
            self._process.kill()
        self.end()

    def _read_events(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            # A line cut in half by the end of the process says nothing.
            if line.endswith("\n"):
                self.events.append(json.loads(line))

    def _read_words(self) -> None:
        assert self._process.stderr is not None
        self.said.extend(self._process.stderr)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The account, asked of the exchange without any code of ours."""

    rest_url: str
    api_key: str
    api_secret: str

    @classmethod
    def of(cls, trader: Trader) -> Account:
        """The account of the trader's own paper exchange."""
        data = trader.json("paper", "status").data
        return cls(
            rest_url=data["rest_url"], api_key=data["api_key"], api_secret=data["api_secret"]
        )

    def ask(self, method: str, path: str, **values: object) -> Any:
        query = urllib.parse.urlencode({**values, "timestamp": time.time_ns() // 1_000_000})
        signature = hmac.new(self.api_secret.encode(), query.encode(), hashlib.sha256).hexdigest()
        request = urllib.request.Request(
            f"{self.rest_url}{path}?{query}&signature={signature}",
            headers={"X-MBX-APIKEY": self.api_key},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)

    def quantity(self) -> Decimal:
        """Return the signed quantity held."""
        rows = self.ask("GET", "/fapi/v3/positionRisk", symbol=SYMBOL)
        return sum((Decimal(row["positionAmt"]) for row in rows), Decimal(0))

    def sides(self) -> set[str]:
        """Return the position sides that hold something."""
        rows = self.ask("GET", "/fapi/v3/positionRisk", symbol=SYMBOL)
        return {row["positionSide"] for row in rows if Decimal(row["positionAmt"]) != 0}

    def algos(self) -> list[dict[str, Any]]:
        return list(self.ask("GET", "/fapi/v1/openAlgoOrders", symbol=SYMBOL))

    def stops(self) -> list[dict[str, Any]]:
        return [row for row in self.algos() if row["orderType"] == "STOP_MARKET"]

    def open_orders(self) -> list[dict[str, Any]]:
        return list(self.ask("GET", "/fapi/v1/openOrders", symbol=SYMBOL))

    def entries(self, decision_id: str) -> list[dict[str, Any]]:
        """Return every entry order that a decision ever sent."""
        mark = f"trd-{hashlib.sha256(decision_id.encode()).hexdigest()[:20]}-en"
        rows = self.ask("GET", "/fapi/v1/allOrders", symbol=SYMBOL)
        return [row for row in rows if row["clientOrderId"].startswith(mark)]


class Wolf:
    """An advisor's pen: writes decisions where and how Wolf writes them."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "ai_wolf_bridge.json"

    def decide(self, command: str, **fields: object) -> str:
        """Write a decision and return its id."""
        stamp = datetime.now(UTC).astimezone().replace(tzinfo=None).isoformat()
        document = self.document() if self._path.exists() else {}
        section = {"command": command, "timestamp": stamp, "confidence": 80, **WIDE, **fields}
        document["ai_to_wolf"] = section
        # In one step: a torn file is another test's subject.
        fresh = self._path.with_suffix(".fresh")
        fresh.write_text(json.dumps(document))
        fresh.replace(self._path)
        return f"{self._path.name}/ai_to_wolf@{stamp}"

    def document(self) -> dict[str, Any]:
        value = json.loads(self._path.read_text())
        assert isinstance(value, dict)
        return value


# A stop 1.5 % away is not met within a test by a market of 50 % a year.
_NUMBERS: Mapping[str, object] = {
    "leverage": 125,
    "stop_loss_pct": 30.0,
    "take_profit_pct": 40.0,
    "position_size_pct": 1,
    "max_holding_minutes": 30,
}
WIDE: Mapping[str, object] = {**_NUMBERS, "dynamic_params": dict(_NUMBERS)}
