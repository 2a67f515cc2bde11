"""`trader paper`: the embedded exchange as a process. Acts on the paper environment only."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trader_cli.cli import paper_market
from trader_cli.cli.arguments import Symbol, positive_number
from trader_cli.cli.invocation import Answer, Invocation, Json, Table, invocation_of
from trader_cli.cli.output import pairs
from trader_cli.cli.paper_fault import app as fault_app
from trader_cli.cli.paper_home import settings_of_paper
from trader_cli.cli.records import number
from trader_cli.clock import SystemClock

if TYPE_CHECKING:
    from trader_cli.paper.process import PaperOptions

app = typer.Typer(
    help="The embedded paper exchange: it outlives the command that starts it.",
    rich_markup_mode=None,
    add_completion=False,
)
app.add_typer(fault_app, name="fault")


@app.command("serve", help="Run the exchange in the foreground until Ctrl-C.")
@app.command(
    "start", help="Start the exchange in the background; one that runs already is left running."
)
def begin(
    context: typer.Context,
    files: paper_market.Files = None,
    market: paper_market.Kind = None,
    speed: paper_market.Speed = None,
    seed: paper_market.Seed = None,
    symbols: paper_market.Symbols = None,
    begins: paper_market.Begins = None,
    latency: paper_market.Latency = None,
    upstream: paper_market.Upstream = None,
    upstream_stream: paper_market.UpstreamStream = None,
) -> Answer | int:
    """Begin to serve the market that was asked for: one command by two names."""
    invocation = invocation_of(context)
    settings = settings_of_paper(invocation)
    options = paper_market.market_options(
        settings.paper,
        market=market,
        files=files,
        speed=speed,
        seed=seed,
        symbols=symbols,
        start_ms=begins,
        latency_ms=latency,
        upstream_url=upstream,
        upstream_stream_url=upstream_stream,
    )
    if context.info_name == "serve":
        return _serve(invocation, settings.home, options)
    return _start(settings.home, options, market)


def _serve(invocation: Invocation, home: Path, options: PaperOptions) -> int:
    from trader_cli.paper.serving.service import serve

    serve(
        home,
        options,
        on_ready=lambda endpoint: invocation.say(f"serving on {endpoint.rest_url}, Ctrl-C ends it"),
    )
    return 0


def _start(home: Path, options: PaperOptions, market: str | None) -> Answer:
    from trader_cli.paper.process import ensure_running

    ensure_running(home, SystemClock(), options)
    answer = _status("Paper exchange", home)
    paper_market.check_runs(market, answer.data.get("market"))
    return answer


@app.command("stop")
def stop(context: typer.Context) -> Answer:
    """Stop the exchange; its state stays."""
    from trader_cli.paper.process import stop as stop_exchange

    settings = settings_of_paper(invocation_of(context))
    was_running = stop_exchange(settings.home, SystemClock())
    title = "Stopped" if was_running else "It was not running"
    data: Json = {"running": False, "was_running": was_running}
    return Answer(data=data, tables=lambda: [Table(title=title, columns=())])


@app.command("status")
def status(context: typer.Context) -> Answer:
    """Show whether it runs, where, and its key pair, which protects play money only."""
    return _status("Paper exchange", settings_of_paper(invocation_of(context)).home)


@app.command("reset")
def reset(
    context: typer.Context,
    balance: Annotated[
        Decimal | None,
        typer.Option("--balance", parser=positive_number, metavar="N", help="USDT to begin with"),
    ] = None,
) -> Answer:
    """Begin anew with a fresh account; asks first. A halt stays."""
    import asyncio

    from trader_cli.cli.equity_mark import mark_present_equity
    from trader_cli.journal.ban import FileBanStore
    from trader_cli.paper.process import ensure_running
    from trader_cli.paper.process import reset as reset_exchange

    invocation = invocation_of(context)
    settings = settings_of_paper(invocation)
    title = "Would be reset; nothing was done"
    if not invocation.shared.dry_run:
        invocation.confirm("Erase the paper account's positions, orders and history?")
        ensure_running(settings.home, SystemClock(), settings.paper)
        amount = settings.paper.balance if balance is None else balance
        reset_exchange(settings.home, amount)
        for path in (settings.ban_path, settings.firewall_path):
            FileBanStore(path).set(0)
        asyncio.run(mark_present_equity(invocation, settings, account_is_new=True))
        title = "Reset"
    data: Json = {"reset": not invocation.shared.dry_run, "balance": number(balance)}
    return Answer(data=data, tables=lambda: [Table(title=title, columns=())])


@app.command("price")
def price(
    context: typer.Context,
    symbol: Symbol,
    new_price: Annotated[
        Decimal | None,
        typer.Argument(parser=positive_number, metavar="[PRICE]", help="jump there and go on"),
    ] = None,
) -> Answer:
    """Show a symbol's prices, or let its market jump to a price."""
    from trader_cli.paper.process import ensure_running
    from trader_cli.paper.process import price as ask_price

    settings = settings_of_paper(invocation_of(context))
    ensure_running(settings.home, SystemClock(), settings.paper)
    data = ask_price(settings.home, symbol, new_price)
    return Answer(data=data, tables=lambda: [pairs("Price", data)])


def _status(title: str, home: Path) -> Answer:
    from trader_cli.paper.process import recorded_endpoint
    from trader_cli.paper.process import status as ask_status

    told = ask_status(home)
    endpoint = recorded_endpoint(home)
    known = told is not None and endpoint is not None
    data: Json = {
        "running": known,
        "pid": endpoint.pid if known and endpoint else None,
        "rest_url": endpoint.rest_url if endpoint else None,
        "stream_url": endpoint.stream_url if endpoint else None,
        "api_key": endpoint.api_key if endpoint else None,
        "api_secret": endpoint.api_secret if endpoint else None,
        "market": None,
        "seed": None,
        "symbols": [],
        "time_ms": None,
        **(told or {}),
    }
    return Answer(data=data, tables=lambda: [pairs(title, data)])
