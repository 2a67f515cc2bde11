"""The shapes of `--json` as the contract has them: one model a command, held strictly.

Knows `docs/cli-contract.md` and no code of ours. A field that is missing, one too many, a number
where a decimal string is promised: each is a failure. `python -m tests.support.cli_shapes` writes
the same as a JSON Schema for other people's scripts, which must pass over fields they do not know.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

PUBLISHED = Path(__file__).parents[2] / "docs" / "schema" / "cli.json"
SCHEMA = 1

Amount = Annotated[str, Field(pattern=r"^-?\d+(\.\d+)?$")]
"""A decimal string: money, a price, a quantity or a percentage."""
Size = Annotated[str, Field(pattern=r"^\d+(\.\d+)?$")]
"""A decimal string that is never negative."""
Millis = Annotated[int, Field(ge=1_000_000_000_000)]
"""UTC epoch milliseconds."""
Count = Annotated[int, Field(ge=0)]
Symbol = Annotated[str, Field(pattern=r"^[A-Z0-9_]+$")]

Side = Literal["BUY", "SELL"]
PositionSide = Literal["BOTH", "LONG", "SHORT"]
Mode = Literal["one-way", "hedge"]
MarginType = Literal["isolated", "cross"]
OrderType = Literal[
    "LIMIT",
    "MARKET",
    "STOP",
    "STOP_MARKET",
    "TAKE_PROFIT",
    "TAKE_PROFIT_MARKET",
    "TRAILING_STOP_MARKET",
    "LIQUIDATION",
]
Status = Literal[
    "NEW",
    "PARTIALLY_FILLED",
    "FILLED",
    "CANCELED",
    "EXPIRED",
    "EXPIRED_IN_MATCH",
    "REJECTED",
    "TRIGGERING",
    "TRIGGERED",
    "FINISHED",
]
WorkEnd = Literal[
    "filled", "deadline", "chased_too_far", "withdrawn", "too_small", "attempts", "failed"
]


class Shape(BaseModel):
    """What is not named is not there, and nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


# --- the envelope ---------------------------------------------------------------------------------

EXIT_CODES: Mapping[str, int] = {
    "bug": 1,
    "usage": 2,
    "config": 2,
    "permission": 3,
    "refused": 4,
    "rejected": 5,
    "not_sent": 6,
    "unknown": 7,
    "rate_limited": 8,
    "halted": 9,
    "partial": 10,
    "not_flat": 11,
}


class Failure(Shape):
    """Why a command failed; `code` is the exchange's number or the name of our rule."""

    kind: Literal[
        "bug",
        "usage",
        "config",
        "permission",
        "refused",
        "rejected",
        "not_sent",
        "unknown",
        "rate_limited",
        "halted",
        "partial",
        "not_flat",
    ]
    code: int | str | None
    message: Annotated[str, Field(min_length=1)]
    advice: Annotated[str, Field(min_length=1)] | None


class Succeeded(Shape):
    """The envelope of a command that did what it was asked."""

    schema_: Annotated[Literal[1], Field(alias="schema")]
    env: str
    command: str
    ok: Literal[True]
    data: dict[str, Any]


class Failed(Shape):
    """The envelope of a command that did not, or not in full: then with `data`."""

    schema_: Annotated[Literal[1], Field(alias="schema")]
    env: str | None
    command: str
    ok: Literal[False]
    data: dict[str, Any] | None = None
    error: Failure


# --- orders ---------------------------------------------------------------------------------------


class Order(Shape):
    """An order of either world."""

    kind: Literal["order", "algo"]
    symbol: Symbol
    order_id: int | None
    algo_id: int | None
    client_order_id: str | None
    side: Side | None
    position_side: PositionSide | None
    type: OrderType | None
    status: Status | None
    quantity: Size | None
    filled_quantity: Size | None
    price: Size | None
    average_price: Size | None
    trigger_price: Size | None
    activate_price: Size | None
    callback_rate: Size | None
    time_in_force: Literal["GTC", "IOC", "FOK", "GTX", "GTD"] | None
    reduce_only: bool | None
    close_position: bool | None
    working_type: Literal["MARK_PRICE", "CONTRACT_PRICE"] | None
    own: bool
    created_ms: Millis | None
    updated_ms: Millis | None


class PlannedOrder(Order):
    """What `--dry-run` of a placing would send."""

    dry_run: Literal[True]
    notional: Size | None
    notes: list[str]


