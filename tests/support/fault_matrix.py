"""Every write of the CLI against every failure of the paper exchange, counted by somebody else.

Knows the writes, the failures as data, and how one cell of their table is tried: the failure is
armed, the installed `trader` runs one command, another program counts what is there. What a cell
must come to is the test's business. Cells of one job share an account and have a symbol each.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import ROUND_UP, Decimal
from enum import StrEnum, unique
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from tests.support.other_program import OtherProgram
from tests.support.trader_process import Outcome, Trader

SYMBOLS = tuple(
    f"{base}USDT"
    for base in (
        *("BTC", "ETH", "SOL", "XRP", "LTC", "BNB", "DOGE", "ADA", "LINK", "SUI", "AVAX", "TRX"),
        *("BCH", "DOT", "NEAR", "APT", "ARB", "OP", "FIL", "ETC", "UNI", "AAVE", "XLM", "ATOM"),
    )
)
LANES = 8
LEVERAGE = 7

_OWN = "trd-"
_THIRD_TIME = 62751
"""A seed whose chance of one half does not strike twice, and then strikes fourteen times."""

_CELLS_A_JOB = 12
_CONFIG = """\
[risk]
max_position_usd = 1000
max_total_exposure_usd = 100000

[paper]
rate_limits = false

[network]
recv_window_ms = 1000
timeout_s = {timeout_s}
"""
_PATIENCE = {"patient.toml": 10, "hasty.toml": 2}


Row = tuple[int, str, str, str]
"""An order as counted: number, status, price, quantity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """All that another program sees of one symbol.

    Attributes:
        orders, algos: every order of ours there ever was, ended ones too.
        position: signed, without what strangers traded. leverage: as set.
    """

    orders: tuple[Row, ...]
    algos: tuple[Row, ...]
    position: Decimal
    leverage: int


