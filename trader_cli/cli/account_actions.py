"""What the `trader account` commands do: read and show."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal

from trader_cli.cli.context import Desk
from trader_cli.cli.invocation import Answer, Json, Table
from trader_cli.cli.order_terms import known
from trader_cli.cli.output import cell, moment, pairs
from trader_cli.cli.records import TIME_HEAD, asset_json, number, summary_json
from trader_cli.config_environ import Environment
from trader_cli.domain.account import AccountSummary, IncomeRow, KeyRights
from trader_cli.errors import NotSent, Rejected


async def show_balance(desk: Desk) -> Answer:
    """Show every asset and the equity."""
    assets = [asset_json(row) for row in await desk.client.get_account_balance()]
    summary = await desk.client.get_account_summary()
    equity = number(summary.margin_balance)

    def tables() -> list[Table]:
        names = ("asset", "wallet_balance", "available_balance", "unrealized_pnl")
        rows = tuple(tuple(row[name] for name in names) for row in assets)
        heads = ("asset", "wallet", "available", "unrealized PnL")
        return [
            Table(title="Balances", columns=heads, rows=rows),
            Table(title=f"Equity: {equity} USDT", columns=()),
        ]

    return Answer(data={"assets": assets, "equity_usdt": equity}, tables=tables)


async def show_info(desk: Desk) -> Answer:
    """Show the account's totals and switches, its clock against ours, and what is used up.

    Weight and orders are the exchange's own counters, those of all processes together.
    """
    summary = summary_json(await desk.client.get_account_summary())
    weight, orders_10s, orders_1m = desk.client.used_up()
    data = summary | {
        "clock_offset_ms": desk.client.clock_offset_ms,
        "weight_used_1m": weight,
        "orders_used_10s": orders_10s,
        "orders_used_1m": orders_1m,
    }
    return Answer(data=data, tables=lambda: [pairs("Account", data)])


async def show_permissions(desk: Desk) -> Answer:
    """Show what the key may do; the exchange tells that of keys of the real exchange only."""
    summary, rights = await asyncio.gather(desk.client.get_account_summary(), _rights_or_none(desk))
    if rights is None:
        desk.invocation.say("the testnet does not tell what a key may do")
    elif rights.can_withdraw:
        desk.invocation.say("warning: this key may withdraw; trader never needs that right")
    elif not rights.ip_restricted:
        desk.invocation.say("warning: this key works from every address; restrict it to yours")
    data = _permissions_json(summary, rights)
    return Answer(data=data, tables=lambda: [pairs("Permissions", data)])


async def _rights_or_none(desk: Desk) -> KeyRights | None:
    try:
        return await desk.client.get_key_rights()
    except (Rejected, NotSent):
        if desk.settings.environment is Environment.TESTNET:
            return None
        raise


def _permissions_json(summary: AccountSummary, rights: KeyRights | None) -> Json:
    return {
        "account_can_trade": summary.can_trade,
        "account_can_withdraw": summary.can_withdraw,
        "key_known": rights is not None,
        "key_can_read": None if rights is None else rights.can_read,
        "key_can_trade_futures": None if rights is None else rights.can_trade_futures,
        "key_can_withdraw": None if rights is None else rights.can_withdraw,
        "key_can_transfer": None if rights is None else rights.can_transfer,
        "key_ip_restricted": None if rights is None else rights.ip_restricted,
        "key_created_ms": None if rights is None else rights.created_ms,
    }


async def show_income(
    desk: Desk, *, symbol: str | None, since_ms: int, income_type: str | None
) -> Answer:
    """Show the ledger's rows of the last `since_ms` milliseconds and their sums by type."""
    if symbol is not None:
        await known(desk, symbol)
    wanted = None if income_type is None else income_type.strip().upper()
    rows = [
        row
        for row in await desk.client.get_income(
            start_ms=desk.client.venue_now_ms() - since_ms, income_type=wanted
        )
        if symbol in (None, row.symbol)
    ]
    shown = [_income_json(row) for row in rows]
    data: Json = {"income": shown, "sums": _sums(rows)}

    def tables() -> list[Table]:
        columns = (TIME_HEAD, "symbol", "type", "amount", "asset", "info")
        cells = tuple(
            (moment(row["time_ms"]), *(cell(row[name]) for name in columns[1:])) for row in shown
        )
        title = "Income" if cells else "Income: none"
        sums = {
            name: ", ".join(f"{amount} {asset}" for asset, amount in amounts.items())
            for name, amounts in data["sums"].items()
        }
        return [
            Table(title=title, columns=columns, rows=cells),
            pairs("Sums" if sums else "Sums: none", sums),
        ]

    return Answer(data=data, tables=tables)


def _income_json(row: IncomeRow) -> Json:
    return {
        "symbol": row.symbol or None,
        "type": row.income_type,
        "amount": number(row.amount),
        "asset": row.asset,
        "info": row.info,
        "transaction_id": row.transaction_id,
        "trade_id": row.trade_id or None,
        "time_ms": row.time_ms,
    }


def _sums(rows: Sequence[IncomeRow]) -> dict[str, dict[str, str | None]]:
    """Return sums by type and asset; amounts in different assets are never added up."""
    sums: dict[str, dict[str, Decimal]] = {}
    for row in rows:
        of_type = sums.setdefault(row.income_type, {})
        of_type[row.asset] = of_type.get(row.asset, Decimal(0)) + row.amount
    return {
        name: {asset: number(amount) for asset, amount in amounts.items()}
        for name, amounts in sorted(sums.items())
    }


async def show_fees(desk: Desk, symbols: list[str] | None) -> Answer:
    """Show commissions, as fractions of notional."""
    names = list(dict.fromkeys(symbols or desk.settings.bridge.symbols))
    for name in names:
        await known(desk, name)
    summary = await desk.client.get_account_summary()
    rates = await asyncio.gather(*(_rates(desk, name) for name in names))
    data: Json = {"fee_tier": summary.fee_tier, "fees": list(rates)}

    def tables() -> list[Table]:
        columns = ("symbol", "maker_rate", "taker_rate")
        cells = tuple(tuple(cell(row[name]) for name in columns) for row in rates)
        title = f"Fees, tier {summary.fee_tier}"
        return [Table(title=title, columns=("symbol", "maker", "taker"), rows=cells)]

    return Answer(data=data, tables=tables)


async def _rates(desk: Desk, symbol: str) -> Json:
    maker, taker = await desk.client.get_commission_rate(symbol)
    return {"symbol": symbol, "maker_rate": number(maker), "taker_rate": number(taker)}


async def show_mode(desk: Desk) -> Answer:
    """Show the switches that hold for the whole account."""
    summary = await desk.client.get_account_summary()
    data: Json = {
        "position_mode": "hedge" if summary.hedge_mode else "one-way",
        "multi_assets_mode": summary.multi_assets_mode,
    }
    return Answer(data=data, tables=lambda: [pairs("Mode", data)])