class ValidatedOrder(Order):
    """What the exchange would take."""

    validated: Literal[True]
    notes: list[str]


class UntouchedOrder(Order):
    """What `order cancel --dry-run` would cancel."""

    dry_run: Literal[True]


class Change(Shape):
    price: Size | None
    quantity: Size | None


class UnchangedOrder(Order):
    """What `order amend --dry-run` would change."""

    dry_run: Literal[True]
    change: Change


class PlannedBatchOrder(Order):
    dry_run: Literal[True]


class BatchRow(Shape):
    item: Annotated[int, Field(ge=1)]
    ok: bool
    order: Order | PlannedBatchOrder | None
    error: Failure | None


class Batch(Shape):
    results: list[BatchRow]
    placed: Count
    failed: Count


class Worked(Shape):
    """What `order smart` came to."""

    symbol: Symbol
    side: Side
    quantity: Size
    filled_quantity: Size
    average_price: Size | None
    maker_quantity: Size
    maker_share: Size | None
    arrival_price: Size
    slippage_bps: Amount | None
    chase_cost_bps: Amount | None
    fees_saved_usdt: Amount | None
    amendments: Count
    reason: WorkEnd
    orders: list[Order]


class Bracket(Shape):
    entry: Order | None
    stop: Order | None
    take_profit: Order | None
    trailing: Order | None
    filled_quantity: Size
    average_price: Size | None
    unprotected_ms: Count | None
    closed_again: bool


class PlannedBracket(Shape):
    dry_run: Literal[True]
    entry: Order
    stop_price: Size
    take_profit_price: Size | None
    loss_at_stop: Size
    notes: list[str]


class Trade(Shape):
    symbol: Symbol
    trade_id: int
    order_id: int
    side: Side
    position_side: PositionSide
    price: Size
    quantity: Size
    notional: Size
    realized_pnl: Amount
    commission: Amount
    commission_asset: str
    maker: bool
    time_ms: Millis


class Orders(Shape):
    orders: list[Order]


class Trades(Shape):
    trades: list[Trade]


class Resolved(Shape):
    client_order_id: str
    status: (
        Literal[
            "intended",
            "sent",
            "unknown",
            "open",
            "partly_filled",
            "filled",
            "canceled",
            "rejected",
            "not_executed",
        ]
        | None
    )
    order: Order | None


class Resolution(Shape):
    orders: list[Resolved]
    removed: list[Order]


class CancelFailure(Shape):
    order: Order
    message: str


class Swept(Shape):
    cancelled: list[Order]
    kept: list[Order]
    failed: list[CancelFailure]


class Unswept(Shape):
    dry_run: Literal[True]
    resting: list[Order]


# --- positions ------------------------------------------------------------------------------------


class Position(Shape):
    symbol: Symbol
    side: Literal["LONG", "SHORT"] | None
    quantity: Size
    entry_price: Size
    mark_price: Size
    notional: Size
    leverage: Count | None
    margin_type: MarginType | None
    unrealized_pnl: Amount
    roi_pct: Amount | None
    liquidation_price: Size | None
    stop_price: Size | None
    take_profit_price: Size | None
    protected: bool
    unprotected_seconds: Size | None


class ListedPosition(Position):
    own: bool


class Positions(Shape):
    positions: list[ListedPosition]


class Opened(Shape):
    position: ListedPosition | None
    filled_quantity: Size
    average_price: Size | None
    leverage: Count | None
    reason: WorkEnd
    orders: list[Order]
    exits: list[Order]
    closed_again: bool
    notes: list[str]


class PlannedOpening(Shape):
    dry_run: Literal[True]
    symbol: Symbol
    side: Literal["LONG", "SHORT"]
    quantity: Size
    notional: Size
    leverage: Count


class Closed(Shape):
    flat: bool
    closed: list[Position]
    orders: list[Order]
    removed: list[Order]


class PlannedClosing(Shape):
    dry_run: Literal[True]
    positions: list[Position]


class Reduced(Closed):
    position: Position | None


class PlannedReduction(Shape):
    dry_run: Literal[True]
    position: Position
    quantity: Size
    left: Size


class Protected(Shape):
    position: ListedPosition | None
    exits: list[Order]


class PlannedProtection(Shape):
    dry_run: Literal[True]
    position: Position


class Adopted(Protected):
    adopted: bool
    advisor: str | None