@unique
class Needs(StrEnum):
    """What must be there before a write makes sense."""

    NOTHING = "nothing"
    ORDER = "a resting order"
    POSITION = "a position"
    STOP = "a position with its stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One command that changes something.

    Attributes:
        words: the command; `{symbol}` and `{id}` (of the order or stop it needs) are filled in.
        method, path: the request that makes the change.
        told_by: the query that would tell what came of it.
        asks_before: the command makes that query before the change, too, twice.
        asked_by: the command that tells what came of it, "" for the one that the error names.
        is_done: whether the second tally is the first one with the change made, exactly once.
    """

    name: str
    words: str
    method: str
    path: str
    told_by: str
    needs: Needs
    is_done: Callable[[Tally, Tally], bool]
    asks_before: bool = False
    asked_by: str = ""


def _placed(before: Tally, after: Tally) -> bool:
    new = after.orders[len(before.orders) :]
    return len(new) == 1 and new[0][1] == "NEW" and after.position == before.position


def _bought(before: Tally, after: Tally) -> bool:
    new = after.orders[len(before.orders) :]
    return len(new) == 1 and new[0][1] == "FILLED" and after.position == Decimal(new[0][3])


def _amended(before: Tally, after: Tally) -> bool:
    (number, status, price, quantity), *more = after.orders
    [first] = before.orders
    same = (number, status, quantity) == (first[0], first[1], first[3]) and not more
    return same and Decimal(price) < Decimal(first[2])


def _cancelled(before: Tally, after: Tally) -> bool:
    [(number, _, *rest)] = before.orders
    return after.orders == ((number, "CANCELED", *rest),)


def _stop_placed(before: Tally, after: Tally) -> bool:
    new = after.algos[len(before.algos) :]
    return len(new) == 1 and new[0][1] == "NEW" and after.position == before.position


def _stop_cancelled(before: Tally, after: Tally) -> bool:
    [(number, _, *rest)] = before.algos
    same = after.position == before.position and after.orders == before.orders
    return same and after.algos == ((number, "CANCELED", *rest),)


def _leverage_set(before: Tally, after: Tally) -> bool:
    return after.leverage == LEVERAGE and after.orders == before.orders


WRITES = (
    Write(
        name="place",
        words="order limit {symbol} buy -2% --usd 200",
        method="POST",
        path="/fapi/v1/order",
        told_by="/fapi/v1/order",
        needs=Needs.NOTHING,
        is_done=_placed,
    ),
    Write(
        name="place-market",
        words="order market {symbol} buy --usd 200",
        method="POST",
        path="/fapi/v1/order",
        told_by="/fapi/v1/order",
        needs=Needs.NOTHING,
        is_done=_bought,
    ),
    Write(
        name="amend",
        words="order amend {id} --price -4%",
        method="PUT",
        path="/fapi/v1/order",
        told_by="/fapi/v1/order",
        needs=Needs.ORDER,
        is_done=_amended,
    ),
    Write(
        name="cancel",
        words="order cancel {id}",
        asked_by="order resolve {id}",
        method="DELETE",
        path="/fapi/v1/order",
        told_by="/fapi/v1/order",
        needs=Needs.ORDER,
        is_done=_cancelled,
    ),
    Write(
        name="algo-place",
        words="order stop-loss {symbol} -3%",
        method="POST",
        path="/fapi/v1/algoOrder",
        told_by="/fapi/v1/algoOrder",
        needs=Needs.POSITION,
        is_done=_stop_placed,
    ),
    Write(
        name="algo-cancel",
        words="order cancel {id}",
        asked_by="order resolve {id}",
        method="DELETE",
        path="/fapi/v1/algoOrder",
        told_by="/fapi/v1/algoOrder",
        needs=Needs.STOP,
        is_done=_stop_cancelled,
    ),
    Write(
        name="leverage",
        words=f"position leverage {{symbol}} {LEVERAGE}",
        method="POST",
        path="/fapi/v1/leverage",
        told_by="/fapi/v1/symbolConfig",
        needs=Needs.NOTHING,
        is_done=_leverage_set,
        asks_before=True,
        asked_by="position leverage {symbol}",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What goes wrong while the command runs.

    Attributes:
        arms: what the exchange is told to do, in order; `{method}`, `{path}` and `{symbol}` are
            the write's.
        hasty: the command waits two seconds for an answer, not ten.
        meddles: somebody else changes the same things.
        fires: the stop that is there is made to fire.
    """

    name: str
    arms: tuple[dict[str, object], ...]
    hasty: bool = False
    meddles: bool = False
    fires: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One write under one trouble."""

    write: Write
    trouble: Trouble

    def __str__(self) -> str:
        return f"{self.write.name}-{self.trouble.name}"


@dataclass(slots=True, kw_only=True)
class Trial:
    """What one cell came to.

    Attributes:
        opened, resolved, final, reopened: only after exit code 7: another entry on the symbol
            while nobody knows, the proof, what is there in the end, and an entry after that.
    """

    outcome: Outcome
    symbol: str
    before: Tally
    after: Tally
    struck: int
    opened: Outcome | None = None
    resolved: Outcome | None = None
    final: Tally | None = None
    reopened: Outcome | None = None


@dataclass(slots=True, kw_only=True)
class Lane:
    """One exchange with one home; one job at a time works with it."""

    trader: Trader
    other: OtherProgram = field(init=False)
    _steps: dict[str, Decimal] = field(init=False)

    def __post_init__(self) -> None:
        for name, timeout_s in _PATIENCE.items():
            text = _CONFIG.format(timeout_s=timeout_s)
            (self.trader.root / name).write_text(text)
        started = self.trader.json("paper", "start", "--config", "patient.toml").data
        names = ("rest_url", "api_key", "api_secret")
        self.other = OtherProgram(**{name: started[name] for name in names})
        self._steps = self._read_steps()

    def stop(self) -> None:
        self.trader.json("paper", "stop")

    def switch(self, method: str, path: str, values: dict[str, object]) -> Any:
        """Use one of the exchange's own switches."""
        query = urlencode(values)
        url = f"{self.other.rest_url}{path}?{query}"
        request = Request(url, method=method, headers={"X-MBX-APIKEY": self.other.api_key})
        with urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def run(self, words: Sequence[str], *, hasty: bool = False) -> Outcome:
        config = "hasty.toml" if hasty else "patient.toml"
        return self.trader.json(*words, "--config", config)

    def tally(self, symbol: str) -> Tally:
        """Count what is there, by a program that is not ours."""
        orders = self.other.ask("GET", "/fapi/v1/allOrders", symbol=symbol)
        algos = self.other.ask("GET", "/fapi/v1/allAlgoOrders", symbol=symbol)
        positions = self.other.ask("GET", "/fapi/v2/positionRisk", symbol=symbol)
        strange = [row for row in orders if not row["clientOrderId"].startswith(_OWN)]
        traded = [
            Decimal(row["executedQty"]) * (1 if row["side"] == "BUY" else -1) for row in strange
        ]
        return Tally(
            orders=tuple(
                (row["orderId"], row["status"], row["price"], row["origQty"])
                for row in orders
                if row not in strange
            ),
            algos=tuple(
                (row["algoId"], row["algoStatus"], row["triggerPrice"], row["quantity"])
                for row in algos
                if row["clientAlgoId"].startswith(_OWN)
            ),
            position=sum((Decimal(row["positionAmt"]) for row in positions), -sum(traded)),
            leverage=int(positions[0]["leverage"]),
        )

    def strangers_quantity(self, symbol: str) -> str:
        """Return a quantity that a stranger can buy."""
        step = self._steps[symbol]
        price = Decimal(self.switch("GET", "/paper/price", {"symbol": symbol})["ask"])
        return str((200 / price / step).to_integral_value(ROUND_UP) * step)

    def let_fall(self, symbol: str) -> None:
        """Let the market fall by five percent."""
        price = Decimal(self.switch("GET", "/paper/price", {"symbol": symbol})["bid"])
        self.switch("POST", "/paper/price", {"symbol": symbol, "price": price * Decimal("0.95")})

    def _read_steps(self) -> dict[str, Decimal]:
        with urlopen(f"{self.other.rest_url}/fapi/v1/exchangeInfo", timeout=10) as answer:
            rows = json.load(answer)["symbols"]
        return {
            row["symbol"]: Decimal(rule["stepSize"])
            for row in rows
            for rule in row["filters"]
            if rule["filterType"] == "LOT_SIZE"
        }

    def begin(self, needs: Needs, symbols: Sequence[str]) -> dict[str, str]:
        """Start anew and put there what is needed; return its client order ids by symbol."""
        self.switch("DELETE", "/paper/fault", {})
        self.switch("POST", "/paper/reset", {})
        shutil.rmtree(self.trader.home / "paper", ignore_errors=True)
        ids: dict[str, str] = {}
        for kind in _STEPS[needs]:
            items = [{"symbol": symbol, **_ITEMS[kind]} for symbol in symbols]
            (self.trader.root / "batch.json").write_text(json.dumps(items))
            data = self.run(("order", "batch", "batch.json")).data
            for row in data["results"]:
                ids[row["order"]["symbol"]] = row["order"]["client_order_id"]
        return ids


