"""`trader order`: which commands there are, and what they are called."""

from __future__ import annotations

import typer

from trader_cli.cli import order_exits, order_placing, order_tending
from trader_cli.cli.prices import RELATIVE_NUMBERS

app = typer.Typer(
    help="Place, list, amend and cancel orders, conditional ones too.",
    rich_markup_mode=None,
    add_completion=False,
)
app.command("limit", context_settings=RELATIVE_NUMBERS)(order_placing.limit)
app.command("market")(order_placing.market)
app.command("smart")(order_placing.smart)
app.command("bracket")(order_placing.bracket)
app.command("stop-loss", context_settings=RELATIVE_NUMBERS)(order_exits.stop_loss)
app.command("take-profit", context_settings=RELATIVE_NUMBERS)(order_exits.take_profit)
app.command("trailing-stop")(order_exits.trailing_stop)
app.command("batch")(order_placing.batch)
app.command("list")(order_tending.list_)
app.command("show")(order_tending.show)
app.command("history")(order_tending.history)
app.command("trades")(order_tending.trades)
app.command("amend")(order_tending.amend)
app.command("cancel")(order_tending.cancel)
app.command("cancel-all")(order_tending.cancel_all)
app.command("resolve")(order_tending.resolve)