class PlannedAdoption(PlannedProtection):
    advisor: str


class Drift(Shape):
    kind: str
    symbol: Symbol
    position_side: PositionSide | None
    believed: Amount | None
    actual: Amount | None
    cause: (
        Literal[
            "liquidation",
            "adl",
            "settlement",
            "stop_hit",
            "target_hit",
            "manual",
            "other_program",
            "own_order",
            "unknown",
        ]
        | None
    )
    expected: bool
    message: str
    client_order_ids: list[str]


class Proven(Shape):
    client_order_id: str
    symbol: Symbol
    before: str
    after: str


class Unproven(Shape):
    client_order_id: str
    symbol: Symbol
    message: str


class Foreign(Shape):
    symbol: Symbol
    policy: Literal["ignore", "alert", "protect", "adopt", "refuse"]
    positions: list[Position]
    orders: list[Order]


class CaredFor(Shape):
    symbol: Symbol
    position_side: PositionSide
    policy: Literal["protect", "adopt"]
    done: bool
    message: str | None


class Synced(Shape):
    drifts: list[Drift]
    resolved: list[Proven]
    unresolved: list[Unproven]
    foreign: list[Foreign]
    cared_for: list[CaredFor]
    positions: list[ListedPosition]


class PositionPnl(Shape):
    symbol: Symbol
    side: Literal["LONG", "SHORT"]
    quantity: Size
    entry_price: Size
    mark_price: Size
    break_even_price: Amount | None
    realized: Amount
    unrealized: Amount
    fees: Amount
    funding: Amount
    pnl: Amount
    fees_other: dict[str, Amount]
    roi_pct: Amount | None
    liquidation_price: Size | None
    liquidation_distance_pct: Amount | None
    opened_ms: Millis | None


class DayPnl(Shape):
    realized: Amount
    unrealized: Amount
    fees: Amount
    funding: Amount
    pnl: Amount
    other_assets: dict[str, Amount]


class Pnl(Shape):
    positions: list[PositionPnl]
    day: DayPnl


class Leverage(Shape):
    symbol: Symbol
    leverage: Count
    max_leverage: Count
    margin_type: MarginType


class PositionMargin(Shape):
    side: Literal["LONG", "SHORT"]
    quantity: Size
    isolated_margin: Amount | None
    maintenance_margin: Amount | None
    liquidation_price: Size | None
    liquidation_distance_pct: Amount | None


class Margin(Shape):
    symbol: Symbol
    leverage: Count
    margin_type: MarginType
    positions: list[PositionMargin] | None


class ModeChange(Shape):
    mode: Mode
    changed: bool


# --- the account ----------------------------------------------------------------------------------


class Asset(Shape):
    asset: str
    wallet_balance: Amount
    available_balance: Amount
    unrealized_pnl: Amount


class Balance(Shape):
    assets: list[Asset]
    equity_usdt: Amount


class Info(Shape):
    equity_usdt: Amount
    wallet_balance: Amount
    unrealized_pnl: Amount
    available_balance: Amount
    initial_margin: Size
    maintenance_margin: Size
    can_trade: bool
    can_withdraw: bool
    position_mode: Mode
    multi_assets_mode: bool
    fee_tier: Count
    updated_ms: Count
    clock_offset_ms: int
    weight_used_1m: Count
    orders_used_10s: Count
    orders_used_1m: Count


class Permissions(Shape):
    account_can_trade: bool
    account_can_withdraw: bool
    key_known: bool
    key_can_read: bool | None
    key_can_trade_futures: bool | None
    key_can_withdraw: bool | None
    key_can_transfer: bool | None
    key_ip_restricted: bool | None
    key_created_ms: Millis | None


class IncomeRow(Shape):
    symbol: Symbol | None
    type: str
    amount: Amount
    asset: str
    info: str
    transaction_id: int
    trade_id: str | None
    time_ms: Millis


class Income(Shape):
    income: list[IncomeRow]
    sums: dict[str, dict[str, Amount]]


class Rates(Shape):
    symbol: Symbol
    maker_rate: Amount
    taker_rate: Amount


class Fees(Shape):
    fee_tier: Count
    fees: list[Rates]


class AccountMode(Shape):
    position_mode: Mode
    multi_assets_mode: bool


# --- risk and kill --------------------------------------------------------------------------------


class Halt(Shape):
    symbol: Symbol | None
    reason: str
    by: str
    rule: str | None
    since_ms: Millis
    until_ms: Millis | None