_ITEMS: dict[str, dict[str, object]] = {
    "limit": {"order": "limit", "side": "buy", "usd": "200", "price": "-2%"},
    "market": {"order": "market", "side": "buy", "usd": "200"},
    "stop": {"order": "stop-loss", "price": "-3%"},
}
_STEPS = {
    Needs.NOTHING: (),
    Needs.ORDER: ("limit",),
    Needs.POSITION: ("market",),
    Needs.STOP: ("market", "stop"),
}


def jobs(cells: Sequence[Cell]) -> Iterator[list[Cell]]:
    """Cut the cells into pieces that need the same things to be there."""
    for needs in Needs:
        wanting = [cell for cell in cells if cell.write.needs is needs]
        pieces = -(-len(wanting) // _CELLS_A_JOB)
        for piece in range(pieces):
            yield wanting[piece::pieces]


class Matrix:
    """Tries cells on several exchanges at a time and tells what each came to."""

    def __init__(self, root: Path, cells: Sequence[Cell]) -> None:
        self._root = root
        self._mine = threading.local()
        self._lanes: list[Lane] = []
        self._pool = ThreadPoolExecutor(LANES)
        self._jobs: dict[str, Future[dict[str, Trial]]] = {}
        for job in jobs(cells):
            done = self._pool.submit(self._work, job)
            self._jobs |= dict.fromkeys(map(str, job), done)

    def trial(self, cell: Cell) -> Trial:
        """Return what a cell came to, when its job is done."""
        return self._jobs[str(cell)].result(timeout=180)[str(cell)]

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        for lane in self._lanes:
            lane.stop()

    def _lane(self) -> Lane:
        if not hasattr(self._mine, "lane"):
            root = self._root / threading.current_thread().name
            root.mkdir()
            self._mine.lane = Lane(trader=Trader(root=root))
            self._lanes.append(self._mine.lane)
        lane: Lane = self._mine.lane
        return lane

    def _work(self, job: Sequence[Cell]) -> dict[str, Trial]:
        lane = self._lane()
        ids = lane.begin(job[0].write.needs, SYMBOLS[: len(job)])
        return {
            str(cell): try_cell(lane, cell, symbol, ids.get(symbol, ""))
            for cell, symbol in zip(job, SYMBOLS, strict=False)
        }


@contextmanager
def matrix(root: Path, cells: Sequence[Cell]) -> Iterator[Matrix]:
    """Try `cells`; the exchanges end with the block."""
    running = Matrix(root, cells)
    try:
        yield running
    finally:
        running.close()


def try_cell(lane: Lane, cell: Cell, symbol: str, own_id: str) -> Trial:
    """Let one write meet its trouble, and see it through."""
    write, trouble = cell.write, cell.trouble
    before = lane.tally(symbol)
    facts = {
        "method": write.method,
        "path": write.path,
        "told_by": write.told_by,
        "symbol": symbol,
        "quantity": lane.strangers_quantity(symbol) if trouble.meddles else "",
    }
    for arm in trouble.arms:
        values = {name: str(value).format(**facts) for name, value in arm.items()}
        if write.asks_before and arm.get("path") == "{told_by}":
            values |= {"probability": "0.5", "seed": str(_THIRD_TIME)}
        lane.switch("POST", "/paper/fault", values)
    if trouble.fires and write.needs is Needs.STOP:
        lane.let_fall(symbol)
    words = [word.format(symbol=symbol, id=own_id) for word in write.words.split()]
    outcome = lane.run(words, hasty=trouble.hasty)
    armed = lane.switch("GET", "/paper/fault", {})["faults"]
    struck = len(trouble.arms) - len(armed) + sum(row["struck"] for row in armed)
    lane.switch("DELETE", "/paper/fault", {})
    trial = Trial(
        outcome=outcome, symbol=symbol, before=before, after=lane.tally(symbol), struck=struck
    )
    if outcome.code == 7:
        _resolve(lane, cell, trial, own_id)
    return trial


def _resolve(lane: Lane, cell: Cell, trial: Trial, own_id: str) -> None:
    """Find out by the command for it, after trying to open something else meanwhile."""
    asked = cell.write.asked_by.format(symbol=trial.symbol, id=own_id).split()
    if not asked:
        _, command, _ = trial.outcome.error["advice"].split("`")
        asked = command.removeprefix("trader ").split()
    another = ("order", "limit", trial.symbol, "buy", "-3%", "--usd", "200")
    trial.opened = lane.run(another)
    trial.resolved = lane.run(asked)
    trial.final = lane.tally(trial.symbol)
    trial.reopened = lane.run(another)


def _once(kind: str, **more: object) -> tuple[dict[str, object], ...]:
    return ({"kind": kind, "method": "{method}", "path": "{path}", **more},)


DOUBTS = ("unknown", "timeout", "silent", "dropped", "broken_body", "html")
"""Kinds that leave it open; each has one that fails before and one that fails after execution."""

# A ban that is over with the answer: the command that meets it has to end all the same.
_BAN_READS: dict[str, object] = {
    "kind": "banned",
    "method": "GET",
    "path": "{told_by}",
    "amount": 0,
    "forever": "true",
}
_AMNESIA: dict[str, object] = {"kind": "amnesia"}


def _both(kind: str) -> tuple[str, str]:
    return kind, f"{kind}_executed"


TROUBLES = (
    # one failed answer, then everything is as usual
    *(
        Trouble(name=kind, arms=_once(kind), hasty=kind.startswith("silent"))
        for doubt in DOUBTS
        for kind in _both(doubt)
    ),
    Trouble(name="unavailable", arms=_once("unavailable")),
    Trouble(name="overloaded", arms=_once("overloaded")),
    Trouble(name="internal", arms=_once("internal")),
    Trouble(name="maintenance", arms=({"kind": "maintenance"},)),
    Trouble(name="unavailable-for-ever", arms=_once("unavailable", forever="true")),
    *(
        Trouble(name=f"{kind}-for-ever", arms=_once(kind, forever="true"))
        for kind in _both("dropped")
    ),
    Trouble(name="too_many_requests", arms=_once("too_many_requests", amount=1)),
    Trouble(name="too_many_requests-long", arms=_once("too_many_requests", amount=30)),
    Trouble(name="banned", arms=_once("banned", amount=0)),
    # the answer fails, and so does the way to find out
    *(
        Trouble(name=f"{kind}-blind", arms=(*_once(kind), _BAN_READS))
        for doubt in ("unknown", "dropped", "broken_body")
        for kind in _both(doubt)
    ),
    *(Trouble(name=f"{kind}-amnesia", arms=(*_once(kind), _AMNESIA)) for kind in _both("dropped")),
    Trouble(name="amnesia", arms=(_AMNESIA,)),
    Trouble(name="blind", arms=(_BAN_READS,)),
    # how the exchange behaves
    Trouble(name="clock_skew-behind", arms=({"kind": "clock_skew", "amount": -5_000},)),
    Trouble(name="clock_skew-ahead", arms=({"kind": "clock_skew", "amount": 5_000},)),
    Trouble(name="cancel_only", arms=({"kind": "cancel_only", "path": "{symbol}"},)),
    Trouble(name="partial_fills", arms=({"kind": "partial_fills", "path": "{symbol}"},)),
    Trouble(name="stuck_triggering", arms=({"kind": "stuck_triggering", "path": "{symbol}"},)),
    Trouble(
        name="stuck_triggering-fired",
        arms=({"kind": "stuck_triggering", "path": "{symbol}"},),
        meddles=True,
        fires=True,
    ),
    # what the user stream tells
    *(
        Trouble(name=kind, arms=({"kind": kind, "times": 5},))
        for kind in ("events_delayed", "events_duplicated", "events_reordered")
    ),
    Trouble(name="streams_silent", arms=({"kind": "streams_silent"},)),
    *(
        Trouble(name=kind, arms=({"kind": kind, "path": "{path}", "method": "{method}"},))
        for kind in ("stream_disconnect", "listen_key_expired")
    ),
    # what strangers and the exchange itself do, right after the write or right before it
    Trouble(
        name="stop_vanished-after", arms=_once("stop_vanished", symbol="{symbol}"), meddles=True
    ),
    Trouble(
        name="foreign_order-after",
        arms=_once("foreign_order", symbol="{symbol}", quantity="{quantity}"),
        meddles=True,
    ),
    Trouble(
        name="foreign_cancel-after", arms=_once("foreign_cancel", symbol="{symbol}"), meddles=True
    ),
    Trouble(name="adl-after", arms=_once("adl", symbol="{symbol}"), meddles=True),
    *(
        Trouble(name=f"{kind}-before", arms=({"kind": kind, "symbol": "{symbol}"},), meddles=True)
        for kind in ("stop_vanished", "foreign_cancel")
    ),
)

CELLS = tuple(Cell(write=write, trouble=trouble) for trouble in TROUBLES for write in WRITES)