class Limits(Shape):
    max_position_usd: Size
    max_total_exposure_usd: Size
    max_leverage: Count
    max_daily_loss_usd: Size
    max_daily_loss_pct: Size
    emergency_stop_pct: Size
    price_band_pct: Size
    stale_price_s: Size
    assumed_stop_pct: Size
    on_day_limit: Literal["close", "stop"]
    max_loss_per_trade_usd: Size | None
    cool_down_after_loss_s: Count | None
    max_orders_per_minute: Count | None


class Day(Shape):
    realized: Amount
    unrealized: Amount
    fees: Amount
    funding: Amount
    pnl: Amount
    loss_limit_usd: Size
    loss_limit_pct: Size
    used_pct: Amount


class Total(Shape):
    pnl: Amount
    drawdown_pct: Size


class RiskStatus(Shape):
    halted: bool
    halt_reason: str | None
    halts: list[Halt]
    limits: Limits
    day: Day
    total: Total
    exposure_usd: Size
    open_positions: Count


class RiskLimits(Shape):
    limits: Limits
    waiting: dict[str, int | str | None]


class Checked(Shape):
    allowed: Literal[True]
    order: Order
    notes: list[str]


class Halted(Shape):
    halted: bool
    halts: list[Halt]


class UnchangedHalt(Shape):
    dry_run: Literal[True]
    halted: bool
    halts: list[Halt]


class Resumed(Halted):
    lifted: list[Halt]


class UnchangedResume(UnchangedHalt):
    lifted: list[Halt]


class EnvironmentKilled(Shape):
    env: str
    done: bool
    flat: bool
    halted: bool
    cancelled: list[Order]
    closed: list[Position]
    remaining: list[Order | Position]
    rounds: Count
    elapsed_ms: Count
    problems: list[str]


class Killed(Shape):
    flat: bool
    halted: bool
    cancelled: list[Order]
    closed: list[Position]
    remaining: list[Order | Position]
    rounds: Count
    elapsed_ms: Count
    environments: list[EnvironmentKilled]


class Named(Shape):
    env: str


class PlannedKill(Shape):
    dry_run: Literal[True]
    environments: list[Named]


# --- the paper exchange ---------------------------------------------------------------------------


class Fault(Shape):
    number: Count
    kind: str
    method: str
    path: str
    times_left: Count | None
    probability: Annotated[float, Field(gt=0, le=1)]
    until_ms: Millis | None
    amount: int
    struck: Count
    symbol: str | None = None
    side: str | None = None
    quantity: Size | None = None
    price: Size | None = None
    position_side: str | None = None


class ArmedFault(Fault):
    happened: bool


class Faults(Shape):
    faults: list[Fault]
    kinds: list[str]


class ClearedFaults(Shape):
    cleared: Count


class PaperStatus(Shape):
    """A running exchange, or where the last one was."""

    running: bool
    pid: Count | None
    rest_url: str | None
    stream_url: str | None
    api_key: str | None
    api_secret: str | None
    market: Literal["synthetic", "replay", "mirror"] | None
    seed: int | None
    symbols: list[Symbol]
    time_ms: Millis | None
    wallet: Amount | None = None
    available: Amount | None = None
    open_orders: Size | None = None
    open_algo_orders: Size | None = None
    positions: Size | None = None
    latency_ms: Count | None = None
    rate_limits: bool | None = None
    faults: list[Fault] | None = None
    connections: Count | None = None
    started_ms: Millis | None = None
    files: list[str] | None = None
    speed: Size | None = None
    replay_until_ms: Millis | None = None
    replay_ended: bool | None = None
    upstream: str | None = None
    upstream_stream: str | None = None
    mirrored: list[Symbol] | None = None
    stale: list[Symbol] | None = None


class PaperStopped(Shape):
    running: Literal[False]
    was_running: bool


class PaperReset(Shape):
    reset: bool
    balance: Size | None


class PaperPrice(Shape):
    symbol: Symbol
    bid: Size
    ask: Size
    last_price: Size
    mark_price: Size
    time_ms: Millis


# --- the commands ---------------------------------------------------------------------------------

_PLACED = Order | PlannedOrder | ValidatedOrder
_BRACKETED = Bracket | PlannedBracket
DATA: Mapping[str, type[Shape] | UnionType] = {
    "account balance": Balance,
    "account info": Info,
    "account permissions": Permissions,
    "account income": Income,
    "account fees": Fees,
    "account mode": AccountMode,
    "order limit": _PLACED | _BRACKETED,
    "order market": _PLACED | _BRACKETED,
    "order smart": Worked | PlannedOrder | ValidatedOrder,
    "order bracket": _BRACKETED,
    "order stop-loss": Order | PlannedOrder,
    "order take-profit": Order | PlannedOrder,
    "order trailing-stop": Order | PlannedOrder,
    "order batch": Batch,
    "order list": Orders,
    "order show": Order,
    "order history": Orders,
    "order trades": Trades,
    "order amend": Order | UnchangedOrder,
    "order cancel": Order | UntouchedOrder,
    "order cancel-all": Swept | Unswept,
    "order resolve": Resolution,
    "position list": Positions,
    "position open": Opened | PlannedOpening,
    "position add": Opened | PlannedOpening,
    "position reduce": Reduced | PlannedReduction,
    "position close": Closed | PlannedClosing,
    "position protect": Protected | PlannedProtection,
    "position sync": Synced,
    "position adopt": Adopted | PlannedAdoption,
    "position leverage": Leverage,
    "position margin": Margin,
    "position mode": ModeChange,
    "position pnl": Pnl,
    "risk status": RiskStatus,
    "risk limits": RiskLimits,
    "risk check": Checked,
    "risk halt": Halted | UnchangedHalt,
    "risk resume": Resumed | UnchangedResume,
    "kill": Killed | PlannedKill,
    "paper start": PaperStatus,
    "paper stop": PaperStopped,
    "paper status": PaperStatus,
    "paper reset": PaperReset,
    "paper price": PaperPrice,
    "paper fault": ArmedFault | Faults | ClearedFaults,
}
"""What `data` is, by the envelope's `command`. `run` and `paper serve` have none."""

_ENVELOPE: TypeAdapter[Succeeded | Failed] = TypeAdapter(Succeeded | Failed)
_ADAPTERS: dict[str, TypeAdapter[Any]] = {name: TypeAdapter(DATA[name]) for name in DATA}


def check_envelope(value: object, exit_code: int) -> None:
    """Hold what a command printed, and its exit code, against the contract.

    Raises:
        pydantic.ValidationError, AssertionError: it is something else.
    """
    envelope = _ENVELOPE.validate_python(value)
    assert exit_code == (EXIT_CODES[envelope.error.kind] if isinstance(envelope, Failed) else 0)
    if envelope.data is not None:
        _ADAPTERS[envelope.command].validate_python(envelope.data)


def published() -> str:
    """Return the JSON Schema of the envelope; it lets fields pass that are added later."""
    names = list(DATA)
    adapters = [(name, "validation", _ADAPTERS[name]) for name in names]
    refs, shared = TypeAdapter.json_schemas(adapters, ref_template="#/$defs/{model}")
    cases = [
        {
            "if": {"properties": {"command": {"const": name}}, "required": ["data"]},
            "then": {"properties": {"data": refs[name, "validation"]}},
        }
        for name in names
    ]
    definitions = shared["$defs"] | {"Failure": Failure.model_json_schema()}
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What `trader COMMAND --json` prints",
        "type": "object",
        "required": ["schema", "env", "command", "ok"],
        "properties": {
            "schema": {"const": SCHEMA},
            "env": {"type": ["string", "null"]},
            "command": {"type": "string"},
            "ok": {"type": "boolean"},
            "data": {"type": "object"},
            "error": {"$ref": "#/$defs/Failure"},
        },
        "if": {"properties": {"ok": {"const": True}}},
        "then": {"required": ["data"]},
        "else": {"required": ["error"]},
        "allOf": cases,
        "$defs": definitions,
    }
    return json.dumps(_open(whole), indent=1, ensure_ascii=False) + "\n"


def _open(value: Any) -> Any:
    """Return a schema without the ban on further fields, and without pydantic's titles."""
    if isinstance(value, dict):
        return {
            name: _open(inner)
            for name, inner in value.items()
            if name != "additionalProperties" or isinstance(inner, dict)
            if name != "title" or not isinstance(inner, str) or "trader" in inner
        }
    if isinstance(value, list):
        return [_open(inner) for inner in value]
    return value


if __name__ == "__main__":
    PUBLISHED.parent.mkdir(exist_ok=True)
    PUBLISHED.write_text(published(), encoding="utf-8")
